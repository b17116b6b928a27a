/** A reading of a region. A POJO. */
package etiage.peers.flink;

public final class Located {
    public int region;
    public long value;
}
