//! Rows: the same in both tables whatever the order of their writes; `final` and `mean_before`
//! in cells of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::{EPOCH, HOUR_14, KEYS, heard, must, orders, row, slot, stamp};
use crate::store::{BeforeWrite, Row, RowId, RowQuery, RowWrite, Slot, Stamp, Store};
use crate::window::Width;

const HOUR: i64 = 3_600_000;

pub async fn run(store: &dyn Store) {
    the_highest_revision_wins_in_both_tables(store).await;
    equal_stamps_end_the_same_in_any_order(store).await;
    numbers_and_labels_read_back_exactly(store).await;
    rows_without_a_count_are_listed_but_not_returned(store).await;
    final_and_mean_before_stay_whatever_the_row_does(store).await;
    queries_take_ranges(store).await;
    queries_do_not_mix(store).await;
    any_key_is_found(store).await;
    listing_finds_what_starts_in_a_range(store).await;
    long_windows_lie_in_the_months_bucket(store).await;
    tenants_lie_apart(store).await;
    what_a_later_generation_did_not_write_is_removed(store).await;
    what_began_before_the_horizon_stays(store).await;
    large_batches(store).await;
    mixed_batches(store).await;
}

fn query(view: &str, key: Option<&str>, from_ms: Option<i64>, to_ms: Option<i64>) -> RowQuery {
    let metric = "temperature".to_owned();
    RowQuery {
        view: view.into(),
        width: Width::HOUR,
        metric,
        tenant: String::new(),
        key: key.map(str::to_owned),
        from_ms,
        to_ms,
    }
}

/// One row through each of the tables, which must agree.
async fn one(store: &dyn Store, slot: &Slot) -> Option<Row> {
    let by_key =
        must(store.rows(&query(&slot.view, Some(&slot.key), Some(slot.start_ms), Some(slot.start_ms + 1))).await);
    let mut by_time = must(store.rows(&query(&slot.view, None, Some(slot.start_ms), Some(slot.start_ms + 1))).await);
    by_time.retain(|row| *row.key == *slot.key);
    assert_eq!(by_key, by_time, "both tables hold the same row");
    assert!(by_key.len() <= 1);
    by_key.into_iter().next()
}

/// The row that a write must be read as.
fn read_as(write: &RowWrite) -> Row {
    Row {
        view: write.slot.view.to_string(),
        width: write.slot.width.to_string(),
        metric: write.metric.to_string(),
        tenant: write.slot.tenant.to_string(),
        key: write.slot.key.to_string(),
        start_ms: write.slot.start_ms,
        end_ms: write.end_ms,
        label: write.label.to_string(),
        labels: write.labels.clone(),
        count: write.count,
        mean: write.mean,
        min: write.min,
        max: write.max,
        stddev: write.stddev,
        alarms: write.alarms,
        active: write.active,
        outliers: write.outliers,
        partial: write.partial,
        mean_before: None,
        is_final: false,
        revision: write.revision,
        generation: write.slot.generation as i32,
        updated_at_ms: write.updated_at_ms,
    }
}

fn id(slot: &Slot) -> RowId {
    RowId { slot: slot.clone(), metric: "temperature".into() }
}

fn before(slot: &Slot, mean_before: f64, revision: i64) -> BeforeWrite {
    BeforeWrite { slot: slot.clone(), metric: "temperature".into(), mean_before, stamp: stamp(revision) }
}

async fn listed(
    store: &dyn Store,
    view: &str,
    generation: u32,
    width: Width,
    from_ms: Option<i64>,
    before_ms: i64,
) -> Vec<RowId> {
    heard(async |pieces| store.list_rows(view, generation, width, from_ms, before_ms, pieces).await).await
}

