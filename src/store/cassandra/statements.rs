//! Every statement of the main path, prepared once. All of them may be repeated, since each
//! carries its own timestamp; the lightweight transaction alone may not.

use futures::future::try_join_all;
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, Statement};

use super::error::Verdict;
use crate::store::StoreError;

/// The statements of one of the two rows tables; the order of their parameters is that of
/// `writes` and `rows`.
#[derive(Debug)]
pub struct RowStatements {
    pub write: PreparedStatement,
    pub before: PreparedStatement,
    pub mark_final: PreparedStatement,
    pub partitions: PreparedStatement,
    pub select: PreparedStatement,
    pub remove: PreparedStatement,
}

#[derive(Debug)]
pub struct Statements {
    pub write_part: PreparedStatement,
    pub read_own_part: PreparedStatement,
    pub read_slot: PreparedStatement,
    pub slots: PreparedStatement,
    pub remove_parts: PreparedStatement,
    pub by_time: RowStatements,
    pub by_key: RowStatements,
    pub list_rows: PreparedStatement,
    pub generations: PreparedStatement,
    pub create_generation: PreparedStatement,
    pub change_generation: PreparedStatement,
    pub closing: PreparedStatement,
    pub write_cursor: PreparedStatement,
    pub write_closed: PreparedStatement,
    pub write_position: PreparedStatement,
    pub positions: PreparedStatement,
    pub position_from: PreparedStatement,
    pub positions_below: PreparedStatement,
    pub delete_position: PreparedStatement,
}

const SLOT: &str = r#""view" = ? AND generation = ? AND width = ? AND tenant = ? AND key = ? AND window_start = ?"#;
const SWEEP: &str = r#""view" = ? AND generation = ? AND width = ?"#;
const SOURCE: &str = "consumer_group = ? AND topic_id = ? AND partition = ? AND kind = ?";
const BY_TIME: &str = r#""view" = ? AND width = ? AND metric = ? AND tenant = ? AND bucket = ?"#;
const BY_KEY: &str = r#""view" = ? AND width = ? AND metric = ? AND tenant = ? AND key = ? AND year = ?"#;
const RANGE: &str = "window_start >= ? AND window_start < ?";

impl Statements {
    pub async fn prepare(session: &Session) -> Result<Statements, StoreError> {
        let ready = async |text: String| prepare(session, text).await;
        Ok(Statements {
            write_part: ready(
                r#"INSERT INTO parts ("view", generation, width, tenant, key, window_start, topic_id, partition, state)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"#
                    .into(),
            )
            .await?,
            read_own_part: ready(format!("SELECT state FROM parts WHERE {SLOT} AND topic_id = ? AND partition = ?")).await?,
            read_slot: ready(format!("SELECT topic_id, partition, state FROM parts WHERE {SLOT}")).await?,
            slots: ready(r#"SELECT DISTINCT "view", generation, width, tenant, key, window_start FROM parts"#.into()).await?,
            remove_parts: ready(format!("DELETE FROM parts USING TIMESTAMP ? WHERE {SLOT}")).await?,
            by_time: rows(session, "rows_by_time", "bucket", BY_TIME).await?,
            by_key: rows(session, "rows_by_key", "year", BY_KEY).await?,
            list_rows: ready(format!("SELECT window_start, key FROM rows_by_time WHERE {BY_TIME} AND {RANGE}")).await?,
            generations: serial(
                ready(
                    r#"SELECT "view", generation, epoch_us, state, fingerprint, meaning, consumer_group, starts
                       FROM generations WHERE scope = 'views'"#
                        .into(),
                )
                .await?,
            ),
            create_generation: once(
                ready(
                    r#"INSERT INTO generations (scope, "view", generation, epoch_us, state, fingerprint, meaning, consumer_group, starts)
                       VALUES ('views', ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"#
                        .into(),
                )
                .await?,
            ),
            change_generation: once(
                ready(
                    r#"UPDATE generations SET state = ? WHERE scope = 'views' AND "view" = ? AND generation = ? IF state = ?"#
                        .into(),
                )
                .await?,
            ),
            closing: ready(format!("SELECT cursor, closed FROM closing WHERE {SWEEP}")).await?,
            write_cursor: ready(format!("UPDATE closing USING TIMESTAMP ? SET cursor = ? WHERE {SWEEP}")).await?,
            write_closed: ready(format!("UPDATE closing USING TIMESTAMP ? SET closed = ? WHERE {SWEEP}")).await?,
            write_position: ready(
                "INSERT INTO positions (consumer_group, topic_id, partition, kind, offset, metadata, written_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
                    .into(),
            )
            .await?,
            positions: ready(format!("SELECT offset, metadata, written_at FROM positions WHERE {SOURCE} LIMIT ?")).await?,
            position_from: ready(format!(
                "SELECT offset, metadata, written_at FROM positions WHERE {SOURCE} AND offset >= ? ORDER BY offset ASC LIMIT 1"
            ))
            .await?,
            positions_below: ready(format!("SELECT offset, writetime(metadata) FROM positions WHERE {SOURCE} AND offset < ?")).await?,
            delete_position: ready(format!("DELETE FROM positions USING TIMESTAMP ? WHERE {SOURCE} AND offset = ?")).await?,
        })
    }
}

/// `place` is the column that the table has beside the other's; `partition` names a partition. The
/// parameters that name a row have the same order for either table.
async fn rows(session: &Session, table: &str, place: &str, partition: &str) -> Result<RowStatements, StoreError> {
    let key = if place == "year" { "key, year" } else { "bucket" };
    let row = format!(
        r#""view" = ? AND width = ? AND metric = ? AND tenant = ? AND key = ? AND {place} = ? AND window_start = ?"#
    );
    let texts = [
        format!(
            r#"INSERT INTO {table} ("view", width, metric, tenant, key, {place}, window_start, label, labels, window_end, count, mean,
               min, max, stddev, alarms, active, outliers, partial, revision, generation, updated_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"#
        ),
        format!("UPDATE {table} USING TIMESTAMP ? SET mean_before = ? WHERE {row}"),
        format!("UPDATE {table} USING TIMESTAMP ? SET final = ? WHERE {row}"),
        format!(r#"SELECT DISTINCT "view", width, metric, tenant, {key} FROM {table}"#),
        format!(
            "SELECT key, window_start, label, labels, window_end, count, mean, min, max, stddev, alarms, active, outliers,
             partial, mean_before, final, revision, generation, updated_at FROM {table} WHERE {partition} AND {RANGE}"
        ),
        format!("DELETE FROM {table} USING TIMESTAMP ? WHERE {partition} AND window_start >= ?"),
    ];
    let ready = try_join_all(texts.map(|text| prepare(session, text))).await?;
    let [write, before, mark_final, partitions, select, remove] = <[PreparedStatement; 6]>::try_from(ready)
        .map_err(|_| StoreError::Unavailable("not every statement was prepared".into()))?;
    Ok(RowStatements { write, before, mark_final, partitions, select, remove })
}

async fn prepare(session: &Session, text: String) -> Result<PreparedStatement, StoreError> {
    let mut statement = Statement::new(text);
    statement.set_is_idempotent(true);
    session.prepare(statement).await.map_err(|error| error.told("preparing statements"))
}

/// Sees, and so completes, every lightweight transaction that has been acknowledged.
fn serial(mut statement: PreparedStatement) -> PreparedStatement {
    statement.set_consistency(Consistency::LocalSerial);
    statement
}

fn once(mut statement: PreparedStatement) -> PreparedStatement {
    statement.set_is_idempotent(false);
    statement
}
