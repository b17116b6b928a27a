//! What decides a view's content, as canonical JSON, and its digest (invariant I10).

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::window::Width;

use super::Compiled;

/// Raised whenever the code gives a configuration another meaning.
const SEMANTICS: u32 = 1;

/// A view's meaning and its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    pub text: String,
    pub fingerprint: String,
}

/// SHA-256, hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The meaning of a view under this configuration.
pub(super) fn of(view: &str, config: &Config, compiled: &Compiled) -> Meaning {
    let settings = &config.views[view];
    let mut streams = serde_json::Map::new();
    for (name, stream) in config.feeding(settings) {
        // A station's position says nothing where nobody asks for regions.
        let stations = compiled.inputs[name].stations_digest.clone().filter(|_| settings.by_region());
        // A field that is a label, or the id, is no metric of its own: where every number is one, all of them count.
        let counts = |label: &String| stream.every_numeric || settings.group_by.contains(label);
        let labels: BTreeMap<&String, &String> = stream.labels.iter().filter(|(label, _)| counts(label)).collect();
        let id = stream.id.as_ref().filter(|_| stream.every_numeric);
        let meant = json!({ "settings": stream, "labels": labels, "id": id, "stations": stations });
        streams.insert(name.clone(), meant);
    }
    let isolation = config.kafka.properties.get("isolation.level");
    let meaning = json!({
        "semantics": SEMANTICS,
        "view": settings,
        "metrics": super::metrics_of(view, config).iter().map(|metric| metric.to_string()).collect::<Vec<_>>(),
        "regions": compiled.regions_of(view).map(|regions| &regions.digest),
        "streams": streams,
        "tzdata": chrono_tz::IANA_TZDB_VERSION,
        "isolation": isolation.map_or("read_committed", String::as_str),
    });
    let text = meaning.to_string();
    Meaning { fingerprint: digest(text.as_bytes()), text }
}

/// Whether two meanings take the same readings from a record at the same times: what they make of these may differ.
pub fn reads_alike(live: &str, here: &str) -> bool {
    let read = |text: &str| {
        let mut meaning = serde_json::from_str::<Value>(text).ok()?;
        let mut streams = meaning.get_mut("streams")?.take();
        let mut in_zones = false;
        for stream in streams.as_object_mut()?.values_mut() {
            let settings = stream.get_mut("settings")?.as_object_mut()?;
            in_zones |= settings.get("zone").is_some_and(|zone| zone != "UTC");
            // One that is filtered has told its time.
            // (A file of history is a partition of its own.)
            for says_nothing in ["filters", "active", "out_of_orderness_ms", "history"] {
                settings.remove(says_nothing);
            }
            for metric in settings.get_mut("metrics")?.as_object_mut()?.values_mut() {
                let metric = metric.as_object_mut()?;
                metric.remove("normal");
                // One in a field of the reading may be unreadable, and the reading with it.
                if metric.get("threshold").is_some_and(|threshold| threshold.get("field").is_none()) {
                    metric.remove("threshold");
                }
            }
        }
        let zones = in_zones.then(|| meaning["tzdata"].take());
        Some((meaning["semantics"].take(), meaning["isolation"].take(), zones, streams))
    };
    let live = read(live);
    live.is_some() && live == read(here)
}

/// The widths of a meaning's windows, its rollups' after its own, and the zone in which they are counted.
pub fn windows(text: &str) -> Option<(Vec<Width>, Tz)> {
    let meaning = serde_json::from_str::<Value>(text).ok()?;
    let view = meaning.get("view")?;
    let own = view.get("window").into_iter();
    let widths = own.chain(view.get("rollups")?.as_array()?).map(|width| width.as_str()?.parse().ok());
    Some((widths.collect::<Option<_>>()?, view.get("zone")?.as_str()?.parse().ok()?))
}

/// Where two meanings differ, for people: the paths with both values.
pub fn differences(live: &str, here: &str) -> String {
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let mut found = Vec::new();
    compare("", &parse(live), &parse(here), &mut found);
    found.truncate(8);
    if found.is_empty() { "its fingerprint differs".to_owned() } else { found.join(", ") }
}

fn compare(path: &str, live: &Value, here: &Value, found: &mut Vec<String>) {
    match (live, here) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&inner, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (live, here) if live != here => found.push(format!("{path} was {live} and is {here}")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_the_path_and_both_values() {
        let text = differences(r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"b":1,"c":3},"d":"x"}"#);
        assert_eq!(text, r#"a.c was 2 and is 3, d was null and is "x""#);
    }

    #[test]
    fn a_meaning_tells_its_windows() {
        let text = r#"{"view":{"window":"30m","rollups":["1d","1mo"],"zone":"Europe/Paris"}}"#;
        let (widths, zone) = windows(text).unwrap();
        assert_eq!((widths.len(), widths[0], zone), (3, "30m".parse().unwrap(), Tz::Europe__Paris));
        assert_eq!((windows("{}"), windows("")), (None, None));
    }

    #[test]
    fn meanings_read_alike_where_only_what_becomes_of_readings_differs() {
        let meaning = |zone: &str, threshold: &str, filters: &str| {
            format!(
                r#"{{"view":"{filters}","streams":{{"s":{{"settings":{{"zone":"{zone}","filters":"{filters}","metrics":{{"t":{{"field":"t","threshold":{threshold},"normal":null}}}}}}}}}}}}"#
            )
        };
        let live = meaning("UTC", r#"{"fixed":"30"}"#, "a");
        assert!(reads_alike(&live, &meaning("UTC", "null", "b")));
        assert!(!reads_alike(&live, &meaning("Europe/Paris", r#"{"fixed":"30"}"#, "a")));
        assert!(!reads_alike(&live, &meaning("UTC", r#"{"field":{"field":"limit"}}"#, "a")));
        assert!(!reads_alike("{}", "{}"));
        // A record that is read where transactions are not waited for may have been none before; local times hang on tables.
        let other = |name: &str, value: &str| format!(r#"{{"{name}":"{value}",{}"#, &live[1..]);
        assert!(!reads_alike(&live, &other("isolation", "read_uncommitted")));
        assert!(!reads_alike(&live, &other("semantics", "2")));
        assert!(reads_alike(&live, &other("tzdata", "2026b")));
        let paris = meaning("Europe/Paris", "null", "a");
        assert!(!reads_alike(&paris, &format!(r#"{{"tzdata":"2026b",{}"#, &paris[1..])));
    }
}
