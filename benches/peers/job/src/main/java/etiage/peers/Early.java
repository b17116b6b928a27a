/** Decodes in the thread that fetches, from where the message lies in the answer: what is kept of it is `Packed`. */
package etiage.peers;

import java.nio.ByteBuffer;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Deserializer;

public final class Early implements Deserializer<byte[]> {
    private final Decoder decoder = Decoder.of("bytes");
    private final Reading reading = new Reading();

    @Override
    public byte[] deserialize(String topic, byte[] value) {
        return value == null ? null : packed(value, 0, value.length);
    }

    @Override
    public byte[] deserialize(String topic, Headers headers, ByteBuffer value) {
        return value == null ? null : packed(value.array(), value.arrayOffset() + value.position(), value.remaining());
    }

    private byte[] packed(byte[] bytes, int from, int length) {
        return decoder.decode(bytes, from, length, reading) ? Packed.of(reading) : null;
    }
}
