//! A little world around the core: instances that crash at any step and come back from the
//! committed metadata, zombies that go on writing and committing, a network and a store that do
//! their worst. Whatever happened, at rest every part, row and tally equals the oracle's.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::commit::{Commit, Metadata};
use crate::partition::Partition;
use crate::reading::{Offset, TopicPartition};
use crate::simulate::Random;
use crate::source::{Assignment, Committed};
use crate::start::{self, Feed};
use crate::store::{GenerationRecord, GenerationState, PositionKind, Start};
use crate::view::View;

use super::log::{self, Entry, Meaning};
use instance::{Instance, Message};
use store::Store;

mod check;
mod faults;
mod instance;
mod store;

/// What may go wrong.
#[derive(Clone, Debug)]
pub struct Weather {
    pub lag: u64,
    /// A copy of the store is lost.
    pub loss: f64,
    /// Power cuts that forget this much, ms.
    pub cuts: Option<u64>,
    /// Chance of each, per step or per message.
    pub drop: f64,
    pub repeat: f64,
    pub crash: f64,
    pub fail: f64,
    /// A zombie's commit replaces a newer one.
    pub regress: f64,
    pub metadata_limit: usize,
    pub flush_limit: usize,
    pub steps: usize,
    /// Most ms that a step takes.
    pub pace: usize,
}

pub struct World {
    random: Random,
    weather: Weather,
    now: u64,
    logs: Vec<Vec<Entry>>,
    meanings: Vec<Meaning>,
    views: Vec<Arc<View>>,
    feeds: Vec<Feed>,
    out_of_orderness_ms: i64,
    store: Store,
    limbo: Vec<Message>,
    instances: Vec<Instance>,
    born: u64,
    /// What the group has on record, and the furthest that it ever had.
    group: Vec<Option<Committed>>,
    furthest: Vec<Option<Commit>>,
    sent: BTreeSet<String>,
    last_cut: u64,
}

impl World {
    pub fn new(seed: u64, weather: Weather, meanings: Vec<Meaning>, out_of_orderness_ms: i64, length: usize) -> World {
        let mut random = Random::new(seed ^ 0x5eed);
        let partitions = 1 + random.below(3);
        let logs: Vec<Vec<Entry>> =
            (0..partitions).map(|number| log::log(seed + number as u64, random.below(length + 1))).collect();
        World {
            random,
            now: 1_000,
            views: meanings.iter().map(Meaning::view).collect(),
            feeds: meanings.iter().map(|meaning| feed(meaning, &logs)).collect(),
            logs,
            meanings,
            weather,
            out_of_orderness_ms,
            store: Store::default(),
            limbo: Vec::new(),
            instances: Vec::new(),
            born: 0,
            group: vec![None; partitions],
            furthest: vec![None; partitions],
            sent: BTreeSet::new(),
            last_cut: 0,
        }
    }

    /// Bad weather, then one owner that runs to the end, then whatever was still on its way.
    pub fn run(mut self) {
        for _ in 0..self.weather.steps {
            self.step();
        }
        self.weather =
            Weather { drop: 0.0, crash: 0.0, fail: 0.0, regress: 0.0, loss: 0.0, cuts: None, pace: 2, ..self.weather };
        self.instances.clear();
        self.assign((0..self.logs.len()).collect());
        self.settle();
        while !self.limbo.is_empty() {
            self.deliver();
        }
        self.assert_at_rest();
    }

    fn settle(&mut self) {
        let mut steps = 0;
        while !self.is_at_rest() {
            steps += 1;
            assert!(steps < 200_000, "it never comes to rest");
            self.step();
        }
    }

    fn is_at_rest(&self) -> bool {
        let mut owned = self.instances[0].owned.values();
        owned.all(|owned| owned.core.position().0 >= self.end(owned.partition) && owned.core.at_rest())
    }

    /// The log ends after two entries that are no records, and at or after every view's start.
    fn end(&self, partition: usize) -> i64 {
        let starts = self.meanings.iter().map(|meaning| meaning.from);
        starts.max().unwrap_or(0).max(log::end(&self.logs[partition]).0 + 2)
    }

    fn assign(&mut self, partitions: Vec<usize>) {
        let cores = partitions.into_iter().map(|partition| (partition, self.take_over(partition))).collect();
        self.born += 1;
        self.instances.push(Instance::new(self.born, self.weather.lag, cores));
    }

