//! The keys that batches had, with their numbers, so that the next batch neither makes them again nor has them looked
//! up by what folds it: two hundred tenants in eighteen regions would else be thousands of new keys in each batch. The
//! first fields of a key are a key, too: a field is added by looking up a pair of numbers.
//!
//! What it holds is bounded. When it is full it is forgotten; where it has been of no use until then (a million
//! stations), it rests for a while, longer each time.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use rustc_hash::FxHashMap;

use super::{Key, KeyList, OUTSIDE, UNKEYED, escaped, join};
use crate::reading::TextColumn;

/// Bytes that a lexicon may hold, about, and what one batch adds.
const MOST_BYTES: usize = 2 << 20;
/// Bytes of a text or a key in it, beside what is written there.
const ENTRY_BYTES: usize = 96;
/// So many readings for each entry whose key a batch before had, and it has been of use.
const OF_USE: u64 = 2;
/// Readings without it: the first time, and at most.
const FIRST_REST: u64 = 1 << 14;
const LONGEST_REST: u64 = 1 << 24;

#[derive(Debug)]
pub struct Lexicon {
    /// The numbers of the tenants' texts, then of those of each field, where it is a label. Their hash has a secret:
    /// else texts from outside could be chosen to collide.
    texts: Vec<HashMap<Arc<str>, u32, RandomState>>,
    /// Of each field: the numbers of the keys that it makes out of those before it.
    pairs: Vec<Pairs>,
    /// The tenants alone, then the keys with one field more each.
    keys: Vec<KeyList>,
    /// Further batches will come.
    lasts: bool,
    /// Texts and keys that are held, and the bytes of their texts.
    entries: usize,
    bytes: usize,
    /// Keys that there were before this batch, and readings since it was empty that have had such a one.
    before: u32,
    hits: u64,
    /// Readings to come that do without it, and how many the last rest took.
    resting: u64,
    rest: u64,
}

impl Lexicon {
    /// Of keys with so many fields.
    pub fn new(fields: usize) -> Lexicon {
        Lexicon {
            texts: vec![HashMap::default(); fields + 1],
            pairs: (0..fields).map(|_| Pairs::default()).collect(),
            keys: (0..=fields).map(|_| KeyList::default()).collect(),
            lasts: true,
            entries: 0,
            bytes: 0,
            before: 0,
            hits: 0,
            resting: 0,
            rest: 0,
        }
    }

    /// For one batch.
    pub fn once(fields: usize) -> Lexicon {
        Lexicon { lasts: false, ..Lexicon::new(fields) }
    }

    /// Whether the batch of so many readings that comes next does without it.
    pub fn rests(&mut self, readings: usize) -> bool {
        let rests = self.resting > 0;
        self.resting = self.resting.saturating_sub(readings as u64);
        rests
    }

    /// The keys of a batch's tenants.
    pub fn tenants(&mut self, column: Option<&TextColumn>, rows: usize) -> Vec<u32> {
        // (A stream has tenants in all of its batches, or in none.)
        let Some(TextColumn { of, texts }) = column else {
            if self.keys[0].is_empty() {
                self.add(0, Key { tenant: Arc::from(""), text: Arc::from("") });
            }
            return vec![0; rows];
        };
        let (numbers, _) = self.numbers(0, texts);
        for (tenant, number) in texts.iter().zip(&numbers) {
            if *number as usize == self.keys[0].len() {
                self.add(0, Key { tenant: tenant.clone(), text: Arc::from("") });
            }
        }
        of.iter().map(|tenant| tenant.map_or(UNKEYED, |tenant| numbers[tenant as usize])).collect()
    }

    /// The numbers of a batch's distinct texts, and how many numbers there are; `of`: 0 for tenants, or 1 + the field.
    pub fn numbers(&mut self, of: usize, texts: &[Arc<str>]) -> (Vec<u32>, usize) {
        if !self.lasts {
            return ((0..texts.len() as u32).collect(), texts.len());
        }
        let known = &mut self.texts[of];
        let mut numbers = Vec::with_capacity(texts.len());
        for text in texts {
            let number = known.get(text).copied().unwrap_or_else(|| {
                let number = known.len() as u32;
                known.insert(text.clone(), number);
                self.entries += 1;
                self.bytes += text.len();
                number
            });
            numbers.push(number);
        }
        (numbers, known.len())
    }

