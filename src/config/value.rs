//! The forms of values: `"10s"`, `"64 MiB"`, `"2 km"`, decimals, names.

use std::str::FromStr;

use super::{Format, TimeFormat};
use crate::window::Width;

/// A form: how a message describes it, with an example, and how a text is read.
pub(super) struct Form<T> {
    pub expected: &'static str,
    pub read: fn(&str) -> Option<T>,
}

pub(super) const TEXT: Form<String> = Form { expected: "a text", read: |text| Some(text.to_owned()) };
pub(super) const FIELD: Form<String> =
    Form { expected: "the field's name or dotted path, such as \"position.lat\"", read: |text| Some(text.to_owned()) };
pub(super) const BOOL: Form<bool> = Form { expected: "true or false", read: |text| text.parse().ok() };
pub(super) const COUNT: Form<usize> = Form {
    expected: "a whole number between 0 and 1024, such as 4",
    read: |text| text.parse().ok().filter(|n| *n <= 1024),
};
pub(super) const IN_FLIGHT: Form<usize> = Form {
    expected: "a whole number between 1 and 32768, such as 256",
    read: |text| text.parse().ok().filter(|n| (1..=32_768).contains(n)),
};
pub(super) const DURATION: Form<i64> =
    Form { expected: "a duration such as \"10s\", \"2m\" or \"24h\"", read: duration };
pub(super) const DURATION_OR_UNLIMITED: Form<Option<i64>> = Form {
    expected: "a duration such as \"24h\", or \"unlimited\"",
    read: |text| if text == "unlimited" { Some(None) } else { duration(text).map(Some) },
};
pub(super) const SIZE: Form<usize> = Form { expected: "a size such as \"64 MiB\", at most 4 GiB", read: size };
pub(super) const DISTANCE: Form<Option<f64>> =
    Form { expected: "a distance such as \"2 km\" or \"500 m\", or \"off\"", read: distance };
pub(super) const DECIMAL: Form<String> = Form { expected: "a decimal number such as 0.1 or -273.15", read: decimal };
pub(super) const UNIT: Form<i32> =
    Form { expected: "a power of ten from \"1\" to \"1e-15\", such as \"1e-9\"", read: unit };
pub(super) const SEPARATOR: Form<u8> =
    Form { expected: "one ASCII character such as \";\" or \"\\t\"", read: separator };
pub(super) const ZONE: Form<chrono_tz::Tz> =
    Form { expected: "an IANA time zone such as \"Europe/Paris\" or \"UTC\"", read: |text| text.parse().ok() };
pub(super) const INSTANT: Form<i64> = Form {
    expected: "a time such as \"2050-01-01T00:00:00Z\"",
    read: |text| chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis()),
};
pub(super) const WIDTH: Form<Width> = Form {
    expected: "a window width of whole seconds, minutes or hours under 12h, such as \"15m\" or \"1h\"; or \"12h\", \"1d\", \"1w\", \"1mo\"",
    read: |text| Width::from_str(text).ok(),
};
pub(super) const FORMAT: Form<Format> = Form {
    expected: "\"json\", \"json-array\", \"ndjson\", \"csv\" or \"arrow-ipc\"",
    read: |text| match text {
        "json" => Some(Format::Json),
        "json-array" => Some(Format::JsonArray),
        "ndjson" => Some(Format::Ndjson),
        "csv" => Some(Format::Csv),
        "arrow-ipc" => Some(Format::ArrowIpc),
        _ => None,
    },
};
pub(super) const TIME_FORMAT: Form<TimeFormat> = Form {
    expected: "\"auto\", \"compact\", \"epoch-s\", \"epoch-ms\", \"epoch-us\" or \"epoch-ns\"",
    read: |text| match text {
        "auto" => Some(TimeFormat::Auto),
        "compact" => Some(TimeFormat::Compact),
        "epoch-s" => Some(TimeFormat::EpochS),
        "epoch-ms" => Some(TimeFormat::EpochMs),
        "epoch-us" => Some(TimeFormat::EpochUs),
        "epoch-ns" => Some(TimeFormat::EpochNs),
        _ => None,
    },
};
pub(super) const ADDRESS: Form<String> = Form { expected: "host:port, such as \"127.0.0.1:9464\"", read: address };
pub(super) const TOPIC: Form<String> =
    Form { expected: "a topic's name: at most 249 letters, digits, \".\", \"_\" and \"-\"", read: topic };
pub(super) const KEYSPACE: Form<String> =
    Form { expected: "a keyspace's name: at most 48 letters, digits and \"_\", a letter first", read: keyspace };
pub(super) const REPLICATION: Form<String> = Form {
    expected: "a replication map in CQL, such as \"{'class': 'NetworkTopologyStrategy', 'dc1': 3}\"",
    read: |text| (text.starts_with('{') && text.ends_with('}') && !text.contains(';')).then(|| text.to_owned()),
};
pub(super) const JSON_LOGS: Form<bool> = Form {
    expected: "\"text\" or \"json\"",
    read: |text| match text {
        "text" => Some(false),
        "json" => Some(true),
        _ => None,
    },
};

/// A hundred years: longer than any lateness, and sums of several still fit.
const MAX_DURATION_MS: i64 = 100 * 366 * 86_400_000;

/// In ms.
fn duration(text: &str) -> Option<i64> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    scaled(text, &units).filter(|ms| *ms <= MAX_DURATION_MS)
}