async fn the_highest_revision_wins_in_both_tables(store: &dyn Store) {
    for (index, order) in orders().iter().enumerate() {
        let slot = slot("rows-order", &index.to_string(), HOUR_14);
        for revision in order.iter().chain(order.first()) {
            let write = row(&slot, *revision);
            must(store.write_rows(&[write.clone(), write.clone()]).await);
            must(store.write_rows(&[write]).await);
        }
        assert_eq!(one(store, &slot).await, Some(read_as(&row(&slot, 4))), "order {order:?}");
    }
}

/// Two merges may tie with different parts: a row may be a mixture, but the same one everywhere.
async fn equal_stamps_end_the_same_in_any_order(store: &dyn Store) {
    let [there, back] = ["there", "back"].map(|key| slot("rows-tie", key, HOUR_14));
    let tied = |slot: &Slot, revision| RowWrite { stamp: stamp(1), ..row(slot, revision) };
    for revision in [2, 3, 1] {
        must(store.write_rows(&[tied(&there, revision)]).await);
        must(store.write_rows(&[tied(&back, 4 - revision)]).await);
    }
    let back = one(store, &back).await.map(|row| Row { key: "there".into(), ..row });
    assert!(back.is_some() && one(store, &there).await == back);
}

async fn numbers_and_labels_read_back_exactly(store: &dyn Store) {
    let doubles =
        [0.1 + 0.2, -273.15, f64::MAX, f64::MIN_POSITIVE / 4.0, 1.0 / 3.0, 0.0, -1e-300, 9_007_199_254_740_993.0];
    for (index, value) in doubles.into_iter().enumerate() {
        let slot = slot("rows-exact", &index.to_string(), HOUR_14);
        let labels = BTreeMap::from([
            ("station".to_owned(), "Brest-Guipavas / 東京".to_owned()),
            (String::new(), String::new()),
        ]);
        let write = RowWrite {
            labels: if index == 0 { BTreeMap::new() } else { labels },
            label: if index == 0 { "".into() } else { "Auvergne-Rhône-Alpes".into() },
            mean: value,
            min: -value,
            max: value,
            stddev: value.abs(),
            count: i64::MAX,
            outliers: 0,
            ..row(&slot, 1)
        };
        must(store.write_rows(std::slice::from_ref(&write)).await);
        must(store.write_before(&[before(&slot, value, 1)]).await);
        let read = one(store, &slot).await;
        assert_eq!(read, Some(Row { mean_before: Some(value), ..read_as(&write) }));
        let bits = read.map(|row| [row.mean, row.max, row.stddev].map(f64::to_bits));
        assert_eq!(bits, Some([value, value, value.abs()].map(f64::to_bits)), "{value:e}");
    }
}

async fn rows_without_a_count_are_listed_but_not_returned(store: &dyn Store) {
    let [marked, known] = ["marked", "known"].map(|key| slot("rows-bare", key, HOUR_14));
    must(store.mark_final(&[id(&marked)], Stamp(EPOCH)).await);
    must(store.write_before(&[before(&known, 7.5, 3)]).await);
    assert!(must(store.rows(&query("rows-bare", None, None, None)).await).is_empty());
    assert_eq!((one(store, &marked).await, one(store, &known).await), (None, None));
    let listed = listed(store, "rows-bare", 1, Width::HOUR, None, HOUR_14 + 1).await;
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([id(&known), id(&marked)]));

    must(store.write_rows(&[row(&marked, 2), row(&known, 2)]).await);
    assert_eq!(one(store, &marked).await, Some(Row { is_final: true, ..read_as(&row(&marked, 2)) }));
    assert_eq!(one(store, &known).await, Some(Row { mean_before: Some(7.5), ..read_as(&row(&known, 2)) }));
}

