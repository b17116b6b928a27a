//! Bytes → columns: nanoseconds a reading, beside a JSON library that finds the same fields (and neither reads the time
//! nor judges anything).

use std::borrow::Cow;

use etiage::decode::{Decoder, Stations};
use etiage::reading::{Batch, RawBatch};
use serde::Deserialize;

use crate::measure::{best, each};
use crate::readings::{Reading, batch, readings, stream};

const READINGS: usize = 20_000;

pub fn run() {
    let readings = readings(READINGS);
    let bytes = readings.iter().map(|reading| reading.text.len()).sum::<usize>() as f64 / READINGS as f64;
    let decoder = Decoder::new(&stream(), Stations::default()).expect("a valid stream");
    for size in [1, 100] {
        let raw = batch(&readings, size);
        check(&decoder.decode(raw.clone()), &readings);
        let ours = each(best(|| raw.clone(), |raw| decoder.decode(raw)), READINGS);
        println!("decode, {size} a record: {ours:.1} ns a reading of {bytes:.0} bytes");
    }
    let raw = batch(&readings, 1);
    let peer = each(best(|| (), |()| payloads(&raw).map(found).sum::<f64>()), READINGS);
    println!("decode, serde_json: {peer:.1} ns a reading");
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

fn found(payload: &[u8]) -> f64 {
    let found: Found<'_> = serde_json::from_slice(payload).expect("a reading");
    found.lat + found.lon + found.temperature + (found.timestamp.len() + found.country.len()) as f64
}
