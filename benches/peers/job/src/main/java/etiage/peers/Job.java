/** The job's settings, those of the example's configuration; arguments are `name=value`. */
package etiage.peers;

import java.math.BigDecimal;
import java.util.HashMap;
import java.util.Map;

public final class Job {
    public static final long HOUR_MS = 3_600_000;
    public static final long OUT_OF_ORDERNESS_MS = 120_000;
    public static final long LATENESS_MS = 24 * HOUR_MS;
    /** How far a reading may be ahead of its record's timestamp. */
    public static final long MAX_FUTURE_MS = 300_000;
    public static final String COUNTRY = "France";

    private final Map<String, String> given = new HashMap<>();

    public Job(String[] arguments) {
        for (String argument : arguments) {
            int equals = argument.indexOf('=');
            given.put(argument.substring(0, equals), argument.substring(equals + 1));
        }
    }

    public String text(String name, String otherwise) {
        return given.getOrDefault(name, otherwise);
    }

    public String text(String name) {
        String value = given.get(name);
        if (value == null) {
            throw new IllegalArgumentException("the argument " + name + "=… is missing");
        }
        return value;
    }

    public int number(String name, int otherwise) {
        return Integer.parseInt(text(name, Integer.toString(otherwise)));
    }

    public boolean flag(String name, boolean otherwise) {
        return Boolean.parseBoolean(text(name, Boolean.toString(otherwise)));
    }

    /** In units of 1e-9: what lies above fires an alarm. */
    public long threshold() {
        return new BigDecimal(text("threshold", "40")).movePointRight(9).longValueExact();
    }

    public static long hour(long timeMs) {
        return timeMs - Math.floorMod(timeMs, HOUR_MS);
    }

    /** Is a reading of this hour late where the watermark has come so far? */
    public static boolean late(long hourMs, long watermarkMs) {
        return hourMs + HOUR_MS + LATENESS_MS <= watermarkMs;
    }
}
