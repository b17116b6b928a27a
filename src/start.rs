//! Where an ownership of a partition starts, or why it must not (invariant I9). Pure: the facts
//! are fetched by the caller, the decision is made here.

use std::sync::Arc;

use crate::commit::{Commit, Metadata, Tally};
use crate::partition::FoldStart;
use crate::reading::{Offset, SourceId};
use crate::source::Assignment;
use crate::store::{GenerationRecord, Start};
use crate::view::View;

/// A view that the partition's stream feeds.
#[derive(Clone)]
pub struct Feed {
    pub view: Arc<View>,
    /// (metric of the view, column of the stream)
    pub columns: Vec<(usize, usize)>,
    pub generation: Arc<GenerationRecord>,
}

/// A position from which it is safe to go on.
pub struct StartPlan {
    pub starts: Vec<FoldStart>,
    /// Least position of the views.
    pub position: Offset,
    pub leader_epoch: i32,
    /// Nothing is committed yet: the store's own copy of the starting position must be proven first.
    /// One that is there already may be another owner's, not yet safe from a power cut.
    pub anchor: bool,
}

/// The engine does not guess: each of these names its repair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the committed offset {offset} of {partition} does not carry Étiage's own metadata ({why}): it was set by a tool, \
         a mirror or another program. Restore the group's offset from a position kept in the store (`etiage status` \
         lists them), or compute the history again with `etiage replay --from earliest`"
    )]
    ForeignCommit { partition: String, offset: Offset, why: String },
    #[error(
        "{partition} is another topic than the one that was committed (topic id {found}, committed {committed}): it was \
         deleted and created again. Compute the history again with `etiage replay --from earliest`"
    )]
    Recreated { partition: String, found: String, committed: String },
    #[error(
        "{partition} must be read from offset {start}, but its log begins at {log_start}: retention has removed records \
         that were not folded. Compute what is left with `etiage replay --from earliest`"
    )]
    LogBegins { partition: String, start: Offset, log_start: Offset },
    #[error(
        "{partition} was committed at offset {start}, but its log ends at {log_end}: records were lost or the log was \
         truncated. Compute what is left with `etiage replay --from earliest`"
    )]
    LogEnds { partition: String, start: Offset, log_end: Offset },
    #[error(
        "the store knows no position of {partition}, which is committed at offset {offset}: this is another store, or \
         it has lost data. Point the configuration at the right store, restore it, or compute the history again with \
         `etiage replay --from earliest`"
    )]
    StoreForgot { partition: String, offset: Offset },
    #[error(
        "the metadata of {partition} at offset {offset} was spilled into the store and is not there: restore the store, \
         or compute the history again with `etiage replay --from earliest`"
    )]
    SpillMissing { partition: String, offset: Offset },
}

impl Refusal {
    /// Whether asking again may help: a new leader may lag behind what was committed.
    pub fn may_pass(&self) -> bool {
        matches!(self, Refusal::LogEnds { .. })
    }
}

/// Reads the commit of a partition; `spilled` is what the store holds for its position.
pub fn committed(assignment: &Assignment, spilled: Option<&Commit>) -> Result<Option<Commit>, Refusal> {
    let Some(committed) = &assignment.committed else { return Ok(None) };
    let partition = || assignment.partition.to_string();
    let foreign = |why: String| Refusal::ForeignCommit { partition: partition(), offset: committed.offset, why };
    if committed.metadata.is_empty() {
        return Err(foreign("it has none".to_owned()));
    }
    let (head, is_spilled) = match Commit::decode(&committed.metadata).map_err(|error| foreign(error.to_string()))? {
        Metadata::Whole(commit) => (commit, false),
        Metadata::Spilled(commit) => (commit, true),
    };
    if head.position != committed.offset {
        return Err(foreign(format!("it was written for offset {}", head.position)));
    }
    if head.source != assignment.source {
        let (found, committed) = (show(assignment.source), show(head.source));
        return Err(Refusal::Recreated { partition: partition(), found, committed });
    }
    if !is_spilled {
        return Ok(Some(head));
    }
    let joined = spilled.and_then(|spilled| head.join(spilled));
    joined.map(Some).ok_or_else(|| Refusal::SpillMissing { partition: partition(), offset: committed.offset })
}

fn show(source: SourceId) -> String {
    format!("{}/{}", source.topic, source.partition)
}

/// Decides where each view starts. `anchored`: the store holds a position of this partition.
pub fn plan(
    assignment: &Assignment,
    committed: Option<&Commit>,
    anchored: bool,
    feeds: &[Feed],
) -> Result<StartPlan, Refusal> {
    let partition = || assignment.partition.to_string();
    if let (Some(commit), false) = (committed, anchored) {
        return Err(Refusal::StoreForgot { partition: partition(), offset: commit.position });
    }
    let starts: Vec<FoldStart> = feeds.iter().map(|feed| start_of(feed, assignment.source, committed)).collect();
    let position = starts.iter().map(|start| start.position).min().unwrap_or(assignment.log_end);
    if position < assignment.log_start {
        return Err(Refusal::LogBegins { partition: partition(), start: position, log_start: assignment.log_start });
    }
    let furthest = starts.iter().map(|start| start.position).max().unwrap_or(position);
    if furthest > assignment.log_end {
        return Err(Refusal::LogEnds { partition: partition(), start: furthest, log_end: assignment.log_end });
    }
    let leader_epoch = committed.map_or(-1, |commit| commit.leader_epoch);
    Ok(StartPlan { starts, position, leader_epoch, anchor: committed.is_none() })
}

/// A view goes on where its commit stands; one without a commit starts where its generation says,
/// and in a partition that the generation does not name at the very beginning.
fn start_of(feed: &Feed, source: SourceId, committed: Option<&Commit>) -> FoldStart {
    let view = &feed.view;
    let metrics = view.metrics.len();
    let known = committed.and_then(|commit| commit.view(&view.name, view.generation));
    let fallback = feed.generation.starts.get(&source).copied().unwrap_or(Start { offset: Offset(0), max_ms: None });
    let tally = |width| {
        let found = known.and_then(|known| known.tallies.iter().find(|(of, _)| of == width));
        found.map_or_else(|| Tally::new(metrics), |(_, tally)| tally.clone())
    };
    FoldStart {
        view: view.clone(),
        columns: feed.columns.clone(),
        position: known.map_or(fallback.offset, |known| known.position),
        max_ms: known.map_or(fallback.max_ms, |known| known.max_ms),
        tallies: view.widths.iter().map(tally).collect(),
    }
}
