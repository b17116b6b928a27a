//! What must come out: the records of each partition, grouped in the plainest way. It takes nothing
//! from the core.

use std::collections::BTreeMap;

use crate::log::{OTHERS, Reading, Record};
use crate::meaning::{FAR, HOUR_MS, MU, Meaning, THRESHOLD};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub count: u64,
    pub sum: i128,
    pub squares: i128,
    pub min: i64,
    pub max: i64,
    pub alarms: u64,
    pub active: u64,
    pub outliers: u64,
}

impl Sum {
    fn add(&mut self, value: i64, [alarm, active, outlier]: [bool; 3]) {
        self.merge(&Sum {
            count: 1,
            sum: value.into(),
            squares: i128::from(value) * i128::from(value),
            min: value,
            max: value,
            alarms: alarm.into(),
            active: active.into(),
            outliers: outlier.into(),
        });
    }

    pub fn merge(&mut self, other: &Sum) {
        if self.count == 0 {
            *self = *other;
            return;
        }
        if other.count == 0 {
            return;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.alarms += other.alarms;
        self.active += other.active;
        self.outliers += other.outliers;
    }
}

pub type Sums = BTreeMap<&'static str, Sum>;

/// A part after some record.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Offset after that record.
    pub next: i64,
    pub sums: Sums,
}

/// Where parts meet. What tells two places apart soonest is compared first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub start_ms: i64,
    /// The width's index.
    pub width: usize,
    pub key: String,
    pub tenant: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub seen: u64,
    pub folded: u64,
    pub late: u64,
    pub rejected: u64,
    pub outside: u64,
    pub unkeyed: u64,
    pub filtered: u64,
    pub before_history: u64,
    pub missing: [u64; 2],
}

/// After the records below a position.
#[derive(Clone, Debug)]
pub struct Prefix {
    /// Offset after the last of them.
    pub next: i64,
    pub max_ms: Option<i64>,
    /// Per width.
    pub tallies: Vec<Tally>,
}

/// One view of one partition: every prefix of the log.
#[derive(Clone, Debug)]
pub struct History {
    /// Revisions 1, 2, … of each part.
    pub parts: BTreeMap<Place, Vec<Version>>,
    /// One more than records: the first is that of no record.
    pub prefixes: Vec<Prefix>,
    /// Offset and what must have left by the time that the record is committed.
    pub outgoing: Vec<(i64, String)>,
}

/// The start of the window that holds an instant, and its end.
pub fn window(width: &str, time_ms: i64) -> (i64, i64) {
    let (width_ms, shift_ms) = match width {
        "30m" => (HOUR_MS / 2, 0),
        "1h" => (HOUR_MS, 0),
        "2h" => (2 * HOUR_MS, 0),
        "12h" => (12 * HOUR_MS, 0),
        "1d" => (24 * HOUR_MS, 0),
        // 1970-01-01 was a Thursday.
        "1w" => (7 * 24 * HOUR_MS, 3 * 24 * HOUR_MS),
        other => panic!("no such width: {other}"),
    };
    let start_ms = (time_ms + shift_ms).div_euclid(width_ms) * width_ms - shift_ms;
    (start_ms, start_ms + width_ms)
}

/// What a view makes of one partition's records, from the offset at which its generation starts.
pub struct Grouper<'a> {
    pub meaning: &'a Meaning,
    /// `topic/partition`.
    pub partition: &'a str,
    pub out_of_orderness_ms: i64,
    pub tenants: bool,
    pub from: i64,
    /// The maximum event time of what lies before, as the generation knows it.
    pub before_ms: Option<i64>,
}

/// The maximum event time of a record.
pub fn newest(record: &Record) -> Option<i64> {
    record.readings.iter().map(|(_, reading)| reading.time_ms).max()
}

