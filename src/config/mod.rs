//! The configuration: one TOML file over the defaults of `defaults.toml`, every key overridable
//! from the environment. Each stage gets its typed piece, never the whole.
//!
//! What decides content (`StreamConfig`, `ViewConfig`) serializes canonically: equal meanings, equal
//! bytes. Left out of that is what only decides *when* or *where from*; the files that they name
//! (regions, stations) are left out too, since what counts is what those hold: their digests belong
//! beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::limited;

mod check;
mod env;
mod error;
mod redact;
mod section;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod view;

pub use error::ConfigError;
pub use value::is_separator;
pub use view::MAX_BEFORE_MS;

/// Largest file that is read, bytes.
const MAX_FILE: u64 = 1 << 20;

/// The name by which a grouping asks for regions.
pub const REGION: &str = "region";

/// Every key with its default and a comment.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// The whole file, resolved and checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub streams: BTreeMap<String, StreamConfig>,
    pub views: BTreeMap<String, ViewConfig>,
    pub store: StoreConfig,
    pub rejects: RejectsConfig,
    pub engine: EngineConfig,
    pub serve: ServeConfig,
    pub log: LogConfig,
}

/// librdkafka properties, passed through as they are (`bootstrap.servers`, `group.id`, …).
/// Printing it hides passwords and keys.
#[derive(Clone, Default)]
pub struct KafkaConfig {
    pub properties: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One JSON object, or an array of objects, a record: its first byte tells.
    Json,
    /// An array of objects a record.
    JsonArray,
    /// Objects separated by newlines, any number a record.
    Ndjson,
    /// CSV: in a topic, each record is a header line and any number of lines; in a file, the first line of the
    /// file is the header of all and each further line a record.
    Csv,
    /// A stream of Arrow's IPC format a record, each row of its batches a reading. Not in files, whose records are lines.
    ArrowIpc,
}

/// Where a reading's position comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PositionFields {
    LatLon {
        lat: String,
        lon: String,
    },
    Station {
        field: String,
    },
    /// The stream's readings have no position.
    None,
}

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeFormat {
    /// RFC 3339, or `YYYY-MM-DD hh:mm:ss[.fff]` in the stream's zone, or the same followed by ` UTC`
    /// (`T` in place of the blank allowed): told apart by the text itself.
    Auto,
    /// `YYYYMMDDhhmmss` in the stream's zone.
    Compact,
    /// Numbers (or strings of digits) since the epoch.
    EpochS,
    EpochMs,
    EpochUs,
    EpochNs,
}

/// A threshold: an alarm fires when value > threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Threshold {
    /// Decimal text, in the unit after scale and offset.
    Fixed(String),
    /// A field of the reading (scaled and offset like the value); `unset` is the value that means none.
    Field { field: String, unset: Option<String> },
}

/// Values further than `k · sigma` from `mu` are outliers. Decimal texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NormalRange {
    pub mu: String,
    pub sigma: String,
    pub k: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricConfig {
    /// Dotted path of the value (in CSV: the column's name).
    pub field: String,
    /// Decimal texts: value · scale + offset, rounded half to even at the unit.
    pub scale: String,
    pub offset: String,
    pub threshold: Option<Threshold>,
    pub normal: Option<NormalRange>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilterConfig {
    pub field: String,
    pub rule: FilterRule,
}

/// A reading is kept where every filter holds. Values are compared as text (numbers as written).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterRule {
    Equals(String),
    Not(String),
    In(Vec<String>),
}

/// Where a reading's tenant stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantConfig {
    /// The record's key.
    Key,
    /// A header of the record.
    Header(String),
    /// A field of the reading.
    Field(String),
}

/// A registry of stations: gives positions to readings that carry only a station id.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StationsConfig {
    #[serde(skip)]
    pub file: PathBuf,
    pub separator: u8,
    pub id: String,
    pub lat: String,
    pub lon: String,
}

