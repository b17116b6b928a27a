//! `etiage rows`: what a view says, from either store.

use std::io::Write;

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use clap::Args;
use clap::builder::PossibleValuesParser;
use etiage::store::{self, Row, RowQuery};
use etiage::window::Width;

use super::ConfigArg;
use super::merged;
use super::output::to_stdout;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage rows --config etiage.toml --view region --metric temperature
  etiage rows --config etiage.toml --view region --metric temperature --key 53 --from 2019-02-19 --to 2019-02-20 --csv
  etiage rows --config etiage.toml --view region --metric temperature --from 2019-02-01 --to 2019-02-15 --merge
  etiage rows --config examples/bts-alarms/etiage.toml --view datapoint --metric value --tenant tenant-003

A key of several fields is their texts joined by \"/\", as the column `key` shows it. --merge adds the windows of
the range up from their exact sums: one row a key, with the mean and deviation of all its readings.")]
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
    /// Rows of this tenant, where the streams have tenants
    #[arg(long, default_value = "")]
    tenant: String,
    /// First window start, inclusive: RFC 3339, or a date or `YYYY-MM-DD hh:mm:ss` in UTC
    #[arg(long, value_parser = instant)]
    from: Option<i64>,
    /// Last window start, exclusive
    #[arg(long, value_parser = instant)]
    to: Option<i64>,
    /// One row a key for the whole range, exact: needs the right to read the table `parts`
    #[arg(long)]
    merge: bool,
    /// Only these columns, in this order, such as window_start,count,mean
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(COLUMNS), conflicts_with = "json")]
    columns: Vec<String>,
    /// Comma-separated values, floats that read back exactly
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn instant(text: &str) -> Result<i64, String> {
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
    let open = etiage::setup::takes_any_metric(&args.view, &config);
    if !open && !metrics.iter().any(|metric| **metric == *args.metric) {
        bail!("view {:?} has no metric {:?}: there are {}", args.view, args.metric, metrics.join(", "));
    }
    let store = store::open(&config.store).await?;
    store.check_reader().await?;
    let width = args.width.unwrap_or(view.window);
    if !view.widths().contains(&width) {
        let widths: Vec<String> = view.widths().iter().map(Width::to_string).collect();
        bail!("view {:?} has no windows of {width}: there are {}", args.view, widths.join(", "));
    }
    let query = RowQuery {
        view: args.view.clone(),
        width,
        metric: args.metric.clone(),
        tenant: args.tenant.clone(),
        key: args.key.clone(),
        from_ms: args.from,
        to_ms: args.to,
    };
    let mut rows = store.rows(&query).await?;
    if args.merge {
        rows = merged::by_key(&*store, &query, &rows, etiage::setup::unit_of(&args.view, &config)?).await?;
    }
    to_stdout(|out| match (args.csv, args.json) {
        (true, _) => write_csv(&rows, &args.columns, out),
        (_, true) => write_json(&rows, out),
        _ if !args.columns.is_empty() => write_columns(&rows, &args.columns, out),
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
pub const COLUMNS: [&str; 24] = [
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
    "partial",
    "mean_before",
    "final",
    "revision",
    "generation",
    "updated_at",
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
        row.partial.to_string(),
        row.mean_before.map(|mean| mean.to_string()).unwrap_or_default(),
        row.is_final.to_string(),
        row.revision.to_string(),
        row.generation.to_string(),
        time(row.updated_at_ms),
    ]
}

/// The columns that were asked for, as places in [`COLUMNS`].
fn places(columns: &[String]) -> Vec<usize> {
    let place = |column: &String| COLUMNS.iter().position(|known| known == column);
    if columns.is_empty() { (0..COLUMNS.len()).collect() } else { columns.iter().filter_map(place).collect() }
}

fn write_csv(rows: &[Row], columns: &[String], out: &mut dyn Write) -> anyhow::Result<()> {
    let (mut writer, places) = (csv::Writer::from_writer(out), places(columns));
    writer.write_record(places.iter().map(|place| COLUMNS[*place]))?;
    for row in rows {
        let fields = fields(row);
        writer.write_record(places.iter().map(|place| &fields[*place]))?;
    }
    Ok(writer.flush()?)
}

/// Columns as wide as their longest text.
fn write_columns(rows: &[Row], columns: &[String], out: &mut dyn Write) -> anyhow::Result<()> {
    let places = places(columns);
    let mut lines = vec![places.iter().map(|place| COLUMNS[*place].to_owned()).collect::<Vec<String>>()];
    lines.extend(rows.iter().map(fields).map(|fields| places.iter().map(|place| fields[*place].clone()).collect()));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..places.len()).map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<String>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn write_json(rows: &[Row], out: &mut dyn Write) -> anyhow::Result<()> {
    for row in rows {
        let value = serde_json::json!({
            "view": row.view, "width": row.width, "metric": row.metric, "tenant": row.tenant, "key": row.key,
            "window_start": time(row.start_ms), "window_end": time(row.end_ms), "label": row.label, "labels": row.labels,
            "count": row.count, "mean": row.mean, "min": row.min, "max": row.max, "stddev": row.stddev,
            "alarms": row.alarms, "active": row.active, "outliers": row.outliers, "partial": row.partial,
            "mean_before": row.mean_before, "final": row.is_final, "revision": row.revision, "generation": row.generation,
            "updated_at": time(row.updated_at_ms),
        });
        writeln!(out, "{value}")?;
    }
    Ok(())
}

fn write_table(rows: &[Row], out: &mut dyn Write) -> anyhow::Result<()> {
    let widest = |least: usize, text: fn(&Row) -> &str| {
        rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0).max(least)
    };
    let (keys, labels) = (widest(4, |row| &row.key), widest(28, |row| &row.label));
    writeln!(
        out,
        "{:<20} {:>keys$} {:<labels$} {:>9} {:>10} {:>10} {:>10} {:>9} {:>7} {:>6}",
        "window_start", "key", "label", "count", "mean", "min", "max", "stddev", "alarms", "final"
    )?;
    for row in rows {
        writeln!(
            out,
            "{:<20} {:>keys$} {:<labels$} {:>9} {:>10.3} {:>10.3} {:>10.3} {:>9.3} {:>7} {:>6}",
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
