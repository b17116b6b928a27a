//! Hostile inputs, each with its reason; and what a bad reading may not do to others.

use super::{NOON_MS, agree, batch, decode, stations, synop, temperatures, text, verdicts};
use crate::config::{Format, PositionFields, StreamConfig, TenantConfig, TimeFormat};
use crate::decode::{Decoder, Reject};
use crate::reading::{Offset, RawBatch};

const GOOD: &str = r#"{"timestamp":"2019-02-19 14:02:10","lat":45.6,"lon":0.06,"temperature":29.4,"country":"France"}"#;

/// The good reading with one piece of its text replaced.
fn with(piece: &str, other: &str) -> String {
    assert!(GOOD.contains(piece), "{piece}");
    GOOD.replace(piece, other)
}

fn reasons(stream: &StreamConfig, payload: &[u8]) -> Vec<&'static str> {
    decode(stream, payload, Some(NOON_MS)).into_iter().map(|verdict| verdict.err().unwrap_or("")).collect()
}

fn assert_reasons(cases: &[(String, &str)]) {
    for (payload, expected) in cases {
        let stream = temperatures(Format::Json);
        let reasons = reasons(&stream, payload.as_bytes());
        let shown: String = payload.chars().take(200).collect();
        assert_eq!(reasons, [*expected], "{shown}");
        agree(&stream, payload.as_bytes(), Some(NOON_MS));
    }
}

/// The shape of the first two fits what the third and the fourth make together, their keys included.
#[test]
fn a_record_does_not_go_on_in_the_next_one() {
    let stream = StreamConfig { position: PositionFields::None, filters: Vec::new(), ..temperatures(Format::Json) };
    let whole: &[u8] = br#"{"timestamp":"2019-02-19 14:02:10","temperature":1,"note":"a long enough text"}"#;
    let cut: &[u8] = br#"{"timestamp":"2019-02-19 14:02:10","temperature":1,"note":"#;
    let payloads = [whole, whole, whole, &[cut, b"\""].concat(), b"\"}                 ", whole];
    let decoder = Decoder::new(&stream, stations()).expect("a valid stream");
    let found = verdicts(&decoder.decode(batch(&payloads, Some(NOON_MS))));
    let labels: Vec<&str> =
        found.iter().map(|verdicts| verdicts[0].as_ref().err().copied().unwrap_or("well")).collect();
    assert_eq!(labels, ["well", "well", "well", "malformed", "malformed", "well"]);
}

#[test]
fn text_that_is_not_one_object() {
    let nested = |depth: usize| with("29.4", &format!("29.4,\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert_reasons(&[
        (GOOD.to_owned(), ""),
        (format!(" \r\n{GOOD}\t\n"), ""),
        (GOOD[..GOOD.len() - 1].to_owned(), "malformed"),
        (GOOD[..40].to_owned(), "malformed"),
        (format!("{GOOD}x"), "malformed"),
        (format!("{GOOD}{GOOD}"), "malformed"),
        (with("29.4", "NaN"), "malformed"),
        (with("29.4", "-Infinity"), "malformed"),
        // Of duplicate keys the last one counts.
        (with("29.4", "\"bad\",\"temperature\":29.4"), ""),
        (with("29.4", "29.4,\"temperature\":\"bad\""), "bad_number"),
        (nested(63), ""),
        (nested(64), "too_deep"),
        (nested(100_000), "too_deep"),
        ("[".repeat(1 << 19), "too_deep"),
        ("{\"a\":".repeat(1 << 17), "too_deep"),
        // What comes first in the text is the reason.
        (format!("{}\0", "[".repeat(65)), "too_deep"),
        (format!("{}\0", "[".repeat(64)), "malformed"),
        (format!("{}-[", "[".repeat(64)), "malformed"),
        (String::new(), "empty"),
        (" \n".to_owned(), "empty"),
        ("[7]".to_owned(), "not_an_object"),
        ("[".to_owned(), "malformed"),
        ("7".to_owned(), "not_an_object"),
        ("7 7".to_owned(), "malformed"),
        ("\u{feff}{}".to_owned(), "malformed"),
        ("\0".to_owned(), "malformed"),
        (with("France", "Fra\nnce"), "malformed"),
        (with("France", r"\ud83d"), "malformed"),
        (with("France", r"\udc00\ud83d"), "malformed"),
        (with("France", r"\x46"), "malformed"),
        (with("France", r"\u0046rance"), ""),
        (with(",\"country\"", ",,\"country\""), "malformed"),
        (with("\"France\"", "\"France\","), "malformed"),
        (with("\"France\"", "tru"), "malformed"),
    ]);
}

