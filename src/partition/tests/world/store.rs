//! A store of cells where the highest stamp wins, behind a network that delays, repeats, drops and
//! reorders; and a power cut that forgets what was acknowledged a moment ago.

use std::collections::BTreeMap;
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

#[derive(Default)]
pub struct Store {
    parts: BTreeMap<(Slot, SourceId), Cell<Vec<u8>>>,
    rows: BTreeMap<RowPlace, Cell<RowWrite>>,
    before: BTreeMap<RowPlace, Cell<f64>>,
    positions: Vec<(u64, PositionKind, Commit)>,
    /// What every revision of a part has been: two writes of one revision are the same bytes.
    chain: BTreeMap<(Slot, SourceId, Stamp), Vec<u8>>,
}

impl Store {
    pub fn apply(&mut self, write: Write, now: u64) {
        match write {
            Write::Part(part) => {
                let revision = (part.slot.clone(), part.source, part.stamp);
                let known = self.chain.entry(revision).or_insert_with(|| part.state.clone());
                assert_eq!(*known, part.state, "one revision, one content: {:?} at {:?}", part.slot, part.stamp);
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

    /// Forgets every write applied at or after `since`.
    pub fn cut(&mut self, since: u64) {
        self.parts.values_mut().for_each(|cell| cell.cut(since));
        self.rows.values_mut().for_each(|cell| cell.cut(since));
        self.before.values_mut().for_each(|cell| cell.cut(since));
        self.positions.retain(|(applied, _, _)| *applied < since);
    }

    pub fn own_part(&self, slot: &Slot, source: SourceId) -> Option<Vec<u8>> {
        let (_, blob) = self.parts.get(&(slot.clone(), source))?.value()?;
        Some(blob.clone())
    }

    pub fn parts_of(&self, slot: &Slot) -> Vec<(SourceId, Vec<u8>)> {
        let least = SourceId { topic: crate::reading::TopicId([0; 16]), partition: i32::MIN };
        let from = self.parts.range((slot.clone(), least)..);
        let here = from.take_while(|((of, _), _)| of == slot);
        here.filter_map(|((_, source), cell)| Some((*source, cell.value()?.1.clone()))).collect()
    }

    pub fn parts(&self) -> impl Iterator<Item = (&Slot, SourceId, Stamp, &Vec<u8>)> {
        self.parts.iter().filter_map(|((slot, source), cell)| {
            let (stamp, blob) = cell.value()?;
            Some((slot, *source, stamp, blob))
        })
    }

    pub fn row(&self, slot: &Slot, metric: &Arc<str>) -> Option<&RowWrite> {
        Some(self.rows.get(&(slot.clone(), metric.clone()))?.value()?.1)
    }

    pub fn rows(&self) -> BTreeMap<RowPlace, RowWrite> {
        self.rows.iter().filter_map(|(place, cell)| Some((place.clone(), cell.value()?.1.clone()))).collect()
    }

    pub fn befores(&self) -> BTreeMap<RowPlace, f64> {
        self.before.iter().filter_map(|(place, cell)| Some((place.clone(), *cell.value()?.1))).collect()
    }

    pub fn kept(&self, source: SourceId) -> Vec<Offset> {
        let kept =
            self.positions.iter().filter(|(_, kind, commit)| *kind == PositionKind::Kept && commit.source == source);
        kept.map(|(_, _, commit)| commit.position).collect()
    }

    pub fn position(&self, source: SourceId, kind: PositionKind, of: Option<&Commit>) -> Option<&Commit> {
        let found = self.positions.iter().rev().find(|(_, known, commit)| {
            *known == kind && commit.source == source && of.is_none_or(|of| of.position == commit.position)
        });
        found.map(|(_, _, commit)| commit)
    }
}
