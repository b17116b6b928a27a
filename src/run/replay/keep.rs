//! How far a replay's group has committed, in the store: from there running instances go on, and a later replay knows it.

use crate::run::closer::{self, Commits};
use crate::run::until_end::passes;
use crate::run::{RunError, World};
use crate::store::{PositionKind, StoredPosition};

/// Keeps in the store how far the group has committed; tries again until it is done or useless.
pub async fn keep_positions(world: &World) -> Result<(), RunError> {
    let once = || async { keep(world, &closer::committed(world).await?).await };
    loop {
        match once().await {
            Err(error) if passes(&error) => {
                tracing::warn!(%error, "how far the files are folded is kept a moment later")
            }
            outcome => return outcome,
        }
        tokio::time::sleep(world.settings.pace.lead_every).await;
    }
}

pub(super) async fn keep(world: &World, commits: &Commits) -> Result<(), RunError> {
    let kept = commits.values().flatten().flatten().map(|commit| StoredPosition {
        group: world.source.group().to_owned(),
        source: commit.source,
        kind: PositionKind::Kept,
        offset: commit.position,
        metadata: commit.encode(),
        written_at_ms: world.clock.wall_ms(),
    });
    Ok(world.store.write_positions(&kept.collect::<Vec<_>>()).await?)
}
