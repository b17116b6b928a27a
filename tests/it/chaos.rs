//! A short `make chaos`: three brokers, three store nodes, three engines, and faults drawn from a seed that it prints.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{machine, scratch, script_at, skip, wait_for};

/// As long as faults happen; starting, healing and recounting come on top of it.
const SECONDS: &str = "75";
/// For what is stuck.
const LIMIT: Duration = Duration::from_secs(6 * 60);

/// The driver; told to end, and so to clear up, when dropped.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = Command::new("kill").arg("-TERM").arg(self.0.id().to_string()).status();
            let _ = self.0.wait();
        }
    }
}

#[test]
fn kafka_cassandra_chaos_leaves_every_row_equal_to_a_recount() {
    let _alone = machine::alone();
    let directory = scratch("chaos");
    let (report, log) = (directory.join("report.txt"), directory.join("driver.log"));
    // Another seed every time; whoever wants one again says `make chaos SEED=…`.
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs() % 1_000_000;
    println!("seed {seed}");
    let mut run = script_at("tests/chaos/main.py", &[]);
    run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log).expect("a log can be written"));
    run.args(["--binary", env!("CARGO_BIN_EXE_etiage"), "--seconds", SECONDS, "--seed", &seed.to_string()]);
    run.arg("--report").arg(&report).arg("--directory").arg(&directory);
    let mut driver = Driver(run.spawn().expect("python starts"));
    let status = wait_for("the end of chaos", LIMIT, || {
        driver.0.try_wait().expect("a child can be asked").ok_or_else(|| format!("seed {seed} still runs"))
    });
    let mut said = String::new();
    driver.0.stdout.take().expect("the output is piped").read_to_string(&mut said).expect("text");
    let [report, log] = [report, log].map(|file| std::fs::read_to_string(file).unwrap_or_default());
    println!("{log}\n{report}");
    let last = said.lines().last().unwrap_or_default();
    if let Some(line) = log.lines().find(|line| line.contains("NO LINKS ARE CUT")) {
        skip("cut_links_of_chaos", line);
    }
    assert!(status.success(), "chaos ended in {status}: {last}");
    assert!(last.starts_with(&format!("chaos seed={seed} faults=")) && last.ends_with(" differences=0"), "{said}");
}
