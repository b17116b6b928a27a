//! A view that is computed again: what the world keeps of its generations, and what their readers see meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use etiage::replay::endings::abortion;
use etiage::replay::starts::{ReplayFrom, start_in};
use etiage::store::{GenerationChange, GenerationRecord, GenerationState, Row, RowQuery};
use rustc_hash::FxHashMap;

use crate::cells::{Replica, RowCells, RowPlace, RowView, Rows, TABLES};
use crate::doors::GROUP;
use crate::group::carry_out;
use crate::meaning::{Meaning, Variant};
use crate::oracle::{Grouper, newest, window};
use crate::run::{History, PATIENCE};
use crate::world::{REPLAY, Role, SERVING, Side, State, known};

/// The view that is replayed.
pub const REPLAYED: &str = "wide";

impl State {
    /// Which of the groups that is; none of a replay that was given up.
    pub fn side(&self, group: &str) -> Option<usize> {
        match group {
            GROUP => Some(SERVING),
            _ => (group == self.replay_group).then_some(REPLAY),
        }
    }

    /// The generation of the replayed view that people read.
    pub fn serving(&self) -> Option<&GenerationRecord> {
        self.generations.iter().find(|record| record.view == REPLAYED && record.serves())
    }

    /// Where the replay that is under way began, or the next one begins.
    pub fn replay_from(&self) -> ReplayFrom {
        if self.under_way().is_some() {
            return self.begun_from;
        }
        let begun = self.generations.iter().filter(|one| one.view == REPLAYED).count();
        self.plan.replay_from[begun % self.plan.replay_from.len()]
    }

    /// The newest one, while it is none that serves and is whole.
    pub fn under_way(&self) -> Option<GenerationState> {
        let mut states = self.generations.iter().filter(|record| record.view == REPLAYED).map(|record| record.state);
        states.find(|state| matches!(state, GenerationState::Replaying | GenerationState::Promoting))
    }

    /// The configuration of somebody who comes now.
    pub fn variant_for(&mut self, role: Role) -> Variant {
        let Some(new) = self.plan.replayed_under().filter(|new| *new != self.plan.variant) else {
            return self.plan.variant;
        };
        let meaning = &crate::meaning::setup(new, 2).compiled.meanings[REPLAYED];
        let serves = self.serving().is_some_and(|record| record.fingerprint == meaning.fingerprint);
        let early = self.under_way().is_some() && role == Role::Run && self.random.chance(0.4);
        if serves || early || role == Role::Replay { new } else { self.plan.variant }
    }

    /// What a replay makes of the logs is grouped as soon as it is said where it begins.
    pub fn add_generation(&mut self, id: u64, record: GenerationRecord) {
        if let Some(variant) = self.plan.replayed_under().filter(|_| record.state == GenerationState::Replaying) {
            self.check_beginning(id, &record);
            let (generation, horizon_ms) = (record.generation, record.horizon_ms());
            let [_, wide] = variant.views();
            let meaning = Meaning { generation, horizon_ms, ..wide };
            for partition in &mut self.partitions {
                let start = record.starts.get(&partition.source);
                let grouper = Grouper {
                    meaning: &meaning,
                    partition: &partition.name.to_string(),
                    out_of_orderness_ms: variant.out_of_orderness_ms(),
                    tenants: variant.tenants,
                    from: start.map_or(0, |start| start.offset.0),
                    before_ms: start.and_then(|start| start.max_ms),
                };
                let takes = meaning.streams.contains(&partition.topic);
                partition.truth.push(takes.then(|| grouper.group(&partition.records)));
                partition.checked.push(0);
                partition.sides[REPLAY] = Side::default();
            }
            self.known.push(known(&meaning));
            self.views.push(meaning);
            self.proven_ms.push(None);
            self.replay_group = record.group.clone();
            self.begun_from = self.members[&id].replay_from;
        }
        self.generations.push(record);
    }

