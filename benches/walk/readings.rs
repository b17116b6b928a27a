//! The readings that are decoded and folded: those of a temperatures API, about 153 bytes each, or with short names and
//! fewer decimals about 120.

use std::path::Path;

use etiage::config::{Config, StreamConfig};
use etiage::reading::{Offset, RawBatch};

use crate::measure::Random;

/// 2026-03-01T00:00:00Z.
pub const START_MS: i64 = 1_772_323_200_000;

/// What readings look like.
#[derive(Clone, Copy)]
pub enum Shape {
    Long,
    Short,
}

pub struct Reading {
    pub sensor: u64,
    pub time_ms: i64,
    pub lat: f64,
    pub lon: f64,
    /// Billionths of a degree.
    pub value: i64,
    pub text: String,
}

/// Of so many sensors somewhere in a box around the mainland, ten minutes of event time.
pub fn readings(shape: Shape, count: usize, sensors: u64) -> Vec<Reading> {
    let mut random = Random(1);
    let drawn = |number| {
        let sensor = random.below(sensors);
        reading(shape, &mut random, sensor, number, count)
    };
    (0..count).map(drawn).collect()
}

fn reading(shape: Shape, random: &mut Random, sensor: u64, number: usize, count: usize) -> Reading {
    let second = (number * 600 / count) as i64;
    let (lat, lon) = (random.between(42.3, 51.1), random.between(-4.8, 8.2));
    let tenth_mill = random.below(400_000) as i64 - 50_000;
    let (id, decimals) = match shape {
        Shape::Long => (format!("{sensor:08x}-27c5-4e7f-9d5a-{:012x}", sensor * 77_777), 7),
        Shape::Short => (format!("{sensor:05}"), 6),
    };
    let text = format!(
        concat!(
            r#"{{"id":"{}","timestamp":"2026-03-01 00:{:02}:{:02}","#,
            r#""lat":{:.*},"lon":{:.*},"temperature":{}{}.{:04},"country":"France"}}"#
        ),
        id,
        second / 60,
        second % 60,
        decimals,
        lat,
        decimals,
        lon,
        if tenth_mill < 0 { "-" } else { "" },
        tenth_mill.abs() / 10_000,
        tenth_mill.abs() % 10_000,
    );
    let written = |degrees: f64| format!("{degrees:.decimals$}").parse().unwrap_or_default();
    let (lat, lon) = (written(lat), written(lon));
    Reading { sensor, time_ms: START_MS + second * 1000, lat, lon, value: tenth_mill * 100_000, text }
}

/// One record for so many readings, as an array where there are several; its key is one of 200 tenants.
pub fn batch(readings: &[Reading], each: usize) -> RawBatch {
    let mut batch = RawBatch::default();
    for (offset, readings) in readings.chunks(each).enumerate() {
        let texts: Vec<&str> = readings.iter().map(|reading| reading.text.as_str()).collect();
        let payload = if each == 1 { texts.concat() } else { format!("[{}]", texts.join(",")) };
        let tenant = format!("tenant-{}", offset * 7919 % 200);
        batch.push(Offset(offset as i64), Some(START_MS + 600_000), Some(tenant.as_bytes()), Some(payload.as_bytes()));
    }
    batch
}

pub fn stream() -> StreamConfig {
    let text = r#"
        [streams.temperatures]
        format = "json"
        topics = ["temperatures"]
        time = "timestamp"
        lat = "lat"
        lon = "lon"
        zone = "UTC"
        filters = [{ field = "country", equals = "France" }]
        [streams.temperatures.metrics.temperature]
        threshold = 30
        [views.region]
        group_by = ["region"]
    "#;
    let config = Config::of_text(Some((Path::new("bench.toml"), text)), std::iter::empty());
    config.expect("a valid configuration").streams.remove("temperatures").expect("its stream")
}
