/**
 * The job on Kafka Streams, in this process, until as many readings are in its tables as the topic has. Arguments
 * (`name=value`): bootstrap, topic, regions, out, dir (of its state), readings; and what makes a variant: decoder, locate
 * (jts, cells), fold (window, before), state (memory, rocksdb), early, fused, tuned, threads, guarantee.
 */
package etiage.peers.streams;

import etiage.peers.Fused;
import etiage.peers.Job;
import etiage.peers.Meter;
import etiage.peers.Regions;
import etiage.peers.Results;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;

public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Job job = new Job(arguments);
        Regions.load(job.text("regions"));
        long readings = Long.parseLong(job.text("readings"));
        Meter.warmAfter(readings / 3);
        Properties settings = settings(job);
        Topology topology = job.text("fold", "window").equals("before") ? Before.topology(job) : Window.topology(job);
        try (KafkaStreams streams = new KafkaStreams(topology, new StreamsConfig(settings), new Clients(job))) {
            streams.start();
            while (Progress.readings() < readings) {
                if (!streams.state().isRunningOrRebalancing() && streams.state() != KafkaStreams.State.CREATED) {
                    throw new IllegalStateException("the job ended before its input did: " + streams.state());
                }
                Thread.sleep(5);
            }
            streams.close(Duration.ofSeconds(60));
            Meter.report(readings);
        }
        Results.write(Path.of(job.text("out")));
        forget(settings);
        System.exit(0);
    }

    private static Properties settings(Job job) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "peers-" + UUID.randomUUID());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.text("bootstrap"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, job.text("dir"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, job.text("guarantee", StreamsConfig.AT_LEAST_ONCE));
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, job.number("threads", 1));
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        if (job.flag("tuned", false)) {
            settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 10_000);
            settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 20_000);
            settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L << 20);
            settings.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 20_000);
            settings.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.FETCH_MAX_BYTES_CONFIG), 64 << 20);
            settings.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 16 << 20);
            settings.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.RECEIVE_BUFFER_CONFIG), 1 << 20);
            settings.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.CHECK_CRCS_CONFIG), false);
            settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 20);
            settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
            settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
        }
        if (job.flag("fused", false)) {
            settings.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.INTERCEPTOR_CLASSES_CONFIG), Fused.class.getName());
            settings.put(StreamsConfig.mainConsumerPrefix(Fused.TOPIC), job.text("topic"));
        }
        return settings;
    }

    /** Its inner topics go, so that every run begins anew. */
    private static void forget(Properties settings) throws Exception {
        String name = settings.getProperty(StreamsConfig.APPLICATION_ID_CONFIG);
        Properties admin = new Properties();
        admin.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, settings.get(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG));
        try (Admin client = Admin.create(admin)) {
            client.deleteTopics(client.listTopics().names().get().stream().filter(topic -> topic.startsWith(name)).toList()).all().get();
        }
    }
}
