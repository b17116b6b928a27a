//! Times against chrono.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, Duration, NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::{NOON_MS, temperatures, twin};
use crate::config::{Format, StreamConfig, TimeFormat};
use crate::decode::decimal::Number;
use crate::decode::fields::Slot;
use crate::decode::time::{Minutes, TimeFault, TimeReader, WHOLE_MINUTES_SINCE_S};

fn read(format: TimeFormat, zone: Tz, text: &str) -> Result<i64, TimeFault> {
    TimeReader::new(format, zone).read(&Slot::Text(Cow::Borrowed(text)), &mut Minutes::default())
}

#[test]
fn the_forms_of_one_instant() {
    let paris = chrono_tz::Europe::Paris;
    for text in [
        "2019-02-19T14:02:10Z",
        "2019-02-19t14:02:10z",
        "2019-02-19 14:02:10+00:00",
        "2019-02-19T15:02:10.000+01:00",
        "2019-02-19T09:32:10-04:30",
        "2019-02-19 14:02:10 UTC",
        "2019-02-19T14:02:10.0009999 UTC",
        "2019-02-19 15:02:10",
        "2019-02-19T15:02:10.0",
    ] {
        assert_eq!(read(TimeFormat::Auto, paris, text), Ok(NOON_MS), "{text}");
    }
    assert_eq!(read(TimeFormat::Auto, paris, "2019-02-19T14:02:10.9Z"), Ok(NOON_MS + 900));
    assert_eq!(read(TimeFormat::Compact, paris, "20190219150210"), Ok(NOON_MS));
    let number = Slot::Number(Number::parse("1550584930000999.9e-3").unwrap());
    let number = |format| TimeReader::new(format, paris).read(&number, &mut Minutes::default());
    assert_eq!(number(TimeFormat::EpochMs), Ok(NOON_MS));
    for (format, text) in [
        (TimeFormat::EpochS, "1550584930.0009"),
        (TimeFormat::EpochMs, "1550584930000"),
        (TimeFormat::EpochUs, "1550584930000999"),
        (TimeFormat::EpochNs, "1550584930000999999"),
    ] {
        assert_eq!(read(format, paris, text), Ok(NOON_MS), "{text}");
    }
    assert_eq!(read(TimeFormat::EpochUs, paris, "-1"), Ok(-1));
    assert_eq!(read(TimeFormat::EpochS, paris, "-1e-999999"), Ok(-1));
    assert_eq!(read(TimeFormat::EpochS, paris, "253402300800"), Err(TimeFault::NotATime));
}

#[test]
fn what_is_not_a_time() {
    for text in [
        "",
        "2019-02-19",
        "2019-02-19 14:02",
        "2019-02-19 14:02:10.",
        "2019-02-19 14:02:10Zx",
        "2019-02-19 14:02:10 Z",
        "2019-02-30 14:02:10",
        "2019-02-29 14:02:10",
        "1900-02-29 00:00:00",
        "2019-13-01 00:00:00",
        "2019-00-01 00:00:00",
        "2019-01-00 00:00:00",
        "2019-01-01 24:00:00",
        "2019-01-01 00:60:00",
        "2016-12-31 23:59:60",
        "0000-01-01 00:00:00",
        "2019-02-19 14:02:10+24:00",
        "2019-02-19 14:02:10+01:60",
        "2019-02-19 14:02:10+0100",
        "2019-02-19x14:02:10",
        "2019/02/19 14:02:10",
        " 2019-02-19 14:02:10",
        "+019-02-19 14:02:10",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "２019-02-19 14:02:10",
    ] {
        assert_eq!(read(TimeFormat::Auto, chrono_tz::UTC, text), Err(TimeFault::NotATime), "{text}");
        let stream = StreamConfig { zone: chrono_tz::UTC, ..temperatures(Format::Json) };
        let oracle = twin::civil(&stream, text);
        assert!(oracle.is_err() || text.starts_with("0001") || text.starts_with("9999"), "{text}");
    }
}

/// Every local quarter of an hour of two weeks around each change of the clocks.
#[test]
fn local_times_are_the_earlier_or_do_not_exist() {
    for zone in [chrono_tz::Europe::Paris, chrono_tz::Australia::Lord_Howe, chrono_tz::America::New_York] {
        for month in [3, 4, 10, 11] {
            let first = NaiveDate::from_ymd_opt(2019, month, 1).and_then(|day| day.and_hms_opt(0, 0, 0));
            for quarter in 0..31 * 96 {
                let local = first.expect("a date") + Duration::minutes(15 * quarter);
                let text = local.format("%Y-%m-%d %H:%M:%S").to_string();
                let expected = twin::earliest(zone, local).ok_or(TimeFault::NoSuchLocalTime);
                assert_eq!(read(TimeFormat::Auto, zone, &text), expected, "{text} {zone}");
            }
        }
    }
}

