//! Configurations, good and bad, with the exact words of what is wrong.

mod history;
mod views;

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// The least that runs.
const LEAST: &str = r#"
[streams.t]
topics = ["readings"]
time = "at"
lat = "lat"
lon = "lon"
[streams.t.metrics.temperature]
[views.region]
"#;

fn load_with(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("etiage.toml");
    std::fs::write(&path, text).unwrap();
    let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Config::load(Some(&path), env)
}

/// The message, with the file's name instead of its path.
fn refused(text: &str, env: &[(&str, &str)]) -> String {
    let message = load_with(text, env).expect_err("refused").to_string();
    let Some(end) = message.find("/etiage.toml") else { return message };
    let start = message[..end].rfind(' ').map_or(0, |at| at + 1);
    format!("{}{}", &message[..start], &message[end + 1..])
}

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("etiage.toml")
}

fn vars<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (String, String)> + 'a {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string()))
}

#[test]
fn the_least_configuration_has_the_defaults() {
    let config = load_with(LEAST, &[]).unwrap();
    let (stream, view) = (&config.streams["t"], &config.views["region"]);
    assert_eq!(stream.topics, ["readings"]);
    assert_eq!((stream.out_of_orderness_ms, stream.max_future_ms, stream.idle_after_ms), (120_000, 300_000, 60_000));
    assert_eq!((stream.unit_exponent, stream.max_record), (-9, 1 << 20));
    assert_eq!(stream.metrics["temperature"].field, "temperature");
    assert_eq!(
        (stream.metrics["temperature"].scale.as_str(), stream.metrics["temperature"].offset.as_str()),
        ("1", "0")
    );
    assert_eq!((view.allowed_lateness_ms, view.flush_ms, view.nearest_within_m), (Some(86_400_000), 1_000, None));
    assert_eq!(view.window, crate::window::Width::HOUR);
    assert_eq!(config.kafka.properties["bootstrap.servers"], "127.0.0.1:9092");
    let StoreConfig::Cassandra(cassandra) = &config.store else { panic!("cassandra is the default") };
    assert_eq!((cassandra.commit_lag_ms, cassandra.concurrency), (20_000, 256));
    assert!(cassandra.tls.is_none() && !config.log.json);
}

/// That every key of the defaults is known, loading itself says. This is the other half: no key is read that they do not show.
#[test]
fn every_key_has_a_line_in_the_defaults() {
    let mut keys = 0;
    for source in [include_str!("stream.rs"), include_str!("view.rs"), include_str!("store.rs")] {
        for call in ["required(", "optional(", "list(", "word(", "file(", "millis(&mut section, "] {
            for rest in source.split(&format!("{call}\"")).skip(1) {
                let key = &rest[..rest.find('"').unwrap()];
                assert!(DEFAULTS.contains(&format!("{key} = ")), "{key}");
                keys += 1;
            }
        }
    }
    assert!(keys > 50, "found {keys}: the search itself is broken");
}

#[test]
fn the_examples_load() {
    let temperatures = Config::load(Some(&example("temperatures")), std::iter::empty()).unwrap();
    let stream = &temperatures.streams["temperatures"];
    assert_eq!(stream.filters, [FilterConfig { field: "country".into(), rule: FilterRule::Equals("France".into()) }]);
    assert_eq!(stream.format, Format::Json);
    assert_eq!(stream.metrics["temperature"].threshold, Some(Threshold::Fixed("40".into())));
    let synop = Config::load(Some(&example("synop")), std::iter::empty()).unwrap();
    let stream = &synop.streams["synop"];
    assert_eq!((stream.format, stream.separator, &stream.time_format), (Format::Csv, b';', &TimeFormat::Compact));
    assert_eq!(stream.metrics["temperature"].offset, "-273.15");
    assert_eq!(stream.metrics.len(), 5);
    assert_eq!(stream.missing, ["mq", ""]);
    let stations = stream.stations.as_ref().unwrap();
    assert!(stations.file.ends_with("examples/synop/postesSynop.csv"), "beside the configuration");
    assert_eq!(synop.views["region"].nearest_within_m, Some(500.0));
}

