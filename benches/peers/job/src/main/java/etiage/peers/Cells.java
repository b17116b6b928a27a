/**
 * An exact table of squares, as Étiage has one: 1024² squares; one that many borders meet is 8² smaller ones, and such a one
 * 8² again; a leaf holds the few borders that meet it and the regions that hold its corner, and counts crossings from there.
 */
package etiage.peers;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.locationtech.jts.geom.Geometry;

public final class Cells {
    private static final int TOP_BITS = 10;
    private static final int INNER_BITS = 3;
    private static final int ALL_BITS = TOP_BITS + 2 * INNER_BITS;
    private static final double SIDE = 1 << ALL_BITS;
    /** A square with more borders is divided, if it still can be. */
    private static final int FEW = 6;
    private static final int KIND = 3 << 30;
    private static final int TABLE = 1 << 30;
    private static final int LEAF = 2 << 30;

    private final Borders all;
    private double west;
    private double south;
    private double width;
    private double height;
    private double perX;
    private double perY;

    private int[] entries = new int[0];
    private int leaves;
    private int[] leafFirst = new int[1024];
    private long[] leafHolders = new long[1024];
    private double[] leafX = new double[1024];
    private final Borders near = new Borders();
    /** Of a leaf's border: 2 where it crosses the corner's meridian; 1 where the corner (or else the meridian) is left of it. */
    private byte[] seen = new byte[1024];

    private record Square(int column, int row, int bits, int[] borders, long holders) {}

    private record Table(int first, int column, int row, int bits, int sideBits) {}

    public Cells(List<Geometry> regions) {
        all = Borders.of(regions);
        frame();
        Square whole = new Square(0, 0, ALL_BITS, IntStream.range(0, all.size).toArray(), 0);
        fill(table(whole, TOP_BITS), whole);
    }

    /** −1: in none. */
    public int find(double lat, double lon) {
        double column = (lon - west) * perX;
        double row = (lat - south) * perY;
        if (!(column >= 0 && row >= 0 && column < SIDE && row < SIDE)) {
            return -1;
        }
        int c = (int) column;
        int r = (int) row;
        int below = ALL_BITS - TOP_BITS;
        int entry = entries[(r >>> below << TOP_BITS) | c >>> below];
        while ((entry & KIND) == TABLE) {
            below -= INNER_BITS;
            entry = entries[(entry & ~KIND) + ((r >>> below & 7) << INNER_BITS | c >>> below & 7)];
        }
        return (entry & KIND) == 0 ? entry - 1 : findIn(entry & ~KIND, lon, lat);
    }

    private int findIn(int leaf, double x, double y) {
        double cornerX = leafX[leaf];
        long holders = leafHolders[leaf];
        int end = leafFirst[leaf + 1];
        for (int border = leafFirst[leaf]; border < end; border++) {
            if (parts(border, x, y, cornerX)) {
                holders ^= near.toggles[border];
            }
        }
        if (holders == 0) {
            for (int border = leafFirst[leaf]; border < end; border++) {
                holders |= near.passesThrough(border, x, y) ? near.toggles[border] : 0;
            }
        }
        return holders == 0 ? -1 : Long.numberOfTrailingZeros(holders);
    }

    private boolean parts(int border, double x, double y, double cornerX) {
        boolean parallel = near.spansParallel(border, y);
        boolean cornerLeft = (seen[border] & 1) != 0;
        if ((seen[border] & 2) == 0) {
            return parallel && near.hasLeft(border, x, y) != cornerLeft;
        }
        boolean bend = near.hasLeft(border, cornerX, y);
        return (parallel && near.hasLeft(border, x, y) != bend) ^ (cornerLeft != bend);
    }

