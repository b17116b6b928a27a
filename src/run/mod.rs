//! The loop: poll → partition → parts → rows → commit. The only place that awaits in the main
//! path; every decision is made in the pure core and carried out here.
//!
//! One task owns all partitions of this instance. Beside it: threads that decode, reads of parts
//! that a batch needs, the closing sweep, and one at a time of flushes, of parcels of outgoing readings
//! and of commits. Nothing of these holds up the folding of other partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};

use crate::bytes::DecodeError;
use crate::clock::Clock;
use crate::keys::Keyed;
use crate::partition::VerdictKind;
use crate::reading::{Offset, SourceId, TopicPartition};
use crate::source::{Outbox, Source, SourceError, SourceEvent};
use crate::start::Refusal;
use crate::store::{Store, StoreError};
use crate::telemetry::Health;
use crate::view::View;

pub mod assign;
mod backoff;
pub mod beating;
pub mod closer;
mod commits;
mod cycle;
pub mod decoding;
mod draining;
mod ends;
mod flushing;
mod folding;
mod generations;
mod owned;
pub mod pace;
pub mod progress;
mod read_back;
pub mod replay;
mod sending;
mod sizing;
mod stopping;
pub mod stream;
mod until_end;

use backoff::Backoff;
use cycle::{CycleError, Share, Written};
use decoding::{DecodePool, Outcome};
use draining::Draining;
use owned::Owned;
use pace::Pace;
use read_back::ReadBack;
use sending::Sent;
use sizing::Sizing;
use stream::StreamRun;

/// What the loop and the tasks beside it share.
#[derive(Clone)]
pub struct World {
    pub store: Arc<dyn Store>,
    pub source: Arc<dyn Source>,
    pub outbox: Arc<dyn Outbox>,
    pub clock: Clock,
    pub health: Arc<Health>,
    /// The views that this instance folds, each in the generation that serves (or that is being replayed).
    pub views: Vec<Arc<View>>,
    pub streams: BTreeMap<Arc<str>, Arc<StreamRun>>,
    pub sent_before: SentBefore,
    pub settings: Settings,
}

/// Of a replay: what has been sent before. What is rejected or late after it goes out (again), as the group that serves
/// may never come to it.
#[derive(Clone, Default)]
pub struct SentBefore {
    /// Where that group stood in each partition when this instance came.
    pub positions: BTreeMap<SourceId, Offset>,
    /// Those that serve, and from where on in each partition. What another one rejects, or what they have left out, has
    /// never been sent.
    pub views: BTreeMap<Arc<str>, BTreeMap<SourceId, Offset>>,
}

impl SentBefore {
    fn position(&self, source: SourceId) -> Offset {
        self.positions.get(&source).copied().unwrap_or_default()
    }

    /// Whether what a view says of a record has gone out.
    fn has(&self, view: &str, source: SourceId, record: Offset) -> bool {
        let from = self.views.get(view).map(|starts| starts.get(&source).copied().unwrap_or_default());
        from.is_some_and(|from| (from..self.position(source)).contains(&record))
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// Between the two writes that make a record durable, ms; 0: one write is enough.
    pub commit_lag_ms: u64,
    pub commit_every_ms: u64,
    /// Bytes of parts in memory.
    pub parts_bytes: usize,
    pub stop_deadline_ms: u64,
    /// 0: the loop decodes by itself.
    pub decode_threads: usize,
    /// Rejected and late readings carry their text.
    pub payload: bool,
    /// Stop at the ends that the partitions have when they are assigned.
    pub until_end: bool,
    /// The views' generations are being replayed: parts only, no rows.
    pub replaying: bool,
    pub pace: Pace,
}

/// How to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    #[default]
    Running,
    /// Flush, commit what is durable, leave the group.
    Gracefully,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Cycle(#[from] CycleError),
    #[error(
        "the part of {source_id} in {slot} is corrupted: {error}. Its window can be built again with \
         `etiage replay --from earliest`"
    )]
    CorruptPart { slot: String, source_id: String, error: DecodeError },
    #[error(
        "a part says that {partition} was folded up to offset {next}, but its log ends at {end}: the log was truncated \
         or the store belongs to another cluster. Compute what is left with `etiage replay --from earliest --forget-history` \
         (where a replay is under way: `--abort` first)"
    )]
    PartBeyondLog { partition: TopicPartition, next: Offset, end: Offset },
    #[error(
        "view {0} is live in the store but not in this configuration: add it, or remove it for good with \
         `etiage retire {0}`. Nothing was committed past its records"
    )]
    ViewMissing(String),
    #[error("stream {0} is not in this configuration")]
    UnknownStream(Arc<str>),
    #[error("the source ended by itself")]
    SourceGone,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("a task of the engine ended by itself: {0}")]
    Task(#[from] JoinError),
    #[error("decoding broke off: {0}. This is a fault of the program; please report it with the records of that batch")]
    DecoderGone(String),
    #[error(
        "batch {number} of {partition} came where batch {wanted} should. This is a fault of the program, please report it; nothing \
         was folded out of order, and a restart goes on where this stopped"
    )]
    OutOfOrder { partition: TopicPartition, number: u64, wanted: u64 },
    #[error(
        "generation {generation} of view {view} is no longer the live one in the store: it was replaced, or the store has \
         lost it. Start again; nothing was committed since"
    )]
    GenerationGone { view: String, generation: u32 },
    #[error("generation {generation} of view {view} is no longer being replayed: it has taken over")]
    TakenOver { view: String, generation: u32 },
    #[error("view {0} is replayed in the same group, and this process does not fold it: start again")]
    NotTheWholeReplay(String),
    #[error(
        "generation {other} of view {view} was begun beside the replay (generation {generation}), and its rows lie above those that \
         the replay would write: give it up with `etiage replay --abort --view {view}`, and begin again"
    )]
    BegunBeside { view: String, generation: u32, other: u32 },
    #[error("the replay of view {view} (generation {generation}) was aborted")]
    Aborted { view: String, generation: u32 },
}

