//! What a stream's readings are aggregated into: a view, resolved from the configuration. Pure.

use std::sync::Arc;

use crate::store::{Slot, Stamp};
use crate::window::Width;

/// A view with its live generation.
#[derive(Debug)]
pub struct View {
    pub name: Arc<str>,
    pub generation: u32,
    /// µs since the epoch: the base of every stamp of this generation.
    pub epoch_us: i64,
    /// Sorted by name.
    pub metrics: Vec<Arc<str>>,
    /// A metric is `10^unit_exponent` per unit of its fixed-point values.
    pub unit_exponent: i32,
    pub widths: Vec<Width>,
    /// `None` is unlimited.
    pub allowed_lateness_ms: Option<i64>,
    /// Which of the located columns holds the keys, and what each index in it means.
    pub region_set: usize,
    pub keys: Arc<[Key]>,
    /// How often dirty parts are written, ms.
    pub flush_ms: u64,
}

/// A key's text and its name for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub code: Arc<str>,
    pub label: Arc<str>,
}

impl View {
    /// The stamp of a write with this revision.
    pub fn stamp(&self, revision: u64) -> Stamp {
        Stamp(self.epoch_us + revision as i64)
    }

    pub fn slot(&self, width: Width, key: u32, start_ms: i64) -> Slot {
        Slot {
            view: self.name.clone(),
            generation: self.generation,
            width,
            tenant: Arc::from(""),
            key: self.keys[key as usize].code.clone(),
            start_ms,
        }
    }

    /// The key's name for people; empty for a key that the view does not know.
    pub fn label(&self, code: &str) -> Arc<str> {
        let found = self.keys.iter().find(|key| *key.code == *code);
        found.map_or_else(|| Arc::from(""), |key| key.label.clone())
    }

    /// Late: the window's end and the allowed lateness lie at or before the partition's watermark.
    pub fn is_late(&self, window_end_ms: i64, watermark_ms: Option<i64>) -> bool {
        match (self.allowed_lateness_ms, watermark_ms) {
            (Some(lateness_ms), Some(watermark_ms)) => window_end_ms.saturating_add(lateness_ms) <= watermark_ms,
            _ => false,
        }
    }
}
