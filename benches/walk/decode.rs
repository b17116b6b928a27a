//! Bytes → columns: nanoseconds a reading, beside JSON libraries that find the same fields (and neither read the time
//! nor judge anything).

use std::borrow::Cow;

use etiage::decode::{Decoder, Stations};
use etiage::reading::{Batch, RawBatch};
use serde::Deserialize;

use crate::measure::{best, each};
use crate::readings::{Reading, Shape, batch, readings, stream};

const READINGS: usize = 20_000;

pub fn run() {
    [Shape::Long, Shape::Short].into_iter().for_each(bench);
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
