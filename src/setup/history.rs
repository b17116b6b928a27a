//! What the topics hold no longer: files, each a partition of its own, which a replay folds beside the topics. Whoever runs
//! never reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::Receiver;

use crate::config::{Config, ViewConfig};
use crate::reading::{Offset, SourceId, TopicPartition};
use crate::run::{SentBefore, Settings, World};
use crate::source::files::{self, FileSettings};
use crate::source::{CommitRequest, GroupPosition, Source, SourceError, SourceEvent};
use crate::store::{GenerationRecord, GenerationState, PositionKind, Store, Whole};
use crate::telemetry::Health;

use super::connect::{self, Begun, Bound};
use super::generations::answered;
use super::{SetupError, settings};

/// The configuration that reads the history of these views in the topics' place; `None` where they have none.
pub fn of<'a>(config: &Config, views: impl Iterator<Item = &'a String>) -> Option<Config> {
    let mut history = config.clone();
    let views: Vec<&ViewConfig> = views.map(|view| &config.views[view]).collect();
    let feeds = |name: &str| views.iter().any(|view| view.takes(name));
    history.streams.retain(|name, stream| !stream.history.is_empty() && feeds(name));
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

/// Whether a partition is a file of history.
pub fn is_of(config: &Config, position: &GroupPosition) -> bool {
    config.streams[&*position.stream].history.iter().any(|file| *file.name == *position.partition.topic)
}

/// What the files hold that a replay of these views begins with.
pub async fn measured(
    config: &Config,
    views: &BTreeSet<String>,
    store: Arc<dyn Store>,
) -> Result<BTreeMap<SourceId, Whole>, SetupError> {
    let Some(history) = of(config, views.iter()) else { return Ok(BTreeMap::new()) };
    tracing::info!(
        "the files of the history are measured: they must stay what they are until the replay has taken over"
    );
    Ok(files::measured(&connect::file_settings(&history, store)).await?)
}

/// A generation is computed from what the files hold now.
pub fn hold_to(record: &mut GenerationRecord, measured: &BTreeMap<SourceId, Whole>) {
    record.starts.iter_mut().for_each(|(source, start)| start.whole = measured.get(source).copied());
}

/// Refuses files that cannot be read at all.
pub fn is_there(history: &Config) -> Result<(), SetupError> {
    let mut files = history.streams.values().flat_map(|stream| &stream.files);
    files.try_for_each(|file| match std::fs::File::open(&file.path) {
        Ok(_) => Ok(()),
        Err(error) => {
            let path = file.path.display();
            Err(SourceError::Fatal(format!("file {path}: {error}: correct the stream's `history`")).into())
        }
    })
}

/// The configuration that folds the history of a replay; `None` where there is none, or where it is folded.
pub fn to_fold(config: &Config, begun: &Begun) -> Option<Config> {
    // What has taken over has folded it.
    let replaying = begun.generations.values().all(|one| one.state == GenerationState::Replaying);
    of(config, begun.generations.keys()).filter(|_| replaying)
}

/// Of two loops in one process each has half of the memory.
pub fn halved(mut config: Config) -> Config {
    let longest = config.streams.values().map(|stream| stream.max_record).max().unwrap_or(0);
    config.engine.parts_bytes /= 2;
    config.engine.queue_bytes = longest.max(config.engine.queue_bytes / 2);
    config
}

/// Connects what folds a history, in the replay's group.
pub async fn connect(
    config: &Config,
    history: &Config,
    begun: &Begun,
) -> Result<(World, Receiver<SourceEvent>), SetupError> {
    let Begun { clock, compiled, store, serving, generations } = begun;
    // The views as all of their streams make them, over those that have a history.
    let views = connect::in_generations(config, compiled, generations)?;
    let streams = compiled.with_streams_of(history)?.streams(history, &views)?;
    let bound = Bound { views: views.into_iter().map(|(view, _)| view).collect(), streams };
    let files = connect::in_group_of(&bound, history);
    let whole = generations.values().flat_map(|record| &record.starts);
    let whole = whole.filter_map(|(source, start)| Some((*source, start.whole?))).collect();
    let settings_of_files = FileSettings { whole, ..connect::file_settings(&files, store.clone()) };
    tracing::info!("the files of the history are compared with what they were when the replay began");
    let (source, events) = files::start(settings_of_files).await?;
    let number: usize = bound.streams.values().map(|stream| stream.topics.len()).sum();
    tracing::info!(files = number, "the history is folded beside the topics");
    let world = World {
        store: store.clone(),
        source,
        outbox: connect::outbox(config)?,
        clock: *clock,
        // That of the process is the topics' affair.
        health: Arc::new(Health::starting("folding the history")),
        views: bound.views,
        streams: bound.streams,
        sent_before: sent_before(&**store, &**serving).await?,
        settings: Settings { replaying: true, ..settings(config, true) },
    };
    Ok((world, events))
}

/// What was rejected or late in files that the generations which serve were computed from has been sent with them, by them or
/// before they began.
async fn sent_before(store: &dyn Store, topics: &dyn Source) -> Result<SentBefore, SetupError> {
    let mut sent = connect::sent_before(store, topics).await?;
    let records = answered("generations", || store.generations()).await?;
    let mut files = BTreeMap::new();
    for record in records.iter().filter(|record| record.serves()) {
        let whole = record.starts.iter().filter(|(_, start)| start.left_out.is_none());
        for (source, start) in whole.filter(|(source, _)| !sent.positions.contains_key(*source)) {
            let kept = || store.positions(&record.group, *source, PositionKind::Kept, 1);
            let kept = answered("positions", kept).await?.first().map(|kept| kept.offset);
            let here = kept.unwrap_or_default().max(start.offset);
            // Where two differ, what one of them may not have sent is sent again.
            files.entry(*source).and_modify(|least: &mut Offset| *least = here.min(*least)).or_insert(here);
        }
    }
    sent.positions.extend(files);
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
