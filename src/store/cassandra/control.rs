//! Generations, closing cursors and positions in Cassandra.

use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;

use super::Cassandra;
use super::flight::{applied, rows_of};
use crate::reading::{Offset, SourceId};
use crate::store::layout::{
    checked_time, cursor_stamp, generation_int, kind_name, starts_json, starts_of, state_of, state_text,
};
use crate::store::{Closing, GenerationChange, GenerationRecord, PositionKind, StoreError, StoredPosition};
use crate::window::Width;

type StoredGeneration = (String, i32, i64, String, String, String, String, String);

pub async fn generations(store: &Cassandra) -> Result<Vec<GenerationRecord>, StoreError> {
    let found: Vec<StoredGeneration> =
        store.pages(&store.statements().await?.generations, (), "reading generations").await?;
    found.into_iter().map(record).collect()
}

fn record(
    (view, generation, epoch_us, state, fingerprint, meaning, group, starts): StoredGeneration,
) -> Result<GenerationRecord, StoreError> {
    let generation = u32::try_from(generation).map_err(|_| {
        StoreError::Refused(format!("the store has generation {generation} of view {view:?}: something else wrote it"))
    })?;
    let (state, starts) = (state_of(&state)?, starts_of(&starts)?);
    Ok(GenerationRecord { view, generation, epoch_us, state, fingerprint, meaning, group, starts })
}

pub async fn create_generation(store: &Cassandra, record: &GenerationRecord) -> Result<bool, StoreError> {
    let values = (
        &record.view,
        generation_int(record.generation)?,
        record.epoch_us,
        state_text(record.state)?,
        &record.fingerprint,
        &record.meaning,
        &record.group,
        starts_json(&record.starts),
    );
    let doing = "creating a generation";
    applied(store.execute_once(&store.statements().await?.create_generation, values, doing).await?, doing)
}

pub async fn change_generations(store: &Cassandra, changes: &[GenerationChange]) -> Result<bool, StoreError> {
    let step = |change: &GenerationChange| {
        let (to, from) = (state_text(change.to)?, state_text(change.from)?);
        Ok((to, change.view.clone(), generation_int(change.generation)?, from))
    };
    let values: Vec<(String, String, i32, String)> = changes.iter().map(step).collect::<Result<_, StoreError>>()?;
    if values.is_empty() {
        return Ok(true);
    }
    let doing = "changing the state of a generation";
    applied(store.execute_once_together(&store.statements().await?.change_generation, &values, doing).await?, doing)
}

pub async fn closing(store: &Cassandra, view: &str, generation: u32, width: Width) -> Result<Closing, StoreError> {
    let values = (view, generation_int(generation)?, width.to_string());
    let result = store.execute(&store.statements().await?.closing, values, "reading a closing cursor").await?;
    let found: Vec<(Option<CqlTimestamp>, Option<CqlTimestamp>)> = rows_of(result, "reading a closing cursor")?;
    let (cursor, closed) = found.into_iter().next().unwrap_or_default();
    Ok(Closing { cursor_ms: cursor.map(|time| time.0), closed_ms: closed.map(|time| time.0) })
}

pub async fn advance(
    store: &Cassandra,
    statement: &PreparedStatement,
    view: &str,
    generation: u32,
    width: Width,
    to_ms: i64,
) -> Result<(), StoreError> {
    let values = (cursor_stamp(to_ms)?, CqlTimestamp(to_ms), view, generation_int(generation)?, width.to_string());
    store.execute(statement, values, "writing a closing cursor").await?;
    Ok(())
}

/// Of two writes of one offset the later one wins.
pub async fn write_position(store: &Cassandra, position: &StoredPosition) -> Result<(), StoreError> {
    let StoredPosition { group, source, kind, offset, metadata, written_at_ms } = position;
    let written_at = checked_time(*written_at_ms)?;
    let (topic, metadata) = (&source.topic.0[..], &metadata[..]);
    let kind = kind_name(*kind);
    let values = (
        group,
        topic,
        source.partition,
        kind,
        offset.0,
        metadata,
        CqlTimestamp(written_at),
        position_stamp(written_at),
    );
    store.execute(&store.statements().await?.write_position, values, "writing a position").await?;
    Ok(())
}

fn position_stamp(written_at_ms: i64) -> i64 {
    written_at_ms.saturating_mul(1000)
}

pub async fn positions(
    store: &Cassandra,
    group: &str,
    source: SourceId,
    kind: PositionKind,
    limit: usize,
) -> Result<Vec<StoredPosition>, StoreError> {
    let Some(limit) = i32::try_from(limit).ok().or(Some(i32::MAX)).filter(|limit| *limit > 0) else {
        return Ok(Vec::new());
    };
    let values = (group, &source.topic.0[..], source.partition, kind_name(kind), limit);
    let found: Vec<Found> = store.pages(&store.statements().await?.positions, values, "reading positions").await?;
    Ok(found.into_iter().map(|found| position_of(found, group, source, kind)).collect())
}

pub async fn position_from(
    store: &Cassandra,
    group: &str,
    source: SourceId,
    kind: PositionKind,
    from: Offset,
) -> Result<Option<StoredPosition>, StoreError> {
    let values = (group, &source.topic.0[..], source.partition, kind_name(kind), from.0);
    let found: Vec<Found> = store.pages(&store.statements().await?.position_from, values, "reading positions").await?;
    Ok(found.into_iter().next().map(|found| position_of(found, group, source, kind)))
}

/// A position's offset, metadata and time.
type Found = (i64, Vec<u8>, CqlTimestamp);

fn position_of(
    (offset, metadata, CqlTimestamp(written_at_ms)): Found,
    group: &str,
    source: SourceId,
    kind: PositionKind,
) -> StoredPosition {
    StoredPosition { group: group.to_owned(), source, kind, offset: Offset(offset), metadata, written_at_ms }
}

/// Each position is deleted at its own timestamp, of all timestamps the least that removes it: so
/// that offset may be written again, by anybody whose clock has moved on.
pub async fn trim_positions(
    store: &Cassandra,
    group: &str,
    source: SourceId,
    kind: PositionKind,
    before: Offset,
) -> Result<(), StoreError> {
    let statements = store.statements().await?;
    let topic = &source.topic.0[..];
    let values = (group, topic, source.partition, kind_name(kind), before.0);
    let below: Vec<(i64, i64)> = store.pages(&statements.positions_below, values, "reading positions").await?;
    let delete = async |at: usize| {
        let (offset, stamp) = below[at];
        let values = (stamp, group, topic, source.partition, kind_name(kind), offset);
        store.execute(&statements.delete_position, values, "removing a position").await.map(drop)
    };
    store.each((0..below.len()).map(delete)).await
}