#[test]
fn metrics_that_are_not_numbers() {
    assert_reasons(&[
        (with("29.4", "1e999"), "out_of_range"),
        (with("29.4", "-1e99999999999999999999999999"), "out_of_range"),
        (with("29.4", "1e-999"), ""),
        (with("29.4", "-0"), ""),
        (with("29.4", "029"), "malformed"),
        (with("29.4", "+29"), "malformed"),
        (with("29.4", "29."), "malformed"),
        (with("29.4", &"9".repeat(400)), "out_of_range"),
        (with("29.4", &format!("0.{}", "3".repeat(400))), ""),
        (with("29.4", &format!("0.{}", "3".repeat(5000))), "number_too_long"),
        (with("29.4", "\"29.4\""), "bad_number"),
        (with("29.4", "\"mq\""), ""),
        (with("29.4", "\"\""), ""),
        (with("29.4", "null"), ""),
        (with("29.4", "true"), "bad_number"),
        (with("29.4", "[29.4]"), "bad_number"),
        (with("29.4", "{}"), "bad_number"),
        (with("\"temperature\"", "\"humidity\""), ""),
    ]);
}

#[test]
fn places_and_times_that_do_not_exist() {
    assert_reasons(&[
        (with("45.6", "91"), "bad_position"),
        (with("45.6", "-90.0000000001"), "bad_position"),
        (with("45.6", "90"), ""),
        (with("0.06", "180.5"), "bad_position"),
        (with("0.06", "-180"), ""),
        (with("0.06", "1e999"), "bad_position"),
        (with("0.06", "\"0.06\""), "bad_number"),
        (with("0.06", "null"), "missing_field"),
        (with("\"lat\"", "\"latitude\""), "missing_field"),
        (with("\"lat\":45.6,\"lon\":0.06,", ""), ""),
        // Swapped, but a place on Earth: outside every region, which is not for the decoder to say.
        (with("45.6,\"lon\":0.06", "0.06,\"lon\":45.6"), ""),
        (with("2019-02-19 14:02:10", "9990-02-19 14:02:10"), "future"),
        (with("2019-02-19 14:02:10", "9999-02-19 14:02:10"), "bad_time"),
        (with("2019-02-19 14:02:10", "2019-02-30 14:02:10"), "bad_time"),
        (with("2019-02-19 14:02:10", "2018-03-25 02:30:00"), "no_such_local_time"),
        (with("2019-02-19 14:02:10", "2018-10-28 02:30:00"), ""),
        (with("2019-02-19 14:02:10", "2019-02-19T14:02:10 Europe/Pariss"), "bad_time"),
        (with("2019-02-19 14:02:10", "2019-02-19 14:02:10 UTX"), "bad_time"),
        (with("2019-02-19 14:02:10", "2019-02-19T14:02:60Z"), "bad_time"),
        (with("2019-02-19 14:02:10", ""), "missing_field"),
        (with("\"2019-02-19 14:02:10\"", "1550584930"), "bad_time"),
        (with("\"2019-02-19 14:02:10\"", "null"), "missing_field"),
        (with("\"timestamp\"", "\"time\""), "missing_field"),
        (with("\"France\"", "\"Spain\""), ""),
    ]);
}

