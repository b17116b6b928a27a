//! A replay's way to the front: it catches up, the serving generation drains, the replayed one is promoted, and every
//! row is published once from the new parts. Where it stands is in the store: any process of the replay takes
//! these steps, one at a time, and goes on with them after a crash.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::sync::{oneshot, watch};

use crate::commit::Commit;
use crate::reading::{Offset, SourceId};
use crate::replay::difference::Differences;
use crate::replay::plan::last_stamp;
use crate::replay::progress::{Progress, caught_up, first_starts, may_promote};
use crate::source::{GroupPosition, Source, SourceEvent};
use crate::start::Feed;
use crate::store::{GenerationChange, GenerationRecord, GenerationState, PositionKind, Start};

use super::closer::Commits;
use super::generations::record_of;
use super::stream::StreamRun;
use super::until_end::passes;
use super::{Engine, RunError, Stop, World, closer};

pub mod compare;
mod heard;
mod keep;
mod sweep;

pub use keep::keep_positions;

/// The serving generation pauses for so many commit lags, where a slow commit needs it.
const DRAIN_LAGS: u64 = 4;
/// Drained positions looked at: those of earlier drainings lie lower.
const DRAINED_LOOKED_AT: usize = 100;

/// What came of a replay.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Windows published by this process.
    pub slots: usize,
    /// What has changed for those who read the rows, as far as this process has seen it before they were published.
    pub differences: Option<Differences>,
}

/// Answers questions about files that are folded beside the topics, once they are: how far they are is told, too.
pub type Beside = Arc<OnceLock<Arc<dyn Source>>>;

pub struct Leader {
    /// Its source answers questions about the replay's group.
    world: World,
    /// Answers questions about the group that serves.
    serving: Arc<dyn Source>,
    beside: Beside,
    /// An instance that has said nothing for this long has gone: three heartbeats, unless all are on one machine.
    patience_ms: u64,
    /// What the owner of each partition said last, by group: when by its clock, and since when by ours it has said
    /// nothing new. Clocks of several machines are not compared.
    heard: BTreeMap<(String, SourceId), (i64, u64)>,
    /// The rows are published from here on: by the process that has promoted, and by any that finds it promoted when it
    /// comes, at once.
    sweep_from: u64,
    told_at: u64,
    drain_not_before: u64,
    /// Compares, and does not take over.
    dry_run: bool,
    outcome: Outcome,
    /// Where partitions ended that nobody owned when this draining began: whoever owned them before came no further.
    ends: BTreeMap<SourceId, Offset>,
    /// That draining, by its deadline, and when this process saw it first (monotonic ms).
    draining: (i64, u64),
}

enum Stage {
    Replaying,
    Promoting,
    Over,
}

impl Leader {
    pub fn new(world: World, serving: Arc<dyn Source>, patience: Duration) -> Leader {
        Leader {
            world,
            serving,
            beside: Beside::default(),
            patience_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            heard: BTreeMap::new(),
            sweep_from: 0,
            told_at: 0,
            drain_not_before: 0,
            dry_run: false,
            outcome: Outcome::default(),
            ends: BTreeMap::new(),
            draining: (0, 0),
        }
    }

    /// It only says what would change.
    pub fn dry(self) -> Leader {
        Leader { dry_run: true, ..self }
    }

    pub fn beside(&self) -> Beside {
        self.beside.clone()
    }

