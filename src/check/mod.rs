//! What `etiage check` makes of what it was told: each module judges one thing. Pure: whoever asks
//! brokers, stores and files hands the answers in.

use serde_json::{Value, json};

pub mod cluster;
pub mod readings;
pub mod store;
pub mod topics;
pub mod views;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Well,
    /// Runs, but some day somebody may be sorry.
    Warning,
    /// `etiage run` would refuse, wait for ever, or be wrong.
    Error,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Well => "ok",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    /// What it is about: `topic "readings"`.
    pub about: String,
    /// One sentence; of a warning or an error with the value and what to do.
    pub text: String,
}

impl Finding {
    pub fn json(&self) -> Value {
        json!({ "level": self.level.name(), "about": self.about, "text": self.text })
    }
}

/// Findings about one thing, as they are made.
pub struct About {
    about: String,
    pub findings: Vec<Finding>,
}

impl About {
    pub fn new(about: impl Into<String>) -> About {
        About { about: about.into(), findings: Vec::new() }
    }

    fn add(&mut self, level: Level, text: impl Into<String>) {
        self.findings.push(Finding { level, about: self.about.clone(), text: text.into() });
    }

    pub fn well(&mut self, text: impl Into<String>) {
        self.add(Level::Well, text);
    }

    pub fn warn(&mut self, text: impl Into<String>) {
        self.add(Level::Warning, text);
    }

    pub fn wrong(&mut self, text: impl Into<String>) {
        self.add(Level::Error, text);
    }
}

/// A duration as people read it: `7d`, `90s`.
pub fn duration(ms: i64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let whole = units.iter().find(|(unit, _)| ms % unit == 0);
    whole.map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

#[cfg(test)]
pub(crate) fn levels(findings: &[Finding], level: Level) -> Vec<&str> {
    findings.iter().filter(|one| one.level == level).map(|one| one.text.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_the_largest_whole_unit() {
        let told = [604_800_000, 90_000, 1_500, 0, 7_200_000].map(duration);
        assert_eq!(told, ["7d", "90s", "1500ms", "0d", "2h"]);
    }

    #[test]
    fn levels_are_ordered_by_gravity() {
        assert!(Level::Well < Level::Warning && Level::Warning < Level::Error);
    }
}
