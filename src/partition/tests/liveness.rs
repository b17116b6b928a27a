//! What is durable is committed in the end: whatever the flush interval, the flush limit, the
//! commit lag, and however much the partition has to do meanwhile.

use std::sync::Arc;

use crate::durability::WriteTimes;
use crate::partition::{At, FoldStart, Partition};
use crate::reading::Offset;
use crate::store::Slot;
use crate::view::View;

use super::log::{self, Entry, HOUR_MS, Meaning, Reading};

/// A partition under steady load, on a store that takes a while and never fails.
struct Steady {
    core: Partition,
    now: u64,
    lag: u64,
    flush_takes: u64,
    limit: usize,
    /// (done at, issued at, places)
    flushing: Option<(u64, u64, Vec<At>)>,
    written: Vec<Slot>,
}

impl Steady {
    fn new(meanings: &[Meaning], flush_ms: u64, lag: u64) -> Steady {
        let start = |meaning: &Meaning| {
            let view = View { flush_ms, ..Arc::into_inner(meaning.view()).unwrap() };
            FoldStart { view: Arc::new(view), ..meaning.start() }
        };
        let core = Partition::new(log::source(0), 0, -1, meanings.iter().map(start).collect(), None);
        Steady { core, now: 0, lag, flush_takes: 10, limit: usize::MAX, flushing: None, written: Vec::new() }
    }

    fn fold(&mut self, entry: Entry) {
        let keyed = log::keyed(&[entry]);
        let judged = self.core.judge(&keyed);
        assert!(judged.wanted.is_empty(), "nothing is older than this ownership");
        self.core.fold(&keyed, judged, self.now);
    }

    /// What the loop does at a tick.
    fn tick(&mut self, ms: u64) {
        self.now += ms;
        if let Some((_, issued, places)) = self.flushing.take_if(|(done, _, _)| *done <= self.now) {
            self.core.finish_flush(&places, WriteTimes { issued, acked: self.now }, self.lag);
        }
        if self.flushing.is_none() {
            let mut limit = self.limit;
            let mut all = self.core.begin_second_writes(self.now, self.lag, &mut limit);
            all.extend(self.core.begin_flush(self.now, self.lag, false, &mut limit).writes);
            let (places, writes): (Vec<At>, Vec<_>) = all.into_iter().unzip();
            self.written.extend(writes.into_iter().map(|write| write.slot));
            self.flushing = Some((self.now + self.flush_takes, self.now, places));
        }
        if let Some((commit, _)) = self.core.committable(usize::MAX) {
            self.core.commit_acked(commit.position);
        }
    }
}

/// A reading in a window of an hour, in both region sets.
fn entry(offset: i64, key: u32, time_ms: i64) -> Entry {
    let values = [Some((offset, 0)); 3];
    let reading = Reading { time_ms, place: [Some(key); 2], filtered: false, values, others: Vec::new() };
    Entry { offset, readings: vec![reading], rejected: 0 }
}

/// Folds without a pause, and tells how far behind the commits were at most, ms, after a while.
fn furthest_behind(flush_ms: u64, lag: u64) -> i64 {
    let mut steady = Steady::new(&log::meanings(None, None), flush_ms, lag);
    let rounds = 60 * (lag + flush_ms) / 50;
    let mut behind = 0;
    for round in 0..rounds {
        steady.fold(entry(round as i64, 0, 10 * HOUR_MS));
        steady.tick(50);
        if round > rounds / 3 {
            behind = behind.max((round as i64 - steady.core.committed().0) * 50);
        }
    }
    behind
}

#[test]
fn a_hot_part_is_committed_all_the_while() {
    for (flush_ms, lag) in [(1_000, 0), (1_000, 20_000), (50, 20_000), (1_000, 120_000), (60_000, 20_000)] {
        let (behind, allowed) = (furthest_behind(flush_ms, lag), 4 * lag + 4 * flush_ms);
        assert!(behind <= allowed as i64, "flush {flush_ms} ms, lag {lag} ms: {behind} ms behind");
    }
}

