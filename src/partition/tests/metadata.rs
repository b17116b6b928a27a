//! Commits whose metadata does not fit beside the offset, and those of idle partitions.

use crate::commit::{Commit, Metadata};
use crate::durability::WriteTimes;
use crate::partition::{FoldStart, Partition};
use crate::reading::TopicPartition;
use crate::source::{Assignment, Committed};
use crate::start::{self, Refusal};
use crate::store::PositionKind;

use super::log::{self, Meaning};

const LAG: u64 = 100;

fn partition(starts: Vec<FoldStart>) -> Partition {
    Partition::new(log::source(0), 0, -1, starts, Some(crate::reading::Offset(0)))
}

/// Some log, folded and not written.
fn folded() -> Partition {
    let mut core = partition(log::meanings(None, None).iter().map(Meaning::start).collect());
    let keyed = log::keyed(&log::log(1, 20));
    let judged = core.judge(&keyed);
    assert!(judged.wanted.is_empty());
    core.fold(&keyed, judged, 0);
    core
}

/// One flush that takes no time. Returns the spills that it wrote.
fn flush(core: &mut Partition, now: u64, lag: u64) -> Vec<Commit> {
    let mut limit = usize::MAX;
    let flush = core.begin_flush(now, lag, true, &mut limit);
    let places: Vec<_> = flush.writes.iter().map(|(at, _)| *at).collect();
    core.finish_flush(&places, WriteTimes { issued: now, acked: now }, lag);
    let spills = flush.positions.into_iter().filter(|(kind, _)| *kind == PositionKind::Spill);
    spills.map(|(_, commit)| commit).collect()
}

fn assignment(offset: crate::reading::Offset, metadata: Vec<u8>) -> Assignment {
    Assignment {
        partition: TopicPartition { topic: "topic".into(), partition: 0 },
        source: log::source(0),
        stream: "stream".into(),
        log_start: offset,
        log_end: offset,
        committed: Some(Committed { offset, metadata }),
    }
}

#[test]
fn metadata_that_does_not_fit_is_proven_in_the_store_first() {
    let mut core = folded();
    assert_eq!(core.committable(10), None, "nothing is durable");
    flush(&mut core, 0, LAG);
    assert_eq!(core.committable(10), None, "nothing is proven");
    flush(&mut core, LAG, LAG);
    assert_eq!(core.committable(10), None, "durable, and too long");
    let spilled = flush(&mut core, LAG + 1, LAG);
    assert_eq!(spilled.len(), 1);
    assert_eq!(core.committable(10), None, "the spill is not proven");
    core.fail_flush(&[]);
    assert_eq!(flush(&mut core, LAG + 2, LAG), [], "its second write is not due");
    assert_eq!(flush(&mut core, 2 * LAG + 1, LAG), spilled);
    let (commit, metadata) = core.committable(10).expect("proven");
    assert_eq!(commit, spilled[0]);
    assert!(matches!(Commit::decode(&metadata), Ok(Metadata::Spilled(_))));

    let assignment = assignment(commit.position, metadata);
    assert_eq!(start::committed(&assignment, Some(&commit)), Ok(Some(commit.clone())));
    assert!(matches!(start::committed(&assignment, None), Err(Refusal::SpillMissing { .. })));
}

#[test]
fn a_spill_that_failed_is_written_again() {
    let mut core = folded();
    flush(&mut core, 0, 0);
    assert_eq!(core.committable(10), None);
    let mut limit = usize::MAX;
    let lost = core.begin_flush(1, 0, true, &mut limit);
    assert_eq!(lost.positions.len(), 1);
    assert_eq!(core.committable(10), None);
    core.fail_flush(&[]);
    assert_eq!(core.committable(10), None);
    assert_eq!(flush(&mut core, 2, 0), [lost.positions[0].1.clone()]);
    assert!(core.committable(10).is_some());
}

#[test]
fn tallies_that_do_not_add_up_are_counted() {
    assert_eq!(folded().tallies_off(), 0);
    let mut starts: Vec<FoldStart> = log::meanings(None, None).iter().map(Meaning::start).collect();
    starts[0].tallies[1].seen = 1;
    starts[1].tallies[0].late = 1;
    assert_eq!(partition(starts).tallies_off(), 2);
}

/// Everything durable and committed, within the limit.
fn at_rest(limit: usize) -> (Partition, Commit) {
    let mut core = folded();
    for now in 0..4 {
        flush(&mut core, now, 0);
        if let Some((commit, _)) = core.committable(limit) {
            core.commit_acked(commit.position);
            assert!(core.at_rest());
            return (core, commit);
        }
    }
    panic!("it was never committed");
}

fn idle_metadata(core: &mut Partition, limit: usize) -> Option<Metadata> {
    let (commit, metadata) = core.idle_commit(1_600_000_000_000, limit)?;
    assert!(metadata.len() <= limit.max(commit.encode_spilled().len()));
    Some(Commit::decode(&metadata).unwrap())
}

#[test]
fn an_idle_partition_commits_its_clock_whole_or_beside_the_spill() {
    let (mut core, commit) = at_rest(4_096);
    let idle = Commit { idle_ms: Some(1_600_000_000_000), ..commit };
    assert_eq!(idle_metadata(&mut core, 4_096), Some(Metadata::Whole(idle.clone())));

    let (mut core, commit) = at_rest(10);
    let Some(Metadata::Spilled(head)) = idle_metadata(&mut core, 10) else { panic!("beside the spill") };
    assert_eq!(head.join(&commit), Some(idle));
}

#[test]
fn nothing_is_idle_while_something_is_not_committed() {
    let mut core = folded();
    assert_eq!(idle_metadata(&mut core, 4_096), None);
    flush(&mut core, 0, 0);
    assert_eq!(idle_metadata(&mut core, 4_096), None);
}

/// The clock's watermark makes the metadata longer: a commit that just fitted must not keep the
/// partition from ever being idle.
#[test]
fn an_idle_commit_that_no_longer_fits_is_spilled() {
    let (_, commit) = at_rest(4_096);
    let limit = commit.encode().len();
    let (mut core, _) = at_rest(limit);
    assert_idle_after_a_spill(&mut core, limit);
}

/// Another owner spilled the commit: this one does not know that the spill is there.
#[test]
fn a_spilled_commit_of_another_owner_can_be_idle() {
    let (_, commit) = at_rest(10);
    let start = |meaning: &Meaning| {
        let view = commit.view(meaning.name, 1).unwrap();
        let tallies = view.tallies.iter().map(|(_, tally)| tally.clone()).collect();
        FoldStart { position: view.position, max_ms: view.max_ms, tallies, ..meaning.start() }
    };
    let mut core = partition(log::meanings(None, None).iter().map(start).collect());
    assert!(core.at_rest());
    assert_idle_after_a_spill(&mut core, 10);
}

fn assert_idle_after_a_spill(core: &mut Partition, limit: usize) {
    assert_eq!(idle_metadata(core, limit), None);
    let spilled = flush(core, 9, 0);
    let (commit, _) = core.committable(limit).expect("the spilled commit stands in for the whole one");
    assert_eq!(spilled, std::slice::from_ref(&commit));
    core.commit_acked(commit.position);
    let Some(Metadata::Spilled(head)) = idle_metadata(core, limit) else { panic!("idle at last") };
    assert_eq!(head.join(&commit).map(|idle| idle.views), Some(commit.views));
}
