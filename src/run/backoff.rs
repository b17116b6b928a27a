//! How long to wait after a failure before the next try. Pure.

const FIRST_MS: u64 = 100;
const LAST_MS: u64 = 5_000;

#[derive(Debug, Default)]
pub struct Backoff {
    /// Monotonic ms.
    until: u64,
    /// Of the last failure; zero after a success.
    pause_ms: u64,
}

impl Backoff {
    /// Whether the next try may begin.
    pub fn over(&self, now: u64) -> bool {
        now >= self.until
    }

    /// It worked.
    pub fn ended(&mut self) {
        self.pause_ms = 0;
    }

    /// It did not: how long to wait, ms.
    pub fn failed(&mut self, now: u64) -> u64 {
        self.pause_ms = (self.pause_ms * 2).clamp(FIRST_MS, LAST_MS);
        self.until = now + self.pause_ms;
        self.pause_ms
    }

    pub fn failing(&self) -> bool {
        self.pause_ms > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_until_it_works() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| backoff.failed(0)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert!(backoff.failing() && !backoff.over(4_999) && backoff.over(5_000));
        backoff.ended();
        assert!(!backoff.failing() && backoff.failed(7) == 100);
    }
}
