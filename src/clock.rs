//! The only place of the main path that reads a clock. Everything else takes the time as an
//! argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Monotonic ms since the engine started, and wall-clock time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Clock {
        Clock { started: Instant::now() }
    }

    /// Monotonic, ms since the start.
    pub fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Wall clock, µs since the epoch.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn wall_us(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as i64)
    }

    /// Wall clock, ms since the epoch.
    pub fn wall_ms(&self) -> i64 {
        self.wall_us() / 1_000
    }
}
