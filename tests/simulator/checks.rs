//! What must be true: of every write when it is made, of every commit when it is accepted, after
//! every power cut.

use std::collections::BTreeMap;

use etiage::commit::{Commit, Metadata, ViewCommit};
use etiage::part::Stored;
use etiage::source::Committed;
use etiage::store::{BeforeWrite, GenerationState, PartWrite, PositionKind, RowId, RowWrite, Slot, StoredPosition};
use etiage::window::{Aggregate, Width};

use crate::cells::{Replica, RowCells, RowPlace, TABLES};
use crate::meaning::{HOUR_MS, Meaning};
use crate::oracle::{Place, Sum, Version, revision_at, window};
use crate::world::{Partition, SERVING, Side, State};

/// A thousandth, the unit of the values.
pub const UNIT: f64 = 1_000.0;
/// What a reading may add to the memory of the parts, bytes, in all views and widths; generously.
const READING_BYTES: usize = 6_000;

fn sum_of(aggregate: &Aggregate) -> Sum {
    let (_, low) = aggregate.squares.words();
    Sum {
        count: aggregate.count,
        sum: aggregate.sum,
        squares: low as i128,
        min: aggregate.min,
        max: aggregate.max,
        alarms: aggregate.alarms,
        active: aggregate.active,
        outliers: aggregate.outliers,
    }
}

/// The nearest double: both numbers are whole and below 2⁵³, and a division rounds once.
pub fn mean(sum: &Sum) -> f64 {
    sum.sum as f64 / (sum.count as f64 * UNIT)
}

pub fn deviation(sum: &Sum) -> f64 {
    let spread = i128::from(sum.count) * sum.squares - sum.sum * sum.sum;
    (spread as f64).sqrt() / (sum.count as f64 * UNIT)
}

pub fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-13 * expected.abs()
}

impl State {
    fn width_number(&self, view: usize, width: Width) -> Option<usize> {
        self.known[view].1.iter().position(|known| *known == width)
    }

    fn place(&self, slot: &Slot) -> Option<(usize, Place)> {
        let view = self.view(&slot.view, slot.generation)?;
        let width = self.width_number(view, slot.width)?;
        let (key, tenant) = (slot.key.to_string(), slot.tenant.to_string());
        Some((view, Place { start_ms: slot.start_ms, width, key, tenant }))
    }

    fn chain(&self, partition: usize, view: usize, place: &Place) -> &[Version] {
        let history = self.partitions[partition].truth[view].as_ref();
        history.and_then(|history| history.parts.get(place)).map_or(&[], Vec::as_slice)
    }

    /// A part is what some prefix of its log makes of it, whole, at its revision.
    pub fn check_part(&mut self, part: &PartWrite) {
        if let Err(why) = self.part_is_a_prefix(part) {
            self.fail(format!("part {:?} of {:?}: {why}", part.slot, part.source));
        }
    }

    fn part_is_a_prefix(&self, part: &PartWrite) -> Result<(), String> {
        let stored = Stored::decode(&part.state).map_err(|error| error.to_string())?;
        let (view, place) = self.place(&part.slot).ok_or("no such view or width")?;
        let partition = self.source(part.source).ok_or("no such source")?;
        let chain = self.chain(partition, view, &place);
        let version = chain.get((stored.revision as usize).wrapping_sub(1));
        let version = version.ok_or_else(|| format!("has revision {} of {}", stored.revision, chain.len()))?;
        let found: BTreeMap<&str, Sum> =
            stored.aggregates.iter().map(|(name, aggregate)| (&**name, sum_of(aggregate))).collect();
        let same =
            found.len() == version.sums.len() && version.sums.iter().all(|(name, sum)| found.get(name) == Some(sum));
        if !same || stored.next.0 != version.next {
            return Err(format!("revision {} is {found:?} up to {}, not {version:?}", stored.revision, stored.next));
        }
        let stamp = self.epoch_us(view) + stored.revision as i64;
        if part.stamp.0 != stamp {
            return Err(format!("is written at {} instead of {stamp}", part.stamp.0));
        }
        Ok(())
    }

    /// What a quorum has acknowledged, a quorum tells.
    pub fn check_revision_stays(&mut self, slot: u32, source: u8, found: i64, acked: i64) {
        let known = self.acked.get(&(slot, source)).copied().unwrap_or(0);
        // A power cut since the question was asked excuses.
        if found < acked && known >= acked {
            let slot = self.names.slot_of(slot).clone();
            self.fail(format!("part {slot:?} of source {source} went back from {acked} to {found}"));
        }
    }

