/** What the job needs of one reading: mutable, to be filled anew for each. A POJO, so that Flink has a serializer for it. */
package etiage.peers;

public final class Reading {
    public long timeMs;
    public double lat;
    public double lon;
    /** In units of 1e-9. */
    public long value;
    /** Of France: what is not, is filtered. */
    public boolean kept;
}
