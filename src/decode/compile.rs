//! A stream's configuration, checked and compiled for the scanners and the judge.

use std::sync::Arc;

use super::columns::ColumnsBuilder;
use super::csv::CsvHeader;
use super::decimal::{Constant, Linear, Number, UNIT_EXPONENTS, normal_range};
use super::fields::{Fields, Node, SlotId};
use super::judge::{Filter, Judge, Metric, Missing, Position, Tenant, Threshold, Unset};
use super::plain::Plan;
use super::stations::Stations;
use super::time::TimeReader;
use crate::config::{
    self, FilterConfig, FilterRule, Format, MetricConfig, NormalRange, PositionFields, StreamConfig, TenantConfig,
};

/// What is wrong with a stream's configuration. Keys are named as in the stream's table.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecoderError {
    #[error(
        "{key} = {text:?} is not a decimal number of at most 18 digits, below 1e18, with at most 36 decimal places"
    )]
    BadDecimal { key: String, text: String },
    #[error("{key} = {text:?} must not be {what}")]
    Forbidden { key: String, text: String, what: &'static str },
    #[error("the unit 1e{0} is out of range: choose an exponent from -18 to 18")]
    BadUnit(i32),
    #[error("{key} = {path:?} is not a path: write keys joined by single dots")]
    BadPath { key: String, path: String },
    #[error("the separator {0:?} cannot separate CSV cells: choose another character, such as ';'")]
    BadSeparator(char),
    #[error("positions come from stations, but the registry holds none: set stations.file")]
    NoStations,
    #[error("the CSV header has no column {column:?}, which {key} names: check the name and the separator")]
    NoColumn { key: String, column: String },
    #[error("the CSV header cannot be read: {0}")]
    BadHeader(super::Reject),
}

#[derive(Debug)]
pub struct Compiled {
    pub format: Format,
    pub separator: u8,
    pub max_record: usize,
    pub metric_names: Vec<Arc<str>>,
    pub label_names: Vec<Arc<str>>,
    pub tree: Node,
    pub judge: Judge,
    /// Numbers that the stream does not name are metrics too.
    pub every_numeric: bool,
    pub plan: Option<Plan>,
    id: Option<String>,
}

impl Compiled {
    pub fn new(stream: &StreamConfig, stations: Stations) -> Result<Compiled, DecoderError> {
        if !UNIT_EXPONENTS.contains(&stream.unit_exponent) {
            return Err(DecoderError::BadUnit(stream.unit_exponent));
        }
        if !config::is_separator(stream.separator) {
            return Err(DecoderError::BadSeparator(stream.separator.into()));
        }
        let mut compiler = Compiler { fields: Fields::default(), format: stream.format, unit: stream.unit_exponent };
        let judge = compiler.judge(stream, stations)?;
        Ok(Compiled {
            format: stream.format,
            separator: stream.separator,
            max_record: stream.max_record,
            metric_names: stream.metrics.keys().map(|name| name.as_str().into()).collect(),
            label_names: stream.labels.keys().map(|name| name.as_str().into()).collect(),
            tree: judge.fields.tree(),
            // (Of numbers that nobody names a plan says nothing.)
            plan: Plan::of(&judge).filter(|_| !stream.every_numeric),
            judge,
            every_numeric: stream.every_numeric,
            id: stream.id.clone(),
        })
    }

    pub fn columns(&self, rows: usize) -> ColumnsBuilder {
        let tenants = !matches!(self.judge.tenant, Tenant::None);
        ColumnsBuilder::new(self.judge.metrics.len(), tenants, self.judge.labels.len(), rows)
    }

    /// Names that no number has which the stream does not name.
    pub fn taken(&self) -> impl Iterator<Item = &str> {
        let metrics = self.metric_names.iter().map(|name| &**name);
        self.judge.fields.paths().chain(metrics).chain(self.id.as_deref())
    }

    /// The header of a whole file.
    pub fn csv_header(&self, line: &[u8]) -> Result<CsvHeader, DecoderError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let not_utf8 = |error: std::str::Utf8Error| super::Reject::NotUtf8 { at: error.valid_up_to() };
        let text = std::str::from_utf8(line).map_err(|error| DecoderError::BadHeader(not_utf8(error)))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let header = CsvHeader::parse(text, self.separator, &self.judge.fields, self.plan.as_ref())
            .map_err(DecoderError::BadHeader)?;
        let mut required = vec![("time", self.judge.time)];
        match self.judge.position {
            Position::LatLon { lat, lon } => required.extend([("lat", lat), ("lon", lon)]),
            Position::Station { field, .. } => required.push(("station", field)),
            Position::None => {}
        }
        match required.into_iter().find(|&(_, field)| !header.has(field)) {
            Some((key, field)) => {
                Err(DecoderError::NoColumn { key: key.to_owned(), column: self.judge.fields.path(field).to_owned() })
            }
            None => Ok(header),
        }
    }
}

struct Compiler {
    fields: Fields,
    format: Format,
    unit: i32,
}