type Read = Result<ReadBack, RunError>;
type Flushed = (Vec<Share>, Result<Written, RunError>);

pub struct Engine {
    world: Arc<World>,
    owned: BTreeMap<TopicPartition, Owned>,
    ownerships: u64,
    pool: DecodePool,
    decoded: UnboundedReceiver<Outcome>,
    /// Tasks of their own: they go on while the loop waits for the store itself.
    reads: FuturesUnordered<JoinHandle<Read>>,
    /// At most one of each is under way.
    flushing: Option<JoinHandle<Flushed>>,
    sending: Option<JoinHandle<Sent>>,
    committing: Option<JoinHandle<commits::Done>>,
    flush_backoff: Backoff,
    send_backoff: Backoff,
    /// Parts a flush may write at most; adapts to what the store takes.
    flush_size: Sizing,
    flush_turn: usize,
    /// The latest time, wall clock ms, at which somebody whose clock is ahead of ours wrote over a spill of ours.
    spills_after_ms: Option<i64>,
    /// Which of our views are about to be taken over by their next generation.
    draining: Draining,
    /// Where the logs end.
    ends: ends::Ends,
    /// Which views' closing sweep is ours.
    closing: watch::Sender<BTreeSet<usize>>,
    /// What the heartbeats say.
    beats: watch::Sender<Vec<beating::Beat>>,
    progress: progress::Progress,
    until_end: Option<until_end::UntilEnd>,
}

impl Engine {
    pub fn new(world: World) -> Result<Engine, RunError> {
        let (pool, decoded) = DecodePool::start(world.settings.decode_threads)?;
        let progress = progress::Progress::new(world.clock, &world.settings);
        let until_end = world.settings.until_end.then(until_end::UntilEnd::default);
        Ok(Engine {
            world: Arc::new(world),
            owned: BTreeMap::new(),
            ownerships: 0,
            pool,
            decoded,
            reads: FuturesUnordered::new(),
            flushing: None,
            sending: None,
            committing: None,
            flush_backoff: Backoff::default(),
            send_backoff: Backoff::default(),
            flush_size: Sizing::default(),
            flush_turn: 0,
            spills_after_ms: None,
            draining: Draining::default(),
            ends: ends::Ends::default(),
            closing: watch::channel(BTreeSet::new()).0,
            beats: watch::channel(Vec::new()).0,
            progress,
            until_end,
        })
    }

