//! The closing sweep: marks the rows of windows that are over as final. One instance a view does
//! it, and any instance may go on with it.
//!
//! The order matters: first the cursor is written, *then* the rows below it are listed and
//! marked, *then* `closed` says that all of them are. A merge reads the cursor after its row is
//! acknowledged; so a row that the listing missed is marked by its own writer. Everything is done
//! twice, one commit lag apart, before `closed` is believed (invariant I4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::closing;
use crate::commit::{Commit, Metadata};
use crate::decode::RANGE_MS;
use crate::reading::{Offset, SourceId};
use crate::source::GroupPosition;
use crate::store::{PositionKind, RowId, Store, StoreError, StoredPosition};
use crate::view::View;
use crate::window::Width;

use super::until_end::passes;
use super::{RunError, World};

/// Spills among which the one of a commit is looked for: newer ones may never have been committed.
const SPILLS_LOOKED_AT: usize = 1_000;
/// Sweeps the views that are ours, now and then, for as long as the engine runs.
pub async fn run(world: Arc<World>, ours: watch::Receiver<BTreeSet<usize>>) {
    loop {
        tokio::time::sleep(world.settings.pace.sweep_every).await;
        let views = ours.borrow().clone();
        if let Err(error) = sweep_once(&world, &views).await {
            tracing::warn!(%error, "the closing sweep failed; it goes on from where it was");
        }
    }
}

/// Sweeps once, trying again until it is done or useless.
pub async fn sweep_surely(world: Arc<World>, views: BTreeSet<usize>) -> Result<(), RunError> {
    loop {
        match sweep_once(&world, &views).await {
            Err(error) if passes(&error) => tracing::warn!(%error, "the last closing sweep is tried again"),
            outcome => return outcome,
        }
        tokio::time::sleep(world.settings.pace.sweep_every).await;
    }
}

/// Sweeps these views to where the committed positions allow.
pub async fn sweep_once(world: &World, views: &BTreeSet<usize>) -> Result<(), RunError> {
    if views.is_empty() {
        return Ok(());
    }
    let commits = committed(world).await?;
    let mut due = Vec::new();
    for number in views {
        due.extend(world.due(&world.views[*number], &commits).await?);
    }
    world.close(&due).await
}

/// Moves the cursors of all views to where the committed positions allow, and marks nothing: whoever publishes a row below
/// marks it.
pub(super) async fn write_cursors(world: &World) -> Result<(), RunError> {
    let commits = committed(world).await?;
    for view in &world.views {
        for Due { view, width, cursor_ms, .. } in world.due(view, &commits).await? {
            world.store.write_closing_cursor(&view.name, view.generation, width, cursor_ms).await?;
        }
    }
    Ok(())
}

/// What is over in one width of a view, and not yet known to be marked.
struct Due<'a> {
    view: &'a View,
    width: Width,
    closed_ms: Option<i64>,
    cursor_ms: i64,
}

/// Every partition's commit, by stream.
pub(super) type Commits = BTreeMap<Arc<str>, Vec<Option<Commit>>>;

pub(super) async fn committed(world: &World) -> Result<Commits, RunError> {
    let mut commits = Commits::new();
    for position in world.source.group_positions().await? {
        let commit = commit_of(&*world.store, world.source.group(), &position).await?;
        commits.entry(position.stream).or_default().push(commit);
    }
    Ok(commits)
}

/// What a partition of the group has committed; `None` where nothing, or nothing of ours.
pub async fn commit_of(store: &dyn Store, group: &str, position: &GroupPosition) -> Result<Option<Commit>, StoreError> {
    let Some(committed) = &position.committed else { return Ok(None) };
    Ok(match Commit::decode(&committed.metadata) {
        Ok(Metadata::Whole(commit)) => Some(commit),
        Ok(Metadata::Spilled(head)) => spilled(store, group, position.source, head).await?,
        Err(_) => None,
    })
}

/// The whole commit whose head this is, from the store.
pub async fn spilled(
    store: &dyn Store,
    group: &str,
    source: SourceId,
    head: Commit,
) -> Result<Option<Commit>, StoreError> {
    let found = spill(store, group, source, head.position).await?;
    Ok(found.and_then(|position| whole(head, &position)))
}

