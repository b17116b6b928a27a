//! What stops the engine for good names a replay, and that replay repairs it.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{Files, OLD, fails, readings, replay, rows, until_end};
use crate::faults::{Producer, migrate};
use crate::support::{Scenario, Servers, scratch, succeed, wait_for};

const REPAIR: &str = "`etiage replay --from earliest --forget-history`";

/// A part whose bytes are not what was written is told with its place, and never taken for an empty one.
#[test]
fn a_corrupted_part_is_told_and_its_window_computed_again() {
    let files = Files::new();
    let config = files.config("rows", OLD);
    until_end(&config);
    let before = rows(&config);
    let store = rusqlite::Connection::open(files.0.path().join("rows.db")).expect("the store opens");
    let damaged = store
        .execute(
            "UPDATE parts SET state = CAST(substr(state, 1, 8) || x'7f' || substr(state, 10) AS BLOB) WHERE key = '53'",
            [],
        )
        .expect("parts are there");
    assert!(damaged > 40, "parts of two days in Bretagne: {damaged}");
    drop(store);
    // Further readings of windows that are there already want their parts back.
    let file = files.0.path().join("0.ndjson");
    std::fs::write(&file, readings(0) + &readings(0)).expect("written");
    let damaged = super::etiage(&config, &["run", "--until-end"]).output().expect("the binary starts");
    let said = String::from_utf8_lossy(&damaged.stderr).into_owned();
    assert!(!damaged.status.success() && said.contains("is corrupted") && said.contains("\"53\""), "{said}");
    assert!(said.contains("`etiage replay --from earliest`"), "{said}");
    assert!(rows(&config).lines().count() == before.lines().count(), "no row has gone");

    replay(&config);
    assert_eq!(rows(&config), rows(&files.fresh(OLD)));
    until_end(&config);
}

/// Of a file that has lost lines, the rows count what it holds, once somebody has said that this is wanted; and it goes on.
#[test]
fn a_file_that_was_cut_is_counted_as_it_is_then() {
    let files = Files::new();
    let config = files.config("rows", OLD);
    until_end(&config);
    let file = files.0.path().join("1.ndjson");
    let held = readings(1);
    let less = held.split_inclusive('\n').take(500).collect::<String>();
    std::fs::write(&file, &less).expect("written");
    fails(&mut super::etiage(&config, &["replay", "--from", "earliest"]), "what is gone would be missing");
    succeed(&mut super::etiage(&config, &["replay", "--from", "earliest", "--forget-history"]));
    assert_eq!(rows(&config), rows(&files.fresh(OLD)));
    until_end(&config);
    std::fs::write(&file, less + &readings(0)).expect("written");
    until_end(&config);
    std::fs::remove_file(files.0.path().join("fresh.db")).expect("removed");
    assert_eq!(rows(&config), rows(&files.fresh(OLD)));
}

fn admin(scenario: &Scenario) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &scenario.kafka).create().expect("an admin client")
}

/// Removes all but the last records of the topic's first partition.
async fn keep_the_last(scenario: &Scenario, records: i64) {
    let client = admin(scenario);
    let (_, end) = client.inner().fetch_watermarks(&scenario.name, 0, Duration::from_secs(10)).expect("its ends");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&scenario.name, 0, Offset::Offset(end - records)).expect("valid");
    client.delete_records(&list, &AdminOptions::new()).await.expect("deleted");
}

