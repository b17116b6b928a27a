//! Batches on their way through the loop: to the decoders, into the queue of their partition,
//! judged, and folded once the parts that they need are in memory.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::partition::{Judged, Leaving};
use crate::reading::{Offset, RawBatch, TopicPartition};

use super::decoding::{Decoded, Job, Outcome};
use super::owned::{Owned, Waiting};
use super::progress;
use super::read_back::{ReadBack, corrupt};
use super::{Engine, RunError};

impl Engine {
    /// Takes a raw batch in, and hands it to a decoder when its turn comes.
    pub(super) fn take_in(
        &mut self,
        partition: TopicPartition,
        raw: RawBatch,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), RunError> {
        let Some(owned) = self.owned.get_mut(&partition) else { return Ok(()) };
        let Some(last) = raw.records.last() else { return Ok(()) };
        owned.arrived_at = self.world.clock.now();
        owned.log_end = owned.log_end.max(last.offset.after());
        // Files have no timestamps, and in place of an epoch a checksum of all up to the batch's end: theirs stay whole.
        let divides = self.flush_size.is_tight() && last.timestamp_ms.is_some();
        let step = if divides { self.world.settings.pace.step_records } else { usize::MAX };
        let mut pieces = raw.split(step);
        owned.dispatched += pieces.len() as u64;
        // The whole permit goes with the last one: the bytes have all left the queue then.
        let end = pieces.pop().map(|piece| (piece, Some(permit)));
        owned.raw.extend(pieces.into_iter().map(|piece| (piece, None)).chain(end));
        self.dispatch(&partition);
        Ok(())
    }

    /// Keeps few batches of a partition decoded.
    fn dispatch(&mut self, partition: &TopicPartition) {
        let ahead = self.pool.ahead(self.owned.len()) as u64;
        let Some(owned) = self.owned.get_mut(partition) else { return };
        while owned.sent - owned.folded < ahead
            && let Some((raw, permit)) = owned.raw.pop_front()
        {
            let (ownership, number, stream) = (owned.ownership, owned.sent, owned.stream.clone());
            self.pool.send(Job { partition: partition.clone(), ownership, number, stream, raw, permit });
            owned.sent += 1;
        }
    }

    pub(super) fn on_end(&mut self, partition: &TopicPartition, position: Offset) {
        if let Some(owned) = self.owned.get_mut(partition) {
            owned.end = Some((position, owned.dispatched));
            owned.settle_end();
        }
    }

    pub(super) fn on_decoded(&mut self, outcome: Outcome) -> Result<(), RunError> {
        let Decoded { partition, ownership, number, keyed, permit } = outcome?;
        let Some(owned) = self.owned.get_mut(&partition).filter(|owned| owned.ownership == ownership) else {
            return Ok(());
        };
        owned.decoded.put(number, Waiting { number, keyed, permit });
        owned.waiting.extend(std::iter::from_fn(|| owned.decoded.pop()));
        self.fold_queue(&partition)
    }

    /// Folds what waited for memory.
    pub(super) fn fold_waiting(&mut self) -> Result<(), RunError> {
        let waiting: Vec<TopicPartition> =
            self.owned.iter().filter(|(_, owned)| !owned.waiting.is_empty()).map(|(name, _)| name.clone()).collect();
        waiting.iter().try_for_each(|partition| self.fold_queue(partition))
    }

    /// Judges and folds a partition's queue until it is empty, a part must be read back, or the
    /// parts have used up their memory.
    fn fold_queue(&mut self, partition: &TopicPartition) -> Result<(), RunError> {
        while self.has_room() {
            let Some(owned) = self.owned.get_mut(partition) else { return Ok(()) };
            if owned.reading_back || self.draining.until(owned).is_some() {
                return Ok(());
            }
            let Some(Waiting { number, keyed, permit }) = owned.waiting.pop_front() else { return Ok(()) };
            // The views skip what lies below where they are: in a wrong order, batches would be lost in silence.
            if number != owned.folded {
                return Err(RunError::OutOfOrder { partition: partition.clone(), number, wanted: owned.folded });
            }
            let judged = owned.core.judge(&keyed);
            if judged.wanted.is_empty() {
                let ownership = owned.ownership;
                let parts = Vec::new();
                self.fold(ReadBack { partition: partition.clone(), ownership, keyed, judged, permit, parts })?;
            } else {
                self.start_read(partition.clone(), Waiting { number, keyed, permit }, judged);
            }
        }
        Ok(())
    }