    /// Some choice of one prefix of each part has this sum of revisions, and fits.
    fn some_merge(&self, slot: &Slot, metric: &str, revision: i64, fits: &dyn Fn(&Sum) -> bool) -> bool {
        let Some((view, place)) = self.place(slot) else { return false };
        // What was read last is mostly what was merged.
        if let Some(sum) = self.last_read(slot, (view, &place), metric, revision)
            && fits(&sum)
        {
            return true;
        }
        let chains: Vec<&[Version]> = (0..self.partitions.len())
            .map(|partition| self.chain(partition, view, &place))
            .filter(|chain| !chain.is_empty())
            .collect();
        choose(&chains, metric, revision, &Sum::default(), fits)
    }

    /// The merge of the parts that were last read for the place, if they have so many revisions in all.
    fn last_read(&self, slot: &Slot, (view, place): (usize, &Place), metric: &str, revision: i64) -> Option<Sum> {
        let read = self.reads.get(&self.names.known(slot)?)?;
        let epoch_us = self.epoch_us(view);
        let (mut sum, mut left) = (Sum::default(), revision);
        for (source, stamp) in read {
            let number = stamp - epoch_us;
            let version = self.chain(*source as usize, view, place).get(usize::try_from(number - 1).ok()?)?;
            version.sums.get(metric).iter().for_each(|here| sum.merge(here));
            left -= number;
        }
        (left == 0).then_some(sum)
    }

    /// A row is the merge of some prefixes.
    pub fn check_row(&mut self, row: &RowWrite, place: RowPlace) {
        if !self.rows_seen.insert((place, row.stamp.0, row.count)) {
            return;
        }
        let Some(view) = self.view(&row.slot.view, row.slot.generation) else {
            return self.fail(format!("row {:?} of nothing", row.slot));
        };
        if self.record(view).is_some_and(|record| record.state == GenerationState::Replaying) {
            self.fail(format!("row {:?} of a generation that serves nobody", row.slot));
        }
        let fits = |sum: &Sum| says(row, sum);
        if row.stamp.0 != self.epoch_us(view) + row.revision {
            self.fail(format!("row {:?} of revision {} is written at {}", row.slot, row.revision, row.stamp.0));
        }
        if row.partial {
            self.fail(format!("row {:?} is partial, and nothing was left out", row.slot));
        }
        if !self.some_merge(&row.slot, &row.metric, row.revision, &fits) {
            self.fail(format!("row {row:?} is no merge of prefixes"));
        }
    }

    pub fn check_before(&mut self, row: &BeforeWrite) {
        let Some(view) = self.view(&row.slot.view, row.slot.generation) else {
            return self.fail(format!("{row:?} of nothing"));
        };
        let earlier = Slot { start_ms: row.slot.start_ms - 3 * HOUR_MS, ..row.slot.clone() };
        if self.views[view].horizon_ms.is_some_and(|horizon_ms| earlier.start_ms <= horizon_ms) {
            // What an earlier generation has left there.
            return;
        }
        let revision = row.stamp.0 - self.epoch_us(view);
        let fits = |sum: &Sum| sum.count > 0 && mean(sum) == row.mean_before;
        if !self.some_merge(&earlier, &row.metric, revision, &fits) {
            self.fail(format!("{row:?} is the mean of no merge of prefixes"));
        }
    }

    /// At some time, what all partitions that fed the view had committed proved the window over.
    pub fn check_final(&mut self, row: &RowId) {
        let Some((view, place)) = self.place(&row.slot) else { return self.fail(format!("{row:?} of nothing")) };
        let meaning = &self.views[view];
        let (_, end_ms) = window(meaning.widths[place.width], row.slot.start_ms);
        let over_ms = end_ms + meaning.lateness_ms.unwrap_or(0);
        if self.proven_ms[view].is_none_or(|proven_ms| proven_ms < over_ms) {
            self.prove(view);
        }
        if self.proven_ms[view].is_none_or(|proven_ms| proven_ms < over_ms) {
            let proven_ms = self.proven_ms[view];
            self.fail(format!("{row:?} is marked final, and the commits prove no more than {proven_ms:?}"));
        }
    }

