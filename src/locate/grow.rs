//! How the table of squares is made: the whole is quartered again and again, and what holds the
//! corner of a quarter follows from what holds the corner of the whole, by the same two steps as
//! in a lookup. A quarter without borders is done.

use rustc_hash::FxHashMap;

use super::RegionIdx;
use super::border::{Border, Edge, Holders, Point};
use super::cells::{ALL_BITS, Cells, Entry, INNER_BITS, LEAF_REGIONS, Leaf, LeafBorder, TOP_BITS};

/// A square with more borders is divided, if it still can be.
const FEW: usize = 6;
/// A finest square with more borders is left to the index.
const LEAF_BORDERS: usize = 64;
/// Borders looked at and entries made below the top table, in all: bounds time and memory where
/// borders are long, many and dense. What is then not divided yet is left to the index. The shipped
/// sets need 21 a border.
const WORK: usize = 1 << 20;
const WORK_PER_BORDER: usize = 64;

/// A square of the map with what is known of it.
struct Square {
    /// In finest squares.
    column: u32,
    row: u32,
    /// Its side is 2^bits finest squares.
    bits: u32,
    /// Numbers of the borders that meet it, perhaps some more.
    borders: Vec<u32>,
    /// What holds its south-west corner.
    holders: Holders,
}

/// A table whose entries are squares of 2^bits finest ones; it begins at this column and row.
#[derive(Clone, Copy)]
struct Table {
    first: usize,
    column: u32,
    row: u32,
    bits: u32,
    side_bits: u32,
}

struct Grower<'a> {
    all: &'a [Border],
    cells: Cells,
    /// Degrees of a finest square, and by how much squares are taken larger than they are: more
    /// than the rounding of everything that is done with them.
    width: f64,
    height: f64,
    slack_x: f64,
    slack_y: f64,
    work_left: usize,
    /// Where each list of regions begins.
    lists: FxHashMap<Vec<u32>, u32>,
}

pub(super) fn grow(borders: &[Border]) -> Cells {
    let mut grower = Grower::new(borders);
    let everything = (0..borders.len() as u32).collect();
    let whole = Square { column: 0, row: 0, bits: ALL_BITS, borders: everything, holders: Holders::default() };
    let top = grower.add_table(&whole, TOP_BITS);
    grower.fill(top, whole);
    let mut cells = grower.cells;
    cells.outside = cells.entries.len();
    cells.entries.push(Entry::place(None));
    cells.entries.shrink_to_fit();
    cells.leaves.shrink_to_fit();
    cells.borders.shrink_to_fit();
    cells.regions.shrink_to_fit();
    cells
}

/// Begin and length of an axis that holds all of these, none on its rim.
fn axis(all: &[Border], least: impl Fn(&Edge) -> f64, most: impl Fn(&Edge) -> f64) -> (f64, f64) {
    let low = all.iter().map(|border| least(&border.edge)).fold(f64::INFINITY, f64::min);
    let high = all.iter().map(|border| most(&border.edge)).fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        // No border at all: flat rings of no length.
        return (0.0, 1.0);
    }
    let rim = (high - low) * 1e-6 + 1e-9;
    (low - rim, high - low + 2.0 * rim)
}

