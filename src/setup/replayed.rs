//! The generations of a replay: begun here, or by whoever was first, with what the store knows of what lies before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::commit::Commit;
use crate::config::StreamConfig;
use crate::reading::Offset;
use crate::replay::plan::{self, Wanted};
use crate::replay::starts::{self, Beginning, From, Log, Reached, Request};
use crate::source::GroupPosition;
use crate::store::{GenerationRecord, PositionKind};
use crate::window::{Width, Window};

use super::generations::{Registry, answered};
use super::{SetupError, meaning};

/// Before every event time.
const NO_TIME_MS: i64 = *crate::decode::RANGE_MS.start() - 1;

impl Registry<'_> {
    /// The generations under which these views are replayed: begun here, or by whoever was first.
    pub async fn replayed(
        &self,
        views: &BTreeSet<String>,
        request: Request,
    ) -> Result<BTreeMap<String, Arc<GenerationRecord>>, SetupError> {
        let mut replayed = BTreeMap::new();
        for view in views {
            let positions = self.positions(view).await?;
            let mut logs = self.logs(&positions).await?;
            let record = loop {
                let known = answered("generations", || self.store.generations()).await?;
                let serving = known.iter().find(|record| record.view == *view && record.serves());
                let beginning = match serving.filter(|_| !request.forget_history) {
                    Some(serving) => self.beside(serving, request.from, &positions, &mut logs).await?,
                    None => starts::alone(request.from, self.newest_ms(view)),
                };
                let meaning = &self.compiled.meanings[view];
                let wanted = Wanted { view, together: views, meaning, request, beginning };
                let record = plan::generation(wanted, &known, &logs, self.source.group(), self.clock.wall_us())?;
                if known.contains(&record) {
                    tracing::info!(view, generation = record.generation, "a replay that was begun goes on");
                    break record;
                }
                self.rollups_may_freeze(&record, request)?;
                if answered("generations", || self.store.create_generation(&record)).await? {
                    tracing::info!(view, generation = record.generation, group = record.group, "a replay begins");
                    if let Some(horizon) = record.horizon_ms().and_then(chrono::DateTime::from_timestamp_millis) {
                        tracing::warn!(view, %horizon, "rows of windows that start up to then stay as they are");
                    }
                    break record;
                }
            };
            replayed.insert(view.clone(), Arc::new(record));
        }
        Ok(replayed)
    }

    /// What a beginning comes to beside a generation that serves, with what is known of what it folded before.
    async fn beside(
        &self,
        serving: &GenerationRecord,
        from: From,
        positions: &[GroupPosition],
        logs: &mut [Log],
    ) -> Result<Beginning, SetupError> {
        let reads_alike = meaning::reads_alike(&serving.meaning, &self.compiled.meanings[&serving.view].text);
        // Readings that were refused then and are not now have left no trace in the maximum, nor have other times.
        if reads_alike {
            self.look_for_what_is_gone(serving, positions, logs).await?;
        }
        if from == From::Earliest {
            return Ok(Beginning::Earliest);
        }
        let view = self.compiled.view(&serving.view, self.config, serving)?;
        let mut reached = Vec::new();
        for position in positions {
            reached.extend(self.reached(serving, position).await?.and_then(|reached| reached.max_ms));
        }
        let beginning =
            starts::beside(from, &view, reached.into_iter().min(), self.out_of_orderness_ms(&serving.view))?;
        if let Beginning::At { from_ms } = beginning
            && reads_alike
        {
            for log in logs.iter_mut() {
                log.before = self.reached_before(serving, log, from_ms).await?;
            }
        }
        Ok(beginning)
    }

    /// How far a generation has come in a partition, as it committed last, or else as the store keeps it.
    async fn reached(
        &self,
        serving: &GenerationRecord,
        position: &GroupPosition,
    ) -> Result<Option<Reached>, SetupError> {
        let committed = position.committed.as_ref().and_then(|committed| reached(serving, &committed.metadata));
        if committed.is_some() {
            return Ok(committed);
        }
        for group in self.groups(serving) {
            let newest = || self.store.positions(group, position.source, PositionKind::Kept, 1);
            let newest = answered("positions", newest).await?;
            if let Some(kept) = newest.first().and_then(|kept| reached(serving, &kept.metadata)) {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    /// The last place that the store keeps before a generation met a reading of a time, or a later one: what was met
    /// before never grows less on the way, so that halving finds it.
    async fn reached_before(
        &self,
        serving: &GenerationRecord,
        log: &Log,
        time_ms: i64,
    ) -> Result<Option<Reached>, SetupError> {
        let mut last: Option<Reached> = None;
        for group in self.groups(serving) {
            let (mut low, mut high) = (log.start, log.end);
            while low < high {
                let middle = Offset(low.0 + (high.0 - low.0) / 2);
                let kept = || self.store.position_from(group, log.source, PositionKind::Kept, middle);
                let kept = answered("positions", kept).await?;
                let known = kept.as_ref().map(|kept| (kept.offset, reached(serving, &kept.metadata)));
                match known {
                    Some((offset, Some(place))) if place.max_ms < Some(time_ms) => {
                        last = last.filter(|last| last.offset > place.offset).or(Some(place));
                        low = Offset(offset.0 + 1);
                    }
                    // Of an earlier generation of this group.
                    Some((offset, None)) => low = Offset(offset.0 + 1),
                    _ => high = middle,
                }
            }
        }
        Ok(last)
    }

    /// Those under which a generation may have committed.
    fn groups<'a>(&'a self, serving: &'a GenerationRecord) -> BTreeSet<&'a str> {
        BTreeSet::from([serving.group.as_str(), self.source.group()])
    }

    fn streams_of(&self, view: &str) -> impl Iterator<Item = &StreamConfig> {
        let view = &self.config.views[view];
        self.config.streams.iter().filter(|(name, _)| view.takes(name)).map(|(_, stream)| stream)
    }

    fn out_of_orderness_ms(&self, view: &str) -> i64 {
        self.streams_of(view).map(|stream| stream.out_of_orderness_ms).max().unwrap_or(0)
    }

    /// No reading that the logs hold is later: one that is further ahead of its record is rejected.
    fn newest_ms(&self, view: &str) -> i64 {
        self.clock.wall_ms() + self.streams_of(view).map(|stream| stream.max_future_ms).max().unwrap_or(0)
    }

    /// What is known of records that the serving generation folded and the logs have lost: their event times are at most
    /// the maximum of the first position past them that the store keeps, or else of the committed one.
    async fn look_for_what_is_gone(
        &self,
        serving: &GenerationRecord,
        positions: &[GroupPosition],
        logs: &mut [Log],
    ) -> Result<(), SetupError> {
        for log in logs.iter_mut().filter(|log| log.start > starts::start_in(serving, log.source).offset) {
            let (source, start) = (log.source, log.start);
            let committed = positions.iter().find(|position| position.source == source);
            let committed = committed.and_then(|position| position.committed.as_ref());
            let mut commits = vec![committed.map(|committed| committed.metadata.clone())];
            for group in self.groups(serving) {
                let kept = || self.store.position_from(group, source, PositionKind::Kept, start);
                commits.push(answered("positions", kept).await?.map(|kept| kept.metadata));
            }
            let reached = commits.iter().flatten().filter_map(|metadata| reached(serving, metadata));
            let past = reached.filter(|reached| reached.offset >= start);
            // Of a log that had shown no time yet, nothing is in any row.
            log.gone_ms = past.map(|reached| reached.max_ms.unwrap_or(NO_TIME_MS)).min();
        }
        Ok(())
    }

    fn rollups_may_freeze(&self, record: &GenerationRecord, request: Request) -> Result<(), SetupError> {
        let view = self.compiled.view(&record.view, self.config, record)?;
        let shown = |(width, window): (Width, Window)| {
            format!("{width} from {} to {}", plan::shown(window.start_ms), plan::shown(window.end_ms))
        };
        let windows: Vec<String> = starts::frozen_rollups(&view).into_iter().map(shown).collect();
        if windows.is_empty() || request.freeze_rollups {
            return Ok(());
        }
        Err(plan::Refusal::RollupsFreeze { view: record.view.clone(), windows: windows.join(", ") }.into())
    }
}

/// How far a generation had come, as a commit says.
fn reached(serving: &GenerationRecord, metadata: &[u8]) -> Option<Reached> {
    let commit = Commit::whole(metadata)?;
    let known = commit.view(&serving.view, serving.generation)?;
    Some(Reached { offset: known.position, max_ms: known.max_ms })
}
