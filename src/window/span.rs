//! Tumbling windows: half-open `[start, end)`. Widths under half a day are so many seconds, aligned
//! to the epoch; half days, days, ISO weeks and months follow the civil calendar of a zone, where
//! a day may have 23 or 25 hours.

use std::fmt;
use std::str::FromStr;

use chrono_tz::Tz;

use super::civil::{self, Period, Window};

/// A window's width. What a civil one spans depends on the zone, which goes with the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Width(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    /// Milliseconds: whole seconds, under half a day.
    Fixed(i64),
    Civil(Period),
}

/// The text is not a width.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "window width {0:?}: give whole seconds, minutes or hours under 12h, such as \"15m\" or \"1h\"; or 12h, 1d, 1w or 1mo"
)]
pub struct WidthError(String);

const HALF_DAY_MS: i64 = 43_200_000;
const CIVIL: [(&str, Period); 4] =
    [("12h", Period::HalfDay), ("1d", Period::Day), ("1w", Period::Week), ("1mo", Period::Month)];

impl Width {
    pub const HOUR: Width = Width(Kind::Fixed(3_600_000));
    pub const DAY: Width = Width(Kind::Civil(Period::Day));

    /// The window that holds an instant.
    #[inline]
    pub fn window(self, time_ms: i64, zone: Tz) -> Window {
        match self.0 {
            Kind::Fixed(ms) => {
                let start_ms = time_ms - time_ms.rem_euclid(ms);
                Window { start_ms, end_ms: start_ms + ms }
            }
            Kind::Civil(period) => civil::window(period, time_ms, zone),
        }
    }

    /// Whether its windows last a day or more: how the rows are bucketed.
    pub fn spans_days(self) -> bool {
        matches!(self.0, Kind::Civil(Period::Day | Period::Week | Period::Month))
    }

    pub fn is_civil(self) -> bool {
        matches!(self.0, Kind::Civil(_))
    }

    /// A number that stands for the width in encodings: milliseconds, or a small negative one.
    pub fn code(self) -> i64 {
        match self.0 {
            Kind::Fixed(ms) => ms,
            Kind::Civil(period) => -(period as i64) - 1,
        }
    }

    pub fn from_code(code: i64) -> Option<Width> {
        let civil = CIVIL.iter().map(|(_, period)| Width(Kind::Civil(*period)));
        civil.into_iter().find(|width| width.code() == code).or_else(|| fixed(code))
    }
}

fn fixed(ms: i64) -> Option<Width> {
    (ms > 0 && ms < HALF_DAY_MS && ms % 1_000 == 0).then_some(Width(Kind::Fixed(ms)))
}

impl FromStr for Width {
    type Err = WidthError;

    fn from_str(text: &str) -> Result<Width, WidthError> {
        let bad = || WidthError(text.to_owned());
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: i64 = text[..digits].parse().map_err(|_| bad())?;
        let unit = text[digits..].trim();
        if let ("w" | "mo", 1) = (unit, number) {
            return Ok(Width(Kind::Civil(if unit == "w" { Period::Week } else { Period::Month })));
        }
        let unit_ms = match unit {
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 2 * HALF_DAY_MS,
            _ => return Err(bad()),
        };
        match number.checked_mul(unit_ms).ok_or_else(bad)? {
            HALF_DAY_MS => Ok(Width(Kind::Civil(Period::HalfDay))),
            ms if ms == 2 * HALF_DAY_MS => Ok(Width::DAY),
            ms => fixed(ms).ok_or_else(bad),
        }
    }
}

/// The canonical text, in the largest unit that is whole: `1h`, `15m`, `90s`; `12h`, `1d`, `1w`, `1mo`.
impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Fixed(ms) if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            Kind::Fixed(ms) if ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            Kind::Fixed(ms) => write!(f, "{}s", ms / 1_000),
            Kind::Civil(period) => {
                let named = CIVIL.iter().find(|(_, known)| *known == period);
                f.write_str(named.map_or("", |(name, _)| name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_read_and_written_canonically() {
        for (text, shown) in [
            ("1h", "1h"),
            ("60m", "1h"),
            ("3600s", "1h"),
            ("15min", "15m"),
            ("90s", "90s"),
            ("7h", "7h"),
            ("12h", "12h"),
            ("24h", "1d"),
            ("1d", "1d"),
            ("1 w", "1w"),
            ("1mo", "1mo"),
            ("1 s", "1s"),
        ] {
            let width = text.parse::<Width>().unwrap();
            assert_eq!(width.to_string(), shown, "{text}");
            assert_eq!(Width::from_code(width.code()), Some(width), "{text}");
        }
        for text in
            ["", "h", "0h", "13h", "2d", "2w", "3mo", "-1h", "1.5h", "1500ms", "99999999999999999999h", "1 fortnight"]
        {
            assert!(text.parse::<Width>().is_err(), "{text}");
        }
        for code in [0, -5, i64::MIN, i64::MAX, 1_500, 43_200_000] {
            assert_eq!(Width::from_code(code), None, "{code}");
        }
    }

    #[test]
    fn windows_are_half_open_before_the_epoch_too() {
        let hour = |time_ms| Width::HOUR.window(time_ms, Tz::UTC);
        assert_eq!(hour(3_599_999).start_ms, 0);
        assert_eq!(hour(3_600_000).start_ms, 3_600_000);
        assert_eq!(hour(-1), Window { start_ms: -3_600_000, end_ms: 0 });
        assert!(hour(-1).contains(-1) && !hour(-1).contains(0));
    }
}