/// What the store holds of the commit with this position that was too large for the group.
pub async fn spill(
    store: &dyn Store,
    group: &str,
    source: SourceId,
    position: Offset,
) -> Result<Option<StoredPosition>, StoreError> {
    let stored = store.positions(group, source, PositionKind::Spill, SPILLS_LOOKED_AT).await?;
    Ok(stored.into_iter().find(|spill| spill.offset == position))
}

/// The head and its rest, if they belong together.
pub fn whole(head: Commit, spill: &StoredPosition) -> Option<Commit> {
    head.join(&Commit::whole(&spill.metadata)?)
}

impl World {
    /// The widths of a view in which the committed positions end further windows.
    async fn due<'a>(&self, view: &'a View, commits: &Commits) -> Result<Vec<Due<'a>>, RunError> {
        let mut due = Vec::new();
        let cursor_ms = closing::cursor(&self.watermarks(view, commits), view.allowed_lateness_ms);
        // No reading is older: nothing before can be closed.
        let Some(reached_ms) = cursor_ms.filter(|cursor_ms| *cursor_ms >= *RANGE_MS.start()) else { return Ok(due) };
        for width in &view.widths {
            let known = self.store.closing(&view.name, view.generation, *width).await?;
            // Whole windows: a cursor that moves within one closes nothing.
            let cursor_ms = view.window(*width, reached_ms).start_ms.max(known.cursor_ms.unwrap_or(i64::MIN));
            if known.closed_ms.is_none_or(|closed_ms| closed_ms < cursor_ms) {
                due.push(Due { view, width: *width, closed_ms: known.closed_ms, cursor_ms });
            }
        }
        Ok(due)
    }

    fn watermarks(&self, view: &View, commits: &Commits) -> Vec<Option<i64>> {
        let feeding =
            self.streams.values().filter(|stream| stream.feeds.iter().any(|feed| feed.view.name == view.name));
        let of_stream = |stream: &Arc<super::stream::StreamRun>| {
            let partitions = commits.get(&stream.name).cloned().unwrap_or_else(|| vec![None]);
            let watermark = |commit: Option<Commit>| {
                closing::partition_watermark(&commit?, &view.name, view.generation, stream.out_of_orderness_ms)
            };
            partitions.into_iter().map(watermark).collect::<Vec<_>>()
        };
        feeding.flat_map(of_stream).collect()
    }

    /// How often what is written by a sweep is written before it is relied on (invariant I4).
    pub(super) fn passes(&self) -> usize {
        if self.settings.commit_lag_ms == 0 { 1 } else { 2 }
    }

    /// Between two of these.
    pub(super) async fn wait_a_lag(&self, pass: usize) {
        if pass > 0 {
            tokio::time::sleep(Duration::from_millis(self.settings.commit_lag_ms)).await;
        }
    }

    /// All of it together, so that one lag is waited for, not one a width.
    async fn close(&self, all: &[Due<'_>]) -> Result<(), RunError> {
        if all.is_empty() {
            return Ok(());
        }
        let mut marked = vec![0; all.len()];
        for pass in 0..self.passes() {
            self.wait_a_lag(pass).await;
            for (due, marked) in all.iter().zip(&mut marked) {
                let Due { view, width, closed_ms, cursor_ms } = *due;
                self.store.write_closing_cursor(&view.name, view.generation, width, cursor_ms).await?;
                *marked = self.mark_below(view, width, closed_ms, cursor_ms).await?;
            }
        }
        for (Due { view, width, cursor_ms, .. }, marked) in all.iter().zip(marked) {
            self.store.write_closed(&view.name, view.generation, *width, *cursor_ms).await?;
            tracing::info!(view = %view.name, %width, rows = marked, "windows closed");
        }
        Ok(())
    }

    async fn mark_below(
        &self,
        view: &View,
        width: Width,
        closed_ms: Option<i64>,
        cursor_ms: i64,
    ) -> Result<usize, RunError> {
        // Both are bounds of windows: what ends by the cursor starts before it.
        let (send, mut pieces) = mpsc::channel::<Vec<RowId>>(1);
        let list = self.store.list_rows(&view.name, view.generation, width, closed_ms, cursor_ms, send);
        let mark = async {
            let mut marked = 0;
            while let Some(rows) = pieces.recv().await {
                self.store.mark_final(&rows, view.stamp(0)).await?;
                marked += rows.len();
            }
            Ok::<usize, StoreError>(marked)
        };
        Ok(tokio::try_join!(list, mark)?.1)
    }
}
