//! A run until the end: over when everything that the topics held at its start has been committed,
//! by whichever instance of the group, and the windows that are final are marked.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::reading::{Offset, TopicPartition};
use crate::source::SourceError;
use crate::store::StoreError;

use super::owned::Owned;
use super::{Engine, RunError, World, closer};

/// How often the group is asked for the positions of partitions that others own.
const ASK_EVERY_MS: u64 = 1_000;

/// How often all that is folded is written at once while commits are waited for: what a live topic brings meanwhile, too.
const FLUSH_EVERY_MS: u64 = 1_000;

/// What is known of the ends.
#[derive(Default)]
pub struct UntilEnd {
    /// Where each partition ended at the start; `None` until it is known.
    ends: Option<BTreeMap<TopicPartition, Offset>>,
    /// Under way: finding the ends, or asking for the committed positions of the whole group.
    asking: Option<JoinHandle<Result<Answer, RunError>>>,
    asked_at: u64,
    /// When all that is folded was written at once last.
    flushed_at: Option<u64>,
    /// The whole group has committed up to the ends; the last sweep is under way or done.
    sweeping: Option<JoinHandle<Result<(), RunError>>>,
}

enum Answer {
    Ends(BTreeMap<TopicPartition, Offset>),
    Committed(BTreeMap<TopicPartition, Offset>),
}

impl Engine {
    /// True when a run until the end is over.
    pub(super) async fn check_ends(&mut self) -> Result<bool, RunError> {
        let Some(mut state) = self.until_end.take() else { return Ok(false) };
        let over = state.step(self).await;
        self.until_end = Some(state);
        over
    }

    /// All that a run until the end waits for is folded here, and not yet committed: no interval brings more of it.
    pub(super) fn has_only_to_commit(&self) -> bool {
        let ends = self.until_end.as_ref().and_then(|state| state.ends.as_ref());
        ends.is_some_and(|ends| self.has_folded(ends) && !self.has_committed(ends))
    }

    /// It is to be written at once.
    pub(super) fn is_last_flush_due(&mut self) -> bool {
        if self.flushing.is_some() || !self.has_only_to_commit() {
            return false;
        }
        let now = self.world.clock.now();
        let Some(state) = &mut self.until_end else { return false };
        let is_due = self.flush_size.is_cut() || state.flushed_at.is_none_or(|at| now >= at + FLUSH_EVERY_MS);
        if is_due {
            state.flushed_at = Some(now);
        }
        is_due
    }

    fn has_folded(&self, ends: &BTreeMap<TopicPartition, Offset>) -> bool {
        self.owned.iter().all(|(name, owned)| ends.get(name).is_none_or(|end| owned.folded_to(*end)))
    }

    fn has_committed(&self, ends: &BTreeMap<TopicPartition, Offset>) -> bool {
        self.owned.iter().all(|(name, owned)| ends.get(name).is_none_or(|end| owned.committed_to(*end)))
    }

    /// Tells why nothing seems to happen any more.
    fn tell_of_lag(&mut self, ends: &BTreeMap<TopicPartition, Offset>) {
        if self.has_folded(ends) && !self.owned.is_empty() {
            self.progress.waits_for_durability(&self.world.settings);
        }
    }
}

impl UntilEnd {
    async fn step(&mut self, engine: &mut Engine) -> Result<bool, RunError> {
        if let Some(sweeping) = &mut self.sweeping {
            return match sweeping.is_finished() {
                true => sweeping.await?.map(|()| true),
                false => Ok(false),
            };
        }
        let answer = self.heed().await?;
        let now = engine.world.clock.now();
        let Some(ends) = &self.ends else {
            self.ask(now, find_ends(engine.world.clone()));
            return Ok(false);
        };
        engine.tell_of_lag(ends);
        if !engine.has_committed(ends) {
            return Ok(false);
        }
        let others: Vec<_> = ends.iter().filter(|(name, _)| !engine.owned.contains_key(*name)).collect();
        let done =
            |name: &TopicPartition, end: &Offset| answer.as_ref().is_some_and(|known| known.get(name) >= Some(end));
        if others.iter().all(|(name, end)| done(name, end)) {
            if engine.world.settings.replaying {
                // There are no rows to mark.
                return Ok(true);
            }
            // All views: who owns their first partitions may be about to go, and a second sweep does no harm.
            let (world, views) = (engine.world.clone(), (0..engine.world.views.len()).collect());
            self.sweeping = Some(tokio::spawn(closer::sweep_surely(world, views)));
        } else {
            self.ask(now, committed(engine.world.clone()));
        }
        Ok(false)
    }

    /// Takes in what has been answered; the committed positions, where it was those.
    async fn heed(&mut self) -> Result<Option<BTreeMap<TopicPartition, Offset>>, RunError> {
        let Some(asking) = self.asking.take_if(|asking| asking.is_finished()) else { return Ok(None) };
        match asking.await? {
            Ok(Answer::Ends(ends)) => self.ends = Some(ends),
            Ok(Answer::Committed(known)) => return Ok(Some(known)),
            Err(error) if passes(&error) => tracing::debug!(%error, "the ends are asked for again"),
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// One question at a time, and not more often than needed.
    fn ask(&mut self, now: u64, question: impl Future<Output = Result<Answer, RunError>> + Send + 'static) {
        let first = self.ends.is_none() && self.asked_at == 0;
        if self.asking.is_none() && (first || now >= self.asked_at + ASK_EVERY_MS) {
            self.asked_at = now.max(1);
            self.asking = Some(tokio::spawn(question));
        }
    }
}

async fn find_ends(world: Arc<World>) -> Result<Answer, RunError> {
    let mut ends = BTreeMap::new();
    for position in world.source.group_positions().await? {
        let (start, end) = world.source.log_bounds(&position.partition).await?;
        let committed = position.committed.map(|committed| committed.offset);
        // A new leader lags, or the log was truncated: its owner, we perhaps, finds out which, and stops.
        if committed > Some(end) {
            let why = format!("{} ends at {end}, before what was committed", position.partition);
            return Err(SourceError::Unavailable(why).into());
        }
        // There is nothing to wait for where nothing was written. (What has gone since the commit was.)
        if end > start || committed.is_some_and(|offset| offset < start) {
            ends.insert(position.partition, end);
        }
    }
    Ok(Answer::Ends(ends))
}

async fn committed(world: Arc<World>) -> Result<Answer, RunError> {
    let positions = world.source.group_positions().await?;
    let known = positions.into_iter().filter_map(|one| Some((one.partition, one.committed?.offset)));
    Ok(Answer::Committed(known.collect()))
}

/// Trying again may help.
pub(super) fn passes(error: &RunError) -> bool {
    match error {
        RunError::Source(error) => matches!(error, SourceError::Unavailable(_) | SourceError::Fenced(_)),
        RunError::Store(error) => matches!(error, StoreError::Unavailable(_)),
        RunError::Cycle(error) => !error.is_fatal(),
        _ => false,
    }
}

impl Owned {
    /// All that the log held then is folded. (Its last entries may be no records.)
    fn folded_to(&self, end: Offset) -> bool {
        self.core.position() >= end || self.at_end()
    }

    fn committed_to(&self, end: Offset) -> bool {
        (self.core.committed() >= end && !self.core.is_anew()) || (self.at_end() && self.core.at_rest())
    }
}
