//! What a seed draws before anything runs: the configuration, the logs, the weather, and the faults
//! with their times. A plan is data, so a failing one can be made smaller and run again.

use etiage::replay::starts::ReplayFrom;
use etiage::simulate::Random;

use crate::log::FIRST_MS;
use crate::meaning::{HOUR_MS, Variant};

/// How the network and the store behave while nothing in particular goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Weather {
    /// A statement never reaches a replica.
    pub lose: f64,
    /// It gets there, and its acknowledgement does not come back in time.
    pub unheard: f64,
    /// It reaches a replica once more, some time later.
    pub repeat: f64,
    /// It reaches a replica long after everybody has stopped waiting.
    pub limbo: f64,
    /// The cells of one row arrive one after the other.
    pub tear: f64,
    /// A request fails whole: the store's, the group's, the outbox's.
    pub fail: f64,
    /// A commit of somebody who no longer owns the partition is accepted.
    pub zombie_commits: f64,
    /// Longest way to a replica and back, ms.
    pub delay_ms: u64,
}

impl Weather {
    pub const CALM: Weather = Weather {
        lose: 0.0,
        unheard: 0.0,
        repeat: 0.0,
        limbo: 0.0,
        tear: 0.0,
        fail: 0.0,
        zombie_commits: 0.0,
        delay_ms: 2,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One more instance.
    Start,
    /// One ends at once.
    Crash,
    /// All of them do.
    CrashAll,
    /// Its partitions go to others, and it never hears of it.
    Zombie,
    /// It stands still for so long, ms; its partitions go to others, and it hears of that when it goes on.
    Pause(u64),
    /// SIGTERM.
    Stop,
    /// Partitions change hands.
    Rebalance,
    /// A topic gets another partition.
    AddPartition,
    /// The log forgets what is committed.
    Retention,
    /// A replica is lost for good.
    Lose(u8),
    /// The power fails for these replicas (bits): what they applied a moment ago is gone.
    Cut(u8),
    /// Nobody can reach the store for so long, ms.
    Outage(u64),
    /// The wall clock jumps by so much, ms.
    Clock(i64),
    /// An instance without one of the live views.
    Rogue,
    /// The second view is replayed, or another process takes part in that.
    Replay,
    /// The replay is given up, if it has not taken over.
    Abort,
}

impl Fault {
    /// A zombie of the generation before can show for a moment what its successor has not folded; power cuts and lost
    /// replicas take rows back.
    pub fn blurs(&self) -> bool {
        matches!(self, Fault::Zombie | Fault::Pause(_) | Fault::Lose(_) | Fault::Cut(_))
    }
}

/// What ends the history badly, and must be noticed: nobody may go on as if nothing were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calamity {
    /// The log begins after the committed position.
    Retention,
    /// The log ends before it.
    Truncation,
    /// The topic was deleted and created again.
    Recreation,
    /// A tool has set the offset.
    ForeignOffset,
    /// Another store, or one that has lost the positions.
    StoreForgot,
}

/// Under which configuration a view is computed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    Same,
    Changed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub seed: u64,
    pub variant: Variant,
    /// The second view is replayed.
    pub replay: Option<Replay>,
    /// Partitions change hands just when a generation of it takes a step; and readers of the rows can see everything.
    pub ambushes: bool,
    /// From when on, one after the other.
    pub replay_from: [ReplayFrom; 3],
    /// Of each topic, at first.
    pub partitions: [usize; 2],
    /// Records in a partition, at most.
    pub records: usize,
    /// They appear over so many ms.
    pub duration_ms: u64,
    pub weather: Weather,
    /// When and what; sorted.
    pub faults: Vec<(u64, Fault)>,
    pub calamity: Option<Calamity>,
    pub lag_ms: u64,
    /// Power cuts forget so much, ms.
    pub sync_ms: u64,
    pub tick_ms: u64,
    pub commit_every_ms: u64,
    pub parts_bytes: usize,
    pub batch: usize,
    pub metadata_limit: usize,
    pub cold_ms: u64,
    pub keep_every_ms: u64,
    pub idle_every_ms: u64,
    pub stop_deadline_ms: u64,
}

impl Plan {
    pub fn new(seed: u64) -> Plan {
        let mut random = Random::new(seed ^ 0x00e7_1a6e);
        let lag_ms = if random.chance(0.5) { 0 } else { 200 + random.below(300) as u64 };
        let cuts = lag_ms > 0 && random.chance(0.7);
        // Most histories are short: what goes wrong does so with few records, and more of them are tried.
        let (records, lasts_ms) =
            if random.chance(0.8) { (2 + random.below(8), 1_000) } else { (4 + random.below(20), 2_400) };
        let duration_ms = (lasts_ms / 3) as u64 + random.below(lasts_ms) as u64 + 2 * lag_ms;
        let weather = weather(&mut random, cuts);
        let faults = faults(&mut random, duration_ms, lag_ms, cuts);
        let one_in =
            |random: &mut Random, n: usize, then: usize, or: usize| if random.below(n) == 0 { then } else { or };
        let plan = Plan {
            seed,
            variant: Variant::draw(&mut random),
            replay: None,
            ambushes: false,
            replay_from: [ReplayFrom::Earliest; 3],
            // (Mostly few: how many there are multiplies the work, and seldom what can go wrong.)
            partitions: [1 + random.below(3).min(random.below(3)), 1 + random.below(2)],
            records,
            duration_ms,
            weather,
            faults,
            calamity: (random.below(25) == 0).then(|| calamity(&mut random)),
            lag_ms,
            sync_ms: if cuts { 1 + random.below(lag_ms as usize / 2) as u64 } else { 0 },
            tick_ms: 25 + random.below(90) as u64,
            commit_every_ms: random.below(300) as u64,
            parts_bytes: one_in(&mut random, 3, 1 << 20, 0) + 1_500 + random.below(12_000),
            batch: 1 + random.below(6),
            metadata_limit: one_in(&mut random, 4, 60 + (seed % 80) as usize, 4_096),
            cold_ms: one_in(&mut random, 2, 100, 5_000) as u64,
            keep_every_ms: 200 + random.below(3_000) as u64,
            idle_every_ms: 100 + random.below(1_000) as u64,
            stop_deadline_ms: 20 + random.below(2_000) as u64,
        };
        plan.with_replay(&mut Random::new(seed ^ 0x2e_91a7))
    }

