//! GUARANTEES.md says which tests and mistakes stand behind each promise: they must be there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::ROOT;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn mistakes() -> BTreeSet<String> {
    let directory = std::fs::read_dir(Path::new(ROOT).join("tests/mutations")).expect("the mistakes are there");
    let names = directory.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter_map(|name| name.strip_suffix(".patch").map(str::to_owned)).collect()
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_mistake_belongs_to_a_promise() {
    let text = read("GUARANTEES.md");
    let promises = text.split("## What is not promised").next().expect("the promises come first");
    let named: BTreeSet<&str> = quoted(promises).collect();
    let all = mistakes();
    assert!(all.len() >= 12, "{} mistakes are fewer than were promised", all.len());
    let missing: Vec<&String> = all.iter().filter(|name| !named.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "no promise names {missing:?}");
    let paragraphs = promises.split("Mistake").skip(1).map(|rest| rest.split("\n\n").next().unwrap_or_default());
    for name in paragraphs.flat_map(quoted) {
        assert!(all.contains(name), "there is no tests/mutations/{name}.patch");
    }
}

#[test]
fn every_file_that_is_named_is_there() {
    let text = read("GUARANTEES.md");
    let files = quoted(&text).filter(|name| name.ends_with(".rs") || name.ends_with(".py") || name.ends_with('/'));
    for file in files {
        let found = ["", "src"].iter().any(|start| Path::new(ROOT).join(start).join(file).exists());
        assert!(found, "there is no {file}");
    }
    for check in quoted(&text).filter(|name| name.starts_with("check_")) {
        let mut files = ["checks.rs", "rest.rs"].iter().map(|file| read(&format!("tests/simulator/{file}")));
        assert!(files.any(|text| text.contains(&format!("fn {check}("))), "there is no {check}");
    }
}

/// That each is caught, `make mutations` shows.
#[test]
fn every_mistake_applies() {
    for name in mistakes() {
        let patch = format!("tests/mutations/{name}.patch");
        let text = read(&patch);
        assert!(text.contains("\n+++ b/src/"), "{patch} changes nothing in src/");
        let output = Command::new("git").args(["apply", "--check", &patch]).current_dir(ROOT).output();
        let output = output.expect("git is there");
        assert!(output.status.success(), "{patch} does not apply: {}", String::from_utf8_lossy(&output.stderr));
    }
}
