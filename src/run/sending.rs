//! Rejected and late readings on their way out, beside the flushes: brokers that do not answer must not hold up the
//! second writes into the store, which have a deadline. A commit waits for both.

use std::sync::Arc;

use crate::reading::TopicPartition;
use crate::source::{Outgoing, SourceError};

use super::{Engine, RunError};

/// Partitions with the ownerships in which their readings were taken, and what became of these.
pub(super) type Sent = (Vec<(TopicPartition, u64)>, Result<(), SourceError>);

impl Engine {
    /// Sends what waits in all partitions, if nothing is on its way.
    pub(super) fn begin_send(&mut self) {
        if self.sending.is_some() || !self.send_backoff.over(self.world.clock.now()) {
            return;
        }
        let (shares, readings) = self.take_outgoing(&self.owned_partitions());
        if readings.is_empty() {
            // What could not be sent has gone with its partition: their next owner sends it.
            if self.send_backoff.failing() {
                self.send_backoff.ended();
                self.ready_again();
            }
            return;
        }
        let world = Arc::clone(&self.world);
        self.sending = Some(tokio::spawn(async move {
            let outcome = world.outbox.send(&readings).await;
            (shares, outcome)
        }));
    }

    fn take_outgoing(&mut self, partitions: &[TopicPartition]) -> (Vec<(TopicPartition, u64)>, Vec<Arc<Outgoing>>) {
        let (mut shares, mut readings) = (Vec::new(), Vec::new());
        for partition in partitions {
            let Some(owned) = self.owned.get_mut(partition) else { continue };
            let taken = owned.core.begin_send();
            if !taken.is_empty() {
                shares.push((partition.clone(), owned.ownership));
                readings.extend(taken);
            }
        }
        (shares, readings)
    }

    pub(super) fn on_sent(&mut self, sent: Sent) -> Result<(), RunError> {
        self.settle_sent(sent)?;
        self.begin_commit();
        Ok(())
    }

    /// The outcome of a failure is unknown: all of it is sent again.
    fn settle_sent(&mut self, (shares, outcome): Sent) -> Result<(), RunError> {
        for (partition, ownership) in &shares {
            let owned = self.owned.get_mut(partition).filter(|owned| owned.ownership == *ownership);
            if let Some(owned) = owned {
                owned.core.finish_send(outcome.is_ok());
            }
        }
        match outcome {
            Ok(()) => {
                self.send_backoff.ended();
                self.ready_again();
                Ok(())
            }
            Err(SourceError::Fatal(why)) => Err(SourceError::Fatal(why).into()),
            Err(error) => {
                let again_in_ms = self.send_backoff.failed(self.world.clock.now());
                tracing::warn!(%error, again_in_ms, "rejected and late readings were not taken; they are sent again");
                self.world.health.not_ready(&error.to_string());
                Ok(())
            }
        }
    }

    /// What these partitions have left, before they go.
    pub(super) async fn last_send(&mut self, partitions: &[TopicPartition]) -> Result<(), RunError> {
        if let Some(sending) = &mut self.sending {
            let sent = sending.await;
            self.sending = None;
            self.settle_sent(sent?)?;
        }
        let (shares, readings) = self.take_outgoing(partitions);
        if readings.is_empty() {
            return Ok(());
        }
        let outcome = self.world.outbox.send(&readings).await;
        self.settle_sent((shares, outcome))
    }
}
