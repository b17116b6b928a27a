//! One source partition's engine: it judges and folds its records into its own parts, and says
//! what to read back, what to write, what may be committed and what may leave memory. It knows
//! nothing of the other partitions. Pure: whoever drives it does the waiting.
//!
//! ```text
//!  judge ──► wanted parts ──► install ──► fold ──► begin_flush ──► finish_flush ──► committable
//!  (late? outside? which part?)           (state)   (writes)        (acknowledged)    (position)
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use crate::bytes::DecodeError;
use crate::commit::{Commit, Tally, ViewCommit};
use crate::durability::Durability;
use crate::keys::Keyed;
use crate::part::{self, Metrics, Part};
use crate::reading::{Offset, SourceId};
use crate::source::Outgoing;
use crate::store::Slot;
use crate::view::View;

mod flush;
mod fold;
mod grain;
mod judge;
mod keybook;
mod outbox;
#[cfg(test)]
mod tests;

pub use flush::Flush;
use grain::Grain;
pub use judge::{Judged, Verdict, VerdictKind};
use keybook::KeyBook;
use outbox::Outbox;

/// Snapshots kept between two commits; beyond, the one that leaves the smallest gap is forgotten.
const MAX_SNAPSHOTS: usize = 256;

/// Where a part lives in the partition's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    view: usize,
    grain: usize,
    entry: u32,
}

/// Which durable parts leave memory.
#[derive(Clone, Copy, Debug)]
pub enum Leaving {
    /// Those that lie wholly below the committed position and that nothing has touched since.
    Committed { untouched_since: u64 },
    /// Those that hold records which have not come yet in this ownership: an earlier owner took them
    /// further than it committed. They may fill the memory, and nothing could be committed that would let them
    /// go. (The others can be committed when all are proven.) Who folds into one reads it back and proves it anew.
    Ahead,
}

/// A part that must be read back before the judged batch can be folded.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub at: At,
    pub slot: Slot,
    /// The first record of this ownership that belongs to it, since it left memory.
    pub record: Offset,
}

/// A view as this partition folds it.
struct Fold {
    view: Arc<View>,
    /// (metric of the view, column of the stream)
    columns: Vec<(usize, usize)>,
    metrics: Metrics,
    book: KeyBook,
    /// Position from which this ownership folds the view, and the maximum event time there (W of
    /// invariant I3): a window that starts after it holds no earlier record.
    from: Offset,
    from_max_ms: Option<i64>,
    position: Offset,
    max_ms: Option<i64>,
    grains: Vec<Grain>,
    /// Monotonic ms; `None`: the last flush failed.
    flushed_at: Option<u64>,
}

/// One view's start in a partition: what the commit (or the generation) says.
pub struct FoldStart {
    pub view: Arc<View>,
    pub columns: Vec<(usize, usize)>,
    pub position: Offset,
    pub max_ms: Option<i64>,
    /// Per width of the view; zeros where there is no commit.
    pub tallies: Vec<Tally>,
}

/// A position on its way into the store.
struct Stored {
    commit: Commit,
    durability: Durability,
    /// It has not been known to be there for good yet.
    unproven: bool,
}

pub struct Partition {
    source: SourceId,
    out_of_orderness_ms: i64,
    views: Vec<Fold>,
    leader_epoch: i32,
    /// Positions with what their prefix determines, oldest first: candidates for a commit.
    snapshots: VecDeque<Commit>,
    committed: Offset,
    /// The group has no commit of ours that says what this one said at its start: one is due, even where no record comes.
    anew: bool,
    /// A position that the store is to keep: the newest that is proven to be there is named in
    /// every commit, so that another store, or one that has lost data, is noticed.
    anchor: Stored,
    kept: Option<Offset>,
    /// Metadata that does not fit beside the offset, for the next commit.
    spill: Option<Stored>,
    /// Where the last spilled commit stood.
    spilled_at: Option<Offset>,
    outbox: Outbox,
    /// A judged batch refers to entries: nothing may be evicted before it is folded.
    judged: bool,
    /// Whose parts the next flush looks at first: moves on when the limit cut one short.
    turn: usize,
}

impl Partition {
    /// A new ownership: nothing in memory. `kept` is the position that the store is known to hold;
    /// where there is none, the starting one must be there, proven, before the first commit.
    pub fn new(
        source: SourceId,
        out_of_orderness_ms: i64,
        leader_epoch: i32,
        starts: Vec<FoldStart>,
        kept: Option<Offset>,
    ) -> Partition {
        let views: Vec<Fold> = starts.into_iter().map(Fold::new).collect();
        let position = least_position(&views);
        let start = Commit { source, position, leader_epoch, idle_ms: None, kept: None, views: Vec::new() };
        let mut partition = Partition {
            source,
            out_of_orderness_ms,
            views,
            leader_epoch,
            snapshots: VecDeque::new(),
            committed: position,
            anew: false,
            anchor: Stored { commit: start, durability: Durability::default(), unproven: false },
            kept,
            spill: None,
            spilled_at: None,
            outbox: Outbox::default(),
            judged: false,
            turn: 0,
        };
        if kept.is_none() {
            partition.anchor = Stored::unproven(partition.snapshot());
        }
        partition
    }

