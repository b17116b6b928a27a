//! A run until the end is over when everything is committed: no flush interval is waited for when nothing comes any more,
//! and none when nothing more can be taken.

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

/// Runs until the end over a reading each of so many sites, and finds a row for each.
fn run(sites: usize, note: &str, more: &str) {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut readings = String::new();
    for site in 0..sites {
        writeln!(readings, r#"{{"at":"2026-03-01T10:00:00Z","site":"{site}","temperature":{site},"note":"{note}"}}"#)
            .expect("a text takes all");
    }
    std::fs::write(directory.path().join("readings.ndjson"), readings).expect("readings can be written");
    std::fs::write(directory.path().join("etiage.toml"), format!("{CONFIG}{more}"))
        .expect("a configuration can be written");
    let etiage = |arguments: &[&str]| {
        // Long enough for a busy machine, and much shorter than the interval.
        let mut command = Command::new("timeout");
        command.args(["240", env!("CARGO_BIN_EXE_etiage")]).args(arguments).args(["--config", "etiage.toml"]);
        succeed(command.current_dir(directory.path()))
    };
    etiage(&["run", "--until-end"]);
    let rows = etiage(&["rows", "--view", "site", "--metric", "temperature", "--columns", "key", "--csv"]);
    assert_eq!(rows.lines().count(), 1 + sites, "{rows}");
}

#[test]
fn parts_of_several_flushes_are_written() {
    // More than a first flush takes.
    run(400, "", "");
}

#[test]
fn parts_of_several_memories_are_written() {
    // Batches of 1 MiB, two of which fill it.
    run(8_000, &"-".repeat(500), "[engine]\nparts = \"1 MiB\"\n");
}