/// What [`Minutes`] remembers of a local time rests on this.
#[test]
fn clocks_are_set_at_whole_minutes_since_1973() {
    const DAY_S: i64 = 86_400;
    let east_s = |zone: Tz, at_s: i64| {
        let utc = DateTime::from_timestamp(at_s, 0).unwrap().naive_utc();
        i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
    };
    let mut changes = 0;
    for zone in chrono_tz::TZ_VARIANTS {
        let mut from_s = WHOLE_MINUTES_SINCE_S - DAY_S;
        // (Until 2100 no zone has announced anything else than summer times that repeat.)
        while from_s < 4_102_444_800 {
            let before = east_s(zone, from_s);
            let (mut same_s, mut other_s) = (from_s, from_s + 5 * DAY_S);
            from_s = other_s;
            if east_s(zone, other_s) == before {
                continue;
            }
            while other_s - same_s > 1 {
                let middle_s = (same_s + other_s) / 2;
                if east_s(zone, middle_s) == before { same_s = middle_s } else { other_s = middle_s }
            }
            changes += 1;
            assert_eq!((other_s % 60, east_s(zone, other_s) % 60), (0, 0), "{zone} at {other_s}");
        }
        assert_eq!(east_s(zone, WHOLE_MINUTES_SINCE_S) % 60, 0, "{zone}");
    }
    assert!(changes > 10_000, "{changes}");
}

/// One reader for all of them: what it remembers changes nothing.
#[test]
fn what_is_remembered_of_minutes_changes_nothing() {
    let reader = TimeReader::new(TimeFormat::Auto, chrono_tz::Europe::Paris);
    let mut minutes = Minutes::default();
    for day in ["1911-03-10", "1968-05-01", "2018-03-25", "2018-10-28", "2019-02-29", "2024-02-29"] {
        for (hour, minute) in [(1, 59), (2, 0), (2, 9), (2, 29), (3, 0), (23, 59), (23, 60), (0, 0), (0, 9), (24, 0)] {
            for rest in [":00", ":59", ":60", ":30.5", ":30Z", ":30+02:00", ":3", "", ":30x", " 30"] {
                let text = format!("{day} {hour:02}:{minute:02}{rest}");
                let slot = Slot::Text(Cow::Borrowed(&text));
                assert_eq!(reader.read(&slot, &mut minutes), reader.read(&slot, &mut Minutes::default()), "{text}");
            }
        }
    }
}

proptest! {
    #![proptest_config(super::cases(4000))]

    #[test]
    fn every_instant_reads_back(time_ms in crate::decode::time::RANGE_MS) {
        let time = DateTime::from_timestamp_millis(time_ms).expect("in range");
        let text = time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        prop_assert_eq!(read(TimeFormat::Auto, chrono_tz::UTC, &text), Ok(time_ms));
        let compact = time.format("%Y%m%d%H%M%S").to_string();
        prop_assert_eq!(read(TimeFormat::Compact, chrono_tz::UTC, &compact), Ok(time_ms.div_euclid(1000) * 1000));
    }

    #[test]
    fn reads_what_chrono_reads(
        year in prop_oneof![1..=9999i32, 998..=1002i32, 9995..=9999i32], rest in "(0[0-9]|1[0-3])-([0-2][0-9]|3[0-2])[ T]([01][0-9]|2[0-5]):[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,10})?(| UTC|Z|[+-][0-2][0-9]:[0-6][0-9])",
    ) {
        let text = format!("{year:04}-{rest}");
        let stream = temperatures(Format::Json);
        let fast = read(TimeFormat::Auto, stream.zone, &text).map_err(|fault| match fault {
            TimeFault::NotATime => "bad_time",
            TimeFault::NoSuchLocalTime => "no_such_local_time",
        });
        let stored = |time_ms: &i64| {
            let time = DateTime::from_timestamp_millis(*time_ms).expect("chrono read it");
            (1000..=9997).contains(&time.year())
        };
        let oracle = twin::civil(&stream, &text).and_then(|time_ms| Some(time_ms).filter(stored).ok_or("bad_time"));
        prop_assert_eq!(fast, oracle, "{}", text);
    }
}
