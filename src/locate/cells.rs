//! The table in front: squares of the map. Most hold no border and answer at once; one that does
//! is a small table itself, or a leaf: the few borders that meet it, and which regions hold its
//! south-west corner. From there to a position it is one step along a meridian and one along a
//! parallel; the borders crossed on the way tell the rest.

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

    /// A number too large for an entry is left to the index.
    fn tagged(kind: u32, number: usize) -> Entry {
        if number < Entry::TABLE as usize { Entry(kind | number as u32) } else { Entry::UNKNOWN }
    }
}

/// A square with a few borders.
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
    pub leaves: Vec<Leaf>,
    pub borders: Vec<LeafBorder>,
    /// The regions of leaves, each leaf's in the order of the set; leaves share them.
    pub regions: Vec<RegionIdx>,
}

impl Cells {
    #[inline]
    pub fn find(&self, x: f64, y: f64) -> Found {
        let (column, row) = ((x - self.x) * self.per_x, (y - self.y) * self.per_y);
        if !(column >= 0.0 && row >= 0.0 && column < SIDE && row < SIDE) {
            // Also what is not a number.
            return Found::Place(None);
        }
        let (column, row) = (column as u32, row as u32);
        let (mut first, mut bits, mut below) = (0, TOP_BITS, ALL_BITS - TOP_BITS);
        loop {
            let mask = (1 << bits) - 1;
            let at = (((row >> below) & mask) << bits) | ((column >> below) & mask);
            let Entry(entry) = self.entries[first + at as usize];
            let number = entry & !Entry::KIND;
            match entry & Entry::KIND {
                0 => return Found::Place(RegionIdx::from_number(number)),
                Entry::LEAF => {
                    let p = Point::near_zero_is_zero(x, y);
                    return Found::Place(self.find_in(&self.leaves[number as usize], p));
                }
                Entry::TABLE => {
                    first = number as usize;
                    bits = INNER_BITS;
                    below -= INNER_BITS;
                }
                _ => return Found::Unknown,
            }
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
