//! The usual mistakes: each ends in one clear sentence, with the value and what to do, in
//! reasonable time. (The eleventh of ten, a wrong password, is tested where there are servers that
//! ask for one.)

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{ROOT, Scenario, Servers, skip, succeed, unique};

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

/// One configuration with something wrong in it, over a stream that is right.
struct Mistake {
    directory: tempfile::TempDir,
    config: PathBuf,
    env: Vec<(String, String)>,
}

const READINGS: &str = "\
{\"timestamp\":\"2019-02-19 14:02:10\",\"lat\":48.11,\"lon\":-1.68,\"temperature\":12.5,\"country\":\"France\"}
{\"timestamp\":\"yesterday\",\"lat\":48.11,\"lon\":-1.68,\"temperature\":12.5,\"country\":\"France\"}
";

impl Mistake {
    /// Files into the embedded store: needs no server.
    fn new() -> Mistake {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("etiage.toml");
        fs::copy(Path::new(ROOT).join("examples/temperatures/etiage.toml"), &config).expect("the example is there");
        let readings = directory.path().join("readings.ndjson");
        fs::write(&readings, READINGS).expect("written");
        let mistake = Mistake { directory, config, env: Vec::new() };
        let (readings, rows) = (mistake.path("readings.ndjson"), mistake.path("rows.db"));
        mistake
            .with("STREAMS__TEMPERATURES__FILES", &readings)
            .with("STORE__KIND", "sqlite")
            .with("STORE__PATH", &rows)
            .with("SERVE__LISTEN", "")
            .with("REJECTS__DIR", "")
    }

    /// Topics of a broker that is not there.
    fn of_topics() -> Mistake {
        let mut mistake = Mistake::new();
        mistake.env.retain(|(key, _)| !key.ends_with("__FILES"));
        mistake.with("KAFKA__BOOTSTRAP_SERVERS", NOBODY)
    }

    fn with(mut self, key: &str, value: &str) -> Mistake {
        let key = format!("ETIAGE_{key}");
        self.env.retain(|(known, _)| *known != key);
        self.env.push((key, value.to_owned()));
        self
    }

    /// With another text in the file.
    fn edit(self, from: &str, to: &str) -> Mistake {
        let text = fs::read_to_string(&self.config).expect("readable");
        assert!(text.contains(from), "the example has no {from:?} any more");
        fs::write(&self.config, text.replacen(from, to, 1)).expect("written");
        self
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("a path of ours is UTF-8").to_owned()
    }

    fn etiage(&self, command: &str, arguments: &[&str]) -> Command {
        let mut run = Command::new(env!("CARGO_BIN_EXE_etiage"));
        run.arg(command).arg("--config").arg(&self.config).args(arguments).stdin(Stdio::null());
        run.envs(self.env.iter().map(|(key, value)| (key, value)));
        run
    }

    /// Ends in one sentence that says all of this.
    fn ends(&self, command: &str, arguments: &[&str], says: &[&str]) {
        ends_with(&mut self.etiage(command, arguments), Duration::from_secs(20), says);
    }

    /// A finding of `check` that says all of this.
    fn is_found(&self, level: &str, says: &[&str]) {
        let output = self.etiage("check", &["--json"]).output().expect("the binary starts");
        assert_eq!(output.status.success(), level != "error", "{}", String::from_utf8_lossy(&output.stdout));
        has_finding(&output, level, says);
    }
}

fn ends_with(command: &mut Command, limit: Duration, says: &[&str]) {
    let begun = Instant::now();
    let output = command.output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{command:?} went well:\n{text}");
    assert!(begun.elapsed() < limit, "{command:?} took {:?}:\n{text}", begun.elapsed());
    let said: Vec<&str> = text.lines().filter(|line| line.starts_with("etiage: ")).collect();
    let [sentence] = said[..] else { panic!("not one sentence:\n{text}") };
    assert_eq!(text.lines().last(), Some(sentence), "it is not the last word:\n{text}");
    let missing: Vec<_> = says.iter().filter(|word| !sentence.contains(**word)).collect();
    assert!(missing.is_empty(), "{missing:?} is not said: {sentence}");
}

fn has_finding(output: &Output, level: &str, says: &[&str]) {
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("findings");
    let said = |finding: &&serde_json::Value| {
        let text = format!("{}: {}", finding["about"].as_str().unwrap_or(""), finding["text"].as_str().unwrap_or(""));
        finding["level"] == level && says.iter().all(|word| text.contains(word))
    };
    assert!(findings.iter().any(|finding| said(&finding)), "no {level} says {says:?}: {report:#}");
}

/// The first line of a running instance that says all of this; the instance goes on, and is ended here.
fn warns(command: &mut Command, within: Duration, says: &[&str]) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
    let (begun, mut all) = (Instant::now(), String::new());
    let found = loop {
        match receive.recv_timeout(within.saturating_sub(begun.elapsed())) {
            Ok(line) if says.iter().all(|word| line.contains(word)) => break true,
            Ok(line) => all += &format!("{line}\n"),
            Err(_) => break false,
        }
    };
    let runs = child.try_wait().expect("a child can be asked").is_none();
    let _ = child.kill();
    let _ = child.wait();
    assert!(found && runs, "no line says {says:?} within {within:?} (still running: {runs}):\n{all}");
}