async fn final_and_mean_before_stay_whatever_the_row_does(store: &dyn Store) {
    let slot = slot("rows-final", "53", HOUR_14);
    must(store.write_rows(&[row(&slot, 5)]).await);
    must(store.write_before(&[before(&slot, 2.0, 2), before(&slot, 1.0, 1)]).await);
    must(store.mark_final(&[id(&slot), id(&slot)], Stamp(EPOCH)).await);
    for revision in [6, 5, 7, 3] {
        must(store.write_rows(&[row(&slot, revision)]).await);
        must(store.write_before(&[before(&slot, 1.0, 1)]).await);
    }
    let expected = Row { mean_before: Some(2.0), is_final: true, ..read_as(&row(&slot, 7)) };
    assert_eq!(one(store, &slot).await, Some(expected.clone()));
    must(store.mark_final(&[id(&slot)], Stamp(EPOCH)).await);
    must(store.write_before(&[before(&slot, -2.0, 100)]).await);
    assert_eq!(one(store, &slot).await, Some(Row { mean_before: Some(-2.0), ..expected }));
}

/// Each cell by its own stamp: a row, its mark and the mean before it are of the generation that wrote them last.
async fn what_a_later_generation_did_not_write_is_removed(store: &dyn Store) {
    let old = |key: &str| slot("rows-remove", key, HOUR_14);
    let new = |key: &str| Slot { generation: 2, ..old(key) };
    let (all, next) = (["kept", "gone", "bare", "marked"], 1_000_000);
    for (index, key) in all.iter().enumerate() {
        let far = Slot { start_ms: HOUR_14 + 400 * 24 * HOUR * index as i64, ..old(key) };
        must(store.write_rows(&[row(&old(key), 5), row(&far, 3)]).await);
        must(store.write_before(&[before(&old(key), 1.0, 2)]).await);
        must(store.mark_final(&[id(&old(key))], Stamp(EPOCH)).await);
    }
    must(store.write_rows(&[row(&slot("rows-remove-2", "kept", HOUR_14), 5)]).await);
    for key in ["kept", "marked"] {
        must(store.write_rows(&[RowWrite { stamp: Stamp(EPOCH + next + 1), ..row(&new(key), 1) }]).await);
    }
    must(store.mark_final(&[id(&new("marked"))], Stamp(EPOCH + next)).await);
    must(store.write_before(&[before(&new("marked"), 9.0, next + 1)]).await);
    // As often as needed, and whatever comes late from before.
    for _ in 0..2 {
        must(store.remove_rows("rows-remove", Stamp(EPOCH + next - 1), None).await);
    }
    let kept = Row { generation: 2, ..read_as(&row(&new("kept"), 1)) };
    let marked = Row { is_final: true, mean_before: Some(9.0), generation: 2, ..read_as(&row(&new("marked"), 1)) };
    assert_eq!(must(store.rows(&query("rows-remove", None, None, None)).await), [kept, marked]);
    for key in ["gone", "bare"] {
        assert!(must(store.rows(&query("rows-remove", Some(key), None, None)).await).is_empty());
    }
    assert_eq!(must(store.rows(&query("rows-remove-2", None, None, None)).await).len(), 1, "another view's stays");
}

/// What starts at or before the horizon stays, whoever wrote it.
async fn what_began_before_the_horizon_stays(store: &dyn Store) {
    let hour = |number: i64| HOUR_14 + number * HOUR;
    let old = |number: i64| slot("rows-horizon", "a", hour(number));
    must(store.write_rows(&[0, 1, 2, 400].map(|number| row(&old(number), 5))).await);
    for number in [0, 2] {
        must(store.write_before(&[before(&old(number), 1.0, 2)]).await);
        must(store.mark_final(&[id(&old(number))], Stamp(EPOCH)).await);
    }
    must(store.remove_rows("rows-horizon", Stamp(EPOCH + 1_000), Some(hour(1))).await);
    let first = Row { mean_before: Some(1.0), is_final: true, ..read_as(&row(&old(0), 5)) };
    assert_eq!(
        must(store.rows(&query("rows-horizon", None, None, None)).await),
        [first.clone(), read_as(&row(&old(1), 5))]
    );
    assert_eq!(must(store.rows(&query("rows-horizon", Some("a"), None, None)).await).len(), 2);
}

