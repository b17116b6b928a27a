//! 4 · A part: what one source partition has contributed to one slot. Pure.
//!
//! A part is a function of its partition's log prefix and of nothing else. It knows how far it
//! has been folded (`next`), so a record is never folded twice, and how many records have changed
//! it (`revision`), so the store can tell the newer of two writes. It is written whole, as one
//! canonical blob: equal states are equal bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bytes::{DecodeError, Reader, Writer};
use crate::reading::Offset;
use crate::window::Aggregate;
use crate::window::exact::Squares;

/// Version of the encoding; the first byte of every blob.
const VERSION: u8 = 1;

/// Metrics that a part holds beside those that its view names, at most: whoever sends readings with
/// ever new fields must not make it grow without end. Part of the meaning: changing it is a new one.
pub const MAX_OTHERS: usize = 1_024;

/// The content of a part, its metrics by number: see [`Metrics`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many records have changed it.
    pub revision: u64,
    /// Offset after the last record that changed it: earlier records are in it already.
    pub next: Offset,
    /// In the order of the view's metrics.
    pub aggregates: Vec<Aggregate>,
    /// Of metrics that the view does not name, sorted by number.
    pub others: Vec<(u32, Aggregate)>,
}

/// The numbers of a view's metrics: first those that it names, then others while a part holds them.
/// They mean something within one ownership alone; blobs say names.
#[derive(Debug)]
pub struct Metrics {
    names: Vec<Option<Arc<str>>>,
    configured: usize,
    /// A tree: names from outside can be chosen to collide in a hash without a secret.
    known: BTreeMap<Arc<str>, u32>,
    /// Parts that hold each of the others.
    held: Vec<u32>,
    free: Vec<u32>,
    bytes: usize,
}

impl Metrics {
    /// `configured`: sorted by name.
    pub fn new(configured: &[Arc<str>]) -> Metrics {
        debug_assert!(configured.is_sorted(), "the view's metrics are sorted by name");
        let numbered = configured.iter().zip(0..).map(|(name, number)| (name.clone(), number));
        Metrics {
            names: configured.iter().cloned().map(Some).collect(),
            configured: configured.len(),
            known: numbered.collect(),
            held: vec![0; configured.len()],
            free: Vec::new(),
            bytes: 0,
        }
    }

    /// Those that the view names.
    pub fn configured(&self) -> usize {
        self.configured
    }

    pub fn find(&self, name: &str) -> Option<u32> {
        self.known.get(name).copied()
    }

    fn name(&self, number: usize) -> &str {
        self.names[number].as_deref().expect("a metric has its name while a part holds it")
    }

    /// One more part holds this metric, which is none of those that the view names.
    pub fn hold(&mut self, name: &Arc<str>) -> u32 {
        let number = self.find(name).unwrap_or_else(|| self.add(name));
        self.held[number as usize] += 1;
        number
    }

    fn add(&mut self, name: &Arc<str>) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.names.push(None);
            self.held.push(0);
            self.names.len() as u32 - 1
        });
        self.names[number as usize] = Some(name.clone());
        self.known.insert(name.clone(), number);
        self.bytes += name.len() + NAME_BYTES;
        number
    }

    /// One part less holds this metric: a name without parts is forgotten.
    pub fn release(&mut self, number: u32) {
        let held = &mut self.held[number as usize];
        *held -= 1;
        if *held == 0
            && let Some(name) = self.names[number as usize].take()
        {
            self.known.remove(&name);
            self.free.push(number);
            self.bytes -= name.len() + NAME_BYTES;
        }
    }

    /// Bytes that the others take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What a name takes beside its text: its counts, and its places in a list and in a tree.
const NAME_BYTES: usize = 96;

/// A part as its blob says it, its metrics by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub revision: u64,
    pub next: Offset,
    /// Sorted by name; none without a value.
    pub aggregates: Vec<(Box<str>, Aggregate)>,
}

impl Part {
    /// The state before any record.
    pub fn empty(metrics: usize) -> Part {
        let aggregates = vec![Aggregate::default(); metrics];
        Part { revision: 0, next: Offset(0), aggregates, others: Vec::new() }
    }

    /// Opens the part for a record, which may touch it with several readings; false where the
    /// part already holds the record.
    pub fn begin(&mut self, record: Offset) -> bool {
        if record < self.next {
            return false;
        }
        self.revision += 1;
        self.next = record.after();
        true
    }