    /// No window after the horizon holds a reading that a row shows and this generation does not fold; where it starts, what
    /// lies before is known; and what somebody wants to stay takes no reading any more.
    fn check_beginning(&mut self, id: u64, record: &GenerationRecord) {
        let Some(serving) = self.serving().cloned() else { return };
        let view = self.view(REPLAYED, serving.generation).expect("it is there");
        for partition in &mut self.partitions {
            partition.held_from.get_or_insert(start_in(&serving, partition.source).offset.0);
        }
        let (mut lost, mut wrong, mut reached, mut races) = (Vec::new(), Vec::new(), Vec::new(), false);
        for partition in self.partitions.iter().filter(|partition| partition.topic == 0 && partition.exists) {
            let start = start_in(record, partition.source);
            let gone = partition.held_from.unwrap_or(0)..start.offset.0;
            lost.extend(partition.records.iter().filter(|record| gone.contains(&record.offset)).filter_map(newest));
            let Some(truth) = &partition.truth[view] else { continue };
            if start.max_ms.is_some_and(|max_ms| truth.at(start.offset.0).max_ms != Some(max_ms)) {
                wrong.push(partition.name.clone());
            }
            let asked_ms = partition.asked.get(&id).and_then(|asked| truth.at(*asked).max_ms);
            // What is committed meanwhile may be known from the store, or may not.
            let committed_ms = truth.at(partition.committed_offset(SERVING)).max_ms;
            races |= asked_ms.is_none() && committed_ms.is_some();
            reached.extend(asked_ms.max(committed_ms).filter(|_| asked_ms.is_some()));
        }
        let horizon_ms = record.horizon_ms();
        if lost.iter().max() > horizon_ms.as_ref() {
            self.fail(format!("the horizon {horizon_ms:?} lies before what is lost: {lost:?}"));
        }
        if !wrong.is_empty() {
            self.fail(format!("the maximum event time where the replay starts is another one: {wrong:?}, {record:?}"));
        }
        let Some(kept) = record.starts.values().find_map(|start| start.kept) else { return };
        let new = self.plan.replayed_under().unwrap_or(self.plan.variant);
        let closed_ms = reached.into_iter().min().map_or(i64::MIN, |ms| ms - new.out_of_orderness_ms());
        let closed_ms = closed_ms.saturating_sub(new.lateness_ms(1).unwrap_or(0));
        let (start_ms, end_ms) = window(self.views[view].widths[0], kept.until_ms);
        if end_ms > closed_ms && !races {
            self.fail(format!(
                "the window at {start_ms} is left as it is, and what is committed ends it at {closed_ms}"
            ));
        }
    }

    /// All of these steps, or none.
    pub fn change(&mut self, id: u64, changes: &[GenerationChange]) -> bool {
        let place = |change: &GenerationChange, all: &[GenerationRecord]| {
            let named =
                |record: &GenerationRecord| record.view == change.view && record.generation == change.generation;
            all.iter().position(|record| named(record) && record.state == change.from)
        };
        let places: Option<Vec<usize>> = changes.iter().map(|change| place(change, &self.generations)).collect();
        let Some(places) = places else { return false };
        for (change, place) in changes.iter().zip(places) {
            self.generations[place].state = change.to;
            self.tell(|| {
                format!("{id} makes generation {} of {} {}", change.generation, change.view, change.to.name())
            });
        }
        if changes.iter().any(|change| change.from == GenerationState::Promoting) {
            self.check_all_commits();
        }
        if changes.iter().any(|change| change.to == GenerationState::Promoting) {
            self.check_left();
            self.left = self.rows_before_history();
            self.take_over();
        }
        true
    }

