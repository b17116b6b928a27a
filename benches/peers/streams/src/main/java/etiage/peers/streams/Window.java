/** The DSL: every reading goes to its region's partition, and is folded by the window. */
package etiage.peers.streams;

import etiage.peers.Job;
import etiage.peers.Reading;
import etiage.peers.Regions;
import etiage.peers.Results;
import etiage.peers.Sum;
import java.time.Duration;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;
import org.apache.kafka.streams.state.WindowStore;

final class Window {
    private Window() {}

    static Topology topology(Job job) {
        boolean table = job.text("locate", "jts").equals("cells");
        long threshold = job.threshold();
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(job.text("topic"), Consumed.with(Serdes.ByteArray(), new ReadingSerde(job.text("decoder", "databind"))).withTimestampExtractor(
                        (record, partitionMs) -> record.value() instanceof Reading reading ? reading.timeMs : record.timestamp()))
                .filter((key, reading) -> counted(reading != null && reading.kept))
                .map((key, reading) -> KeyValue.pair(Regions.shared().find(reading.lat, reading.lon, table), reading.value))
                .filter((region, value) -> counted(region >= 0))
                .groupByKey(Grouped.with(Serdes.Integer(), Serdes.Long()))
                .windowedBy(windows())
                .aggregate(Sum::new, (region, value, sum) -> {
                    Progress.add(1);
                    return sum.add(value, threshold);
                }, state(job))
                .toStream()
                .foreach((window, sum) -> Results.put(window.key(), window.window().start(), sum));
        return builder.build();
    }

    private static boolean counted(boolean kept) {
        if (!kept) {
            Progress.add(1);
        }
        return kept;
    }

    /** Streams counts grace from the newest time of all; the watermark of the others stays behind it. */
    static TimeWindows windows() {
        return TimeWindows.ofSizeAndGrace(Duration.ofMillis(Job.HOUR_MS), Duration.ofMillis(Job.LATENESS_MS + Job.OUT_OF_ORDERNESS_MS));
    }

    static Materialized<Integer, Sum, WindowStore<Bytes, byte[]>> state(Job job) {
        return Materialized.<Integer, Sum, WindowStore<Bytes, byte[]>>as(job.text("state", "rocksdb").equals("memory")
                        ? BuiltInDslStoreSuppliers.IN_MEMORY : BuiltInDslStoreSuppliers.ROCKS_DB)
                .withKeySerde(Serdes.Integer())
                .withValueSerde(new SumSerde());
    }
}
