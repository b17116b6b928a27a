//! librdkafka's properties: what the user gives passes through, what correctness needs is set or refused. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::source::SourceError;

type Properties = BTreeMap<String, String>;

/// What the engine's guarantees rest on: another value is refused.
const FIXED: [(&str, &str, &str); 4] = [
    ("enable.auto.commit", "false", "positions are committed by the engine, with what proves them"),
    ("enable.auto.offset.store", "false", "positions are kept by the engine"),
    ("auto.offset.reset", "error", "the engine never guesses where to begin; `etiage replay --from` says it"),
    ("enable.partition.eof", "true", "idleness and `--until-end` rest on it"),
];

/// Defaults that the user may change. The bounds on queues keep the whole engine within its memory whatever the
/// lag: what is fetched lies in memory uncompressed, each message costs librdkafka some hundred bytes beside its own,
/// and every broker may have one answer on its way. Measured once each, dev build, one broker, zstd, 120-byte messages,
/// a slow engine with a queue of 64 MiB: peak 241 MiB with 4 MiB an answer and 32 MiB queued, 164 to 166 with these.
/// Messages that wait (of all partitions together: they share a queue) are more than an answer brings, so that the next
/// one is asked for while the last one is being taken over: librdkafka has one on its way a broker, and unpacks it on the
/// same thread. With 10,000 it asked when nearly all was taken, and its thread and ours took turns (1.2 instead of
/// 1.6 M readings/s, docs/performance.md).
/// A broker answers what comes over a connection in order, and keeps a fetch that finds nothing for `fetch.wait.max.ms`: whatever
/// else is asked meanwhile (topics, the log's ends) waits behind it.
const DEFAULTS: [(&str, &str); 9] = [
    ("client.id", "etiage"),
    ("isolation.level", "read_committed"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("fetch.queue.backoff.ms", "1"),
    ("queued.min.messages", "60000"),
    ("queued.max.messages.kbytes", "16384"),
    ("fetch.max.bytes", LEAST_FETCH),
    ("fetch.wait.max.ms", "100"),
    ("statistics.interval.ms", "0"),
];

/// Bytes of an answer, unless records may be larger. (One broker, loopback, lz4, 150-byte messages: 1.6 M readings/s with 2 MiB and a
/// pause of 5 ms once the queue is full, `fetch.queue.backoff.ms`; 2.4 M with these.)
const LEAST_FETCH: &str = "1048576";

/// Belong to the classic protocol: under `group.protocol=consumer` the brokers decide them.
const CLASSIC_ONLY: [&str; 4] =
    ["partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms", "group.protocol.type"];

/// The consumer's properties, or why the user's cannot be.
pub fn consumer(user: &Properties) -> Result<Properties, SourceError> {
    let group = user.get("group.id").map_or("", String::as_str);
    if group.is_empty() {
        return Err(SourceError::Fatal("kafka: \"group.id\" is missing: name the consumer group under [kafka]".into()));
    }
    // Old names of what is fixed below.
    if let Some(key) = ["auto.commit.enable", "offset.store.method"].iter().find(|key| user.contains_key(**key)) {
        return Err(SourceError::Fatal(format!("kafka: \"{key}\" cannot be set: remove it")));
    }
    let mut all: Properties = user.clone();
    all.retain(|key, _| !is_producers(key));
    for (key, value, why) in FIXED {
        if let Some(given) = all.insert(key.into(), value.into()).filter(|given| given != value) {
            let text = format!("kafka: \"{key}\" cannot be \"{given}\" ({why}): remove it");
            return Err(SourceError::Fatal(text));
        }
    }
    let brokers_decide = all.get("group.protocol").is_some_and(|protocol| protocol == "consumer");
    for (key, value) in DEFAULTS {
        if !(brokers_decide && CLASSIC_ONLY.contains(&key)) {
            all.entry(key.into()).or_insert_with(|| value.into());
        }
    }
    // librdkafka wants an answer to have room for the largest record.
    let number = |key: &str| all.get(key).and_then(|value| value.parse::<u64>().ok());
    if let (Some(record), Some(answer), None) =
        (number("message.max.bytes"), number("fetch.max.bytes"), user.get("fetch.max.bytes"))
    {
        all.insert("fetch.max.bytes".into(), record.max(answer).to_string());
    }
    Ok(all)
}

/// The same user's properties for a producer or an admin client.
pub fn producer(user: &Properties) -> Properties {
    let mut all: Properties = user.clone();
    all.retain(|key, _| !is_consumers(key));
    all.entry("client.id".into()).or_insert_with(|| "etiage".into());
    all
}

/// How long the group waits for a member that does not poll, and so for one that gives partitions up.
pub fn max_poll_interval(properties: &Properties) -> Duration {
    let ms = properties.get("max.poll.interval.ms").and_then(|value| value.parse().ok());
    Duration::from_millis(ms.unwrap_or(300_000))
}

/// librdkafka's refusal of a property, with what to do about it.
pub fn refused(properties: &Properties, refusal: &str) -> SourceError {
    // It says "ssl.ca.location failed: …", and not which file that is.
    let file = refusal.split_once(" failed").and_then(|(key, _)| Some((key, properties.get(key)?)));
    SourceError::Fatal(match file.filter(|(key, _)| key.ends_with(".location")) {
        Some((key, path)) => format!(
            "kafka: {refusal}: \"{path}\" cannot be used: set {key} under [kafka] to a PEM file that is there and \
             readable, and ssl.key.password to the password of a key that is encrypted"
        ),
        None => format!("kafka: {refusal}{}", remedy(refusal)),
    })
}

fn remedy(refusal: &str) -> &'static str {
    match refusal {
        text if text.contains("not available at build time") || text.contains("OpenSSL") => {
            ": this binary was built without TLS and SASL, build it with the cargo feature `tls`"
        }
        text if text.contains("No such configuration property") => {
            ": see librdkafka's CONFIGURATION.md for its properties"
        }
        text if text.contains("No provider for SASL mechanism") => {
            ": set sasl.mechanism under [kafka] to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
        }
        _ => "",
    }
}

