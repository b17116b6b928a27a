/** A message's bytes → the reading, or not: false is a reject. Each thread has one of its own. */
package etiage.peers;

public interface Decoder {
    boolean decode(byte[] bytes, int from, int length, Reading reading);

    /** `databind`, `streaming` or `bytes`. */
    static Decoder of(String name) {
        return switch (name) {
            case "databind" -> new Databind();
            case "streaming" -> new Streaming();
            case "bytes" -> new Bytes();
            default -> throw new IllegalArgumentException("there is no decoder " + name);
        };
    }

    /** Of a position in range. */
    static boolean inRange(double lat, double lon) {
        return Math.abs(lat) <= 90 && Math.abs(lon) <= 180;
    }
}