    /// Runs until told to stop, until the end with `until_end`, or until an error that trying
    /// again cannot cure.
    pub async fn run(
        mut self,
        mut events: Receiver<SourceEvent>,
        mut stop: watch::Receiver<Stop>,
    ) -> Result<progress::Summary, RunError> {
        let closer = tokio::spawn(closer::run(self.world.clone(), self.closing.subscribe()));
        let beating = tokio::spawn(beating::run(self.world.clone(), self.beats.subscribe()));
        let watching = tokio::spawn(self.draining.watch(self.world.clone()));
        let ends = tokio::spawn(self.ends.watch(self.world.clone()));
        let outcome = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop != Stop::Running) => Ok(()),
            outcome = self.walk(&mut events) => outcome,
        };
        closer.abort();
        beating.abort();
        watching.abort();
        ends.abort();
        self.stop(events, outcome).await
    }

    async fn walk(&mut self, events: &mut Receiver<SourceEvent>) -> Result<(), RunError> {
        let mut tick = tokio::time::interval(self.world.settings.pace.tick);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // What has come nearer to its end goes first: new batches wait until the others are through.
            tokio::select! {
                biased;
                flushed = pending(&mut self.flushing) => self.on_flushed(flushed?)?,
                sent = pending(&mut self.sending) => self.on_sent(sent?)?,
                done = pending(&mut self.committing) => self.on_committed(done?)?,
                _ = tick.tick() => {
                    if self.on_tick().await? {
                        return Ok(());
                    }
                    // However long that took, the others have their turn before the next.
                    tick.reset();
                }
                Some(read) = self.reads.next(), if !self.reads.is_empty() => self.on_read(read??)?,
                Some(decoded) = self.decoded.recv() => self.on_decoded(decoded)?,
                event = events.recv() => self.on_event(event.ok_or(RunError::SourceGone)?).await?,
            }
        }
    }

    async fn on_event(&mut self, event: SourceEvent) -> Result<(), RunError> {
        match event {
            SourceEvent::Joined => self.ready_again(),
            SourceEvent::Batch { partition, raw, permit } => self.take_in(partition, raw, permit)?,
            SourceEvent::End { partition, position } => self.on_end(&partition, position),
            SourceEvent::Assigned { partitions, reply } => {
                let answer = self.assigned(partitions).await?;
                self.ready_again();
                self.claim_closing();
                // A source that has gone says so by closing the channel.
                let _ = reply.send(answer);
            }
            SourceEvent::Revoked { partitions, lost, reply } => {
                self.revoked(&partitions, lost).await?;
                self.claim_closing();
                if self.owned.is_empty() {
                    // What could not be written or sent is their next owners' now.
                    self.flush_backoff.ended();
                    self.send_backoff.ended();
                    self.ready_again();
                }
                let _ = reply.send(());
            }
            SourceEvent::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Looks at everything that is due; true when a run until the end is over.
    async fn on_tick(&mut self) -> Result<bool, RunError> {
        self.heed_generations()?;
        // Parts that fill the memory leave it once they are written; nothing is folded until then.
        let force = !self.has_room() || self.drains() || self.draining.hurry || self.is_last_flush_due();
        self.begin_flush(force);
        self.begin_send();
        self.begin_commit();
        self.evict();
        self.fold_waiting()?;
        self.report();
        self.check_ends().await
    }

    /// The owner of partition 0 of a view's first topic by name sweeps it.
    fn claim_closing(&self) {
        if self.world.settings.replaying {
            return;
        }
        // While a generation is promoting, who publishes its rows marks them.
        let is_ours = |view: &View| self.owns_first_partition(view) && !self.draining.promoting.contains(&view.name);
        let views = self.world.views.iter().enumerate();
        let ours = views.filter(|(_, view)| is_ours(view)).map(|(number, _)| number).collect();
        self.closing.send_replace(ours);
    }

    fn owned_partitions(&self) -> Vec<TopicPartition> {
        self.owned.keys().cloned().collect()
    }

    fn owns_first_partition(&self, view: &View) -> bool {
        let first = self.world.first_topic(view);
        self.owned.keys().any(|owned| owned.partition == 0 && Some(&*owned.topic) == first)
    }

    fn stream(&self, name: &Arc<str>) -> Result<Arc<StreamRun>, RunError> {
        self.world.streams.get(name).cloned().ok_or_else(|| RunError::UnknownStream(name.clone()))
    }

    /// Rejected readings of a batch, and those that the views did not take, on their way out.
    fn send_out(&mut self, partition: &TopicPartition, keyed: &Keyed, verdicts: &[crate::partition::Verdict]) {
        let Some(owned) = self.owned.get_mut(partition) else { return };
        let (sent_before, source) = (&self.world.sent_before, owned.core.source());
        let position = sent_before.position(source);
        let (name, batch) = (owned.stream.name.clone(), &keyed.batch);
        let sender = crate::outgoing::Sender::new(partition, &name, self.world.settings.payload, batch);
        for rejection in batch.rejections.iter().filter(|rejection| rejection.offset >= position) {
            owned.core.enqueue(rejection.offset, sender.rejected(rejection));
        }
        for verdict in verdicts {
            let view = &owned.stream.feeds[verdict.view].view;
            if sent_before.has(&view.name, source, verdict.record) {
                continue;
            }
            let row = verdict.row as usize;
            let outgoing = match verdict.kind {
                VerdictKind::Outside => sender.outside(verdict.record, row, &view.name),
                VerdictKind::Unkeyed => sender.unkeyed(verdict.record, row, view),
                VerdictKind::Late => {
                    let width = view.widths[verdict.grain].to_string();
                    sender.late(verdict.record, row, &view.name, &width)
                }
                // Whoever asks for a replay is told; nothing is lost that its row does not hold.
                VerdictKind::BeforeHistory => continue,
            };
            owned.core.enqueue(verdict.record, outgoing);
        }
    }
}

impl World {
    fn first_topic(&self, view: &View) -> Option<&str> {
        let feeding =
            self.streams.values().filter(|stream| stream.feeds.iter().any(|feed| *feed.view.name == *view.name));
        feeding.flat_map(|stream| &stream.topics).map(|topic| &**topic).min()
    }

    /// Measures a store operation.
    async fn timed<T>(
        &self,
        operation: &'static str,
        future: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let since = self.clock.now();
        let outcome = future.await;
        progress::store_operation(operation, self.clock.now() - since, outcome.is_err());
        outcome
    }
}

/// Waits for what is under way, for ever where nothing is; takes it out when it is done.
async fn pending<T>(slot: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match slot {
        Some(future) => {
            let done = future.await;
            *slot = None;
            done
        }
        None => std::future::pending().await,
    }
}