#[test]
fn a_record_that_is_no_text_is_refused() {
    let stream = temperatures(Format::Json);
    let mut bad = with("France", "Fr?nce").into_bytes();
    let at = bad.iter().position(|&byte| byte == b'?').expect("the mark");
    bad[at] = 0xC3;
    assert_eq!(reasons(&stream, &bad), ["not_utf8"]);
    let large = vec![b' '; 10 << 20];
    assert_eq!(reasons(&stream, &large), ["too_large"]);
    let mut raw = RawBatch::default();
    raw.push(Offset(7), None, Some(b"key"), None);
    let batch = Decoder::new(&stream, stations()).expect("valid").decode(raw);
    assert_eq!((batch.rejections[0].reject.clone(), batch.rejections[0].offset), (Reject::Tombstone, Offset(7)));
    assert_eq!((batch.rejections[0].text.clone(), batch.records[0].rejected), (0..0, 1));
}

/// A mark alone is no table without rows: it would vanish.
#[test]
fn a_table_without_a_header_is_refused() {
    let stream = StreamConfig { separator: b',', ..temperatures(Format::Csv) };
    for (payload, wanted) in [
        ("\u{feff}", vec!["empty"]),
        ("\u{feff} \r\n", vec!["empty"]),
        ("\n\n", vec!["empty"]),
        ("\ntimestamp\n", vec![]),
        ("\u{feff}timestamp\n", vec![]),
    ] {
        assert_eq!(reasons(&stream, payload.as_bytes()), wanted, "{payload:?}");
    }
}

#[test]
fn the_future_begins_after_the_bound() {
    let stream = StreamConfig { time_format: TimeFormat::EpochMs, ..temperatures(Format::Json) };
    let verdict = |time_ms: i64, record_ms| {
        let payload = with("\"2019-02-19 14:02:10\"", &time_ms.to_string());
        decode(&stream, payload.as_bytes(), record_ms)[0].clone().map(|reading| reading.time_ms)
    };
    assert_eq!(verdict(NOON_MS + 300_000, Some(NOON_MS)), Ok(NOON_MS + 300_000));
    assert_eq!(verdict(NOON_MS + 300_001, Some(NOON_MS)), Err("future"));
    assert_eq!(verdict(NOON_MS + 300_001, Some(i64::MAX)), Ok(NOON_MS + 300_001));
    assert_eq!(verdict(stream.files_before_ms - 1, None), Ok(stream.files_before_ms - 1));
    assert_eq!(verdict(stream.files_before_ms, None), Err("future"));
}

#[test]
fn a_bad_reading_in_an_array_harms_only_itself() {
    let stream = temperatures(Format::JsonArray);
    let payload = format!("[{GOOD}, {} ,7,\"x\",[{GOOD}], {GOOD}]", with("29.4", "1e999"));
    let expected = ["", "out_of_range", "not_an_object", "not_an_object", "not_an_object", ""];
    assert_eq!(reasons(&stream, payload.as_bytes()), expected);
    assert_eq!(reasons(&stream, b" [ ] "), [""; 0]);
    assert_eq!(reasons(&stream, GOOD.as_bytes()), ["not_an_array"]);
}

#[test]
fn an_array_that_breaks_half_way_keeps_nothing() {
    let stream = temperatures(Format::JsonArray);
    let broken = [
        format!("[{GOOD},{},{GOOD}", with("29.4", "1e999")),
        format!("[{GOOD},]"),
        format!("[{GOOD}{GOOD}]"),
        format!("[{GOOD},7,{{]"),
        format!("[{GOOD}]]"),
    ];
    for payload in &broken {
        assert_eq!(reasons(&stream, payload.as_bytes()), ["malformed"], "{payload}");
    }
    // Neighbours in the batch stay what they are, and every row keeps its text.
    let good = format!("[{GOOD},{GOOD}]");
    let raw = batch(&[good.as_bytes(), broken[0].as_bytes(), good.as_bytes()], Some(NOON_MS));
    let batch = Decoder::new(&stream, stations()).expect("valid").decode(raw);
    let counts: Vec<usize> = verdicts(&batch).iter().map(Vec::len).collect();
    assert_eq!((counts, batch.columns.index.clone()), (vec![2, 1, 2], vec![0, 1, 0, 1]));
    assert!((0..4).all(|row| text(&batch, row) == GOOD));
    let payload = batch.raw.records[1].payload.clone().expect("a payload");
    assert_eq!(batch.rejections[0].text, payload);
}

