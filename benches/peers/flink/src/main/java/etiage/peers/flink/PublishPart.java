/** The same of windows that are made of parts. */
package etiage.peers.flink;

import etiage.peers.Results;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

final class PublishPart extends ProcessWindowFunction<Part, Part, Integer, TimeWindow> {
    @Override
    public void process(Integer region, Context context, Iterable<Part> parts, Collector<Part> out) {
        for (Part part : parts) {
            Results.put(region, context.window().getStart(), part.sum());
            out.collect(part);
        }
    }
}