/// librdkafka's consumer-only properties (column C of its CONFIGURATION.md).
fn is_consumers(key: &str) -> bool {
    const PREFIXES: [&str; 8] =
        ["group.", "enable.auto.", "auto.commit.", "auto.offset.", "queued.", "fetch.", "offset.store.", "consume."];
    const NAMES: [&str; 9] = [
        "partition.assignment.strategy",
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "coordinator.query.interval.ms",
        "max.poll.interval.ms",
        "max.partition.fetch.bytes",
        "isolation.level",
        "enable.partition.eof",
        "check.crcs",
    ];
    PREFIXES.iter().any(|prefix| key.starts_with(prefix)) || NAMES.contains(&key)
}

/// librdkafka's producer-only properties (column P).
pub fn is_producers(key: &str) -> bool {
    const PREFIXES: [&str; 6] =
        ["queue.buffering.", "compression.", "transaction", "partitioner", "sticky.partitioning.", "delivery."];
    const NAMES: [&str; 13] = [
        "acks",
        "request.required.acks",
        "enable.idempotence",
        "enable.gapless.guarantee",
        "linger.ms",
        "retries",
        "message.send.max.retries",
        "batch.num.messages",
        "batch.size",
        "message.timeout.ms",
        "request.timeout.ms",
        "queuing.strategy",
        "produce.offset.report",
    ];
    PREFIXES.iter().any(|prefix| key.starts_with(prefix)) || NAMES.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Properties {
        let all = [("group.id", "g"), ("bootstrap.servers", "b:1")].iter().chain(pairs);
        all.map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn the_users_values_win_over_defaults_only() {
        let all = consumer(&given(&[("queued.min.messages", "7"), ("linger.ms", "3")])).expect("valid");
        assert_eq!(all["queued.min.messages"], "7");
        assert_eq!(all["auto.offset.reset"], "error");
        assert_eq!(all["bootstrap.servers"], "b:1");
        assert!(!all.contains_key("linger.ms"), "a producer's property");
    }

    #[test]
    fn an_answer_has_room_for_the_largest_record() {
        let answer = |pairs: &[(&str, &str)]| {
            let all = consumer(&given(&[&[("group.id", "g")], pairs].concat())).expect("valid");
            all["fetch.max.bytes"].clone()
        };
        assert_eq!(answer(&[]), LEAST_FETCH);
        assert_eq!(answer(&[("message.max.bytes", "1000")]), LEAST_FETCH);
        assert_eq!(answer(&[("message.max.bytes", "5000000")]), "5000000");
        assert_eq!(answer(&[("message.max.bytes", "5000000"), ("fetch.max.bytes", "7")]), "7");
    }

    #[test]
    fn what_guarantees_rest_on_is_refused_by_name() {
        for (key, value) in
            [("enable.auto.commit", "true"), ("auto.offset.reset", "earliest"), ("enable.partition.eof", "false")]
        {
            let refusal = consumer(&given(&[(key, value)])).expect_err("refused").to_string();
            assert!(refusal.contains(key) && refusal.contains(value), "{refusal}");
        }
        assert!(consumer(&given(&[("enable.auto.commit", "false")])).is_ok(), "the same value is no override");
        assert!(consumer(&Properties::new()).expect_err("no group").to_string().contains("group.id"));
    }

    #[test]
    fn the_new_protocol_gets_no_classic_keys() {
        let all = consumer(&given(&[("group.protocol", "consumer")])).expect("valid");
        assert!(CLASSIC_ONLY.iter().all(|key| !all.contains_key(*key)));
        let classic = consumer(&given(&[])).expect("valid");
        assert_eq!(classic["partition.assignment.strategy"], "cooperative-sticky");
    }

    #[test]
    fn producers_get_nothing_of_consumers() {
        let user = given(&[
            ("isolation.level", "read_committed"),
            ("fetch.min.bytes", "1"),
            ("sasl.username", "u"),
            ("acks", "1"),
        ]);
        let keys: Vec<_> = producer(&user).into_keys().collect();
        assert_eq!(keys, ["acks", "bootstrap.servers", "client.id", "sasl.username"]);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let user = given(&[("ssl.key.location", "/k.pem"), ("ssl.key.password", "hunter2")]);
        let text = refused(&user, "ssl.key.location failed: error:0A080009:SSL routines::PEM lib").to_string();
        assert!(text.contains("\"/k.pem\"") && text.contains("ssl.key.password"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        let other = refused(&user, "ssl.key.password failed: x").to_string();
        assert_eq!(other, "kafka: ssl.key.password failed: x");
    }

    #[test]
    fn poll_interval() {
        assert_eq!(max_poll_interval(&given(&[("max.poll.interval.ms", "9000")])), Duration::from_secs(9));
        assert_eq!(max_poll_interval(&given(&[])), Duration::from_secs(300));
    }
}
