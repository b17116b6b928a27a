/** As most would write it: Jackson binds an object, java.time reads the time. */
package etiage.peers;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.DateTimeException;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.ResolverStyle;

final class Databind implements Decoder {
    /** A message. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    public static final class Message {
        public String id;
        public String timestamp;
        public Double lat;
        public Double lon;
        public BigDecimal temperature;
        public String country;
    }

    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm:ss").withResolverStyle(ResolverStyle.STRICT);
    private final ObjectReader reader = JsonMapper.builder()
            .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build()
            .readerFor(Message.class);

    @Override
    public boolean decode(byte[] bytes, int from, int length, Reading reading) {
        try {
            Message message = reader.readValue(bytes, from, length);
            if (message.timestamp == null || message.lat == null || message.lon == null || message.temperature == null) {
                return false;
            }
            reading.timeMs = LocalDateTime.parse(message.timestamp, TIME).toInstant(ZoneOffset.UTC).toEpochMilli();
            reading.lat = message.lat;
            reading.lon = message.lon;
            reading.value = message.temperature.movePointRight(9).setScale(0, RoundingMode.HALF_EVEN).longValueExact();
            reading.kept = Job.COUNTRY.equals(message.country);
            return Decoder.inRange(reading.lat, reading.lon);
        } catch (IOException | DateTimeException | ArithmeticException e) {
            return false;
        }
    }
}
