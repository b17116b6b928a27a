//! How warm it is: the year's mean of a place, its seasons and its days. And what time it is, as text.

use chrono::DateTime;

const DAY_MS: f64 = 86_400_000.0;
const YEAR_MS: f64 = 365.2425 * DAY_MS;

/// °C, without noise, where the year's mean is so much.
pub(super) fn temperature(mean: f64, lat: f64, lon: f64, time_ms: i64) -> f64 {
    let time = time_ms as f64;
    // Seasons grow with the latitude, turn around at the equator, and lag the sun: warmest in late July, or late January.
    let season = 0.19 * lat.abs() * lat.signum();
    let yearly = season * wave(time / YEAR_MS, 0.56);
    // Warmest at three in the afternoon of the sun's time.
    let daily = 4.5 * wave(time / DAY_MS + lon / 360.0, 0.625);
    mean + yearly + daily
}

/// A cosine of period 1 with its crest at `crest`.
fn wave(phase: f64, crest: f64) -> f64 {
    libm::cos(std::f64::consts::TAU * (phase - crest))
}

/// Times as text, to the second. Thousands of sensors share one: the text is kept.
pub(super) struct Clock {
    format: &'static str,
    second: Option<i64>,
    text: String,
}

impl Clock {
    /// `2019-02-19 14:02:10`.
    pub const PLAIN: &str = "%Y-%m-%d %H:%M:%S";
    /// `2017-02-18 18:28:05 UTC`.
    pub const UTC: &str = "%Y-%m-%d %H:%M:%S UTC";
    /// `2019-02-19T14:02:10Z`.
    pub const RFC_3339: &str = "%Y-%m-%dT%H:%M:%SZ";
    /// `20190219140210`.
    pub const COMPACT: &str = "%Y%m%d%H%M%S";

    pub fn new(format: &'static str) -> Clock {
        Clock { format, second: None, text: String::new() }
    }

    pub fn text(&mut self, time_ms: i64) -> &str {
        let second = time_ms.div_euclid(1_000);
        if self.second != Some(second) {
            let time = DateTime::from_timestamp(second, 0).unwrap_or_default();
            (self.second, self.text) = (Some(second), time.format(self.format).to_string());
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{FRANCE, Town};

    fn temperature_in(town: &Town, time_ms: i64) -> f64 {
        temperature(town.mean, town.lat, town.lon, time_ms)
    }

    #[test]
    fn summers_are_warm_and_nights_are_cool() {
        let at = |name: &str, time: &str| {
            let town = FRANCE.iter().find(|town| town.name == name).unwrap();
            temperature_in(town, DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis())
        };
        assert!(at("Paris", "2026-07-20T14:30:00Z") > at("Paris", "2026-01-20T14:30:00Z") + 12.0);
        assert!(at("Le Tampon", "2026-01-20T10:30:00Z") > at("Le Tampon", "2026-07-20T10:30:00Z") + 5.0);
        assert!(at("Lyon", "2026-04-01T14:30:00Z") > at("Lyon", "2026-04-01T03:30:00Z") + 6.0);
        let noons = FRANCE.map(|town| temperature_in(&town, 1_772_366_400_000));
        assert!(noons.iter().all(|celsius| (-15.0..45.0).contains(celsius)), "{noons:?}");
    }

    #[test]
    fn times_are_written_as_asked() {
        let mut clock = Clock::new(Clock::PLAIN);
        assert_eq!(clock.text(1_550_584_930_999), "2019-02-19 14:02:10");
        assert_eq!(clock.text(-1), "1969-12-31 23:59:59");
        assert_eq!(Clock::new(Clock::UTC).text(1_487_442_485_000), "2017-02-18 18:28:05 UTC");
        assert_eq!(Clock::new(Clock::RFC_3339).text(1_550_584_930_000), "2019-02-19T14:02:10Z");
        assert_eq!(Clock::new(Clock::COMPACT).text(1_550_584_930_000), "20190219140210");
    }
}
