//! `[streams.NAME]`: the typed piece of each stream.

use std::collections::BTreeMap;

use super::error::{ConfigError, Origin};
use super::section::{self, Section};
use super::tree::{Node, Setting, Table, Value};
use super::value::{
    BOOL, DECIMAL, DURATION, FIELD, FORMAT, Form, INSTANT, SEPARATOR, SIZE, TEXT, TIME_FORMAT, TOPIC, UNIT, ZONE,
    is_name,
};
use super::{
    FilterConfig, FilterRule, Format, InputFile, MetricConfig, NormalRange, PositionFields, StationsConfig,
    StreamConfig, TenantConfig, Threshold,
};
use crate::config::REGION;

const FILE: Form<String> = Form { expected: "files' paths", read: |text| (!text.is_empty()).then(|| text.to_owned()) };

pub(super) fn all(root: &mut Section<'_>) -> Result<BTreeMap<String, StreamConfig>, ConfigError> {
    let defaults = defaults(root, "stream_defaults")?;
    let metrics = self::defaults(root, "metric_defaults")?;
    let Some(streams) = root.section("streams")? else { return Ok(BTreeMap::new()) };
    let named = streams.sections()?;
    named.into_iter().map(|(name, given)| Ok((name, stream(over(&defaults, given), &metrics)?))).collect()
}

/// The table of what holds for every table of a kind.
pub(super) fn defaults(root: &mut Section<'_>, key: &str) -> Result<Table, ConfigError> {
    Ok(root.section(key)?.map_or(Table::new(Origin::Default), |section| section.table))
}

/// A table over what holds for all of its kind. Messages about what is missing name the table's own place.
pub(super) fn over<'a>(defaults: &Table, mut given: Section<'a>) -> Section<'a> {
    let origin = given.table.origin.clone();
    let mut table = defaults.clone();
    table.merge(std::mem::replace(&mut given.table, Table::new(origin.clone())));
    table.origin = origin;
    given.table = table;
    given
}

fn stream(mut section: Section<'_>, metric_defaults: &Table) -> Result<StreamConfig, ConfigError> {
    let format = section.required("format", &FORMAT)?;
    let Input { topics, files, history } = input(&mut section, format)?;
    let separator = section.required("separator", &SEPARATOR)?;
    let stations = stations(&mut section)?;
    let every_numeric = section.required("every_numeric", &BOOL)?;
    let stream = StreamConfig {
        topics,
        files,
        history,
        format,
        // Elsewhere it says nothing, and must not make two meanings of one.
        separator: if format == Format::Csv { separator } else { b',' },
        id: section.optional("id", &FIELD)?,
        time: section.required("time", &FIELD)?,
        time_format: section.required("time_format", &TIME_FORMAT)?,
        zone: section.required("zone", &ZONE)?,
        position: position(&mut section, stations.is_some())?,
        stations,
        active: section.optional("active", &FIELD)?,
        every_numeric,
        metrics: metrics(&mut section, metric_defaults, every_numeric)?,
        labels: labels(&mut section)?,
        tenant: tenant(&mut section)?,
        missing: section.list("missing", &TEXT)?.1,
        filters: filters(&mut section)?,
        unit_exponent: section.required("unit", &UNIT)?,
        out_of_orderness_ms: section.required("out_of_orderness", &DURATION)?,
        max_future_ms: section.required("max_future", &DURATION)?,
        files_before_ms: section.required("files_before", &INSTANT)?,
        idle_after_ms: section.required("idle_after", &DURATION)?,
        max_record: section.required("max_record", &SIZE)?,
    };
    section.finish()?;
    Ok(stream)
}

#[derive(Default)]
struct Input {
    topics: Vec<String>,
    files: Vec<InputFile>,
    history: Vec<InputFile>,
}

