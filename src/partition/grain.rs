//! The parts of one view and width that are in memory.

use rustc_hash::FxHashMap;

use crate::commit::Tally;
use crate::durability::Durability;
use crate::part::Part;
use crate::reading::Offset;
use crate::view::View;
use crate::window::{Width, Window};

use super::Leaving;

/// What an entry takes beside its part, with its place in the index; about.
pub const ENTRY_BYTES: usize = std::mem::size_of::<Entry>() + 32;

struct Entry {
    key: u32,
    start_ms: i64,
    part: Part,
    durability: Durability,
    /// The record that is being folded: it may touch the part with several readings.
    record: Offset,
    touched_at: u64,
}

/// Where an entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Held,
    Fresh,
    /// Fresh, and to be read back before anything is folded into it.
    ReadBack,
}

/// Which writes are looked for: second ones have a deadline and go first. Those that have missed it count as first
/// ones, and have waited long enough.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    Second,
    Overdue,
    First,
}

impl Pass {
    fn due(self, durability: &Durability, now: u64, lag: u64) -> bool {
        match self {
            Pass::Second => durability.second_due(now, lag),
            Pass::Overdue => durability.overdue(now, lag),
            Pass::First => durability.due(now, lag),
        }
    }
}

pub struct Grain {
    pub width: Width,
    pub tally: Tally,
    /// The window of the reading before: mostly that of the next one too.
    window: Window,
    /// Aggregates that the parts hold beside those of the view's own metrics.
    pub others: usize,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    index: FxHashMap<(u32, i64), u32>,
    /// Where the next flush begins to look.
    turn: usize,
    /// Second writes have been seen to be too late.
    overdue: bool,
    /// The latest start of a window whose part has left memory in this ownership: from here on
    /// down, what is not in memory must be read back.
    evicted_to_ms: Option<i64>,
}

