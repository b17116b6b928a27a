//! Labels, tenants, and numbers that the stream does not name.

use std::collections::BTreeMap;

use arrow_array::Array;
use proptest::prelude::*;

use super::{NOON_MS, cases, metric, stations, temperatures};
use crate::config::{Format, PositionFields, StreamConfig, TenantConfig};
use crate::decode::Decoder;
use crate::decode::others::{MAX_FIELDS, MAX_NAME};
use crate::reading::{Batch, Offset, RawBatch, TextColumn};

fn stream(format: Format, tenant: Option<TenantConfig>) -> StreamConfig {
    let labels = [("station", "station_id"), ("kind", "a.kind")];
    StreamConfig {
        position: PositionFields::None,
        filters: Vec::new(),
        labels: labels.map(|(name, field)| (name.to_owned(), field.to_owned())).into(),
        tenant,
        ..temperatures(format)
    }
}

fn open(format: Format) -> StreamConfig {
    StreamConfig {
        every_numeric: true,
        metrics: BTreeMap::from([("t".to_owned(), metric("temp"))]),
        ..stream(format, None)
    }
}

fn decode(stream: &StreamConfig, raw: RawBatch) -> Batch {
    Decoder::new(stream, stations()).expect("a valid stream").decode(raw)
}

fn decode_one(stream: &StreamConfig, payload: &str) -> Batch {
    let mut raw = RawBatch::default();
    raw.push(Offset(0), Some(NOON_MS), Some(b"key"), Some(payload.as_bytes()));
    decode(stream, raw)
}

fn texts(column: &TextColumn) -> Vec<Option<&str>> {
    column.of.iter().map(|of| of.map(|of| &*column.texts[of as usize])).collect()
}

/// The numbers of a row that the stream does not name, in thousandths.
fn others(batch: &Batch, row: usize) -> Vec<(String, i64)> {
    let others = &batch.columns.others;
    let mut found: Vec<(String, i64)> = others
        .of(row)
        .iter()
        .map(|(name, value, _)| (others.names[*name as usize].to_string(), value / 1_000_000))
        .collect();
    found.sort();
    found
}

fn reasons(batch: &Batch) -> Vec<&'static str> {
    batch.rejections.iter().map(|rejection| rejection.reject.reason()).collect()
}

const TIME: &str = r#""timestamp":"2019-02-19 14:02:10""#;