/// Windows on both sides of midnight, of the new year and of the epoch.
const STARTS: [i64; 6] = [-2 * HOUR, -HOUR, 0, 1_546_297_200_000, 1_546_300_800_000, HOUR_14];

async fn queries_take_ranges(store: &dyn Store) {
    let writes: Vec<RowWrite> = ["b", "a", "a/b"]
        .iter()
        .flat_map(|key| {
            STARTS.iter().zip(1..).map(|(start, revision)| row(&slot("rows-ranges", key, *start), revision))
        })
        .collect();
    must(store.write_rows(&writes).await);
    let bounds = [
        None,
        Some(i64::MIN),
        Some(-HOUR),
        Some(-HOUR + 1),
        Some(0),
        Some(1_546_300_800_000),
        Some(HOUR_14 + 1),
        Some(i64::MAX),
    ];
    for (from, to) in bounds.iter().flat_map(|from| bounds.iter().map(move |to| (*from, *to))) {
        for key in [None, Some("a"), Some("absent")] {
            let mut expected: Vec<Row> = writes
                .iter()
                .filter(|row| key.is_none_or(|key| *row.slot.key == *key))
                .filter(|row| {
                    from.is_none_or(|from| row.slot.start_ms >= from) && to.is_none_or(|to| row.slot.start_ms < to)
                })
                .map(read_as)
                .collect();
            expected.sort_by(|left, right| (&left.key, left.start_ms).cmp(&(&right.key, right.start_ms)));
            let read = must(store.rows(&query("rows-ranges", key, from, to)).await);
            assert_eq!(read, expected, "key {key:?} from {from:?} to {to:?}");
        }
    }
}

async fn queries_do_not_mix(store: &dyn Store) {
    let base = row(&slot("rows-mix", "53", HOUR_14), 1);
    let others = [
        RowWrite { slot: Slot { view: "rows-mix-2".into(), ..base.slot.clone() }, ..base.clone() },
        RowWrite { slot: Slot { tenant: "t".into(), ..base.slot.clone() }, ..base.clone() },
        RowWrite { slot: Slot { width: "15m".parse().unwrap_or(Width::HOUR), ..base.slot.clone() }, ..base.clone() },
        RowWrite { metric: "wind".into(), ..base.clone() },
    ];
    must(store.write_rows(&others).await);
    for key in [None, Some("53")] {
        assert!(must(store.rows(&query("rows-mix", key, None, None)).await).is_empty());
    }
    must(store.write_rows(std::slice::from_ref(&base)).await);
    for key in [None, Some("53")] {
        assert_eq!(must(store.rows(&query("rows-mix", key, None, None)).await), [read_as(&base)]);
        let wind = RowQuery { metric: "wind".into(), ..query("rows-mix", key, None, None) };
        assert_eq!(must(store.rows(&wind).await), [read_as(&others[3])]);
        let tenant = RowQuery { tenant: "t".into(), ..query("rows-mix", key, None, None) };
        assert_eq!(must(store.rows(&tenant).await), [read_as(&others[1])]);
    }
    let newer = RowWrite { slot: Slot { generation: 2, ..base.slot.clone() }, stamp: stamp(9), ..base.clone() };
    must(store.write_rows(&[newer.clone(), base]).await);
    assert_eq!(one(store, &newer.slot).await, Some(read_as(&newer)), "generations share a row, the later one has it");
}

