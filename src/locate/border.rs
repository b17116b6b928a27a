//! Edges and the questions that are asked of them, answered exactly; borders: edges with the
//! regions that they bound.
//!
//! Every question about a point `p` is meant for `p' = p + (ε, ε²)`, the point an infinitesimal
//! step to the east and a smaller one to the north: so no answer is "just on it", and all answers
//! of all edges agree with one another.

use robust::{Coord, orient2d};

use super::RegionIdx;

/// A position in range: `x` longitude, `y` latitude, in degrees.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Point {
    pub x: f64,
    pub y: f64,
}

impl Point {
    pub fn new(lat: f64, lon: f64) -> Option<Point> {
        let in_range = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
        in_range.then(|| Point::near_zero_is_zero(lon, lat))
    }

    /// A ten-thousandth of a googolth of a degree is none. Without this the exact orientation
    /// would have to multiply numbers whose product underflows, and be wrong.
    #[inline]
    pub fn near_zero_is_zero(x: f64, y: f64) -> Point {
        let clean = |v: f64| if v.abs() < 1e-104 { 0.0 } else { v };
        Point { x: clean(x), y: clean(y) }
    }
}

/// A segment with a length.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Edge {
    /// Invariant: `a` is the southern end, the western one of a horizontal edge.
    a: Point,
    b: Point,
}

impl Edge {
    pub fn new(p: Point, q: Point) -> Option<Edge> {
        match (p.y, p.x).partial_cmp(&(q.y, q.x))? {
            std::cmp::Ordering::Less => Some(Edge { a: p, b: q }),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(Edge { a: q, b: p }),
        }
    }

    pub fn ends(&self) -> (Point, Point) {
        (self.a, self.b)
    }

    pub fn west(&self) -> f64 {
        self.a.x.min(self.b.x)
    }

    pub fn east(&self) -> f64 {
        self.a.x.max(self.b.x)
    }

    pub fn south(&self) -> f64 {
        self.a.y
    }

    pub fn north(&self) -> f64 {
        self.b.y
    }

    /// The sign tells on which side of the edge the point itself lies: positive is left of the
    /// way up, 0 is on the line.
    #[inline]
    pub fn side(&self, p: Point) -> f64 {
        let coord = |p: Point| Coord { x: p.x, y: p.y };
        orient2d(coord(self.a), coord(self.b), coord(p))
    }

    /// Does `p'` lie left of the edge's line (above it, if that is horizontal)?
    #[inline]
    pub fn has_left(&self, p: Point) -> bool {
        let side = self.side(p);
        side > 0.0 || (side == 0.0 && self.a.y == self.b.y)
    }

    /// Does the edge cross the parallel of `p'`?
    #[inline]
    pub fn spans_parallel(&self, y: f64) -> bool {
        self.a.y <= y && y < self.b.y
    }

    /// Does the edge cross the meridian of `p'`?
    #[inline]
    pub fn spans_meridian(&self, x: f64) -> bool {
        (self.a.x > x) != (self.b.x > x)
    }

    /// Does a ray from `p'` to the east cross the edge?
    #[inline]
    pub fn is_east_of(&self, p: Point) -> bool {
        self.spans_parallel(p.y) && self.has_left(p)
    }

    /// Does the way from `p'` along its parallel to the meridian of `q'`, and along that to `q'`,
    /// cross the edge an odd number of times?
    pub fn parts(&self, p: Point, q: Point) -> bool {
        let (parallel, meridian) = (self.spans_parallel(p.y), self.spans_meridian(q.x));
        if !parallel && !meridian {
            return false;
        }
        let bend = self.has_left(Point { x: q.x, y: p.y });
        (parallel && self.has_left(p) != bend) ^ (meridian && self.has_left(q) != bend)
    }

    /// Does the point itself lie on the edge, ends included?
    pub fn passes_through(&self, p: Point) -> bool {
        self.west() <= p.x && p.x <= self.east() && self.a.y <= p.y && p.y <= self.b.y && self.side(p) == 0.0
    }

    fn bits(&self) -> [u64; 4] {
        [self.a.y.to_bits(), self.a.x.to_bits(), self.b.y.to_bits(), self.b.x.to_bits()]
    }
}

/// No region: the other side of an outer border.
const NOBODY: u32 = u32::MAX;

/// An edge and the regions that it bounds: crossing it toggles whether they hold the position.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Border {
    pub edge: Edge,
    /// Invariant: the first is a region, and not behind the second in the set's order. The same
    /// region twice is a line inside of it or outside: it toggles nothing, and can be touched.
    sides: [u32; 2],
}

impl Border {
    pub fn sides(&self) -> impl Iterator<Item = u32> {
        self.sides.into_iter().filter(|&side| side != NOBODY)
    }

    /// The first region of the set that it bounds.
    pub fn first(&self) -> u32 {
        self.sides[0]
    }
}

/// Edges that several rings have become one border: half of a coverage's edges, and the parity of
/// all its regions in one step. More than two regions on an edge make several borders of it.
pub(super) fn share(edges: impl Iterator<Item = (u32, Edge)>) -> Vec<Border> {
    let mut edges: Vec<(u32, Edge)> = edges.collect();
    edges.sort_unstable_by_key(|(region, edge)| (edge.bits(), *region));
    let same_edge = edges.chunk_by(|(_, one), (_, other)| one == other);
    let pairs = same_edge.flat_map(|owners| owners.chunks(2));
    let border =
        |pair: &[(u32, Edge)]| Border { edge: pair[0].1, sides: [pair[0].0, pair.get(1).map_or(NOBODY, |p| p.0)] };
    pairs.map(border).collect()
}

/// The regions that hold a position, as far as borders have been crossed.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Holders(Vec<u32>);

impl Holders {
    pub fn cross(&mut self, border: &Border) {
        for side in border.sides() {
            match self.0.binary_search(&side) {
                Ok(at) => drop(self.0.remove(at)),
                Err(at) => self.0.insert(at, side),
            }
        }
    }

    /// In the set's order.
    pub fn regions(&self) -> &[u32] {
        &self.0
    }

    pub fn first(&self) -> Option<RegionIdx> {
        RegionIdx::from_index(*self.0.first()?)
    }
}
