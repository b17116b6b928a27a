//! The same settings give the same records, and what is sent is what was asked for.

use std::collections::{BTreeMap, BTreeSet};

use clap::Parser;

use super::*;

fn busy() -> Settings {
    Settings {
        sensors: 200,
        readings: 20_000,
        late_share: 0.01,
        duplicate_share: 0.02,
        garbage_share: 0.03,
        abroad_share: 0.1,
        ..Settings::default()
    }
}

fn object(payload: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(payload).ok()
}

#[test]
fn equal_seeds_give_equal_records() {
    let all = |seed| Simulation::new(Settings { seed, ..busy() }).collect::<Vec<_>>();
    let first = all(1);
    assert_eq!(first, all(1));
    assert_ne!(first, all(2));
    assert_eq!(first[0].payload.len(), all(1)[0].payload.len());
}

#[test]
fn what_is_sent_is_what_was_asked_for() {
    let mut simulation = Simulation::new(busy());
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let (mut records, mut garbage, mut last) = (0, 0, i64::MIN);
    for emission in &mut simulation {
        assert!(emission.arrival_ms >= last && emission.arrival_ms >= emission.event_ms, "in order of arrival");
        (records, last) = (records + 1, emission.arrival_ms);
        match object(&emission.payload)
            .filter(|value| value["temperature"].is_f64() && value["timestamp"].as_str().is_some_and(|t| t.len() == 19))
        {
            Some(value) => *seen.entry(value["id"].as_str().unwrap().to_owned()).or_default() += 1,
            None => garbage += 1,
        }
    }
    let counts = simulation.counts();
    assert_eq!((counts.readings, counts.records, counts.garbage), (20_000, records, garbage));
    assert_eq!(seen.len(), 20_000, "ids are unique");
    assert_eq!(seen.values().filter(|times| **times == 2).count() as u64, counts.duplicates);
    assert!((200..600).contains(&counts.duplicates) && (400..800).contains(&counts.garbage), "{counts:?}");
    assert!((1_000..3_000).contains(&counts.abroad), "{counts:?}");
}

#[test]
fn readings_have_the_shape_of_the_api() {
    let emission = Simulation::new(Settings { abroad_share: 0.0, ..Settings::default() }).next().unwrap();
    let value = object(&emission.payload).unwrap();
    let keys: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["id", "timestamp", "lat", "lon", "temperature", "country"]));
    assert_eq!(value["country"], "France");
    let town = FRANCE.iter().find(|town| (town.lat - value["lat"].as_f64().unwrap()).abs() < 0.0051);
    assert!(town.is_some(), "{value}");
}

#[test]
fn gateways_send_arrays_and_not_one_reading_more() {
    let settings = Settings { sensors: 7, per_record: 3, readings: 20, ..Settings::default() };
    let sizes: Vec<usize> = Simulation::new(settings)
        .map(|emission| object(&emission.payload).unwrap().as_array().unwrap().len())
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 20);
    assert!(sizes.iter().all(|size| *size <= 3));
}

#[test]
fn disorder_is_as_configured() {
    let inversions = |disorder_ms| {
        let events: Vec<i64> =
            Simulation::new(Settings { disorder_ms, ..busy() }).map(|emission| emission.event_ms).collect();
        events.windows(2).filter(|pair| pair[1] < pair[0]).count()
    };
    assert!(inversions(5_000.0) > 5_000);
    let calm = Settings { disorder_ms: 0.0, late_share: 0.0, ..busy() };
    assert!(Simulation::new(calm).is_sorted_by_key(|emission| emission.event_ms));
}

/// Settings at the ends of their ranges: no panic, no overflow.
#[test]
fn extremes_are_survived() {
    for settings in [
        Settings { sensors: 0, per_record: 0, interval_ms: 0, readings: 3, ..Settings::default() },
        Settings { start_ms: i64::MAX, readings: 3, ..Settings::default() },
        Settings { start_ms: i64::MIN, readings: 3, ..Settings::default() },
        Settings { interval_ms: i64::MAX, readings: 3, sensors: 2, ..Settings::default() },
        Settings { readings: 0, ..Settings::default() },
        Settings {
            disorder_ms: f64::NAN,
            late_share: f64::INFINITY,
            late_ms: f64::MAX,
            readings: 3,
            ..Settings::default()
        },
    ] {
        let wanted = settings.readings;
        let mut simulation = Simulation::new(settings);
        assert!((&mut simulation).count() as u64 >= wanted);
        assert_eq!(simulation.counts().readings, wanted);
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: SimulateArgs,
}

fn args(text: &[&str]) -> SimulateArgs {
    Cli::parse_from(std::iter::once(&"simulate").chain(text)).args
}

#[tokio::test]
async fn files_are_partitions_by_sensor() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let summary =
        run(args(&["--files", path, "--partitions", "3", "--readings", "900", "--sensors", "30", "--disorder", "0"]))
            .await
            .unwrap();
    assert_eq!(summary.counts.readings, 900);
    let mut owners: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut lines = 0;
    for partition in 0..3 {
        let text = std::fs::read_to_string(dir.path().join(format!("part-{partition}.ndjson"))).unwrap();
        for line in text.lines() {
            let value = object(line.as_bytes()).unwrap();
            owners.entry(format!("{} {}", value["lat"], value["lon"])).or_default().insert(partition);
            lines += 1;
        }
    }
    assert_eq!((lines, owners.len()), (900, 30));
    assert!(owners.values().all(|partitions| partitions.len() == 1), "a sensor stays in its partition");
}

#[tokio::test]
async fn lines_of_a_file_are_sent_with_their_key() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("in.ndjson"), dir.path().join("out"));
    std::fs::write(&from, "{\"s\":1,\"v\":2}\r\n\n{\"s\":\"b\"}\nnot json").unwrap();
    let arguments =
        ["--from-file", from.to_str().unwrap(), "--key", "s", "--files", to.to_str().unwrap(), "--partitions", "1"];
    let summary = run(args(&arguments)).await.unwrap();
    assert_eq!(summary.counts.records, 3);
    let sent = std::fs::read_to_string(to.join("part-0.ndjson")).unwrap();
    assert_eq!(sent, "{\"s\":1,\"v\":2}\n{\"s\":\"b\"}\nnot json\n");
    let csv = dir.path().join("in.csv");
    std::fs::write(&csv, "id;t\n07005;1\n").unwrap();
    let wrong = run(args(&["--from-file", csv.to_str().unwrap(), "--key", "nr", "--topic", "t"]))
        .await
        .unwrap_err()
        .to_string();
    assert!(wrong.starts_with("--key \"nr\": no such column in ") && wrong.ends_with("; it has id, t"), "{wrong}");
}

#[tokio::test]
async fn a_rate_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let summary =
        run(args(&["--files", dir.path().to_str().unwrap(), "--readings", "100", "--rate", "500", "--disorder", "0"]))
            .await
            .unwrap();
    assert!((0.15..2.0).contains(&summary.seconds), "{summary}");
}