async fn any_key_is_found(store: &dyn Store) {
    for key in KEYS {
        let slot = slot("rows-keys", key, -HOUR);
        must(store.write_rows(&[row(&slot, 1)]).await);
        must(store.write_before(&[before(&slot, 1.5, 1)]).await);
        must(store.mark_final(&[id(&slot)], Stamp(EPOCH)).await);
        let expected = Row { is_final: true, mean_before: Some(1.5), ..read_as(&row(&slot, 1)) };
        assert_eq!(one(store, &slot).await, Some(expected), "key {key:?}");
    }
    let read = must(store.rows(&query("rows-keys", None, None, None)).await);
    assert_eq!(
        read.into_iter().map(|row| row.key).collect::<Vec<_>>(),
        BTreeSet::from(KEYS).into_iter().collect::<Vec<_>>()
    );
}

async fn listing_finds_what_starts_in_a_range(store: &dyn Store) {
    let writes: Vec<RowWrite> = STARTS.iter().map(|start| row(&slot("rows-list", "53", *start), 1)).collect();
    must(store.write_rows(&writes).await);
    let wind = RowWrite {
        metric: "wind".into(),
        slot: Slot { tenant: "t".into(), ..writes[2].slot.clone() },
        ..writes[2].clone()
    };
    must(store.write_rows(std::slice::from_ref(&wind)).await);
    let all: Vec<RowId> =
        writes.iter().chain([&wind]).map(|row| RowId { slot: row.slot.clone(), metric: row.metric.clone() }).collect();
    for from in [None, Some(i64::MIN), Some(-HOUR), Some(-HOUR + 1), Some(HOUR_14), Some(HOUR_14 + 1)] {
        for end in [i64::MIN, -HOUR, 0, HOUR - 1, HOUR, HOUR_14 + HOUR - 1, HOUR_14 + HOUR, i64::MAX] {
            let within = |id: &&RowId| from.is_none_or(|from| id.slot.start_ms >= from) && id.slot.start_ms < end;
            let expected: BTreeSet<RowId> = all.iter().filter(within).cloned().collect();
            let listed = listed(store, "rows-list", 1, Width::HOUR, from, end).await;
            assert_eq!(listed.len(), expected.len(), "each row once, from {from:?} to {end}");
            assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected, "from {from:?} to {end}");
        }
    }
    let quarter = listed(store, "rows-list", 1, "15m".parse().unwrap_or(Width::HOUR), None, i64::MAX).await;
    assert!(quarter.is_empty());
    let later = listed(store, "rows-list", 7, Width::HOUR, None, 0).await;
    assert!(!later.is_empty() && later.iter().all(|id| id.slot.generation == 7));
}

/// Days, weeks and months, with their civil starts: any range finds those that start in it, through
/// either table.
async fn long_windows_lie_in_the_months_bucket(store: &dyn Store) {
    for text in ["12h", "1d", "1w", "1mo"] {
        let width: Width = text.parse().unwrap_or(Width::HOUR);
        let (mut starts, mut time_ms) = (Vec::new(), 1_545_000_000_000);
        for _ in 0..100 {
            let window = width.window(time_ms, chrono_tz::Europe::Paris);
            starts.push(window.start_ms);
            time_ms = window.end_ms;
        }
        let wide = |start_ms: i64| Slot { width, ..slot("rows-wide", "53", start_ms) };
        let writes: Vec<RowWrite> = starts.iter().zip(1..).map(|(start, number)| row(&wide(*start), number)).collect();
        must(store.write_rows(&writes).await);
        for (from, to) in [(0, 100), (0, 1), (3, 40), (31, 33), (99, 100)] {
            let (from_ms, to_ms) = (starts[from], starts[to - 1] + 1);
            for key in [None, Some("53")] {
                let query = RowQuery { width, ..query("rows-wide", key, Some(from_ms), Some(to_ms)) };
                let found: Vec<i64> = must(store.rows(&query).await).iter().map(|row| row.start_ms).collect();
                assert_eq!(found, starts[from..to], "{text} {key:?}");
            }
            let listed = listed(store, "rows-wide", 1, width, Some(from_ms), to_ms).await;
            assert_eq!(listed.len(), to - from, "{text}");
        }
        let all = RowQuery { width, ..query("rows-wide", None, None, None) };
        assert_eq!(must(store.rows(&all).await).len(), starts.len(), "{text}");
    }
}

