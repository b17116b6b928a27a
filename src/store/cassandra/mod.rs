//! The store in Apache Cassandra or ScyllaDB: prepared, token-aware, idempotent statements at
//! LOCAL_QUORUM, each with its own write timestamp, a bounded number of them in flight; rows of one
//! partition go together.

use std::time::Duration;

use async_trait::async_trait;
use scylla::client::session::Session;
use tokio::sync::{OnceCell, Semaphore};

use super::{
    BeforeWrite, Closing, GenerationChange, GenerationRecord, MigrationStep, PartWrite, Pieces, PositionKind, Roles,
    Row, RowId, RowQuery, RowWrite, Slot, SlotPieces, Stamp, Store, StoreError, StoreFacts, StoredPosition,
};
use crate::config::CassandraConfig;
use crate::reading::{Offset, SourceId};
use crate::window::Width;
use error::Verdict;
use statements::Statements;

mod batches;
mod control;
mod error;
mod facts;
mod flight;
mod guard;
mod migrate;
mod parts;
mod roles;
mod rows;
mod session;
mod statements;
#[cfg(feature = "tls")]
mod tls;
mod writes;

/// A session with one keyspace.
#[derive(Debug)]
pub struct Cassandra {
    session: Session,
    keyspace: String,
    /// The replication map's CQL text, where `migrate` must create the keyspace.
    replication: String,
    local_datacenter: String,
    /// Who this session has logged in as.
    username: Option<String>,
    /// Statements in flight at most.
    concurrency: usize,
    in_flight: Semaphore,
    /// Whether the session's connections use the keyspace. Not before it exists.
    entered: OnceCell<()>,
    statements: OnceCell<Statements>,
}

/// Connects to the cluster; the keyspace need not exist yet.
pub async fn connect(config: &CassandraConfig) -> Result<Cassandra, StoreError> {
    check_keyspace_name(&config.keyspace)?;
    let (session, local_datacenter) = session::open(config).await?;
    let concurrency = config.concurrency.clamp(1, Semaphore::MAX_PERMITS);
    Ok(Cassandra {
        session,
        keyspace: config.keyspace.clone(),
        replication: config.replication.clone(),
        local_datacenter,
        username: config.username.clone(),
        concurrency,
        in_flight: Semaphore::new(concurrency),
        entered: OnceCell::new(),
        statements: OnceCell::new(),
    })
}

/// A keyspace's name cannot be a parameter of a statement, and one in capitals is another one in
/// `cqlsh`.
fn check_keyspace_name(name: &str) -> Result<(), StoreError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 48 && name.chars().all(plain) {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "store.keyspace {name:?}: a letter, then letters, digits and underscores, all small, 48 at most"
    )))
}

impl Cassandra {
    /// The prepared statements, once there are tables to prepare them for.
    async fn statements(&self) -> Result<&Statements, StoreError> {
        let prepare = async || {
            self.enter().await?;
            Statements::prepare(&self.session).await
        };
        self.statements.get_or_try_init(prepare).await
    }

    /// Makes the keyspace the one that unqualified names mean.
    async fn enter(&self) -> Result<(), StoreError> {
        let enter = async || {
            if !self.keyspace_exists().await? {
                let text = format!("cassandra has no keyspace {}: run `etiage migrate`", self.keyspace);
                return Err(StoreError::Refused(text));
            }
            for _ in 0..SETTLE_POLLS {
                match self.use_keyspace().await {
                    Err(StoreError::Refused(_)) => tokio::time::sleep(SETTLE_POLL).await,
                    answer => return answer,
                }
            }
            self.use_keyspace().await
        };
        self.entered.get_or_try_init(enter).await.copied()
    }

    async fn use_keyspace(&self) -> Result<(), StoreError> {
        self.session.use_keyspace(&self.keyspace, true).await.map_err(|error| error.told("entering the keyspace"))
    }

    /// Runs a statement in the keyspace: for tests, which look at the tables as people do.
    #[doc(hidden)]
    pub async fn execute_raw(&self, text: &str) -> Result<(), StoreError> {
        self.enter().await?;
        self.session.query_unpaged(text, ()).await.map(drop).map_err(|error| error.told("executing"))
    }

    /// Removes the keyspace and all that is in it: for tests, which leave nothing behind.
    #[doc(hidden)]
    pub async fn drop_keyspace(&self) -> Result<(), StoreError> {
        self.alter(format!("DROP KEYSPACE IF EXISTS {}", self.keyspace)).await
    }
}

/// How often, and how long, a node is given to learn of a change of the schema: what another
/// migration has just made shows in the system's tables before every part of the node knows it.
const SETTLE_POLL: Duration = Duration::from_millis(100);
const SETTLE_POLLS: usize = 20;