    /// Returns when the replayed generations serve; of a dry run, when they could.
    pub async fn lead(mut self) -> Result<Outcome, RunError> {
        loop {
            match self.step().await {
                Ok(true) => return Ok(self.outcome),
                Ok(false) => {}
                Err(error) if passes(&error) => tracing::warn!(%error, "the replay waits"),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(self.world.settings.pace.lead_every).await;
        }
    }

    /// Tells how far it is until the history is folded, and leads then. `None`: it will not be folded here.
    async fn lead_after(mut self, mut folded: oneshot::Receiver<()>) -> Result<Option<Outcome>, RunError> {
        loop {
            tokio::select! {
                biased;
                told = &mut folded => match told {
                    Ok(()) => return self.lead().await.map(Some),
                    Err(_) => return Ok(None),
                },
                () = tokio::time::sleep(self.world.settings.pace.lead_every) => {}
            }
            // Where another process promotes meanwhile, it publishes.
            self.sweep_from = self.world.clock.now() + self.world.settings.pace.publish_after_ms;
            match self.progress_of_all().await {
                Ok(progress) => self.tell(&progress),
                Err(error) => tracing::warn!(%error, "how far the replay is cannot be told"),
            }
        }
    }

    /// The same while an engine folds: it goes on until the replay is over, or has been asked to stop (`None`).
    pub async fn lead_beside(
        self,
        engine: Engine,
        events: Receiver<SourceEvent>,
        mut stop: watch::Receiver<Stop>,
        history: oneshot::Receiver<()>,
    ) -> Result<Option<Outcome>, RunError> {
        let (end, ended) = watch::channel(Stop::Running);
        let (mut engine, mut leader) =
            (std::pin::pin!(engine.run(events, ended)), std::pin::pin!(self.lead_after(history)));
        let mut folding = true;
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut engine, if folding => match outcome {
                    // Nothing is left to fold; the rows are still to be published.
                    Err(RunError::TakenOver { .. }) => folding = false,
                    outcome => return outcome.map(|_| None),
                },
                outcome = &mut leader => break outcome?,
                _ = stop.wait_for(|stop| *stop != Stop::Running) => {
                    tracing::info!("stopping: the same command goes on with the replay");
                    break None;
                }
            }
        };
        if folding {
            end.send_replace(Stop::Gracefully);
            match engine.await {
                Ok(_) | Err(RunError::TakenOver { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(outcome)
    }

    /// True when it is over.
    async fn step(&mut self) -> Result<bool, RunError> {
        let records = self.world.store.generations().await?;
        match self.stage(&records)? {
            Stage::Over => return Ok(true),
            Stage::Promoting if self.world.clock.now() >= self.sweep_from => {
                self.outcome.slots = sweep::all(&self.world, &records).await?
            }
            Stage::Promoting => {}
            Stage::Replaying if self.dry_run => return self.come_to_the_end().await,
            Stage::Replaying => {
                self.sweep_from = self.world.clock.now() + self.world.settings.pace.publish_after_ms;
                self.come_closer(&records).await?;
            }
        }
        Ok(false)
    }

    /// Of a dry run: true when everything is there that was there when it had caught up, and compared.
    async fn come_to_the_end(&mut self) -> Result<bool, RunError> {
        let progress = self.progress().await?;
        self.tell(&progress);
        if !caught_up(&progress) {
            return Ok(false);
        }
        let required = self.ends_of(progress);
        let committed = self.positions(&closer::committed(&self.world).await?);
        if !may_promote(&required, &committed, &self.starts()) {
            return Ok(false);
        }
        self.compare().await?;
        Ok(true)
    }

    /// What was there of each partition when it was first asked.
    fn ends_of(&mut self, progress: BTreeMap<SourceId, Option<Progress>>) -> BTreeMap<SourceId, Option<Offset>> {
        let mut end = |source, progress: Progress| *self.ends.entry(source).or_insert(progress.log_end);
        progress
            .into_iter()
            .map(|(source, progress)| (source, progress.map(|progress| end(source, progress))))
            .collect()
    }

    async fn compare(&mut self) -> Result<(), RunError> {
        let mut all = Differences::default();
        for view in &self.world.views {
            tracing::info!(view = %view.name, "comparing the rows that serve with those of the new generation");
            all.extend(compare::differences(&*self.world.store, view).await?);
        }
        self.outcome.differences = Some(all);
        Ok(())
    }

    fn stage(&self, records: &[GenerationRecord]) -> Result<Stage, RunError> {
        let (mut stage, mut is_replaying, mut serving) = (Stage::Over, false, None);
        for view in &self.world.views {
            let (name, generation) = (|| view.name.to_string(), view.generation);
            match record_of(view, records).map(|record| record.state) {
                Some(GenerationState::Replaying) => {
                    self.world.fold_all_of_the_group(records)?;
                    (stage, is_replaying) = (Stage::Replaying, true);
                }
                Some(GenerationState::Superseded | GenerationState::Retired) | None => {
                    return Err(RunError::Aborted { view: name(), generation });
                }
                // Nothing is left to compare with.
                Some(_) if self.dry_run => return Err(RunError::TakenOver { view: name(), generation }),
                Some(state) => {
                    serving = Some((name(), generation));
                    if state == GenerationState::Promoting {
                        stage = Stage::Promoting;
                    }
                }
            }
        }
        match serving {
            // One that was begun while the others took over.
            Some((view, generation)) if is_replaying => Err(RunError::TakenOver { view, generation }),
            _ => Ok(stage),
        }
    }

    async fn come_closer(&mut self, records: &[GenerationRecord]) -> Result<(), RunError> {
        let progress = self.progress().await?;
        self.tell(&progress);
        let is_old = |record: &&GenerationRecord| {
            record.serves() && self.is_ours(record) && self.world.view_of(record).is_none()
        };
        let old: Vec<&GenerationRecord> = records.iter().filter(is_old).collect();
        if old.iter().any(|record| record.state == GenerationState::Promoting) {
            // An earlier replay is still publishing.
            return Ok(());
        }
        self.lies_above(&old)?;
        let deadline = |record: &&GenerationRecord| match record.state {
            GenerationState::Draining { until_ms } => Some(until_ms),
            _ => None,
        };
        let until_ms = old.iter().filter_map(deadline).min();
        match until_ms {
            Some(until_ms) if until_ms < self.world.clock.wall_ms() => self.give_way(&old).await,
            Some(until_ms) if old.iter().all(|record| deadline(record) == Some(until_ms)) => {
                let mut required = self.required(&old, until_ms).await?;
                // What feeds new views alone drains nowhere.
                let new = progress.into_iter().filter(|(source, _)| !required.contains_key(source)).collect();
                required.extend(self.ends_of(new));
                self.promote(records, &old, required).await
            }
            _ if !caught_up(&progress) => Ok(()),
            None if old.is_empty() => {
                let required = self.ends_of(progress);
                self.promote(records, &old, required).await
            }
            _ => self.drain(&old).await,
        }
    }

    /// Its rows are above those of all generations that it replaces. (An instance that began a view while its replay did
    /// may have come in between.)
    fn lies_above(&self, old: &[&GenerationRecord]) -> Result<(), RunError> {
        for view in &self.world.views {
            let below =
                |record: &&&GenerationRecord| *view.name == *record.view && last_stamp(record).0 >= view.epoch_us;
            if let Some(record) = old.iter().find(below) {
                let (view, generation) = (view.name.to_string(), view.generation);
                return Err(RunError::BegunBeside { view, generation, other: record.generation });
            }
        }
        Ok(())
    }

    /// Asks the serving generations to drain.
    async fn drain(&mut self, old: &[&GenerationRecord]) -> Result<(), RunError> {
        if self.world.clock.now() < self.drain_not_before {
            return Ok(());
        }
        if self.outcome.differences.is_none() && !old.is_empty() {
            // Before anybody pauses. (What comes until then is not in the report.)
            return self.compare().await;
        }
        let (pace, lag_ms) = (self.world.settings.pace, self.world.settings.commit_lag_ms);
        let at_most_ms = pace.drain_ms.max(lag_ms.saturating_mul(DRAIN_LAGS));
        let until_ms = self.world.clock.wall_ms().saturating_add_unsigned(at_most_ms);
        let drained = old.iter().map(|record| record.step(GenerationState::Draining { until_ms }));
        // Nobody pauses for a replay that has been given up.
        let still = self.steps_of_ours(GenerationState::Replaying);
        if self.world.store.change_generations(&drained.chain(still).collect::<Vec<_>>()).await? {
            self.drain_not_before = self.world.clock.now() + at_most_ms + pace.drain_again_ms;
            tracing::info!(at_most_s = at_most_ms / 1_000, "caught up: the generations that serve drain now");
        }
        Ok(())
    }

    /// The old ones go on serving; another attempt follows.
    async fn give_way(&mut self, old: &[&GenerationRecord]) -> Result<(), RunError> {
        for record in old.iter().filter(|record| matches!(record.state, GenerationState::Draining { .. })) {
            if self.world.store.change_generations(&[record.step(GenerationState::Live)]).await? {
                tracing::warn!(view = record.view, "did not drain in time: it goes on, and is asked again");
            }
        }
        Ok(())
    }

    /// The point of no return, once the replay has committed what is required: all that the old generations may have
    /// published, or where there are none, all that was there.
    async fn promote(
        &mut self,
        records: &[GenerationRecord],
        old: &[&GenerationRecord],
        required: BTreeMap<SourceId, Option<Offset>>,
    ) -> Result<(), RunError> {
        let commits = closer::committed(&self.world).await?;
        let committed = self.positions(&commits);
        if !may_promote(&required, &committed, &self.starts()) {
            tracing::debug!(?required, ?committed, "not yet");
            return Ok(());
        }
        // From here the running instances go on. (An older position would do as well, and take longer.)
        keep::keep(&self.world, &commits).await?;
        // Whatever comes of it: where nobody hears of the outcome, this process publishes.
        self.sweep_from = 0;
        let ours = self.steps_of_ours(GenerationState::Promoting);
        // The rows of what was retired go, too.
        let retired = records.iter().filter(|record| record.state == GenerationState::Retired && self.is_ours(record));
        let old = retired.chain(old.iter().copied()).map(|record| record.step(GenerationState::Superseded));
        if self.world.store.change_generations(&old.chain(ours).collect::<Vec<_>>()).await? {
            tracing::info!("promoted: the new generation serves, its rows are being published");
        }
        Ok(())
    }

    fn is_ours(&self, record: &GenerationRecord) -> bool {
        self.world.views.iter().any(|view| *view.name == *record.view)
    }

    fn steps_of_ours(&self, to: GenerationState) -> impl Iterator<Item = GenerationChange> {
        self.world.views.iter().map(move |view| GenerationChange {
            view: view.name.to_string(),
            generation: view.generation,
            from: GenerationState::Replaying,
            to,
        })
    }

    /// How far each partition is committed in all of our views that it feeds.
    fn positions(&self, commits: &Commits) -> BTreeMap<SourceId, Offset> {
        let of_stream = |(name, commits): (&Arc<str>, &Vec<Option<Commit>>)| {
            let feeds = self.world.streams.get(name).map_or(&[][..], |stream| &stream.feeds);
            let position = |commit: &Commit, feed: &Feed| {
                let known = commit.view(&feed.view.name, feed.view.generation).map(|view| view.position);
                let start = feed.generation.starts.get(&commit.source).map(|start| start.offset);
                known.or(start).unwrap_or_default()
            };
            let least = |commit: &Commit| Some((commit.source, feeds.iter().map(|feed| position(commit, feed)).min()?));
            commits.iter().flatten().filter_map(least).collect::<Vec<_>>()
        };
        commits.iter().flat_map(of_stream).collect()
    }

    /// How far the old generations may have published in each partition that feeds them: as its owner says, or up
    /// to the end where nobody owns it.
    async fn required(
        &mut self,
        old: &[&GenerationRecord],
        until_ms: i64,
    ) -> Result<BTreeMap<SourceId, Option<Offset>>, RunError> {
        let mut required = BTreeMap::new();
        let (store, group) = (self.world.store.clone(), self.serving.group().to_owned());
        let now = self.world.clock.now();
        if self.draining.0 != until_ms {
            self.draining = (until_ms, now);
            self.ends.clear();
        }
        let is_heard = now >= self.draining.1 + self.patience_ms;
        for position in self.serving.group_positions().await? {
            if !self.feeds(&position, |view| old.iter().any(|record| record.view == view)) {
                continue;
            }
            let source = position.source;
            let told = store.positions(&group, source, PositionKind::Drained, DRAINED_LOOKED_AT).await?;
            let drained = told.iter().find(|one| one.metadata == until_ms.to_be_bytes()).map(|one| one.offset);
            let known = match drained {
                // Whoever is there has heard of the draining by then, and has said something.
                None if self.heartbeat(&group, source).await?.is_none() && is_heard => {
                    let (_, end) = self.serving.log_bounds(&position.partition).await?;
                    // Files may have grown since they were counted. (What is not to be computed again may be gone.)
                    let committed = position.committed.filter(|_| !self.forgets(source));
                    let end = end.max(committed.map_or(end, |committed| committed.offset));
                    Some(*self.ends.entry(source).or_insert(end))
                }
                drained => drained,
            };
            required.insert(source, known);
        }
        Ok(required)
    }

    fn feeds(&self, position: &GroupPosition, of: impl Fn(&str) -> bool) -> bool {
        let stream = self.world.streams.get(&position.stream);
        stream.is_some_and(|stream| stream.feeds.iter().any(|feed| of(&feed.view.name)))
    }

    /// Whether rows may go of what a log holds no longer.
    fn forgets(&self, source: SourceId) -> bool {
        let feeds = self.world.streams.values().flat_map(|stream| &stream.feeds);
        feeds.filter_map(|feed| feed.generation.starts.get(&source)).any(|start| start.forgets)
    }

    fn starts(&self) -> BTreeMap<SourceId, Start> {
        let of_stream = |stream: &Arc<StreamRun>| first_starts(stream.feeds.iter().map(|feed| &feed.generation.starts));
        self.world.streams.values().flat_map(of_stream).collect()
    }
}
