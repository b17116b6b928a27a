/** Eight bytes at once. */
package etiage.peers;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

final class Swar {
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final long ONES = 0x0101010101010101L;
    private static final long HIGH = 0x8080808080808080L;

    private Swar() {}

    static long longAt(byte[] bytes, int at) {
        return (long) LONG.get(bytes, at);
    }

    static void put(byte[] bytes, int at, long word) {
        LONG.set(bytes, at, word);
    }

    /** The eight bytes of an ASCII text. */
    static long of(String text) {
        return longAt(text.getBytes(StandardCharsets.US_ASCII), 0);
    }

    /** The high bit of each byte that is a quote, a backslash, a control character or not ASCII; exact up to the first. */
    static long notPlain(long word) {
        long quote = word ^ ONES * '"';
        long backslash = word ^ ONES * '\\';
        return ((quote - ONES) | (backslash - ONES) | (word - ONES * 0x20) | word) & HIGH;
    }

    /** How many of the eight bytes are digits, from the first on. */
    static int digits(long word) {
        long above = word ^ ONES * '0';
        long not = (above | (above + ONES * 0x76)) & HIGH;
        return Long.numberOfTrailingZeros(not) >>> 3;
    }

    /** The number that the first `count` bytes, all digits, make. */
    static long number(long word, int count) {
        if (count == 0) {
            return 0;
        }
        long w = (word - ONES * '0') << (64 - 8 * count);
        w = w * 10 + (w >>> 8);
        return ((w & 0x000000FF000000FFL) * 0x000F424000000064L + ((w >>> 16) & 0x000000FF000000FFL) * 0x0000271000000001L) >>> 32;
    }
}
