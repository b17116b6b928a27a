//! `etiage rows`: what a view says, from either store.

use std::io::Write;

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use clap::Args;
use etiage::store::{self, Row, RowQuery};
use etiage::window::Width;

use super::ConfigArg;
use super::output::to_stdout;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage rows --config etiage.toml --view region --metric temperature
  etiage rows --config etiage.toml --view region --metric temperature --key 53 --from 2019-02-19 --to 2019-02-20 --csv")]
pub struct RowsArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// View to show
    #[arg(long)]
    view: String,
    /// Metric to show
    #[arg(long)]
    metric: String,
    /// Window width; the view's own where absent
    #[arg(long)]
    width: Option<Width>,
    /// One key only, such as the INSEE code of a region
    #[arg(long)]
    key: Option<String>,
    /// First window start, inclusive: RFC 3339, or a date or `YYYY-MM-DD hh:mm:ss` in UTC
    #[arg(long, value_parser = instant)]
    from: Option<i64>,
    /// Last window start, exclusive
    #[arg(long, value_parser = instant)]
    to: Option<i64>,
    /// Comma-separated values, floats that read back exactly
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn instant(text: &str) -> Result<i64, String> {
    let rfc = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
    let plain =
        || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").map(|time| time.and_utc().timestamp_millis());
    let date = || {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(|day| day.and_time(Default::default()).and_utc().timestamp_millis())
    };
    rfc.or_else(|_| plain())
        .or_else(|_| date())
        .map_err(|_| format!("{text:?} is no time: give 2019-02-19T14:00:00Z, \"2019-02-19 14:00:00\" or 2019-02-19"))
}

pub async fn run(args: RowsArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let known = || config.views.keys().cloned().collect::<Vec<_>>().join(", ");
    let view =
        config.views.get(&args.view).with_context(|| format!("no view {:?}: there are {}", args.view, known()))?;
    let metrics = etiage::setup::metrics_of(&args.view, &config);
    if !metrics.iter().any(|metric| **metric == *args.metric) {
        bail!("view {:?} has no metric {:?}: there are {}", args.view, args.metric, metrics.join(", "));
    }
    let store = store::open(&config.store).await?;
    store.check_reader().await?;
    let query = RowQuery {
        view: args.view.clone(),
        width: args.width.unwrap_or(view.window).to_string(),
        metric: args.metric.clone(),
        tenant: String::new(),
        key: args.key.clone(),
        from_ms: args.from,
        to_ms: args.to,
    };
    let rows = store.rows(&query).await?;
    to_stdout(|out| match (args.csv, args.json) {
        (true, _) => write_csv(&rows, out),
        (_, true) => write_json(&rows, out),
        _ => write_table(&rows, out),
    })
}

/// RFC 3339 in UTC, with milliseconds only where there are some.
pub fn time(ms: i64) -> String {
    let format = if ms % 1_000 == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
    let time: Option<DateTime<Utc>> = DateTime::from_timestamp_millis(ms);
    time.map_or_else(|| ms.to_string(), |time| time.to_rfc3339_opts(format, true))
}

/// The columns of `rows_by_key`.
const COLUMNS: [&str; 22] = [
    "view",
    "width",
    "metric",
    "tenant",
    "key",
    "year",
    "window_start",
    "label",
    "labels",
    "window_end",
    "count",
    "mean",
    "min",
    "max",
    "stddev",
    "alarms",
    "active",
    "outliers",
    "mean_before",
    "final",
    "revision",
    "generation",
];

fn fields(row: &Row) -> Vec<String> {
    let year = time(row.start_ms).split('-').next().unwrap_or_default().to_owned();
    let labels = serde_json::to_string(&row.labels).unwrap_or_default();
    vec![
        row.view.clone(),
        row.width.clone(),
        row.metric.clone(),
        row.tenant.clone(),
        row.key.clone(),
        year,
        time(row.start_ms),
        row.label.clone(),
        labels,
        time(row.end_ms),
        row.count.to_string(),
        row.mean.to_string(),
        row.min.to_string(),
        row.max.to_string(),
        row.stddev.to_string(),
        row.alarms.to_string(),
        row.active.to_string(),
        row.outliers.to_string(),
        row.mean_before.map(|mean| mean.to_string()).unwrap_or_default(),
        row.is_final.to_string(),
        row.revision.to_string(),
        row.generation.to_string(),
        time(row.updated_at_ms),
    ]
}

fn write_csv(rows: &[Row], out: &mut dyn Write) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS.iter().chain(&["updated_at"]))?;
    rows.iter().try_for_each(|row| writer.write_record(fields(row)))?;
    Ok(writer.flush()?)
}

fn write_json(rows: &[Row], out: &mut dyn Write) -> anyhow::Result<()> {
    for row in rows {
        let value = serde_json::json!({
            "view": row.view, "width": row.width, "metric": row.metric, "tenant": row.tenant, "key": row.key,
            "window_start": time(row.start_ms), "window_end": time(row.end_ms), "label": row.label, "labels": row.labels,
            "count": row.count, "mean": row.mean, "min": row.min, "max": row.max, "stddev": row.stddev,
            "alarms": row.alarms, "active": row.active, "outliers": row.outliers, "mean_before": row.mean_before,
            "final": row.is_final, "revision": row.revision, "generation": row.generation,
            "updated_at": time(row.updated_at_ms),
        });
        writeln!(out, "{value}")?;
    }
    Ok(())
}

fn write_table(rows: &[Row], out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "{:<20} {:>4} {:<28} {:>9} {:>10} {:>10} {:>10} {:>9} {:>7} {:>6}",
        "window_start", "key", "label", "count", "mean", "min", "max", "stddev", "alarms", "final"
    )?;
    for row in rows {
        writeln!(
            out,
            "{:<20} {:>4} {:<28} {:>9} {:>10.3} {:>10.3} {:>10.3} {:>9.3} {:>7} {:>6}",
            time(row.start_ms),
            row.key,
            row.label,
            row.count,
            row.mean,
            row.min,
            row.max,
            row.stddev,
            row.alarms,
            row.is_final
        )?;
    }
    if rows.is_empty() {
        eprintln!("no rows: nothing has been folded for this view, metric and range yet");
    }
    Ok(())
}
