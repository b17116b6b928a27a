//! `[views.NAME]`: the typed piece of each view.

use std::collections::BTreeMap;

use super::ViewConfig;
use super::error::{ConfigError, Origin};
use super::section::{self, Section};
use super::stream::{defaults, over};
use super::value::{DISTANCE, DURATION, DURATION_OR_UNLIMITED, Form, TEXT, WIDTH, ZONE, is_name};
use crate::window::Width;

/// The sets that are shipped.
const SHIPPED: [&str; 2] = ["regions", "departements"];
/// What a key may be made of.
const GROUP_BY: Form<String> =
    Form { expected: "\"region\" and names of labels", read: |text| is_name(text).then(|| text.to_owned()) };
/// A window so much later than any reading's can still be stored.
pub const MAX_BEFORE_MS: i64 = 366 * 86_400_000;
const BEFORE: Form<Option<i64>> = Form {
    expected: "whole hours such as \"3h\", at most \"366d\", or \"off\"",
    read: |text| match text {
        "off" => Some(None),
        text => (DURATION.read)(text).filter(|ms| *ms > 0 && ms % 3_600_000 == 0 && *ms <= MAX_BEFORE_MS).map(Some),
    },
};
const ROLLUP: Form<String> =
    Form { expected: WIDTH.expected, read: |text| (WIDTH.read)(text).map(|width| width.to_string()) };
/// Fields of a key, at most.
const MAX_FIELDS: usize = 8;
const FLUSH: Form<i64> = Form {
    expected: "a duration from \"10ms\" to \"1h\", such as \"1s\"",
    read: |text| (DURATION.read)(text).filter(|ms| (10..=3_600_000).contains(ms)),
};

pub(super) fn all(root: &mut Section<'_>) -> Result<BTreeMap<String, ViewConfig>, ConfigError> {
    let defaults = defaults(root, "view_defaults")?;
    let Some(views) = root.section("views")? else { return Ok(BTreeMap::new()) };
    views.sections()?.into_iter().map(|(name, given)| Ok((name, view(over(&defaults, given))?))).collect()
}

fn view(mut section: Section<'_>) -> Result<ViewConfig, ConfigError> {
    let window = section.required("window", &WIDTH)?;
    let mut view = ViewConfig {
        streams: section.list("streams", &TEXT)?.1,
        group_by: group_by(&mut section)?,
        regions: regions(&mut section)?,
        region_code: section.required("region_code", &TEXT)?,
        region_name: section.required("region_name", &TEXT)?,
        nearest_within_m: section.required("nearest_within", &DISTANCE)?,
        window,
        rollups: rollups(&mut section, window)?,
        zone: section.required("zone", &ZONE)?,
        before_ms: section.required("before", &BEFORE)?,
        metrics: section.list("metrics", &TEXT)?.1,
        allowed_lateness_ms: section.required("allowed_lateness", &DURATION_OR_UNLIMITED)?,
        flush_ms: section.required("flush", &FLUSH)?.unsigned_abs(),
    };
    section.finish()?;
    view.keep_only_what_counts();
    Ok(view)
}

impl ViewConfig {
    /// What says nothing of this view must not make two meanings of one: a zone of fixed widths, a
    /// distance without hourly rows, regions that it does not group by.
    fn keep_only_what_counts(&mut self) {
        if !self.widths().into_iter().any(Width::is_civil) {
            self.zone = chrono_tz::UTC;
        }
        if !self.widths().contains(&Width::HOUR) {
            self.before_ms = None;
        }
        if !self.by_region() {
            self.nearest_within_m = None;
            self.region_code.clear();
            self.region_name.clear();
        }
    }
}

/// Widths beside the window's, each once.
fn rollups(section: &mut Section<'_>, window: Width) -> Result<Vec<Width>, ConfigError> {
    let (origin, texts) = section.list("rollups", &ROLLUP)?;
    let mut widths: Vec<Width> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    widths.sort();
    let count = widths.len();
    widths.dedup();
    if widths.len() < count || widths.contains(&window) {
        return Err(section.error(&origin, "rollups", "expected widths other than the window's, each of them once"));
    }
    Ok(widths)
}

fn group_by(section: &mut Section<'_>) -> Result<Vec<String>, ConfigError> {
    let (origin, keys) = section.list("group_by", &GROUP_BY)?;
    let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
    if keys.is_empty() || keys.len() > MAX_FIELDS || distinct.len() < keys.len() {
        let expected = "expected one to eight different names: \"region\" and labels of the streams";
        return Err(section.error(&origin, "group_by", expected));
    }
    Ok(keys)
}

/// A shipped set's name stays as it is, a file's path is resolved.
fn regions(section: &mut Section<'_>) -> Result<String, ConfigError> {
    let (origin, text) = section.word("regions")?.unwrap_or((Origin::Default, String::new()));
    if SHIPPED.contains(&text.as_str()) {
        return Ok(text);
    }
    if !text.ends_with(".geojson") && !text.ends_with(".json") {
        let expected = "\"regions\", \"departements\" or the path of a GeoJSON file that ends in .geojson or .json";
        return Err(section.unexpected(&origin, "regions", &super::tree::Value::Text(text), expected));
    }
    Ok(section::resolve(section.base, &origin, &text).to_string_lossy().into_owned())
}
