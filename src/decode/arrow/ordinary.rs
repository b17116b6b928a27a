//! The ordinary rows of a table, column by column, straight into rows of the columns.
//!
//! As with [`super::super::plain`]: a row in whose columns stand ordinary values (a time, numbers of few digits within
//! their range, texts; metrics, labels and filters may have none) is taken without a text being written of it. At anything
//! else the row goes the long way, through slots and the judge, which is also the twin that holds this file to account. So does
//! what lies elsewhere than in its buffer: that is said there.

use std::ops::Range;

use super::column::Column;
use super::{Cell, Habit, MAX_TEXT, Numeric};
use crate::decode::judge::{Judge, Measured, Metric, in_range};
use crate::decode::plain::{Ordinary, Use, Uses};
use crate::decode::time::Minutes;

/// Rows that are taken at once, a column after the other.
pub const ROWS: usize = 128;

/// Some rows of a batch, at most [`ROWS`], and the columns in which the stream's fields are, with what becomes of their values.
pub struct Source<'t, 'a> {
    pub rows: Range<usize>,
    pub uses: &'t Uses,
    pub columns: &'t [Column<'a>],
}

/// What was found in these rows.
#[derive(Default)]
pub struct Block<'a> {
    rows: usize,
    /// So far.
    is_ordinary: Vec<bool>,
    time_ms: Vec<i64>,
    filtered: Vec<bool>,
    lat: Vec<f64>,
    lon: Vec<f64>,
    /// Metrics and labels one after the other, each with all of its rows.
    measured: Vec<Measured>,
    labels: Vec<Option<&'a str>>,
    tenants: Vec<Option<&'a str>>,
}

impl<'a> Block<'a> {
    /// Takes the rows as far as they are ordinary; `last_ms`: the last time that they may have.
    pub fn take(
        &mut self,
        source: &Source<'_, 'a>,
        habits: &mut [Habit],
        judge: &Judge,
        minutes: &mut Minutes,
        last_ms: i64,
    ) {
        self.begin(source.rows.len(), &source.uses.lacking, judge);
        for ((of, column), habit) in source.uses.of.iter().zip(source.columns).zip(habits) {
            let rows = source.rows.clone();
            match *of {
                Use::Nothing => {}
                Use::Time => self.times(column, rows, judge, minutes, last_ms),
                Use::Lat => degrees(column, rows, habit, Judge::MAX_LAT, &mut self.lat, &mut self.is_ordinary),
                Use::Lon => degrees(column, rows, habit, Judge::MAX_LON, &mut self.lon, &mut self.is_ordinary),
                Use::Metric(metric) => self.metric(column, rows, habit, judge, metric),
                Use::Filter(filter) => self.filter(column, rows, judge, filter),
                Use::Label(label) => {
                    let places = &mut self.labels[label * self.rows..];
                    column.texts(rows, &mut self.is_ordinary, |at, text| {
                        places[at] = text.and_then(|text| judge.label_text(text));
                        true
                    });
                }
                Use::Tenant => {
                    let places = &mut self.tenants;
                    column.texts(rows, &mut self.is_ordinary, |at, text| {
                        places[at] = text.and_then(|text| judge.label_text(text));
                        places[at].is_some()
                    });
                }
            }
        }
    }

    /// Begins with so many rows, which lack these.
    fn begin(&mut self, rows: usize, lacking: &[Use], judge: &Judge) {
        fn fill<T: Copy>(column: &mut Vec<T>, length: usize, with: T) {
            column.clear();
            column.resize(length, with);
        }
        self.rows = rows;
        fill(&mut self.is_ordinary, rows, true);
        fill(&mut self.filtered, rows, false);
        self.time_ms.resize(rows, 0);
        self.lat.resize(rows, 0.0);
        self.lon.resize(rows, 0.0);
        self.measured.resize(rows * judge.metrics.len(), Measured::default());
        self.labels.resize(rows * judge.labels.len(), None);
        fill(&mut self.tenants, rows, None);
        for of in lacking {
            match *of {
                Use::Metric(metric) => self.measured[metric * rows..][..rows].fill(Measured::default()),
                Use::Label(label) => self.labels[label * rows..][..rows].fill(None),
                Use::Filter(filter) if !judge.filters[filter].keeps_text(None) => self.filtered.fill(true),
                Use::Filter(_) | Use::Nothing | Use::Time | Use::Lat | Use::Lon | Use::Tenant => {}
            }
        }
    }

