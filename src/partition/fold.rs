//! Folding a judged batch: the values go into their parts, the tallies and the maximum event time
//! move on, all or nothing. A flush can only come between two batches, so it never cuts a record.

use std::sync::Arc;

use arrow_array::Array;

use crate::reading::{Columns, Offset};

use super::judge::{JudgedView, NO_ENTRY};
use super::{Fold, Judged, Keyed, Partition, Verdict};

impl Partition {
    /// Folds a judged batch whose wanted parts have all been installed. `now` orders evictions.
    pub fn fold(&mut self, keyed: &Keyed, judged: Judged, now: u64) -> Vec<Verdict> {
        for (fold, judged) in self.views.iter_mut().zip(judged.views) {
            fold.fold(keyed, judged, now);
        }
        self.leader_epoch = keyed.batch.raw.leader_epoch;
        self.judged = false;
        // A commit may stop here, should what comes after it take long to be proven.
        self.remember();
        judged.verdicts
    }
}

impl Fold {
    fn fold(&mut self, keyed: &Keyed, mut judged: JudgedView, now: u64) {
        let columns = &keyed.batch.columns;
        let mut others = self.known_others(columns);
        for record in &keyed.batch.records[judged.first..] {
            for row in record.readings.clone() {
                for number in 0..self.grains.len() {
                    let entry = judged.targets[number][row as usize];
                    if entry != NO_ENTRY {
                        let place = Place { number, entry, record: record.offset, row: row as usize, now };
                        self.fold_reading(&place, columns, &mut judged);
                        self.fold_others(&place, columns, &mut others, &mut judged);
                    }
                }
            }
        }
        for (grain, tally) in self.grains.iter_mut().zip(&judged.tallies) {
            grain.tally.add(tally);
            debug_assert!(grain.tally.adds_up());
        }
        self.position = judged.position;
        self.max_ms = judged.max_ms;
    }

    /// What this view knows of the metrics that the stream does not name.
    fn known_others(&self, columns: &Columns) -> Vec<Other> {
        let configured = self.metrics.configured() as u32;
        let known = |name: &Arc<str>| match self.metrics.find(name) {
            Some(number) if number < configured => Other::Configured(number as usize),
            Some(number) => Other::Numbered(number),
            None if self.view.any_metric => Other::Unknown,
            None => Other::NotTaken,
        };
        columns.others.names.iter().map(known).collect()
    }

    /// A reading without any value leaves the part as it is; a record that the part holds already
    /// is tallied as the first time, and not folded again.
    #[inline]
    fn fold_reading(&mut self, place: &Place, columns: &Columns, judged: &mut JudgedView) {
        for (metric, column) in &self.columns {
            let column = &columns.metrics[*column];
            if column.values.is_null(place.row) {
                judged.tallies[place.number].missing[*metric] += 1;
            } else if let (true, part) = self.grains[place.number].open(place.entry, place.record, place.now) {
                part.aggregates[*metric].add(column.values.value(place.row), column.flags.value(place.row));
            }
        }
    }

    /// The same for the metrics that the stream does not name. What a part has no room for is the
    /// same whenever that is asked: once full it stays so, and holds what it holds.
    #[inline]
    fn fold_others(&mut self, place: &Place, columns: &Columns, others: &mut [Other], judged: &mut JudgedView) {
        if self.view.any_metric {
            judged.tallies[place.number].surplus += columns.others.left_out(place.row);
        }
        for (name, value, bits) in columns.others.of(place.row) {
            let other = &mut others[*name as usize];
            if let Other::NotTaken = other {
                continue;
            }
            let grain = &mut self.grains[place.number];
            let (fresh, part) = grain.open(place.entry, place.record, place.now);
            let here = match *other {
                Other::Configured(metric) => Some(&mut part.aggregates[metric]),
                Other::Numbered(number) if part.other(number).is_some() => part.other(number),
                _ if part.is_full() || !fresh => None,
                _ => {
                    let number = self.metrics.hold(&columns.others.names[*name as usize]);
                    *other = Other::Numbered(number);
                    grain.others += 1;
                    Some(grain.part(place.entry).add_other(number))
                }
            };
            match here {
                None => judged.tallies[place.number].surplus += 1,
                Some(aggregate) if fresh => aggregate.add(*value, *bits),
                Some(_) => {}
            }
        }
    }
}

/// What a view makes of a metric that the stream does not name.
enum Other {
    NotTaken,
    /// It is one that the view names.
    Configured(usize),
    /// Some part holds it.
    Numbered(u32),
    Unknown,
}

/// Where one reading goes in one width.
struct Place {
    number: usize,
    entry: u32,
    record: Offset,
    row: usize,
    now: u64,
}
