//! What a stream's readings are aggregated into: a view, resolved from the configuration. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;

use crate::config::REGION;
use crate::keys::{self, Key};
use crate::store::{Slot, Stamp};
use crate::window::{Width, Window};

/// A view with its live generation.
#[derive(Debug)]
pub struct View {
    pub name: Arc<str>,
    pub generation: u32,
    /// µs since the epoch: the base of every stamp of this generation.
    pub epoch_us: i64,
    /// Those that the configuration names, sorted.
    pub metrics: Vec<Arc<str>>,
    /// Takes every other metric that its streams find in the readings, too.
    pub any_metric: bool,
    /// A metric is `10^unit_exponent` per unit of its fixed-point values.
    pub unit_exponent: i32,
    /// The window's, then those of the rollups.
    pub widths: Vec<Width>,
    /// Of half days, days, weeks and months.
    pub zone: Tz,
    /// `None` is unlimited.
    pub allowed_lateness_ms: Option<i64>,
    /// Names of the fields that a key is made of.
    pub group_by: Vec<Arc<str>>,
    /// Names of the regions by code; empty where the view does not group by them.
    pub regions: BTreeMap<Arc<str>, Arc<str>>,
    /// How far back `mean_before` looks, of hourly windows; `None`: nowhere.
    pub before_ms: Option<i64>,
    /// Windows that start at or before this are left as they are: some of their readings are not folded again.
    pub horizon_ms: Option<i64>,
    /// Windows that start at or before this may lack readings from before the view was begun.
    pub partial_until_ms: Option<i64>,
    /// How often dirty parts are written, ms; never 0.
    pub flush_ms: u64,
}

impl View {
    /// The stamp of a write with this revision.
    pub fn stamp(&self, revision: u64) -> Stamp {
        Stamp(self.epoch_us + revision as i64)
    }

    pub fn slot(&self, width: Width, key: &Key, start_ms: i64) -> Slot {
        Slot {
            view: self.name.clone(),
            generation: self.generation,
            width,
            tenant: key.tenant.clone(),
            key: key.text.clone(),
            start_ms,
        }
    }

    /// The window of a width that holds an instant.
    pub fn window(&self, width: Width, time_ms: i64) -> Window {
        width.window(time_ms, self.zone)
    }

    /// The end of a slot's window, ms.
    pub fn end_of(&self, slot: &Slot) -> i64 {
        self.window(slot.width, slot.start_ms).end_ms
    }

    /// A key's fields by name.
    pub fn labels(&self, key: &str) -> BTreeMap<String, String> {
        keys::labels(&self.group_by, key)
    }

    /// A key's name for people: the region's where there is one, else the key itself.
    pub fn label(&self, key: &str) -> Arc<str> {
        let place = self.group_by.iter().position(|field| &**field == REGION);
        match place.and_then(|place| key.split('/').nth(place)) {
            Some(code) => self.regions.get(code).cloned().unwrap_or_else(|| code.into()),
            None => key.into(),
        }
    }

    /// A metric's name as this view spells it, without a copy where it is a configured one.
    pub fn metric(&self, name: &str) -> Arc<str> {
        let known = self.metrics.binary_search_by(|metric| (**metric).cmp(name));
        known.map_or_else(|_| name.into(), |at| self.metrics[at].clone())
    }

    /// It starts at or before the horizon.
    pub fn is_before_history(&self, start_ms: i64) -> bool {
        self.horizon_ms.is_some_and(|horizon_ms| start_ms <= horizon_ms)
    }

    pub fn is_partial(&self, start_ms: i64) -> bool {
        self.partial_until_ms.is_some_and(|until_ms| start_ms <= until_ms)
    }

    /// Late: the window's end and the allowed lateness lie at or before the partition's watermark.
    pub fn is_late(&self, window_end_ms: i64, watermark_ms: Option<i64>) -> bool {
        match (self.allowed_lateness_ms, watermark_ms) {
            (Some(lateness_ms), Some(watermark_ms)) => window_end_ms.saturating_add(lateness_ms) <= watermark_ms,
            _ => false,
        }
    }
}