impl Grain {
    pub fn new(width: Width, tally: Tally) -> Grain {
        Grain {
            width,
            tally,
            window: Window { start_ms: 0, end_ms: 0 },
            others: 0,
            entries: Vec::new(),
            free: Vec::new(),
            index: FxHashMap::default(),
            turn: 0,
            overdue: false,
            evicted_to_ms: None,
        }
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// The window that holds an instant.
    #[inline]
    pub fn window(&mut self, time_ms: i64, view: &View) -> Window {
        if !self.window.contains(time_ms) {
            self.window = view.window(self.width, time_ms);
        }
        self.window
    }

    /// The entry of a part, made where there is none. It must be read back first where its window
    /// does not start after W, or may have left memory before (invariant I3).
    pub fn entry(&mut self, key: u32, start_ms: i64, from_max_ms: Option<i64>, metrics: usize) -> (u32, Found) {
        if let Some(entry) = self.index.get(&(key, start_ms)) {
            return (*entry, Found::Held);
        }
        let read_back = from_max_ms.is_some_and(|max_ms| start_ms <= max_ms)
            || self.evicted_to_ms.is_some_and(|evicted_ms| start_ms <= evicted_ms);
        let fresh = Entry {
            key,
            start_ms,
            part: Part::empty(metrics),
            durability: Durability::default(),
            record: Offset(-1),
            touched_at: u64::MAX,
        };
        (self.place(fresh), if read_back { Found::ReadBack } else { Found::Fresh })
    }

    fn place(&mut self, entry: Entry) -> u32 {
        let place = (entry.key, entry.start_ms);
        let at = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() as u32 - 1
        });
        self.entries[at as usize] = Some(entry);
        self.index.insert(place, at);
        at
    }

    fn held(&mut self, entry: u32) -> &mut Entry {
        self.entries[entry as usize].as_mut().expect("a judged or flushed entry stays until it is folded or settled")
    }

    /// `record`: the first one from `vouched` on that belongs to the part.
    pub fn install(&mut self, entry: u32, part: Option<Part>, vouched: Offset, record: Offset) {
        let held = self.held(entry);
        debug_assert_eq!(held.part.revision, 0, "read back before anything was folded");
        if let Some(part) = part {
            held.durability.read_back(part.next, vouched, record);
            let others = part.others.len();
            held.part = part;
            self.others += others;
        }
    }

    /// The part, opened for the record; false where it already holds it.
    #[inline]
    pub fn open(&mut self, entry: u32, record: Offset, now: u64) -> (bool, &mut Part) {
        let held = self.held(entry);
        if held.record != record {
            if !held.part.begin(record) {
                return (false, &mut held.part);
            }
            held.record = record;
            held.touched_at = now;
            held.durability.changed(record);
        }
        (true, &mut held.part)
    }

    pub fn part(&mut self, entry: u32) -> &mut Part {
        &mut self.held(entry).part
    }

    pub fn durability(&mut self, entry: u32) -> &mut Durability {
        &mut self.held(entry).durability
    }

    /// Hands parts whose write is due to `write`, `limit` of them at most, and marks them as on
    /// their way. Of first writes those go first whose records have waited longest: however little the store takes at a
    /// time, commits can follow.
    pub fn issue(
        &mut self,
        pass: Pass,
        now: u64,
        lag: u64,
        limit: &mut usize,
        mut write: impl FnMut(u32, u32, i64, &Part),
    ) {
        let (count, turn) = (self.entries.len(), self.turn);
        match pass {
            Pass::Second => self.overdue = false,
            Pass::Overdue if !self.overdue => return,
            Pass::Overdue | Pass::First => {}
        }
        let up_to = if pass == Pass::First { self.oldest(*limit, now, lag) } else { None };
        for step in 0..count {
            if *limit == 0 {
                return;
            }
            let at = (turn + step) % count;
            let Some(entry) = &mut self.entries[at] else { continue };
            self.overdue |= pass == Pass::Second && entry.durability.overdue(now, lag);
            let is_young = up_to.is_some() && entry.durability.waits_since() > up_to;
            if !is_young && pass.due(&entry.durability, now, lag) {
                entry.durability.issue();
                // A part with many metrics is as much work as many parts.
                *limit = limit.saturating_sub(1 + entry.part.others.len());
                write(at as u32, entry.key, entry.start_ms, &entry.part);
                self.turn = if pass == Pass::First { (at + 1) % count } else { self.turn };
            }
        }
    }

    /// Where more first writes are due than may go: up to which record those reach that have waited longest.
    fn oldest(&self, limit: usize, now: u64, lag: u64) -> Option<Offset> {
        let due = self.entries.iter().flatten().filter(|entry| Pass::First.due(&entry.durability, now, lag));
        let mut waiting: Vec<Option<Offset>> = due.map(|entry| entry.durability.waits_since()).collect();
        if limit == 0 || waiting.len() <= limit {
            return None;
        }
        *waiting.select_nth_unstable(limit - 1).1
    }

    /// Writes on their way will not be heard of again.
    pub fn abandon(&mut self) {
        self.entries.iter_mut().flatten().for_each(|entry| entry.durability.failed());
    }

    pub fn is_written(&self) -> bool {
        self.entries.iter().flatten().all(|entry| entry.durability.is_written())
    }

    pub fn holds(&self) -> Option<Offset> {
        self.entries.iter().flatten().filter_map(|entry| entry.durability.holds()).min()
    }

    /// Forgets parts that are durable; tells each with its key.
    pub fn evict(
        &mut self,
        (committed, position): (Offset, Offset),
        leaving: Leaving,
        mut gone: impl FnMut(u32, &Part),
    ) -> usize {
        let mut evicted = 0;
        let leaves = |entry: &Entry| match leaving {
            Leaving::Committed { untouched_since } => {
                let cold = entry.touched_at == u64::MAX || entry.touched_at <= untouched_since;
                entry.part.next <= committed && cold
            }
            Leaving::Ahead => entry.part.next > position,
        };
        for (at, place) in self.entries.iter_mut().enumerate() {
            let taken = place.take_if(|entry| entry.durability.settled() && leaves(entry));
            if let Some(entry) = taken {
                self.index.remove(&(entry.key, entry.start_ms));
                self.free.push(at as u32);
                self.others -= entry.part.others.len();
                gone(entry.key, &entry.part);
                self.evicted_to_ms = self.evicted_to_ms.max(Some(entry.start_ms));
                evicted += 1;
            }
        }
        evicted
    }
}
