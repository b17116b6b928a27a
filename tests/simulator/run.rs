//! One history: instances start, faults come at their times, then the weather clears, somebody runs
//! until the end, and everything is compared with the oracle.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use etiage::reading::{Offset, SourceId};
use etiage::run::{RunError, Stop};
use etiage::setup::SetupError;
use etiage::store::{GenerationRecord, GenerationState, Start};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::cells::{ALL_CELLS, RowCells, TABLES, Write};
use crate::group::{carry_out, tell_lost};
use crate::instance::{self, Ended};
use crate::log::FIRST_MS;
use crate::meaning::HOUR_MS;
use crate::plan::{Fault, Plan, Weather};
use crate::world::{Member, REPLAY, Role, SERVING, State, Takeovers, WALL_US, World, start_of};

/// How long an end may take once faults have stopped, virtual.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Outcome {
    pub failure: Option<String>,
    pub history: Vec<String>,
    pub commits: u64,
    /// Replays that have taken over.
    pub takeovers: Takeovers,
}

/// Runs a plan in time of its own, on this thread alone.
pub fn run(plan: &Plan, tell: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without threads and sockets");
    let world = runtime.block_on(async { World::new(plan, tell) });
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(History::live(world.clone()))));
    let mut state = world.lock();
    if outcome.is_err() {
        state.fail(format!("the simulator itself panicked: {}", last_panic()));
    }
    let history = state.history.take().map(|history| [state.show_logs(), history].concat()).unwrap_or_default();
    Outcome { failure: state.failure.take(), history, commits: state.commits, takeovers: state.takeovers }
}

static PANIC: Mutex<String> = Mutex::new(String::new());

/// Panics are noted, and told with the seed that they belong to.
pub fn note_panics() {
    std::panic::set_hook(Box::new(|info| *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string()));
}

fn last_panic() -> String {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).replace('\n', " ")
}

pub struct History {
    pub world: Arc<World>,
    pub ends: BTreeMap<u64, JoinHandle<Ended>>,
    /// Of all generations, when somebody looked last.
    pub states: Vec<GenerationState>,
}

impl History {
    async fn live(world: Arc<World>) {
        WALL_US.store((FIRST_MS + 12 * HOUR_MS) * 1_000, Ordering::Relaxed);
        let mut history = History { world, ends: BTreeMap::new(), states: Vec::new() };
        history.earlier_generation();
        let plan = history.world.lock().plan.clone();
        let mut faults = plan.faults.iter().peekable();
        while history.goes_on() && history.world.now() < plan.duration_ms {
            let pause = 5 + history.world.lock().random.below(40) as u64;
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let now = history.world.now();
            history.world.lock().show(now);
            while let Some((_, fault)) = faults.next_if(|(at, _)| *at <= now) {
                history.strike(*fault);
            }
            history.look_after().await;
            history.ambush();
            history.world.lock().watch_rows();
        }
        if !history.goes_on() {
            return;
        }
        match plan.calamity {
            Some(calamity) => history.disaster(calamity).await,
            None => history.rest().await,
        }
    }

    fn goes_on(&self) -> bool {
        self.world.lock().failure.is_none()
    }

    /// Those that have ended are noticed, and their partitions find others.
    pub async fn look_after(&mut self) {
        let ended: Vec<u64> = self.ends.iter().filter(|(_, end)| end.is_finished()).map(|(id, _)| *id).collect();
        for id in ended {
            let Some(end) = self.ends.remove(&id) else { continue };
            let how = end.await;
            let mut state = self.world.lock();
            state.tell(|| format!("{id} has ended: {how:?}"));
            let role = state.members.get(&id).map_or(Role::Run, |member| member.role);
            if let Some(member) = state.members.get_mut(&id) {
                member.alive = false;
                member.events = None;
            }
            match how {
                Ok(Ended::Well) => {}
                Ok(Ended::Setup(SetupError::View { .. }) | Ended::Run(RunError::ViewMissing(_)))
                    if role == Role::Rogue => {}
                Ok(how) if state.plan.replay.is_some() && how.is_of_replay(&state.plan) => {
                    drop(state);
                    if role == Role::Run && self.alive(Role::Run) == 0 {
                        self.start(Role::Run);
                    }
                }
                Ok(other) => state.fail(format!("instance {id} ended: {other:?}")),
                Err(_) => state.fail(format!("instance {id} panicked: {}", last_panic())),
            }
        }
        let moves = self.world.lock().spread();
        carry_out(&self.world, moves, false);
        self.world.lock().advance();
    }

