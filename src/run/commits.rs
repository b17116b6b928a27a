//! When to commit, and what: the pure partition says which position is durable, and the commit is
//! sent only while no live view is missing here.

use std::sync::Arc;

use futures::FutureExt;

use crate::commit::Commit;
use crate::reading::TopicPartition;
use crate::source::{CommitRequest, SourceError};
use crate::store::{PositionKind, StoreError};

use super::owned::Owned;
use super::{Engine, RunError, World, progress};

/// A committed position is kept in the store about this often.
const KEEP_EVERY_MS: u64 = 60_000;
/// An idle partition's clock watermark is renewed about this often.
const IDLE_EVERY_MS: u64 = 10_000;
/// Spilled metadata that is kept: the newest few.
const SPILLS_KEPT: usize = 3;

pub struct Item {
    pub partition: TopicPartition,
    pub ownership: u64,
    pub commit: Commit,
    pub request: CommitRequest,
    /// The committed position is to be kept in the store.
    pub keep: bool,
}

pub type Done = (Vec<Item>, Result<(), RunError>);

impl Engine {
    /// Starts a commit of what is durable, if none is under way.
    pub(super) fn begin_commit(&mut self) {
        if self.committing.is_some() {
            return;
        }
        let partitions: Vec<TopicPartition> = self.owned.keys().cloned().collect();
        let items = self.commits_due(&partitions, false);
        if items.is_empty() {
            return;
        }
        let world = Arc::clone(&self.world);
        self.committing = Some(
            async move {
                let outcome = world.commit(&items).await;
                (items, outcome)
            }
            .boxed(),
        );
    }

    /// What these partitions may commit now; `all` ignores the interval between commits.
    pub(super) fn commits_due(&mut self, partitions: &[TopicPartition], all: bool) -> Vec<Item> {
        let now = self.world.clock.now();
        let world = &self.world;
        let mut items = Vec::new();
        for partition in partitions {
            let Some(owned) = self.owned.get_mut(partition) else { continue };
            let due = all || now >= owned.committed_at + world.settings.commit_every_ms || owned.at_end();
            if let Some((commit, metadata)) = due.then(|| owned.commit_due(world, now)).flatten() {
                let keep = now >= owned.kept_at + KEEP_EVERY_MS;
                items.push(item(partition, owned.ownership, commit, metadata, keep));
            }
        }
        items
    }

    pub(super) fn on_committed(&mut self, (items, outcome): Done) -> Result<(), RunError> {
        let now = self.world.clock.now();
        progress::committed(&outcome);
        match outcome {
            Ok(()) => {
                for item in &items {
                    if let Some(owned) =
                        self.owned.get_mut(&item.partition).filter(|owned| owned.ownership == item.ownership)
                    {
                        owned.commit_acked(item, now);
                    }
                }
                Ok(())
            }
            Err(RunError::Source(SourceError::Fatal(why))) => Err(SourceError::Fatal(why).into()),
            Err(RunError::Source(error)) => {
                tracing::warn!(%error, "commit failed; tried again");
                self.postpone(&items, now);
                Ok(())
            }
            Err(RunError::Store(StoreError::Unavailable(why))) => {
                tracing::warn!(why, "commit put off: the store does not answer");
                self.postpone(&items, now);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn postpone(&mut self, items: &[Item], now: u64) {
        for item in items {
            if let Some(owned) = self.owned.get_mut(&item.partition) {
                owned.committed_at = now;
            }
        }
    }
}

fn item(partition: &TopicPartition, ownership: u64, commit: Commit, metadata: Vec<u8>, keep: bool) -> Item {
    let request = CommitRequest {
        partition: partition.clone(),
        source: commit.source,
        offset: commit.position,
        leader_epoch: commit.leader_epoch,
        metadata,
    };
    Item { partition: partition.clone(), ownership, commit, request, keep }
}

impl Owned {
    fn commit_due(&mut self, world: &World, now: u64) -> Option<(Commit, Vec<u8>)> {
        let limit = world.source.metadata_limit();
        if let Some(commit) = self.core.committable(limit) {
            return Some(commit);
        }
        let idle = self.is_idle(now) && now >= self.committed_at + IDLE_EVERY_MS;
        let watermark_ms = world.clock.wall_ms() - self.stream.out_of_orderness_ms;
        idle.then(|| self.core.idle_commit(watermark_ms, limit)).flatten()
    }

    fn commit_acked(&mut self, item: &Item, now: u64) {
        self.core.commit_acked(item.commit.position);
        self.committed_at = now;
        if item.keep {
            self.kept_at = now;
        }
    }
}

impl World {
    pub(super) async fn commit(&self, items: &[Item]) -> Result<(), RunError> {
        self.no_view_is_missing().await?;
        let requests: Vec<CommitRequest> = items.iter().map(|item| item.request.clone()).collect();
        self.source.commit(&requests).await?;
        self.keep(items).await;
        Ok(())
    }

    /// Committed positions from which a restart is always safe. Losing one loses nothing: the
    /// commit stands, so a failure here is only told.
    async fn keep(&self, items: &[Item]) {
        let kept: Vec<_> =
            items.iter().filter(|item| item.keep).map(|item| (PositionKind::Kept, item.commit.clone())).collect();
        if let Err(error) = self.store_positions(&kept).await {
            tracing::warn!(%error, "committed positions were not kept in the store");
        }
        for item in items.iter().filter(|item| item.commit.encode().len() > self.source.metadata_limit()) {
            if let Err(error) = self.trim_spills(item).await {
                tracing::warn!(%error, "old commit metadata was not removed from the store");
            }
        }
    }

    async fn trim_spills(&self, item: &Item) -> Result<(), StoreError> {
        let (group, source) = (self.source.group(), item.commit.source);
        let newest = self.store.positions(group, source, PositionKind::Spill, SPILLS_KEPT).await?;
        match newest.get(SPILLS_KEPT - 1) {
            Some(oldest) => self.store.trim_positions(group, source, PositionKind::Spill, oldest.offset).await,
            None => Ok(()),
        }
    }
}
