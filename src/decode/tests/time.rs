//! Times against chrono.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, Duration, NaiveDate};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::{NOON_MS, temperatures, twin};
use crate::config::{Format, StreamConfig, TimeFormat};
use crate::decode::fields::Slot;
use crate::decode::time::{TimeFault, TimeReader};

fn read(format: TimeFormat, zone: Tz, text: &str) -> Result<i64, TimeFault> {
    TimeReader::new(format, zone).read(&Slot::Text(Cow::Borrowed(text)))
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
    let number = |format| TimeReader::new(format, paris).read(&Slot::Number("1550584930000999.9e-3"));
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
