//! Rows in Cassandra: read from the table that suits the question. `writes` puts them into both.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::DeserializeRow;
use scylla::value::{CqlDate, CqlTimestamp};

use super::Cassandra;
use super::flight::tell;
use crate::store::layout::{TIMES_MS, bucket_of, buckets, clamped_time, year_of};
use crate::store::{Pieces, Row, RowId, RowQuery, Slot, Stamp, StoreError};
use crate::window::Width;

/// Partitions that a query names by itself; beyond, it asks the server which ones there are.
const NAMED_PARTITIONS: i64 = 400;

/// Day 0 of a CQL date.
const EPOCH_DATE: i64 = 1 << 31;

const READING: &str = "reading rows";
const REMOVING: &str = "removing rows";

pub fn date(day: i64) -> CqlDate {
    CqlDate(u32::try_from(day + EPOCH_DATE).unwrap_or(u32::MAX))
}

fn day_of_date(date: CqlDate) -> i64 {
    i64::from(date.0) - EPOCH_DATE
}

/// A partition of `rows_by_time`, and one of `rows_by_key`.
type TimePartition = (String, String, String, String, CqlDate);
type KeyPartition = (String, String, String, String, String, i32);

/// Partitions listed at a time: bounds the memory, as one piece of each may be under way.
const LISTED_AT_ONCE: usize = 8;

/// Tells the rows whose window starts in a range, whether they have a count or not.
pub async fn list(
    store: &Cassandra,
    (view, generation, width): (&str, u32, Width),
    (from_ms, before_ms): (Option<i64>, i64),
    pieces: Pieces,
) -> Result<(), StoreError> {
    let starts = range(from_ms, Some(before_ms));
    if starts.is_empty() {
        return Ok(());
    }
    let (days, width_text, view) = (within(width, &starts), width.to_string(), Arc::<str>::from(view));
    let mut partitions: Vec<TimePartition> =
        store.pages(&store.statements().await?.by_time.partitions, (), READING).await?;
    partitions.retain(|(of, wide, _, _, bucket)| {
        **of == *view && *wide == width_text && days.contains(&day_of_date(*bucket))
    });
    let listed = partitions.into_iter().map(|(_, _, metric, tenant, bucket)| {
        let slot = Slot {
            view: Arc::clone(&view),
            generation,
            width,
            tenant: tenant.into(),
            key: "".into(),
            start_ms: starts.start,
        };
        list_partition(store, RowId { slot, metric: metric.into() }, bucket, starts.clone(), pieces.clone())
    });
    stream::iter(listed).buffer_unordered(LISTED_AT_ONCE).try_collect().await
}

/// `of` says all of the rows but their keys and starts.
async fn list_partition(
    store: &Cassandra,
    of: RowId,
    bucket: CqlDate,
    starts: Range<i64>,
    pieces: Pieces,
) -> Result<(), StoreError> {
    let Slot { view, width, tenant, .. } = &of.slot;
    let (from, below) = (CqlTimestamp(starts.start), CqlTimestamp(starts.end));
    let values = (&**view, width.to_string(), &*of.metric, &**tenant, bucket, from, below);
    let statement = &store.statements().await?.list_rows;
    let found = store.stream::<(CqlTimestamp, String), _>(statement, values, READING).await?;
    let named = |(CqlTimestamp(start_ms), key): (CqlTimestamp, String)| {
        let slot = Slot { key: key.into(), start_ms, ..of.slot.clone() };
        RowId { slot, metric: Arc::clone(&of.metric) }
    };
    tell(found.map_ok(named), pieces).await
}

/// Removes what was written of a view's rows at or below a stamp, by a tombstone a partition.
pub async fn remove(store: &Cassandra, view: &str, up_to: Stamp, after_ms: Option<i64>) -> Result<(), StoreError> {
    let from = CqlTimestamp(clamped_time(after_ms.map_or(i64::MIN, |after_ms| after_ms.saturating_add(1))));
    let statements = store.statements().await?;
    let mut days: Vec<TimePartition> = store.pages(&statements.by_time.partitions, (), READING).await?;
    days.retain(|known| known.0 == view);
    let mut years: Vec<KeyPartition> = store.pages(&statements.by_key.partitions, (), READING).await?;
    years.retain(|known| known.0 == view);
    let by_time = async |at: usize| {
        let (view, width, metric, tenant, bucket) = &days[at];
        let values = (up_to.0, view, width, metric, tenant, bucket, from);
        store.execute(&statements.by_time.remove, values, REMOVING).await.map(drop)
    };
    let by_key = async |at: usize| {
        let (view, width, metric, tenant, key, year) = &years[at];
        let values = (up_to.0, view, width, metric, tenant, key, year, from);
        store.execute(&statements.by_key.remove, values, REMOVING).await.map(drop)
    };
    store.each((0..days.len()).map(by_time)).await?;
    store.each((0..years.len()).map(by_key)).await
}

/// Window starts as a half-open range that the tables can hold.
fn range(from_ms: Option<i64>, to_ms: Option<i64>) -> Range<i64> {
    let past = TIMES_MS.end() + 1;
    clamped_time(from_ms.unwrap_or(i64::MIN))..to_ms.unwrap_or(past).clamp(*TIMES_MS.start(), past)
}

