//! The table in front: squares of the map. Most hold no border and answer at once; one that does
//! is a small table itself, or a leaf: the few borders that meet it, and which regions hold its
//! south-west corner. From there to a position it is one step along a meridian and one along a
//! parallel; the borders crossed on the way tell the rest.

use std::hint::black_box;

use super::RegionIdx;
use super::border::{Edge, Point};

/// Sizes of the tables, in bits of either axis, from the large squares to the small.
pub(super) const TOP_BITS: u32 = 10;
pub(super) const INNER_BITS: u32 = 3;
/// The finest squares: 2^16 × 2^16 of them cover the set.
pub(super) const ALL_BITS: u32 = TOP_BITS + 2 * INNER_BITS;
const SIDE: f64 = (1u32 << ALL_BITS) as f64;

/// A leaf names its regions in bits.
pub(super) const LEAF_REGIONS: usize = 16;

pub(super) enum Found {
    Place(Option<RegionIdx>),
    /// Too many borders or regions in one square: ask the index.
    Unknown,
}

/// What a square is: two bits of kind, thirty of number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Entry(u32);

impl Entry {
    const KIND: u32 = 3 << 30;
    const TABLE: u32 = 1 << 30;
    const LEAF: u32 = 2 << 30;
    pub const UNKNOWN: Entry = Entry(Entry::KIND);

    /// A square without borders.
    pub fn place(region: Option<RegionIdx>) -> Entry {
        Entry::tagged(0, region.map_or(0, |region| region.index() + 1))
    }

    /// The table whose first entry has this number.
    pub fn table(first: usize) -> Entry {
        Entry::tagged(Entry::TABLE, first)
    }

    pub fn leaf(number: usize) -> Entry {
        Entry::tagged(Entry::LEAF, number)
    }

    #[inline]
    fn is_table(self) -> bool {
        self.0 & Entry::KIND == Entry::TABLE
    }

    #[inline]
    fn number(self) -> usize {
        (self.0 & !Entry::KIND) as usize
    }

    /// A number too large for an entry is left to the index.
    fn tagged(kind: u32, number: usize) -> Entry {
        if number < Entry::TABLE as usize { Entry(kind | number as u32) } else { Entry::UNKNOWN }
    }
}

/// A square with a few borders.
#[derive(Clone, Copy, Default)]
pub(super) struct Leaf {
    /// Its borders and its regions, in the lists of all leaves.
    pub first_border: u32,
    pub first_region: u32,
    pub borders: u16,
    /// Regions that hold the corner.
    pub holders: u16,
    /// Meridian of the corner.
    pub corner_x: f64,
}

/// A border as a leaf sees it.
pub(super) struct LeafBorder {
    pub edge: Edge,
    /// Regions that crossing it toggles.
    pub toggles: u16,
    /// Regions that it bounds.
    pub bounds: u16,
    /// Does it cross the corner's meridian?
    pub meets_meridian: bool,
    /// Then: is the corner left of it? Otherwise: is the whole meridian?
    pub corner_left: bool,
}

impl LeafBorder {
    /// [`Edge::parts`], from the position to the corner.
    #[inline]
    fn parts(&self, p: Point, corner_x: f64) -> bool {
        let parallel = self.edge.spans_parallel(p.y);
        if !self.meets_meridian {
            return parallel && self.edge.has_left(p) != self.corner_left;
        }
        let bend = self.edge.has_left(Point { x: corner_x, y: p.y });
        (parallel && self.edge.has_left(p) != bend) ^ (self.corner_left != bend)
    }
}

pub(super) struct Cells {
    /// South-west corner of the whole: outside of every region.
    pub x: f64,
    pub y: f64,
    /// Finest squares in a degree.
    pub per_x: f64,
    pub per_y: f64,
    /// All tables, the top one first, each row by row from the south.
    pub entries: Vec<Entry>,
    /// The entry of all that lies outside the whole.
    pub outside: usize,
    pub leaves: Vec<Leaf>,
    pub borders: Vec<LeafBorder>,
    /// The regions of leaves, each leaf's in the order of the set; leaves share them.
    pub regions: Vec<RegionIdx>,
}

/// Positions that are looked up beside each other.
const BESIDE: usize = 32;

/// Tables below the top one, at most.
const INNER_TABLES: u32 = (ALL_BITS - TOP_BITS) / INNER_BITS;

/// Where a lookup has come to.
#[derive(Clone, Copy)]
struct Step {
    /// The finest square.
    column: u32,
    row: u32,
    at: usize,
    entry: Entry,
}

