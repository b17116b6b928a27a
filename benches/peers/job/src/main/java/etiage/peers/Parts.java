/** Sums in memory by hour and region, of few hours: what is folded before anything is sent anywhere. */
package etiage.peers;

import java.util.Arrays;

public final class Parts {
    /** Takes what is there. */
    public interface Taker {
        void take(int region, long hourMs, Sum sum);
    }

    private long[] hours = new long[0];
    private Sum[][] sums = new Sum[0][];
    private long lastHour = Long.MIN_VALUE;
    private Sum[] last;

    public void add(int region, long hourMs, long value, long threshold) {
        if (hourMs != lastHour) {
            turnTo(hourMs);
        }
        Sum sum = last[region];
        if (sum == null) {
            sum = last[region] = new Sum();
        }
        sum.add(value, threshold);
    }

    private void turnTo(long hourMs) {
        int at = 0;
        while (at < hours.length && hours[at] != hourMs) {
            at++;
        }
        if (at == hours.length) {
            hours = Arrays.copyOf(hours, at + 1);
            sums = Arrays.copyOf(sums, at + 1);
            hours[at] = hourMs;
            sums[at] = new Sum[Regions.shared().size()];
        }
        lastHour = hourMs;
        last = sums[at];
    }

    /** Gives all away; then nothing is left. */
    public void drain(Taker taker) {
        long[] theirHours = hours;
        Sum[][] theirs = sums;
        hours = new long[0];
        sums = new Sum[0][];
        lastHour = Long.MIN_VALUE;
        for (int at = 0; at < theirHours.length; at++) {
            for (int region = 0; region < theirs[at].length; region++) {
                if (theirs[at][region] != null) {
                    taker.take(region, theirHours[at], theirs[at][region]);
                }
            }
        }
    }
}
