//! The guarantee, against real servers: whatever crashes, every row equals an independent recount of the topic.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{Scenario, Servers, python, succeed, wait_for};

/// Writing 6 partitions of readings with everything that goes wrong in the field.
pub struct Producer(Child);

impl Producer {
    /// Returns once the topic exists. A rate of 0 writes as fast as it can.
    pub fn start(scenario: &Scenario, records: u32, per_second: u32, seed: u32) -> Producer {
        let numbers = [6, records, per_second, seed].map(|number| number.to_string());
        let mut arguments = vec!["produce", &scenario.kafka, &scenario.name];
        arguments.extend(numbers.iter().map(String::as_str));
        let mut child = python("temperatures.py", &arguments).stdout(Stdio::piped()).spawn().expect("python starts");
        let mut created = [0; 8];
        let out = child.stdout.as_mut().expect("the output is piped");
        std::io::Read::read_exact(out, &mut created).expect("the topic is created");
        Producer(child)
    }

    pub fn finish(mut self, limit: Duration) {
        let status = wait_for("the producer's end", limit, || {
            self.0.try_wait().expect("a child can be asked").ok_or_else(|| "it still writes".to_owned())
        });
        assert!(status.success(), "the producer failed: {status}");
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every row through CQL, every tally and every reject, against the topic: succeeds where all are equal.
fn recount(scenario: &Scenario) -> Command {
    recount_with(scenario, 30)
}

/// The same, where the threshold is another one.
pub fn recount_with(scenario: &Scenario, threshold: u32) -> Command {
    let Scenario { name, kafka, cassandra, .. } = scenario;
    let status = scenario.status();
    let status = status.to_str().expect("a path of ours is UTF-8");
    let (rejects, late) = (format!("{name}.rejects"), format!("{name}.late"));
    python("temperatures.py", &["check", kafka, name, cassandra, name, status, &rejects, &late, &threshold.to_string()])
}

/// Runs once more: no cell of either table may change.
fn check_that_another_run_changes_nothing(scenario: &Scenario) {
    let show = || succeed(&mut python("temperatures.py", &["rows", &scenario.cassandra, &scenario.name]));
    let before = show();
    scenario.run_until_end(Duration::from_secs(90));
    assert!(!before.is_empty() && before == show(), "a run without new readings changed a row");
}

pub fn migrate(scenario: &Scenario) {
    succeed(&mut scenario.etiage("migrate", &[]));
    // A second time there is nothing to do, and nothing to complain of.
    succeed(&mut scenario.etiage("migrate", &[]));
}

/// Sleeps until so many seconds after the beginning: the schedule stays, whatever a step takes.
fn at(begun: Instant, second: u64) {
    sleep(Duration::from_secs(second).saturating_sub(begun.elapsed()));
}

#[test]
fn kafka_cassandra_every_row_is_exact_whatever_crashes() {
    let servers = Servers::own("faults");
    let scenario = Scenario::new(&servers, "temperatures.toml", "temperatures").with("STORE__COMMIT_LAG", "2s");
    let producer = Producer::start(&scenario, 190_000, 2_000, 1);
    migrate(&scenario);
    let begun = Instant::now();

    let first = scenario.start();
    at(begun, 10);
    let (second, third) = (scenario.start(), scenario.start());
    at(begun, 22);
    second.kill();
    at(begun, 30);
    servers.kill_cassandra();
    at(begun, 60);
    servers.start_cassandra();
    at(begun, 75);
    servers.restart_kafka();
    at(begun, 90);
    // As long as a busy machine may take: what is promised is that no row is wrong, not how fast a Python script writes.
    producer.finish(Duration::from_secs(300));
    first.stop();
    third.stop();

    scenario.run_until_end(Duration::from_secs(120));
    succeed(&mut recount(&scenario));
    check_that_another_run_changes_nothing(&scenario);
}

#[test]
fn kafka_cassandra_every_row_is_exact_at_the_default_commit_lag() {
    let servers = Servers::shared();
    let scenario = Scenario::new(&servers, "temperatures.toml", "temperatures");
    Producer::start(&scenario, 20_000, 0, 2).finish(Duration::from_secs(60));
    migrate(&scenario);

    let killed = scenario.start();
    sleep(Duration::from_secs(8));
    killed.kill();
    scenario.run_until_end(Duration::from_secs(120));
    succeed(&mut recount(&scenario));
}

/// Guards the guard: a recount that never fails would prove nothing.
#[test]
fn kafka_cassandra_the_recount_notices_a_missing_reading() {
    let servers = Servers::shared();
    let scenario = Scenario::new(&servers, "temperatures.toml", "temperatures").with("STORE__COMMIT_LAG", "1s");
    Producer::start(&scenario, 20_000, 0, 3).finish(Duration::from_secs(60));
    migrate(&scenario);
    scenario.run_until_end(Duration::from_secs(90));
    succeed(&mut recount(&scenario));

    // One more record, and no run: what CQL shows is no longer what the topic holds.
    succeed(&mut python("temperatures.py", &["spoil", &scenario.kafka, &scenario.name]));
    let verdict = recount(&scenario).output().expect("python starts");
    assert!(!verdict.status.success(), "the recount did not notice a reading that no row holds");
    let text = String::from_utf8_lossy(&verdict.stdout);
    assert!(text.contains("count is"), "it failed for another reason: {text}");
}
