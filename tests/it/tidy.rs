//! The house rules that a test can keep: who may name whom, how long things are, what every file starts with.

use std::path::{Path, PathBuf};

use crate::support::ROOT;

/// Where input and output, clocks and the environment may be: everything else in `src` is the pure
/// core, new files too.
const EDGES: [&str; 12] = [
    "main.rs",
    "cli",
    "clock.rs",
    "config",
    "limited.rs",
    "run",
    "serve",
    "setup",
    "simulate",
    "source",
    "store",
    "telemetry",
];
/// What the core must not name.
const IMPURE: [&str; 14] = [
    "rdkafka",
    "scylla",
    "tokio",
    "axum",
    "rusqlite",
    "tracing",
    "metrics::",
    "SystemTime",
    "Instant",
    "std::env",
    "std::fs",
    "std::net",
    "std::thread",
    "rand::",
];
const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 70;

struct Source {
    /// From the checkout's top: `src/part.rs`.
    path: String,
    text: String,
}

impl Source {
    /// The lines that are code, numbered from 1: no comments, and nothing after `#[cfg(test)]`.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(number, line)| (number + 1, line));
        lines
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// What of the code names one of these words.
    fn names(&self, words: &[&str]) -> Vec<String> {
        let lines = self.code().filter_map(|(number, line)| {
            let word = words.iter().find(|word| named(line, word))?;
            Some(format!("{}:{number} names {word}: {}", self.path, line.trim()))
        });
        lines.collect()
    }
}

/// The line has the word, not as a part of a longer one.
fn named(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(inside) && (word.ends_with(':') || !after.starts_with(inside))
    })
}

fn sources(directory: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&Path::new(ROOT).join(directory), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(directory: &Path, found: &mut Vec<Source>) {
    let entries = std::fs::read_dir(directory)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect::<Vec<PathBuf>>());
    for path in entries.unwrap_or_default() {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file is UTF-8");
            let path = path.strip_prefix(ROOT).expect("below the checkout").to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
}

fn everything() -> Vec<Source> {
    ["src", "tests", "benches"].into_iter().flat_map(sources).collect()
}

fn assert_none(problems: Vec<String>) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let all = sources("src");
    assert!(all.len() > 10, "the sources were not found");
    let core = all.iter().filter(|source| {
        let first = source.path.split('/').nth(1).expect("src/…");
        let test = source.path.contains("/tests/") || source.path.ends_with("/tests.rs");
        !EDGES.contains(&first) && !test
    });
    assert_none(core.flat_map(|source| source.names(&IMPURE)).collect());
}

#[test]
fn the_edges_know_their_place() {
    let rules: [(&str, &[&str]); 2] = [
        ("src/source/kafka", &["window", "Width", "scylla", "rusqlite", "locate", "part", "merge", "closing"]),
        (
            "src/store/cassandra",
            &["rdkafka", "partition::", "commit::", "durability", "merge", "crate::source", "Committed"],
        ),
    ];
    let all = sources("src");
    for (edge, words) in rules {
        let files: Vec<&Source> = all.iter().filter(|source| source.path.starts_with(edge)).collect();
        assert!(!files.is_empty(), "{edge} is no longer there: this rule guards nothing");
        assert_none(files.into_iter().flat_map(|source| source.names(words)).collect());
    }
}

#[test]
fn every_file_says_what_it_is_and_is_not_long() {
    let mut problems = Vec::new();
    for Source { path, text } in everything() {
        if !text.starts_with("//! ") {
            problems.push(format!("{path} does not open with `//! ` and what it is"));
        }
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            problems.push(format!("{path} has {lines} lines; at most {LONGEST_FILE}: split it by sense"));
        }
    }
    assert_none(problems);
}

/// rustfmt puts a function's last brace under its first word: so the length can be told from the indentation.
#[test]
fn no_function_is_long() {
    let mut problems = Vec::new();
    for Source { path, text } in everything() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
            let indent = line.len() - line.trim_start().len();
            let end = format!("{}}}", &line[..indent]);
            let length = lines[number..].iter().position(|line| **line == end).map_or(1, |last| last + 1);
            let one_line = line.ends_with('}') || line.ends_with(';');
            if !one_line && length > LONGEST_FUNCTION {
                problems.push(format!("{path}:{} has {length} lines; at most {LONGEST_FUNCTION}", number + 1));
            }
        }
    }
    assert_none(problems);
}

fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "\"C\""];
    words.find(|word| !qualifiers.contains(word)) == Some("fn")
}

#[test]
fn nothing_is_left_for_later() {
    // In two pieces, so that this list does not find itself.
    let markers = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["to", "do!"], ["db", "g!"], ["unimpl", "emented!"]]
        .map(|halves| halves.concat());
    let mut problems = Vec::new();
    for Source { path, text } in everything() {
        for (number, line) in text.lines().enumerate() {
            if markers.iter().any(|marker| named(line, marker)) {
                problems.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none(problems);
}

#[test]
fn the_rules_see_what_they_forbid() {
    assert!(
        named("use tokio::sync;", "tokio") && named("Instant::now()", "Instant") && named("use std::env;", "std::env")
    );
    assert!(!named("let tokio_like = 1;", "tokio") && !named("Instantly", "Instant"));
    assert!(
        is_function("    pub(crate) async fn a() {") && is_function("fn a() {") && !is_function("let f: fn() = a;")
    );
}