/// A file of records: what it is known by is its name, as configured; where this process finds it is its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    pub name: String,
    pub path: PathBuf,
}

impl Serialize for InputFile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct StreamConfig {
    pub topics: Vec<String>,
    /// Read instead of topics; each one a partition.
    #[serde(skip)]
    pub files: Vec<InputFile>,
    /// Beside topics: what they hold no longer, folded by replays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<InputFile>,
    pub format: Format,
    /// CSV.
    pub separator: u8,
    /// Dotted path of the reading's id; for people (the reading's own identity is its offset and index).
    #[serde(skip)]
    pub id: Option<String>,
    pub time: String,
    pub time_format: TimeFormat,
    /// IANA name.
    #[serde(serialize_with = "zone_name")]
    pub zone: chrono_tz::Tz,
    pub position: PositionFields,
    pub stations: Option<StationsConfig>,
    /// Flags the reading active: true, non-zero number, "true", "1".
    pub active: Option<String>,
    pub metrics: BTreeMap<String, MetricConfig>,
    /// Every numeric field that nothing else names is a metric of the field's name.
    pub every_numeric: bool,
    /// What views may group by beside regions: name and field. (Of a view's meaning are those that it groups by.)
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
    /// Rows of tenants lie apart.
    pub tenant: Option<TenantConfig>,
    /// Texts that mean "no value" (`mq`, `NA`, empty): JSON null and an absent field always do.
    pub missing: Vec<String>,
    pub filters: Vec<FilterConfig>,
    /// Fixed-point unit as a power of ten: −9 is 1e-9.
    pub unit_exponent: i32,
    pub out_of_orderness_ms: i64,
    pub max_future_ms: i64,
    /// Event times at or after this are rejected where records have no timestamp of their own (files).
    pub files_before_ms: i64,
    #[serde(skip)]
    pub idle_after_ms: i64,
    /// A larger payload is rejected whole, bytes.
    pub max_record: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct ViewConfig {
    /// Names of streams; all of them where empty.
    pub streams: Vec<String>,
    /// What a key is made of: `region`, or labels of the streams.
    pub group_by: Vec<String>,
    /// `regions`, `departements` (shipped) or a GeoJSON file.
    #[serde(skip)]
    pub regions: String,
    /// Properties of the set's features.
    pub region_code: String,
    pub region_name: String,
    /// Snaps a position outside every region to the nearest one within this distance.
    pub nearest_within_m: Option<f64>,
    #[serde(serialize_with = "as_text")]
    pub window: crate::window::Width,
    /// Wider windows, folded from the same readings.
    #[serde(serialize_with = "as_texts")]
    pub rollups: Vec<crate::window::Width>,
    /// Of half days, days, weeks and months. IANA name.
    #[serde(serialize_with = "zone_name")]
    pub zone: chrono_tz::Tz,
    /// How far back `mean_before` looks, of hourly windows; `None`: nowhere.
    pub before_ms: Option<i64>,
    /// Names of metrics; all of the streams' where empty.
    pub metrics: Vec<String>,
    /// `None` is unlimited.
    pub allowed_lateness_ms: Option<i64>,
    #[serde(skip)]
    pub flush_ms: u64,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub enum StoreConfig {
    Cassandra(CassandraConfig),
    Sqlite { path: PathBuf },
}

/// Printing it hides the password.
#[derive(Clone)]
pub struct CassandraConfig {
    /// `host:port` contact points.
    pub nodes: Vec<String>,
    pub keyspace: String,
    /// Used by `migrate` to create the keyspace where it is absent: the replication map's CQL text.
    pub replication: String,
    pub local_datacenter: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
    /// Statements in flight at most.
    pub concurrency: usize,
    pub request_timeout_ms: u64,
    /// Twice the servers' commitlog sync period; 0 with `batch` or `group` sync.
    pub commit_lag_ms: u64,
    pub tls: Option<TlsConfig>,
}

#[derive(Clone, Default)]
pub struct TlsConfig {
    /// Of the authority that signs the servers' certificates; the system's authorities where absent.
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Of a key that is encrypted.
    pub key_password: Option<String>,
}

#[derive(Clone, Debug)]
pub struct RejectsConfig {
    /// Topic of rejected readings; with file sources, a file beside the store.
    pub topic: String,
    pub late_topic: String,
    /// Where a run without Kafka appends them, as NDJSON.
    pub dir: PathBuf,
    /// Withhold payloads (reason and place only).
    pub payload: bool,
}

#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Bytes of records read and not yet folded, at most.
    pub queue_bytes: usize,
    /// Bytes of parts in memory, at most.
    pub parts_bytes: usize,
    /// 0 is one a processor.
    pub decode_threads: usize,
    /// Stopping and revocation: give up after this, the next owner reads the rest again.
    pub stop_deadline_ms: u64,
    /// A commit at most this often, a partition.
    pub commit_every_ms: u64,
}

#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Metrics and health, `host:port`; none where empty.
    pub listen: String,
}

