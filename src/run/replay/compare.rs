//! The rows that serve against what the parts of another generation would make of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::decode::RANGE_MS;
use crate::merge::Merged;
use crate::replay::difference::Differences;
use crate::run::cycle::CycleError;
use crate::store::{Pieces, RowId, RowQuery, RowWrite, Slot, Store, StoreError};
use crate::view::View;
use crate::window::Width;

/// Slots read at a time.
const CHUNK: usize = 512;

/// What belongs to one key in one width: the metrics that have rows, and the starts of the windows that have parts.
#[derive(Default)]
struct Series {
    metrics: BTreeSet<Arc<str>>,
    starts: Vec<i64>,
}

/// (width, tenant, key). All that a view has are in memory, with the starts of their windows.
type All = BTreeMap<(Width, Arc<str>, Arc<str>), Series>;

/// Compares a view's rows with those that its parts make in the generation of `view`.
pub async fn differences(store: &dyn Store, view: &View) -> Result<Differences, CycleError> {
    let mut differences = Differences::default();
    for ((width, tenant, key), series) in names(store, view).await? {
        let mut before = Vec::new();
        for metric in &series.metrics {
            let query = RowQuery {
                view: view.name.to_string(),
                width,
                metric: metric.to_string(),
                tenant: tenant.to_string(),
                key: Some(key.to_string()),
                from_ms: None,
                to_ms: None,
            };
            before.extend(store.rows(&query).await?);
        }
        let all = before.len();
        before.retain(|row| !view.is_before_history(row.start_ms));
        differences.left += (all - before.len()) as u64;
        let slot = |start_ms: &i64| Slot {
            view: view.name.clone(),
            generation: view.generation,
            width,
            tenant: tenant.clone(),
            key: key.clone(),
            start_ms: *start_ms,
        };
        let slots: Vec<Slot> = series.starts.iter().map(slot).collect();
        differences.compare(&before, &merged(store, view, &slots).await?);
    }
    Ok(differences)
}

async fn merged(store: &dyn Store, view: &View, slots: &[Slot]) -> Result<Vec<RowWrite>, CycleError> {
    let mut rows = Vec::new();
    for slots in slots.chunks(CHUNK) {
        for (slot, parts) in slots.iter().zip(store.read_slots(slots).await?) {
            let merged = Merged::of(&parts, view).map_err(|error| CycleError::Corrupt { slot: slot.clone(), error })?;
            rows.extend(merged.rows(slot, view, 0));
        }
    }
    Ok(rows)
}

async fn names(store: &dyn Store, view: &View) -> Result<All, StoreError> {
    let mut all = All::new();
    let (send, mut pieces) = mpsc::channel::<Vec<Slot>>(1);
    let take = async {
        while let Some(slots) = pieces.recv().await {
            for slot in slots {
                all.entry((slot.width, slot.tenant, slot.key)).or_default().starts.push(slot.start_ms);
            }
        }
        Ok(())
    };
    tokio::try_join!(store.list_slots(&view.name, view.generation, send), take)?;
    for width in &view.widths {
        let (send, mut pieces): (Pieces, _) = mpsc::channel::<Vec<RowId>>(1);
        let take = async {
            while let Some(rows) = pieces.recv().await {
                for RowId { slot, metric } in rows {
                    all.entry((slot.width, slot.tenant, slot.key)).or_default().metrics.insert(metric);
                }
            }
            Ok(())
        };
        let beyond_ms = *RANGE_MS.end() + 1;
        tokio::try_join!(store.list_rows(&view.name, view.generation, *width, None, beyond_ms, send), take)?;
    }
    Ok(all)
}
