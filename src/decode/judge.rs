//! A reading's fields → a row, or a reason why not. Everything here is judged from the reading
//! alone (and its record's timestamp): no other reading, no clock.

use super::decimal::{Linear, MAX_DIGITS, Number, NumberFault};
use super::fields::{Fields, Slot, SlotId};
use super::reject::{MAX_TEXT, Reject, clip};
use super::stations::Stations;
use super::time::{Minutes, TimeFault, TimeReader};
use crate::reading::flags;

/// The compiled configuration, in the order of judgement.
#[derive(Clone, Debug)]
pub struct Judge {
    pub fields: Fields,
    pub missing: Missing,
    pub time: SlotId,
    pub clock: TimeReader,
    pub max_future_ms: i64,
    pub files_before_ms: i64,
    pub filters: Vec<Filter>,
    pub position: Position,
    pub active: Option<SlotId>,
    pub metrics: Vec<Metric>,
    /// Texts that views group by.
    pub labels: Vec<SlotId>,
    pub tenant: Tenant,
    /// Of numbers that the stream does not name: as they are given.
    pub plain: Linear,
}

/// Texts that stand for no value.
#[derive(Clone, Debug)]
pub struct Missing {
    tokens: Vec<Box<str>>,
    /// Of the longest one, bytes.
    longest: usize,
    /// Some of them are numbers.
    numbers: bool,
}

impl Missing {
    pub fn new(tokens: impl Iterator<Item = Box<str>>) -> Missing {
        let tokens: Vec<Box<str>> = tokens.collect();
        let numbers = tokens.iter().any(|token| Number::parse(token).is_some());
        let longest = tokens.iter().map(|token| token.len()).max().unwrap_or(0);
        Missing { tokens, longest, numbers }
    }

    pub fn has_numbers(&self) -> bool {
        self.numbers
    }

    #[inline]
    pub fn has(&self, text: &str) -> bool {
        text.len() <= self.longest && self.is_one(text)
    }

    fn is_one(&self, text: &str) -> bool {
        self.tokens.iter().any(|token| **token == *text)
    }
}

/// Where a reading's tenant stands.
#[derive(Clone, Debug)]
pub enum Tenant {
    None,
    Key,
    Header { name: Box<str> },
    Field(SlotId),
}

#[derive(Clone, Debug)]
pub struct Filter {
    pub field: SlotId,
    pub values: Vec<Box<str>>,
    /// Keeps what equals none of the values, instead of what equals one.
    pub negated: bool,
}

#[derive(Clone, Debug)]
pub enum Position {
    LatLon { lat: SlotId, lon: SlotId },
    Station { field: SlotId, stations: Stations },
    None,
}

#[derive(Clone, Debug)]
pub struct Metric {
    pub field: SlotId,
    pub linear: Linear,
    pub threshold: Option<Threshold>,
    /// Least and largest normal value.
    pub normal: Option<(i128, i128)>,
}

#[derive(Clone, Debug)]
pub enum Threshold {
    /// The largest integer of the unit that raises no alarm.
    Fixed(i128),
    Field {
        field: SlotId,
        unset: Option<Unset>,
    },
}

/// The value of a threshold's field that means none: as it is written, or what it is worth (where
/// it fits the unit).
#[derive(Clone, Debug)]
pub struct Unset {
    pub text: Box<str>,
    pub value: Option<i64>,
}

/// A reading that was not rejected, but for its metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    pub time_ms: i64,
    pub filtered: bool,
    pub position: Option<(f64, f64)>,
}

/// One metric of a reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    pub value: Option<i64>,
    pub flags: u8,
}

impl Judge {
    pub const MAX_LAT: f64 = 90.0;
    pub const MAX_LON: f64 = 180.0;

