//! A store of cells where the highest stamp wins, in three copies that hear of a write one by one;
//! two of them answer a read. A copy can be lost for good, and a power cut forgets what copies
//! acknowledged a moment ago.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::commit::Commit;
use crate::reading::{Offset, SourceId};
use crate::store::{BeforeWrite, PartWrite, PositionKind, RowWrite, Slot, Stamp};

/// One statement on its way.
#[derive(Clone, Debug)]
pub enum Write {
    Part(PartWrite),
    Row(RowWrite),
    Before(BeforeWrite),
    Position(PositionKind, Commit),
}

/// A cell with the writes that a power cut can still undo.
#[derive(Clone, Debug)]
struct Cell<T> {
    writes: Vec<(u64, Stamp, T)>,
}

impl<T: Clone> Cell<T> {
    fn new() -> Cell<T> {
        Cell { writes: Vec::new() }
    }

    fn value(&self) -> Option<(Stamp, &T)> {
        self.writes.iter().max_by_key(|(_, stamp, _)| *stamp).map(|(_, stamp, value)| (*stamp, value))
    }

    fn cut(&mut self, since: u64) {
        self.writes.retain(|(applied, _, _)| *applied < since);
    }
}

pub type RowPlace = (Slot, Arc<str>);

pub const REPLICAS: usize = 3;
pub const QUORUM: usize = 2;

#[derive(Default)]
struct Replica {
    parts: BTreeMap<(Slot, SourceId), Cell<Vec<u8>>>,
    rows: BTreeMap<RowPlace, Cell<RowWrite>>,
    before: BTreeMap<RowPlace, Cell<f64>>,
    positions: Vec<(u64, PositionKind, Commit)>,
}

impl Replica {
    fn apply(&mut self, write: Write, now: u64) {
        match write {
            Write::Part(part) => {
                let cell = self.parts.entry((part.slot, part.source)).or_insert_with(Cell::new);
                cell.writes.push((now, part.stamp, part.state));
            }
            Write::Row(row) => {
                let cell = self.rows.entry((row.slot.clone(), row.metric.clone())).or_insert_with(Cell::new);
                cell.writes.push((now, row.stamp, row));
            }
            Write::Before(before) => {
                let cell = self.before.entry((before.slot, before.metric)).or_insert_with(Cell::new);
                cell.writes.push((now, before.stamp, before.mean_before));
            }
            Write::Position(kind, commit) => self.positions.push((now, kind, commit)),
        }
    }

    fn cut(&mut self, since: u64) {
        self.parts.values_mut().for_each(|cell| cell.cut(since));
        self.rows.values_mut().for_each(|cell| cell.cut(since));
        self.before.values_mut().for_each(|cell| cell.cut(since));
        self.positions.retain(|(applied, _, _)| *applied < since);
    }
}

#[derive(Default)]
pub struct Store {
    replicas: [Replica; REPLICAS],
    /// The copy that reads leave out.
    pub left_out: std::cell::Cell<usize>,
    /// The copy that is no more.
    pub lost: Option<usize>,
    /// What every revision of a part has been: two writes of one revision are the same bytes.
    chain: BTreeMap<(Slot, SourceId, Stamp), Vec<u8>>,
}

impl Store {
    /// The write reaches one copy; false where that is no more.
    pub fn apply(&mut self, write: Write, replica: usize, now: u64) -> bool {
        if let Write::Part(part) = &write {
            let revision = (part.slot.clone(), part.source, part.stamp);
            let known = self.chain.entry(revision).or_insert_with(|| part.state.clone());
            assert_eq!(*known, part.state, "one revision, one content: {:?} at {:?}", part.slot, part.stamp);
        }
        if self.lost == Some(replica) {
            return false;
        }
        self.replicas[replica].apply(write, now);
        true
    }

    /// A copy forgets every write applied at or after `since`.
    pub fn cut(&mut self, replica: usize, since: u64) {
        self.replicas[replica].cut(since);
    }

    /// The quorums that can answer a read, each by the copy that it leaves out.
    pub fn quorums(&self) -> std::ops::Range<usize> {
        self.lost.map_or(0..REPLICAS, |lost| lost..lost + 1)
    }

    fn asked(&self) -> impl Iterator<Item = &Replica> {
        let left_out = self.left_out.get();
        let copies = self.replicas.iter().enumerate();
        copies.filter(move |(number, _)| *number != left_out).map(|(_, replica)| replica)
    }

    pub fn own_part(&self, slot: &Slot, source: SourceId) -> Option<Vec<u8>> {
        let place = (slot.clone(), source);
        let found = self.asked().filter_map(|replica| replica.parts.get(&place)?.value());
        found.max_by_key(|(stamp, _)| *stamp).map(|(_, blob)| blob.clone())
    }

    pub fn parts_of(&self, slot: &Slot) -> Vec<(SourceId, Vec<u8>)> {
        let sources: BTreeSet<SourceId> = (0..4).map(super::super::log::source).collect();
        sources.into_iter().filter_map(|source| Some((source, self.own_part(slot, source)?))).collect()
    }

    pub fn parts(&self) -> BTreeMap<(Slot, SourceId), (Stamp, Vec<u8>)> {
        newest(self.asked().map(|replica| &replica.parts))
    }

    pub fn row(&self, slot: &Slot, metric: &Arc<str>) -> Option<&RowWrite> {
        let place = (slot.clone(), metric.clone());
        let found = self.asked().filter_map(|replica| replica.rows.get(&place)?.value());
        found.max_by_key(|(stamp, _)| *stamp).map(|(_, row)| row)
    }

    pub fn rows(&self) -> BTreeMap<RowPlace, (Stamp, RowWrite)> {
        newest(self.asked().map(|replica| &replica.rows))
    }

    pub fn befores(&self) -> BTreeMap<RowPlace, (Stamp, f64)> {
        newest(self.asked().map(|replica| &replica.before))
    }

    pub fn kept(&self, source: SourceId) -> Vec<Offset> {
        let all = self.asked().flat_map(|replica| &replica.positions);
        let kept = all.filter(|(_, kind, commit)| *kind == PositionKind::Kept && commit.source == source);
        kept.map(|(_, _, commit)| commit.position).collect()
    }

    pub fn position(&self, source: SourceId, kind: PositionKind, of: Option<&Commit>) -> Option<&Commit> {
        let mut known = self.asked().flat_map(|replica| replica.positions.iter().rev());
        let found = known.find(|(_, known, commit)| {
            *known == kind && commit.source == source && of.is_none_or(|of| of.position == commit.position)
        });
        found.map(|(_, _, commit)| commit)
    }
}

/// Of each cell the value with the highest stamp among the copies that answer.
fn newest<'a, K: Ord + Clone + 'a, T: Clone + 'a>(
    copies: impl Iterator<Item = &'a BTreeMap<K, Cell<T>>>,
) -> BTreeMap<K, (Stamp, T)> {
    let mut all = BTreeMap::new();
    for (place, cell) in copies.flatten() {
        let Some((stamp, value)) = cell.value() else { continue };
        if all.get(place).is_none_or(|(known, _)| *known < stamp) {
            all.insert(place.clone(), (stamp, value.clone()));
        }
    }
    all
}
