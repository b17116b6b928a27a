//! Batch boundaries, restarts at every record and evictions at any time leave no trace: every
//! part is bit-identical, and equal to the oracle's.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::commit::{Commit, Metadata};
use crate::durability::WriteTimes;
use crate::part::Stored;
use crate::partition::{FoldStart, Leaving, Partition};
use crate::reading::Offset;
use crate::simulate::Random;
use crate::store::{Slot, Stamp};

use super::log::{self, Entry, LATENESS_MS, Meaning};
use super::oracle::{self, Expected};

/// The parts of one partition in a store that loses nothing.
type Cells = BTreeMap<Slot, (Stamp, Vec<u8>)>;

struct Run<'a> {
    log: &'a [Entry],
    meanings: &'a [Meaning],
    out_of_orderness_ms: i64,
    cells: Cells,
    core: Partition,
}

impl<'a> Run<'a> {
    fn new(log: &'a [Entry], meanings: &'a [Meaning], out_of_orderness_ms: i64) -> Run<'a> {
        let starts = meanings.iter().map(Meaning::start).collect();
        let core = Partition::new(log::source(0), out_of_orderness_ms, -1, starts, Some(Offset(0)));
        Run { log, meanings, out_of_orderness_ms, cells: Cells::new(), core }
    }

    /// Folds the records of a batch; those below the position are a repetition.
    fn fold(&mut self, from: usize, to: usize) {
        let keyed = log::keyed(&self.log[from..to]);
        let judged = self.core.judge(&keyed);
        let wanted = judged.wanted.clone();
        for wanted in wanted {
            let found = self.cells.get(&wanted.slot);
            let part = found.map(|(_, blob)| Stored::decode(blob).unwrap());
            self.core.install(&wanted, part).unwrap();
        }
        self.core.fold(&keyed, judged, to as u64);
    }

    fn flush(&mut self, limit: usize) {
        let mut limit = limit;
        let flush = self.core.begin_flush(0, 0, true, &mut limit);
        for (_, write) in &flush.writes {
            let known = self.cells.get(&write.slot);
            if let Some((stamp, blob)) = known.filter(|(stamp, _)| *stamp == write.stamp) {
                assert_eq!(*blob, write.state, "one revision, one content: {:?} {stamp:?}", write.slot);
            }
            if known.is_none_or(|(stamp, _)| *stamp < write.stamp) {
                self.cells.insert(write.slot.clone(), (write.stamp, write.state.clone()));
            }
        }
        let places: Vec<_> = flush.writes.iter().map(|(at, _)| *at).collect();
        self.core.finish_flush(&places, WriteTimes { issued: 0, acked: 0 }, 0);
    }

    fn commit(&mut self) -> Option<Commit> {
        let (commit, metadata) = self.core.committable(usize::MAX)?;
        assert_eq!(Commit::decode(&metadata), Ok(Metadata::Whole(commit.clone())));
        oracle::assert_commit(&commit, self.log, self.meanings, self.out_of_orderness_ms);
        self.core.commit_acked(commit.position);
        Some(commit)
    }

    /// A new ownership from a commit.
    fn restart(&mut self, commit: &Commit) {
        let start = |meaning: &Meaning| {
            let view = commit.view(meaning.name, 1).unwrap();
            FoldStart {
                position: view.position,
                max_ms: view.max_ms,
                tallies: view.tallies.iter().map(|(_, tally)| tally.clone()).collect(),
                ..meaning.start()
            }
        };
        let starts = self.meanings.iter().map(start).collect();
        self.core =
            Partition::new(log::source(0), self.out_of_orderness_ms, commit.leader_epoch, starts, Some(Offset(0)));
    }

    fn assert_parts(&self) {
        let mut expected = BTreeMap::new();
        for meaning in self.meanings {
            let view = meaning.view();
            let oracle = oracle::group(self.log, i64::MAX, meaning, self.out_of_orderness_ms);
            let slot = |(width, key, start_ms)| view.slot(view.widths[width], &log::key(meaning.set, key), start_ms);
            expected.extend(oracle.parts.into_iter().map(|(place, part)| (slot(place), part)));
        }
        let decode = |(slot, (stamp, blob)): (&Slot, &(Stamp, Vec<u8>))| {
            let part = Expected::decode(blob);
            assert_eq!(stamp.0, log::EPOCH_US + part.revision as i64);
            (slot.clone(), part)
        };
        assert_eq!(self.cells.iter().map(decode).collect::<BTreeMap<_, _>>(), expected);
    }
}

