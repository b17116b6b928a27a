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
    /// The position that the store is known to keep.
    pub kept: Option<Offset>,
    /// The group has nothing on record for views that have been replayed: what they start with is to be committed.
    pub anew: bool,
}

/// The engine does not guess: each of these names its repair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the committed offset {offset} of {partition} does not carry Étiage's own metadata ({why}): it was set by a tool, \
         a mirror or another program. Delete the group's offsets of this topic (kafka-consumer-groups --delete-offsets): \
         the engine then goes through the log again from where its views began and skips what is folded"
    )]
    ForeignCommit { partition: String, offset: Offset, why: String },
    #[error(
        "{partition} is another topic than the one that was committed (topic id {found}, committed {committed}): it was \
         deleted and created again. Compute what the new one holds with `etiage replay --from earliest --forget-history`; \
         rows that came from the old one alone are removed then"
    )]
    Recreated { partition: String, found: String, committed: String },
    #[error(
        "{partition} must be read from offset {start}, but its log begins at {log_start}: retention has removed records \
         that were not folded. Compute what is left with `etiage replay --from earliest --forget-history`; rows of \
         which nothing is left are removed then. (A replay that is told this gives up with `etiage replay --abort`, and \
         begins again as it began.)"
    )]
    LogBegins { partition: String, start: Offset, log_start: Offset },
    #[error(
        "{partition} was committed at offset {start}, but its log ends at {log_end}: records were lost or the log was \
         truncated. Compute what is left with `etiage replay --from earliest --forget-history` (where a replay is under way: \
         `--abort` first)"
    )]
    LogEnds { partition: String, start: Offset, log_end: Offset },
    #[error(
        "the store does not keep the position that the commit of {partition} at offset {offset} names: this is another \
         store, or it has lost data. Point the configuration at the right store, restore it, or compute the history again with \
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
        let (found, committed) = (assignment.source.to_string(), head.source.to_string());
        return Err(Refusal::Recreated { partition: partition(), found, committed });
    }
    if !is_spilled {
        return Ok(Some(head));
    }
    let joined = spilled.and_then(|spilled| head.join(spilled));
    joined.map(Some).ok_or_else(|| Refusal::SpillMissing { partition: partition(), offset: committed.offset })
}

/// Whether what the group has on record is older than all views that the partition feeds: each was replayed in a group
/// of its own, and this group has committed under none of these generations yet. `kept`: the commits of this group
/// that the store keeps.
pub fn is_of_before(
    group: &str,
    committed: &Result<Option<Commit>, Refusal>,
    mut kept: impl Iterator<Item = Commit>,
    feeds: &[Feed],
) -> bool {
    let concerns =
        |commit: &Commit| feeds.iter().any(|feed| commit.view(&feed.view.name, feed.view.generation).is_some());
    feeds.iter().all(|feed| feed.generation.group != group)
        && !matches!(committed, Ok(Some(commit)) if concerns(commit))
        // (One that names no other was kept before the first commit: nothing relies on it.)
        && !kept.any(|commit| commit.kept.is_some() && concerns(&commit))
}

/// Decides where each view starts. `kept`: the positions of this partition that the store keeps; the one that the
/// commit names must be among them. `replayed`: where the replays of the views stood, of which the group's commit says nothing.
pub fn plan(
    assignment: &Assignment,
    committed: Option<&Commit>,
    kept: &[Offset],
    replayed: &[Commit],
    feeds: &[Feed],
) -> Result<StartPlan, Refusal> {
    let partition = || assignment.partition.to_string();
    let named = committed.and_then(|commit| commit.kept);
    if let Some(commit) = committed
        && !named.is_some_and(|named| kept.contains(&named))
    {
        return Err(Refusal::StoreForgot { partition: partition(), offset: commit.position });
    }
    let commits: Vec<&Commit> = committed.into_iter().chain(replayed).collect();
    let starts: Vec<FoldStart> = feeds.iter().map(|feed| start_of(feed, assignment.source, &commits)).collect();
    let position = starts.iter().map(|start| start.position).min().unwrap_or(assignment.log_end);
    if position < assignment.log_start {
        return Err(Refusal::LogBegins { partition: partition(), start: position, log_start: assignment.log_start });
    }
    let furthest = starts.iter().map(|start| start.position).max().unwrap_or(position);
    if furthest > assignment.log_end {
        return Err(Refusal::LogEnds { partition: partition(), start: furthest, log_end: assignment.log_end });
    }
    // The epoch belongs to the committed position.
    let there = commits.iter().find(|commit| commit.position == position);
    let leader_epoch = there.map_or(-1, |commit| commit.leader_epoch);
    let unheard = |feed: &Feed| {
        let known_to = |commit: &Commit| commit.view(&feed.view.name, feed.view.generation).is_some();
        !committed.is_some_and(known_to) && replayed.iter().any(known_to)
    };
    let anew = feeds.iter().any(unheard);
    Ok(StartPlan { starts, position, leader_epoch, kept: named, anew })
}

