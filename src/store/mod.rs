//! The store's contract, and its two implementations: Cassandra/ScyllaDB and embedded SQLite.
//!
//! A store is a set of cells. Every write carries its own timestamp (a [`Stamp`]) and the highest
//! timestamp wins, whatever the order of arrival; a write may be repeated, delayed or lost, and an
//! error means that its outcome is unknown. Writes are acknowledged, and reads answered, by a
//! local quorum. Nothing here knows an offset rule or a window rule: the core decides, the store
//! keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::StoreConfig;
use crate::decode::RANGE_MS;
use crate::reading::{Offset, SourceId};
use crate::window::Width;

pub mod cassandra;
#[doc(hidden)]
pub mod conformance;
mod layout;
pub mod migrations;
pub mod sqlite;

/// A write's timestamp in µs since the epoch: a generation's epoch plus a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub i64);

/// Where an aggregate belongs: one key of one window of one view. All parts of a slot lie in one
/// store partition, so that a merge reads them together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    pub view: Arc<str>,
    pub generation: u32,
    pub width: Width,
    /// Empty where the stream has no tenants.
    pub tenant: Arc<str>,
    pub key: Arc<str>,
    /// Start of the window, ms since the epoch.
    pub start_ms: i64,
}

/// A part as it is written: whole, absolute, at `epoch + revision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartWrite {
    pub slot: Slot,
    pub source: SourceId,
    pub state: Vec<u8>,
    pub stamp: Stamp,
}

/// A row as people query it (without `final` and `mean_before`, which are written on their own).
#[derive(Clone, Debug, PartialEq)]
pub struct RowWrite {
    pub slot: Slot,
    pub metric: Arc<str>,
    pub label: Arc<str>,
    pub labels: BTreeMap<String, String>,
    pub end_ms: i64,
    pub count: i64,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    /// Population standard deviation.
    pub stddev: f64,
    pub alarms: i64,
    pub active: i64,
    pub outliers: i64,
    /// Readings from before the view was begun may be missing.
    pub partial: bool,
    pub revision: i64,
    pub updated_at_ms: i64,
    pub stamp: Stamp,
}

/// The mean of the window three hours earlier, in a statement of its own: its timestamp follows
/// the *earlier* window's revision. Touches no other cell.
#[derive(Clone, Debug, PartialEq)]
pub struct BeforeWrite {
    pub slot: Slot,
    pub metric: Arc<str>,
    pub mean_before: f64,
    pub stamp: Stamp,
}

/// Names one row: where `final` is marked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId {
    pub slot: Slot,
    pub metric: Arc<str>,
}

/// A row as it is read. Rows without a count (only `mean_before` or `final` written so far) are
/// never returned.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub view: String,
    pub width: String,
    pub metric: String,
    pub tenant: String,
    pub key: String,
    pub start_ms: i64,
    pub end_ms: i64,
    pub label: String,
    pub labels: BTreeMap<String, String>,
    pub count: i64,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    pub stddev: f64,
    pub alarms: i64,
    pub active: i64,
    pub outliers: i64,
    pub partial: bool,
    pub mean_before: Option<f64>,
    pub is_final: bool,
    pub revision: i64,
    pub generation: i32,
    pub updated_at_ms: i64,
}

/// Which rows to read. `None` means any.
#[derive(Clone, Debug)]
pub struct RowQuery {
    pub view: String,
    pub width: Width,
    pub metric: String,
    /// Empty where the stream has no tenants.
    pub tenant: String,
    pub key: Option<String>,
    /// Half-open range of window starts, ms since the epoch.
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
}

/// The state of a view's generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationState {
    /// Serves rows.
    Live,
    /// Being computed by a replay: parts only.
    Replaying,
    /// Its publication is paused while its successor takes over, and goes on at this time (wall clock, ms) if
    /// that one has not.
    Draining { until_ms: i64 },
    /// Passed the point of no return; its rows are being swept in.
    Promoting,
    /// Replaced by a later generation, or aborted.
    Superseded,
    /// Its view was removed; its rows are there still.
    Retired,
}

