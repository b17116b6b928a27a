//! A log that is said to have been cut off below our position, though nothing is wrong with it.
//!
//! librdkafka 2.12 takes a reported end of a partition for a record at that offset, of leader epoch 0
//! (`rd_kafka_q_serve_rkmessages`, read on 2026-11-24). Where a rebalance pauses the partition just then and it gets
//! another leader, the client asks that one where epoch 0 ended, and is told an earlier offset: "truncation detected".
//! Such a report names a place that is not ours. Then the partition is taken up anew, and the log is asked for our own
//! place, with the epoch of our own last record, before anything of it is handed on. If it has been cut off, it says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::ffi::{Failure, List};
use super::reader::{Reader, SEEK_TIMEOUT, now};
use crate::reading::{Offset, TopicPartition};
use crate::source::ReadFrom;

/// A partition that waits longer is taken up in spite of a backlog: all are paused until it has been.
const PAUSE_AFTER: Duration = Duration::from_secs(5);

/// Where a partition is read on, and the leader epoch of the record before (-1: not known).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub next: i64,
    pub leader_epoch: i32,
}

impl Place {
    /// Whether librdkafka says of this place that the log ends before it, and not of another one.
    fn is_named(self, text: &str) -> bool {
        text.contains(&format!(" offset {} (leader epoch {}):", self.next, self.leader_epoch))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To be taken up anew, as soon as no rebalance is under way.
    Waiting { since: Instant },
    /// Taken up. The log has still to be asked.
    Asking,
    /// Asked: what comes next has its answer before it, unless somebody seeks meanwhile.
    Asked,
}

/// Partitions whose log has been said to end before a place that is not ours.
#[derive(Default)]
pub struct Doubted(BTreeMap<TopicPartition, Stage>);

impl Doubted {
    /// Nothing of this partition may be handed on: it may come from another log than what was read before.
    pub fn holds_up(&self, topic: &str, partition: i32) -> bool {
        let of = |(one, _): &(&TopicPartition, &Stage)| *one.topic == *topic && one.partition == partition;
        self.0.iter().find(of).is_some_and(|(_, stage)| *stage != Stage::Asked)
    }

    /// Something of it has come that may be handed on, or it is somebody else's now.
    pub fn forget(&mut self, one: &TopicPartition) {
        self.0.remove(one);
    }

    /// A seek without an epoch goes before the answer: the log is asked again.
    pub(super) fn seeks(&mut self) {
        self.0.values_mut().filter(|stage| **stage == Stage::Asked).for_each(|stage| *stage = Stage::Asking);
    }

    /// Whether one has waited so long that the others must be paused.
    pub(super) fn needs_pause(&self, now: Instant) -> bool {
        let long =
            |stage: &Stage| matches!(stage, Stage::Waiting { since } if now.duration_since(*since) > PAUSE_AFTER);
        self.0.values().any(long)
    }

    fn are(&self, wanted: impl Fn(&Stage) -> bool) -> BTreeSet<TopicPartition> {
        self.0.iter().filter(|(_, stage)| wanted(stage)).map(|(one, _)| one.clone()).collect()
    }
}

impl Reader {
    /// Whether this may be that mistake.
    pub(super) fn doubt(&mut self, one: TopicPartition, failure: &Failure) -> bool {
        let Some(place) = self.place(&one.topic, one.partition) else { return false };
        let truncated = failure.text.contains("truncation detected");
        if !truncated || place.is_named(&failure.text) || !self.client.is_cooperative() {
            return false;
        }
        let (partition, next) = (one.partition, place.next);
        tracing::info!(partition, next, "kafka: {}: the log is asked again", failure.text);
        self.doubted.0.insert(one, Stage::Waiting { since: now() });
        true
    }

    /// Takes the doubted partitions up at their places, and asks for them.
    pub(super) fn resume_doubted(&mut self) {
        if self.failed || self.leaving.is_some() {
            return;
        }
        // Between rebalances only: the client would take the calls for the answer to one.
        let waiting = self.doubted.are(|stage| matches!(stage, Stage::Waiting { .. }));
        if self.drained && !waiting.is_empty() {
            self.take_up(&waiting);
            self.doubted.0.extend(waiting.into_iter().map(|one| (one, Stage::Asking)));
        }
        for one in self.doubted.are(|stage| *stage == Stage::Asking) {
            if self.ask_for_place(&one) {
                self.doubted.0.insert(one, Stage::Asked);
            }
        }
    }

    fn take_up(&mut self, doubted: &BTreeSet<TopicPartition>) {
        let (mut list, mut from) = (List::new(), Vec::new());
        for partition in doubted {
            let place = self.place(&partition.topic, partition.partition);
            let Some(Place { next, leader_epoch }) = place else { continue };
            list.add(&partition.topic, partition.partition);
            from.push(ReadFrom { partition: partition.clone(), offset: Offset(next), leader_epoch });
        }
        if let Err(failure) = self.client.unassign(&list) {
            return self.fail(format!("kafka: asking for partitions anew: {}: start again", failure.text));
        }
        self.assign(&list, &from);
    }

    /// Only a seek asks, and only once reading has begun: until then false. Without an epoch nothing has been read yet.
    fn ask_for_place(&mut self, one: &TopicPartition) -> bool {
        let place = self.place(&one.topic, one.partition).filter(|place| place.leader_epoch >= 0);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_our_own_place_is_no_mistake() {
        let ours = Place { next: 33_600, leader_epoch: 7 };
        // As librdkafka words it.
        let texts = |offset, epoch| {
            [
                format!(
                    "Partition log truncation detected at offset {offset} (leader epoch {epoch}): broker end offset is \
                     14102 (offset leader epoch 0). Reset to INVALID.: Local: Partition log truncation detected (broker 3)"
                ),
                format!(
                    "No epoch found less or equal to offset {offset} (leader epoch {epoch}): broker end offset is -1 \
                     (offset leader epoch -1). Reset using configured policy.: Local: Partition log truncation detected \
                     (broker 3)"
                ),
            ]
        };
        assert!(texts(33_600, 7).iter().all(|text| ours.is_named(text)));
        for (offset, epoch) in [(33_601, 0), (33_600, 0), (3_600, 7), (133_600, 7)] {
            assert!(!texts(offset, epoch).iter().any(|text| ours.is_named(text)), "{offset} {epoch}");
        }
    }

    #[test]
    fn nothing_is_handed_on_until_the_log_was_asked() {
        let one = TopicPartition { topic: "a".into(), partition: 1 };
        let (mut doubted, since) = (Doubted::default(), now());
        doubted.0.insert(one.clone(), Stage::Waiting { since });
        assert!(doubted.holds_up("a", 1) && !doubted.holds_up("a", 2) && !doubted.holds_up("b", 1));
        assert!(!doubted.needs_pause(since + PAUSE_AFTER) && doubted.needs_pause(since + 2 * PAUSE_AFTER));
        doubted.0.insert(one.clone(), Stage::Asking);
        assert!(doubted.holds_up("a", 1) && !doubted.needs_pause(since + 2 * PAUSE_AFTER));
        doubted.0.insert(one.clone(), Stage::Asked);
        assert!(!doubted.holds_up("a", 1));
        doubted.seeks();
        assert!(doubted.holds_up("a", 1), "asked before the seek");
        doubted.forget(&one);
        assert!(!doubted.holds_up("a", 1));
    }
}
