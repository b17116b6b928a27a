/**
 * The edges of a set's rings, each once, with the regions that crossing it toggles. Every question about a position is meant
 * for a point infinitesimally to its east and, still less, to its north: so no answer is "just on it".
 */
package etiage.peers;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.locationtech.jts.algorithm.CGAlgorithmsDD;
import org.locationtech.jts.geom.Coordinate;
import org.locationtech.jts.geom.Geometry;
import org.locationtech.jts.geom.LineString;
import org.locationtech.jts.geom.util.LinearComponentExtracter;

final class Borders {
    /** From `a`, the southern end (the western one of a horizontal edge), to `b`: four numbers an edge. */
    double[] ends = new double[0];
    /** Bits of regions. */
    long[] toggles = new long[0];
    int size;

    private record Edge(double ax, double ay, double bx, double by) {}

    static Borders of(List<Geometry> regions) {
        if (regions.size() > 64) {
            throw new IllegalArgumentException("regions are bits of a long: 64 at most, and these are " + regions.size());
        }
        Map<Edge, Long> edges = new HashMap<>();
        for (int region = 0; region < regions.size(); region++) {
            for (Object line : LinearComponentExtracter.getLines(regions.get(region))) {
                Coordinate[] ring = ((LineString) line).getCoordinates();
                for (int i = 1; i < ring.length; i++) {
                    edges.merge(edge(ring[i - 1], ring[i]), 1L << region, (one, other) -> one ^ other);
                }
            }
        }
        Borders borders = new Borders();
        edges.forEach((edge, toggles) -> borders.add(edge.ax, edge.ay, edge.bx, edge.by, toggles));
        return borders;
    }

    private static Edge edge(Coordinate p, Coordinate q) {
        boolean up = p.y < q.y || (p.y == q.y && p.x < q.x);
        return up ? new Edge(p.x, p.y, q.x, q.y) : new Edge(q.x, q.y, p.x, p.y);
    }

    int add(double ax, double ay, double bx, double by, long toggle) {
        if (4 * size == ends.length) {
            ends = Arrays.copyOf(ends, Math.max(64, 2 * ends.length));
            toggles = Arrays.copyOf(toggles, Math.max(16, 2 * toggles.length));
        }
        ends[4 * size] = ax;
        ends[4 * size + 1] = ay;
        ends[4 * size + 2] = bx;
        ends[4 * size + 3] = by;
        toggles[size] = toggle;
        return size++;
    }

    double west(int edge) {
        return Math.min(ends[4 * edge], ends[4 * edge + 2]);
    }

    double east(int edge) {
        return Math.max(ends[4 * edge], ends[4 * edge + 2]);
    }

    double south(int edge) {
        return ends[4 * edge + 1];
    }

    double north(int edge) {
        return ends[4 * edge + 3];
    }

    private int side(int edge, double x, double y) {
        int at = 4 * edge;
        return CGAlgorithmsDD.orientationIndex(ends[at], ends[at + 1], ends[at + 2], ends[at + 3], x, y);
    }

    /** Left of the way up; above, if the edge is horizontal. */
    boolean hasLeft(int edge, double x, double y) {
        int side = side(edge, x, y);
        return side > 0 || (side == 0 && south(edge) == north(edge));
    }

    boolean spansParallel(int edge, double y) {
        return south(edge) <= y && y < north(edge);
    }

    boolean spansMeridian(int edge, double x) {
        return (ends[4 * edge] > x) != (ends[4 * edge + 2] > x);
    }

    /** Does the way along p's parallel to q's meridian, and along that to q, cross the edge an odd number of times? */
    boolean parts(int edge, double px, double py, double qx, double qy) {
        boolean parallel = spansParallel(edge, py);
        boolean meridian = spansMeridian(edge, qx);
        if (!parallel && !meridian) {
            return false;
        }
        boolean bend = hasLeft(edge, qx, py);
        return (parallel && hasLeft(edge, px, py) != bend) ^ (meridian && hasLeft(edge, qx, qy) != bend);
    }

    boolean passesThrough(int edge, double x, double y) {
        return west(edge) <= x && x <= east(edge) && south(edge) <= y && y <= north(edge) && side(edge, x, y) == 0;
    }

    /** May the edge meet the box? Errs on the side of yes. */
    boolean meets(int edge, double west, double south, double east, double north) {
        if (east(edge) < west || west(edge) > east || north(edge) < south || south(edge) > north) {
            return false;
        }
        double ax = ends[4 * edge];
        double ay = ends[4 * edge + 1];
        double alongX = ends[4 * edge + 2] - ax;
        double alongY = ends[4 * edge + 3] - ay;
        double rounding = (Math.abs(alongX) + Math.abs(alongY)) * 1e-12;
        double sw = alongX * (south - ay) - alongY * (west - ax);
        double se = alongX * (south - ay) - alongY * (east - ax);
        double nw = alongX * (north - ay) - alongY * (west - ax);
        double ne = alongX * (north - ay) - alongY * (east - ax);
        boolean left = sw > rounding && se > rounding && nw > rounding && ne > rounding;
        boolean right = sw < -rounding && se < -rounding && nw < -rounding && ne < -rounding;
        return !left && !right;
    }
}
