//! A row does not know which partitions its readings came through, nor in which order their parts
//! were merged.

use proptest::prelude::*;

use crate::closing;
use crate::commit::{Commit, ViewCommit};
use crate::merge::{self, Merged};
use crate::part::{Metrics, Part};
use crate::reading::{Offset, SourceId};
use crate::simulate::Random;
use crate::store::{RowWrite, Slot, Stamp};
use crate::view::View;
use crate::window::Width;

use super::log::{self, HOUR_MS, Meaning};

/// A value of one of the two metrics, with its flags.
type Value = (bool, i64, u8);

fn values() -> impl Strategy<Value = Vec<Value>> {
    let value = prop_oneof![4 => -50_000i64..50_000, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    proptest::collection::vec((any::<bool>(), value, 0u8..8), 1..60)
}

fn meaning() -> Meaning {
    log::meanings(None, None).remove(0)
}

fn slot(view: &View, start_ms: i64) -> Slot {
    view.slot(Width::HOUR, &log::key(0, 1), start_ms)
}

/// The values dealt to so many partitions, one record each.
fn deal(values: &[Value], partitions: usize, random: &mut Random) -> Vec<(SourceId, Vec<u8>)> {
    let mut parts = vec![Part::empty(2); partitions];
    for (metric, value, bits) in values {
        let part = &mut parts[random.below(partitions)];
        assert!(part.begin(part.next));
        part.aggregates[usize::from(*metric)].add(*value, *bits);
    }
    let metrics = Metrics::new(&meaning().view().metrics);
    let held = parts.into_iter().enumerate().filter(|(_, part)| part.revision > 0);
    held.map(|(number, part)| (log::source(number as i32), part.encode(&metrics))).collect()
}

fn rows(parts: &[(SourceId, Vec<u8>)], view: &View) -> Vec<RowWrite> {
    Merged::of(parts, view).unwrap().rows(&slot(view, 0), view, 0)
}

proptest! {
    /// All rows are bit-identical, doubles and all, however the readings were dealt out.
    #[test]
    fn neither_partitioning_nor_order_leaves_a_trace(values in values(), partitions in 1usize..8, seed: u64) {
        let (view, mut random) = (meaning().view(), Random::new(seed));
        let whole = rows(&deal(&values, 1, &mut random), &view);
        let mut shuffled = values;
        (1..shuffled.len()).for_each(|last| shuffled.swap(last, random.below(last + 1)));
        let mut parts = deal(&shuffled, partitions, &mut random);
        for _ in 0..4 {
            (1..parts.len()).for_each(|last| parts.swap(last, random.below(last + 1)));
            let found = rows(&parts, &view);
            let bits = |rows: &[RowWrite]| -> Vec<[u64; 4]> {
                rows.iter().map(|row| [row.mean, row.min, row.max, row.stddev].map(f64::to_bits)).collect()
            };
            prop_assert_eq!(bits(&found), bits(&whole));
            prop_assert_eq!(found, whole.clone());
        }
    }

    /// A merge that saw more of any part has the larger stamp; one that saw the same, the same row.
    #[test]
    fn the_merge_that_saw_most_wins(values in values(), partitions in 1usize..5, seed: u64) {
        let view = meaning().view();
        let cut = values.len() / 2;
        let now = deal(&values, partitions, &mut Random::new(seed));
        let before = deal(&values[..cut], partitions, &mut Random::new(seed));
        let (now, before) = (Merged::of(&now, &view).unwrap(), Merged::of(&before, &view).unwrap());
        prop_assert_eq!(now.revision - before.revision, (values.len() - cut) as u64);
        let stamps = |merged: &Merged| merged.rows(&slot(&view, 0), &view, 0).iter().map(|row| row.stamp).max();
        prop_assert!(cut == 0 || stamps(&before) < stamps(&now));
    }

    /// The cell of a window is the same whoever of the two writes it.
    #[test]
    fn the_mean_before_is_one_cell_from_both_sides(earlier in values(), later in values(), start in -9i64..9) {
        let view = meaning().view();
        let merged = |values: &[Value]| Merged::of(&deal(values, 2, &mut Random::new(1)), &view).unwrap();
        let (first, second) = (merged(&earlier), merged(&later));
        let here = slot(&view, start * HOUR_MS);
        let (_, after) = merge::neighbours(&here, &view).unwrap();
        prop_assert_eq!(after.start_ms, here.start_ms + 3 * HOUR_MS);
        prop_assert_eq!(merge::neighbours(&after, &view).unwrap().0, here.clone());
        let cells = merge::before(&first, &second, &after, &view);
        for cell in &cells {
            prop_assert_eq!(&cell.slot, &after);
            prop_assert_eq!(cell.stamp, Stamp(log::EPOCH_US + first.revision as i64));
            let row = first.rows(&here, &view, 0).into_iter().find(|row| row.metric == cell.metric).unwrap();
            prop_assert_eq!(cell.mean_before.to_bits(), row.mean.to_bits());
        }
        let both = |metric: bool| [&earlier, &later].iter().all(|values| values.iter().any(|value| value.0 == metric));
        prop_assert_eq!(cells.len(), usize::from(both(false)) + usize::from(both(true)));
    }

    /// Final, by the partition's own commit, is exactly what the next record would be late for.
    #[test]
    fn a_final_window_takes_no_reading(max_ms in any::<i32>(), out_of_orderness_ms in 0i64..100, lateness_ms in 0i64..100) {
        let view = View { allowed_lateness_ms: Some(lateness_ms), ..std::sync::Arc::into_inner(meaning().view()).unwrap() };
        let at = ViewCommit { view: "near".into(), generation: 1, position: Offset(1), max_ms: Some(max_ms.into()), tallies: Vec::new() };
        let commit = Commit { source: log::source(0), position: Offset(1), leader_epoch: -1, idle_ms: None, kept: None, views: vec![at] };
        let watermark_ms = closing::partition_watermark(&commit, "near", 1, out_of_orderness_ms);
        let cursor_ms = closing::cursor(&[watermark_ms], view.allowed_lateness_ms).unwrap();
        for end_ms in cursor_ms - 2..cursor_ms + 3 {
            prop_assert_eq!(end_ms <= cursor_ms, view.is_late(end_ms, watermark_ms));
        }
        prop_assert_eq!(closing::partition_watermark(&commit, "near", 2, out_of_orderness_ms), None);
    }
}

#[test]
fn only_hours_look_three_hours_back() {
    let view = meaning().view();
    assert!(merge::neighbours(&view.slot("6h".parse().unwrap(), &log::key(0, 0), 0), &view).is_none());
}

#[test]
fn no_parts_are_no_row_and_a_corrupted_part_is_told() {
    let view = meaning().view();
    assert_eq!(rows(&[], &view), []);
    let error = Merged::of(&[(log::source(3), vec![1, 2, 3, 4, 5, 6])], &view).unwrap_err();
    assert!(error.to_string().contains("partition: 3"), "{error}");
}
