//! Half days, days, ISO weeks and months of a zone's calendar, as intervals of instants. A
//! period's bounds are the first instants at which the zone's clocks have reached them, so that
//! periods tile time whatever the clocks do: put forward over midnight, put back across it.

use std::ops::Range;

use chrono::{DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// One window, ms since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    pub start_ms: i64,
    /// Exclusive.
    pub end_ms: i64,
}

impl Window {
    pub fn contains(self, time_ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&time_ms)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// Midnight to noon, noon to midnight.
    HalfDay,
    Day,
    /// From Monday.
    Week,
    Month,
}

/// The days that chrono can tell, with a margin for moving about: far beyond any event time.
const DAYS: Range<i64> = -3_000_000..5_000_000;
const DAY_MS: i64 = 86_400_000;

/// The period that holds an instant.
pub fn window(period: Period, time_ms: i64, zone: Tz) -> Window {
    let mut number = number(period, local(time_ms, zone));
    loop {
        let (start_ms, end_ms) = (start(period, number, zone), start(period, number + 1, zone));
        if time_ms < start_ms {
            number -= 1;
        } else if time_ms >= end_ms {
            number += 1;
        } else {
            return Window { start_ms, end_ms };
        }
    }
}

/// What the zone's clocks show.
fn local(time_ms: i64, zone: Tz) -> NaiveDateTime {
    let time_ms = time_ms.clamp(DAYS.start * DAY_MS, DAYS.end * DAY_MS);
    let instant: DateTime<Utc> = DateTime::from_timestamp_millis(time_ms).unwrap_or_default();
    zone.from_utc_datetime(&instant.naive_utc()).naive_local()
}

/// Periods are numbered in their order.
fn number(period: Period, local: NaiveDateTime) -> i64 {
    let day = i64::from(local.num_days_from_ce());
    match period {
        Period::HalfDay => day * 2 + i64::from(local.hour() >= 12),
        Period::Day => day,
        // Day 1 of the common era was a Monday.
        Period::Week => (day - 1).div_euclid(7),
        Period::Month => i64::from(local.year()) * 12 + i64::from(local.month0()),
    }
}

/// The first instant of a period.
fn start(period: Period, number: i64, zone: Tz) -> i64 {
    let day = |days: i64| NaiveDate::from_num_days_from_ce_opt(i32::try_from(days).unwrap_or(0)).unwrap_or_default();
    let (date, hour) = match period {
        Period::HalfDay => (day(number.div_euclid(2)), 12 * number.rem_euclid(2) as u32),
        Period::Day => (day(number), 0),
        Period::Week => (day(number * 7 + 1), 0),
        Period::Month => {
            let year = i32::try_from(number.div_euclid(12)).unwrap_or(0);
            (NaiveDate::from_ymd_opt(year, number.rem_euclid(12) as u32 + 1, 1).unwrap_or_default(), 0)
        }
    };
    let time = NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default();
    first_instant(date.and_time(time), zone)
}

/// The earliest instant at which the zone's clocks show this time, or have jumped over it.
fn first_instant(wanted: NaiveDateTime, zone: Tz) -> i64 {
    match zone.from_local_datetime(&wanted) {
        LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => instant.timestamp_millis(),
        LocalResult::None => end_of_gap(wanted, zone),
    }
}

/// The instant at which clocks were put forward over `wanted`.
fn end_of_gap(wanted: NaiveDateTime, zone: Tz) -> i64 {
    let day = Days::new(2);
    let bounds = wanted.checked_sub_days(day).zip(wanted.checked_add_days(day)).unwrap_or((wanted, wanted));
    let (mut before, mut after) = (bounds.0.and_utc().timestamp_millis(), bounds.1.and_utc().timestamp_millis());
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if local(middle, zone) < wanted { before = middle } else { after = middle }
    }
    after
}

#[cfg(test)]
mod tests {
    use chrono::Weekday;
    use chrono_tz::{America, Asia, Europe, Pacific};
    use proptest::prelude::*;

    use super::*;

    const ALL: [Period; 4] = [Period::HalfDay, Period::Day, Period::Week, Period::Month];

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    fn hours(period: Period, time: &str, zone: Tz) -> f64 {
        let window = window(period, at(time), zone);
        (window.end_ms - window.start_ms) as f64 / 3_600_000.0
    }

