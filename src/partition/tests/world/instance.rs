//! An instance: it drives the core as the loop does, one small step at a time, so that anything
//! can happen between two of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::commit::Commit;
use crate::durability::WriteTimes;
use crate::keys::Keyed;
use crate::merge::{self, Merged};
use crate::part::Stored;
use crate::partition::{At, Flush, Judged, Partition, Verdict};
use crate::reading::Offset;
use crate::source::Outgoing;
use crate::store::{PartWrite, Slot};
use crate::view::View;

use super::super::log::{self, Entry};
use super::store::{QUORUM, Store, Write};

/// A batch whose parts have been read back and that is folded some steps later.
struct Pending {
    keyed: Keyed,
    judged: Judged,
    parts: Vec<(At, Option<Stored>)>,
}

pub struct Owned {
    pub partition: usize,
    pub core: Partition,
    pending: Option<Pending>,
    committing: Option<Commit>,
}

/// How far a flush has come.
enum Phase {
    Parts,
    Rows,
    Positions,
}

/// A flush under way: the statements whose acknowledgement is missing.
struct Flushing {
    phase: Phase,
    issued: u64,
    shares: Vec<(usize, Vec<At>)>,
    parts: Vec<PartWrite>,
    positions: Vec<Write>,
    outgoing: Vec<std::sync::Arc<Outgoing>>,
    /// Acknowledgements that each statement still needs.
    missing: BTreeMap<u64, usize>,
    number: u64,
    /// Tells the statements of one phase from those of the next.
    steps: u64,
}

/// A statement on its way to one copy, and the flush that waits for it.
#[derive(Clone)]
pub struct Message {
    pub write: Write,
    pub statement: u64,
    pub replica: usize,
    pub instance: u64,
    pub flush: u64,
}

pub struct Instance {
    pub number: u64,
    pub owned: BTreeMap<usize, Owned>,
    flushing: Option<Flushing>,
    flushes: u64,
    lag: u64,
}

impl Instance {
    pub fn new(number: u64, lag: u64, cores: Vec<(usize, Partition)>) -> Instance {
        let own = |(partition, core)| (partition, Owned { partition, core, pending: None, committing: None });
        Instance { number, owned: cores.into_iter().map(own).collect(), flushing: None, flushes: 0, lag }
    }

    /// Starts a flush, or takes the next step of the one under way. Returns what goes out.
    pub fn flush(&mut self, store: &Store, views: &[std::sync::Arc<View>], limit: usize, now: u64) -> Vec<Write> {
        let Some(flushing) = &mut self.flushing else { return self.begin_flush(limit, now) };
        if !flushing.missing.is_empty() {
            return Vec::new();
        }
        let out = match flushing.phase {
            Phase::Parts => {
                flushing.phase = Phase::Rows;
                rows(&flushing.parts, store, views)
            }
            Phase::Rows => {
                flushing.phase = Phase::Positions;
                std::mem::take(&mut flushing.positions)
            }
            Phase::Positions => {
                let flushing = self.flushing.take().unwrap();
                let times = WriteTimes { issued: flushing.issued, acked: now };
                for (partition, places) in &flushing.shares {
                    self.owned.get_mut(partition).unwrap().core.finish_flush(places, times, self.lag);
                }
                return Vec::new();
            }
        };
        flushing.expect(&out);
        out
    }

    fn begin_flush(&mut self, limit: usize, now: u64) -> Vec<Write> {
        let mut limit = limit;
        self.flushes += 1;
        let mut flushing = Flushing {
            phase: Phase::Parts,
            issued: now,
            shares: Vec::new(),
            parts: Vec::new(),
            positions: Vec::new(),
            outgoing: Vec::new(),
            missing: BTreeMap::new(),
            number: self.flushes,
            steps: 0,
        };
        for owned in self.owned.values_mut() {
            let Flush { writes, positions, outgoing } = owned.core.begin_flush(now, self.lag, false, &mut limit);
            let (places, parts): (Vec<At>, Vec<PartWrite>) = writes.into_iter().unzip();
            flushing.shares.push((owned.partition, places));
            flushing.parts.extend(parts);
            flushing.positions.extend(positions.into_iter().map(|(kind, commit)| Write::Position(kind, commit)));
            flushing.outgoing.extend(outgoing);
        }
        if flushing.parts.is_empty() && flushing.positions.is_empty() && flushing.outgoing.is_empty() {
            return Vec::new();
        }
        let writes: Vec<Write> = flushing.parts.iter().cloned().map(Write::Part).collect();
        flushing.expect(&writes);
        self.flushing = Some(flushing);
        writes
    }

