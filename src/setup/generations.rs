//! Which generation of each view is live, and the first one of a view that has none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::Config;
use crate::reading::SourceId;
use crate::source::{GroupPosition, Source, SourceError};
use crate::store::{GenerationRecord, GenerationState, Start, Store, StoreError};

use super::meaning::{self, Meaning};
use super::{Compiled, SetupError};

const RETRY: Duration = Duration::from_secs(1);

/// What is asked of the outside.
pub struct Registry<'a> {
    pub store: &'a dyn Store,
    pub source: &'a dyn Source,
    pub clock: Clock,
    pub config: &'a Config,
    pub compiled: &'a Compiled,
}

impl Registry<'_> {
    /// The live generation of every view that can run. Views that nobody has begun are begun where
    /// their streams have not been read yet; a view added to a running stream waits for a replay.
    pub async fn live(&self) -> Result<BTreeMap<String, Arc<GenerationRecord>>, SetupError> {
        let mut live = BTreeMap::new();
        for view in self.config.views.keys() {
            if let Some(record) = self.live_one(view, &self.compiled.meanings[view]).await? {
                live.insert(view.clone(), Arc::new(record));
            }
        }
        let records = answered("generations", || self.store.generations()).await?;
        let strange = records.iter().find(|record| is_live(record) && !self.config.views.contains_key(&record.view));
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
            // Whoever began it a moment ago may have committed already.
            None if self.has_been_read(view).await? => match self.find(view).await? {
                Some(record) => record,
                None => {
                    tracing::warn!(
                        view,
                        "this view was added to a running stream: it waits for \
                     `etiage replay --view {view} --from earliest` (or `--from now`); the others go on"
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
        Ok(records.into_iter().find(|record| record.view == *view && is_live(record)))
    }

    /// The first generation; whoever comes second takes what the first one wrote.
    async fn begin(&self, view: &str, meaning: &Meaning) -> Result<GenerationRecord, SetupError> {
        let record = GenerationRecord {
            view: view.to_owned(),
            generation: 1,
            epoch_us: self.clock.wall_us(),
            state: GenerationState::Live,
            fingerprint: meaning.fingerprint.clone(),
            meaning: meaning.text.clone(),
            group: self.source.group().to_owned(),
            starts: self.starts(view).await?,
        };
        if answered("generations", || self.store.create_generation(&record)).await? {
            tracing::info!(view, generation = 1, partitions = record.starts.len(), "first generation");
            return Ok(record);
        }
        let found = self.find(view).await?;
        found.ok_or_else(|| SetupError::View { view: view.to_owned(), why: "its generation is not live".to_owned() })
    }

    /// Where the view begins in each partition that there is: at what the log still holds.
    async fn starts(&self, view: &str) -> Result<BTreeMap<SourceId, Start>, SetupError> {
        let mut starts = BTreeMap::new();
        for position in self.positions(view).await? {
            let (first, _) = known("the log's start", || self.source.log_bounds(&position.partition)).await?;
            starts.insert(position.source, Start { offset: first, max_ms: None });
        }
        Ok(starts)
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

fn is_live(record: &GenerationRecord) -> bool {
    record.state == GenerationState::Live
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
async fn known<T, F: Future<Output = Result<T, SourceError>>>(
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
