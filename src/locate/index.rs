//! The exact index: borders in an R-tree. It answers every question, in microseconds.

use rstar::{AABB, RTree, RTreeObject};

use super::RegionIdx;
use super::border::{Border, Holders, Point};

impl RTreeObject for Border {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        let edge = &self.edge;
        AABB::from_corners([edge.west(), edge.south()], [edge.east(), edge.north()])
    }
}

pub(super) struct BorderIndex {
    tree: RTree<Border>,
}

impl BorderIndex {
    pub fn new(borders: Vec<Border>) -> BorderIndex {
        BorderIndex { tree: RTree::bulk_load(borders) }
    }

    pub fn locate(&self, p: Point) -> Option<RegionIdx> {
        self.holders(p).first().or_else(|| self.touched(p))
    }

    /// Counts the borders that a ray from the position to the east crosses.
    pub fn holders(&self, p: Point) -> Holders {
        let mut holders = Holders::default();
        let crossed = self.between([p.x, p.y], [f64::INFINITY, p.y]).filter(|border| border.edge.is_east_of(p));
        crossed.for_each(|border| holders.cross(border));
        holders
    }

    /// The first region of the set on whose border the position lies.
    fn touched(&self, p: Point) -> Option<RegionIdx> {
        let through = self.between([p.x, p.y], [p.x, p.y]).filter(|border| border.edge.passes_through(p));
        RegionIdx::from_index(through.map(Border::first).min()?)
    }

    /// The borders whose envelope meets this box.
    pub fn between(&self, south_west: [f64; 2], north_east: [f64; 2]) -> impl Iterator<Item = &Border> {
        self.tree.locate_in_envelope_intersecting(AABB::from_corners(south_west, north_east))
    }

    pub fn memory_bytes(&self) -> usize {
        // Leaves are nodes too, and inner nodes add about a sixth to them.
        self.tree.size() * (size_of::<Border>() + 16) * 7 / 6
    }
}