impl GenerationState {
    pub fn name(self) -> &'static str {
        match self {
            GenerationState::Live => "live",
            GenerationState::Replaying => "replaying",
            GenerationState::Draining { .. } => "draining",
            GenerationState::Promoting => "promoting",
            GenerationState::Superseded => "superseded",
            GenerationState::Retired => "retired",
        }
    }
}

/// Where a generation starts in one partition: the first offset it folds, and the partition's
/// maximum event time there (`None` is −∞: nothing before it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub offset: Offset,
    pub max_ms: Option<i64>,
    /// Records that an earlier generation folded are not folded again, since the log has lost them: their event times lie
    /// at or before this.
    pub gone_ms: Option<i64>,
    /// Records before were left out, with event times up to then, and no generation has folded them.
    pub left_out: Option<Span>,
    /// Somebody wanted earlier rows to stay, of windows that start up to then: they hold readings of these records.
    pub kept: Option<Span>,
    /// Somebody wanted rows to go whose readings the logs hold no longer.
    pub forgets: bool,
    /// Of a file of history: what it holds. The generation is computed from these lines and no others.
    pub whole: Option<Whole>,
}

/// All that a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    pub lines: Offset,
    /// A checksum over them.
    pub mark: i32,
}

/// Records of one partition, and up to when they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Event time, inclusive.
    pub until_ms: i64,
    /// The first of them.
    pub from: Offset,
}

impl Start {
    /// The beginning of what a log holds.
    pub fn at(offset: Offset) -> Start {
        Start { offset, max_ms: None, gone_ms: None, left_out: None, kept: None, forgets: false, whole: None }
    }

    /// The first record of which a row may hold readings.
    pub fn rows_from(&self) -> Offset {
        self.kept.map_or(self.offset, |kept| kept.from.min(self.offset))
    }
}

/// One history of computation of one view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationRecord {
    pub view: String,
    pub generation: u32,
    /// µs since the epoch; every stamp of the generation is `epoch + revision`.
    pub epoch_us: i64,
    pub state: GenerationState,
    /// Digest of everything that decides content.
    pub fingerprint: String,
    /// The text that the fingerprint is the digest of (canonical JSON): so that a refusal can say what differs.
    pub meaning: String,
    /// The consumer group that computes it.
    pub group: String,
    pub starts: BTreeMap<SourceId, Start>,
}

impl GenerationRecord {
    /// The step from the state in which it was found.
    pub fn step(&self, to: GenerationState) -> GenerationChange {
        GenerationChange { view: self.view.clone(), generation: self.generation, from: self.state, to }
    }

    /// Whether its rows are what people read now: of each view, one generation at most.
    pub fn serves(&self) -> bool {
        matches!(self.state, GenerationState::Live | GenerationState::Draining { .. } | GenerationState::Promoting)
    }

    /// Windows that start at or before this may hold readings that the generation does not fold: their rows are left as
    /// earlier generations made them. What was lost before there was any event time leaves nothing alone.
    pub fn horizon_ms(&self) -> Option<i64> {
        let left = |start: &Start| start.gone_ms.max(start.kept.map(|kept| kept.until_ms));
        self.starts.values().filter_map(left).max().filter(|ms| RANGE_MS.contains(ms))
    }

    /// Windows that start at or before this may lack readings from before the generation began.
    pub fn partial_until_ms(&self) -> Option<i64> {
        self.starts.values().filter_map(|start| Some(start.left_out?.until_ms)).max()
    }
}

/// A step of a view's generation from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationChange {
    pub view: String,
    pub generation: u32,
    pub from: GenerationState,
    pub to: GenerationState,
}

/// How far the closing sweep of a view's generation has come. Both are exclusive: windows whose
/// end plus allowed lateness is at or before `cursor_ms` are final; up to `closed_ms` all are
/// known to be marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    pub cursor_ms: Option<i64>,
    pub closed_ms: Option<i64>,
}

