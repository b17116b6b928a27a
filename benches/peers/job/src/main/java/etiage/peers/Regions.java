/**
 * The region set, and the way most people look a position up: an R-tree of envelopes, and JTS' indexed locator of each
 * polygon. A position exactly on a border is of the first region found; `Cells` has Étiage's rule.
 */
package etiage.peers;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import org.locationtech.jts.algorithm.locate.IndexedPointInAreaLocator;
import org.locationtech.jts.geom.Coordinate;
import org.locationtech.jts.geom.Envelope;
import org.locationtech.jts.geom.Geometry;
import org.locationtech.jts.geom.GeometryFactory;
import org.locationtech.jts.geom.LinearRing;
import org.locationtech.jts.geom.Location;
import org.locationtech.jts.geom.Polygon;
import org.locationtech.jts.index.strtree.STRtree;

public final class Regions {
    private static volatile Regions shared;

    private final List<String> codes = new ArrayList<>();
    private final List<Geometry> geometries = new ArrayList<>();
    private final STRtree tree = new STRtree();
    private final Cells cells;

    private record Area(int region, IndexedPointInAreaLocator locator) {}

    private Regions(File file) throws IOException {
        GeometryFactory factory = new GeometryFactory();
        for (JsonNode feature : new ObjectMapper().readTree(file).get("features")) {
            Geometry geometry = geometry(factory, feature.get("geometry"));
            for (int i = 0; i < geometry.getNumGeometries(); i++) {
                Geometry part = geometry.getGeometryN(i);
                tree.insert(part.getEnvelopeInternal(), new Area(codes.size(), new IndexedPointInAreaLocator(part)));
            }
            codes.add(feature.get("properties").get("code").asText());
            geometries.add(geometry);
        }
        tree.build();
        cells = new Cells(geometries);
    }

    /** Once a process: its operators all look up here. */
    public static Regions load(String file) throws IOException {
        shared = new Regions(new File(file));
        return shared;
    }

    public static Regions shared() {
        return shared;
    }

    public Cells cells() {
        return cells;
    }

    public int size() {
        return codes.size();
    }

    public String code(int region) {
        return codes.get(region);
    }

    /** By the table of squares, or else as below. */
    public int find(double lat, double lon, boolean table) {
        return table ? cells.find(lat, lon) : find(lat, lon);
    }

    /** −1: in none. */
    public int find(double lat, double lon) {
        Coordinate position = new Coordinate(lon, lat);
        int[] found = {-1};
        tree.query(new Envelope(position), item -> {
            Area area = (Area) item;
            if (found[0] < 0 && area.locator.locate(position) != Location.EXTERIOR) {
                found[0] = area.region;
            }
        });
        return found[0];
    }

    /** Calls it with positions a little beside the vertices of all borders; how many. */
    int beside(BiConsumer<Double, Double> look) {
        int count = 0;
        for (Geometry geometry : geometries) {
            for (Coordinate vertex : geometry.getCoordinates()) {
                double step = Math.pow(10, -3 - count % 9);
                look.accept(vertex.y + step * 0.7, vertex.x - step);
                look.accept(vertex.y - step, vertex.x + step * 0.3);
                count += 2;
            }
        }
        return count;
    }

    private static Geometry geometry(GeometryFactory factory, JsonNode geometry) {
        JsonNode coordinates = geometry.get("coordinates");
        if (geometry.get("type").asText().equals("Polygon")) {
            return polygon(factory, coordinates);
        }
        List<Polygon> polygons = new ArrayList<>();
        coordinates.forEach(rings -> polygons.add(polygon(factory, rings)));
        return factory.createMultiPolygon(polygons.toArray(new Polygon[0]));
    }

    private static Polygon polygon(GeometryFactory factory, JsonNode rings) {
        LinearRing[] holes = new LinearRing[rings.size() - 1];
        for (int i = 0; i < holes.length; i++) {
            holes[i] = ring(factory, rings.get(i + 1));
        }
        return factory.createPolygon(ring(factory, rings.get(0)), holes);
    }

    private static LinearRing ring(GeometryFactory factory, JsonNode positions) {
        Coordinate[] coordinates = new Coordinate[positions.size()];
        for (int i = 0; i < coordinates.length; i++) {
            coordinates[i] = new Coordinate(positions.get(i).get(0).asDouble(), positions.get(i).get(1).asDouble());
        }
        return factory.createLinearRing(coordinates);
    }
}
