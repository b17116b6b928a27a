/** The region of each reading; one object is filled again and again where the job may reuse objects. */
package etiage.peers.flink;

import etiage.peers.Reading;
import etiage.peers.Regions;
import org.apache.flink.api.common.functions.RichMapFunction;

final class Locate extends RichMapFunction<Reading, Located> {
    private final boolean table;
    private transient Located reused;

    Locate(boolean table) {
        this.table = table;
    }

    @Override
    public Located map(Reading reading) {
        if (reused == null) {
            reused = new Located();
        }
        Located located = getRuntimeContext().isObjectReuseEnabled() ? reused : new Located();
        located.region = Regions.shared().find(reading.lat, reading.lon, table);
        located.value = reading.value;
        return located;
    }
}
