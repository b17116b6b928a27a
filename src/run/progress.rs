//! What the outside sees of a run: metrics, the terminal's line while it catches up, and the
//! summary at the end. Changes nothing.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use metrics::{counter, gauge, histogram};

use crate::clock::Clock;
use crate::commit::Commit;
use crate::keys::Keyed;
use crate::partition::{Partition, Verdict, VerdictKind};
use crate::reading::TopicPartition;
use crate::telemetry::names;

use super::cycle::Written;
use super::{Engine, RunError, Settings};

/// The terminal's line is renewed, and a log line written, this often.
const LINE_EVERY_MS: u64 = 500;
const LOG_EVERY_MS: u64 = 10_000;

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub records: u64,
    pub readings: u64,
    /// Parts and rows of flushes that the store acknowledged as a whole.
    pub writes: u64,
    pub elapsed_ms: u64,
    /// Where each partition stood when it was given up, with its tallies.
    pub partitions: BTreeMap<TopicPartition, Commit>,
}

pub struct Progress {
    clock: Clock,
    summary: Summary,
    terminal: bool,
    line_at: u64,
    log_at: u64,
    /// Readings at the last line, for the rate.
    readings_then: u64,
    told_of_lag: bool,
}

impl Progress {
    pub fn new(clock: Clock, settings: &Settings) -> Progress {
        // Whoever leads a replay tells how far the topics are.
        let told = settings.replaying && !settings.until_end;
        Progress {
            clock,
            summary: Summary::default(),
            terminal: std::io::stderr().is_terminal() && !told,
            line_at: 0,
            log_at: LOG_EVERY_MS,
            readings_then: 0,
            told_of_lag: false,
        }
    }

    pub fn count(&mut self, keyed: &Keyed) {
        if self.summary.records == 0 {
            tracing::info!("first records folded");
        }
        let rejected = keyed.batch.rejections.len() as u64;
        self.summary.records += keyed.batch.records.len() as u64;
        self.summary.readings += keyed.batch.columns.len() as u64 + rejected;
    }

    pub fn flushed(&mut self, written: &Written, took_ms: u64) {
        self.summary.writes += written.parts + written.rows;
        counter!(names::STORE_WRITES, "kind" => names::PARTS_WRITTEN).increment(written.parts);
        counter!(names::STORE_WRITES, "kind" => names::ROWS_WRITTEN).increment(written.rows);
        histogram!(names::FLUSH).record(took_ms as f64 / 1e3);
    }

    pub fn left(&mut self, partition: &TopicPartition, core: &Partition) {
        self.summary.partitions.insert(partition.clone(), core.snapshot());
    }

    pub fn summary(mut self) -> Summary {
        self.clear();
        self.summary.elapsed_ms = self.clock.now();
        self.summary
    }

    /// Says once why a run that has read everything does not end yet.
    pub fn waits_for_durability(&mut self, settings: &Settings) {
        if !self.told_of_lag && settings.commit_lag_ms > 0 {
            self.told_of_lag = true;
            tracing::info!(
                commit_lag_ms = settings.commit_lag_ms,
                "everything is folded; waiting for the two writes that make it durable against a power cut"
            );
        }
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }

    fn line(&mut self, lag: i64, watermark_ms: Option<i64>) {
        let now = self.clock.now();
        if now < self.line_at + LINE_EVERY_MS {
            return;
        }
        let elapsed_ms = (now - self.line_at).max(1);
        let rate = (self.summary.readings - self.readings_then) * 1_000 / elapsed_ms;
        if self.terminal {
            self.clear();
            let text =
                format!("{} readings  {rate}/s  lag {lag}  watermark {}", self.summary.readings, show(watermark_ms));
            eprint!("{text}");
            // The terminal may have gone; the run does not depend on it.
            let _ = std::io::stderr().flush();
        } else if now >= self.log_at {
            self.log_at = now + LOG_EVERY_MS;
            tracing::info!(readings = self.summary.readings, lag, watermark = show(watermark_ms), "progress");
        }
        self.line_at = now;
        self.readings_then = self.summary.readings;
    }
}

