/**
 * Folds readings in memory, in the task that reads them. The parts leave before every watermark, so that none becomes late on
 * its way, and before every checkpoint's barrier, so that a checkpoint needs nothing of what is here.
 */
package etiage.peers.flink;

import etiage.peers.Cells;
import etiage.peers.Job;
import etiage.peers.Parts;
import etiage.peers.Reading;
import etiage.peers.Regions;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.ChainingStrategy;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

final class FoldBefore extends AbstractStreamOperator<Part> implements OneInputStreamOperator<Reading, Part> {
    private static final long serialVersionUID = 1;

    private final long threshold;
    private transient Cells cells;
    private transient Parts parts;
    private transient long watermarkMs;

    FoldBefore(long threshold) {
        this.threshold = threshold;
        // Not what an operator of one's own does unasked: in the source's task, without a serializer between.
        chainingStrategy = ChainingStrategy.ALWAYS;
    }

    @Override
    public void open() throws Exception {
        super.open();
        cells = Regions.shared().cells();
        parts = new Parts();
        watermarkMs = Long.MIN_VALUE;
    }

    @Override
    public void processElement(StreamRecord<Reading> element) {
        Reading reading = element.getValue();
        if (!reading.kept) {
            return;
        }
        int region = cells.find(reading.lat, reading.lon);
        long hourMs = Job.hour(reading.timeMs);
        if (region >= 0 && !Job.late(hourMs, watermarkMs)) {
            parts.add(region, hourMs, reading.value, threshold);
        }
    }

    @Override
    public void processWatermark(Watermark mark) throws Exception {
        send();
        // Flink's watermark t says that nothing up to and including t is still to come.
        watermarkMs = mark.getTimestamp() == Long.MAX_VALUE ? Long.MAX_VALUE : mark.getTimestamp() + 1;
        super.processWatermark(mark);
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpoint) {
        send();
    }

    @Override
    public void finish() throws Exception {
        send();
        super.finish();
    }

    private void send() {
        parts.drain((region, hourMs, sum) -> output.collect(new StreamRecord<>(new Part(region, hourMs, sum), hourMs)));
    }
}
