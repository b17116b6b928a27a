//! A partition while this instance owns it: the pure partition, and what waits in front of it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::keys::Keyed;
use crate::partition::Partition;
use crate::reading::{Offset, RawBatch};

use super::decoding::InOrder;
use super::stream::StreamRun;

/// A decoded batch that waits to be folded; its bytes count in the queue until then. (Of one that was cut into steps, all
/// bytes count until the last.)
pub struct Waiting {
    /// The partition's first batch of this ownership is 0.
    pub number: u64,
    pub keyed: Keyed,
    pub permit: Option<OwnedSemaphorePermit>,
}

pub struct Owned {
    /// Tells this ownership from earlier ones of the same partition.
    pub ownership: u64,
    pub core: Partition,
    pub stream: Arc<StreamRun>,
    /// What the decoders gave back before its turn.
    pub decoded: InOrder<Waiting>,
    pub waiting: VecDeque<Waiting>,
    /// Parts are being read back for a judged batch: nothing else may be folded.
    pub reading_back: bool,
    /// The log's end when the partition came: no earlier owner has come further.
    pub came_at: Offset,
    /// The furthest end of the log that is known.
    pub log_end: Offset,
    /// Batches that have come, that went to the decoders, and that are folded.
    pub dispatched: u64,
    pub sent: u64,
    pub folded: u64,
    /// A fetch reported the end here, after this many dispatched batches.
    pub end: Option<(Offset, u64)>,
    /// Monotonic ms of the last arrival.
    pub arrived_at: u64,
    pub committed_at: u64,
    /// `None`: no position of this ownership yet.
    pub kept_at: Option<u64>,
    /// After a commit that failed: not before this, monotonic ms.
    pub commit_not_before: u64,
    /// Raw batches that wait for the decoders.
    pub raw: VecDeque<(RawBatch, Option<OwnedSemaphorePermit>)>,
    /// Kafka timestamp of the newest folded record, ms: what the latency is measured from.
    pub newest_record_ms: Option<i64>,
}

impl Owned {
    pub fn new(ownership: u64, core: Partition, stream: Arc<StreamRun>, log_end: Offset, now: u64) -> Owned {
        Owned {
            ownership,
            core,
            stream,
            decoded: InOrder::default(),
            waiting: VecDeque::new(),
            reading_back: false,
            came_at: log_end,
            log_end,
            dispatched: 0,
            sent: 0,
            folded: 0,
            end: None,
            arrived_at: now,
            committed_at: now,
            kept_at: None,
            commit_not_before: 0,
            raw: VecDeque::new(),
            newest_record_ms: None,
        }
    }

    /// Everything that was there when the fetch reported the end is folded. Where the log's last
    /// entries are no records (transaction markers), the position moves past them.
    pub fn settle_end(&mut self) {
        let Some((position, after)) = self.end else { return };
        if self.folded >= after && !self.reading_back {
            self.log_end = self.log_end.max(position);
            if self.folded == self.dispatched {
                self.core.advance_to(position);
            }
        }
    }

    /// The fetch reported the end and nothing has come since.
    pub fn at_end(&self) -> bool {
        self.end.is_some_and(|(position, _)| self.folded == self.dispatched && self.core.position() >= position)
    }

    /// Records of the log that are not committed.
    pub fn uncommitted(&self) -> i64 {
        self.log_end.0 - self.core.committed().0
    }

    /// Idle: at its end, and nothing came for a while. Behind is never idle.
    pub fn is_idle(&self, now: u64) -> bool {
        self.at_end() && now >= self.arrived_at + self.stream.idle_after_ms
    }
}
