//! Seeded sensors at real places: what they send, in the order in which it arrives, is a function of
//! the settings alone. Some readings come late, some twice, some from abroad, and some are garbage, as
//! configured; what they look like is their [`shape`]'s. And files of readings, sent again at their own pace.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

mod args;
mod climate;
mod kafka;
mod output;
mod pace;
mod random;
mod replay;
mod run;
mod shape;
mod stations;
mod towns;

pub use args::{Destination, ReplayArgs, SimulateArgs};
pub use output::SimulateError;
pub use random::Random;
pub use replay::{Replayed, replay};
pub use run::{Summary, run};
pub use shape::{Format, Kind};
pub use stations::Station;
pub use towns::{ABROAD, FRANCE, Place, Town};

use shape::{Row, Shape};

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub kind: Kind,
    pub format: Format,
    pub seed: u64,
    pub sensors: u32,
    /// Readings in all; duplicates and garbage come on top.
    pub readings: u64,
    /// First event time, ms since the epoch.
    pub start_ms: i64,
    /// Nothing is measured from here on.
    pub until_ms: Option<i64>,
    /// Between two readings of one sensor.
    pub interval_ms: i64,
    /// Sensors behind one gateway: they report together, in one record. One sends an object, several an array.
    pub per_record: u32,
    /// So many of the records arrive after a delay of this mean (exponential), and so out of order.
    pub disorder_share: f64,
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
    /// Owners of the base stations.
    pub tenants: u32,
    /// The weather stations; made up where there are none.
    pub stations: Vec<Station>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            kind: Kind::Temperatures,
            format: Format::Json,
            seed: 1,
            sensors: 1_000,
            readings: 100_000,
            start_ms: 1_772_323_200_000,
            until_ms: None,
            interval_ms: 10_000,
            per_record: 1,
            disorder_share: 1.0,
            disorder_ms: 5_000.0,
            late_share: 0.0,
            late_ms: 36.0 * 3_600_000.0,
            duplicate_share: 0.0,
            garbage_share: 0.0,
            abroad_share: 0.05,
            tenants: 10,
            stations: Vec::new(),
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

/// An iterator over [`Emission`]s. Holds what is under way, the late ones until they arrive.
pub struct Simulation {
    settings: Settings,
    random: Random,
    shape: Box<dyn Shape>,
    /// Next record to be produced: round and gateway.
    round: i64,
    gateway: u32,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    /// Bytes of the payloads under way.
    held: usize,
    counts: Counts,
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

/// Payloads under way, at most. Where late ones are more, the first of them arrive early.
const MOST_HELD: usize = 64 << 20;

impl Simulation {
    pub fn new(settings: Settings) -> Simulation {
        Simulation {
            random: Random::new(settings.seed),
            shape: settings.kind.sensors(&settings),
            round: 0,
            gateway: 0,
            under_way: BinaryHeap::new(),
            held: 0,
            counts: Counts::default(),
            settings,
        }
    }

    /// What has been produced so far; at the end, all.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Of a record that this gateway sends.
    pub fn key(&self, gateway: u32) -> String {
        self.shape.key(gateway, gateway * self.per_record())
    }

    /// The line that CSV opens with.
    pub fn header(&self) -> Option<String> {
        let columns = self.shape.columns();
        match self.settings.kind {
            // A separator stands after the last one too.
            Kind::Synop => Some(columns.join(";") + ";"),
            _ => self.is_csv().then(|| columns.join(",")),
        }
    }

    fn is_csv(&self) -> bool {
        self.settings.format == Format::Csv || self.settings.kind == Kind::Synop
    }

    fn per_record(&self) -> u32 {
        self.settings.per_record.max(1)
    }

    fn sensors(&self) -> u32 {
        self.settings.sensors.max(1)
    }

    fn gateways(&self) -> u32 {
        self.sensors().div_ceil(self.per_record())
    }

    /// When the next record is measured: gateways take turns within the interval, so that it is never silent.
    fn next_event_ms(&self) -> i64 {
        let interval = self.settings.interval_ms.max(1);
        let turn = if self.shape.together() { 0 } else { self.gateway };
        let phase = i128::from(interval) * i128::from(turn) / i128::from(self.gateways());
        self.settings.start_ms.saturating_add(self.round.saturating_mul(interval)).saturating_add(phase as i64)
    }

    fn is_measured_out(&self) -> bool {
        let is_past = self.settings.until_ms.is_some_and(|until_ms| self.next_event_ms() >= until_ms);
        is_past || self.counts.readings >= self.settings.readings
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
            let kinds = self.shape.garbage(self.settings.format);
            let garbage = kinds[self.random.below(kinds.len())].to_vec();
            self.send(gateway, event_ms, garbage);
        }
        self.gateway += 1;
        if self.gateway == self.gateways() {
            (self.gateway, self.round) = (0, self.round + 1);
        }
    }

    fn send(&mut self, gateway: u32, event_ms: i64, payload: Vec<u8>) {
        let Settings { disorder_share, disorder_ms, late_share, late_ms, .. } = self.settings;
        let delayed = disorder_share >= 1.0 || self.random.chance(disorder_share);
        let mut delay = if delayed { self.random.exponential(disorder_ms.max(0.0)) } else { 0.0 };
        if self.random.chance(late_share) {
            delay += self.random.between(0.0, late_ms.max(0.0));
        }
        let number = self.counts.records;
        self.counts.records += 1;
        self.held += payload.len();
        let arrival_ms = event_ms.saturating_add(delay as i64);
        self.under_way.push(Reverse(UnderWay { arrival_ms, number, event_ms, gateway, payload }));
    }

    /// What the gateway's sensors measure at an instant.
    fn record(&mut self, event_ms: i64) -> Vec<u8> {
        let per_record = self.per_record();
        let first = self.gateway * per_record;
        let left = u32::try_from(self.settings.readings - self.counts.readings).unwrap_or(u32::MAX);
        let last = first.saturating_add(per_record.min(left)).min(self.sensors());
        let lines = self.is_csv();
        let mut payload = Vec::with_capacity(160 * (last - first) as usize + 2);
        for sensor in first..last {
            match (sensor == first, lines) {
                (true, true) => {}
                (true, false) if per_record == 1 => {}
                (true, false) => payload.push(b'['),
                (false, true) => payload.push(b'\n'),
                (false, false) => payload.push(b','),
            }
            let row = Row::new(&mut payload, self.settings.format);
            let is_abroad = self.shape.read(sensor, event_ms, &mut self.random, row);
            self.counts.readings += 1;
            self.counts.abroad += u64::from(is_abroad);
        }
        if per_record > 1 && !lines {
            payload.push(b']');
        }
        payload
    }
}

impl Iterator for Simulation {
    type Item = Emission;

    fn next(&mut self) -> Option<Emission> {
        // Nothing that is yet to be measured can arrive before its own event time.
        while !self.is_measured_out()
            && self.held <= MOST_HELD
            && self.under_way.peek().is_none_or(|Reverse(first)| first.arrival_ms >= self.next_event_ms())
        {
            self.measure();
        }
        let Reverse(UnderWay { arrival_ms, event_ms, gateway, payload, .. }) = self.under_way.pop()?;
        self.held -= payload.len();
        // Later than now where too much is held: then it arrives now.
        let arrival_ms = if self.is_measured_out() { arrival_ms } else { arrival_ms.min(self.next_event_ms()) };
        Some(Emission { gateway, arrival_ms, event_ms, payload })
    }
}

#[cfg(test)]
mod tests;
