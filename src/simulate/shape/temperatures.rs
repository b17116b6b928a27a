//! A temperatures API: one temperature at one place, with the country that it lies in.

use super::{Format, Row, Shape};
use crate::simulate::climate::{self, Clock};
use crate::simulate::{Place, Random, Settings};

pub(super) struct Temperatures {
    seed: u64,
    abroad_share: f64,
    clock: Clock,
}

impl Temperatures {
    pub fn new(settings: &Settings) -> Temperatures {
        Temperatures { seed: settings.seed, abroad_share: settings.abroad_share, clock: Clock::new(Clock::PLAIN) }
    }
}

impl Shape for Temperatures {
    fn columns(&self) -> &'static [&'static str] {
        &["id", "timestamp", "lat", "lon", "temperature", "country"]
    }

    fn read(&mut self, sensor: u32, event_ms: i64, random: &mut Random, mut row: Row<'_>) -> bool {
        let mut place = Place::of(self.seed, sensor, self.abroad_share);
        let bias = 0.5 * place.random.normal();
        let id = random.uuid();
        let noise = 0.4 * random.normal();
        let town = place.town;
        let temperature = climate::temperature(town.mean, town.lat, town.lon, event_ms) + bias + noise;
        row.text("id", id);
        row.text("timestamp", self.clock.text(event_ms));
        row.bare("lat", format_args!("{:.7}", place.lat));
        row.bare("lon", format_args!("{:.7}", place.lon));
        row.bare("temperature", format_args!("{temperature:.4}"));
        row.text("country", town.country);
        row.end();
        place.is_abroad()
    }

    fn garbage(&self, format: Format) -> &'static [&'static [u8]] {
        match format {
            Format::Json => &[
                b"not json at all",
                br#"{"id":"torn","timestamp":"2026-03-0"#,
                br#"{"id":"no time","lat":48.8,"lon":2.3,"temperature":12.0,"country":"France"}"#,
                br#"{"id":"bad time","timestamp":"yesterday","lat":48.8,"lon":2.3,"temperature":12.0,"country":"France"}"#,
                br#"{"id":"bad value","timestamp":"2026-03-01 00:00:00","lat":48.8,"lon":2.3,"temperature":"warm","country":"France"}"#,
                b"\xff\xfe\x00",
            ],
            Format::Csv => &[
                b"too short,2026-03-01 00:00:00",
                b"no time,,48.8,2.3,12.0,France",
                b"bad time,yesterday,48.8,2.3,12.0,France",
                b"bad value,2026-03-01 00:00:00,48.8,2.3,warm,France",
                b"\xff\xfe\x00",
            ],
        }
    }
}
