//! 2 · Position → region, exactly. Pure.
//!
//! ```text
//! GeoJSON text ──► Outlines ──► borders ──► Cells: a table in front, answers in nanoseconds
//!               (validated)  (shared edges     └─► BorderIndex: an R-tree behind, answers what
//!                             stored once)          the table cannot, and which region is nearest
//! ```
//!
//! **The rule.** A position is compared as if it lay an infinitesimal step to the east and a still
//! smaller one to the north of where it is. So it never lies *on* a border, and where regions share
//! one, exactly one of them holds it. A region holds what lies inside an odd number of its rings
//! (holes are rings like others). Where regions overlap, the first in the set's order wins. A
//! position that no region holds by this, but that lies exactly on a border (a western coast has
//! sea to its west only, an eastern one is to the west of it), belongs to the first region with
//! that border: a territory is closed.
//!
//! Edges are straight lines in longitude and latitude, as in GeoJSON. Nothing is wrapped: a region
//! across the antimeridian must be cut there, as RFC 7946 asks, and the nearest region is not
//! looked for on its other side.

mod border;
mod cells;
mod grow;
mod index;
mod nearest;
mod rings;
mod set;
mod slow;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::ops::Index;

use border::Point;
use cells::{Cells, Found};
use index::BorderIndex;

pub use set::{Fault, Outlines, RegionSetError};

/// Where the shipped sets hold a region's code and name.
pub const SHIPPED_PROPERTIES: (&str, &str) = ("code", "nom");

/// Index of a region in its set. As wide as the `Option` of it: 4 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RegionIdx(NonZeroU32);

impl RegionIdx {
    /// `number` counts from 1; 0 is no region.
    fn from_number(number: u32) -> Option<RegionIdx> {
        NonZeroU32::new(number).map(RegionIdx)
    }

    pub(crate) fn from_index(index: u32) -> Option<RegionIdx> {
        RegionIdx::from_number(index.checked_add(1)?)
    }

    /// The region's place in [`RegionSet::regions`], from 0.
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// One region of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    code: String,
    name: String,
}

impl Region {
    /// Unique in its set; for the shipped sets the INSEE code.
    pub fn code(&self) -> &str {
        &self.code
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Regions and where they are.
pub struct RegionSet {
    regions: Vec<Region>,
    cells: Cells,
    index: BorderIndex,
}

/// Does two things, in any order, and hands on what comes out of both. Whoever has threads does them at once.
pub trait Both {
    fn both<A: Send, B: Send>(self, one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B);
}

/// One after the other.
pub struct InTurn;

impl Both for InTurn {
    fn both<A: Send, B: Send>(self, one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
        (one(), other())
    }
}

impl RegionSet {
    /// Reads a GeoJSON FeatureCollection of polygons and multipolygons, in WGS84 degrees; the two
    /// properties hold each region's code (text or whole number, unique) and its name.
    pub fn from_geojson(text: &str, code_property: &str, name_property: &str) -> Result<RegionSet, RegionSetError> {
        Ok(Outlines::from_geojson(text, code_property, name_property)?.into())
    }

    /// Makes the table in front and the index behind, neither of which wants the other; they take about the same time.
    pub fn build(outlines: Outlines, both: impl Both) -> RegionSet {
        let borders = border::share(outlines.edges());
        let (cells, index) = both.both(|| grow::grow(&borders), || BorderIndex::new(borders.clone()));
        RegionSet { regions: outlines.into_regions(), cells, index }
    }

    /// The text of a set that the program carries: `regions` (the 18 French regions) or
    /// `departements` (the 101 departments), with the properties [`SHIPPED_PROPERTIES`].
    pub fn shipped(name: &str) -> Option<&'static str> {
        match name {
            "regions" => Some(include_str!("../../regions/regions.geojson")),
            "departements" => Some(include_str!("../../regions/departements.geojson")),
            _ => None,
        }
    }

    /// In the order of the file.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The region that holds a position in WGS84 degrees, by the rule above. Nothing holds a
    /// position that is not finite or out of range.
    #[inline]
    pub fn locate(&self, lat: f64, lon: f64) -> Option<RegionIdx> {
        match self.cells.find(lon, lat) {
            Found::Place(region) => region,
            Found::Unknown => self.locate_by_index(lat, lon),
        }
    }

    /// What [`locate`](RegionSet::locate) says, always by the exact index: some microseconds.
    #[cold]
    pub fn locate_by_index(&self, lat: f64, lon: f64) -> Option<RegionIdx> {
        self.index.locate(Point::new(lat, lon)?)
    }

    /// The region of each position, into `out`, which is cleared first: as many as the shorter of
    /// both columns has.
    pub fn locate_column(&self, lat: &[f64], lon: &[f64], out: &mut Vec<Option<RegionIdx>>) {
        debug_assert_eq!(lat.len(), lon.len(), "a column of positions has as many latitudes as longitudes");
        out.clear();
        out.reserve(lat.len().min(lon.len()));
        self.cells.find_column(lon, lat, |lon, lat, found| {
            out.push(match found {
                Found::Place(region) => region,
                Found::Unknown => self.locate_by_index(lat, lon),
            });
        });
    }

    /// The region that holds the position, else the one whose border is nearest, if it is within
    /// this many metres along the great circle (mean radius: within 0.6 % of the ellipsoid). Among
    /// equally near ones the first of the set. The same bits in, the same answer on every machine.
    pub fn nearest_within(&self, lat: f64, lon: f64, within_m: f64) -> Option<RegionIdx> {
        self.locate(lat, lon).or_else(|| nearest::nearest_within(&self.index, Point::new(lat, lon)?, within_m))
    }

    /// Memory of the lookup structures, about.
    pub fn memory_bytes(&self) -> usize {
        let text: usize = self.regions.iter().map(|region| region.code.capacity() + region.name.capacity()).sum();
        text + self.regions.capacity() * size_of::<Region>() + self.cells.memory_bytes() + self.index.memory_bytes()
    }
}

impl From<Outlines> for RegionSet {
    fn from(outlines: Outlines) -> RegionSet {
        RegionSet::build(outlines, InTurn)
    }
}

impl Index<RegionIdx> for RegionSet {
    type Output = Region;

    fn index(&self, region: RegionIdx) -> &Region {
        &self.regions[region.index()]
    }
}
