/** A sum in 40 bytes. */
package etiage.peers.streams;

import etiage.peers.Sum;
import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;

final class SumSerde implements Serde<Sum> {
    @Override
    public Serializer<Sum> serializer() {
        return (topic, sum) -> sum == null ? null
                : ByteBuffer.allocate(40).putLong(sum.count).putLong(sum.sum).putLong(sum.min).putLong(sum.max).putLong(sum.alarms).array();
    }

    @Override
    public Deserializer<Sum> deserializer() {
        return (topic, bytes) -> bytes == null ? null : of(ByteBuffer.wrap(bytes));
    }

    private static Sum of(ByteBuffer bytes) {
        Sum sum = new Sum();
        sum.count = bytes.getLong();
        sum.sum = bytes.getLong();
        sum.min = bytes.getLong();
        sum.max = bytes.getLong();
        sum.alarms = bytes.getLong();
        return sum;
    }
}
