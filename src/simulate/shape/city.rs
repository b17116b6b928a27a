//! City sensors: nine quantities at one place. Each quantity of a town is a process of its own, which
//! follows its recent trend and is pulled back to its mean; the town's sensors share it.

use std::collections::VecDeque;

use super::{Format, Row, Shape};
use crate::simulate::climate::Clock;
use crate::simulate::{ABROAD, FRANCE, Place, Random, Settings};

/// Readings that the trend is taken from.
const TREND: usize = 300;
/// How much of the distance to the mean a quantity comes back in one reading.
const PULL: f64 = 0.2;
/// Of the deviation, what each reading adds by chance: together with the pull, the whole comes to the deviation
/// (0.8² + 0.6² = 1).
const NOISE: f64 = 0.6;
/// Share of values that are outliers, and how many deviations these lie off.
const OUTLIERS: f64 = 0.005;
const OFF: (f64, f64) = (5.0, 10.0);

struct Quantity {
    name: &'static str,
    mean: f64,
    deviation: f64,
    signed: bool,
}

const fn quantity(name: &'static str, mean: f64, deviation: f64) -> Quantity {
    Quantity { name, mean, deviation, signed: false }
}

const QUANTITIES: [Quantity; 9] = [
    Quantity { signed: true, ..quantity("temperature", 25.0, 2.0) },
    quantity("humidity", 60.0, 3.0),
    quantity("pressure", 1_013.0, 2.0),
    quantity("air_quality", 200.0, 20.0),
    quantity("particulate_matter", 30.0, 2.0),
    quantity("noise_level", 50.0, 3.0),
    quantity("illuminance", 500.0, 50.0),
    quantity("wind_speed", 5.0, 20.0),
    quantity("rainfall", 0.0, 3.0),
];

impl Quantity {
    /// What a sensor shows: outliers leave no trace in the process, and what cannot be negative is not.
    fn shown(&self, value: f64, random: &mut Random) -> f64 {
        let off = if random.chance(OUTLIERS) {
            let side = if random.chance(0.5) { 1.0 } else { -1.0 };
            side * self.deviation * random.between(OFF.0, OFF.1)
        } else {
            0.0
        };
        if self.signed { value + off } else { (value + off).max(0.0) }
    }
}

/// The last values of one quantity in one town, oldest first.
#[derive(Clone, Default)]
struct Process(VecDeque<f64>);

impl Process {
    fn next(&mut self, quantity: &Quantity, random: &mut Random) -> f64 {
        let chance = quantity.deviation * random.normal();
        let next = match (self.0.front(), self.0.back()) {
            (Some(oldest), Some(newest)) => {
                let trend = (newest - oldest) / TREND as f64;
                newest + trend + PULL * (quantity.mean - newest) + NOISE * chance
            }
            _ => quantity.mean + chance,
        };
        if self.0.len() == TREND {
            self.0.pop_front();
        }
        self.0.push_back(next);
        next
    }
}

pub(super) struct City {
    seed: u64,
    abroad_share: f64,
    towns: Vec<[Process; QUANTITIES.len()]>,
    clock: Clock,
}

impl City {
    pub fn new(settings: &Settings) -> City {
        City {
            seed: settings.seed,
            abroad_share: settings.abroad_share,
            towns: vec![Default::default(); FRANCE.len() + ABROAD.len()],
            clock: Clock::new(Clock::RFC_3339),
        }
    }
}

