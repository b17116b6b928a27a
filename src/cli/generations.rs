//! `etiage generations`.

use anyhow::bail;
use clap::Args;
use etiage::config::StoreConfig;
use etiage::store::{self, GenerationState};

use super::ConfigArg;
use super::output::to_stdout;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage generations --config etiage.toml

One line each. live: its rows are what people read; superseded: another one has taken its place. The epoch is what all
timestamps of a generation's writes begin at. Two generations with the same meaning compute the same.")]
pub struct GenerationsArgs {
    #[command(flatten)]
    config: ConfigArg,
}

pub async fn run(args: GenerationsArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    if let StoreConfig::Sqlite { path } = &config.store
        && !path.exists()
    {
        bail!("there is no database {} yet: `etiage run` makes it, or correct store.path", path.display());
    }
    let store = store::open(&config.store).await?;
    store.check().await?;
    let mut known = store.generations().await?;
    known.sort_by(|a, b| (&a.view, a.generation).cmp(&(&b.view, b.generation)));
    to_stdout(|out| {
        writeln!(out, "{:<20} {:>10}  {:<11} {:<27} {:<20} meaning", "view", "generation", "state", "epoch", "group")?;
        for one in &known {
            let epoch = chrono::DateTime::from_timestamp_micros(one.epoch_us);
            let epoch = epoch.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)).unwrap_or_default();
            let (state, meaning) = (name(one.state), one.fingerprint.get(..12).unwrap_or(&one.fingerprint));
            writeln!(
                out,
                "{:<20} {:>10}  {state:<11} {epoch:<27} {:<20} {meaning}",
                one.view, one.generation, one.group
            )?;
        }
        Ok(())
    })
}

fn name(state: GenerationState) -> &'static str {
    match state {
        GenerationState::Live => "live",
        GenerationState::Replaying => "replaying",
        GenerationState::Draining { .. } => "draining",
        GenerationState::Promoting => "promoting",
        GenerationState::Superseded => "superseded",
    }
}
