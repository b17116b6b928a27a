//! One instance's life, as `etiage run` leads it.

use std::sync::Arc;
use std::time::Duration;

use etiage::clock::Clock;
use etiage::run::{Engine, RunError, SentBefore, Settings, Stop, pace::Pace};
use etiage::setup::SetupError;
use etiage::setup::connect::{Bound, bind};
use etiage::setup::generations::Registry;
use etiage::source::SourceEvent;
use etiage::store::{GenerationRecord, GenerationState};
use etiage::telemetry::Health;
use tokio::sync::{mpsc, watch};

use crate::doors::Doors;
use crate::plan::Plan;
use crate::world::{WALL_US, World};

/// How it ended.
#[derive(Debug)]
pub enum Ended {
    Setup(SetupError),
    Run(RunError),
    Well,
}

/// It finds its views, joins the group and runs.
pub async fn live(
    world: Arc<World>,
    id: u64,
    inbox: mpsc::Receiver<SourceEvent>,
    stop: watch::Receiver<Stop>,
    until_end: bool,
    rogue: bool,
) -> Ended {
    let plan = world.lock().plan.clone();
    let setup = crate::meaning::setup(plan.variant, if rogue { 1 } else { 2 });
    let doors = Arc::new(Doors { world: world.clone(), id });
    let clock = Clock::simulated(&WALL_US, world.began);
    let registry =
        Registry { store: &*doors, source: &*doors, clock, config: &setup.config, compiled: &setup.compiled };
    // Half of those that lack a view have come before it was there.
    let bound = match rogue && id.is_multiple_of(2) {
        true => bind_alone(&world, &setup),
        false => bind(registry).await,
    };
    let Bound { views, streams } = match bound {
        Ok(bound) => bound,
        Err(error) => return Ended::Setup(error),
    };
    doors.gate().await;
    if let Some(member) = world.lock().members.get_mut(&id) {
        member.leaving = *stop.borrow() != Stop::Running;
    }
    let settings = settings(&plan, setup.settings.clone(), until_end);
    let health = Arc::new(Health::starting("starting"));
    let engine = Engine::new(etiage::run::World {
        store: doors.clone(),
        source: doors.clone(),
        outbox: doors.clone(),
        clock,
        health,
        views,
        streams,
        sent_before: SentBefore::default(),
        settings,
    });
    match engine.expect("no thread is needed").run(inbox, stop).await {
        Ok(_) => Ended::Well,
        Err(error) => Ended::Run(error),
    }
}

/// The first view alone, whatever else is live.
fn bind_alone(world: &World, setup: &crate::meaning::Setup) -> Result<Bound, SetupError> {
    let generations = world.lock().generations.clone();
    let of_near = |record: &GenerationRecord| record.view == "near" && record.state == GenerationState::Live;
    let generation = Arc::new(generations.into_iter().find(of_near).expect("both views are live"));
    let view = setup.compiled.view("near", &setup.config, &generation)?;
    let streams = setup.compiled.streams(&setup.config, &[(view.clone(), generation)])?;
    Ok(Bound { views: vec![view], streams })
}

fn settings(plan: &Plan, base: Settings, until_end: bool) -> Settings {
    Settings {
        commit_lag_ms: plan.lag_ms,
        commit_every_ms: plan.commit_every_ms,
        parts_bytes: plan.parts_bytes,
        stop_deadline_ms: plan.stop_deadline_ms,
        decode_threads: 0,
        pace: Pace {
            tick: Duration::from_millis(plan.tick_ms),
            retry: Duration::from_millis(100),
            commit_pause_ms: 150,
            keep_every_ms: plan.keep_every_ms,
            idle_every_ms: plan.idle_every_ms,
            sweep_every: Duration::from_millis(400),
            watch_every: Duration::from_millis(1_500),
            beat_every: Duration::from_millis(500),
            cold_ms: plan.cold_ms,
            step_records: if plan.seed.is_multiple_of(2) { 3 } else { usize::MAX },
            log_end_patience_ms: 1_000,
        },
        until_end,
        ..base
    }
}
