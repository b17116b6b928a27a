//! Bytes → columns: nanoseconds a reading, beside JSON libraries that find the same fields (and neither read the time
//! nor judge anything).

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMillisecondType};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use etiage::config::{Format, StreamConfig};
use etiage::decode::{Decoder, Stations};
use etiage::reading::{Batch, Offset, RawBatch};
use serde::Deserialize;

use crate::measure::{best, each};
use crate::readings::{Reading, START_MS, Shape, batch, readings, stream};

const READINGS: usize = 20_000;

pub fn run() {
    [Shape::Long, Shape::Short].into_iter().for_each(bench);
    bench_csv();
    bench_arrow();
}

fn bench(shape: Shape) {
    let readings = readings(shape, READINGS, 20_000);
    let bytes = readings.iter().map(|reading| reading.text.len()).sum::<usize>() as f64 / READINGS as f64;
    let decoder = Decoder::new(&stream(), Stations::default()).expect("a valid stream");
    for size in [1, 100] {
        let raw = batch(&readings, size);
        check(&decoder.decode(raw.clone()), &readings);
        let ours = each(best(|| raw.clone(), |raw| decoder.decode(raw)), READINGS);
        println!("decode, {size} a record: {ours:.1} ns a reading of {bytes:.0} bytes");
    }
    let raw = batch(&readings, 1);
    let peers: [(&str, Find); 2] = [
        ("serde_json", |payload| serde_json::from_slice(payload).expect("a reading")),
        ("sonic-rs", |payload| sonic_rs::from_slice(payload).expect("a reading")),
    ];
    for (name, found) in peers {
        let peer = each(best(|| (), |()| payloads(&raw).map(|payload| found(payload).sum()).sum::<f64>()), READINGS);
        println!("decode, {name}: {peer:.1} ns a reading");
    }
}

/// The same readings as rows, 100 a record, below a header each; beside the csv crate.
fn bench_csv() {
    let readings = readings(Shape::Long, READINGS, 20_000);
    let (raw, bytes) = csv(&readings, 100);
    let decoder = Decoder::new(&StreamConfig { format: Format::Csv, ..stream() }, Stations::default());
    let decoder = decoder.expect("a valid stream");
    check(&decoder.decode(raw.clone()), &readings);
    let ours = each(best(|| raw.clone(), |raw| decoder.decode(raw)), READINGS);
    println!("decode, CSV, 100 a record: {ours:.1} ns a reading of {:.0} bytes", bytes as f64 / READINGS as f64);
    let rows = |payload| ::csv::Reader::from_reader(payload).into_byte_records();
    let peer = || {
        let row = |row: Result<::csv::ByteRecord, ::csv::Error>| {
            let row = row.expect("a row");
            let number = |at: usize| std::str::from_utf8(&row[at]).ok().and_then(|text| text.parse::<f64>().ok());
            [2, 3, 4].iter().filter_map(|at| number(*at)).sum::<f64>() + (row[1].len() + row[5].len()) as f64
        };
        payloads(&raw).flat_map(rows).map(row).sum::<f64>()
    };
    println!("decode, CSV, csv crate: {:.1} ns a reading", each(best(|| (), |()| peer()), READINGS));
}

fn csv(readings: &[Reading], each: usize) -> (RawBatch, usize) {
    let (mut raw, mut bytes) = (RawBatch::default(), 0);
    for (offset, readings) in readings.chunks(each).enumerate() {
        let mut payload = String::from("id,timestamp,lat,lon,temperature,country\n");
        for reading in readings {
            // {"id":"…","timestamp":"…","lat":…}: what stands between the names.
            let values = reading
                .text
                .trim_matches(['{', '}'])
                .split(",\"")
                .map(|member| &member[member.find("\":").unwrap_or(0) + 2..]);
            payload += &values.map(|value| value.trim_matches('"')).collect::<Vec<_>>().join(",");
            payload.push('\n');
        }
        bytes += payload.len();
        raw.push(Offset(offset as i64), Some(START_MS + 600_000), None, Some(payload.as_bytes()));
    }
    (raw, bytes)
}

