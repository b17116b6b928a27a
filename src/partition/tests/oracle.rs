//! The oracle: a group-by over the records, in the plainest way. Of the core it uses nothing but
//! the decoder of the blobs that it judges.

use std::collections::BTreeMap;

use num_bigint::BigInt;

use crate::commit::{Commit, Tally};
use crate::part::Stored;
use crate::window::Aggregate;

use super::log::{Entry, Meaning, OTHERS};

/// (width, key, start of the window).
pub type Place = (usize, u32, i64);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sum {
    pub count: u64,
    pub sum: BigInt,
    pub squares: BigInt,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub bits: [u64; 3],
}

impl Sum {
    fn add(&mut self, value: i64, bits: u8) {
        self.count += 1;
        self.sum += value;
        self.squares += BigInt::from(value) * value;
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
        for (number, count) in self.bits.iter_mut().enumerate() {
            *count += u64::from(bits >> number & 1);
        }
    }

    pub fn of(aggregate: &Aggregate) -> Sum {
        let (high, low) = aggregate.squares.words();
        let held = aggregate.count > 0;
        Sum {
            count: aggregate.count,
            sum: aggregate.sum.into(),
            squares: (BigInt::from(high) << 128) + low,
            min: held.then_some(aggregate.min),
            max: held.then_some(aggregate.max),
            bits: [aggregate.alarms, aggregate.active, aggregate.outliers],
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    pub revision: u64,
    pub next: i64,
    /// By the metric's name; none without a value.
    pub sums: BTreeMap<String, Sum>,
}

impl Expected {
    pub fn decode(blob: &[u8]) -> Expected {
        let Stored { revision, next, aggregates } = Stored::decode(blob).expect("a part that we wrote");
        let sums = aggregates.iter().map(|(name, aggregate)| (name.to_string(), Sum::of(aggregate))).collect();
        Expected { revision, next: next.0, sums }
    }

    fn add(&mut self, metric: &str, value: i64, bits: u8, offset: i64) {
        self.sums.entry(metric.to_owned()).or_default().add(value, bits);
        if self.next != offset + 1 {
            self.revision += 1;
            self.next = offset + 1;
        }
    }
}

/// One view of one partition's log prefix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Oracle {
    pub parts: BTreeMap<Place, Expected>,
    /// Per width.
    pub tallies: Vec<Tally>,
    pub max_ms: Option<i64>,
}

/// Groups the records below `position`.
pub fn group(log: &[Entry], position: i64, meaning: &Meaning, out_of_orderness_ms: i64) -> Oracle {
    let tally = Tally { missing: vec![0; meaning.metrics.len()], ..Tally::default() };
    let mut oracle = Oracle { tallies: vec![tally; meaning.widths.len()], ..Oracle::default() };
    for entry in log.iter().filter(|entry| entry.offset < position) {
        for number in 0..meaning.widths.len() {
            oracle.group_entry(entry, number, meaning, out_of_orderness_ms);
        }
        for reading in &entry.readings {
            oracle.max_ms = Some(oracle.max_ms.map_or(reading.time_ms, |max_ms| max_ms.max(reading.time_ms)));
        }
    }
    oracle
}

fn hours(width: &str) -> i64 {
    if width == "1d" { 24 } else { width.trim_end_matches('h').parse().unwrap() }
}

impl Oracle {
    fn group_entry(&mut self, entry: &Entry, number: usize, meaning: &Meaning, out_of_orderness_ms: i64) {
        let width_ms = hours(meaning.widths[number]) * 3_600_000;
        let tally = &mut self.tallies[number];
        tally.seen += u64::from(entry.rejected) + entry.readings.len() as u64;
        tally.rejected += u64::from(entry.rejected);
        for reading in &entry.readings {
            let start_ms = reading.time_ms.div_euclid(width_ms) * width_ms;
            let late = match (meaning.lateness_ms, self.max_ms) {
                (Some(lateness_ms), Some(max_ms)) => start_ms + width_ms + lateness_ms <= max_ms - out_of_orderness_ms,
                _ => false,
            };
            match reading.place[meaning.set] {
                _ if reading.filtered => tally.filtered += 1,
                None if meaning.set == 0 => tally.outside += 1,
                None => tally.unkeyed += 1,
                Some(_) if late => tally.late += 1,
                Some(key) => {
                    tally.folded += 1;
                    let parts = &mut self.parts;
                    for (metric, (name, column)) in meaning.metrics.iter().enumerate() {
                        let Some(column) = column else { continue };
                        let Some((value, bits)) = reading.values[*column] else {
                            tally.missing[metric] += 1;
                            continue;
                        };
                        parts.entry((number, key, start_ms)).or_default().add(name, value, bits, entry.offset);
                    }
                    for (name, value) in reading.others.iter().map(|(name, value)| (OTHERS[*name], *value)) {
                        if meaning.any || meaning.metrics.iter().any(|(known, _)| *known == name) {
                            parts.entry((number, key, start_ms)).or_default().add(name, value, 0, entry.offset);
                        }
                    }
                }
            }
        }
    }
}

/// Every view of a commit says exactly what its prefix determines.
pub fn assert_commit(commit: &Commit, log: &[Entry], meanings: &[Meaning], out_of_orderness_ms: i64) {
    for meaning in meanings {
        let view = commit.view(meaning.name, 1).expect("every view is in the commit");
        let oracle = group(log, view.position.0, meaning, out_of_orderness_ms);
        assert_eq!(view.max_ms, oracle.max_ms, "{} at {}", meaning.name, view.position);
        let tallies: Vec<Tally> = view.tallies.iter().map(|(_, tally)| tally.clone()).collect();
        assert_eq!(tallies, oracle.tallies, "{} at {}", meaning.name, view.position);
        assert!(tallies.iter().all(Tally::adds_up));
    }
}