/// What a stored position is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PositionKind {
    /// The commit itself, of sources that have no group coordinator (files): the newest wins.
    Commit,
    /// A committed triple kept now and then: restarting from any of them is always safe.
    Kept,
    /// Commit metadata too large for the broker.
    Spill,
    /// What the owner of a partition says of itself now and then, at offset 0: for people, in the
    /// encoding of `heartbeat`; the newest wins.
    Heartbeat,
    /// While a generation drains: the owner of a partition publishes nothing further, and nobody has published
    /// anything at or after this offset. Its metadata is the draining's deadline, ms, as 8 bytes, big-endian.
    Drained,
}

/// A position of a source partition with what its prefix determines, in the encoding of `commit`
/// (of a heartbeat: what its kind says).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPosition {
    pub group: String,
    pub source: SourceId,
    pub kind: PositionKind,
    pub offset: Offset,
    pub metadata: Vec<u8>,
    /// Wall clock, ms: orders `Commit` writes (a file source has one owner), and shows an age.
    pub written_at_ms: i64,
}

/// What a store tells of itself to whoever wants to know whether it is fit; `None` where it cannot
/// be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreFacts {
    /// Product and version.
    pub name: String,
    /// The keyspace's replication factors, by data centre (or `replication_factor`).
    pub replication: BTreeMap<String, u32>,
    /// `commitlog_sync`: `periodic`, `batch` or `group`.
    pub log_sync: Option<String>,
    /// `commitlog_sync_period`, ms.
    pub log_sync_period_ms: Option<u64>,
}

/// A statement whose outcome is unknown, or a store that refuses: the caller retries the first
/// for ever (every write is idempotent) and stops on the second.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Time-out, no quorum, connection lost, overloaded, database locked: try again later.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// Wrong schema, wrong credentials, an invalid statement, a guardrail: trying again is useless.
    #[error("{0}")]
    Refused(String),
}

/// Opens the configured store. It need not have any tables yet.
pub async fn open(config: &StoreConfig) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match config {
        StoreConfig::Cassandra(config) => Arc::new(cassandra::connect(config).await?),
        StoreConfig::Sqlite { path } => Arc::new(sqlite::Sqlite::open(path)?),
    })
}

/// Where listed rows go, a piece at a time: there may be more of them than fit into memory.
pub type Pieces = tokio::sync::mpsc::Sender<Vec<RowId>>;

/// Where listed slots go.
pub type SlotPieces = tokio::sync::mpsc::Sender<Vec<Slot>>;

/// Rows or slots in one piece, at most.
const PIECE: usize = 1_000;

/// What was done, or would be done, by `migrate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStep {
    pub version: u32,
    pub name: String,
    /// Already there before.
    pub applied: bool,
}

/// The store's own roles: a writer, which runs the engine, and a reader of rows only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roles {
    /// Their names, and whether they were there before.
    Of { names: [String; 2], there: bool },
    /// There are none, and why.
    None(String),
}

/// The contract. Batches may hold any number of items; implementations bound what is in flight.
/// On an error any part of a batch may have been written.
#[async_trait]
pub trait Store: Send + Sync {
    /// Applies the numbered migrations that are missing, once, under a lock, with checksums; with
    /// `dry_run` only says what it would do. Refuses a schema newer than this binary.
    async fn migrate(&self, dry_run: bool) -> Result<Vec<MigrationStep>, StoreError>;
    /// Refuses unless the schema is exactly this binary's (naming `etiage migrate`); checks what
    /// else must hold at start (guardrails on timestamps, the recorded local data centre).
    async fn check(&self) -> Result<(), StoreError>;
    /// The same for who only reads rows, and may see nothing else.
    async fn check_reader(&self) -> Result<(), StoreError> {
        self.check().await
    }
    /// Makes the roles and what they may do, after `migrate`; with `dry_run` only looks. What the server refuses
    /// is told and is no error.
    async fn roles(&self, dry_run: bool) -> Result<Roles, StoreError> {
        let _ = dry_run;
        Ok(Roles::None("an embedded store knows no users: who may read its file may read all of it".into()))
    }