    /// `measured` has one place for every metric; what it holds after a reject means nothing.
    pub fn judge(
        &self,
        slots: &[Slot<'_>],
        record_ms: Option<i64>,
        minutes: &mut Minutes,
        measured: &mut [Measured],
    ) -> Result<Row, Reject> {
        let time_ms = self.time(slots, record_ms, minutes)?;
        if !self.filters.iter().all(|filter| filter.keeps(&slots[filter.field.0])) {
            measured.fill(Measured::default());
            return Ok(Row { time_ms, filtered: true, position: None });
        }
        let position = self.position(slots)?;
        let active = self.active.is_some_and(|field| is_active(&slots[field.0]));
        for (metric, place) in self.metrics.iter().zip(measured) {
            *place = self.measure(metric, slots, active)?;
        }
        Ok(Row { time_ms, filtered: false, position })
    }

    fn time(&self, slots: &[Slot<'_>], record_ms: Option<i64>, minutes: &mut Minutes) -> Result<i64, Reject> {
        let slot = self.required(self.time, slots)?;
        let time_ms = self.clock.read(slot, minutes).map_err(|fault| {
            let value = clip(&slot.shown());
            match fault {
                TimeFault::NotATime => Reject::BadTime { field: self.name(self.time), value },
                TimeFault::NoSuchLocalTime => Reject::NoSuchLocalTime { value, zone: self.clock.zone_name() },
            }
        })?;
        let last_ms = self.last_ms(record_ms);
        if time_ms > last_ms { Err(Reject::Future { time_ms, limit_ms: last_ms }) } else { Ok(time_ms) }
    }

    /// The last time that a reading of a record may have.
    #[inline]
    pub fn last_ms(&self, record_ms: Option<i64>) -> i64 {
        match record_ms {
            Some(record_ms) => record_ms.saturating_add(self.max_future_ms),
            None => self.files_before_ms.saturating_sub(1),
        }
    }

    /// `None` where the reading has none, or that of a station that nobody knows: views that need no
    /// region take it all the same.
    fn position(&self, slots: &[Slot<'_>]) -> Result<Option<(f64, f64)>, Reject> {
        match &self.position {
            Position::LatLon { lat, lon } => match [lat, lon].map(|field| self.is_missing(&slots[field.0])) {
                [true, true] => Ok(None),
                [true, false] => Err(Reject::MissingField { field: self.name(*lat) }),
                [false, missing] => {
                    let lat = self.degrees(*lat, slots, Judge::MAX_LAT)?;
                    if missing {
                        return Err(Reject::MissingField { field: self.name(*lon) });
                    }
                    Ok(Some((lat, self.degrees(*lon, slots, Judge::MAX_LON)?)))
                }
            },
            Position::Station { field, stations } => Ok(slots[field.0].text().and_then(|id| stations.get(id.trim()))),
            Position::None => Ok(None),
        }
    }

    fn degrees(&self, field: SlotId, slots: &[Slot<'_>], limit: f64) -> Result<f64, Reject> {
        let slot = &slots[field.0];
        let number = self.number(field, slot)?;
        let degrees = number.to_f64().ok_or_else(|| self.bad_number(field, slot))?;
        let bad = || Reject::BadPosition { field: self.name(field), value: clip(number.text) };
        in_range(degrees, limit).ok_or_else(bad)
    }

    fn measure(&self, metric: &Metric, slots: &[Slot<'_>], active: bool) -> Result<Measured, Reject> {
        let slot = &slots[metric.field.0];
        if self.is_missing(slot) {
            return Ok(Measured::default());
        }
        let value = self.fixed(metric, metric.field, slot)?;
        let alarm = match &metric.threshold {
            None => false,
            Some(Threshold::Fixed(threshold)) => exceeds(value, *threshold),
            Some(Threshold::Field { field, unset }) => {
                self.threshold(metric, *field, unset.as_ref(), slots)?.is_some_and(|threshold| value > threshold)
            }
        };
        Ok(metric.measured(value, alarm, active))
    }

    fn threshold(
        &self,
        metric: &Metric,
        field: SlotId,
        unset: Option<&Unset>,
        slots: &[Slot<'_>],
    ) -> Result<Option<i64>, Reject> {
        let slot = &slots[field.0];
        let is_unset = |unset: &Unset| slot.text().is_some_and(|text| text.trim_ascii() == &*unset.text);
        if self.is_missing(slot) || unset.is_some_and(is_unset) {
            return Ok(None);
        }
        let threshold = self.fixed(metric, field, slot)?;
        Ok((unset.and_then(|unset| unset.value) != Some(threshold)).then_some(threshold))
    }

    fn fixed(&self, metric: &Metric, field: SlotId, slot: &Slot<'_>) -> Result<i64, Reject> {
        let number = self.number(field, slot)?;
        metric.linear.apply(&number).map_err(|fault| does_not_fit(fault, self.name(field), number.text))
    }

    /// The value of a number that the stream does not name; `None` where it does not fit the unit.
    pub fn unnamed(&self, text: &str) -> Option<i64> {
        self.plain.apply(&Number::parse(text)?).ok()
    }

    /// The bits that such a value has.
    pub fn unnamed_flags(&self, slots: &[Slot<'_>]) -> u8 {
        let active = self.active.is_some_and(|field| is_active(&slots[field.0]));
        if active { flags::ACTIVE } else { 0 }
    }

    /// A label's text; `None` where it is missing or too long for a key.
    pub fn label<'s>(&self, field: SlotId, slots: &'s [Slot<'_>]) -> Option<&'s str> {
        let slot = &slots[field.0];
        let text = slot.text().filter(|_| !self.is_missing(slot))?;
        let text = if let Slot::Cell(_) = slot { text.trim_ascii() } else { text };
        (1..=MAX_TEXT).contains(&text.len()).then_some(text)
    }

    /// The same of a JSON string.
    #[inline]
    pub fn label_text<'s>(&self, text: &'s str) -> Option<&'s str> {
        ((1..=MAX_TEXT).contains(&text.len()) && !self.missing.has(text)).then_some(text)
    }

    /// A time that a JSON string holds, or a CSV cell.
    #[inline]
    pub fn time_text(&self, text: &str, minutes: &mut Minutes) -> Option<i64> {
        if self.missing.has(text) { None } else { self.clock.read_text(text, minutes) }
    }

    /// The tenant, given the text of the record's key or header, whichever names it; `None` where the stream has none.
    pub fn tenant<'s>(&self, slots: &'s [Slot<'_>], aside: Option<&'s str>) -> Result<Option<&'s str>, Reject> {
        let (text, from) = match &self.tenant {
            Tenant::None => return Ok(None),
            Tenant::Key => (aside, "the record's key"),
            Tenant::Header { name } => (aside, &**name),
            Tenant::Field(field) => (self.label(*field, slots), self.fields.path(*field)),
        };
        let fits = text.filter(|text| (1..=MAX_TEXT).contains(&text.len()));
        fits.map(Some).ok_or_else(|| Reject::NoTenant { from: from.into() })
    }

    /// A JSON number, or a CSV cell that holds one. (A number in a JSON string is somebody's
    /// mistake: taken as it stands, nobody would ever hear of it.)
    fn number<'s>(&self, field: SlotId, slot: &'s Slot<'_>) -> Result<Number<'s>, Reject> {
        let number = match slot {
            Slot::Number(number) => Some(*number),
            Slot::Cell(text) => Number::parse(text.trim_ascii()),
            _ => None,
        };
        number.ok_or_else(|| self.bad_number(field, slot))
    }

    fn required<'s, 'a>(&self, field: SlotId, slots: &'s [Slot<'a>]) -> Result<&'s Slot<'a>, Reject> {
        let slot = &slots[field.0];
        if self.is_missing(slot) { Err(Reject::MissingField { field: self.name(field) }) } else { Ok(slot) }
    }

    #[inline]
    pub fn is_missing(&self, slot: &Slot<'_>) -> bool {
        match slot {
            Slot::Absent | Slot::Null => true,
            Slot::Cell(text) => self.missing.has(text.trim_ascii()),
            Slot::Text(text) => self.missing.has(text),
            Slot::Number(number) => self.missing.numbers && self.missing.has(number.text),
            Slot::Bool(_) | Slot::Nested(_) | Slot::Time(_) => false,
        }
    }

    fn name(&self, field: SlotId) -> Box<str> {
        self.fields.path(field).into()
    }

    fn bad_number(&self, field: SlotId, slot: &Slot<'_>) -> Reject {
        Reject::BadNumber { field: self.name(field), value: clip(&slot.shown()) }
    }
}

fn does_not_fit(fault: NumberFault, field: Box<str>, text: &str) -> Reject {
    match fault {
        NumberFault::TooLong => Reject::NumberTooLong { field, limit: MAX_DIGITS },
        NumberFault::OutOfRange => Reject::OutOfRange { field, value: clip(text) },
    }
}

impl Filter {
    fn keeps(&self, slot: &Slot<'_>) -> bool {
        self.keeps_text(slot.text())
    }

    /// What has no text equals nothing.
    #[inline]
    pub fn keeps_text(&self, text: Option<&str>) -> bool {
        let equals = text.is_some_and(|text| self.values.iter().any(|value| **value == *text));
        equals != self.negated
    }
}

impl Metric {
    /// Of a number, where no other field of the reading has a say; `None` where it does not fit the unit, or one has.
    #[inline]
    pub fn alone(&self, number: &Number<'_>) -> Option<Measured> {
        let value = self.linear.apply_small(number)?;
        match self.threshold {
            None => Some(self.measured(value, false, false)),
            Some(Threshold::Fixed(threshold)) => Some(self.measured(value, exceeds(value, threshold), false)),
            Some(Threshold::Field { .. }) => None,
        }
    }

    #[inline]
    fn measured(&self, value: i64, alarm: bool, active: bool) -> Measured {
        let outlier = self.normal.is_some_and(|(least, largest)| !(least..=largest).contains(&value.into()));
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(alarm, flags::ALARM) | flag(active, flags::ACTIVE) | flag(outlier, flags::OUTLIER);
        Measured { value: Some(value), flags }
    }
}

fn exceeds(value: i64, threshold: i128) -> bool {
    i128::from(value) > threshold
}

/// Degrees, if they lie within ± the limit. Adding zero turns −0 into 0: one place, one bit pattern.
#[inline]
pub fn in_range(degrees: f64, limit: f64) -> Option<f64> {
    (degrees.abs() <= limit).then_some(degrees + 0.0)
}

/// True, a number other than zero, "true" in any case, "1".
fn is_active(slot: &Slot<'_>) -> bool {
    let non_zero = |text: &str| Number::parse(text).is_some_and(|number| !number.is_zero());
    match slot {
        Slot::Bool(active) => *active,
        Slot::Number(number) => !number.is_zero(),
        Slot::Text(text) => text.eq_ignore_ascii_case("true") || text == "1",
        Slot::Cell(text) => text.trim_ascii().eq_ignore_ascii_case("true") || non_zero(text.trim_ascii()),
        Slot::Absent | Slot::Null | Slot::Nested(_) | Slot::Time(_) => false,
    }
}
