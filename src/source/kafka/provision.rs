//! Topics for `etiage migrate`: which there are, and creating those that are missing.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as E};

use super::ffi::{self, Client, Topic};
use super::observer::{servers, told};
use super::{properties, trouble};
use crate::source::SourceError;

const TIMEOUT: Duration = Duration::from_secs(15);
/// A question about topics is asked so often, each time for a part of the time.
const ASKED: u32 = 5;

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
    let there = described(properties, wanted.iter().map(|one| one.name.clone()).collect()).await?;
    let missing: Vec<&Wanted> = wanted.iter().filter(|one| !there.contains_key(&one.name)).collect();
    if !missing.is_empty() {
        create(properties, &missing).await?;
    }
    let outcome = |one: &Wanted| if there.contains_key(&one.name) { Outcome::Existed } else { Outcome::Created };
    Ok(wanted.iter().map(outcome).collect())
}

async fn create(properties: &BTreeMap<String, String>, missing: &[&Wanted]) -> Result<(), SourceError> {
    let admin = admin(properties)?;
    let replication = |one: &Wanted| TopicReplication::Fixed(one.replication);
    let topics: Vec<_> = missing.iter().map(|one| NewTopic::new(&one.name, one.partitions, replication(one))).collect();
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    let answers = admin.create_topics(&topics, &options).await.map_err(|error| failed("creating topics", &error))?;
    answers.into_iter().try_for_each(|answer| match answer {
        // Somebody else was quicker.
        Ok(_) | Err((_, E::TopicAlreadyExists)) => Ok(()),
        Err((name, E::TopicAuthorizationFailed | E::ClusterAuthorizationFailed)) => Err(SourceError::Fatal(format!(
            "kafka: this user may not create topic \"{name}\": grant it CREATE on the topic, or let somebody who may \
             create it"
        ))),
        Err((name, code)) => Err(SourceError::Fatal(format!("topic \"{name}\" cannot be created: {code}"))),
    })
}

/// How many partitions a topic has; `None` where there is no such topic.
pub async fn topic_partitions(properties: &BTreeMap<String, String>, topic: &str) -> Result<Option<i32>, SourceError> {
    Ok(described(properties, vec![topic.to_owned()]).await?.get(topic).map(|found| found.partitions))
}

/// The topics that there are, of those that are named.
async fn described(
    user: &BTreeMap<String, String>,
    names: Vec<String>,
) -> Result<BTreeMap<String, Topic>, SourceError> {
    let mut user = user.clone();
    // A consumer's handle needs a group's name; it is not joined.
    user.entry("group.id".into()).or_insert_with(|| "etiage".into());
    let (client, servers) = (super::client(&properties::consumer(&user)?)?, servers(&user));
    let asked = tokio::task::spawn_blocking(move || ask(&client, &servers, &names)).await;
    asked.unwrap_or_else(|error| Err(SourceError::Unavailable(format!("the question was dropped: {error}"))))
}

fn ask(client: &Client, servers: &str, names: &[String]) -> Result<BTreeMap<String, Topic>, SourceError> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let once = || {
        let answer = ffi::describe(client, &names, TIMEOUT / ASKED);
        answer.map_err(|failure| told(client, servers, trouble::request_error("kafka: topics", &failure)))
    };
    for _ in 1..ASKED {
        match once() {
            Err(SourceError::Unavailable(text)) => tracing::debug!("{text}"),
            answer => return answer,
        }
    }
    once()
}

fn admin(user: &BTreeMap<String, String>) -> Result<AdminClient<DefaultClientContext>, SourceError> {
    let config: ClientConfig =
        properties::producer(user).into_iter().filter(|(key, _)| !properties::is_producers(key)).collect();
    config.create().map_err(|error: KafkaError| properties::refused(user, &error.to_string()))
}

fn failed(what: &str, error: &KafkaError) -> SourceError {
    let text = format!("kafka: {what}: {error}");
    match error.rdkafka_error_code() {
        Some(code) if super::trouble::nature(super::ffi::Code(code as i32)) != super::trouble::Nature::Passing => {
            SourceError::Fatal(text)
        }
        _ => SourceError::Unavailable(text),
    }
}
