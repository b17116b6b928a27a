//! When a write may be believed (invariant I4). Pure.
//!
//! `commitlog_sync: periodic` acknowledges up to a sync period before the data is on disk, so one
//! acknowledgement is not durable against a power cut. A record counts as *proven* when it lay in
//! two acknowledged writes, the second issued between one and two `commit_lag` after the
//! acknowledgement of the first. With a lag of zero (embedded store, `batch` sync) one write
//! proves.
//!
//! ```text
//!   changed          issue            acked             acked, 1–2 lags later
//!  ─────────► fresh ───────► flying ─────────► once ──────────────────────────► proven
//!               ▲              │ failed, or acked less than a lag after the first
//!               └──────────────┘
//! ```

use crate::reading::Offset;

/// The moments of one write of a part together with its row, on a monotonic clock in ms: before
/// its first statement, and after its last acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteTimes {
    pub issued: u64,
    pub acked: u64,
}

/// A first acknowledged write that waits for its second.
#[derive(Clone, Copy, Debug)]
struct Once {
    low: Offset,
    times: WriteTimes,
}

impl Once {
    /// The second is issued no sooner: a lag after the first was acknowledged.
    fn second_from(&self, lag: u64) -> u64 {
        self.times.acked + lag
    }

    /// The second is acknowledged no later: two lags after the first was issued.
    fn second_until(&self, lag: u64) -> u64 {
        self.times.issued + 2 * lag
    }
}

/// How far the records in one written thing are proven: each field holds the lowest record that
/// has got no further.
#[derive(Clone, Debug, Default)]
pub struct Durability {
    /// The state differs from what the last write carried, or has been read back and not written.
    dirty: bool,
    fresh: Option<Offset>,
    flying: Option<Option<Offset>>,
    once: Option<Once>,
    /// Read back at or below a committed position: that commit vouches for it, one write is enough. The record that
    /// wanted it.
    vouched: Option<Offset>,
}

impl Durability {
    /// A record changed the state.
    pub fn changed(&mut self, record: Offset) {
        self.dirty = true;
        self.fresh = Some(self.fresh.map_or(record, |low| low.min(record)));
    }

    /// The state was read back from the store: a quorum read may have seen what only one replica
    /// holds, so it must be written back before anything relies on it. `vouched` is the position
    /// up to which a commit already vouches for the store, and `record` the first one from there on that belongs to the
    /// part: what lies between changed nothing, and may be committed.
    pub fn read_back(&mut self, next: Offset, vouched: Offset, record: Offset) {
        debug_assert!(record >= vouched, "a record below a committed position is not folded again");
        if next > vouched {
            self.changed(record);
        } else {
            self.dirty = true;
            self.vouched = Some(record);
        }
    }

    /// Whether a write should be issued now.
    pub fn due(&self, now: u64, lag: u64) -> bool {
        let second = self.once.is_some_and(|once| now >= once.second_from(lag));
        self.flying.is_none() && (self.dirty || second)
    }

    /// Whether a write that is issued now can be the second: it has a deadline, so it goes before first ones.
    pub fn second_due(&self, now: u64, lag: u64) -> bool {
        let in_time = |once: Once| now >= once.second_from(lag) && now <= once.second_until(lag);
        self.flying.is_none() && self.once.is_some_and(in_time)
    }

    /// Whether the second write has come too late: the next one counts as a first.
    pub fn overdue(&self, now: u64, lag: u64) -> bool {
        let too_late = |once: Once| now >= once.second_from(lag) && now > once.second_until(lag);
        self.flying.is_none() && self.once.is_some_and(too_late)
    }

    /// A write of the present state is on its way.
    pub fn issue(&mut self) {
        debug_assert!(self.flying.is_none(), "one write in flight at a time");
        self.flying = Some(self.fresh.take());
        self.dirty = false;
    }

    pub fn in_flight(&self) -> bool {
        self.flying.is_some()
    }

    /// The outcome is unknown: the write must be repeated.
    pub fn failed(&mut self) {
        if let Some(low) = self.flying.take() {
            self.fresh = least(self.fresh, low);
            self.dirty = true;
        }
    }

    /// The part and its row are acknowledged.
    pub fn acked(&mut self, at: WriteTimes, lag: u64) {
        let Some(low) = self.flying.take() else { return };
        self.vouched = None;
        if lag == 0 {
            return;
        }
        let first = |low: Option<Offset>| low.map(|low| Once { low, times: at });
        match self.once {
            None => self.once = first(low),
            Some(once) if at.issued < once.second_from(lag) => self.fresh = least(self.fresh, low),
            Some(once) if at.acked <= once.second_until(lag) => self.once = first(low),
            // Too late to be the second: it counts as a first for all that it carries.
            Some(once) => self.once = first(least(low, Some(once.low))),
        }
    }

