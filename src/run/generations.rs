//! Whether the generations that this instance folds are still those that the store knows: asked before every
//! commit, else records would be committed past a view, or under another history.

use crate::store::{GenerationRecord, GenerationState};
use crate::view::View;

use super::{RunError, World};

/// What an instance is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bindings {
    replaying: bool,
    /// Name, generation and epoch of each view.
    views: Vec<(String, u32, i64)>,
}

impl RunError {
    /// Other generations serve now: whoever binds to them can go on.
    pub fn asks_to_bind_again(&self) -> bool {
        matches!(
            self,
            RunError::GenerationGone { .. }
                | RunError::ViewMissing(_)
                | RunError::NotTheWholeReplay(_)
                | RunError::TakenOver { .. }
                | RunError::Aborted { .. }
        )
    }
}

impl World {
    pub fn bindings(&self) -> Bindings {
        let bound = |view: &std::sync::Arc<View>| (view.name.to_string(), view.generation, view.epoch_us);
        Bindings { replaying: self.settings.replaying, views: self.views.iter().map(bound).collect() }
    }

    /// Every view that serves in the store is one that this instance folds, in the generation that it folds; of a
    /// replay: its generations are still being replayed.
    pub(super) fn bindings_hold(&self, records: &[GenerationRecord]) -> Result<(), RunError> {
        if self.settings.replaying {
            self.views.iter().try_for_each(|view| is_being_replayed(view, records))?;
            return self.fold_all_of_the_group(records);
        }
        let serving = || records.iter().filter(|record| record.serves());
        if let Some(record) = serving().find(|record| !self.views.iter().any(|view| *view.name == *record.view)) {
            return Err(RunError::ViewMissing(record.view.clone()));
        }
        match self.views.iter().find(|view| !serving().any(|record| binds(view, record))) {
            Some(view) => Err(RunError::GenerationGone { view: view.name.to_string(), generation: view.generation }),
            None => Ok(()),
        }
    }

    /// Who shares a replay's group folds all of its views: each partition has one owner.
    pub(super) fn fold_all_of_the_group(&self, records: &[GenerationRecord]) -> Result<(), RunError> {
        let group = self.source.group();
        let mut together = records.iter().filter(|one| one.state == GenerationState::Replaying && one.group == group);
        match together.find(|record| self.view_of(record).is_none()) {
            Some(record) => Err(RunError::NotTheWholeReplay(record.view.clone())),
            None => Ok(()),
        }
    }

    /// The view that folds in this very generation.
    pub(super) fn view_of(&self, record: &GenerationRecord) -> Option<&View> {
        self.views.iter().map(|view| &**view).find(|view| binds(view, record))
    }
}

/// What the store says of the very generation in which a view is folded.
pub(super) fn record_of<'a>(view: &View, records: &'a [GenerationRecord]) -> Option<&'a GenerationRecord> {
    records.iter().find(|record| binds(view, record))
}

fn is_being_replayed(view: &View, records: &[GenerationRecord]) -> Result<(), RunError> {
    let (name, generation) = (view.name.to_string(), view.generation);
    match record_of(view, records) {
        Some(record) if record.state == GenerationState::Replaying => Ok(()),
        Some(record) if record.serves() => Err(RunError::TakenOver { view: name, generation }),
        _ => Err(RunError::Aborted { view: name, generation }),
    }
}

fn binds(view: &View, record: &GenerationRecord) -> bool {
    (&*view.name, view.generation, view.epoch_us) == (&*record.view, record.generation, record.epoch_us)
}
