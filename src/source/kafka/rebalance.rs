//! A rebalance under way: what librdkafka has asked for, what the engine has been told, whose answer is awaited.
//!
//! librdkafka waits for `assign` and `unassign` as long as the group does (`max.poll.interval.ms`), provided that
//! polling goes on; meanwhile it keeps all partitions paused. So nothing blocks, and commits pass.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::doubted::Place;
use super::ffi::{List, Rebalance};
use super::reader::{Reader, now};
use super::topics;
use super::trouble::{Nature, nature, request_error};
use crate::reading::TopicPartition;
use crate::source::{Assignment, ReadFrom, SourceError, SourceEvent};

/// Kafka's logical offset "end": where nothing is to be read, only held.
const END: i64 = -1;
const ASK_AGAIN: Duration = Duration::from_millis(300);

pub enum Step {
    /// New partitions, of which the cluster has still to be asked.
    Look { list: List, at: Instant },
    /// The engine has been asked where to begin.
    Assign { list: List, reply: oneshot::Receiver<Vec<ReadFrom>> },
    /// The engine has been told to let go.
    Revoke { list: List, reply: oneshot::Receiver<()>, deadline: Instant },
}

impl Reader {
    /// Takes the rebalance as far as it goes now.
    pub(super) fn rebalance(&mut self) {
        let step = match self.rebalance.take() {
            None => match self.client.notes.next_rebalance() {
                Some(Rebalance::Assign(list)) => Step::Look { list, at: now() },
                Some(Rebalance::Revoke(list)) => self.revoke(list),
                None => return self.resume_doubted(),
            },
            Some(step) => step,
        };
        self.rebalance = match step {
            Step::Look { list, at } => self.ask(list, at),
            Step::Assign { list, reply } => self.begin(list, reply),
            Step::Revoke { list, reply, deadline } => self.let_go(list, reply, deadline),
        };
    }

    fn ask(&mut self, list: List, at: Instant) -> Option<Step> {
        if self.failed || self.shared.stop_asked() || list.is_empty() {
            self.assign(&list, &[]);
            return None;
        }
        if now() < at {
            return Some(Step::Look { list, at });
        }
        let failure = match topics::assignments(&self.client, &self.streams, &list) {
            Ok(partitions) => return Some(self.announce(list, partitions)),
            Err(failure) => failure,
        };
        if nature(failure.code) == Nature::Missing {
            // Just created, or deleted: after its grace `look_for_missing` tells.
            self.bear(&failure, Nature::Missing);
        }
        match request_error("new partitions", &failure) {
            SourceError::Unavailable(text) => {
                tracing::debug!("kafka: {text}");
                Some(Step::Look { list, at: now() + ASK_AGAIN })
            }
            other => {
                self.fail(other.to_string());
                self.assign(&list, &[]);
                None
            }
        }
    }

    fn announce(&mut self, list: List, partitions: Vec<Assignment>) -> Step {
        let (sender, reply) = oneshot::channel();
        // From here on the engine may commit them.
        self.shared.own(partitions.iter().map(|one| (one.partition.clone(), one.source.topic)));
        self.outlet.control(SourceEvent::Assigned { partitions, reply: sender });
        Step::Assign { list, reply }
    }

    fn begin(&mut self, list: List, mut reply: oneshot::Receiver<Vec<ReadFrom>>) -> Option<Step> {
        let from = match reply.try_recv() {
            Ok(from) => from,
            Err(TryRecvError::Empty) if !self.shared.stop_asked() && !self.failed => {
                return Some(Step::Assign { list, reply });
            }
            // Stopping, or the engine has gone: the partitions are held unread until they are revoked.
            Err(_) => Vec::new(),
        };
        self.assign(&list, &from);
        None
    }

    /// Begins to read where the engine said; partitions it did not name are held paused.
    pub(super) fn assign(&mut self, list: &List, from: &[ReadFrom]) {
        self.say_positions_anew();
        let (mut assigned, mut unread) = (List::new(), List::new());
        for element in list.elements() {
            let entry = assigned.add(&element.topic, element.partition);
            let named = |one: &&ReadFrom| {
                *one.partition.topic == *element.topic && one.partition.partition == element.partition
            };
            match from.iter().find(named) {
                Some(start) => {
                    let place = Place { next: start.offset.0, leader_epoch: start.leader_epoch.max(-1) };
                    entry.offset(place.next).leader_epoch(place.leader_epoch);
                    self.held.entry(start.partition.topic.clone()).or_default().insert(element.partition, place);
                }
                None => {
                    entry.offset(END);
                    unread.add(&element.topic, element.partition);
                }
            }
        }
        if let Err(failure) = self.client.assign(&assigned) {
            self.fail(format!("kafka: taking over partitions: {}: start again", failure.text));
        }
        self.client.pause(if self.paused { &assigned } else { &unread });
    }

    /// Nothing of these partitions is handed over any more; the engine hears it if it ever heard of them.
    fn revoke(&mut self, list: List) -> Step {
        let given_up: BTreeSet<TopicPartition> = self.shared.owned_of(list.elements());
        for one in &given_up {
            self.held.get_mut(&one.topic).map(|held| held.remove(&one.partition));
            self.doubted.forget(one);
        }
        self.outlet.forget(&given_up);
        let (sender, reply) = oneshot::channel();
        if !given_up.is_empty() {
            let (partitions, lost) = (given_up.into_iter().collect(), self.client.assignment_lost());
            self.outlet.control(SourceEvent::Revoked { partitions, lost, reply: sender });
        }
        // Where there was nothing to tell, the sender is dropped here, which counts as the answer.
        Step::Revoke { list, reply, deadline: now() + self.revoke_deadline }
    }

    fn let_go(&mut self, list: List, mut reply: oneshot::Receiver<()>, deadline: Instant) -> Option<Step> {
        match reply.try_recv() {
            Err(TryRecvError::Empty) if now() < deadline => return Some(Step::Revoke { list, reply, deadline }),
            Err(TryRecvError::Empty) => {
                tracing::warn!("partitions are given up before they were flushed: the deadline has passed")
            }
            Ok(()) | Err(TryRecvError::Closed) => {}
        }
        self.shared.disown(&self.shared.owned_of(list.elements()));
        self.say_positions_anew();
        // librdkafka would still hold them paused when they come back. (Now it holds them paused itself.)
        self.client.resume(&list);
        if let Err(failure) = self.client.unassign(&list) {
            self.fail(format!("kafka: giving partitions up: {}: start again", failure.text));
        }
        None
    }

    /// The group cannot be left in order: the partitions are gone as they are.
    pub(super) fn give_up_all(&mut self) {
        let partitions: Vec<_> = self.shared.disown_all();
        self.held.clear();
        self.outlet.forget_all();
        if !partitions.is_empty() {
            let (reply, _) = oneshot::channel();
            self.outlet.control(SourceEvent::Revoked { partitions, lost: true, reply });
        }
    }
}
