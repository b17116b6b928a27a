//! Opening the doors: the store, the source and the outbox of a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use crate::clock::Clock;
use crate::config::{Config, Format, StoreConfig, StreamConfig, TenantConfig};
use crate::replay::starts::Request;
use crate::run::replay::Leader;
use crate::run::stream::StreamRun;
use crate::run::{SentBefore, Settings, World};
use crate::source::files::{self, FileOutbox, FileSettings, FileStream};
use crate::source::kafka::{self, KafkaOutbox, KafkaSettings};
use crate::source::outlet::Budget;
use crate::source::{GroupPosition, Outbox, Source, SourceEvent};
use crate::store::{self, GenerationRecord, Store, StoreError};
use crate::telemetry::Health;
use crate::view::View;

use super::generations::{Registry, answered, known};
use super::history::{self, WithHistory};
use super::{Compiled, InGeneration, SetupError, settings};

/// Connects everything and binds the views to the generations that serve. The group is joined last:
/// an instance that may not run must not take partitions from those that do. Where the configuration is that of a replay
/// which has not taken over yet, the instance becomes one of its workers.
pub async fn connect(
    config: &Config,
    until_end: bool,
    health: Arc<Health>,
) -> Result<(World, Receiver<SourceEvent>), SetupError> {
    let clock = Clock::start();
    let compiled = Compiled::new(config)?;
    let store = open_store(config).await?;
    let asked = observe(config, store.clone()).await?;
    let registry = Registry { store: &*store, source: &*asked, clock, config, compiled: &compiled };
    // A run until the end would not know what end.
    let to_join = if until_end { BTreeMap::new() } else { registry.to_join().await? };
    if !to_join.is_empty() {
        let views: Vec<&String> = to_join.keys().collect();
        tracing::info!(
            ?views,
            "replayed under this configuration: this instance takes part until `etiage replay` takes over"
        );
        let bound = bound(config, &compiled, &to_join)?;
        return replayer(&in_group_of(&bound, config), bound, store, clock, health, &*asked).await;
    }
    let Bound { views, streams } = bind(registry).await?;
    drop(asked);
    let (source, outbox, events) = join(&only(config, &streams), store.clone()).await?;
    let (sent_before, settings) = (SentBefore::default(), settings(config, until_end));
    Ok((World { store, source, outbox, clock, health, views, streams, sent_before, settings }, events))
}

/// A replay of some views that is under way: begun here, or by whoever was first.
pub struct Begun {
    pub clock: Clock,
    pub compiled: Compiled,
    pub store: Arc<dyn Store>,
    /// Answers questions about the group that serves.
    pub serving: Arc<dyn Source>,
    pub generations: Generations,
}

/// Of each view.
pub type Generations = BTreeMap<String, Arc<GenerationRecord>>;

/// Begins a replay of these views, or finds it begun.
pub async fn begin_replay(config: &Config, views: &BTreeSet<String>, request: Request) -> Result<Begun, SetupError> {
    let clock = Clock::start();
    let compiled = Compiled::new(config)?;
    let store = open_store(config).await?;
    let serving = observe(config, store.clone()).await?;
    let registry = Registry { store: &*store, source: &*serving, clock, config, compiled: &compiled };
    let generations = match registry.replays(views, request).await? {
        Some(begun) => begun,
        None => {
            let asked = with_history(config, views, serving.clone(), store.clone()).await?;
            let measured = history::measured(config, views, store.clone()).await?;
            Registry { source: &*asked, ..registry }.replayed(views, request, &measured).await?
        }
    };
    Ok(Begun { clock, compiled, store, serving, generations })
}

