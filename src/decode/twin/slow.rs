//! The slow, obvious twin: serde_json, chrono and big integers, written from the rules alone.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDateTime, Offset, TimeZone};
use num_bigint::BigInt;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Reading, Verdict};
use crate::config::{
    FilterConfig, FilterRule, Format, MetricConfig, PositionFields, StreamConfig, Threshold, TimeFormat,
};
use crate::decode::Stations;
use crate::reading::flags;

#[derive(Clone, Debug)]
pub enum Tree {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Cell(String),
    Array,
    Object(BTreeMap<String, Tree>),
}

/// The verdicts on one payload.
pub fn decode(stream: &StreamConfig, stations: &Stations, payload: &[u8], record_ms: Option<i64>) -> Vec<Verdict> {
    let judge = |tree: Tree| judge(stream, stations, &tree, record_ms);
    let opens_array = payload.trim_ascii_start().starts_with(b"[");
    let split = match stream.format {
        Format::Json if !opens_array => json(payload).and_then(object).map(|tree| vec![judge(tree)]),
        Format::Json | Format::JsonArray => {
            array(payload).map(|elements| elements.into_iter().map(|element| object(element).and_then(judge)).collect())
        }
        Format::Ndjson => Ok(payload
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .map(|line| json(line).and_then(object).and_then(judge))
            .collect()),
        Format::Csv => {
            csv(stream.separator, payload).map(|rows| rows.into_iter().map(|row| row.and_then(judge)).collect())
        }
        Format::ArrowIpc => unreachable!("a table's twin is the same readings as a JSON array"),
    };
    // A byte-order mark may stand before a table.
    let text =
        if stream.format == Format::Csv { payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload) } else { payload };
    match split {
        _ if payload.len() > stream.max_record => vec![Err("too_large")],
        _ if text.trim_ascii().is_empty() => vec![Err("empty")],
        Ok(verdicts) => verdicts,
        Err(reason) => vec![Err(reason)],
    }
}

fn json(payload: &[u8]) -> Result<Tree, &'static str> {
    let text = std::str::from_utf8(payload).map_err(|_| "not_utf8")?;
    if let Some(before) = before_too_deep(text) {
        return json(before.as_bytes()).and(Err("too_deep"));
    }
    tree(serde_json::from_str(text).map_err(|_| "malformed")?)
}

/// The text up to where it is nested too deep, made whole there: a text is broken for the first reason that it gives.
fn before_too_deep(text: &str) -> Option<String> {
    let (mut open, mut quoted, mut escaped) = (Vec::new(), false, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' if open.len() == 64 => {
                return Some(text[..at].chars().chain(['"', '"']).chain(open.into_iter().rev()).collect());
            }
            '{' => open.push('}'),
            '[' => open.push(']'),
            '}' | ']' => drop(open.pop()),
            _ => {}
        }
    }
    None
}

fn tree(raw: &RawValue) -> Result<Tree, &'static str> {
    let text = raw.get();
    Ok(match text.as_bytes()[0] {
        b'{' => {
            let members: Members<'_> = serde_json::from_str(text).map_err(|_| "malformed")?;
            let members = members.0.into_iter().map(|(key, value)| Ok((key, tree(value)?)));
            Tree::Object(members.collect::<Result<_, &'static str>>()?)
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| "malformed")?;
            elements.into_iter().try_for_each(|element| tree(element).map(drop))?;
            Tree::Array
        }
        b'"' => Tree::Text(serde_json::from_str(text).map_err(|_| "malformed")?),
        b't' => Tree::Bool(true),
        b'f' => Tree::Bool(false),
        b'n' => Tree::Null,
        _ => Tree::Number(text.to_owned()),
    })
}

/// All members of an object, also those whose key occurs again: they must be well-formed too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

fn object(tree: Tree) -> Result<Tree, &'static str> {
    if matches!(tree, Tree::Object(_)) { Ok(tree) } else { Err("not_an_object") }
}

fn array(payload: &[u8]) -> Result<Vec<Tree>, &'static str> {
    let text = std::str::from_utf8(payload).map_err(|_| "not_utf8")?;
    json(payload)?;
    let elements: Vec<&RawValue> = match text.trim_ascii().starts_with('[') {
        true => serde_json::from_str(text).map_err(|_| "malformed")?,
        false => return Err("not_an_array"),
    };
    elements.into_iter().map(tree).collect()
}

