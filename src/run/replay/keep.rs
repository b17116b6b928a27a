//! How far a replay's group has committed, in the store: from there running instances go on, and a later replay knows it.

use tokio::sync::watch;

use crate::run::closer::{self, Commits};
use crate::run::until_end::passes;
use crate::run::{RunError, Stop, World};
use crate::store::{PositionKind, StoredPosition};

/// Keeps in the store how far the group has committed; tries again until it is done or useless, or somebody wants it to stop:
/// whoever comes next does it then.
pub async fn keep_positions(world: &World, stop: &mut watch::Receiver<Stop>) -> Result<(), RunError> {
    let once = || async { keep(world, &closer::committed(world).await?).await };
    loop {
        match once().await {
            Err(error) if passes(&error) => {
                tracing::warn!(%error, "how far the files are folded is kept a moment later")
            }
            outcome => return outcome,
        }
        tokio::select! {
            () = tokio::time::sleep(world.settings.pace.lead_every) => {}
            _ = stop.wait_for(|stop| *stop != Stop::Running) => return Ok(()),
        }
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
