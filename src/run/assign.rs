//! Partitions that come: the facts are fetched, `start` decides, and the answer goes back to the
//! source. A store that does not answer is asked until it does or the engine stops.

use std::sync::Arc;

use crate::commit::{Commit, Metadata};
use crate::partition::Partition;
use crate::reading::Offset;
use crate::source::{Assignment, ReadFrom};
use crate::start::{self, Refusal, StartPlan};
use crate::store::{PositionKind, StoreError};

use super::owned::Owned;
use super::stream::StreamRun;
use super::{Engine, RunError, World, closer};

/// Kept positions among which the one that a commit names is looked for; newer ones may have been
/// kept by owners whose commits were refused.
const KEPT_LOOKED_AT: usize = 1_000;

/// What the store knows of a partition.
struct Stored {
    kept: Vec<Offset>,
    spilled: Option<Commit>,
}

impl Engine {
    /// Takes the partitions over and tells where to read each from.
    pub(super) async fn assigned(&mut self, partitions: Vec<Assignment>) -> Result<Vec<ReadFrom>, RunError> {
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
        let core =
            Partition::new(assignment.source, stream.out_of_orderness_ms, plan.leader_epoch, plan.starts, plan.kept);
        self.ownerships += 1;
        let now = self.world.clock.now();
        let owned = Owned::new(self.ownerships, core, stream, assignment.log_end, now);
        self.owned.insert(assignment.partition, owned);
    }
}

impl World {
    async fn plan(&self, assignment: &Assignment, stream: &StreamRun) -> Result<StartPlan, RunError> {
        let since = self.clock.now();
        let mut assignment = assignment.clone();
        loop {
            let refusal = match self.try_plan(&assignment, stream).await {
                Ok(plan) => return Ok(plan),
                Err(RunError::Store(StoreError::Unavailable(why))) => {
                    tracing::warn!(why, "the store does not answer; asking again");
                    tokio::time::sleep(self.settings.pace.retry).await;
                    continue;
                }
                Err(RunError::Refused(refusal)) => refusal,
                Err(error) => return Err(error),
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

    async fn try_plan(&self, assignment: &Assignment, stream: &StreamRun) -> Result<StartPlan, RunError> {
        let stored = self.stored(assignment).await?;
        let commit = start::committed(assignment, stored.spilled.as_ref())?;
        Ok(start::plan(assignment, commit.as_ref(), &stored.kept, &stream.feeds)?)
    }

    async fn stored(&self, assignment: &Assignment) -> Result<Stored, StoreError> {
        let kept =
            self.store.positions(self.source.group(), assignment.source, PositionKind::Kept, KEPT_LOOKED_AT).await?;
        let kept = kept.into_iter().map(|position| position.offset).collect();
        let metadata = assignment.committed.as_ref().map(|committed| Commit::decode(&committed.metadata));
        let spilled = match metadata {
            Some(Ok(Metadata::Spilled(head))) => {
                closer::spilled(&*self.store, self.source.group(), assignment.source, head).await?
            }
            _ => None,
        };
        Ok(Stored { kept, spilled })
    }
}

impl From<Refusal> for RunError {
    fn from(refusal: Refusal) -> RunError {
        RunError::Refused(refusal)
    }
}
