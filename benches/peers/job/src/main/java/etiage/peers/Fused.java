/**
 * Mini-batches before the engine sees anything: what a poll brought of a partition becomes one record, of the last one's
 * offset, whose value is all `Packed` readings in their order. Positions that are committed are the same.
 */
package etiage.peers;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerInterceptor;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

public final class Fused implements ConsumerInterceptor<byte[], byte[]> {
    /** The topic whose records are fused. */
    public static final String TOPIC = "peers.fused.topic";

    private final Reading none = new Reading();
    private String topic;

    @Override
    public void configure(Map<String, ?> settings) {
        topic = (String) settings.get(TOPIC);
        // Of no place and of no time: it is counted, and that is all.
        none.timeMs = Long.MIN_VALUE / 2;
    }

    @Override
    public ConsumerRecords<byte[], byte[]> onConsume(ConsumerRecords<byte[], byte[]> polled) {
        Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> fused = new HashMap<>();
        for (TopicPartition partition : polled.partitions()) {
            List<ConsumerRecord<byte[], byte[]>> records = polled.records(partition);
            fused.put(partition, partition.topic().equals(topic) ? List.of(fuse(records)) : records);
        }
        return new ConsumerRecords<>(fused, polled.nextOffsets());
    }

    private ConsumerRecord<byte[], byte[]> fuse(List<ConsumerRecord<byte[], byte[]>> records) {
        byte[] all = new byte[records.size() * Packed.SIZE];
        int at = 0;
        for (ConsumerRecord<byte[], byte[]> record : records) {
            byte[] packed = record.value();
            if (packed == null || Packed.timeMs(packed) > record.timestamp() + Job.MAX_FUTURE_MS) {
                Packed.into(all, at, none);
            } else {
                System.arraycopy(packed, 0, all, at, Packed.SIZE);
            }
            at += Packed.SIZE;
        }
        ConsumerRecord<byte[], byte[]> last = records.get(records.size() - 1);
        return new ConsumerRecord<>(last.topic(), last.partition(), last.offset(), last.timestamp(), last.timestampType(), 0, all.length,
                null, all, last.headers(), last.leaderEpoch());
    }

    @Override
    public void onCommit(Map<TopicPartition, OffsetAndMetadata> offsets) {
        // Nothing to do.
    }

    @Override
    public void close() {
        // Nothing to close.
    }
}
