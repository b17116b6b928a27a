//! A Kafka consumer group as a source.
//!
//! ```text
//! brokers ──► librdkafka (≤ 16 MiB fetched) ──► reader thread ──► outlet (≤ the budget) ──► engine
//!                                                   ▲                                          │
//!                             commits, questions ───┴──────── from any thread ◄────────────────┘
//! ```
//! One thread polls (`reader.rs`); a rebalance is a state of it, not a wait inside a callback (`rebalance.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

pub use self::outbox::KafkaOutbox;

use self::ffi::{Client, Element};
use self::observer::Observer;
use self::reader::Reader;
use self::topics::Streams;
use super::outlet::{Budget, Outlet};
use super::{CommitRequest, GroupPosition, Source, SourceError, SourceEvent};
use crate::reading::{Offset, TopicId, TopicPartition};

mod commit;
mod doubted;
mod ffi;
pub mod inspect;
mod observer;
mod outbox;
mod properties;
pub mod provision;
mod reader;
mod rebalance;
mod topics;
mod trouble;

/// What a Kafka source is made from.
pub struct KafkaSettings {
    /// librdkafka's properties as the user gave them, `group.id` and `bootstrap.servers` among them.
    pub properties: BTreeMap<String, String>,
    /// Topics, each with the name of its stream.
    pub topics: BTreeMap<String, String>,
    /// Of a topic: the name of the header that is read along, where its stream wants one.
    pub headers: BTreeMap<String, String>,
    /// Bytes read and not yet folded.
    pub budget: Budget,
    /// How long a revocation waits for the engine; cut to what the group's own patience allows.
    pub revoke_deadline: Duration,
}

/// Joins the group (in the background: brokers may be away) and reads. Settings that cannot be are refused here;
/// what only the brokers can tell comes as `Failed`.
pub fn start(settings: KafkaSettings) -> Result<(Arc<KafkaSource>, mpsc::Receiver<SourceEvent>), SourceError> {
    let properties = properties::consumer(&settings.properties)?;
    let client = Arc::new(client(&properties)?);
    let streams = streams(&settings.topics);
    let (outlet, events) = Outlet::new(settings.budget);
    let shared = Arc::new(Shared::default());
    let patience = properties::max_poll_interval(&properties) * 3 / 4;
    let revoke_deadline = settings.revoke_deadline.min(patience);
    let named = |(topic, header): (String, String)| Some((topic, CString::new(header).ok()?));
    let headers = settings.headers.into_iter().filter_map(named).collect();
    let reader = Reader::new(client.clone(), shared.clone(), streams.clone(), headers, outlet, revoke_deadline);
    let (ended, has_ended) = watch::channel(false);
    let body = move || {
        reader.run();
        // The receiver may have gone; nobody waits then.
        let _ = ended.send(true);
    };
    let spawned = thread::Builder::new().name("kafka-reader".into()).spawn(body);
    spawned.map_err(|error| SourceError::Fatal(format!("kafka: no thread to read with: {error}")))?;
    let group = properties.get("group.id").cloned().unwrap_or_default();
    Ok((Arc::new(KafkaSource { client, shared, streams, group, has_ended, observer: None }), events))
}

/// Answers questions about the topics and the group; joins nothing and reads nothing.
pub fn observe(settings: KafkaSettings) -> Result<Arc<KafkaSource>, SourceError> {
    let properties = properties::consumer(&settings.properties)?;
    let client = Arc::new(client(&properties)?);
    let group = properties.get("group.id").cloned().unwrap_or_default();
    let (shared, streams) = (Arc::new(Shared::default()), streams(&settings.topics));
    let observer = Some(Observer::new(&properties));
    Ok(Arc::new(KafkaSource { client, shared, streams, group, has_ended: watch::channel(true).1, observer }))
}

fn client(properties: &BTreeMap<String, String>) -> Result<Client, SourceError> {
    Client::new(properties).map_err(|text| properties::refused(properties, &text))
}

fn streams(topics: &BTreeMap<String, String>) -> Arc<Streams> {
    Arc::new(topics.iter().map(|(topic, stream)| (topic.as_str().into(), stream.as_str().into())).collect())
}

/// What the reader and the engine's callers both touch.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Partitions that the engine has been told of and that have not been given up, with their topics' ids.
    owned: Mutex<BTreeMap<TopicPartition, TopicId>>,
}

impl Shared {
    fn stop_asked(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn owned(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, TopicId>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owns_nothing(&self) -> bool {
        self.owned().is_empty()
    }

    fn own(&self, partitions: impl Iterator<Item = (TopicPartition, TopicId)>) {
        self.owned().extend(partitions);
    }

    fn owned_of(&self, elements: impl Iterator<Item = Element>) -> BTreeSet<TopicPartition> {
        let owned = self.owned();
        let named = elements.map(|one| TopicPartition { topic: one.topic.into(), partition: one.partition });
        named.filter(|one| owned.contains_key(one)).collect()
    }

    fn disown(&self, partitions: &BTreeSet<TopicPartition>) {
        self.owned().retain(|one, _| !partitions.contains(one));
    }

    fn disown_all(&self) -> Vec<TopicPartition> {
        std::mem::take(&mut *self.owned()).into_keys().collect()
    }

    /// The group's generation fences members, not partitions: a commit that was on its way when its partition left
    /// is stopped here.
    fn check_owned(&self, commits: &[CommitRequest]) -> Result<(), SourceError> {
        let owned = self.owned();
        match commits.iter().find(|one| owned.get(&one.partition) != Some(&one.source.topic)) {
            Some(one) => Err(SourceError::Fenced(format!("{} has been given up", one.partition))),
            None => Ok(()),
        }
    }
}

pub struct KafkaSource {
    client: Arc<Client>,
    shared: Arc<Shared>,
    streams: Arc<Streams>,
    group: String,
    has_ended: watch::Receiver<bool>,
    /// Where nothing is read: nobody else polls the client, and nobody else says what ails it.
    observer: Option<Observer>,
}

impl KafkaSource {
    /// Runs a blocking question beside the runtime's own threads.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Client) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let (client, streams, observer) = (self.client.clone(), self.streams.clone(), self.observer.clone());
        let asked = tokio::task::spawn_blocking(move || {
            question(&client).map_err(|error| match &observer {
                Some(observer) => observer.explain(&client, &streams, error),
                None => error,
            })
        });
        let asked = asked.await;
        asked.unwrap_or_else(|error| Err(SourceError::Unavailable(format!("kafka: the question was dropped: {error}"))))
    }
}

#[async_trait]
impl Source for KafkaSource {
    fn group(&self) -> &str {
        &self.group
    }

    fn metadata_limit(&self) -> usize {
        commit::METADATA_LIMIT
    }

    async fn commit(&self, commits: &[CommitRequest]) -> Result<(), SourceError> {
        if commits.is_empty() {
            return Ok(());
        }
        self.shared.check_owned(commits)?;
        let commits = commits.to_vec();
        self.ask(move |client| commit::commit(client, &commits)).await
    }

    async fn group_positions(&self) -> Result<Vec<GroupPosition>, SourceError> {
        let streams = self.streams.clone();
        self.ask(move |client| topics::group_positions(client, &streams)).await
    }

    async fn log_bounds(&self, partition: &TopicPartition) -> Result<(Offset, Offset), SourceError> {
        let partition = partition.clone();
        self.ask(move |client| topics::bounds(client, &partition)).await
    }

    async fn close(&self) {
        self.shared.stop.store(true, Ordering::Release);
        // An error means that the thread has gone, which is what is waited for.
        let _ = self.has_ended.clone().wait_for(|ended| *ended).await;
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}