    /// The group does not know yet what this ownership started with.
    pub fn is_anew(&self) -> bool {
        self.anew
    }

    /// What this ownership starts with is to be committed, although no record has been folded.
    pub fn commit_anew(&mut self) {
        self.anew = true;
    }

    pub fn source(&self) -> SourceId {
        self.source
    }

    /// Offset of the next record to read.
    pub fn position(&self) -> Offset {
        least_position(&self.views)
    }

    /// The last position whose commit was acknowledged (at first: where this ownership started).
    pub fn committed(&self) -> Offset {
        self.committed
    }

    /// The partition's watermark in ms; `None` is −∞.
    pub fn watermark_ms(&self) -> Option<i64> {
        let max_ms = self.views.iter().filter_map(|fold| fold.max_ms).max()?;
        Some(max_ms - self.out_of_orderness_ms)
    }

    /// The tallies at this moment, committed or not.
    pub fn snapshot(&self) -> Commit {
        let views: Vec<ViewCommit> = self.views.iter().map(Fold::snapshot).collect();
        let position = self.position();
        // The epoch is that of the last record folded: it says nothing of a position further back.
        let together = views.iter().all(|view| view.position == position);
        let leader_epoch = if together { self.leader_epoch } else { -1 };
        Commit { source: self.source, position, leader_epoch, idle_ms: None, kept: self.kept, views }
    }

    /// The log has no record between the last one folded and `position` (transaction markers,
    /// compacted-away records): go on from there. In which epoch they were written is not known.
    pub fn advance_to(&mut self, position: Offset) {
        debug_assert!(!self.judged);
        if position > self.position() {
            self.leader_epoch = -1;
        }
        self.views.iter_mut().for_each(|fold| fold.position = fold.position.max(position));
    }

    /// Puts what was read back into its place. An error where it cannot have been written by this view.
    pub fn install(&mut self, wanted: &Wanted, stored: Option<part::Stored>) -> Result<(), DecodeError> {
        let At { view, grain, entry } = wanted.at;
        let fold = &mut self.views[view];
        let vouched = fold.from.max(self.committed);
        let part = stored.map(|stored| Part::of(stored, &mut fold.metrics, fold.view.any_metric)).transpose()?;
        fold.grains[grain].install(entry, part, vouched, wanted.record);
        Ok(())
    }

    /// Rejected and late readings that must be acknowledged before their records are committed.
    pub fn enqueue(&mut self, record: Offset, reading: Outgoing) {
        self.outbox.push(record, reading);
    }

    /// Takes a snapshot for a later commit.
    fn remember(&mut self) {
        let newest = self.snapshots.back().map_or(self.committed, |commit| commit.position);
        if self.position() > newest {
            self.snapshots.push_back(self.snapshot());
        }
        if self.snapshots.len() > MAX_SNAPSHOTS {
            // The oldest stays: else a position that is long in coming would never find one below it.
            let gap = |number: &usize| self.snapshots[number + 1].position.0 - self.snapshots[number - 1].position.0;
            let least = (1..MAX_SNAPSHOTS).min_by_key(gap).expect("there are some between the first and the last");
            self.snapshots.remove(least);
        }
    }

    /// No commit may pass this record. `None`: everything folded so far is durable.
    pub fn holds(&self) -> Option<Offset> {
        let parts = self.views.iter().flat_map(|fold| &fold.grains).filter_map(Grain::holds).min();
        // A later kept position is no condition of a commit: the last one is still there.
        let anchor = if self.kept.is_none() { self.anchor.durability.holds() } else { None };
        [parts, anchor, self.outbox.low()].into_iter().flatten().min()
    }

    /// The furthest position that may be committed now, if it is further than the last, with its
    /// metadata in at most `limit` bytes: what does not fit is spilled into the store first, by
    /// the next flushes, and committed when it is there for good.
    pub fn committable(&mut self, limit: usize) -> Option<(Commit, Vec<u8>)> {
        // One below the last commit (written again, or overtaken) has nothing to say any more.
        self.spill.take_if(|spill| spill.commit.position < self.committed);
        if let Some(mut spill) = self.spill.take_if(|spill| spill.durability.settled()) {
            spill.commit.kept = self.kept;
            let metadata = spill.commit.encode_spilled();
            self.spilled_at = Some(spill.commit.position);
            return Some((spill.commit, metadata));
        }
        // A snapshot may be older than what the store has been proven to keep since.
        let commit = Commit { kept: self.kept, ..self.furthest()? };
        let metadata = commit.encode();
        if metadata.len() <= limit {
            return Some((commit, metadata));
        }
        self.begin_spill(commit);
        None
    }

    fn begin_spill(&mut self, commit: Commit) {
        self.spill.get_or_insert_with(|| Stored::unproven(commit));
    }

    fn furthest(&self) -> Option<Commit> {
        let holds = self.holds();
        if holds.is_none() && !self.judged && (self.position() > self.committed || self.anew) {
            return Some(self.snapshot());
        }
        let allowed = |commit: &&Commit| holds.is_none_or(|low| commit.reach() <= low);
        let newest = self.snapshots.iter().take_while(allowed).last()?;
        (newest.position > self.committed).then(|| newest.clone())
    }