fn csv(separator: u8, payload: &[u8]) -> Result<Vec<Result<Tree, &'static str>>, &'static str> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator).flexible(true).has_headers(false).from_reader(payload);
    let mut rows = reader.records().map(|row| row.expect("generated rows are readable"));
    let header: Vec<String> = rows.next().ok_or("empty")?.iter().map(|name| name.trim().to_owned()).collect();
    let names = if header.last().is_some_and(String::is_empty) { &header[..header.len() - 1] } else { &header };
    Ok(rows
        .map(|row| {
            let extra = row.len() as i64 - names.len() as i64;
            match extra {
                ..0 => return Err("row_too_short"),
                0 => {}
                1 if row.iter().next_back() == Some("") => {}
                _ => return Err("row_too_long"),
            }
            let cells = names.iter().zip(&row).map(|(name, cell)| (name.clone(), Tree::Cell(cell.to_owned())));
            Ok(Tree::Object(cells.collect()))
        })
        .collect())
}

impl Tree {
    fn at(&self, path: &str, format: Format) -> &Tree {
        let keys: Vec<&str> = if format == Format::Csv { vec![path] } else { path.split('.').collect() };
        keys.into_iter().fold(self, |tree, key| match tree {
            Tree::Object(members) => members.get(key).unwrap_or(&Tree::Null),
            _ => &Tree::Null,
        })
    }

    fn text(&self) -> Option<String> {
        match self {
            Tree::Bool(value) => Some(value.to_string()),
            Tree::Number(text) | Tree::Text(text) | Tree::Cell(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn is_missing(&self, tokens: &[String]) -> bool {
        match self {
            Tree::Null => true,
            Tree::Number(text) | Tree::Text(text) => tokens.contains(text),
            Tree::Cell(text) => tokens.iter().any(|token| token == text.trim_ascii()),
            _ => false,
        }
    }

    fn number(&self) -> Result<Rational, &'static str> {
        match self {
            Tree::Number(text) => Rational::parse(text).ok_or("bad_number"),
            Tree::Cell(text) => Rational::parse(text.trim_ascii()).ok_or("bad_number"),
            _ => Err("bad_number"),
        }
    }
}

fn judge(stream: &StreamConfig, stations: &Stations, tree: &Tree, record_ms: Option<i64>) -> Verdict {
    let at = |path: &str| tree.at(path, stream.format);
    let required = |path: &str| {
        let value = at(path);
        if value.is_missing(&stream.missing) { Err("missing_field") } else { Ok(value) }
    };
    let time_ms = time(stream, required(&stream.time)?)?;
    let future = match record_ms {
        Some(record_ms) => time_ms > record_ms + stream.max_future_ms,
        None => time_ms >= stream.files_before_ms,
    };
    if future {
        return Err("future");
    }
    if !stream.filters.iter().all(|filter| keeps(filter, at(&filter.field))) {
        let metrics = vec![(None, 0); stream.metrics.len()];
        return Ok(Reading { time_ms, filtered: true, position: None, metrics });
    }
    let degrees = |path: &str, limit: f64| {
        let value = required(path)?;
        value.number()?;
        let degrees: f64 = value.text().and_then(|text| text.trim_ascii().parse().ok()).ok_or("bad_number")?;
        if degrees.abs() <= limit { Ok(degrees) } else { Err("bad_position") }
    };
    let position = match &stream.position {
        PositionFields::LatLon { lat, lon } if [lat, lon].iter().all(|field| at(field).is_missing(&stream.missing)) => {
            None
        }
        PositionFields::LatLon { lat, lon } => Some((degrees(lat, 90.0)?, degrees(lon, 180.0)?)),
        PositionFields::Station { field } => at(field).text().and_then(|id| stations.get(id.trim())),
        PositionFields::None => None,
    };
    let active = stream.active.as_ref().is_some_and(|field| is_active(at(field)));
    let metrics = stream.metrics.values().map(|metric| measure(stream, metric, tree, active));
    Ok(Reading { time_ms, filtered: false, position, metrics: metrics.collect::<Result<_, _>>()? })
}

fn keeps(filter: &FilterConfig, value: &Tree) -> bool {
    let text = value.text();
    match &filter.rule {
        FilterRule::Equals(wanted) => text.as_ref() == Some(wanted),
        FilterRule::Not(unwanted) => text.as_ref() != Some(unwanted),
        FilterRule::In(wanted) => text.is_some_and(|text| wanted.contains(&text)),
    }
}

fn is_active(value: &Tree) -> bool {
    let non_zero = |text: &str| Rational::parse(text).is_some_and(|number| number.mantissa != BigInt::ZERO);
    match value {
        Tree::Bool(value) => *value,
        Tree::Number(text) => non_zero(text),
        Tree::Text(text) => text.to_lowercase() == "true" || text == "1",
        Tree::Cell(text) => text.trim_ascii().to_lowercase() == "true" || non_zero(text.trim_ascii()),
        _ => false,
    }
}

fn measure(
    stream: &StreamConfig,
    metric: &MetricConfig,
    tree: &Tree,
    active: bool,
) -> Result<(Option<i64>, u8), &'static str> {
    let unit = i64::from(stream.unit_exponent);
    let fixed = |value: &Tree| {
        let (scale, offset) = (Rational::of(&metric.scale), Rational::of(&metric.offset));
        let number = value.number()?;
        // Significant digits.
        if number.mantissa.magnitude().to_string().len() > 4096 {
            return Err("number_too_long");
        }
        i64::try_from((number * scale + offset).round(unit)).map_err(|_| "out_of_range")
    };
    let value = tree.at(&metric.field, stream.format);
    if value.is_missing(&stream.missing) {
        return Ok((None, 0));
    }
    let value = fixed(value)?;
    let exact = Rational { mantissa: value.into(), exponent: unit };
    let alarm = match &metric.threshold {
        None => false,
        Some(Threshold::Fixed(threshold)) => exact.clone().exceeds(Rational::of(threshold)),
        Some(Threshold::Field { field, unset }) => {
            let threshold = tree.at(field, stream.format);
            let is_unset = unset.is_some() && threshold.text().map(|text| text.trim_ascii().to_owned()) == *unset;
            if threshold.is_missing(&stream.missing) || is_unset {
                false
            } else {
                let threshold = fixed(threshold)?;
                let unset = unset.as_ref().map(|unset| fixed(&Tree::Number(unset.clone())));
                unset != Some(Ok(threshold)) && value > threshold
            }
        }
    };
    let outlier = metric.normal.as_ref().is_some_and(|normal| {
        let spread = Rational::of(&normal.k) * Rational::of(&normal.sigma);
        let mu = Rational::of(&normal.mu);
        exact.clone().exceeds(mu.clone() + spread.clone()) || (mu - spread).exceeds(exact)
    });
    let flags = [(alarm, flags::ALARM), (active, flags::ACTIVE), (outlier, flags::OUTLIER)];
    Ok((Some(value), flags.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum()))
}

fn time(stream: &StreamConfig, value: &Tree) -> Result<i64, &'static str> {
    let text = match value {
        Tree::Cell(text) => text.trim_ascii(),
        Tree::Text(text) => text,
        Tree::Number(text) if stream.time_format != TimeFormat::Auto => text,
        _ => return Err("bad_time"),
    };
    let epoch = |exponent| {
        let mut number = Rational::parse(text).ok_or("bad_time")?;
        number.exponent += exponent;
        i64::try_from(number.floor(-3)).map_err(|_| "bad_time")
    };
    let time_ms = match stream.time_format {
        TimeFormat::Auto | TimeFormat::Compact => civil(stream, text)?,
        TimeFormat::EpochS => epoch(0)?,
        TimeFormat::EpochMs => epoch(-3)?,
        TimeFormat::EpochUs => epoch(-6)?,
        TimeFormat::EpochNs => epoch(-9)?,
    };
    let range = ["1000-01-01T00:00:00Z", "9997-12-31T23:59:59.999Z"]
        .map(|bound| DateTime::parse_from_rfc3339(bound).expect("a bound").timestamp_millis());
    (range[0]..=range[1]).contains(&time_ms).then_some(time_ms).ok_or("bad_time")
}

