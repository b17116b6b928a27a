/** A window fires: its row goes to the results. */
package etiage.peers.flink;

import etiage.peers.Results;
import etiage.peers.Sum;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

final class Publish extends ProcessWindowFunction<Sum, Part, Integer, TimeWindow> {
    @Override
    public void process(Integer region, Context context, Iterable<Sum> sums, Collector<Part> out) {
        for (Sum sum : sums) {
            Results.put(region, context.window().getStart(), sum);
            out.collect(new Part(region, context.window().getStart(), sum));
        }
    }
}
