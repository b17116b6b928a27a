/**
 * CPU of the whole process (all threads, compilers and collectors too) and wall clock, from three moments on: the start of
 * the JVM, the first reading, and the reading after the warm-up, each to the end. Counts in steps, so that it costs nothing.
 */
package etiage.peers;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.atomic.AtomicLong;

public final class Meter {
    private static final int STEP = 1 << 14;
    private static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static final AtomicLong TOTAL = new AtomicLong();
    private static volatile Moment first;
    private static volatile Moment warm;
    private static volatile long warmAfter = Long.MAX_VALUE;

    private record Moment(long readings, long cpuNs, long wallNs) {
        static Moment now(long readings) {
            return new Moment(readings, SYSTEM.getProcessCpuTime(), System.nanoTime());
        }
    }

    private int pending;

    public static void warmAfter(long readings) {
        warmAfter = readings;
    }

    /** One reading more; each thread has a meter of its own. */
    public void tick() {
        if (++pending == STEP || first == null) {
            add();
        }
    }

    /** What is pending, counted: at the end of a thread's input. */
    public void add() {
        step(pending);
        pending = 0;
    }

    private static synchronized void step(int readings) {
        long total = TOTAL.addAndGet(readings);
        if (first == null) {
            first = Moment.now(0);
        }
        if (warm == null && total >= warmAfter) {
            warm = Moment.now(total);
        }
    }

    /** Prints what the benchmark reads. */
    public static void report(long readings) {
        Moment end = Moment.now(readings);
        long collected = 0;
        for (GarbageCollectorMXBean bean : ManagementFactory.getGarbageCollectorMXBeans()) {
            collected += bean.getCollectionTime();
        }
        System.out.printf("readings %d cpu_ns %d gc_ms %d%n", readings, end.cpuNs, collected);
        print("first", first, end);
        print("warm", warm, end);
    }

    private static void print(String name, Moment from, Moment to) {
        if (from != null) {
            System.out.printf("%s readings %d cpu_ns %d wall_ns %d%n", name, to.readings - from.readings, to.cpuNs - from.cpuNs, to.wallNs - from.wallNs);
        }
    }
}