    /// Readings that the flush under way hands to the outbox, once everything else is acknowledged.
    pub fn outgoing(&self) -> &[std::sync::Arc<Outgoing>] {
        match &self.flushing {
            Some(flushing) if matches!(flushing.phase, Phase::Positions) && flushing.missing.is_empty() => {
                &flushing.outgoing
            }
            _ => &[],
        }
    }

    pub fn acked(&mut self, flush: u64, statement: u64) {
        if let Some(flushing) = self.flushing.as_mut().filter(|flushing| flushing.phase_number() == flush) {
            flushing.acked(statement);
        }
    }

    /// Names the phase of the flush under way.
    pub fn phase_number(&self) -> u64 {
        self.flushing.as_ref().map_or(0, Flushing::phase_number)
    }

    /// The flush's outcome is unknown.
    pub fn fail_flush(&mut self) {
        let Some(flushing) = self.flushing.take() else { return };
        for (partition, places) in &flushing.shares {
            self.owned.get_mut(partition).unwrap().core.fail_flush(places);
        }
    }
}

impl Flushing {
    fn phase_number(&self) -> u64 {
        self.number * 8 + self.steps
    }

    fn expect(&mut self, writes: &[Write]) {
        self.missing = (0..writes.len() as u64).map(|statement| (statement, QUORUM)).collect();
        self.steps += 1;
    }

    fn acked(&mut self, statement: u64) {
        if let Some(missing) = self.missing.get_mut(&statement) {
            *missing -= 1;
            if *missing == 0 {
                self.missing.remove(&statement);
            }
        }
    }
}

/// The merge of what was written: the reads come first, in one piece; the writes go out later.
fn rows(parts: &[PartWrite], store: &Store, views: &[std::sync::Arc<View>]) -> Vec<Write> {
    let slots: BTreeSet<&Slot> = parts.iter().map(|part| &part.slot).collect();
    let mut out = Vec::new();
    for slot in slots {
        let view = views.iter().find(|view| view.name == slot.view).unwrap();
        let merged = |slot: &Slot| Merged::of(&store.parts_of(slot), view).expect("what we wrote");
        let here = merged(slot);
        out.extend(here.rows(slot, view, 0).into_iter().map(Write::Row));
        if let Some((earlier, later)) = merge::neighbours(slot, view) {
            out.extend(merge::before(&merged(&earlier), &here, slot, view).into_iter().map(Write::Before));
            out.extend(merge::before(&here, &merged(&later), &later, view).into_iter().map(Write::Before));
        }
    }
    out
}

impl Owned {
    /// Judges the next `count` records and reads back, or folds what has been read back.
    pub fn fold(&mut self, log: &[Entry], end: i64, count: usize, store: &Store, now: u64) {
        if let Some(Pending { keyed, judged, parts }) = self.pending.take() {
            for (at, part) in parts {
                self.core.install(at, part).expect("a part of this view");
            }
            let verdicts = self.core.fold(&keyed, judged, now);
            self.send_out(&keyed, &verdicts);
            return;
        }
        let position = self.core.position();
        let from = log.partition_point(|entry| entry.offset < position.0);
        if from == log.len() {
            // The log's last entries were no records.
            self.core.advance_to(Offset(end));
            return;
        }
        let keyed = log::keyed(&log[from..(from + count).min(log.len())]);
        let judged = self.core.judge(&keyed);
        let read = |wanted: &crate::partition::Wanted| {
            let blob = store.own_part(&wanted.slot, self.core.source());
            (wanted.at, blob.map(|blob| Stored::decode(&blob).expect("what we wrote")))
        };
        let parts = judged.wanted.iter().map(read).collect();
        self.pending = Some(Pending { keyed, judged, parts });
    }

    fn send_out(&mut self, keyed: &Keyed, verdicts: &[Verdict]) {
        for record in keyed.batch.records.iter().filter(|record| record.rejected > 0) {
            let key = format!("{}/{}/rejected", self.partition, record.offset);
            self.core.enqueue(record.offset, Outgoing { late: false, key, value: String::new() });
        }
        for verdict in verdicts {
            let Verdict { kind, view, grain, record, row } = verdict;
            let index = keyed.batch.columns.index[*row as usize];
            let key = format!("{}/{record}/{index}/{kind:?}/{view}/{grain}", self.partition);
            self.core.enqueue(*record, Outgoing { late: true, key, value: String::new() });
        }
    }

    /// A commit on its way; one at a time.
    pub fn begin_commit(&mut self, limit: usize) -> Option<(Commit, Vec<u8>)> {
        if self.committing.is_some() {
            return None;
        }
        let (commit, metadata) = self.core.committable(limit)?;
        self.committing = Some(commit.clone());
        Some((commit, metadata))
    }

    pub fn commit_done(&mut self, acked: bool) {
        if let Some(commit) = self.committing.take().filter(|_| acked) {
            self.core.commit_acked(commit.position);
            self.core.keep(&commit);
        }
    }
}
