//! The sources' contract, and its two implementations: a Kafka consumer group and files.
//!
//! A source hands over raw records, partition by partition, in order; it tells when partitions
//! come and go, and waits for the engine's answer at both. It knows no window and decides no
//! offset rule: where to start, and what may be committed, the engine says.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::oneshot;

use crate::reading::{Offset, RawBatch, SourceId, TopicPartition};

pub mod files;
pub mod kafka;
pub mod outlet;

/// What the group (or, for files, the store) has on record for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub offset: Offset,
    /// In the encoding of `commit`; empty where the offset came without any.
    pub metadata: Vec<u8>,
}

/// A partition that has just been assigned, with what is known of it.
#[derive(Clone, Debug)]
pub struct Assignment {
    pub partition: TopicPartition,
    pub source: SourceId,
    /// Name of the stream that the topic belongs to.
    pub stream: Arc<str>,
    /// First offset that the log still holds, and the offset after its last record.
    pub log_start: Offset,
    pub log_end: Offset,
    pub committed: Option<Committed>,
}

/// The engine's answer: where to read a partition from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFrom {
    pub partition: TopicPartition,
    pub offset: Offset,
    /// Lets the broker tell whether the log was truncated below the position; −1 where unknown.
    pub leader_epoch: i32,
}

/// What a source says. Answers go through the `oneshot`s; a source that gets none (the engine has
/// gone) stops.
pub enum SourceEvent {
    /// The group has taken this member in. If it has more members than partitions, nothing else may come for long.
    Joined,
    /// Nothing of these partitions is read before the answer. An empty answer refuses: the engine is stopping.
    Assigned { partitions: Vec<Assignment>, reply: oneshot::Sender<Vec<ReadFrom>> },
    /// Consecutive records of one partition. The permit stands for their bytes in the queue's budget and is
    /// dropped when they have been folded.
    Batch { partition: TopicPartition, raw: RawBatch, permit: OwnedSemaphorePermit },
    /// A fetch reached the partition's end: nothing at or after `position` at that moment.
    End { partition: TopicPartition, position: Offset },
    /// The partitions go to somebody else once the answer is there (or the deadline has passed).
    /// `lost`: they have gone already, and a commit would be refused.
    Revoked { partitions: Vec<TopicPartition>, lost: bool, reply: oneshot::Sender<()> },
    /// The source cannot go on.
    Failed(SourceError),
}

/// A commit of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRequest {
    pub partition: TopicPartition,
    pub source: SourceId,
    pub offset: Offset,
    pub leader_epoch: i32,
    pub metadata: Vec<u8>,
}

/// The state of one partition of the whole group, whoever owns it.
#[derive(Clone, Debug)]
pub struct GroupPosition {
    pub partition: TopicPartition,
    pub source: SourceId,
    pub stream: Arc<str>,
    pub committed: Option<Committed>,
}

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Brokers unreachable, a rebalance under way: try again later.
    #[error("{0}")]
    Unavailable(String),
    /// The commit was refused because this instance no longer owns the partition: not an error of the data.
    #[error("commit refused, the partition has another owner: {0}")]
    Fenced(String),
    /// Trying again is useless; the text names the repair.
    #[error("{0}")]
    Fatal(String),
}

/// What the engine asks of a source. Events come through the channel made with it.
#[async_trait]
pub trait Source: Send + Sync {
    /// The consumer group (for files: the name under which positions are stored).
    fn group(&self) -> &str;
    /// Bytes of metadata that fit beside a commit.
    fn metadata_limit(&self) -> usize;
    /// Commits all of them or says why not; fenced by the group's generation.
    async fn commit(&self, commits: &[CommitRequest]) -> Result<(), SourceError>;
    /// Every partition of every topic of the streams, with its committed position.
    async fn group_positions(&self) -> Result<Vec<GroupPosition>, SourceError>;
    /// First offset held and the offset after the last record, asked of the broker now.
    async fn log_bounds(&self, partition: &TopicPartition) -> Result<(Offset, Offset), SourceError>;
    /// Stops reading, leaves the group. Revocations still come through the channel before it ends.
    async fn close(&self);
}

/// A rejected or late reading on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Late readings go to the late topic, the others to the rejects topic.
    pub late: bool,
    /// `topic/partition/offset/index`.
    pub key: String,
    /// A JSON object: stream, view (where it is a view's verdict), reason, detail, and the payload unless withheld.
    pub value: String,
}

/// Where rejected and late readings go.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Returns once every one is acknowledged (all in-sync replicas; on disk).
    async fn send(&self, readings: &[Arc<Outgoing>]) -> Result<(), SourceError>;
}
