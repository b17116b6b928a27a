//! Opening the doors: the store, the source and the outbox of a configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use crate::clock::Clock;
use crate::config::{Config, Format, StoreConfig, StreamConfig, TenantConfig};
use crate::run::World;
use crate::run::stream::StreamRun;
use crate::source::files::{self, FileOutbox, FileSettings, FileStream};
use crate::source::kafka::{self, KafkaOutbox, KafkaSettings};
use crate::source::outlet::Budget;
use crate::source::{Outbox, Source, SourceEvent};
use crate::store::{self, Store, StoreError};
use crate::telemetry::Health;
use crate::view::View;

use super::generations::{Registry, answered};
use super::{Compiled, SetupError, settings};

/// Connects everything and binds the views to their live generations. The group is joined last:
/// an instance that may not run must not take partitions from those that do.
pub async fn connect(
    config: &Config,
    until_end: bool,
    health: Arc<Health>,
) -> Result<(World, Receiver<SourceEvent>), SetupError> {
    let clock = Clock::start();
    let compiled = Compiled::new(config)?;
    let store = open_store(config).await?;
    let asked = observe(config, store.clone()).await?;
    let Bound { views, streams } =
        bind(Registry { store: &*store, source: &*asked, clock, config, compiled: &compiled }).await?;
    drop(asked);
    let (source, outbox, events) = join(&only(config, &streams), store.clone()).await?;
    Ok((World { store, source, outbox, clock, health, views, streams, settings: settings(config, until_end) }, events))
}

/// The views in their live generations, and the streams that feed them.
pub struct Bound {
    pub views: Vec<Arc<View>>,
    pub streams: BTreeMap<Arc<str>, Arc<StreamRun>>,
}

/// Asks for the live generations and binds the configuration's views to them.
pub async fn bind(registry: Registry<'_>) -> Result<Bound, SetupError> {
    let Registry { config, compiled, .. } = registry;
    let mut bound = Vec::new();
    for (name, generation) in registry.live().await? {
        bound.push((compiled.view(&name, config, &generation)?, generation));
    }
    let streams = compiled.streams(config, &bound)?;
    Ok(Bound { views: bound.into_iter().map(|(view, _)| view).collect(), streams })
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

type Joined = (Arc<dyn Source>, Arc<dyn Outbox>, Receiver<SourceEvent>);

async fn join(config: &Config, store: Arc<dyn Store>) -> Result<Joined, SetupError> {
    if reads_files(config) {
        let outbox = Arc::new(FileOutbox::new(&config.rejects.dir));
        let (source, events) = files::start(file_settings(config, store)).await?;
        return Ok((source, outbox, events));
    }
    let rejects = &config.rejects;
    let outbox = KafkaOutbox::new(&config.kafka.properties, &rejects.topic, &rejects.late_topic)?;
    let (source, events) = kafka::start(kafka_settings(config))?;
    Ok((source, Arc::new(outbox), events))
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

fn file_settings(config: &Config, store: Arc<dyn Store>) -> FileSettings {
    let stream = |(name, stream): (&String, &StreamConfig)| FileStream {
        name: name.clone(),
        files: stream.files.clone(),
        has_header: stream.format == Format::Csv,
        max_record: stream.max_record,
    };
    FileSettings {
        group: group(config),
        streams: config.streams.iter().map(stream).collect(),
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
