//! The ordinary reading, straight from its shape into a row.
//!
//! A *plan* says of each configured field what becomes of it. A reading that fits a known shape (or a CSV row: [`super::row`]; rows of
//! a table: [`super::arrow`]),
//! has an ordinary value in each of these fields (a time, two numbers within their range, texts; metrics, labels and filters may have
//! none, or their fields be absent), is taken in one pass over its text. At anything else, a number with an exponent, a string with escapes, whatever would be
//! rejected, the pass gives up, and the reading goes the long way, through slots and [`super::judge`]: that is also the twin
//! that holds this file to account. Streams that want more than this (thresholds that come with the reading, stations, numbers that nobody
//! names) have no plan, and all of their readings go the long way.

use super::decimal::Number;
use super::fields::{Slot, SlotId};
use super::judge::{Judge, Measured, Metric, Position, Row, Tenant, Threshold, in_range};
use super::shape::{Misfit, Shape, Start};
use super::swar::Plain;
use super::time::Minutes;
use super::window::Window;

/// What becomes of the value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Nothing,
    Time,
    Lat,
    Lon,
    Metric(usize),
    Filter(usize),
    Label(usize),
    Tenant,
}

impl Use {
    /// A reading may be without it.
    fn may_lack(self) -> bool {
        matches!(self, Use::Metric(_) | Use::Label(_) | Use::Filter(_))
    }
}

/// What becomes of values, one after the other, that go to some slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    pub of: Vec<Use>,
    /// What none of them is for: metrics, labels and filters, which do without.
    pub lacking: Vec<Use>,
}

/// What becomes of each slot's value.
#[derive(Clone, Debug)]
pub struct Plan(Vec<Use>);

impl Plan {
    /// `None` where a stream wants more than a plan can say.
    pub fn of(judge: &Judge) -> Option<Plan> {
        let fixed = |metric: &Metric| !matches!(metric.threshold, Some(Threshold::Field { .. }));
        let is_plain = judge.active.is_none() && !judge.missing.has_numbers();
        if !is_plain || !judge.metrics.iter().all(fixed) {
            return None;
        }
        let mut plan = Plan(vec![Use::Nothing; judge.fields.len()]);
        plan.claim(judge.time, Use::Time)?;
        match judge.position {
            Position::LatLon { lat, lon } => {
                plan.claim(lat, Use::Lat)?;
                plan.claim(lon, Use::Lon)?;
            }
            Position::Station { .. } => return None,
            Position::None => {}
        }
        if let Tenant::Field(field) = judge.tenant {
            plan.claim(field, Use::Tenant)?;
        }
        let metrics = judge.metrics.iter().enumerate().map(|(number, metric)| (metric.field, Use::Metric(number)));
        let filters = judge.filters.iter().enumerate().map(|(number, filter)| (filter.field, Use::Filter(number)));
        let labels = judge.labels.iter().enumerate().map(|(number, label)| (*label, Use::Label(number)));
        for (field, of) in metrics.chain(filters).chain(labels) {
            plan.claim(field, of)?;
        }
        Some(plan)
    }

    /// A value that is used twice is none of a plan.
    fn claim(&mut self, field: SlotId, of: Use) -> Option<()> {
        let place = &mut self.0[field.0];
        (*place == Use::Nothing).then(|| *place = of)
    }

    /// What becomes of values that go to these slots, each of them once, if no field is absent that a reading must have.
    pub fn uses(&self, slots: impl Iterator<Item = Option<usize>>) -> Option<Uses> {
        let of: Vec<Use> = slots.map(|slot| slot.map_or(Use::Nothing, |slot| self.0[slot])).collect();
        let is_absent = |wanted: &Use| *wanted != Use::Nothing && !of.contains(wanted);
        let lacking: Vec<Use> = self.0.iter().copied().filter(is_absent).collect();
        lacking.iter().all(|of| of.may_lack()).then_some(Uses { of, lacking })
    }
}

/// An ordinary reading.
pub struct Ordinary<'a> {
    /// The last time that the reading may have.
    pub last_ms: i64,
    time_ms: i64,
    pub filtered: bool,
    lat: f64,
    lon: f64,
    positioned: bool,
    pub measured: Vec<Measured>,
    pub labels: Vec<Option<&'a str>>,
    pub tenant: Option<&'a str>,
}

