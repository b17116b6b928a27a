//! One flush of this instance, in the order of durability (invariant I4): parts → rows, by merges
//! whose reads are issued after the parts' acknowledgement → positions. All partitions share it, so that a slot that
//! several of them touched is merged once. An error leaves the outcome unknown, and all of it is done again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join_all;

use crate::commit::Commit;
use crate::durability::WriteTimes;
use crate::merge::{self, Merged};
use crate::partition::At;
use crate::reading::TopicPartition;
use crate::store::{BeforeWrite, PartWrite, PositionKind, RowId, RowQuery, RowWrite, Slot, StoreError, StoredPosition};
use crate::view::View;

use super::{RunError, World};

/// Slots merged at a time, and bytes of their parts: bounds the memory of a merge. (A metric takes a
/// few tens of bytes in a part, and a row of its own beside it.)
const MERGE_SLOTS: usize = 512;
const MERGE_BYTES: usize = 256 << 10;

/// Rows of earlier generations asked for at a time: one after the other they would hold up every flush.
const FROZEN_AT_ONCE: usize = 64;

/// How many of these slots are merged in one go, one at least.
fn bite(slots: &[(&Slot, usize)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, size): &&(&Slot, usize)| {
        bytes += size;
        bytes <= MERGE_BYTES
    };
    slots.iter().take(MERGE_SLOTS).take_while(fits).count().max(1)
}

/// One partition's share of a flush.
pub struct Share {
    pub partition: TopicPartition,
    pub ownership: u64,
    pub parts: Vec<At>,
}

/// A flush that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    pub times: WriteTimes,
    pub parts: u64,
    /// With the `mean_before` of the windows after them, each a write of its own.
    pub rows: u64,
}

/// What a flush writes.
#[derive(Default)]
pub struct Work {
    pub shares: Vec<Share>,
    pub parts: Vec<PartWrite>,
    pub positions: Vec<(PositionKind, Commit)>,
    /// Spills are written as later than this, wall clock ms, whatever our clock says.
    pub spills_after_ms: Option<i64>,
}

impl Work {
    /// What one partition writes.
    pub fn add(&mut self, partition: &TopicPartition, ownership: u64, writes: Vec<(At, PartWrite)>) {
        let (mut places, parts): (Vec<_>, Vec<_>) = writes.into_iter().unzip();
        self.parts.extend(parts);
        match self.shares.iter_mut().find(|share| share.partition == *partition) {
            Some(share) => share.parts.append(&mut places),
            None => self.shares.push(Share { partition: partition.clone(), ownership, parts: places }),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.positions.is_empty()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("slot {slot:?}: {error}")]
    Corrupt { slot: Slot, error: crate::bytes::DecodeError },
}

impl CycleError {
    /// Trying again is useless.
    pub fn is_fatal(&self) -> bool {
        match self {
            CycleError::Store(error) => matches!(error, StoreError::Refused(_)),
            CycleError::Corrupt { .. } => true,
        }
    }
}

impl World {
    /// Writes all of it and waits for the acknowledgements.
    pub async fn flush(&self, work: &Work) -> Result<Written, RunError> {
        let issued = self.clock.now();
        self.timed("write_parts", self.store.write_parts(&work.parts)).await?;
        let rows = self.publish(&work.parts).await?;
        self.store_positions(work).await?;
        let acked = self.clock.now();
        tracing::debug!(parts = work.parts.len(), rows, store_ms = acked - issued, "flushed");
        Ok(Written { times: WriteTimes { issued, acked }, parts: work.parts.len() as u64, rows })
    }

    /// Merges every slot that was written, once: how many rows were written.
    async fn publish(&self, parts: &[PartWrite]) -> Result<u64, CycleError> {
        // A generation that has not been promoted has parts only.
        if self.settings.replaying {
            return Ok(0);
        }
        let mut slots: BTreeMap<&Slot, usize> = BTreeMap::new();
        for part in parts {
            *slots.entry(&part.slot).or_default() += part.state.len();
        }
        let slots: Vec<(&Slot, usize)> = slots.into_iter().collect();
        let (mut rest, mut rows) = (slots.as_slice(), 0);
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(bite(rest));
            rows += self.publish_chunk(&chunk.iter().map(|(slot, _)| *slot).collect::<Vec<_>>()).await?;
            rest = after;
        }
        Ok(rows)
    }

    /// How many rows were written.
    pub(super) async fn publish_chunk(&self, slots: &[&Slot]) -> Result<u64, CycleError> {
        let merged = self.merge(slots).await?;
        let mut rows: Vec<RowWrite> = Vec::new();
        let mut before: Vec<BeforeWrite> = Vec::new();
        let mut frozen: Vec<(RowId, Slot)> = Vec::new();
        let mut written: Vec<RowId> = Vec::new();
        let updated_at_ms = self.clock.wall_ms();
        for slot in slots {
            let view = self.view(slot);
            let here = &merged[*slot];
            rows.extend(here.rows(slot, view, updated_at_ms));
            written.extend(here.row_ids(slot));
            if let Some((earlier, later)) = merge::neighbours(slot, view) {
                match view.is_before_history(earlier.start_ms) {
                    true => frozen.extend(here.row_ids(slot).into_iter().map(|row| (row, earlier.clone()))),
                    false => before.extend(merge::before(&merged[&earlier], here, slot, view)),
                }
                before.extend(merge::before(here, &merged[&later], &later, view));
            }
        }
        before.extend(self.frozen_before(&frozen).await?);
        self.timed("write_rows", self.store.write_rows(&rows)).await?;
        self.timed("write_before", self.store.write_before(&before)).await?;
        self.mark_closed(written).await?;
        Ok((rows.len() + before.len()) as u64)
    }

