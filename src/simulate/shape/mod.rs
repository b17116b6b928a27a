//! What the sensors of each kind say: their fields, as a JSON object or a line of CSV, and the
//! garbage that they send when something is wrong with them.

use std::fmt::{Arguments, Display};
use std::io::Write;

use super::stations::Station;
use super::{Random, Settings};

mod alarms;
mod city;
mod synop;
mod temperatures;

/// Which sensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A temperatures API: JSON with a position and a country, keyed by sensor.
    #[default]
    Temperatures,
    /// Base stations with eight data points each: values with their thresholds, keyed by tenant.
    BtsAlarms,
    /// City sensors: nine quantities at a position, keyed by sensor.
    CitySensors,
    /// Weather stations in Météo-France's columns of CSV: a station's id, and no position.
    Synop,
}

/// How a reading is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An object; several of one record are an array.
    #[default]
    Json,
    /// A line; in a topic each record opens with the header, in a file the file does.
    Csv,
}

/// The sensors of one kind.
pub(super) trait Shape: Send {
    /// A CSV header's names, which are a JSON object's too.
    fn columns(&self) -> &'static [&'static str];

    /// Writes what a sensor reads at an instant; tells whether it stands abroad.
    fn read(&mut self, sensor: u32, event_ms: i64, random: &mut Random, row: Row<'_>) -> bool;

    /// What no decoder takes: each fails another check.
    fn garbage(&self, format: Format) -> &'static [&'static [u8]];

    /// The key of a gateway's records, of which this is the first sensor.
    fn key(&self, _gateway: u32, first: u32) -> String {
        format!("sensor-{first:05}")
    }

    /// All report at the same instant, instead of taking turns.
    fn together(&self) -> bool {
        false
    }
}

impl Kind {
    pub(super) fn sensors(self, settings: &Settings) -> Box<dyn Shape> {
        match self {
            Kind::Temperatures => Box::new(temperatures::Temperatures::new(settings)),
            Kind::BtsAlarms => Box::new(alarms::Alarms::new(settings)),
            Kind::CitySensors => Box::new(city::City::new(settings)),
            Kind::Synop => Box::new(synop::Synop::new(settings)),
        }
    }

    /// How many there are where nobody says. (Of weather stations: as many as are known.)
    pub(super) fn usual_sensors(self, stations: &[Station]) -> u32 {
        match self {
            Kind::Temperatures | Kind::BtsAlarms | Kind::CitySensors => 1_000,
            Kind::Synop if stations.is_empty() => 62,
            Kind::Synop => u32::try_from(stations.len()).unwrap_or(u32::MAX),
        }
    }

    /// Seconds between two readings of one sensor where nobody says.
    pub(super) fn usual_interval(self) -> f64 {
        match self {
            Kind::Temperatures => 10.0,
            Kind::BtsAlarms | Kind::CitySensors => 60.0,
            Kind::Synop => 10_800.0,
        }
    }
}

/// A reading being written. Values hold nothing that JSON or CSV would have to escape.
pub(super) struct Row<'a> {
    text: &'a mut Vec<u8>,
    format: Format,
    fields: u32,
}

impl Row<'_> {
    pub fn new(text: &mut Vec<u8>, format: Format) -> Row<'_> {
        Row { text, format, fields: 0 }
    }

    pub fn text(&mut self, name: &str, value: impl Display) {
        match self.format {
            Format::Json => self.field(name, format_args!("\"{value}\"")),
            Format::Csv => self.field(name, format_args!("{value}")),
        }
    }

    /// A number, true or false.
    pub fn bare(&mut self, name: &str, value: impl Display) {
        self.field(name, format_args!("{value}"));
    }

    fn field(&mut self, name: &str, value: Arguments<'_>) {
        let first = self.fields == 0;
        self.fields += 1;
        // Writing to a vector cannot fail.
        let _ = match self.format {
            Format::Json => write!(self.text, "{}\"{name}\":{value}", if first { '{' } else { ',' }),
            Format::Csv if first => write!(self.text, "{value}"),
            Format::Csv => write!(self.text, ",{value}"),
        };
    }

    pub fn end(self) {
        if self.format == Format::Json {
            self.text.push(b'}');
        }
    }

    /// The text itself, for a shape that has a separator of its own.
    pub fn raw(&mut self) -> &mut Vec<u8> {
        self.text
    }
}