impl Grower<'_> {
    fn new(all: &[Border]) -> Grower<'_> {
        let (x, length_x) = axis(all, Edge::west, Edge::east);
        let (y, length_y) = axis(all, Edge::south, Edge::north);
        let side = f64::from(1u32 << ALL_BITS);
        let (width, height) = (length_x / side, length_y / side);
        let slack = |step: f64| step * 1e-3 + 1e-12;
        Grower {
            all,
            cells: Cells {
                x,
                y,
                per_x: side / length_x,
                per_y: side / length_y,
                entries: Vec::new(),
                outside: 0,
                leaves: Vec::new(),
                borders: Vec::new(),
                regions: Vec::new(),
            },
            width,
            height,
            slack_x: slack(width),
            slack_y: slack(height),
            work_left: WORK + WORK_PER_BORDER * all.len(),
            lists: FxHashMap::default(),
        }
    }

    fn corner(&self, column: u32, row: u32) -> Point {
        let x = self.cells.x + f64::from(column) * self.width;
        let y = self.cells.y + f64::from(row) * self.height;
        Point::near_zero_is_zero(x, y)
    }

    fn add_table(&mut self, square: &Square, side_bits: u32) -> Table {
        let first = self.cells.entries.len();
        let entries = 1 << (2 * side_bits);
        self.cells.entries.resize(first + entries, Entry::UNKNOWN);
        Table { first, column: square.column, row: square.row, bits: square.bits - side_bits, side_bits }
    }

    fn spend(&mut self, work: usize) {
        self.work_left = self.work_left.saturating_sub(work);
    }

    /// Fills the part of the table that the square covers.
    fn fill(&mut self, table: Table, square: Square) {
        self.spend(square.borders.len());
        if square.borders.is_empty() {
            self.put(table, &square, Entry::place(square.holders.first()));
        } else if self.work_left == 0 {
            self.put(table, &square, Entry::UNKNOWN);
        } else if square.bits > table.bits {
            self.quarters(&square).into_iter().for_each(|quarter| self.fill(table, quarter));
        } else if square.borders.len() > FEW && square.bits > 0 {
            self.spend(1 << (2 * INNER_BITS));
            let inner = self.add_table(&square, INNER_BITS);
            self.put(table, &square, Entry::table(inner.first));
            self.fill(inner, square);
        } else {
            let leaf = self.add_leaf(&square);
            self.put(table, &square, leaf);
        }
    }

    fn put(&mut self, table: Table, square: &Square, entry: Entry) {
        let (column, row) = ((square.column - table.column) >> table.bits, (square.row - table.row) >> table.bits);
        let side = 1 << (square.bits - table.bits);
        for row in row..row + side {
            let at = table.first + ((row << table.side_bits) | column) as usize;
            self.cells.entries[at..at + side as usize].fill(entry);
        }
    }

    fn quarters(&self, square: &Square) -> [Square; 4] {
        let half = 1 << (square.bits - 1);
        [(0, 0), (half, 0), (0, half), (half, half)].map(|(columns, rows)| {
            let (column, row, bits) = (square.column + columns, square.row + rows, square.bits - 1);
            let (corner, known) = (self.corner(column, row), self.corner(square.column, square.row));
            let bounds = self.bounds(column, row, bits);
            let mut holders = square.holders.clone();
            let mut borders = Vec::new();
            for &number in &square.borders {
                let border = &self.all[number as usize];
                if border.edge.parts(corner, known) {
                    holders.cross(border);
                }
                if meets(&border.edge, &bounds) {
                    borders.push(number);
                }
            }
            Square { column, row, bits, borders, holders }
        })
    }

    fn bounds(&self, column: u32, row: u32, bits: u32) -> Bounds {
        let (low, high) = (self.corner(column, row), self.corner(column + (1 << bits), row + (1 << bits)));
        Bounds {
            west: low.x - self.slack_x,
            south: low.y - self.slack_y,
            east: high.x + self.slack_x,
            north: high.y + self.slack_y,
        }
    }

    fn add_leaf(&mut self, square: &Square) -> Entry {
        let regions = self.regions_of(square);
        if square.borders.len() > LEAF_BORDERS || regions.len() > LEAF_REGIONS {
            return Entry::UNKNOWN;
        }
        let bit = |region: u32| regions.binary_search(&region).map_or(0, |at| 1u16 << at);
        let corner = self.corner(square.column, square.row);
        let leaf = Leaf {
            first_border: self.cells.borders.len() as u32,
            first_region: self.list(&regions),
            borders: square.borders.len() as u16,
            holders: square.holders.regions().iter().fold(0, |all, &region| all | bit(region)),
            corner_x: corner.x,
        };
        let seen = square.borders.iter().map(|&number| seen_from(corner, &self.all[number as usize], bit));
        self.cells.borders.extend(seen);
        self.cells.leaves.push(leaf);
        Entry::leaf(self.cells.leaves.len() - 1)
    }

    /// The regions that a leaf can answer with, in the order of the set.
    fn regions_of(&self, square: &Square) -> Vec<u32> {
        let bounded = square.borders.iter().flat_map(|&number| self.all[number as usize].sides());
        let mut regions: Vec<u32> = square.holders.regions().iter().copied().chain(bounded).collect();
        regions.sort_unstable();
        regions.dedup();
        regions
    }

    fn list(&mut self, regions: &[u32]) -> u32 {
        if let Some(&first) = self.lists.get(regions) {
            return first;
        }
        let first = self.cells.regions.len() as u32;
        self.cells.regions.extend(regions.iter().filter_map(|&region| RegionIdx::from_index(region)));
        self.lists.insert(regions.to_vec(), first);
        first
    }
}

fn seen_from(corner: Point, border: &Border, bit: impl Fn(u32) -> u16) -> LeafBorder {
    let edge = border.edge;
    let meets_meridian = edge.spans_meridian(corner.x);
    LeafBorder {
        edge,
        toggles: border.sides().fold(0, |all, side| all ^ bit(side)),
        bounds: border.sides().fold(0, |all, side| all | bit(side)),
        meets_meridian,
        // An edge that does not meet the meridian lies east or west of it as a whole.
        corner_left: if meets_meridian { edge.has_left(corner) } else { edge.west() > corner.x },
    }
}

struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

/// May the edge meet the box? Errs on the side of yes.
fn meets(edge: &Edge, bounds: &Bounds) -> bool {
    let apart = edge.east() < bounds.west
        || edge.west() > bounds.east
        || edge.north() < bounds.south
        || edge.south() > bounds.north;
    !apart && !passes_by(edge, bounds)
}

/// Do all corners of the box lie on one side of the edge's line, beyond what rounding can do?
fn passes_by(edge: &Edge, bounds: &Bounds) -> bool {
    let (a, b) = edge.ends();
    let (along_x, along_y) = (b.x - a.x, b.y - a.y);
    let side = |x: f64, y: f64| along_x * (y - a.y) - along_y * (x - a.x);
    let corners = [
        side(bounds.west, bounds.south),
        side(bounds.east, bounds.south),
        side(bounds.west, bounds.north),
        side(bounds.east, bounds.north),
    ];
    let rounding = (along_x.abs() + along_y.abs()) * 1e-12;
    corners.iter().all(|&side| side > rounding) || corners.iter().all(|&side| side < -rounding)
}
