//! A partition while this instance owns it: the pure partition, and what waits in front of it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::partition::Partition;
use crate::reading::{Located, Offset};

use super::stream::StreamRun;

/// A decoded batch that waits to be folded; its bytes count in the queue until then.
pub struct Waiting {
    pub located: Located,
    pub permit: OwnedSemaphorePermit,
}

pub struct Owned {
    /// Tells this ownership from earlier ones of the same partition.
    pub ownership: u64,
    pub core: Partition,
    pub stream: Arc<StreamRun>,
    pub waiting: VecDeque<Waiting>,
    /// Parts are being read back for a judged batch: nothing else may be folded.
    pub reading_back: bool,
    /// Where the log ended when the partition was assigned, and the furthest that is known since.
    pub end_at_start: Offset,
    pub log_end: Offset,
    /// Batches handed to the decoders, and folded.
    pub dispatched: u64,
    pub folded: u64,
    /// A fetch reported the end here, after this many dispatched batches.
    pub end: Option<(Offset, u64)>,
    /// Monotonic ms of the last arrival.
    pub arrived_at: u64,
    pub committed_at: u64,
    pub kept_at: u64,
    /// Kafka timestamp of the newest folded record, ms: what the latency is measured from.
    pub newest_record_ms: Option<i64>,
}

impl Owned {
    pub fn new(ownership: u64, core: Partition, stream: Arc<StreamRun>, log_end: Offset, now: u64) -> Owned {
        Owned {
            ownership,
            core,
            stream,
            waiting: VecDeque::new(),
            reading_back: false,
            end_at_start: log_end,
            log_end,
            dispatched: 0,
            folded: 0,
            end: None,
            arrived_at: now,
            committed_at: now,
            kept_at: now,
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

    /// Idle: at its end, and nothing came for a while. Behind is never idle.
    pub fn is_idle(&self, now: u64) -> bool {
        self.at_end() && now >= self.arrived_at + self.stream.idle_after_ms
    }

    /// All that the log held when this ownership began is folded.
    pub fn reached_start_end(&self) -> bool {
        self.core.position() >= self.end_at_start || self.at_end()
    }
}
