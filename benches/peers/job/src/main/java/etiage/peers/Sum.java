/** The aggregate of a region's hour, or of a part of it. Sums are whole numbers of 1e-9, and overflow is an error. */
package etiage.peers;

public final class Sum {
    public long count;
    public long sum;
    public long min = Long.MAX_VALUE;
    public long max = Long.MIN_VALUE;
    public long alarms;

    public Sum add(long value, long threshold) {
        count++;
        sum = Math.addExact(sum, value);
        min = Math.min(min, value);
        max = Math.max(max, value);
        if (value > threshold) {
            alarms++;
        }
        return this;
    }

    public Sum add(Sum other) {
        count += other.count;
        sum = Math.addExact(sum, other.sum);
        min = Math.min(min, other.min);
        max = Math.max(max, other.max);
        alarms += other.alarms;
        return this;
    }
}
