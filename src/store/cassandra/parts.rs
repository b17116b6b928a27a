//! Parts in Cassandra.

use std::sync::Arc;

use futures::stream::TryStreamExt;
use scylla::value::CqlTimestamp;

use super::Cassandra;
use super::flight::{rows_of, tell};
use crate::reading::SourceId;
use crate::store::layout::{checked_time, generation_int, topic_of_bytes, width_of};
use crate::store::{PartWrite, Slot, SlotPieces, Stamp, StoreError};

const WRITING: &str = "writing a part";
const READING: &str = "reading parts";
const REMOVING: &str = "removing parts";

/// A partition of `parts`.
type SlotPartition = (String, i32, String, String, String, CqlTimestamp);

/// Looks at every slot that there is, page by page.
pub async fn list_slots(store: &Cassandra, view: &str, generation: u32, pieces: SlotPieces) -> Result<(), StoreError> {
    let (view, wanted) = (Arc::<str>::from(view), generation_int(generation)?);
    let found = store.stream::<SlotPartition, _>(&store.statements().await?.slots, (), READING).await?;
    let named = |(of, number, width, tenant, key, CqlTimestamp(start_ms)): SlotPartition| {
        if *of != *view || number != wanted {
            return Ok(None);
        }
        let (width, tenant, key) = (width_of(&width)?, tenant.into(), key.into());
        Ok(Some(Slot { view: view.clone(), generation, width, tenant, key, start_ms }))
    };
    let ours = found.try_filter_map(|partition| std::future::ready(named(partition)));
    tell(ours, pieces).await
}

pub async fn write(store: &Cassandra, part: &PartWrite) -> Result<(), StoreError> {
    let PartWrite { slot, source, state, stamp } = part;
    let generation = generation_int(slot.generation)?;
    let (width, start) = (slot.width.to_string(), CqlTimestamp(checked_time(slot.start_ms)?));
    let (topic, state) = (&source.topic.0[..], &state[..]);
    let values =
        (&*slot.view, generation, width, &*slot.tenant, &*slot.key, start, topic, source.partition, state, stamp.0);
    store.execute(&store.statements().await?.write_part, values, WRITING).await?;
    Ok(())
}

pub async fn remove(store: &Cassandra, slot: &Slot, up_to: Stamp) -> Result<(), StoreError> {
    let generation = generation_int(slot.generation)?;
    let (width, start) = (slot.width.to_string(), CqlTimestamp(checked_time(slot.start_ms)?));
    let values = (up_to.0, &*slot.view, generation, width, &*slot.tenant, &*slot.key, start);
    store.execute(&store.statements().await?.remove_parts, values, REMOVING).await.map(drop)
}

pub async fn read_own(store: &Cassandra, source: SourceId, slot: &Slot) -> Result<Option<Vec<u8>>, StoreError> {
    let generation = generation_int(slot.generation)?;
    let (width, start) = (slot.width.to_string(), CqlTimestamp(checked_time(slot.start_ms)?));
    let values =
        (&*slot.view, generation, width, &*slot.tenant, &*slot.key, start, &source.topic.0[..], source.partition);
    let result = store.execute(&store.statements().await?.read_own_part, values, READING).await?;
    Ok(rows_of::<(Vec<u8>,)>(result, READING)?.pop().map(|(state,)| state))
}

pub async fn read_slot(store: &Cassandra, slot: &Slot) -> Result<Vec<(SourceId, Vec<u8>)>, StoreError> {
    let generation = generation_int(slot.generation)?;
    let (width, start) = (slot.width.to_string(), CqlTimestamp(checked_time(slot.start_ms)?));
    let values = (&*slot.view, generation, width, &*slot.tenant, &*slot.key, start);
    let result = store.execute(&store.statements().await?.read_slot, values, READING).await?;
    let named = |(topic, partition, state): (Vec<u8>, i32, Vec<u8>)| {
        Ok((SourceId { topic: topic_of_bytes(&topic)?, partition }, state))
    };
    rows_of(result, READING)?.into_iter().map(named).collect()
}