    /// Adds a field to the key of each row: `part` is its value there, one of so many `values`, `text` the value's text
    /// (by row and value). What one field misses the others cannot mend.
    pub fn append<'t>(
        &mut self,
        field: usize,
        of: &mut [u32],
        values: usize,
        part: impl Fn(usize) -> u32,
        text: impl Fn(usize, u32) -> &'t Arc<str>,
    ) {
        let mut pairs = std::mem::take(&mut self.pairs[field]);
        // (A table is not worth while for one batch, where it is much larger than that.)
        let most = if self.lasts { Pairs::MOST } else { Pairs::MOST_ONCE };
        pairs.make_room(self.keys[field].len(), values, most);
        // Neighbouring readings often have the same key.
        let mut last = ((UNKEYED, UNKEYED), UNKEYED);
        for (row, of) in of.iter_mut().enumerate() {
            let pair = (*of, part(row));
            if pair == last.0 {
                *of = last.1;
                continue;
            }
            *of = match pair {
                (OUTSIDE | UNKEYED, _) => pair.0,
                (_, OUTSIDE | UNKEYED) => pair.1,
                (before, value) => pairs.number(before, value, || {
                    let Key { tenant, text: start } = self.keys[field].get(before);
                    let text = text(row, value);
                    let text = if field == 0 { escaped(text) } else { join(start, text) };
                    let key = Key { tenant: tenant.clone(), text };
                    self.add(field + 1, key)
                }),
            };
            last = (pair, *of);
        }
        self.pairs[field] = pairs;
    }

    fn add(&mut self, fields: usize, key: Key) -> u32 {
        self.entries += 1;
        self.bytes += key.text.len();
        self.keys[fields].push(key)
    }

    /// The keys of a batch whose readings have these, at its end.
    pub fn end(&mut self, of: &[u32]) -> KeyList {
        let list = self.keys.last().cloned().unwrap_or_default();
        self.hits += of.iter().filter(|of| **of < self.before).count() as u64;
        self.before = list.len() as u32;
        if self.entries * ENTRY_BYTES + self.bytes > MOST_BYTES {
            let was_of_use = self.hits >= OF_USE * self.entries as u64;
            let rest = if was_of_use { 0 } else { (self.rest * 2).clamp(FIRST_REST, LONGEST_REST) };
            *self = Lexicon { rest, resting: rest, ..Lexicon::new(self.pairs.len()) };
        }
        list
    }
}

/// The numbers of pairs that have occurred.
#[derive(Debug)]
enum Pairs {
    /// A place for each pair that there may be, where they are not many: a row of `values` for each key before.
    Dense {
        values: usize,
        numbers: Vec<u32>,
    },
    Sparse(FxHashMap<(u32, u32), u32>),
}

impl Default for Pairs {
    fn default() -> Pairs {
        Pairs::Dense { values: 0, numbers: Vec::new() }
    }
}

impl Pairs {
    /// Places in a table, at most.
    const MOST: usize = 1 << 16;
    const MOST_ONCE: usize = 1 << 14;

    /// For pairs of so many keys and so many values.
    fn make_room(&mut self, keys: usize, values: usize, most: usize) {
        let Pairs::Dense { values: width, numbers } = self else { return };
        if values <= *width && keys * *width <= numbers.len() {
            return;
        }
        // (What has grown once grows again.)
        let wider = if *width == 0 || values <= *width { values.max(*width) } else { values.next_power_of_two() };
        let rows = if numbers.is_empty() { Some(keys) } else { keys.checked_next_power_of_two() };
        let known = numbers.chunks((*width).max(1)).enumerate();
        match rows.and_then(|rows| rows.checked_mul(wider)) {
            Some(places) if places <= most => {
                let mut wide = vec![UNKEYED; places];
                known.for_each(|(row, known)| wide[row * wider..][..known.len()].copy_from_slice(known));
                *self = Pairs::Dense { values: wider, numbers: wide };
            }
            _ => {
                let pairs = known.flat_map(|(row, known)| {
                    let numbered = known.iter().enumerate().filter(|(_, number)| **number != UNKEYED);
                    numbered.map(move |(value, number)| ((row as u32, value as u32), *number))
                });
                *self = Pairs::Sparse(pairs.collect());
            }
        }
    }