/// A view goes on where its commit stands, the group's or its replay's; one without a commit starts where its
/// generation says, and in a partition that the generation does not name at the very beginning.
fn start_of(feed: &Feed, source: SourceId, commits: &[&Commit]) -> FoldStart {
    let view = &feed.view;
    let metrics = view.metrics.len();
    let known = commits.iter().find_map(|commit| commit.view(&view.name, view.generation));
    let fallback = feed.generation.starts.get(&source).copied().unwrap_or(Start::at(Offset(0)));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::reading::{TopicId, TopicPartition};
    use crate::source::Committed;
    use crate::store::GenerationState;
    use crate::window::Width;

    const SOURCE: SourceId = SourceId { topic: TopicId([1; 16]), partition: 0 };

    fn feed(starts: BTreeMap<SourceId, Start>) -> Feed {
        let view = View {
            name: Arc::from("region"),
            generation: 1,
            epoch_us: 1,
            metrics: vec![Arc::from("temperature")],
            unit_exponent: -9,
            widths: vec![Width::HOUR],
            allowed_lateness_ms: None,
            any_metric: false,
            zone: chrono_tz::UTC,
            group_by: vec![Arc::from("region")],
            regions: BTreeMap::new(),
            before_ms: None,
            horizon_ms: None,
            partial_until_ms: None,
            flush_ms: 1_000,
        };
        let generation = GenerationRecord {
            view: "region".to_owned(),
            generation: 1,
            epoch_us: 1,
            state: GenerationState::Live,
            fingerprint: String::new(),
            meaning: String::new(),
            group: "etiage".to_owned(),
            starts,
        };
        Feed { view: Arc::new(view), columns: vec![(0, 0)], generation: Arc::new(generation) }
    }

    fn assignment(log: std::ops::Range<i64>, committed: Option<(i64, Vec<u8>)>) -> Assignment {
        Assignment {
            partition: TopicPartition { topic: Arc::from("t"), partition: 0 },
            source: SOURCE,
            stream: Arc::from("s"),
            log_start: Offset(log.start),
            log_end: Offset(log.end),
            committed: committed.map(|(offset, metadata)| Committed { offset: Offset(offset), metadata }),
        }
    }

    fn commit(position: i64) -> Commit {
        let tallies = vec![(Width::HOUR, Tally::new(1))];
        let (view, position) = (Arc::from("region"), Offset(position));
        let view = crate::commit::ViewCommit { view, generation: 1, position, max_ms: Some(7), tallies };
        Commit { source: SOURCE, position, leader_epoch: 3, idle_ms: None, kept: Some(Offset(0)), views: vec![view] }
    }

    /// The whole decision, for a store that keeps these positions.
    fn decide(assignment: &Assignment, kept: &[i64], starts: &[(SourceId, i64)]) -> Result<(i64, i32), Refusal> {
        let starts = starts.iter().map(|(source, offset)| (*source, Start::at(Offset(*offset))));
        let kept: Vec<Offset> = kept.iter().copied().map(Offset).collect();
        let commit = committed(assignment, None)?;
        let plan = plan(assignment, commit.as_ref(), &kept, &[], &[feed(starts.collect())])?;
        Ok((plan.position.0, plan.leader_epoch))
    }

    #[test]
    fn a_commit_of_ours_is_gone_on_from() {
        let ours = assignment(0..100, Some((50, commit(50).encode())));
        assert_eq!(decide(&ours, &[0, 40], &[]), Ok((50, 3)));
    }

    #[test]
    fn without_a_commit_the_generation_says_where_and_unnamed_partitions_start_at_zero() {
        assert_eq!(decide(&assignment(20..100, None), &[], &[(SOURCE, 20)]), Ok((20, -1)));
        assert_eq!(decide(&assignment(0..100, None), &[], &[]), Ok((0, -1)));
        let gone = decide(&assignment(20..100, None), &[], &[]);
        assert!(matches!(gone, Err(Refusal::LogBegins { .. })), "{gone:?}");
    }

    #[test]
    fn an_offset_that_does_not_prove_itself_is_refused() {
        for metadata in [Vec::new(), b"somebody else's".to_vec(), commit(49).encode()] {
            let refused = decide(&assignment(0..100, Some((50, metadata))), &[0], &[]);
            assert!(matches!(refused, Err(Refusal::ForeignCommit { .. })), "{refused:?}");
        }
        let mut other = commit(50);
        other.source.topic = TopicId([2; 16]);
        let refused = decide(&assignment(0..100, Some((50, other.encode()))), &[0], &[]);
        assert!(matches!(refused, Err(Refusal::Recreated { .. })), "{refused:?}");
        let refused = decide(&assignment(0..100, Some((50, commit(50).encode_spilled()))), &[0], &[]);
        assert!(matches!(refused, Err(Refusal::SpillMissing { .. })), "{refused:?}");
    }

    #[test]
    fn a_log_or_a_store_that_lacks_what_the_commit_relies_on_is_refused() {
        let at = |log| assignment(log, Some((50, commit(50).encode())));
        assert!(matches!(decide(&at(60..100), &[0], &[]), Err(Refusal::LogBegins { .. })));
        let short = decide(&at(0..40), &[0], &[]);
        assert!(short.as_ref().is_err_and(Refusal::may_pass), "a new leader may lag: {short:?}");
        // An old backup keeps positions, but not the one that the commit names.
        for kept in [&[][..], &[30]] {
            assert!(matches!(decide(&at(0..100), kept, &[]), Err(Refusal::StoreForgot { .. })));
        }
    }

    #[test]
    fn a_replayed_view_goes_on_where_its_replay_stood() {
        let mut feed = feed(BTreeMap::new());
        let of_replay = Commit { leader_epoch: 5, ..commit(70) };
        Arc::make_mut(&mut feed.generation).group = "etiage.g2".to_owned();
        // What the group committed names another generation: it says nothing of this one, and neither does a refusal.
        let mut before = commit(50);
        before.views[0].generation = 0;
        for outcome in [Ok(Some(before)), Err(Refusal::StoreForgot { partition: "t-0".into(), offset: Offset(50) })] {
            assert!(is_of_before("etiage", &outcome, std::iter::empty(), std::slice::from_ref(&feed)));
        }
        let plan_of = |committed: Option<&Commit>| {
            let feeds = [feed.clone()];
            let kept = [Offset(0)];
            plan(&assignment(0..100, None), committed, &kept, std::slice::from_ref(&of_replay), &feeds)
                .map(|plan| (plan.position.0, plan.leader_epoch, plan.anew))
        };
        assert_eq!(plan_of(None), Ok((70, 5, true)));
        // Once it has committed itself, that counts, and is held against the store.
        let ours = commit(80);
        assert!(!is_of_before("etiage", &Ok(Some(ours.clone())), std::iter::empty(), &[feed.clone()]));
        assert!(!is_of_before("etiage", &Ok(None), std::iter::once(ours.clone()), &[feed.clone()]));
        let start = Commit { kept: None, ..ours.clone() };
        assert!(is_of_before("etiage", &Ok(None), std::iter::once(start), &[feed.clone()]));
        assert_eq!(plan_of(Some(&ours)), Ok((80, 3, false)));
    }

    #[test]
    fn a_spilled_commit_is_completed_from_the_store() {
        let spilled = assignment(0..100, Some((50, commit(50).encode_spilled())));
        let whole = committed(&spilled, Some(&commit(50))).expect("joined");
        assert_eq!(whole.map(|commit| commit.views.len()), Some(1));
    }
}
