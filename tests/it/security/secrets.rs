//! Passwords and passphrases occur nowhere: not in logs at their most talkative, not in errors, status or metrics.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KAFKA_PASSWORD, KEY_PASSWORD, ROWS, SECRET, scenario, servers, simulate, with_cassandra, with_kafka};
use crate::support::{Scenario, Servers, scratch, succeed, wait_for};

const STORE_PASSWORD: &str = "S3cr3t-of-the-store";
/// How every refusal begins.
const REFUSED: &str = "etiage: ";
const WRONG: &str = "S3cr3t-but-wrong";

/// Everything that was said, by what said it.
struct Told {
    directory: PathBuf,
    all: Vec<(String, String)>,
}

/// A running engine; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Told {
    /// Runs a command to its end; it says this word, which is no secret, among others.
    fn by(&mut self, scenario: &Scenario, command: &str, arguments: &[&str], word: &str) {
        let output = scenario.etiage(command, arguments).output().expect("the binary starts");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.success(), word != REFUSED, "{command}: {}", end(&text));
        assert!(text.contains(word), "{command} {arguments:?} does not say {word:?}: {}", end(&text));
        self.all.push((format!("{command} {arguments:?}"), text));
    }

    /// A running engine's metrics, and all that it says until it is stopped.
    fn by_running(&mut self, scenario: &Scenario) {
        let log = self.directory.join("run.log");
        let mut engine = spawn(scenario, &log);
        let address = wait_for("the address of the metrics", Duration::from_secs(60), || {
            let text = read(&log);
            let found =
                text.lines().find_map(|line| line.split_once("metrics and health address=").map(|(_, rest)| rest));
            found.map(str::to_owned).ok_or_else(|| end(&text))
        });
        let metrics = wait_for("folded readings", Duration::from_secs(60), || {
            let page = get(address.trim(), "/metrics");
            let counts = |line: &str| line.starts_with("etiage_readings_total") && line.contains("folded");
            let folded = page.lines().any(|line| counts(line) && !line.ends_with(" 0"));
            if folded && page.contains(&scenario.name) {
                Ok(page)
            } else {
                Err(format!("{page}\n{}", end(&read(&log))))
            }
        });
        succeed(Command::new("kill").arg("-TERM").arg(engine.0.id().to_string()));
        assert!(engine.0.wait().expect("a child can be waited for").success(), "{}", end(&read(&log)));
        self.all.push(("/metrics".into(), metrics));
        self.all.push(("run".into(), read(&log)));
    }

    fn check(&self) {
        for (who, text) in &self.all {
            if let Some(line) = leak(text) {
                panic!("{who} tells a secret: {line}");
            }
        }
    }
}

/// The first line with a secret, as it is or as SASL sends it.
fn leak(text: &str) -> Option<&str> {
    let sent = |secret: &str| STANDARD.encode(secret).trim_end_matches('=').to_owned();
    let coded = [KAFKA_PASSWORD, KEY_PASSWORD, STORE_PASSWORD, WRONG].map(sent);
    let small = SECRET.to_lowercase();
    text.lines().find(|line| line.to_lowercase().contains(&small) || coded.iter().any(|secret| line.contains(secret)))
}

fn spawn(scenario: &Scenario, log: &Path) -> Running {
    let file = File::create(log).expect("a log can be written");
    let mut command = scenario.etiage("run", &[]);
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("a log can be shared")).stderr(file);
    Running(command.spawn().expect("the binary starts"))
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).expect("a log can be read")).into_owned()
}

fn end(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the metrics are served");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("a request is taken");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("a page");
    page
}

/// Every secret there is, in use: SASL over TLS with a locked client key, and a password for the store.
fn secretive(servers: &Servers) -> Scenario {
    let file = |name: &str| servers.certificate("kafka", name);
    let kafka = [
        ("bootstrap.servers", servers.listener("sasl_ssl")),
        ("security.protocol", "SASL_SSL".into()),
        ("sasl.mechanism", "PLAIN".into()),
        ("sasl.username", "etiage".into()),
        ("sasl.password", KAFKA_PASSWORD.into()),
        ("ssl.ca.location", file("ca.pem")),
        ("ssl.certificate.location", file("client.pem")),
        ("ssl.key.location", file("client.locked.key")),
        ("ssl.key.password", KEY_PASSWORD.into()),
        ("debug", "security,broker,feature,cgrp,conf".into()),
    ];
    let kafka: Vec<(&str, &str)> = kafka.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let scenario =
        with_kafka(scenario(servers), &kafka).with("LOG__LEVEL", "trace").with("SERVE__LISTEN", "127.0.0.1:0");
    let login = format!("{}_login", scenario.name);
    let scenario = with_cassandra(scenario, servers, &login, STORE_PASSWORD);
    // Opens the certificate's key, though this server does not ask for it.
    let file = |name: &str| servers.certificate("cassandra", name);
    scenario
        .with("STORE__TLS__CERTIFICATE", &file("client.pem"))
        .with("STORE__TLS__KEY", &file("client.locked.key"))
        .with("STORE__TLS__KEY_PASSWORD", KEY_PASSWORD)
}

#[test]
fn kafka_cassandra_tell_no_secret() {
    let servers = servers();
    let scenario = secretive(&servers);
    super::roles::superuser(&servers, &format!("{}_login", scenario.name), STORE_PASSWORD);
    let mut told = Told { directory: scratch("told"), all: Vec::new() };

    let name = &scenario.name;
    told.by(&scenario, "migrate", &["--dry-run"], name);
    told.by(&scenario, "migrate", &[], name);
    simulate(&scenario, 5_000);
    told.by_running(&scenario);
    told.by(&scenario, "run", &["--until-end"], name);
    told.by(&scenario, "status", &["--json"], name);
    told.by(&scenario, "status", &[], name);
    told.by(&scenario, "rows", &ROWS, "Normandie");

    let failing = [
        ("KAFKA__SASL_PASSWORD", WRONG),
        ("KAFKA__SSL_KEY_PASSWORD", WRONG),
        ("KAFKA__SSL_KEY_PEM", WRONG),
        ("STORE__PASSWORD", WRONG),
        ("STORE__TLS__KEY_PASSWORD", WRONG),
        ("STORE__USERNAME", ""),
        ("STORE__TLS__CA", "/nowhere"),
        ("KAFKA__SASL_PASWORD", WRONG),
    ];
    for (key, value) in failing {
        told.by(&scenario.clone().with(key, value), "run", &[], REFUSED);
    }
    told.by(&scenario.clone().with("KAFKA__SASL_PASSWORD", WRONG), "migrate", &[], REFUSED);
    told.by(&scenario.clone().with("KAFKA__SASL_PASSWORD", WRONG), "status", &[], REFUSED);
    told.check();
    let traced = told.all.iter().any(|(who, text)| who == "run" && text.contains("TRACE") && text.contains("SASL"));
    assert!(traced, "the engine was not at its most talkative");
}

/// Guards the guard: a search that finds nothing would prove nothing.
#[test]
fn secrets_are_found_where_they_are() {
    let sent = STANDARD.encode(KAFKA_PASSWORD);
    for text in ["ok\npassword=s3cr3t-of-kafka", &format!("token {sent}")] {
        assert!(leak(text).is_some(), "{text}");
    }
    assert_eq!(leak("nothing to see"), None);
}
