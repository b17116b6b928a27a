//! A history that fails, made small: faults are left out, the weather cleared, logs shortened, as long
//! as it still fails.

use etiage::replay::starts::ReplayFrom;

use crate::meaning::Variant;
use crate::plan::{Plan, Replay, Weather};
use crate::run;

/// Histories that are tried, at most.
const TRIES: usize = 400;

/// Prints the smallest plan that was found, and its history.
pub fn show(plan: &Plan) {
    let small = shrink(plan.clone());
    let outcome = run::run(&small, true);
    println!("smaller: {small:?}");
    outcome.history.iter().for_each(|line| println!("  {line}"));
}

fn shrink(mut plan: Plan) -> Plan {
    let mut tries = 0;
    loop {
        let smaller = candidates(&plan).into_iter().filter(|candidate| *candidate != plan).find(|candidate| {
            tries += 1;
            tries <= TRIES && run::run(candidate, false).failure.is_some()
        });
        match smaller {
            Some(smaller) => plan = smaller,
            None => return plan,
        }
    }
}

/// Plans that are a little smaller, the boldest first.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut all = vec![
        Plan { weather: Weather { delay_ms: plan.weather.delay_ms, ..Weather::CALM }, ..plan.clone() },
        Plan { records: plan.records / 2, ..plan.clone() },
        Plan { records: plan.records.saturating_sub(1), ..plan.clone() },
        Plan { partitions: [1, 1], ..plan.clone() },
        Plan { parts_bytes: 1 << 20, ..plan.clone() },
        Plan { metadata_limit: 4_096, ..plan.clone() },
        Plan { batch: 1, ..plan.clone() },
        Plan { calamity: None, ..plan.clone() },
        Plan { replay: plan.replay.map(|_| Replay::Same), ..plan.clone() },
        Plan { ambushes: false, ..plan.clone() },
        Plan { replay: None, ..plan.clone() },
        Plan { replay_from: [ReplayFrom::Earliest; 3], ..plan.clone() },
    ];
    all.extend((0..plan.faults.len()).rev().map(|left_out| {
        let mut smaller = plan.clone();
        smaller.faults.remove(left_out);
        smaller
    }));
    let variants = [
        Variant { both: false, ..plan.variant },
        Variant { tenants: false, ..plan.variant },
        Variant { every_numeric: false, ..plan.variant },
        Variant { region: false, ..plan.variant },
        Variant { from: 0, ..plan.variant },
        Variant { widths: [0, plan.variant.widths[1]], ..plan.variant },
        Variant { widths: [plan.variant.widths[0], 0], ..plan.variant },
        Variant { lateness: [0, 0], ..plan.variant },
    ];
    all.extend(variants.map(|variant| Plan { variant, ..plan.clone() }));
    let clearer: [fn(&mut Weather); 7] = [
        |weather| weather.lose = 0.0,
        |weather| weather.unheard = 0.0,
        |weather| weather.repeat = 0.0,
        |weather| weather.limbo = 0.0,
        |weather| weather.tear = 0.0,
        |weather| weather.fail = 0.0,
        |weather| weather.zombie_commits = 0.0,
    ];
    all.extend(clearer.map(|clear| {
        let mut clearer = plan.clone();
        clear(&mut clearer.weather);
        clearer
    }));
    all
}
