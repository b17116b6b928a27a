/** Readings are folded where they are read; what goes to their regions' partitions are parts. */
package etiage.peers.streams;

import etiage.peers.Job;
import etiage.peers.Results;
import etiage.peers.Sum;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Repartitioned;

final class Before {
    private Before() {}

    static Topology topology(Job job) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<byte[], byte[]> messages = builder.stream(job.text("topic"), Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()));
        messages.process(new FoldBefore.Supplier(job))
                .repartition(Repartitioned.with(Serdes.Integer(), new SumSerde()).withNumberOfPartitions(job.number("threads", 1)))
                .groupByKey()
                .windowedBy(Window.windows())
                .aggregate(Sum::new, (region, part, sum) -> {
                    Progress.add(part.count);
                    return sum.add(part);
                }, Window.state(job))
                .toStream()
                .foreach((window, sum) -> Results.put(window.key(), window.window().start(), sum));
        return builder.build();
    }
}
