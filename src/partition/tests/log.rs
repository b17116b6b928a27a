//! Logs of a partition, made from a seed: a shorter log of the same seed is a prefix of a longer
//! one, so that a failing length shrinks.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{BooleanArray, Float64Array, Int64Array, UInt8Array};

use crate::keys::Keyed;
use crate::keys::{Key, KeyColumn, OUTSIDE, UNKEYED};
use crate::partition::FoldStart;
use crate::reading::{Batch, Columns, MetricColumn, Offset, Others, RawBatch, Record, SourceId, TopicId};
use crate::simulate::Random;
use crate::view::View;

pub const HOUR_MS: i64 = 3_600_000;
pub const EPOCH_US: i64 = 1_700_000_000_000_000;
/// Metrics of the stream, and keys of each region set.
const COLUMNS: usize = 3;
const KEYS: u32 = 3;

#[derive(Clone, Debug)]
pub struct Reading {
    pub time_ms: i64,
    /// Per region set.
    pub place: [Option<u32>; 2],
    pub filtered: bool,
    pub values: [Option<(i64, u8)>; COLUMNS],
    /// Metrics that the stream does not name: index into [`OTHERS`], value.
    pub others: Vec<(usize, i64)>,
}

/// `d` is one that a view names all the same.
pub const OTHERS: [&str; 4] = ["d", "x", "y", "z"];

#[derive(Clone, Debug)]
pub struct Entry {
    pub offset: i64,
    pub readings: Vec<Reading>,
    pub rejected: u32,
}

/// What a view means: the engine's view and the oracle are both made from it.
#[derive(Clone, Debug)]
pub struct Meaning {
    pub name: &'static str,
    pub set: usize,
    pub widths: Vec<&'static str>,
    pub lateness_ms: Option<i64>,
    /// Sorted names, and the stream's column of each; `None` is fed by another stream.
    pub metrics: Vec<(&'static str, Option<usize>)>,
    /// Takes those that nobody names, too.
    pub any: bool,
}

impl Meaning {
    pub fn view(&self) -> Arc<View> {
        Arc::new(View {
            name: self.name.into(),
            generation: 1,
            epoch_us: EPOCH_US,
            metrics: self.metrics.iter().map(|(name, _)| Arc::from(*name)).collect(),
            unit_exponent: -3,
            widths: self.widths.iter().map(|width| width.parse().unwrap()).collect(),
            allowed_lateness_ms: self.lateness_ms,
            any_metric: self.any,
            zone: chrono_tz::UTC,
            group_by: vec!["site".into()],
            regions: BTreeMap::new(),
            before_ms: Some(3 * HOUR_MS),
            horizon_ms: None,
            partial_until_ms: None,
            flush_ms: 5,
        })
    }

    pub fn columns(&self) -> Vec<(usize, usize)> {
        let fed = self.metrics.iter().enumerate();
        fed.filter_map(|(metric, (_, column))| Some((metric, (*column)?))).collect()
    }