/// Tells the form by its shape (digits as 0, no fraction) and leaves the rest to chrono.
pub fn civil(stream: &StreamConfig, text: &str) -> Result<i64, &'static str> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let shape = match shape.split_once('.') {
        Some((head, tail)) if head.len() == 19 && tail.starts_with('0') => {
            format!("{head}{}", tail.trim_start_matches('0'))
        }
        _ => shape,
    };
    let shape = shape.replace(['T', 't'], " ").replace('-', "+").replace('z', "Z");
    // The upper-case T of UTC has become a blank too.
    let form = match (&stream.time_format, &*shape) {
        (TimeFormat::Compact, "00000000000000") => "%Y%m%d%H%M%S",
        (TimeFormat::Auto, "0000+00+00 00:00:00") => "%Y-%m-%d %H:%M:%S%.f",
        (TimeFormat::Auto, "0000+00+00 00:00:00 U C") => "%Y-%m-%d %H:%M:%S%.f UTC",
        (TimeFormat::Auto, "0000+00+00 00:00:00Z" | "0000+00+00 00:00:00+00:00") => {
            let time = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1)).map_err(|_| "bad_time")?;
            let leap = time.timestamp_subsec_nanos() >= 1_000_000_000;
            let offset = text[19..].split_once(['+', '-']);
            let hours: u32 = offset.map_or(0, |(_, offset)| offset[..2].parse().unwrap_or(0));
            return if leap || hours > 23 { Err("bad_time") } else { Ok(time.timestamp_millis()) };
        }
        _ => return Err("bad_time"),
    };
    let text = if *"%Y%m%d%H%M%S" == *form { text.to_owned() } else { format!("{} {}", &text[..10], &text[11..]) };
    let local = NaiveDateTime::parse_from_str(&text, form).map_err(|_| "bad_time")?;
    if local.and_utc().timestamp_subsec_nanos() >= 1_000_000_000 || text.starts_with("0000") {
        return Err("bad_time");
    }
    if form.ends_with("UTC") {
        return Ok(local.and_utc().timestamp_millis());
    }
    earliest(stream.zone, local).ok_or("no_such_local_time")
}

