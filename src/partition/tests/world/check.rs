//! What must be true: of every commit when it is made, after every power cut, and at rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commit::{Commit, Metadata};
use crate::reading::SourceId;
use crate::store::{PositionKind, Slot};
use crate::window::Width;

use super::super::log::{self, HOUR_MS, Meaning};
use super::super::oracle::{self, Expected, Oracle};
use super::super::rational;
use super::World;

impl World {
    fn oracle(&self, partition: usize, meaning: &Meaning, position: i64) -> Oracle {
        oracle::group(&self.logs[partition], position, meaning, self.out_of_orderness_ms)
    }

    /// The metadata says what the prefix determines, and the store holds what the commit promises.
    pub(super) fn assert_commit_is_true(&self, partition: usize, commit: &Commit, metadata: &[u8]) {
        match Commit::decode(metadata).expect("metadata that we wrote") {
            Metadata::Whole(whole) => assert_eq!(whole, *commit),
            Metadata::Spilled(head) => {
                let spilled = self.store.position(commit.source, PositionKind::Spill, Some(commit));
                assert_eq!(head.join(spilled.expect("spilled before it is committed")).as_ref(), Some(commit));
            }
        }
        assert!(metadata.len() <= self.weather.metadata_limit.max(commit.encode_spilled().len()));
        oracle::assert_commit(commit, &self.logs[partition], &self.meanings, self.out_of_orderness_ms);
        self.assert_present(partition, commit);
        assert!(self.store.position(commit.source, PositionKind::Kept, None).is_some(), "anchored");
        for key in self.must_be_sent(partition, commit.position.0) {
            assert!(self.sent.contains(&key), "{key} is committed past and was not sent");
        }
    }

    /// Whichever copies answer.
    fn assert_present(&self, partition: usize, commit: &Commit) {
        for (meaning, view) in self.meanings.iter().zip(&self.views) {
            let position = commit.view(meaning.name, 1).unwrap().position.0;
            for ((width, key, start_ms), expected) in self.oracle(partition, meaning, position).parts {
                let slot = view.slot(view.widths[width], &log::key(meaning.set, key), start_ms);
                let metrics: Vec<Arc<str>> = expected.sums.keys().map(|metric| metric.as_str().into()).collect();
                for left_out in self.store.quorums() {
                    self.store.left_out.set(left_out);
                    let blob = self.store.own_part(&slot, commit.source);
                    let part = Expected::decode(&blob.unwrap_or_else(|| panic!("{slot:?} is missing")));
                    assert!(part.next >= expected.next && part.revision >= expected.revision, "{slot:?}: {part:?}");
                    self.assert_rows_reach(&slot, &metrics, expected.revision);
                }
            }
        }
    }

    fn assert_rows_reach(&self, slot: &Slot, metrics: &[Arc<str>], revision: u64) {
        for metric in metrics {
            let row = self.store.row(slot, metric).unwrap_or_else(|| panic!("row {slot:?} is missing"));
            assert!(row.revision >= revision as i64, "{slot:?}: {row:?}");
        }
    }

    /// Every commit that was ever made is still a true statement about the store.
    pub(super) fn assert_committed_is_present(&self) {
        for (partition, commit) in self.furthest.iter().enumerate() {
            if let Some(commit) = commit {
                self.assert_present(partition, commit);
            }
        }
    }

    fn must_be_sent(&self, partition: usize, position: i64) -> Vec<String> {
        let below = self.logs[partition].iter().filter(|entry| entry.offset < position && entry.rejected > 0);
        let mut keys: Vec<String> = below.map(|entry| format!("{partition}/{}/rejected", entry.offset)).collect();
        for (view, meaning) in self.meanings.iter().enumerate() {
            let oracle = self.oracle(partition, meaning, position);
            let late = oracle.late.iter();
            keys.extend(late.map(|(offset, index, grain)| format!("{partition}/{offset}/{index}/Late/{view}/{grain}")));
            let keyless = oracle.keyless.iter();
            keys.extend(keyless.map(|(offset, index, kind)| format!("{partition}/{offset}/{index}/{kind}/{view}/0")));
        }
        keys
    }

