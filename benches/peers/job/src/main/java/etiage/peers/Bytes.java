/**
 * By hand, eight bytes at a time: the fields in the order in which they usually come, every byte of the message checked.
 * What is written otherwise (another order, blanks, escapes, exponents) is left to `Streaming`.
 */
package etiage.peers;

final class Bytes implements Decoder {
    private static final long ID = Swar.of("{\"id\":\" ") << 8 >>> 8;
    private static final long TIME_A = Swar.of("\",\"times");
    private static final long TIME_B = Swar.of("tamp\":\" ") << 8 >>> 8;
    private static final long LAT = Swar.of("\",\"lat\":");
    private static final long LON = Swar.of(",\"lon\": ") << 8 >>> 8;
    private static final long VALUE_A = Swar.of(",\"temper");
    private static final long VALUE_B = Swar.of("rature\":");
    private static final long COUNTRY_A = Swar.of(",\"countr");
    private static final long COUNTRY_B = Swar.of("untry\":\"");
    private static final long FRANCE = Swar.of("France\"}");
    private static final double[] TENS = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    private static final long[] UNITS = {1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1};

    private final Streaming others = new Streaming();
    private final Times times = new Times();
    /** Of the number read last: whole digits and sign, and how many of the digits are decimals. */
    private long mantissa;
    private int decimals;

    @Override
    public boolean decode(byte[] bytes, int from, int length, Reading reading) {
        try {
            if (usual(bytes, from, from + length, reading)) {
                return Decoder.inRange(reading.lat, reading.lon);
            }
        } catch (IndexOutOfBoundsException e) {
            // Cut short: the other one says so.
        }
        return others.decode(bytes, from, length, reading);
    }

    private boolean usual(byte[] b, int from, int end, Reading reading) {
        if (Swar.longAt(b, from) << 8 >>> 8 != ID) {
            return false;
        }
        int at = endOfText(b, from + 7);
        if (Swar.longAt(b, at) != TIME_A || Swar.longAt(b, at + 8) << 8 >>> 8 != TIME_B) {
            return false;
        }
        reading.timeMs = times.read(b, at + 15);
        if (reading.timeMs == Times.BAD || Swar.longAt(b, at + 34) != LAT || (at = number(b, at + 42)) < 0 || decimals >= TENS.length) {
            return false;
        }
        boolean exact = Math.abs(mantissa) < 1L << 53;
        reading.lat = mantissa / TENS[decimals];
        if (Swar.longAt(b, at) << 8 >>> 8 != LON || (at = number(b, at + 7)) < 0 || decimals >= TENS.length) {
            return false;
        }
        exact &= Math.abs(mantissa) < 1L << 53;
        reading.lon = mantissa / TENS[decimals];
        if (!exact || Swar.longAt(b, at) != VALUE_A || Swar.longAt(b, at + 7) != VALUE_B) {
            return false;
        }
        at = number(b, at + 15);
        if (at < 0 || decimals > 9 || Math.abs(mantissa) > 1_000_000_000) {
            return false;
        }
        reading.value = mantissa * UNITS[decimals];
        if (Swar.longAt(b, at) != COUNTRY_A || Swar.longAt(b, at + 4) != COUNTRY_B) {
            return false;
        }
        reading.kept = Swar.longAt(b, at + 12) == FRANCE && at + 20 == end;
        return reading.kept || abroad(b, at + 12, end);
    }

    /** Some other plain text, and then the end of the message. */
    private static boolean abroad(byte[] b, int at, int end) {
        while (at < end && b[at] != '"') {
            if (b[at] < 0x20 || b[at] == '\\') {
                return false;
            }
            at++;
        }
        return at + 2 == end && b[at + 1] == '}';
    }

    /** The first byte of a text that is not plain. */
    private static int endOfText(byte[] b, int at) {
        long found;
        while ((found = Swar.notPlain(Swar.longAt(b, at))) == 0) {
            at += 8;
        }
        return at + (Long.numberOfTrailingZeros(found) >>> 3);
    }

    /** Reads a number of up to 8 digits before the point and up to 8 behind it; where it ends, or −1. */
    private int number(byte[] b, int at) {
        boolean negative = b[at] == '-';
        at += negative ? 1 : 0;
        long word = Swar.longAt(b, at);
        int count = Swar.digits(word);
        if (count == 0 || count == 8 || (b[at] == '0' && count > 1)) {
            return -1;
        }
        long whole = Swar.number(word, count);
        at += count;
        decimals = 0;
        if (b[at] == '.') {
            word = Swar.longAt(b, at + 1);
            decimals = Swar.digits(word);
            if (decimals == 0) {
                return -1;
            }
            whole = whole * (long) TENS[decimals] + Swar.number(word, decimals);
            at += 1 + decimals;
        }
        mantissa = negative ? -whole : whole;
        // A digit, a point or an exponent here fails as a key that is not there.
        return at;
    }
}
