//! Heartbeats: every few seconds the state of each owned partition goes into the store, where
//! `etiage status` finds it. A hint: nothing here reads it, and a store that does not take it holds
//! nothing up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::heartbeat::{Heartbeat, rate};
use crate::reading::{Offset, SourceId};
use crate::store::{PositionKind, StoredPosition};

use super::{Engine, World};

/// In production.
pub const EVERY: Duration = Duration::from_secs(5);
/// A short run is seen as well.
const FIRST: Duration = Duration::from_secs(1);

/// A partition as the loop last saw it.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    source: SourceId,
    folded: Offset,
    log_end: Offset,
    watermark_ms: Option<i64>,
    open_windows: usize,
    memory_bytes: usize,
}

impl Engine {
    /// The owned partitions, for the task beside the loop.
    pub(super) fn beats(&self) -> Vec<Beat> {
        let beat = |owned: &super::Owned| Beat {
            source: owned.core.source(),
            folded: owned.core.position(),
            log_end: owned.log_end,
            watermark_ms: owned.core.watermark_ms(),
            open_windows: owned.core.parts_in_memory(),
            memory_bytes: owned.core.memory_bytes(),
        };
        self.owned.values().map(beat).collect()
    }
}

/// Writes what the loop publishes, for as long as the engine runs.
pub async fn run(world: Arc<World>, beats: watch::Receiver<Vec<Beat>>) {
    let mut writer = Writer { instance: instance(), started_ms: world.clock.wall_ms(), before: BTreeMap::new() };
    let each = world.settings.pace.beat_every;
    let mut every = tokio::time::interval_at(tokio::time::Instant::now() + FIRST, each);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        every.tick().await;
        let beats = beats.borrow().clone();
        let positions = writer.positions(&world, &beats);
        let outcome = match tokio::time::timeout(each, world.store.write_positions(&positions)).await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err(format!("not within {} s", each.as_secs())),
        };
        // Once for each time of trouble: the writes that matter complain themselves.
        if let Err(why) = &outcome
            && !failing
        {
            tracing::warn!(why, "no heartbeat in the store: `etiage status` takes this instance for one that has gone");
        }
        failing = outcome.is_err();
    }
}

struct Writer {
    instance: String,
    started_ms: i64,
    /// Where each partition stood at the last heartbeat, and when (monotonic ms).
    before: BTreeMap<SourceId, (Offset, u64)>,
}

impl Writer {
    fn positions(&mut self, world: &World, beats: &[Beat]) -> Vec<StoredPosition> {
        let (now, written_at_ms) = (world.clock.now(), world.clock.wall_ms());
        let position = |beat: &Beat| StoredPosition {
            group: world.source.group().to_owned(),
            source: beat.source,
            kind: PositionKind::Heartbeat,
            offset: Offset(0),
            metadata: self.heartbeat(beat, now).encode(),
            written_at_ms,
        };
        let positions = beats.iter().map(position).collect();
        self.before = beats.iter().map(|beat| (beat.source, (beat.folded, now))).collect();
        positions
    }

    fn heartbeat(&self, beat: &Beat, now: u64) -> Heartbeat {
        let (folded, at) = self.before.get(&beat.source).copied().unwrap_or((beat.folded, now));
        Heartbeat {
            instance: self.instance.clone(),
            started_ms: self.started_ms,
            folded: beat.folded,
            log_end: beat.log_end,
            watermark_ms: beat.watermark_ms,
            records_per_second: rate(folded, beat.folded, now - at),
            open_windows: beat.open_windows as u64,
            memory_bytes: beat.memory_bytes as u64,
        }
    }
}

/// The host's name (in a container: the pod's) and the process.
fn instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "host" } else { host.trim() };
    format!("{host}/{}", std::process::id())
}
