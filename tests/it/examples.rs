//! The examples as they are shipped: simulated sensors → topic → rows, against a recount of the topic.

use std::process::Command;
use std::time::Duration;

use crate::support::{Scenario, Servers, python, scratch, succeed};

/// `etiage simulate` into the scenario's topic, with everything that goes wrong in the field.
fn simulate(scenario: &Scenario, shape: &str, arguments: &[&str]) {
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_etiage"));
    simulate.args(["simulate", "--shape", shape, "--topic", &scenario.name, "--brokers", &scenario.kafka]);
    simulate.args(["--late", "0.05", "--duplicates", "0.02", "--garbage", "0.02", "--disorder", "5m"]);
    succeed(simulate.args(arguments));
}

/// Runs to the topic's end, and compares every row with a recount of the readings by region and hour.
fn run_and_recount(scenario: &Scenario, shape: &str, stations: Option<&str>) {
    let Scenario { name, kafka, cassandra, .. } = scenario;
    scenario.run_until_end(Duration::from_secs(180));
    let mut arguments = vec![shape, kafka, name, cassandra, name];
    arguments.extend(stations);
    succeed(&mut python("plain.py", &arguments));
}

#[test]
fn kafka_cassandra_temperatures_are_averaged_by_region() {
    let servers = Servers::shared();
    let scenario = Scenario::of_example(&servers, "temperatures", "temperatures")
        .with("STREAMS__TEMPERATURES__IDLE_AFTER", "1h")
        .with("STORE__COMMIT_LAG", "2s");
    succeed(&mut scenario.etiage("migrate", &["--partitions", "4"]));
    let days = ["--start", "2025-03-01T06:00:00Z", "--until", "2025-03-03T06:00:00Z", "--interval", "10m"];
    simulate(&scenario, "temperatures", &[&days[..], &["--sensors", "200", "--per-record", "3"]].concat());
    run_and_recount(&scenario, "temperatures", None);
}

#[test]
fn kafka_cassandra_synop_stations_have_their_places_from_the_registry() {
    let servers = Servers::shared();
    let stations = scratch("stations").join("stations.csv");
    let stations = stations.to_str().expect("a path of ours is UTF-8");
    let scenario = Scenario::of_example(&servers, "synop", "synop")
        .with("STREAMS__SYNOP__STATIONS__FILE", stations)
        .with("STREAMS__SYNOP__IDLE_AFTER", "1h")
        .with("STORE__COMMIT_LAG", "2s");
    let days = ["--start", "2025-03-01", "--until", "2025-03-08", "--sensors", "80", "--abroad", "0.1"];
    // The registry must be there before the first command.
    let mut write = Command::new(env!("CARGO_BIN_EXE_etiage"));
    write.args(["simulate", "--shape", "synop", "--readings", "1", "--write-stations", stations]);
    succeed(write.args(days));
    succeed(&mut scenario.etiage("migrate", &["--partitions", "4"]));
    simulate(&scenario, "synop", &days);
    run_and_recount(&scenario, "synop", Some(stations));
}

/// Runs to the topic's end, and compares every row with what the script counts.
fn run_and_check(scenario: &Scenario, script: &str) {
    let Scenario { name, kafka, cassandra, .. } = scenario;
    // By hand, what no simulated sensor sends.
    succeed(&mut python(script, &["extra", kafka, name]));
    scenario.run_until_end(Duration::from_secs(300));
    succeed(&mut python(script, &["check", kafka, name, cassandra, name]));
}

#[test]
fn kafka_cassandra_bts_alarms_are_counted_by_station_and_tenant() {
    let servers = Servers::shared();
    // No partition is idle before the test is over: what is final then follows from the readings alone.
    let scenario = Scenario::of_example(&servers, "bts-alarms", "alarms")
        .with("STREAMS__ALARMS__IDLE_AFTER", "1h")
        .with("STORE__COMMIT_LAG", "5s");
    succeed(&mut scenario.etiage("migrate", &["--partitions", "4"]));
    // Two days around the night on which Paris loses an hour.
    let days = ["--start", "2025-03-29T06:00:00Z", "--until", "2025-03-31T06:00:00Z", "--interval", "10m"];
    simulate(&scenario, "bts-alarms", &[&days[..], &["--sensors", "60", "--tenants", "8"]].concat());
    run_and_check(&scenario, "alarms.py");
}

#[test]
fn kafka_cassandra_city_sensors_have_every_quantity_by_region_and_sensor() {
    let servers = Servers::shared();
    let scenario = Scenario::of_example(&servers, "city-sensors", "city")
        .with("STREAMS__CITY__IDLE_AFTER", "1h")
        .with("STORE__COMMIT_LAG", "5s");
    succeed(&mut scenario.etiage("migrate", &["--partitions", "4"]));
    // Both nights on which the clocks of Paris change, with a Monday, and the first of April.
    for (seed, start, until) in
        [("1", "2025-03-29T18:00:00Z", "2025-04-01T02:00:00Z"), ("2", "2025-10-25T18:00:00Z", "2025-10-27T06:00:00Z")]
    {
        let days = ["--seed", seed, "--start", start, "--until", until, "--interval", "20m"];
        simulate(&scenario, "city-sensors", &[&days[..], &["--sensors", "72", "--per-record", "2"]].concat());
    }
    run_and_check(&scenario, "city.py");
}

#[test]
fn kafka_a_header_names_the_tenant() {
    let servers = Servers::shared();
    let scenario = Scenario::new(&servers, "tenants.toml", "tenants").embedded();
    succeed(&mut scenario.etiage("migrate", &["--partitions", "2"]));
    succeed(&mut python("headers.py", &[&scenario.kafka, &scenario.name]));
    scenario.run_until_end(Duration::from_secs(60));
    for (tenant, count) in [("one", "10"), ("two", "5"), ("other", ""), ("", "")] {
        let view = ["--view", "day", "--metric", "temperature", "--tenant", tenant, "--columns", "count", "--csv"];
        let rows = succeed(&mut scenario.etiage("rows", &view));
        assert_eq!(rows.lines().skip(1).collect::<Vec<_>>().concat(), count, "tenant {tenant:?}");
    }
    let status = std::fs::read_to_string(scenario.status()).expect("the status was written");
    let status: serde_json::Value = serde_json::from_str(&status).expect("a status is JSON");
    let partitions = status["partitions"].as_array().expect("partitions");
    let sum = |what: &str| -> u64 { partitions.iter().filter_map(|one| one["views"][0][what].as_u64()).sum() };
    assert_eq!((sum("seen"), sum("folded"), sum("rejected")), (20, 15, 5));
}
