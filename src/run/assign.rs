//! Partitions that come: the facts are fetched, `start` decides, and the answer goes back to the
//! source. A store that does not answer is asked until it does or the engine stops.

use std::sync::Arc;

use crate::commit::{Commit, Metadata};
use crate::partition::Partition;
use crate::source::{Assignment, ReadFrom};
use crate::start::{self, Feed, Refusal, StartPlan};
use crate::store::{GenerationRecord, PositionKind, Store, StoreError, StoredPosition};

use super::owned::Owned;
use super::stream::StreamRun;
use super::{Engine, RunError, World, closer, progress};

/// Kept positions among which the one that a commit names is looked for; newer ones may have been
/// kept by owners whose commits were refused.
const KEPT_LOOKED_AT: usize = 1_000;

/// What the store knows of a partition.
struct Stored {
    kept: Vec<StoredPosition>,
    spilled: Option<Commit>,
    /// Where the replays that computed the views' generations stood: of each view, the newest position kept that names it.
    replayed: Vec<Commit>,
}

impl Engine {
    /// Takes the partitions over and tells where to read each from.
    pub(super) async fn assigned(&mut self, partitions: Vec<Assignment>) -> Result<Vec<ReadFrom>, RunError> {
        progress::rebalanced("assigned");
        // Whoever folded on in a partition that has just drained would show more than its successor has.
        let asked_at = self.world.clock.now();
        let records = self.world.generations_surely().await?;
        // Nor is anything published any more under a generation that has been replaced.
        self.world.bindings_hold(&records)?;
        self.heed_draining(asked_at, &records);
        let mut answer = Vec::with_capacity(partitions.len());
        for assignment in partitions {
            let stream = self.stream(&assignment.stream)?;
            let plan = self.world.plan(&assignment, &stream).await?;
            tracing::info!(
                partition = %assignment.partition, position = plan.position.0, log_end = assignment.log_end.0, "assigned"
            );
            answer.push(ReadFrom {
                partition: assignment.partition.clone(),
                offset: plan.position,
                leader_epoch: plan.leader_epoch,
            });
            self.take_over(assignment, stream, plan);
        }
        Ok(answer)
    }

    fn take_over(&mut self, assignment: Assignment, stream: Arc<StreamRun>, plan: StartPlan) {
        let mut core =
            Partition::new(assignment.source, stream.out_of_orderness_ms, plan.leader_epoch, plan.starts, plan.kept);
        if plan.anew {
            core.commit_anew();
        }
        self.ownerships += 1;
        let now = self.world.clock.now();
        let owned = Owned::new(self.ownerships, core, stream, assignment.log_end, now);
        self.owned.insert(assignment.partition, owned);
    }
}

impl World {
    async fn generations_surely(&self) -> Result<Vec<GenerationRecord>, StoreError> {
        loop {
            match self.store.generations().await {
                Err(StoreError::Unavailable(why)) => tracing::warn!(why, "the store does not answer; asking again"),
                answer => return answer,
            }
            tokio::time::sleep(self.settings.pace.retry).await;
        }
    }

    async fn plan(&self, assignment: &Assignment, stream: &StreamRun) -> Result<StartPlan, RunError> {
        let since = self.clock.now();
        let mut assignment = assignment.clone();
        loop {
            let refusal = match plan(&*self.store, self.source.group(), &assignment, stream).await {
                Ok(Ok(plan)) => return Ok(plan),
                Ok(Err(refusal)) => refusal,
                Err(StoreError::Unavailable(why)) => {
                    tracing::warn!(why, "the store does not answer; asking again");
                    tokio::time::sleep(self.settings.pace.retry).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let waited = self.clock.now() - since;
            if !refusal.may_pass() || waited >= self.settings.pace.log_end_patience_ms {
                return Err(refusal.into());
            }
            tokio::time::sleep(self.settings.pace.retry).await;
            if let Ok((log_start, log_end)) = self.source.log_bounds(&assignment.partition).await {
                (assignment.log_start, assignment.log_end) = (log_start, log_end);
            }
        }
    }
}

/// Where an instance of this group goes on with a partition, or why it must not.
pub async fn plan(
    store: &dyn Store,
    group: &str,
    assignment: &Assignment,
    stream: &StreamRun,
) -> Result<Result<StartPlan, Refusal>, StoreError> {
    let stored = stored(store, group, assignment, stream).await?;
    let committed = start::committed(assignment, stored.spilled.as_ref());
    let kept_by_us = stored.kept.iter().filter_map(|kept| Commit::whole(&kept.metadata));
    // What the group committed before all of its views were replayed says nothing of them, not even where it is wrong.
    let committed = match start::is_of_before(group, &committed, kept_by_us, &stream.feeds) {
        true => None,
        false => match committed {
            Ok(committed) => committed,
            Err(refusal) => return Ok(Err(refusal)),
        },
    };
    let kept: Vec<_> = stored.kept.iter().map(|kept| kept.offset).collect();
    Ok(start::plan(assignment, committed.as_ref(), &kept, &stored.replayed, &stream.feeds))
}

async fn stored(
    store: &dyn Store,
    group: &str,
    assignment: &Assignment,
    stream: &StreamRun,
) -> Result<Stored, StoreError> {
    let source = assignment.source;
    let kept = store.positions(group, source, PositionKind::Kept, KEPT_LOOKED_AT).await?;
    let metadata = assignment.committed.as_ref().map(|committed| Commit::decode(&committed.metadata));
    let spilled = match metadata {
        Some(Ok(Metadata::Spilled(head))) => closer::spilled(store, group, source, head).await?,
        _ => None,
    };
    let mut replayed = Vec::new();
    for Feed { view, generation, .. } in stream.feeds.iter().filter(|feed| feed.generation.group != group) {
        // (What took part in the replay without this view may have kept others since.)
        let kept = store.positions(&generation.group, source, PositionKind::Kept, KEPT_LOOKED_AT).await?;
        let mut commits = kept.iter().filter_map(|kept| Commit::whole(&kept.metadata));
        replayed.extend(commits.find(|commit| commit.view(&view.name, view.generation).is_some()));
    }
    Ok(Stored { kept, spilled, replayed })
}

impl From<Refusal> for RunError {
    fn from(refusal: Refusal) -> RunError {
        RunError::Refused(refusal)
    }
}
