//! Statements on their way: how many at once, how often again, and how an answer becomes rows.

use std::future::Future;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use tokio::sync::mpsc::Sender;

use super::Cassandra;
use super::error::{Verdict, unexpected};
use crate::store::{PIECE, StoreError};

/// Pauses after the first attempts that failed; after the last one the caller decides how to go on.
const PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

/// Whether another attempt is worth its while: not after a time-out, for the caller has waited long
/// enough and must hear of it.
fn again(error: &ExecutionError) -> bool {
    !error.refused() && !matches!(error, ExecutionError::RequestTimeout(_))
}

/// The answer of the first attempt that has one, or the last error.
async fn repeated<F>(attempt: impl Fn() -> F, doing: &str) -> Result<QueryResult, StoreError>
where
    F: Future<Output = Result<QueryResult, ExecutionError>>,
{
    for pause in PAUSES {
        match attempt().await {
            Err(error) if again(&error) => tokio::time::sleep(pause).await,
            outcome => return outcome.map_err(|error| error.told(doing)),
        }
    }
    attempt().await.map_err(|error| error.told(doing))
}

impl Cassandra {
    /// Runs a statement that may be repeated.
    pub(super) async fn execute(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        doing: &str,
    ) -> Result<QueryResult, StoreError> {
        repeated(|| self.attempt(statement, &values), doing).await
    }

    /// Runs a statement once for each of the values, all of which belong to one partition: as one
    /// mutation, where they are several. The batch has no timestamp, for each statement has its own.
    pub(super) async fn execute_together<V: SerializeRow>(
        &self,
        statement: &PreparedStatement,
        values: &[V],
        doing: &str,
    ) -> Result<(), StoreError> {
        if let [alone] = values {
            return self.execute(statement, alone, doing).await.map(drop);
        }
        let statements = vec![BatchStatement::from(statement.clone()); values.len()];
        let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
        batch.set_is_idempotent(true);
        repeated(|| self.attempt_together(&batch, values), doing).await.map(drop)
    }

    /// Runs a statement that may not be repeated: a lightweight transaction.
    pub(super) async fn execute_once(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        doing: &str,
    ) -> Result<QueryResult, StoreError> {
        self.attempt(statement, &values).await.map_err(|error| error.told(doing))
    }

    /// Runs one for each of the values, all of which belong to one partition: all of them are applied, or none is.
    pub(super) async fn execute_once_together<V: SerializeRow>(
        &self,
        statement: &PreparedStatement,
        values: &[V],
        doing: &str,
    ) -> Result<QueryResult, StoreError> {
        let statements = vec![BatchStatement::from(statement.clone()); values.len()];
        let batch = Batch::new_with_statements(BatchType::Unlogged, statements);
        self.attempt_together(&batch, values).await.map_err(|error| error.told(doing))
    }

    /// One attempt, when its turn has come. (The semaphore is never closed, so there always is one.)
    async fn attempt(
        &self,
        statement: &PreparedStatement,
        values: &impl SerializeRow,
    ) -> Result<QueryResult, ExecutionError> {
        let _turn = self.in_flight.acquire().await;
        self.session.execute_unpaged(statement, values).await
    }

    async fn attempt_together<V: SerializeRow>(
        &self,
        batch: &Batch,
        values: &[V],
    ) -> Result<QueryResult, ExecutionError> {
        let _turn = self.in_flight.acquire().await;
        self.session.batch(batch, values).await
    }

    /// Reads all pages of an answer of any length.
    pub(super) async fn pages<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        doing: &str,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata> + Send + 'static,
    {
        let _turn = self.in_flight.acquire().await;
        self.stream(statement, values, doing).await?.try_collect().await
    }

    /// The rows of an answer of any length as they come, beside the statements in flight: whoever
    /// listens may run others meanwhile.
    pub(super) async fn stream<'a, R, V: SerializeRow>(
        &self,
        statement: &PreparedStatement,
        values: V,
        doing: &'a str,
    ) -> Result<impl Stream<Item = Result<R, StoreError>> + Send + use<'a, R, V>, StoreError>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata> + Send + 'static,
    {
        let pager = self.session.execute_iter(statement.clone(), values).await.map_err(|error| error.told(doing))?;
        let rows = pager.rows_stream::<R>().map_err(|error| unexpected(doing, &error))?;
        Ok(rows.map_err(move |error| error.told(doing)))
    }

    /// Waits for all, no more of them begun than may be in flight; the answers in the order asked.
    pub(super) async fn all<T, F>(&self, statements: impl Iterator<Item = F>) -> Result<Vec<T>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        stream::iter(statements).buffered(self.concurrency).try_collect().await
    }

    /// Waits for all, in any order, no more of them begun than may be in flight.
    pub(super) async fn each<F>(&self, statements: impl Iterator<Item = F>) -> Result<(), StoreError>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        stream::iter(statements).buffer_unordered(self.concurrency).try_collect().await
    }
}

/// Hands on what is found, in pieces, until whoever listens has heard enough.
pub async fn tell<T>(
    found: impl Stream<Item = Result<T, StoreError>>,
    pieces: Sender<Vec<T>>,
) -> Result<(), StoreError> {
    let mut found = std::pin::pin!(found.try_chunks(PIECE).map_err(|error| error.1));
    while let Some(piece) = found.try_next().await? {
        if pieces.send(piece).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The rows of an answer that came in one page.
pub fn rows_of<R>(result: QueryResult, doing: &str) -> Result<Vec<R>, StoreError>
where
    R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
{
    let rows = result.into_rows_result().map_err(|error| unexpected(doing, &error))?;
    let typed = rows.rows::<R>().map_err(|error| unexpected(doing, &error))?;
    typed.collect::<Result<_, _>>().map_err(|error| unexpected(doing, &error))
}

/// Whether a lightweight transaction was applied: the first column of its answer says it.
pub fn applied(result: QueryResult, doing: &str) -> Result<bool, StoreError> {
    let rows: Vec<scylla::value::Row> = rows_of(result, doing)?;
    rows.first()
        .and_then(|row| row.columns.first()?.as_ref()?.as_boolean())
        .ok_or_else(|| unexpected(doing, &"no [applied] column"))
}