#[test]
fn labels_are_texts_as_they_stand() {
    let readings = [
        r#""station_id":1161115016,"a":{"kind":"x/y"}"#,
        r#""station_id":"é","a":{"kind":true}"#,
        r#""station_id":null,"a":{"kind":"mq"}"#,
        r#""station_id":[1],"a":3"#,
    ];
    let long = format!(r#""station_id":"{}","a":{{"kind":"{}"}}"#, "x".repeat(256), "x".repeat(257));
    let all: Vec<String> =
        readings.iter().copied().chain([long.as_str()]).map(|fields| format!("{{{TIME},{fields}}}")).collect();
    let batch = decode_one(&stream(Format::Json, None), &format!("[{}]", all.join(",")));
    assert_eq!(reasons(&batch), [""; 0]);
    let whole = "x".repeat(256);
    // In the order of the labels' names.
    let expected = [Some("x/y"), Some("true"), None, None, None];
    assert_eq!(texts(&batch.columns.labels[0]), expected);
    assert_eq!(texts(&batch.columns.labels[1]), [Some("1161115016"), Some("é"), None, None, Some(&*whole)]);
    assert!(batch.columns.tenants.is_none());

    let csv = format!("timestamp;station_id;a.kind\n2019-02-19 14:02:10; 7 ;x\n2019-02-19 14:02:10;;{}\n", "y");
    let batch = decode_one(&stream(Format::Csv, None), &csv);
    assert_eq!(texts(&batch.columns.labels[1]), [Some("7"), None]);
    assert_eq!(texts(&batch.columns.labels[0]), [Some("x"), Some("y")]);
}

#[test]
fn tenants_come_from_key_header_or_field() {
    let payload = format!(r#"{{{TIME},"tenant_id":"f"}}"#);
    let record = |key: Option<&[u8]>, header: Option<&[u8]>| {
        let mut raw = RawBatch::default();
        raw.push(Offset(0), Some(NOON_MS), key, Some(payload.as_bytes()));
        header.into_iter().for_each(|value| raw.push_header(value));
        raw
    };
    let tenant = |config: TenantConfig, raw| {
        let batch = decode(&stream(Format::Json, Some(config)), raw);
        let found = batch.columns.tenants.as_ref().map(|tenants| texts(tenants).concat_all());
        (found.unwrap_or_default(), reasons(&batch))
    };
    let header = || TenantConfig::Header("tenant".into());
    assert_eq!(tenant(TenantConfig::Key, record(Some(b"k"), Some(b"h"))), ("k".into(), vec![]));
    assert_eq!(tenant(header(), record(Some(b"k"), Some(b"h"))), ("h".into(), vec![]));
    assert_eq!(tenant(TenantConfig::Field("tenant_id".into()), record(None, None)), ("f".into(), vec![]));
    for (config, raw) in [
        (TenantConfig::Key, record(None, None)),
        (TenantConfig::Key, record(Some(b""), None)),
        (TenantConfig::Key, record(Some(b"\xff"), None)),
        (TenantConfig::Key, record(Some(&[b'x'; 257]), None)),
        (header(), record(Some(b"k"), None)),
        (TenantConfig::Field("tenant".into()), record(Some(b"k"), None)),
    ] {
        assert_eq!(tenant(config, raw), (String::new(), vec!["no_tenant"]));
    }
}

trait ConcatAll {
    fn concat_all(&self) -> String;
}

impl ConcatAll for Vec<Option<&str>> {
    fn concat_all(&self) -> String {
        self.iter().flatten().copied().collect()
    }
}

#[test]
fn every_number_that_nothing_else_names_is_a_metric() {
    let json = format!(
        r#"{{{TIME},"id":7,"temp":1.5,"t":9,"station_id":3,"co":2,"a":{{"kind":4,"b":{{"pm\u0031":-0.25}}}},
            "text":"5","flag":true,"list":[6],"none":null,"co":2.5}}"#
    );
    let batch = decode_one(&open(Format::Json), &json);
    assert_eq!(reasons(&batch), [""; 0]);
    assert_eq!(others(&batch, 0), [("a.b.pm1".to_owned(), -250), ("co".to_owned(), 2_500)]);
    assert_eq!(batch.columns.metrics[0].values.value(0), 1_500_000_000);

    let csv = "timestamp;temp;co;name;no2;id\n2019-02-19 14:02:10;1; 2 ;x;;7\n2019-02-19 14:02:10;1;y;x;3;7\n";
    let batch = decode_one(&open(Format::Csv), csv);
    assert_eq!(others(&batch, 0), [("co".to_owned(), 2_000)]);
    assert_eq!(others(&batch, 1), [("no2".to_owned(), 3_000)]);
}