fn at_once(log: &[Entry], meanings: &[Meaning], out_of_orderness_ms: i64) -> Cells {
    let mut run = Run::new(log, meanings, out_of_orderness_ms);
    run.fold(0, log.len());
    run.flush(usize::MAX);
    run.assert_parts();
    run.cells
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn one_batch_equals_the_oracle(seed: u64, length in 0usize..120, first in 0usize..4, second in 0usize..4, late in 0i64..3) {
        let meanings = log::meanings(LATENESS_MS[first], LATENESS_MS[second]);
        at_once(&log::log(seed, length), &meanings, late * 20 * 60_000);
    }

    #[test]
    fn batches_flushes_evictions_and_repetitions_leave_no_trace(
        seed: u64, length in 1usize..80, first in 0usize..4, second in 0usize..4, late in 0i64..3,
    ) {
        let (log, meanings) = (log::log(seed, length), log::meanings(LATENESS_MS[first], LATENESS_MS[second]));
        let out_of_orderness_ms = late * 20 * 60_000;
        let mut random = Random::new(seed ^ 1);
        let mut run = Run::new(&log, &meanings, out_of_orderness_ms);
        let mut at = 0;
        while at < log.len() {
            let from = at - random.below(3).min(at);
            at = (at + random.below(9)).min(log.len());
            run.fold(from.min(at), at);
            if random.chance(0.5) {
                run.flush(if random.chance(0.5) { usize::MAX } else { random.below(4) });
            }
            if random.chance(0.5) {
                run.commit();
            }
            if random.chance(0.5) {
                let untouched_since = [u64::MAX - 1, at as u64 - random.below(9).min(at) as u64][random.below(2)];
                run.core.evict(if random.chance(0.5) { Leaving::Ahead } else { Leaving::Committed { untouched_since } });
            }
        }
        run.flush(usize::MAX);
        run.assert_parts();
        run.commit();
        prop_assert!(run.core.at_rest());
        run.core.evict(Leaving::Committed { untouched_since: u64::MAX - 1 });
        prop_assert_eq!(run.core.parts_in_memory(), 0);
        prop_assert_eq!(&run.cells, &at_once(&log, &meanings, out_of_orderness_ms));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// From the commit of every record on, with a store that is ahead by any amount.
    #[test]
    fn a_restart_at_every_record_leaves_no_trace(
        seed: u64, length in 1usize..40, first in 0usize..4, second in 0usize..4, late in 0i64..3,
    ) {
        let (log, meanings) = (log::log(seed, length), log::meanings(LATENESS_MS[first], LATENESS_MS[second]));
        let out_of_orderness_ms = late * 20 * 60_000;
        let whole = at_once(&log, &meanings, out_of_orderness_ms);
        let mut random = Random::new(seed ^ 2);
        let mut run = Run::new(&log, &meanings, out_of_orderness_ms);
        let mut commits = vec![(0, run.core.snapshot())];
        for at in 0..log.len() {
            run.fold(at, at + 1);
            run.flush(usize::MAX);
            commits.push((at + 1, run.commit().expect("everything is durable")));
        }
        prop_assert_eq!(&run.cells, &whole);
        // The store is as far as the end, or as any other commit allows.
        for (from, commit) in commits {
            run.restart(&commit);
            prop_assert_eq!(run.core.position(), if from == 0 { Offset(0) } else { Offset(log[from - 1].offset + 1) });
            let mut at = from;
            while at < log.len() {
                let to = (at + 1 + random.below(9)).min(log.len());
                run.fold(at, to);
                at = to;
            }
            run.flush(usize::MAX);
            run.commit();
            prop_assert_eq!(&run.cells, &whole);
        }
    }
}
