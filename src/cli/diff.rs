//! `etiage diff`.

use std::io::Write;

use anyhow::bail;
use clap::Args;
use etiage::replay::difference::{Changes, Difference, Differences};
use etiage::run::replay::compare;
use etiage::setup::Compiled;
use etiage::store::GenerationState;

use super::ConfigArg;
use super::output::to_stdout;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage replay --config new.toml --from earliest --dry-run
  etiage diff --config new.toml
  etiage diff --config new.toml --view region --json

One line for each key, metric and month (of the windows' starts, UTC): how many rows would change,
come or go, and what that does to their readings and alarms. Then the rows whose mean would move
furthest. `etiage replay` without --dry-run takes over, `etiage replay --abort` gives up; until then
nobody sees anything of it.")]
pub struct DiffArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// This view alone (may be given again)
    #[arg(long, value_name = "NAME")]
    view: Vec<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub async fn run(args: DiffArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let compiled = Compiled::new(&config)?;
    let store = super::open_store(&config.store).await?;
    let records = store.generations().await?;
    let mut all = Differences::default();
    let mut compared = 0;
    for view in super::replay::views(&config, &args.view)? {
        let mut of_view = records.iter().filter(|record| record.view == view);
        let Some(replayed) = of_view.find(|record| record.state == GenerationState::Replaying) else { continue };
        if replayed.fingerprint != compiled.meanings[&view].fingerprint {
            bail!(
                "view {view} is being replayed under another configuration than this one: show its differences with that"
            );
        }
        let view = compiled.view(&view, &config, replayed)?;
        all.extend(compare::differences(&*store, &view).await?);
        compared += 1;
    }
    if compared == 0 {
        bail!("no view is being replayed: begin with `etiage replay --from earliest --dry-run`");
    }
    to_stdout(|out| if args.json { json(out, &all) } else { table(out, &all) })
}

fn table(out: &mut dyn Write, all: &Differences) -> anyhow::Result<()> {
    writeln!(
        out,
        "{:<16} {:<5} {:<8} {:<28} {:<16} {:>9} {:>8} {:>6} {:>8} {:>10} {:>8} {:>10}",
        "view",
        "width",
        "month",
        "key",
        "metric",
        "unchanged",
        "changed",
        "new",
        "removed",
        "readings",
        "alarms",
        "mean by"
    )?;
    for (place, changes) in &all.places {
        let key =
            if place.tenant.is_empty() { place.label.clone() } else { format!("{} {}", place.tenant, place.label) };
        let Changes { unchanged, changed, added, removed, readings, alarms, mean } = changes;
        writeln!(
            out,
            "{:<16} {:<5} {:<8} {key:<28} {:<16} {unchanged:>9} {changed:>8} {added:>6} {removed:>8} {readings:>+10} {alarms:>+8} {mean:>10.3}",
            place.view, place.width, place.month, place.metric
        )?;
    }
    summary(out, all, true)
}

/// How many rows, and those whose mean moves furthest.
pub fn summary(out: &mut dyn Write, all: &Differences, is_ahead: bool) -> anyhow::Result<()> {
    let Changes { unchanged, changed, added, removed, readings, alarms, .. } = all.total();
    let when = if is_ahead { "would be" } else { "were" };
    writeln!(
        out,
        "{changed} rows {when} changed, {added} new, {removed} removed, {unchanged} unchanged; {readings:+} readings, {alarms:+} alarms."
    )?;
    if all.left > 0 {
        writeln!(
            out,
            "{} rows are left as they are: the replay begins after them, or the logs have lost some of their readings.",
            all.left
        )?;
    }
    for Difference { place, start_ms, before, after } in &all.largest {
        let start = chrono::DateTime::from_timestamp_millis(*start_ms).map(|time| time.format("%FT%TZ").to_string());
        let cells = |cells: &Option<(i64, f64, i64)>| match cells {
            Some((count, mean, alarms)) => format!("{count} readings, mean {mean:.3}, {alarms} alarms"),
            None => "no row".to_owned(),
        };
        let (label, metric, start) = (&place.label, &place.metric, start.unwrap_or_default());
        writeln!(out, "  {} {start} {label} {metric}: {} → {}", place.view, cells(before), cells(after))?;
    }
    Ok(())
}

fn json(out: &mut dyn Write, all: &Differences) -> anyhow::Result<()> {
    for (place, changes) in &all.places {
        let line = serde_json::json!({
            "view": place.view, "width": place.width, "month": place.month, "tenant": place.tenant, "key": place.label,
            "metric": place.metric, "unchanged": changes.unchanged, "changed": changes.changed, "new": changes.added,
            "removed": changes.removed, "readings": changes.readings, "alarms": changes.alarms, "mean_by": changes.mean,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
