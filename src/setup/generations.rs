//! Which generation of each view serves, the first one of a view that has none, and those of a replay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::commit::Commit;
use crate::config::Config;
use crate::replay::plan::{self, Consent, Log, Wanted};
use crate::source::{GroupPosition, Source, SourceError};
use crate::store::{GenerationRecord, GenerationState, PositionKind, Start, Store, StoreError};
use crate::window::{Width, Window};

use super::meaning::{self, Meaning};
use super::{Compiled, SetupError};

const RETRY: Duration = Duration::from_secs(1);
/// Before every event time.
const NO_TIME_MS: i64 = *crate::decode::RANGE_MS.start() - 1;

/// What is asked of the outside.
pub struct Registry<'a> {
    pub store: &'a dyn Store,
    pub source: &'a dyn Source,
    pub clock: Clock,
    pub config: &'a Config,
    pub compiled: &'a Compiled,
}

impl Registry<'_> {
    /// The serving generation of every view that can run. Views that nobody has begun are begun where
    /// their streams have not been read yet; a view added to a running stream waits for a replay.
    pub async fn live(&self) -> Result<BTreeMap<String, Arc<GenerationRecord>>, SetupError> {
        let mut live = BTreeMap::new();
        for view in self.config.views.keys() {
            if let Some(record) = self.live_one(view, &self.compiled.meanings[view]).await? {
                live.insert(view.clone(), Arc::new(record));
            }
        }
        let records = answered("generations", || self.store.generations()).await?;
        let strange = records.iter().find(|record| record.serves() && !self.config.views.contains_key(&record.view));
        strange.map_or(Ok(live), |record| {
            Err(SetupError::View {
                view: record.view.clone(),
                why: format!(
                    "it is live in the store but not in this configuration: add it, or remove it for good with \
                     `etiage retire {}`",
                    record.view
                ),
            })
        })
    }

    async fn live_one(&self, view: &str, meaning: &Meaning) -> Result<Option<GenerationRecord>, SetupError> {
        let found = self.find(view).await?;
        let record = match found {
            Some(record) => record,
            None if self.is_replayed(view).await? => {
                tracing::warn!(view, "this view is being replayed: it waits for that; the others go on");
                return Ok(None);
            }
            // Whoever began it a moment ago may have committed already.
            None if self.has_been_read(view).await? => match self.find(view).await? {
                Some(record) => record,
                None => {
                    tracing::warn!(
                        view,
                        "this view was added to a running stream: it waits for \
                     `etiage replay --view {view} --from earliest`; the others go on"
                    );
                    return Ok(None);
                }
            },
            None => self.begin(view, meaning).await?,
        };
        if record.fingerprint != meaning.fingerprint {
            let differs = meaning::differences(&record.meaning, &meaning.text);
            return Err(SetupError::OtherMeaning { view: view.to_owned(), differs });
        }
        Ok(Some(record))
    }

    async fn find(&self, view: &str) -> Result<Option<GenerationRecord>, SetupError> {
        let records = answered("generations", || self.store.generations()).await?;
        Ok(records.into_iter().find(|record| record.view == *view && record.serves()))
    }

    async fn is_replayed(&self, view: &str) -> Result<bool, SetupError> {
        let records = answered("generations", || self.store.generations()).await?;
        Ok(records.iter().any(|record| record.view == *view && record.state == GenerationState::Replaying))
    }

    /// The first generation, or the first after those that were given up; whoever comes second takes what the first one wrote.
    async fn begin(&self, view: &str, meaning: &Meaning) -> Result<GenerationRecord, SetupError> {
        let mut before = answered("generations", || self.store.generations()).await?;
        before.retain(|record| record.view == *view);
        if let Some(serving) = before.iter().find(|record| record.serves()) {
            // Somebody was first.
            return Ok(serving.clone());
        }
        let logs = self.logs(view).await?;
        let record = GenerationRecord {
            view: view.to_owned(),
            generation: before.iter().map(|record| record.generation).max().unwrap_or(0) + 1,
            epoch_us: plan::epoch_us(before.iter(), &logs, self.clock.wall_us()),
            state: GenerationState::Live,
            fingerprint: meaning.fingerprint.clone(),
            meaning: meaning.text.clone(),
            group: self.source.group().to_owned(),
            // Where the view begins in each partition that there is: at what the log still holds.
            starts: logs.iter().map(|log| (log.source, Start::at(log.start))).collect(),
        };
        if answered("generations", || self.store.create_generation(&record)).await? {
            let (generation, partitions) = (record.generation, record.starts.len());
            tracing::info!(view, generation, partitions, "first generation");
            return Ok(record);
        }
        let found = self.find(view).await?;
        found.ok_or_else(|| SetupError::View { view: view.to_owned(), why: "its generation is not live".to_owned() })
    }

    /// Generations that are being replayed, together, under the meanings that this configuration gives their views, while
    /// what serves means something else, or nothing serves at all: an instance with this configuration has its place there.
    pub async fn to_join(&self) -> Result<BTreeMap<String, Arc<GenerationRecord>>, SetupError> {
        let records = answered("generations", || self.store.generations()).await?;
        let same = |record: &GenerationRecord| {
            self.compiled.meanings.get(&record.view).is_some_and(|meaning| meaning.fingerprint == record.fingerprint)
        };
        let serves = |view: &str| records.iter().find(|record| record.view == view && record.serves());
        let none_serves = !records.iter().any(GenerationRecord::serves);
        let replaying = || records.iter().filter(|record| record.state == GenerationState::Replaying);
        let calls =
            |record: &&GenerationRecord| same(record) && serves(&record.view).map_or(none_serves, |one| !same(one));
        let Some(group) = replaying().find(calls).map(|record| &record.group) else { return Ok(BTreeMap::new()) };
        let together: Vec<&GenerationRecord> = replaying().filter(|record| record.group == *group).collect();
        let whole = together.iter().all(|record| same(record));
        let joined = together.into_iter().filter(|_| whole);
        Ok(joined.map(|record| (record.view.clone(), Arc::new(record.clone()))).collect())
    }

    /// The generations under which these views are replayed: begun here, or by whoever was first.
    pub async fn replayed(
        &self,
        views: &BTreeSet<String>,
        consent: Consent,
    ) -> Result<BTreeMap<String, Arc<GenerationRecord>>, SetupError> {
        let mut replayed = BTreeMap::new();
        for view in views {
            let mut logs = self.logs(view).await?;
            let record = loop {
                let known = answered("generations", || self.store.generations()).await?;
                if let Some(serving) = known.iter().find(|record| record.view == *view && record.serves()) {
                    self.look_for_what_is_gone(serving, &mut logs).await?;
                }
                let meaning = &self.compiled.meanings[view];
                let wanted = Wanted { view, together: views, meaning, consent };
                let record = plan::generation(wanted, &known, &logs, self.source.group(), self.clock.wall_us())?;
                if known.contains(&record) {
                    tracing::info!(view, generation = record.generation, "a replay that was begun goes on");
                    break record;
                }
                self.rollups_may_freeze(&record, consent)?;
                if answered("generations", || self.store.create_generation(&record)).await? {
                    tracing::info!(view, generation = record.generation, group = record.group, "a replay begins");
                    if let Some(horizon) = record.horizon_ms().and_then(chrono::DateTime::from_timestamp_millis) {
                        tracing::warn!(view, %horizon, "the logs have lost records: rows of windows that start up to then stay as they are");
                    }
                    break record;
                }
            };
            replayed.insert(view.clone(), Arc::new(record));
        }
        Ok(replayed)
    }

    /// What is known of records that the serving generation folded and the logs have lost: their event times are at most
    /// the maximum of the first position past them that the store keeps, or else of the committed one.
    async fn look_for_what_is_gone(&self, serving: &GenerationRecord, logs: &mut [Log]) -> Result<(), SetupError> {
        // Readings that were refused then and are not now have left no trace in the maximum, nor have other times.
        if !meaning::reads_alike(&serving.meaning, &self.compiled.meanings[&serving.view].text) {
            return Ok(());
        }
        let positions = self.positions(&serving.view).await?;
        let groups = BTreeSet::from([serving.group.as_str(), self.source.group()]);
        for log in logs.iter_mut().filter(|log| log.start > plan::start_in(serving, log.source).offset) {
            let (source, start) = (log.source, log.start);
            let committed = positions.iter().find(|position| position.source == source);
            let committed = committed.and_then(|position| position.committed.as_ref());
            let mut commits = vec![committed.map(|committed| committed.metadata.clone())];
            for group in &groups {
                let kept = || self.store.position_from(group, source, PositionKind::Kept, start);
                commits.push(answered("positions", kept).await?.map(|kept| kept.metadata));
            }
            let reach = |metadata: &Vec<u8>| {
                let commit = Commit::whole(metadata)?;
                let known =
                    commit.view(&serving.view, serving.generation).filter(|known| known.position >= log.start)?;
                // Of a log that had shown no time yet, nothing is in any row.
                Some(known.max_ms.unwrap_or(NO_TIME_MS))
            };
            log.gone_ms = commits.iter().flatten().filter_map(reach).min();
        }
        Ok(())
    }

    fn rollups_may_freeze(&self, record: &GenerationRecord, consent: Consent) -> Result<(), SetupError> {
        let view = self.compiled.view(&record.view, self.config, record)?;
        let time = |ms: i64| {
            chrono::DateTime::from_timestamp_millis(ms).map_or_else(|| ms.to_string(), |time| time.to_rfc3339())
        };
        let shown = |(width, window): (Width, Window)| {
            format!("{width} from {} to {}", time(window.start_ms), time(window.end_ms))
        };
        let windows: Vec<String> = plan::frozen_rollups(&view).into_iter().map(shown).collect();
        if windows.is_empty() || consent.freeze_rollups {
            return Ok(());
        }
        Err(plan::Refusal::RollupsFreeze { view: record.view.clone(), windows: windows.join(", ") }.into())
    }

    async fn logs(&self, view: &str) -> Result<Vec<Log>, SetupError> {
        let mut logs = Vec::new();
        for position in self.positions(view).await? {
            let (start, end) = known("the log's bounds", || self.source.log_bounds(&position.partition)).await?;
            logs.push(Log { source: position.source, start, end, gone_ms: None });
        }
        Ok(logs)
    }

    async fn has_been_read(&self, view: &str) -> Result<bool, SetupError> {
        Ok(self.positions(view).await?.iter().any(|position| position.committed.is_some()))
    }

    async fn positions(&self, view: &str) -> Result<Vec<GroupPosition>, SetupError> {
        let view = &self.config.views[view];
        let mut positions = known("the group's positions", || self.source.group_positions()).await?;
        positions.retain(|position| view.takes(&position.stream));
        Ok(positions)
    }
}

/// Asks the store until it answers or refuses.
pub async fn answered<T, F: Future<Output = Result<T, StoreError>>>(
    what: &str,
    ask: impl Fn() -> F,
) -> Result<T, StoreError> {
    loop {
        match ask().await {
            Err(StoreError::Unavailable(why)) => tracing::warn!(what, why, "waiting for the store"),
            answer => return answer,
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Asks the source until it answers or refuses.
pub async fn known<T, F: Future<Output = Result<T, SourceError>>>(
    what: &str,
    ask: impl Fn() -> F,
) -> Result<T, SourceError> {
    loop {
        match ask().await {
            Err(SourceError::Unavailable(why)) => tracing::warn!(what, why, "waiting for the source"),
            answer => return answer,
        }
        tokio::time::sleep(RETRY).await;
    }
}