    #[inline]
    fn number(&mut self, before: u32, value: u32, new: impl FnOnce() -> u32) -> u32 {
        match self {
            Pairs::Sparse(known) => *known.entry((before, value)).or_insert_with(new),
            Pairs::Dense { values, numbers } => {
                let number = &mut numbers[before as usize * *values + value as usize];
                if *number == UNKEYED {
                    *number = new();
                }
                *number
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::texts;
    use super::super::{Field, Grouping, KeyColumn};
    use super::*;
    use crate::locate::RegionIdx;
    use crate::reading::Columns;

    fn shown(column: &KeyColumn) -> Vec<Option<Key>> {
        column.of.iter().map(|of| (*of < UNKEYED).then(|| column.keys.get(*of).clone())).collect()
    }

    /// A batch of stations, each a label.
    fn stations(numbers: std::ops::Range<usize>) -> Columns {
        let texts: Vec<Arc<str>> = numbers.map(|number| number.to_string().into()).collect();
        let of = (0..texts.len() as u32).map(Some).collect();
        Columns { index: vec![0; texts.len()], labels: vec![TextColumn { of, texts }], ..Columns::default() }
    }

    /// However many keys and values there are, and however they become more.
    #[test]
    fn pairs_keep_their_numbers() {
        let (mut pairs, mut known) = (Pairs::default(), HashMap::new());
        let steps = [(1, 3), (2, 3), (200, 3), (200, 4), (201, 100), (600, 100), (700, 5_000), (u32::MAX, u32::MAX)];
        for (keys, values) in steps {
            pairs.make_room(keys as usize, values as usize, Pairs::MOST);
            assert_eq!(matches!(pairs, Pairs::Dense { .. }), keys < 600, "{keys} × {values}");
            for (before, value) in [(0, 0), (0, values - 1), (keys - 1, 0), (keys - 1, values - 1), (0, 2), (0, 0)] {
                let next = known.len() as u32;
                let number = pairs.number(before, value, || next);
                assert_eq!(*known.entry((before, value)).or_insert(number), number);
            }
            let numbers: std::collections::BTreeSet<&u32> = known.values().collect();
            assert_eq!(numbers.len(), known.len());
        }
    }

    /// A million stations would fill it again and again, for nothing, and so do those of batches that share none.
    #[test]
    fn what_is_of_no_use_rests_longer_each_time_and_is_bounded() {
        let grouping = Grouping::new(vec![Field::Label(Some(0))], false);
        let (mut rests, mut most) = (vec![0], 0);
        for batch in 0..300 {
            let column = grouping.keys(&stations(batch * 4_000..(batch + 1) * 4_000), &[]);
            assert_eq!(shown(&column).iter().flatten().count(), 4_000);
            most = most.max(column.keys.len());
            let lexicon = grouping.lexicon.lock().unwrap();
            if lexicon.rest != rests[rests.len() - 1] {
                rests.push(lexicon.rest);
            }
        }
        assert_eq!(rests, [0, 1, 2, 4, 8, 16, 32, 64].map(|times| times * FIRST_REST));
        assert!((8_000..MOST_BYTES / ENTRY_BYTES / 2 + 4_000).contains(&most), "{most}");
    }

    #[test]
    fn what_is_of_use_is_forgotten_and_does_not_rest() {
        let grouping = Grouping::new(vec![Field::Label(Some(0))], false);
        for batch in 0..100 {
            for _ in 0..2 * OF_USE + 2 {
                grouping.keys(&stations(batch * 1_000..(batch + 1) * 1_000), &[]);
            }
        }
        let lexicon = grouping.lexicon.lock().unwrap();
        assert_eq!((lexicon.rest, lexicon.entries < 100_000), (0, true));
    }

    #[test]
    fn a_batch_has_the_list_of_the_one_before_and_what_is_new() {
        let grouping = Grouping::new(vec![Field::Label(Some(0))], false);
        let lists = [0..100, 50..110, 0..20, 100..400].map(|numbers| grouping.keys(&stations(numbers), &[]).keys);
        assert!(lists.iter().all(|list| list.is_of(&lists[0].origin())));
        assert_eq!(lists.each_ref().map(KeyList::len), [100, 110, 110, 400]);
    }

    /// Numbers of its tenant, its label and its region.
    type Row = [Option<u8>; 3];

    /// One after another, and each for itself.
    fn same_keys(rows: &[Vec<Row>], tenants: bool) -> Result<(), TestCaseError> {
        const TEXTS: [&str; 6] = ["a", "b", "a/b", "50%", "", "long enough for everybody"];
        let codes: Arc<[Arc<str>]> = ["11", "53", "9/3"].map(Arc::from).into();
        let fields = || vec![Field::Label(Some(0)), Field::Region { set: 0, codes: codes.clone() }];
        let lasting = Grouping::new(fields(), tenants);
        let mut lists: Vec<KeyList> = Vec::new();
        for rows in rows {
            let column = |of: &dyn Fn(&Row) -> Option<u8>| {
                texts(&rows.iter().map(|row| of(row).map(|number| TEXTS[usize::from(number)])).collect::<Vec<_>>())
            };
            let columns = Columns {
                tenants: tenants.then(|| column(&|row| row[0])),
                labels: vec![column(&|row| row[1])],
                index: vec![0; rows.len()],
                ..Columns::default()
            };
            let region = |of: Option<u8>| of.and_then(|of| RegionIdx::from_index(u32::from(of % 3)));
            let regions = [rows.iter().map(|row| region(row[2])).collect::<Vec<_>>()];
            let (ours, once) =
                (lasting.keys(&columns, &regions), Grouping::new(fields(), tenants).keys(&columns, &regions));
            prop_assert_eq!(shown(&ours), shown(&once));
            for earlier in lists.iter().filter(|list| list.is_of(&ours.keys.origin())) {
                for number in 0..earlier.len().min(ours.keys.len()) as u32 {
                    prop_assert_eq!(earlier.get(number), ours.keys.get(number));
                }
            }
            let all: std::collections::BTreeSet<&Key> =
                (0..ours.keys.len() as u32).map(|of| ours.keys.get(of)).collect();
            prop_assert_eq!(all.len(), ours.keys.len());
            lists.push(ours.keys);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn batches_before_change_no_key(
            rows in prop::collection::vec(prop::collection::vec(prop::array::uniform3(prop::option::of(0..6u8)), 0..12), 1..8),
            tenants: bool,
        ) {
            same_keys(&rows, tenants)?;
        }
    }
}
