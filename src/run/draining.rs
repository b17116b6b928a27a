//! A generation that drains: its successor is about to take over. Folding pauses in the partitions that feed it, what
//! has been folded is published, and how far that has come is told in the store: no row shows more then than
//! the successor will have. It ends with the takeover, or when its deadline has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;

use crate::reading::{Offset, SourceId};
use crate::store::{GenerationRecord, GenerationState, PositionKind, StoreError, StoredPosition};

use super::owned::Owned;
use super::{Engine, RunError, World};

/// A partition whose owner publishes nothing further before the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    source: SourceId,
    /// Nobody has published anything at or after it.
    offset: Offset,
    until_ms: i64,
}

/// What the loop knows of it, and what it tells the task beside it.
pub struct Draining {
    /// What the store said, and when it was asked (monotonic ms); taken out when it is heeded.
    heard: watch::Sender<Option<(u64, Vec<GenerationRecord>)>>,
    told: watch::Sender<Vec<Drained>>,
    /// When the store was asked for what was heeded last.
    asked_at: u64,
    /// Our views that drain, by name, and until when (wall clock, ms).
    views: BTreeMap<Arc<str>, i64>,
    /// Our views whose rows are being published after a replay.
    pub promoting: BTreeSet<Arc<str>>,
    /// We replay, and what we replace drains: its instances wait for us.
    pub hurry: bool,
}

/// A draining ends after so many times of what it may last, whatever the clocks say.
const AT_MOST: u64 = 10;

impl Default for Draining {
    fn default() -> Draining {
        Draining {
            heard: watch::channel(None).0,
            told: watch::channel(Vec::new()).0,
            asked_at: 0,
            views: BTreeMap::new(),
            promoting: BTreeSet::new(),
            hurry: false,
        }
    }
}

impl Draining {
    /// The deadline of a partition that feeds a draining view.
    pub fn until(&self, owned: &Owned) -> Option<i64> {
        if self.views.is_empty() {
            return None;
        }
        owned.stream.feeds.iter().filter_map(|feed| self.views.get(&feed.view.name)).max().copied()
    }

    /// The task beside the loop, for as long as the engine runs.
    pub fn watch(&self, world: Arc<World>) -> impl Future<Output = ()> + use<> {
        let (heard, told) = (self.heard.clone(), self.told.subscribe());
        async move {
            let mut since = BTreeMap::new();
            loop {
                tokio::time::sleep(world.settings.pace.watch_every).await;
                let drained = told.borrow().clone();
                match world.look(&drained, &mut since).await {
                    Ok(records) => drop(heard.send_replace(Some(records))),
                    Err(error) => tracing::debug!(%error, "the generations are asked for again"),
                }
            }
        }
    }
}

impl Engine {
    /// Takes in what the store said of the generations since.
    pub(super) fn heed_generations(&mut self) -> Result<(), RunError> {
        let heard = self.draining.heard.send_replace(None);
        // What was asked for before an assignment asked itself says nothing any more.
        if let Some((asked_at, records)) = heard.filter(|(asked_at, _)| *asked_at >= self.draining.asked_at) {
            self.world.bindings_hold(&records)?;
            self.heed_draining(asked_at, &records);
        }
        if self.drains() || !self.draining.told.borrow().is_empty() {
            self.tell_drained();
        }
        Ok(())
    }

    pub(super) fn heed_draining(&mut self, asked_at: u64, records: &[GenerationRecord]) {
        self.draining.asked_at = asked_at;
        let replaced = |record: &GenerationRecord| self.world.views.iter().any(|view| *view.name == *record.view);
        let drains = |record: &GenerationRecord| matches!(record.state, GenerationState::Draining { .. });
        self.draining.hurry =
            self.world.settings.replaying && records.iter().any(|record| drains(record) && replaced(record));
        let ours = |record: &GenerationRecord| self.world.view_of(record).map(|view| view.name.clone());
        let promoting = records.iter().filter(|record| record.state == GenerationState::Promoting).filter_map(ours);
        let promoting: BTreeSet<Arc<str>> = promoting.collect();
        if promoting != self.draining.promoting {
            self.draining.promoting = promoting;
            self.claim_closing();
        }
        let draining = records.iter().filter_map(|record| match record.state {
            GenerationState::Draining { until_ms } => Some((self.world.view_of(record)?.name.clone(), until_ms)),
            _ => None,
        });
        let views: BTreeMap<Arc<str>, i64> = draining.collect();
        if views != self.draining.views {
            match views.is_empty() {
                true => tracing::info!("draining is over: folding goes on"),
                false => tracing::info!(?views, "draining: what is folded is published, folding pauses"),
            }
            self.draining.views = views;
        }
    }

    pub(super) fn drains(&self) -> bool {
        !self.draining.views.is_empty()
    }

    fn tell_drained(&self) {
        let drained = |owned: &Owned| {
            let until_ms = self.draining.until(owned)?;
            let is_quiet = !owned.reading_back && owned.core.is_published();
            let offset = owned.came_at.max(owned.core.position());
            is_quiet.then(|| Drained { source: owned.core.source(), offset, until_ms })
        };
        self.draining.told.send_replace(self.owned.values().filter_map(drained).collect());
    }
}

impl World {
    /// Tells what has drained, ends what should have been over by now, and asks how things stand.
    /// `since`: of each draining of ours, by its deadline, when it was seen first (monotonic ms): clocks may differ.
    async fn look(
        &self,
        drained: &[Drained],
        since: &mut BTreeMap<i64, u64>,
    ) -> Result<(u64, Vec<GenerationRecord>), StoreError> {
        let position = |drained: &Drained| StoredPosition {
            group: self.source.group().to_owned(),
            source: drained.source,
            kind: PositionKind::Drained,
            offset: drained.offset,
            metadata: drained.until_ms.to_be_bytes().to_vec(),
            written_at_ms: self.clock.wall_ms(),
        };
        let positions: Vec<StoredPosition> = drained.iter().map(position).collect();
        if !positions.is_empty() {
            self.store.write_positions(&positions).await?;
        }
        let now = self.clock.now();
        let records = self.store.generations().await?;
        for record in records.iter().filter(|record| self.view_of(record).is_some()) {
            let GenerationState::Draining { until_ms } = record.state else { continue };
            let lasts_ms = now.saturating_sub(*since.entry(until_ms).or_insert(now));
            let least_ms = self.settings.pace.drain_ms;
            let is_over = lasts_ms >= least_ms && until_ms < self.clock.wall_ms();
            if (is_over || lasts_ms >= AT_MOST * least_ms)
                && self.store.change_generations(&[record.step(GenerationState::Live)]).await?
            {
                tracing::warn!(view = record.view, "its replay has not taken over in time: it goes on");
            }
        }
        Ok((now, records))
    }
}
