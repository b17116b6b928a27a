//! What must be true at rest: every part, row and position is what the whole log makes of it, and
//! what is over is final.

use std::collections::{BTreeMap, BTreeSet};

use etiage::store::{GenerationState, Slot};

use crate::cells::{RowCells, RowPlace, RowView, Rows, TABLES};
use crate::checks::{UNIT, deviation, mean, near};
use crate::meaning::{HOUR_MS, MINUTE_MS};
use crate::oracle::{Place, Sum, Sums, window};
use crate::world::{SERVING, State};

impl State {
    pub fn check_rest(&mut self) {
        self.check_all_commits();
        for partition in 0..self.partitions.len() {
            let of = &self.partitions[partition];
            let end = of.log_end().max(crate::world::start_of(&self.plan, 1, &of.records, of.log_start, of.exists));
            if of.exists && of.shown > 0 && of.committed_offset(SERVING) < end {
                let name = of.name.clone();
                self.fail(format!(
                    "{name} ends at {end} and is committed up to {}",
                    self.partitions[partition].committed_offset(SERVING)
                ));
            }
        }
        let serves = |view: &usize| self.record(*view).is_none_or(|record| record.state == GenerationState::Live);
        let serving: Vec<usize> = (0..self.views.len()).filter(serves).collect();
        if serving.len() != 2 {
            self.fail(format!("at rest not every view serves: {:?}", self.generations));
        }
        let tables =
            [0, 1].map(|table| self.replicas.iter().map(|replica| replica.views(table)).collect::<Vec<Rows>>());
        for view in serving {
            let mut merged: BTreeMap<Place, (i64, Sums)> = BTreeMap::new();
            for partition in 0..self.partitions.len() {
                self.check_parts(partition, view, &mut merged);
            }
            if let Err(why) = self.rows_are_right(view, &merged, &tables) {
                self.fail(why);
            }
        }
        self.check_left();
    }

    /// Every part is what the whole log makes of it, on every quorum.
    fn check_parts(&mut self, partition: usize, view: usize, merged: &mut BTreeMap<Place, (i64, Sums)>) {
        let of = &self.partitions[partition];
        let Some(truth) = of.truth[view].clone().filter(|_| of.exists) else { return };
        for (place, chain) in &truth.parts {
            let version = chain.last().expect("a part has a revision");
            let (revision, sums) = merged.entry(place.clone()).or_default();
            *revision += chain.len() as i64;
            version.sums.iter().for_each(|(name, sum)| sums.entry(name).or_default().merge(sum));
            let (slot, stamp) = (self.slot(view, place), self.epoch_us(view) + chain.len() as i64);
            for quorum in self.quorums() {
                let found = self.names.known(&slot).and_then(|slot| {
                    quorum.iter().filter_map(|replica| self.replicas[*replica].part(slot, partition as u8)).max()
                });
                // That it is the right content, its writing has shown.
                if found.as_ref().is_none_or(|(found, _)| *found != stamp) {
                    let found = found.map(|(stamp, _)| stamp);
                    return self
                        .fail(format!("at rest part {slot:?} of source {partition} is at {found:?}, not {stamp}"));
                }
            }
        }
    }