/// Topics or files. Where a higher layer gives the one, it replaces the other: so one variable turns a stream
/// of topics, and their history, into one of files.
fn input(section: &mut Section<'_>, format: Format) -> Result<Input, ConfigError> {
    let (topics_at, topics) = section.list("topics", &TOPIC)?;
    let (files_at, files) = section.list("files", &FILE)?;
    let (history_at, history) = section.list("history", &FILE)?;
    for (key, at, listed) in [("files", &files_at, &files), ("history", &history_at, &history)] {
        if format == Format::ArrowIpc && !listed.is_empty() {
            let message = "a file's records are its lines, and a record of the format arrow-ipc is none: choose another format, or topics alone";
            return Err(section.error(at, key, message));
        }
    }
    let resolved = |section: &Section<'_>, at: &Origin, files: Vec<String>| -> Vec<InputFile> {
        let file = |name: String| InputFile { path: section::resolve(section.base, at, &name), name };
        files.into_iter().map(file).collect()
    };
    if topics.is_empty() && files.is_empty() {
        let message = "not given; expected a list such as [\"readings\"], or else files = [\"a.ndjson\"]";
        return Err(section.error(&section.table.origin, "topics", message));
    }
    if topics.is_empty() || (!files.is_empty() && files_at.layer() > topics_at.layer()) {
        if topics.is_empty() && !history.is_empty() {
            let message = "history is what topics hold no longer, and this stream has none: list its files under files";
            return Err(section.error(&history_at, "history", message));
        }
        return Ok(Input { files: resolved(section, &files_at, files), ..Input::default() });
    }
    if !files.is_empty() && files_at.layer() == topics_at.layer() {
        return Err(section.error(
            &files_at,
            "files",
            "a stream reads topics or files, not both; remove one of the two",
        ));
    }
    Ok(Input { topics, history: resolved(section, &history_at, history), ..Input::default() })
}

fn position(section: &mut Section<'_>, registry: bool) -> Result<PositionFields, ConfigError> {
    let lat = section.optional("lat", &FIELD)?;
    let lon = section.optional("lon", &FIELD)?;
    let station = section.optional("station", &FIELD)?;
    let wrong = |section: &Section<'_>, key, message: &str| Err(section.error(&section.table.origin, key, message));
    match (lat, lon, station) {
        (Some(lat), Some(lon), None) => Ok(PositionFields::LatLon { lat, lon }),
        (None, None, Some(field)) if registry => Ok(PositionFields::Station { field }),
        (None, None, Some(_)) => wrong(
            section,
            "stations.file",
            "not given; a stream with `station` needs the stations' positions: a CSV file's path",
        ),
        (None, None, None) => Ok(PositionFields::None),
        (_, _, Some(_)) => {
            wrong(section, "station", "a position comes from lat and lon or from station, not both; remove one")
        }
        (None, _, _) => wrong(section, "lat", "not given, though lon is; expected the field of the latitude"),
        (_, None, _) => wrong(section, "lon", "not given, though lat is; expected the field of the longitude"),
    }
}

fn stations(section: &mut Section<'_>) -> Result<Option<StationsConfig>, ConfigError> {
    let Some(mut table) = section.section("stations")? else { return Ok(None) };
    let file = table.file("file")?;
    let separator = table.required("separator", &SEPARATOR)?;
    let (id, lat) = (table.required("id", &FIELD)?, table.required("lat", &FIELD)?);
    let lon = table.required("lon", &FIELD)?;
    table.finish()?;
    Ok(file.map(|file| StationsConfig { file, separator, id, lat, lon }))
}

fn metrics(
    section: &mut Section<'_>,
    defaults: &Table,
    every_numeric: bool,
) -> Result<BTreeMap<String, MetricConfig>, ConfigError> {
    let Some(metrics) = section.section("metrics")? else {
        if every_numeric {
            return Ok(BTreeMap::new());
        }
        let message = "not given; a stream needs at least one table such as [streams.NAME.metrics.temperature], or every_numeric = true";
        return Err(section.error(&section.table.origin, "metrics", message));
    };
    let named = metrics.sections()?;
    named.into_iter().map(|(name, given)| metric(&name, over(defaults, given)).map(|metric| (name, metric))).collect()
}

/// Names and fields; a label's name may stand in `group_by`, so `region` is none.
fn labels(section: &mut Section<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    let Some(mut table) = section.section("labels")? else { return Ok(BTreeMap::new()) };
    let names: Vec<String> = table.table.entries.keys().cloned().collect();
    let mut labels = BTreeMap::new();
    for name in names {
        if !is_name(&name) || name == REGION {
            let form = "expected a label's name of at most 64 letters, digits, \"_\" and \"-\", other than \"region\"";
            return Err(table.error(&table.table.origin, &name, form));
        }
        labels.extend(table.optional(&name, &FIELD)?.map(|field| (name, field)));
    }
    Ok(labels)
}

