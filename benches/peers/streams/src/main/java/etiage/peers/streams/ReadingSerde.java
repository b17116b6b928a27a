/** Messages → readings; null is a reject. It serves all tasks of all threads. */
package etiage.peers.streams;

import etiage.peers.Decoder;
import etiage.peers.Meter;
import etiage.peers.Reading;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;

final class ReadingSerde implements Serde<Reading> {
    private record Own(Decoder decoder, Meter meter) {}

    private final ThreadLocal<Own> own;

    ReadingSerde(String decoder) {
        own = ThreadLocal.withInitial(() -> new Own(Decoder.of(decoder), new Meter()));
    }

    @Override
    public Serializer<Reading> serializer() {
        throw new UnsupportedOperationException("readings are not written");
    }

    @Override
    public Deserializer<Reading> deserializer() {
        return (topic, bytes) -> {
            Own mine = own.get();
            mine.meter.tick();
            Reading reading = new Reading();
            return bytes != null && mine.decoder.decode(bytes, 0, bytes.length, reading) ? reading : null;
        };
    }
}
