//! The keys of a view that parts in memory are of, each with a number. A batch brings its own
//! list of keys, mostly that of the batch before; its readings find the numbers through a map that lasts as long.

use std::collections::HashMap;

use ahash::RandomState;

use crate::keys::{Key, KeyList, Origin};

/// Nobody has asked yet for this key of the batch.
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
    /// The number of each of the batch's keys, and which list they are of: mostly that of the last time. A partition that
    /// comes to rest does not keep it alive.
    map: Vec<u32>,
    origin: Origin,
}

impl KeyBook {
    /// A batch with these keys comes next.
    pub fn open(&mut self, keys: &KeyList) {
        if !keys.is_of(&self.origin) {
            self.origin = keys.origin();
            self.map.clear();
        }
    }

    /// The number of one of the keys of the batch that has been opened.
    #[inline]
    pub fn number(&mut self, of: u32, keys: &KeyList) -> u32 {
        match self.map.get(of as usize) {
            Some(number) if *number != UNKNOWN => *number,
            _ => self.look_up(of, keys.get(of)),
        }
    }

    fn look_up(&mut self, of: u32, key: &Key) -> u32 {
        let number = self.numbers.get(key).copied().unwrap_or_else(|| self.add(key.clone()));
        let of = of as usize;
        if of >= self.map.len() {
            self.map.resize(of + 1, UNKNOWN);
        }
        self.map[of] = number;
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
            self.origin = Origin::default();
            self.map.clear();
        }
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let each = std::mem::size_of::<(Key, u32)>() + std::mem::size_of::<Held>();
        self.text_bytes + self.numbers.len() * each + self.map.len() * std::mem::size_of::<u32>()
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
        texts.iter().map(|text| Key { tenant: "".into(), text: (*text).into() }).collect()
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
            let list = keys(&texts);
            book.open(&list);
            for (of, text) in texts.iter().enumerate() {
                let number = book.number(of as u32, &list);
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
        assert!(columns.iter().all(|column| column.keys.is_of(&columns[0].keys.origin())));
        let mut book = KeyBook::default();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        for step in [1, 0, 3, 2, 4, 0, 3, 1] {
            let KeyColumn { of, keys } = &columns[step];
            book.open(keys);
            for of in of {
                let number = book.number(*of, keys);
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
        let list = keys(&["a", "b"]);
        book.open(&list);
        let (a, b) = (book.number(0, &list), book.number(1, &list));
        [a, b, b].into_iter().for_each(|number| book.hold(number));
        let list = keys(&["b", "c"]);
        book.open(&list);
        assert_eq!(book.number(0, &list), b);
        book.release(b);
        assert_eq!(&*book.key(b).text, "b");
        book.release(b);
        book.release(a);
        assert_eq!(book.numbers.len(), 0);
        assert_eq!(book.text_bytes, 0);
        // The numbers are used again, for other keys.
        let list = keys(&["c", "b"]);
        book.open(&list);
        let (c, b) = (book.number(0, &list), book.number(1, &list));
        assert_ne!(c, b);
        assert_eq!((&*book.key(c).text, &*book.key(b).text), ("c", "b"));
        assert_eq!(book.held.len(), 2);
    }
}
