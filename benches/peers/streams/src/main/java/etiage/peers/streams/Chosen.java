/** A deserializer for one topic; of others the bytes, as they are. */
package etiage.peers.streams;

import java.nio.ByteBuffer;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.utils.Utils;

final class Chosen implements Deserializer<byte[]> {
    private final String topic;
    private final Deserializer<byte[]> deserializer;

    Chosen(String topic, Deserializer<byte[]> deserializer) {
        this.topic = topic;
        this.deserializer = deserializer;
    }

    @Override
    public byte[] deserialize(String from, byte[] bytes) {
        return from.equals(topic) ? deserializer.deserialize(from, bytes) : bytes;
    }

    @Override
    public byte[] deserialize(String from, Headers headers, ByteBuffer bytes) {
        return from.equals(topic) ? deserializer.deserialize(from, headers, bytes) : Utils.toNullableArray(bytes);
    }
}