/// The same readings as tables, 100 a record, below a schema each; beside arrow-ipc's own reader.
fn bench_arrow() {
    let readings = readings(Shape::Long, READINGS, 20_000);
    let (raw, bytes) = tables(&readings, 100);
    let decoder = Decoder::new(&StreamConfig { format: Format::ArrowIpc, ..stream() }, Stations::default());
    let decoder = decoder.expect("a valid stream");
    check(&decoder.decode(raw.clone()), &readings);
    let ours = each(best(|| raw.clone(), |raw| decoder.decode(raw)), READINGS);
    println!("decode, Arrow IPC, 100 a record: {ours:.1} ns a reading of {:.0} bytes", bytes as f64 / READINGS as f64);
    let peer = || {
        let batches = payloads(&raw).flat_map(|payload| StreamReader::try_new(payload, None).expect("a stream"));
        batches.map(|batch| sum(&batch.expect("a batch"))).sum::<f64>()
    };
    println!("decode, Arrow IPC, arrow-ipc: {:.1} ns a reading", each(best(|| (), |()| peer()), READINGS));
}

fn tables(readings: &[Reading], each: usize) -> (RawBatch, usize) {
    let (mut raw, mut bytes) = (RawBatch::default(), 0);
    for (offset, readings) in readings.chunks(each).enumerate() {
        let found: Vec<Found<'_>> =
            readings.iter().map(|reading| serde_json::from_str(&reading.text).expect("a reading")).collect();
        let floats =
            |value: fn(&Found<'_>) -> f64| Arc::new(found.iter().map(value).collect::<Float64Array>()) as ArrayRef;
        let times = TimestampMillisecondArray::from_iter_values(readings.iter().map(|reading| reading.time_ms));
        let batch = RecordBatch::try_from_iter([
            ("timestamp", Arc::new(times.with_timezone("UTC")) as ArrayRef),
            ("lat", floats(|found| found.lat)),
            ("lon", floats(|found| found.lon)),
            ("temperature", floats(|found| found.temperature)),
            ("country", Arc::new(found.iter().map(|found| Some(&*found.country)).collect::<StringArray>()) as ArrayRef),
        ]);
        let batch = batch.expect("a batch");
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
        writer.write(&batch).expect("a batch");
        let payload = writer.into_inner().expect("a stream");
        bytes += payload.len();
        raw.push(Offset(offset as i64), Some(START_MS + 600_000), None, Some(&payload));
    }
    (raw, bytes)
}

/// So that nothing is left out.
fn sum(batch: &RecordBatch) -> f64 {
    let floats = [1, 2, 3].iter().flat_map(|column| batch.column(*column).as_primitive::<Float64Type>().values());
    let times = batch.column(0).as_primitive::<TimestampMillisecondType>().values().iter().sum::<i64>();
    let lengths = batch.column(4).as_string::<i32>().iter().flatten().map(str::len).sum::<usize>();
    floats.sum::<f64>() + times as f64 + lengths as f64
}

fn check(batch: &Batch, readings: &[Reading]) {
    let columns = &batch.columns;
    assert_eq!((columns.len(), batch.rejections.len()), (readings.len(), 0));
    for (row, reading) in readings.iter().enumerate() {
        let found = (columns.time_ms.value(row), columns.metrics[0].values.value(row), columns.filtered.value(row));
        assert_eq!(found, (reading.time_ms, reading.value, false), "{}", reading.text);
        assert_eq!((columns.lat.value(row), columns.lon.value(row)), (reading.lat, reading.lon), "{}", reading.text);
    }
}

fn payloads(raw: &RawBatch) -> impl Iterator<Item = &[u8]> {
    raw.records
        .iter()
        .flat_map(|record| record.payload.clone())
        .map(|range| &raw.bytes[range.start as usize..range.end as usize])
}

type Find = fn(&[u8]) -> Found<'_>;

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    lat: f64,
    lon: f64,
    temperature: f64,
    #[serde(borrow)]
    country: Cow<'a, str>,
}

impl Found<'_> {
    /// So that nothing is left out.
    fn sum(&self) -> f64 {
        self.lat + self.lon + self.temperature + (self.timestamp.len() + self.country.len()) as f64
    }
}