    /// A new ownership, as the loop begins it.
    fn take_over(&self, partition: usize) -> Partition {
        let source = log::source(partition as i32);
        let assignment = Assignment {
            partition: TopicPartition { topic: "topic".into(), partition: partition as i32 },
            source,
            stream: "stream".into(),
            log_start: Offset(0),
            log_end: Offset(self.end(partition)),
            committed: self.group[partition].clone(),
        };
        let head = assignment.committed.as_ref().map(|committed| Commit::decode(&committed.metadata));
        let spilled = match head {
            Some(Ok(Metadata::Spilled(head))) => self.store.position(source, PositionKind::Spill, Some(&head)),
            _ => None,
        };
        let commit = start::committed(&assignment, spilled).expect("a commit proves itself");
        let kept = self.store.kept(source);
        let plan = start::plan(&assignment, commit.as_ref(), &kept, &self.feeds).expect("it is safe to go on");
        Partition::new(source, self.out_of_orderness_ms, plan.leader_epoch, plan.starts, plan.kept)
    }

    fn step(&mut self) {
        self.now += self.random.below(self.weather.pace) as u64;
        self.cut(0.02);
        self.lose();
        if self.random.chance(self.weather.crash) || self.instances.is_empty() {
            self.rebalance();
        }
        match self.random.below(12) {
            0..5 => self.deliver(),
            5..7 => self.fold(),
            7..9 => self.flush(),
            9 => self.commit(),
            10 => self.commit_arrives(),
            _ => self.evict(),
        }
    }

    fn any(&mut self) -> usize {
        self.random.below(self.instances.len())
    }

    fn fold(&mut self) {
        let (instance, count) = (self.any(), 1 + self.random.below(8));
        let ends: Vec<i64> = (0..self.logs.len()).map(|partition| self.end(partition)).collect();
        for owned in self.instances[instance].owned.values_mut() {
            owned.fold(&self.logs[owned.partition], ends[owned.partition], count, &self.store, self.now);
        }
    }

    fn flush(&mut self) {
        let at = self.any();
        if self.random.chance(self.weather.fail) {
            self.instances[at].fail_flush();
            return;
        }
        let limit = 1 + self.random.below(self.weather.flush_limit);
        let instance = &mut self.instances[at];
        self.sent.extend(instance.outgoing().iter().map(|outgoing| outgoing.key.clone()));
        let writes = instance.flush(&self.store, &self.views, limit, self.now);
        let (number, flush) = (instance.number, instance.phase_number());
        self.send(number, flush, writes);
    }

    fn commit(&mut self) {
        let at = self.any();
        let (limit, newest) = (self.weather.metadata_limit, at + 1 == self.instances.len());
        let mut made = Vec::new();
        for owned in self.instances[at].owned.values_mut() {
            if let Some((commit, metadata)) = owned.begin_commit(limit) {
                made.push((owned.partition, commit, metadata));
            }
        }
        for (partition, commit, metadata) in made {
            self.assert_commit_is_true(partition, &commit, &metadata);
            let known = self.group[partition].as_ref().map_or(Offset(0), |committed| committed.offset);
            let accepted = newest || self.random.chance(self.weather.regress) || commit.position >= known;
            if accepted {
                self.group[partition] = Some(Committed { offset: commit.position, metadata });
            }
            if self.furthest[partition].as_ref().is_none_or(|furthest| furthest.position < commit.position) {
                self.furthest[partition] = Some(commit);
            }
            self.cut(0.3);
        }
    }

    /// The answers to commits, good or bad.
    fn commit_arrives(&mut self) {
        let at = self.any();
        let fail = self.weather.fail;
        for owned in self.instances[at].owned.values_mut() {
            let acked = !self.random.chance(fail);
            owned.commit_done(acked);
        }
    }

    fn evict(&mut self) {
        let at = self.any();
        let untouched_since = self.now.saturating_sub(self.random.below(200) as u64);
        for owned in self.instances[at].owned.values_mut() {
            owned.core.evict(untouched_since);
        }
    }
}

fn feed(meaning: &Meaning, logs: &[Vec<Entry>]) -> Feed {
    let start = |log: &Vec<Entry>| Start { offset: Offset(meaning.from), max_ms: log::max_below(log, meaning.from) };
    let starts = logs.iter().enumerate().map(|(number, log)| (log::source(number as i32), start(log)));
    let generation = GenerationRecord {
        view: meaning.name.to_owned(),
        generation: 1,
        epoch_us: log::EPOCH_US,
        state: GenerationState::Live,
        fingerprint: String::new(),
        meaning: String::new(),
        group: String::new(),
        starts: starts.collect(),
    };
    Feed { view: meaning.view(), columns: meaning.columns(), generation: Arc::new(generation) }
}