    /// The lowest record that is not proven: a commit must not pass it.
    pub fn holds(&self) -> Option<Offset> {
        let once = self.once.map(|once| once.low);
        [self.fresh, self.flying.flatten(), once, self.vouched].into_iter().flatten().min()
    }

    /// The lowest record that a first write would bring closer to being proven.
    pub fn waits_since(&self) -> Option<Offset> {
        self.fresh.or(self.vouched).or(self.once.map(|once| once.low))
    }

    /// The last write carried the present state, and has been acknowledged.
    pub fn is_written(&self) -> bool {
        !self.dirty && self.flying.is_none()
    }

    /// Nothing waits: the store has it all, for good.
    pub fn settled(&self) -> bool {
        self.is_written() && self.holds().is_none()
    }
}

fn least(a: Option<Offset>, b: Option<Offset>) -> Option<Offset> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: u64 = 100;

    fn write(durability: &mut Durability, issued: u64, acked: u64) {
        durability.issue();
        durability.acked(WriteTimes { issued, acked }, LAG);
    }

    #[test]
    fn one_write_proves_without_lag() {
        let mut durability = Durability::default();
        durability.changed(Offset(5));
        durability.issue();
        assert_eq!(durability.holds(), Some(Offset(5)));
        durability.acked(WriteTimes { issued: 0, acked: 2 }, 0);
        assert!(durability.settled());
    }

    #[test]
    fn with_lag_the_second_write_must_come_one_to_two_lags_after_the_first() {
        let mut durability = Durability::default();
        durability.changed(Offset(5));
        write(&mut durability, 0, 10);
        assert!(!durability.due(109, LAG) && durability.due(110, LAG));
        assert_eq!(durability.holds(), Some(Offset(5)));
        write(&mut durability, 110, 120);
        assert!(durability.settled());
    }

    #[test]
    fn a_write_too_late_counts_as_a_first() {
        let mut durability = Durability::default();
        durability.changed(Offset(5));
        write(&mut durability, 0, 10);
        write(&mut durability, 211, 211);
        assert_eq!(durability.holds(), Some(Offset(5)));
        write(&mut durability, 311, 320);
        assert!(durability.settled());
    }

    #[test]
    fn after_a_write_that_took_longer_than_two_lags_the_next_one_waits_for_a_lag_too() {
        let mut durability = Durability::default();
        durability.changed(Offset(5));
        write(&mut durability, 0, 250);
        assert!(!durability.overdue(349, LAG) && durability.overdue(350, LAG));
        assert!((0..1_000).all(|now| !durability.second_due(now, LAG)));
        write(&mut durability, 350, 360);
        assert!(!durability.overdue(460, LAG) && durability.second_due(460, LAG));
        write(&mut durability, 460, 470);
        assert!(durability.settled());
    }

    #[test]
    fn a_hot_part_proves_its_records_step_by_step() {
        let mut durability = Durability::default();
        let mut proven = Vec::new();
        for now in (0..1_000).step_by(10) {
            durability.changed(Offset(now as i64));
            write(&mut durability, now, now + 1);
            proven.push(durability.holds().unwrap().0);
        }
        // Never more than two lags and two flushes behind, and never a step back.
        assert!(proven.is_sorted());
        assert!(
            proven.iter().enumerate().all(|(step, low)| step as i64 * 10 - low <= 2 * LAG as i64 + 40),
            "{proven:?}"
        );
    }

    #[test]
    fn records_folded_while_the_write_flies_are_not_covered_by_it() {
        let mut durability = Durability::default();
        durability.changed(Offset(1));
        durability.issue();
        durability.changed(Offset(2));
        durability.acked(WriteTimes { issued: 0, acked: 1 }, 0);
        assert_eq!(durability.holds(), Some(Offset(2)));
        assert!(durability.due(1, 0));
    }

    #[test]
    fn a_failed_write_is_repeated() {
        let mut durability = Durability::default();
        durability.changed(Offset(1));
        durability.issue();
        durability.failed();
        assert!(durability.due(0, LAG));
        assert_eq!(durability.holds(), Some(Offset(1)));
    }

    #[test]
    fn what_a_commit_vouches_for_needs_one_write_and_what_lies_beyond_needs_two() {
        let mut below = Durability::default();
        below.read_back(Offset(10), Offset(10), Offset(12));
        assert_eq!(below.holds(), Some(Offset(12)));
        write(&mut below, 0, 1);
        assert!(below.settled());

        let mut beyond = Durability::default();
        beyond.read_back(Offset(14), Offset(10), Offset(12));
        write(&mut beyond, 0, 1);
        assert_eq!(beyond.holds(), Some(Offset(12)));
        write(&mut beyond, 101, 102);
        assert!(beyond.settled());
    }
}