#[test]
fn a_bad_line_harms_only_itself() {
    let stream = temperatures(Format::Ndjson);
    let mut payload = format!("\n{GOOD}\r\n  \n{{\n{GOOD} {GOOD}\n[]\n").into_bytes();
    payload.extend_from_slice(b"\xff\n");
    payload.extend_from_slice(GOOD.as_bytes());
    let expected = ["", "malformed", "malformed", "not_an_object", "not_utf8", ""];
    assert_eq!(reasons(&stream, &payload), expected);
    let decoder = Decoder::new(&stream, stations()).expect("valid");
    let batch = decoder.decode(batch(&[&payload], None));
    assert!((0..2).all(|row| text(&batch, row) == GOOD));
    assert_eq!(batch.columns.index, [0, 5]);
    assert_eq!(batch.raw.bytes[batch.rejections[0].text.start as usize..][..2], *b"{\n");
}

#[test]
fn a_bad_row_harms_only_itself() {
    let stream = synop();
    let rows = [
        ("07005;20190101000000;282.25;3.5;", ""),
        ("07005;20190101000000;mq;3.5", ""),
        ("07005;20190101000000;282.25", "row_too_short"),
        ("07005;20190101000000;282.25;3.5;7;", "row_too_long"),
        ("07005;20190230000000;282.25;3.5;", "bad_time"),
        ("07005;2019010100000;282.25;3.5;", "bad_time"),
        // Without a known station there is no position: a matter of the views that need one.
        ("7005;20190101000000;282.25;3.5;", ""),
        (";20190101000000;282.25;3.5;", ""),
        ("07005;20190101000000;NaN;3.5;", "bad_number"),
        ("07005;20190101000000;inf;3.5;", "bad_number"),
        ("07005;20190101000000;1e999;3.5;", "out_of_range"),
        ("07005;20190101000000; -0 ;3.5;", ""),
        ("07005;\"20190101000000\";\"282.25\";3.5;", ""),
        ("07005;\"20190101000000\"x;282.25;3.5;", "malformed"),
        ("07005;20190101000000;282.25;\"3.5;", "malformed"),
    ];
    let lines: Vec<&str> = rows.iter().map(|(line, _)| *line).collect();
    let expected: Vec<&str> = rows.iter().map(|(_, reason)| *reason).collect();
    let header = "\u{feff}numer_sta; date ;t;ff;";
    for end in ["\n", "\r\n"] {
        let payload = [header, "", &lines.join(end), ""].join(end);
        assert_eq!(reasons(&stream, payload.as_bytes()), expected);
    }
    assert_eq!(reasons(&stream, header.as_bytes()), [""; 0]);
    let no_time = format!("numer_sta;t;ff\n{}", "07005;282.25;3.5");
    assert_eq!(reasons(&stream, no_time.as_bytes()), ["missing_field"]);
    assert_eq!(reasons(&stream, b"\"numer_sta;date\n1;2\n"), ["malformed"]);
}

