//! Rows on their way into Cassandra: every write goes to both tables, with a timestamp of its own,
//! together with the others of the call that belong to the same partition.

use std::collections::BTreeMap;

use futures::future::try_join;
use scylla::SerializeRow;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlTimestamp, CqlValue};

use super::Cassandra;
use super::batches::{Piece, batches};
use super::rows::date;
use super::statements::RowStatements;
use crate::store::layout::{bucket_of, checked_time, generation_int, year_of};
use crate::store::{BeforeWrite, RowId, RowWrite, Slot, Stamp, StoreError};
use crate::window::Width;

const WRITING: &str = "writing rows";

/// What a write has beside its texts, and a label beside its own, in bytes: numbers, lengths, timestamps.
const CELL_BYTES: usize = 64;
const ROW_BYTES: usize = 192;
const LABEL_BYTES: usize = 8;

/// The two tables of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    ByTime,
    ByKey,
}

/// What names a partition: view, width, metric, tenant, and a day, or a key and a year.
type Partition<'a> = (&'a str, Width, &'a str, &'a str, Option<&'a str>, i64);

impl Table {
    /// The value of the column that the table has beside the other's.
    fn place(self, slot: &Slot) -> Result<CqlValue, StoreError> {
        Ok(match self {
            Table::ByTime => CqlValue::Date(date(bucket_of(slot.width, slot.start_ms))),
            Table::ByKey => CqlValue::Int(year_of(slot.start_ms)?),
        })
    }

    fn partition<'a>(self, slot: &'a Slot, metric: &'a str) -> Result<Partition<'a>, StoreError> {
        let (key, place) = match self {
            Table::ByTime => (None, bucket_of(slot.width, slot.start_ms)),
            Table::ByKey => (Some(&*slot.key), i64::from(year_of(slot.start_ms)?)),
        };
        Ok((&slot.view, slot.width, metric, &slot.tenant, key, place))
    }
}

/// A write of the values `V`, before it is known what it goes together with.
type Write<'a, V> = Piece<Partition<'a>, V>;

pub async fn rows(store: &Cassandra, rows: &[RowWrite]) -> Result<(), StoreError> {
    write(store, |of| &of.write, both(rows, whole_row)?).await
}

pub async fn before(store: &Cassandra, rows: &[BeforeWrite]) -> Result<(), StoreError> {
    let writes =
        both(rows, |table, row| cell(table, &row.slot, &row.metric, row.stamp, CqlValue::Double(row.mean_before)))?;
    write(store, |of| &of.before, writes).await
}

pub async fn mark_final(store: &Cassandra, rows: &[RowId], epoch: Stamp) -> Result<(), StoreError> {
    let writes = both(rows, |table, row| cell(table, &row.slot, &row.metric, epoch, CqlValue::Boolean(true)))?;
    write(store, |of| &of.mark_final, writes).await
}

/// The batches of `rows_by_time` and those of `rows_by_key`.
fn both<'a, R, V>(
    rows: &'a [R],
    write: impl Fn(Table, &'a R) -> Result<Write<'a, V>, StoreError>,
) -> Result<[Vec<Vec<V>>; 2], StoreError> {
    let of = |table| rows.iter().map(|row| write(table, row)).collect::<Result<_, _>>().map(batches);
    Ok([of(Table::ByTime)?, of(Table::ByKey)?])
}

async fn write<V: SerializeRow>(
    store: &Cassandra,
    statement: fn(&RowStatements) -> &PreparedStatement,
    [by_time, by_key]: [Vec<Vec<V>>; 2],
) -> Result<(), StoreError> {
    let statements = store.statements().await?;
    let by_time = send(store, statement(&statements.by_time), &by_time);
    let by_key = send(store, statement(&statements.by_key), &by_key);
    try_join(by_time, by_key).await.map(drop)
}

async fn send<V: SerializeRow>(
    store: &Cassandra,
    statement: &PreparedStatement,
    batches: &[Vec<V>],
) -> Result<(), StoreError> {
    // By index, since the compiler cannot yet prove a future `Send` that holds a closure over references.
    store.each((0..batches.len()).map(|at| store.execute_together(statement, &batches[at], WRITING))).await
}

/// The parameters of `RowStatements::write`, in its order.
#[derive(SerializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
struct WholeRow<'a> {
    view: &'a str,
    width: String,
    metric: &'a str,
    tenant: &'a str,
    key: &'a str,
    place: CqlValue,
    window_start: CqlTimestamp,
    label: &'a str,
    labels: &'a BTreeMap<String, String>,
    window_end: CqlTimestamp,
    count: i64,
    mean: f64,
    min: f64,
    max: f64,
    stddev: f64,
    alarms: i64,
    active: i64,
    outliers: i64,
    partial: bool,
    revision: i64,
    generation: i32,
    updated_at: CqlTimestamp,
    stamp: i64,
}

fn whole_row(table: Table, row: &RowWrite) -> Result<Write<'_, WholeRow<'_>>, StoreError> {
    let labels: usize = row.labels.iter().map(|(name, label)| name.len() + label.len() + LABEL_BYTES).sum();
    let values = WholeRow {
        view: &row.slot.view,
        width: row.slot.width.to_string(),
        metric: &row.metric,
        tenant: &row.slot.tenant,
        key: &row.slot.key,
        place: table.place(&row.slot)?,
        window_start: CqlTimestamp(checked_time(row.slot.start_ms)?),
        label: &row.label,
        labels: &row.labels,
        window_end: CqlTimestamp(checked_time(row.end_ms)?),
        count: row.count,
        mean: row.mean,
        min: row.min,
        max: row.max,
        stddev: row.stddev,
        alarms: row.alarms,
        active: row.active,
        outliers: row.outliers,
        partial: row.partial,
        revision: row.revision,
        generation: generation_int(row.slot.generation)?,
        updated_at: CqlTimestamp(row.updated_at_ms),
        stamp: row.stamp.0,
    };
    let bytes = ROW_BYTES + name_bytes(&row.slot, &row.metric) + row.label.len() + labels;
    Ok(Piece { partition: table.partition(&row.slot, &row.metric)?, bytes, values })
}

/// The parameters of `RowStatements::before` and `mark_final`, in their order.
#[derive(SerializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
struct Cell<'a> {
    stamp: i64,
    value: CqlValue,
    view: &'a str,
    width: String,
    metric: &'a str,
    tenant: &'a str,
    key: &'a str,
    place: CqlValue,
    window_start: CqlTimestamp,
}

fn cell<'a>(
    table: Table,
    slot: &'a Slot,
    metric: &'a str,
    stamp: Stamp,
    value: CqlValue,
) -> Result<Write<'a, Cell<'a>>, StoreError> {
    let values = Cell {
        stamp: stamp.0,
        value,
        view: &slot.view,
        width: slot.width.to_string(),
        metric,
        tenant: &slot.tenant,
        key: &slot.key,
        place: table.place(slot)?,
        window_start: CqlTimestamp(checked_time(slot.start_ms)?),
    };
    let bytes = CELL_BYTES + name_bytes(slot, metric);
    Ok(Piece { partition: table.partition(slot, metric)?, bytes, values })
}

/// Bytes of the texts that name a row.
fn name_bytes(slot: &Slot, metric: &str) -> usize {
    slot.view.len() + slot.tenant.len() + slot.key.len() + metric.len()
}