    /// `tables`: of each what every replica has.
    fn rows_are_right(
        &self,
        view: usize,
        merged: &BTreeMap<Place, (i64, Sums)>,
        tables: &[Vec<Rows>; TABLES],
    ) -> Result<(), String> {
        let over_ms = self.surely_over(view);
        let slots: Vec<Slot> = merged.keys().map(|place| self.slot(view, place)).collect();
        // Mostly all quorums and both tables have the same row.
        let mut right: Rows = BTreeMap::new();
        for quorum in self.quorums() {
            for table in tables {
                let rows = joined(quorum.map(|replica| &table[replica]));
                let ours = rows.iter().filter(|((slot, _), _)| self.is_ours(view, self.names.slot_of(*slot)));
                let ours = ours.filter(|(_, row)| row.cell(0).is_some());
                let mut there: BTreeSet<RowPlace> = ours.map(|(place, _)| *place).collect();
                for ((place, (revision, sums)), slot) in merged.iter().zip(&slots) {
                    let number = self.names.known_row(slot);
                    for (metric, sum) in sums {
                        let known = number.zip(self.names.known_metric(metric));
                        let row = known.and_then(|known| rows.get(&known));
                        let row = row.ok_or_else(|| format!("at rest there is no row {slot:?} {metric}"))?;
                        if known.and_then(|known| right.get(&known)) != Some(row) {
                            let left = self.left_before(&rows, slot, metric);
                            self.row_is_right(view, place, row, *revision, metric, (sum, left), merged)
                                .map_err(|why| format!("at rest row {slot:?} {metric}: {why}"))?;
                        }
                        let (_, end_ms) = window(self.views[view].widths[place.width], place.start_ms);
                        if over_ms.is_some_and(|over_ms| end_ms <= over_ms) && row.marked.is_none() {
                            return Err(format!("at rest row {slot:?} {metric} is not final"));
                        }
                        if let Some(place) = known {
                            there.remove(&place);
                            right.insert(place, row.clone());
                        }
                    }
                }
                if let Some((slot, metric)) = there.first() {
                    let (slot, metric) = (self.names.slot_of(*slot), self.names.metric_of(*metric));
                    return Err(format!("at rest row {slot:?} {metric} is explained by no reading"));
                }
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a row, its place, and all that it must say")]
    fn row_is_right(
        &self,
        view: usize,
        place: &Place,
        row: &RowView,
        revision: i64,
        metric: &str,
        (sum, left_before): (&Sum, Option<f64>),
        merged: &BTreeMap<Place, (i64, Sums)>,
    ) -> Result<(), String> {
        let stamp = self.epoch_us(view) + revision;
        if let Some(cell) = row.cells.iter().position(|cell| cell.is_none_or(|(found, _)| found != stamp)) {
            return Err(format!("cell {cell} is {:?}, not of revision {revision}", row.cells[cell]));
        }
        let cell = |number: usize| row.cell(number).unwrap_or_default();
        let double = |number: usize| f64::from_bits(cell(number) as u64);
        let counts = [sum.count, sum.alarms, sum.active, sum.outliers].map(|count| count as i64);
        let (_, end_ms) = window(self.views[view].widths[place.width], place.start_ms);
        let right = [cell(0), cell(5), cell(6), cell(7)] == counts
            && double(1) == mean(sum)
            && double(2) == sum.min as f64 / UNIT
            && double(3) == sum.max as f64 / UNIT
            && near(double(4), deviation(sum))
            && cell(RowCells::REVISION) == revision
            && cell(9) == end_ms;
        if !right {
            return Err(format!("says {row:?}, not {sum:?}"));
        }
        let hourly = self.views[view].widths[place.width] == "1h";
        let earlier = Place { start_ms: place.start_ms - 3 * HOUR_MS, ..place.clone() };
        let before = merged.get(&earlier).filter(|_| hourly).and_then(|(_, sums)| sums.get(metric)).map(mean);
        // Before the horizon stands what an earlier generation has left there.
        let is_left = hourly && self.plan.replay.is_some() && self.is_before_history(view, earlier.start_ms);
        let before = if is_left { left_before } else { before };
        let found = row.before.map(|(_, mean)| f64::from_bits(mean as u64));
        if found != before {
            return Err(format!("has the mean {found:?} of three hours before, not {before:?}"));
        }
        Ok(())
    }

    /// The mean of the row that begins three hours before, whoever wrote it; where nothing is replayed, nobody asks.
    fn left_before(&self, rows: &Rows, slot: &Slot, metric: &str) -> Option<f64> {
        self.plan.replay?;
        let earlier = Slot { start_ms: slot.start_ms - 3 * HOUR_MS, ..slot.clone() };
        let place = (self.names.known_row(&earlier)?, self.names.known_metric(metric)?);
        let mean = rows.get(&place)?.cell(1)?;
        Some(f64::from_bits(mean as u64))
    }

    fn is_before_history(&self, view: usize, start_ms: i64) -> bool {
        self.views[view].horizon_ms.is_some_and(|horizon_ms| start_ms <= horizon_ms)
    }

    /// The view's rows, but for those that a replay leaves as they are.
    fn is_ours(&self, view: usize, slot: &Slot) -> bool {
        let is_left = self.plan.replay.is_some() && self.is_before_history(view, slot.start_ms);
        *slot.view == *self.views[view].name && !is_left
    }

    /// Windows that end by this are final at rest: what all partitions have committed of their own readings says so.
    fn surely_over(&self, view: usize) -> Option<i64> {
        let meaning = &self.views[view];
        let feeding = self.partitions.iter().filter(|partition| partition.exists);
        let newest = feeding.filter_map(|partition| Some(partition.truth[view].as_ref()?.at(i64::MAX).max_ms));
        let least_ms = newest.min()?? - self.plan.variant.out_of_orderness_ms();
        let over_ms = least_ms - meaning.lateness_ms.unwrap_or(0);
        // A sweep closes whole windows, and moves by the widest step that holds the watermark.
        Some(over_ms - over_ms.rem_euclid(MINUTE_MS))
    }
}

/// As who asks two replicas sees them.
fn joined([one, other]: [&Rows; 2]) -> Rows {
    let mut rows = one.clone();
    other.iter().for_each(|(place, row)| rows.entry(*place).or_default().join(row));
    rows
}