/// The first instant at which a clock in the zone shows this time, found through the direction that
/// is never ambiguous.
pub fn earliest(zone: chrono_tz::Tz, local: NaiveDateTime) -> Option<i64> {
    let offsets = (-48..=48)
        .map(|hours| zone.offset_from_utc_datetime(&(local + Duration::hours(hours))).fix().local_minus_utc());
    let candidates = offsets.map(|east_s| local - Duration::seconds(east_s.into()));
    let shown = candidates.filter(|utc| zone.from_utc_datetime(utc).naive_local() == local);
    shown.min().map(|utc| utc.and_utc().timestamp_millis())
}

/// A power of ten that makes any number of a test zero, or larger than everything.
const FAR: i64 = 6_000;

/// mantissa · 10^exponent.
#[derive(Clone, Debug)]
pub struct Rational {
    pub mantissa: BigInt,
    pub exponent: i64,
}

impl Rational {
    pub fn of(text: &str) -> Rational {
        Rational::parse(text).expect("a number of the configuration")
    }

    pub fn parse(text: &str) -> Option<Rational> {
        let (digits, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let bare = whole.strip_prefix(['+', '-']).unwrap_or(whole);
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let power_digits = power.strip_prefix(['+', '-']).unwrap_or(power);
        if !all_digits(bare) || !all_digits(fraction) || !all_digits(power_digits) || power_digits.is_empty() {
            return None;
        }
        if bare.is_empty() && fraction.is_empty() {
            return None;
        }
        let negative = whole.starts_with('-');
        let mut mantissa: BigInt = format!("0{bare}{fraction}").parse().ok()?;
        if negative {
            mantissa = -mantissa;
        }
        // Further nothing changes any more for numbers of a few thousand digits.
        let far = if power.starts_with('-') { -FAR } else { FAR };
        let power = power.parse::<i64>().map_or(far, |power| power.clamp(-FAR, FAR));
        Some(Rational { exponent: power - fraction.len() as i64, mantissa })
    }

    fn over(&self, exponent: i64) -> BigInt {
        &self.mantissa * BigInt::from(10).pow((self.exponent - exponent) as u32)
    }

    pub fn exceeds(self, other: Rational) -> bool {
        let least = self.exponent.min(other.exponent);
        self.over(least) > other.over(least)
    }

    pub fn floor(&self, unit: i64) -> BigInt {
        if self.exponent >= unit {
            return self.over(unit);
        }
        let divisor = BigInt::from(10).pow((unit - self.exponent) as u32);
        let down = if self.mantissa < BigInt::ZERO { &divisor - 1 } else { BigInt::ZERO };
        (&self.mantissa - down) / divisor
    }

    /// Half to even: of the two neighbours the nearer one, else the even one.
    pub fn round(&self, unit: i64) -> BigInt {
        let low = self.floor(unit);
        let middle = Rational { mantissa: &low * 10 + 5, exponent: unit - 1 };
        let odd = low.bit(0);
        let up = self.clone().exceeds(middle.clone()) || (!middle.exceeds(self.clone()) && odd);
        if up { low + 1 } else { low }
    }
}

impl std::ops::Mul for Rational {
    type Output = Rational;
    fn mul(self, other: Rational) -> Rational {
        Rational { mantissa: self.mantissa * other.mantissa, exponent: self.exponent + other.exponent }
    }
}

impl std::ops::Add for Rational {
    type Output = Rational;
    fn add(self, other: Rational) -> Rational {
        let exponent = self.exponent.min(other.exponent);
        Rational { mantissa: self.over(exponent) + other.over(exponent), exponent }
    }
}

impl std::ops::Sub for Rational {
    type Output = Rational;
    fn sub(self, other: Rational) -> Rational {
        self + Rational { mantissa: -other.mantissa, ..other }
    }
}
