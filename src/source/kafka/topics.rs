//! What must be known of topics before they are read: that they exist, may be read at all, and their ids.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::commit;
use super::ffi::{self, Client, Failure, List, Topic};
use super::trouble::{Nature, nature, request_error};
use crate::reading::{Offset, SourceId, TopicPartition};
use crate::source::{Assignment, GroupPosition, SourceError};

/// Each question; the reader asks again when there is no answer, and serves its callbacks in between.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Topics by name, with the name of the stream that each belongs to.
pub type Streams = BTreeMap<Arc<str>, Arc<str>>;

/// The topics of the streams that the cluster does not have.
pub fn missing(client: &Client, streams: &Streams) -> Result<Vec<String>, Failure> {
    let names: Vec<&str> = streams.keys().map(|name| &**name).collect();
    let there = ffi::describe(client, &names, TIMEOUT)?;
    Ok(names.iter().filter(|name| !there.contains_key(**name)).map(|name| name.to_string()).collect())
}

pub fn missing_text(names: &[String]) -> String {
    format!("kafka has no topic \"{}\": `etiage migrate` creates topics, or correct the name", names.join("\", \""))
}

/// Refuses topics whose replayed prefix would differ, and says what is risky.
pub fn fit(client: &Client, streams: &Streams) -> Result<(), SourceError> {
    let names: Vec<&str> = streams.keys().map(|name| &**name).collect();
    let topics = ffi::describe(client, &names, TIMEOUT).map_err(|failure| request_error("topics", &failure))?;
    let settings = match ffi::settings(client, &names, TIMEOUT) {
        Ok(settings) => settings,
        Err(failure) if nature(failure.code) == Nature::Passing => {
            return Err(request_error("topic settings", &failure));
        }
        Err(failure) => {
            tracing::warn!("kafka: topic settings cannot be read, so compaction is not ruled out: {}", failure.text);
            return Ok(());
        }
    };
    settings.iter().try_for_each(|(name, all)| refuse_compacted(name, all))?;
    for (name, topic) in &topics {
        warn_of_risks(name, topic, settings.get(name));
    }
    Ok(())
}

fn refuse_compacted(name: &str, settings: &BTreeMap<String, String>) -> Result<(), SourceError> {
    let policy = settings.get("cleanup.policy").map_or("", String::as_str);
    if policy.split(',').any(|word| word.trim() == "compact") {
        return Err(SourceError::Fatal(format!(
            "topic \"{name}\" is compacted (cleanup.policy = {policy}), so a replay would see other records than the \
             first reading did: set cleanup.policy=delete, or copy the readings to a topic that is not compacted"
        )));
    }
    Ok(())
}

fn warn_of_risks(name: &str, topic: &Topic, settings: Option<&BTreeMap<String, String>>) {
    if topic.replication < 2 {
        tracing::warn!(topic = name, "topic has one replica: a lost broker loses its readings");
    }
    let kind = settings.and_then(|all| all.get("message.timestamp.type"));
    if kind.is_some_and(|kind| kind == "CreateTime") {
        tracing::warn!(
            topic = name,
            "record timestamps are the producers' own (message.timestamp.type = CreateTime): the guard against event \
             times in the future trusts their clocks; LogAppendTime would be the brokers'"
        );
    }
}

/// What the engine must know of newly assigned partitions.
pub fn assignments(client: &Client, streams: &Streams, list: &List) -> Result<Vec<Assignment>, SourceError> {
    let wrap = |what: &'static str| move |failure: Failure| request_error(what, &failure);
    let mut asked = List::new();
    let mut names = std::collections::BTreeSet::new();
    for element in list.elements() {
        asked.add(&element.topic, element.partition);
        names.insert(element.topic);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let topics = ffi::describe(client, &names, TIMEOUT).map_err(wrap("topics"))?;
    client.committed(&mut asked, TIMEOUT).map_err(wrap("committed positions"))?;
    let mut all = Vec::new();
    for (element, code) in asked.answers() {
        let (topic, partition) = (element.topic.as_str(), element.partition);
        if code.0 != 0 {
            let failure = Failure { code, text: code.to_string() };
            return Err(request_error(&format!("committed position of {topic}/{partition}"), &failure));
        }
        let Some((name, stream)) = streams.get_key_value(topic) else { continue };
        let Some(described) = topics.get(topic) else {
            // Being deleted or created just now: the next look tells.
            return Err(SourceError::Unavailable(missing_text(&[topic.to_string()])));
        };
        let (start, end) = client.watermarks(topic, partition, TIMEOUT).map_err(wrap("the log's bounds"))?;
        all.push(Assignment {
            partition: TopicPartition { topic: name.clone(), partition },
            source: SourceId { topic: described.id, partition },
            stream: stream.clone(),
            log_start: Offset(start),
            log_end: Offset(end),
            committed: commit::committed(&element),
        });
    }
    Ok(all)
}

/// Every partition of every topic, with the group's committed position.
pub fn group_positions(client: &Client, streams: &Streams) -> Result<Vec<GroupPosition>, SourceError> {
    let wrap = |what: &'static str| move |failure: Failure| request_error(what, &failure);
    let names: Vec<&str> = streams.keys().map(|name| &**name).collect();
    let topics = ffi::describe(client, &names, TIMEOUT).map_err(wrap("topics"))?;
    let mut asked = List::new();
    for (name, topic) in &topics {
        for partition in 0..topic.partitions {
            asked.add(name, partition);
        }
    }
    client.committed(&mut asked, TIMEOUT).map_err(wrap("committed positions"))?;
    let mut all = Vec::new();
    for (element, code) in asked.answers() {
        if code.0 != 0 {
            let what = format!("committed position of {}/{}", element.topic, element.partition);
            return Err(request_error(&what, &Failure { code, text: code.to_string() }));
        }
        let Some((name, stream)) = streams.get_key_value(element.topic.as_str()) else { continue };
        let Some(described) = topics.get(&element.topic) else { continue };
        all.push(GroupPosition {
            partition: TopicPartition { topic: name.clone(), partition: element.partition },
            source: SourceId { topic: described.id, partition: element.partition },
            stream: stream.clone(),
            committed: commit::committed(&element),
        });
    }
    Ok(all)
}

/// First offset held and the offset after the last record.
pub fn bounds(client: &Client, partition: &TopicPartition) -> Result<(Offset, Offset), SourceError> {
    let found = client.watermarks(&partition.topic, partition.partition, TIMEOUT);
    let failed = |failure: Failure| request_error(&format!("the log's bounds of {partition}"), &failure);
    found.map(|(start, end)| (Offset(start), Offset(end))).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(value: &str) -> Result<(), SourceError> {
        refuse_compacted("t", &BTreeMap::from([("cleanup.policy".to_string(), value.to_string())]))
    }

    #[test]
    fn compaction_in_any_company_is_refused() {
        assert!(policy("delete").is_ok());
        for value in ["compact", "compact,delete", "delete, compact"] {
            assert!(
                matches!(policy(value), Err(SourceError::Fatal(text)) if text.contains("cleanup.policy")),
                "{value}"
            );
        }
    }
}