#[test]
fn what_is_right_runs() {
    let right = Mistake::new();
    right.is_found("ok", &["not there yet: `etiage run` makes it"]);
    right.is_found("warning", &["1 of its first 2 readings are refused"]);
    succeed(&mut right.etiage("run", &["--until-end"]));
    right.is_found("ok", &["view region", "is live and means the same"]);
    let status = succeed(&mut right.etiage("status", &[]));
    assert!(
        status.contains("seen 2 = folded 1 + late 0 + rejected 1") && status.contains("tallies add up"),
        "{status}"
    );
    let report = succeed(&mut right.etiage("check", &[]));
    for says in ["53 Bretagne (region) · temperature 12.5", "rejected (bad_time): timestamp: \"yesterday\""] {
        assert!(report.contains(says), "{says}: {report}");
    }
}

#[test]
fn a_typo_in_a_key() {
    let typo = Mistake::new().edit("format =", "fromat =");
    for command in ["run", "check", "status", "migrate"] {
        let says = ["etiage.toml:11: streams.temperatures.fromat", "did you mean \"format\"?"];
        match command {
            "check" => typo.is_found("error", &says),
            command => typo.ends(command, &[], &says),
        }
    }
}

#[test]
fn a_wrong_zone() {
    let wrong = Mistake::new().with("STREAMS__TEMPERATURES__ZONE", "Europe/Pariss");
    wrong.ends("run", &[], &["ETIAGE_STREAMS__TEMPERATURES__ZONE", "Europe/Pariss", "such as \"Europe/Paris\""]);
}

#[test]
fn an_unreachable_broker() {
    let away = Mistake::of_topics();
    let remedy = ["kafka.bootstrap.servers = 127.0.0.1:1", "are they up"];
    away.is_found("error", &remedy);
    away.ends("migrate", &[], &remedy);
    succeed(&mut Mistake::new().etiage("migrate", &[]));
    away.ends("status", &[], &remedy);
    // An engine waits, for brokers come back: but it says so.
    warns(&mut away.etiage("run", &[]), Duration::from_secs(15), &["WARN", remedy[0], remedy[1], "Connection refused"]);
}

#[test]
fn no_permission_to_write_rows() {
    let absent = Mistake::new();
    let nowhere = absent.path("nowhere/rows.db");
    let absent = absent.with("STORE__PATH", &nowhere);
    absent.ends("run", &["--until-end"], &[&nowhere, "store.path", "directory that may be written"]);
    absent.is_found("error", &["there is no directory", "nowhere"]);

    let no_database = Mistake::new();
    let file = no_database.path("readings.ndjson");
    let no_database = no_database.with("STORE__PATH", &file);
    no_database.ends("run", &["--until-end"], &[&file, "store.path"]);
    no_database.is_found("error", &[&file]);
}

