//! The brokers, the topics and the group.

use std::collections::BTreeSet;

use etiage::check::{cluster, topics};
use etiage::config::{Config, StreamConfig};
use etiage::source::SourceError;
use etiage::source::kafka::inspect::{Inspector, TopicFacts};

use super::Report;

/// The client that asked, where the brokers answer.
pub async fn look(config: &Config, report: &mut Report) -> Option<Inspector> {
    let inspector = match Inspector::new(&config.kafka.properties) {
        Ok(inspector) => inspector,
        Err(error) => {
            report.wrong("kafka", error.to_string());
            return None;
        }
    };
    if let Err(error) = ask(config, &inspector, report).await {
        report.wrong("kafka", error.to_string());
        return None;
    }
    Some(inspector)
}

async fn ask(config: &Config, inspector: &Inspector, report: &mut Report) -> Result<(), SourceError> {
    let outgoing = [("rejects.topic", &config.rejects.topic), ("rejects.late_topic", &config.rejects.late_topic)];
    let sources = config.streams.values().flat_map(|stream| &stream.topics);
    let names: BTreeSet<String> = sources.chain(outgoing.map(|(_, name)| name)).cloned().collect();
    let there = inspector.topics(names).await?;
    let servers = config.kafka.properties.get("bootstrap.servers").map_or("", String::as_str);
    report.well("kafka", format!("{servers} answers"));
    report.extend(cluster::judge(&config.kafka.properties, inspector.broker_settings().await?.as_ref()));
    for (stream_name, stream) in &config.streams {
        for name in &stream.topics {
            match there.get(name) {
                Some(facts) => {
                    report.extend(topics::source(&topic(name, facts), stream, lateness(config, stream_name)))
                }
                None => report.extend([topics::absent(name)]),
            }
        }
        silent(stream, &there.keys().collect(), stream_name, report);
    }
    for (key, name) in outgoing {
        match there.get(name) {
            Some(facts) => report.extend(topics::outgoing(&topic(name, facts), key)),
            None => report.extend([topics::absent(name)]),
        }
    }
    group(config, inspector, report).await
}

fn topic<'a>(name: &'a str, facts: &'a TopicFacts) -> topics::Topic<'a> {
    let TopicFacts { partitions, replication, settings } = facts;
    topics::Topic { name, partitions: *partitions, replication: *replication, settings: settings.as_ref() }
}

/// The longest allowed lateness of the views that a stream feeds; `None` where one is unlimited.
fn lateness(config: &Config, stream: &str) -> Option<i64> {
    let fed = config.views.values().filter(|view| view.takes(stream));
    fed.map(|view| view.allowed_lateness_ms).try_fold(0, |longest: i64, one| one.map(|one| longest.max(one)))
}

/// A stream of several topics of which some are absent reads none of them.
fn silent(stream: &StreamConfig, there: &BTreeSet<&String>, name: &str, report: &mut Report) {
    let absent = stream.topics.iter().filter(|topic| !there.contains(topic)).count();
    if absent > 0 && absent < stream.topics.len() {
        let text = format!(
            "{absent} of its {} topics are absent: no instance starts before all are there",
            stream.topics.len()
        );
        report.wrong(format!("stream {name}"), text);
    }
}

async fn group(config: &Config, inspector: &Inspector, report: &mut Report) -> Result<(), SourceError> {
    let name = config.kafka.properties.get("group.id").map_or("", String::as_str);
    let members = inspector.members().await?;
    let newer = config.kafka.properties.get("group.protocol").is_some_and(|protocol| protocol == "consumer");
    let text = match members.len() {
        0 if newer => {
            "members of the protocol \"consumer\" are not listed; `etiage status` knows them by their heartbeats"
                .to_owned()
        }
        0 => "no member runs now".to_owned(),
        1 => "one member runs now".to_owned(),
        count => format!("{count} members run now"),
    };
    report.well(format!("group {name}"), text);
    Ok(())
}
