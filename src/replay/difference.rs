//! What a replay would change, or has changed: the rows that serve against those that the new parts make. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use chrono::DateTime;

use crate::store::{Row, RowWrite};

/// Single rows that are named, at most.
const NAMED: usize = 10;

/// What rows are counted together: of one key, metric, width and month.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub view: String,
    pub width: String,
    pub tenant: String,
    pub label: String,
    pub metric: String,
    /// Of the windows' starts, in UTC: `2019-02`.
    pub month: String,
}

/// Counts of rows, and the sums of what changes in them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Changes {
    pub unchanged: u64,
    pub changed: u64,
    /// There is no such row now.
    pub added: u64,
    /// There will be no such row.
    pub removed: u64,
    /// More readings than now.
    pub readings: i64,
    pub alarms: i64,
    /// The largest change of a mean, in the unit of the metric.
    pub mean: f64,
}

/// One row with both values.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub place: Place,
    pub start_ms: i64,
    /// (readings, mean, alarms), where there is such a row.
    pub before: Option<(i64, f64, i64)>,
    pub after: Option<(i64, f64, i64)>,
}

/// A row as it is, and as it would be.
type Pair<'a> = (Option<&'a Row>, Option<&'a RowWrite>);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Differences {
    pub places: BTreeMap<Place, Changes>,
    /// Those whose mean changes most, then those whose alarms do, the largest change first.
    pub largest: Vec<Difference>,
    /// Rows up to the horizon: left alone.
    pub left: u64,
}

impl Changes {
    pub fn add(&mut self, other: &Changes) {
        let Changes { unchanged, changed, added, removed, readings, alarms, mean } = other;
        self.unchanged += unchanged;
        self.changed += changed;
        self.added += added;
        self.removed += removed;
        self.readings += readings;
        self.alarms += alarms;
        self.mean = self.mean.max(*mean);
    }
}

impl Difference {
    /// How far the mean moves, and then the alarms; a row that comes or goes has moved by its own.
    fn size(&self) -> (f64, u64) {
        let (_, mean, alarms) = self.before.unwrap_or_default();
        let (_, mean_after, alarms_after) = self.after.unwrap_or_default();
        ((mean_after - mean).abs(), alarms_after.abs_diff(alarms))
    }

    /// The larger one first.
    fn order(&self, other: &Difference) -> Ordering {
        let ((mean, alarms), (other_mean, other_alarms)) = (self.size(), other.size());
        other_mean.total_cmp(&mean).then(other_alarms.cmp(&alarms))
    }
}

impl Differences {
    /// Compares the rows of one key in one width: those of all its metrics, or of some, on both sides.
    pub fn compare(&mut self, before: &[Row], after: &[RowWrite]) {
        let mut pairs: BTreeMap<(&str, i64), Pair<'_>> = BTreeMap::new();
        for row in before {
            pairs.entry((&row.metric, row.start_ms)).or_default().0 = Some(row);
        }
        for row in after {
            pairs.entry((&row.metric, row.slot.start_ms)).or_default().1 = Some(row);
        }
        for ((_, start_ms), (before, after)) in pairs {
            let Some(place) = place(before, after) else { continue };
            let is_same = before.zip(after).is_some_and(|(before, after)| same(before, after));
            let before = before.map(|row| (row.count, row.mean, row.alarms));
            let after = after.map(|row| (row.count, row.mean, row.alarms));
            self.note(Difference { place, start_ms, before, after }, is_same);
        }
    }

    fn note(&mut self, difference: Difference, is_same: bool) {
        let Difference { before, after, .. } = &difference;
        let (count, alarms) = (|cells: &(i64, f64, i64)| cells.0, |cells: &(i64, f64, i64)| cells.2);
        let moved = |of: fn(&(i64, f64, i64)) -> i64| after.as_ref().map_or(0, of) - before.as_ref().map_or(0, of);
        let one = |is: bool| u64::from(is);
        let both = before.is_some() && after.is_some();
        self.places.entry(difference.place.clone()).or_default().add(&Changes {
            unchanged: one(is_same),
            changed: one(both && !is_same),
            added: one(before.is_none()),
            removed: one(after.is_none()),
            readings: moved(count),
            alarms: moved(alarms),
            mean: difference.size().0,
        });
        if !is_same {
            let at = self.largest.partition_point(|known| known.order(&difference) != Ordering::Greater);
            self.largest.insert(at, difference);
            self.largest.truncate(NAMED);
        }
    }

    pub fn total(&self) -> Changes {
        let mut total = Changes::default();
        self.places.values().for_each(|changes| total.add(changes));
        total
    }

    pub fn extend(&mut self, other: Differences) {
        for (place, changes) in other.places {
            self.places.entry(place).or_default().add(&changes);
        }
        self.left += other.left;
        self.largest.extend(other.largest);
        self.largest.sort_by(Difference::order);
        self.largest.truncate(NAMED);
    }
}

