//! Histories of the little world, by the kind of trouble.

use proptest::prelude::*;

use super::log::{self, LATENESS_MS};
use super::world::{Weather, World};

const FAIR: Weather = Weather {
    lag: 0,
    cuts: None,
    drop: 0.0,
    repeat: 0.0,
    crash: 0.0,
    fail: 0.0,
    regress: 0.0,
    loss: 0.0,
    metadata_limit: 4_096,
    flush_limit: 1_000,
    steps: 300,
    pace: 10,
};

const FOUL: Weather =
    Weather { drop: 0.01, repeat: 0.1, crash: 0.02, fail: 0.05, regress: 0.3, flush_limit: 30, steps: 600, ..FAIR };

fn run(weather: Weather, (seed, length, first, second, late, from): History) {
    let mut meanings = log::meanings(LATENESS_MS[first], LATENESS_MS[second]);
    meanings[1].from = from;
    World::new(seed, weather, meanings, late * 20 * 60_000, length).run();
}

/// Seed, length, the views' lateness, out-of-orderness, first offset of the second view.
type History = (u64, usize, usize, usize, i64, i64);

fn history() -> impl Strategy<Value = History> {
    let from = prop_oneof![Just(0i64), 0i64..50];
    (0..u64::MAX / 2, 0usize..60, 0usize..4, 0usize..4, 0i64..3, from)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn fair_weather(history in history()) {
        run(FAIR, history);
    }

    #[test]
    fn crashes_zombies_and_a_bad_network(history in history()) {
        run(FOUL, history);
    }

    #[test]
    fn the_same_with_a_commit_lag(history in history(), lag in 200u64..600) {
        run(Weather { lag, ..FOUL }, history);
    }

    #[test]
    fn the_same_with_spilled_metadata(history in history(), lagged: bool, metadata_limit in 30usize..140) {
        run(Weather { lag: if lagged { 300 } else { 0 }, metadata_limit, ..FOUL }, history);
    }

    #[test]
    fn a_copy_of_the_store_is_lost(history in history(), lagged: bool) {
        run(Weather { loss: 0.01, lag: if lagged { 300 } else { 0 }, ..FOUL }, history);
    }

    #[test]
    fn power_cuts_with_engines_alive(history in history(), lag in 200u64..600) {
        run(Weather { lag, cuts: Some(lag / 2), pace: 6, steps: 1_500, drop: 0.002, crash: 0.006, ..FOUL }, history);
    }
}
