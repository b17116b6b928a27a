//! The shapes that users send, decoded to the values that they mean.

use std::collections::BTreeMap;

use super::{NOON_MS, Reading, batch, decode, everything, metric, stations, synop, temperatures, text, verdicts};
use crate::config::{Format, MetricConfig, PositionFields, StreamConfig, Threshold, TimeFormat};
use crate::decode::Decoder;
use crate::reading::flags::{ACTIVE, ALARM, OUTLIER};

#[test]
fn a_temperature() {
    let payload = br#"[{"id":"1b16b092-e8e8-490b-a9be-0db1580fb164","timestamp":"2019-02-19 14:02:10",
        "lat":45.6258385,"lon":0.0629891,"temperature":29.4068,"country":"France"}]"#;
    // 14:02:10 in Paris, an hour ahead in winter.
    let expected = Reading {
        time_ms: NOON_MS - 3_600_000,
        filtered: false,
        position: Some((45.6258385, 0.0629891)),
        metrics: vec![(Some(29_406_800_000), 0)],
    };
    assert_eq!(decode(&temperatures(Format::JsonArray), payload, None), [Ok(expected)]);
}

#[test]
fn a_filtered_reading_keeps_its_time_alone() {
    let payload = br#"{"timestamp":"2019-02-19T14:02:10Z","lat":"?","temperature":[],"country":"Spain"}"#;
    let expected = Reading { time_ms: NOON_MS, filtered: true, position: None, metrics: vec![(None, 0)] };
    assert_eq!(decode(&temperatures(Format::Json), payload, Some(NOON_MS)), [Ok(expected)]);
}

#[test]
fn an_alarm_of_a_base_station() {
    let threshold = Threshold::Field { field: "valueThreshold".into(), unset: Some("999999".into()) };
    let stream = StreamConfig {
        time: "event_time".into(),
        position: PositionFields::None,
        active: Some("isActive".into()),
        metrics: BTreeMap::from([("value".to_owned(), MetricConfig { threshold: Some(threshold), ..metric("value") })]),
        filters: Vec::new(),
        ..temperatures(Format::Json)
    };
    let flags = |value: &str, threshold: &str, active: &str| {
        let payload = format!(
            r#"{{"station_id":1161115016,"alarm_id":308,"event_time":"2017-02-18 18:28:05 UTC",
               "value":{value},"valueThreshold":{threshold},"isActive":{active},"storedtime":""}}"#
        );
        let reading = decode(&stream, payload.as_bytes(), None).remove(0)?;
        assert_eq!((reading.time_ms, reading.position), (1_487_442_485_000, None));
        Ok::<u8, &str>(reading.metrics[0].1)
    };
    assert_eq!(flags("240", "241", "true"), Ok(ACTIVE));
    assert_eq!(flags("241", "241", "false"), Ok(0));
    assert_eq!(flags("241.000000001", "241", "false"), Ok(ALARM));
    assert_eq!(flags("1000000", "999999", "1"), Ok(ACTIVE));
    assert_eq!(flags("1000000", "999999.0", "\"True\""), Ok(ACTIVE));
    assert_eq!(flags("1000000", "\"999999\"", "0"), Ok(0));
    assert_eq!(flags("1000000", "999998", "-0.0"), Ok(ALARM));
    assert_eq!(flags("1000000", "null", "null"), Ok(0));
    assert_eq!(flags("1000000", "\"high\"", "null"), Err("bad_number"));
    assert_eq!(flags("null", "1", "true"), Ok(0));
}

