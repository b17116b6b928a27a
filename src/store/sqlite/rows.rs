//! Rows in the embedded store. A row's cells share one stamp, `mean_before` has its own, and
//! `final` only ever becomes true; the same statements run on both tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, ToSql, Transaction, params};

use crate::store::layout::{
    bucket_of, clamped_time, day_text, generation_int, millis_text, seconds_text, time_of, year_of,
};
use crate::store::{BeforeWrite, Row, RowId, RowQuery, RowWrite, Slot, Stamp, StoreError};
use crate::window::Width;

/// The statements of one rows table, given its name and the column that it has beside the other's.
macro_rules! statements {
    ($table:literal, $place:literal) => {
        Statements {
            write: concat!(
                "INSERT INTO ",
                $table,
                r#" ("view", width, metric, tenant, "key", "#,
                $place,
                ", window_start, label, labels, window_end, count, mean, min, max, stddev, alarms, active, outliers,",
                " partial, revision, generation, updated_at, stamp)",
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                " ON CONFLICT DO UPDATE SET label = excluded.label, labels = excluded.labels, window_end = excluded.window_end,",
                " count = excluded.count, mean = excluded.mean, min = excluded.min, max = excluded.max, stddev = excluded.stddev,",
                " alarms = excluded.alarms, active = excluded.active, outliers = excluded.outliers, partial = excluded.partial,",
                " revision = excluded.revision,",
                " generation = excluded.generation, updated_at = excluded.updated_at, stamp = excluded.stamp",
                " WHERE stamp IS NULL OR",
                " (excluded.stamp, excluded.count, excluded.mean, excluded.min, excluded.max, excluded.stddev, excluded.alarms,",
                "  excluded.active, excluded.outliers, excluded.revision, excluded.label, excluded.labels, excluded.updated_at)",
                " > (stamp, count, mean, min, max, stddev, alarms, active, outliers, revision, label, labels, updated_at)",
            ),
            before: concat!(
                "INSERT INTO ",
                $table,
                r#" ("view", width, metric, tenant, "key", "#,
                $place,
                ", window_start, mean_before, mean_before_stamp) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                " ON CONFLICT DO UPDATE SET mean_before = excluded.mean_before, mean_before_stamp = excluded.mean_before_stamp",
                " WHERE mean_before_stamp IS NULL",
                " OR (excluded.mean_before_stamp, excluded.mean_before) > (mean_before_stamp, mean_before)",
            ),
            mark_final: concat!(
                "INSERT INTO ",
                $table,
                r#" ("view", width, metric, tenant, "key", "#,
                $place,
                ", window_start, final, final_stamp) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)",
                " ON CONFLICT DO UPDATE SET final = 1, final_stamp = max(coalesce(final_stamp, ?8), ?8)",
            ),
            remove: [
                concat!("DELETE FROM ", $table, r#" WHERE "view" = ?1 AND window_start >= ?3 AND coalesce(stamp, ?2) <= ?2"#,
                    " AND coalesce(mean_before_stamp, ?2) <= ?2 AND coalesce(final_stamp, ?2) <= ?2"),
                concat!("UPDATE ", $table, " SET label = NULL, labels = NULL, window_end = NULL, count = NULL, mean = NULL,",
                    " min = NULL, max = NULL, stddev = NULL, alarms = NULL, active = NULL, outliers = NULL, partial = NULL, revision = NULL,",
                    " generation = NULL, updated_at = NULL, stamp = NULL",
                    r#" WHERE "view" = ?1 AND window_start >= ?3 AND stamp <= ?2"#),
                concat!("UPDATE ", $table, " SET mean_before = NULL, mean_before_stamp = NULL",
                    r#" WHERE "view" = ?1 AND window_start >= ?3 AND mean_before_stamp <= ?2"#),
                concat!("UPDATE ", $table, " SET final = 0, final_stamp = NULL",
                    r#" WHERE "view" = ?1 AND window_start >= ?3 AND final = 1 AND coalesce(final_stamp, ?2) <= ?2"#),
            ],
        }
    };
}

struct Statements {
    write: &'static str,
    before: &'static str,
    /// The row's place, then the epoch.
    mark_final: &'static str,
    /// The view and a stamp: what was written at or below it goes, be it a row or a cell of its own.
    remove: [&'static str; 4],
}

const BY_TIME: Statements = statements!("rows_by_time", "bucket");
const BY_KEY: Statements = statements!("rows_by_key", "year");

/// Where a row lies, as the columns of both tables.
struct Place<'a> {
    slot: &'a Slot,
    metric: &'a str,
    width: String,
    bucket: String,
    year: i32,
    start: String,
}

impl<'a> Place<'a> {
    fn new(slot: &'a Slot, metric: &'a str) -> Result<Place<'a>, StoreError> {
        Ok(Place {
            slot,
            metric,
            width: slot.width.to_string(),
            bucket: day_text(bucket_of(slot.width, slot.start_ms))?,
            year: year_of(slot.start_ms)?,
            start: seconds_text(slot.start_ms)?,
        })
    }

    /// Runs a statement on each table: its parameters are the place's seven, then `rest`.
    fn execute(
        &self,
        transaction: &Transaction<'_>,
        pick: fn(&Statements) -> &'static str,
        rest: &[&dyn ToSql],
    ) -> Result<(), StoreError> {
        for (statements, place) in [(&BY_TIME, &self.bucket as &dyn ToSql), (&BY_KEY, &self.year)] {
            let Slot { view, tenant, key, .. } = self.slot;
            let mut all: Vec<&dyn ToSql> = vec![view, &self.width, &self.metric, tenant, key, place, &self.start];
            all.extend_from_slice(rest);
            transaction.prepare_cached(pick(statements))?.execute(&all[..])?;
        }
        Ok(())
    }
}

pub fn write(transaction: &Transaction<'_>, rows: &[RowWrite]) -> Result<(), StoreError> {
    for row in rows {
        let labels = serde_json::json!(row.labels).to_string();
        let rest = params![
            row.label,
            labels,
            seconds_text(row.end_ms)?,
            row.count,
            row.mean,
            row.min,
            row.max,
            row.stddev,
            row.alarms,
            row.active,
            row.outliers,
            row.partial,
            row.revision,
            generation_int(row.slot.generation)?,
            millis_text(row.updated_at_ms)?,
            row.stamp.0
        ];
        Place::new(&row.slot, &row.metric)?.execute(transaction, |statements| statements.write, rest)?;
    }
    Ok(())
}

pub fn write_before(transaction: &Transaction<'_>, rows: &[BeforeWrite]) -> Result<(), StoreError> {
    for row in rows {
        let rest = params![row.mean_before, row.stamp.0];
        Place::new(&row.slot, &row.metric)?.execute(transaction, |statements| statements.before, rest)?;
    }
    Ok(())
}

pub fn mark_final(transaction: &Transaction<'_>, rows: &[RowId], epoch: Stamp) -> Result<(), StoreError> {
    for row in rows {
        Place::new(&row.slot, &row.metric)?.execute(
            transaction,
            |statements| statements.mark_final,
            params![epoch.0],
        )?;
    }
    Ok(())
}

pub fn remove(
    transaction: &Transaction<'_>,
    view: &str,
    up_to: Stamp,
    after_ms: Option<i64>,
) -> Result<(), StoreError> {
    let from = bound_text(after_ms.map_or(i64::MIN, |after_ms| after_ms.saturating_add(1)))?;
    for statement in [&BY_TIME, &BY_KEY].into_iter().flat_map(|statements| statements.remove) {
        transaction.execute(statement, params![view, up_to.0, from])?;
    }
    Ok(())
}

/// The next `limit` rows in the order of the table, after the one that was told last.
pub fn list(
    connection: &Connection,
    (view, generation, width): (&Arc<str>, u32, Width),
    (from_ms, before_ms): (Option<i64>, i64),
    after: Option<&RowId>,
    limit: usize,
) -> Result<Vec<RowId>, StoreError> {
    let mut statement = connection.prepare_cached(
        r#"SELECT tenant, "key", window_start, metric FROM rows_by_time
           WHERE "view" = ?1 AND width = ?2 AND window_start >= ?3 AND window_start < ?4
             AND (?5 IS NULL OR (metric, tenant, bucket, window_start, "key") > (?5, ?6, ?7, ?8, ?9))
           ORDER BY metric, tenant, bucket, window_start, "key" LIMIT ?10"#,
    )?;
    let from = bound_text(from_ms.unwrap_or(i64::MIN))?;
    let below = bound_text(before_ms)?;
    let last = after.map(|row| Place::new(&row.slot, &row.metric)).transpose()?;
    let last =
        last.as_ref().map(|place| (place.metric, &place.slot.tenant, &place.bucket, &place.start, &place.slot.key));
    let mut found = statement.query(params![
        view,
        width.to_string(),
        from,
        below,
        last.map(|last| last.0),
        last.map(|last| last.1),
        last.map(|last| last.2),
        last.map(|last| last.3),
        last.map(|last| last.4),
        limit as i64,
    ])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let start_ms = time_of(&row.get::<_, String>(2)?)?;
        let slot = Slot { view: Arc::clone(view), generation, width, tenant: row.get(0)?, key: row.get(1)?, start_ms };
        rows.push(RowId { slot, metric: row.get(3)? });
    }
    Ok(rows)
}

/// A bound of window starts as text: the first whole second that is not below it.
fn bound_text(ms: i64) -> Result<String, StoreError> {
    let ms = clamped_time(ms);
    seconds_text(clamped_time(ms + (-ms).rem_euclid(1000)).div_euclid(1000) * 1000)
}

/// What a row is read from, in the order of `read_row`.
macro_rules! select {
    ($table:literal, $place:literal) => {
        concat!(
            r#"SELECT "key", window_start, label, labels, window_end, count, mean, min, max, stddev, alarms, active, outliers,
               coalesce(partial, 0), mean_before, final, revision, generation, updated_at FROM "#,
            $table,
            r#" WHERE "view" = ?1 AND width = ?2 AND metric = ?3 AND tenant = ?4 AND "#,
            $place,
            r#" AND count IS NOT NULL AND (?6 IS NULL OR window_start >= ?6) AND (?7 IS NULL OR window_start < ?7)
               ORDER BY "key", window_start"#
        )
    };
}

pub fn select(connection: &Connection, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
    let sql = match query.key {
        Some(_) => select!("rows_by_key", r#""key" = ?5 AND ?8 IS NOT NULL"#),
        None => select!(
            "rows_by_time",
            "?5 IS NULL AND bucket >= ?8 AND bucket <= coalesce(substr(?7, 1, 10), '9999-12-31')"
        ),
    };
    let from = query.from_ms.map(bound_text).transpose()?;
    // A bucket is a day or the first of a month: either sorts as its rows do.
    let bucket = day_text(bucket_of(query.width, clamped_time(query.from_ms.unwrap_or(i64::MIN))))?;
    let width = query.width.to_string();
    let to = query.to_ms.filter(|to| *to < clamped_time(i64::MAX)).map(bound_text).transpose()?;
    let mut statement = connection.prepare_cached(sql)?;
    let mut found =
        statement.query(params![query.view, width, query.metric, query.tenant, query.key, from, to, bucket])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(read_row(query, row)?);
    }
    Ok(rows)
}

fn read_row(query: &RowQuery, row: &rusqlite::Row<'_>) -> Result<Row, StoreError> {
    let time = |column: usize| time_of(&row.get::<_, String>(column)?);
    Ok(Row {
        view: query.view.clone(),
        width: query.width.to_string(),
        metric: query.metric.clone(),
        tenant: query.tenant.clone(),
        key: row.get(0)?,
        start_ms: time(1)?,
        label: row.get(2)?,
        labels: labels_of(&row.get::<_, String>(3)?)?,
        end_ms: time(4)?,
        count: row.get(5)?,
        mean: row.get(6)?,
        min: row.get(7)?,
        max: row.get(8)?,
        stddev: row.get(9)?,
        alarms: row.get(10)?,
        active: row.get(11)?,
        outliers: row.get(12)?,
        partial: row.get(13)?,
        mean_before: row.get(14)?,
        is_final: row.get(15)?,
        revision: row.get(16)?,
        generation: row.get(17)?,
        updated_at_ms: time(18)?,
    })
}

fn labels_of(json: &str) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(json).map_err(|error| {
        StoreError::Refused(format!("the store holds the labels {json:?}: {error}; something else wrote them"))
    })
}
