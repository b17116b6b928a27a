/**
 * The job on Flink, in this process, over the topic as it is now. Arguments (`name=value`): bootstrap, topic, regions, out,
 * dir (of checkpoints), readings (how many there are); and what makes a variant: decoder, locate (jts, cells),
 * fold (window, before), state (hashmap, rocksdb), reuse, early, fused, tuned, parallelism.
 */
package etiage.peers.flink;

import etiage.peers.Early;
import etiage.peers.Fused;
import etiage.peers.Job;
import etiage.peers.Meter;
import etiage.peers.NoKey;
import etiage.peers.Reading;
import etiage.peers.Regions;
import etiage.peers.Results;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;

public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Job job = new Job(arguments);
        Regions.load(job.text("regions"));
        long readings = Long.parseLong(job.text("readings"));
        Meter.warmAfter(readings / 3);
        StreamExecutionEnvironment env = environment(job);
        DataStream<Reading> stream = env.fromSource(source(job), watermarks(), "readings");
        DataStream<Part> rows = job.text("fold", "window").equals("before") ? before(job, stream) : window(job, stream);
        rows.sinkTo(new DiscardingSink<>()).name("rows");
        env.execute("temperatures");
        Meter.report(readings);
        Results.write(Path.of(job.text("out")));
        System.exit(0);
    }

    private static StreamExecutionEnvironment environment(Job job) {
        Configuration settings = new Configuration();
        settings.set(StateBackendOptions.STATE_BACKEND, job.text("state", "hashmap"));
        settings.set(CheckpointingOptions.CHECKPOINTING_CONSISTENCY_MODE, CheckpointingMode.EXACTLY_ONCE);
        settings.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofSeconds(10));
        settings.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, Path.of(job.text("dir"), "checkpoints").toUri().toString());
        settings.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, true);
        settings.set(PipelineOptions.OBJECT_REUSE, job.flag("reuse", false));
        return StreamExecutionEnvironment.createLocalEnvironment(job.number("parallelism", 1), settings);
    }

    private static KafkaSource<Reading> source(Job job) {
        Properties client = new Properties();
        if (job.flag("tuned", false)) {
            client.put("max.poll.records", "20000");
            client.put("fetch.max.bytes", "67108864");
            client.put("max.partition.fetch.bytes", "16777216");
            client.put("receive.buffer.bytes", "1048576");
            client.put("check.crcs", "false");
            client.put("key.deserializer", NoKey.class.getName());
        }
        if (job.flag("early", false)) {
            client.put("value.deserializer", Early.class.getName());
        }
        if (job.flag("fused", false)) {
            client.put("interceptor.classes", Fused.class.getName());
            client.put(Fused.TOPIC, job.text("topic"));
        }
        boolean reuse = job.flag("reuse", false);
        return KafkaSource.<Reading>builder()
                .setBootstrapServers(job.text("bootstrap"))
                .setTopics(job.text("topic"))
                .setGroupId("peers-flink")
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setBounded(OffsetsInitializer.latest())
                .setProperties(client)
                .setDeserializer(job.flag("early", false) ? new Unpacked() : new Decoded(job.text("decoder", "databind"), reuse))
                .build();
    }

    private static WatermarkStrategy<Reading> watermarks() {
        return WatermarkStrategy.<Reading>forBoundedOutOfOrderness(Duration.ofMillis(Job.OUT_OF_ORDERNESS_MS))
                .withTimestampAssigner((reading, recordMs) -> reading.timeMs);
    }

    /** Every reading is keyed, and folded by the window. */
    private static DataStream<Part> window(Job job, DataStream<Reading> readings) {
        return readings.filter(reading -> reading.kept)
                .map(new Locate(job.text("locate", "jts").equals("cells")))
                .filter(located -> located.region >= 0)
                .keyBy(located -> located.region)
                .window(TumblingEventTimeWindows.of(Duration.ofMillis(Job.HOUR_MS)))
                .allowedLateness(Duration.ofMillis(Job.LATENESS_MS))
                .aggregate(new Fold(job.threshold()), new Publish());
    }

    /** Readings are folded where they are read; what is keyed are parts. */
    private static DataStream<Part> before(Job job, DataStream<Reading> readings) {
        return readings.transform("fold", TypeInformation.of(Part.class), new FoldBefore(job.threshold()))
                .keyBy(part -> part.region)
                .window(TumblingEventTimeWindows.of(Duration.ofMillis(Job.HOUR_MS)))
                .allowedLateness(Duration.ofMillis(Job.LATENESS_MS))
                .reduce((one, other) -> one.add(other), new PublishPart());
    }
}