    /// What a replica holds of the rows of one key.
    pub fn rows_of(&self, replica: &Replica, query: &RowQuery) -> BTreeMap<RowPlace, RowView> {
        let asked = |(number, metric): &RowPlace| {
            let (slot, metric) = (self.names.slot_of(*number), self.names.metric_of(*metric));
            *slot.view == *query.view
                && slot.width == query.width
                && *slot.tenant == *query.tenant
                && **metric == *query.metric
                && query.key.as_ref().is_none_or(|key| *slot.key == **key)
                && query.from_ms.is_none_or(|from_ms| slot.start_ms >= from_ms)
                && query.to_ms.is_none_or(|to_ms| slot.start_ms < to_ms)
        };
        let places = replica.places(1).filter(asked);
        places.filter_map(|place| Some((place, replica.row(1, place)?))).collect()
    }

    pub fn as_read(&self, (number, metric): RowPlace, row: &RowView) -> Option<Row> {
        let (slot, metric) = (self.names.slot_of(number), self.names.metric_of(metric));
        let double = |number: usize| Some(f64::from_bits(row.cell(number)? as u64));
        Some(Row {
            view: slot.view.to_string(),
            width: slot.width.to_string(),
            metric: metric.to_string(),
            tenant: slot.tenant.to_string(),
            key: slot.key.to_string(),
            start_ms: slot.start_ms,
            end_ms: row.cell(9)?,
            label: String::new(),
            labels: BTreeMap::new(),
            count: row.cell(0)?,
            mean: double(1)?,
            min: double(2)?,
            max: double(3)?,
            stddev: double(4)?,
            alarms: row.cell(5)?,
            active: row.cell(6)?,
            outliers: row.cell(7)?,
            partial: false,
            mean_before: row.before.map(|(_, mean)| f64::from_bits(mean as u64)),
            is_final: row.marked.is_some(),
            revision: row.cell(RowCells::REVISION)?,
            generation: 0,
            updated_at_ms: 0,
        })
    }

    fn take_over(&mut self) {
        let Some(record) = self.serving().cloned() else { return };
        match record.starts.values().any(|start| start.kept.is_some()) {
            true => self.takeovers.later += 1,
            false => self.takeovers.earliest += 1,
        }
        for partition in &mut self.partitions {
            let start = start_in(&record, partition.source).offset.0;
            // Rows that are left hold what they held.
            let held = partition.held_from.filter(|_| record.horizon_ms().is_some());
            partition.held_from = Some(held.map_or(start, |held| held.min(start)));
        }
    }

    /// Readers may see a count go down.
    fn blurs(&self) -> bool {
        self.plan.sync_ms > 0 || self.plan.faults.iter().any(|(_, fault)| fault.blurs())
    }

    /// The rows of the replayed view in a table, as all replicas together have them.
    fn replayed_rows(&self, table: usize) -> Rows {
        let mut rows = Rows::new();
        for (place, row) in self.replicas.iter().flat_map(|replica| replica.views(table)) {
            if *self.names.slot_of(place.0).view == *REPLAYED {
                rows.entry(place).or_default().join(&row);
            }
        }
        rows
    }

    /// The rows that the generation which takes over leaves as they are.
    fn rows_before_history(&mut self) -> Vec<(usize, RowPlace, RowView)> {
        self.advance();
        let horizon_ms = self.serving().and_then(GenerationRecord::horizon_ms);
        let mut left = Vec::new();
        for table in 0..TABLES {
            let rows = self.replayed_rows(table).into_iter();
            let is_left = |(slot, _): &RowPlace| Some(self.names.slot_of(*slot).start_ms) <= horizon_ms;
            left.extend(rows.filter(|(place, _)| is_left(place)).map(|(place, row)| (table, place, row)));
        }
        left
    }

    /// Rows that the last replay left as they were are so still.
    pub fn check_left(&mut self) {
        if self.blurs() {
            return;
        }
        let now: Vec<_> = (0..TABLES).map(|table| self.replayed_rows(table)).collect();
        for (table, place, row) in std::mem::take(&mut self.left) {
            let now = now[table].get(&place);
            let same = now.is_some_and(|now| (now.cells, now.before) == (row.cells, row.before));
            if !same {
                let slot = self.names.slot_of(place.0).clone();
                return self.fail(format!("row {slot:?} was to stay as it was, {row:?}, and is {now:?}"));
            }
        }
    }