    /// The configuration of the replay.
    pub fn replayed_under(&self) -> Option<Variant> {
        Some(match self.replay? {
            Replay::Same => self.variant,
            Replay::Changed => self.variant.changed(),
        })
    }

    /// One in ten is a longer history, in which the second view is computed again.
    fn with_replay(self, random: &mut Random) -> Plan {
        if !random.chance(0.1) {
            return self;
        }
        let (before_ms, duration_ms) = (self.duration_ms, self.duration_ms + 1_500 + random.below(3_000) as u64);
        // (Of power cuts and lost replicas there are no more than a store survives.)
        let more = self::faults(random, duration_ms - before_ms, self.lag_ms, false).into_iter();
        let more = more.skip(1).filter(|(_, fault)| !matches!(fault, Fault::Lose(_)));
        let mut faults: Vec<(u64, Fault)> = more.map(|(at, fault)| (at + before_ms, fault)).collect();
        faults.extend(self.faults.iter().copied());
        // (A clock that is set back holds a replay up until it is where it was: what owners say of themselves is ordered by it.)
        faults.retain(|(_, fault)| !matches!(fault, Fault::Rogue | Fault::Clock(..0)));
        // Mostly early, so that records come while it takes over.
        for _ in 0..1 + random.below(3) {
            let within = if random.chance(0.7) { duration_ms / 3 } else { duration_ms };
            faults.push((random.below(within as usize) as u64, Fault::Replay));
        }
        if random.chance(0.2) {
            faults.push((random.below(duration_ms as usize) as u64, Fault::Abort));
        }
        let ambushes = random.chance(0.6);
        if ambushes {
            faults.retain(|(_, fault)| !fault.blurs());
        }
        faults.sort_by_key(|(at, _)| *at);
        let replay = if random.chance(if ambushes { 0.2 } else { 0.7 }) { Replay::Changed } else { Replay::Same };
        let replay_from = [(); 3].map(|()| match random.below(4) {
            0 => ReplayFrom::Now,
            1 => ReplayFrom::Time(FIRST_MS + random.below(12) as i64 * HOUR_MS / 3),
            _ => ReplayFrom::Earliest,
        });
        let records = self.records + random.below(12);
        let sync_ms = if ambushes { 0 } else { self.sync_ms };
        let replay = Some(replay);
        Plan { replay, ambushes, replay_from, records, duration_ms, faults, sync_ms, calamity: None, ..self }
    }
}

fn weather(random: &mut Random, cuts: bool) -> Weather {
    if random.chance(0.15) {
        return Weather { delay_ms: 1 + random.below(6) as u64, ..Weather::CALM };
    }
    let mut upto = |most: f64| if random.chance(0.5) { most * random.unit() } else { 0.0 };
    Weather {
        lose: upto(if cuts { 0.02 } else { 0.06 }),
        unheard: upto(0.03),
        repeat: upto(0.1),
        limbo: upto(0.1),
        tear: upto(0.2),
        fail: upto(0.06),
        zombie_commits: upto(1.0),
        delay_ms: 1 + random.below(8) as u64,
    }
}

fn faults(random: &mut Random, duration_ms: u64, lag_ms: u64, cuts: bool) -> Vec<(u64, Fault)> {
    let mut faults = vec![(0, Fault::Start)];
    for _ in 0..random.below(9) {
        let fault = match random.below(20) {
            0..3 => Fault::Start,
            3..6 => Fault::Crash,
            6 => Fault::CrashAll,
            7..9 => Fault::Zombie,
            9 => Fault::Pause(50 + random.below(1_500) as u64),
            10..12 => Fault::Stop,
            12..15 => Fault::Rebalance,
            15 => Fault::AddPartition,
            16 => Fault::Retention,
            17 => Fault::Outage(100 + random.below(1_000) as u64),
            18 => Fault::Clock(random.between(-9e6, 9e6) as i64),
            _ if random.chance(0.5) => Fault::Rogue,
            _ => Fault::CrashAll,
        };
        faults.push((random.below(duration_ms as usize) as u64, fault));
    }
    if random.chance(0.3) {
        faults.push((random.below(duration_ms as usize) as u64, Fault::Lose(random.below(3) as u8)));
    }
    if cuts {
        let mut at = random.below(duration_ms as usize) as u64;
        while at < duration_ms {
            let mask = if random.chance(0.5) { 7 } else { 1 << random.below(3) };
            faults.push((at, Fault::Cut(mask)));
            at += 3 * lag_ms + 1 + random.below(duration_ms as usize) as u64;
        }
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}

fn calamity(random: &mut Random) -> Calamity {
    match random.below(5) {
        0 => Calamity::Retention,
        1 => Calamity::Truncation,
        2 => Calamity::Recreation,
        3 => Calamity::ForeignOffset,
        _ => Calamity::StoreForgot,
    }
}
