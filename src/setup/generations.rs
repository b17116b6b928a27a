//! Which generation of each view serves, and the first one of a view that has none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::Config;
use crate::replay::plan;
use crate::replay::starts::{self, Beginning, Log};
use crate::source::{GroupPosition, Source, SourceError};
use crate::store::{GenerationRecord, GenerationState, Store, StoreError};

use super::meaning::{self, Meaning};
use super::{Compiled, SetupError, history};

pub(super) const RETRY: Duration = Duration::from_secs(1);

/// What is asked of the outside.
#[derive(Clone, Copy)]
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
        let found = match self.find(view).await? {
            None => self.begin_or_wait(view, meaning).await?,
            found => found,
        };
        let Some(record) = found else { return Ok(None) };
        if record.fingerprint != meaning.fingerprint {
            let differs = meaning::differences(&record.meaning, &meaning.text);
            return Err(SetupError::OtherMeaning { view: view.to_owned(), differs });
        }
        Ok(Some(record))
    }

    /// What a view begins with that nothing serves; `None`: it waits for a replay.
    async fn begin_or_wait(&self, view: &str, meaning: &Meaning) -> Result<Option<GenerationRecord>, SetupError> {
        let records = answered("generations", || self.store.generations()).await?;
        let is_there = |state| records.iter().any(|record| record.view == *view && record.state == state);
        if is_there(GenerationState::Replaying) {
            tracing::warn!(view, "this view is being replayed: it waits for that; the others go on");
            return Ok(None);
        }
        if is_there(GenerationState::Retired) {
            tracing::warn!(
                view,
                "this view was retired, and its rows are there still: it waits for \
                 `etiage replay --view {view} --from earliest --forget-history` (or now); the others go on"
            );
            return Ok(None);
        }
        if self.has_been_read(view).await? {
            // Whoever began it a moment ago may have committed already.
            let found = self.find(view).await?;
            if found.is_none() {
                tracing::warn!(
                    view,
                    "this view was added to a running stream: it waits for \
                     `etiage replay --view {view} --from earliest` (or now, without its past); the others go on"
                );
            }
            return Ok(found);
        }
        if history::has(self.config, view) {
            tracing::warn!(
                view,
                "this view has a history in files, which only a replay folds: it waits for \
                 `etiage replay --view {view} --from earliest`; the others go on"
            );
            return Ok(None);
        }
        self.begin(view, meaning).await
    }

    async fn find(&self, view: &str) -> Result<Option<GenerationRecord>, SetupError> {
        let records = answered("generations", || self.store.generations()).await?;
        Ok(records.into_iter().find(|record| record.view == *view && record.serves()))
    }

    /// The first generation, or the first after those that were given up; whoever comes second takes what the first one wrote.
    /// `None` where a replay has begun meanwhile: its rows would lie below.
    async fn begin(&self, view: &str, meaning: &Meaning) -> Result<Option<GenerationRecord>, SetupError> {
        let mut before = answered("generations", || self.store.generations()).await?;
        before.retain(|record| record.view == *view);
        if let Some(serving) = before.iter().find(|record| record.serves()) {
            // Somebody was first.
            return Ok(Some(serving.clone()));
        }
        if before.iter().any(|record| record.state == GenerationState::Replaying) {
            tracing::warn!(view, "this view is being replayed: it waits for that; the others go on");
            return Ok(None);
        }
        let logs = self.logs(&self.positions(view).await?).await?;
        let record = GenerationRecord {
            view: view.to_owned(),
            generation: before.iter().map(|record| record.generation).max().unwrap_or(0) + 1,
            epoch_us: plan::epoch_us(before.iter(), &logs, self.clock.wall_us()),
            state: GenerationState::Live,
            fingerprint: meaning.fingerprint.clone(),
            meaning: meaning.text.clone(),
            group: self.source.group().to_owned(),
            // Where the view begins in each partition that there is: at what the log still holds.
            starts: starts::of_logs(&logs, Beginning::Earliest),
        };
        if answered("generations", || self.store.create_generation(&record)).await? {
            let (generation, partitions) = (record.generation, record.starts.len());
            tracing::info!(view, generation, partitions, "first generation");
            return Ok(Some(record));
        }
        let found = self.find(view).await?;
        let why = || SetupError::View { view: view.to_owned(), why: "its generation is not live".to_owned() };
        found.ok_or_else(why).map(Some)
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

    pub(super) async fn logs(&self, positions: &[GroupPosition]) -> Result<Vec<Log>, SetupError> {
        let mut logs = Vec::new();
        for position in positions {
            let (start, end) = known("the log's bounds", || self.source.log_bounds(&position.partition)).await?;
            logs.push(Log { source: position.source, start, end, gone_ms: None, before: None });
        }
        Ok(logs)
    }

    async fn has_been_read(&self, view: &str) -> Result<bool, SetupError> {
        Ok(self.positions(view).await?.iter().any(|position| position.committed.is_some()))
    }

    pub(super) async fn positions(&self, view: &str) -> Result<Vec<GroupPosition>, SetupError> {
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
