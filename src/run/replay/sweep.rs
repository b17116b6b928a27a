//! After the promotion: every row is written once from the new parts, and what the new generation does not have is
//! removed. All of it is repeatable, so that whoever finds it unfinished does it again.

use std::collections::BTreeSet;

use tokio::sync::mpsc;

use crate::store::{GenerationRecord, GenerationState, Slot, Stamp};
use crate::view::View;

use super::super::{RunError, World, closer};

/// Slots merged at a time.
const CHUNK: usize = 256;
/// Between two lines about the progress.
const TELL_EVERY_MS: u64 = 5_000;

/// Publishes the views whose generations are promoting, and makes these live; says of how many windows.
pub async fn all(world: &World, records: &[GenerationRecord]) -> Result<usize, RunError> {
    let promoting = records.iter().filter(|record| record.state == GenerationState::Promoting);
    let (views, promoting): (Vec<&View>, Vec<&GenerationRecord>) =
        promoting.filter_map(|record| Some((world.view_of(record)?, record))).unzip();
    let mut published = 0;
    // Twice, one lag apart, before it is relied on (invariant I4).
    for pass in 0..world.passes() {
        world.wait_a_lag(pass).await;
        // First, so that every row is final at once where it was.
        closer::write_cursors(world).await?;
        published = 0;
        for view in &views {
            published += publish(world, view).await?;
        }
    }
    for pass in 0..world.passes() {
        world.wait_a_lag(pass).await;
        for view in &views {
            // Above every write of the old generation and below every one of the new.
            world.store.remove_rows(&view.name, Stamp(view.epoch_us - 1), view.horizon_ms).await?;
        }
    }
    // What is left is all of this generation.
    closer::sweep_once(world, &(0..world.views.len()).collect::<BTreeSet<usize>>()).await?;
    let changes: Vec<_> = promoting.into_iter().map(|record| record.step(GenerationState::Live)).collect();
    if world.store.change_generations(&changes).await? {
        tracing::info!(windows = published, "every row is published: the replay is over");
    }
    Ok(published)
}

/// Publishes what a view has parts of; says of how many slots.
async fn publish(world: &World, view: &View) -> Result<usize, RunError> {
    let (send, mut pieces) = mpsc::channel::<Vec<Slot>>(1);
    let list = async { Ok(world.store.list_slots(&view.name, view.generation, send).await?) };
    let publish = async {
        let (mut published, mut told_at) = (0, world.clock.now() + TELL_EVERY_MS);
        while let Some(slots) = pieces.recv().await {
            for chunk in slots.chunks(CHUNK) {
                world.publish_chunk(&chunk.iter().collect::<Vec<_>>()).await?;
                published += chunk.len();
            }
            if world.clock.now() >= told_at {
                told_at = world.clock.now() + TELL_EVERY_MS;
                tracing::info!(view = %view.name, windows = published, "publishing");
            }
        }
        Ok::<usize, RunError>(published)
    };
    Ok(tokio::try_join!(list, publish)?.1)
}
