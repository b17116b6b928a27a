//! `etiage retire`.

use anyhow::{Context, bail};
use clap::Args;
use etiage::replay::{endings, plan};
use etiage::store::GenerationRecord;

use super::ConfigArg;
use super::output::to_stdout;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage retire region --config without-region.toml
  etiage retire region --config without-region.toml --remove-rows

A view that the configuration has lost is refused by `etiage run`, until this says that it is to go:
records would be committed that it has never seen. Instances that still have the view go on
with their others within seconds. Its rows stay, as they are then, unless --remove-rows is given;
`etiage gc` removes its parts. Adding it again later is a replay:
`etiage replay --view region --from earliest|now`.")]
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
    let step = endings::retirement(view, &known)?;
    if let Some(step) = &step {
        let changed = store.change_generations(std::slice::from_ref(step)).await?;
        changed
            .then_some(())
            .with_context(|| format!("view {view}: its generations have changed meanwhile: try again"))?;
    }
    let last = known.iter().filter(|record| record.view == *view).max_by_key(|record| record.epoch_us);
    if let Some(last) = last.filter(|_| args.remove_rows) {
        // Whatever an instance may still write is older than that.
        store.remove_rows(view, plan::last_stamp(last), None).await?;
    }
    to_stdout(|out| {
        match (&step, last) {
            (Some(_), Some(GenerationRecord { generation, .. })) => {
                writeln!(out, "view {view} is retired; generation {generation} was its last")?
            }
            _ => writeln!(out, "view {view} was retired before")?,
        }
        let rows = if args.remove_rows { "its rows are removed" } else { "its rows stay as they are" };
        writeln!(out, "{rows}; `etiage gc` removes what they were computed from")?;
        Ok(())
    })
}
