//! What becomes of each reading, decided before anything changes: late, outside, filtered, or
//! folded into which part. Lateness is judged against the maximum event time *before the record*,
//! so neither batch boundaries nor the other readings of a record matter (invariant I1).

use crate::commit::Tally;
use crate::keys::{KeyList, Keyed, OUTSIDE, UNKEYED};
use crate::reading::{Offset, Record};

use super::grain::Found;
use super::{At, Fold, Partition, Wanted};

/// No part takes this reading.
pub(super) const NO_ENTRY: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictKind {
    Late,
    Outside,
    /// Without a field that the view groups by.
    Unkeyed,
    /// It belongs to a window that is left as it is.
    BeforeHistory,
}

/// A reading that a view does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub kind: VerdictKind,
    /// Index of the view in the partition, and of its width (a reading without a key has none in all of them).
    pub view: usize,
    pub grain: usize,
    pub record: Offset,
    /// Row in the batch's columns.
    pub row: u32,
}

/// A judged batch; [`Partition::fold`] takes it once the wanted parts are installed.
pub struct Judged {
    pub wanted: Vec<Wanted>,
    pub verdicts: Vec<Verdict>,
    pub(super) views: Vec<JudgedView>,
}

pub(super) struct JudgedView {
    /// The first record that this view has not folded before.
    pub first: usize,
    pub position: Offset,
    pub max_ms: Option<i64>,
    /// Per width: the entry of each reading, or [`NO_ENTRY`].
    pub targets: Vec<Vec<u32>>,
    pub tallies: Vec<Tally>,
}

impl Partition {
    /// Judges a batch that starts at or after the present position.
    pub fn judge(&mut self, keyed: &Keyed) -> Judged {
        debug_assert!(!self.judged, "one batch at a time");
        self.judged = true;
        let mut judged = Judged { wanted: Vec::new(), verdicts: Vec::new(), views: Vec::new() };
        for view in 0..self.views.len() {
            let one = self.views[view].judge(view, self.out_of_orderness_ms, keyed, &mut judged);
            judged.views.push(one);
        }
        judged
    }
}

impl Fold {
    fn judge(&mut self, view: usize, out_of_orderness_ms: i64, keyed: &Keyed, judged: &mut Judged) -> JudgedView {
        let records = &keyed.batch.records;
        let first = records.partition_point(|record| record.offset < self.position);
        let rows = keyed.batch.columns.len();
        let mut out = JudgedView {
            first,
            position: records.last().map_or(self.position, |record| record.offset.after().max(self.position)),
            max_ms: self.max_ms,
            targets: vec![vec![NO_ENTRY; rows]; self.grains.len()],
            tallies: self.grains.iter().map(|_| Tally::new(self.view.metrics.len())).collect(),
        };
        self.book.open(&keyed.keys[view].keys);
        let times = keyed.batch.columns.time_ms.values();
        for record in &records[first..] {
            let watermark_ms = out.max_ms.map(|max_ms| max_ms - out_of_orderness_ms);
            self.judge_record(view, record, watermark_ms, keyed, &mut out, judged);
            let newest = times[record.readings.start as usize..record.readings.end as usize].iter().copied().max();
            out.max_ms = out.max_ms.max(newest);
        }
        out
    }

    fn judge_record(
        &mut self,
        view: usize,
        record: &Record,
        watermark_ms: Option<i64>,
        keyed: &Keyed,
        out: &mut JudgedView,
        judged: &mut Judged,
    ) {
        let columns = &keyed.batch.columns;
        let all = u64::from(record.rejected) + record.readings.len() as u64;
        for tally in &mut out.tallies {
            tally.seen += all;
            tally.rejected += u64::from(record.rejected);
        }
        for row in record.readings.clone() {
            let at = row as usize;
            if columns.filtered.value(at) {
                out.tallies.iter_mut().for_each(|tally| tally.filtered += 1);
                continue;
            }
            let kind = match keyed.keys[view].of[at] {
                OUTSIDE => VerdictKind::Outside,
                UNKEYED => VerdictKind::Unkeyed,
                key => {
                    let time_ms = columns.time_ms.value(at);
                    self.judge_place(
                        view,
                        record.offset,
                        row,
                        time_ms,
                        key,
                        &keyed.keys[view].keys,
                        watermark_ms,
                        out,
                        judged,
                    );
                    continue;
                }
            };
            for tally in &mut out.tallies {
                let count = if kind == VerdictKind::Outside { &mut tally.outside } else { &mut tally.unkeyed };
                *count += 1;
            }
            judged.verdicts.push(Verdict { kind, view, grain: 0, record: record.offset, row });
        }
    }

    /// A reading with a time and a key: late, or folded into a part, in each width by itself.
    #[expect(clippy::too_many_arguments, reason = "one reading's facts, taken apart once for all widths")]
    fn judge_place(
        &mut self,
        view: usize,
        record: Offset,
        row: u32,
        time_ms: i64,
        of: u32,
        keys: &KeyList,
        watermark_ms: Option<i64>,
        out: &mut JudgedView,
        judged: &mut Judged,
    ) {
        for (number, grain) in self.grains.iter_mut().enumerate() {
            let window = grain.window(time_ms, &self.view);
            if self.view.is_late(window.end_ms, watermark_ms) {
                out.tallies[number].late += 1;
                judged.verdicts.push(Verdict { kind: VerdictKind::Late, view, grain: number, record, row });
                continue;
            }
            if self.view.is_before_history(window.start_ms) {
                out.tallies[number].before_history += 1;
                judged.verdicts.push(Verdict { kind: VerdictKind::BeforeHistory, view, grain: number, record, row });
                continue;
            }
            out.tallies[number].folded += 1;
            let key = self.book.number(of, keys);
            let (entry, found) = grain.entry(key, window.start_ms, self.from_max_ms, self.metrics.configured());
            out.targets[number][row as usize] = entry;
            if found != Found::Held {
                self.book.hold(key);
            }
            if found == Found::ReadBack {
                let slot = self.view.slot(grain.width, self.book.key(key), window.start_ms);
                judged.wanted.push(Wanted { at: At { view, grain: number, entry }, slot, record });
            }
        }
    }
}
