/** Decodes, locates and folds in memory, in the task that reads. The parts leave every 200 ms, and before every commit. */
package etiage.peers.streams;

import etiage.peers.Cells;
import etiage.peers.Decoder;
import etiage.peers.Job;
import etiage.peers.Meter;
import etiage.peers.Packed;
import etiage.peers.Parts;
import etiage.peers.Reading;
import etiage.peers.Regions;
import etiage.peers.Sum;
import java.time.Duration;
import java.util.Set;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.internals.InternalProcessorContext;
import org.apache.kafka.streams.processor.internals.ProcessorNode;
import org.apache.kafka.streams.state.StoreBuilder;

final class FoldBefore implements Processor<byte[], byte[], Integer, Sum> {
    private static final Duration SEND = Duration.ofMillis(200);

    private final long threshold;
    private final boolean packed;
    private final Decoder decoder;
    private final Cells cells = Regions.shared().cells();
    private final Reading reading = new Reading();
    private final Meter meter = new Meter();
    private ProcessorContext<Integer, Sum> context;
    private Parts parts;
    private long newestMs = Long.MIN_VALUE / 2;
    private long dropped;

    private FoldBefore(Job job) {
        threshold = job.threshold();
        packed = job.flag("early", false);
        decoder = Decoder.of(job.text("decoder", "bytes"));
    }

    /** One for every task. */
    record Supplier(Job job) implements ProcessorSupplier<byte[], byte[], Integer, Sum> {
        @Override
        public Processor<byte[], byte[], Integer, Sum> get() {
            return new FoldBefore(job);
        }

        @Override
        public Set<StoreBuilder<?>> stores() {
            return Set.of(new PartStore.Builder());
        }
    }

    @Override
    public void init(ProcessorContext<Integer, Sum> context) {
        this.context = context;
        PartStore store = context.getStateStore(PartStore.NAME);
        parts = store.parts;
        InternalProcessorContext<?, ?> inner = (InternalProcessorContext<?, ?>) context;
        ProcessorNode<?, ?, ?, ?> here = inner.currentNode();
        store.onFlush(() -> {
            ProcessorNode<?, ?, ?, ?> before = inner.currentNode();
            inner.setCurrentNode(here);
            try {
                send();
            } finally {
                inner.setCurrentNode(before);
            }
        });
        context.schedule(SEND, PunctuationType.WALL_CLOCK_TIME, nowMs -> send());
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        byte[] value = record.value();
        if (packed && value != null) {
            for (int at = 0; at < value.length; at += Packed.SIZE) {
                Packed.read(value, at, reading);
                fold(true, record.timestamp());
            }
        } else {
            fold(value != null && decoder.decode(value, 0, value.length, reading), record.timestamp());
        }
    }

    private void fold(boolean read, long recordMs) {
        meter.tick();
        if (!read || reading.timeMs > recordMs + Job.MAX_FUTURE_MS) {
            dropped++;
            return;
        }
        long hourMs = Job.hour(reading.timeMs);
        boolean late = Job.late(hourMs, newestMs - Job.OUT_OF_ORDERNESS_MS);
        newestMs = Math.max(newestMs, reading.timeMs);
        int region = reading.kept && !late ? cells.find(reading.lat, reading.lon) : -1;
        if (region < 0) {
            dropped++;
            return;
        }
        parts.add(region, hourMs, reading.value, threshold);
    }

    private void send() {
        Progress.add(dropped);
        dropped = 0;
        parts.drain((region, hourMs, sum) -> context.forward(new Record<>(region, sum, hourMs)));
    }
}