/// When a partition under steady load is flushed that gets no turn before `from`.
fn flushed_at(from: u64) -> Vec<u64> {
    let mut steady = Steady::new(&log::meanings(None, None), 1_000, 0);
    let mut times = Vec::new();
    for offset in 0..100 {
        let before = steady.written.len();
        steady.limit = if steady.now < from { 0 } else { usize::MAX };
        steady.fold(entry(offset, 0, 10 * HOUR_MS));
        steady.tick(50);
        if steady.written.len() > before {
            times.push(steady.now);
        }
    }
    times
}

#[test]
fn partitions_are_flushed_at_the_same_ticks_however_late_one_of_them_was() {
    let (early, late) = (flushed_at(0), flushed_at(1_500));
    assert_eq!(early, [1_000, 2_000, 3_000, 4_000, 5_000]);
    assert_eq!(late[1..], early[1..]);
    assert!((1_500..2_000).contains(&late[0]), "{late:?}");
}

#[test]
fn a_flush_that_failed_is_repeated_whatever_the_interval() {
    const MINUTE_MS: u64 = 60_000;
    let mut steady = Steady::new(&log::meanings(None, None), MINUTE_MS, 0);
    let mut flush = |offset: i64, now: u64| {
        steady.fold(entry(offset, 0, 10 * HOUR_MS));
        let mut limit = usize::MAX;
        let writes = steady.core.begin_flush(now, 0, false, &mut limit).writes;
        let places: Vec<At> = writes.into_iter().map(|(place, _)| place).collect();
        match now {
            MINUTE_MS => steady.core.fail_flush(&places),
            _ => steady.core.finish_flush(&places, WriteTimes { issued: now, acked: now }, 0),
        }
        places.len()
    };
    let failed = flush(0, MINUTE_MS);
    assert!(failed > 0);
    assert_eq!(flush(1, MINUTE_MS + 50), failed);
    assert_eq!(flush(2, MINUTE_MS + 100), 0);
    assert_eq!(flush(3, 2 * MINUTE_MS), failed);
}

#[test]
fn a_small_limit_starves_no_width_and_no_view() {
    let mut steady = Steady::new(&log::meanings(None, None), 50, 0);
    steady.limit = 2;
    for offset in 0..200 {
        for key in 0..3 {
            steady.fold(entry(3 * offset + i64::from(key), key, 10 * HOUR_MS));
        }
        steady.tick(50);
    }
    for meaning in log::meanings(None, None) {
        let view = meaning.view();
        for width in &view.widths {
            for key in 0..3 {
                let slot = view.slot(*width, &log::key(meaning.set, key), view.window(*width, 10 * HOUR_MS).start_ms);
                let written = steady.written.iter().filter(|written| **written == slot).count();
                assert!(written > 10, "{slot:?} was written {written} times");
            }
        }
    }
}

/// An owner comes to a partition that is far behind, and the store takes little at a time: what is written is committed
/// step by step, not when all of it is.
#[test]
fn much_at_once_on_a_slow_store_is_committed_step_by_step() {
    for lag in [0, 1_000] {
        let mut steady = Steady::new(&log::meanings(None, None)[..1], 50, lag);
        steady.limit = 10;
        // Each has a part of its own, of three keys in so many hours; six hours share one of the wider windows.
        const READINGS: i64 = 900;
        (0..READINGS).for_each(|offset| steady.fold(entry(offset, (offset % 3) as u32, (10 + offset / 3) * HOUR_MS)));
        // Every part is written once or twice, ten of them a tick.
        let ticks = READINGS as u64 / 10 * 7 / 6 * if lag == 0 { 1 } else { 2 };
        let mut committed = Vec::new();
        for _ in 0..4 {
            (0..ticks / 4).for_each(|_| steady.tick(50));
            committed.push(steady.core.committed().0);
        }
        assert!(committed[1] >= READINGS / 4 && committed[2] >= READINGS / 2, "lag {lag} ms: {committed:?}");
    }
}

#[test]
fn a_view_that_the_limit_cut_short_does_not_wait_for_its_next_interval() {
    let mut steady = Steady::new(&log::meanings(None, None)[..1], 600_000, 0);
    steady.limit = 1;
    steady.tick(600_000);
    (0..3).for_each(|key| steady.fold(entry(key.into(), key, 10 * HOUR_MS)));
    steady.now += 600_000;
    (0..10).for_each(|_| steady.tick(50));
    assert_eq!(steady.core.committed(), Offset(3));
}