    /// From the beginning of the log.
    pub fn start(&self) -> FoldStart {
        let tally = crate::commit::Tally::new(self.metrics.len());
        FoldStart {
            view: self.view(),
            columns: self.columns(),
            position: Offset(0),
            max_ms: None,
            tallies: vec![tally; self.widths.len()],
        }
    }
}

/// A key of one of the two sets.
pub fn key(set: usize, number: u32) -> Key {
    Key { tenant: "".into(), text: format!("{set}{number}").into() }
}

/// Two views of one stream that differ in everything.
pub fn meanings(first: Option<i64>, second: Option<i64>) -> Vec<Meaning> {
    let metrics = vec![("a", Some(0)), ("b", Some(1))];
    let wide = vec![("b", Some(2)), ("d", None), ("e", Some(1))];
    vec![
        Meaning { name: "near", set: 0, widths: vec!["1h", "6h"], lateness_ms: first, metrics, any: false },
        Meaning { name: "wide", set: 1, widths: vec!["2h", "1d"], lateness_ms: second, metrics: wide, any: true },
    ]
}

pub const LATENESS_MS: [Option<i64>; 4] = [None, Some(0), Some(HOUR_MS / 2), Some(4 * HOUR_MS)];

pub fn source(partition: i32) -> SourceId {
    SourceId { topic: TopicId([9; 16]), partition }
}

/// A log with gaps, arrays, latecomers, strays and garbage.
pub fn log(seed: u64, length: usize) -> Vec<Entry> {
    let mut random = Random::new(seed);
    let (mut offset, mut clock_ms) = (random.below(3) as i64, 10 * HOUR_MS);
    let mut entries = Vec::new();
    for _ in 0..length {
        clock_ms += random.below(20 * 60_000) as i64;
        if random.chance(0.03) {
            clock_ms += 3 * HOUR_MS;
        }
        let count = if random.chance(0.6) { 1 } else { random.below(5) };
        let readings = (0..count).map(|_| reading(&mut random, clock_ms)).collect();
        let rejected = if random.chance(0.15) { 1 + random.below(2) as u32 } else { 0 };
        entries.push(Entry { offset, readings, rejected });
        offset += 1 + if random.chance(0.2) { random.below(4) as i64 } else { 0 };
    }
    entries
}

fn reading(random: &mut Random, clock_ms: i64) -> Reading {
    let behind_ms = match random.below(10) {
        0..6 => random.below(10 * 60_000) as i64,
        6..9 => random.below(3 * HOUR_MS as usize) as i64,
        _ => random.below(12 * HOUR_MS as usize) as i64,
    };
    let on_the_hour = random.chance(0.1);
    let time_ms = clock_ms - behind_ms;
    let place = |random: &mut Random| (!random.chance(0.1)).then(|| random.below(KEYS as usize) as u32);
    Reading {
        time_ms: if on_the_hour { time_ms - time_ms.rem_euclid(HOUR_MS) } else { time_ms },
        place: [place(random), place(random)],
        filtered: random.chance(0.08),
        values: std::array::from_fn(|_| (!random.chance(0.25)).then(|| (value(random), random.below(8) as u8))),
        others: (0..OTHERS.len()).filter(|_| random.chance(0.1)).map(|name| (name, name as i64 - 1)).collect(),
    }
}

fn value(random: &mut Random) -> i64 {
    match random.below(12) {
        0 => i64::MAX,
        1 => i64::MIN,
        2 => 0,
        _ => random.below(80_000) as i64 - 30_000,
    }
}

/// What a reading is without a key: one set is of regions, the other of labels.
const NOWHERE: [u32; 2] = [OUTSIDE, UNKEYED];

fn others(rows: &[&Reading], backwards: bool) -> Others {
    let place = |name: usize| (if backwards { OTHERS.len() - 1 - name } else { name }) as u32;
    let mut names = OTHERS.map(Arc::from).to_vec();
    if backwards {
        names.reverse();
    }
    let mut others = Others { names, starts: vec![0], values: Vec::new(), left_out: Vec::new() };
    for row in rows {
        others.values.extend(row.others.iter().map(|(name, value)| (place(*name), *value, 0)));
        others.starts.push(others.values.len() as u32);
    }
    others
}

/// Consecutive records as the core gets them.
pub fn keyed(entries: &[Entry]) -> Keyed {
    let mut records = Vec::new();
    let mut rows: Vec<&Reading> = Vec::new();
    let mut index = Vec::new();
    for entry in entries {
        let first = rows.len() as u32;
        rows.extend(&entry.readings);
        index.extend(0..entry.readings.len() as u32);
        let readings = first..rows.len() as u32;
        records.push(Record { offset: Offset(entry.offset), readings, rejected: entry.rejected });
    }
    let metric = |column: usize| MetricColumn {
        values: rows.iter().map(|row| row.values[column].map(|(value, _)| value)).collect::<Int64Array>(),
        flags: UInt8Array::from_iter_values(rows.iter().map(|row| row.values[column].map_or(0, |(_, bits)| bits))),
    };
    // Half of the batches list keys and names in another order, and one key more than they need.
    let backwards = entries.len() % 2 == 1;
    let columns = Columns {
        time_ms: Int64Array::from_iter_values(rows.iter().map(|row| row.time_ms)),
        lat: Float64Array::from(vec![0.0; rows.len()]),
        lon: Float64Array::from(vec![0.0; rows.len()]),
        filtered: BooleanArray::from(rows.iter().map(|row| row.filtered).collect::<Vec<bool>>()),
        metrics: (0..COLUMNS).map(metric).collect(),
        others: others(&rows, backwards),
        tenants: None,
        labels: Vec::new(),
        index,
        text: vec![0..0; rows.len()],
    };
    let keys = |set: usize| KeyColumn {
        of: rows
            .iter()
            .map(|row| row.place[set].map_or(NOWHERE[set], |place| if backwards { KEYS - place } else { place }))
            .collect(),
        keys: (0..=KEYS).map(|at| key(set, if backwards { KEYS - at } else { at })).collect(),
    };
    let raw = RawBatch { leader_epoch: 4, ..RawBatch::default() };
    let batch = Batch { raw, records, columns, rejections: Vec::new(), tables: false };
    Keyed { keys: (0..2).map(keys).collect(), batch }
}