    /// What an earlier generation of the second view has left: its rows, and where the later one starts.
    fn earlier_generation(&self) {
        let mut state = self.world.lock();
        if state.plan.variant.from == 0 {
            return;
        }
        let plan = state.plan.clone();
        let setup = crate::meaning::setup(plan.variant, 2);
        let meaning = &setup.compiled.meanings["wide"];
        let epoch_us = (FIRST_MS + 10 * HOUR_MS) * 1_000;
        let starts: BTreeMap<SourceId, Start> = state
            .partitions
            .iter()
            .filter(|partition| partition.exists && partition.truth[1].is_some())
            .map(|partition| {
                let from = start_of(&plan, 1, &partition.records, partition.log_start, true);
                let truth = partition.truth[1].as_ref().expect("it takes the stream");
                let (max_ms, gone_ms) = (truth.at(from).max_ms, plan.variant.horizon_ms());
                (partition.source, Start { max_ms, gone_ms, ..Start::at(Offset(from)) })
            })
            .collect();
        let record = |generation, epoch_us, state, starts| GenerationRecord {
            view: "wide".to_owned(),
            generation,
            epoch_us,
            state,
            fingerprint: meaning.fingerprint.clone(),
            meaning: meaning.text.clone(),
            group: "group".to_owned(),
            starts,
        };
        // As far apart as a replay sets them.
        let earlier_us = epoch_us - 20_000_000_000;
        state.generations.push(record(1, earlier_us, GenerationState::Superseded, BTreeMap::new()));
        state.generations.push(record(2, epoch_us, GenerationState::Live, starts));
        let initial: Vec<_> = state
            .partitions
            .iter()
            .filter(|partition| partition.exists)
            .filter_map(|one| one.truth[1].clone())
            .collect();
        for (place, chain) in initial.iter().flat_map(|truth| &truth.parts) {
            let slot = state.slot(1, place);
            for metric in chain.last().expect("a part has a revision").sums.keys() {
                let row = (state.names.row(&slot), state.names.metric(&(*metric).into()));
                for table in 0..TABLES {
                    let cells = Arc::new(RowCells([77; crate::cells::CELLS]));
                    let write = Write::Row { table, place: row, stamp: earlier_us + 77, mask: ALL_CELLS, cells };
                    let State { replicas, names, .. } = &mut *state;
                    replicas.iter_mut().for_each(|replica| replica.apply(&write, 0, names));
                }
            }
        }
    }

    // ---- instances

    pub fn start(&mut self, role: Role) -> u64 {
        let (events, inbox) = mpsc::channel(4);
        let (stop, stopping) = watch::channel(Stop::Running);
        let id = {
            let mut state = self.world.lock();
            state.born += 1;
            let id = state.born;
            state.tell(|| format!("{id} starts: {role:?}"));
            let member = Member {
                alive: true,
                // It joins the group when it has found its views.
                leaving: true,
                zombie: false,
                paused_until: 0,
                events: Some(events),
                stop,
                reading: BTreeMap::new(),
                role,
                replay_from: state.replay_from(),
                side: SERVING,
            };
            state.members.insert(id, member);
            id
        };
        let world = self.world.clone();
        self.ends.insert(id, tokio::spawn(instance::live(world, id, inbox, stopping, role)));
        id
    }

    /// One of those that run, and of which nobody knows otherwise.
    fn any(&self) -> Option<u64> {
        let mut state = self.world.lock();
        let takers = [state.takers(SERVING), state.takers(REPLAY)].concat();
        let at = state.random.below(takers.len());
        takers.get(at).copied()
    }

    pub fn crash(&mut self, id: u64) {
        let mut state = self.world.lock();
        state.tell(|| format!("{id} is killed"));
        if let Some(member) = state.members.get_mut(&id) {
            member.alive = false;
            member.events = None;
            member.reading.clear();
        }
        drop(state);
        if let Some(end) = self.ends.remove(&id) {
            end.abort();
        }
    }

    fn strike(&mut self, fault: Fault) {
        self.world.lock().tell(|| format!("-- {fault:?}"));
        match fault {
            Fault::Start => {
                if self.world.lock().takers(SERVING).len() < 3 {
                    self.start(Role::Run);
                }
            }
            Fault::Crash => {
                if let Some(id) = self.any() {
                    self.crash(id);
                    self.start_another(id);
                }
            }
            Fault::CrashAll => {
                let all: Vec<u64> = self.ends.keys().copied().collect();
                all.into_iter().for_each(|id| self.crash(id));
                self.start(Role::Run);
                if self.world.lock().under_way().is_some() {
                    self.start_replay();
                }
            }
            Fault::Zombie => {
                if let Some(id) = self.any() {
                    self.start_another(id);
                    if let Some(member) = self.world.lock().members.get_mut(&id) {
                        member.zombie = true;
                    }
                }
            }
            Fault::Pause(ms) => self.pause(ms),
            Fault::Stop => {
                if let Some(id) = self.any() {
                    self.terminate(id);
                    self.start_another(id);
                }
            }
            Fault::Rebalance => {
                let moves = self.world.lock().shuffle();
                carry_out(&self.world, moves, true);
            }
            Fault::Rogue => {
                // As long as nobody has begun both views, it would be the configuration that counts.
                if self.world.lock().generations.iter().filter(|one| one.state == GenerationState::Live).count() == 2 {
                    self.start(Role::Rogue);
                }
            }
            Fault::Replay => self.start_replay(),
            Fault::Abort => self.abort_replay(),
            other => self.strike_outside(other),
        }
    }