    /// Reads the parts of the slots and of their neighbours, and merges each.
    async fn merge(&self, slots: &[&Slot]) -> Result<BTreeMap<Slot, Merged>, CycleError> {
        let mut wanted: BTreeSet<Slot> = slots.iter().map(|slot| (*slot).clone()).collect();
        wanted
            .extend(slots.iter().filter_map(|slot| merge::neighbours(slot, self.view(slot))).flat_map(|(a, b)| [a, b]));
        let wanted: Vec<Slot> = wanted.into_iter().collect();
        let found = self.timed("read_slots", self.store.read_slots(&wanted)).await?;
        let mut merged = BTreeMap::new();
        for (slot, parts) in wanted.into_iter().zip(found) {
            match Merged::of(&parts, self.view(&slot)) {
                Ok(one) => merged.insert(slot, one),
                Err(error) => return Err(CycleError::Corrupt { slot, error }),
            };
        }
        Ok(merged)
    }

    /// The `mean_before` cells of these rows, where the earlier window is left as earlier generations made it: its rows
    /// never change any more.
    async fn frozen_before(&self, frozen: &[(RowId, Slot)]) -> Result<Vec<BeforeWrite>, CycleError> {
        let mut before = Vec::new();
        for chunk in frozen.chunks(FROZEN_AT_ONCE) {
            let asked: Vec<_> = chunk.iter().map(|(later, earlier)| self.frozen_mean(later, earlier)).collect();
            before.extend(try_join_all(asked).await?.into_iter().flatten());
        }
        Ok(before)
    }

    async fn frozen_mean(&self, later: &RowId, earlier: &Slot) -> Result<Option<BeforeWrite>, CycleError> {
        let query = RowQuery {
            view: earlier.view.to_string(),
            width: earlier.width,
            metric: later.metric.to_string(),
            tenant: earlier.tenant.to_string(),
            key: Some(earlier.key.to_string()),
            from_ms: Some(earlier.start_ms),
            to_ms: Some(earlier.start_ms + 1),
        };
        let rows = self.timed("rows", self.store.rows(&query)).await?;
        Ok(rows.first().map(|row| BeforeWrite {
            slot: later.slot.clone(),
            metric: later.metric.clone(),
            mean_before: row.mean,
            stamp: self.view(&later.slot).stamp(0),
        }))
    }

    /// A row that is written below the closing cursor is marked final by whoever wrote it: the
    /// cursor is read after the row's acknowledgement, so a sweep that misses the row is seen here.
    async fn mark_closed(&self, written: Vec<RowId>) -> Result<(), CycleError> {
        let mut by_view: BTreeMap<(Arc<str>, crate::window::Width), Vec<RowId>> = BTreeMap::new();
        for row in written {
            by_view.entry((row.slot.view.clone(), row.slot.width)).or_default().push(row);
        }
        for ((_, width), mut rows) in by_view {
            let view = self.view(&rows[0].slot);
            let closing = self.store.closing(&view.name, view.generation, width).await?;
            let Some(cursor_ms) = closing.cursor_ms else { continue };
            rows.retain(|row| view.end_of(&row.slot) <= cursor_ms);
            self.timed("mark_final", self.store.mark_final(&rows, view.stamp(0))).await?;
        }
        Ok(())
    }

    /// Whoever lacks a live view writes none: it would lie over what others rely on, and not say where that view stands.
    async fn store_positions(&self, work: &Work) -> Result<(), RunError> {
        if work.positions.is_empty() {
            return Ok(());
        }
        self.bindings_hold(&self.store.generations().await?)?;
        let wall_ms = self.clock.wall_ms();
        let later_ms = work.spills_after_ms.map_or(wall_ms, |after_ms| wall_ms.max(after_ms.saturating_add(1)));
        let stored = |(kind, commit): &(PositionKind, Commit)| StoredPosition {
            group: self.source.group().to_owned(),
            source: commit.source,
            kind: *kind,
            offset: commit.position,
            metadata: commit.encode(),
            written_at_ms: if *kind == PositionKind::Spill { later_ms } else { wall_ms },
        };
        let positions: Vec<StoredPosition> = work.positions.iter().map(stored).collect();
        Ok(self.timed("write_positions", self.store.write_positions(&positions)).await?)
    }

    /// The view of a slot: slots come from views, so it is there.
    fn view(&self, slot: &Slot) -> &View {
        let found = self.views.iter().find(|view| view.name == slot.view);
        found.expect("a slot is made by a view of this instance")
    }
}