async fn create_again(scenario: &Scenario) {
    let client = admin(scenario);
    client.delete_topics(&[&scenario.name], &AdminOptions::new()).await.expect("deleted");
    let wanted = NewTopic::new(&scenario.name, 6, TopicReplication::Fixed(1));
    // Its removal takes a moment.
    for _ in 0..100 {
        let created = client.create_topics([&wanted], &AdminOptions::new()).await.expect("an answer");
        if created.iter().all(Result::is_ok) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("the topic is not created again");
}

/// The rows that a store and a group have that never knew anything but what the topic holds now.
fn fresh(scenario: &Scenario, name: &str) -> String {
    let path = scratch(name).join("rows.db");
    let fresh = scenario
        .clone()
        .with("STORE__PATH", path.to_str().expect("a path of ours is UTF-8"))
        .with("KAFKA__GROUP_ID", &format!("{}.{name}", scenario.name));
    migrate(&fresh);
    fresh.run_until_end(Duration::from_secs(60));
    rows_of(&fresh)
}

fn rows_of(scenario: &Scenario) -> String {
    let columns = "key,window_start,count,mean,min,max,stddev,alarms,revision";
    let rows = ["--view", "region", "--metric", "temperature", "--csv", "--columns", columns];
    succeed(&mut scenario.etiage("rows", &rows))
}

/// Records, of all partitions.
fn committed(scenario: &Scenario) -> Result<i64, String> {
    let output = scenario.etiage("status", &["--json"]).output().expect("etiage starts");
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let partitions = status["partitions"].as_array().expect("partitions");
    Ok(partitions.iter().filter_map(|partition| partition["committed"].as_i64()).sum())
}

fn repair(scenario: &Scenario, says: &str) {
    fails(&mut scenario.etiage("run", &["--until-end"]), says);
    fails(&mut scenario.etiage("run", &["--until-end"]), REPAIR);
    // Without the word, what was there is not given up.
    fails(
        &mut scenario.etiage("replay", &["--from", "earliest"]),
        "say --view region --from earliest --forget-history",
    );
    succeed(&mut scenario.etiage("replay", &["--from", "earliest", "--forget-history"]));
}

/// What retention has removed cannot be computed again: the rows that hold any of it stay, all later ones are as in a store
/// that began with what is left.
#[tokio::test]
async fn kafka_rows_whose_readings_have_left_the_log_stay_as_they_are() {
    let servers = Servers::shared();
    let scenario = Scenario::new(&servers, "temperatures.toml", "temperatures").embedded();
    let producer = Producer::start(&scenario, 60_000, 3_000, 6);
    migrate(&scenario);
    // Each ownership keeps a position that it has committed: the second one soon after what is going to be lost.
    let mut enough = 20_000;
    for _ in 0..2 {
        let engine = scenario.start();
        let further =
            || committed(&scenario).and_then(|now| if now >= enough { Ok(()) } else { Err(format!("{now} records")) });
        wait_for("further commits", Duration::from_secs(60), further);
        engine.stop();
        enough = committed(&scenario).expect("they are there") + 1;
    }
    producer.finish(Duration::from_secs(60));
    scenario.run_until_end(Duration::from_secs(60));
    let before = rows_of(&scenario);
    let warmer = scenario.clone().with("STREAMS__TEMPERATURES__METRICS__TEMPERATURE__THRESHOLD", "20");
    let rolled = warmer.clone().with("VIEWS__REGION__ROLLUPS", r#"["1d"]"#);
    keep_the_last(&scenario, 7_000).await;

    fails(&mut rolled.etiage("replay", &["--from", "earliest"]), "1d from 2024-03-01T00:00:00+00:00 to 2024-03-02");
    let dry = succeed(&mut warmer.etiage("replay", &["--from", "earliest", "--dry-run"]));
    assert!(dry.contains(" 0 removed") && dry.contains("rows are left as they are"), "{dry}");
    succeed(&mut warmer.etiage("replay", &["--from", "earliest"]));
    let new = rows_of(&warmer);
    let anew = fresh(&warmer, "left");
    changes_from_the_horizon_on(&warmer, &before, &new, &anew);
    let status = succeed(&mut warmer.etiage("status", &["--json"]));
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["adds_up"], true);

    // It goes on like that, and so does a replay after it.
    warmer.run_until_end(Duration::from_secs(60));
    assert_eq!(rows_of(&warmer), new);
    succeed(&mut warmer.etiage("replay", &["--from", "earliest"]));
    assert_eq!(rows_of(&warmer), new);
    // The old rules again, for the windows that are open still.
    succeed(&mut scenario.etiage("replay", &["--from", "now"]));
    changes_from_the_horizon_on(&scenario, &new, &rows_of(&scenario), &before);
}

/// Up to the horizon of the newest generation the rows are those of `before`, and from there on those of `anew`.
fn changes_from_the_horizon_on(scenario: &Scenario, before: &str, rows: &str, anew: &str) {
    let listed = succeed(&mut scenario.etiage("generations", &[]));
    let horizon = listed.lines().last().and_then(|line| line.split_whitespace().last()).expect("the new generation's");
    assert!(horizon.starts_with("2024-03-0"), "{listed}");
    let is_left = |row: &&str| row.split(',').nth(1).is_some_and(|start| start <= horizon);
    let divided = |rows: &str| -> (Vec<String>, Vec<String>) {
        let (left, later): (Vec<&str>, Vec<&str>) = rows.lines().skip(1).partition(is_left);
        (left.into_iter().map(str::to_owned).collect(), later.into_iter().map(str::to_owned).collect())
    };
    let (left, computed) = divided(rows);
    assert_eq!((&left, &computed), (&divided(before).0, &divided(anew).1));
    assert!(left.len() > 50 && computed.len() > 50, "{} and {}", left.len(), computed.len());
}

#[tokio::test]
async fn kafka_what_a_log_has_lost_is_repaired_by_the_replay_that_the_message_names() {
    let servers = Servers::shared();
    let scenario = Scenario::new(&servers, "temperatures.toml", "temperatures").embedded();
    let producer = Producer::start(&scenario, 12_000, 1_500, 5);
    migrate(&scenario);
    let engine = scenario.start();
    std::thread::sleep(Duration::from_secs(4));
    engine.stop();
    producer.finish(Duration::from_secs(60));
    assert!(rows_of(&scenario).lines().count() > 10, "some of it was folded");

    keep_the_last(&scenario, 100).await;
    repair(&scenario, "retention has removed records that were not folded");
    assert_eq!(rows_of(&scenario), fresh(&scenario, "kept"));
    scenario.run_until_end(Duration::from_secs(60));

    // (The brokers have forgotten its commits with it: what the new one holds would be added.)
    create_again(&scenario).await;
    fails(
        &mut scenario.etiage("replay", &["--from", "earliest"]),
        "say --view region --from earliest --forget-history",
    );
    succeed(&mut scenario.etiage("replay", &["--from", "earliest", "--forget-history"]));
    assert_eq!(rows_of(&scenario), fresh(&scenario, "anew"));
}
