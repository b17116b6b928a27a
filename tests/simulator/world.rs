//! Everything that outlives an instance: the log, the group's coordinator, the store's replicas, the
//! network between them, and what is checked of all of it at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Range;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etiage::commit::Commit;
use etiage::reading::{Offset, SourceId, TopicId, TopicPartition};
use etiage::replay::starts::ReplayFrom;
use etiage::run::Stop;
use etiage::simulate::Random;
use etiage::source::{Committed, SourceEvent};
use etiage::store::GenerationRecord;
use etiage::window::Width;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::cells::{Names, REPLICAS, Replica, RowPlace, RowView, Write};
use crate::log::{self, Record};
use crate::meaning::{Meaning, STREAMS, TOPICS};
use crate::oracle::{Grouper, History, newest};
use crate::plan::{Plan, Weather};

/// The wall clock of all instances, µs at the beginning: one world at a time.
pub static WALL_US: AtomicI64 = AtomicI64::new(0);

/// Partitions of a topic, at most: those that may be added are drawn at the beginning.
const MOST: usize = 4;

pub struct Partition {
    /// Index into [`TOPICS`] and [`STREAMS`].
    pub topic: usize,
    pub name: TopicPartition,
    pub source: SourceId,
    /// False until it is added.
    pub exists: bool,
    pub records: Vec<Record>,
    /// How many of them have been sent.
    pub shown: usize,
    pub log_start: i64,
    /// As each of the groups has it.
    pub sides: [Side; 2],
    /// By view; `None` where the view does not take the stream.
    pub truth: Vec<Option<History>>,
    /// Up to which position of each view commits have been found true.
    pub checked: Vec<i64>,
    /// How far the generation that serves had committed when an instance asked last.
    pub asked: BTreeMap<u64, i64>,
    /// The first record that a row of the replayed view may hold.
    pub held_from: Option<i64>,
    /// Of each generation of the replayed view: the records of which the one that served had sent everything when a replayer
    /// came last.
    pub sent_before: BTreeMap<usize, Range<i64>>,
    /// What commits that lie in the store say of a view's generation: by both and the position, the maximum event time, ms.
    pub spilled: BTreeMap<(usize, u32, Offset), Option<i64>>,
}

/// The group that serves, and that of a replay.
pub const SERVING: usize = 0;
pub const REPLAY: usize = 1;

/// A partition as a consumer group has it.
#[derive(Clone, Debug, Default)]
pub struct Side {
    pub owner: Option<u64>,
    /// It is changing hands.
    pub moving: bool,
    pub committed: Option<Committed>,
    /// The furthest commit that was ever accepted.
    pub furthest: Option<Commit>,
    /// The latest clock watermark that was ever committed, ms.
    pub idle_ms: Option<i64>,
}

impl Partition {
    /// The offset after the last entry; the last two entries of a whole log are no records.
    pub fn log_end(&self) -> i64 {
        let last = self.records[..self.shown].last().map(|record| record.offset + 1);
        let tail = if self.shown == self.records.len() && self.shown > 0 { 2 } else { 0 };
        last.map_or(self.log_start, |end| (end + tail).max(self.log_start))
    }

    /// Whether a group reads it: that of a replay reads what feeds the replayed view.
    pub fn is_read_in(&self, side: usize) -> bool {
        self.exists && (side == SERVING || self.topic == 0)
    }

    pub fn committed_offset(&self, side: usize) -> i64 {
        self.sides[side].committed.as_ref().map_or(self.log_start, |committed| committed.offset.0)
    }
}

/// An instance as the world sees it.
pub struct Member {
    pub alive: bool,
    /// It takes no further partitions.
    pub leaving: bool,
    /// Nobody tells it anything any more.
    pub zombie: bool,
    pub paused_until: u64,
    pub events: Option<mpsc::Sender<SourceEvent>>,
    pub stop: watch::Sender<Stop>,
    /// Partitions that it reads, each with the number of that reading.
    pub reading: BTreeMap<usize, u64>,
    pub role: Role,
    /// What it asks of a replay.
    pub replay_from: ReplayFrom,
    /// Of which group it is a member.
    pub side: usize,
}

