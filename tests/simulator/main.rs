//! The simulator: the engine's own loop and core, in a world that does its worst, in time of its own
//! and on one thread, so that a seed replays exactly.
//!
//! What happens is drawn from the seed (`plan`): a configuration (`meaning`), logs (`log`), weather and
//! faults. It is then lived through (`run`, `calamity`): instances, as `etiage run` leads them
//! (`instance`, and a view that is replayed meanwhile: `replays`), before a store of three replicas, a network and a
//! group (`cells`, `world`, `doors`, `sources`, `group`). Every write, every commit and all that lies in the store at rest is held
//! against an oracle that groups the records (`oracle`, `checks`, `rest`).

use std::process::ExitCode;
use std::time::Instant;

mod arguments;
mod calamity;
mod cells;
mod checks;
mod doors;
mod group;
mod instance;
mod log;
mod meaning;
mod oracle;
mod plan;
mod replays;
mod rest;
mod run;
mod shrink;
mod sources;
mod world;

use arguments::Arguments;
use plan::Plan;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Some(arguments) = Arguments::read() else { return ExitCode::SUCCESS };
    run::note_panics();
    let failures = simulate(&arguments);
    let (verdict, passed, failed) = if failures == 0 { ("ok", 1, 0) } else { ("FAILED", 0, 1) };
    if arguments.as_test {
        println!("test simulator::{}_histories ... {verdict}\n", arguments.seeds);
        println!("test result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn simulate(arguments: &Arguments) -> u64 {
    let Arguments { from, seeds, .. } = *arguments;
    if arguments.as_test {
        println!("\nrunning {seeds} histories from seed {from}");
    }
    let begun = now();
    let (mut failures, mut done, mut commits, mut takeovers) = (0, 0, 0, [0, 0]);
    for seed in from..from.saturating_add(seeds) {
        let outcome = run::run(&Plan::new(seed), arguments.tell);
        outcome.history.iter().for_each(|line| println!("{line}"));
        (done, commits) = (done + 1, commits + outcome.commits);
        takeovers = [takeovers[0] + outcome.takeovers.earliest, takeovers[1] + outcome.takeovers.later];
        if let Some(failure) = outcome.failure {
            failures += 1;
            println!("seed {seed} fails: {failure}");
            if failures == 1 && arguments.shrink {
                shrink::show(&Plan::new(seed));
            }
            if arguments.until_failure {
                break;
            }
        }
        if done % 10_000 == 0 && !arguments.as_test {
            eprintln!("{done} of {seeds} seeds, {failures} failures");
        }
    }
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    let [earliest, later] = takeovers;
    println!(
        "{commits} commits were held against the store; {earliest} replays from the earliest on and {later} later ones took over"
    );
    if done >= 5_000 && (earliest == 0 || later == 0) {
        failures += 1;
        println!("so many histories, and hardly a replay took over: something refuses them");
    }
    println!("simulate from={from} seeds={done} failures={failures} rate={rate:.0}/s");
    failures
}

#[expect(clippy::disallowed_methods, reason = "how fast the simulator itself is")]
fn now() -> Instant {
    Instant::now()
}
