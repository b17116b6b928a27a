/** The clients, as Streams makes them; `early`, messages are decoded in the consumer, from where they lie (`Early`). */
package etiage.peers.streams;

import etiage.peers.Early;
import etiage.peers.Job;
import etiage.peers.NoKey;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.streams.KafkaClientSupplier;

final class Clients implements KafkaClientSupplier {
    private final boolean early;
    private final String topic;

    Clients(Job job) {
        early = job.flag("early", false);
        topic = job.text("topic");
    }

    @Override
    public Admin getAdmin(Map<String, Object> settings) {
        return Admin.create(settings);
    }

    @Override
    public Producer<byte[], byte[]> getProducer(Map<String, Object> settings) {
        return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    @Override
    public Consumer<byte[], byte[]> getConsumer(Map<String, Object> settings) {
        if (!early) {
            return getRestoreConsumer(settings);
        }
        return new KafkaConsumer<>(settings, of(new NoKey()), of(new Early()));
    }

    /** Only of the readings' topic: the consumer reads the inner ones, too. */
    private Deserializer<byte[]> of(Deserializer<byte[]> deserializer) {
        return new Chosen(topic, deserializer);
    }

    @Override
    public Consumer<byte[], byte[]> getRestoreConsumer(Map<String, Object> settings) {
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    @Override
    public Consumer<byte[], byte[]> getGlobalConsumer(Map<String, Object> settings) {
        return getRestoreConsumer(settings);
    }
}