impl Shape for City {
    fn columns(&self) -> &'static [&'static str] {
        &[
            "sensor_id",
            "timestamp",
            "lat",
            "lon",
            "temperature",
            "humidity",
            "pressure",
            "air_quality",
            "particulate_matter",
            "noise_level",
            "illuminance",
            "wind_speed",
            "rainfall",
        ]
    }

    fn read(&mut self, sensor: u32, event_ms: i64, random: &mut Random, mut row: Row<'_>) -> bool {
        let place = Place::of(self.seed, sensor, self.abroad_share);
        row.text("sensor_id", format_args!("sensor-{sensor:05}"));
        row.text("timestamp", self.clock.text(event_ms));
        row.bare("lat", format_args!("{:.7}", place.lat));
        row.bare("lon", format_args!("{:.7}", place.lon));
        for (quantity, process) in QUANTITIES.iter().zip(&mut self.towns[place.number]) {
            let value = process.next(quantity, random);
            row.bare(quantity.name, format_args!("{:.2}", quantity.shown(value, random)));
        }
        row.end();
        place.is_abroad()
    }

    fn garbage(&self, format: Format) -> &'static [&'static [u8]] {
        match format {
            Format::Json => &[
                b"not json at all",
                br#"{"sensor_id":"torn","timestamp":"2026-03-0"#,
                br#"{"sensor_id":"no time","lat":48.8,"lon":2.3,"temperature":25.0}"#,
                br#"{"sensor_id":"no such day","timestamp":"2026-02-30T00:00:00Z","lat":48.8,"lon":2.3,"temperature":25.0}"#,
                br#"{"sensor_id":"no such place","timestamp":"2026-03-01T00:00:00Z","lat":91.0,"lon":2.3,"temperature":25.0}"#,
                br#"{"sensor_id":"bad value","timestamp":"2026-03-01T00:00:00Z","lat":48.8,"lon":2.3,"temperature":"warm"}"#,
                b"\xff\xfe\x00",
            ],
            Format::Csv => &[
                b"too short,2026-03-01T00:00:00Z,48.8,2.3",
                b"no time,,48.8,2.3,25.0,60,1013,200,30,50,500,5,0",
                b"no such day,2026-02-30T00:00:00Z,48.8,2.3,25.0,60,1013,200,30,50,500,5,0",
                b"no such place,2026-03-01T00:00:00Z,91.0,2.3,25.0,60,1013,200,30,50,500,5,0",
                b"bad value,2026-03-01T00:00:00Z,48.8,2.3,warm,60,1013,200,30,50,500,5,0",
                b"\xff\xfe\x00",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a town's process comes to over many readings.
    #[test]
    fn quantities_have_their_mean_and_deviation() {
        let mut random = Random::new(3);
        for quantity in &QUANTITIES {
            let mut process = Process::default();
            let n = 40_000;
            let values: Vec<f64> = (0..n).map(|_| process.next(quantity, &mut random)).collect();
            let mean = values.iter().sum::<f64>() / f64::from(n);
            let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / f64::from(n)).sqrt();
            assert!((mean - quantity.mean).abs() < 0.1 * quantity.deviation, "{}: {mean}", quantity.name);
            assert!((deviation / quantity.deviation - 1.0).abs() < 0.05, "{}: {deviation}", quantity.name);
            assert_eq!(process.0.len(), TREND, "no more is kept");
        }
    }

    /// Neighbours in time are alike: that is what a trend and a pull mean, and what independent draws are not.
    #[test]
    fn a_reading_follows_the_one_before() {
        let (mut process, mut random) = (Process::default(), Random::new(4));
        let values: Vec<f64> = (0..20_000).map(|_| process.next(&QUANTITIES[0], &mut random) - 25.0).collect();
        let products: f64 = values.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let squares: f64 = values.iter().map(|value| value * value).sum();
        assert!((0.77..0.84).contains(&(products / squares)), "{}", products / squares);
    }

    #[test]
    fn outliers_are_occasional_and_far_off_and_nothing_falls_below_zero() {
        let mut random = Random::new(5);
        let draw = |quantity: &Quantity, random: &mut Random| -> Vec<f64> {
            (0..40_000).map(|_| quantity.shown(quantity.mean, random)).collect()
        };
        let temperatures = draw(&QUANTITIES[0], &mut random);
        let outliers: Vec<f64> =
            temperatures.iter().map(|value| (value - 25.0).abs()).filter(|off| *off > 0.0).collect();
        assert!((120..300).contains(&outliers.len()) && outliers.iter().all(|off| (10.0..20.0).contains(off)));
        assert!(temperatures.iter().any(|value| *value < 15.0) && temperatures.iter().any(|value| *value > 35.0));
        let winds = draw(&QUANTITIES[7], &mut random);
        assert!(winds.iter().all(|value| *value >= 0.0) && winds.contains(&0.0));
    }
}
