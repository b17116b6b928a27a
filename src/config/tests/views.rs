//! Views by label, tenants, rollups.

use super::{LEAST, load_with, refused};
use crate::config::{TenantConfig, ViewConfig};

/// With labels, tenants and a view of each kind.
const WIDE: &str = r#"
[streams.t]
topics = ["readings"]
time = "at"
lat = "lat"
lon = "lon"
every_numeric = true
tenant = { header = "tenant" }
labels = { station = "station_id", alarm = "a.alarm" }

[views.day]
group_by = ["region"]
rollups = ["1mo", "12h"]
zone = "Europe/Paris"
before = "24h"

[views.alarm]
group_by = ["station", "alarm", "region"]
window = "1s"
metrics = ["never-seen"]
zone = "Europe/Paris"
"#;

#[test]
fn views_group_by_labels_and_roll_up() {
    let config = load_with(WIDE, &[]).unwrap();
    let (stream, day, alarm) = (&config.streams["t"], &config.views["day"], &config.views["alarm"]);
    assert_eq!(stream.tenant, Some(TenantConfig::Header("tenant".into())));
    assert_eq!(stream.labels["alarm"], "a.alarm");
    assert!(stream.every_numeric && stream.metrics.is_empty());
    let widths = |view: &ViewConfig| view.widths().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(widths(day), ["1h", "12h", "1mo"]);
    assert_eq!((day.zone, day.before_ms, day.by_region()), (chrono_tz::Europe::Paris, Some(86_400_000), true));
    // A zone that no width needs is none; only hourly rows look back.
    assert_eq!((widths(alarm), alarm.zone, alarm.before_ms), (vec!["1s".to_owned()], chrono_tz::UTC, None));

    let with = |from: &str, to: &str| WIDE.replace(from, to);
    let fields = |text: &str| load_with(text, &[]).unwrap().streams["t"].tenant.clone();
    assert_eq!(fields(&with(r#"{ header = "tenant" }"#, "{ key = true }")), Some(TenantConfig::Key));
    assert_eq!(fields(&with(r#"{ header = "tenant" }"#, "\"\"")), None);
    let key = [("ETIAGE_STREAMS__T__TENANT__KEY", "true")];
    assert!(load_with(LEAST, &key).unwrap().streams["t"].tenant == Some(TenantConfig::Key));
}

#[test]
fn views_that_cannot_be_are_refused() {
    for (from, to, named) in [
        (r#""alarm", "region""#, r#""alram""#, "did you mean \"alarm\"?"),
        (r#""alarm", "region""#, r#""station""#, "one to eight different names"),
        (r#"["station", "alarm", "region"]"#, "[]", "one to eight different names"),
        (r#"["1mo", "12h"]"#, r#"["1h"]"#, "other than the window's"),
        (r#"["1mo", "12h"]"#, r#"["1d", "24h"]"#, "each of them once"),
        (r#"["1mo", "12h"]"#, r#"["2mo"]"#, "\"1mo\""),
        (r#"window = "1s""#, r#"window = "0s""#, "window width"),
        (r#"before = "24h""#, r#"before = "90m""#, "whole hours"),
        (r#"zone = "Europe/Paris""#, r#"zone = "Europe/Pariss""#, "IANA"),
        (r#"{ header = "tenant" }"#, r#"{ header = "a", key = true }"#, "expected one of"),
        (r#"{ header = "tenant" }"#, r#""yes""#, "expected one of"),
        ("labels = { station", "labels = { region", "other than"),
        ("lat = \"lat\"\nlon = \"lon\"", "", "has no position"),
        ("every_numeric = true", "every_numeric = 2", "true or false"),
    ] {
        let message = refused(&WIDE.replace(from, to), &[]);
        assert!(message.contains(named), "{to}: {message}");
    }
}
