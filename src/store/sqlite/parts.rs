//! Parts in the embedded store.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::reading::SourceId;
use crate::store::layout::{seconds_text, topic_of_bytes};
use crate::store::{PartWrite, Slot, StoreError};

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
