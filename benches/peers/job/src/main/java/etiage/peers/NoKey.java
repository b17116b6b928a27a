/** Nobody asks for the key: it is not copied. */
package etiage.peers;

import java.nio.ByteBuffer;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Deserializer;

public final class NoKey implements Deserializer<byte[]> {
    @Override
    public byte[] deserialize(String topic, byte[] key) {
        return null;
    }

    @Override
    public byte[] deserialize(String topic, Headers headers, ByteBuffer key) {
        return null;
    }
}