#[test]
fn numbers_that_cannot_be_metrics_are_left_out_and_cost_nothing() {
    let fields = |count: usize| (0..count).map(|n| format!(r#","m{n}":{n}"#)).collect::<String>();
    let long = |length: usize| format!(r#","{}":1"#, "n".repeat(length));
    let cases = [
        (fields(MAX_FIELDS + 3), 4),
        (long(MAX_NAME + 1), 1),
        (r#","":1,"":2"#.to_owned(), 2),
        // A time in ms is no value of a billionth's unit.
        (r#","ts":1550584930000,"x":1e300"#.to_owned(), 2),
        (format!(r#","x":0.{}"#, "3".repeat(5_000)), 1),
        (fields(MAX_FIELDS - 1), 0),
    ];
    for (fields, left_out) in cases {
        let payload = format!(r#"[{{{TIME},"x":1}},{{{TIME},"temp":7,"y":2{fields}}},{{{TIME},"x":3}}]"#);
        let batch = decode_one(&open(Format::Json), &payload);
        assert_eq!(reasons(&batch), [""; 0]);
        assert_eq!([0, 1, 2].map(|row| batch.columns.others.left_out(row)), [0, left_out, 0]);
        assert_eq!(others(&batch, 0), [("x".to_owned(), 1_000)]);
        assert!(others(&batch, 1).contains(&("y".to_owned(), 2_000)));
        assert_eq!(others(&batch, 2), [("x".to_owned(), 3_000)]);
        assert_eq!(batch.columns.metrics[0].values.value(1), 7_000_000_000);
    }
    let pandas = "timestamp,,co\n2019-02-19 14:02:10,0,2\n";
    let batch = decode_one(&StreamConfig { separator: b',', ..open(Format::Csv) }, pandas);
    assert_eq!((others(&batch, 0), batch.columns.others.left_out(0)), (vec![("co".to_owned(), 2_000)], 1));
    let empty_key = decode_one(&open(Format::Json), &format!(r#"{{{TIME},"":{{"co":1}},"co":2}}"#));
    assert_eq!(others(&empty_key, 0), [(".co".to_owned(), 1_000), ("co".to_owned(), 2_000)]);
}

#[test]
fn nothing_is_kept_of_a_record_that_breaks_half_way() {
    let mut raw = RawBatch::default();
    for payload in [
        format!(r#"{{{TIME},"x":1}}"#),
        format!(r#"[{{{TIME},"x":2,"station_id":1}},{{"#),
        format!(r#"{{{TIME},"z":3}}"#),
    ] {
        raw.push(Offset(raw.records.len() as i64), Some(NOON_MS), None, Some(payload.as_bytes()));
    }
    let batch = decode(&open(Format::Json), raw);
    assert_eq!(batch.columns.len(), 2);
    assert_eq!(others(&batch, 0), [("x".to_owned(), 1_000)]);
    assert_eq!(others(&batch, 1), [("z".to_owned(), 3_000)]);
    assert_eq!(texts(&batch.columns.labels[1]), [None, None]);
}

proptest! {
    #![proptest_config(cases(300))]

    /// Against serde_json: the same numbers under the same paths, however the object is built.
    #[test]
    fn numbers_agree_with_serde_json(
        fields in prop::collection::btree_map("[a-c]{1,2}", prop_oneof![
            (-999i64..999).prop_map(|n| n.to_string()),
            Just("\"7\"".to_owned()), Just("null".to_owned()), Just("[1,2]".to_owned()),
            Just("{\"x\":5,\"y\":{\"z\":-6}}".to_owned()), Just("{}".to_owned()),
        ], 0..8),
    ) {
        let members: String = fields.iter().map(|(name, value)| format!(r#","{name}":{value}"#)).collect();
        let batch = decode_one(&open(Format::Json), &format!("{{{TIME}{members}}}"));
        let mut expected = Vec::new();
        collect("", &serde_json::from_str(&format!("{{{}}}", members.trim_start_matches(','))).unwrap(), &mut expected);
        expected.retain(|(name, _)| name != "a.kind");
        expected.sort();
        prop_assert_eq!(others(&batch, 0), expected);
        prop_assert!(batch.columns.metrics[0].values.is_null(0));
    }

    #[test]
    fn hostile_text_never_panics(payload in "[{}\\[\\]\",:a0.e-]{0,60}") {
        decode_one(&open(Format::Json), &payload);
        decode_one(&open(Format::Csv), &format!("timestamp;b\n{payload}"));
    }
}

fn collect(path: &str, value: &serde_json::Value, found: &mut Vec<(String, i64)>) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                collect(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, found);
            }
        }
        serde_json::Value::Number(number) => found.push((path.to_owned(), number.as_i64().unwrap() * 1_000)),
        _ => {}
    }
}
