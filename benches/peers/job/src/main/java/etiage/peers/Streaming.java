/** Jackson's streaming parser: no tree, no object, no text that is not needed. */
package etiage.peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.math.RoundingMode;

final class Streaming implements Decoder {
    private static final int TIME = 1;
    private static final int LAT = 2;
    private static final int LON = 4;
    private static final int VALUE = 8;
    private static final int ALL = 15;

    private final JsonFactory factory = new JsonFactory();
    private final Times times = new Times();
    private final byte[] time = new byte[24];

    @Override
    public boolean decode(byte[] bytes, int from, int length, Reading reading) {
        try (JsonParser parser = factory.createParser(bytes, from, length)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return false;
            }
            reading.kept = false;
            int found = 0;
            String field;
            while ((field = parser.nextFieldName()) != null) {
                found |= field(field, parser, reading);
            }
            boolean whole = parser.currentToken() == JsonToken.END_OBJECT && parser.nextToken() == null;
            return whole && (found & ALL) == ALL && reading.timeMs != Times.BAD && Decoder.inRange(reading.lat, reading.lon);
        } catch (IOException | ArithmeticException e) {
            return false;
        }
    }

    private int field(String field, JsonParser parser, Reading reading) throws IOException {
        JsonToken token = parser.nextToken();
        boolean number = token == JsonToken.VALUE_NUMBER_FLOAT || token == JsonToken.VALUE_NUMBER_INT;
        switch (field) {
            case "timestamp":
                reading.timeMs = token == JsonToken.VALUE_STRING ? time(parser) : Times.BAD;
                return TIME;
            case "lat":
                reading.lat = number ? parser.getDoubleValue() : Double.NaN;
                return LAT;
            case "lon":
                reading.lon = number ? parser.getDoubleValue() : Double.NaN;
                return LON;
            case "temperature":
                reading.value = number ? parser.getDecimalValue().movePointRight(9).setScale(0, RoundingMode.HALF_EVEN).longValueExact() : 0;
                return number ? VALUE : 0;
            case "country":
                reading.kept = token == JsonToken.VALUE_STRING && Job.COUNTRY.equals(parser.getText());
                return 0;
            default:
                parser.skipChildren();
                return 0;
        }
    }

    private long time(JsonParser parser) throws IOException {
        if (parser.getTextLength() != 19) {
            return Times.BAD;
        }
        char[] text = parser.getTextCharacters();
        int offset = parser.getTextOffset();
        for (int i = 0; i < 19; i++) {
            time[i] = (byte) text[offset + i];
        }
        return times.read(time, 0);
    }
}
