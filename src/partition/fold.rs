//! Folding a judged batch: the values go into their parts, the tallies and the maximum event time
//! move on, all or nothing. A flush can only come between two batches, so it never cuts a record.

use arrow_array::Array;

use crate::reading::Columns;

use super::judge::{JudgedView, NO_ENTRY};
use super::{Fold, Judged, Located, Partition, Verdict};

impl Partition {
    /// Folds a judged batch whose wanted parts have all been installed. `now` orders evictions.
    pub fn fold(&mut self, located: &Located, judged: Judged, now: u64) -> Vec<Verdict> {
        for (fold, judged) in self.views.iter_mut().zip(judged.views) {
            fold.fold(located, judged, now);
        }
        if located.batch.raw.leader_epoch >= 0 {
            self.leader_epoch = located.batch.raw.leader_epoch;
        }
        self.judged = false;
        judged.verdicts
    }
}

impl Fold {
    fn fold(&mut self, located: &Located, mut judged: JudgedView, now: u64) {
        let columns = &located.batch.columns;
        for record in &located.batch.records[judged.first..] {
            for row in record.readings.clone() {
                for number in 0..self.grains.len() {
                    let entry = judged.targets[number][row as usize];
                    if entry != NO_ENTRY {
                        self.fold_reading(number, entry, record.offset, row as usize, columns, &mut judged, now);
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

    /// A reading without any value leaves the part as it is; a record that the part holds already
    /// is tallied as the first time, and not folded again.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "the innermost step of the walk, inlined")]
    fn fold_reading(
        &mut self,
        number: usize,
        entry: u32,
        record: crate::reading::Offset,
        row: usize,
        columns: &Columns,
        judged: &mut JudgedView,
        now: u64,
    ) {
        for (metric, column) in &self.columns {
            let column = &columns.metrics[*column];
            if column.values.is_null(row) {
                judged.tallies[number].missing[*metric] += 1;
            } else if let Some(part) = self.grains[number].open(entry, record, now) {
                part.aggregates[*metric].add(column.values.value(row), column.flags.value(row));
            }
        }
    }
}
