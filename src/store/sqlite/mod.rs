//! The embedded store: one SQLite file, the same tables, the same rule that the highest timestamp
//! wins. Every batch is one transaction, synced before it is acknowledged.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::mpsc::Sender;

use super::{
    BeforeWrite, Closing, GenerationChange, GenerationRecord, MigrationStep, PIECE, PartWrite, Pieces, PositionKind,
    Row, RowId, RowQuery, RowWrite, Slot, SlotPieces, Stamp, Store, StoreError, StoreFacts, StoredPosition,
};
use crate::reading::{Offset, SourceId};
use crate::window::Width;

mod control;
mod migrate;
mod parts;
mod rows;

/// How long a statement waits for another process that holds the file.
const BUSY: Duration = Duration::from_secs(5);

/// Statements kept prepared; more than there are in this module.
const PREPARED: usize = 64;

/// The embedded store. Cheap to share; one statement runs at a time.
#[derive(Clone, Debug)]
pub struct Sqlite {
    connection: Arc<Mutex<Connection>>,
}

impl Sqlite {
    /// Opens the file, or creates an empty one; `migrate` makes its tables.
    pub fn open(path: &Path) -> Result<Sqlite, StoreError> {
        let connection = connect(path).map_err(|error| at(path, &error))?;
        Ok(Sqlite { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Opens a file that is there, to read it.
    pub fn open_to_read(path: &Path) -> Result<Sqlite, StoreError> {
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY)?;
            // Says now, and not at the first question, whether this is a database at all.
            connection.table_exists(None, "schema_migrations")?;
            Ok(connection)
        };
        let connection = open().map_err(|error| at(path, &error))?;
        Ok(Sqlite { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Runs the work on a thread that may block. The connection outlives a panic elsewhere: a
    /// transaction that was not committed is rolled back when it is dropped.
    async fn with<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        let run = move || work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(run)
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the embedded store's thread ended: {error}"))))
    }

    /// Hands on what is listed, a piece after the other, each of what comes after the last one told, until there is
    /// no more or whoever listens has heard enough.
    async fn tell<T, F>(&self, list: F, pieces: Sender<Vec<T>>) -> Result<(), StoreError>
    where
        T: Clone + Send + 'static,
        F: Fn(&Connection, Option<&T>) -> Result<Vec<T>, StoreError> + Clone + Send + 'static,
    {
        let mut last: Option<T> = None;
        loop {
            let (list, after) = (list.clone(), last.take());
            let piece = self.with(move |connection| list(connection, after.as_ref())).await?;
            last = piece.last().cloned();
            if last.is_none() || pieces.send(piece).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Runs the work in one transaction that takes the write lock at once: a lock taken later
    /// could not be waited for.
    async fn transact<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
        .await
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

fn at(path: &Path, error: &rusqlite::Error) -> StoreError {
    let path = path.display();
    match StoreError::from_sqlite(error) {
        StoreError::Unavailable(text) => StoreError::Unavailable(format!("{path}: {text}")),
        StoreError::Refused(text) => StoreError::Refused(format!(
            "{text}: {path}: is store.path a SQLite file, or a new name in a directory that may be written?"
        )),
    }
}

/// What to do where the words of SQLite alone do not say it.
fn remedy(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            ": make room on the disk of store.path; nothing is lost, it is written as soon as there is room"
        }
        Some(ErrorCode::SystemIoFailure) => ": is the disk of store.path full, failing or gone?",
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            ": let this user write the file of store.path and its directory"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ": does another process hold store.path?",
        _ => "",
    }
}

impl StoreError {
    /// What cannot get better by itself is refused; everything else is worth another try.
    fn from_sqlite(error: &rusqlite::Error) -> StoreError {
        use rusqlite::Error::{FromSqlConversionFailure, InvalidColumnType, SqliteFailure};
        let text = format!("the embedded store: {error}{}", remedy(error));
        let refused = match error {
            SqliteFailure(failure, _) => matches!(
                failure.code,
                ErrorCode::PermissionDenied
                    | ErrorCode::ReadOnly
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::CannotOpen
                    | ErrorCode::TooBig
                    | ErrorCode::ConstraintViolation
                    | ErrorCode::TypeMismatch
                    | ErrorCode::NotADatabase
                    | ErrorCode::Unknown
            ),
            FromSqlConversionFailure(..) | InvalidColumnType(..) => true,
            _ => false,
        };
        if refused { StoreError::Refused(text) } else { StoreError::Unavailable(text) }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        StoreError::from_sqlite(&error)
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn migrate(&self, dry_run: bool) -> Result<Vec<MigrationStep>, StoreError> {
        self.transact(move |transaction| migrate::migrate(transaction, dry_run)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.with(|connection| migrate::check(connection)).await
    }

    async fn facts(&self) -> Result<StoreFacts, StoreError> {
        let name = format!("SQLite {}", rusqlite::version());
        Ok(StoreFacts { name, ..StoreFacts::default() })
    }

    async fn write_parts(&self, parts: &[PartWrite]) -> Result<(), StoreError> {
        let parts = parts.to_vec();
        self.transact(move |transaction| parts::write(transaction, &parts)).await
    }

    async fn read_own_parts(&self, source: SourceId, slots: &[Slot]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let slots = slots.to_vec();
        self.with(move |connection| parts::read_own(connection, source, &slots)).await
    }

    async fn read_slots(&self, slots: &[Slot]) -> Result<Vec<Vec<(SourceId, Vec<u8>)>>, StoreError> {
        let slots = slots.to_vec();
        self.with(move |connection| parts::read_slots(connection, &slots)).await
    }

    async fn write_rows(&self, rows: &[RowWrite]) -> Result<(), StoreError> {
        let rows = rows.to_vec();
        self.transact(move |transaction| rows::write(transaction, &rows)).await
    }

    async fn write_before(&self, rows: &[BeforeWrite]) -> Result<(), StoreError> {
        let rows = rows.to_vec();
        self.transact(move |transaction| rows::write_before(transaction, &rows)).await
    }

    async fn mark_final(&self, rows: &[RowId], epoch: Stamp) -> Result<(), StoreError> {
        let rows = rows.to_vec();
        self.transact(move |transaction| rows::mark_final(transaction, &rows, epoch)).await
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
        let view: Arc<str> = view.into();
        let list = move |connection: &Connection, after: Option<&RowId>| {
            rows::list(connection, (&view, generation, width), (from_ms, before_ms), after, PIECE)
        };
        self.tell(list, pieces).await
    }

    async fn rows(&self, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        let query = query.clone();
        self.with(move |connection| rows::select(connection, &query)).await
    }

    async fn generations(&self) -> Result<Vec<GenerationRecord>, StoreError> {
        self.with(|connection| control::generations(connection)).await
    }

    async fn create_generation(&self, record: &GenerationRecord) -> Result<bool, StoreError> {
        let record = record.clone();
        self.transact(move |transaction| control::create_generation(transaction, &record)).await
    }

    async fn change_generations(&self, changes: &[GenerationChange]) -> Result<bool, StoreError> {
        let changes = changes.to_vec();
        self.transact(move |transaction| control::change_generations(transaction, &changes)).await
    }

    async fn list_slots(&self, view: &str, generation: u32, pieces: SlotPieces) -> Result<(), StoreError> {
        let view: Arc<str> = view.into();
        let list = move |connection: &Connection, after: Option<&Slot>| {
            parts::list_slots(connection, (&view, generation), after, PIECE)
        };
        self.tell(list, pieces).await
    }

    async fn remove_parts(&self, slots: &[Slot], up_to: Stamp) -> Result<(), StoreError> {
        let slots = slots.to_vec();
        self.transact(move |transaction| parts::remove(transaction, &slots, up_to)).await
    }

    async fn remove_rows(&self, view: &str, up_to: Stamp, after_ms: Option<i64>) -> Result<(), StoreError> {
        let view = view.to_owned();
        self.transact(move |transaction| rows::remove(transaction, &view, up_to, after_ms)).await
    }

    async fn closing(&self, view: &str, generation: u32, width: Width) -> Result<Closing, StoreError> {
        let view = view.to_owned();
        self.with(move |connection| control::closing(connection, &view, generation, width)).await
    }

    async fn write_closing_cursor(
        &self,
        view: &str,
        generation: u32,
        width: Width,
        cursor_ms: i64,
    ) -> Result<(), StoreError> {
        let view = view.to_owned();
        self.transact(move |transaction| {
            control::advance(transaction, control::CURSOR, &view, generation, width, cursor_ms)
        })
        .await
    }

    async fn write_closed(&self, view: &str, generation: u32, width: Width, closed_ms: i64) -> Result<(), StoreError> {
        let view = view.to_owned();
        self.transact(move |transaction| {
            control::advance(transaction, control::CLOSED, &view, generation, width, closed_ms)
        })
        .await
    }

    async fn write_positions(&self, positions: &[StoredPosition]) -> Result<(), StoreError> {
        let positions = positions.to_vec();
        self.transact(move |transaction| control::write_positions(transaction, &positions)).await
    }

    async fn positions(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        limit: usize,
    ) -> Result<Vec<StoredPosition>, StoreError> {
        let group = group.to_owned();
        self.with(move |connection| control::positions(connection, &group, source, kind, limit)).await
    }

    async fn position_from(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        from: Offset,
    ) -> Result<Option<StoredPosition>, StoreError> {
        let group = group.to_owned();
        self.with(move |connection| control::position_from(connection, &group, source, kind, from)).await
    }

    async fn trim_positions(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        before: Offset,
    ) -> Result<(), StoreError> {
        let group = group.to_owned();
        self.transact(move |transaction| control::trim_positions(transaction, &group, source, kind, before)).await
    }
}

#[cfg(test)]
mod tests;
