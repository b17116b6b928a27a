//! Tests of the whole decoder: tables of hostile input, and the slow twin on generated input.

use std::collections::BTreeMap;

use super::twin::{self, Reading, Verdict, batch, verdicts};
use super::{Decoder, Stations};
use crate::config::{
    FilterConfig, FilterRule, Format, MetricConfig, NormalRange, PositionFields, StationsConfig, StreamConfig,
    Threshold, TimeFormat,
};
use crate::reading::Batch;

mod alone;
mod arrow;
mod decimal;
mod differential;
mod hostile;
mod labels;
mod plain;
mod row;
mod shapes;
mod swar;
mod time;
mod window;

/// The text of a row.
pub fn text(batch: &Batch, row: usize) -> &str {
    let range = batch.columns.text[row].clone();
    std::str::from_utf8(&batch.raw.bytes[range.start as usize..range.end as usize]).expect("text of a row")
}

/// Property tests print the failing case; they leave no files behind.
pub fn cases(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config { cases, failure_persistence: None, ..Default::default() }
}

/// The verdicts on one payload.
pub fn decode(stream: &StreamConfig, payload: &[u8], timestamp_ms: Option<i64>) -> Vec<Verdict> {
    let decoder = Decoder::new(stream, stations()).expect("a valid stream");
    verdicts(&decoder.decode(batch(&[payload], timestamp_ms))).remove(0)
}

/// The decoder says the same of a payload as its twin.
fn agree(stream: &StreamConfig, payload: &[u8], record_ms: Option<i64>) {
    let decoder = Decoder::new(stream, stations()).expect("a valid stream");
    twin::assert_agreement(&decoder, stream, &stations(), payload, record_ms);
}

/// 2019-02-19T14:02:10Z.
pub const NOON_MS: i64 = 1_550_584_930_000;

pub fn metric(field: &str) -> MetricConfig {
    MetricConfig { field: field.into(), scale: "1".into(), offset: "0".into(), threshold: None, normal: None }
}

/// The temperatures of `country = "France"`.
pub fn temperatures(format: Format) -> StreamConfig {
    StreamConfig {
        topics: vec!["temperatures".into()],
        files: Vec::new(),
        history: Vec::new(),
        format,
        separator: b';',
        id: Some("id".into()),
        time: "timestamp".into(),
        time_format: TimeFormat::Auto,
        zone: chrono_tz::Europe::Paris,
        position: PositionFields::LatLon { lat: "lat".into(), lon: "lon".into() },
        stations: None,
        active: None,
        metrics: BTreeMap::from([("temperature".to_owned(), metric("temperature"))]),
        every_numeric: false,
        labels: BTreeMap::new(),
        tenant: None,
        missing: vec!["mq".into(), String::new()],
        filters: vec![FilterConfig { field: "country".into(), rule: FilterRule::Equals("France".into()) }],
        unit_exponent: -9,
        out_of_orderness_ms: 120_000,
        max_future_ms: 300_000,
        files_before_ms: 4_102_444_800_000,
        idle_after_ms: 60_000,
        max_record: 1 << 20,
    }
}

/// Kelvin, thresholds of both kinds, a normal range, nested paths, a flag: everything at once.
pub fn everything(format: Format) -> StreamConfig {
    let kelvin = MetricConfig {
        scale: "1.5".into(),
        offset: "-273.15".into(),
        threshold: Some(Threshold::Fixed("10.0000000005".into())),
        normal: Some(NormalRange { mu: "12.5".into(), sigma: "0.25".into(), k: "3".into() }),
        ..metric("temperature")
    };
    let threshold = Threshold::Field { field: "limit".into(), unset: Some("999999".into()) };
    let level = MetricConfig { threshold: Some(threshold), ..metric("a.b") };
    let coarse = MetricConfig { scale: "-1e-9".into(), offset: "5e-10".into(), ..metric("a.b") };
    StreamConfig {
        active: Some("active".into()),
        metrics: BTreeMap::from([
            ("kelvin".to_owned(), kelvin),
            ("level".to_owned(), level),
            ("coarse".to_owned(), coarse),
        ]),
        filters: vec![
            FilterConfig { field: "country".into(), rule: FilterRule::Not("Spain".into()) },
            FilterConfig { field: "a.c".into(), rule: FilterRule::In(vec!["true".into(), "1.0".into(), "é".into()]) },
        ],
        missing: vec!["mq".into(), "-9999".into()],
        ..temperatures(format)
    }
}

pub fn stations() -> Stations {
    let config = StationsConfig {
        file: "stations.csv".into(),
        separator: b';',
        id: "ID".into(),
        lat: "Latitude".into(),
        lon: "Longitude".into(),
    };
    Stations::from_csv("ID;Latitude;Longitude\n07005;50.136;1.834\n07015;50.57;3.0975\n", &config).expect("valid")
}

/// Météo-France's SYNOP messages.
pub fn synop() -> StreamConfig {
    let kelvin = MetricConfig { offset: "-273.15".into(), ..metric("t") };
    StreamConfig {
        time: "date".into(),
        time_format: TimeFormat::Compact,
        zone: chrono_tz::UTC,
        position: PositionFields::Station { field: "numer_sta".into() },
        metrics: BTreeMap::from([("temperature".to_owned(), kelvin), ("wind".to_owned(), metric("ff"))]),
        filters: Vec::new(),
        ..temperatures(Format::Csv)
    }
}