/// What an instance is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Run,
    UntilEnd,
    /// It lacks a view.
    Rogue,
    /// `etiage replay`
    Replay,
}

pub struct State {
    pub plan: Plan,
    /// Each view in each of the generations that are computed here.
    pub views: Vec<Meaning>,
    /// Their names and widths as the engine has them.
    pub known: Vec<(Arc<str>, Vec<Width>)>,
    pub random: Random,
    pub weather: Weather,
    pub names: Names,
    pub replicas: [Replica; REPLICAS],
    pub lost: Option<usize>,
    pub outage_until: u64,
    /// By arrival and number.
    deliveries: BTreeMap<(u64, u64), (usize, Write)>,
    sequence: u64,
    pub generations: Vec<GenerationRecord>,
    /// The group of the newest replay, and from when on it was begun.
    pub replay_group: String,
    pub begun_from: ReplayFrom,
    /// How many replays have taken over, and the rows that the last of them left as they are.
    pub takeovers: Takeovers,
    pub left: Vec<(usize, RowPlace, RowView)>,
    /// The counts that readers of the second view have seen, by table.
    pub shown: FxHashMap<(usize, RowPlace), i64>,
    /// After how many changes of rows.
    pub watched: u64,
    pub partitions: Vec<Partition>,
    pub sources: Vec<SourceId>,
    pub members: BTreeMap<u64, Member>,
    pub born: u64,
    /// What the outbox has acknowledged.
    pub sent: BTreeSet<String>,
    /// Revisions that their writers know to be on a quorum; forgotten when the power fails.
    pub acked: FxHashMap<(u32, u8), i64>,
    /// The parts that a merge has last read, by slot: source and timestamp.
    pub reads: FxHashMap<u32, Vec<(u8, i64)>>,
    /// Power cuts so far: what was acknowledged across one may be gone.
    pub cuts: u64,
    pub rows_seen: FxHashSet<(RowPlace, i64, i64)>,
    /// Of each view: the furthest least watermark that the commits of its partitions have ever had, ms.
    pub proven_ms: Vec<Option<i64>>,
    pub failure: Option<String>,
    pub history: Option<Vec<String>>,
    pub commits: u64,
    began: Instant,
}

/// How many replays have taken over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Takeovers {
    pub earliest: u64,
    /// From a time, or now.
    pub later: u64,
}

/// What is shared; everything runs on one thread.
pub struct World {
    state: Mutex<State>,
    pub began: Instant,
}

