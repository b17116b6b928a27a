//! Tumbling windows: half-open `[start, end)`, aligned to midnight UTC.

use std::fmt;
use std::str::FromStr;

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// A window's width: whole seconds that divide a day, so that windows never straddle midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Width {
    ms: i64,
}

/// The text is not a width.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("window width {0:?}: give whole seconds, minutes or hours that divide a day, such as \"15m\" or \"1h\"")]
pub struct WidthError(String);

impl Width {
    pub const HOUR: Width = Width { ms: 3_600_000 };

    /// Length in ms.
    pub fn ms(self) -> i64 {
        self.ms
    }

    /// Start of the window that holds this instant, both in ms since the epoch.
    pub fn start_of(self, time_ms: i64) -> i64 {
        time_ms - time_ms.rem_euclid(self.ms)
    }

    /// End (exclusive) of the window that starts at `start_ms`.
    pub fn end_of(self, start_ms: i64) -> i64 {
        start_ms + self.ms
    }
}

impl FromStr for Width {
    type Err = WidthError;

    fn from_str(text: &str) -> Result<Width, WidthError> {
        let bad = || WidthError(text.to_owned());
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: i64 = text[..digits].parse().map_err(|_| bad())?;
        let unit_ms = match text[digits..].trim() {
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return Err(bad()),
        };
        let ms = number.checked_mul(unit_ms).ok_or_else(bad)?;
        if ms <= 0 || ms >= DAY_MS || DAY_MS % ms != 0 {
            return Err(bad());
        }
        Ok(Width { ms })
    }
}

/// The canonical text, in the largest unit that is whole: `1h`, `15m`, `90s`.
impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ms {
            ms if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            ms => write!(f, "{}s", ms / 1_000),
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
            ("12h", "12h"),
            ("1 s", "1s"),
        ] {
            assert_eq!(text.parse::<Width>().unwrap().to_string(), shown, "{text}");
        }
        for text in ["", "h", "0h", "7h", "24h", "1d", "-1h", "1.5h", "99999999999999999999h", "1 fortnight"] {
            assert!(text.parse::<Width>().is_err(), "{text}");
        }
    }

    #[test]
    fn windows_are_half_open_before_the_epoch_too() {
        let hour = Width::HOUR;
        assert_eq!(hour.start_of(3_599_999), 0);
        assert_eq!(hour.start_of(3_600_000), 3_600_000);
        assert_eq!(hour.start_of(-1), -3_600_000);
        assert_eq!(hour.end_of(hour.start_of(-1)), 0);
    }
}
