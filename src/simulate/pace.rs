//! When the next record is due, whether it is time to stop, and what a long run tells in the meantime.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::SimulateError;
use super::output::Output;

/// Shorter waits are not worth a sleep: the clock's grain is a millisecond.
const GRAIN: Duration = Duration::from_millis(2);
/// A run is long after so much, and tells how far it is; then again.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The clock is asked once in so many records.
const LOOK_EVERY: u64 = 1_024;

/// The loop's clock, and its ear for whoever wants it to stop.
pub(super) struct Pace {
    begun: Instant,
    /// The same on the wall's clock, ms since the epoch.
    begun_ms: i64,
    stop: watch::Receiver<bool>,
    records: u64,
    tell_at: Duration,
}

impl Pace {
    pub fn new(stop: watch::Receiver<bool>) -> Pace {
        Pace { begun: now(), begun_ms: chrono::Utc::now().timestamp_millis(), stop, records: 0, tell_at: TELL_EVERY }
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    pub fn records(&self) -> u64 {
        self.records
    }

    /// One more record went out; `shows` is where in its own time the run is.
    pub fn count(&mut self, shows: impl FnOnce() -> String) {
        self.records += 1;
        if self.records.is_multiple_of(LOOK_EVERY) {
            self.tell(shows);
        }
    }

    fn tell(&mut self, shows: impl FnOnce() -> String) {
        let elapsed = self.elapsed();
        if elapsed >= self.tell_at {
            self.tell_at = elapsed + TELL_EVERY;
            let seconds = elapsed.as_secs_f64();
            let rate = self.records as f64 / seconds;
            eprintln!("{} records sent in {seconds:.0} s ({rate:.0} a second), now at {}", self.records, shows());
        }
    }

    /// How long after the beginning a time is: nothing where it was before.
    pub fn until(&self, time_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(time_ms.saturating_sub(self.begun_ms)).unwrap_or(0))
    }

    /// Waits until so long after the beginning; at once where that is past, or at a wish to stop.
    pub async fn wait_until(
        &mut self,
        due: Duration,
        output: &mut Output,
        shows: impl Fn() -> String,
    ) -> Result<(), SimulateError> {
        if due.saturating_sub(self.elapsed()) <= GRAIN {
            return Ok(());
        }
        output.flush()?;
        loop {
            let ahead = due.saturating_sub(self.elapsed());
            if ahead.is_zero() || self.stopped() {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(ahead.min(TELL_EVERY)) => self.tell(&shows),
                changed = self.stop.changed() => if changed.is_err() {
                    // Nobody is left who could ask to stop.
                    tokio::time::sleep(ahead.min(TELL_EVERY)).await;
                    self.tell(&shows);
                },
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "simulated sensors send in real time")]
fn now() -> Instant {
    Instant::now()
}