/// Connects everything for a replay that has begun, and for who leads it.
pub async fn connect_replay(
    config: &Config,
    begun: &Begun,
    health: Arc<Health>,
) -> Result<(World, Receiver<SourceEvent>, Leader), SetupError> {
    let Begun { clock, compiled, store, serving, generations } = begun;
    let bound = bound(config, compiled, generations)?;
    let config = in_group_of(&bound, config);
    // A source of the leader's own: that of the loop goes with it when the generation is promoted.
    let own = observe(&config, store.clone()).await?;
    let (world, events) = replayer(&config, bound, store.clone(), *clock, health, &**serving).await?;
    // On one machine there is one clock, and the store answers at once.
    let patience = Duration::from_secs(if matches!(config.store, StoreConfig::Sqlite { .. }) { 6 } else { 15 });
    let leader = Leader::new(World { source: own, ..world.clone() }, serving.clone(), patience);
    Ok((world, events, leader))
}

/// The configuration of a replay's own group.
pub(super) fn in_group_of(bound: &Bound, config: &Config) -> Config {
    let mut config = only(config, &bound.streams);
    let feeds = bound.streams.values().flat_map(|stream| &stream.feeds);
    if let Some(group) = feeds.map(|feed| feed.generation.group.clone()).next() {
        config.kafka.properties.insert("group.id".to_owned(), group);
    }
    config
}

/// A world of parts only. `serving` answers questions about the group that serves.
async fn replayer(
    config: &Config,
    Bound { views, streams }: Bound,
    store: Arc<dyn Store>,
    clock: Clock,
    health: Arc<Health>,
    serving: &dyn Source,
) -> Result<(World, Receiver<SourceEvent>), SetupError> {
    let sent_before = sent_before(&*store, serving).await?;
    let (source, outbox, events) = join(config, store.clone()).await?;
    let settings = Settings { replaying: true, ..settings(config, false) };
    Ok((World { store, source, outbox, clock, health, views, streams, sent_before, settings }, events))
}

/// What the group that serves has sent: it is not sent again.
pub async fn sent_before(store: &dyn Store, serving: &dyn Source) -> Result<SentBefore, SetupError> {
    let positions = known("the group's positions", || serving.group_positions()).await?;
    let stood = |position: &GroupPosition| Some((position.source, position.committed.as_ref()?.offset));
    let records = answered("generations", || store.generations()).await?;
    let from =
        |record: &GenerationRecord| record.starts.iter().map(|(source, start)| (*source, start.rows_from())).collect();
    let serving = records.iter().filter(|record| record.serves());
    let views = serving.map(|record| (record.view.as_str().into(), from(record))).collect();
    Ok(SentBefore { positions: positions.iter().filter_map(stood).collect(), views })
}

/// The views in their generations, and the streams that feed them.
pub struct Bound {
    pub views: Vec<Arc<View>>,
    pub streams: BTreeMap<Arc<str>, Arc<StreamRun>>,
}

/// Asks for the generations that serve and binds the configuration's views to them.
pub async fn bind(registry: Registry<'_>) -> Result<Bound, SetupError> {
    let live = registry.live().await?;
    bound(registry.config, registry.compiled, &live)
}

/// Binds the configuration's views to generations.
pub fn bound(config: &Config, compiled: &Compiled, generations: &Generations) -> Result<Bound, SetupError> {
    let views = in_generations(config, compiled, generations)?;
    let streams = compiled.streams(config, &views)?;
    Ok(Bound { views: views.into_iter().map(|(view, _)| view).collect(), streams })
}

/// The views, each with its generation.
pub(super) fn in_generations(
    config: &Config,
    compiled: &Compiled,
    generations: &Generations,
) -> Result<Vec<InGeneration>, SetupError> {
    let view = |(name, generation): (&String, &Arc<GenerationRecord>)| {
        Ok((compiled.view(name, config, generation)?, generation.clone()))
    };
    generations.iter().map(view).collect()
}

/// Opens the store; waits for one that does not answer.
async fn open_store(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    let store = answered("opening", || store::open(&config.store)).await?;
    if let StoreConfig::Sqlite { .. } = config.store {
        store.migrate(false).await?;
    }
    answered("checking the schema", || store.check()).await?;
    Ok(store)
}

