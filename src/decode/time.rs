//! Written times → milliseconds since the epoch, rounded down.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::decimal::Number;
use super::fields::Slot;
use crate::config::TimeFormat;

/// From the year 1000 to 9997, in ms: a time outside is no time of a reading (a clock that says
/// 0001-01-01 was never set). What is computed from one inside, the end of its month or the window
/// a year later, can still be stored: stores keep the years 1 to 9999.
pub const RANGE_MS: std::ops::RangeInclusive<i64> = -30_610_224_000_000..=253_339_228_799_999;

/// 1973: since then every zone's clock is whole minutes off UTC, and is set at whole minutes. (Liberia was the last one.)
pub const WHOLE_MINUTES_SINCE_S: i64 = 94_694_400;

/// Readings come from the same few minutes mostly: what the text up to the minute means is remembered.
#[derive(Default)]
pub struct Minutes {
    /// By the minute's last digit.
    known: [Option<Minute>; 16],
    /// Those of times that are counted, with what they are on the clock of the stream's zone.
    counted: [Option<(i64, Result<i64, TimeFault>)>; 16],
}

#[derive(Clone, Copy)]
struct Minute {
    written: [u8; 16],
    /// Its beginning on a clock that shows UTC, seconds since the epoch.
    civil_s: i64,
    /// The same on the clock of the stream's zone; `None` where its seconds may differ.
    local: Option<Result<i64, TimeFault>>,
}

impl Minutes {
    #[inline]
    fn of(&mut self, text: &[u8; 16], read: impl FnOnce(&[u8; 16]) -> Option<Minute>) -> Option<Minute> {
        let known = &mut self.known[usize::from(text[15] & 15)];
        match known {
            Some(minute) if minute.written == *text => {}
            _ => *known = Some(read(text)?),
        }
        *known
    }
}

/// How a stream's times are read.
#[derive(Clone, Debug)]
pub struct TimeReader {
    format: TimeFormat,
    zone: Tz,
}

/// A time that is counted, not written: units since the epoch, of which a second has so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub value: i64,
    /// 1, or a power of ten from 1000 on.
    pub per_s: i64,
    /// Or what the clock of the stream's zone shows.
    pub is_instant: bool,
}

impl Stamp {
    /// Rounded down.
    fn ms(self) -> Option<i64> {
        if self.per_s == 1 { self.value.checked_mul(1000) } else { Some(self.value.div_euclid(self.per_s / 1000)) }
    }
}