impl Compiler {
    fn judge(&mut self, stream: &StreamConfig, stations: Stations) -> Result<Judge, DecoderError> {
        let time = self.slot("time", &stream.time)?;
        let filters = stream.filters.iter().map(|filter| self.filter(filter)).collect::<Result<_, _>>()?;
        let position = self.position(&stream.position, stations)?;
        let active = stream.active.as_ref().map(|field| self.slot("active", field)).transpose()?;
        let metrics =
            stream.metrics.iter().map(|(name, metric)| self.metric(name, metric)).collect::<Result<_, _>>()?;
        let labels = stream.labels.iter();
        let labels =
            labels.map(|(name, field)| self.slot(&format!("labels.{name}"), field)).collect::<Result<_, _>>()?;
        let tenant = self.tenant(stream.tenant.as_ref())?;
        let one = |text: &str| constant("scale".to_owned(), text);
        Ok(Judge {
            labels,
            tenant,
            plain: Linear::new(one("1")?, one("0")?, self.unit),
            fields: std::mem::take(&mut self.fields),
            missing: Missing::new(stream.missing.iter().map(|token| token.as_str().into())),
            time,
            clock: TimeReader::new(stream.time_format.clone(), stream.zone),
            max_future_ms: stream.max_future_ms,
            files_before_ms: stream.files_before_ms,
            filters,
            position,
            active,
            metrics,
        })
    }

    fn slot(&mut self, key: &str, path: &str) -> Result<SlotId, DecoderError> {
        let empty = match self.format {
            Format::Csv => path.is_empty(),
            _ => path.split('.').any(str::is_empty),
        };
        if empty {
            return Err(DecoderError::BadPath { key: key.to_owned(), path: path.to_owned() });
        }
        Ok(self.fields.slot(path))
    }

    fn filter(&mut self, filter: &FilterConfig) -> Result<Filter, DecoderError> {
        let (values, negated) = match &filter.rule {
            FilterRule::Equals(value) => (std::slice::from_ref(value), false),
            FilterRule::Not(value) => (std::slice::from_ref(value), true),
            FilterRule::In(values) => (values.as_slice(), false),
        };
        let values = values.iter().map(|value| value.as_str().into()).collect();
        Ok(Filter { field: self.slot("filters.field", &filter.field)?, values, negated })
    }

    fn tenant(&mut self, tenant: Option<&TenantConfig>) -> Result<Tenant, DecoderError> {
        Ok(match tenant {
            None => Tenant::None,
            Some(TenantConfig::Key) => Tenant::Key,
            Some(TenantConfig::Header(name)) => Tenant::Header { name: name.as_str().into() },
            Some(TenantConfig::Field(field)) => Tenant::Field(self.slot("tenant.field", field)?),
        })
    }

    fn position(&mut self, fields: &PositionFields, stations: Stations) -> Result<Position, DecoderError> {
        Ok(match fields {
            PositionFields::LatLon { lat, lon } => {
                Position::LatLon { lat: self.slot("lat", lat)?, lon: self.slot("lon", lon)? }
            }
            PositionFields::Station { .. } if stations.is_empty() => return Err(DecoderError::NoStations),
            PositionFields::Station { field } => Position::Station { field: self.slot("station", field)?, stations },
            PositionFields::None => Position::None,
        })
    }

    fn metric(&mut self, name: &str, metric: &MetricConfig) -> Result<Metric, DecoderError> {
        let key = |key: &str| format!("metrics.{name}.{key}");
        let scale = constant(key("scale"), &metric.scale)?;
        if scale.is_zero() {
            return Err(forbidden(key("scale"), &metric.scale, "zero"));
        }
        let linear = Linear::new(scale, constant(key("offset"), &metric.offset)?, self.unit);
        let normal = metric.normal.as_ref().map(|normal| self.normal(name, normal)).transpose()?;
        let threshold = match &metric.threshold {
            None => None,
            Some(config::Threshold::Fixed(text)) => {
                Some(Threshold::Fixed(constant(key("threshold"), text)?.floor(self.unit)))
            }
            Some(config::Threshold::Field { field, unset }) => {
                let field = self.slot(&key("threshold.field"), field)?;
                Some(Threshold::Field { field, unset: unset.as_deref().map(|text| unset_value(text, &linear)) })
            }
        };
        Ok(Metric { field: self.slot(&key("field"), &metric.field)?, linear, threshold, normal })
    }

    fn normal(&self, name: &str, normal: &NormalRange) -> Result<(i128, i128), DecoderError> {
        let key = |key: &str| format!("metrics.{name}.normal.{key}");
        let width = |name: &str, text: &str| match constant(key(name), text)? {
            width if width.is_negative() => Err(forbidden(key(name), text, "negative")),
            width => Ok(width),
        };
        let (sigma, k) = (width("sigma", &normal.sigma)?, width("k", &normal.k)?);
        Ok(normal_range(constant(key("mu"), &normal.mu)?, sigma, k, self.unit))
    }
}

fn constant(key: String, text: &str) -> Result<Constant, DecoderError> {
    Constant::parse(text).ok_or_else(|| DecoderError::BadDecimal { key, text: text.to_owned() })
}

fn forbidden(key: String, text: &str, what: &'static str) -> DecoderError {
    DecoderError::Forbidden { key, text: text.to_owned(), what }
}

fn unset_value(text: &str, linear: &Linear) -> Unset {
    let value = Number::parse(text).and_then(|number| linear.apply(&number).ok());
    Unset { text: text.into(), value }
}