impl<'a> Ordinary<'a> {
    pub fn new(judge: &Judge) -> Ordinary<'a> {
        Ordinary {
            last_ms: 0,
            time_ms: 0,
            filtered: false,
            lat: 0.0,
            lon: 0.0,
            positioned: matches!(judge.position, Position::LatLon { .. }),
            measured: vec![Measured::default(); judge.metrics.len()],
            labels: vec![None; judge.labels.len()],
            tenant: None,
        }
    }

    /// All but the values of metrics, the labels and the tenant.
    #[inline]
    pub fn set(&mut self, time_ms: i64, filtered: bool, lat: f64, lon: f64) {
        (self.time_ms, self.filtered, self.lat, self.lon) = (time_ms, filtered, lat, lon);
    }

    pub fn row(&mut self) -> Row {
        if self.filtered {
            self.measured.fill(Measured::default());
        }
        let position = (self.positioned && !self.filtered).then_some((self.lat, self.lon));
        Row { time_ms: self.time_ms, filtered: self.filtered, position }
    }

    /// The reading has nothing for this.
    #[inline(always)]
    pub fn lacks(&mut self, of: Use, judge: &Judge) {
        match of {
            Use::Metric(metric) => self.measured[metric] = Measured::default(),
            Use::Label(label) => self.labels[label] = None,
            Use::Filter(filter) => self.filtered |= !judge.filters[filter].keeps_text(None),
            Use::Nothing | Use::Time | Use::Lat | Use::Lon | Use::Tenant => {}
        }
    }

    /// Takes the object that opens the window and the text, if it is an ordinary one of this shape: where it ends. `start`: what
    /// has been taken of it last.
    #[expect(clippy::too_many_arguments, reason = "one reading, and what it is read by")]
    #[inline(always)]
    pub fn read(
        &mut self,
        shape: &Shape,
        window: &Window<'_>,
        text: &'a str,
        judge: &Judge,
        minutes: &mut Minutes,
        depth: u32,
        start: Start,
    ) -> Result<usize, Misfit> {
        self.filtered &= start.values > 0;
        let end = shape.walk(window, depth, start, |window, place, at| match place.of {
            Use::Nothing => place.pass(window, text, at, depth),
            Use::Lat | Use::Lon | Use::Metric(_) => match window.number(at) {
                Some(plain) => self.number(place.of, plain, judge),
                None => self.null(place.of, judge, window, at),
            },
            of => match window.text(at) {
                Some(end) => self.text(of, text.get(at + 1..end)?, judge, minutes).map(|()| end + 1),
                None if of == Use::Time => self.instant(window.number(at)?, text, at, judge, minutes),
                None => self.null(of, judge, window, at),
            },
        })?;
        shape.lacking.iter().for_each(|of| self.lacks(*of, judge));
        Ok(end)
    }

    /// Takes a time that is written as a number: where it ends.
    fn instant(&mut self, plain: Plain, text: &str, at: usize, judge: &Judge, minutes: &mut Minutes) -> Option<usize> {
        let number = Number::plain(text.get(at..plain.end)?, plain.negative, plain.mantissa, plain.decimals);
        let time_ms = judge.clock.read(&Slot::Number(number), minutes).ok()?;
        (time_ms <= self.last_ms).then(|| self.time_ms = time_ms)?;
        Some(plain.end)
    }

    /// What has no value: where that ends.
    fn null(&mut self, of: Use, judge: &Judge, window: &Window<'_>, at: usize) -> Option<usize> {
        if !of.may_lack() || !window.starts_with(at, b"null") {
            return None;
        }
        self.lacks(of, judge);
        Some(at + 4)
    }

    /// A CSV cell that says that a metric has no value.
    pub fn missing(&mut self, of: Use, cell: &str, judge: &Judge) -> Option<()> {
        let Use::Metric(metric) = of else { return None };
        self.measured[metric] = Measured::default();
        judge.missing.has(cell.trim_ascii()).then_some(())
    }

    /// Takes a number without an exponent: where it ends. (Neither the text of a shape nor a separator begins with an exponent.)
    #[inline(always)]
    pub fn number(&mut self, of: Use, plain: Plain, judge: &Judge) -> Option<usize> {
        // (Its own text is left out: nobody needs it whose digits are so few.)
        let number = Number::plain("", plain.negative, plain.mantissa, plain.decimals);
        match of {
            Use::Lat => self.lat = in_range(number.to_f64()?, Judge::MAX_LAT)?,
            Use::Lon => self.lon = in_range(number.to_f64()?, Judge::MAX_LON)?,
            Use::Metric(metric) => self.measured[metric] = judge.metrics[metric].alone(&number)?,
            _ => {}
        }
        Some(plain.end)
    }

    #[inline(always)]
    pub fn text(&mut self, of: Use, text: &'a str, judge: &Judge, minutes: &mut Minutes) -> Option<()> {
        match of {
            Use::Time => self.time_ms = judge.time_text(text, minutes).filter(|time_ms| *time_ms <= self.last_ms)?,
            Use::Filter(filter) => self.filtered |= !judge.filters[filter].keeps_text(Some(text)),
            Use::Label(label) => self.labels[label] = judge.label_text(text),
            Use::Tenant => self.tenant = Some(judge.label_text(text)?),
            Use::Nothing | Use::Lat | Use::Lon | Use::Metric(_) => return None,
        }
        Some(())
    }
}
