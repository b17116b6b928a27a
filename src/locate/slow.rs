//! The slow, obvious twin of the lookup: every ring of every region, edge by edge, with the exact
//! predicate. For tests and benches.

use std::collections::BTreeMap;

use super::RegionIdx;
use super::border::Point;
use super::set::Outlines;

impl Outlines {
    /// What `RegionSet::locate` must say.
    pub fn locate(&self, lat: f64, lon: f64) -> Option<RegionIdx> {
        let p = Point::new(lat, lon)?;
        let mut crossings: BTreeMap<u32, u32> = BTreeMap::new();
        let mut touched: Option<u32> = None;
        for (region, edge) in self.edges() {
            if edge.is_east_of(p) {
                *crossings.entry(region).or_default() += 1;
            }
            if touched.is_none() && edge.passes_through(p) {
                touched = Some(region);
            }
        }
        let holder = crossings.into_iter().find(|(_, count)| count % 2 == 1);
        RegionIdx::from_index(holder.map(|(region, _)| region).or(touched)?)
    }
}
