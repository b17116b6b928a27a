//! `etiage replay`.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use etiage::config::Config;
use etiage::decode::RANGE_MS;
use etiage::replay::starts::{ReplayFrom, Request};
use etiage::replay::{endings, plan};
use etiage::run::replay::{Beside, Outcome, keep_positions};
use etiage::run::{Engine, RunError, Stop};
use etiage::setup::connect::{self, Begun};
use etiage::setup::history;
use etiage::telemetry::{self, Health};
use tokio::sync::{oneshot, watch};

use super::output::to_stdout;
use super::{ConfigArg, diff, rows, run, signals};

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage replay --config new.toml --from earliest
  etiage replay --config new.toml --from earliest --view region
  etiage replay --config new.toml --from earliest --dry-run && etiage diff --config new.toml
  etiage replay --config new.toml --from 2026-11-01T00:00:00Z --view region
  etiage replay --config new.toml --from now --view added
  etiage replay --config new.toml --abort

The views are computed from what the topics (or files) hold, under the meaning that this
configuration gives them, as a new generation with a consumer group of its own. The rows stay as
they are meanwhile, and whoever runs goes on. When it has caught up, the running instances pause
(for two store.commit_lag and some seconds), the new generation takes over, and every row is
written once.

It can be killed at any time: the same command goes on with it. Start it several times to go
faster, or roll out the new configuration: `etiage run` takes part while the replay lasts and goes
on after it. Instances with the old configuration end when it takes over.")]
pub struct ReplayArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Where to begin: `earliest`, what the logs still hold; a time such as 2026-11-01T00:00:00Z, windows that start then
    /// or later (the rows of earlier ones stay); `now`, windows that take readings still, or of a view that has no rows
    /// yet what comes from now on (windows that may lack what came before are marked `partial`)
    #[arg(long, value_name = "earliest|TIME|now", value_parser = from, required_unless_present = "abort")]
    from: Option<ReplayFrom>,
    /// Replay this view alone (may be given again); the others' rows and generations are left alone
    #[arg(long, value_name = "NAME")]
    view: Vec<String>,
    /// Where the logs no longer hold all that the rows were computed from: remove the rows of what is gone. (Without
    /// this, rows that hold any of it stay as they are.)
    #[arg(long, conflicts_with = "abort")]
    forget_history: bool,
    /// Where windows take readings still, but hold such from before the beginning (rollups), or such as the logs have lost:
    /// leave them as they are until they end
    #[arg(long, conflicts_with = "abort")]
    freeze_windows: bool,
    /// Stop when it has caught up, and show what taking over would change; the same command without this goes on with it
    #[arg(long, conflicts_with = "abort")]
    dry_run: bool,
    /// Give a replay up that has not taken over yet; nothing has changed then
    #[arg(long, conflicts_with = "from")]
    abort: bool,
}

fn from(text: &str) -> Result<ReplayFrom, String> {
    match text {
        "earliest" => Ok(ReplayFrom::Earliest),
        "now" => Ok(ReplayFrom::Now),
        _ => {
            let from_ms = rows::instant(text).map_err(|why| format!("{why}; or earliest, or now"))?;
            let known = (from_ms >= *RANGE_MS.start()).then_some(ReplayFrom::Time(from_ms));
            known.ok_or_else(|| format!("no reading is from before {}: say earliest", plan::shown(*RANGE_MS.start())))
        }
    }
}

pub async fn run(args: ReplayArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let views = views(&config, &args.view)?;
    telemetry::logs(&config.log)?;
    if args.abort {
        return abort(&config, &views).await;
    }
    let health = Arc::new(Health::starting("connecting"));
    let listening = run::listen(&config.serve.listen, &health).await?;
    let outcome = replay(&config, &views, &args, &health).await;
    health.dead("stopped");
    if let Some(listening) = listening {
        listening.close().await;
    }
    outcome
}

pub fn views(config: &Config, named: &[String]) -> anyhow::Result<BTreeSet<String>> {
    if let Some(unknown) = named.iter().find(|name| !config.views.contains_key(*name)) {
        let known: Vec<&str> = config.views.keys().map(String::as_str).collect();
        bail!("--view {unknown}: the configuration has no such view; it has {}", known.join(", "));
    }
    Ok(if named.is_empty() { config.views.keys().cloned().collect() } else { named.iter().cloned().collect() })
}

