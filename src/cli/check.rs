//! `etiage check`: holds a configuration against live topics and store, line by line, and shows what
//! the first readings become. Reads only; joins no group and commits nothing.

use anyhow::bail;
use clap::Args;
use etiage::check::readings::Reading;
use etiage::check::{About, Finding, Level};
use etiage::config::Config;
use etiage::setup::Compiled;
use serde_json::{Value, json};

use super::ConfigArg;
use super::output::to_stdout;

mod kafka;
mod local;
mod readings;
mod shown;
mod store;
mod views;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage check --config etiage.toml
  etiage check --config etiage.toml --readings 3
  etiage check --config etiage.toml --json | jq '.findings[] | select(.level != \"ok\")'

Fails where something is wrong; warnings alone do not make it fail. It reads, and changes nothing.")]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// How many readings of each stream to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    readings: usize,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What has been found, in the order of asking.
#[derive(Default)]
pub struct Report {
    findings: Vec<Finding>,
    /// Per stream: its first readings.
    readings: Vec<(String, Vec<Reading>)>,
}

impl Report {
    fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    fn about(&mut self, what: impl Into<String>, tell: impl FnOnce(&mut About)) {
        let mut about = About::new(what);
        tell(&mut about);
        self.findings.extend(about.findings);
    }

    fn well(&mut self, what: impl Into<String>, text: impl Into<String>) {
        self.about(what, |about| about.well(text));
    }

    fn wrong(&mut self, what: impl Into<String>, text: impl Into<String>) {
        self.about(what, |about| about.wrong(text));
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    fn json(&self) -> Value {
        let streams = self.readings.iter().map(|(stream, readings)| {
            json!({ "stream": stream, "readings": readings.iter().map(Reading::json).collect::<Vec<_>>() })
        });
        json!({
            "errors": self.count(Level::Error), "warnings": self.count(Level::Warning),
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
            "streams": streams.collect::<Vec<_>>(),
        })
    }
}

pub async fn run(args: CheckArgs) -> anyhow::Result<()> {
    let mut report = Report::default();
    match args.config.load() {
        Ok(config) => look(&config, args.readings, &mut report).await,
        Err(error) => report.wrong("configuration", format!("{error:#}")),
    }
    to_stdout(|out| match args.json {
        true => Ok(writeln!(out, "{:#}", report.json())?),
        false => shown::write(&report, out),
    })?;
    match report.count(Level::Error) {
        0 => Ok(()),
        1 => bail!("the check found an error"),
        count => bail!("the check found {count} errors"),
    }
}

async fn look(config: &Config, count: usize, report: &mut Report) {
    let compiled = match Compiled::new(config) {
        Ok(compiled) => compiled,
        Err(error) => return report.wrong("configuration", error.to_string()),
    };
    let names = |names: Vec<&str>| names.join(", ");
    let streams = names(config.streams.keys().map(String::as_str).collect());
    let views = names(config.views.keys().map(String::as_str).collect());
    report.well("configuration", format!("streams {streams}; views {views}"));
    local::look(config, report);
    let store = store::look(config, report).await;
    let inspector = if local::reads_files(config) { None } else { kafka::look(config, report).await };
    let reachable = inspector.is_some() || local::reads_files(config);
    if let Some(store) = store.filter(|_| reachable) {
        views::look(config, store, report).await;
    }
    if reachable {
        readings::look(config, &compiled, inspector.as_ref(), count, report).await;
    }
}
