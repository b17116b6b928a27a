//! How the steps are timed, and what their input is drawn from.

use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;

/// The shortest of several rounds: what disturbs a machine only ever adds. `prepare` makes each round's input, untimed.
pub fn best<I, T>(mut prepare: impl FnMut() -> I, mut work: impl FnMut(I) -> T) -> Duration {
    let timed = |_| {
        let input = prepare();
        let start = Instant::now();
        let output = black_box(work(input));
        let taken = start.elapsed();
        drop(output);
        taken
    };
    (0..ROUNDS).map(timed).min().unwrap_or_default()
}

/// Nanoseconds each of so many took.
pub fn each(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count as f64
}

/// SplitMix64: the same on every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
