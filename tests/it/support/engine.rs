//! `etiage` as a child process, on a topic, group and keyspace of one scenario.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::{ROOT, Servers, scratch, succeed, unique, wait_for};

/// One stream's topic, group, keyspace and settings.
#[derive(Clone)]
pub struct Scenario {
    /// Of the topic, the group and the keyspace.
    pub name: String,
    pub kafka: String,
    pub cassandra: String,
    config: PathBuf,
    env: Vec<(String, String)>,
    logs: PathBuf,
}

impl Scenario {
    /// `config` is a file in `tests/it/support`, `stream` the name of its only stream.
    pub fn new(servers: &Servers, config: &str, stream: &str) -> Scenario {
        Scenario::of(servers, &format!("tests/it/support/{config}"), stream)
    }

    /// An example as people get it, but for what tests have for themselves: topics, keyspace, group.
    pub fn of_example(servers: &Servers, example: &str, stream: &str) -> Scenario {
        Scenario::of(servers, &format!("examples/{example}/etiage.toml"), stream).with("SERVE__LISTEN", "")
    }

    fn of(servers: &Servers, config: &str, stream: &str) -> Scenario {
        let name = unique(stream);
        let scenario = Scenario {
            config: Path::new(ROOT).join(config),
            kafka: servers.kafka.clone(),
            cassandra: servers.cassandra.clone(),
            env: Vec::new(),
            logs: scratch("logs"),
            name: name.clone(),
        };
        scenario
            .with(&format!("STREAMS__{}__TOPICS", stream.to_uppercase()), &format!("[\"{name}\"]"))
            .with("KAFKA__BOOTSTRAP_SERVERS", &servers.kafka)
            .with("KAFKA__GROUP_ID", &name)
            .with("STORE__KIND", "cassandra")
            .with("STORE__NODES", &format!("[\"{}\"]", servers.cassandra))
            .with("STORE__KEYSPACE", &name)
            .with("REJECTS__TOPIC", &format!("{name}.rejects"))
            .with("REJECTS__LATE_TOPIC", &format!("{name}.late"))
    }

    /// With one more setting.
    pub fn with(mut self, key: &str, value: &str) -> Scenario {
        self.env.push((format!("ETIAGE_{key}"), value.to_owned()));
        self
    }

    /// On an embedded store of its own instead.
    pub fn embedded(mut self) -> Scenario {
        self.env.retain(|(key, _)| !key.starts_with("ETIAGE_STORE__"));
        let file = self.logs.join("rows.db");
        self.with("STORE__KIND", "sqlite").with("STORE__PATH", file.to_str().expect("a path of ours is UTF-8"))
    }

    /// `etiage COMMAND --config … ARGUMENTS`.
    pub fn etiage(&self, command: &str, arguments: &[&str]) -> Command {
        let mut run = Command::new(env!("CARGO_BIN_EXE_etiage"));
        run.arg(command).arg("--config").arg(&self.config).args(arguments);
        run.envs(self.env.iter().map(|(key, value)| (key, value)));
        run
    }

    /// An instance that runs until it is told to stop.
    pub fn start(&self) -> Engine {
        self.spawn(&[])
    }

    /// Runs to the ends that the topic has now; fails where it does not get there.
    pub fn run_until_end(&self, limit: Duration) {
        let mut engine = self.spawn(&["--until-end"]);
        let status = engine.wait(limit);
        assert!(status.success(), "etiage run --until-end failed with {status}:\n{}", engine.log());
    }

    /// Writes `etiage status --json` into a file.
    pub fn status(&self) -> PathBuf {
        let file = self.logs.join("status.json");
        std::fs::write(&file, succeed(&mut self.etiage("status", &["--json"]))).expect("the status can be written");
        file
    }

    /// `etiage replay --from earliest`.
    pub fn replay(&self) -> Engine {
        self.launch("replay", &["--from", "earliest"])
    }

    fn spawn(&self, arguments: &[&str]) -> Engine {
        self.launch("run", arguments)
    }

    fn launch(&self, command: &str, arguments: &[&str]) -> Engine {
        let log = self.logs.join(unique("engine"));
        let file = File::create(&log).expect("a log can be written");
        let mut command = self.etiage(command, arguments);
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a log can be shared")).stderr(file);
        Engine { child: command.spawn().expect("the binary starts"), log }
    }
}

/// A running instance; killed when dropped.
pub struct Engine {
    child: Child,
    log: PathBuf,
}

impl Engine {
    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("the instance still runs");
        self.child.wait().expect("a killed process can be waited for");
    }

    /// SIGTERM: it must leave by itself, without an error, within ten seconds.
    pub fn stop(mut self) {
        assert!(
            self.child.try_wait().expect("a child can be asked").is_none(),
            "the instance has died:\n{}",
            self.log()
        );
        succeed(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()));
        let status = self.wait(Duration::from_secs(10));
        assert!(status.success(), "SIGTERM ended in {status}:\n{}", self.log());
    }

    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let log = self.log.clone();
        wait_for("the instance's end", limit, || {
            let ended = self.child.try_wait().expect("a child can be asked");
            ended.ok_or_else(|| format!("it still runs; its log ends:\n{}", end_of(&log)))
        })
    }

    pub fn log(&self) -> String {
        end_of(&self.log)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log.
fn end_of(log: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
