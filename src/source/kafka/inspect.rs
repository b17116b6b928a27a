//! What `etiage check` and `status` ask of a cluster: topics and brokers with their settings, the members of the group,
//! the first records. Joins nothing and commits nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;

use super::ffi::{self, Client, Failure, List, Message};
use super::observer::{servers, told};
use super::properties;
use super::topics;
use super::trouble::{Nature, nature, request_error};
use crate::reading::{Offset, RawBatch, TopicPartition};
use crate::source::SourceError;

const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the first records may take: a fetch of a topic that has some is a matter of milliseconds.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    pub partitions: i32,
    pub replication: usize,
    /// `None` where this user may not read them.
    pub settings: Option<BTreeMap<String, String>>,
}

/// A member of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: String,
    pub client: String,
    pub host: String,
}

/// A client that asks.
pub struct Inspector {
    client: Arc<Client>,
    admin: Arc<AdminClient<DefaultClientContext>>,
    servers: Arc<str>,
    group: String,
}

impl Inspector {
    pub fn new(user: &BTreeMap<String, String>) -> Result<Inspector, SourceError> {
        let mut properties = properties::consumer(user)?;
        // A few records are wanted, not megabytes.
        properties.insert("queued.max.messages.kbytes".into(), "1024".into());
        properties.insert("fetch.max.bytes".into(), "1048576".into());
        properties.insert("message.max.bytes".into(), "1048576".into());
        let client = Arc::new(super::client(&properties)?);
        let asks = properties::producer(user).into_iter().filter(|(key, _)| !properties::is_producers(key));
        let config: ClientConfig = asks.collect();
        let admin =
            Arc::new(config.create().map_err(|error: KafkaError| properties::refused(user, &error.to_string()))?);
        let group = properties.get("group.id").cloned().unwrap_or_default();
        Ok(Inspector { client, admin, servers: servers(&properties).into(), group })
    }

    /// The topics that there are, of these.
    pub async fn topics(&self, names: BTreeSet<String>) -> Result<BTreeMap<String, TopicFacts>, SourceError> {
        let servers = self.servers.clone();
        self.ask(move |client| {
            facts(client, &names).map_err(|failure| told(client, &servers, request_error("topics", &failure)))
        })
        .await
    }

    /// The settings of one broker; `None` where this user may not read them.
    pub async fn broker_settings(&self) -> Result<Option<BTreeMap<String, String>>, SourceError> {
        let admin = self.admin.clone();
        let asked = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, TIMEOUT)).await;
        let metadata = asked.map_err(dropped)?.map_err(|error| SourceError::Unavailable(error.to_string()))?;
        let broker = ResourceSpecifier::Broker(metadata.orig_broker_id());
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let Ok(answers) = self.admin.describe_configs([&broker], &options).await else { return Ok(None) };
        let settings = answers.into_iter().filter_map(Result::ok).flat_map(|resource| resource.entries);
        let settings: BTreeMap<_, _> =
            settings.filter_map(|entry| entry.value.map(|value| (entry.name, value))).collect();
        Ok((!settings.is_empty()).then_some(settings))
    }

    /// The members of the group, none where there is no such group. (Those of the protocol of Kafka 4, which this
    /// question does not see, are not among them.)
    pub async fn members(&self) -> Result<Vec<Member>, SourceError> {
        let (admin, group) = (self.admin.clone(), self.group.clone());
        let asked = tokio::task::spawn_blocking(move || members(&admin, &group)).await;
        asked.map_err(dropped)?.map_err(|error| SourceError::Unavailable(error.to_string()))
    }

    /// The oldest records of the first partitions that hold any: at most `count` of each, and no more partitions than
    /// it takes to have so many. With the value of a header, where one is named.
    pub async fn first_records(
        &self,
        topic: String,
        partitions: i32,
        header: Option<&str>,
        count: usize,
    ) -> Result<BTreeMap<TopicPartition, RawBatch>, SourceError> {
        let header = header.and_then(|name| CString::new(name).ok());
        self.ask(move |client| {
            let from = starts(client, &topic, partitions, count)?;
            first_records(client, &from, header, count)
                .map_err(|failure| request_error("reading the first records", &failure))
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Client) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let client = self.client.clone();
        tokio::task::spawn_blocking(move || question(&client)).await.map_err(dropped)?
    }
}

