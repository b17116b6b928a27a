//! Seeded sensors at real places: what they send, in the order in which it arrives, is a function of
//! the settings alone. Readings have the shape of the temperatures API; some come late, some twice,
//! some from abroad, and some are garbage, as configured.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

mod climate;
mod kafka;
mod output;
mod random;
mod run;
mod towns;

pub use output::SimulateError;
pub use random::Random;
pub use run::{SimulateArgs, Summary, run};
pub use towns::{ABROAD, FRANCE, Town};

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub seed: u64,
    pub sensors: u32,
    /// Readings in all; duplicates and garbage come on top.
    pub readings: u64,
    /// First event time, ms since the epoch.
    pub start_ms: i64,
    /// Between two readings of one sensor.
    pub interval_ms: i64,
    /// Sensors behind one gateway: they report together, in one record. One sends an object, several an array.
    pub per_record: u32,
    /// Records arrive after a delay of this mean (exponential), and so out of order.
    pub disorder_ms: f64,
    /// Share of records that arrive up to `late_ms` after their time: devices that come back.
    pub late_share: f64,
    pub late_ms: f64,
    /// Share of records sent twice.
    pub duplicate_share: f64,
    /// Records that no decoder understands, as a share of the others.
    pub garbage_share: f64,
    /// Share of sensors that stand abroad.
    pub abroad_share: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            seed: 1,
            sensors: 1_000,
            readings: 100_000,
            start_ms: 1_772_323_200_000,
            interval_ms: 10_000,
            per_record: 1,
            disorder_ms: 5_000.0,
            late_share: 0.0,
            late_ms: 36.0 * 3_600_000.0,
            duplicate_share: 0.0,
            garbage_share: 0.0,
            abroad_share: 0.05,
        }
    }
}

/// A record on its way, in the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// The gateway that sends it: what it is keyed and partitioned by.
    pub gateway: u32,
    pub arrival_ms: i64,
    pub event_ms: i64,
    pub payload: Vec<u8>,
}

/// What has been sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub records: u64,
    /// Without those sent a second time.
    pub readings: u64,
    /// Of those, from abroad.
    pub abroad: u64,
    /// Records sent a second time.
    pub duplicates: u64,
    pub garbage: u64,
}

struct Sensor {
    town: Town,
    lat: f64,
    lon: f64,
    /// How much it reads too high, °C.
    bias: f64,
}

/// An iterator over [`Emission`]s. Holds what is under way, the late ones until they arrive.
pub struct Simulation {
    settings: Settings,
    random: Random,
    sensors: Vec<Sensor>,
    /// Next record to be produced: round and gateway.
    round: i64,
    gateway: u32,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    counts: Counts,
    clock: climate::Clock,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    arrival_ms: i64,
    /// Orders what arrives in the same ms.
    number: u64,
    event_ms: i64,
    gateway: u32,
    payload: Vec<u8>,
}

impl Simulation {
    pub fn new(settings: Settings) -> Simulation {
        let mut random = Random::new(settings.seed);
        let sensors = (0..settings.sensors.max(1))
            .map(|number| Sensor::place(number, settings.abroad_share, &mut random))
            .collect();
        Simulation {
            random,
            sensors,
            round: 0,
            gateway: 0,
            under_way: BinaryHeap::new(),
            counts: Counts::default(),
            clock: climate::Clock::default(),
            settings,
        }
    }