/// The buckets that a range of window starts can touch: days since the epoch, first and last included.
fn within(width: Width, starts: &Range<i64>) -> RangeInclusive<i64> {
    bucket_of(width, starts.start)..=bucket_of(width, starts.end - 1)
}

/// A row with a count, as it is read.
#[derive(DeserializeRow)]
struct Found {
    key: String,
    window_start: CqlTimestamp,
    label: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    window_end: Option<CqlTimestamp>,
    count: Option<i64>,
    mean: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    stddev: Option<f64>,
    alarms: Option<i64>,
    active: Option<i64>,
    outliers: Option<i64>,
    partial: Option<bool>,
    mean_before: Option<f64>,
    #[scylla(rename = "final")]
    is_final: Option<bool>,
    revision: Option<i64>,
    generation: Option<i32>,
    updated_at: Option<CqlTimestamp>,
}

impl Found {
    /// The row, unless it has no count yet. The other cells come in the same statement.
    fn row(self, query: &RowQuery) -> Option<Row> {
        Some(Row {
            view: query.view.clone(),
            width: query.width.to_string(),
            metric: query.metric.clone(),
            tenant: query.tenant.clone(),
            key: self.key,
            start_ms: self.window_start.0,
            end_ms: self.window_end?.0,
            label: self.label?,
            labels: self.labels.unwrap_or_default(),
            count: self.count?,
            mean: self.mean?,
            min: self.min?,
            max: self.max?,
            stddev: self.stddev?,
            alarms: self.alarms?,
            active: self.active?,
            outliers: self.outliers?,
            // (Empty in rows of before the column was there.)
            partial: self.partial == Some(true),
            mean_before: self.mean_before,
            is_final: self.is_final == Some(true),
            revision: self.revision?,
            generation: self.generation?,
            updated_at_ms: self.updated_at?.0,
        })
    }
}

pub async fn select(store: &Cassandra, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
    let starts = range(query.from_ms, query.to_ms);
    if starts.is_empty() {
        return Ok(Vec::new());
    }
    let found = match &query.key {
        Some(key) => select_by_key(store, query, key, &starts).await?,
        None => select_by_time(store, query, &starts).await?,
    };
    let mut rows: Vec<Row> = found.into_iter().flatten().filter_map(|found| found.row(query)).collect();
    rows.sort_by(|left, right| (&left.key, left.start_ms).cmp(&(&right.key, right.start_ms)));
    Ok(rows)
}

async fn select_by_time(
    store: &Cassandra,
    query: &RowQuery,
    starts: &Range<i64>,
) -> Result<Vec<Vec<Found>>, StoreError> {
    let statements = &store.statements().await?.by_time;
    let width = query.width.to_string();
    let mut days: Vec<i64> = buckets(query.width, starts).take(NAMED_PARTITIONS as usize + 1).collect();
    if days.len() as i64 > NAMED_PARTITIONS {
        let known: Vec<TimePartition> = store.pages(&statements.partitions, (), READING).await?;
        let ours = |(view, wide, metric, tenant, _): &TimePartition| {
            (view, wide, metric, tenant) == (&query.view, &width, &query.metric, &query.tenant)
        };
        let within = within(query.width, starts);
        days = known
            .iter()
            .filter(|known| ours(known))
            .map(|known| day_of_date(known.4))
            .filter(|day| within.contains(day))
            .collect();
    }
    let read = async |day: i64| {
        let RowQuery { view, metric, tenant, .. } = query;
        let values = (view, &width, metric, tenant, date(day), CqlTimestamp(starts.start), CqlTimestamp(starts.end));
        store.pages(&statements.select, values, READING).await
    };
    store.all(days.into_iter().map(read)).await
}

async fn select_by_key(
    store: &Cassandra,
    query: &RowQuery,
    key: &String,
    starts: &Range<i64>,
) -> Result<Vec<Vec<Found>>, StoreError> {
    let statements = &store.statements().await?.by_key;
    let width = query.width.to_string();
    let within = year_of(starts.start)?..=year_of(starts.end - 1)?;
    let mut years: Vec<i32> = within.clone().collect();
    if years.len() as i64 > NAMED_PARTITIONS {
        let known: Vec<KeyPartition> = store.pages(&statements.partitions, (), READING).await?;
        let ours = |(view, wide, metric, tenant, of, _): &KeyPartition| {
            (view, wide, metric, tenant, of) == (&query.view, &width, &query.metric, &query.tenant, key)
        };
        years = known
            .iter()
            .filter(|known| ours(known))
            .map(|known| known.5)
            .filter(|year| within.contains(year))
            .collect();
    }
    let read = async |year: i32| {
        let RowQuery { view, metric, tenant, .. } = query;
        let values = (view, &width, metric, tenant, key, year, CqlTimestamp(starts.start), CqlTimestamp(starts.end));
        store.pages(&statements.select, values, READING).await
    };
    store.all(years.into_iter().map(read)).await
}
