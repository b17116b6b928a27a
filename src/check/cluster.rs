//! The brokers' settings that a consumer group lives under. Pure.

use std::collections::BTreeMap;

use super::{About, Finding, duration};

type Settings = BTreeMap<String, String>;

/// Bytes of metadata beside a commit: what the engine counts on.
const METADATA_BYTES: i64 = 4_096;
/// Shorter, and a group that rests over a week's end may lose its offsets.
const OFFSETS_KEPT_MIN: i64 = 7 * 24 * 60;

/// `given`: the user's own properties under `[kafka]`.
pub fn judge(given: &Settings, broker: Option<&Settings>) -> Vec<Finding> {
    let mut about = About::new("kafka");
    let Some(broker) = broker else {
        about.warn(
            "the brokers' settings cannot be read, so offset.metadata.max.bytes and offsets.retention.minutes are not \
             looked at: grant this user DESCRIBE_CONFIGS on the cluster",
        );
        return about.findings;
    };
    let number = |settings: &Settings, key: &str| settings.get(key).and_then(|value| value.parse::<i64>().ok());
    if let Some(bytes) = number(broker, "offset.metadata.max.bytes").filter(|bytes| *bytes < METADATA_BYTES) {
        about.wrong(format!(
            "offset.metadata.max.bytes = {bytes}: what goes beside a commit may have {METADATA_BYTES} bytes and would be \
             refused; raise it to {METADATA_BYTES}"
        ));
    }
    if let Some(minutes) = number(broker, "offsets.retention.minutes") {
        match minutes < OFFSETS_KEPT_MIN {
            true => about.warn(format!(
                "offsets.retention.minutes = {minutes}: a group that does not run for so long ({}) loses its positions and \
                 goes through the log again; raise it",
                duration(minutes * 60_000)
            )),
            false => about.well(format!("a group that does not run keeps its positions for {}", duration(minutes * 60_000))),
        }
    }
    let session_ms = number(given, "session.timeout.ms");
    let bounds = (number(broker, "group.min.session.timeout.ms"), number(broker, "group.max.session.timeout.ms"));
    if let (Some(session_ms), (Some(min_ms), Some(max_ms))) = (session_ms, bounds)
        && !(min_ms..=max_ms).contains(&session_ms)
    {
        about.wrong(format!(
            "kafka.session.timeout.ms = {session_ms}, but the brokers take {min_ms} to {max_ms} \
             (group.min/max.session.timeout.ms): no instance could join"
        ));
    }
    about.findings
}

#[cfg(test)]
mod tests {
    use super::super::{Level, levels};
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn the_brokers_bounds_are_held_against_what_the_engine_needs() {
        let broker = [
            ("offset.metadata.max.bytes", "4096"),
            ("offsets.retention.minutes", "10080"),
            ("group.min.session.timeout.ms", "6000"),
            ("group.max.session.timeout.ms", "1800000"),
        ];
        let usual = judge(&settings(&[("session.timeout.ms", "6000")]), Some(&settings(&broker)));
        assert_eq!(usual.len(), 1, "{usual:?}");
        assert_eq!(usual[0].text, "a group that does not run keeps its positions for 7d");

        let tight = settings(&[("offset.metadata.max.bytes", "100"), ("offsets.retention.minutes", "60")]);
        let findings = judge(&Settings::new(), Some(&tight));
        assert!(levels(&findings, Level::Error)[0].contains("offset.metadata.max.bytes = 100"));
        assert!(levels(&findings, Level::Warning)[0].contains("(1h)"));

        let findings = judge(&settings(&[("session.timeout.ms", "1000")]), Some(&settings(&broker)));
        assert!(levels(&findings, Level::Error)[0].contains("6000 to 1800000"));
        assert_eq!(levels(&judge(&Settings::new(), None), Level::Warning).len(), 1);
    }
}
