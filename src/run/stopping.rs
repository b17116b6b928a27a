//! Partitions that go, and the end of the run: flush, merge, issue the second writes that are
//! due, commit what is durable, leave. What is not is read again by the next owner and skipped.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use crate::reading::TopicPartition;
use crate::source::SourceEvent;

use super::progress::Summary;
use super::{Engine, RunError, progress};

/// How long leaving the group may take after the last flush. Dropped members are noticed by the
/// group all the same, only later.
const LEAVE_WITHIN: Duration = Duration::from_millis(1_500);

impl Engine {
    /// Gives partitions up within the deadline; what is not done by then is left to the next owner.
    pub(super) async fn revoked(&mut self, partitions: &[TopicPartition], lost: bool) -> Result<(), RunError> {
        progress::rebalanced(if lost { "lost" } else { "revoked" });
        tracing::info!(count = partitions.len(), lost, "partitions go");
        let deadline = Duration::from_millis(self.world.settings.stop_deadline_ms);
        let outcome = match lost {
            true => Ok(()),
            false => match tokio::time::timeout(deadline, self.last_flush(partitions)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    tracing::warn!(?deadline, "not everything was written in time; the next owner reads it again");
                    Ok(())
                }
            },
        };
        for partition in partitions {
            if let Some(owned) = self.owned.remove(partition) {
                self.progress.left(partition, &owned.core);
            }
        }
        outcome
    }

    /// One last flush and commit of these partitions, after whatever is under way.
    async fn last_flush(&mut self, partitions: &[TopicPartition]) -> Result<(), RunError> {
        if let Some(flushing) = &mut self.flushing {
            let flushed = flushing.await;
            self.flushing = None;
            self.on_flushed(flushed?)?;
        }
        if let Some(committing) = &mut self.committing {
            let done = committing.await;
            self.committing = None;
            self.on_committed(done?)?;
        }
        for partition in partitions {
            // A stop may have come in the middle of an earlier last flush.
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.core.abandon_flush();
            }
        }
        let work = self.take_work(partitions, true);
        let outcome = self.world.flush(&work).await;
        self.settle_flush(&work.shares, outcome)?;
        self.last_send(partitions).await?;
        let items = self.commits_due(partitions, true);
        if !items.is_empty() {
            let done = self.world.commit(items).await;
            self.on_committed(done)?;
        }
        Ok(())
    }

    /// Ends the run. A clean outcome flushes and commits first; an error commits nothing more.
    pub(super) async fn stop(
        mut self,
        events: Receiver<SourceEvent>,
        outcome: Result<(), RunError>,
    ) -> Result<Summary, RunError> {
        let all = self.owned_partitions();
        let outcome = match outcome {
            Ok(()) => self.revoked(&all, false).await,
            error => error,
        };
        let deadline = LEAVE_WITHIN;
        let leave = leave(&*self.world.source, events);
        if tokio::time::timeout(deadline, leave).await.is_err() {
            tracing::warn!("the group was not left in time; its session will expire by itself");
        }
        outcome.map(|()| self.progress.summary())
    }
}

/// Leaves the group; partitions that are still to be given up have been dealt with.
async fn leave(source: &dyn crate::source::Source, mut events: Receiver<SourceEvent>) {
    let answer = async {
        while let Some(event) = events.recv().await {
            match event {
                SourceEvent::Revoked { reply, .. } => drop(reply.send(())),
                SourceEvent::Assigned { reply, .. } => drop(reply.send(Vec::new())),
                _ => {}
            }
        }
    };
    tokio::join!(source.close(), answer);
}
