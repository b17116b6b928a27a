//! When to commit, and what: the pure partition says which position is durable, and the commit is
//! sent only while no live view is missing here.

use std::sync::Arc;

use crate::commit::Commit;
use crate::reading::TopicPartition;
use crate::source::{CommitRequest, SourceError};
use crate::store::{PositionKind, StoreError};

use super::owned::Owned;
use super::pace::Pace;
use super::{Engine, RunError, World, closer, progress};

/// Spilled metadata that is kept below the committed one.
const SPILLS_KEPT: usize = 3;
const SPILLS_LOOKED_AT: usize = 1_000;

pub struct Item {
    pub partition: TopicPartition,
    pub ownership: u64,
    pub commit: Commit,
    pub request: CommitRequest,
    /// Says only that the partition is idle: not to be sent unless its log ends where it stands.
    idle: bool,
    /// Its metadata is not in the store as it should be: not sent, but spilled again.
    lacking: Option<Lacking>,
}

struct Lacking {
    /// When somebody wrote what lies in its place, by his clock, ms.
    written_at_ms: Option<i64>,
}

pub type Done = (Vec<Item>, Result<(), RunError>);

impl Engine {
    /// Starts a commit of what is durable, if none is under way.
    pub(super) fn begin_commit(&mut self) {
        if self.committing.is_some() {
            return;
        }
        let partitions = self.owned_partitions();
        let items = self.commits_due(&partitions, false);
        if items.is_empty() {
            return;
        }
        let world = Arc::clone(&self.world);
        self.committing = Some(tokio::spawn(async move { world.commit(items).await }));
    }

    /// What these partitions may commit now; `all` ignores the interval between commits.
    pub(super) fn commits_due(&mut self, partitions: &[TopicPartition], all: bool) -> Vec<Item> {
        let (now, hurries) = (self.world.clock.now(), self.draining.hurry || self.has_only_to_commit());
        let world = &self.world;
        let mut items = Vec::new();
        for partition in partitions {
            let Some(owned) = self.owned.get_mut(partition) else { continue };
            let due = now >= owned.committed_at + world.settings.commit_every_ms || owned.at_end() || hurries;
            if all || (due && now >= owned.commit_not_before) {
                items.extend(owned.commit_due(partition, world, now));
            }
        }
        items
    }

    pub(super) fn on_committed(&mut self, (items, outcome): Done) -> Result<(), RunError> {
        let now = self.world.clock.now();
        let pace = self.world.settings.pace;
        progress::committed(&outcome);
        let written_over = items.iter().filter_map(|item| item.lacking.as_ref()?.written_at_ms).max();
        self.spills_after_ms = self.spills_after_ms.max(written_over);
        match outcome {
            Ok(()) => {
                for item in &items {
                    if let Some(owned) =
                        self.owned.get_mut(&item.partition).filter(|owned| owned.ownership == item.ownership)
                    {
                        owned.commit_done(item, &pace, now);
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
                owned.commit_not_before = now + self.world.settings.pace.commit_pause_ms;
            }
        }
    }
}

impl Owned {
    fn commit_due(&mut self, partition: &TopicPartition, world: &World, now: u64) -> Option<Item> {
        let limit = world.source.metadata_limit();
        if let Some((commit, metadata)) = self.core.committable(limit) {
            return Some(self.item(partition, commit, metadata));
        }
        let idle = self.is_idle(now) && now >= self.committed_at + world.settings.pace.idle_every_ms;
        let watermark_ms = world.clock.wall_ms() - self.stream.out_of_orderness_ms;
        let (commit, metadata) = idle.then(|| self.core.idle_commit(watermark_ms, limit)).flatten()?;
        Some(self.item(partition, commit, metadata))
    }

    fn item(&self, partition: &TopicPartition, commit: Commit, metadata: Vec<u8>) -> Item {
        let idle = commit.idle_ms.is_some();
        let request = CommitRequest {
            partition: partition.clone(),
            source: commit.source,
            offset: commit.position,
            leader_epoch: commit.leader_epoch,
            metadata,
        };
        Item { partition: partition.clone(), ownership: self.ownership, commit, request, idle, lacking: None }
    }

    fn commit_done(&mut self, item: &Item, pace: &Pace, now: u64) {
        if item.lacking.is_some() {
            self.core.spill_again();
            self.commit_not_before = now + pace.commit_pause_ms;
            return;
        }
        self.core.commit_acked(item.commit.position);
        self.committed_at = now;
        if self.kept_at.is_none_or(|kept_at| now >= kept_at + pace.keep_every_ms) {
            self.kept_at = Some(now);
            self.core.keep(&item.commit);
        }
    }
}

impl World {
    /// Commits; what an idle partition would have said is left out where it turns out to be behind.
    pub(super) async fn commit(&self, mut items: Vec<Item>) -> Done {
        let outcome = self.try_commit(&mut items).await;
        (items, outcome)
    }

    async fn try_commit(&self, items: &mut Vec<Item>) -> Result<(), RunError> {
        self.bindings_hold(&self.store.generations().await?)?;
        let mut behind = Vec::new();
        for item in items.iter().filter(|item| item.idle) {
            let (_, end) = self.source.log_bounds(&item.partition).await?;
            if end > item.commit.position {
                behind.push(item.partition.clone());
            }
        }
        items.retain(|item| !behind.contains(&item.partition));
        self.look_for_spills(items).await?;
        let sent = items.iter().filter(|item| item.lacking.is_none());
        let requests: Vec<CommitRequest> = sent.map(|item| item.request.clone()).collect();
        self.source.commit(&requests).await?;
        for item in items.iter().filter(|item| item.lacking.is_none() && self.is_spilled(item)) {
            if let Err(error) = self.trim_spills(item).await {
                tracing::warn!(%error, "old commit metadata was not removed from the store");
            }
        }
        Ok(())
    }

    /// What a commit relies on is read before: somebody whose clock is ahead, or who lacks a view, may
    /// have written over it. Then it is spilled again, as later than that. (Where he has removed it since, nobody can
    /// know how late: then it is there when our clock is, or the next record has come.)
    async fn look_for_spills(&self, items: &mut [Item]) -> Result<(), RunError> {
        for item in items.iter_mut().filter(|item| self.is_spilled(item)) {
            let head = Commit { views: Vec::new(), ..item.commit.clone() };
            let (group, position) = (self.source.group(), item.commit.position);
            let found = closer::spill(&*self.store, group, item.commit.source, position).await?;
            if found.as_ref().and_then(|found| closer::whole(head, found)).as_ref() != Some(&item.commit) {
                item.lacking = Some(Lacking { written_at_ms: found.map(|found| found.written_at_ms) });
                let (partition, position) = (&item.partition, item.commit.position.0);
                tracing::warn!(%partition, position, "spilled metadata was written over; it is spilled again");
            }
        }
        Ok(())
    }

    fn is_spilled(&self, item: &Item) -> bool {
        item.commit.encode().len() > self.source.metadata_limit()
    }

    /// Removes spills below the committed one but the newest few.
    async fn trim_spills(&self, item: &Item) -> Result<(), StoreError> {
        let (group, source) = (self.source.group(), item.commit.source);
        let spills = self.store.positions(group, source, PositionKind::Spill, SPILLS_LOOKED_AT).await?;
        let below = spills.iter().filter(|spill| spill.offset < item.commit.position);
        match below.take(SPILLS_KEPT).last() {
            Some(oldest) => self.store.trim_positions(group, source, PositionKind::Spill, oldest.offset).await,
            None => Ok(()),
        }
    }
}