    fn start_read(&mut self, partition: TopicPartition, batch: Waiting, judged: Judged) {
        let Some(owned) = self.owned.get_mut(&partition) else { return };
        owned.reading_back = true;
        let world = Arc::clone(&self.world);
        let (ownership, source, log_end) = (owned.ownership, owned.core.source(), owned.log_end);
        let Waiting { keyed, permit, .. } = batch;
        let read = async move {
            let parts = world.read_back(&partition, source, &judged, log_end).await?;
            Ok(ReadBack { partition, ownership, keyed, judged, permit, parts })
        };
        self.reads.push(tokio::spawn(read));
    }

    pub(super) fn on_read(&mut self, read: ReadBack) -> Result<(), RunError> {
        let partition = read.partition.clone();
        self.fold(read)?;
        self.fold_queue(&partition)
    }

    fn fold(&mut self, read: ReadBack) -> Result<(), RunError> {
        let ReadBack { partition, ownership, keyed, judged, permit, parts } = read;
        let Some(owned) = self.owned.get_mut(&partition).filter(|owned| owned.ownership == ownership) else {
            return Ok(());
        };
        let wanted = judged.wanted.iter();
        for (part, wanted) in parts.into_iter().zip(wanted) {
            let source = owned.core.source();
            owned.core.install(wanted, part).map_err(|error| corrupt(&wanted.slot, source, error))?;
        }
        owned.reading_back = false;
        let verdicts = owned.core.fold(&keyed, judged, self.world.clock.now());
        owned.count(&keyed);
        owned.settle_end();
        progress::folded(&owned.stream.name, &keyed, &verdicts);
        self.progress.count(&keyed);
        self.send_out(&partition, &keyed, &verdicts);
        // The records have left the queue.
        drop(permit);
        self.dispatch(&partition);
        Ok(())
    }

    /// Whether another batch may be folded before parts and outgoing readings have left memory. A
    /// batch is folded whole, so the budget may be passed by one batch.
    pub(super) fn has_room(&self) -> bool {
        self.memory_bytes() <= self.world.settings.parts_bytes
    }

    fn memory_bytes(&self) -> usize {
        self.owned.values().map(|owned| owned.core.memory_bytes()).sum()
    }

    /// Cold parts leave memory after a while, when memory runs short all below the committed
    /// positions, and where that is not enough those that an earlier owner took further than we are.
    pub(super) fn evict(&mut self) {
        let now = self.world.clock.now();
        let short = self.memory_bytes() > self.world.settings.parts_bytes / 4 * 3;
        let untouched_since = if short { now } else { now.saturating_sub(self.world.settings.pace.cold_ms) };
        let mut evicted = self.evict_each(Leaving::Committed { untouched_since });
        if !self.has_room() {
            evicted += self.evict_each(Leaving::Ahead);
        }
        if evicted > 0 {
            tracing::debug!(evicted, short, "parts left memory");
        }
    }

    fn evict_each(&mut self, leaving: Leaving) -> usize {
        self.owned.values_mut().map(|owned| owned.core.evict(leaving)).sum()
    }
}

impl Owned {
    fn count(&mut self, keyed: &crate::keys::Keyed) {
        self.folded += 1;
        let newest = keyed.batch.raw.records.iter().filter_map(|record| record.timestamp_ms).max();
        self.newest_record_ms = self.newest_record_ms.max(newest);
    }
}