impl Grouper<'_> {
    pub fn group(&self, records: &[Record]) -> History {
        let widths = self.meaning.widths.len();
        let start = Prefix { next: i64::MIN, max_ms: self.before_ms, tallies: vec![Tally::default(); widths] };
        let mut history = History { parts: BTreeMap::new(), prefixes: vec![start], outgoing: Vec::new() };
        for record in records {
            let mut prefix = history.prefixes.last().expect("the first is there").clone();
            if record.offset >= self.from {
                for width in 0..widths {
                    self.take(record, width, prefix.max_ms, &mut prefix.tallies[width], &mut history);
                }
                let reject =
                    |index: &usize| (record.offset, format!("{}/{}/{index} rejected", self.partition, record.offset));
                history.outgoing.extend(record.rejected.iter().map(reject));
            }
            if record.offset >= self.from {
                prefix.max_ms = prefix.max_ms.max(newest(record));
            }
            prefix.next = record.offset + 1;
            history.prefixes.push(prefix);
        }
        // A reading without a value makes no part.
        history.parts.retain(|_, chain| !chain.is_empty());
        history
    }

    fn take(&self, record: &Record, width: usize, max_ms: Option<i64>, tally: &mut Tally, history: &mut History) {
        let Meaning { name, by_region, widths, lateness_ms, horizon_ms, .. } = self.meaning;
        tally.seen += (record.rejected.len() + record.readings.len()) as u64;
        tally.rejected += record.rejected.len() as u64;
        for (index, reading) in &record.readings {
            let (start_ms, end_ms) = window(widths[width], reading.time_ms);
            let late = match (lateness_ms, max_ms) {
                (Some(lateness_ms), Some(max_ms)) => end_ms + lateness_ms <= max_ms - self.out_of_orderness_ms,
                _ => false,
            };
            let key = if *by_region { reading.region } else { reading.site };
            let place = format!("{}/{}/{index}", self.partition, record.offset);
            match key {
                _ if reading.filtered => tally.filtered += 1,
                None => {
                    let (count, kind) =
                        if *by_region { (&mut tally.outside, "outside") } else { (&mut tally.unkeyed, "unkeyed") };
                    *count += 1;
                    if width == 0 {
                        history.outgoing.push((record.offset, format!("{place} {kind} {name}")));
                    }
                }
                Some(_) if late => {
                    tally.late += 1;
                    history.outgoing.push((record.offset, format!("{place} late {name} {}", widths[width])));
                }
                Some(_) if horizon_ms.is_some_and(|horizon_ms| start_ms <= horizon_ms) => tally.before_history += 1,
                Some(key) => {
                    tally.folded += 1;
                    let tenant = if self.tenants { record.key.clone() } else { String::new() };
                    // A slash within a field is told from the one between two.
                    let place = Place { start_ms, width, key: key.replace("/", "%2F"), tenant };
                    self.fold(record.offset, reading, tally, history.parts.entry(place).or_default());
                }
            }
        }
    }

    fn fold(&self, offset: i64, reading: &Reading, tally: &mut Tally, chain: &mut Vec<Version>) {
        let [a, b] = reading.values;
        let mut found: Vec<(&'static str, i64, [bool; 3])> = Vec::new();
        for (at, (name, value)) in [("a", a), ("b", b)].into_iter().enumerate() {
            match value {
                Some(value) => {
                    let alarm = name == "a" && value > THRESHOLD;
                    let outlier = name == "b" && (value - MU).abs() > FAR;
                    found.push((name, value, [alarm, reading.active, outlier]));
                }
                None => tally.missing[at] += 1,
            }
        }
        if self.meaning.any {
            found.extend(
                reading.others.iter().map(|(name, value)| (OTHERS[*name], *value, [false, reading.active, false])),
            );
        }
        if found.is_empty() {
            return;
        }
        if chain.last().is_none_or(|version| version.next != offset + 1) {
            let sums = chain.last().map(|version| version.sums.clone()).unwrap_or_default();
            chain.push(Version { next: offset + 1, sums });
        }
        let version = chain.last_mut().expect("one is there now");
        found.into_iter().for_each(|(name, value, bits)| version.sums.entry(name).or_default().add(value, bits));
    }
}

impl History {
    /// The prefix of the records below a position.
    pub fn at(&self, position: i64) -> &Prefix {
        let past = self.prefixes.partition_point(|prefix| prefix.next <= position);
        &self.prefixes[past.max(1) - 1]
    }
}

/// How many revisions of a part lie below a position.
pub fn revision_at(chain: &[Version], position: i64) -> usize {
    chain.partition_point(|version| version.next <= position)
}
