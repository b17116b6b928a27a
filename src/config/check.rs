//! What must hold between settings that are each fine alone.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::value::{nearest, show_duration};
use super::{Config, PositionFields, StreamConfig, TenantConfig, ViewConfig};

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    one_of_each(config)?;
    one_kind_of_source(config)?;
    inputs_belong_to_one_stream(config)?;
    for (name, stream) in &config.streams {
        records_fit(config, name, stream)?;
        history_has_tenants(name, stream)?;
    }
    for (name, view) in &config.views {
        names_exist(config, name, view)?;
        one_unit(config, name, view)?;
        for (stream_name, stream) in config.feeding(view) {
            if view.by_region() {
                position_is_known(name, stream_name, stream)?;
            }
            no_device_ends_the_others(name, view, stream_name, stream)?;
        }
    }
    Ok(())
}

fn wrong<T>(message: String) -> Result<T, ConfigError> {
    Err(ConfigError::Invalid(message))
}

fn one_of_each(config: &Config) -> Result<(), ConfigError> {
    if config.streams.is_empty() {
        return wrong(
            "streams: none given; a configuration needs at least one table such as [streams.temperatures]".into(),
        );
    }
    if config.views.is_empty() {
        return wrong("views: none given; a configuration needs at least one table such as [views.region]".into());
    }
    Ok(())
}

fn one_kind_of_source(config: &Config) -> Result<(), ConfigError> {
    let topics = config.streams.iter().find(|(_, stream)| !stream.topics.is_empty());
    let files = config.streams.iter().find(|(_, stream)| !stream.files.is_empty());
    match (topics, files) {
        (Some((a, _)), Some((b, _))) => wrong(format!(
            "streams.{b}.files: streams.{a} reads topics; one run reads topics or files, \
             so give all streams the same kind, or run two"
        )),
        _ => Ok(()),
    }
}

fn inputs_belong_to_one_stream(config: &Config) -> Result<(), ConfigError> {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for topic in [&config.rejects.topic, &config.rejects.late_topic] {
        owners.insert(topic.clone(), "rejects".into());
    }
    for (name, stream) in &config.streams {
        // (A file is a topic of its own, by its name; and the same file may go by two.)
        let files = || stream.files.iter().chain(&stream.history);
        let named = files().filter(|file| file.path.display().to_string() != file.name).map(|file| file.name.clone());
        let paths = files().map(|file| file.path.display().to_string());
        let topics = stream.topics.iter().cloned();
        for (kind, input) in topics.map(|topic| ("topic", topic)).chain(paths.chain(named).map(|file| ("file", file))) {
            if let Some(owner) = owners.insert(input.clone(), format!("streams.{name}")) {
                return wrong(format!(
                    "streams.{name}: the {kind} {input:?} already belongs to {owner}; remove it from one of the two"
                ));
            }
        }
    }
    Ok(())
}

fn records_fit(config: &Config, name: &str, stream: &StreamConfig) -> Result<(), ConfigError> {
    if stream.max_record > config.engine.queue_bytes {
        return wrong(format!(
            "streams.{name}.max_record is {} bytes, more than engine.queue with {}: such a record could never be read; \
             lower the one or raise the other",
            stream.max_record, config.engine.queue_bytes
        ));
    }
    Ok(())
}

fn history_has_tenants(name: &str, stream: &StreamConfig) -> Result<(), ConfigError> {
    if !stream.history.is_empty() && matches!(stream.tenant, Some(TenantConfig::Key | TenantConfig::Header(_))) {
        return wrong(format!(
            "streams.{name}.history: its tenants come from the record's key or a header, which lines of files have not; \
             take a field of the reading"
        ));
    }
    Ok(())
}

fn names_exist(config: &Config, name: &str, view: &ViewConfig) -> Result<(), ConfigError> {
    for stream in &view.streams {
        known(name, "streams", stream, config.streams.keys())?;
    }
    for label in view.group_by.iter().filter(|field| *field != crate::config::REGION) {
        known(name, "group_by", label, config.feeding(view).flat_map(|(_, stream)| stream.labels.keys()))?;
    }
    let any_metric = config.feeding(view).any(|(_, stream)| stream.every_numeric);
    for metric in view.metrics.iter().filter(|_| !any_metric) {
        known(name, "metrics", metric, config.feeding(view).flat_map(|(_, stream)| stream.metrics.keys()))?;
    }
    Ok(())
}

fn known<'a>(view: &str, key: &str, name: &str, there: impl Iterator<Item = &'a String>) -> Result<(), ConfigError> {
    let there: Vec<&String> = there.collect();
    if there.iter().any(|known| *known == name) {
        return Ok(());
    }
    let nearest = nearest(name, there.iter().map(|known| known.as_str()));
    let hint = nearest.map_or(String::new(), |nearest| format!(", did you mean {nearest:?}?"));
    wrong(format!(
        "views.{view}.{key}: there is no {name:?} among the {}{hint}",
        match key {
            "streams" => "streams",
            "group_by" => "labels of its streams",
            _ => "metrics of its streams",
        }
    ))
}

/// Parts of several streams are added up as whole numbers.
fn one_unit(config: &Config, name: &str, view: &ViewConfig) -> Result<(), ConfigError> {
    let mut streams = config.feeding(view);
    let Some((first, one)) = streams.next() else { return Ok(()) };
    match streams.find(|(_, other)| other.unit_exponent != one.unit_exponent) {
        Some((second, other)) => wrong(format!(
            "views.{name}: streams.{first}.unit is 1e{} and streams.{second}.unit is 1e{}; streams that feed one view need one unit",
            one.unit_exponent, other.unit_exponent
        )),
        None => Ok(()),
    }
}

fn position_is_known(name: &str, stream_name: &str, stream: &StreamConfig) -> Result<(), ConfigError> {
    if stream.position == PositionFields::None {
        return wrong(format!(
            "views.{name}: groups by region, and streams.{stream_name} has no position; give it lat and lon, or station"
        ));
    }
    Ok(())
}

/// I7: a clock that is ahead by less than `max_future` moves its partition's watermark, and must not make
/// the others' readings late by that. (Files have a fixed bound instead.)
fn no_device_ends_the_others(
    name: &str,
    view: &ViewConfig,
    stream_name: &str,
    stream: &StreamConfig,
) -> Result<(), ConfigError> {
    let Some(lateness) = view.allowed_lateness_ms else { return Ok(()) };
    if stream.files.is_empty() && stream.max_future_ms > stream.out_of_orderness_ms + lateness {
        return wrong(format!(
            "streams.{stream_name}.max_future is {}, more than its out_of_orderness {} + allowed_lateness {} of views.{name}: \
             one device with its clock ahead could make all others late; lower max_future or raise one of the others",
            show_duration(stream.max_future_ms),
            show_duration(stream.out_of_orderness_ms),
            show_duration(lateness)
        ));
    }
    Ok(())
}