async fn replay(
    config: &Config,
    views: &BTreeSet<String>,
    args: &ReplayArgs,
    health: &Arc<Health>,
) -> anyhow::Result<()> {
    let mut stop = signals::stop_on_signal()?;
    let request = Request {
        from: args.from.context("--from says where to begin")?,
        forget_history: args.forget_history,
        freeze_windows: args.freeze_windows,
    };
    if request.forget_history && matches!(request.from, ReplayFrom::Time(_)) {
        bail!(
            "--forget-history removes rows whose readings are gone, and --from with a time keeps earlier rows as they are: \
             say --from earliest, or leave --forget-history out"
        );
    }
    let begun = tokio::select! {
        begun = connect::begin_replay(config, views, request) => begun?,
        _ = stop.wait_for(|stop| *stop != Stop::Running) => return Ok(()),
    };
    let history = history::to_fold(config, &begun).map(history::halved);
    let config = if history.is_some() { history::halved(config.clone()) } else { config.clone() };
    // Whoever cannot read the files must not take partitions.
    history.iter().try_for_each(history::is_there)?;
    let (world, events, leader) = tokio::select! {
        connected = connect::connect_replay(&config, &begun, health.clone()) => connected?,
        _ = stop.wait_for(|stop| *stop != Stop::Running) => return Ok(()),
    };
    health.not_ready("joining the group");
    let leader = if args.dry_run { leader.dry() } else { leader };
    // The files beside the topics: what these shed meanwhile would be missing.
    let (told, folded) = oneshot::channel();
    let folding = tokio::spawn(fold_history(config, history, begun, leader.beside(), stop.clone(), told));
    let outcome = leader.lead_beside(Engine::new(world)?, events, stop, folded).await?;
    folding.await.context("folding the history")??;
    outcome.map_or(Ok(()), |outcome| tell(&outcome, args.dry_run))
}

/// Tells when all of it is durable. (Whoever leads stops where this is not told.)
async fn fold_history(
    config: Config,
    history: Option<Config>,
    begun: Begun,
    beside: Beside,
    mut stop: watch::Receiver<Stop>,
    folded: oneshot::Sender<()>,
) -> anyhow::Result<()> {
    if let Some(history) = history {
        let (world, events) = tokio::select! {
            connected = history::connect(&config, &history, &begun) => connected?,
            _ = stop.wait_for(|stop| *stop != Stop::Running) => return Ok(()),
        };
        // (Nobody else connects it.)
        let _ = beside.set(world.source.clone());
        match Engine::new(world.clone())?.run(events, stop.clone()).await {
            // Another process was there before this one.
            Err(RunError::TakenOver { .. }) => {}
            Ok(summary) => {
                run::tell(&summary);
                // A later replay reads the files in a group of its own, and finds there how far this one has come.
                keep_positions(&world, &mut stop).await?;
                if *stop.borrow() != Stop::Running {
                    return Ok(());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    // (Whoever led has gone.)
    let _ = folded.send(());
    Ok(())
}

fn tell(outcome: &Outcome, dry_run: bool) -> anyhow::Result<()> {
    to_stdout(|out| {
        if let Some(differences) = &outcome.differences {
            diff::summary(out, differences, dry_run)?;
        }
        match dry_run {
            true => writeln!(out, "Nothing has been changed. `etiage diff` shows it by key and month.")?,
            false => writeln!(out, "The replayed views serve; {} windows were published from here.", outcome.slots)?,
        }
        Ok(())
    })
}

async fn abort(config: &Config, views: &BTreeSet<String>) -> anyhow::Result<()> {
    let store = super::open_store(&config.store).await?;
    let mut aborted = 0;
    for view in views {
        let records = store.generations().await?;
        let changes = endings::abortion(view, &records)?;
        if changes.is_empty() {
            continue;
        }
        let changed = store.change_generations(&changes).await?;
        changed
            .then_some(())
            .with_context(|| format!("view {view}: its generations have changed meanwhile: try again"))?;
        tracing::info!(view, "the replay is given up; its rows are as they were");
        aborted += 1;
    }
    if aborted == 0 {
        bail!("no replay of {} is under way", views.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    }
    Ok(())
}
