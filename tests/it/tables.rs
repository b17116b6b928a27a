//! Tables of Arrow through a real topic: rows become readings, and what is rejected is sent on, a row as JSON.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_ipc::writer::StreamWriter;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::kafka_source::read_all;
use crate::support::{Scenario, Servers, succeed};

/// 2024-03-01T10:00:00Z.
const TEN_MS: i64 = 1_709_287_200_000;

/// Site and temperature of each reading, as one batch of a stream.
fn table(readings: &[(&str, Option<f64>)]) -> Vec<u8> {
    let times = TimestampMillisecondArray::from(vec![TEN_MS; readings.len()]).with_timezone("UTC");
    let sites: StringArray = readings.iter().map(|(site, _)| Some(*site)).collect();
    let temperatures: Float64Array = readings.iter().map(|(_, temperature)| *temperature).collect();
    let columns = [
        ("at", Arc::new(times) as ArrayRef, false),
        ("site", Arc::new(sites) as ArrayRef, true),
        ("temperature", Arc::new(temperatures) as ArrayRef, true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    writer.write(&batch).expect("a batch");
    writer.into_inner().expect("a stream")
}

fn produce(scenario: &Scenario, payloads: &[&[u8]]) {
    let mut config = ClientConfig::new();
    let producer: BaseProducer = config.set("bootstrap.servers", &scenario.kafka).create().expect("a producer");
    for payload in payloads {
        let record = BaseRecord::<(), [u8]>::to(&scenario.name).partition(0).payload(payload).timestamp(TEN_MS);
        producer.send(record).map_err(|(error, _)| error).expect("taken");
    }
    producer.flush(Duration::from_secs(60)).expect("delivered");
}

#[test]
fn kafka_tables_are_readings_and_their_rejects_are_sent() {
    let servers = Servers::shared();
    let scenario = Scenario::new(&servers, "tables.toml", "tables").embedded();
    succeed(&mut scenario.etiage("migrate", &["--partitions", "1"]));
    let good = table(&[("north", Some(20.5)), ("south", Some(12.0)), ("north", None)]);
    // (A third has more digits than a few, and NaN is none.)
    let mixed = table(&[("north", Some(21.0)), ("south", Some(f64::NAN)), ("south", Some(1.0 / 3.0))]);
    produce(&scenario, &[&good, &mixed, &good[..good.len() / 2], b"no table"]);
    scenario.run_until_end(Duration::from_secs(60));

    let view = ["--view", "site", "--metric", "temperature", "--columns", "count,min,max,mean", "--csv"];
    let rows = succeed(&mut scenario.etiage("rows", &view));
    let mut rows: Vec<&str> = rows.lines().skip(1).collect();
    rows.sort_unstable();
    assert_eq!(rows, ["2,0.333333333,12,6.1666666665", "2,20.5,21,20.75"]);

    let rejects = read_all(&scenario.kafka, &format!("{}.rejects", scenario.name), 3);
    let sent: Vec<Value> = rejects.iter().map(|(_, value)| serde_json::from_str(value).expect("JSON")).collect();
    let of = |name: &str| sent.iter().map(|reject| reject[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("reason"), ["bad_number", "malformed", "malformed"]);
    assert_eq!(of("offset"), [1, 2, 3]);
    assert_eq!(of("index"), [1, 0, 0]);
    let row: Value = serde_json::from_str(sent[0]["payload"].as_str().expect("a text")).expect("a row as JSON");
    assert_eq!(row, serde_json::json!({"at": "2024-03-01T10:00:00.000Z", "site": "south", "temperature": "NaN"}));
    assert_eq!(sent[2]["payload"], "no table");
    let details = of("detail");
    assert!(details.iter().all(|detail| detail.as_str().is_some_and(|text| !text.is_empty())), "{details:?}");
}