    /// A repeated commit of an idle partition, with the clock's watermark. Where the metadata does
    /// not fit, the spill of the same position serves again; one that this ownership has not
    /// written (the commit was another's, or has grown by the watermark) is written first.
    pub fn idle_commit(&mut self, clock_watermark_ms: i64, limit: usize) -> Option<(Commit, Vec<u8>)> {
        let commit = self.at_rest().then(|| Commit { idle_ms: Some(clock_watermark_ms), ..self.snapshot() })?;
        let whole = commit.encode();
        if whole.len() <= limit {
            return Some((commit, whole));
        }
        if self.spilled_at == Some(commit.position) {
            let head = commit.encode_spilled();
            return Some((commit, head));
        }
        self.begin_spill(commit);
        None
    }

    /// The store does not hold the spill that a commit would rely on.
    pub fn spill_again(&mut self) {
        self.spilled_at = None;
    }

    /// The group has acknowledged a commit.
    pub fn commit_acked(&mut self, position: Offset) {
        self.anew = false;
        self.committed = self.committed.max(position);
        self.snapshots.retain(|commit| commit.position > position);
    }

    /// Has the store keep a committed position, from which a restart is safe for ever after.
    pub fn keep(&mut self, committed: &Commit) {
        if !self.anchor.unproven {
            self.anchor = Stored::unproven(committed.clone());
        }
    }

    /// Whether all that is folded has been written, with its rows.
    pub fn is_published(&self) -> bool {
        !self.judged && self.views.iter().flat_map(|fold| &fold.grains).all(Grain::is_written)
    }

    /// Whether every record read so far is folded, durable and committed.
    pub fn at_rest(&self) -> bool {
        self.holds().is_none() && self.position() == self.committed && !self.judged && !self.anew
    }

    /// Lets parts leave memory: of those that are durable the ones that are asked for. Returns how
    /// many left.
    pub fn evict(&mut self, leaving: Leaving) -> usize {
        if self.judged {
            return 0;
        }
        let committed = self.committed;
        self.views.iter_mut().map(|fold| fold.evict(committed, leaving)).sum()
    }

    /// How many tallies, one per view and width, break the law of conservation (invariant I6).
    pub fn tallies_off(&self) -> usize {
        self.views.iter().flat_map(|fold| &fold.grains).filter(|grain| !grain.tally.adds_up()).count()
    }

    pub fn parts_in_memory(&self) -> usize {
        self.views.iter().flat_map(|fold| &fold.grains).map(Grain::len).sum()
    }

    /// Bytes that the parts take, and the readings that wait to go out; about.
    pub fn memory_bytes(&self) -> usize {
        let parts: usize = self.views.iter().map(Fold::bytes).sum();
        parts + self.outbox.bytes()
    }
}

impl Stored {
    fn unproven(commit: Commit) -> Stored {
        let mut durability = Durability::default();
        durability.changed(commit.position);
        Stored { commit, durability, unproven: true }
    }

    fn issue(&mut self, now: u64, lag: u64) -> Option<Commit> {
        self.durability.due(now, lag).then(|| {
            self.durability.issue();
            self.commit.clone()
        })
    }
}

fn least_position(views: &[Fold]) -> Offset {
    views.iter().map(|fold| fold.position).min().unwrap_or_default()
}

impl Fold {
    fn new(start: FoldStart) -> Fold {
        let widths = start.view.widths.iter();
        let grains = widths.zip(start.tallies).map(|(width, tally)| Grain::new(*width, tally)).collect();
        Fold {
            metrics: Metrics::new(&start.view.metrics),
            book: KeyBook::default(),
            view: start.view,
            columns: start.columns,
            from: start.position,
            from_max_ms: start.max_ms,
            position: start.position,
            max_ms: start.max_ms,
            grains,
            flushed_at: Some(0),
        }
    }

    fn snapshot(&self) -> ViewCommit {
        ViewCommit {
            view: self.view.name.clone(),
            generation: self.view.generation,
            position: self.position,
            max_ms: self.max_ms,
            tallies: self.grains.iter().map(|grain| (grain.width, grain.tally.clone())).collect(),
        }
    }

    fn evict(&mut self, committed: Offset, leaving: Leaving) -> usize {
        let (grains, book, metrics) = (&mut self.grains, &mut self.book, &mut self.metrics);
        let mut forget = |key: u32, part: &Part| {
            book.release(key);
            part.others.iter().for_each(|(number, _)| metrics.release(*number));
        };
        let bounds = (committed, self.position);
        grains.iter_mut().map(|grain| grain.evict(bounds, leaving, &mut forget)).sum()
    }

    fn bytes(&self) -> usize {
        let parts: usize = self.grains.iter().map(Grain::len).sum();
        let others: usize = self.grains.iter().map(|grain| grain.others).sum();
        parts * (Part::memory_bytes(self.metrics.configured()) + grain::ENTRY_BYTES)
            + others * Part::OTHER_BYTES
            + self.book.bytes()
            + self.metrics.bytes()
    }
}
