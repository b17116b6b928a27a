/** Records → readings; a record that is none is dropped. */
package etiage.peers.flink;

import etiage.peers.Decoder;
import etiage.peers.Job;
import etiage.peers.Meter;
import etiage.peers.Reading;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

final class Decoded implements KafkaRecordDeserializationSchema<Reading> {
    private static final long serialVersionUID = 1;

    private final String name;
    private final boolean reuse;
    private transient Decoder decoder;
    private transient Meter meter;
    private transient Reading reused;

    Decoded(String name, boolean reuse) {
        this.name = name;
        this.reuse = reuse;
    }

    @Override
    public void open(DeserializationSchema.InitializationContext context) {
        decoder = Decoder.of(name);
        meter = new Meter();
        reused = new Reading();
    }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Reading> out) {
        meter.tick();
        byte[] value = record.value();
        Reading reading = reuse ? reused : new Reading();
        if (value != null && decoder.decode(value, 0, value.length, reading) && reading.timeMs <= record.timestamp() + Job.MAX_FUTURE_MS) {
            out.collect(reading);
        }
    }

    @Override
    public TypeInformation<Reading> getProducedType() {
        return TypeInformation.of(Reading.class);
    }
}
