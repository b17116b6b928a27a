//! What was read back is written back before a commit relies on it; what holds nothing is never
//! written.

use crate::durability::WriteTimes;
use crate::part::{Metrics, Part, Stored};
use crate::partition::{At, FoldStart, Leaving, Partition};
use crate::reading::Offset;
use crate::store::PartWrite;

use super::log::{self, Entry, HOUR_MS, Meaning, Reading};

const LAG: u64 = 100;
const COLD: Leaving = Leaving::Committed { untouched_since: u64::MAX - 1 };

fn meaning() -> Meaning {
    Meaning { widths: vec!["1h"], ..log::meanings(None, None).remove(0) }
}

fn entry(offset: i64, value: Option<i64>) -> Entry {
    let values = [value.map(|value| (value, 0)); 3];
    let reading = Reading { time_ms: 10 * HOUR_MS, place: [Some(0); 2], filtered: false, values, others: Vec::new() };
    Entry { offset, readings: vec![reading], rejected: 0 }
}

/// An ownership from offset 5 on, in the middle of the window of all records.
fn taken_over() -> Partition {
    let start = FoldStart { position: Offset(5), max_ms: Some(10 * HOUR_MS), ..meaning().start() };
    Partition::new(log::source(0), 0, -1, vec![start], Some(crate::reading::Offset(0)))
}

/// The part as the log's first records leave it.
fn part(records: i64) -> Part {
    let mut part = Part::empty(2);
    for offset in 0..records {
        assert!(part.begin(Offset(offset)));
        part.aggregates.iter_mut().for_each(|aggregate| aggregate.add(offset, 0));
    }
    part
}

fn stored(part: &Part) -> Stored {
    Stored::decode(&blob(part)).unwrap()
}

fn blob(part: &Part) -> Vec<u8> {
    part.encode(&Metrics::new(&meaning().view().metrics))
}

/// Folds one record, after reading the one part back that it wants.
fn fold(core: &mut Partition, entry: Entry, found: impl Into<Option<Part>>) {
    let keyed = log::keyed(&[entry]);
    let judged = core.judge(&keyed);
    assert_eq!(judged.wanted.len(), 1);
    assert_eq!(core.evict(COLD), 0, "a judged batch refers to its entries");
    core.install(&judged.wanted[0], found.into().map(|part| stored(&part))).unwrap();
    core.fold(&keyed, judged, 0);
}

fn flush(core: &mut Partition, now: u64) -> Vec<PartWrite> {
    let mut limit = usize::MAX;
    let flush = core.begin_flush(now, LAG, true, &mut limit);
    let (places, writes): (Vec<At>, Vec<PartWrite>) = flush.writes.into_iter().unzip();
    core.finish_flush(&places, WriteTimes { issued: now, acked: now }, LAG);
    writes
}

fn committable(core: &mut Partition) -> Option<Offset> {
    core.committable(usize::MAX).map(|(commit, _)| commit.position)
}

#[test]
fn a_part_that_the_commit_vouches_for_is_written_back_once_though_nothing_changed() {
    let mut core = taken_over();
    fold(&mut core, entry(5, None), part(5));
    assert_eq!(committable(&mut core), None, "not written back");
    let writes = flush(&mut core, 0);
    assert_eq!(writes.iter().map(|write| write.state.clone()).collect::<Vec<_>>(), [blob(&part(5))]);
    assert_eq!(committable(&mut core), Some(Offset(6)));
    assert_eq!(flush(&mut core, LAG), []);
}

#[test]
fn a_part_beyond_the_commit_is_written_twice_though_nothing_changed() {
    let mut core = taken_over();
    fold(&mut core, entry(5, Some(5)), part(6));
    assert_eq!(core.holds(), Some(Offset(5)));
    assert_eq!(flush(&mut core, 0).len(), 1);
    assert_eq!(committable(&mut core), None, "a power cut may still undo it, and whoever wrote it first");
    assert_eq!(flush(&mut core, LAG).len(), 1);
    assert_eq!(committable(&mut core), Some(Offset(6)));
}

/// An owner before has written all of it, and committed nothing: step by step, as far as it is proven.
#[test]
fn a_part_that_is_read_back_holds_up_only_what_belongs_to_it() {
    let mut core = taken_over();
    let later = |offset: i64| {
        let mut later = entry(offset, Some(offset));
        later.readings[0].time_ms -= HOUR_MS;
        later
    };
    fold(&mut core, entry(5, Some(5)), part(6));
    let mut beyond = Part::empty(2);
    assert!(beyond.begin(Offset(8)));
    fold(&mut core, later(8), beyond);
    assert_eq!(core.holds(), Some(Offset(5)));
    for now in [0, LAG] {
        let mut limit = 1;
        let flush = core.begin_flush(now, LAG, true, &mut limit);
        let (places, writes): (Vec<At>, Vec<PartWrite>) = flush.writes.into_iter().unzip();
        assert_eq!((writes.len(), writes[0].slot.start_ms), (1, 10 * HOUR_MS), "what has waited longest");
        core.finish_flush(&places, WriteTimes { issued: now, acked: now }, LAG);
    }
    assert_eq!(core.holds(), Some(Offset(8)));
    assert_eq!(committable(&mut core), Some(Offset(6)));
}

#[test]
fn a_part_that_another_owner_took_further_stays_as_it_is() {
    let mut core = taken_over();
    fold(&mut core, entry(5, Some(5)), part(9));
    let keyed = log::keyed(&(6..10).map(|offset| entry(offset, Some(offset))).collect::<Vec<_>>());
    let judged = core.judge(&keyed);
    assert!(judged.wanted.is_empty(), "it is in memory");
    core.fold(&keyed, judged, 0);
    assert_eq!(flush(&mut core, 0)[0].state, blob(&part(10)));
}

#[test]
fn readings_without_a_value_write_nothing_and_hold_nothing_up() {
    let start = meaning().start();
    let mut core = Partition::new(log::source(0), 0, -1, vec![start], Some(crate::reading::Offset(0)));
    let keyed = log::keyed(&[entry(0, None), entry(1, None)]);
    let judged = core.judge(&keyed);
    core.fold(&keyed, judged, 0);
    assert_eq!(core.parts_in_memory(), 1);
    assert_eq!(committable(&mut core), Some(Offset(2)));
    assert_eq!(flush(&mut core, 0), []);
    assert_eq!(core.evict(Leaving::Committed { untouched_since: 0 }), 1);
    assert_eq!(core.snapshot().views[0].tallies[0].1.missing, [2, 2]);
}

/// Neither while it flies nor after it failed.
#[test]
fn an_entry_is_not_given_away_while_its_write_is_under_way() {
    let mut core = taken_over();
    fold(&mut core, entry(5, None), part(5));
    let mut limit = usize::MAX;
    let flying = core.begin_flush(0, LAG, true, &mut limit);
    let places: Vec<At> = flying.writes.iter().map(|(at, _)| *at).collect();
    assert_eq!(core.evict(COLD), 0, "in flight");
    core.fail_flush(&places);
    assert_eq!(core.evict(COLD), 0, "to be repeated");
    assert_eq!(flush(&mut core, 1).len(), 1);
    assert_eq!(core.evict(COLD), 1);
}