    /// What is committed, or spilled for a commit, may have moved the watermarks on. A partition that is added takes nothing
    /// back: this is asked for before one is.
    pub fn prove_all(&mut self) {
        (0..self.views.len()).for_each(|view| self.prove(view));
    }

    fn prove(&mut self, view: usize) {
        let (meaning, behind_ms) = (&self.views[view], self.plan.variant.out_of_orderness_ms());
        let known = |side: &Side| side.furthest.as_ref()?.view(meaning.name, meaning.generation).cloned();
        // Where metadata lies in the store, a commit of the generation before may be read with what this one says in the same
        // place, of which it is true as well.
        let spilled = |partition: &Partition| {
            let stands = partition.sides.iter().filter_map(|side| side.furthest.as_ref());
            let said = |commit: &Commit| partition.spilled.get(&(view, meaning.generation, commit.position)).copied();
            stands.filter_map(said).max()
        };
        let watermark_ms = |partition: &Partition| {
            let known = partition.sides.iter().filter_map(known).map(|known| known.max_ms).max();
            let known = known.max(spilled(partition))?;
            // Both groups say the same of a partition that has been silent: nothing more has come.
            let idle_ms = partition.sides.iter().map(|side| side.idle_ms).max()?;
            known.map(|max_ms| max_ms - behind_ms).max(idle_ms)
        };
        let feeding = self.partitions.iter().filter(|partition| partition.exists && partition.truth[view].is_some());
        self.proven_ms[view] = self.proven_ms[view].max(feeding.map(watermark_ms).min().flatten());
    }

    pub fn check_memory(&mut self, bytes: u64) {
        let limit = self.plan.parts_bytes + self.plan.batch * 4 * READING_BYTES;
        if bytes > limit as u64 {
            self.fail(format!("{bytes} bytes of parts with a budget of {}", self.plan.parts_bytes));
        }
    }

    pub fn check_position(&mut self, position: &StoredPosition) {
        let Some(partition) = self.source(position.source) else { return self.fail("a position of nothing") };
        if matches!(position.kind, PositionKind::Drained | PositionKind::Heartbeat) {
            return;
        }
        match Commit::decode(&position.metadata) {
            // Of who lacks a view; it is committed by nobody.
            Ok(Metadata::Whole(commit)) => {
                self.check_prefixes(partition, &commit, &[]);
                if position.kind == PositionKind::Spill {
                    self.note_spilled(partition, &commit);
                }
            }
            _ => self.fail(format!("a stored position of {partition} that cannot be read")),
        }
    }

    fn note_spilled(&mut self, partition: usize, commit: &Commit) {
        for known in &commit.views {
            let Some(view) = self.view(&known.view, known.generation) else { continue };
            self.partitions[partition].spilled.insert((view, known.generation, commit.position), known.max_ms);
        }
    }

    /// The tallies and maxima are those of the records below the positions.
    fn check_prefixes(&mut self, partition: usize, commit: &Commit, needed: &[&str]) {
        if let Err(why) = self.prefixes_are_true(partition, commit, needed) {
            let name = &self.partitions[partition].name;
            self.fail(format!("a position {} of {name}: {why}", commit.position));
        }
    }

    fn prefixes_are_true(&self, partition: usize, commit: &Commit, needed: &[&str]) -> Result<(), String> {
        let of = &self.partitions[partition];
        if commit.source != of.source {
            return Err("names another source".to_owned());
        }
        for name in needed {
            let feeds = self.views.iter().zip(&of.truth).any(|(view, truth)| view.name == *name && truth.is_some());
            if feeds && !commit.views.iter().any(|known| *known.view == **name) {
                return Err(format!("lacks view {name}"));
            }
        }
        let unknown = |known: &&ViewCommit| self.view(&known.view, known.generation).is_none();
        if let Some(known) = commit.views.iter().find(unknown) {
            return Err(format!("names generation {} of {}, which nobody has begun", known.generation, known.view));
        }
        for (meaning, truth) in self.views.iter().zip(&of.truth) {
            let Some((truth, known)) = truth.as_ref().zip(commit.view(meaning.name, meaning.generation)) else {
                continue;
            };
            let prefix = truth.at(known.position.0);
            if known.max_ms != prefix.max_ms {
                return Err(format!("{} has maximum {:?}, not {:?}", meaning.name, known.max_ms, prefix.max_ms));
            }
            for ((width, tally), expected) in known.tallies.iter().zip(&prefix.tallies) {
                let found = crate::oracle::Tally {
                    seen: tally.seen,
                    folded: tally.folded,
                    late: tally.late,
                    rejected: tally.rejected,
                    outside: tally.outside,
                    unkeyed: tally.unkeyed,
                    filtered: tally.filtered,
                    before_history: tally.before_history,
                    missing: [0, 1].map(|metric| tally.missing.get(metric).copied().unwrap_or(0)),
                };
                if found != *expected || !tally.adds_up() {
                    return Err(format!("{} {width} tallies {found:?}, not {expected:?}", meaning.name));
                }
            }
        }
        Ok(())
    }

