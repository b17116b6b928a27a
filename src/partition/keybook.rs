//! The keys of a view that parts in memory are of, each with a number. A batch brings its own
//! list of keys; its readings find the numbers through a map made once a batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::keys::Key;

/// The batch's key has no number yet.
const UNKNOWN: u32 = u32::MAX;

struct Held {
    key: Key,
    /// Parts that are of it.
    parts: u32,
}

#[derive(Default)]
pub struct KeyBook {
    /// A tree: keys from outside can be chosen to collide in a hash without a secret.
    numbers: BTreeMap<Key, u32>,
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
        let key = &self.batch[of as usize];
        let number = match self.numbers.get(key) {
            Some(number) => *number,
            None => {
                let number = self.free.pop().unwrap_or_else(|| {
                    self.held.push(None);
                    self.held.len() as u32 - 1
                });
                self.held[number as usize] = Some(Held { key: key.clone(), parts: 0 });
                self.numbers.insert(key.clone(), number);
                self.text_bytes += bytes(key);
                number
            }
        };
        self.map[of as usize] = number;
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
        self.text_bytes + self.numbers.len() * (std::mem::size_of::<(Key, u32)>() + std::mem::size_of::<Held>())
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