impl Cells {
    #[inline]
    pub fn find(&self, x: f64, y: f64) -> Found {
        let mut step = self.top(x, y);
        for table in 0..INNER_TABLES {
            if !step.entry.is_table() {
                break;
            }
            step = self.below(step, table);
        }
        self.answer(step.entry, &self.leaf(step.entry), x, y)
    }

    /// The same for a column, a step of many positions at a time: the tables of a large set lie in no cache, and memory answers many
    /// questions in the time of one.
    pub fn find_column(&self, x: &[f64], y: &[f64], mut found: impl FnMut(f64, f64, Found)) {
        for (x, y) in x.chunks(BESIDE).zip(y.chunks(BESIDE)) {
            let mut steps = [Step { column: 0, row: 0, at: 0, entry: Entry::UNKNOWN }; BESIDE];
            let steps = &mut steps[..x.len().min(y.len())];
            steps.iter_mut().zip(x).zip(y).for_each(|((step, x), y)| *step = self.top(*x, *y));
            for table in 0..INNER_TABLES {
                // Those that have come to their end take a step on the spot: a branch costs more.
                steps.iter_mut().for_each(|step| *step = self.below(*step, table));
            }
            let mut leaves = [Leaf::default(); BESIDE];
            leaves.iter_mut().zip(&*steps).for_each(|(leaf, step)| *leaf = self.leaf(step.entry));
            // Nobody wants the sum: it asks for the memory of all before any is waited for.
            black_box(leaves.iter().fold(0, |all, leaf| all ^ self.touch(leaf)));
            for (((step, leaf), &x), &y) in steps.iter().zip(&leaves).zip(x).zip(y) {
                found(x, y, self.answer(step.entry, leaf, x, y));
            }
        }
    }

    #[inline]
    fn top(&self, x: f64, y: f64) -> Step {
        let (column, row) = ((x - self.x) * self.per_x, (y - self.y) * self.per_y);
        // False also for what is not a number.
        let inside = column >= 0.0 && row >= 0.0 && column < SIDE && row < SIDE;
        let (column, row) = (column as u32, row as u32);
        let below = ALL_BITS - TOP_BITS;
        let at = ((row >> below) << TOP_BITS | column >> below) as usize;
        let at = if inside { at } else { self.outside };
        Step { column, row, at, entry: self.entries[at] }
    }

    /// Into the table that the entry names, if it does.
    #[inline]
    fn below(&self, step: Step, table: u32) -> Step {
        let below = ALL_BITS - TOP_BITS - (table + 1) * INNER_BITS;
        let mask = (1 << INNER_BITS) - 1;
        let within = (step.row >> below & mask) << INNER_BITS | step.column >> below & mask;
        let at = if step.entry.is_table() { step.entry.number() + within as usize } else { step.at };
        Step { at, entry: self.entries[at], ..step }
    }

    /// The leaf that the entry names; any other where it names none.
    #[inline]
    fn leaf(&self, entry: Entry) -> Leaf {
        let number = if entry.0 & Entry::KIND == Entry::LEAF { entry.number() } else { 0 };
        self.leaves.get(number).copied().unwrap_or_default()
    }

    #[inline]
    fn touch(&self, leaf: &Leaf) -> usize {
        let border = self.borders.get(leaf.first_border as usize).map_or(0, |border| usize::from(border.toggles));
        border ^ self.regions.get(leaf.first_region as usize).map_or(0, |region| region.index())
    }

    /// `leaf`: the one that the entry names.
    #[inline]
    fn answer(&self, entry: Entry, leaf: &Leaf, x: f64, y: f64) -> Found {
        match entry.0 & Entry::KIND {
            0 => Found::Place(RegionIdx::from_number(entry.number() as u32)),
            Entry::LEAF => {
                let p = Point::near_zero_is_zero(x, y);
                Found::Place(self.find_in(leaf, p))
            }
            _ => Found::Unknown,
        }
    }

    #[inline]
    fn find_in(&self, leaf: &Leaf, p: Point) -> Option<RegionIdx> {
        let borders = &self.borders[leaf.first_border as usize..][..leaf.borders as usize];
        let mut holders = leaf.holders;
        for border in borders {
            holders ^= if border.parts(p, leaf.corner_x) { border.toggles } else { 0 };
        }
        if holders == 0 {
            let touched = borders.iter().filter(|border| border.edge.passes_through(p));
            holders = touched.fold(0, |all, border| all | border.bounds);
        }
        (holders != 0).then(|| self.regions[leaf.first_region as usize + holders.trailing_zeros() as usize])
    }

    pub fn memory_bytes(&self) -> usize {
        size_of_val(self.entries.as_slice())
            + size_of_val(self.leaves.as_slice())
            + size_of_val(self.borders.as_slice())
            + size_of_val(self.regions.as_slice())
    }
}