    /// The aggregate of one of the others, if it is here.
    pub fn other(&mut self, number: u32) -> Option<&mut Aggregate> {
        let at = self.others.binary_search_by_key(&number, |(known, _)| *known).ok()?;
        Some(&mut self.others[at].1)
    }

    /// Whether it takes no further ones. A part that is full stays so.
    pub fn is_full(&self) -> bool {
        self.others.len() >= MAX_OTHERS
    }

    /// A further one, which [`Metrics::hold`] has numbered.
    pub fn add_other(&mut self, number: u32) -> &mut Aggregate {
        debug_assert!(!self.is_full());
        let at = self.others.partition_point(|(known, _)| *known < number);
        self.others.insert(at, (number, Aggregate::default()));
        &mut self.others[at].1
    }

    /// Bytes that it takes in memory beside its others, about.
    pub fn memory_bytes(metrics: usize) -> usize {
        std::mem::size_of::<Part>() + metrics * std::mem::size_of::<Aggregate>()
    }

    /// Bytes that one of the others takes.
    pub const OTHER_BYTES: usize = std::mem::size_of::<(u32, Aggregate)>();

    /// Canonical encoding: metrics without a value are left out, the others stand sorted by name,
    /// a checksum ends it.
    pub fn encode(&self, metrics: &Metrics) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.unsigned(self.revision.into());
        out.signed(self.next.0.into());
        let numbered = self.aggregates.iter().enumerate().chain(self.others.iter().map(|(n, one)| (*n as usize, one)));
        let held = numbered.filter(|(_, aggregate)| aggregate.count > 0);
        let mut held: Vec<(&str, &Aggregate)> = held.map(|(number, one)| (metrics.name(number), one)).collect();
        if !self.others.is_empty() {
            held.sort_unstable_by_key(|(name, _)| *name);
        }
        out.unsigned(held.len() as u128);
        held.into_iter().for_each(|(name, aggregate)| encode_aggregate(&mut out, name, aggregate));
        out.finish()
    }

    /// What was read back, by the numbers of this ownership. An error where it holds a metric that
    /// the view cannot have written.
    pub fn of(stored: Stored, metrics: &mut Metrics, any_metric: bool) -> Result<Part, DecodeError> {
        let mut part = Part::empty(metrics.configured());
        (part.revision, part.next) = (stored.revision, stored.next);
        for (name, aggregate) in stored.aggregates {
            match metrics.find(&name) {
                Some(number) if (number as usize) < metrics.configured() => {
                    part.aggregates[number as usize] = aggregate;
                }
                None if !any_metric => {
                    return Err(DecodeError::Content(format!("metric {name:?} is not one of the view's")));
                }
                _ => part.others.push((metrics.hold(&name.into()), aggregate)),
            }
        }
        part.others.sort_unstable_by_key(|(number, _)| *number);
        Ok(part)
    }
}

impl Stored {
    /// Reads a blob.
    pub fn decode(blob: &[u8]) -> Result<Stored, DecodeError> {
        let mut reader = Reader::open(blob, VERSION)?;
        let (revision, next) = (reader.unsigned_as()?, Offset(reader.signed_as()?));
        let mut aggregates: Vec<(Box<str>, Aggregate)> = Vec::new();
        for _ in 0..reader.unsigned_as::<usize>()? {
            let name: Box<str> = reader.text()?.into();
            if aggregates.last().is_some_and(|(before, _)| *before >= name) {
                return Err(DecodeError::Content(format!("metric {name:?} stands out of order")));
            }
            aggregates.push((name, decode_aggregate(&mut reader)?));
        }
        reader.end()?;
        Ok(Stored { revision, next, aggregates })
    }
}

fn encode_aggregate(out: &mut Writer, name: &str, aggregate: &Aggregate) {
    let (high, low) = aggregate.squares.words();
    out.text(name);
    out.unsigned(aggregate.count.into());
    out.signed(aggregate.sum);
    out.unsigned(high);
    out.unsigned(low);
    out.signed(aggregate.min.into());
    out.signed(aggregate.max.into());
    out.unsigned(aggregate.alarms.into());
    out.unsigned(aggregate.active.into());
    out.unsigned(aggregate.outliers.into());
}

