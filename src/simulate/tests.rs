//! The same settings give the same records, and what is sent is what was asked for.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Parser, ValueEnum};
use tokio::sync::watch;

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
}

fn kinds() -> impl Iterator<Item = (Kind, Format)> {
    let json = [Kind::Temperatures, Kind::BtsAlarms, Kind::CitySensors].map(|kind| (kind, Format::Json));
    let csv = Kind::value_variants().iter().map(|kind| (*kind, Format::Csv));
    json.into_iter().chain(csv)
}

/// Whoever finds these changed has changed what every seed means: on purpose, then, and with a line in the changelog.
#[test]
fn what_a_seed_gives_stays_as_it_is() {
    let checksums = kinds().map(|(kind, format)| {
        let mut hash = crc32fast::Hasher::new();
        let mut simulation = Simulation::new(Settings { kind, format, ..busy() });
        hash.update(simulation.header().unwrap_or_default().as_bytes());
        for emission in simulation.by_ref() {
            hash.update(&emission.arrival_ms.to_be_bytes());
            hash.update(&emission.payload);
        }
        hash.update(simulation.key(7).as_bytes());
        format!("{kind:?} {format:?} {:08x}", hash.finalize())
    });
    let expected = [
        "Temperatures Json a7c4ac11",
        "BtsAlarms Json ba0bf660",
        "CitySensors Json c010fe13",
        "Temperatures Csv 40fbb7a3",
        "BtsAlarms Csv 291bbf4e",
        "CitySensors Csv a68eb4b0",
        "Synop Csv 3e02c2ed",
    ];
    assert_eq!(checksums.collect::<Vec<_>>(), expected);
}

/// What is not garbage has every column, in JSON by its name.
#[test]
fn every_reading_has_every_column() {
    for (kind, format) in kinds() {
        let settings = Settings { kind, format, readings: 300, sensors: 20, garbage_share: 0.0, ..busy() };
        let mut simulation = Simulation::new(settings);
        let columns: Vec<&str> = simulation.shape.columns().to_vec();
        for Emission { payload, .. } in &mut simulation {
            match object(&payload) {
                Some(value) => {
                    let text = String::from_utf8(payload).unwrap();
                    let found: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
                    assert_eq!(found, columns.iter().copied().collect(), "{text}");
                }
                None => {
                    assert_eq!(simulation_separators(kind, &payload), columns.len(), "{kind:?}");
                }
            }
        }
        assert_eq!(simulation.counts().readings, 300);
    }
}

/// Cells of a CSV line: the last one of a SYNOP message is ended, not empty.
fn simulation_separators(kind: Kind, payload: &[u8]) -> usize {
    let (separator, more) = if kind == Kind::Synop { (b';', 0) } else { (b',', 1) };
    payload.iter().filter(|byte| **byte == separator).count() + more
}

#[test]
fn alarms_fire_above_their_thresholds_and_some_have_none() {
    let settings = Settings { kind: Kind::BtsAlarms, garbage_share: 0.0, duplicate_share: 0.0, ..busy() };
    let (mut fired, mut unset, mut active) = (0, 0, 0);
    let mut simulation = Simulation::new(settings);
    for emission in simulation.by_ref() {
        let value = object(&emission.payload).unwrap();
        let threshold = value["valueThreshold"].as_i64().unwrap();
        fired += u32::from(value["value"].as_i64().unwrap() > threshold);
        unset += u32::from(threshold == 999_999);
        active += u32::from(value["isActive"].as_bool().unwrap());
        assert!((1_161_115_000..1_161_115_200).contains(&value["station_id"].as_i64().unwrap()));
        assert_eq!((value["event_time"].as_str().unwrap().len(), &value["storedtime"]), (23, &"".into()));
    }
    assert!((100..400).contains(&fired) && (4_500..5_500).contains(&unset) && (1_000..2_000).contains(&active));
    assert_eq!((simulation.key(3), simulation.key(13)), ("tenant-003".to_owned(), "tenant-003".to_owned()));
}

#[test]
fn weather_stations_report_all_at_once() {
    let settings =
        Settings { kind: Kind::Synop, sensors: 62, readings: 620, interval_ms: 10_800_000, ..Settings::default() };
    let mut times: BTreeMap<i64, u32> = BTreeMap::new();
    for emission in Simulation::new(settings) {
        let text = String::from_utf8(emission.payload).unwrap();
        assert!(text.starts_with("990") && text.contains(";202603"), "{text}");
        *times.entry(emission.event_ms).or_default() += 1;
    }
    assert_eq!(times.values().copied().collect::<Vec<_>>(), [62; 10]);
}

/// However many are late, no more than the limit is held; the first of them then come early, in order still.
#[test]
fn memory_is_bounded_however_late_they_are() {
    let settings = Settings {
        sensors: 2_000,
        per_record: 500,
        readings: 3_000_000,
        late_share: 1.0,
        late_ms: f64::MAX,
        kind: Kind::BtsAlarms,
        ..Settings::default()
    };
    let mut simulation = Simulation::new(settings);
    let (mut last, mut most) = (i64::MIN, 0);
    while simulation.counts().readings < 1_000_000 {
        let emission = simulation.next().unwrap();
        most = most.max(simulation.held);
        assert!(emission.arrival_ms >= last && emission.arrival_ms >= emission.event_ms);
        last = emission.arrival_ms;
    }
    assert!((MOST_HELD * 9 / 10..MOST_HELD + (1 << 20)).contains(&most), "{most}");
}

