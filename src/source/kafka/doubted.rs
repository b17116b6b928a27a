//! A log that is said to have been cut off below our position, though nothing is wrong with it.
//!
//! librdkafka 2.12 takes a reported end of a partition for a record at that offset, of leader epoch 0
//! (`rd_kafka_q_serve_rkmessages`, read on 2026-11-24). Where a rebalance pauses the partition just then and it gets
//! another leader, the client asks that one where epoch 0 ended, and is told an earlier offset: "truncation detected".
//! So it is asked anew, with the offset and the epoch of our own last record. If the log has been cut off, that says so
//! again, and then it is true.

use std::collections::{BTreeMap, BTreeSet};

use super::ffi::{Failure, List};
use super::reader::Reader;
use crate::reading::{Offset, TopicPartition};
use crate::source::ReadFrom;

/// Where a partition is read on, and the leader epoch of the record before (-1: not known).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub next: i64,
    pub leader_epoch: i32,
}

/// Partitions whose log has been said to be shorter than it is known to be.
#[derive(Default)]
pub struct Doubted {
    /// The places that were asked about anew, and have not been confirmed since.
    asked: BTreeMap<TopicPartition, Place>,
    waiting: BTreeSet<TopicPartition>,
}

impl Doubted {
    /// Whether to ask anew: once a place, and only with an epoch, else the answer would say nothing.
    fn ask(&mut self, one: TopicPartition, place: Place) -> bool {
        let first = place.leader_epoch >= 0 && self.asked.get(&one) != Some(&place);
        if first {
            self.asked.insert(one.clone(), place);
            self.waiting.insert(one);
        }
        first
    }

    /// The log has been seen to reach this partition's place, or it is somebody else's now.
    pub fn believe(&mut self, one: &TopicPartition) {
        self.asked.remove(one);
        self.waiting.remove(one);
    }
}

impl Reader {
    /// Whether this may be that mistake: then the partition is asked for anew as soon as no rebalance is under way.
    pub(super) fn doubt(&mut self, one: TopicPartition, failure: &Failure) -> bool {
        let Some(place) = self.held.get(&one.topic).and_then(|held| held.get(&one.partition)) else { return false };
        let maybe = failure.text.contains("truncation detected") && self.client.is_cooperative();
        let asks = maybe && self.doubted.ask(one.clone(), *place);
        if asks {
            tracing::info!(
                partition = one.partition,
                next = place.next,
                "kafka: {}: the log is asked again",
                failure.text
            );
        }
        asks
    }

    /// Takes the doubted partitions up at their places. Between rebalances only: the client would take the calls for
    /// the answer to one.
    pub(super) fn resume_doubted(&mut self) {
        if self.doubted.waiting.is_empty() || self.failed || self.leaving.is_some() {
            return;
        }
        let (mut list, mut from) = (List::new(), Vec::new());
        for partition in std::mem::take(&mut self.doubted.waiting) {
            let held = self.held.get(&partition.topic).and_then(|held| held.get(&partition.partition));
            let Some(Place { next, leader_epoch }) = held.copied() else { continue };
            list.add(&partition.topic, partition.partition);
            from.push(ReadFrom { partition, offset: Offset(next), leader_epoch });
        }
        if let Err(failure) = self.client.unassign(&list) {
            return self.fail(format!("kafka: asking for partitions anew: {}: start again", failure.text));
        }
        self.assign(&list, &from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_asked_about_once_until_the_log_was_seen_to_reach_it() {
        let one = TopicPartition { topic: "a".into(), partition: 1 };
        let (here, further) = (Place { next: 7, leader_epoch: 3 }, Place { next: 8, leader_epoch: 3 });
        let mut doubted = Doubted::default();
        assert!(doubted.ask(one.clone(), here));
        assert!(!doubted.ask(one.clone(), here), "the log has said it twice");
        assert!(doubted.ask(one.clone(), further));
        doubted.believe(&one);
        assert!(doubted.waiting.is_empty() && doubted.ask(one, further));
    }

    #[test]
    fn without_an_epoch_the_log_could_not_contradict() {
        let one = TopicPartition { topic: "a".into(), partition: 1 };
        assert!(!Doubted::default().ask(one, Place { next: 7, leader_epoch: -1 }));
    }
}