fn decode_aggregate(reader: &mut Reader<'_>) -> Result<Aggregate, DecodeError> {
    Ok(Aggregate {
        count: reader.unsigned_as()?,
        sum: reader.signed()?,
        squares: Squares::from_words(reader.unsigned()?, reader.unsigned()?),
        min: reader.signed_as()?,
        max: reader.signed_as()?,
        alarms: reader.unsigned_as()?,
        active: reader.unsigned_as()?,
        outliers: reader.unsigned_as()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn metrics() -> Metrics {
        Metrics::new(&["humidity", "temperature"].map(Arc::from))
    }

    fn part(values: &[(i64, u8)]) -> Part {
        let mut part = Part::empty(2);
        for (offset, (value, bits)) in values.iter().enumerate() {
            assert!(part.begin(Offset(offset as i64 * 3)));
            part.aggregates[1].add(*value, *bits);
        }
        part
    }

    #[test]
    fn a_record_is_folded_once() {
        let mut part = Part::empty(1);
        assert!(part.begin(Offset(7)));
        assert!(!part.begin(Offset(7)));
        assert!(!part.begin(Offset(3)));
        assert!(part.begin(Offset(9)));
        assert_eq!((part.revision, part.next), (2, Offset(10)));
    }

    #[test]
    fn the_blob_is_refused_when_anything_changed() {
        let blob = part(&[(1, 0), (i64::MIN, 7), (i64::MAX, 1)]).encode(&metrics());
        for at in 0..blob.len() {
            for bit in 0..8 {
                let mut broken = blob.clone();
                broken[at] ^= 1 << bit;
                assert!(Stored::decode(&broken).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Stored::decode(&blob[..at]).is_err(), "cut at {at}");
        }
        let stored = Stored::decode(&blob).unwrap();
        let mut fewer = Metrics::new(&[Arc::from("humidity")]);
        assert!(Part::of(stored, &mut fewer, false).is_err(), "a metric that the view does not have");
    }

    /// Adds a value of a metric that the view does not name.
    fn add(part: &mut Part, metrics: &mut Metrics, name: &str, value: i64) {
        let known = metrics.find(name).filter(|number| part.other(*number).is_some());
        let number = known.unwrap_or_else(|| {
            let number = metrics.hold(&name.into());
            part.add_other(number);
            number
        });
        part.other(number).unwrap().add(value, 0);
    }

    #[test]
    fn a_part_is_the_same_bytes_whatever_the_order_in_which_metrics_turned_up() {
        let blob = |order: [&str; 3]| {
            let (mut metrics, mut part) = (metrics(), Part::empty(2));
            part.begin(Offset(0));
            part.aggregates[0].add(1, 0);
            order.iter().for_each(|name| add(&mut part, &mut metrics, name, name.len() as i64));
            part.encode(&metrics)
        };
        assert_eq!(blob(["co", "pm10", "zinc"]), blob(["zinc", "co", "pm10"]));
    }

    #[test]
    fn a_name_lives_while_a_part_holds_it() {
        let mut metrics = metrics();
        let (co, zinc) = (metrics.hold(&"co".into()), metrics.hold(&"zinc".into()));
        assert_eq!(metrics.hold(&"co".into()), co);
        metrics.release(co);
        assert_eq!(metrics.find("co"), Some(co));
        metrics.release(co);
        assert_eq!((metrics.find("co"), metrics.find("zinc")), (None, Some(zinc)));
        // The number is used again, for another name.
        assert_eq!(metrics.hold(&"pm10".into()), co);
        [co, zinc].into_iter().for_each(|number| metrics.release(number));
        assert_eq!((metrics.bytes(), metrics.known.len(), metrics.names.len()), (0, 2, 4));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(values: Vec<(i64, u8)>, others: Vec<(u8, i64)>) {
            let (mut metrics, mut part) = (metrics(), part(&values));
            for (number, value) in others {
                add(&mut part, &mut metrics, &format!("m{number}"), value);
            }
            let blob = part.encode(&metrics);
            prop_assert_eq!(Part::of(Stored::decode(&blob).unwrap(), &mut metrics, true), Ok(part.clone()));
            // In another ownership the numbers are others, the blob is the same.
            let mut anew = Metrics::new(&["humidity", "temperature"].map(Arc::from));
            let again = Part::of(Stored::decode(&blob).unwrap(), &mut anew, true).unwrap();
            prop_assert_eq!(again.encode(&anew), blob);
        }

        #[test]
        fn hostile_blobs_are_refused_without_a_panic(blob: Vec<u8>) {
            let _ = Stored::decode(&blob);
            let mut sealed = blob;
            sealed.extend(crc32fast::hash(&sealed).to_le_bytes());
            let _ = Stored::decode(&sealed);
        }
    }
}
