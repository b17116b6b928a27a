/** The sink: the last word on every row, kept in memory and written as CSV at the end. */
package etiage.peers;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

public final class Results {
    private record Row(int region, long hourMs) implements Comparable<Row> {
        @Override
        public int compareTo(Row other) {
            int regions = Integer.compare(region, other.region);
            return regions != 0 ? regions : Long.compare(hourMs, other.hourMs);
        }
    }

    private static final TreeMap<Row, String> ROWS = new TreeMap<>();

    private Results() {}

    public static synchronized void put(int region, long hourMs, Sum sum) {
        String line = Regions.shared().code(region) + "," + Instant.ofEpochMilli(hourMs) + "," + sum.count + ","
                + decimal(BigDecimal.valueOf(sum.sum, 9).divide(BigDecimal.valueOf(sum.count), MathContext.DECIMAL128)) + ","
                + decimal(BigDecimal.valueOf(sum.min, 9)) + "," + decimal(BigDecimal.valueOf(sum.max, 9)) + "," + sum.alarms;
        ROWS.put(new Row(region, hourMs), line);
    }

    private static double decimal(BigDecimal number) {
        return number.doubleValue();
    }

    public static synchronized void write(Path file) throws IOException {
        List<String> lines = new ArrayList<>(List.of("key,window_start,count,mean,min,max,alarms"));
        lines.addAll(ROWS.values());
        Files.write(file, lines);
    }
}
