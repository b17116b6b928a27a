//! `etiage retire`.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use etiage::config::Config;
use etiage::replay::{endings, plan};
use etiage::setup;
use etiage::store::{GenerationRecord, GenerationState, Store};

use super::ConfigArg;
use super::output::to_stdout;

/// Instances ask once a second.
const UNTIL_EVERYBODY_KNOWS: Duration = Duration::from_secs(3);

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage retire region --config without-region.toml
  etiage retire region --config without-region.toml --remove-rows

A view that the configuration has lost is refused by `etiage run`, until this says that it is to go:
records would be committed that it has never seen. Instances that still have the view go on
with their others within seconds. Its rows stay, as they are then, unless --remove-rows is given;
`etiage gc` removes its parts. Adding it again later is a replay, which removes the rows that it does
not compute again: `etiage replay --view region --from earliest|now --forget-history`.")]
pub struct RetireArgs {
    /// The view, as `etiage generations` lists it
    view: String,
    #[command(flatten)]
    config: ConfigArg,
    /// Remove its rows, too, of all widths and metrics; of a view that was retired before, these alone
    #[arg(long)]
    remove_rows: bool,
}

pub async fn run(args: RetireArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    etiage::telemetry::logs(&config.log)?;
    let view = &args.view;
    if config.views.contains_key(view) {
        bail!("view {view} is in this configuration, with which it would begin again: take it out, and retire it then");
    }
    let store = super::open_store(&config.store).await?;
    let known = store.generations().await?;
    let last = endings::last(view, &known)?;
    let retired = match last {
        Some(record) if record.state == GenerationState::Live => {
            step(&*store, record, GenerationState::Retired).await?;
            GenerationRecord { state: GenerationState::Retired, ..record.clone() }
        }
        Some(record) => record.clone(),
        None => bail!("view {view} was retired before, and its rows are removed"),
    };
    if args.remove_rows {
        remove_rows(&*store, &config, &retired).await?;
        step(&*store, &retired, GenerationState::Superseded).await?;
    }
    to_stdout(|out| {
        match last.map(|record| record.state) {
            Some(GenerationState::Live) => {
                writeln!(out, "view {view} is retired, in its generation {}", retired.generation)?
            }
            _ => writeln!(out, "view {view} was retired before")?,
        }
        let rows = if args.remove_rows { "its rows are removed" } else { "its rows stay as they are" };
        writeln!(out, "{rows}; `etiage gc` removes what they were computed from")?;
        Ok(())
    })
}

async fn step(store: &dyn Store, record: &GenerationRecord, to: GenerationState) -> anyhow::Result<()> {
    let changed = store.change_generations(&[record.step(to)]).await?;
    changed
        .then_some(())
        .with_context(|| format!("view {}: its generations have changed meanwhile: try again", record.view))
}

/// When every instance knows that the view is retired; and once more, as a power cut may take the first back (invariant I4).
async fn remove_rows(store: &dyn Store, config: &Config, retired: &GenerationRecord) -> anyhow::Result<()> {
    let lag_ms = setup::settings(config, false).commit_lag_ms;
    let pauses = [Some(UNTIL_EVERYBODY_KNOWS), (lag_ms > 0).then(|| Duration::from_millis(lag_ms))];
    for pause in pauses.into_iter().flatten() {
        tokio::time::sleep(pause).await;
        store.remove_rows(&retired.view, plan::last_stamp(retired), None).await?;
    }
    Ok(())
}