fn show(time_ms: Option<i64>) -> String {
    let time = time_ms.and_then(chrono::DateTime::from_timestamp_millis);
    time.map_or_else(|| "none yet".to_owned(), |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

impl Engine {
    /// Gauges, and the line on the terminal.
    pub(super) fn report(&mut self) {
        let now = self.world.clock.now();
        if now < self.progress.line_at + LINE_EVERY_MS {
            return;
        }
        let (mut lag, mut parts, mut bytes, mut off) = (0, 0, 0, 0);
        let mut least = None;
        for (number, (name, owned)) in self.owned.iter().enumerate() {
            let labels = [("topic", name.topic.to_string()), ("partition", name.partition.to_string())];
            let log_end = owned.log_end.max(self.ends.of(name).unwrap_or_default());
            let behind = |position: crate::reading::Offset| (log_end.0 - position.0).max(0);
            let folded = behind(owned.core.position());
            lag += folded;
            parts += owned.core.parts_in_memory();
            bytes += owned.core.memory_bytes();
            off += owned.core.tallies_off();
            let watermark_ms = owned.core.watermark_ms();
            least = if number == 0 { watermark_ms } else { least.min(watermark_ms) };
            lag_gauge(&labels, names::LAG_FOLDED, folded);
            lag_gauge(&labels, names::LAG_COMMITTED, behind(owned.core.committed()));
            gauge!(names::WATERMARK, &labels).set(watermark_ms.map_or(f64::NEG_INFINITY, |ms| ms as f64 / 1e3));
        }
        gauge!(names::PARTS).set(parts as f64);
        gauge!(names::PARTS_BYTES).set(bytes as f64);
        gauge!(names::TALLIES_OFF).set(off as f64);
        self.ends.owned.send_replace(self.owned_partitions());
        self.beats.send_replace(self.beats());
        self.progress.line(lag, least);
    }
}

fn lag_gauge(labels: &[(&'static str, String); 2], kind: &'static str, records: i64) {
    let [topic, partition] = labels.clone();
    gauge!(names::LAG, &[topic, partition, ("kind", kind.to_owned())]).set(records as f64);
}

pub fn folded(stream: &Arc<str>, keyed: &Keyed, verdicts: &[Verdict]) {
    let batch = &keyed.batch;
    let outcome = |outcome: &'static str, count: usize| {
        counter!(names::READINGS, "stream" => stream.to_string(), "outcome" => outcome).increment(count as u64);
    };
    // A reading counts once, by what became of it in the view's own windows; of rollups the tallies tell.
    let windows = || verdicts.iter().filter(|verdict| verdict.grain == 0);
    let of = |kind| windows().filter(|verdict| verdict.kind == kind).count();
    let (late, outside) = (of(VerdictKind::Late), of(VerdictKind::Outside));
    let filtered = batch.columns.filtered.true_count();
    outcome("late", late);
    outcome("outside", outside);
    outcome("unkeyed", of(VerdictKind::Unkeyed));
    outcome("before_history", of(VerdictKind::BeforeHistory));
    outcome("filtered", filtered);
    outcome("rejected", batch.rejections.len());
    outcome("folded", (batch.columns.len() - filtered).saturating_sub(windows().count()));
    counter!(names::RECORDS, "stream" => stream.to_string()).increment(batch.records.len() as u64);
    for rejection in &batch.rejections {
        counter!(names::REJECTS, "stream" => stream.to_string(), "reason" => rejection.reject.reason()).increment(1);
    }
}

pub fn append_to_row(latency_ms: i64) {
    histogram!(names::APPEND_TO_ROW).record(latency_ms.max(0) as f64 / 1e3);
}

pub fn rebalanced(kind: &'static str) {
    counter!(names::REBALANCES, "kind" => kind).increment(1);
}

pub fn committed(outcome: &Result<(), RunError>) {
    let outcome = match outcome {
        Ok(()) => "ok",
        Err(RunError::Source(crate::source::SourceError::Fenced(_))) => "fenced",
        Err(_) => "failed",
    };
    counter!(names::COMMITS, "outcome" => outcome).increment(1);
}

pub fn store_operation(operation: &'static str, took_ms: u64, failed: bool) {
    histogram!(names::STORE, "operation" => operation).record(took_ms as f64 / 1e3);
    if failed {
        counter!(names::STORE_ERRORS, "operation" => operation).increment(1);
    }
}
