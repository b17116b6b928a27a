//! Connections with TLS, certificates and passwords, on servers that ask for them; what the store's roles may do;
//! and that no secret is ever told.

use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::support::{Scenario, Servers, succeed};

mod cassandra;
mod kafka;
mod roles;
mod secrets;

/// Begins every secret of these tests: what a search must never find.
const SECRET: &str = "S3cr3t";
const KAFKA_PASSWORD: &str = "S3cr3t-of-Kafka";
const KEY_PASSWORD: &str = "S3cr3t-of-the-key";

/// The servers of these tests, started by the first that needs them and stopped by the last.
fn servers() -> Arc<Servers> {
    static SHARED: Mutex<Weak<Servers>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(servers) = shared.upgrade() {
        return servers;
    }
    let settings = [("KAFKA_PASSWORD", KAFKA_PASSWORD), ("CLIENT_KEY_PASSWORD", KEY_PASSWORD)];
    let servers = Arc::new(Servers::secured("secured", &settings));
    *shared = Arc::downgrade(&servers);
    servers
}

fn scenario(servers: &Servers) -> Scenario {
    Scenario::new(servers, "temperatures.toml", "temperatures").with("STORE__COMMIT_LAG", "500ms")
}

/// With settings of the Kafka client, such as `sasl.mechanism`.
fn with_kafka(scenario: Scenario, settings: &[(&str, &str)]) -> Scenario {
    let name = |key: &str| format!("KAFKA__{}", key.replace('.', "_").to_uppercase());
    settings.iter().fold(scenario, |scenario, (key, value)| scenario.with(&name(key), value))
}

/// With the authority that the secured Cassandra's certificate is of, and a role's credentials.
fn with_cassandra(scenario: Scenario, servers: &Servers, username: &str, password: &str) -> Scenario {
    scenario
        .with("STORE__TLS__CA", &servers.certificate("cassandra", "ca.pem"))
        .with("STORE__USERNAME", username)
        .with("STORE__PASSWORD", password)
}

/// Puts simulated readings into the scenario's topic, over the plain listener.
fn simulate(scenario: &Scenario, readings: u32) {
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_etiage"));
    simulate.args(["simulate", "--topic", &scenario.name, "--brokers", &scenario.kafka, "--sensors", "200"]);
    simulate.args(["--per-record", "2", "--interval", "300", "--start", "2019-02-19T00:00:00Z"]);
    succeed(simulate.args(["--readings", &readings.to_string()]));
}

/// The rows as CSV, without the last column: when each was written.
fn rows(scenario: &Scenario) -> String {
    let text = succeed(&mut scenario.etiage("rows", &["--view", "region", "--metric", "temperature", "--csv"]));
    let lines = text.lines().map(|line| line.rsplit_once(',').expect("several columns").0);
    lines.collect::<Vec<_>>().join("\n")
}

/// How long a command may take until it says that it is refused.
const SOON: Duration = Duration::from_secs(25);

/// Runs a command that cannot succeed: the one sentence with which it ends, soon.
fn refusal(scenario: &Scenario, command: &str, arguments: &[&str]) -> String {
    let begun = Instant::now();
    let mut limited = Command::new("timeout");
    let run = scenario.etiage(command, arguments);
    limited.arg(SOON.as_secs().to_string()).arg(run.get_program()).args(run.get_args());
    limited.envs(run.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let output = limited.output().expect("the binary starts");
    let told = String::from_utf8(output.stderr).expect("messages are UTF-8");
    let took = begun.elapsed();
    assert_eq!(output.status.code(), Some(1), "{command} ended with {} after {took:?}:\n{told}", output.status);
    let last = told.lines().last().unwrap_or_default();
    let sentence =
        last.strip_prefix("etiage: ").unwrap_or_else(|| panic!("{command} does not end in its error:\n{told}"));
    println!("{command}, after {took:?}: {sentence}");
    sentence.to_owned()
}

/// The command is refused with a sentence that has each of these words.
fn refused(scenario: &Scenario, command: &str, arguments: &[&str], words: &[&str]) {
    let sentence = refusal(scenario, command, arguments);
    for word in words {
        assert!(sentence.contains(word), "`{command}` does not speak of {word:?}: {sentence}");
    }
    assert!(!sentence.contains(SECRET), "{sentence}");
}

const ROWS: [&str; 4] = ["--view", "region", "--metric", "temperature"];
