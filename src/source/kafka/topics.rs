//! What must be known of topics before they are read: that they exist, may be read at all, and their ids.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::commit;
use super::ffi::{self, Client, Code, Element, Failure, List, Topic};
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
        Err(failure) if matches!(nature(failure.code), Nature::Passing | Nature::Missing) => {
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
pub fn assignments(client: &Client, streams: &Streams, list: &List) -> Result<Vec<Assignment>, Failure> {
    let mut asked = List::new();
    let mut names = BTreeSet::new();
    for element in list.elements() {
        asked.add(&element.topic, element.partition);
        names.insert(element.topic);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let topics = ffi::describe(client, &names, TIMEOUT).map_err(|failure| failure.about("topics"))?;
    let mut all = Vec::new();
    for (element, code) in committed(client, asked)? {
        let Some(position) = position(streams, &topics, &element, code)? else { continue };
        let (log_start, log_end) = watermarks(client, &position.partition)?;
        let GroupPosition { partition, source, stream, committed } = position;
        all.push(Assignment { partition, source, stream, log_start, log_end, committed });
    }
    Ok(all)
}

/// Every partition of every topic, with the group's committed position.
pub fn group_positions(client: &Client, streams: &Streams) -> Result<Vec<GroupPosition>, SourceError> {
    let ask = || -> Result<Vec<GroupPosition>, Failure> {
        let names: Vec<&str> = streams.keys().map(|name| &**name).collect();
        let topics = ffi::describe(client, &names, TIMEOUT).map_err(|failure| failure.about("topics"))?;
        let mut asked = List::new();
        for (name, partition) in every_partition(streams, &topics)? {
            asked.add(&name, partition);
        }
        let answers = committed(client, asked)?.into_iter();
        answers.filter_map(|(element, code)| position(streams, &topics, &element, code).transpose()).collect()
    };
    ask().map_err(|failure| request_error("the group's positions", &failure))
}

/// All partitions of the streams' topics. One topic missing, and there is no answer: without its partitions a window
/// would be taken for complete before they have come so far.
fn every_partition(streams: &Streams, topics: &BTreeMap<String, Topic>) -> Result<Vec<(Arc<str>, i32)>, Failure> {
    let mut all = Vec::new();
    for name in streams.keys() {
        let partitions = topics.get(&**name).map_or(0, |topic| topic.partitions);
        if partitions == 0 {
            return Err(absent(name));
        }
        all.extend((0..partitions).map(|partition| (name.clone(), partition)));
    }
    Ok(all)
}

/// What is known of a partition of the streams; an answer that is an error is nobody's position.
fn position(
    streams: &Streams,
    topics: &BTreeMap<String, Topic>,
    element: &Element,
    code: Code,
) -> Result<Option<GroupPosition>, Failure> {
    let (topic, partition) = (element.topic.as_str(), element.partition);
    if code.0 != 0 {
        let failure = Failure { code, text: code.to_string() };
        return Err(failure.about(&format!("committed position of {topic}/{partition}")));
    }
    let Some((name, stream)) = streams.get_key_value(topic) else { return Ok(None) };
    let described = topics.get(topic).ok_or_else(|| absent(topic))?;
    Ok(Some(GroupPosition {
        partition: TopicPartition { topic: name.clone(), partition },
        source: SourceId { topic: described.id, partition },
        stream: stream.clone(),
        committed: commit::committed(element),
    }))
}

/// Being deleted or created just now: the next look tells.
fn absent(topic: &str) -> Failure {
    let code = Code(rdkafka_sys::RDKafkaErrorCode::UnknownTopicOrPartition as i32);
    Failure { code, text: format!("kafka has no topic \"{topic}\"") }
}

/// The group's commits, with an error code for each.
fn committed(client: &Client, mut asked: List) -> Result<Vec<(Element, Code)>, Failure> {
    client.committed(&mut asked, TIMEOUT).map_err(|failure| failure.about("committed positions"))?;
    Ok(asked.answers())
}

/// First offset held and the offset after the last record.
pub fn bounds(client: &Client, partition: &TopicPartition) -> Result<(Offset, Offset), SourceError> {
    watermarks(client, partition).map_err(|failure| request_error("kafka", &failure))
}

/// librdkafka says "unknown" from memory where a partition is younger than its last look (minutes, by default), so
/// it is made to look before it is asked again.
fn watermarks(client: &Client, partition: &TopicPartition) -> Result<(Offset, Offset), Failure> {
    let ask = || client.watermarks(&partition.topic, partition.partition, TIMEOUT);
    let renewed = |failure: Failure| match nature(failure.code) {
        Nature::Missing => client.refresh(&partition.topic, TIMEOUT).and_then(|()| ask()),
        _ => Err(failure),
    };
    let found = ask().or_else(renewed).map_err(|failure| failure.about(&format!("the log's bounds of {partition}")));
    found.map(|(start, end)| (Offset(start), Offset(end)))
}

#[cfg(test)]
mod tests {
    use rdkafka_sys::RDKafkaErrorCode as E;

    use super::*;
    use crate::reading::TopicId;

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

    fn streams(names: &[&str]) -> Streams {
        names.iter().map(|name| ((*name).into(), "temperatures".into())).collect()
    }

    fn described(partitions: &[(&str, i32)]) -> BTreeMap<String, Topic> {
        let topic = |partitions| Topic { id: TopicId([7; 16]), partitions, replication: 1 };
        partitions.iter().map(|(name, count)| (name.to_string(), topic(*count))).collect()
    }

    fn answer(topic: &str, partition: i32) -> Element {
        Element { topic: topic.into(), partition, offset: 5, metadata: vec![] }
    }

    #[test]
    fn a_topic_that_is_not_described_hides_no_partitions() {
        let streams = streams(&["a", "b"]);
        let all = every_partition(&streams, &described(&[("a", 2), ("b", 1)])).expect("all are described");
        assert_eq!(all, [("a".into(), 0), ("a".into(), 1), ("b".into(), 0)]);
        for short in [described(&[("a", 2)]), described(&[("a", 2), ("b", 0)]), described(&[])] {
            let failure = every_partition(&streams, &short).expect_err("a topic is absent");
            assert!(matches!(request_error("positions", &failure), SourceError::Unavailable(_)), "{failure:?}");
        }
    }

    #[test]
    fn an_unknown_partition_in_the_answer_is_no_position() {
        let (streams, topics) = (streams(&["a", "b"]), described(&[("a", 1)]));
        let found = position(&streams, &topics, &answer("a", 0), Code(0)).expect("an answer").expect("of the streams");
        assert_eq!(found.committed.map(|one| one.offset), Some(Offset(5)));
        assert!(position(&streams, &topics, &answer("c", 0), Code(0)).expect("no failure").is_none());
        let unknown = Code(E::UnknownTopicOrPartition as i32);
        for failed in [
            position(&streams, &topics, &answer("a", 0), unknown),
            position(&streams, &topics, &answer("b", 0), Code(0)),
        ] {
            let failure = failed.expect_err("not known");
            assert!(matches!(request_error("positions", &failure), SourceError::Unavailable(_)), "{failure:?}");
        }
    }

    /// librdkafka's own mock of a broker, which makes a topic of four partitions when it hears its name.
    #[test]
    fn bounds_of_a_partition_that_is_not_known_may_come() {
        let given = [("test.mock.num.brokers", "1"), ("group.id", "g"), ("allow.auto.create.topics", "true")];
        let properties = given.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let client = Client::new(&properties).expect("a client");
        client.refresh("t", TIMEOUT).expect("an answer");
        let place = |partition| TopicPartition { topic: "t".into(), partition };
        assert_eq!(bounds(&client, &place(3)).expect("bounds"), (Offset(0), Offset(0)));
        let refusal = bounds(&client, &place(99)).expect_err("no such partition");
        assert!(matches!(&refusal, SourceError::Unavailable(text) if text.contains("t/99")), "{refusal:?}");
    }
}