fn place(before: Option<&Row>, after: Option<&RowWrite>) -> Option<Place> {
    let month = |start_ms: i64| {
        DateTime::from_timestamp_millis(start_ms).map_or_else(String::new, |time| time.format("%Y-%m").to_string())
    };
    let of_new = |row: &RowWrite| Place {
        view: row.slot.view.to_string(),
        width: row.slot.width.to_string(),
        tenant: row.slot.tenant.to_string(),
        label: row.label.to_string(),
        metric: row.metric.to_string(),
        month: month(row.slot.start_ms),
    };
    let of_old = |row: &Row| Place {
        view: row.view.clone(),
        width: row.width.clone(),
        tenant: row.tenant.clone(),
        label: row.label.clone(),
        metric: row.metric.clone(),
        month: month(row.start_ms),
    };
    after.map(of_new).or_else(|| before.map(of_old))
}

/// Nobody who reads the rows would see a difference.
fn same(before: &Row, after: &RowWrite) -> bool {
    let bits = |values: [f64; 4]| values.map(f64::to_bits);
    bits([before.mean, before.min, before.max, before.stddev]) == bits([after.mean, after.min, after.max, after.stddev])
        && [before.count, before.alarms, before.active, before.outliers]
            == [after.count, after.alarms, after.active, after.outliers]
        && before.partial == after.partial
        && *before.label == *after.label
        && before.labels == after.labels
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Slot, Stamp};
    use crate::window::Width;

    const FEBRUARY: i64 = 1_550_584_800_000;

    fn after(hour: i64, mean: f64, alarms: i64) -> RowWrite {
        let slot = Slot {
            view: Arc::from("region"),
            generation: 2,
            width: Width::HOUR,
            tenant: Arc::from(""),
            key: Arc::from("53"),
            start_ms: FEBRUARY + hour * 3_600_000,
        };
        RowWrite {
            slot,
            metric: Arc::from("temperature"),
            label: Arc::from("Bretagne"),
            labels: BTreeMap::new(),
            end_ms: 0,
            count: 10,
            mean,
            min: 0.0,
            max: 9.0,
            stddev: 1.0,
            alarms,
            active: 0,
            outliers: 0,
            partial: false,
            revision: 1,
            updated_at_ms: 0,
            stamp: Stamp(0),
        }
    }

    fn before(hour: i64, mean: f64, alarms: i64) -> Row {
        let row = after(hour, mean, alarms);
        Row {
            view: "region".into(),
            width: row.slot.width.to_string(),
            metric: "temperature".into(),
            tenant: String::new(),
            key: "53".into(),
            start_ms: row.slot.start_ms,
            end_ms: 0,
            label: "Bretagne".into(),
            labels: BTreeMap::new(),
            count: row.count,
            mean: row.mean,
            min: row.min,
            max: row.max,
            stddev: row.stddev,
            alarms: row.alarms,
            active: 0,
            outliers: 0,
            partial: false,
            mean_before: Some(3.0),
            is_final: true,
            revision: 7,
            generation: 1,
            updated_at_ms: 5,
        }
    }

    #[test]
    fn rows_are_unchanged_changed_added_or_removed() {
        let mut differences = Differences::default();
        let (old, new) =
            ([before(0, 5.0, 1), before(1, 5.0, 1), before(2, 4.0, 2)], [after(0, 5.0, 1), after(1, 5.5, 3)]);
        differences.compare(&old, &new);
        differences.compare(&[], &[after(24 * 30, 2.0, 0)]);
        let total = differences.total();
        let (rows, sums) =
            ((total.unchanged, total.changed, total.added, total.removed), (total.readings, total.alarms));
        assert_eq!((rows, sums), ((1, 1, 1, 1), (0, 0)));
        let months: Vec<&str> = differences.places.keys().map(|place| place.month.as_str()).collect();
        assert_eq!(months, ["2019-02", "2019-03"]);
        let sizes: Vec<f64> = differences.largest.iter().map(|one| one.size().0).collect();
        assert_eq!(sizes, [4.0, 2.0, 0.5]);
        // When it was written, by whom, and whether it is final, is no difference.
        let mut same = Differences::default();
        same.compare(&[before(0, 5.0, 1)], &[after(0, 5.0, 1)]);
        assert!(same.largest.is_empty() && same.total().unchanged == 1);
    }

    #[test]
    fn differences_of_several_views_are_one_list() {
        let mut all = Differences::default();
        for mean in 0..30 {
            let mut one = Differences::default();
            one.compare(&[before(mean, 0.0, 0)], &[after(mean, mean as f64, 0)]);
            all.extend(one);
        }
        assert_eq!((all.total().changed, all.total().unchanged, all.largest.len()), (29, 1, NAMED));
        assert_eq!(all.largest[0].size().0, 29.0);
    }
}