    /// What has been produced so far; at the end, all.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn gateways(&self) -> u32 {
        (self.sensors.len() as u32).div_ceil(self.settings.per_record.max(1))
    }

    /// When the next record is measured: gateways take turns within the interval, so that it is never silent.
    fn next_event_ms(&self) -> i64 {
        let interval = self.settings.interval_ms.max(1);
        let phase = i128::from(interval) * i128::from(self.gateway) / i128::from(self.gateways());
        self.settings.start_ms.saturating_add(self.round.saturating_mul(interval)).saturating_add(phase as i64)
    }

    /// Measures one record and sends it on its way, perhaps twice, perhaps with garbage beside it.
    fn measure(&mut self) {
        let (event_ms, gateway) = (self.next_event_ms(), self.gateway);
        let payload = self.record(event_ms);
        if self.random.chance(self.settings.duplicate_share) {
            self.counts.duplicates += 1;
            self.send(gateway, event_ms, payload.clone());
        }
        self.send(gateway, event_ms, payload);
        if self.random.chance(self.settings.garbage_share) {
            self.counts.garbage += 1;
            let garbage = self.garbage();
            self.send(gateway, event_ms, garbage);
        }
        self.gateway += 1;
        if self.gateway == self.gateways() {
            (self.gateway, self.round) = (0, self.round + 1);
        }
    }

    fn send(&mut self, gateway: u32, event_ms: i64, payload: Vec<u8>) {
        let mut delay = self.random.exponential(self.settings.disorder_ms.max(0.0));
        if self.random.chance(self.settings.late_share) {
            delay += self.random.between(0.0, self.settings.late_ms.max(0.0));
        }
        let number = self.counts.records;
        self.counts.records += 1;
        let arrival_ms = event_ms.saturating_add(delay as i64);
        self.under_way.push(Reverse(UnderWay { arrival_ms, number, event_ms, gateway, payload }));
    }

    /// What the gateway's sensors measure at an instant.
    fn record(&mut self, event_ms: i64) -> Vec<u8> {
        let per_record = self.settings.per_record.max(1) as usize;
        let first = self.gateway as usize * per_record;
        let left = self.settings.readings - self.counts.readings;
        let last = (first + per_record).min(self.sensors.len()).min(first.saturating_add(left as usize));
        let mut payload = Vec::with_capacity(160 * (last - first) + 2);
        for number in first..last {
            payload.push(if number == first { b'[' } else { b',' });
            self.reading(number, event_ms, &mut payload);
        }
        payload.push(b']');
        if per_record == 1 {
            payload.pop();
            payload.remove(0);
        }
        payload
    }

    fn reading(&mut self, number: usize, event_ms: i64, payload: &mut Vec<u8>) {
        use std::io::Write;
        let id = self.random.uuid();
        let sensor = &self.sensors[number];
        let noise = 0.4 * self.random.normal();
        let temperature = climate::temperature(&sensor.town, event_ms) + sensor.bias + noise;
        let time = self.clock.text(event_ms);
        // Writing to a vector cannot fail.
        let _ = write!(
            payload,
            r#"{{"id":"{id}","timestamp":"{time}","lat":{:.7},"lon":{:.7},"temperature":{temperature:.4},"country":"{}"}}"#,
            sensor.lat, sensor.lon, sensor.town.country
        );
        self.counts.readings += 1;
        self.counts.abroad += u64::from(sensor.town.region.is_empty());
    }

    /// Each kind fails another check of a decoder.
    fn garbage(&mut self) -> Vec<u8> {
        let kinds: [&[u8]; 6] = [
            b"not json at all",
            br#"{"id":"torn","timestamp":"2026-03-0"#,
            br#"{"id":"no time","lat":48.8,"lon":2.3,"temperature":12.0,"country":"France"}"#,
            br#"{"id":"bad time","timestamp":"yesterday","lat":48.8,"lon":2.3,"temperature":12.0,"country":"France"}"#,
            br#"{"id":"bad value","timestamp":"2026-03-01 00:00:00","lat":48.8,"lon":2.3,"temperature":"warm","country":"France"}"#,
            b"\xff\xfe\x00",
        ];
        kinds[self.random.below(kinds.len())].to_vec()
    }
}

impl Iterator for Simulation {
    type Item = Emission;

    fn next(&mut self) -> Option<Emission> {
        // Nothing that is yet to be measured can arrive before its own event time.
        while self.counts.readings < self.settings.readings
            && self.under_way.peek().is_none_or(|Reverse(first)| first.arrival_ms >= self.next_event_ms())
        {
            self.measure();
        }
        let Reverse(UnderWay { arrival_ms, event_ms, gateway, payload, .. }) = self.under_way.pop()?;
        Some(Emission { gateway, arrival_ms, event_ms, payload })
    }
}

impl Sensor {
    /// Towns take turns, so that every region has its share.
    fn place(number: u32, abroad_share: f64, random: &mut Random) -> Sensor {
        let towns: &[Town] = if random.chance(abroad_share) { &ABROAD } else { &FRANCE };
        let town = towns[number as usize % towns.len()];
        let lat = town.lat + random.between(-towns::JITTER, towns::JITTER);
        let lon = town.lon + random.between(-towns::JITTER, towns::JITTER);
        Sensor { town, lat, lon, bias: 0.5 * random.normal() }
    }
}

#[cfg(test)]
mod tests;
