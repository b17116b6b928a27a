//! Whether a topic is fit to be read, or to take what was rejected. Pure.

use std::collections::BTreeMap;

use super::{About, Finding, duration};
use crate::config::StreamConfig;

type Settings = BTreeMap<String, String>;

/// A topic as the cluster describes it.
pub struct Topic<'a> {
    pub name: &'a str,
    pub partitions: i32,
    pub replication: usize,
    /// `None` where this user may not read them.
    pub settings: Option<&'a Settings>,
}

/// A topic that is not there.
pub fn absent(name: &str) -> Finding {
    let mut about = About::new(format!("topic \"{name}\""));
    about.wrong("kafka has no such topic: `etiage migrate` creates topics, or correct the name");
    about.findings.remove(0)
}

/// A topic that a stream reads. `lateness_ms`: the longest allowed lateness of its views, `None` for unlimited.
pub fn source(topic: &Topic<'_>, stream: &StreamConfig, lateness_ms: Option<i64>) -> Vec<Finding> {
    let mut about = About::new(format!("topic \"{}\"", topic.name));
    about.well(format!("partitions {}, replication {}", topic.partitions, topic.replication));
    if topic.partitions == 1 {
        about.warn("it has one partition, so one instance does all the work: more partitions let it be shared");
    }
    replicas(topic, &mut about);
    let Some(settings) = readable(topic, &mut about) else { return about.findings };
    let policy = settings.get("cleanup.policy").map_or("", String::as_str);
    if policy.split(',').any(|word| word.trim() == "compact") {
        about.wrong(format!(
            "it is compacted (cleanup.policy = {policy}), so a replay would see other records than the first reading \
             did: set cleanup.policy=delete, or copy the readings to a topic that is not compacted"
        ));
    }
    if settings.get("message.timestamp.type").is_some_and(|kind| kind == "CreateTime") {
        about.warn(format!(
            "record timestamps are the producers' own (message.timestamp.type = CreateTime): the guard against event times \
             in the future (max_future = {}) trusts their clocks; message.timestamp.type=LogAppendTime takes the brokers'",
            duration(stream.max_future_ms)
        ));
    }
    retention(settings, lateness_ms, &mut about);
    about.findings
}

/// The topic of rejected or late readings.
pub fn outgoing(topic: &Topic<'_>, key: &str) -> Vec<Finding> {
    let mut about = About::new(format!("topic \"{}\"", topic.name));
    about.well(format!("{key}: partitions {}, replication {}", topic.partitions, topic.replication));
    replicas(topic, &mut about);
    let Some(settings) = readable(topic, &mut about) else { return about.findings };
    let least: usize = settings.get("min.insync.replicas").and_then(|value| value.parse().ok()).unwrap_or(1);
    if least > topic.replication {
        about.wrong(format!(
            "min.insync.replicas = {least} with {} replicas: nothing can be written to it, and no position is committed \
             past a rejected reading; lower the one or raise the other",
            topic.replication
        ));
    }
    about.findings
}

fn replicas(topic: &Topic<'_>, about: &mut About) {
    if topic.replication == 1 {
        about.warn("it has one replica: a lost broker loses its readings; replication 3 is usual");
    }
}

fn readable<'a>(topic: &Topic<'a>, about: &mut About) -> Option<&'a Settings> {
    let Some(settings) = topic.settings else {
        about.warn(
            "its settings cannot be read, so compaction is not ruled out: grant this user DESCRIBE_CONFIGS on it",
        );
        return None;
    };
    if settings.get("unclean.leader.election.enable").is_some_and(|value| value == "true") {
        about.warn(
            "unclean.leader.election.enable = true: a broker that lags may become leader, and records that were folded \
             vanish from the log; set it to false",
        );
    }
    let least = settings.get("min.insync.replicas").map(String::as_str);
    if least == Some("1") && topic.replication > 1 {
        about.warn(format!(
            "min.insync.replicas = 1 with {} replicas: a record acknowledged by one broker alone may be lost with it; \
             2 is usual, with acks=all",
            topic.replication
        ));
    }
    Some(settings)
}

