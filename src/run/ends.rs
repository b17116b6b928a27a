//! Where the logs end, for the gauges of lag: what has been read does not tell it while nothing further is read. Asked
//! for beside the loop; an end that nobody tells holds nothing up.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::reading::{Offset, TopicPartition};

use super::World;

/// What the loop tells the task beside it, and what it hears.
pub struct Ends {
    pub owned: watch::Sender<Vec<TopicPartition>>,
    heard: watch::Sender<BTreeMap<TopicPartition, Offset>>,
}

impl Default for Ends {
    fn default() -> Ends {
        Ends { owned: watch::channel(Vec::new()).0, heard: watch::channel(BTreeMap::new()).0 }
    }
}

impl Ends {
    /// A partition's end, as it was told last.
    pub fn of(&self, partition: &TopicPartition) -> Option<Offset> {
        self.heard.borrow().get(partition).copied()
    }

    /// The task beside the loop, for as long as the engine runs.
    pub fn watch(&self, world: Arc<World>) -> impl Future<Output = ()> + use<> {
        let (owned, heard) = (self.owned.subscribe(), self.heard.clone());
        async move {
            let mut every = tokio::time::interval(world.settings.pace.beat_every);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                every.tick().await;
                let partitions = owned.borrow().clone();
                let mut ends = BTreeMap::new();
                for partition in partitions {
                    match world.source.log_bounds(&partition).await {
                        Ok((_, end)) => drop(ends.insert(partition, end)),
                        Err(error) => tracing::debug!(%partition, %error, "where the log ends is asked again"),
                    }
                }
                heard.send_replace(ends);
            }
        }
    }
}