#[test]
fn no_permission_to_write_rejects() {
    let wrong = Mistake::new();
    // A file stands where the directory should be: no user may write there.
    let dir = wrong.path("readings.ndjson/rejects");
    let wrong = wrong.with("REJECTS__DIR", &dir);
    wrong.ends("run", &["--until-end"], &[&dir, "set rejects.dir"]);
    wrong.is_found("error", &["rejects.dir", "is no directory"]);
}

/// Several instances may run on one machine: a taken port costs the metrics, not the work.
#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let mistake = Mistake::new().with("SERVE__LISTEN", &address);
    mistake.is_found("warning", &[&address, "give another address"]);
    let output = mistake.etiage("run", &["--until-end"]).output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stderr);
    let said = text.lines().find(|line| line.contains("WARN") && line.contains(&address));
    assert!(output.status.success() && said.is_some_and(|line| line.contains("give another address")), "{text}");
}

#[test]
fn a_schema_that_is_too_new() {
    let newer = Mistake::new();
    succeed(&mut newer.etiage("migrate", &[]));
    let connection = rusqlite::Connection::open(newer.path("rows.db")).expect("opened");
    let later = "INSERT INTO schema_migrations VALUES (9999, '9999_later.sql', 'x', '2030-01-01T00:00:00Z')";
    connection.execute(later, []).expect("written");
    for command in ["run", "migrate", "status"] {
        newer.ends(command, &[], &["version 9999", "use a newer etiage"]);
    }
    newer.is_found("error", &["version 9999", "use a newer etiage"]);
}

#[test]
fn a_schema_that_is_too_old() {
    let older = Mistake::new();
    succeed(&mut older.etiage("migrate", &[]));
    let connection = rusqlite::Connection::open(older.path("rows.db")).expect("opened");
    connection.execute("DELETE FROM schema_migrations", []).expect("written");
    older.ends("status", &[], &["version 0", "run `etiage migrate`"]);
    let absent = Mistake::new();
    absent.ends("status", &[], &["rows.db", "`etiage run` makes it"]);
    assert!(!Path::new(&absent.path("rows.db")).exists(), "a question made a database");
}

/// A small disk of the test's own, in a namespace of its own: it goes with the test.
const FULL: &str = r#"
set -eu
mount -t tmpfs -o size=512k none "$disk"
"$etiage" run --config "$config" --until-end 2> "$log" & pid=$!
for _ in $(seq 600); do
  grep -q 'make room' "$log" && break
  kill -0 $pid 2> /dev/null || break
  sleep 0.1
done
grep -m1 'make room' "$log"
mount -o remount,size=64m "$disk"
wait $pid
"$etiage" rows --config "$config" --view region --metric temperature --json
"#;

#[test]
fn a_full_disk_is_waited_out() {
    let namespaced = Command::new("unshare").args(["-Urm", "true"]).status().is_ok_and(|status| status.success());
    if !namespaced {
        return skip("a_full_disk_is_waited_out", "this machine lets nobody mount a disk of his own (unshare -Urm)");
    }
    let full = Mistake::new();
    let (disk, readings) = (full.path("disk"), full.path("many.ndjson"));
    fs::create_dir(&disk).expect("made");
    let line = |n: usize| {
        let (day, hour) = (1 + n / 24 % 28, n % 24);
        format!(
            "{{\"timestamp\":\"2019-02-{day:02} {hour:02}:00:00\",\"lat\":48.11,\"lon\":-1.68,\"temperature\":{n},\"country\":\"France\"}}\n"
        )
    };
    fs::write(&readings, (0..672 * 3).map(line).collect::<String>()).expect("written");
    let full = full
        .with("STREAMS__TEMPERATURES__FILES", &readings)
        .with("VIEWS__REGION__ALLOWED_LATENESS", "unlimited")
        .with("STORE__PATH", &format!("{disk}/rows.db"))
        .with("REJECTS__DIR", &full_path(&readings));
    let mut script = Command::new("unshare");
    script.args(["-Urm", "bash", "-c", FULL]).envs(full.env.iter().map(|(key, value)| (key, value)));
    script.env("disk", &disk).env("etiage", env!("CARGO_BIN_EXE_etiage")).env("config", &full.config);
    let said = succeed(script.env("log", full.path("log")));
    let (warning, rows) = said.split_once('\n').expect("a warning, then rows");
    assert!(warning.contains("WARN") && warning.contains("make room on the disk of store.path"), "{warning}");
    let count =
        |row: &str| serde_json::from_str::<serde_json::Value>(row).expect("JSON")["count"].as_i64().expect("a count");
    assert_eq!(rows.lines().map(count).collect::<Vec<_>>(), [3; 672], "what was folded meanwhile");
}