impl fmt::Display for Stamp {
    /// In RFC 3339, as far as there is such a date; without an offset where it is no instant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.is_instant { "Z" } else { "" };
        match self.ms().and_then(DateTime::from_timestamp_millis) {
            Some(time) => write!(f, "{}{end}", time.format("%Y-%m-%dT%H:%M:%S%.3f")),
            None => write!(f, "{}/{} s", self.value, self.per_s),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFault {
    NotATime,
    /// The clocks were put forward over it.
    NoSuchLocalTime,
}

impl TimeReader {
    pub fn new(format: TimeFormat, zone: Tz) -> TimeReader {
        TimeReader { format, zone }
    }

    /// A time that is written as a text. (The usual format first, without a slot around it: every ordinary reading comes by here.)
    #[inline]
    pub fn read_text(&self, text: &str, minutes: &mut Minutes) -> Option<i64> {
        match self.format {
            TimeFormat::Auto => self.auto(text.as_bytes(), minutes).ok().filter(|time_ms| RANGE_MS.contains(time_ms)),
            _ => self.read(&Slot::Text(Cow::Borrowed(text)), minutes).ok(),
        }
    }

    pub fn zone_name(&self) -> &'static str {
        self.zone.name()
    }

    /// `minutes`: what is remembered from one call to the next.
    pub fn read(&self, slot: &Slot<'_>, minutes: &mut Minutes) -> Result<i64, TimeFault> {
        let text = match (&self.format, slot) {
            (_, Slot::Time(stamp)) => return self.counted(*stamp, minutes),
            (_, Slot::Cell(text)) => text.trim_ascii(),
            (_, Slot::Text(text)) => text,
            (TimeFormat::Auto, _) => return Err(TimeFault::NotATime),
            (_, Slot::Number(number)) => number.text,
            _ => return Err(TimeFault::NotATime),
        };
        let time_ms = match self.format {
            TimeFormat::Auto => self.auto(text.as_bytes(), minutes)?,
            TimeFormat::Compact => self.compact(text.as_bytes())?,
            TimeFormat::EpochS => epoch(text, 3)?,
            TimeFormat::EpochMs => epoch(text, 0)?,
            TimeFormat::EpochUs => epoch(text, -3)?,
            TimeFormat::EpochNs => epoch(text, -6)?,
        };
        RANGE_MS.contains(&time_ms).then_some(time_ms).ok_or(TimeFault::NotATime)
    }

    /// A time that is written as an integer, where the format says what it counts.
    #[inline]
    pub fn whole(&self, value: i128, minutes: &mut Minutes) -> Option<i64> {
        let per_s = match self.format {
            TimeFormat::EpochS => 1,
            TimeFormat::EpochMs => 1_000,
            TimeFormat::EpochUs => 1_000_000,
            TimeFormat::EpochNs => 1_000_000_000,
            TimeFormat::Auto | TimeFormat::Compact => return None,
        };
        let stamp = Stamp { value: i64::try_from(value).ok()?, per_s, is_instant: true };
        self.counted(stamp, minutes).ok()
    }

    /// Whatever the format: nothing is left to be told apart.
    #[inline]
    pub fn counted(&self, stamp: Stamp, minutes: &mut Minutes) -> Result<i64, TimeFault> {
        let mut time_ms = stamp.ms().ok_or(TimeFault::NotATime)?;
        if !stamp.is_instant {
            let civil_s = time_ms.div_euclid(1000);
            let start_s = self.minute_on_the_clock(civil_s, minutes)?;
            time_ms = start_s.saturating_mul(1000).saturating_add(time_ms.rem_euclid(1000));
        }
        RANGE_MS.contains(&time_ms).then_some(time_ms).ok_or(TimeFault::NotATime)
    }

    /// Seconds of the zone's wall clock → seconds since the epoch, of which whole minutes are remembered.
    fn minute_on_the_clock(&self, civil_s: i64, minutes: &mut Minutes) -> Result<i64, TimeFault> {
        if civil_s < WHOLE_MINUTES_SINCE_S {
            return self.since_epoch(civil_s);
        }
        let (minute, second) = (civil_s / 60, civil_s % 60);
        let known = &mut minutes.counted[(minute & 15) as usize];
        let start = match known {
            Some((of, start)) if *of == minute => *start,
            _ => known.insert((minute, self.since_epoch(minute * 60))).1,
        };
        start.map(|start_s| start_s + second)
    }

    /// `YYYY-MM-DD hh:mm:ss`, `T` allowed between date and time; what follows says in which zone.
    fn auto(&self, text: &[u8], minutes: &mut Minutes) -> Result<i64, TimeFault> {
        let (written, rest) = text.split_first_chunk::<16>().ok_or(TimeFault::NotATime)?;
        let ([b':', tens, units], rest) = rest.split_first_chunk::<3>().ok_or(TimeFault::NotATime)? else {
            return Err(TimeFault::NotATime);
        };
        let second = two(*tens, *units).filter(|second| *second <= 59).ok_or(TimeFault::NotATime)?;
        let (fraction_ms, suffix) = fraction(rest).ok_or(TimeFault::NotATime)?;
        let minute = minutes.of(written, |written| self.minute(written)).ok_or(TimeFault::NotATime)?;
        let seconds = match suffix {
            b"" => match minute.local {
                Some(local) => local? + i64::from(second),
                None => self.since_epoch(minute.civil_s + i64::from(second))?,
            },
            b"Z" | b"z" | b" UTC" => minute.civil_s + i64::from(second),
            offset => minute.civil_s + i64::from(second) - numeric_offset(offset).ok_or(TimeFault::NotATime)?,
        };
        Ok(seconds * 1000 + fraction_ms)
    }

    /// `YYYY-MM-DD hh:mm`.
    fn minute(&self, text: &[u8; 16]) -> Option<Minute> {
        let marks = [text[4], text[7], text[13]] == *b"--:" && matches!(text[10], b' ' | b'T' | b't');
        let pair = |at: usize| two(text[at], text[at + 1]);
        if !marks {
            return None;
        }
        let civil_s = civil([pair(0)? * 100 + pair(2)?, pair(5)?, pair(8)?, pair(11)?, pair(14)?, 0])?;
        let local = (civil_s >= WHOLE_MINUTES_SINCE_S).then(|| self.since_epoch(civil_s));
        Some(Minute { written: *text, civil_s, local })
    }

    fn compact(&self, text: &[u8]) -> Result<i64, TimeFault> {
        let written: &[u8; 14] = text.try_into().map_err(|_| TimeFault::NotATime)?;
        let pair = |at: usize| two(written[at], written[at + 1]);
        let civil_s = (|| civil([pair(0)? * 100 + pair(2)?, pair(4)?, pair(6)?, pair(8)?, pair(10)?, pair(12)?]))();
        Ok(self.since_epoch(civil_s.ok_or(TimeFault::NotATime)?)? * 1000)
    }

    /// Seconds of the zone's wall clock → seconds since the epoch.
    fn since_epoch(&self, civil_s: i64) -> Result<i64, TimeFault> {
        if self.zone == Tz::UTC {
            return Ok(civil_s);
        }
        let local: NaiveDateTime = DateTime::from_timestamp(civil_s, 0).ok_or(TimeFault::NotATime)?.naive_utc();
        let east_s = |offset: <Tz as TimeZone>::Offset| i64::from(offset.fix().local_minus_utc());
        match self.zone.offset_from_local_datetime(&local) {
            MappedLocalTime::Single(offset) => Ok(civil_s - east_s(offset)),
            // The clock furthest ahead shows it first.
            MappedLocalTime::Ambiguous(one, other) => Ok(civil_s - east_s(one).max(east_s(other))),
            MappedLocalTime::None => Err(TimeFault::NoSuchLocalTime),
        }
    }
}

fn epoch(text: &str, shift: i64) -> Result<i64, TimeFault> {
    Number::parse(text).and_then(|number| number.floor(shift)).ok_or(TimeFault::NotATime)
}

fn two(tens: u8, units: u8) -> Option<u32> {
    let (tens, units) = (tens.wrapping_sub(b'0'), units.wrapping_sub(b'0'));
    (tens <= 9 && units <= 9).then_some(u32::from(tens) * 10 + u32::from(units))
}

/// Year, month, day, hour, minute, second → seconds since the epoch on a clock that shows UTC.
/// Neither leap seconds nor 24:00 are times here.
fn civil([year, month, day, hour, minute, second]: [u32; 6]) -> Option<i64> {
    if year == 0 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let seconds = hour * 3600 + minute * 60 + second;
    Some(days_since_epoch(year, month, day) * 86_400 + i64::from(seconds))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_since_epoch(year: u32, month: u32, day: u32) -> i64 {
    const BEFORE_MONTH: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    // Days from 0001-01-01 to 1970-01-01.
    const EPOCH: i64 = 719_162;
    let past = year - 1;
    let leap_day = u32::from(month > 2 && is_leap(year));
    let days = past * 365 + past / 4 - past / 100 + past / 400 + BEFORE_MONTH[month as usize - 1] + leap_day + day - 1;
    i64::from(days) - EPOCH
}

/// A fraction of a second, if one is written, in whole milliseconds; and what follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', rest @ ..] = text else { return Some((0, text)) };
    let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let digit = |at: usize| if at < length { i64::from(rest[at] - b'0') } else { 0 };
    (length > 0).then(|| (digit(0) * 100 + digit(1) * 10 + digit(2), &rest[length..]))
}

/// `±hh:mm` in seconds.
fn numeric_offset(text: &[u8]) -> Option<i64> {
    let &[sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = text else { return None };
    let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
    let seconds = i64::from(hours * 3600 + minutes * 60);
    (hours <= 23 && minutes <= 59).then_some(if sign == b'-' { -seconds } else { seconds })
}
