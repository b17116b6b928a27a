//! What came before a record changes nothing about it: a batch decodes like its records one by one, in every respect
//! (values, texts, labels, tenants, unnamed numbers; of a reject its message and where it lies).

use std::collections::BTreeMap;
use std::ops::Range;

use proptest::prelude::*;

use super::{NOON_MS, everything, stations};
use crate::config::{Format, PositionFields, StreamConfig, TenantConfig};
use crate::decode::Decoder;
use crate::reading::{Batch, Offset, RawBatch, TextColumn};

/// A stream that asks for all that can be asked for.
fn all(format: Format) -> StreamConfig {
    StreamConfig {
        every_numeric: true,
        labels: BTreeMap::from([("site", "id"), ("c", "a.c")].map(|(name, field)| (name.to_owned(), field.to_owned()))),
        tenant: Some(TenantConfig::Field("country".to_owned())),
        ..everything(format)
    }
}

/// Everything that is known of each record.
fn told(batch: &Batch) -> Vec<String> {
    let columns = &batch.columns;
    let slice =
        |range: &Range<u32>| batch.raw.bytes[range.start as usize..range.end as usize].escape_ascii().to_string();
    let label = |column: &TextColumn, row: usize| column.get(row).map(|text| column.text(text).to_string());
    let reading = |row: usize| {
        let metrics: Vec<_> =
            columns.metrics.iter().map(|metric| (metric.values.slice(row, 1), metric.flags.value(row))).collect();
        let other =
            |(name, value, bits): &(u32, i64, u8)| (columns.others.names[*name as usize].clone(), *value, *bits);
        let others: Vec<_> = columns.others.of(row).iter().map(other).collect();
        let labels: Vec<_> = columns.labels.iter().chain(&columns.tenants).map(|column| label(column, row)).collect();
        let place = (columns.time_ms.value(row), columns.lat.slice(row, 1), columns.lon.slice(row, 1));
        let rest =
            (columns.filtered.value(row), columns.others.left_out(row), columns.index[row], slice(&columns.text[row]));
        format!("{place:?} {metrics:?} {others:?} {labels:?} {rest:?}")
    };
    let record = |record: &crate::reading::Record| {
        let rejections = batch.rejections.iter().filter(|rejection| rejection.offset == record.offset);
        let rejections: Vec<_> =
            rejections.map(|found| (found.index, found.reject.to_string(), slice(&found.text))).collect();
        let readings: Vec<String> = record.readings.clone().map(|row| reading(row as usize)).collect();
        format!("{readings:#?} {rejections:#?}")
    };
    batch.records.iter().map(record).collect()
}

pub fn assert_alike(stream: &StreamConfig, payloads: &[&[u8]]) {
    let decoder = Decoder::new(stream, stations()).expect("a valid stream");
    let together = told(&decoder.decode(batch(payloads.iter().enumerate())));
    assert_eq!(together.len(), payloads.len());
    for (number, (payload, together)) in payloads.iter().zip(together).enumerate() {
        let alone = told(&decoder.decode(batch([(number, payload)].into_iter()))).remove(0);
        assert_eq!(alone, together, "record {number}: {}", payload.escape_ascii());
    }
}

/// The fast ways change nothing, in any respect either. `header`: that of a CSV file, whose lines the payloads are.
pub fn assert_slow_alike(stream: &StreamConfig, header: Option<&[u8]>, payloads: &[&[u8]]) {
    let [fast, slow] = [Decoder::new, Decoder::slow].map(|new| {
        let decoder = new(stream, stations()).expect("a valid stream");
        let decoder = header.map_or(Ok(decoder.clone()), |header| decoder.with_csv_header(header)).expect("a header");
        told(&decoder.decode(batch(payloads.iter().enumerate())))
    });
    for ((fast, slow), payload) in fast.iter().zip(&slow).zip(payloads) {
        assert_eq!(fast, slow, "{}", payload.escape_ascii());
    }
}

