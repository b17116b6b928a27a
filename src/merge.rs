//! 5 · Parts → row. Merging is commutative, so it matters to nobody which partition a reading came
//! through; a row's revision is the sum of its parts', so the merge that saw the most wins. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bytes::DecodeError;
use crate::part::Part;
use crate::reading::SourceId;
use crate::store::{BeforeWrite, RowId, RowWrite, Slot};
use crate::view::View;
use crate::window::{Aggregate, Width, exact};

/// How far back `mean_before` looks: the window three hours earlier.
pub const BEFORE_MS: i64 = 3 * 3_600_000;

/// All parts of a slot, merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    pub revision: u64,
    /// In the order of the view's metrics.
    pub aggregates: Vec<Aggregate>,
}

impl Merged {
    /// Merges the parts of one slot as the store holds them. No parts: revision 0.
    pub fn of(parts: &[(SourceId, Vec<u8>)], view: &View) -> Result<Merged, DecodeError> {
        let mut merged = Merged { revision: 0, aggregates: vec![Aggregate::default(); view.metrics.len()] };
        for (source, blob) in parts {
            let part = Part::decode(blob, &view.metrics)
                .map_err(|error| DecodeError::Content(format!("part of {source:?} is corrupted: {error}")))?;
            merged.revision += part.revision;
            merged.aggregates.iter_mut().zip(&part.aggregates).for_each(|(sum, one)| sum.merge(one));
        }
        Ok(merged)
    }

    fn held<'a>(&'a self, view: &'a View) -> impl Iterator<Item = (&'a Arc<str>, &'a Aggregate)> {
        view.metrics.iter().zip(&self.aggregates).filter(|(_, aggregate)| aggregate.count > 0)
    }

    /// One row per metric that has values.
    pub fn rows(&self, slot: &Slot, view: &View, updated_at_ms: i64) -> Vec<RowWrite> {
        let label = view.label(&slot.key);
        let row = |(metric, aggregate): (&Arc<str>, &Aggregate)| {
            let exponent = view.unit_exponent;
            RowWrite {
                slot: slot.clone(),
                metric: metric.clone(),
                label: label.clone(),
                labels: BTreeMap::new(),
                end_ms: slot.width.end_of(slot.start_ms),
                count: aggregate.count as i64,
                mean: exact::mean(aggregate.sum, aggregate.count, exponent),
                min: exact::to_f64(aggregate.min, exponent),
                max: exact::to_f64(aggregate.max, exponent),
                stddev: exact::standard_deviation(aggregate.sum, aggregate.squares, aggregate.count, exponent),
                alarms: aggregate.alarms as i64,
                active: aggregate.active as i64,
                outliers: aggregate.outliers as i64,
                revision: self.revision as i64,
                updated_at_ms,
                stamp: view.stamp(self.revision),
            }
        };
        self.held(view).map(row).collect()
    }

    /// The rows' names.
    pub fn row_ids(&self, slot: &Slot, view: &View) -> Vec<RowId> {
        self.held(view).map(|(metric, _)| RowId { slot: slot.clone(), metric: metric.clone() }).collect()
    }
}

/// The slots beside this one whose `mean_before` hangs on it: the one three hours earlier (whose
/// mean this one shows) and the one three hours later (which shows this one's). Hourly windows only.
pub fn neighbours(slot: &Slot) -> Option<(Slot, Slot)> {
    (slot.width == Width::HOUR).then(|| {
        let moved = |by_ms: i64| Slot { start_ms: slot.start_ms + by_ms, ..slot.clone() };
        (moved(-BEFORE_MS), moved(BEFORE_MS))
    })
}

/// The `mean_before` cells of `later`, from the merged parts of both; written by whoever merges
/// either, with the earlier window's revision. Nothing where either has no value of the metric.
pub fn before(earlier: &Merged, later: &Merged, later_slot: &Slot, view: &View) -> Vec<BeforeWrite> {
    let pairs = earlier.held(view).filter(|(metric, _)| later.held(view).any(|(other, _)| other == *metric));
    pairs
        .map(|(metric, aggregate)| BeforeWrite {
            slot: later_slot.clone(),
            metric: metric.clone(),
            mean_before: exact::mean(aggregate.sum, aggregate.count, view.unit_exponent),
            stamp: view.stamp(earlier.revision),
        })
        .collect()
}
