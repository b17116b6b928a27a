//! The report as text for people.

use std::io::Write;

use etiage::check::Level;
use etiage::check::readings::{Metric, Outcome, Reading, Taken};

use super::Report;
use crate::cli::rows::time;

pub fn write(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    for finding in &report.findings {
        writeln!(out, "{:<8} {}: {}", finding.level.name(), finding.about, finding.text)?;
    }
    for (stream, readings) in report.readings.iter().filter(|(_, readings)| !readings.is_empty()) {
        writeln!(out, "\nstream {stream}, what its first readings become:")?;
        for reading in readings {
            writeln!(out, "  {} {}", place(reading), outcome(reading))?;
        }
    }
    let (errors, warnings) = (report.count(Level::Error), report.count(Level::Warning));
    Ok(writeln!(out, "\n{errors} errors, {warnings} warnings")?)
}

fn place(reading: &Reading) -> String {
    format!("{} offset {} [{}]", reading.partition, reading.offset, reading.index)
}

fn outcome(reading: &Reading) -> String {
    match &reading.outcome {
        Outcome::Refused { reason, detail, text } => format!("rejected ({reason}): {detail}: {}", plain(text)),
        Outcome::Taken(taken) => self::taken(taken),
    }
}

/// Control characters of a hostile payload are not for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

fn taken(taken: &Taken) -> String {
    let mut words = vec![time(taken.time_ms)];
    if let Some((lat, lon)) = taken.position {
        words.push(format!("{lat}, {lon}"));
    }
    words.extend(taken.tenant.iter().map(|tenant| format!("tenant {}", plain(tenant))));
    words.extend(taken.labels.iter().map(|(name, label)| format!("{name} {}", plain(label))));
    for (views, region) in &taken.regions {
        let found = region.as_ref().map_or_else(|| "outside".to_owned(), |(code, name)| format!("{code} {name}"));
        words.push(format!("{found} ({views})"));
    }
    match taken.filtered {
        true => words.push("filtered".to_owned()),
        false => words.extend(taken.metrics.iter().map(metric)),
    }
    words.join(" · ")
}

fn metric(metric: &Metric) -> String {
    let mut text = format!("{} {}", metric.name, metric.value.as_deref().unwrap_or("missing"));
    for (flag, word) in [(metric.alarm, " alarm"), (metric.active, " active"), (metric.outlier, " outlier")] {
        text.push_str(if flag { word } else { "" });
    }
    text
}