    #[test]
    fn days_have_23_and_25_hours_when_the_clocks_change() {
        // 31 March and 27 October 2019 in Paris.
        assert_eq!(hours(Period::Day, "2019-03-31T12:00:00Z", Europe::Paris), 23.0);
        assert_eq!(hours(Period::Day, "2019-10-27T12:00:00Z", Europe::Paris), 25.0);
        assert_eq!(hours(Period::HalfDay, "2019-03-31T00:30:00Z", Europe::Paris), 11.0);
        assert_eq!(hours(Period::HalfDay, "2019-10-27T01:30:00Z", Europe::Paris), 13.0);
        assert_eq!(hours(Period::HalfDay, "2019-10-27T14:00:00Z", Europe::Paris), 12.0);
        assert_eq!(hours(Period::Week, "2019-03-31T12:00:00Z", Europe::Paris), 167.0);
        assert_eq!(hours(Period::Month, "2019-10-05T12:00:00Z", Europe::Paris), 745.0);
        let day = window(Period::Day, at("2019-07-14T12:00:00Z"), Europe::Paris);
        assert_eq!((day.start_ms, day.end_ms), (at("2019-07-14T00:00:00+02:00"), at("2019-07-15T00:00:00+02:00")));
        let week = window(Period::Week, at("2019-07-14T12:00:00Z"), Europe::Paris);
        assert_eq!(week.start_ms, at("2019-07-08T00:00:00+02:00"));
    }

    #[test]
    fn clocks_that_jump_at_midnight_leave_no_hole() {
        // São Paulo had no midnight on 4 November 2018; Samoa no 30 December 2011; in 2010 Newfoundland's
        // clocks went back across midnight, at one minute past it.
        let day = window(Period::Day, at("2018-11-04T12:00:00Z"), America::Sao_Paulo);
        assert_eq!((day.start_ms, day.end_ms), (at("2018-11-04T03:00:00Z"), at("2018-11-05T02:00:00Z")));
        let day = window(Period::Day, at("2011-12-30T09:59:00Z"), Pacific::Apia);
        assert_eq!(day.end_ms, at("2011-12-30T10:00:00Z"));
        let next = window(Period::Day, day.end_ms, Pacific::Apia);
        assert_eq!((next.start_ms, next.end_ms), (day.end_ms, at("2011-12-31T10:00:00Z")));
        let night = at("2010-11-07T02:31:30Z");
        let day = window(Period::Day, night, America::St_Johns);
        assert_eq!((day.start_ms, day.end_ms - day.start_ms), (at("2010-11-07T02:30:00Z"), 25 * 3_600_000));
    }

    proptest! {
        /// Periods tile time, and where midnight is one instant they are what the calendar says.
        #[test]
        fn periods_agree_with_the_zone_database(
            seconds in -10_000_000_000i64..10_000_000_000,
            zone in prop::sample::select(vec![
                Tz::UTC, Europe::Paris, Europe::London, Asia::Kolkata, America::Sao_Paulo, America::St_Johns, Pacific::Apia,
            ]),
            period in prop::sample::select(ALL.to_vec()),
        ) {
            let time_ms = seconds * 1_000;
            let found = window(period, time_ms, zone);
            prop_assert!(found.contains(time_ms));
            prop_assert_eq!(window(period, found.start_ms, zone), found);
            prop_assert_eq!(window(period, found.end_ms - 1, zone), found);
            prop_assert_eq!(window(period, found.end_ms, zone).start_ms, found.end_ms);
            prop_assert_eq!(window(period, found.start_ms - 1, zone).end_ms, found.start_ms);
        }

        #[test]
        fn in_paris_they_begin_and_end_on_the_clock(seconds in -2_000_000_000i64..4_000_000_000) {
            let time_ms = seconds * 1_000;
            for period in ALL {
                let found = window(period, time_ms, Europe::Paris);
                for bound in [found.start_ms, found.end_ms] {
                    let shown = local(bound, Europe::Paris);
                    prop_assert_eq!((shown.minute(), shown.second()), (0, 0));
                    prop_assert!(shown.hour() == 0 || (period == Period::HalfDay && shown.hour() == 12));
                    prop_assert!(period != Period::Week || shown.weekday() == Weekday::Mon);
                    prop_assert!(period != Period::Month || shown.day() == 1);
                }
                let (first, now) = (local(found.start_ms, Europe::Paris), local(time_ms, Europe::Paris));
                prop_assert_eq!(number(period, first), number(period, now));
            }
        }
    }
}
