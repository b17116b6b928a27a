/** A reading as 32 bytes: what a client that wants bytes is given in place of the message. */
package etiage.peers;

public final class Packed {
    public static final int SIZE = 32;

    private Packed() {}

    public static byte[] of(Reading reading) {
        byte[] bytes = new byte[SIZE];
        into(bytes, 0, reading);
        return bytes;
    }

    static void into(byte[] bytes, int at, Reading reading) {
        Swar.put(bytes, at, reading.timeMs);
        Swar.put(bytes, at + 8, Double.doubleToRawLongBits(reading.kept ? reading.lat : Double.NaN));
        Swar.put(bytes, at + 16, Double.doubleToRawLongBits(reading.lon));
        Swar.put(bytes, at + 24, reading.value);
    }

    public static void read(byte[] bytes, int at, Reading reading) {
        reading.timeMs = Swar.longAt(bytes, at);
        reading.lat = Double.longBitsToDouble(Swar.longAt(bytes, at + 8));
        reading.lon = Double.longBitsToDouble(Swar.longAt(bytes, at + 16));
        reading.value = Swar.longAt(bytes, at + 24);
        reading.kept = !Double.isNaN(reading.lat);
    }

    static long timeMs(byte[] bytes) {
        return Swar.longAt(bytes, 0);
    }
}