    /// Whoever reads all rows all the time sees no count go down, where the meaning has not changed.
    pub fn watch_rows(&mut self) {
        if self.plan.replayed_under() != Some(self.plan.variant) || self.blurs() {
            return;
        }
        self.advance();
        let changes = self.replicas.iter().map(|replica| replica.row_changes).sum();
        if std::mem::replace(&mut self.watched, changes) == changes {
            return;
        }
        let first = self.epoch_us(1);
        for table in 0..TABLES {
            let mut rows: FxHashMap<RowPlace, (Option<(i64, i64)>, i64)> = FxHashMap::default();
            for (place, newest, gone) in self.replicas.iter().flat_map(|replica| replica.counts(table)) {
                let known = rows.entry(place).or_insert((None, i64::MIN));
                *known = (known.0.max(newest), known.1.max(gone));
            }
            rows.retain(|(slot, _), _| *self.names.slot_of(*slot).view == *REPLAYED);
            for (place, (newest, gone)) in rows {
                // (What an earlier generation has left in the world before this one began does not count.)
                let there = newest.filter(|(stamp, _)| *stamp > gone && *stamp >= first);
                let count = there.map_or(0, |(_, count)| count);
                let shown = self.shown.insert((table, place), count).unwrap_or(0);
                if count < shown {
                    let slot = self.names.slot_of(place.0).clone();
                    return self.fail(format!("the count of row {slot:?} went down from {shown} to {count}"));
                }
            }
        }
    }
}

impl History {
    /// Another process of the replay, once there is something to replay.
    pub fn start_replay(&mut self) {
        let both = {
            let state = self.world.lock();
            state.generations.iter().filter(|one| one.state == GenerationState::Live).count() == 2
                || state.under_way().is_some()
        };
        if both && self.world.lock().plan.replay.is_some() && self.alive(Role::Replay) < 2 {
            self.start(Role::Replay);
        }
    }

    /// Those of which nobody knows otherwise.
    pub fn alive(&self, role: Role) -> usize {
        let state = self.world.lock();
        let is_there = |id: &&u64| state.members.get(id).is_some_and(|member| member.role == role && !member.zombie);
        self.ends.keys().filter(is_there).count()
    }

    /// Whoever gets a partition now knows another state of the generations than there is; and what replayers have folded
    /// without committing it goes with them.
    pub fn ambush(&mut self) {
        let states: Vec<GenerationState> = self.world.lock().generations.iter().map(|one| one.state).collect();
        if std::mem::replace(&mut self.states, states) == self.states || !self.world.lock().plan.ambushes {
            return;
        }
        let replayers = self.world.lock().takers(REPLAY);
        if self.world.lock().random.chance(0.3) {
            for id in replayers {
                self.crash(id);
                self.start_another(id);
            }
        }
        let moves = self.world.lock().shuffle();
        carry_out(&self.world, moves, true);
    }

    /// It is given up where that is possible still.
    pub fn abort_replay(&mut self) {
        let mut state = self.world.lock();
        if let Ok(steps) = abortion(REPLAYED, &state.generations)
            && !steps.is_empty()
        {
            state.change(0, &steps);
        }
    }

    /// Faults have stopped: what was begun takes over, or is given up.
    pub async fn end_replay(&mut self) {
        if self.world.lock().plan.replay.is_none() {
            return;
        }
        if self.world.lock().random.chance(0.3) {
            self.abort_replay();
        }
        let begun = self.world.now();
        while self.world.lock().failure.is_none() && self.world.lock().under_way().is_some() {
            if self.alive(Role::Replay) == 0 {
                self.start(Role::Replay);
            }
            if self.alive(Role::Run) == 0 {
                self.start(Role::Run);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.look_after().await;
            self.ambush();
            self.world.lock().watch_rows();
            if self.world.now() > begun + PATIENCE.as_millis() as u64 {
                self.world.lock().fail("the replay never takes over");
            }
        }
    }
}
