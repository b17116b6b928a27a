//! The instance's source and outbox: the group's coordinator takes its commits or refuses them, and
//! tells what others have committed.

use std::sync::Arc;

use async_trait::async_trait;
use etiage::reading::{Offset, TopicPartition};
use etiage::source::{CommitRequest, Committed, GroupPosition, Outbox, Outgoing, Source, SourceError};

use crate::doors::{Doors, GROUP};
use crate::group::tell_lost;
use crate::world::{Partition, REPLAY, SERVING, State, World, stream_of};

fn unavailable<T>(why: &str) -> Result<T, SourceError> {
    Err(SourceError::Unavailable(why.to_owned()))
}

#[async_trait]
impl Source for Doors {
    fn group(&self) -> &str {
        &self.group
    }

    fn metadata_limit(&self) -> usize {
        self.world.lock().plan.metadata_limit
    }

    async fn commit(&self, commits: &[CommitRequest]) -> Result<(), SourceError> {
        self.gate().await;
        self.sleep(self.way()).await;
        if self.fails() {
            // The request may be on its way all the same, and overtake nobody.
            if self.world.lock().random.chance(0.5) {
                self.sleep(self.way() * 3).await;
                self.world.lock().commit(self, commits);
            }
            return unavailable("the coordinator does not answer");
        }
        let outcome = self.world.lock().commit(self, commits);
        self.sleep(self.way()).await;
        if outcome == Taken::Overtaken {
            tokio::spawn(fence(self.world.clone(), self.id));
        }
        match outcome {
            _ if self.fails() => unavailable("the answer is lost"),
            Taken::Yes => Ok(()),
            Taken::No | Taken::Overtaken => Err(SourceError::Fenced("another owner".to_owned())),
        }
    }

    async fn group_positions(&self) -> Result<Vec<GroupPosition>, SourceError> {
        self.gate().await;
        self.sleep(self.way()).await;
        if self.fails() {
            return unavailable("the coordinator does not answer");
        }
        let mut state = self.world.lock();
        let side = state.side(&self.group);
        let was_replayed = state.serving().is_some_and(|record| record.group == state.replay_group);
        for partition in &mut state.partitions {
            let replayed = partition.sides[REPLAY].committed.as_ref().filter(|_| was_replayed);
            let replayed = replayed.map_or(0, |committed| committed.offset.0);
            partition.asked.insert(self.id, partition.committed_offset(SERVING).max(replayed));
        }
        let is_read = |one: &&Partition| one.is_read_in(if self.group == GROUP { SERVING } else { REPLAY });
        let position = |partition: &Partition| GroupPosition {
            partition: partition.name.clone(),
            source: partition.source,
            stream: stream_of(partition),
            committed: side.and_then(|side| partition.sides[side].committed.clone()),
        };
        Ok(state.partitions.iter().filter(is_read).map(position).collect())
    }

    async fn log_bounds(&self, partition: &TopicPartition) -> Result<(Offset, Offset), SourceError> {
        self.gate().await;
        self.sleep(self.way()).await;
        if self.fails() {
            return unavailable("the broker does not answer");
        }
        let state = self.world.lock();
        let found = state.partition(partition).map(|number| &state.partitions[number]);
        let bounds = |partition: &Partition| (Offset(partition.log_start), Offset(partition.log_end()));
        found.map(bounds).map_or_else(|| unavailable("no such partition"), Ok)
    }

    async fn close(&self) {
        self.gate().await;
        let mut state = self.world.lock();
        if let Some(member) = state.members.get_mut(&self.id) {
            member.leaving = true;
            member.events = None;
            member.reading.clear();
        }
    }
}

#[async_trait]
impl Outbox for Doors {
    async fn send(&self, readings: &[Arc<Outgoing>]) -> Result<(), SourceError> {
        self.gate().await;
        self.sleep(self.way()).await;
        let fails = self.fails();
        let mut state = self.world.lock();
        let arrived = !fails || state.random.chance(0.5);
        if arrived {
            state.sent.extend(readings.iter().map(|reading| name_of(reading)));
        }
        if fails { unavailable("the outbox does not answer") } else { Ok(()) }
    }
}

/// What the coordinator makes of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
    /// They come from the owner, and who owned the partitions before has gone further since.
    Overtaken,
}

/// It takes part again, from what is committed.
async fn fence(world: Arc<World>, id: u64) {
    let reads = world.lock().members.get(&id).is_some_and(|member| !member.zombie && !member.reading.is_empty());
    if reads {
        tell_lost(&world, id).await;
    }
}

/// What a reading on its way out says, as the oracle writes it.
fn name_of(reading: &Outgoing) -> String {
    let value: serde_json::Value = serde_json::from_str(&reading.value).unwrap_or_default();
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let said = match &*text("reason") {
        "late" => format!("late {} {}", text("view"), text("width")),
        kind @ ("outside" | "unkeyed") => format!("{kind} {}", text("view")),
        _ => "rejected".to_owned(),
    };
    format!("{} {said}", reading.key)
}

impl State {
    /// The coordinator takes all of the commits, or none: from who owns the partitions, and now and
    /// then from who no longer does.
    fn commit(&mut self, doors: &Doors, commits: &[CommitRequest]) -> Taken {
        // (Of a replay that was given up: nobody looks there any more.)
        let Some(side) = self.side(&doors.group) else { return Taken::No };
        let id = doors.id;
        let numbers: Vec<Option<usize>> = commits.iter().map(|commit| self.partition(&commit.partition)).collect();
        let owns = numbers
            .iter()
            .all(|number| number.is_some_and(|number| self.partitions[number].sides[side].owner == Some(id)));
        let zombie_commits = self.weather.zombie_commits;
        if !owns && !self.random.chance(zombie_commits) {
            return Taken::No;
        }
        // Where the log has gone, or the spill of so old a position, the next owner would stop, rightly.
        let spills = self.plan.metadata_limit < 4_096;
        let lost = |commit: &CommitRequest, of: &Partition| {
            commit.offset.0 < of.log_start || (spills && commit.offset.0 < of.committed_offset(side))
        };
        if commits.iter().zip(&numbers).any(|(commit, of)| of.is_some_and(|of| lost(commit, &self.partitions[of]))) {
            return if owns { Taken::Overtaken } else { Taken::No };
        }
        for (commit, number) in commits.iter().zip(numbers) {
            let Some(number) = number else { return Taken::No };
            self.accept(id, (side, number), Committed { offset: commit.offset, metadata: commit.metadata.clone() });
        }
        Taken::Yes
    }
}
