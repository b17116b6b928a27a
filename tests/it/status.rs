//! `etiage status` and `etiage check` beside a running instance, and after it.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Scenario, Servers, python, succeed, wait_for};

fn status(scenario: &Scenario) -> Value {
    let text = std::fs::read_to_string(scenario.status()).expect("written");
    serde_json::from_str(&text).expect("JSON")
}

fn sum(status: &Value, key: &str) -> i64 {
    let partitions = status["partitions"].as_array().expect("partitions");
    partitions.iter().map(|one| one[key].as_i64().unwrap_or(0)).sum()
}

#[test]
fn kafka_cassandra_status_tells_of_an_instance_while_it_runs_and_after() {
    let servers = Servers::shared();
    let scenario = Scenario::new(&servers, "temperatures.toml", "temperatures").with("STORE__COMMIT_LAG", "1s");
    let arguments = ["produce", &scenario.kafka, &scenario.name, "6", "6000", "0", "5"];
    succeed(&mut python("temperatures.py", &arguments));
    succeed(&mut scenario.etiage("migrate", &[]));
    let nothing = status(&scenario);
    assert_eq!((sum(&nothing, "committed_lag"), &nothing["running"]), (6_000, &Value::Bool(false)), "{nothing:#}");

    let engine = scenario.start();
    let running = wait_for("everything is folded and told", Duration::from_secs(60), || {
        let status = status(&scenario);
        let done = status["lag"]["folded"] == 0 && status["running"] == true && sum(&status, "committed") == 6_000;
        if done { Ok(status) } else { Err(format!("{status:#}")) }
    });
    let instances = running["instances"].as_array().expect("instances");
    assert!(matches!(&instances[..], [one] if one["partitions"] == 6 && one["running"] == true), "{running:#}");
    assert_eq!(running["members"].as_array().map(Vec::len), Some(1), "{running:#}");
    assert!(running["open_windows"].as_i64() > Some(0) && running["adds_up"] == true, "{running:#}");
    let heartbeat = &running["partitions"][0]["heartbeat"];
    assert_eq!(heartbeat["watermark"], running["partitions"][0]["views"][0]["watermark"], "{running:#}");
    well(&scenario);

    engine.stop();
    let after = wait_for("the heartbeats are old", Duration::from_secs(30), || {
        let status = status(&scenario);
        if status["running"] == false { Ok(status) } else { Err(format!("{status:#}")) }
    });
    assert_eq!((&after["partitions"][0]["folded"], &after["lag"]["committed"]), (&Value::Null, &Value::from(0)));
    let text = succeed(&mut scenario.etiage("status", &[]));
    assert!(text.contains("not running, last seen") && text.contains("no instance runs"), "{text}");
    assert!(text.contains("lag 0 folded, 0 committed") && text.contains("tallies add up"), "{text}");
}

/// All is well with what runs, but for what one node and one producer's clock cannot give.
fn well(scenario: &Scenario) {
    let report: Value = serde_json::from_str(&succeed(&mut scenario.etiage("check", &["--json"]))).expect("JSON");
    let texts = |level: &str| -> Vec<String> {
        let findings = report["findings"].as_array().expect("findings").iter();
        let told = findings.filter(|one| one["level"] == level);
        told.map(|one| format!("{}: {}", one["about"].as_str().unwrap_or(""), one["text"].as_str().unwrap_or("")))
            .collect()
    };
    let has = |level: &str, says: &str| {
        assert!(texts(level).iter().any(|text| text.contains(says)), "no {level} says {says:?}: {report:#}");
    };
    has("warning", "message.timestamp.type = CreateTime");
    has("warning", "it has one replica");
    has("warning", "one replica, so a lost node loses rows");
    has("warning", "set store.commit_lag to");
    has("ok", "view region: generation 1 is live and means the same");
    has("ok", "6 of 6 partitions can go on, 0 records behind");
    has("ok", "one member runs now");
    let readings = report["streams"][0]["readings"].as_array().expect("readings");
    assert_eq!(readings.len(), 10, "{report:#}");
    assert!(readings.iter().any(|one| one["regions"][0]["code"].is_string()), "{report:#}");
}
