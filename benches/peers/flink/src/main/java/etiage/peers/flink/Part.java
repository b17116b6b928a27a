/** A part of a region's hour. A POJO. */
package etiage.peers.flink;

import etiage.peers.Sum;

public final class Part {
    public int region;
    public long hourMs;
    public long count;
    public long sum;
    public long min;
    public long max;
    public long alarms;

    public Part() {}

    Part(int region, long hourMs, Sum of) {
        this.region = region;
        this.hourMs = hourMs;
        count = of.count;
        sum = of.sum;
        min = of.min;
        max = of.max;
        alarms = of.alarms;
    }

    Part add(Part other) {
        Part all = new Part(region, hourMs, sum().add(other.sum()));
        return all;
    }

    Sum sum() {
        Sum all = new Sum();
        all.count = count;
        all.sum = sum;
        all.min = min;
        all.max = max;
        all.alarms = alarms;
        return all;
    }
}
