//! A Kafka and a Cassandra: those of `make test`, shared by all tests, or a pair of one's own to break.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::machine::{Shared, share};
use super::{ROOT, from_make_test, scratch, succeed};

pub struct Servers {
    directory: PathBuf,
    pub kafka: String,
    pub cassandra: String,
    /// Ours to break, and to remove.
    own: bool,
    _machine: Shared,
}

impl Servers {
    /// Those of `make test`: for tests that leave them alone.
    pub fn shared() -> Servers {
        Servers {
            directory: from_make_test("ETIAGE_TEST_SERVICES").into(),
            kafka: from_make_test("ETIAGE_TEST_KAFKA"),
            cassandra: from_make_test("ETIAGE_TEST_CASSANDRA"),
            own: false,
            _machine: share(),
        }
    }

    /// None yet, and a directory for them.
    fn new(test: &str) -> Servers {
        let (kafka, cassandra) = (String::new(), String::new());
        Servers { directory: scratch(test), kafka, cassandra, own: true, _machine: share() }
    }

    /// Starts both on free ports; once more where somebody took a port between its choice and the start.
    fn start(&self, settings: &[(&str, &str)]) {
        let start = || {
            let mut start = self.script("servers.sh", "start", "");
            start.envs([("KAFKA_PORT", "free"), ("CASSANDRA_PORT", "free")]).envs(settings.iter().copied());
            start
        };
        if !start().output().is_ok_and(|output| output.status.success()) {
            succeed(&mut self.script("servers.sh", "wipe", ""));
            succeed(&mut start());
        }
    }

    /// A pair of its own, on free ports.
    pub fn own(test: &str) -> Servers {
        let mut servers = Servers::new(test);
        servers.start(&[]);
        servers.kafka = servers.tell("kafka.sh", "address", "kafka");
        servers.cassandra = servers.tell("cassandra.sh", "address", "cassandra");
        servers
    }

    /// A pair with TLS, users and passwords; what else they are told is in their scripts.
    pub fn secured(test: &str, settings: &[(&str, &str)]) -> Servers {
        let mut servers = Servers::new(test);
        servers.start(&[&[("KAFKA_SECURITY", "1"), ("CASSANDRA_SECURITY", "tls")], settings].concat());
        servers.kafka = servers.tell("kafka.sh", "address", "kafka");
        servers.cassandra = servers.tell("cassandra.sh", "address", "cassandra");
        servers
    }

    /// A Cassandra alone that asks its clients for certificates, too.
    pub fn cassandra_with_client_certificates(test: &str) -> Servers {
        let mut servers = Servers::new(test);
        let mut start = servers.script("cassandra.sh", "start", "cassandra");
        servers.cassandra =
            succeed(start.env("CASSANDRA_PORT", "free").env("CASSANDRA_SECURITY", "mtls")).trim().to_owned();
        servers
    }

    /// Where one of a secured Kafka's listeners is: `ssl`, `mtls`, `sasl_ssl`, `sasl_plaintext`.
    pub fn listener(&self, name: &str) -> String {
        succeed(self.script("kafka.sh", "address", "kafka").arg(name)).trim().to_owned()
    }

    /// A certificate or key that was made with a secured server.
    pub fn certificate(&self, server: &str, name: &str) -> String {
        let path = self.directory.join(server).join("certificates").join(name);
        path.to_str().expect("a path of ours is UTF-8").to_owned()
    }

    pub fn kill_cassandra(&self) {
        self.breakable().tell("cassandra.sh", "kill", "cassandra");
    }

    /// Returns once it answers.
    pub fn start_cassandra(&self) {
        self.breakable().tell("cassandra.sh", "start", "cassandra");
    }

    pub fn stop_kafka(&self) {
        self.breakable().tell("kafka.sh", "stop", "kafka");
    }

    /// Returns once it answers.
    pub fn start_kafka(&self) {
        self.breakable().tell("kafka.sh", "start", "kafka");
    }

    pub fn restart_kafka(&self) {
        self.stop_kafka();
        self.start_kafka();
    }

    fn breakable(&self) -> &Servers {
        assert!(self.own, "the shared servers are not to be broken");
        self
    }

    fn script(&self, script: &str, command: &str, server: &str) -> Command {
        let mut run = Command::new(Path::new(ROOT).join("services").join(script));
        run.arg(command).arg(if server.is_empty() { self.directory.clone() } else { self.directory.join(server) });
        run
    }

    fn tell(&self, script: &str, command: &str, server: &str) -> String {
        succeed(&mut self.script(script, command, server)).trim().to_owned()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // In a failing test too; `make test` clears up behind whoever does not get here.
        if self.own {
            let _ = self.script("servers.sh", "wipe", "").status();
        }
    }
}
