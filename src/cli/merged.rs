//! `etiage rows --merge`: the windows of a range added up, exactly, from the parts that their rows
//! were made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use etiage::part::Stored;
use etiage::store::{Row, RowQuery, Slot, Store};
use etiage::window::{Aggregate, exact};

/// Windows whose parts are read at a time.
const CHUNK: usize = 512;

/// One row for every key that has rows in the range.
pub async fn by_key(store: &dyn Store, query: &RowQuery, rows: &[Row], unit_exponent: i32) -> anyhow::Result<Vec<Row>> {
    let mut sums: BTreeMap<&str, (Aggregate, Row)> = BTreeMap::new();
    for rows in rows.chunks(CHUNK) {
        let slots: Vec<Slot> = rows.iter().map(|row| slot(query, row)).collect();
        for (row, parts) in rows.iter().zip(store.read_slots(&slots).await?) {
            let (sum, total) = sums.entry(&row.key).or_insert_with(|| (Aggregate::default(), nothing(row)));
            if parts.is_empty() && row.count > 0 {
                let (start, generation) = (super::rows::time(row.start_ms), row.generation);
                anyhow::bail!(
                    "the row of {} at {start} is of generation {generation}, whose parts `etiage gc` has removed: it cannot be added up any more; begin later",
                    row.key
                );
            }
            for (source, blob) in parts {
                let part = Stored::decode(&blob)
                    .map_err(|error| anyhow::anyhow!("the part of {source:?} in {} is corrupted: {error}", row.key))?;
                let ours = part.aggregates.iter().filter(|(metric, _)| **metric == *query.metric);
                ours.for_each(|(_, aggregate)| sum.merge(aggregate));
            }
            add(total, row);
        }
    }
    let filled = sums.into_values().filter(|(sum, _)| sum.count > 0);
    Ok(filled.map(|(sum, total)| fill(total, &sum, unit_exponent)).collect())
}

fn slot(query: &RowQuery, row: &Row) -> Slot {
    Slot {
        view: Arc::from(query.view.as_str()),
        generation: row.generation.unsigned_abs(),
        width: query.width,
        tenant: Arc::from(query.tenant.as_str()),
        key: Arc::from(row.key.as_str()),
        start_ms: row.start_ms,
    }
}

/// What the first row of a key says of all of them.
fn nothing(row: &Row) -> Row {
    Row { revision: 0, mean_before: None, is_final: true, ..row.clone() }
}

fn add(total: &mut Row, row: &Row) {
    total.start_ms = total.start_ms.min(row.start_ms);
    total.end_ms = total.end_ms.max(row.end_ms);
    total.partial |= row.partial;
    total.is_final &= row.is_final;
    total.revision += row.revision;
    total.generation = total.generation.max(row.generation);
    total.updated_at_ms = total.updated_at_ms.max(row.updated_at_ms);
}

fn fill(total: Row, sum: &Aggregate, unit_exponent: i32) -> Row {
    Row {
        count: sum.count as i64,
        mean: exact::mean(sum.sum, sum.count, unit_exponent),
        min: exact::to_f64(sum.min, unit_exponent),
        max: exact::to_f64(sum.max, unit_exponent),
        stddev: exact::standard_deviation(sum.sum, sum.squares, sum.count, unit_exponent),
        alarms: sum.alarms as i64,
        active: sum.active as i64,
        outliers: sum.outliers as i64,
        ..total
    }
}
