/**
 * Holds the fast ways against the slow ones: decoders on the lines of a file and on odd messages, the table of squares on
 * their positions, on random ones and on some beside borders. `Agreement regions.geojson lines.ndjson`
 */
package etiage.peers;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;

public final class Agreement {
    private static final String USUAL =
            "{\"id\":\"a\",\"timestamp\":\"2026-03-01 10:00:00\",\"lat\":48.1,\"lon\":-1.5,\"temperature\":-0.5,\"country\":\"France\"}";
    /** What becomes of a part of the usual message; rejects, too, must be the same. */
    private static final String[][] ODD = {
        {"\"a\"", "\"é\\n\\\"\""}, {"\"a\"", "\"\""}, {"\"a\",", "\"a\" , "}, {"{\"id\":\"a\",", "{"}, {"10:00:00", "10:00:60"},
        {"2026-03-01", "2026-02-29"}, {"2026-03-01", "2024-02-29"}, {"10:00:00", "24:00:00"}, {"48.1", "48.1e0"}, {"48.1", "481e-1"},
        {"48.1", "048.1"}, {"48.1", "48."}, {"48.1", "48"}, {"48.1", "90.00001"}, {"48.1", "-90"}, {"48.1", "48.123456789012"},
        {"-1.5", "- 1.5"}, {"-1.5", "-181"}, {"-1.5", "-0"}, {"-0.5", "123456789.5"}, {"-0.5", "0.1234567895"}, {"-0.5", "\"1\""},
        {"-0.5", "null"}, {"\"temperature\":-0.5,", ""}, {"France", "Francé"}, {"France", "Belgique"}, {"\"France\"}", "\"France\"} "},
        {"\"France\"}", "\"France\"}}"}, {"\"France\"}", "\"France\""}, {"\"France\"", "null"}, {"\"France\"}", "\"France\",\"x\":[1,{}]}"},
    };

    private Agreement() {}

    public static void main(String[] arguments) throws IOException {
        Regions regions = Regions.load(arguments[0]);
        Decoder[] decoders = {Decoder.of("databind"), Decoder.of("streaming"), Decoder.of("bytes")};
        List<String> lines = Files.readAllLines(Path.of(arguments[1]));
        for (String line : lines) {
            located(regions, decoded(decoders, line));
        }
        decoded(decoders, USUAL);
        for (String[] odd : ODD) {
            decoded(decoders, USUAL.replace(odd[0], odd[1]));
        }
        Random random = new Random(1);
        for (int i = 0; i < 1_000_000; i++) {
            same(regions, 41 + 11 * random.nextDouble(), -5.5 + 15.5 * random.nextDouble());
        }
        int beside = regions.beside((lat, lon) -> same(regions, lat, lon));
        System.out.println("decoders agree on " + lines.size() + " lines and " + ODD.length + " odd messages, the table with JTS on a million positions and "
                + beside + " beside borders");
    }

    private static Reading decoded(Decoder[] decoders, String message) {
        byte[] bytes = message.getBytes(StandardCharsets.UTF_8);
        Reading first = null;
        for (int i = 0; i < decoders.length; i++) {
            Reading reading = new Reading();
            boolean taken = decoders[i].decode(bytes, 0, bytes.length, reading);
            if (i > 0 && (taken != (first != null) || (taken && !equal(first, reading)))) {
                throw new IllegalStateException("decoder " + i + " differs from the first: " + message);
            }
            first = i == 0 && taken ? reading : first;
        }
        return first;
    }

    private static boolean equal(Reading one, Reading other) {
        return one.timeMs == other.timeMs && one.lat == other.lat && one.lon == other.lon && one.value == other.value && one.kept == other.kept;
    }

    private static void located(Regions regions, Reading reading) {
        if (reading != null) {
            same(regions, reading.lat, reading.lon);
        }
    }

    private static void same(Regions regions, double lat, double lon) {
        if (regions.find(lat, lon) != regions.cells().find(lat, lon)) {
            throw new IllegalStateException("the table and JTS differ at " + lat + " " + lon);
        }
    }
}
