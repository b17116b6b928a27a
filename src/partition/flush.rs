//! What a partition writes and sends, and what becomes of it. Pure.

use std::sync::Arc;

use crate::commit::Commit;
use crate::durability::{Durability, WriteTimes};
use crate::reading::SourceId;
use crate::source::Outgoing;
use crate::store::{PartWrite, PositionKind};

use super::grain::{Grain, Pass};
use super::{At, Fold, Partition, Stored};

/// What goes out in one flush.
pub struct Flush {
    pub writes: Vec<(At, PartWrite)>,
    /// Positions that the store must hold before a commit relies on them.
    pub positions: Vec<(PositionKind, Commit)>,
}

impl Partition {
    /// Everything that should be written now, marked as on its way; with a lag `begin_second_writes` goes before. `force`
    /// ignores the views' flush intervals, for which second writes that came too late do not wait either; `limit` bounds
    /// the parts, and is lowered by those taken.
    pub fn begin_flush(&mut self, now: u64, lag: u64, force: bool, limit: &mut usize) -> Flush {
        self.remember();
        let writes = self.issue(now, lag, force, limit);
        let anchor = self.anchor.issue(now, lag).map(|commit| (PositionKind::Kept, commit));
        let spill =
            self.spill.as_mut().and_then(|spill| spill.issue(now, lag)).map(|commit| (PositionKind::Spill, commit));
        let positions = anchor.into_iter().chain(spill).collect();
        Flush { writes, positions }
    }

    /// The parts whose second write is due, whatever the flush intervals: it counts only within two lags of the first.
    pub fn begin_second_writes(&mut self, now: u64, lag: u64, limit: &mut usize) -> Vec<(At, PartWrite)> {
        let mut writes = Vec::new();
        for (view, grain) in self.grains_in_turn() {
            self.views[view].issue(Pass::Second, view, grain, self.source, now, lag, limit, &mut writes);
        }
        writes
    }

    fn grains_in_turn(&self) -> Vec<(usize, usize)> {
        let views = self.views.iter().enumerate();
        let mut grains: Vec<(usize, usize)> =
            views.flat_map(|(view, fold)| (0..fold.grains.len()).map(move |grain| (view, grain))).collect();
        let first = self.turn % grains.len().max(1);
        grains.rotate_left(first);
        grains
    }

    /// A view that the limit cut short stays due.
    fn issue(&mut self, now: u64, lag: u64, force: bool, limit: &mut usize) -> Vec<(At, PartWrite)> {
        let mut writes = Vec::new();
        for (view, grain) in self.grains_in_turn() {
            let fold = &mut self.views[view];
            let pass = if force || fold.is_due(now) { Pass::First } else { Pass::Overdue };
            fold.issue(pass, view, grain, self.source, now, lag, limit, &mut writes);
        }
        if *limit == 0 {
            self.turn += usize::from(!writes.is_empty());
            return writes;
        }
        for fold in self.views.iter_mut().filter(|fold| force || fold.is_due(now)) {
            fold.flushed_at = Some(now);
        }
        writes
    }

    /// The parts and their rows, and the positions are acknowledged.
    pub fn finish_flush(&mut self, flush: &[At], times: WriteTimes, lag: u64) {
        for at in flush {
            self.durability(*at).acked(times, lag);
        }
        self.stored().for_each(|stored| stored.durability.acked(times, lag));
        if self.anchor.unproven && self.anchor.durability.settled() {
            self.anchor.unproven = false;
            self.kept = Some(self.anchor.commit.position);
        }
    }

    /// Outcome unknown: all of it must be repeated, whatever the flush interval.
    pub fn fail_flush(&mut self, flush: &[At]) {
        for at in flush {
            self.durability(*at).failed();
            self.views[at.view].flushed_at = None;
        }
        self.stored().for_each(|stored| stored.durability.failed());
    }

    /// Whoever drove the last flush has dropped it: its outcome is unknown.
    pub fn abandon_flush(&mut self) {
        let grains = self.views.iter_mut().flat_map(|fold| &mut fold.grains);
        grains.for_each(Grain::abandon);
        self.fail_flush(&[]);
    }

    /// Rejected and late readings that wait, as on their way; what nobody has heard of since goes again.
    pub fn begin_send(&mut self) -> Vec<Arc<Outgoing>> {
        self.outbox.send()
    }

    /// They are acknowledged, or must be sent again.
    pub fn finish_send(&mut self, acked: bool) {
        if acked { self.outbox.acked() } else { self.outbox.failed() }
    }

    fn stored(&mut self) -> impl Iterator<Item = &mut Stored> {
        std::iter::once(&mut self.anchor).chain(&mut self.spill)
    }

    fn durability(&mut self, at: At) -> &mut Durability {
        self.views[at.view].grains[at.grain].durability(at.entry)
    }
}

impl Fold {
    /// At multiples of the flush interval: whenever they came or were cut short last, the partitions of an instance are due at
    /// the same tick, and where one flush takes all of them, what several have of a slot is merged once.
    fn is_due(&self, now: u64) -> bool {
        self.flushed_at.is_none_or(|at| now / self.view.flush_ms > at / self.view.flush_ms)
    }

    #[expect(clippy::too_many_arguments, reason = "whose parts, which of them, and where they go")]
    fn issue(
        &mut self,
        pass: Pass,
        view: usize,
        number: usize,
        source: SourceId,
        now: u64,
        lag: u64,
        limit: &mut usize,
        writes: &mut Vec<(At, PartWrite)>,
    ) {
        let grain = &mut self.grains[number];
        let width = grain.width;
        grain.issue(pass, now, lag, limit, |entry, key, start_ms, part| {
            let write = PartWrite {
                slot: self.view.slot(width, self.book.key(key), start_ms),
                source,
                state: part.encode(&self.metrics),
                stamp: self.view.stamp(part.revision),
            };
            writes.push((At { view, grain: number, entry }, write));
        });
    }
}