    /** A box around everything, no border on its rim. */
    private void frame() {
        double east = Double.NEGATIVE_INFINITY;
        double north = Double.NEGATIVE_INFINITY;
        west = Double.POSITIVE_INFINITY;
        south = Double.POSITIVE_INFINITY;
        for (int edge = 0; edge < all.size; edge++) {
            west = Math.min(west, all.west(edge));
            south = Math.min(south, all.south(edge));
            east = Math.max(east, all.east(edge));
            north = Math.max(north, all.north(edge));
        }
        double rimX = (east - west) * 1e-6 + 1e-9;
        double rimY = (north - south) * 1e-6 + 1e-9;
        west -= rimX;
        south -= rimY;
        width = (east + rimX - west) / SIDE;
        height = (north + rimY - south) / SIDE;
        perX = 1 / width;
        perY = 1 / height;
    }

    private double x(int column) {
        return west + column * width;
    }

    private double y(int row) {
        return south + row * height;
    }

    private Table table(Square square, int sideBits) {
        int first = entries.length;
        entries = Arrays.copyOf(entries, first + (1 << 2 * sideBits));
        return new Table(first, square.column, square.row, square.bits - sideBits, sideBits);
    }

    private void fill(Table table, Square square) {
        if (square.borders.length == 0) {
            put(table, square, square.holders == 0 ? 0 : Long.numberOfTrailingZeros(square.holders) + 1);
        } else if (square.bits > table.bits) {
            for (int quarter = 0; quarter < 4; quarter++) {
                fill(table, quarter(square, quarter & 1, quarter >> 1));
            }
        } else if (square.borders.length > FEW && square.bits > 0) {
            Table inner = table(square, INNER_BITS);
            put(table, square, TABLE | inner.first);
            fill(inner, square);
        } else {
            put(table, square, LEAF | leaf(square));
        }
    }

    private void put(Table table, Square square, int entry) {
        int column = (square.column - table.column) >> table.bits;
        int row = (square.row - table.row) >> table.bits;
        int side = 1 << (square.bits - table.bits);
        for (int r = row; r < row + side; r++) {
            int at = table.first + (r << table.sideBits | column);
            Arrays.fill(entries, at, at + side, entry);
        }
    }

    /** What holds the corner of a quarter follows from what holds the corner of the whole. */
    private Square quarter(Square square, int right, int up) {
        int bits = square.bits - 1;
        int column = square.column + (right << bits);
        int row = square.row + (up << bits);
        double slackX = width * 1e-3 + 1e-12;
        double slackY = height * 1e-3 + 1e-12;
        long holders = square.holders;
        int[] borders = new int[square.borders.length];
        int count = 0;
        for (int border : square.borders) {
            if (all.parts(border, x(column), y(row), x(square.column), y(square.row))) {
                holders ^= all.toggles[border];
            }
            if (all.meets(border, x(column) - slackX, y(row) - slackY, x(column + (1 << bits)) + slackX, y(row + (1 << bits)) + slackY)) {
                borders[count++] = border;
            }
        }
        return new Square(column, row, bits, Arrays.copyOf(borders, count), holders);
    }

    private int leaf(Square square) {
        double cornerX = x(square.column);
        double cornerY = y(square.row);
        if (leaves + 2 > leafFirst.length) {
            leafFirst = Arrays.copyOf(leafFirst, 2 * leafFirst.length);
            leafHolders = Arrays.copyOf(leafHolders, 2 * leafHolders.length);
            leafX = Arrays.copyOf(leafX, 2 * leafX.length);
        }
        leafFirst[leaves] = near.size;
        leafHolders[leaves] = square.holders;
        leafX[leaves] = cornerX;
        for (int border : square.borders) {
            boolean meets = all.spansMeridian(border, cornerX);
            boolean left = meets ? all.hasLeft(border, cornerX, cornerY) : all.west(border) > cornerX;
            double[] ends = all.ends;
            int copy = near.add(ends[4 * border], ends[4 * border + 1], ends[4 * border + 2], ends[4 * border + 3], all.toggles[border]);
            if (copy == seen.length) {
                seen = Arrays.copyOf(seen, 2 * copy);
            }
            seen[copy] = (byte) ((meets ? 2 : 0) | (left ? 1 : 0));
        }
        leafFirst[leaves + 1] = near.size;
        return leaves++;
    }
}