async fn tenants_lie_apart(store: &dyn Store) {
    let of = |tenant: &str| Slot { tenant: tenant.into(), ..slot("rows-tenants", "a%2Fb/7", HOUR_14) };
    let writes: Vec<RowWrite> = ["", "t/1", "t", "é"].iter().zip(1..).map(|(tenant, n)| row(&of(tenant), n)).collect();
    must(store.write_rows(&writes).await);
    for write in &writes {
        for key in [None, Some("a%2Fb/7")] {
            let query = RowQuery { tenant: write.slot.tenant.to_string(), ..query("rows-tenants", key, None, None) };
            assert_eq!(must(store.rows(&query).await), [read_as(write)]);
        }
    }
}

async fn large_batches(store: &dyn Store) {
    let slots: Vec<Slot> = (0..2_000).map(|index| slot("rows-many", &format!("{index:04}"), HOUR_14)).collect();
    let writes: Vec<RowWrite> = slots.iter().zip(1..).map(|(slot, revision)| row(slot, revision)).collect();
    must(store.write_rows(&writes).await);
    must(store.mark_final(&slots.iter().map(id).collect::<Vec<_>>(), Stamp(EPOCH)).await);
    must(store.write_before(&slots.iter().map(|slot| before(slot, 0.5, 1)).collect::<Vec<_>>()).await);
    let read = must(store.rows(&query("rows-many", None, Some(HOUR_14), None)).await);
    assert_eq!(read.len(), writes.len());
    for (write, row) in writes.iter().zip(read) {
        assert_eq!(row, Row { is_final: true, mean_before: Some(0.5), ..read_as(write) });
    }
    let all: BTreeSet<RowId> = slots.iter().map(id).collect();
    let told = listed(store, "rows-many", 1, Width::HOUR, None, i64::MAX).await;
    assert_eq!((told.len(), told.into_iter().collect::<BTreeSet<_>>()), (all.len(), all));
    let from_key = must(store.rows(&query("rows-many", Some("0007"), None, None)).await);
    assert_eq!(from_key.len(), 1);
}

/// One call with many keys and days, two revisions of every row in either order, and labels that
/// are short, long, and longer than a server takes without a warning.
async fn mixed_batches(store: &dyn Store) {
    let slots: Vec<Slot> = (0..300).map(|at| slot("rows-mixed", &(at % 7).to_string(), HOUR_14 + at * HOUR)).collect();
    let labelled = |at: usize, revision| {
        let text =
            "é".repeat([1, 400, 30_000][usize::from(at.is_multiple_of(10)) + usize::from(at.is_multiple_of(100))]);
        RowWrite { labels: BTreeMap::from([("text".to_owned(), text)]), ..row(&slots[at], revision) }
    };
    let order = |at: usize| if at.is_multiple_of(2) { [1, 2] } else { [2, 1] };
    let scattered = || (0..slots.len()).map(|at| at * 101 % slots.len());
    let writes: Vec<RowWrite> = scattered().flat_map(|at| order(at).map(|revision| labelled(at, revision))).collect();
    must(store.write_rows(&writes).await);
    let means: Vec<BeforeWrite> = scattered()
        .flat_map(|at| order(at).map(|revision| before(&slots[at], (at as i64 + revision) as f64, revision)))
        .collect();
    must(store.write_before(&means).await);
    must(store.mark_final(&slots[..150].iter().map(id).collect::<Vec<_>>(), Stamp(EPOCH)).await);
    for (at, slot) in slots.iter().enumerate() {
        let expected = Row { is_final: at < 150, mean_before: Some(at as f64 + 2.0), ..read_as(&labelled(at, 2)) };
        assert_eq!(one(store, slot).await, Some(expected), "row {at}");
    }
}
