//! How many parts go into one flush: as many as the store takes within a fraction of the commit lag. Pure.
//!
//! A second write counts only within two lags of the first (`durability`). With flushes of a third of a lag it is just
//! in time: it waits for one flush, and takes one. A quarter leaves room for what the store does beside it. What a flush
//! takes without any part (some round trips) is no reason to make it smaller, so there is a floor; it is low, because
//! with flushes of half a lag no second write would ever be in time, and nothing be committed.

/// Bounds the memory and the duration of a flush.
const MOST: usize = 20_000;
const LEAST: usize = 32;
/// Until it is known what the store takes: it doubles with each flush that was quick, and a first flush that takes longer
/// than two lags is in vain.
const FIRST: usize = 128;
/// Below this, batches are folded in steps.
const TIGHT: usize = 1_000;
/// Without a lag, a flush should not take longer than this.
const LONG_MS: u64 = 5_000;

#[derive(Debug)]
pub struct Sizing {
    limit: usize,
    /// Of the flush that is under way.
    spent: usize,
    /// The last flush left something for the next one. Until there has been one, it is taken for cut short.
    cut: bool,
}

impl Default for Sizing {
    fn default() -> Sizing {
        Sizing { limit: FIRST, spent: 0, cut: true }
    }
}

impl Sizing {
    /// Parts of the next flush, at most: second writes, and first ones. One with many metrics counts as several. What
    /// second writes leave, first ones may use.
    pub fn shares(&self) -> (usize, usize) {
        let firsts = self.limit / 4;
        (self.limit - firsts, firsts)
    }

    /// The store takes so little at a time that much may have to be written before anything can be committed.
    pub fn is_tight(&self) -> bool {
        self.limit < TIGHT && self.cut
    }

    /// The last flush left something for the next one.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// A flush begins that has this much left.
    pub fn begun(&mut self, left: usize) {
        self.spent = self.limit - left;
        // One without parts says nothing.
        if self.spent > 0 {
            self.cut = left == 0;
        }
    }

    /// It took so long, ms.
    pub fn ended(&mut self, took: u64, lag: u64) {
        let long = if lag == 0 { LONG_MS } else { lag / 4 };
        if took > long {
            // A small flush that was slow says nothing of larger ones.
            if self.spent > LEAST {
                self.limit = (self.spent / 2).max(LEAST);
            }
        } else if took < long / 2 && self.spent > self.limit / 2 {
            self.limit = (self.limit * 2).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: u64 = 2_000;

    /// Flushes of a store that needs `fixed` ms for each and takes `rate` parts a second, with `waiting` parts to be written;
    /// the longest of the last ten, and the limit after them.
    fn flushes(sizing: &mut Sizing, fixed: u64, rate: usize, waiting: usize) -> (u64, usize) {
        let mut longest = 0;
        for number in 0..50 {
            let parts = waiting.min(sizing.limit);
            sizing.begun(sizing.limit - parts);
            let took = fixed + (parts * 1_000 / rate) as u64;
            sizing.ended(took, LAG);
            longest = if number >= 40 { longest.max(took) } else { longest };
        }
        (longest, sizing.limit)
    }

    #[test]
    fn a_flush_takes_no_more_than_a_quarter_of_the_lag_and_not_much_less() {
        for rate in [100, 1_000, 5_000, 20_000] {
            let (took, limit) = flushes(&mut Sizing::default(), 50, rate, 1_000_000);
            assert!(
                took <= LAG / 4 && limit * 8_000 >= (LAG as usize / 4 - 50) * rate,
                "{rate}: {took} ms, {limit} parts"
            );
        }
    }

    #[test]
    fn small_flushes_do_not_raise_the_limit() {
        let mut sizing = Sizing::default();
        assert_eq!(flushes(&mut sizing, 5, 10_000, FIRST / 2).1, FIRST);
    }

    #[test]
    fn a_store_is_tight_while_it_takes_little_and_more_waits() {
        let tight = |rate, waiting| {
            let mut sizing = Sizing::default();
            flushes(&mut sizing, 5, rate, waiting);
            sizing.is_tight()
        };
        assert!(Sizing::default().is_tight(), "nothing is known yet");
        assert!(tight(100, 1_000_000));
        assert!(!tight(100, 10) && !tight(20_000, 1_000_000) && !tight(20_000, 10));
    }

    #[test]
    fn what_is_slow_whatever_its_size_does_not_shrink_to_nothing() {
        let (_, limit) = flushes(&mut Sizing::default(), 600, 10_000, 1_000_000);
        assert!(limit >= LEAST, "{limit}");
        let mut sizing = Sizing::default();
        assert_eq!(flushes(&mut sizing, 600, 10_000, 0).1, FIRST, "positions alone");
    }

    #[test]
    fn a_store_that_was_slow_for_a_while_is_used_in_full_again() {
        let mut sizing = Sizing::default();
        let (_, before) = flushes(&mut sizing, 50, 20_000, 1_000_000);
        flushes(&mut sizing, 1_000, 1_000, 1_000_000);
        assert!(flushes(&mut sizing, 50, 20_000, 1_000_000).1 * 2 >= before);
    }
}