#[derive(Clone, Debug)]
pub struct LogConfig {
    pub json: bool,
    /// tracing's filter text.
    pub level: String,
}

impl Config {
    /// The defaults under the file under the environment. Reads the file, and the files of secrets that are named; nothing else.
    pub fn load(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
        let read = |path: &Path| {
            let text = limited::read_text(path, MAX_FILE);
            text.map_err(|error| ConfigError::Unreadable(format!("{}: {error}", path.display())))
        };
        let text = path.map(read).transpose()?;
        Config::of_text(path.zip(text.as_deref()), env)
    }

    /// The same with the text of the file; messages name its path, and other paths are relative to it.
    pub fn of_text(
        file: Option<(&Path, &str)>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        let mut tree = tree::parse(DEFAULTS, &|_| error::Origin::Default)?;
        if let Some((path, text)) = file {
            tree.merge(tree::of_file(path, text)?);
        }
        env::overlay(&mut tree, env)?;
        let base = file.and_then(|(path, _)| path.parent()).unwrap_or(Path::new(""));
        let config = Config::resolve(section::Section::new("", tree, base))?;
        check::check(&config)?;
        Ok(config)
    }

    /// The streams that feed a view.
    pub fn feeding<'a>(&'a self, view: &'a ViewConfig) -> impl Iterator<Item = (&'a String, &'a StreamConfig)> {
        self.streams.iter().filter(|(name, _)| view.takes(name))
    }

    fn resolve(mut root: section::Section<'_>) -> Result<Config, ConfigError> {
        let kafka = store::kafka(&mut root)?;
        let streams = stream::all(&mut root)?;
        let views = view::all(&mut root)?;
        let store = store::store(&mut root)?;
        let rejects = store::rejects(&mut root, &store)?;
        let engine = store::engine(&mut root)?;
        let (serve, log) = (store::serve(&mut root)?, store::log(&mut root)?);
        root.finish()?;
        Ok(Config { kafka, streams, views, store, rejects, engine, serve, log })
    }
}

fn zone_name<S: serde::Serializer>(zone: &chrono_tz::Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}

fn as_text<S: serde::Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_texts<S: serde::Serializer>(values: &[impl std::fmt::Display], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

impl ViewConfig {
    /// Whether it takes a stream's readings.
    pub fn takes(&self, stream: &str) -> bool {
        self.streams.is_empty() || self.streams.iter().any(|name| name == stream)
    }

    /// Whether its keys hold regions: its streams need positions then.
    pub fn by_region(&self) -> bool {
        self.group_by.iter().any(|field| field == REGION)
    }

    /// The window's width, then those of the rollups.
    pub fn widths(&self) -> Vec<crate::window::Width> {
        std::iter::once(self.window).chain(self.rollups.iter().copied()).collect()
    }
}
