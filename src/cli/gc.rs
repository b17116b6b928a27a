//! `etiage gc`.

use clap::Args;
use etiage::replay::plan;
use etiage::store::{GenerationRecord, GenerationState, Slot, Store, StoreError};
use tokio::sync::mpsc;

use super::ConfigArg;
use super::output::to_stdout;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage gc --config etiage.toml --dry-run
  etiage gc --config etiage.toml

A generation is superseded once a replay has taken its place, or has been given up: its rows are
gone by then. It is retired once its view has been: its rows stay. The parts of both are kept until
this command, which can be killed and repeated. The list of `etiage generations` stays, so that no
number is used twice.")]
pub struct GcArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Say how much there is, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(args: GcArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    etiage::telemetry::logs(&config.log)?;
    let store = super::open_store(&config.store).await?;
    let mut records = store.generations().await?;
    records.retain(|record| matches!(record.state, GenerationState::Superseded | GenerationState::Retired));
    let mut lines = Vec::new();
    for record in &records {
        let windows = collect(&*store, record, args.dry_run).await?;
        lines.push((record, windows));
    }
    let what = if args.dry_run { "has parts of" } else { "lost its parts of" };
    to_stdout(|out| {
        for (record, windows) in &lines {
            writeln!(out, "view {}, generation {} {what} {windows} windows", record.view, record.generation)?;
        }
        if lines.is_empty() {
            writeln!(out, "no generation is superseded or retired")?;
        }
        Ok(())
    })
}

/// Removes the parts of one generation; says of how many windows.
async fn collect(store: &dyn Store, record: &GenerationRecord, dry_run: bool) -> Result<usize, StoreError> {
    let (send, mut pieces) = mpsc::channel::<Vec<Slot>>(1);
    let remove = async {
        let mut windows = 0;
        while let Some(slots) = pieces.recv().await {
            windows += slots.len();
            if !dry_run {
                store.remove_parts(&slots, plan::last_stamp(record)).await?;
            }
        }
        Ok(windows)
    };
    Ok(tokio::try_join!(store.list_slots(&record.view, record.generation, send), remove)?.1)
}
