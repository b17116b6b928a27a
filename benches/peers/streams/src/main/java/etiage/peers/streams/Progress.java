/** Readings that are in the tables, or dropped: Streams has no end of input, so the job counts to it. */
package etiage.peers.streams;

import java.util.concurrent.atomic.LongAdder;

final class Progress {
    private static final LongAdder DONE = new LongAdder();

    private Progress() {}

    static void add(long readings) {
        DONE.add(readings);
    }

    static long readings() {
        return DONE.sum();
    }
}