/// Records of which some are from a file, or a day old, or have a key that names nobody, or no header.
fn batch<'a>(payloads: impl Iterator<Item = (usize, &'a &'a [u8])>) -> RawBatch {
    const LONG: &[u8] = &[b'k'; 257];
    let mut raw = RawBatch::default();
    for (number, payload) in payloads {
        let record_ms = [Some(NOON_MS), Some(NOON_MS), Some(NOON_MS), None, Some(NOON_MS), Some(NOON_MS - 86_400_000)];
        let keys = [
            Some(b"key".as_slice()),
            Some(b"key"),
            Some(b"another"),
            None,
            Some(b"key"),
            Some(b""),
            Some(b"\xff"),
            Some(LONG),
        ];
        raw.push(Offset(number as i64), record_ms[number % 6], keys[number % 8], Some(payload));
        if number % 9 != 7 {
            raw.push_header(b"tenant");
        }
    }
    raw
}

/// With behind them what the last one may be looked at together with.
pub fn with_end<'a>(payloads: &[&'a [u8]]) -> Vec<&'a [u8]> {
    payloads.iter().copied().chain([b"something long enough".as_slice()]).collect()
}

/// What has its shape from where it stood alone may be too deep within an array, and so may a value in the place of a number.
#[test]
fn depths_are_those_of_the_record() {
    let stream = StreamConfig { position: PositionFields::None, ..all(Format::Json) };
    for (open, close) in [("{\"x\":", "}"), ("[", "]")] {
        for depth in 58..66 {
            let object = |x: &str| format!("{{\"t\":1,\"y\":{{\"x\":{x}}}}}");
            let deep = object(&format!("{}1{}", open.repeat(depth), close.repeat(depth)));
            let (flat, array) = (object("1"), format!("[{deep}]"));
            let learned_deep = [&deep, &deep, &deep, &array, &deep, &array].map(|text| text.as_bytes());
            let learned_flat = [&flat, &flat, &flat, &deep, &array, &deep, &array].map(|text| text.as_bytes());
            assert_alike(&stream, &with_end(&learned_deep));
            assert_alike(&stream, &with_end(&learned_flat));
        }
    }
}

/// Values that are not looked at eight bytes at once.
#[test]
fn values_of_all_kinds_in_one_shape() {
    let line = |value: &str| {
        format!(
            r#"{{"timestamp":"2019-02-19 14:02:10","lat":45.5,"lon":0,"country":"France","a":{{"b":{value},"c":true}},"id":{value}}}"#
        )
    };
    let values = [
        "1",
        "2",
        "3",
        "1e3",
        "1.5e-05",
        "12345678901234567890.5",
        "-0",
        "01",
        "1.",
        "-",
        "\"Caf\\u00e9\"",
        "\"a\\\"b\"",
        "\"\\ud83d\"",
        "\"\u{1}\"",
        "\"unfinished",
        "null",
        "true",
        "falsch",
        "{\"x\":1}",
        "[1,[2]]",
        "",
        "\"é\"",
        "4",
    ];
    let lines = values.map(line);
    let payloads: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    assert_alike(&all(Format::Json), &with_end(&payloads));
}

#[test]
fn times_that_are_zeros() {
    let line =
        |time: &str| format!(r#"{{"timestamp":"{time}","lat":45.5,"lon":0,"country":"France","a":{{"c":true}}}}"#);
    let zeros = "\\u0000".repeat(16) + ":10";
    let lines = [&zeros, "2019-02-19 14:00:10", &zeros, "2019-02-19 14:00:10", "2019-02-19 14:00:1x"].map(line);
    let payloads = lines.each_ref().map(|line| line.as_bytes());
    assert_alike(&all(Format::Json), &with_end(&payloads));
}

/// Shapes take memory: what would take much is not learned.
#[test]
fn large_objects_have_no_shape() {
    let large = format!("{{{}\"t\":1}}", "\"\":1,".repeat(5000));
    assert_alike(&all(Format::Json), &with_end(&[large.as_bytes(); 8]));
}

proptest! {
    #![proptest_config(super::cases(1000))]

    #[test]
    fn readings_that_look_alike(lines in super::differential::look_alike(), arrays in prop::collection::vec(any::<bool>(), 9)) {
        let text = |(line, array): (&String, &bool)| if *array { format!("[{line},{line}]") } else { line.clone() };
        let payloads: Vec<String> = lines.iter().zip(&arrays).map(text).collect();
        let payloads: Vec<&[u8]> = payloads.iter().map(String::as_bytes).collect();
        assert_alike(&all(Format::Json), &with_end(&payloads));
    }
}