/// What an instance that was away reads again must still be there, and a late reading belongs to a
/// window that a replay should find whole.
fn retention(settings: &Settings, lateness_ms: Option<i64>, about: &mut About) {
    let number = |key: &str| settings.get(key).and_then(|value| value.parse::<i64>().ok()).filter(|value| *value >= 0);
    if let Some(kept_ms) = number("retention.ms") {
        match lateness_ms {
            Some(lateness_ms) if kept_ms >= lateness_ms => {
                about.well(format!("keeps records for {}", duration(kept_ms)))
            }
            Some(lateness_ms) => about.warn(format!(
                "retention.ms keeps records for {}, less than the allowed lateness of {}: a replay would not find all \
                 that open windows hold; raise the one or lower the other",
                duration(kept_ms),
                duration(lateness_ms)
            )),
            None => about.well(format!("keeps records for {}, with unlimited lateness", duration(kept_ms))),
        }
    }
    if let Some(bytes) = number("retention.bytes") {
        about.warn(format!(
            "retention.bytes = {bytes} removes records by size, however young: an instance that is away for long may not \
             find where it stood; leave it at -1 or make it large"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Level, levels};
    use super::*;
    use crate::config::Config;

    fn stream() -> StreamConfig {
        let vars = [
            ("ETIAGE_STREAMS__T__TOPICS", "t"),
            ("ETIAGE_STREAMS__T__TIME", "at"),
            ("ETIAGE_STREAMS__T__LAT", "lat"),
            ("ETIAGE_STREAMS__T__LON", "lon"),
            ("ETIAGE_STREAMS__T__METRICS__X__FIELD", "x"),
            ("ETIAGE_VIEWS__REGION__WINDOW", "1h"),
        ];
        let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Config::load(None, vars).expect("sound").streams["t"].clone()
    }

    const GOOD: [(&str, &str); 5] = [
        ("cleanup.policy", "delete"),
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.ms", "604800000"),
        ("min.insync.replicas", "2"),
        ("unclean.leader.election.enable", "false"),
    ];

    fn with(changed: &[(&str, &str)]) -> Settings {
        GOOD.iter().chain(changed).map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn judged(partitions: i32, replication: usize, changed: &[(&str, &str)]) -> Vec<Finding> {
        let settings = with(changed);
        let topic = Topic { name: "t", partitions, replication, settings: Some(&settings) };
        source(&topic, &stream(), Some(86_400_000))
    }

    #[test]
    fn a_good_topic_is_well() {
        let findings = judged(6, 3, &[]);
        assert!(findings.iter().all(|one| one.level == Level::Well), "{findings:?}");
        assert_eq!(findings[0].text, "partitions 6, replication 3");
    }

    #[test]
    fn each_risk_is_said_once_with_its_value() {
        for (partitions, replication, changed, says) in [
            (1, 3, ("a", "b"), "one partition"),
            (6, 1, ("a", "b"), "one replica"),
            (6, 3, ("message.timestamp.type", "CreateTime"), "max_future = 5m"),
            (6, 3, ("retention.ms", "3600000"), "for 1h, less than the allowed lateness of 1d"),
            (6, 3, ("retention.bytes", "1000"), "retention.bytes = 1000"),
            (6, 3, ("min.insync.replicas", "1"), "min.insync.replicas = 1 with 3 replicas"),
            (6, 3, ("unclean.leader.election.enable", "true"), "unclean.leader.election.enable = true"),
        ] {
            let findings = judged(partitions, replication, &[changed]);
            let warnings = levels(&findings, Level::Warning);
            assert!(matches!(warnings[..], [text] if text.contains(says)), "{says}: {findings:?}");
            assert!(levels(&findings, Level::Error).is_empty());
        }
        let forever = judged(6, 3, &[("retention.ms", "-1"), ("retention.bytes", "-1")]);
        assert_eq!(levels(&forever, Level::Warning), [""; 0]);
    }

    #[test]
    fn a_compacted_topic_is_an_error_and_unread_settings_a_warning() {
        for policy in ["compact", "delete, compact"] {
            let findings = judged(6, 3, &[("cleanup.policy", policy)]);
            assert!(levels(&findings, Level::Error)[0].contains(policy));
        }
        let topic = Topic { name: "t", partitions: 6, replication: 3, settings: None };
        assert!(levels(&source(&topic, &stream(), None), Level::Warning)[0].contains("DESCRIBE_CONFIGS"));
    }

    #[test]
    fn a_topic_that_nobody_can_write_is_an_error() {
        let settings = with(&[("min.insync.replicas", "3")]);
        let topic = Topic { name: "r", partitions: 1, replication: 2, settings: Some(&settings) };
        assert!(levels(&outgoing(&topic, "rejects.topic"), Level::Error)[0].contains("min.insync.replicas = 3"));
        assert_eq!(absent("x").level, Level::Error);
    }
}
