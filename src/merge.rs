//! 5 · Parts → row. Merging is commutative, so it matters to nobody which partition a reading came
//! through; a row's revision is the sum of its parts', so the merge that saw the most wins. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bytes::DecodeError;
use crate::part::Stored;
use crate::reading::SourceId;
use crate::store::{BeforeWrite, RowId, RowWrite, Slot};
use crate::view::View;
use crate::window::{Aggregate, Width, exact};

/// All parts of a slot, merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    pub revision: u64,
    /// Sorted by name; none without a value.
    pub aggregates: BTreeMap<Arc<str>, Aggregate>,
}

impl Merged {
    /// Merges the parts of one slot as the store holds them. No parts: revision 0.
    pub fn of(parts: &[(SourceId, Vec<u8>)], view: &View) -> Result<Merged, DecodeError> {
        let mut merged = Merged::default();
        for (source, blob) in parts {
            let part = Stored::decode(blob)
                .map_err(|error| DecodeError::Content(format!("part of {source:?} is corrupted: {error}")))?;
            merged.revision += part.revision;
            for (name, aggregate) in part.aggregates {
                merged.aggregates.entry(view.metric(&name)).or_default().merge(&aggregate);
            }
        }
        Ok(merged)
    }

    /// One row per metric that has values.
    pub fn rows(&self, slot: &Slot, view: &View, updated_at_ms: i64) -> Vec<RowWrite> {
        let (label, labels, end_ms) = (view.label(&slot.key), view.labels(&slot.key), view.end_of(slot));
        let row = |(metric, aggregate): (&Arc<str>, &Aggregate)| {
            let exponent = view.unit_exponent;
            RowWrite {
                slot: slot.clone(),
                metric: metric.clone(),
                label: label.clone(),
                labels: labels.clone(),
                end_ms,
                count: aggregate.count as i64,
                mean: exact::mean(aggregate.sum, aggregate.count, exponent),
                min: exact::to_f64(aggregate.min, exponent),
                max: exact::to_f64(aggregate.max, exponent),
                stddev: exact::standard_deviation(aggregate.sum, aggregate.squares, aggregate.count, exponent),
                alarms: aggregate.alarms as i64,
                active: aggregate.active as i64,
                outliers: aggregate.outliers as i64,
                partial: view.is_partial(slot.start_ms),
                revision: self.revision as i64,
                updated_at_ms,
                stamp: view.stamp(self.revision),
            }
        };
        self.aggregates.iter().map(row).collect()
    }

    /// The rows' names.
    pub fn row_ids(&self, slot: &Slot) -> Vec<RowId> {
        self.aggregates.keys().map(|metric| RowId { slot: slot.clone(), metric: metric.clone() }).collect()
    }
}

/// The slots beside this one whose `mean_before` hangs on it: the one that much earlier (whose
/// mean this one shows) and the one that much later (which shows this one's). Hourly windows only.
pub fn neighbours(slot: &Slot, view: &View) -> Option<(Slot, Slot)> {
    let before_ms = view.before_ms.filter(|_| slot.width == Width::HOUR)?;
    let moved = |by_ms: i64| Slot { start_ms: slot.start_ms + by_ms, ..slot.clone() };
    Some((moved(-before_ms), moved(before_ms)))
}

/// The `mean_before` cells of `later`, from the merged parts of both; written by whoever merges
/// either, with the earlier window's revision. Nothing where either has no value of the metric.
pub fn before(earlier: &Merged, later: &Merged, later_slot: &Slot, view: &View) -> Vec<BeforeWrite> {
    let pairs = earlier.aggregates.iter().filter(|(metric, _)| later.aggregates.contains_key(*metric));
    pairs
        .map(|(metric, aggregate)| BeforeWrite {
            slot: later_slot.clone(),
            metric: metric.clone(),
            mean_before: exact::mean(aggregate.sum, aggregate.count, view.unit_exponent),
            stamp: view.stamp(earlier.revision),
        })
        .collect()
}