    fn strike_outside(&mut self, fault: Fault) {
        let mut state = self.world.lock();
        let now = state.now();
        match fault {
            Fault::AddPartition => {
                state.prove_all();
                if let Some(partition) = state.partitions.iter_mut().find(|partition| !partition.exists) {
                    partition.exists = true;
                    state.show(now);
                }
            }
            Fault::Retention => {
                let replayed =
                    state.under_way().is_some() || state.members.values().any(|one| one.role == Role::Replay);
                for partition in state.partitions.iter_mut().filter(|_| !replayed) {
                    // Whoever goes on from an older commit would be stopped, rightly.
                    let least = partition.committed_offset(SERVING);
                    let serving = &partition.sides[SERVING];
                    if serving.owner.is_some() && serving.furthest.is_some() {
                        partition.log_start = partition.log_start.max(least.min(partition.log_end()));
                    }
                }
                state.weather.zombie_commits = 0.0;
            }
            Fault::Lose(replica) => {
                state.lost = Some(replica as usize);
                state.check_all_commits();
            }
            Fault::Cut(mask) => {
                state.advance();
                let since = now.saturating_sub(state.plan.sync_ms);
                for replica in (0..3).filter(|replica| mask >> replica & 1 == 1) {
                    state.replicas[replica].cut(since);
                }
                state.acked.clear();
                state.cuts += 1;
                state.check_all_commits();
            }
            Fault::Outage(ms) => state.outage_until = now + ms,
            Fault::Clock(ms) => {
                WALL_US.fetch_add(ms * 1_000, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// It stands still; others get its partitions, and it hears of that when it goes on.
    fn pause(&mut self, ms: u64) {
        let Some(id) = self.any() else { return };
        self.start_another(id);
        let mut state = self.world.lock();
        let until = state.now() + ms;
        if let Some(member) = state.members.get_mut(&id) {
            member.paused_until = until;
            member.zombie = true;
        }
        let world = self.world.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            tell_lost(&world, id).await;
            if let Some(member) = world.lock().members.get_mut(&id) {
                member.zombie = false;
            }
        });
    }

    /// One more of its kind.
    pub fn start_another(&mut self, id: u64) {
        let role = self.world.lock().members.get(&id).map(|member| member.role);
        match role {
            Some(Role::Replay) => self.start_replay(),
            _ => drop(self.start(Role::Run)),
        }
    }

    fn terminate(&mut self, id: u64) {
        let mut state = self.world.lock();
        state.tell(|| format!("{id} is told to stop"));
        if let Some(member) = state.members.get_mut(&id) {
            member.leaving = true;
            member.stop.send_replace(Stop::Gracefully);
        }
    }

    // ---- the end

    /// Faults stop; whoever is left is stopped too, but for zombies; somebody runs until the end.
    pub async fn rest(&mut self) {
        self.clear_up();
        self.end_replay().await;
        let all: Vec<u64> = self.ends.keys().copied().collect();
        for id in all {
            let zombie =
                self.world.lock().members.get(&id).is_some_and(|member| member.zombie && member.paused_until == 0);
            match zombie {
                true => {}
                false if self.world.lock().random.chance(0.5) => self.terminate(id),
                false => self.crash(id),
            }
        }
        let two = self.world.lock().random.chance(0.3);
        let mut last = vec![self.start(Role::UntilEnd)];
        last.extend(two.then(|| self.start(Role::UntilEnd)));
        let begun = self.world.now();
        while self.goes_on() && last.iter().any(|id| self.ends.contains_key(id)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.look_after().await;
            self.world.lock().watch_rows();
            if self.world.now() > begun + PATIENCE.as_millis() as u64 {
                self.world.lock().fail("it never comes to rest");
            }
        }
        let left: Vec<u64> = self.ends.keys().copied().collect();
        left.into_iter().for_each(|id| self.crash(id));
        let mut state = self.world.lock();
        state.deliver_all();
        if state.failure.is_none() {
            state.check_rest();
        }
    }

    pub fn clear_up(&mut self) {
        let mut state = self.world.lock();
        state.tell(|| "-- the weather clears");
        state.weather = Weather::CALM;
        state.outage_until = 0;
        state.members.values_mut().for_each(|member| member.paused_until = member.paused_until.min(1));
        let end = state.plan.duration_ms;
        state.show(end);
    }
}
