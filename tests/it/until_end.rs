//! A run until the end is over when everything is committed: no flush interval is waited for when nothing comes any more.

use std::fmt::Write;
use std::process::Command;

use crate::support::succeed;

const CONFIG: &str = r#"
[streams.temperatures]
files = ["readings.ndjson"]
time = "at"
metrics = { temperature = {} }
labels = { site = "site" }

[views.site]
group_by = ["site"]
flush = "1h"

[store]
kind = "sqlite"
path = "rows.db"

[serve]
listen = ""
"#;

/// More than a first flush takes.
const SITES: usize = 400;

#[test]
fn a_run_until_the_end_waits_for_no_flush_interval() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut readings = String::new();
    for site in 0..SITES {
        writeln!(readings, r#"{{"at":"2026-03-01T10:00:00Z","site":"{site}","temperature":{site}}}"#)
            .expect("a text takes all");
    }
    std::fs::write(directory.path().join("readings.ndjson"), readings).expect("readings can be written");
    std::fs::write(directory.path().join("etiage.toml"), CONFIG).expect("a configuration can be written");
    let etiage = |arguments: &[&str]| {
        // Long enough for a busy machine, and much shorter than the interval.
        let mut command = Command::new("timeout");
        command.args(["240", env!("CARGO_BIN_EXE_etiage")]).args(arguments).args(["--config", "etiage.toml"]);
        succeed(command.current_dir(directory.path()))
    };
    etiage(&["run", "--until-end"]);
    let rows = etiage(&["rows", "--view", "site", "--metric", "temperature", "--columns", "key", "--csv"]);
    assert_eq!(rows.lines().count(), 1 + SITES, "{rows}");
}
