//! The edges' pieces: Kafka's properties, the store, rejects, the engine's limits, the listener, logs.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{ConfigError, Origin};
use super::section::Section;
use super::tree::{Node, Setting, Table, Value};
use super::value::{
    ADDRESS, BOOL, COUNT, DURATION, Form, IN_FLIGHT, JSON_LOGS, KEYSPACE, REPLICATION, SIZE, TEXT, TOPIC, nearest,
};
use super::{
    CassandraConfig, EngineConfig, KafkaConfig, LogConfig, RejectsConfig, ServeConfig, StoreConfig, TlsConfig,
};

/// What exactly-once rests on: not for anybody to set.
const OURS: [&str; 4] = ["enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "enable.partition.eof"];

pub(super) fn kafka(root: &mut Section<'_>) -> Result<KafkaConfig, ConfigError> {
    let Some(section) = root.section("kafka")? else { return Ok(KafkaConfig::default()) };
    let mut properties: BTreeMap<String, (u8, String)> = BTreeMap::new();
    for (key, node) in &section.table.entries {
        let layer = node.origin().layer();
        let (name, text) = property(&section, key, node)?;
        if OURS.contains(&name.as_str()) {
            return Err(section.error(node.origin(), key, "the engine sets this property itself; remove it"));
        }
        // A secret and its file are two keys of one property: the higher layer's wins.
        match properties.get(&name) {
            Some((below, _)) if *below == layer => {
                return Err(section.error(node.origin(), &name, "given as a value and as a file; remove one"));
            }
            Some((above, _)) if *above > layer => {}
            _ => drop(properties.insert(name, (layer, text))),
        }
    }
    Ok(KafkaConfig { properties: properties.into_iter().map(|(key, (_, text))| (key, text)).collect() })
}

fn property(section: &Section<'_>, key: &str, node: &Node) -> Result<(String, String), ConfigError> {
    match (node, key.strip_suffix(".file")) {
        (Node::Value(setting), Some(name)) => Ok((name.to_owned(), section.secret_text(key, setting.clone())?)),
        (Node::Value(Setting { value: Value::Text(text) | Value::Bare(text) | Value::Raw(text), .. }), None) => {
            Ok((key.to_owned(), text.clone()))
        }
        (node, _) => Err(section.error(node.origin(), key, "expected a text, a number, true or false")),
    }
}

pub(super) fn store(root: &mut Section<'_>) -> Result<StoreConfig, ConfigError> {
    let mut section = part(root, "store")?;
    let (origin, kind) = section.word("kind")?.unwrap_or((Origin::Default, String::new()));
    match kind.as_str() {
        "sqlite" => {
            refuse_other(&section, &origin, "cassandra", |key| key != "path")?;
            let path = section.file("path")?;
            let missing = || {
                section.error(
                    &section.table.origin,
                    "path",
                    "not given; kind = \"sqlite\" needs the database file's path",
                )
            };
            Ok(StoreConfig::Sqlite { path: path.ok_or_else(missing)? })
        }
        "cassandra" => {
            refuse_other(&section, &origin, "sqlite", |key| key == "path")?;
            section.take("path");
            Ok(StoreConfig::Cassandra(cassandra(section)?))
        }
        _ => Err(section.unexpected(&origin, "kind", &Value::Text(kind), "\"cassandra\" or \"sqlite\"")),
    }
}

/// A key of the other kind of store beside this kind, or above it, is a mistake; below it, it is only not used
/// (a variable turned a configuration for Cassandra into one for SQLite).
fn refuse_other(
    section: &Section<'_>,
    kind: &Origin,
    other: &str,
    is_other: fn(&str) -> bool,
) -> Result<(), ConfigError> {
    let lowest = kind.layer().max(1);
    let theirs = section.table.entries.iter().find(|(key, node)| is_other(key) && node.origin().layer() >= lowest);
    match theirs {
        Some((key, node)) if CASSANDRA.contains(&key.trim_end_matches("_file")) || key == "path" => Err(section.error(
            node.origin(),
            key,
            format!("belongs to a store of kind = {other:?}; remove it, or change store.kind"),
        )),
        Some((key, node)) => {
            let known = CASSANDRA.iter().copied().chain(["path", "kind"]);
            let nearest = nearest(key, known).unwrap_or("kind");
            Err(section.error(node.origin(), key, format!("unknown key, did you mean {nearest:?}?")))
        }
        None => Ok(()),
    }
}

const CASSANDRA: [&str; 10] = [
    "nodes",
    "keyspace",
    "replication",
    "local_datacenter",
    "username",
    "password",
    "concurrency",
    "request_timeout",
    "commit_lag",
    "tls",
];

fn cassandra(mut section: Section<'_>) -> Result<CassandraConfig, ConfigError> {
    let cassandra = CassandraConfig {
        nodes: section.list("nodes", &ADDRESS)?.1,
        keyspace: section.required("keyspace", &KEYSPACE)?,
        replication: section.required("replication", &REPLICATION)?,
        local_datacenter: section.optional("local_datacenter", &TEXT)?,
        username: section.optional("username", &TEXT)?,
        password: section.optional("password", &TEXT)?,
        concurrency: section.required("concurrency", &IN_FLIGHT)?,
        request_timeout_ms: millis(&mut section, "request_timeout")?,
        commit_lag_ms: millis(&mut section, "commit_lag")?,
        tls: tls(&mut section)?,
    };
    let origin = section.table.origin.clone();
    if cassandra.nodes.is_empty() {
        return Err(section.error(&origin, "nodes", "not given; expected a list such as [\"127.0.0.1:9042\"]"));
    }
    if cassandra.username.is_some() != cassandra.password.is_some() {
        return Err(section.error(&origin, "password", "username and password are given together or not at all"));
    }
    if (1..LEAST_LAG_MS).contains(&cassandra.commit_lag_ms) {
        let expected =
            "too short to tell two writes apart; expected \"0s\" (batch or group sync), or at least \"500ms\"";
        return Err(section.error(&origin, "commit_lag", expected));
    }
    section.finish()?;
    Ok(cassandra)
}

/// A second write must come one to two lags after the first, flushes included.
const LEAST_LAG_MS: u64 = 500;

fn tls(section: &mut Section<'_>) -> Result<Option<TlsConfig>, ConfigError> {
    if !matches!(section.table.entries.get("tls"), Some(Node::Table(_))) {
        let on = section.optional("tls", &BOOL)?.unwrap_or(false);
        return Ok(on.then(TlsConfig::default));
    }
    let Some(mut table) = section.section("tls")? else { return Ok(None) };
    let tls = TlsConfig {
        ca: table.file("ca")?,
        certificate: table.file("certificate")?,
        key: table.file("key")?,
        key_password: table.optional("key_password", &TEXT)?,
    };
    if tls.certificate.is_some() != tls.key.is_some() {
        return Err(table.error(&table.table.origin, "key", "certificate and key are given together or not at all"));
    }
    if tls.key_password.is_some() && tls.key.is_none() {
        return Err(table.error(
            &table.table.origin,
            "key_password",
            "there is no key that it could open; give key too",
        ));
    }
    table.finish()?;
    Ok(Some(tls))
}

pub(super) fn rejects(root: &mut Section<'_>, store: &StoreConfig) -> Result<RejectsConfig, ConfigError> {
    let mut section = part(root, "rejects")?;
    let beside = match store {
        StoreConfig::Sqlite { path } => path.parent().filter(|dir| !dir.as_os_str().is_empty()),
        StoreConfig::Cassandra(_) => None,
    };
    let rejects = RejectsConfig {
        topic: section.required("topic", &TOPIC)?,
        late_topic: section.required("late_topic", &TOPIC)?,
        dir: section.file("dir")?.unwrap_or_else(|| beside.unwrap_or(Path::new(".")).to_owned()),
        payload: section.required("payload", &BOOL)?,
    };
    section.finish()?;
    Ok(rejects)
}

pub(super) fn engine(root: &mut Section<'_>) -> Result<EngineConfig, ConfigError> {
    let mut section = part(root, "engine")?;
    let engine = EngineConfig {
        queue_bytes: section.required("queue", &BUDGET)?,
        parts_bytes: section.required("parts", &BUDGET)?,
        decode_threads: section.required("decode_threads", &COUNT)?,
        stop_deadline_ms: millis(&mut section, "stop_deadline")?,
        commit_every_ms: millis(&mut section, "commit_every")?,
    };
    section.finish()?;
    Ok(engine)
}

const BUDGET: Form<usize> = Form {
    expected: "a size from \"1 MiB\" to \"4 GiB\", such as \"64 MiB\"",
    read: |text| (SIZE.read)(text).filter(|bytes| *bytes >= 1 << 20),
};

pub(super) fn serve(root: &mut Section<'_>) -> Result<ServeConfig, ConfigError> {
    let mut section = part(root, "serve")?;
    let serve = ServeConfig { listen: section.optional("listen", &ADDRESS)?.unwrap_or_default() };
    section.finish()?;
    Ok(serve)
}

pub(super) fn log(root: &mut Section<'_>) -> Result<LogConfig, ConfigError> {
    let mut section = part(root, "log")?;
    let log = LogConfig { json: section.required("format", &JSON_LOGS)?, level: section.required("level", &LEVEL)? };
    section.finish()?;
    Ok(log)
}

const LEVEL: Form<String> = Form {
    expected: "a level such as \"info\", or levels by module such as \"info,etiage::store=debug\"",
    read: |text| tracing_subscriber::EnvFilter::try_new(text).ok().map(|_| text.to_owned()),
};

/// A table that the defaults have, so that it is always there.
fn part<'a>(root: &mut Section<'a>, key: &str) -> Result<Section<'a>, ConfigError> {
    let absent = Table::new(root.table.origin.clone());
    let base: &'a Path = root.base;
    Ok(root.section(key)?.unwrap_or_else(|| Section::new(key, absent, base)))
}

fn millis(section: &mut Section<'_>, key: &str) -> Result<u64, ConfigError> {
    Ok(section.required(key, &DURATION)?.unsigned_abs())
}
