//! The arrow between a source's thread and the engine: a bounded channel, and a budget of bytes.
//!
//! What the engine has no room for waits here, in order; the source reads nothing further meanwhile.

use std::collections::{BTreeSet, VecDeque};
use std::mem::size_of;
use std::sync::Arc;

use metrics::gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::SourceEvent;
use crate::reading::{Offset, RawBatch, RawRecord, TopicPartition};
use crate::telemetry::names;

/// Events in the channel, at most; what batches weigh is the budget's matter.
const CHANNEL: usize = 1024;

/// How many bytes of records may be read and not yet folded.
#[derive(Clone, Debug)]
pub struct Budget {
    permits: Arc<Semaphore>,
    bytes: u32,
}

impl Budget {
    /// At least one byte, at most 4 GiB.
    pub fn new(bytes: usize) -> Budget {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        Budget { permits: Arc::new(Semaphore::new(bytes as usize)), bytes }
    }

    /// Bytes that are free now.
    pub fn free(&self) -> usize {
        self.permits.available_permits()
    }

    fn held(&self) -> usize {
        self.bytes as usize - self.free()
    }

    /// A batch larger than the whole budget takes the whole.
    fn take(&self, raw: &RawBatch) -> Option<OwnedSemaphorePermit> {
        let weight = raw.bytes.len() + raw.records.len() * size_of::<RawRecord>();
        let permits = u32::try_from(weight).unwrap_or(u32::MAX).min(self.bytes);
        self.permits.clone().try_acquire_many_owned(permits).ok()
    }
}

/// What became of an attempt to hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Nothing waits.
    Open,
    /// Something waits for room.
    Full,
    /// The engine has gone.
    Gone,
}

enum Waiting {
    Batch(TopicPartition, RawBatch),
    End(TopicPartition, Offset),
}

/// The source's end of the arrow.
pub struct Outlet {
    sender: mpsc::Sender<SourceEvent>,
    budget: Budget,
    /// Assignments, revocations and failures: they do not wait for bytes of records to become free.
    control: VecDeque<SourceEvent>,
    data: VecDeque<Waiting>,
}

impl Outlet {
    pub fn new(budget: Budget) -> (Outlet, mpsc::Receiver<SourceEvent>) {
        let (sender, receiver) = mpsc::channel(CHANNEL);
        (Outlet { sender, budget, control: VecDeque::new(), data: VecDeque::new() }, receiver)
    }

    /// Overtakes waiting batches.
    pub fn control(&mut self, event: SourceEvent) {
        self.control.push_back(event);
    }

    pub fn batch(&mut self, partition: TopicPartition, raw: RawBatch) {
        self.data.push_back(Waiting::Batch(partition, raw));
    }

    pub fn end(&mut self, partition: TopicPartition, position: Offset) {
        self.data.push_back(Waiting::End(partition, position));
    }

    /// Drops what waits of these partitions: they are being given up.
    pub fn forget(&mut self, partitions: &BTreeSet<TopicPartition>) {
        self.data.retain(|waiting| match waiting {
            Waiting::Batch(partition, _) | Waiting::End(partition, _) => !partitions.contains(partition),
        });
    }

    /// Drops all batches that wait: the source has failed.
    pub fn forget_all(&mut self) {
        self.data.clear();
    }

    /// Hands over what there is room for.
    pub fn pump(&mut self) -> Flow {
        let flow = self.hand_over();
        gauge!(names::QUEUE_BYTES).set(self.budget.held() as f64);
        flow
    }

    fn hand_over(&mut self) -> Flow {
        if self.sender.is_closed() {
            // Whoever waits for an answer learns that there will be none.
            self.control.clear();
            self.data.clear();
            return Flow::Gone;
        }
        while !(self.control.is_empty() && self.data.is_empty()) {
            // Closed just now: the next call sees it.
            let Ok(slot) = self.sender.try_reserve() else { return Flow::Full };
            if let Some(event) = self.control.pop_front() {
                slot.send(event);
                continue;
            }
            match next(&mut self.data, &self.budget) {
                Some(event) => slot.send(event),
                None => return Flow::Full,
            }
        }
        Flow::Open
    }
}

/// The first of the waiting, unless it is a batch that the budget has no room for.
fn next(data: &mut VecDeque<Waiting>, budget: &Budget) -> Option<SourceEvent> {
    let permit = match data.front()? {
        Waiting::Batch(_, raw) => Some(budget.take(raw)?),
        Waiting::End(..) => None,
    };
    match (data.pop_front()?, permit) {
        (Waiting::Batch(partition, raw), Some(permit)) => Some(SourceEvent::Batch { partition, raw, permit }),
        (Waiting::End(partition, position), _) => Some(SourceEvent::End { partition, position }),
        (Waiting::Batch(..), None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceError;

    fn place(partition: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition }
    }

    fn raw(bytes: usize) -> RawBatch {
        let mut raw = RawBatch::default();
        raw.push(Offset(0), None, None, Some(&vec![0; bytes]));
        raw
    }

    #[test]
    fn a_batch_waits_for_bytes_and_control_overtakes_it() {
        let (mut outlet, mut receiver) = Outlet::new(Budget::new(1000));
        outlet.batch(place(0), raw(900));
        outlet.batch(place(0), raw(900));
        assert_eq!(outlet.pump(), Flow::Full);
        outlet.control(SourceEvent::Failed(SourceError::Fatal("x".into())));
        assert_eq!(outlet.pump(), Flow::Full);
        let first = receiver.try_recv().expect("the first batch");
        assert!(matches!(first, SourceEvent::Batch { .. }));
        assert!(matches!(receiver.try_recv(), Ok(SourceEvent::Failed(_))));
        assert!(receiver.try_recv().is_err(), "the second batch waits for the first one's bytes");
        drop(first);
        assert_eq!(outlet.pump(), Flow::Open);
        assert!(matches!(receiver.try_recv(), Ok(SourceEvent::Batch { .. })));
    }

    #[test]
    fn a_batch_larger_than_the_budget_takes_all_of_it() {
        let budget = Budget::new(100);
        let (mut outlet, mut receiver) = Outlet::new(budget.clone());
        outlet.batch(place(0), raw(5000));
        assert_eq!(outlet.pump(), Flow::Open);
        assert_eq!(budget.free(), 0);
        drop(receiver.try_recv());
        assert_eq!(budget.free(), 100);
    }

    #[test]
    fn given_up_partitions_leave_nothing_behind() {
        let (mut outlet, mut receiver) = Outlet::new(Budget::new(1000));
        outlet.batch(place(0), raw(10));
        outlet.batch(place(1), raw(10));
        outlet.end(place(0), Offset(1));
        outlet.forget(&[place(0)].into());
        assert_eq!(outlet.pump(), Flow::Open);
        assert!(matches!(receiver.try_recv(), Ok(SourceEvent::Batch { partition, .. }) if partition == place(1)));
        assert!(receiver.try_recv().is_err());
    }

    #[test]
    fn an_engine_that_has_gone_is_noticed() {
        let (mut outlet, receiver) = Outlet::new(Budget::new(1000));
        assert_eq!(outlet.pump(), Flow::Open);
        drop(receiver);
        assert_eq!(outlet.pump(), Flow::Gone);
    }
}
