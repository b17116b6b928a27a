//! Reading parts back before a batch is folded, beside the loop: other partitions go on.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::bytes::DecodeError;
use crate::keys::Keyed;
use crate::part::Stored;
use crate::partition::Judged;
use crate::reading::{Offset, SourceId, TopicPartition};
use crate::store::{Slot, StoreError};

use super::{RunError, World};

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// A batch that can be folded now.
pub struct ReadBack {
    pub partition: TopicPartition,
    pub ownership: u64,
    pub keyed: Keyed,
    pub judged: Judged,
    pub permit: Option<OwnedSemaphorePermit>,
    pub parts: Vec<Option<Stored>>,
}

impl World {
    /// The parts that a judged batch wants, in their order. Asks a store that does not answer
    /// until it does.
    pub(super) async fn read_back(
        &self,
        partition: &TopicPartition,
        source: SourceId,
        judged: &Judged,
        log_end: Offset,
    ) -> Result<Vec<Option<Stored>>, RunError> {
        let slots: Vec<Slot> = judged.wanted.iter().map(|wanted| wanted.slot.clone()).collect();
        let blobs = self.read_own_parts(source, &slots).await?;
        let mut parts = Vec::with_capacity(blobs.len());
        for (wanted, blob) in judged.wanted.iter().zip(blobs) {
            let part = blob.map(|blob| Stored::decode(&blob)).transpose();
            let part = part.map_err(|error| corrupt(&wanted.slot, source, error))?;
            parts.push(part);
        }
        let furthest = parts.iter().flatten().map(|part| part.next).max();
        if let Some(next) = furthest.filter(|next| *next > log_end) {
            self.log_holds(partition, next).await?;
        }
        Ok(parts)
    }

    async fn read_own_parts(&self, source: SourceId, slots: &[Slot]) -> Result<Vec<Option<Vec<u8>>>, RunError> {
        let mut pause = FIRST_RETRY;
        loop {
            match self.timed("read_own_parts", self.store.read_own_parts(source, slots)).await {
                Err(StoreError::Unavailable(why)) => tracing::warn!(why, "parts cannot be read back; asking again"),
                answer => return Ok(answer?),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_RETRY);
        }
    }

    /// Waits until the log holds what a part says was folded from it.
    async fn log_holds(&self, partition: &TopicPartition, next: Offset) -> Result<(), RunError> {
        let since = self.clock.now();
        loop {
            match self.source.log_bounds(partition).await {
                Ok((_, end)) if end >= next => return Ok(()),
                Ok((_, end)) if self.clock.now() - since >= self.settings.pace.log_end_patience_ms => {
                    return Err(RunError::PartBeyondLog { partition: partition.clone(), next, end });
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%partition, %error, "the log's end is not known; asking again"),
            }
            tokio::time::sleep(FIRST_RETRY * 10).await;
        }
    }
}

pub(super) fn corrupt(slot: &Slot, source: SourceId, error: DecodeError) -> RunError {
    RunError::CorruptPart { slot: format!("{slot:?}"), source_id: format!("{source:?}"), error }
}
