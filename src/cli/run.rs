//! `etiage run`.

use std::sync::Arc;

use clap::Args;
use etiage::config::Config;
use etiage::run::progress::Summary;
use etiage::run::{Engine, Stop};
use etiage::setup;
use etiage::telemetry::{self, Health, Listening};
use tokio::sync::watch;

use super::{ConfigArg, signals};

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage run --config etiage.toml
  etiage run --config etiage.toml --until-end
  ETIAGE_STREAMS__TEMPERATURES__FILES='[\"a.ndjson\",\"b.ndjson\"]' ETIAGE_STORE__KIND=sqlite \\
    ETIAGE_STORE__PATH=rows.db etiage run --config examples/temperatures/etiage.toml --until-end

Start as many as there are partitions: they share them as one consumer group. SIGTERM or Ctrl-C stops cleanly. With the
configuration of an `etiage replay` that is under way it takes part in that replay, and goes on after it.")]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Stop when everything that the sources hold now has been read and is durable
    #[arg(long)]
    until_end: bool,
    /// Print the defaults of all settings, with their meaning, and end
    #[arg(long)]
    defaults: bool,
}

pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    if args.defaults {
        return super::output::to_stdout(|out| Ok(write!(out, "{}", etiage::config::DEFAULTS)?));
    }
    let config = args.config.load()?;
    telemetry::logs(&config.log)?;
    let health = Arc::new(Health::starting("connecting"));
    let listening = listen(&config.serve.listen, &health).await?;
    let stop = signals::stop_on_signal()?;
    let outcome = bound_again_and_again(&config, args.until_end, &health, stop).await;
    health.dead("stopped");
    if let Some(listening) = listening {
        listening.close().await;
    }
    if let Some(summary) = outcome? {
        tell(&summary);
    }
    Ok(())
}

/// Runs, and when another generation has taken over, or a view has come, binds to what serves now and goes on. `None`: stopped
/// before it ran.
async fn bound_again_and_again(
    config: &Config,
    until_end: bool,
    health: &Arc<Health>,
    mut stop: watch::Receiver<Stop>,
) -> anyhow::Result<Option<Summary>> {
    let mut before = None;
    loop {
        let (world, events) = tokio::select! {
            connected = setup::connect::connect(config, until_end, health.clone()) => connected?,
            _ = stop.wait_for(|stop| *stop != Stop::Running) => return Ok(None),
        };
        let bindings = world.bindings();
        health.not_ready("joining the group");
        match Engine::new(world)?.run(events, stop.clone()).await {
            // Bound as before: that would go on for ever.
            Err(error) if error.asks_to_bind_again() && before.as_ref() != Some(&bindings) => {
                tracing::info!(%error, "binding again");
                before = Some(bindings);
            }
            outcome => return Ok(outcome.map(Some)?),
        }
    }
}

/// A taken port costs this instance its metrics, not its work: several may run on one machine.
pub async fn listen(address: &str, health: &Arc<Health>) -> anyhow::Result<Option<Listening>> {
    if address.is_empty() {
        return Ok(None);
    }
    match telemetry::listen(address, telemetry::install()?, health.clone()).await {
        Ok(listening) => {
            tracing::info!(address = %listening.address, "metrics and health");
            Ok(Some(listening))
        }
        Err(error) => {
            tracing::warn!(%error, "no metrics and no health from this instance");
            Ok(None)
        }
    }
}

pub fn tell(summary: &Summary) {
    let seconds = summary.elapsed_ms as f64 / 1e3;
    let rate = summary.readings as f64 / seconds.max(1e-3);
    let writes = summary.writes * 1_000_000 / summary.readings.max(1);
    tracing::info!(
        records = summary.records,
        readings = summary.readings,
        seconds,
        rate = rate as u64,
        writes = summary.writes,
        writes_a_million_readings = writes,
        "stopped"
    );
    for (partition, commit) in &summary.partitions {
        for view in &commit.views {
            for (width, tally) in &view.tallies {
                tracing::info!(
                    %partition, position = commit.position.0, view = %view.view, %width, seen = tally.seen, folded = tally.folded,
                    late = tally.late, rejected = tally.rejected, outside = tally.outside, unkeyed = tally.unkeyed, filtered = tally.filtered, "tally"
                );
            }
        }
    }
}
