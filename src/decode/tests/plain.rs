//! Ordinary readings, taken in one pass, against the long way through slots and judge: a record alone goes that way always,
//! since its shape is not known yet.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::alone::{assert_alike, assert_slow_alike, with_end};
use super::{NOON_MS, agree, everything, metric, stations, temperatures, verdicts};
use crate::config::{FilterConfig, FilterRule, Format, PositionFields, StreamConfig, TenantConfig, TimeFormat};
use crate::decode::Decoder;
use crate::decode::compile::Compiled;
use crate::decode::plain::Ordinary;
use crate::decode::shape::Shapes;
use crate::decode::time::Minutes;
use crate::decode::window::Windows;
use crate::reading::{Offset, RawBatch};
use crate::simulate::Random;

/// What a plan can say, all of it.
pub fn planned() -> StreamConfig {
    let kelvin = everything(Format::Json).metrics["kelvin"].clone();
    let of = |name: &str, field: &str| (name.to_owned(), field.to_owned());
    StreamConfig {
        metrics: BTreeMap::from([("kelvin".to_owned(), kelvin), ("level".to_owned(), metric("a.b"))]),
        labels: BTreeMap::from([of("other", "other.y"), of("site", "id")]),
        filters: vec![
            FilterConfig { field: "country".into(), rule: FilterRule::Not("Spain".into()) },
            FilterConfig { field: "kind".into(), rule: FilterRule::In(vec!["x".into(), "é".into()]) },
        ],
        ..temperatures(Format::Json)
    }
}

fn compiled(stream: &StreamConfig) -> Compiled {
    Compiled::new(stream, stations()).expect("a valid stream")
}

const LINE: &str = r#"{"id":"s1","timestamp":"2019-02-19 14:02:10","lat":45.6,"lon":-0.5,"temperature":29.4,"country":"France","kind":"x","other":{"y":"z"},"a":{"b":7}}"#;

/// The same stream with a metric, a label and a filter whose fields no reading here has; `kept`: the filter keeps them all the same.
pub fn lacking(mut stream: StreamConfig, kept: bool) -> StreamConfig {
    let rule = |values| if kept { FilterRule::Not(values) } else { FilterRule::In(vec![values]) };
    stream.metrics.insert("another".into(), metric("a.absent"));
    stream.labels.insert("nowhere".into(), "a.nowhere".into());
    stream.filters.push(FilterConfig { field: "absent".into(), rule: rule("".into()) });
    stream
}

/// Whether it is taken in one pass, where the line above has shown the shape.
fn is_ordinary(line: &str) -> bool {
    is_ordinary_of(&planned(), LINE, line)
}

fn is_ordinary_of(stream: &StreamConfig, shown: &str, line: &str) -> bool {
    let compiled = compiled(stream);
    let mut shapes = Shapes::default();
    (0..2).for_each(|_| shapes.missed(shown, &compiled.tree, compiled.judge.fields.len(), compiled.plan.as_ref()));
    let windows = Windows::new(line.as_bytes());
    let mut taken_before = |last_ms: i64| {
        let (mut ordinary, window) = (Ordinary::new(&compiled.judge), windows.at(0, line.len()));
        ordinary.last_ms = last_ms;
        let end = shapes.ordinary(&mut ordinary, &window, line, &compiled.judge, &mut Minutes::default(), 1);
        assert!(end.is_none_or(|end| end == line.len()));
        end.is_some()
    };
    assert!(!taken_before(NOON_MS - 86_400_000), "it is from a time to come");
    taken_before(compiled.judge.last_ms(Some(NOON_MS)))
}

