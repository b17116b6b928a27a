//! The doors of one instance to this world, and its store behind them. Whoever has crashed gets no
//! answer any more, and nothing of it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use etiage::heartbeat::Heartbeat;
use etiage::reading::{Offset, SourceId};
use etiage::store::{
    BeforeWrite, Closing, GenerationChange, GenerationRecord, MigrationStep, PartWrite, Pieces, PositionKind, Row,
    RowId, RowQuery, RowWrite, Slot, SlotPieces, Stamp, Store, StoreError, StoredPosition,
};
use etiage::window::Width;

use crate::cells::{ALL_CELLS, ClosingKey, Replica, RowCells, TABLES, Write};
use crate::world::{State, World};

/// The group that serves.
pub const GROUP: &str = "group";
/// How long anybody waits for an answer, ms.
const PATIENCE_MS: u64 = 60;

pub struct Doors {
    pub world: Arc<World>,
    pub id: u64,
    /// The consumer group.
    pub group: String,
}

enum Gate {
    Open,
    Wait(u64),
    Dead,
}

impl Doors {
    /// Those of a member of the group that serves.
    pub fn new(world: &Arc<World>, id: u64) -> Doors {
        Doors { world: world.clone(), id, group: GROUP.to_owned() }
    }

    /// Whoever is dead waits here for ever, whoever stands still until it goes on.
    pub async fn gate(&self) {
        loop {
            let gate = {
                let state = self.world.lock();
                match state.members.get(&self.id) {
                    Some(member) if member.alive && member.paused_until <= state.now() => Gate::Open,
                    Some(member) if member.alive => Gate::Wait(member.paused_until - state.now()),
                    _ => Gate::Dead,
                }
            };
            match gate {
                Gate::Open => return,
                Gate::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Gate::Dead => std::future::pending().await,
            }
        }
    }

    pub async fn sleep(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.gate().await;
    }

    pub fn way(&self) -> u64 {
        let mut state = self.world.lock();
        let longest = state.weather.delay_ms as usize;
        1 + state.random.below(longest) as u64
    }

    pub fn fails(&self) -> bool {
        let mut state = self.world.lock();
        let fail = state.weather.fail;
        state.random.chance(fail) || state.outage_until > state.now()
    }

    /// Sends statements, and waits until each is acknowledged by a quorum.
    async fn write(&self, prepare: impl FnOnce(&mut State) -> Vec<Write>) -> Result<(), StoreError> {
        self.gate().await;
        let (until, heard) = {
            let mut state = self.world.lock();
            let writes = prepare(&mut state);
            let now = state.now();
            if state.outage_until > now {
                (now + PATIENCE_MS, false)
            } else {
                let acks: Vec<Option<u64>> = writes.into_iter().map(|write| state.send(write)).collect();
                let last = acks.iter().flatten().max().copied().unwrap_or(now);
                let all = acks.iter().all(Option::is_some) && last < now + PATIENCE_MS;
                (if all { last } else { now + PATIENCE_MS }, all)
            }
        };
        self.sleep(until - self.world.now()).await;
        self.world.lock().advance();
        match heard && !self.fails() {
            true => Ok(()),
            false => Err(StoreError::Unavailable("time-out".to_owned())),
        }
    }

    /// Asks two replicas, one some time after the other.
    async fn read<T>(&self, read: impl Fn(&State, &Replica) -> T) -> Result<[T; 2], StoreError> {
        self.gate().await;
        let [first, second] = self.world.lock().quorum();
        let one = self.ask(first, &read).await;
        let two = self.ask(second, &read).await;
        match self.fails() {
            false => Ok([one, two]),
            true => {
                self.sleep(PATIENCE_MS / 2).await;
                Err(StoreError::Unavailable("no quorum".to_owned()))
            }
        }
    }

    async fn ask<T>(&self, replica: usize, read: impl Fn(&State, &Replica) -> T) -> T {
        self.sleep(self.way()).await;
        let mut state = self.world.lock();
        state.advance();
        read(&state, &state.replicas[replica])
    }
}

fn newest(one: Option<(i64, Arc<[u8]>)>, other: Option<(i64, Arc<[u8]>)>) -> Option<(i64, Arc<[u8]>)> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if one.0 >= other.0 { one } else { other }),
        (one, other) => one.or(other),
    }
}

