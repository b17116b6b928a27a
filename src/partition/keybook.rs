//! The keys of a view that parts in memory are of, each with a number. A batch brings its own
//! list of keys; its readings find the numbers through a map made once a batch.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use crate::keys::Key;

/// The batch's key has no number yet.
const UNKNOWN: u32 = u32::MAX;

/// Places for keys that have been looked up, at most.
const MOST_RECENT: usize = 1 << 16;

struct Held {
    key: Key,
    /// Parts that are of it.
    parts: u32,
}

#[derive(Default)]
pub struct KeyBook {
    /// A tree: keys from outside can be chosen to collide in a hash without a secret.
    numbers: BTreeMap<Key, u32>,
    /// The last key of each hash, so that most need not be looked up. (Those that collide do.) Some places for each key.
    recent: Vec<u32>,
    held: Vec<Option<Held>>,
    free: Vec<u32>,
    /// Bytes of the keys' texts.
    text_bytes: usize,
    /// The batch's keys, and the number of each. Mostly the same list as the last time.
    batch: Arc<[Key]>,
    map: Vec<u32>,
}

impl KeyBook {
    /// A batch with these keys comes next.
    pub fn open(&mut self, keys: &Arc<[Key]>) {
        if !Arc::ptr_eq(&self.batch, keys) {
            self.batch = keys.clone();
            self.map.clear();
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
        let batch = self.batch.clone();
        let key = &batch[of as usize];
        if self.recent.len() < MOST_RECENT.min(4 * (self.numbers.len() + 1)) {
            self.recent = vec![UNKNOWN; (8 * (self.numbers.len() + 1)).next_power_of_two().min(MOST_RECENT)];
        }
        let place = FxBuildHasher.hash_one(key) as usize & (self.recent.len() - 1);
        let recent = self.recent[place];
        let is_it = matches!(self.held.get(recent as usize), Some(Some(held)) if held.key == *key);
        let number = if is_it { recent } else { self.known_or_new(key) };
        (self.recent[place], self.map[of as usize]) = (number, number);
        number
    }

    fn known_or_new(&mut self, key: &Key) -> u32 {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.held.push(None);
            self.held.len() as u32 - 1
        });
        self.held[number as usize] = Some(Held { key: key.clone(), parts: 0 });
        self.numbers.insert(key.clone(), number);
        self.text_bytes += bytes(key);
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
            self.batch = Arc::from([]);
        }
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let recent = size_of_val(self.recent.as_slice());
        self.text_bytes
            + recent
            + self.numbers.len() * (std::mem::size_of::<(Key, u32)>() + std::mem::size_of::<Held>())
    }
}

fn bytes(key: &Key) -> usize {
    key.text.len() + key.tenant.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(texts: &[&str]) -> Arc<[Key]> {
        texts.iter().map(|text| Key { tenant: "".into(), text: (*text).into() }).collect()
    }

    /// However many keys there are, and whatever has been looked up before.
    #[test]
    fn a_key_has_one_number_in_every_batch() {
        let mut book = KeyBook::default();
        let text = |key: u32| format!("{:x}", u64::from(key) * 0x9e37_79b9);
        let all: Vec<String> = (0..3_000).map(text).collect();
        let mut known: BTreeMap<&str, u32> = BTreeMap::new();
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