#[test]
fn the_example_runs_on_files_with_three_variables() {
    let env = [
        ("ETIAGE_STREAMS__TEMPERATURES__FILES", r#"["a.ndjson","b.ndjson"]"#),
        ("ETIAGE_STORE__KIND", "sqlite"),
        ("ETIAGE_STORE__PATH", "rows.db"),
        ("PATH", "/bin"),
    ];
    let config = Config::load(Some(&example("temperatures")), vars(&env)).unwrap();
    let stream = &config.streams["temperatures"];
    let paths: Vec<&PathBuf> = stream.files.iter().map(|file| &file.path).collect();
    assert_eq!(paths, [&PathBuf::from("a.ndjson"), &PathBuf::from("b.ndjson")], "where the process runs");
    assert!(stream.topics.is_empty());
    assert!(matches!(&config.store, StoreConfig::Sqlite { path } if path == &PathBuf::from("rows.db")));
    assert_eq!(config.rejects.dir, PathBuf::from("."));
}

#[test]
fn the_environment_is_read_by_what_is_expected() {
    let env = [
        ("ETIAGE_STREAMS__T__TOPICS", "one"),
        ("etiage_streams__t__Filters", r#"[{ field = "country", in = ["France", "Monaco"] }]"#),
        ("ETIAGE_STREAMS__T__METRICS__TEMPERATURE__THRESHOLD", r#"{ field = "limit", unset = "999999" }"#),
        ("ETIAGE_STREAMS__T__METRICS__TEMPERATURE__OFFSET", "-273.15"),
        ("ETIAGE_STREAMS__T__MAX_FUTURE", "\"1m\""),
        ("ETIAGE_KAFKA__BOOTSTRAP_SERVERS", "k1:9092,k2:9092"),
        ("ETIAGE_KAFKA__GROUP_ID", "123"),
        ("ETIAGE_VIEWS__REGION__ALLOWED_LATENESS", "unlimited"),
        ("ETIAGE_STORE__REPLICATION", "{'class': 'NetworkTopologyStrategy', 'dc1': 3}"),
        ("ETIAGE_REJECTS__PAYLOAD", "false"),
        // What Kubernetes and other tools put there is not ours.
        ("ETIAGE_SERVICE_HOST", "10.0.0.1"),
        ("ETIAGE_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("ETIAGE_CONFIG", "etiage.toml"),
    ];
    let config = load_with(LEAST, &env).unwrap();
    let stream = &config.streams["t"];
    assert_eq!(stream.topics, ["one"]);
    assert_eq!(stream.filters[0].rule, FilterRule::In(vec!["France".into(), "Monaco".into()]));
    let metric = &stream.metrics["temperature"];
    assert_eq!(metric.threshold, Some(Threshold::Field { field: "limit".into(), unset: Some("999999".into()) }));
    assert_eq!(metric.offset, "-273.15");
    assert_eq!(stream.max_future_ms, 60_000);
    assert_eq!(config.kafka.properties["bootstrap.servers"], "k1:9092,k2:9092");
    assert_eq!(config.kafka.properties["group.id"], "123");
    assert_eq!(config.views["region"].allowed_lateness_ms, None);
    assert!(!config.rejects.payload);
    let StoreConfig::Cassandra(cassandra) = &config.store else { panic!("cassandra") };
    assert_eq!(cassandra.replication, "{'class': 'NetworkTopologyStrategy', 'dc1': 3}");
}

#[test]
fn a_table_with_a_dash_is_reached_from_the_environment() {
    let text = LEAST.replace("streams.t", "streams.City-Sensors");
    let config = load_with(&text, &[("ETIAGE_STREAMS__CITY_SENSORS__TOPICS", r#"["a", "b"]"#)]).unwrap();
    assert_eq!(config.streams["City-Sensors"].topics, ["a", "b"]);
}

#[test]
fn kafka_properties_are_dotted_nested_or_quoted() {
    let text = format!("kafka.socket.timeout.ms = 5_000\n{LEAST}\n[kafka.\"ssl.ca\"]\nlocation = \"ca.pem\"\n");
    let properties = load_with(&text, &[]).unwrap().kafka.properties;
    assert_eq!(properties["socket.timeout.ms"], "5000");
    assert_eq!(properties["ssl.ca.location"], "ca.pem");
    assert_eq!(properties["group.id"], "etiage", "the defaults stay");
}

#[test]
fn what_holds_for_all_streams_is_said_once() {
    let text = format!("{LEAST}\n[stream_defaults]\nout_of_orderness = \"10m\"\n[metric_defaults]\nscale = 0.10\n");
    let stream = load_with(&text, &[]).unwrap().streams["t"].clone();
    assert_eq!((stream.out_of_orderness_ms, stream.metrics["temperature"].scale.as_str()), (600_000, "0.1"));
}

#[test]
fn unknown_keys_name_the_nearest() {
    let with = |section: &str, line: &str| LEAST.replace(section, &format!("{section}\n{line}"));
    for (text, message) in [
        (with("[streams.t]", "tpoics = []"), "etiage.toml:3: streams.t.tpoics: unknown key, did you mean \"topics\"?"),
        (
            with("[views.region]", "windows = 1"),
            "etiage.toml:9: views.region.windows: unknown key, did you mean \"window\"?",
        ),
        (
            with("temperature]", "scal = 1"),
            "etiage.toml:8: streams.t.metrics.temperature.scal: unknown key, did you mean \"scale\"?",
        ),
        (format!("[stroe]\n{LEAST}"), "etiage.toml:1: stroe: unknown key, did you mean \"store\"?"),
        (format!("{LEAST}[store]\npaswd = 1"), "etiage.toml:10: store.paswd: unknown key, did you mean \"password\"?"),
        (
            format!("{LEAST}[store]\nkind = \"sqlite\"\npth = 1"),
            "etiage.toml:11: store.pth: unknown key, did you mean \"path\"?",
        ),
        (format!("{LEAST}[log]\nlevl = 1"), "etiage.toml:10: log.levl: unknown key, did you mean \"level\"?"),
    ] {
        assert_eq!(refused(&text, &[]), message);
    }
    for (variable, message) in [
        (
            "ETIAGE_STREAMS__T__TPOICS",
            "ETIAGE_STREAMS__T__TPOICS: streams.t.tpoics: unknown key, did you mean \"topics\"?",
        ),
        ("ETIAGE_STROE__KIND", "ETIAGE_STROE__KIND: stroe: unknown key, did you mean \"store\"?"),
        (
            "ETIAGE_STORE_KIND",
            "ETIAGE_STORE_KIND: unknown variable, did you mean ETIAGE_STORE__KIND (two underscores)?",
        ),
        (
            "ETIAGE_STORE____KIND",
            "ETIAGE_STORE____KIND: expected names joined by two underscores, such as ETIAGE_STORE__KIND",
        ),
    ] {
        assert_eq!(refused(LEAST, &[(variable, "x")]), message);
    }
}

#[test]
fn bad_values_name_key_value_and_form() {
    let duration = "expected a duration such as \"10s\", \"2m\" or \"24h\"";
    for (line, message) in [
        ("max_future = \"5 parsecs\"", format!("etiage.toml:3: streams.t.max_future = \"5 parsecs\": {duration}")),
        ("max_future = 300", format!("etiage.toml:3: streams.t.max_future = \"300\": {duration}")),
        ("max_future = [1]", format!("etiage.toml:3: streams.t.max_future = […]: {duration}")),
        ("max_record = \"1 MB/s\"", "etiage.toml:3: streams.t.max_record = \"1 MB/s\": expected a size such as \"64 MiB\", at most 4 GiB".into()),
        ("zone = \"Mars\"", "etiage.toml:3: streams.t.zone = \"Mars\": expected an IANA time zone such as \"Europe/Paris\" or \"UTC\"".into()),
        ("format = \"xml\"", "etiage.toml:3: streams.t.format = \"xml\": expected \"json\", \"json-array\", \"ndjson\", \"csv\" or \"arrow-ipc\"".into()),
        ("separator = \"ab\"", "etiage.toml:3: streams.t.separator = \"ab\": expected one ASCII character such as \";\" or \"\\t\"".into()),
        ("stations = 5", "etiage.toml:3: streams.t.stations: expected a table, found 5".into()),
        ("filters = [{ field = \"a\" }]", "etiage.toml:3: streams.t.filters[0]: expected one rule beside the field: equals = \"x\", not = \"x\" or in = [\"x\", \"y\"]".into()),
        ("station = \"s\"", "etiage.toml:2: streams.t.stations.file: not given; a stream with `station` needs the stations' positions: a CSV file's path".into()),
    ] {
        let text = LEAST.replace("[streams.t]", &format!("[streams.t]\n{line}"));
        let text = if line.starts_with("station =") { text.replace("lat = \"lat\"\nlon = \"lon\"", "") } else { text };
        assert_eq!(refused(&text, &[]), message);
    }
    let env = [("ETIAGE_STREAMS__T__TOPICS", "[a, b]")];
    let form =
        "expected a list such as [\"a\", \"b\"] of a topic's name: at most 249 letters, digits, \".\", \"_\" and \"-\"";
    assert_eq!(refused(LEAST, &env), format!("ETIAGE_STREAMS__T__TOPICS: streams.t.topics = \"[a, b]\": {form}"));
    assert_eq!(refused("a = = 1", &[]), "etiage.toml:1: extra `=`, expected nothing");
}

#[test]
fn streams_that_do_not_go_together_are_refused() {
    let plus = |more: &str| format!("{LEAST}\n{more}\n");
    let stream = |line: &str| LEAST.replace("[streams.t]", &format!("[streams.t]\n{line}"));
    let second = "[streams.u]\ntime = \"at\"\nlat = \"a\"\nlon = \"b\"\nmetrics.x = {}\n";
    for (text, message) in [
        (String::new(), "streams: none given; a configuration needs at least one table such as [streams.temperatures]"),
        (
            LEAST.replace("[views.region]", ""),
            "views: none given; a configuration needs at least one table such as [views.region]",
        ),
        (
            stream("files = [\"a\"]"),
            "etiage.toml:3: streams.t.files: a stream reads topics or files, not both; remove one of the two",
        ),
        (
            LEAST.replace("topics = [\"readings\"]", ""),
            "etiage.toml:2: streams.t.topics: not given; expected a list such as [\"readings\"], or else files = [\"a.ndjson\"]",
        ),
        (
            LEAST.replace("time = \"at\"", ""),
            "etiage.toml:2: streams.t.time: not given; expected the field's name or dotted path, such as \"position.lat\"",
        ),
        (
            LEAST.replace("lat = \"lat\"", ""),
            "etiage.toml:2: streams.t.lat: not given, though lon is; expected the field of the latitude",
        ),
        (
            LEAST.replace("lat = \"lat\"\nlon = \"lon\"", ""),
            "views.region: groups by region, and streams.t has no position; give it lat and lon, or station",
        ),
        (
            LEAST.replace("[streams.t.metrics.temperature]", ""),
            "etiage.toml:2: streams.t.metrics: not given; a stream needs at least one table such as [streams.NAME.metrics.temperature], or every_numeric = true",
        ),
        (
            plus(
                &format!("{second}topics = [\"readings\"]").replace("metrics.x = {}\ntopics", "metrics.x = {}\ntopics"),
            ),
            "streams.u: the topic \"readings\" already belongs to streams.t; remove it from one of the two",
        ),
        (
            plus(&format!("{second}files = [\"a\"]")),
            "streams.u.files: streams.t reads topics; one run reads topics or files, so give all streams the same kind, or run two",
        ),
        (
            plus(&format!("{second}topics = [\"b\"]\nunit = \"1e-6\"")),
            "views.region: streams.t.unit is 1e-9 and streams.u.unit is 1e-6; streams that feed one view need one unit",
        ),
        (
            plus("[rejects]\ntopic = \"readings\""),
            "streams.t: the topic \"readings\" already belongs to rejects; remove it from one of the two",
        ),
    ] {
        assert_eq!(refused(&text, &[]), message, "{text}");
    }
}

#[test]
fn views_and_edges_that_do_not_go_together_are_refused() {
    let plus = |more: &str| format!("{LEAST}\n{more}\n");
    for (text, message) in [
        (plus("streams = [\"tt\"]"), "views.region.streams: there is no \"tt\" among the streams, did you mean \"t\"?"),
        (
            plus("metrics = [\"temperatur\"]"),
            "views.region.metrics: there is no \"temperatur\" among the metrics of its streams, did you mean \"temperature\"?",
        ),
        (
            plus("[kafka]\nauto.offset.reset = \"earliest\""),
            "etiage.toml:11: kafka.auto.offset.reset: the engine sets this property itself; remove it",
        ),
        (
            plus("[store]\nkind = \"sqlite\""),
            "etiage.toml:10: store.path: not given; kind = \"sqlite\" needs the database file's path",
        ),
        (
            plus("[store]\nkind = \"sqlite\"\npath = \"a\"\nkeyspace = \"k\""),
            "etiage.toml:13: store.keyspace: belongs to a store of kind = \"cassandra\"; remove it, or change store.kind",
        ),
        (
            plus("[store]\npath = \"a\""),
            "etiage.toml:11: store.path: belongs to a store of kind = \"sqlite\"; remove it, or change store.kind",
        ),
        (
            plus("[store]\nkind = \"mysql\""),
            "etiage.toml:11: store.kind = \"mysql\": expected \"cassandra\" or \"sqlite\"",
        ),
        (
            plus("[store]\nusername = \"a\""),
            "etiage.toml:10: store.password: username and password are given together or not at all",
        ),
        (
            plus("[engine]\nqueue = \"1 MiB\"\n[stream_defaults]\nmax_record = \"2 MiB\""),
            "streams.t.max_record is 2097152 bytes, more than engine.queue with 1048576: such a record could never be read; lower the one or raise the other",
        ),
        (
            plus("[streams.\"a b\"]"),
            "etiage.toml:2: streams.\"a b\": expected a name of at most 64 letters, digits, \"_\" and \"-\"",
        ),
    ] {
        assert_eq!(refused(&text, &[]), message, "{text}");
    }
}

#[test]
fn one_clock_ahead_makes_nobody_late() {
    let text = format!("{LEAST}allowed_lateness = \"2m\"\n");
    assert_eq!(
        refused(&text, &[]),
        "streams.t.max_future is 5m, more than its out_of_orderness 2m + allowed_lateness 2m of views.region: \
         one device with its clock ahead could make all others late; lower max_future or raise one of the others"
    );
    assert!(load_with(&text.replace("\"2m\"", "\"3m\""), &[]).is_ok(), "equal is allowed");
    assert!(load_with(&text, &[("ETIAGE_STREAMS__T__FILES", "a")]).is_ok(), "files have a fixed bound instead");
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "hunter2\n\n").unwrap();
    let path = secret.to_str().unwrap();
    let text = format!(
        "{LEAST}[store]\nusername = \"u\"\npassword = {{ file = {path:?} }}\n[kafka]\nsasl.password = {{ file = {path:?} }}\n"
    );
    let password = |config: &Config| match &config.store {
        StoreConfig::Cassandra(cassandra) => cassandra.password.clone().unwrap(),
        StoreConfig::Sqlite { .. } => panic!("cassandra"),
    };
    let config = load_with(&text, &[]).unwrap();
    assert_eq!(password(&config), "hunter2\n", "one newline is the editor's");
    assert_eq!(config.kafka.properties["sasl.password"], "hunter2\n");
    let env = [
        ("ETIAGE_STORE__USERNAME", "u"),
        ("ETIAGE_STORE__PASSWORD_FILE", path),
        ("ETIAGE_KAFKA__SSL_KEY_PASSWORD_FILE", path),
    ];
    let config = load_with(LEAST, &env).unwrap();
    assert_eq!(password(&config), "hunter2\n");
    assert_eq!(config.kafka.properties["ssl.key.password"], "hunter2\n");
    let shown = format!("{config:?}{config:#?}");
    assert!(!shown.contains("hunter2") && shown.contains("(hidden)"), "{shown}");
    let key = [
        ("ETIAGE_STORE__TLS__CERTIFICATE", "client.pem"),
        ("ETIAGE_STORE__TLS__KEY", "client.key"),
        ("ETIAGE_STORE__TLS__KEY_PASSWORD_FILE", path),
    ];
    let config = load_with(LEAST, &key).unwrap();
    let StoreConfig::Cassandra(cassandra) = &config.store else { panic!("cassandra") };
    let tls = cassandra.tls.as_ref().unwrap();
    assert_eq!(tls.key_password.as_deref(), Some("hunter2\n"));
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(refused(LEAST, &key[2..]).contains("store.tls.key_password: there is no key"));
    let both = [("ETIAGE_STORE__PASSWORD", "x"), ("ETIAGE_STORE__PASSWORD_FILE", path)];
    assert_eq!(
        refused(LEAST, &both),
        "ETIAGE_STORE__PASSWORD_FILE: store.password: given twice, by ETIAGE_STORE__PASSWORD_FILE and by ETIAGE_STORE__PASSWORD; remove one"
    );
    let listed = refused(&format!("{LEAST}[store]\npassword = [\"hunter2\"]"), &[]);
    assert_eq!(listed, "etiage.toml:10: store.password = (hidden): expected a text");
    assert!(
        refused(LEAST, &[("ETIAGE_STORE__PASSWORD_FILE", "/nowhere/at/all")])
            .starts_with("ETIAGE_STORE__PASSWORD_FILE: store.password: /nowhere")
    );
}

/// Far more than any stack holds, were it followed down.
#[test]
fn what_is_nested_without_end_is_refused() {
    const DEPTH: usize = 200_000;
    let dotted = "a.".repeat(DEPTH);
    for text in [
        format!("a = {}", "[".repeat(DEPTH)),
        format!("a = {}", "{a=".repeat(DEPTH)),
        format!("{dotted}b = 1"),
        format!("[{dotted}b]"),
        format!("[[{dotted}b]]"),
        format!("a = {{ {dotted}b = 1 }}"),
    ] {
        refused(&text, &[]);
        // Taken for a topic's name, or not.
        let _ = load_with(LEAST, &[("ETIAGE_STREAMS__T__TOPICS", text.strip_prefix("a = ").unwrap_or(&text))]);
    }
}

#[test]
fn large_and_absent_files_are_refused() {
    let message = refused(&format!("#{}", "x".repeat(1 << 20)), &[]);
    assert_eq!(message, "etiage.toml: larger than the 1 MiB that are read");
    let absent = Config::load(Some(Path::new("/nowhere/etiage.toml")), std::iter::empty());
    assert!(matches!(absent, Err(ConfigError::Unreadable(message)) if message.starts_with("/nowhere/etiage.toml: ")));
}

#[test]
fn meaning_is_what_is_serialized() {
    let meaning = |text: &str| serde_json::to_string(&load_with(text, &[]).unwrap().streams["t"]).unwrap();
    let same = ["idle_after = \"9s\"", "id = \"x\"", "separator = \";\"", "max_future = \"300s\""];
    let other = ["max_future = \"4m\"", "zone = \"Europe/Paris\"", "format = \"csv\"", "missing = [\"mq\"]"];
    let with = |line: &str| meaning(&LEAST.replace("[streams.t]", &format!("[streams.t]\n{line}")));
    for line in same {
        assert_eq!(with(line), meaning(LEAST), "{line}");
    }
    for line in other {
        assert_ne!(with(line), meaning(LEAST), "{line}");
    }
    let view = serde_json::to_string(&load_with(LEAST, &[]).unwrap().views["region"]).unwrap();
    assert_eq!(
        view,
        r#"{"streams":[],"group_by":["region"],"region_code":"code","region_name":"nom","nearest_within_m":null,"window":"1h","rollups":[],"zone":"UTC","before_ms":10800000,"metrics":[],"allowed_lateness_ms":86400000}"#
    );
}

/// Deep tables and long dotted keys end in a message, not in an overflow of the stack.
#[test]
fn depth_is_bounded() {
    for text in ["a.".repeat(200_000) + "a = 1", "a = ".to_owned() + &"[".repeat(200_000), "x = {a=".repeat(100_000)] {
        assert!(load_with(&text, &[]).is_err());
    }
    let deep = format!("ETIAGE{}", "__A".repeat(100_000));
    assert!(load_with(LEAST, &[(&deep, "1")]).is_err());
    assert!(load_with(LEAST, &[("ETIAGE_STREAMS__T__FILTERS", &"[".repeat(100_000))]).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*", value in "\\PC*") {
        let _ = tree::parse(&text, &|line| error::Origin::File { path: Path::new("x").into(), line });
        let _ = Config::load(None, vars(&[("ETIAGE_STREAMS__T__TOPICS", &value), ("ETIAGE_STORE__TLS", &value)]));
    }

    /// Any value in any place of a good configuration: refused or taken, never a panic.
    #[test]
    fn no_value_panics(
        line in 0_usize..9,
        key in prop::sample::select(vec!["topics", "files", "filters", "missing", "unit", "stations", "metrics", "max_record", "scale", "normal", "threshold", "tls", "window", "regions", "group_by"]),
        value in prop_oneof!["\"\\PC{0,12}\"", "-?[0-9]{1,25}", "\\[[\"a0,]{0,8}\\]", "\\{ ?(field|file) = \"x\" ?\\}", "true", "1e999", "nan", "2019-02-19"],
    ) {
        let mut lines: Vec<String> = LEAST.lines().map(str::to_owned).collect();
        lines.insert(line, format!("{key} = {value}"));
        let _ = tree::parse(&lines.join("\n"), &|_| error::Origin::Default).and_then(|over| {
            let mut table = tree::parse(DEFAULTS, &|_| error::Origin::Default)?;
            table.merge(over);
            Config::resolve(section::Section::new("", table, Path::new(""))).and_then(|config| check::check(&config))
        });
    }
}