impl World {
    pub fn new(plan: &Plan, tell: bool) -> Arc<World> {
        let began = Instant::now();
        Arc::new(World { state: Mutex::new(State::new(plan, tell, began)), began })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// ms since the beginning.
    pub fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

impl State {
    fn new(plan: &Plan, tell: bool, began: Instant) -> State {
        let views = plan.variant.views().to_vec();
        let mut partitions = Vec::new();
        for (topic, initial) in plan.partitions.iter().enumerate().filter(|(topic, _)| *topic == 0 || plan.variant.both)
        {
            for number in 0..MOST {
                partitions.push(partition(plan, &views, topic, number, number < *initial));
            }
        }
        let sources = partitions.iter().map(|partition| partition.source).collect();
        let replica = || Replica::new(plan.sync_ms > 0);
        let mut state = State {
            plan: plan.clone(),
            known: views.iter().map(known).collect(),
            proven_ms: vec![None; views.len()],
            views,
            random: Random::new(plan.seed ^ 0x5eed),
            weather: plan.weather.clone(),
            names: Names::default(),
            replicas: std::array::from_fn(|_| replica()),
            lost: None,
            outage_until: 0,
            deliveries: BTreeMap::new(),
            sequence: 0,
            generations: Vec::new(),
            replay_group: String::new(),
            begun_from: ReplayFrom::Earliest,
            takeovers: Takeovers::default(),
            left: Vec::new(),
            shown: FxHashMap::default(),
            watched: 0,
            partitions,
            sources,
            members: BTreeMap::new(),
            born: 0,
            sent: BTreeSet::new(),
            acked: FxHashMap::default(),
            reads: FxHashMap::default(),
            cuts: 0,
            rows_seen: FxHashSet::default(),
            failure: None,
            history: tell.then(Vec::new),
            commits: 0,
            began,
        };
        state.show(0);
        state
    }

    pub fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// A line of the history, where somebody wants to read it.
    pub fn tell<T: Display>(&mut self, line: impl FnOnce() -> T) {
        let now = self.now();
        if let Some(history) = &mut self.history {
            history.push(format!("{:>7.3} s  {}", now as f64 / 1e3, line()));
        }
    }

    /// The records that have been sent, for people.
    pub fn show_logs(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for partition in self.partitions.iter().filter(|partition| partition.exists) {
            for record in &partition.records[..partition.shown] {
                let payload = record.payload.as_deref().map_or("nothing".into(), String::from_utf8_lossy);
                lines.push(format!(
                    "{}/{} at {} by {}: {payload}",
                    partition.name, record.offset, record.timestamp_ms, record.key
                ));
            }
        }
        lines
    }

    /// Something that must never be has been seen; the first one counts.
    pub fn fail(&mut self, what: impl Display) {
        self.tell(|| format!("FAILED: {what}"));
        self.failure.get_or_insert_with(|| what.to_string());
    }

    /// Records appear as time goes by.
    pub fn show(&mut self, now: u64) {
        let duration_ms = self.plan.duration_ms;
        for partition in self.partitions.iter_mut().filter(|partition| partition.exists) {
            let all = partition.records.len() as u64;
            let due = if now >= duration_ms { all } else { all * now / duration_ms };
            partition.shown = partition.shown.max(due as usize);
        }
    }

    pub fn partition(&self, name: &TopicPartition) -> Option<usize> {
        self.partitions.iter().position(|partition| partition.name == *name && partition.exists)
    }

    pub fn source(&self, source: SourceId) -> Option<usize> {
        self.sources.iter().position(|known| *known == source)
    }

    /// Index of a view in one of its generations.
    pub fn view(&self, name: &str, generation: u32) -> Option<usize> {
        self.views.iter().position(|view| view.name == name && view.generation == generation)
    }

    pub fn record(&self, view: usize) -> Option<&GenerationRecord> {
        let Meaning { name, generation, .. } = self.views[view];
        self.generations.iter().find(|record| record.view == name && record.generation == generation)
    }

    pub fn epoch_us(&self, view: usize) -> i64 {
        self.record(view).map_or(0, |record| record.epoch_us)
    }

    // ---- the network

    /// Sends a statement to every replica. When a quorum of acknowledgements is heard, ms; `None`: never.
    pub fn send(&mut self, write: Write) -> Option<u64> {
        let now = self.now();
        let mut heard = Vec::with_capacity(REPLICAS);
        for replica in 0..REPLICAS {
            heard.extend(self.send_to(replica, &write, now));
        }
        heard.sort_unstable();
        heard.get(1).copied()
    }

    fn send_to(&mut self, replica: usize, write: &Write, now: u64) -> Option<u64> {
        let Weather { lose, unheard, repeat, limbo, tear, delay_ms, .. } = self.weather;
        let way = |random: &mut Random| 1 + random.below(delay_ms as usize) as u64;
        if self.random.chance(lose) {
            return None;
        }
        let arrives = now + way(&mut self.random);
        let mut whole = arrives;
        match write {
            Write::Row { table, place, stamp, mask, cells } if self.random.chance(tear) => {
                let part = self.random.below(1 << 10) as u16 & mask;
                whole = arrives + way(&mut self.random);
                for (at, mask) in [(arrives, part), (whole, mask & !part)] {
                    let (table, place, stamp, cells) = (*table, *place, *stamp, cells.clone());
                    self.deliver_at(at, replica, Write::Row { table, place, stamp, mask, cells });
                }
            }
            _ if self.random.chance(limbo) => {
                let late = arrives + self.random.below(20_000) as u64;
                self.deliver_at(late, replica, write.clone());
                return None;
            }
            _ => self.deliver_at(arrives, replica, write.clone()),
        }
        if self.random.chance(repeat) {
            let again = whole + self.random.below(5_000) as u64;
            self.deliver_at(again, replica, write.clone());
        }
        let heard = whole + way(&mut self.random);
        (self.lost != Some(replica) && !self.random.chance(unheard)).then_some(heard)
    }

    fn deliver_at(&mut self, at: u64, replica: usize, write: Write) {
        self.sequence += 1;
        self.deliveries.insert((at, self.sequence), (replica, write));
    }

    /// Applies what has arrived by now.
    pub fn advance(&mut self) {
        let now = self.now();
        self.deliver_until(now);
    }

    /// Everything that is still on its way arrives.
    pub fn deliver_all(&mut self) {
        self.deliver_until(u64::MAX);
    }

    fn deliver_until(&mut self, now: u64) {
        while let Some(entry) = self.deliveries.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), (replica, write)) = entry.remove_entry();
            if self.lost != Some(replica) {
                self.replicas[replica].apply(&write, at, &self.names);
            }
        }
    }

    /// Two replicas that answer.
    pub fn quorum(&mut self) -> [usize; 2] {
        let left_out = self.lost.unwrap_or_else(|| self.random.below(REPLICAS));
        let turned = self.random.chance(0.5);
        let pair = others(left_out);
        if turned { [pair[1], pair[0]] } else { pair }
    }

    /// Every two that may have to answer together.
    pub fn quorums(&self) -> Vec<[usize; 2]> {
        match self.lost {
            Some(lost) => vec![others(lost)],
            None => (0..REPLICAS).map(others).collect(),
        }
    }
}