#[test]
fn alarms_and_outliers_are_judged_to_the_last_digit() {
    let mut stream = everything(Format::Json);
    stream.filters.clear();
    stream.metrics.retain(|name, _| name == "kelvin");
    stream.metrics.get_mut("kelvin").expect("the metric").scale = "1".into();
    let flags = |kelvin: &str| {
        let payload = format!(r#"{{"timestamp":"2019-02-19T14:02:10Z","lat":1,"lon":1,"temperature":{kelvin}}}"#);
        decode(&stream, payload.as_bytes(), None)[0].clone().map(|reading| reading.metrics[0].1)
    };
    // The threshold is 10.0000000005 °C, the normal range 11.75 to 13.25.
    assert_eq!(flags("283.15"), Ok(OUTLIER));
    assert_eq!(flags("283.150000001"), Ok(OUTLIER | ALARM));
    assert_eq!(flags("284.9"), Ok(ALARM));
    assert_eq!(flags("284.899999999"), Ok(ALARM | OUTLIER));
    assert_eq!(flags("286.4"), Ok(ALARM));
    assert_eq!(flags("286.400000001"), Ok(ALARM | OUTLIER));
}

#[test]
fn synop_lines_of_a_file() {
    let decoder = Decoder::new(&synop(), stations()).expect("valid");
    assert_eq!(decoder.metric_names().iter().map(|name| &**name).collect::<Vec<_>>(), ["temperature", "wind"]);
    let lines = decoder.with_csv_header(b"numer_sta;date;pmer;ff;t;\r\n").expect("a header");
    let first: &[u8] = b"07005;20190501000000;102080;3.500000;282.250000;\r";
    let batch = lines.decode(batch(&[first, b"07015;20190501030000;mq;mq;mq;\n"], None));
    let verdicts = verdicts(&batch).concat();
    let expected = Reading {
        time_ms: 1_556_668_800_000,
        filtered: false,
        position: Some((50.136, 1.834)),
        metrics: vec![(Some(9_100_000_000), 0), (Some(3_500_000_000), 0)],
    };
    assert_eq!(verdicts[0], Ok(expected.clone()));
    let empty = Reading {
        time_ms: expected.time_ms + 10_800_000,
        position: Some((50.57, 3.0975)),
        metrics: vec![(None, 0); 2],
        ..expected
    };
    assert_eq!(verdicts[1], Ok(empty));
    assert_eq!(text(&batch, 0), "07005;20190501000000;102080;3.500000;282.250000;");
}

#[test]
fn quoted_cells_hold_anything() {
    let stream = temperatures(Format::Csv);
    let header = "timestamp;lat;lon;temperature;note;country;country";
    let row = "2019-02-19T14:02:10Z;1;2;\"3\";\"a \"\"quoted\"\"; two-line\nnote\";Spain;\"France\"";
    let batch = Decoder::new(&stream, stations())
        .expect("valid")
        .decode(batch(&[format!("{header}\r\n{row}\r\n{row}").as_bytes()], None));
    let verdicts = verdicts(&batch).concat();
    // Of the two columns named country the last one counts.
    assert!(verdicts.iter().all(|verdict| verdict.as_ref().is_ok_and(|reading| !reading.filtered)));
    assert_eq!((verdicts.len(), text(&batch, 0), text(&batch, 1)), (2, row, row));
}

#[test]
fn nested_paths_and_escaped_keys() {
    let mut stream = temperatures(Format::Json);
    stream.filters.clear();
    stream.time = "at.ms".into();
    stream.time_format = TimeFormat::EpochMs;
    stream.metrics = BTreeMap::from([("m".to_owned(), metric("data.été.v")), ("n".to_owned(), metric("data"))]);
    let value = |data: &str| {
        let payload = format!(r#"{{"at":{{"\u006ds":"1550584930000.9"}},"lat":1,"lon":1,{data}}}"#);
        let reading = decode(&stream, payload.as_bytes(), None).remove(0)?;
        assert_eq!(reading.time_ms, NOON_MS);
        Ok::<_, &str>((reading.metrics[0].0, reading.metrics[1].0))
    };
    assert_eq!(value(r#""data":5"#), Ok((None, Some(5_000_000_000))));
    assert_eq!(value(r#""data":{"\u00e9t\u00E9":{"v":7}},"data":5"#), Ok((None, Some(5_000_000_000))));
    assert_eq!(value(r#""data":{"été":{"v":7}}"#), Err("bad_number"));
    stream.metrics.remove("n");
    let payload = r#"{"at":{"ms":1},"lat":1,"lon":1,"data":{"été":{"v":7,"x":{"v":8}}}}"#;
    let reading = decode(&stream, payload.as_bytes(), None).remove(0).expect("a reading");
    assert_eq!(reading.metrics, [(Some(7_000_000_000), 0)]);
}