    /// The coordinator takes a commit: from now on it must be a true statement about the store.
    pub fn accept(&mut self, id: u64, (side, partition): (usize, usize), committed: Committed) {
        self.commits += 1;
        let name = self.partitions[partition].name.clone();
        self.tell(|| format!("{id} commits {name} up to {}", committed.offset));
        let commit = match Commit::decode(&committed.metadata) {
            Ok(Metadata::Whole(commit)) => Some(commit),
            Ok(Metadata::Spilled(head)) => self.spilled(side, head),
            Err(_) => None,
        };
        let Some(commit) = commit else { return self.fail(format!("a commit of {name} that does not prove itself")) };
        if commit.position != committed.offset {
            return self.fail(format!("a commit of {name} for another position"));
        }
        if self.weather.fail == 0.0 && commit.position.0 > self.partitions[partition].log_end() {
            return self.fail(format!("a commit of {name} beyond the log"));
        }
        let needed: &[&str] = if side == SERVING { &["near", "wide"] } else { &["wide"] };
        self.check_prefixes(partition, &commit, needed);
        self.advance();
        self.check_commit(partition, &commit, true);
        let of = &mut self.partitions[partition].sides[side];
        of.idle_ms = of.idle_ms.max(commit.idle_ms);
        of.committed = Some(committed);
        let newest = |commit: &Commit| commit.views.iter().map(|known| known.generation).max();
        let is_further = |furthest: &Commit| (newest(furthest), furthest.position) < (newest(&commit), commit.position);
        if of.furthest.as_ref().is_none_or(is_further) {
            of.furthest = Some(commit);
        }
        self.prove_all();
    }

    /// The rest of a spilled commit, from whichever replica has it.
    fn spilled(&self, side: usize, head: Commit) -> Option<Commit> {
        let all = self.replicas.iter().flat_map(|replica| replica.positions());
        let mine = all.filter(|known| {
            self.side(&known.group) == Some(side)
                && known.source == head.source
                && known.kind == PositionKind::Spill
                && known.offset == head.position
        });
        match Commit::decode(&mine.max_by_key(|known| known.written_at_ms)?.metadata) {
            Ok(Metadata::Whole(commit)) => head.join(&commit),
            _ => None,
        }
    }

    /// Every part that holds a record below the position lies on a quorum, its row was merged after
    /// that, and what had to leave has left. With `further`, only what lies beyond earlier commits.
    fn check_commit(&mut self, partition: usize, commit: &Commit, further: bool) {
        for view in 0..self.views.len() {
            let Meaning { name, generation, .. } = self.views[view];
            let Some(known) = commit.view(name, generation) else { continue };
            let to = known.position.0;
            let from = if further { self.partitions[partition].checked[view] } else { 0 };
            if let Err(why) = self.is_durable(partition, view, from, to) {
                let name = &self.partitions[partition].name;
                return self.fail(format!("{name} is committed up to {to} of {}, but {why}", self.views[view].name));
            }
            let checked = &mut self.partitions[partition].checked[view];
            *checked = to.max(*checked);
        }
    }

    fn is_durable(&self, partition: usize, view: usize, from: i64, to: i64) -> Result<(), String> {
        let of = &self.partitions[partition];
        let Some(truth) = &of.truth[view] else { return Ok(()) };
        // What the generation that serves had sent when a replayer came is not sent again.
        let sent = of.sent_before.get(&view);
        let is_due = |offset: &i64| (from..to).contains(offset) && !sent.is_some_and(|sent| sent.contains(offset));
        let due = truth.outgoing.iter().filter(|(offset, _)| is_due(offset));
        if let Some((_, missing)) = due.into_iter().find(|(_, name)| !self.sent.contains(name)) {
            return Err(format!("{missing:?} has not left"));
        }
        for (place, chain) in &truth.parts {
            let revision = revision_at(chain, to);
            if revision == 0 || revision == revision_at(chain, from) {
                continue;
            }
            self.reaches(partition, view, place, &chain[revision - 1], revision as i64)?;
        }
        Ok(())
    }

