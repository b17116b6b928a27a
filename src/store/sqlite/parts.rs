//! Parts in the embedded store.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::reading::SourceId;
use crate::store::layout::{seconds_text, time_of, topic_of_bytes, width_of};
use crate::store::{PartWrite, Slot, Stamp, StoreError};

/// All parts of one slot.
type Parts = Vec<(SourceId, Vec<u8>)>;

/// Equal timestamps are decided by the larger value, as in Cassandra.
const WRITE: &str = r#"
INSERT INTO parts ("view", generation, width, tenant, "key", window_start, topic_id, "partition", state, stamp)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET state = excluded.state, stamp = excluded.stamp
WHERE (excluded.stamp, excluded.state) > (stamp, state)"#;

const READ_OWN: &str = r#"
SELECT state FROM parts
WHERE "view" = ? AND generation = ? AND width = ? AND tenant = ? AND "key" = ? AND window_start = ? AND topic_id = ? AND "partition" = ?"#;

const READ_SLOT: &str = r#"
SELECT topic_id, "partition", state FROM parts
WHERE "view" = ? AND generation = ? AND width = ? AND tenant = ? AND "key" = ? AND window_start = ?
ORDER BY topic_id, "partition""#;

const REMOVE: &str = r#"
DELETE FROM parts
WHERE "view" = ? AND generation = ? AND width = ? AND tenant = ? AND "key" = ? AND window_start = ? AND stamp <= ?"#;

/// The next slots in the order of the table, after the one that was told last.
const LIST_SLOTS: &str = r#"
SELECT DISTINCT width, tenant, "key", window_start FROM parts
WHERE "view" = ?1 AND generation = ?2 AND (?3 IS NULL OR (width, tenant, "key", window_start) > (?3, ?4, ?5, ?6))
ORDER BY width, tenant, "key", window_start LIMIT ?7"#;

pub fn list_slots(
    connection: &Connection,
    (view, generation): (&Arc<str>, u32),
    after: Option<&Slot>,
    limit: usize,
) -> Result<Vec<Slot>, StoreError> {
    let mut statement = connection.prepare_cached(LIST_SLOTS)?;
    let width = after.map(|slot| slot.width.to_string());
    let start = after.map(|slot| seconds_text(slot.start_ms)).transpose()?;
    let (tenant, key) = (after.map(|slot| &slot.tenant), after.map(|slot| &slot.key));
    let mut found = statement.query(params![view, generation, width, tenant, key, start, limit as i64])?;
    let mut slots = Vec::new();
    while let Some(row) = found.next()? {
        let width = width_of(&row.get::<_, String>(0)?)?;
        let start_ms = time_of(&row.get::<_, String>(3)?)?;
        slots.push(Slot { view: Arc::clone(view), generation, width, tenant: row.get(1)?, key: row.get(2)?, start_ms });
    }
    Ok(slots)
}

pub fn write(transaction: &Transaction<'_>, parts: &[PartWrite]) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(WRITE)?;
    for PartWrite { slot, source, state, stamp } in parts {
        statement.execute(params![
            slot.view,
            slot.generation,
            slot.width.to_string(),
            slot.tenant,
            slot.key,
            seconds_text(slot.start_ms)?,
            source.topic.0,
            source.partition,
            state,
            stamp.0
        ])?;
    }
    Ok(())
}

pub fn remove(transaction: &Transaction<'_>, slots: &[Slot], up_to: Stamp) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(REMOVE)?;
    for slot in slots {
        let (width, start) = (slot.width.to_string(), seconds_text(slot.start_ms)?);
        statement.execute(params![slot.view, slot.generation, width, slot.tenant, slot.key, start, up_to.0])?;
    }
    Ok(())
}

pub fn read_own(connection: &Connection, source: SourceId, slots: &[Slot]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    let mut statement = connection.prepare_cached(READ_OWN)?;
    let mut read = |slot: &Slot| {
        let start = seconds_text(slot.start_ms)?;
        let width = slot.width.to_string();
        let place =
            params![slot.view, slot.generation, width, slot.tenant, slot.key, start, source.topic.0, source.partition];
        Ok(statement.query_row(place, |row| row.get(0)).optional()?)
    };
    slots.iter().map(&mut read).collect()
}

pub fn read_slots(connection: &Connection, slots: &[Slot]) -> Result<Vec<Parts>, StoreError> {
    let mut statement = connection.prepare_cached(READ_SLOT)?;
    let mut read = |slot: &Slot| -> Result<Parts, StoreError> {
        let start = seconds_text(slot.start_ms)?;
        let place = params![slot.view, slot.generation, slot.width.to_string(), slot.tenant, slot.key, start];
        let mut found = statement.query(place)?;
        let mut parts = Vec::new();
        while let Some(row) = found.next()? {
            let topic = topic_of_bytes(&row.get::<_, Vec<u8>>(0)?)?;
            parts.push((SourceId { topic, partition: row.get(1)? }, row.get(2)?));
        }
        Ok(parts)
    };
    slots.iter().map(&mut read).collect()
}
