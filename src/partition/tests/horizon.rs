//! Windows that start at or before the horizon are counted and left alone, in each width by itself.

use std::sync::Arc;

use crate::partition::{FoldStart, Partition, VerdictKind};
use crate::view::View;

use super::log::{self, Entry, HOUR_MS, Meaning, Reading};

#[test]
fn what_belongs_to_a_window_before_the_horizon_changes_nothing() {
    let meaning = Meaning { widths: vec!["1h", "6h"], ..log::meanings(None, None).remove(0) };
    let view = View { horizon_ms: Some(7 * HOUR_MS), ..Arc::into_inner(meaning.view()).unwrap() };
    let start = FoldStart { view: Arc::new(view), ..meaning.start() };
    let mut core = Partition::new(log::source(0), 0, -1, vec![start], None);
    let reading = |hour: i64| {
        let time_ms = hour * HOUR_MS + 5;
        Reading { time_ms, place: [Some(0); 2], filtered: false, values: [Some((1, 0)); 3], others: Vec::new() }
    };
    // The window of six hours from 6 on has begun before the horizon, that from 12 on has not.
    let readings = [3, 7, 8, 12].map(reading).into();
    let keyed = log::keyed(&[Entry { offset: 0, readings, rejected: 0 }]);
    let judged = core.judge(&keyed);
    let verdicts = core.fold(&keyed, judged, 0);
    let tallies = &core.snapshot().views[0].tallies;
    let counts = |at: usize| (tallies[at].1.seen, tallies[at].1.folded, tallies[at].1.before_history);
    assert_eq!((counts(0), counts(1)), ((4, 2, 2), (4, 1, 3)));
    assert!(tallies.iter().all(|(_, tally)| tally.adds_up()));
    assert!(verdicts.iter().all(|verdict| verdict.kind == VerdictKind::BeforeHistory) && verdicts.len() == 5);
    let mut limit = usize::MAX;
    let mut written = core.begin_flush(0, 0, true, &mut limit).writes;
    written.sort_by_key(|(_, write)| (write.slot.width, write.slot.start_ms));
    let starts: Vec<i64> = written.iter().map(|(_, write)| write.slot.start_ms / HOUR_MS).collect();
    assert_eq!(starts, [8, 12, 12]);
}