#[test]
fn nothing_is_measured_past_the_end() {
    let until_ms = Settings::default().start_ms + 60_000;
    let mut simulation = Simulation::new(Settings { until_ms: Some(until_ms), late_share: 0.5, ..Settings::default() });
    assert!(simulation.all(|emission| emission.event_ms < until_ms));
    assert_eq!(simulation.counts().readings, 6_000);
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

async fn sent(text: &[&str]) -> Summary {
    let (_keep, stop) = watch::channel(false);
    run(args(text), stop).await.unwrap()
}

#[tokio::test]
async fn files_are_partitions_by_sensor() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let summary =
        sent(&["--files", path, "--partitions", "3", "--readings", "900", "--sensors", "30", "--disorder", "0"]).await;
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
async fn files_of_csv_open_with_the_header_and_stations_lie_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    sent(&["--shape", "synop", "--files", path, "--partitions", "2", "--readings", "124"]).await;
    let mut ids = BTreeSet::new();
    for partition in 0..2 {
        let text = std::fs::read_to_string(dir.path().join(format!("part-{partition}.csv"))).unwrap();
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("numer_sta;date;pmer;"));
        ids.extend(lines.map(|line| line.split(';').next().unwrap().to_owned()));
    }
    let list = dir.path().join("stations.csv");
    let known: BTreeSet<String> = stations::read(&list).unwrap().into_iter().map(|station| station.id).collect();
    assert_eq!((ids.len(), ids), (62, known));
    // The list of the made up stations makes up the same ones again.
    let again = settings(&["--shape", "synop", "--stations", list.to_str().unwrap()]).unwrap();
    assert_eq!((again.sensors, again.stations[5].id.as_str()), (62, "99005"));
}

#[tokio::test]
async fn a_rate_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let summary =
        sent(&["--files", dir.path().to_str().unwrap(), "--readings", "100", "--rate", "500", "--disorder", "0"]).await;
    assert!((0.15..2.0).contains(&summary.seconds), "{summary}");
}

/// What lies in the past goes at once, and what follows in its time.
#[tokio::test]
async fn a_rate_catches_up_with_the_present() {
    let dir = tempfile::tempdir().unwrap();
    let start = (chrono::Utc::now() - chrono::TimeDelta::hours(1)).to_rfc3339();
    let arguments = ["--files", dir.path().to_str().unwrap(), "--start", &start, "--rate", "10", "--sensors", "10"];
    let summary = sent(&[&arguments[..], &["--disorder", "0", "--readings", "36005"]].concat()).await;
    assert_eq!(summary.counts.readings, 36_005);
    assert!((0.2..20.0).contains(&summary.seconds), "{summary}");
}

#[tokio::test]
async fn a_wish_to_stop_ends_an_endless_run() {
    let dir = tempfile::tempdir().unwrap();
    let (tell, stop) = watch::channel(false);
    let endless = args(&["--files", dir.path().to_str().unwrap(), "--rate", "200", "--disorder", "0"]);
    let running = tokio::spawn(run(endless, stop));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    tell.send(true).unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), running).await;
    let summary = ended.unwrap().unwrap().unwrap();
    assert!((10..500).contains(&summary.counts.readings), "{summary}");
    let written: usize = (0..2)
        .map(|part| std::fs::read_to_string(dir.path().join(format!("part-{part}.ndjson"))).unwrap().lines().count())
        .sum();
    assert!(written > 0 && written as u64 == summary.sent && summary.sent <= summary.counts.records, "{summary}");
}

const NOW: i64 = 1_800_000_000_000;

fn settings(text: &[&str]) -> Result<Settings, SimulateError> {
    super::run::settings(&args(text), NOW)
}

#[test]
fn times_follow_from_what_is_given() {
    let of = |text: &[&str]| {
        let settings = settings(text).unwrap();
        (settings.start_ms, settings.until_ms, settings.readings, settings.interval_ms)
    };
    assert_eq!(of(&[]), (NOW - 1_000_000, None, 100_000, 10_000), "up to now");
    assert_eq!(of(&["--rate", "100"]), (NOW, None, u64::MAX, 10_000), "from now on");
    let start = 1_772_323_200_000;
    assert_eq!(of(&["--start", "2026-03-01"]), (start, None, 100_000, 10_000));
    assert_eq!(of(&["--start", "2026-03-01", "--until", "now"]), (start, Some(NOW), u64::MAX, 10_000), "a backfill");
    assert_eq!(of(&["--start", "2026-03-01", "--rate", "50"]), (start, None, u64::MAX, 20_000), "and then live");
    assert_eq!(of(&["--until", "2026-03-01"]).0, start - 1_000_000);
    let synop = of(&["--shape", "synop"]);
    assert_eq!((synop.3, synop.0 % 10_800_000), (10_800_000, 0), "on the hour");
}

#[test]
fn arguments_that_do_not_go_together_are_refused() {
    for (text, wanted) in [
        (&["--rate", "10", "--interval", "5"][..], "1000 sensors at 10 readings a second send every 100 s each"),
        (&["--rate", "5000", "--sensors", "2"], "more --sensors"),
        (&["--shape", "synop", "--format", "json"], "are CSV"),
        (&["--stations", "/no/such"], "/no/such: No such file"),
        (&["--write-stations", "x"], "are of --shape synop"),
    ] {
        let message = settings(text).unwrap_err().to_string();
        assert!(message.contains(wanted), "{message}");
    }
}
