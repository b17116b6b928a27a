//! The generations of a replay: begun here, or by whoever was first, with what the store knows of what lies before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::commit::Commit;
use crate::config::StreamConfig;
use crate::reading::{Offset, SourceId};
use crate::replay::plan::{self, Refusal, Wanted};
use crate::replay::starts::{self, Beginning, Log, Reached, ReplayFrom, Request, Serving};
use crate::source::GroupPosition;
use crate::store::{GenerationRecord, PositionKind, Whole};
use crate::view::View;
use crate::window::{Width, Window};

use super::connect::Generations;
use super::generations::{RETRY, Registry, answered, known};
use super::{SetupError, history, meaning};

/// How long a log may end before what has been folded, ms.
const LOG_END_PATIENCE_MS: u64 = 30_000;
/// Before every event time.
const NO_TIME_MS: i64 = *crate::decode::RANGE_MS.start() - 1;

impl Registry<'_> {
    /// The generations of a replay of all of these views that has begun; `None` where one of them is to be begun.
    pub async fn replays(&self, views: &BTreeSet<String>, request: Request) -> Result<Option<Generations>, SetupError> {
        let known = answered("generations", || self.store.generations()).await?;
        let mut replays = Generations::new();
        for view in views {
            let Some(begun) = plan::begun(self.wanted(view, views, request), &known)? else { return Ok(None) };
            tracing::info!(view, generation = begun.generation, "a replay that was begun goes on");
            replays.insert(view.clone(), Arc::new(begun));
        }
        Ok(Some(replays))
    }

    /// The generations under which these views are replayed: begun here, or by whoever was first.
    /// `measured`: what the files of their history hold.
    pub async fn replayed(
        &self,
        views: &BTreeSet<String>,
        request: Request,
        measured: &BTreeMap<SourceId, Whole>,
    ) -> Result<Generations, SetupError> {
        loop {
            if let Some(begun) = self.replays(views, request).await? {
                return Ok(begun);
            }
            let mut known = answered("generations", || self.store.generations()).await?;
            let (mut all, mut new) = (Vec::new(), Vec::new());
            for view in views {
                let wanted = self.wanted(view, views, request);
                if let Some(begun) = plan::begun(wanted, &known)? {
                    all.push(begun);
                    continue;
                }
                let mut record = self.begins(wanted, &known).await?;
                history::hold_to(&mut record, measured);
                known.push(record.clone());
                new.push(record.clone());
                all.push(record);
            }
            plan::in_one_group(&all)?;
            // None is begun before all of them may be. Where somebody was first, his are taken.
            if self.create(&new).await? {
                return Ok(all.into_iter().map(|record| (record.view.clone(), Arc::new(record))).collect());
            }
        }
    }

    fn wanted<'a>(&'a self, view: &'a str, together: &'a BTreeSet<String>, request: Request) -> Wanted<'a> {
        Wanted { view, together, meaning: &self.compiled.meanings[view], request }
    }

    /// Whether nobody was first.
    async fn create(&self, new: &[GenerationRecord]) -> Result<bool, SetupError> {
        for record in new {
            if !answered("generations", || self.store.create_generation(record)).await? {
                return Ok(false);
            }
            let GenerationRecord { view, generation, group, .. } = record;
            tracing::info!(view, generation, group, "a replay begins");
            if let Some(horizon) = record.horizon_ms().and_then(chrono::DateTime::from_timestamp_millis) {
                tracing::warn!(view, %horizon, "rows of windows that start up to then stay as they are");
            }
        }
        Ok(true)
    }

    /// The generation that such a replay begins with.
    async fn begins(&self, wanted: Wanted<'_>, known: &[GenerationRecord]) -> Result<GenerationRecord, SetupError> {
        let Wanted { view, request, .. } = wanted;
        if let ReplayFrom::Time(from_ms) = request.from
            && from_ms > self.clock.wall_ms()
        {
            return Err(Refusal::NotYet { view: view.to_owned(), from_ms }.into());
        }
        let positions = self.positions(view).await?;
        let mut logs = self.logs(&positions).await?;
        let begin = |beginning, logs: &[Log]| {
            plan::generation(wanted, beginning, known, logs, self.source.group(), self.clock.wall_us())
        };
        // Without its past, and without the rows that it has.
        let anew = request.forget_history && request.from == ReplayFrom::Now;
        let Some(record) = known.iter().find(|record| record.view == view && record.serves() && !anew) else {
            let beginning = starts::alone(request.from, self.newest_ms(&positions, &logs, known).await?);
            let begun = begin(beginning, &logs)?;
            let computed = self.compiled.view(view, self.config, &begun)?;
            let divided = |horizon_ms| starts::divided((&computed.widths, computed.zone), horizon_ms);
            may_freeze(request, view, begun.horizon_ms().into_iter().flat_map(divided))?;
            return Ok(begun);
        };
        let computed = self.compiled.view(view, self.config, record)?;
        let (widths, zone) = meaning::windows(&record.meaning).unwrap_or((Vec::new(), chrono_tz::UTC));
        let serving = self.serving(record, &computed, (&widths, zone), &positions, &logs, request).await?;
        let beginning = serving.beginning(request.from)?;
        // Readings that were refused then and are not now have left no trace in the maximum, nor have other times.
        if serving.reads_alike {
            self.look_for_what_is_gone(record, &positions, &mut logs).await?;
        } else if !request.forget_history {
            starts::nothing_was_lost_before(record, &logs)?;
        }
        if let Beginning::At { from_ms } = beginning {
            for log in &mut logs {
                log.before = self.place_before(record, log, from_ms).await?;
            }
        }
        let begun = begin(beginning, &logs)?;
        may_freeze(request, view, serving.frozen(begun.horizon_ms()).into_iter())?;
        Ok(begun)
    }

    /// How far a view is that serves.
    async fn serving<'a>(
        &self,
        record: &GenerationRecord,
        view: &'a View,
        (widths, zone): (&'a [Width], chrono_tz::Tz),
        positions: &[GroupPosition],
        logs: &[Log],
        request: Request,
    ) -> Result<Serving<'a>, SetupError> {
        let mut reached_ms = Vec::new();
        for (position, log) in positions.iter().zip(logs) {
            let place = self.place_of(record, position).await?;
            let start = starts::start_in(record, log.source).offset;
            let folded = place.map_or(start, |place| place.offset);
            if folded > log.end.max(start) && !request.forget_history {
                self.wait_for(folded, record, position).await?;
            }
            match place.and_then(|place| place.max_ms) {
                // A file of history goes nowhere: nothing waits for it.
                Some(_) if history::is_of(self.config, position) => {}
                Some(max_ms) => reached_ms.push(max_ms),
                None if request.from != ReplayFrom::Earliest && folded < log.end => {
                    let (view, source_id) = (record.view.clone(), position.partition.to_string());
                    return Err(Refusal::NotFolded { view, source_id }.into());
                }
                None => {}
            }
        }
        Ok(Serving {
            view,
            widths,
            zone,
            reached_ms: reached_ms.into_iter().min(),
            out_of_orderness_ms: self.streams_of(&view.name).map(|one| one.out_of_orderness_ms).max().unwrap_or(0),
            reads_alike: meaning::reads_alike(&record.meaning, &self.compiled.meanings[&*view.name].text),
        })
    }

    /// Of a log that ends before what has been folded: a new leader may know less for a moment.
    async fn wait_for(
        &self,
        folded: Offset,
        record: &GenerationRecord,
        position: &GroupPosition,
    ) -> Result<(), SetupError> {
        let since = self.clock.now();
        loop {
            let bounds = known("the log's bounds", || self.source.log_bounds(&position.partition)).await?;
            let (view, source_id, log_end) = (record.view.clone(), position.partition.to_string(), bounds.1);
            if folded <= log_end {
                return Ok(());
            }
            if self.is_file(position) || self.clock.now() - since >= LOG_END_PATIENCE_MS {
                return Err(Refusal::LogEnds { view, source_id, folded, log_end }.into());
            }
            tracing::warn!(view, source_id, folded = folded.0, log_end = log_end.0, "waiting for the log's end");
            tokio::time::sleep(RETRY).await;
        }
    }

    /// How far a generation has come in a partition, as it committed last, or else as the store keeps it.
    async fn place_of(
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
    async fn place_before(
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

    /// No reading that the logs hold is later. One of a topic is rejected where it is further ahead of its record; one of a
    /// file may say anything, so what another view has met there is asked.
    async fn newest_ms(
        &self,
        positions: &[GroupPosition],
        logs: &[Log],
        known: &[GenerationRecord],
    ) -> Result<i64, SetupError> {
        let mut newest_ms = NO_TIME_MS;
        for (position, log) in positions.iter().zip(logs) {
            let stream = &self.config.streams[&*position.stream];
            newest_ms = newest_ms.max(match self.is_file(position) {
                false => self.clock.wall_ms() + stream.max_future_ms,
                true => self.newest_met_ms(position, log, known).await?.unwrap_or(stream.files_before_ms - 1),
            });
        }
        Ok(newest_ms)
    }

    fn is_file(&self, position: &GroupPosition) -> bool {
        let stream = &self.config.streams[&*position.stream];
        stream.files.iter().chain(&stream.history).any(|file| *file.name == *position.partition.topic)
    }

    /// As a generation says that has met all of a log.
    async fn newest_met_ms(
        &self,
        position: &GroupPosition,
        log: &Log,
        known: &[GenerationRecord],
    ) -> Result<Option<i64>, SetupError> {
        let mut met: Option<i64> = None;
        for record in known.iter().filter(|record| record.serves()) {
            let here = self.compiled.meanings.get(&record.view);
            if !here.is_some_and(|here| meaning::reads_alike(&record.meaning, &here.text)) {
                continue;
            }
            let start = starts::start_in(record, log.source);
            let place = self.place_of(record, position).await?;
            let place = place.unwrap_or(Reached { offset: start.offset, max_ms: start.max_ms });
            if place.offset < log.end {
                continue;
            }
            // What it has not folded itself is known as far as it says.
            let before_ms = start.gone_ms.max(start.left_out.map(|left_out| left_out.until_ms));
            let met_ms = place.max_ms.max(before_ms).unwrap_or(NO_TIME_MS);
            met = Some(met.map_or(met_ms, |known_ms| known_ms.min(met_ms)));
        }
        Ok(met)
    }

    /// What is known of records that the serving generation folded and the logs have lost: their event times are at most
    /// the maximum of the first position past them that the store keeps, or else of the committed one.
    async fn look_for_what_is_gone(
        &self,
        serving: &GenerationRecord,
        positions: &[GroupPosition],
        logs: &mut [Log],
    ) -> Result<(), SetupError> {
        for log in logs.iter_mut() {
            let (source, start, before) = (log.source, log.start, starts::start_in(serving, log.source));
            if start <= before.rows_from() {
                continue;
            }
            if start <= before.offset {
                // Of rows that it has kept.
                log.gone_ms = Some(before.max_ms.unwrap_or(NO_TIME_MS));
                continue;
            }
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
}

fn may_freeze(request: Request, view: &str, frozen: impl Iterator<Item = (Width, Window)>) -> Result<(), Refusal> {
    let shown = |(width, window): (Width, Window)| {
        format!("{width} from {} to {}", plan::shown(window.start_ms), plan::shown(window.end_ms))
    };
    let windows: Vec<String> = frozen.map(shown).collect();
    if windows.is_empty() || request.freeze_windows {
        return Ok(());
    }
    Err(Refusal::WindowsFreeze { view: view.to_owned(), windows: windows.join(", ") })
}

/// How far a generation had come, as a commit says.
fn reached(serving: &GenerationRecord, metadata: &[u8]) -> Option<Reached> {
    let commit = Commit::whole(metadata)?;
    let known = commit.view(&serving.view, serving.generation)?;
    Some(Reached { offset: known.position, max_ms: known.max_ms })
}