/// The configuration without the streams that feed no view that runs: nobody would fold them.
fn only(config: &Config, streams: &BTreeMap<Arc<str>, Arc<StreamRun>>) -> Config {
    let mut config = config.clone();
    config.streams.retain(|name, _| streams.contains_key(name.as_str()));
    config
}

/// The same source, which answers questions about the history of these views, too.
async fn with_history(
    config: &Config,
    views: &BTreeSet<String>,
    topics: Arc<dyn Source>,
    store: Arc<dyn Store>,
) -> Result<Arc<dyn Source>, SetupError> {
    let Some(history) = history::of(config, views.iter()) else { return Ok(topics) };
    let files = files::observe(file_settings(&history, store)).await?;
    Ok(Arc::new(WithHistory { topics, files }))
}

type Joined = (Arc<dyn Source>, Arc<dyn Outbox>, Receiver<SourceEvent>);

async fn join(config: &Config, store: Arc<dyn Store>) -> Result<Joined, SetupError> {
    if reads_files(config) {
        let (source, events) = files::start(file_settings(config, store)).await?;
        return Ok((source, outbox(config)?, events));
    }
    let outbox = outbox(config)?;
    let (source, events) = kafka::start(kafka_settings(config))?;
    Ok((source, outbox, events))
}

pub(super) fn outbox(config: &Config) -> Result<Arc<dyn Outbox>, SetupError> {
    let rejects = &config.rejects;
    if reads_files(config) {
        return Ok(Arc::new(FileOutbox::new(&rejects.dir)));
    }
    Ok(Arc::new(KafkaOutbox::new(&config.kafka.properties, &rejects.topic, &rejects.late_topic)?))
}

/// A source that answers questions and joins nothing.
pub async fn observe(config: &Config, store: Arc<dyn Store>) -> Result<Arc<dyn Source>, SetupError> {
    if reads_files(config) {
        return Ok(files::observe(file_settings(config, store)).await?);
    }
    Ok(kafka::observe(kafka_settings(config))?)
}

fn reads_files(config: &Config) -> bool {
    config.streams.values().any(|stream| !stream.files.is_empty())
}

pub(super) fn file_settings(config: &Config, store: Arc<dyn Store>) -> FileSettings {
    let stream = |(name, stream): (&String, &StreamConfig)| FileStream {
        name: name.clone(),
        files: stream.files.clone(),
        has_header: stream.format == Format::Csv,
        max_record: stream.max_record,
    };
    FileSettings {
        group: group(config),
        streams: config.streams.iter().map(stream).collect(),
        whole: Vec::new(),
        budget: Budget::new(config.engine.queue_bytes),
        store,
        revoke_deadline: Duration::from_millis(config.engine.stop_deadline_ms),
    }
}

fn kafka_settings(config: &Config) -> KafkaSettings {
    let topics = config
        .streams
        .iter()
        .flat_map(|(name, stream)| stream.topics.iter().map(|topic| (topic.clone(), name.clone())));
    let topics: BTreeMap<String, String> = topics.collect();
    let header = |stream: &StreamConfig| match &stream.tenant {
        Some(TenantConfig::Header(name)) => Some(name.clone()),
        _ => None,
    };
    let with_header = config.streams.values().filter_map(|stream| Some((stream, header(stream)?)));
    let headers =
        with_header.flat_map(|(stream, name)| stream.topics.iter().map(move |topic| (topic.clone(), name.clone())));
    KafkaSettings {
        properties: config.kafka.properties.clone(),
        headers: headers.collect(),
        topics,
        budget: Budget::new(config.engine.queue_bytes),
        revoke_deadline: Duration::from_millis(config.engine.stop_deadline_ms),
    }
}

fn group(config: &Config) -> String {
    config.kafka.properties.get("group.id").cloned().unwrap_or_else(|| "etiage".to_owned())
}