    pub(super) fn assert_at_rest(&self) {
        self.assert_committed_is_present();
        let mut merged: BTreeMap<Slot, Expected> = BTreeMap::new();
        let mut parts = BTreeMap::new();
        for partition in 0..self.logs.len() {
            self.assert_commit_describes_the_end(partition);
            for (meaning, view) in self.meanings.iter().zip(&self.views) {
                for ((width, key, start_ms), part) in self.oracle(partition, meaning, i64::MAX).parts {
                    let slot = view.slot(view.widths[width], &log::key(meaning.set, key), start_ms);
                    add(merged.entry(slot.clone()).or_default(), &part);
                    parts.insert((slot, log::source(partition as i32)), part);
                }
            }
        }
        for left_out in self.store.quorums() {
            self.store.left_out.set(left_out);
            self.assert_parts(&parts);
            self.assert_rows(&merged);
            self.assert_means_before(&merged);
        }
    }

    fn assert_parts(&self, parts: &BTreeMap<(Slot, SourceId), Expected>) {
        let found = self.store.parts().into_iter().map(|((slot, source), (stamp, blob))| {
            let part = Expected::decode(&blob);
            assert_eq!(stamp.0, log::EPOCH_US + part.revision as i64);
            ((slot, source), part)
        });
        assert_eq!(found.collect::<BTreeMap<_, _>>(), *parts);
    }

    fn assert_commit_describes_the_end(&self, partition: usize) {
        let committed = self.group[partition].as_ref().expect("the end is committed");
        let commit = match Commit::decode(&committed.metadata).unwrap() {
            Metadata::Whole(commit) => commit,
            Metadata::Spilled(head) => {
                let spilled = self.store.position(head.source, PositionKind::Spill, Some(&head)).unwrap();
                head.join(spilled).unwrap()
            }
        };
        assert_eq!(commit.position.0, self.end(partition));
        oracle::assert_commit(&commit, &self.logs[partition], &self.meanings, self.out_of_orderness_ms);
    }

    fn assert_rows(&self, merged: &BTreeMap<Slot, Expected>) {
        let mut rows = self.store.rows();
        for (slot, expected) in merged {
            for (metric, sum) in &expected.sums {
                let place = (slot.clone(), Arc::from(metric.as_str()));
                let (_, row) = rows.remove(&place).unwrap_or_else(|| panic!("no row {slot:?}"));
                assert_eq!(row.revision, expected.revision as i64, "{slot:?}");
                assert_eq!(row.stamp.0, log::EPOCH_US + row.revision);
                assert_eq!(row.count, sum.count as i64);
                assert_eq!([row.alarms, row.active, row.outliers], sum.bits.map(|count| count as i64));
                rational::assert_mean(row.mean, &sum.sum, sum.count, 1_000);
                rational::assert_mean(row.min, &sum.min.unwrap().into(), 1, 1_000);
                rational::assert_mean(row.max, &sum.max.unwrap().into(), 1, 1_000);
                rational::assert_deviation(row.stddev, &sum.sum, &sum.squares, sum.count, 1_000);
            }
        }
        assert!(rows.is_empty(), "rows that nobody's readings explain: {rows:?}");
    }

    fn assert_means_before(&self, merged: &BTreeMap<Slot, Expected>) {
        let mut found = self.store.befores();
        for (slot, expected) in merged.iter().filter(|(slot, _)| slot.width == Width::HOUR) {
            let earlier = Slot { start_ms: slot.start_ms - 3 * HOUR_MS, ..slot.clone() };
            let Some(earlier) = merged.get(&earlier) else { continue };
            for (metric, sum) in earlier.sums.iter().filter(|(metric, _)| expected.sums.contains_key(*metric)) {
                let place = (slot.clone(), Arc::from(metric.as_str()));
                let (_, mean) = found.remove(&place).expect("a mean of three hours before");
                rational::assert_mean(mean, &sum.sum, sum.count, 1_000);
            }
        }
        assert!(found.is_empty(), "means of windows that do not exist: {found:?}");
    }
}

fn add(merged: &mut Expected, part: &Expected) {
    merged.revision += part.revision;
    for (metric, more) in &part.sums {
        merged.sums.entry(metric.clone()).or_default().merge(more);
    }
}
