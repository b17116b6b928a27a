//! The only place of the main path that reads a clock. Everything else takes the time as an
//! argument.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Monotonic ms since the engine started, and wall-clock time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Tokio's: in a simulation it stands still while anything is left to do.
    started: Instant,
    wall: Wall,
}

#[derive(Clone, Copy, Debug)]
enum Wall {
    System,
    /// µs at the instant `since`; jumps as it pleases.
    Simulated {
        us: &'static AtomicI64,
        since: Instant,
    },
}

impl Clock {
    pub fn start() -> Clock {
        Clock { started: Instant::now(), wall: Wall::System }
    }

    /// A clock whose wall time is `us` at the instant `since`, and goes on from there: whoever
    /// changes `us` makes it jump.
    pub fn simulated(us: &'static AtomicI64, since: Instant) -> Clock {
        Clock { started: Instant::now(), wall: Wall::Simulated { us, since } }
    }

    /// Monotonic, ms since the start.
    pub fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Wall clock, µs since the epoch.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn wall_us(&self) -> i64 {
        match self.wall {
            Wall::System => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as i64)
            }
            Wall::Simulated { us, since } => us.load(Ordering::Relaxed) + since.elapsed().as_micros() as i64,
        }
    }

    /// Wall clock, ms since the epoch.
    pub fn wall_ms(&self) -> i64 {
        self.wall_us() / 1_000
    }
}
