//! What sensors have sent: the records of one partition, as bytes and as what they mean.

use etiage::simulate::Random;

use crate::meaning::{HOME, HOUR_MS, MINUTE_MS, Variant};

/// Where the first event lies: a Thursday in 2024, ms.
pub const FIRST_MS: i64 = 1_709_200_000_000;

pub const SITES: [&str; 3] = ["a/1", "b", "c"];
/// Positions, and the regions that they lie in; the last one lies in the sea.
const PLACES: [(&str, f64, f64); 4] =
    [("11", 48.8566, 2.3522), ("84", 45.764, 4.8357), ("53", 48.1173, -1.6778), ("", 46.0, -6.0)];
/// Metrics that no configuration names.
pub const OTHERS: [&str; 3] = ["x", "y", "z"];

#[derive(Clone, Debug)]
pub struct Reading {
    pub time_ms: i64,
    pub region: Option<&'static str>,
    pub site: Option<&'static str>,
    pub filtered: bool,
    /// Of a and b, in thousandths.
    pub values: [Option<i64>; 2],
    pub active: bool,
    /// Index into [`OTHERS`], value.
    pub others: Vec<(usize, i64)>,
}

#[derive(Clone, Debug)]
pub struct Record {
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: String,
    pub payload: Option<Vec<u8>>,
    /// Those that the stream takes, with their index in the record.
    pub readings: Vec<(usize, Reading)>,
    /// Indices of those that it rejects.
    pub rejected: Vec<usize>,
}

/// One partition's records. A shorter log of the same seed is a prefix of a longer one.
pub fn draw(seed: u64, stream: usize, length: usize, first: i64, variant: &Variant) -> Vec<Record> {
    let mut random = Random::new(seed);
    let (mut offset, mut clock_ms) = (first, FIRST_MS + random.below(3 * HOUR_MS as usize) as i64);
    let mut records = Vec::with_capacity(length);
    for _ in 0..length {
        clock_ms += random.below(20 * MINUTE_MS as usize) as i64;
        if random.chance(0.04) {
            clock_ms += 3 * HOUR_MS;
        }
        records.push(record(&mut random, stream, offset, clock_ms, variant));
        offset += 1 + if random.chance(0.2) { random.below(4) as i64 } else { 0 };
    }
    records
}

fn record(random: &mut Random, stream: usize, offset: i64, clock_ms: i64, variant: &Variant) -> Record {
    let key = ["t1", "t2"][random.below(2)].to_owned();
    let mut record =
        Record { offset, timestamp_ms: clock_ms, key, payload: None, readings: Vec::new(), rejected: Vec::new() };
    if random.chance(0.06) {
        record.payload = [None, Some(b"".to_vec()), Some(b"{not json".to_vec()), Some(b"\xff\xfe".to_vec())]
            [random.below(4)]
        .clone();
        record.rejected.push(0);
        return record;
    }
    let count = if random.chance(0.6) { 1 } else { 1 + random.below(4) };
    let mut texts = Vec::with_capacity(count);
    for index in 0..count {
        let again = if random.chance(0.04) { texts.last().cloned() } else { None };
        let (reading, text) = match (again, record.readings.last()) {
            // Sent twice is counted twice.
            (Some(text), Some((before, reading))) if *before + 1 == index => (Some(reading.clone()), text),
            _ => reading(random, stream, clock_ms, variant),
        };
        match reading {
            Some(reading) => record.readings.push((index, reading)),
            None => record.rejected.push(index),
        }
        texts.push(text);
    }
    let payload = match variant.format {
        2 => texts.join("\n"),
        1 if count == 1 => texts.remove(0),
        _ => format!("[{}]", texts.join(",")),
    };
    record.payload = Some(payload.into_bytes());
    record
}

/// A reading and its text; `None` where the stream must reject it.
fn reading(random: &mut Random, stream: usize, clock_ms: i64, variant: &Variant) -> (Option<Reading>, String) {
    let behind_ms = match random.below(10) {
        0..6 => random.below(10 * MINUTE_MS as usize) as i64,
        6..9 => random.below(3 * HOUR_MS as usize) as i64,
        _ => random.below(14 * HOUR_MS as usize) as i64,
    };
    let mut time_ms = clock_ms - behind_ms;
    if random.chance(0.1) {
        time_ms -= time_ms.rem_euclid(HOUR_MS);
    }
    let bad = if random.chance(0.05) { 1 + random.below(3) } else { 0 };
    if bad == 1 {
        time_ms = clock_ms + variant.max_future_ms() + 1_000 + random.below(100 * HOUR_MS as usize) as i64;
    }
    if stream == 1 {
        // Its times are written in whole seconds.
        time_ms -= time_ms.rem_euclid(1_000);
    }
    let place = PLACES[if random.chance(0.1) { 3 } else { random.below(3) }];
    let site = (!random.chance(0.08)).then(|| SITES[random.below(SITES.len())]);
    let mut value = || (!random.chance(0.2)).then(|| random.below(80_000) as i64 - 30_000);
    let values = [value(), value()];
    let others: Vec<(usize, i64)> = (0..OTHERS.len())
        .filter(|_| random.chance(0.15))
        .map(|name| (name, random_value(random_at(time_ms, name))))
        .collect();
    let reading = Reading {
        time_ms,
        region: Some(place.0).filter(|code| !code.is_empty()),
        site,
        filtered: random.chance(0.08),
        values,
        active: random.chance(0.2),
        others,
    };
    let text = text(&reading, stream, place, bad);
    ((bad == 0).then_some(reading), text)
}

fn random_at(time_ms: i64, name: usize) -> u64 {
    (time_ms as u64).wrapping_mul(31).wrapping_add(name as u64)
}

fn random_value(from: u64) -> i64 {
    (from % 9_001) as i64 - 4_500
}

fn decimal(thousandths: i64) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let magnitude = thousandths.unsigned_abs();
    format!("{sign}{}.{:03}", magnitude / 1_000, magnitude % 1_000)
}

fn text(reading: &Reading, stream: usize, (_, lat, lon): (&str, f64, f64), bad: usize) -> String {
    let mut fields = Vec::with_capacity(10);
    let time = match stream {
        0 => reading.time_ms.to_string(),
        _ => format!("\"{}\"", written(reading.time_ms)),
    };
    match bad {
        2 => fields.push("\"t\":\"yesterday\"".to_owned()),
        3 => {}
        _ => fields.push(format!("\"t\":{time}")),
    }
    fields.push(format!("\"lat\":{lat},\"lon\":{lon}"));
    if let Some(site) = reading.site {
        fields.push(format!("\"site\":\"{site}\""));
    }
    fields.push(format!("\"country\":\"{}\"", if reading.filtered { "Spain" } else { HOME }));
    for (name, value) in ["a", "b"].iter().zip(reading.values) {
        if let Some(value) = value {
            fields.push(format!("\"{name}\":{}", decimal(value)));
        }
    }
    if reading.active {
        fields.push("\"active\":true".to_owned());
    }
    for (name, value) in &reading.others {
        fields.push(format!("\"{}\":{}", OTHERS[*name], decimal(*value)));
    }
    format!("{{{}}}", fields.join(","))
}

/// RFC 3339 in UTC, whole seconds.
fn written(time_ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(time_ms).expect("a time of this century");
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
