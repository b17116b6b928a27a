//! A list of keys that grows at its end while others read what was there before, without a copy and without a lock:
//! the lexicon adds to it, the batches that are on their way each know how far it went for them.

use std::sync::{Arc, OnceLock, Weak};

use super::Key;

/// Keys in the first of the buckets; each further one has twice as many.
const FIRST: usize = 64;
/// Enough for all numbers below 2^32.
const BUCKETS: usize = 27;

/// The keys of a batch, and mostly of batches before it.
#[derive(Clone, Debug, Default)]
pub struct KeyList {
    shelf: Arc<Shelf>,
    len: usize,
}

/// Which list it was, when it may be gone.
#[derive(Clone, Debug, Default)]
pub struct Origin(Weak<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    buckets: [OnceLock<Box<[OnceLock<Key>]>>; BUCKETS],
}

impl KeyList {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One that is there.
    pub fn get(&self, number: u32) -> &Key {
        let (bucket, at) = place(number as usize);
        let key = self.shelf.buckets[bucket].get().and_then(|keys| keys[at].get());
        key.expect("a number of this list")
    }

    /// Adds a key: its number. There must be one list alone that is added to; its clones stay as they are.
    pub(super) fn push(&mut self, key: Key) -> u32 {
        let (bucket, at) = place(self.len);
        let keys = self.shelf.buckets[bucket].get_or_init(|| (0..FIRST << bucket).map(|_| OnceLock::new()).collect());
        let added = keys[at].set(key);
        debug_assert!(added.is_ok(), "two lists are added to");
        self.len += 1;
        self.len as u32 - 1
    }

    pub fn origin(&self) -> Origin {
        Origin(Arc::downgrade(&self.shelf))
    }

    /// Whether the keys have the numbers that they had there, as far as both go.
    pub fn is_of(&self, origin: &Origin) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.shelf), origin.0.as_ptr())
    }
}

impl FromIterator<Key> for KeyList {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> KeyList {
        let mut list = KeyList::default();
        keys.into_iter().for_each(|key| {
            list.push(key);
        });
        list
    }
}

/// The bucket of a number, and where it stands there.
fn place(number: usize) -> (usize, usize) {
    let bucket = (number / FIRST + 1).ilog2() as usize;
    (bucket, number - FIRST * ((1 << bucket) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key { tenant: "".into(), text: number.to_string().into() }
    }

    #[test]
    fn numbers_fill_bucket_after_bucket() {
        let mut next = (0, 0);
        for number in 0..10_000 {
            assert_eq!(place(number), next, "{number}");
            next = if next.1 + 1 == FIRST << next.0 { (next.0 + 1, 0) } else { (next.0, next.1 + 1) };
        }
        assert_eq!(place(u32::MAX as usize).0, BUCKETS - 1);
    }

    #[test]
    fn a_list_is_read_by_others_while_it_grows() {
        let mut list: KeyList = (0..10).map(key).collect();
        let threads: Vec<_> = (0..300)
            .map(|_| {
                (list.len()..list.len() + 7).for_each(|number| assert_eq!(list.push(key(number)), number as u32));
                let seen = list.clone();
                std::thread::spawn(move || {
                    (0..seen.len()).all(|number| *seen.get(number as u32).text == *number.to_string())
                })
            })
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
        assert_eq!((list.len(), list.is_empty()), (2_110, false));
    }

    /// Nothing else can come to lie where it lay.
    #[test]
    fn an_origin_tells_a_list_that_has_gone_from_all_others() {
        let list: KeyList = [key(1)].into_iter().collect();
        let origin = list.origin();
        assert!(list.is_of(&origin) && list.clone().is_of(&origin));
        drop(list);
        assert!((0..1_000).all(|number| ![key(number)].into_iter().collect::<KeyList>().is_of(&origin)));
        assert!(!KeyList::default().is_of(&Origin::default()));
    }
}
