//! How often things are looked at that have no setting of their own.

use std::time::Duration;

use super::beating;

#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The loop looks at what is due.
    pub tick: Duration,
    /// Something outside did not answer; it is asked again.
    pub retry: Duration,
    /// A commit failed; the next one waits, ms.
    pub commit_pause_ms: u64,
    /// A committed position is kept in the store, ms.
    pub keep_every_ms: u64,
    /// An idle partition's clock watermark is renewed, ms.
    pub idle_every_ms: u64,
    /// The closing sweep.
    pub sweep_every: Duration,
    /// The store is asked which generations serve, and which are to drain.
    pub watch_every: Duration,
    /// Heartbeats.
    pub beat_every: Duration,
    /// A durable part that nothing has touched for this long leaves memory, ms.
    pub cold_ms: u64,
    /// Records folded at a time where the store is slow: a commit may stop after each of these steps.
    pub step_records: usize,
    /// How long a position or a part beyond the log's end is asked again, ms: a new leader may lag.
    pub log_end_patience_ms: u64,
    /// A replay's leader looks how things stand.
    pub lead_every: Duration,
    /// A serving generation drains for so long at most, ms (or some commit lags, where these are longer).
    pub drain_ms: u64,
    /// It serves for so long at least before it is asked to drain again, ms.
    pub drain_again_ms: u64,
    /// Another process has promoted: its rows are published from here, too, unless that is done by then, ms.
    pub publish_after_ms: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            tick: Duration::from_millis(50),
            retry: Duration::from_millis(500),
            commit_pause_ms: 1_000,
            keep_every_ms: 60_000,
            idle_every_ms: 10_000,
            sweep_every: Duration::from_secs(5),
            watch_every: Duration::from_secs(1),
            beat_every: beating::EVERY,
            cold_ms: 300_000,
            step_records: 256,
            log_end_patience_ms: 30_000,
            lead_every: Duration::from_secs(1),
            drain_ms: 60_000,
            drain_again_ms: 10_000,
            publish_after_ms: 30_000,
        }
    }
}