/// In bytes.
fn size(text: &str) -> Option<usize> {
    let binary = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let decimal = [("kB", 1_000), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];
    let bytes = scaled(text, &binary).or_else(|| scaled(text, &decimal))?;
    usize::try_from(bytes).ok().filter(|bytes| (1..=4 << 30).contains(bytes))
}

/// In metres; `off` is none.
fn distance(text: &str) -> Option<Option<f64>> {
    if text == "off" {
        return Some(None);
    }
    let mm = scaled(text, &[("m", 1_000), ("km", 1_000_000)])?;
    (mm > 0 && mm <= 1_000_000_000).then_some(Some(mm as f64 / 1_000.0))
}

/// A decimal number with a unit, in the smallest unit, where that is whole: `1.5h` is 5,400,000 ms.
fn scaled(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (whole, fraction) = text[..end].split_once('.').unwrap_or((&text[..end], "0"));
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let unit = units.iter().find(|(name, _)| *name == text[end..].trim_start())?.1;
    let part = fraction.parse::<i64>().ok()?.checked_mul(unit)?;
    let divisor = 10_i64.pow(fraction.len() as u32);
    if part % divisor != 0 {
        return None;
    }
    whole.parse::<i64>().ok()?.checked_mul(unit)?.checked_add(part / divisor)
}

/// A decimal in its canonical text: no plus sign, no zeros that say nothing, so that `1.50` and `1.5` mean the same.
fn decimal(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || digits.len() > 40 {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let number = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
    Some(if number == "0" { number } else { format!("{sign}{number}") })
}

/// `1e-9` → −9.
fn unit(text: &str) -> Option<i32> {
    let exponent = if text == "1" { 0 } else { -text.strip_prefix("1e-")?.parse::<u8>().ok().map(i32::from)? };
    (-15..=0).contains(&exponent).then_some(exponent)
}

fn separator(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] if is_separator(*byte) => Some(*byte),
        _ => None,
    }
}

/// Whether a byte may separate the cells of a CSV row: it is nothing that numbers are made of, nor a quote or a line end.
pub fn is_separator(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"\n\r.-+".contains(&byte)
}

fn address(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    let good = !host.is_empty() && !bare_v6 && !text.contains(char::is_whitespace) && port.parse::<u16>().is_ok();
    good.then(|| text.to_owned())
}

fn topic(text: &str) -> Option<String> {
    let named = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (text.len() <= 249 && text.chars().all(named) && !matches!(text, "" | "." | "..")).then(|| text.to_owned())
}

fn keyspace(text: &str) -> Option<String> {
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    (first && text.len() <= 48 && text.chars().all(named)).then(|| text.to_owned())
}

/// Whether a table's name may stand in keys, metrics and file names.
pub(super) fn is_name(text: &str) -> bool {
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !text.is_empty() && text.len() <= 64 && text.chars().all(named)
}

/// The known name that a misspelt one most resembles.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &&str| strsim::jaro_winkler(&name.to_ascii_lowercase(), known);
    known.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

/// A duration as messages show it, in the largest unit that is whole.
pub(super) fn show_duration(ms: i64) -> String {
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units.iter().find(|(_, unit)| ms != 0 && ms % unit == 0) {
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_sizes_and_distances_carry_their_unit() {
        let ms = |text| (DURATION.read)(text);
        assert_eq!(
            ["10s", "2m", "2 min", "1.5h", "250ms", "0s", "3d"].map(ms),
            [10_000, 120_000, 120_000, 5_400_000, 250, 0, 259_200_000].map(Some)
        );
        for text in
            ["", "10", "s", "-1s", "1.0005s", "1.s", "1h30m", "99999999999999999999s", "40000d", "1 parsec", "é"]
        {
            assert_eq!(ms(text), None, "{text}");
        }
        assert_eq!(["64 MiB", "1KiB", "2 MB", "1.5 GiB"].map(size), [64 << 20, 1024, 2_000_000, 3 << 29].map(Some));
        assert_eq!(["64", "0 B", "5 GiB", "1 MIB"].map(size), [None; 4]);
        assert_eq!(
            ["2 km", "500 m", "0.5km", "off"].map(distance),
            [Some(2000.0), Some(500.0), Some(500.0), None].map(Some)
        );
        assert_eq!(["2", "0 m", "2 mi", "2000 km"].map(distance), [None; 4]);
    }

    #[test]
    fn decimals_have_one_text_a_value() {
        for (text, canonical) in
            [("1", "1"), ("+1.50", "1.5"), ("-273.15", "-273.15"), ("-0.0", "0"), ("007", "7"), ("0.10", "0.1")]
        {
            assert_eq!(decimal(text).as_deref(), Some(canonical), "{text}");
        }
        for text in ["", ".", "1.", ".5", "1e3", "nan", "--1", "1,5", "+-1"] {
            assert_eq!(decimal(text), None, "{text}");
        }
        assert_eq!(
            ["1", "1e-9", "1e-15", "1e-16", "1e9", "0.1"].map(unit),
            [Some(0), Some(-9), Some(-15), None, None, None]
        );
    }

    #[test]
    fn addresses_name_a_host_and_a_port() {
        for text in ["127.0.0.1:0", "localhost:9042", "[::1]:9464"] {
            assert_eq!(address(text).as_deref(), Some(text));
        }
        for text in ["localhost", ":9042", "a:b", "::1:9042", "a:70000", "a b:1", "http://a:1/"] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