fn tenant(section: &mut Section<'_>) -> Result<Option<TenantConfig>, ConfigError> {
    let expected = "expected one of { key = true }, { header = \"tenant\" } and { field = \"tenant_id\" }";
    if !matches!(section.table.entries.get("tenant"), Some(Node::Table(_))) {
        let given = section.optional("tenant", &TEXT)?;
        return given.map_or(Ok(None), |_| Err(section.error(&section.table.origin, "tenant", expected)));
    }
    let Some(mut table) = section.section("tenant")? else { return Ok(None) };
    let key = table.optional("key", &BOOL)?.filter(|key| *key).map(|_| TenantConfig::Key);
    let header = table.optional("header", &TEXT)?.map(TenantConfig::Header);
    let field = table.optional("field", &FIELD)?.map(TenantConfig::Field);
    let (origin, path) = (table.table.origin.clone(), table.path.clone());
    table.finish()?;
    let mut given = [key, header, field].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(tenant), None) => Ok(Some(tenant)),
        _ => Err(ConfigError::at(&origin, &path, expected)),
    }
}

fn metric(name: &str, mut section: Section<'_>) -> Result<MetricConfig, ConfigError> {
    let metric = MetricConfig {
        field: section.optional("field", &FIELD)?.unwrap_or_else(|| name.to_owned()),
        scale: section.required("scale", &DECIMAL)?,
        offset: section.required("offset", &DECIMAL)?,
        threshold: threshold(&mut section)?,
        normal: normal(&mut section)?,
    };
    section.finish()?;
    Ok(metric)
}

fn threshold(section: &mut Section<'_>) -> Result<Option<Threshold>, ConfigError> {
    if !matches!(section.table.entries.get("threshold"), Some(Node::Table(_))) {
        return Ok(section.optional("threshold", &DECIMAL)?.map(Threshold::Fixed));
    }
    let Some(mut table) = section.section("threshold")? else { return Ok(None) };
    let field = table.required("field", &FIELD)?;
    let unset = table.optional("unset", &TEXT)?;
    table.finish()?;
    Ok(Some(Threshold::Field { field, unset }))
}

fn normal(section: &mut Section<'_>) -> Result<Option<NormalRange>, ConfigError> {
    let Some(mut table) = section.section("normal")? else { return Ok(None) };
    let positive: Form<String> = Form {
        expected: "a positive decimal number such as 3",
        read: |text| (DECIMAL.read)(text).filter(|d| !d.starts_with('-')),
    };
    let (mu, sigma) = (table.required("mu", &DECIMAL)?, table.required("sigma", &positive)?);
    let k = table.required("k", &positive)?;
    table.finish()?;
    Ok(Some(NormalRange { mu, sigma, k }))
}

fn filters(section: &mut Section<'_>) -> Result<Vec<FilterConfig>, ConfigError> {
    let expected = "a list of filters such as [{ field = \"country\", equals = \"France\" }]";
    let Some(node) = section.take("filters") else { return Ok(Vec::new()) };
    let items = match node {
        table @ Node::Table(_) => vec![table],
        Node::Value(Setting { value: Value::Text(text) | Value::Raw(text), .. }) if text.is_empty() => Vec::new(),
        node => section.items("filters", node, expected)?,
    };
    let mut filters = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let path = format!("{}.filters[{index}]", section.path);
        match item {
            Node::Table(table) => filters.push(filter(Section::new(path, table, section.base))?),
            Node::Value(setting) => {
                return Err(section.unexpected(&setting.origin, "filters", &setting.value, expected));
            }
        }
    }
    Ok(filters)
}

fn filter(mut section: Section<'_>) -> Result<FilterConfig, ConfigError> {
    let field = section.required("field", &FIELD)?;
    let origin = section.table.origin.clone();
    let mut rules: Vec<FilterRule> = Vec::new();
    rules.extend(section.word("equals")?.map(|(_, text)| FilterRule::Equals(text)));
    rules.extend(section.word("not")?.map(|(_, text)| FilterRule::Not(text)));
    let (_, list) = section.list("in", &TEXT)?;
    rules.extend((!list.is_empty()).then_some(FilterRule::In(list)));
    let one = "expected one rule beside the field: equals = \"x\", not = \"x\" or in = [\"x\", \"y\"]";
    let place = section.path.clone();
    section.finish()?;
    match (rules.pop(), rules.is_empty()) {
        (Some(rule), true) => Ok(FilterConfig { field, rule }),
        _ => Err(ConfigError::at(&origin, &place, one)),
    }
}