    fn times(&mut self, column: &Column<'a>, rows: Range<usize>, judge: &Judge, minutes: &mut Minutes, last_ms: i64) {
        let places = self.time_ms.iter_mut().zip(&mut self.is_ordinary);
        // (The usual type has a loop of its own, in which nothing is left to be told apart; so it is with numbers.)
        if let Some(stamps) = column.stamps(rows.clone()) {
            for ((place, is_ordinary), stamp) in places.zip(stamps) {
                let time_ms = stamp.and_then(|stamp| judge.clock.counted(stamp, minutes).ok());
                set(time_ms.filter(|time_ms| *time_ms <= last_ms), place, is_ordinary);
            }
            return;
        }
        for ((place, is_ordinary), row) in places.zip(rows) {
            let time_ms = match column.cell(row) {
                Ok(Cell::Text(text)) if text.len() <= MAX_TEXT => judge.time_text(text, minutes),
                Ok(Cell::Number(Numeric::Integer(value))) => judge.clock.whole(value, minutes),
                _ => None,
            };
            set(time_ms.filter(|time_ms| *time_ms <= last_ms), place, is_ordinary);
        }
    }

    fn metric(&mut self, column: &Column<'a>, rows: Range<usize>, habit: &mut Habit, judge: &Judge, number: usize) {
        let places = self.measured[number * self.rows..].iter_mut().zip(&mut self.is_ordinary);
        let metric = &judge.metrics[number];
        if let Some(doubles) = column.doubles(rows.clone()) {
            for ((place, is_ordinary), value) in places.zip(doubles) {
                let measured = match value {
                    Some(value) => measured(Numeric::Float64(value), metric, habit),
                    None => Some(Measured::default()),
                };
                set(measured, place, is_ordinary);
            }
            return;
        }
        for ((place, is_ordinary), row) in places.zip(rows) {
            let measured = match column.cell(row) {
                Ok(Cell::Null) => Some(Measured::default()),
                Ok(Cell::Number(value)) => measured(value, metric, habit),
                _ => None,
            };
            set(measured, place, is_ordinary);
        }
    }

    fn filter(&mut self, column: &Column<'a>, rows: Range<usize>, judge: &Judge, number: usize) {
        let (filter, filtered) = (&judge.filters[number], &mut self.filtered);
        column.texts(rows, &mut self.is_ordinary, |at, text| {
            filtered[at] |= !filter.keeps_text(text);
            true
        });
    }

    /// Those that are not.
    pub fn others(&self) -> impl Iterator<Item = usize> {
        self.is_ordinary.iter().enumerate().filter(|(_, is_ordinary)| !**is_ordinary).map(|(at, _)| at)
    }

    /// One of the ordinary ones.
    #[inline]
    pub fn row(&self, at: usize, to: &mut Ordinary<'a>) {
        to.set(self.time_ms[at], self.filtered[at], self.lat[at], self.lon[at]);
        for (place, found) in to.measured.iter_mut().zip(self.measured.chunks_exact(self.rows)) {
            *place = found[at];
        }
        for (place, found) in to.labels.iter_mut().zip(self.labels.chunks_exact(self.rows)) {
            *place = found[at];
        }
        to.tenant = self.tenants[at];
    }
}

/// Puts a value into its place, or says that its row is not ordinary.
#[inline(always)]
fn set<T>(value: Option<T>, place: &mut T, is_ordinary: &mut bool) {
    match value {
        Some(value) => *place = value,
        None => *is_ordinary = false,
    }
}

#[inline(always)]
fn measured(value: Numeric<'_>, metric: &Metric, habit: &mut Habit) -> Option<Measured> {
    metric.alone(&value.digits(habit)?.number())
}

fn degrees(
    column: &Column<'_>,
    rows: Range<usize>,
    habit: &mut Habit,
    limit: f64,
    places: &mut [f64],
    is_ordinary: &mut [bool],
) {
    let places = places.iter_mut().zip(is_ordinary);
    if let Some(doubles) = column.doubles(rows.clone()) {
        for ((place, is_ordinary), value) in places.zip(doubles) {
            // (Its text reads back as the same value.)
            set(value.and_then(|value| in_range(value, limit)), place, is_ordinary);
        }
        return;
    }
    for ((place, is_ordinary), row) in places.zip(rows) {
        let degrees = match column.cell(row) {
            Ok(Cell::Number(value)) => value.digits(habit).and_then(|digits| digits.number().to_f64()),
            _ => None,
        };
        set(degrees.and_then(|degrees| in_range(degrees, limit)), place, is_ordinary);
    }
}

impl<'a> Column<'a> {
    /// Each row's text, or none, to one who says whether it is an ordinary one.
    #[inline(always)]
    fn texts(
        &self,
        rows: Range<usize>,
        is_ordinary: &mut [bool],
        mut take: impl FnMut(usize, Option<&'a str>) -> bool,
    ) {
        for (at, (row, is_ordinary)) in rows.zip(is_ordinary).enumerate() {
            let text = match self.cell(row) {
                Ok(Cell::Null) => Some(None),
                Ok(Cell::Text(text)) if text.len() <= MAX_TEXT => Some(Some(text)),
                _ => None,
            };
            *is_ordinary &= text.is_some_and(|text| take(at, text));
        }
    }
}
