//! Topics for `etiage migrate`: which there are, and creating those that are missing.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as E};
use rdkafka::types::RDKafkaRespErr;

use super::observer::{reach, servers};
use super::properties;
use crate::source::SourceError;

const TIMEOUT: Duration = Duration::from_secs(15);

/// A topic that there should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    pub partitions: i32,
    /// −1 leaves it to the brokers' default.
    pub replication: i32,
}

/// What became of a wanted topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Existed,
}

/// Creates the topics that are missing and leaves the others as they are; in the order asked.
pub async fn create_topics(
    properties: &BTreeMap<String, String>,
    wanted: &[Wanted],
) -> Result<Vec<Outcome>, SourceError> {
    let admin = admin(properties)?;
    let replication = |one: &Wanted| TopicReplication::Fixed(one.replication);
    let topics: Vec<_> = wanted.iter().map(|one| NewTopic::new(&one.name, one.partitions, replication(one))).collect();
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    let answers =
        admin.create_topics(&topics, &options).await.map_err(|error| failed(properties, "creating topics", &error))?;
    let outcome = |answer| match answer {
        Ok(_) => Ok(Outcome::Created),
        Err((_, E::TopicAlreadyExists)) => Ok(Outcome::Existed),
        Err((name, code)) => Err(SourceError::Fatal(format!("topic \"{name}\" cannot be created: {code}"))),
    };
    answers.into_iter().map(outcome).collect()
}

/// How many partitions a topic has; `None` where there is no such topic.
pub async fn topic_partitions(properties: &BTreeMap<String, String>, topic: &str) -> Result<Option<i32>, SourceError> {
    let (admin, topic, user) = (admin(properties)?, topic.to_string(), properties.clone());
    let asked = tokio::task::spawn_blocking(move || partitions(&admin, &user, &topic)).await;
    asked.unwrap_or_else(|error| Err(SourceError::Unavailable(format!("the question was dropped: {error}"))))
}

fn partitions(
    admin: &AdminClient<DefaultClientContext>,
    user: &BTreeMap<String, String>,
    topic: &str,
) -> Result<Option<i32>, SourceError> {
    let what = format!("asking for topic \"{topic}\"");
    let metadata = admin.inner().fetch_metadata(Some(topic), TIMEOUT).map_err(|error| failed(user, &what, &error))?;
    let Some(found) = metadata.topics().iter().find(|one| one.name() == topic) else { return Ok(None) };
    match found.error() {
        None => Ok(Some(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX))),
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => Ok(None),
        Some(error) => Err(failed(user, &what, &KafkaError::MetadataFetch(error.into()))),
    }
}

fn admin(user: &BTreeMap<String, String>) -> Result<AdminClient<DefaultClientContext>, SourceError> {
    let config: ClientConfig =
        properties::producer(user).into_iter().filter(|(key, _)| !properties::is_producers(key)).collect();
    config.create().map_err(|error: KafkaError| {
        let text = error.to_string();
        SourceError::Fatal(format!("kafka: {text}{}", properties::remedy(&text)))
    })
}

fn failed(user: &BTreeMap<String, String>, what: &str, error: &KafkaError) -> SourceError {
    let text = format!("kafka: {what}: {error}");
    match error.rdkafka_error_code() {
        Some(code) if super::trouble::nature(super::ffi::Code(code as i32)) != super::trouble::Nature::Passing => {
            SourceError::Fatal(text)
        }
        _ => SourceError::Unavailable(format!("{text}: {}", reach(&servers(user)))),
    }
}