#[test]
fn what_is_ordinary_and_what_is_not() {
    let with = |was: &str, is: &str| {
        assert!(LINE.contains(was));
        LINE.replacen(was, is, 1)
    };
    let ordinary = [
        ("s1", "s2"),
        ("s1", ""),
        ("s1", "Forêt"),
        ("s1", "mq"),
        ("29.4", "-0.000000001"),
        ("29.4", "1.2345678901234567"),
        ("France", "Spain"),
        ("x", "y"),
        ("z", ""),
        ("-0.5", "-180"),
        ("10\"", "10+01:00\""),
        ("29.4", "null"),
        ("7}}", "null}}"),
        ("\"s1\"", "null"),
        ("\"France\"", "null"),
        ("\"z\"", "null"),
    ];
    for (was, is) in ordinary {
        assert!(is_ordinary(&with(was, is)), "{was} → {is}");
    }
    let others = [
        ("s1", "a \\\" quote"),
        ("\"s1\"", "1"),
        ("29.4", "nul"),
        ("45.6", "null"),
        ("\"2019-02-19 14:02:10\"", "null"),
        ("\"z\"", "nil"),
        ("29.4", "2e1"),
        ("29.4", "029.4"),
        ("29.4", "12345678901234567890"),
        ("29.4", "1e999"),
        ("29.4", "9999999999999"),
        ("\"France\"", "true"),
        ("-0.5", "-180.1"),
        ("45.6", "\"45.6\""),
        ("2019-02-19", "2019-02-30"),
        ("2019-02-19", "2019-02-21"),
        ("2019-02-19 14:02:10", "mq"),
        ("\"country\"", "\"land\""),
        ("7}}", "7}]"),
        ("7}}", "7}"),
    ];
    for (was, is) in others {
        assert!(!is_ordinary(&with(was, is)), "{was} → {is}");
    }
}

#[test]
fn some_fields_may_be_absent() {
    let without = |member: &str| {
        assert!(LINE.contains(member));
        LINE.replacen(member, "", 1)
    };
    for member in [
        r#""id":"s1","#,
        r#","temperature":29.4"#,
        r#","country":"France""#,
        r#","kind":"x""#,
        r#","other":{"y":"z"}"#,
        r#","a":{"b":7}"#,
        r#""b":7"#,
    ] {
        let line = without(member);
        assert!(is_ordinary_of(&planned(), &line, &line), "{line}");
        let lines = [&line, &line, LINE, LINE, &line, LINE, &line].map(str::as_bytes);
        assert_slow_alike(&planned(), None, &lines);
    }
    for member in [r#""timestamp":"2019-02-19 14:02:10","#, r#""lat":45.6,"#, r#""lon":-0.5,"#] {
        assert!(!is_ordinary_of(&planned(), &without(member), &without(member)), "{member}");
    }
    let by_site = StreamConfig { tenant: Some(TenantConfig::Field("site".into())), ..planned() };
    assert!(!is_ordinary_of(&by_site, LINE, LINE));
    assert!([true, false].into_iter().all(|kept| is_ordinary_of(&lacking(planned(), kept), LINE, LINE)));
}

