//! Keyed readings → parts: nanoseconds a reading, beside a table of the standard library with a key and a window in each
//! entry. Few keys and many, in the order of their sensors and in none.

use std::collections::HashMap;

use arrow_array::Array;
use etiage::config::TenantConfig;
use etiage::keys::{Key, Keyed, UNKEYED};
use etiage::part::Stored;
use etiage::partition::Partition;
use etiage::reading::flags;

use crate::measure::{best, each};
use crate::readings::{Reading, Shape, readings};
use crate::whole::{Grouped, Walk, batches, fold};

const HOUR_MS: i64 = 3_600_000;

pub fn run() {
    let some = readings(Shape::Short, 200_000, 20_000);
    bench("18 regions", &Walk::new(Grouped::Region(None)), &some);
    bench("200 tenants x 18 regions", &Walk::new(Grouped::Region(Some(TenantConfig::Key))), &some);
    let mut many = readings(Shape::Short, 2_000_000, 1_000_000);
    bench("1,000,000 stations, in any order", &Walk::new(Grouped::Sensor), &many);
    many.sort_by_key(|reading| reading.sensor);
    bench("1,000,000 stations, in their order", &Walk::new(Grouped::Sensor), &many);
}

fn bench(name: &str, walk: &Walk, readings: &[Reading]) {
    let batches: Vec<Keyed> = batches(readings).into_iter().map(|raw| walk.keyed(raw)).collect();
    let folded = |mut partition: Partition| {
        batches.iter().for_each(|keyed| fold(&mut partition, keyed));
        partition
    };
    let table = plain(&batches);
    assert!(!table.is_empty());
    check(folded(walk.partition()), &table);
    let ours = each(best(|| walk.partition(), folded), readings.len());
    let peer = each(best(|| (), |()| plain(&batches)), readings.len());
    println!(
        "fold, {name}: {ours:.1} ns a reading, a std HashMap by texts {peer:.1} ns (neither judged nor kept for a store)"
    );
}

/// By key and beginning of the hour.
type Table = HashMap<(Key, i64), Totals>;

#[derive(Debug, PartialEq)]
struct Totals {
    count: u64,
    sum: i128,
    min: i64,
    max: i64,
    alarms: u64,
}

/// The slow twin.
fn plain(batches: &[Keyed]) -> Table {
    let mut table = Table::new();
    batches.iter().for_each(|keyed| add(&mut table, keyed));
    table
}

fn add(table: &mut Table, keyed: &Keyed) {
    let (columns, keys) = (&keyed.batch.columns, &keyed.keys[0]);
    let metric = &columns.metrics[0];
    for (row, number) in keys.of.iter().enumerate() {
        if *number >= UNKEYED || metric.values.is_null(row) {
            continue;
        }
        let key = keys.keys.get(*number);
        let time_ms = columns.time_ms.value(row);
        let (value, bits) = (metric.values.value(row), metric.flags.value(row));
        let window = (key.clone(), time_ms - time_ms.rem_euclid(HOUR_MS));
        let totals = table.entry(window).or_insert(Totals { count: 0, sum: 0, min: value, max: value, alarms: 0 });
        totals.count += 1;
        totals.sum += i128::from(value);
        totals.min = totals.min.min(value);
        totals.max = totals.max.max(value);
        totals.alarms += u64::from(bits & flags::ALARM != 0);
    }
}

/// What the partition would write is what the table holds.
fn check(mut partition: Partition, table: &Table) {
    let writes = partition.begin_flush(0, 0, true, &mut usize::MAX.clone()).writes;
    assert_eq!(writes.len(), table.len());
    for (_, part) in writes {
        let slot = &part.slot;
        let key = Key { tenant: slot.tenant.clone(), text: slot.key.clone() };
        let stored = Stored::decode(&part.state).expect("a part");
        let [(_, ours)] = stored.aggregates.as_slice() else { panic!("one metric: {stored:?}") };
        let ours = Totals { count: ours.count, sum: ours.sum, min: ours.min, max: ours.max, alarms: ours.alarms };
        assert_eq!(ours, table[&(key, slot.start_ms)], "{slot:?}");
    }
}
