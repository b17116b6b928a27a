//! One instance's life, as `etiage run` and `etiage replay` lead it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use etiage::clock::Clock;
use etiage::replay::plan::Refusal;
use etiage::replay::starts::{ReplayFrom, Request};
use etiage::run::replay::Leader;
use etiage::run::{Engine, RunError, SentBefore, Settings, Stop, pace::Pace};
use etiage::setup::SetupError;
use etiage::setup::connect::{Bound, bind, bound, sent_before};
use etiage::setup::generations::Registry;
use etiage::source::SourceEvent;
use etiage::store::{GenerationRecord, GenerationState};
use etiage::telemetry::Health;
use tokio::sync::{mpsc, oneshot, watch};

use crate::doors::Doors;
use crate::meaning::Setup;
use crate::plan::{Fault, Plan};
use crate::replays::REPLAYED;
use crate::world::{REPLAY, Role, WALL_US, World};

/// Three heartbeats.
const PATIENCE: Duration = Duration::from_millis(1_600);

/// How it ended.
#[derive(Debug)]
pub enum Ended {
    Setup(SetupError),
    Run(RunError),
    Well,
}

impl Ended {
    /// Another generation serves, or a replay was given up or cannot be had: whoever comes next does what is right then.
    pub fn is_of_replay(&self, plan: &Plan) -> bool {
        match self {
            Ended::Run(error) => error.asks_to_bind_again(),
            Ended::Setup(SetupError::OtherMeaning { .. }) => true,
            Ended::Setup(SetupError::Replay(why)) => match why {
                Refusal::StillPublishing { .. } => true,
                Refusal::HistoryGone { .. } => plan.faults.iter().any(|(_, fault)| *fault == Fault::Retention),
                // Somebody was first, and began the next one.
                Refusal::BeginsElsewhere { .. } => plan.replay_from.iter().any(|from| *from != plan.replay_from[0]),
                Refusal::StillOpen { .. } => plan.replay_from.iter().any(|from| matches!(from, ReplayFrom::Time(_))),
                Refusal::NothingYet { .. } | Refusal::NotFolded { .. } => {
                    plan.replay_from.iter().any(|from| *from != ReplayFrom::Earliest)
                }
                _ => false,
            },
            Ended::Setup(_) | Ended::Well => false,
        }
    }
}

/// It finds its views, joins the group and runs.
pub async fn live(
    world: Arc<World>,
    id: u64,
    inbox: mpsc::Receiver<SourceEvent>,
    stop: watch::Receiver<Stop>,
    role: Role,
) -> Ended {
    let (plan, variant) = {
        let mut state = world.lock();
        (state.plan.clone(), state.variant_for(role))
    };
    let setup = crate::meaning::setup(variant, if role == Role::Rogue { 1 } else { 2 });
    let doors = Arc::new(Doors::new(&world, id));
    let clock = Clock::simulated(&WALL_US, world.began);
    let registry =
        Registry { store: &*doors, source: &*doors, clock, config: &setup.config, compiled: &setup.compiled };
    let Begun { bound: Bound { views, streams }, group, sent_before } =
        match begin(registry, &doors, &setup, role).await {
            Ok(begun) => begun,
            Err(error) => return Ended::Setup(error),
        };
    doors.gate().await;
    let replaying = group.is_some();
    if let Some(member) = world.lock().members.get_mut(&id) {
        member.leaving = *stop.borrow() != Stop::Running;
        member.side = if replaying { REPLAY } else { member.side };
    }
    let source = group.map_or(doors.clone(), |group| Arc::new(Doors { group, ..Doors::new(&world, id) }));
    let settings = Settings { replaying, ..settings(&plan, setup.settings.clone(), role == Role::UntilEnd) };
    let engines = etiage::run::World {
        store: doors.clone(),
        source: source.clone(),
        outbox: doors.clone(),
        clock,
        health: Arc::new(Health::starting("starting")),
        views,
        streams,
        sent_before,
        settings,
    };
    let leader = (role == Role::Replay).then(|| Leader::new(engines.clone(), doors, PATIENCE));
    let engine = Engine::new(engines).expect("no thread is needed");
    let outcome = match leader {
        Some(leader) => leader.lead_beside(engine, inbox, stop, no_history()).await.map(drop),
        None => engine.run(inbox, stop).await.map(drop),
    };
    match outcome {
        Ok(()) => Ended::Well,
        Err(error) => Ended::Run(error),
    }
}

/// All of it is folded.
fn no_history() -> oneshot::Receiver<()> {
    let (told, folded) = oneshot::channel();
    told.send(()).expect("it is received");
    folded
}

/// What an instance begins with.
struct Begun {
    bound: Bound,
    /// That of a replay.
    group: Option<String>,
    sent_before: SentBefore,
}

async fn begin(registry: Registry<'_>, doors: &Doors, setup: &Setup, role: Role) -> Result<Begun, SetupError> {
    let replayed = match role {
        Role::Replay => {
            let from = doors.world.lock().members[&doors.id].replay_from;
            let request = Request { from, forget_history: false, freeze_windows: true };
            let replayed = registry.replayed(&BTreeSet::from([REPLAYED.to_owned()]), request, &BTreeMap::new()).await?;
            Some(bound(&setup.config, &setup.compiled, &replayed)?)
        }
        Role::Run => {
            let to_join = registry.to_join().await?;
            if to_join.is_empty() { None } else { Some(bound(&setup.config, &setup.compiled, &to_join)?) }
        }
        Role::UntilEnd | Role::Rogue => None,
    };
    let Some(bound) = replayed else {
        // Half of those that lack a view have come before it was there.
        let bound = match role == Role::Rogue && doors.id.is_multiple_of(2) {
            true => bind_alone(&doors.world, setup)?,
            false => bind(registry).await?,
        };
        return Ok(Begun { bound, group: None, sent_before: SentBefore::default() });
    };
    let sent_before = sent_before(doors, doors).await?;
    let mut state = doors.world.lock();
    let (view, serving) = (state.views.len() - 1, sent_before.views.get(REPLAYED));
    for partition in &mut state.partitions {
        let (Some(starts), Some(stood)) = (serving, sent_before.positions.get(&partition.source)) else { continue };
        let from = starts.get(&partition.source).map_or(0, |from| from.0);
        let sent = partition.sent_before.entry(view).or_insert(from..0);
        *sent = sent.start.max(from)..sent.end.max(stood.0);
    }
    let mut feeds = bound.streams.values().flat_map(|stream| &stream.feeds);
    let group = feeds.next().map(|feed| feed.generation.group.clone());
    Ok(Begun { group, bound, sent_before })
}

/// The first view alone, whatever else is live.
fn bind_alone(world: &World, setup: &Setup) -> Result<Bound, SetupError> {
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
            watch_every: Duration::from_millis(if plan.replay.is_some() { 300 } else { 1_500 }),
            beat_every: Duration::from_millis(500),
            cold_ms: plan.cold_ms,
            step_records: if plan.seed.is_multiple_of(2) { 3 } else { usize::MAX },
            log_end_patience_ms: 1_000,
            lead_every: Duration::from_millis(150),
            drain_ms: 4_000,
            drain_again_ms: 300,
            publish_after_ms: 1_000,
        },
        until_end,
        ..base
    }
}