/// Changes of the schema wait for every node.
const SCHEMA_TIMEOUT: Duration = Duration::from_secs(60);

#[async_trait]
impl Store for Cassandra {
    async fn migrate(&self, dry_run: bool) -> Result<Vec<MigrationStep>, StoreError> {
        if dry_run { self.planned().await } else { self.migrated().await }
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.enter().await?;
        self.check_schema().await?;
        self.check_datacenter().await?;
        self.check_guards().await?;
        self.statements().await.map(drop)
    }

    async fn check_reader(&self) -> Result<(), StoreError> {
        self.enter().await?;
        if self.may_read(&format!("{}.schema_migrations", self.keyspace)).await? {
            return self.check().await;
        }
        self.statements().await.map(drop)
    }

    async fn roles(&self, dry_run: bool) -> Result<Roles, StoreError> {
        self.made_roles(dry_run).await
    }

    async fn facts(&self) -> Result<StoreFacts, StoreError> {
        self.told().await
    }

    async fn write_parts(&self, parts: &[PartWrite]) -> Result<(), StoreError> {
        self.each((0..parts.len()).map(|at| parts::write(self, &parts[at]))).await
    }

    async fn read_own_parts(&self, source: SourceId, slots: &[Slot]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.all((0..slots.len()).map(|at| parts::read_own(self, source, &slots[at]))).await
    }

    async fn read_slots(&self, slots: &[Slot]) -> Result<Vec<Vec<(SourceId, Vec<u8>)>>, StoreError> {
        self.all((0..slots.len()).map(|at| parts::read_slot(self, &slots[at]))).await
    }

    async fn write_rows(&self, rows: &[RowWrite]) -> Result<(), StoreError> {
        writes::rows(self, rows).await
    }

    async fn write_before(&self, rows: &[BeforeWrite]) -> Result<(), StoreError> {
        writes::before(self, rows).await
    }

    async fn mark_final(&self, rows: &[RowId], epoch: Stamp) -> Result<(), StoreError> {
        writes::mark_final(self, rows, epoch).await
    }

    async fn list_rows(
        &self,
        view: &str,
        generation: u32,
        width: Width,
        from_ms: Option<i64>,
        before_ms: i64,
        pieces: Pieces,
    ) -> Result<(), StoreError> {
        rows::list(self, (view, generation, width), (from_ms, before_ms), pieces).await
    }

    async fn rows(&self, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        rows::select(self, query).await
    }

    async fn generations(&self) -> Result<Vec<GenerationRecord>, StoreError> {
        control::generations(self).await
    }

    async fn create_generation(&self, record: &GenerationRecord) -> Result<bool, StoreError> {
        control::create_generation(self, record).await
    }

    async fn change_generations(&self, changes: &[GenerationChange]) -> Result<bool, StoreError> {
        control::change_generations(self, changes).await
    }

    async fn list_slots(&self, view: &str, generation: u32, pieces: SlotPieces) -> Result<(), StoreError> {
        parts::list_slots(self, view, generation, pieces).await
    }

    async fn remove_parts(&self, slots: &[Slot], up_to: Stamp) -> Result<(), StoreError> {
        self.each((0..slots.len()).map(|at| parts::remove(self, &slots[at], up_to))).await
    }

    async fn remove_rows(&self, view: &str, up_to: Stamp, after_ms: Option<i64>) -> Result<(), StoreError> {
        rows::remove(self, view, up_to, after_ms).await
    }

    async fn closing(&self, view: &str, generation: u32, width: Width) -> Result<Closing, StoreError> {
        control::closing(self, view, generation, width).await
    }

    async fn write_closing_cursor(
        &self,
        view: &str,
        generation: u32,
        width: Width,
        cursor_ms: i64,
    ) -> Result<(), StoreError> {
        let statement = &self.statements().await?.write_cursor;
        control::advance(self, statement, view, generation, width, cursor_ms).await
    }

    async fn write_closed(&self, view: &str, generation: u32, width: Width, closed_ms: i64) -> Result<(), StoreError> {
        let statement = &self.statements().await?.write_closed;
        control::advance(self, statement, view, generation, width, closed_ms).await
    }

    async fn write_positions(&self, positions: &[StoredPosition]) -> Result<(), StoreError> {
        self.each((0..positions.len()).map(|at| control::write_position(self, &positions[at]))).await
    }

    async fn positions(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        limit: usize,
    ) -> Result<Vec<StoredPosition>, StoreError> {
        control::positions(self, group, source, kind, limit).await
    }

    async fn position_from(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        from: Offset,
    ) -> Result<Option<StoredPosition>, StoreError> {
        control::position_from(self, group, source, kind, from).await
    }

    async fn trim_positions(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        before: Offset,
    ) -> Result<(), StoreError> {
        control::trim_positions(self, group, source, kind, before).await
    }
}
