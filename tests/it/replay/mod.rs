//! Replays: the same rows as a store that never knew anything else, nothing else changed, nobody shown a wrong number.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

mod beginnings;
mod history;
mod repairs;
mod retired;

use crate::faults::{Producer, migrate, recount_with};
use crate::support::{Scenario, Servers, python, succeed, wait_for};

/// Three files of readings, and stores beside them.
struct Files(tempfile::TempDir);

/// Of the configuration: the alarm threshold and the filters of the stream.
type Rules = (u32, &'static str);

const OLD: Rules = (30, "");
const NEW: Rules = (20, r#"filters = [{ field = "town", not = "Ajaccio" }]"#);

impl Files {
    fn new() -> Files {
        let files = Files(tempfile::tempdir().expect("a directory can be made"));
        for file in 0..3 {
            std::fs::write(files.0.path().join(format!("{file}.ndjson")), readings(file))
                .expect("readings are written");
        }
        files
    }

    /// A store that never knew other rules.
    fn fresh(&self, rules: Rules) -> PathBuf {
        let config = self.config("fresh", rules);
        until_end(&config);
        config
    }

    fn config(&self, store: &str, (threshold, filters): Rules) -> PathBuf {
        let text = format!(
            r#"
            [streams.temperatures]
            files = ["0.ndjson", "1.ndjson", "2.ndjson"]
            time = "at"
            lat = "lat"
            lon = "lon"
            {filters}
            metrics = {{ temperature = {{ threshold = {threshold} }} }}
            [views.region]
            [store]
            kind = "sqlite"
            path = "{store}.db"
            [rejects]
            dir = ""
            [serve]
            listen = ""
            "#
        );
        let config = self.0.path().join(format!("{store}-{threshold}.toml"));
        std::fs::write(&config, text).expect("a configuration is written");
        config
    }
}

/// Towns of five regions, every hour of two days, some of it late.
fn readings(file: u64) -> String {
    let towns = [
        ("Paris", 48.86, 2.35),
        ("Rennes", 48.11, -1.68),
        ("Lyon", 45.76, 4.84),
        ("Ajaccio", 41.92, 8.74),
        ("Lille", 50.63, 3.06),
    ];
    let mut text = String::new();
    for number in 0..2_000 {
        let draw = |range: u64| (number * 7_919 + file * 104_729) * 48_271 % 2_147_483_647 % range;
        let (town, lat, lon) = towns[draw(5) as usize];
        let second = number * 86 - if draw(20) == 0 { 5_000.min(number * 86) } else { 0 };
        let (day, hour, minute) = (19 + second / 86_400, second / 3_600 % 24, second / 60 % 60);
        let at = format!("2019-02-{day}T{hour:02}:{minute:02}:{:02}Z", second % 60);
        let temperature = draw(450) as f64 / 10.0;
        writeln!(text, r#"{{"at":"{at}","lat":{lat},"lon":{lon},"town":"{town}","temperature":{temperature}}}"#)
            .expect("a text takes all");
    }
    text
}

fn etiage(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etiage"));
    command.args(&arguments[..1]).arg("--config").arg(config).args(&arguments[1..]).stdin(Stdio::null());
    command
}

fn until_end(config: &Path) {
    succeed(&mut etiage(config, &["run", "--until-end"]));
}

fn replay(config: &Path) {
    succeed(&mut etiage(config, &["replay", "--from", "earliest"]));
}

/// All that people see of the rows but which generation wrote them, and when.
fn rows(config: &Path) -> String {
    let columns = "key,window_start,label,window_end,count,mean,min,max,stddev,alarms,mean_before,final,revision";
    let rows = ["rows", "--view", "region", "--metric", "temperature", "--csv", "--columns", columns];
    succeed(&mut etiage(config, &rows))
}

fn generations(config: &Path) -> Vec<String> {
    let listed = succeed(&mut etiage(config, &["generations"]));
    listed.lines().skip(1).map(|line| line.split_whitespace().skip(1).take(2).collect::<Vec<_>>().join(" ")).collect()
}

fn fails(command: &mut Command, says: &str) {
    let Output { status, stderr, .. } = command.output().expect("the binary starts");
    let text = String::from_utf8_lossy(&stderr);
    assert!(!status.success() && text.contains(says), "{command:?} ended with {status} and {text}");
}

#[test]
fn a_replay_gives_the_rows_of_a_store_that_never_knew_anything_else() {
    let files = Files::new();
    let (old, new) = (files.config("rows", OLD), files.config("rows", NEW));
    until_end(&old);
    let before = rows(&old);
    fails(&mut etiage(&new, &["run", "--until-end"]), "etiage replay --from earliest");
    assert_eq!(rows(&old), before);

    replay(&new);
    let after = rows(&new);
    assert!(before.contains("Corse") && !after.contains("Corse"), "a region that has no readings any more is removed");
    assert_eq!(after, rows(&files.fresh(NEW)));
    assert_eq!(generations(&new), ["1 superseded", "2 live"]);
    // Whoever ran before must not go on, whoever runs now does, from where the replay stood.
    fails(&mut etiage(&old, &["run", "--until-end"]), "etiage replay --from earliest");
    let went_on = etiage(&new, &["run", "--until-end"]).output().expect("the binary starts");
    let text = String::from_utf8_lossy(&went_on.stderr);
    assert!(went_on.status.success() && text.contains("position=2000 log_end=2000"), "{text}");
    let status = succeed(&mut etiage(&new, &["status"]));
    assert!(status.contains("region g2 1h: ") && status.contains("seen 2000"), "the group has committed it: {status}");
    assert_eq!(rows(&new), after);
}

#[test]
fn a_replay_of_what_has_not_changed_changes_nothing() {
    let files = Files::new();
    let config = files.config("rows", OLD);
    until_end(&config);
    let before = rows(&config);
    assert!(before.contains(",true,") && before.contains(",false,"), "some rows are final, some are not");
    replay(&config);
    assert_eq!(rows(&config), before);
    replay(&config);
    assert_eq!(rows(&config), before);
    assert_eq!(generations(&config), ["1 superseded", "2 superseded", "3 live"]);
}

#[test]
fn a_dry_run_shows_what_would_change_and_what_is_superseded_can_be_removed() {
    let files = Files::new();
    let (old, new) = (files.config("rows", OLD), files.config("rows", NEW));
    until_end(&old);
    let before = rows(&old);
    fails(&mut etiage(&new, &["diff"]), "no view is being replayed");
    let said = succeed(&mut etiage(&new, &["replay", "--from", "earliest", "--dry-run"]));
    let removed = before.lines().filter(|line| line.contains("Corse")).count();
    let changed = changed_alarms(&before, &rows(&files.fresh(NEW)));
    let wanted = format!("{changed} rows would be changed, 0 new, {removed} removed, ");
    assert!(said.contains(&wanted) && said.contains("Nothing has been changed"), "{wanted} is not in: {said}");
    assert_eq!((rows(&old), generations(&old)), (before.clone(), vec!["1 live".to_owned(), "2 replaying".to_owned()]));

    let table = succeed(&mut etiage(&new, &["diff"]));
    assert!(table.contains(&wanted), "{table}");
    let lines = succeed(&mut etiage(&new, &["diff", "--json"]));
    let corse = lines.lines().find(|line| line.contains("Corse")).expect("a line for each region and month");
    let corse: serde_json::Value = serde_json::from_str(corse).expect("JSON");
    assert_eq!((&corse["month"], &corse["removed"]), (&"2019-02".into(), &removed.into()));
    fails(&mut etiage(&old, &["diff"]), "under another configuration");

    let report = succeed(&mut etiage(&new, &["replay", "--from", "earliest"]));
    assert!(report.contains(&wanted.replace("would be", "were")), "{report}");
    assert_eq!(rows(&new), rows(&files.fresh(NEW)));

    let windows = before.lines().count() - 1;
    let there = succeed(&mut etiage(&new, &["gc", "--dry-run"]));
    assert!(there.contains(&format!("generation 1 has parts of {windows} windows")), "{there}");
    let gone = succeed(&mut etiage(&new, &["gc"]));
    assert!(gone.contains(&format!("generation 1 lost its parts of {windows} windows")), "{gone}");
    assert!(succeed(&mut etiage(&new, &["gc"])).contains("generation 1 lost its parts of 0 windows"));
    until_end(&new);
    assert_eq!(rows(&new), rows(&files.fresh(NEW)));
}

/// How many rows that stay have other alarms.
fn changed_alarms(before: &str, after: &str) -> usize {
    let alarms = |text: &str| -> std::collections::BTreeMap<String, String> {
        let rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        rows.map(|cells| (cells[..2].join(","), cells[9].to_owned())).collect()
    };
    let (before, after) = (alarms(before), alarms(after));
    after.iter().filter(|(row, alarms)| before.get(*row).is_some_and(|known| known != *alarms)).count()
}

/// What the logs do not hold any more can only be given up, and that must be said.
#[test]
fn a_replay_of_less_than_there_was_must_be_asked_for() {
    let files = Files::new();
    let all = files.config("rows", OLD);
    until_end(&all);
    let before = rows(&all);
    let less = |config: PathBuf| {
        let text = std::fs::read_to_string(&config).expect("readable").replace(r#", "2.ndjson""#, "");
        std::fs::write(&config, text).expect("written");
        config
    };
    let (fewer, fresh) = (less(files.config("rows", NEW)), less(files.config("fresh", NEW)));
    fails(&mut etiage(&fewer, &["replay", "--from", "earliest"]), "--forget-history");
    assert_eq!((rows(&all), generations(&all)), (before, vec!["1 live".to_owned()]));
    succeed(&mut etiage(&fewer, &["replay", "--from", "earliest", "--forget-history"]));
    until_end(&fresh);
    assert_eq!(rows(&fewer), rows(&fresh));
}

/// Runs it until partitions are assigned, and kills it; what it had said.
fn kill_when_it_reads(command: &mut Command) -> String {
    let mut killed = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let (mut heard, mut said) = (String::new(), killed.stderr.take().expect("piped"));
    while !heard.contains("assigned") {
        let mut piece = [0; 64];
        let length = said.read(&mut piece).expect("it says what it does");
        assert!(length > 0, "it ended: {heard}");
        heard += &String::from_utf8_lossy(&piece[..length]);
    }
    killed.kill().expect("it runs");
    killed.wait().expect("it can be waited for");
    heard
}

#[test]
fn a_replay_that_is_killed_or_given_up_leaves_the_rows_alone() {
    let files = Files::new();
    let (old, new) = (files.config("rows", OLD), files.config("rows", NEW));
    until_end(&old);
    let before = rows(&old);
    fails(&mut etiage(&new, &["replay", "--abort"]), "no replay of region is under way");
    kill_when_it_reads(&mut etiage(&new, &["replay", "--from", "earliest"]));
    assert_eq!(generations(&new), ["1 live", "2 replaying"]);
    assert_eq!(rows(&old), before);

    // Another one is not begun beside it, and whoever serves goes on.
    let third = files.config("rows", (10, ""));
    fails(&mut etiage(&third, &["replay", "--from", "earliest"]), "etiage replay --abort --view region");
    until_end(&old);
    succeed(&mut etiage(&new, &["replay", "--abort", "--view", "region"]));
    assert_eq!(generations(&new), ["1 live", "2 superseded"]);
    until_end(&old);
    assert_eq!(rows(&old), before);

    // Later it is done after all, under a number that nobody has had.
    replay(&new);
    assert_eq!(generations(&new), ["1 superseded", "2 superseded", "3 live"]);
    fails(&mut etiage(&new, &["replay", "--abort"]), "no replay of region is under way");
    fails(&mut etiage(&new, &["replay", "--from", "earliest", "--view", "regoin"]), "--view regoin");
}

/// While readings come, instances serve, and the replay is killed: a reader of every row never sees a count go down,
/// and in the end every row is what a recount under the new rules says.
#[test]
fn kafka_cassandra_a_replay_takes_over_while_readings_come() {
    let servers = Servers::shared();
    let old = Scenario::new(&servers, "temperatures.toml", "temperatures").with("STORE__COMMIT_LAG", "1s");
    let new = old.clone().with("STREAMS__TEMPERATURES__METRICS__TEMPERATURE__THRESHOLD", "20");
    let producer = Producer::start(&old, 60_000, 1_000, 4);
    migrate(&old);
    let (mut first, mut second) = (old.start(), old.start());
    sleep(Duration::from_secs(15));
    let mut watch = python("temperatures.py", &["watch", &old.cassandra, &old.name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let replay = new.replay();
    wait_for("the replay's beginning", Duration::from_secs(20), || {
        let listed = succeed(&mut new.etiage("generations", &[]));
        if listed.contains("replaying") { Ok(()) } else { Err(listed) }
    });
    let joined = new.start();
    replay.kill();
    let mut replay = new.replay();
    let status = replay.wait(Duration::from_secs(90));
    assert!(status.success(), "the replay failed with {status}:\n{}", replay.log());
    // Those with the old configuration have no place any more.
    for engine in [&mut first, &mut second] {
        assert!(!engine.wait(Duration::from_secs(30)).success(), "it went on under the old rules:\n{}", engine.log());
    }
    producer.finish(Duration::from_secs(120));
    joined.stop();
    new.run_until_end(Duration::from_secs(90));
    drop(watch.stdin.take());
    let watched = watch.wait_with_output().expect("the reader ends");
    let text = String::from_utf8_lossy(&watched.stdout);
    assert!(watched.status.success(), "a reader saw a row go back:\n{text}");
    assert!(text.contains("generations {2: "), "every row is of the new generation:\n{text}");
    succeed(&mut recount_with(&new, 20));
}