    /// Whichever two replicas answer.
    fn reaches(
        &self,
        partition: usize,
        view: usize,
        place: &Place,
        version: &Version,
        revision: i64,
    ) -> Result<(), String> {
        let slot = self.slot(view, place);
        let stamp = self.epoch_us(view) + revision;
        let number = self.names.known(&slot).ok_or_else(|| format!("nobody has heard of {slot:?}"))?;
        if !self
            .on_every_quorum(|replica| replica.part(number, partition as u8).is_some_and(|(found, _)| found >= stamp))
        {
            return Err(format!("some quorum lacks revision {revision} of part {slot:?}"));
        }
        // Rows are there of what serves, and of a replay once they are all published.
        if !self.record(view).is_some_and(|record| is_whole(record.state)) {
            return Ok(());
        }
        let number = self.names.known_row(&slot).ok_or_else(|| format!("nobody has heard of row {slot:?}"))?;
        for metric in version.sums.keys() {
            let place = self.names.known_metric(metric).map(|metric| (number, metric));
            let reached = |replica: &Replica, table| {
                let stamp_of = |place| replica.stamp(table, place, RowCells::REVISION);
                place.and_then(stamp_of).is_some_and(|found| found >= stamp)
            };
            if !(0..TABLES).all(|table| self.on_every_quorum(|replica| reached(replica, table))) {
                return Err(format!("some quorum lacks revision {revision} of row {slot:?} {metric}"));
            }
        }
        Ok(())
    }

    /// Whichever two replicas answer, one of them has it.
    fn on_every_quorum(&self, has: impl Fn(&Replica) -> bool) -> bool {
        let answering = self.replicas.iter().enumerate().filter(|(number, _)| self.lost != Some(*number));
        let lacking = answering.filter(|(_, replica)| !has(replica)).count();
        lacking <= 1
    }

    pub fn slot(&self, view: usize, place: &Place) -> Slot {
        let (name, widths) = &self.known[view];
        Slot {
            view: name.clone(),
            generation: self.views[view].generation,
            width: widths[place.width],
            tenant: place.tenant.as_str().into(),
            key: place.key.as_str().into(),
            start_ms: place.start_ms,
        }
    }

    /// After a power cut or a loss: every commit that was ever accepted is still true.
    pub fn check_all_commits(&mut self) {
        self.advance();
        for partition in 0..self.partitions.len() {
            let furthest = self.partitions[partition].sides.clone().map(|side| side.furthest);
            furthest.iter().flatten().for_each(|commit| self.check_commit(partition, commit, false));
        }
    }
}

fn is_whole(state: GenerationState) -> bool {
    matches!(state, GenerationState::Live | GenerationState::Draining { .. })
}

fn says(row: &RowWrite, sum: &Sum) -> bool {
    let counts = [row.count, row.alarms, row.active, row.outliers];
    counts == [sum.count, sum.alarms, sum.active, sum.outliers].map(|count| count as i64)
        && row.mean == mean(sum)
        && row.min == sum.min as f64 / UNIT
        && row.max == sum.max as f64 / UNIT
        && near(row.stddev, deviation(sum))
}

/// Whether some choice of one prefix of each chain has this many revisions in all, and fits.
fn choose(chains: &[&[Version]], metric: &str, left: i64, so_far: &Sum, fits: &dyn Fn(&Sum) -> bool) -> bool {
    let Some((chain, rest)) = chains.split_first() else { return left == 0 && fits(so_far) };
    let most: i64 = rest.iter().map(|chain| chain.len() as i64).sum();
    let range = (left - most).max(0)..=left.min(chain.len() as i64);
    range.into_iter().any(|revision| {
        let mut sum = *so_far;
        let here = if revision > 0 { chain[revision as usize - 1].sums.get(metric) } else { None };
        here.iter().for_each(|here| sum.merge(here));
        choose(rest, metric, left - revision, &sum, fits)
    })
}