fn others(left_out: usize) -> [usize; 2] {
    [(left_out + 1) % REPLICAS, (left_out + 2) % REPLICAS]
}

pub fn known(view: &Meaning) -> (Arc<str>, Vec<Width>) {
    (view.name.into(), view.widths.iter().map(|width| width.parse().expect("a width")).collect())
}

fn partition(plan: &Plan, views: &[Meaning], topic: usize, number: usize, exists: bool) -> Partition {
    let name = TopicPartition { topic: Arc::from(TOPICS[topic]), partition: number as i32 };
    let mut random = Random::of(plan.seed, (topic * MOST + number) as u32);
    let first = if exists && random.chance(0.3) { random.below(20) as i64 } else { 0 };
    let length = random.below(plan.records + 1);
    let records = log::draw(random.bits(), topic, length, first, &plan.variant);
    let log_start = if exists { first } else { 0 };
    let history = |view: usize| {
        let from = start_of(plan, view, &records, log_start, exists);
        let before = records.iter().filter(|record| record.offset < from);
        let grouper = Grouper {
            meaning: &views[view],
            partition: &name.to_string(),
            out_of_orderness_ms: plan.variant.out_of_orderness_ms(),
            tenants: plan.variant.tenants,
            from,
            before_ms: before.filter_map(newest).max(),
        };
        views[view].streams.contains(&topic).then(|| grouper.group(&records))
    };
    let truth: Vec<Option<History>> = (0..views.len()).map(history).collect();
    // A generation that starts within the log starts where the log was.
    let shown = match &truth[1] {
        Some(_) if plan.variant.from > 0 && exists => records.len().min(usize::from(plan.variant.from) + 1),
        _ => 0,
    };
    let source = SourceId { topic: TopicId([topic as u8 + 1; 16]), partition: number as i32 };
    Partition {
        topic,
        name,
        source,
        exists,
        records,
        shown,
        log_start,
        sides: Default::default(),
        asked: BTreeMap::new(),
        held_from: None,
        sent_before: BTreeMap::new(),
        spilled: BTreeMap::new(),
        checked: vec![0; truth.len()],
        truth,
    }
}

/// Where a view's generation begins in a partition.
pub fn start_of(plan: &Plan, view: usize, records: &[Record], log_start: i64, there: bool) -> i64 {
    let later = view == 1 && plan.variant.from > 0 && there;
    let from = records.get(usize::from(plan.variant.from)).or(records.last()).filter(|_| later);
    from.map_or(log_start, |record| record.offset)
}

/// A stream's name.
pub fn stream_of(partition: &Partition) -> Arc<str> {
    Arc::from(STREAMS[partition.topic])
}
