//! The keys of a view that parts in memory are of, each with a number. A batch brings its own
//! list of keys, mostly that of the batch before; its readings find the numbers through a map that lasts as long.

use std::collections::HashMap;

use ahash::RandomState;

use crate::keys::{Key, KeyList};

/// The batch's key has no number yet.
const UNKNOWN: u32 = u32::MAX;

struct Held {
    key: Key,
    /// Parts that are of it.
    parts: u32,
}

#[derive(Default)]
pub struct KeyBook {
    /// Its hash has a secret, drawn by each process: else keys from outside could be chosen to collide. (Nothing depends on the
    /// order of its entries.)
    numbers: HashMap<Key, u32, RandomState>,
    held: Vec<Option<Held>>,
    free: Vec<u32>,
    /// Bytes of the keys' texts.
    text_bytes: usize,
    /// The batch's keys, and the number of each. Mostly the same list as the last time, or longer.
    batch: KeyList,
    map: Vec<u32>,
}

impl KeyBook {
    /// A batch with these keys comes next.
    pub fn open(&mut self, keys: &KeyList) {
        let agrees = self.batch.agrees(keys);
        if !agrees {
            self.map.clear();
        }
        // (Batches that threads made side by side may come with the longer list first.)
        if !agrees || keys.len() > self.batch.len() {
            self.batch = keys.clone();
            self.map.resize(keys.len(), UNKNOWN);
        }
    }

    /// The number of one of the batch's keys.
    #[inline]
    pub fn number(&mut self, of: u32) -> u32 {
        match self.map[of as usize] {
            UNKNOWN => self.look_up(of),
            number => number,
        }
    }

    fn look_up(&mut self, of: u32) -> u32 {
        let known = self.numbers.get(self.batch.get(of)).copied();
        let number = known.unwrap_or_else(|| self.add(self.batch.get(of).clone()));
        self.map[of as usize] = number;
        number
    }

    fn add(&mut self, key: Key) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.held.push(None);
            self.held.len() as u32 - 1
        });
        self.text_bytes += bytes(&key);
        self.held[number as usize] = Some(Held { key: key.clone(), parts: 0 });
        self.numbers.insert(key, number);
        number
    }

    pub fn key(&self, number: u32) -> &Key {
        &self.held[number as usize].as_ref().expect("a key stays while a part is of it").key
    }

    /// One more part is of this key.
    pub fn hold(&mut self, number: u32) {
        if let Some(held) = &mut self.held[number as usize] {
            held.parts += 1;
        }
    }

    /// One part less: a key without parts is forgotten.
    pub fn release(&mut self, number: u32) {
        let Some(held) = &mut self.held[number as usize] else { return };
        held.parts -= 1;
        if held.parts == 0 {
            self.numbers.remove(&held.key);
            self.text_bytes -= bytes(&held.key);
            self.held[number as usize] = None;
            self.free.push(number);
            // The map may name it.
            self.batch = KeyList::default();
        }
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        self.text_bytes + self.numbers.len() * (std::mem::size_of::<(Key, u32)>() + std::mem::size_of::<Held>())
    }
}

fn bytes(key: &Key) -> usize {
    key.text.len() + key.tenant.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Field, Grouping, KeyColumn};
    use crate::reading::{Columns, TextColumn};

    fn keys(texts: &[&str]) -> KeyList {
        KeyList::new(texts.iter().map(|text| Key { tenant: "".into(), text: (*text).into() }).collect())
    }

    /// However many keys there are, and whatever has been looked up before.
    #[test]
    fn a_key_has_one_number_in_every_batch() {
        let mut book = KeyBook::default();
        let text = |key: u32| format!("{:x}", u64::from(key) * 0x9e37_79b9);
        let all: Vec<String> = (0..3_000).map(text).collect();
        let mut known: HashMap<&str, u32> = HashMap::new();
        for batch in [&all[..10], &all[5..2_000], &all[..], &all[1_000..1_010], &all[..]] {
            let texts: Vec<&str> = batch.iter().map(String::as_str).collect();
            book.open(&keys(&texts));
            for (of, text) in texts.iter().enumerate() {
                let number = book.number(of as u32);
                if *known.entry(*text).or_insert(number) != number {
                    panic!("{text} has two numbers");
                }
                assert_eq!(&*book.key(number).text, *text);
            }
        }
        assert_eq!(known.values().collect::<std::collections::BTreeSet<_>>().len(), 3_000);
    }

    /// Lists of one origin, which may come in any order; and keys that leave between them.
    #[test]
    fn lists_that_agree_share_their_numbers() {
        let grouping = Grouping::new(vec![Field::Label(Some(0))], false);
        let column = |numbers: std::ops::Range<u32>| {
            let texts: Vec<std::sync::Arc<str>> = numbers.map(|number| number.to_string().into()).collect();
            let label = TextColumn { of: (0..texts.len() as u32).map(Some).collect(), texts };
            let columns = Columns { index: vec![0; label.of.len()], labels: vec![label], ..Columns::default() };
            grouping.keys(&columns, &[])
        };
        let columns: Vec<KeyColumn> = [0..100, 50..110, 0..20, 100..120, 5..7].map(column).into();
        assert!(columns.iter().all(|column| column.keys.agrees(&columns[0].keys)));
        let mut book = KeyBook::default();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        for step in [1, 0, 3, 2, 4, 0, 3, 1] {
            let KeyColumn { of, keys } = &columns[step];
            book.open(keys);
            for of in of {
                let number = book.number(*of);
                let text = keys.get(*of).text.to_string();
                assert_eq!(*book.key(number).text, *text);
                let known = *numbers.entry(text).or_insert_with(|| {
                    book.hold(number);
                    number
                });
                assert_eq!(known, number);
            }
            // One leaves: whatever comes next may have its number.
            numbers.remove("101").into_iter().for_each(|number| book.release(number));
        }
    }

    #[test]
    fn a_key_keeps_its_number_while_a_part_is_of_it() {
        let mut book = KeyBook::default();
        book.open(&keys(&["a", "b"]));
        let (a, b) = (book.number(0), book.number(1));
        [a, b, b].into_iter().for_each(|number| book.hold(number));
        book.open(&keys(&["b", "c"]));
        assert_eq!(book.number(0), b);
        book.release(b);
        assert_eq!(&*book.key(b).text, "b");
        book.release(b);
        book.release(a);
        assert_eq!(book.numbers.len(), 0);
        assert_eq!(book.text_bytes, 0);
        // The numbers are used again, for other keys.
        book.open(&keys(&["c", "b"]));
        let (c, b) = (book.number(0), book.number(1));
        assert_ne!(c, b);
        assert_eq!((&*book.key(c).text, &*book.key(b).text), ("c", "b"));
        assert_eq!(book.held.len(), 2);
    }
}