    /// What `etiage check` looks at beside the schema.
    async fn facts(&self) -> Result<StoreFacts, StoreError> {
        Ok(StoreFacts::default())
    }

    async fn write_parts(&self, parts: &[PartWrite]) -> Result<(), StoreError>;
    /// One source's part of each slot, or none; in the order asked.
    async fn read_own_parts(&self, source: SourceId, slots: &[Slot]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;
    /// All sources' parts of each slot; in the order asked.
    async fn read_slots(&self, slots: &[Slot]) -> Result<Vec<Vec<(SourceId, Vec<u8>)>>, StoreError>;

    /// Writes each row to both rows tables.
    async fn write_rows(&self, rows: &[RowWrite]) -> Result<(), StoreError>;
    async fn write_before(&self, rows: &[BeforeWrite]) -> Result<(), StoreError>;
    /// Marks rows final, at `epoch`, in both tables; only ever true, in a statement of its own.
    async fn mark_final(&self, rows: &[RowId], epoch: Stamp) -> Result<(), StoreError>;
    /// Tells the rows of a view and width whose window starts at or after `from_ms` (any where `None`)
    /// and before `before_ms`, each once, in pieces; rows without a count included. `generation` fills
    /// the slots. Whoever has heard enough drops the other end.
    async fn list_rows(
        &self,
        view: &str,
        generation: u32,
        width: Width,
        from_ms: Option<i64>,
        before_ms: i64,
        pieces: Pieces,
    ) -> Result<(), StoreError>;
    async fn rows(&self, query: &RowQuery) -> Result<Vec<Row>, StoreError>;

    async fn generations(&self) -> Result<Vec<GenerationRecord>, StoreError>;
    /// Creates a generation unless it exists (a lightweight transaction); false where it does.
    async fn create_generation(&self, record: &GenerationRecord) -> Result<bool, StoreError>;
    /// Takes all of these steps or none (one lightweight transaction); false where a generation is not in the
    /// state that its step starts from.
    async fn change_generations(&self, changes: &[GenerationChange]) -> Result<bool, StoreError>;

    /// Tells the slots of a view's generation that have parts, each once, in pieces. Whoever has heard enough drops
    /// the other end.
    async fn list_slots(&self, view: &str, generation: u32, pieces: SlotPieces) -> Result<(), StoreError>;
    /// Removes all parts of these slots that were written at or below a stamp.
    async fn remove_parts(&self, slots: &[Slot], up_to: Stamp) -> Result<(), StoreError>;
    /// Removes what was written of a view's rows at or below a stamp, wherever it lies; with `after_ms`, only of windows
    /// that start later.
    async fn remove_rows(&self, view: &str, up_to: Stamp, after_ms: Option<i64>) -> Result<(), StoreError>;

    async fn closing(&self, view: &str, generation: u32, width: Width) -> Result<Closing, StoreError>;
    /// Cursors only move forward: their timestamp is derived from their value.
    async fn write_closing_cursor(
        &self,
        view: &str,
        generation: u32,
        width: Width,
        cursor_ms: i64,
    ) -> Result<(), StoreError>;
    async fn write_closed(&self, view: &str, generation: u32, width: Width, closed_ms: i64) -> Result<(), StoreError>;

    async fn write_positions(&self, positions: &[StoredPosition]) -> Result<(), StoreError>;
    /// Stored positions of one source partition, newest offset first, at most `limit`.
    async fn positions(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        limit: usize,
    ) -> Result<Vec<StoredPosition>, StoreError>;
    /// The first stored position at or past an offset.
    async fn position_from(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        from: Offset,
    ) -> Result<Option<StoredPosition>, StoreError> {
        let all = self.positions(group, source, kind, usize::MAX).await?;
        Ok(all.into_iter().take_while(|position| position.offset >= from).last())
    }
    /// Removes the positions of a kind below `before`.
    async fn trim_positions(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        before: Offset,
    ) -> Result<(), StoreError>;
}
