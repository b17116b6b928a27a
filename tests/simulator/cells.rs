//! The store's cells: three replicas, each a heap of cells in which the highest timestamp wins, cell
//! by cell; equal timestamps are decided by the larger value, as Cassandra does.

use std::collections::BTreeMap;
use std::sync::Arc;

use etiage::reading::SourceId;
use etiage::store::{PositionKind, RowWrite, Slot, StoredPosition};
use rustc_hash::FxHashMap;

pub const REPLICAS: usize = 3;
pub const TABLES: usize = 2;
/// Cells of a row that a merge writes, beside `updated_at`.
pub const CELLS: usize = 10;
pub const ALL_CELLS: u16 = (1 << CELLS) - 1;

pub type SlotNumber = u32;
/// Slot and metric.
pub type RowPlace = (SlotNumber, u32);

/// The values of one row write, as ordered bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowCells(pub [i64; CELLS]);

impl RowCells {
    pub fn of(row: &RowWrite) -> RowCells {
        RowCells([
            row.count,
            bits(row.mean),
            bits(row.min),
            bits(row.max),
            bits(row.stddev),
            row.alarms,
            row.active,
            row.outliers,
            row.revision,
            row.end_ms,
        ])
    }

    pub const REVISION: usize = 8;
}

fn bits(value: f64) -> i64 {
    value.to_bits() as i64
}

/// One statement on its way to a replica.
#[derive(Clone, Debug)]
pub enum Write {
    Part {
        slot: SlotNumber,
        source: u8,
        stamp: i64,
        blob: Arc<[u8]>,
    },
    Row {
        table: usize,
        place: RowPlace,
        stamp: i64,
        mask: u16,
        cells: Arc<RowCells>,
    },
    Before {
        table: usize,
        place: RowPlace,
        stamp: i64,
        mean: f64,
    },
    Final {
        table: usize,
        place: RowPlace,
        stamp: i64,
    },
    /// Of rows of a view in windows that start later than `after_ms`: all that was written at or below a timestamp.
    Remove {
        view: Arc<str>,
        up_to: i64,
        after_ms: Option<i64>,
    },
    Cursor {
        of: ClosingKey,
        ms: i64,
    },
    Closed {
        of: ClosingKey,
        ms: i64,
    },
    Position(Arc<StoredPosition>),
    Trim {
        group: String,
        source: SourceId,
        kind: PositionKind,
        before: i64,
    },
}

/// View, generation, width.
pub type ClosingKey = (Arc<str>, u32, i64);

/// What was written into one thing: when it was applied, and its timestamp.
#[derive(Clone, Debug)]
struct Written<T> {
    at: u64,
    stamp: i64,
    value: T,
}

/// A cell, or a row of cells, with every write that a power cut could bring back.
#[derive(Clone, Debug)]
pub struct Register<T> {
    writes: Vec<Written<T>>,
}

impl<T> Default for Register<T> {
    fn default() -> Register<T> {
        Register { writes: Vec::new() }
    }
}

impl<T: Clone> Register<T> {
    fn put(&mut self, at: u64, stamp: i64, value: T, forgets: bool) {
        if !forgets {
            if self.writes.iter().any(|written| written.stamp > stamp) {
                return;
            }
            self.writes.retain(|written| written.stamp == stamp);
        }
        self.writes.push(Written { at, stamp, value });
    }

    fn cut(&mut self, since: u64) {
        self.writes.retain(|written| written.at < since);
    }

    fn newest(&self) -> Option<(i64, &T)> {
        self.writes.iter().max_by_key(|written| written.stamp).map(|written| (written.stamp, &written.value))
    }
}

type RowRegister = BTreeMap<RowPlace, RowState>;

/// What can be seen of a table.
pub type Rows = BTreeMap<RowPlace, RowView>;

/// A row's cells in one table of one replica.
#[derive(Clone, Debug, Default)]
pub struct RowState {
    /// Each write with the cells that have arrived.
    writes: Vec<Written<(u16, Arc<RowCells>)>>,
    before: Register<i64>,
    /// When, and at which timestamp.
    marked: Vec<(u64, i64)>,
    /// The same, of removals.
    removed: Vec<(u64, i64)>,
}

/// What a reader sees of a row: each cell with its timestamp.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowView {
    pub cells: [Option<(i64, i64)>; CELLS],
    /// (timestamp, bits of the double)
    pub before: Option<(i64, i64)>,
    /// As final, at this timestamp.
    pub marked: Option<i64>,
    /// What was written at or below this has been removed.
    gone: Option<i64>,
}

impl RowState {
    /// What was written up to here has been removed; whatever arrives later, too.
    fn gone(&self) -> i64 {
        self.removed.iter().map(|(_, up_to)| *up_to).max().unwrap_or(i64::MIN)
    }

    fn there(&self) -> impl Iterator<Item = &Written<(u16, Arc<RowCells>)>> {
        let gone = self.gone();
        self.writes.iter().filter(move |written| written.stamp > gone)
    }
}