/// Readings that begin alike and go on in 32 ways, in any order: one is taken up where another has left off.
#[test]
fn many_shapes() {
    let pools: [&[&str]; 5] = [
        &[r#""country":"France""#, r#""country":"Spain""#, r#""country":null"#, r#""country":"Sp\u0061in""#],
        &[r#""kind":"x""#, r#""kind":"y""#, r#""kind":"é""#, r#""kind":1"#],
        &[r#""temperature":29.4"#, r#""temperature":31"#, r#""temperature":2e1"#, r#""temperature":"?""#],
        &[r#""a":{"b":7}"#, r#""a":{"b":null}"#, r#""a":{"b":8,"b":9}"#, r#""a":7"#],
        &[r#""other":{"y":"z"}"#, r#""other":{"y":""}"#, r#""other":[{"y":1}]"#, r#""other":{"y":{}}"#],
    ];
    let mut random = Random::new(1);
    let mut draw = |below: usize| random.below(below);
    for round in 0..30 {
        let lines: Vec<String> = (0..200)
            .map(|_| {
                let members = draw(32);
                // (Mostly what is ordinary.)
                let some = pools.iter().enumerate().filter(|(number, _)| members >> number & 1 == 1);
                let some: Vec<&str> = some.map(|(_, pool)| pool[draw(12).saturating_sub(8)]).collect();
                let start = match draw(20) {
                    0 => r#"{"id":"s1","lat":45.6,"lon":-0.5"#,
                    1 => r#"{"id":"s1","timestamp":"2019-02-19 14:02:10","lat":4.56e1,"lon":-0.5"#,
                    _ => r#"{"id":"s1","timestamp":"2019-02-19 14:02:10","lat":45.6,"lon":-0.5"#,
                };
                format!("{start}{}{}}}", if some.is_empty() { "" } else { "," }, some.join(","))
            })
            .collect();
        let payloads: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        let kept = StreamConfig { filters: planned().filters[..round % 3].to_vec(), ..planned() };
        assert_slow_alike(&kept, None, &payloads);
        let array = format!("[{}]", lines.join(","));
        assert_slow_alike(&StreamConfig { format: Format::JsonArray, ..kept }, None, &[array.as_bytes()]);
    }
}

/// Where next to nothing was alike, and then one comes again and again that had been learned before.
#[test]
fn a_shape_is_found_again() {
    let compiled = compiled(&planned());
    let fields = compiled.judge.fields.len();
    let kind = |number: usize| LINE.replacen('{', &format!("{{\"x{number}\":1,"), 1);
    let mut shapes = Shapes::default();
    let missed = |shapes: &mut Shapes, line: &str| shapes.missed(line, &compiled.tree, fields, compiled.plan.as_ref());
    (0..100).for_each(|number| missed(&mut shapes, &kind(number)));
    let again = kind(30);
    let windows = Windows::new(again.as_bytes());
    let is_taken = |shapes: &mut Shapes| {
        let (mut ordinary, window) = (Ordinary::new(&compiled.judge), windows.at(0, again.len()));
        ordinary.last_ms = NOON_MS;
        shapes.ordinary(&mut ordinary, &window, &again, &compiled.judge, &mut Minutes::default(), 1).is_some()
    };
    assert!(!is_taken(&mut shapes), "the others are tried no more");
    (0..28).for_each(|_| missed(&mut shapes, &again));
    assert!(is_taken(&mut shapes));
}

#[test]
fn streams_that_want_more_have_no_plan() {
    let has_plan = |stream: StreamConfig| compiled(&stream).plan.is_some();
    assert!(has_plan(planned()));
    assert!(has_plan(StreamConfig { position: PositionFields::None, ..planned() }));
    assert!(has_plan(StreamConfig { tenant: Some(TenantConfig::Key), ..planned() }));
    assert!(has_plan(StreamConfig { time_format: TimeFormat::EpochMs, ..planned() }));
    let others = [
        everything(Format::Json),
        StreamConfig { active: Some("active".into()), ..planned() },
        StreamConfig { every_numeric: true, ..planned() },
        StreamConfig { missing: vec!["-9999".into()], ..planned() },
        StreamConfig { position: PositionFields::Station { field: "id".into() }, ..planned() },
        // One value for two.
        StreamConfig { tenant: Some(TenantConfig::Field("id".into())), ..planned() },
        StreamConfig { labels: BTreeMap::from([("land".to_owned(), "country".to_owned())]), ..planned() },
    ];
    for stream in others {
        assert!(!has_plan(stream));
    }
}

proptest! {
    #![proptest_config(super::cases(2000))]

    #[test]
    fn ordinary_readings_are_read_as_any(lines in super::differential::ordinary(), arrays in prop::collection::vec(any::<bool>(), 9), kind in 0..6) {
        let text = |(line, array): (&String, &bool)| if *array { format!("[{line},{line}]") } else { line.clone() };
        let payloads: Vec<String> = lines.iter().zip(&arrays).map(text).collect();
        // (The first of a batch show the shape.)
        let first = payloads.iter().take(2).chain(&payloads);
        let payloads: Vec<&[u8]> = first.map(String::as_bytes).collect();
        [true, false].into_iter().for_each(|kept| assert_slow_alike(&lacking(planned(), kept), None, &payloads));
        let stream = match kind {
            0 => planned(),
            1 => StreamConfig { position: PositionFields::None, ..planned() },
            2 => {
                let labels = BTreeMap::from([("other".to_owned(), "other.y".to_owned())]);
                StreamConfig { tenant: Some(TenantConfig::Field("id".into())), labels, ..planned() }
            }
            3 => StreamConfig { tenant: Some(TenantConfig::Header("h".into())), ..planned() },
            4 => StreamConfig { time_format: TimeFormat::EpochS, ..planned() },
            _ => StreamConfig { tenant: Some(TenantConfig::Key), ..planned() },
        };
        assert_alike(&stream, &with_end(&payloads));
    }

    #[test]
    fn damaged_readings_are_read_as_any(lines in super::differential::ordinary(), kind in 0u8..5, at: prop::sample::Index, byte in prop_oneof![prop::sample::select(b"\"\\{}[]:,0-9.eE \n\t\0\xc3".to_vec()), any::<u8>()], epoch in any::<bool>()) {
        let time_format = if epoch { TimeFormat::EpochMs } else { TimeFormat::Auto };
        let damaged = super::differential::damage(lines.join("\n").into_bytes(), kind, at, byte);
        let (first, spaced) = (lines[0].as_bytes(), [b" \n", lines[0].as_bytes(), b" \r"].concat());
        let several = [&[first, first, &spaced][..], &damaged.split(|byte| *byte == b'\n').collect::<Vec<_>>()].concat();
        assert_slow_alike(&StreamConfig { time_format: time_format.clone(), ..planned() }, None, &several);
        let text = several.join(&b'\n');
        assert_slow_alike(&StreamConfig { format: Format::Ndjson, time_format, ..planned() }, None, &[&text, first]);
    }

    #[test]
    fn ordinary_readings_are_what_the_twin_says(lines in super::differential::ordinary(), epoch in any::<bool>()) {
        let lines = [&lines[..1], &lines[..1], &lines].concat();
        let time_format = if epoch { TimeFormat::EpochS } else { TimeFormat::Auto };
        agree(&StreamConfig { format: Format::Ndjson, time_format, ..planned() }, lines.join("\n").as_bytes(), Some(NOON_MS));
        agree(&StreamConfig { format: Format::JsonArray, ..planned() }, format!("[{}]", lines.join(", ")).as_bytes(), None);
    }
}

/// Instants that are numbers, also of a time to come.
#[test]
fn times_as_numbers() {
    let line = |time: &str| LINE.replacen("\"2019-02-19 14:02:10\"", time, 1);
    let times = [
        "1550584930000",
        "1550584930000",
        "1550584930001",
        "1550585230000",
        "1550585230001",
        "4102444800000",
        "-1",
        "1e3",
        "1.5",
    ];
    let lines = times.map(line);
    let payloads: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    assert_slow_alike(&StreamConfig { time_format: TimeFormat::EpochMs, ..planned() }, None, &payloads);
}

/// Whoever is filtered out need not say whose it is.
#[test]
fn a_filtered_reading_needs_no_tenant() {
    let stream = StreamConfig { tenant: Some(TenantConfig::Key), ..planned() };
    let decoder = Decoder::new(&stream, stations()).expect("a valid stream");
    let spanish = LINE.replacen("France", "Spain", 1);
    let mut raw = RawBatch::default();
    for payload in [spanish.as_str(), LINE, LINE, LINE, &spanish, LINE] {
        raw.push(Offset(raw.records.len() as i64), Some(NOON_MS), None, Some(payload.as_bytes()));
    }
    let found = verdicts(&decoder.decode(raw));
    let reasons: Vec<_> = found.iter().map(|verdicts| verdicts[0].as_ref().err().copied()).collect();
    let none = Some("no_tenant");
    assert_eq!(reasons, [None, none, none, none, None, none]);
}

/// Nothing stands between the records of a batch: what is cut does not go on.
#[test]
fn a_record_that_is_cut_does_not_go_on() {
    let compiled = planned();
    let decoder = Decoder::new(&compiled, stations()).expect("a valid stream");
    for at in 1..LINE.len() {
        let (before, after) = LINE.split_at(at);
        let mut raw = RawBatch::default();
        for payload in [LINE, LINE, LINE, before, after, LINE] {
            raw.push(Offset(raw.records.len() as i64), Some(NOON_MS), None, Some(payload.as_bytes()));
        }
        let found: Vec<bool> = verdicts(&decoder.decode(raw)).iter().map(|verdicts| verdicts[0].is_ok()).collect();
        assert_eq!(found, [true, true, true, false, false, true], "{before}");
    }
}
