//! A log that is said to have been cut off below our position, though nothing is wrong with it.
//!
//! librdkafka 2.12 takes a reported end of a partition for a record at that offset, of leader epoch 0
//! (`rd_kafka_q_serve_rkmessages`, read on 2026-11-24). Where a rebalance pauses the partition just then and it gets
//! another leader, the client asks that one where epoch 0 ended, and is told an earlier offset: "truncation detected".
//! Such a report names a place that is not ours. Then the partition is taken up anew, and the log is asked for our own
//! place, with the epoch of our own last record, before anything of it is handed on. If it has been cut off, it says so.

use std::collections::BTreeSet;

use super::ffi::{Failure, List};
use super::reader::{Reader, SEEK_TIMEOUT};
use crate::reading::{Offset, TopicPartition};
use crate::source::ReadFrom;

/// Where a partition is read on, and the leader epoch of the record before (-1: not known).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub next: i64,
    pub leader_epoch: i32,
}

impl Place {
    /// Whether librdkafka says of this place that the log ends before it, and not of another one.
    fn is_named(self, text: &str) -> bool {
        text.contains(&format!("at offset {} (leader epoch {}):", self.next, self.leader_epoch))
    }
}

/// Partitions whose log has been said to end before a place that is not ours.
#[derive(Default)]
pub struct Doubted {
    /// To be taken up anew, as soon as no rebalance is under way.
    waiting: BTreeSet<TopicPartition>,
    /// Taken up. The log has still to be asked.
    asking: BTreeSet<TopicPartition>,
}

impl Doubted {
    /// Nothing of this partition may be handed on: it may come from another log than what was read before.
    pub fn holds_up(&self, topic: &str, partition: i32) -> bool {
        let mut all = self.waiting.iter().chain(&self.asking);
        all.any(|one| *one.topic == *topic && one.partition == partition)
    }

    /// It is somebody else's now.
    pub fn forget(&mut self, one: &TopicPartition) {
        self.waiting.remove(one);
        self.asking.remove(one);
    }
}

impl Reader {
    /// Whether this may be that mistake.
    pub(super) fn doubt(&mut self, one: TopicPartition, failure: &Failure) -> bool {
        let Some(place) = self.held.get(&one.topic).and_then(|held| held.get(&one.partition)) else { return false };
        let truncated = failure.text.contains("truncation detected");
        if !truncated || place.is_named(&failure.text) || !self.client.is_cooperative() {
            return false;
        }
        let (partition, next) = (one.partition, place.next);
        tracing::info!(partition, next, "kafka: {}: the log is asked again", failure.text);
        self.doubted.waiting.insert(one);
        true
    }

    /// Takes the doubted partitions up at their places. Between rebalances only: the client would take the calls for
    /// the answer to one.
    pub(super) fn resume_doubted(&mut self) {
        if !self.drained || self.failed || self.leaving.is_some() {
            return;
        }
        let waiting = std::mem::take(&mut self.doubted.waiting);
        if !waiting.is_empty() {
            self.take_up(&waiting);
            self.doubted.asking.extend(waiting);
        }
        for one in std::mem::take(&mut self.doubted.asking) {
            if !self.ask_for_place(&one) {
                self.doubted.asking.insert(one);
            }
        }
    }

    fn take_up(&mut self, doubted: &BTreeSet<TopicPartition>) {
        let (mut list, mut from) = (List::new(), Vec::new());
        for partition in doubted {
            let Some(Place { next, leader_epoch }) = self.place(partition) else { continue };
            list.add(&partition.topic, partition.partition);
            from.push(ReadFrom { partition: partition.clone(), offset: Offset(next), leader_epoch });
        }
        if let Err(failure) = self.client.unassign(&list) {
            return self.fail(format!("kafka: asking for partitions anew: {}: start again", failure.text));
        }
        self.assign(&list, &from);
    }

    /// Only a seek asks, and only once reading has begun: until then false.
    fn ask_for_place(&mut self, one: &TopicPartition) -> bool {
        let place = self.place(one).filter(|place| place.leader_epoch >= 0);
        let Some(Place { next, leader_epoch }) = place else { return true };
        let mut list = List::new();
        list.add(&one.topic, one.partition).offset(next).leader_epoch(leader_epoch);
        match self.client.seek(&list, SEEK_TIMEOUT) {
            Ok(asked) => asked,
            Err(failure) => {
                self.fail(format!("kafka: {one}: asking for offset {next} anew: {}: start again", failure.text));
                true
            }
        }
    }

    fn place(&self, one: &TopicPartition) -> Option<Place> {
        self.held.get(&one.topic).and_then(|held| held.get(&one.partition)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_our_own_place_is_no_mistake() {
        let ours = Place { next: 33_600, leader_epoch: 7 };
        // As librdkafka words it.
        let text = |offset, epoch| {
            format!(
                "Partition log truncation detected at offset {offset} (leader epoch {epoch}): broker end offset is 14102 \
                 (offset leader epoch 0). Reset to INVALID.: Local: Partition log truncation detected (broker 3)"
            )
        };
        assert!(ours.is_named(&text(33_600, 7)));
        for (offset, epoch) in [(33_601, 0), (33_600, 0), (3_600, 7), (133_600, 7)] {
            assert!(!ours.is_named(&text(offset, epoch)), "{offset} {epoch}");
        }
    }

    #[test]
    fn nothing_is_handed_on_until_the_log_was_asked() {
        let one = TopicPartition { topic: "a".into(), partition: 1 };
        let mut doubted = Doubted::default();
        doubted.waiting.insert(one.clone());
        assert!(doubted.holds_up("a", 1) && !doubted.holds_up("a", 2) && !doubted.holds_up("b", 1));
        doubted.asking = std::mem::take(&mut doubted.waiting);
        assert!(doubted.holds_up("a", 1));
        doubted.forget(&one);
        assert!(!doubted.holds_up("a", 1));
    }
}