/// Every reason there is, each with a record that is refused for it. The list in [`Reject::REASONS`] and the
/// records here must name the same ones.
#[test]
fn every_reason_has_an_example() {
    let json = |payload: String| (temperatures(Format::Json), Some(payload.into_bytes()));
    let csv = |row: &str| (synop(), Some(format!("numer_sta;date;t;ff\n{row}").into_bytes()));
    let tenants = StreamConfig { tenant: Some(TenantConfig::Field("owner".into())), ..temperatures(Format::Json) };
    let array = StreamConfig { format: Format::JsonArray, ..temperatures(Format::Json) };
    let examples = [
        ("tombstone", (temperatures(Format::Json), None)),
        ("empty", json("  ".into())),
        ("too_large", json(" ".repeat(10 << 20))),
        ("not_utf8", (temperatures(Format::Json), Some(b"{\"id\":\"\xc3(\"}".to_vec()))),
        ("malformed", json(GOOD[..GOOD.len() - 9].into())),
        ("too_deep", json(with("29.4", &format!("{}{}", "[".repeat(100), "]".repeat(100))))),
        ("not_an_object", json("[29.4]".into())),
        ("not_an_array", (array, Some(b"29.4".to_vec()))),
        ("row_too_short", csv("07005;20190101000000;282.25")),
        ("row_too_long", csv("07005;20190101000000;282.25;3.5;7")),
        ("missing_field", json(with("\"timestamp\"", "\"time\""))),
        ("bad_time", json(with("2019-02-19", "2019-02-30"))),
        ("no_such_local_time", json(with("2019-02-19 14:02:10", "2018-03-25 02:30:00"))),
        ("future", json(with("2019", "9990"))),
        ("bad_number", json(with("29.4", "\"29.4\""))),
        ("number_too_long", json(with("29.4", &format!("0.{}", "3".repeat(5000))))),
        ("out_of_range", json(with("29.4", &"9".repeat(400)))),
        ("bad_position", json(with("45.6", "91"))),
        ("no_tenant", (tenants, Some(GOOD.as_bytes().to_vec()))),
    ];
    for (reason, (stream, payload)) in &examples {
        let mut raw = RawBatch::default();
        raw.push(Offset(7), Some(NOON_MS), Some(b"key"), payload.as_deref());
        let batch = Decoder::new(stream, stations()).expect("valid").decode(raw);
        let found: Vec<&str> = batch.rejections.iter().map(|rejection| rejection.reject.reason()).collect();
        assert_eq!(found, [*reason]);
        // What a person is told names the value, and never all of a long one.
        let told = batch.rejections[0].reject.to_string();
        assert!(!told.is_empty() && told.len() < 400, "{reason}: {told}");
    }
    assert_eq!(examples.each_ref().map(|(reason, _)| *reason), Reject::REASONS);
}

#[test]
fn invalid_configurations_are_refused_with_a_name() {
    let good = temperatures(Format::Json);
    let metric = |change: fn(&mut crate::config::MetricConfig)| {
        let mut stream = good.clone();
        change(stream.metrics.get_mut("temperature").expect("the metric"));
        stream
    };
    let cases = [
        (metric(|metric| metric.scale = "x".into()), "metrics.temperature.scale"),
        (metric(|metric| metric.scale = "0.0".into()), "zero"),
        (metric(|metric| metric.offset = "1e18".into()), "metrics.temperature.offset"),
        (metric(|metric| metric.field = "a..b".into()), "metrics.temperature.field"),
        (StreamConfig { unit_exponent: -19, ..good.clone() }, "1e-19"),
        (StreamConfig { separator: b'"', ..good.clone() }, "separator"),
        (StreamConfig { time: String::new(), ..good.clone() }, "time"),
    ];
    for (stream, named) in cases {
        let error = Decoder::new(&stream, stations()).expect_err(named).to_string();
        assert!(error.contains(named), "{error}");
    }
    let station = StreamConfig { position: PositionFields::Station { field: "id".into() }, ..good };
    assert!(Decoder::new(&station, Default::default()).is_err());
    let csv = Decoder::new(&synop(), stations()).expect("valid");
    let error = csv.with_csv_header(b"numer_sta,date,t").expect_err("separator").to_string();
    assert!(error.contains("\"date\""), "{error}");
}
