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

    /// Counts the borders that a ray from the position to the east crosses.
    pub fn locate(&self, p: Point) -> Option<RegionIdx> {
        let mut holders = Holders::default();
        let mut touched: Option<u32> = None;
        for border in self.between([p.x, p.y], [f64::INFINITY, p.y]) {
            if border.edge.is_east_of(p) {
                holders.cross(border);
            }
            if border.edge.passes_through(p) {
                touched = Some(touched.map_or(border.first(), |other| other.min(border.first())));
            }
        }
        holders.first().or_else(|| RegionIdx::from_index(touched?))
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