fn full_path(file: &str) -> String {
    format!("{}/rejects", Path::new(file).parent().expect("in a directory").display())
}

#[test]
fn kafka_a_wrong_topic() {
    let servers = Servers::shared();
    let name = unique("no_such_topic");
    let wrong = Mistake::of_topics()
        .with("KAFKA__BOOTSTRAP_SERVERS", &servers.kafka)
        .with("STREAMS__TEMPERATURES__TOPICS", &format!("[{name:?}]"));
    let says = [name.as_str(), "`etiage migrate` creates topics, or correct the name"];
    wrong.is_found("error", &says);
    // It may have been made a moment ago, so an engine is patient for a while.
    wrong.ends("run", &[], &says);
    wrong.ends("status", &[], &says);
}

#[test]
fn kafka_cassandra_without_tables() {
    let servers = Servers::shared();
    let scenario = Scenario::new(&servers, "temperatures.toml", "temperatures");
    for command in ["run", "status"] {
        let says = [scenario.name.as_str(), "run `etiage migrate`"];
        ends_with(&mut scenario.etiage(command, &[]), Duration::from_secs(20), &says);
    }
    let output = scenario.etiage("check", &["--json"]).output().expect("the binary starts");
    has_finding(&output, "error", &[&scenario.name, "run `etiage migrate`"]);
    has_finding(&output, "error", &[&scenario.name, "kafka has no such topic"]);
}

#[test]
fn an_unreachable_cassandra() {
    let mut away = Mistake::new();
    away.env.retain(|(key, _)| !key.starts_with("ETIAGE_STORE__"));
    let away = away.with("STORE__NODES", &format!("[{NOBODY:?}]"));
    let remedy = ["store.nodes 127.0.0.1:1", "are they up"];
    for command in ["status", "migrate"] {
        away.ends(command, &[], &remedy);
    }
    away.is_found("error", &remedy);
    warns(&mut away.etiage("run", &[]), Duration::from_secs(15), &["WARN", remedy[0], remedy[1]]);
}

/// What people see in place of a message is a silent wait: `--help` of every command ends in examples.
#[test]
fn every_command_has_examples() {
    let help = |arguments: &[&str]| succeed(Command::new(env!("CARGO_BIN_EXE_etiage")).args(arguments));
    let all = help(&["--help"]);
    let commands = all.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let text = help(&[name, "--help"]);
        assert!(text.contains("Examples:") && text.contains(&format!("etiage {name}")), "{name}: {text}");
    }
    let directory = tempfile::tempdir().expect("a directory");
    help(&["man", directory.path().to_str().expect("UTF-8")]);
    let page = fs::read_to_string(directory.path().join("etiage-check.1")).expect("a page");
    assert!(page.contains(".SH NAME") && page.contains("etiage check"), "{page}");
    let mut bash = Command::new("bash").args(["-n"]).stdin(Stdio::piped()).spawn().expect("bash");
    let script = help(&["completions", "bash"]);
    std::io::Write::write_all(&mut bash.stdin.take().expect("piped"), script.as_bytes()).expect("written");
    assert!(bash.wait().expect("ended").success() && script.contains("_etiage"));
}
