//! Weather stations in the columns of Météo-France's essential SYNOP messages: every three hours, all at once,
//! a station's id and what it has measured. `mq` is a missing value. Where the stations stand, their list says.

use std::io::Write;

use super::{Format, Row, Shape};
use crate::simulate::climate::{self, Clock};
use crate::simulate::stations::{self, Station};
use crate::simulate::{Random, Settings};

/// Zero degrees Celsius, in kelvin.
const FREEZING: f64 = 273.15;
/// Share of values that are missing.
const MISSING: f64 = 0.03;

/// The header's names; a separator follows the last one too.
const COLUMNS: [&str; 59] = [
    "numer_sta",
    "date",
    "pmer",
    "tend",
    "cod_tend",
    "dd",
    "ff",
    "t",
    "td",
    "u",
    "vv",
    "ww",
    "w1",
    "w2",
    "n",
    "nbas",
    "hbas",
    "cl",
    "cm",
    "ch",
    "pres",
    "niv_bar",
    "geop",
    "tend24",
    "tn12",
    "tn24",
    "tx12",
    "tx24",
    "tminsol",
    "sw",
    "tw",
    "raf10",
    "rafper",
    "per",
    "etat_sol",
    "ht_neige",
    "ssfrai",
    "perssfrai",
    "rr1",
    "rr3",
    "rr6",
    "rr12",
    "rr24",
    "phenspe1",
    "phenspe2",
    "phenspe3",
    "phenspe4",
    "nnuage1",
    "ctype1",
    "hnuage1",
    "nnuage2",
    "ctype2",
    "hnuage2",
    "nnuage3",
    "ctype3",
    "hnuage3",
    "nnuage4",
    "ctype4",
    "hnuage4",
];

pub(super) struct Synop {
    stations: Vec<Station>,
    clock: Clock,
}

/// What a station has measured.
struct Weather {
    celsius: f64,
    humidity: f64,
    pressure: f64,
    wind: f64,
    direction: f64,
    rain: f64,
}

impl Synop {
    pub fn new(settings: &Settings) -> Synop {
        let stations = match settings.stations.is_empty() {
            true => stations::simulated(settings.seed, settings.sensors.max(1), settings.abroad_share),
            false => settings.stations.clone(),
        };
        Synop { stations, clock: Clock::new(Clock::COMPACT) }
    }
}

impl Weather {
    fn at(station: &Station, event_ms: i64, random: &mut Random) -> Weather {
        let climate = climate::temperature(station.mean(), station.lat, station.lon, event_ms);
        Weather {
            celsius: climate + 1.5 * random.normal(),
            humidity: (75.0 + 12.0 * random.normal()).clamp(5.0, 100.0),
            pressure: 101_300.0 + 900.0 * random.normal(),
            wind: random.exponential(4.0),
            direction: 10.0 * random.between(1.0, 37.0).floor(),
            rain: if random.chance(0.2) { random.exponential(1.5) } else { 0.0 },
        }
    }

    /// Magnus' formula, roughly.
    fn dew_point(&self) -> f64 {
        self.celsius - (100.0 - self.humidity) / 5.0
    }
}

impl Shape for Synop {
    fn columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }

    fn read(&mut self, sensor: u32, event_ms: i64, random: &mut Random, mut row: Row<'_>) -> bool {
        let station = &self.stations[sensor as usize % self.stations.len()];
        let weather = Weather::at(station, event_ms, random);
        let text = row.raw();
        // Writing to a vector cannot fail.
        let _ = write!(text, "{};{};", station.id, self.clock.text(event_ms));
        for column in &COLUMNS[2..] {
            let value = match *column {
                "pmer" | "pres" => Some((weather.pressure, 0)),
                "t" => Some((weather.celsius + FREEZING, 6)),
                "td" => Some((weather.dew_point() + FREEZING, 6)),
                "u" => Some((weather.humidity, 0)),
                "dd" => Some((weather.direction, 0)),
                "ff" => Some((weather.wind, 6)),
                "rr3" => Some((weather.rain, 6)),
                _ => None,
            };
            // Six decimals are written, one or two are measured.
            let _ = match value.filter(|_| !random.chance(MISSING)) {
                None => write!(text, "mq;"),
                Some((value, 0)) => write!(text, "{value:.0};"),
                Some((value, decimals)) => write!(text, "{:.decimals$};", (value * 100.0).round() / 100.0),
            };
        }
        station.is_abroad
    }

    fn garbage(&self, _: Format) -> &'static [&'static [u8]] {
        &[b"07005;20190101000000;103510", b"no line at all", b"\xff\xfe\x00"]
    }

    fn key(&self, _: u32, first: u32) -> String {
        self.stations[first as usize % self.stations.len()].id.clone()
    }

    fn together(&self) -> bool {
        true
    }
}
