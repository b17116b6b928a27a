/** A window's aggregate, reading by reading. */
package etiage.peers.flink;

import etiage.peers.Sum;
import org.apache.flink.api.common.functions.AggregateFunction;

final class Fold implements AggregateFunction<Located, Sum, Sum> {
    private final long threshold;

    Fold(long threshold) {
        this.threshold = threshold;
    }

    @Override
    public Sum createAccumulator() {
        return new Sum();
    }

    @Override
    public Sum add(Located located, Sum sum) {
        return sum.add(located.value, threshold);
    }

    @Override
    public Sum getResult(Sum sum) {
        return sum;
    }

    @Override
    public Sum merge(Sum one, Sum other) {
        return one.add(other);
    }
}