impl RowView {
    fn of(state: &RowState) -> RowView {
        let mut view = RowView {
            before: state.before.newest().map(|(stamp, mean)| (stamp, *mean)),
            marked: state.marked.iter().map(|(_, stamp)| *stamp).max(),
            gone: state.removed.iter().map(|(_, up_to)| *up_to).max(),
            ..RowView::default()
        };
        for Written { stamp, value: (mask, cells), .. } in &state.writes {
            for (number, cell) in view.cells.iter_mut().enumerate().filter(|(number, _)| mask >> number & 1 == 1) {
                *cell = (*cell).max(Some((*stamp, cells.0[number])));
            }
        }
        view.forget();
        view
    }

    /// What one replica has removed is gone on every other one that is read with it.
    fn forget(&mut self) {
        let Some(gone) = self.gone else { return };
        for cell in self.cells.iter_mut().chain([&mut self.before]) {
            *cell = cell.filter(|(stamp, _)| *stamp > gone);
        }
        self.marked = self.marked.filter(|stamp| *stamp > gone);
    }

    pub fn join(&mut self, other: &RowView) {
        for (cell, other) in self.cells.iter_mut().zip(other.cells) {
            *cell = (*cell).max(other);
        }
        self.before = self.before.max(other.before);
        self.marked = self.marked.max(other.marked);
        self.gone = self.gone.max(other.gone);
        self.forget();
    }

    pub fn cell(&self, number: usize) -> Option<i64> {
        self.cells[number].map(|(_, value)| value)
    }
}

#[derive(Default)]
pub struct Replica {
    parts: FxHashMap<(SlotNumber, u8), Register<Arc<[u8]>>>,
    rows: [RowRegister; TABLES],
    cursors: BTreeMap<ClosingKey, Register<()>>,
    closed: BTreeMap<ClosingKey, Register<()>>,
    positions: Vec<(u64, Arc<StoredPosition>)>,
    /// Removals, for rows of which something arrives later: when, view, timestamp, after which start.
    removals: Vec<(u64, Arc<str>, i64, Option<i64>)>,
    /// Power cuts happen: what was overwritten may come back.
    forgets: bool,
    /// How often a row has changed.
    pub row_changes: u64,
}

impl Replica {
    pub fn new(forgets: bool) -> Replica {
        Replica { forgets, ..Replica::default() }
    }

    pub fn apply(&mut self, write: &Write, now: u64, names: &Names) {
        let forgets = self.forgets;
        self.row_changes += u64::from(matches!(write, Write::Row { .. } | Write::Remove { .. }));
        match write {
            Write::Part { slot, source, stamp, blob } => {
                self.parts.entry((*slot, *source)).or_default().put(now, *stamp, blob.clone(), forgets);
            }
            Write::Row { table, place, stamp, mask, cells } => {
                let state = self.row_state(*table, *place, names);
                if !forgets && *mask == ALL_CELLS {
                    state.writes.retain(|written| written.stamp >= *stamp);
                }
                state.writes.push(Written { at: now, stamp: *stamp, value: (*mask, cells.clone()) });
            }
            Write::Before { table, place, stamp, mean } => {
                self.row_state(*table, *place, names).before.put(now, *stamp, bits(*mean), forgets);
            }
            Write::Final { table, place, stamp } => self.row_state(*table, *place, names).marked.push((now, *stamp)),
            Write::Remove { view, up_to, after_ms } => {
                self.removals.push((now, view.clone(), *up_to, *after_ms));
                for (place, state) in self.rows.iter_mut().flatten() {
                    if removes(names.slot_of(place.0), view, *after_ms) {
                        state.removed.push((now, *up_to));
                    }
                }
            }
            Write::Cursor { of, ms } => self.cursors.entry(of.clone()).or_default().put(now, *ms, (), forgets),
            Write::Closed { of, ms } => self.closed.entry(of.clone()).or_default().put(now, *ms, (), forgets),
            Write::Position(position) => self.positions.push((now, position.clone())),
            Write::Trim { group, source, kind, before } => self.positions.retain(|(_, position)| {
                position.kind != *kind
                    || position.source != *source
                    || position.group != *group
                    || position.offset.0 >= *before
            }),
        }
    }

    fn row_state(&mut self, table: usize, place: RowPlace, names: &Names) -> &mut RowState {
        let removals = &self.removals;
        self.rows[table].entry(place).or_insert_with(|| {
            let slot = names.slot_of(place.0);
            let these = removals.iter().filter(|(_, view, _, after_ms)| removes(slot, view, *after_ms));
            RowState { removed: these.map(|(at, _, up_to, _)| (*at, *up_to)).collect(), ..RowState::default() }
        })
    }

