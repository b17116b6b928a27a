//! How far a replay is: as the owner of each partition says, for the leader, for people and for dashboards.

use std::collections::BTreeMap;

use metrics::gauge;

use crate::heartbeat::Heartbeat;
use crate::reading::SourceId;
use crate::replay::progress::{Progress, overall};
use crate::run::RunError;
use crate::source::Source;
use crate::store::PositionKind;
use crate::telemetry::names;

use super::Leader;

/// Between two lines about the progress, ms.
const TELL_EVERY_MS: u64 = 5_000;

impl Leader {
    /// How far each partition is, as its replayer says; `None` where there is none just now.
    pub(super) async fn progress(&mut self) -> Result<BTreeMap<SourceId, Option<Progress>>, RunError> {
        let topics = self.world.source.clone();
        self.progress_in(&*topics).await
    }

    async fn progress_in(&mut self, of_replay: &dyn Source) -> Result<BTreeMap<SourceId, Option<Progress>>, RunError> {
        let mut all = BTreeMap::new();
        let group = of_replay.group();
        for position in of_replay.group_positions().await? {
            if !self.feeds(&position, |_| true) {
                continue;
            }
            let said = self.heartbeat(group, position.source).await?;
            let (_, end) = of_replay.log_bounds(&position.partition).await?;
            let progress = said.map(|said| Progress {
                folded: said.folded,
                log_end: said.log_end.max(end),
                records_per_second: said.records_per_second,
                watermark_ms: said.watermark_ms,
            });
            all.insert(position.source, progress);
        }
        Ok(all)
    }

    /// The same with the files that are folded beside the topics.
    pub(super) async fn progress_of_all(&mut self) -> Result<BTreeMap<SourceId, Option<Progress>>, RunError> {
        let mut all = self.progress().await?;
        if let Some(history) = self.beside.get().cloned() {
            all.extend(self.progress_in(&*history).await?);
        }
        Ok(all)
    }

    /// What the owner of a partition said last, if it is there.
    pub(super) async fn heartbeat(&mut self, group: &str, source: SourceId) -> Result<Option<Heartbeat>, RunError> {
        let newest = self.world.store.positions(group, source, PositionKind::Heartbeat, 1).await?;
        let Some(said) = newest.into_iter().next() else { return Ok(None) };
        let (now, of) = (self.world.clock.now(), (group.to_owned(), source));
        let (_, since) = *self
            .heard
            .entry(of)
            .and_modify(|(written_at_ms, since)| {
                // (What only one replica has may be read, then an earlier one again: only a later one says anything.)
                if *written_at_ms < said.written_at_ms {
                    (*written_at_ms, *since) = (said.written_at_ms, now);
                }
            })
            .or_insert((said.written_at_ms, now));
        let is_there = now < since + self.patience_ms;
        Ok(Heartbeat::decode(&said.metadata).ok().filter(|_| is_there))
    }

    /// Progress for people and for dashboards.
    pub(super) fn tell(&mut self, progress: &BTreeMap<SourceId, Option<Progress>>) {
        let now = self.world.clock.now();
        let overall = overall(progress, &self.starts());
        gauge!(names::REPLAY_BEHIND).set(overall.behind as f64);
        gauge!(names::REPLAY_ETA).set(overall.eta_s.map_or(f64::INFINITY, |seconds| seconds as f64));
        if now < self.told_at {
            return;
        }
        self.told_at = now + TELL_EVERY_MS;
        let at = overall.watermark_ms.and_then(chrono::DateTime::from_timestamp_millis);
        tracing::info!(
            percent = overall.percent,
            records_per_second = overall.records_per_second,
            behind = overall.behind,
            event_time = at.map_or_else(|| "none yet".to_owned(), |at| at.format("%FT%TZ").to_string()),
            eta_s = overall.eta_s.map_or_else(|| "unknown".to_owned(), |seconds| seconds.to_string()),
            "replaying"
        );
    }
}