fn closing_key(view: &str, generation: u32, width: Width) -> ClosingKey {
    (Arc::from(view), generation, width.code())
}

type Blob = Option<(i64, Arc<[u8]>)>;

#[async_trait]
impl Store for Doors {
    async fn migrate(&self, _: bool) -> Result<Vec<MigrationStep>, StoreError> {
        Ok(Vec::new())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn write_parts(&self, parts: &[PartWrite]) -> Result<(), StoreError> {
        let (mut written, mut cuts) = (Vec::new(), 0);
        let outcome = self
            .write(|state| {
                let mut writes = Vec::with_capacity(parts.len());
                cuts = state.cuts;
                for part in parts {
                    state.check_part(part);
                    let source = state.source(part.source).unwrap_or_default() as u8;
                    let slot = state.names.slot(&part.slot);
                    written.push((slot, source, part.stamp.0));
                    writes.push(Write::Part { slot, source, stamp: part.stamp.0, blob: part.state.as_slice().into() });
                }
                writes
            })
            .await;
        if outcome.is_ok() {
            let mut state = self.world.lock();
            let written = if state.cuts == cuts { written } else { Vec::new() };
            for (slot, source, stamp) in written {
                let known = state.acked.entry((slot, source)).or_insert(stamp);
                *known = stamp.max(*known);
            }
        }
        outcome
    }

    async fn read_own_parts(&self, source: SourceId, slots: &[Slot]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let (numbers, source) = {
            let mut state = self.world.lock();
            let numbers: Vec<u32> = slots.iter().map(|slot| state.names.slot(slot)).collect();
            (numbers, state.source(source).unwrap_or_default() as u8)
        };
        let acked: Vec<i64> = {
            let state = self.world.lock();
            numbers.iter().map(|slot| state.acked.get(&(*slot, source)).copied().unwrap_or(0)).collect()
        };
        let [one, two] = self
            .read(|_, replica| numbers.iter().map(|slot| replica.part(*slot, source)).collect::<Vec<Blob>>())
            .await?;
        let found: Vec<Blob> = one.into_iter().zip(two).map(|(one, two)| newest(one, two)).collect();
        let mut state = self.world.lock();
        for ((blob, slot), acked) in found.iter().zip(&numbers).zip(acked) {
            state.check_revision_stays(*slot, source, blob.as_ref().map_or(0, |(stamp, _)| *stamp), acked);
        }
        Ok(found.into_iter().map(|blob| blob.map(|(_, blob)| blob.to_vec())).collect())
    }

    async fn read_slots(&self, slots: &[Slot]) -> Result<Vec<Vec<(SourceId, Vec<u8>)>>, StoreError> {
        let numbers: Vec<u32> = {
            let mut state = self.world.lock();
            slots.iter().map(|slot| state.names.slot(slot)).collect()
        };
        let all = |state: &State, replica: &Replica| {
            let of = |slot: &u32| {
                (0..state.sources.len()).map(|source| replica.part(*slot, source as u8)).collect::<Vec<Blob>>()
            };
            numbers.iter().map(of).collect::<Vec<Vec<Blob>>>()
        };
        let [one, two] = self.read(all).await?;
        let mut state = self.world.lock();
        let mut joined = Vec::with_capacity(slots.len());
        for ((one, two), slot) in one.into_iter().zip(two).zip(numbers) {
            let blobs: Vec<Blob> = one.into_iter().zip(two).map(|(one, two)| newest(one, two)).collect();
            let stamps = blobs.iter().enumerate().filter_map(|(source, blob)| Some((source as u8, blob.as_ref()?.0)));
            state.reads.insert(slot, stamps.collect());
            let found = state.sources.iter().zip(blobs).filter_map(|(source, blob)| Some((*source, blob?.1.to_vec())));
            joined.push(found.collect());
        }
        Ok(joined)
    }

    async fn write_rows(&self, rows: &[RowWrite]) -> Result<(), StoreError> {
        self.write(|state| {
            let mut writes = Vec::with_capacity(rows.len() * TABLES);
            for row in rows {
                let place = (state.names.row(&row.slot), state.names.metric(&row.metric));
                state.check_row(row, place);
                let (stamp, cells) = (row.stamp.0, Arc::new(RowCells::of(row)));
                let write = |table| Write::Row { table, place, stamp, mask: ALL_CELLS, cells: cells.clone() };
                writes.extend((0..TABLES).map(write));
            }
            writes
        })
        .await
    }

    async fn write_before(&self, rows: &[BeforeWrite]) -> Result<(), StoreError> {
        self.write(|state| {
            let mut writes = Vec::with_capacity(rows.len() * TABLES);
            for row in rows {
                state.check_before(row);
                let place = (state.names.row(&row.slot), state.names.metric(&row.metric));
                let write = |table| Write::Before { table, place, stamp: row.stamp.0, mean: row.mean_before };
                writes.extend((0..TABLES).map(write));
            }
            writes
        })
        .await
    }

    async fn mark_final(&self, rows: &[RowId], epoch: Stamp) -> Result<(), StoreError> {
        self.write(|state| {
            let mut writes = Vec::with_capacity(rows.len() * TABLES);
            for row in rows {
                state.check_final(row);
                let place = (state.names.row(&row.slot), state.names.metric(&row.metric));
                writes.extend((0..TABLES).map(|table| Write::Final { table, place, stamp: epoch.0 }));
            }
            writes
        })
        .await
    }

    async fn list_rows(
        &self,
        view: &str,
        generation: u32,
        width: Width,
        from_ms: Option<i64>,
        before_ms: i64,
        pieces: Pieces,
    ) -> Result<(), StoreError> {
        let list = |state: &State, replica: &Replica| {
            let inside = |slot: &Slot| {
                *slot.view == *view
                    && slot.width == width
                    && from_ms.is_none_or(|from_ms| slot.start_ms >= from_ms)
                    && slot.start_ms < before_ms
            };
            replica.places(0).filter(|(slot, _)| inside(state.names.slot_of(*slot))).collect::<Vec<_>>()
        };
        let [one, two] = self.read(list).await?;
        let all: BTreeSet<(u32, u32)> = one.into_iter().chain(two).collect();
        let rows: Vec<RowId> = {
            let state = self.world.lock();
            let row = |(slot, metric): (u32, u32)| RowId {
                slot: Slot { generation, ..state.names.slot_of(slot).clone() },
                metric: state.names.metric_of(metric).clone(),
            };
            all.into_iter().map(row).collect()
        };
        for piece in rows.chunks(7) {
            if pieces.send(piece.to_vec()).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn rows(&self, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        let of = |state: &State, replica: &Replica| state.rows_of(replica, query);
        let [mut rows, other] = self.read(of).await?;
        for (place, row) in other {
            rows.entry(place).or_default().join(&row);
        }
        let state = self.world.lock();
        Ok(rows.into_iter().filter_map(|(place, row)| state.as_read(place, &row)).collect())
    }

    async fn generations(&self) -> Result<Vec<GenerationRecord>, StoreError> {
        self.gate().await;
        self.sleep(self.way()).await;
        match self.fails() {
            true => Err(StoreError::Unavailable("no quorum".to_owned())),
            false => Ok(self.world.lock().generations.clone()),
        }
    }

    async fn create_generation(&self, record: &GenerationRecord) -> Result<bool, StoreError> {
        self.gate().await;
        self.sleep(self.way()).await;
        let made = {
            let mut state = self.world.lock();
            let there = state
                .generations
                .iter()
                .any(|known| known.view == record.view && known.generation == record.generation);
            if !there {
                state.tell(|| format!("{} makes generation {} of {}", self.id, record.generation, record.view));
                state.add_generation(self.id, record.clone());
            }
            !there
        };
        self.sleep(self.way()).await;
        match self.fails() {
            true => Err(StoreError::Unavailable("outcome unknown".to_owned())),
            false => Ok(made),
        }
    }

    async fn change_generations(&self, changes: &[GenerationChange]) -> Result<bool, StoreError> {
        self.gate().await;
        self.sleep(self.way()).await;
        let changed = self.world.lock().change(self.id, changes);
        self.sleep(self.way()).await;
        match self.fails() {
            true => Err(StoreError::Unavailable("outcome unknown".to_owned())),
            false => Ok(changed),
        }
    }

    async fn list_slots(&self, view: &str, generation: u32, pieces: SlotPieces) -> Result<(), StoreError> {
        let list = |state: &State, replica: &Replica| {
            let here = |slot: &u32| {
                let slot = state.names.slot_of(*slot);
                *slot.view == *view && slot.generation == generation
            };
            replica.slots().filter(here).collect::<Vec<_>>()
        };
        let [one, two] = self.read(list).await?;
        let all: BTreeSet<u32> = one.into_iter().chain(two).collect();
        let slots: Vec<Slot> = {
            let state = self.world.lock();
            all.into_iter().map(|slot| state.names.slot_of(slot).clone()).collect()
        };
        for piece in slots.chunks(7) {
            if pieces.send(piece.to_vec()).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn remove_parts(&self, _: &[Slot], _: Stamp) -> Result<(), StoreError> {
        Err(StoreError::Refused("nothing is collected here".to_owned()))
    }

    /// (A real one removes in the partitions that it is told of by a quorum. Here what arrives later in another one is
    /// gone, too.)
    async fn remove_rows(&self, view: &str, up_to: Stamp, after_ms: Option<i64>) -> Result<(), StoreError> {
        self.write(|state| {
            state.tell(|| format!("{} removes rows of {view} up to {}", self.id, up_to.0));
            vec![Write::Remove { view: view.into(), up_to: up_to.0, after_ms }]
        })
        .await
    }

    async fn closing(&self, view: &str, generation: u32, width: Width) -> Result<Closing, StoreError> {
        let key = closing_key(view, generation, width);
        let [(cursor, closed), (other_cursor, other_closed)] = self.read(|_, replica| replica.closing(&key)).await?;
        Ok(Closing { cursor_ms: cursor.max(other_cursor), closed_ms: closed.max(other_closed) })
    }

    async fn write_closing_cursor(&self, view: &str, generation: u32, width: Width, ms: i64) -> Result<(), StoreError> {
        let of = closing_key(view, generation, width);
        self.write(|state| {
            state.tell(|| format!("{} closes {view} {width} up to {ms}", self.id));
            vec![Write::Cursor { of, ms }]
        })
        .await
    }

    async fn write_closed(&self, view: &str, generation: u32, width: Width, ms: i64) -> Result<(), StoreError> {
        let of = closing_key(view, generation, width);
        self.write(|_| vec![Write::Closed { of, ms }]).await
    }

    async fn write_positions(&self, positions: &[StoredPosition]) -> Result<(), StoreError> {
        self.write(|state| {
            let beats = positions.iter().filter(|position| position.kind == PositionKind::Heartbeat);
            let memory: u64 = beats.filter_map(|beat| Some(Heartbeat::decode(&beat.metadata).ok()?.memory_bytes)).sum();
            state.check_memory(memory);
            // Whoever leads a replay alone listens to heartbeats.
            let heard =
                |position: &&StoredPosition| position.kind != PositionKind::Heartbeat || state.plan.replay.is_some();
            let kept: Vec<Arc<StoredPosition>> = positions.iter().filter(heard).cloned().map(Arc::new).collect();
            kept.iter().for_each(|position| state.check_position(position));
            kept.into_iter().map(Write::Position).collect()
        })
        .await
    }

    async fn positions(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        limit: usize,
    ) -> Result<Vec<StoredPosition>, StoreError> {
        let of = |_: &State, replica: &Replica| {
            let mine = replica
                .positions()
                .filter(|known| known.group == group && known.source == source && known.kind == kind);
            mine.cloned().collect::<Vec<Arc<StoredPosition>>>()
        };
        let [one, two] = self.read(of).await?;
        let mut by_offset: BTreeMap<Offset, Arc<StoredPosition>> = BTreeMap::new();
        for position in one.into_iter().chain(two) {
            let known = by_offset.entry(position.offset).or_insert_with(|| position.clone());
            if position.written_at_ms > known.written_at_ms {
                *known = position;
            }
        }
        Ok(by_offset.into_values().rev().take(limit).map(|position| (*position).clone()).collect())
    }

    async fn trim_positions(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        before: Offset,
    ) -> Result<(), StoreError> {
        self.write(|_| vec![Write::Trim { group: group.to_owned(), source, kind, before: before.0 }]).await
    }
}
