//! What the topics hold no longer: files, each a partition of its own, which a replay folds before it joins the topics'
//! group. Whoever runs never reads them.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::Receiver;

use crate::clock::Clock;
use crate::config::Config;
use crate::reading::{Offset, TopicPartition};
use crate::replay::starts::Request;
use crate::run::{SentBefore, Settings, World};
use crate::source::{CommitRequest, GroupPosition, Source, SourceError, SourceEvent, files};
use crate::store::Store;
use crate::telemetry::Health;

use super::connect::{self, Bound};
use super::generations::{Registry, answered};
use super::{Compiled, SetupError, settings};

/// The configuration that reads the history in the topics' place; `None` where there is none.
pub fn of(config: &Config) -> Option<Config> {
    let mut history = config.clone();
    history.streams.retain(|_, stream| !stream.history.is_empty());
    for stream in history.streams.values_mut() {
        stream.topics.clear();
        stream.files = std::mem::take(&mut stream.history);
    }
    (!history.streams.is_empty()).then_some(history)
}

/// Whether a view has readings that only a replay folds.
pub fn has(config: &Config, view: &str) -> bool {
    config.feeding(&config.views[view]).any(|(_, stream)| !stream.history.is_empty())
}

/// Connects what folds the history of these views, in their replay's group; `None` where they have none.
pub async fn connect(
    config: &Config,
    views: &BTreeSet<String>,
    request: Request,
    health: Arc<Health>,
) -> Result<Option<(World, Receiver<SourceEvent>)>, SetupError> {
    let Some(history) = of(config).filter(|_| views.iter().any(|view| has(config, view))) else {
        return Ok(None);
    };
    let clock = Clock::start();
    let compiled = Compiled::new(config)?;
    let store = connect::open_store(config).await?;
    let (_, asked) = connect::observe_all(config, store.clone()).await?;
    let registry = Registry { store: &*store, source: &*asked, clock, config, compiled: &compiled };
    let mut bound = Vec::new();
    for (name, generation) in registry.replayed(views, request).await? {
        bound.push((compiled.view(&name, config, &generation)?, generation));
    }
    let streams = Compiled::new(&history)?.streams(&history, &bound)?;
    let bound = Bound { views: bound.into_iter().map(|(view, _)| view).collect(), streams };
    let files = connect::in_group_of(&bound, &history);
    let sent_before = sent_before(&*store, &*asked).await?;
    let (source, events) = files::start(connect::file_settings(&files, store.clone())).await?;
    let Bound { views, streams } = bound;
    let number: usize = streams.values().map(|stream| stream.topics.len()).sum();
    tracing::info!(files = number, "the history is folded before the topics");
    let (outbox, settings) = (connect::outbox(config)?, Settings { replaying: true, ..settings(config, true) });
    Ok(Some((World { store, source, outbox, clock, health, views, streams, sent_before, settings }, events)))
}

/// What was rejected or late in files that the generation which serves was computed from has been sent with them.
async fn sent_before(store: &dyn Store, asked: &dyn Source) -> Result<SentBefore, SetupError> {
    let mut sent = connect::sent_before(store, asked).await?;
    let records = answered("generations", || store.generations()).await?;
    let folded = records.iter().filter(|record| record.serves()).flat_map(|record| record.starts.keys());
    // A topic's partitions the group has committed, or nobody has read them.
    for source in folded {
        sent.positions.entry(*source).or_insert(Offset(i64::MAX));
    }
    Ok(sent)
}

/// Answers questions about topics and about the files of their history; commits nothing.
pub struct WithHistory {
    pub topics: Arc<dyn Source>,
    pub files: Arc<dyn Source>,
}

#[async_trait]
impl Source for WithHistory {
    fn group(&self) -> &str {
        self.topics.group()
    }

    fn metadata_limit(&self) -> usize {
        self.topics.metadata_limit()
    }

    async fn commit(&self, commits: &[CommitRequest]) -> Result<(), SourceError> {
        self.topics.commit(commits).await
    }

    async fn group_positions(&self) -> Result<Vec<GroupPosition>, SourceError> {
        let mut all = self.topics.group_positions().await?;
        all.extend(self.files.group_positions().await?);
        Ok(all)
    }

    async fn log_bounds(&self, partition: &TopicPartition) -> Result<(Offset, Offset), SourceError> {
        match self.files.log_bounds(partition).await {
            // It is none of them.
            Err(SourceError::Fatal(_)) => self.topics.log_bounds(partition).await,
            answer => answer,
        }
    }

    async fn close(&self) {
        self.topics.close().await;
        self.files.close().await;
    }
}
