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
        if keyed.batch.raw.leader_epoch >= 0 {
            self.leader_epoch = keyed.batch.raw.leader_epoch;
        }
        self.judged = false;
        judged.verdicts
    }
}

impl Fold {
    fn fold(&mut self, keyed: &Keyed, mut judged: JudgedView, now: u64) {
        let columns = &keyed.batch.columns;
        let others: Vec<Option<u32>> = columns.others.names.iter().map(|name| self.number_of(name)).collect();
        for record in &keyed.batch.records[judged.first..] {
            for row in record.readings.clone() {
                for number in 0..self.grains.len() {
                    let entry = judged.targets[number][row as usize];
                    if entry != NO_ENTRY {
                        let place = Place { number, entry, record: record.offset, row: row as usize, now };
                        self.fold_reading(&place, columns, &mut judged);
                        self.fold_others(&place, columns, &others, &mut judged);
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

    /// The number of a metric that the stream does not name; `None` where the view does not take it.
    fn number_of(&mut self, name: &Arc<str>) -> Option<u32> {
        let known = self.metrics.find(name);
        if self.view.any_metric { known.or_else(|| Some(self.metrics.number(name))) } else { known }
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

    /// The same for the metrics that the stream does not name. A part that is full stays so: what it
    /// has no room for is the same whenever that is asked.
    #[inline]
    fn fold_others(&mut self, place: &Place, columns: &Columns, numbers: &[Option<u32>], judged: &mut JudgedView) {
        let values = columns.others.of(place.row);
        let taken = values.iter().filter_map(|(name, value, bits)| Some((numbers[*name as usize]?, *value, *bits)));
        let configured = self.metrics.configured() as u32;
        for (number, value, bits) in taken {
            let grain = &mut self.grains[place.number];
            let (fresh, part) = grain.open(place.entry, place.record, place.now);
            let before = part.others.len();
            let aggregate =
                if number < configured { Some(&mut part.aggregates[number as usize]) } else { part.other(number) };
            match aggregate {
                None => judged.tallies[place.number].surplus += 1,
                Some(aggregate) if fresh => aggregate.add(value, bits),
                Some(_) => {}
            }
            let grown = part.others.len() - before;
            grain.others += grown;
        }
    }
}

/// Where one reading goes in one width.
struct Place {
    number: usize,
    entry: u32,
    record: Offset,
    row: usize,
    now: u64,
}