    /// The power fails: what was applied at or after `since` is gone.
    pub fn cut(&mut self, since: u64) {
        self.row_changes += 1;
        self.parts.values_mut().for_each(|register| register.cut(since));
        for state in self.rows.iter_mut().flat_map(|table| table.values_mut()) {
            state.writes.retain(|written| written.at < since);
            state.before.cut(since);
            state.marked.retain(|(at, _)| *at < since);
            state.removed.retain(|(at, _)| *at < since);
        }
        self.cursors.values_mut().chain(self.closed.values_mut()).for_each(|register| register.cut(since));
        self.positions.retain(|(at, _)| *at < since);
        self.removals.retain(|(at, ..)| *at < since);
    }

    /// It forgets every position: another store, or an old copy of this one.
    pub fn forget_positions(&mut self) {
        self.positions.clear();
    }

    pub fn part(&self, slot: SlotNumber, source: u8) -> Option<(i64, Arc<[u8]>)> {
        let (stamp, blob) = self.parts.get(&(slot, source))?.newest()?;
        Some((stamp, blob.clone()))
    }

    pub fn row(&self, table: usize, place: RowPlace) -> Option<RowView> {
        self.rows[table].get(&place).map(RowView::of)
    }

    /// Every row that something was ever written of.
    pub fn views(&self, table: usize) -> Rows {
        self.rows[table].iter().map(|(place, state)| (*place, RowView::of(state))).collect()
    }

    /// Of every row the newest count that was ever written, with its timestamp, and up to which timestamp it has been removed.
    pub fn counts(&self, table: usize) -> impl Iterator<Item = (RowPlace, Option<(i64, i64)>, i64)> + '_ {
        let with_count = |written: &&Written<(u16, Arc<RowCells>)>| written.value.0 & 1 == 1;
        let count = |written: &Written<(u16, Arc<RowCells>)>| (written.stamp, written.value.1.0[0]);
        let newest = move |state: &RowState| state.writes.iter().filter(with_count).map(count).max();
        self.rows[table].iter().map(move |(place, state)| (*place, newest(state), state.gone()))
    }

    /// Where rows lie that something was ever written of.
    pub fn places(&self, table: usize) -> impl Iterator<Item = RowPlace> + '_ {
        self.rows[table].keys().copied()
    }

    /// The timestamp of one cell of a row.
    pub fn stamp(&self, table: usize, place: RowPlace, cell: usize) -> Option<i64> {
        let writes = self.rows[table].get(&place)?.there();
        writes.filter(|written| written.value.0 >> cell & 1 == 1).map(|written| written.stamp).max()
    }

    /// The slots of which there is a part.
    pub fn slots(&self) -> impl Iterator<Item = SlotNumber> + '_ {
        self.parts.keys().map(|(slot, _)| *slot)
    }

    /// (cursor, closed)
    pub fn closing(&self, of: &ClosingKey) -> (Option<i64>, Option<i64>) {
        let newest = |all: &BTreeMap<ClosingKey, Register<()>>| Some(all.get(of)?.newest()?.0);
        (newest(&self.cursors), newest(&self.closed))
    }

    pub fn positions(&self) -> impl Iterator<Item = &Arc<StoredPosition>> {
        self.positions.iter().map(|(_, position)| position)
    }
}

/// Whether a removal concerns a row.
fn removes(slot: &Slot, view: &str, after_ms: Option<i64>) -> bool {
    *slot.view == *view && after_ms.is_none_or(|after_ms| slot.start_ms > after_ms)
}

/// Slots and metrics by number: what stands in many maps stands there as a number.
#[derive(Default)]
pub struct Names {
    slots: Vec<Slot>,
    known: FxHashMap<Slot, SlotNumber>,
    metrics: Vec<Arc<str>>,
}

impl Names {
    pub fn slot(&mut self, slot: &Slot) -> SlotNumber {
        if let Some(number) = self.known.get(slot) {
            return *number;
        }
        self.slots.push(slot.clone());
        let number = self.slots.len() as u32 - 1;
        self.known.insert(slot.clone(), number);
        number
    }

    /// Where the rows of a slot lie: all generations of a view share them.
    pub fn row(&mut self, slot: &Slot) -> SlotNumber {
        self.slot(&Slot { generation: 0, ..slot.clone() })
    }

    pub fn known_row(&self, slot: &Slot) -> Option<SlotNumber> {
        self.known(&Slot { generation: 0, ..slot.clone() })
    }

    pub fn known(&self, slot: &Slot) -> Option<SlotNumber> {
        self.known.get(slot).copied()
    }

    pub fn slot_of(&self, number: SlotNumber) -> &Slot {
        &self.slots[number as usize]
    }

    pub fn metric(&mut self, name: &Arc<str>) -> u32 {
        let known = self.metrics.iter().position(|metric| metric == name);
        known.unwrap_or_else(|| {
            self.metrics.push(name.clone());
            self.metrics.len() - 1
        }) as u32
    }

    pub fn known_metric(&self, name: &str) -> Option<u32> {
        self.metrics.iter().position(|metric| **metric == *name).map(|number| number as u32)
    }

    pub fn metric_of(&self, number: u32) -> &Arc<str> {
        &self.metrics[number as usize]
    }
}
