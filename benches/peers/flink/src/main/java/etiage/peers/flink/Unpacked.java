/** Behind `Early`, and behind `Fused`, which makes one record of many. */
package etiage.peers.flink;

import etiage.peers.Job;
import etiage.peers.Meter;
import etiage.peers.Packed;
import etiage.peers.Reading;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

final class Unpacked implements KafkaRecordDeserializationSchema<Reading> {
    private static final long serialVersionUID = 1;
    private transient Meter meter;
    private transient Reading reused;

    @Override
    public void open(DeserializationSchema.InitializationContext context) {
        meter = new Meter();
        reused = new Reading();
    }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Reading> out) {
        byte[] packed = record.value();
        if (packed == null) {
            meter.tick();
            return;
        }
        for (int at = 0; at < packed.length; at += Packed.SIZE) {
            meter.tick();
            Packed.read(packed, at, reused);
            if (reused.timeMs <= record.timestamp() + Job.MAX_FUTURE_MS) {
                out.collect(reused);
            }
        }
    }

    @Override
    public TypeInformation<Reading> getProducedType() {
        return TypeInformation.of(Reading.class);
    }
}