fn members(admin: &AdminClient<DefaultClientContext>, group: &str) -> Result<Vec<Member>, KafkaError> {
    let list = admin.inner().fetch_group_list(Some(group), TIMEOUT)?;
    let all = list.groups().iter().filter(|one| one.name() == group).flat_map(|one| one.members());
    let member = |one: &rdkafka::groups::GroupMemberInfo| Member {
        id: one.id().to_owned(),
        client: one.client_id().to_owned(),
        host: one.client_host().trim_start_matches('/').to_owned(),
    };
    Ok(all.map(member).collect())
}

fn dropped(error: tokio::task::JoinError) -> SourceError {
    SourceError::Unavailable(format!("kafka: the question was dropped: {error}"))
}

fn facts(client: &Client, names: &BTreeSet<String>) -> Result<BTreeMap<String, TopicFacts>, Failure> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let there = ffi::describe(client, &names, TIMEOUT)?;
    let mut all = BTreeMap::new();
    for (name, topic) in there {
        // One at a time: a topic whose settings are not to be read hides no other's.
        let settings = match ffi::settings(client, &[&name], TIMEOUT) {
            Ok(mut settings) => settings.remove(&name),
            Err(failure) if nature(failure.code) == Nature::Passing => return Err(failure),
            Err(_) => None,
        };
        all.insert(name, TopicFacts { partitions: topic.partitions, replication: topic.replication, settings });
    }
    Ok(all)
}

/// Where the log begins in as many partitions as hold `count` records.
fn starts(
    client: &Client,
    topic: &str,
    partitions: i32,
    count: usize,
) -> Result<BTreeMap<TopicPartition, Offset>, SourceError> {
    let (mut from, mut records) = (BTreeMap::new(), 0);
    for partition in 0..partitions {
        let place = TopicPartition { topic: topic.into(), partition };
        let (start, end) = topics::bounds(client, &place)?;
        if start < end {
            records += end.0 - start.0;
            from.insert(place, start);
        }
        if records >= count as i64 {
            break;
        }
    }
    Ok(from)
}

fn first_records(
    client: &Client,
    from: &BTreeMap<TopicPartition, Offset>,
    header: Option<CString>,
    count: usize,
) -> Result<BTreeMap<TopicPartition, RawBatch>, Failure> {
    let mut list = List::new();
    for (place, offset) in from {
        list.add(&place.topic, place.partition).offset(offset.0);
    }
    if list.is_empty() {
        return Ok(BTreeMap::new());
    }
    client.assign(&list)?;
    let mut first = First { from, header, count, found: BTreeMap::new(), ended: BTreeSet::new(), trouble: None };
    let (until, mut messages) = (now() + FIRST_WITHIN, Vec::new());
    while !first.is_complete() && now() < until {
        client.consume(Duration::from_millis(100), 64, &mut messages);
        messages.drain(..).for_each(|message| first.take(&message));
    }
    match first.trouble {
        Some(failure) if first.found.is_empty() => Err(failure),
        _ => Ok(first.found),
    }
}

struct First<'a> {
    from: &'a BTreeMap<TopicPartition, Offset>,
    header: Option<CString>,
    count: usize,
    found: BTreeMap<TopicPartition, RawBatch>,
    ended: BTreeSet<TopicPartition>,
    trouble: Option<Failure>,
}

impl First<'_> {
    fn take(&mut self, message: &Message) {
        let place = TopicPartition { topic: message.topic().into(), partition: message.partition() };
        if !self.from.contains_key(&place) {
            return;
        }
        match message.code() {
            ffi::Code(0) => {
                let batch =
                    self.found.entry(place).or_insert_with(|| RawBatch { leader_epoch: -1, ..RawBatch::default() });
                if batch.records.len() < self.count {
                    let timestamp_ms = Some(message.timestamp_ms());
                    batch.push(Offset(message.offset()), timestamp_ms, message.key(), message.payload());
                    let header = self.header.as_ref().and_then(|name| message.header(name));
                    header.into_iter().for_each(|value| batch.push_header(value));
                }
            }
            code if code.known() == Some(rdkafka_sys::RDKafkaErrorCode::PartitionEOF) => drop(self.ended.insert(place)),
            code => self.trouble = Some(Failure { code, text: format!("{place}: {}", message.error_text()) }),
        }
    }

    fn is_complete(&self) -> bool {
        let full = |place| self.found.get(place).is_some_and(|batch| batch.records.len() >= self.count);
        self.from.keys().all(|place| self.ended.contains(place) || full(place))
    }
}

/// The edge's clock.
#[expect(clippy::disallowed_methods, reason = "a deadline alone: no result depends on it")]
fn now() -> Instant {
    Instant::now()
}
