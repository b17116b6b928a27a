//! Generations, closing cursors and positions in the embedded store.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::reading::{Offset, SourceId};
use crate::store::layout::{kind_name, millis_text, starts_json, starts_of, state_of, state_text, time_of};
use crate::store::{Closing, GenerationChange, GenerationRecord, PositionKind, StoreError, StoredPosition};
use crate::window::Width;

pub fn generations(connection: &Connection) -> Result<Vec<GenerationRecord>, StoreError> {
    let mut statement = connection.prepare_cached(
        r#"SELECT "view", generation, epoch_us, state, fingerprint, meaning, consumer_group, starts
           FROM generations ORDER BY "view", generation"#,
    )?;
    let mut found = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = found.next()? {
        records.push(GenerationRecord {
            view: row.get(0)?,
            generation: row.get(1)?,
            epoch_us: row.get(2)?,
            state: state_of(&row.get::<_, String>(3)?)?,
            fingerprint: row.get(4)?,
            meaning: row.get(5)?,
            group: row.get(6)?,
            starts: starts_of(&row.get::<_, String>(7)?)?,
        });
    }
    Ok(records)
}

pub fn create_generation(transaction: &Transaction<'_>, record: &GenerationRecord) -> Result<bool, StoreError> {
    let created = transaction.execute(
        "INSERT INTO generations VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        params![
            record.view,
            record.generation,
            record.epoch_us,
            state_text(record.state)?,
            record.fingerprint,
            record.meaning,
            record.group,
            starts_json(&record.starts)
        ],
    )?;
    Ok(created == 1)
}

/// The write lock is held: what is found stays.
pub fn change_generations(transaction: &Transaction<'_>, changes: &[GenerationChange]) -> Result<bool, StoreError> {
    let mut find =
        transaction.prepare_cached(r#"SELECT 1 FROM generations WHERE "view" = ? AND generation = ? AND state = ?"#)?;
    for change in changes {
        if !find.exists(params![change.view, change.generation, state_text(change.from)?])? {
            return Ok(false);
        }
    }
    let mut set =
        transaction.prepare_cached(r#"UPDATE generations SET state = ? WHERE "view" = ? AND generation = ?"#)?;
    for change in changes {
        set.execute(params![state_text(change.to)?, change.view, change.generation])?;
    }
    Ok(true)
}

pub fn closing(connection: &Connection, view: &str, generation: u32, width: Width) -> Result<Closing, StoreError> {
    let mut statement = connection
        .prepare_cached(r#"SELECT cursor, closed FROM closing WHERE "view" = ? AND generation = ? AND width = ?"#)?;
    let found = statement
        .query_row(params![view, generation, width.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (cursor, closed): (Option<String>, Option<String>) = found.unwrap_or_default();
    let read = |text: Option<String>| text.as_deref().map(time_of).transpose();
    Ok(Closing { cursor_ms: read(cursor)?, closed_ms: read(closed)? })
}

pub const CURSOR: &str = r#"
INSERT INTO closing ("view", generation, width, cursor) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET cursor = excluded.cursor WHERE cursor IS NULL OR excluded.cursor > cursor"#;

pub const CLOSED: &str = r#"
INSERT INTO closing ("view", generation, width, closed) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET closed = excluded.closed WHERE closed IS NULL OR excluded.closed > closed"#;

/// Moves a cursor forward, or leaves it.
pub fn advance(
    transaction: &Transaction<'_>,
    statement: &str,
    view: &str,
    generation: u32,
    width: Width,
    to_ms: i64,
) -> Result<(), StoreError> {
    transaction.prepare_cached(statement)?.execute(params![
        view,
        generation,
        width.to_string(),
        millis_text(to_ms)?
    ])?;
    Ok(())
}

/// Of two writes of one offset the later one wins, and of two at the same moment the larger.
const WRITE_POSITION: &str = r#"
INSERT INTO positions (consumer_group, topic_id, "partition", kind, "offset", metadata, written_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET metadata = excluded.metadata, written_at = excluded.written_at
WHERE (excluded.written_at, excluded.metadata) > (written_at, metadata)"#;

pub fn write_positions(transaction: &Transaction<'_>, positions: &[StoredPosition]) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(WRITE_POSITION)?;
    for position in positions {
        statement.execute(params![
            position.group,
            position.source.topic.0,
            position.source.partition,
            kind_name(position.kind),
            position.offset.0,
            position.metadata,
            millis_text(position.written_at_ms)?
        ])?;
    }
    Ok(())
}

pub fn positions(
    connection: &Connection,
    group: &str,
    source: SourceId,
    kind: PositionKind,
    limit: usize,
) -> Result<Vec<StoredPosition>, StoreError> {
    let mut statement = connection.prepare_cached(
        r#"SELECT "offset", metadata, written_at FROM positions
           WHERE consumer_group = ? AND topic_id = ? AND "partition" = ? AND kind = ? ORDER BY "offset" DESC LIMIT ?"#,
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = statement.query(params![group, source.topic.0, source.partition, kind_name(kind), limit])?;
    let mut positions = Vec::new();
    while let Some(row) = found.next()? {
        positions.push(position_of(row, group, source, kind)?);
    }
    Ok(positions)
}

pub fn position_from(
    connection: &Connection,
    group: &str,
    source: SourceId,
    kind: PositionKind,
    from: Offset,
) -> Result<Option<StoredPosition>, StoreError> {
    let mut statement = connection.prepare_cached(
        r#"SELECT "offset", metadata, written_at FROM positions
           WHERE consumer_group = ? AND topic_id = ? AND "partition" = ? AND kind = ? AND "offset" >= ?
           ORDER BY "offset" LIMIT 1"#,
    )?;
    let mut found = statement.query(params![group, source.topic.0, source.partition, kind_name(kind), from.0])?;
    found.next()?.map(|row| position_of(row, group, source, kind)).transpose()
}

fn position_of(
    row: &rusqlite::Row<'_>,
    group: &str,
    source: SourceId,
    kind: PositionKind,
) -> Result<StoredPosition, StoreError> {
    Ok(StoredPosition {
        group: group.to_owned(),
        source,
        kind,
        offset: Offset(row.get(0)?),
        metadata: row.get(1)?,
        written_at_ms: time_of(&row.get::<_, String>(2)?)?,
    })
}

pub fn trim_positions(
    transaction: &Transaction<'_>,
    group: &str,
    source: SourceId,
    kind: PositionKind,
    before: Offset,
) -> Result<(), StoreError> {
    transaction.execute(
        r#"DELETE FROM positions WHERE consumer_group = ? AND topic_id = ? AND "partition" = ? AND kind = ? AND "offset" < ?"#,
        params![group, source.topic.0, source.partition, kind_name(kind), before.0],
    )?;
    Ok(())
}
