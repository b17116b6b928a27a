//! 4 · A part: what one source partition has contributed to one slot. Pure.
//!
//! A part is a function of its partition's log prefix and of nothing else. It knows how far it
//! has been folded (`next`), so a record is never folded twice, and how many records have changed
//! it (`revision`), so the store can tell the newer of two writes. It is written whole, as one
//! canonical blob: equal states are equal bytes.

use std::sync::Arc;

use crate::bytes::{DecodeError, Reader, Writer};
use crate::reading::Offset;
use crate::window::Aggregate;
use crate::window::exact::Squares;

/// Version of the encoding; the first byte of every blob.
const VERSION: u8 = 1;

/// The content of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many records have changed it.
    pub revision: u64,
    /// Offset after the last record that changed it: earlier records are in it already.
    pub next: Offset,
    /// In the order of the view's metrics.
    pub aggregates: Vec<Aggregate>,
}

impl Part {
    /// The state before any record.
    pub fn empty(metrics: usize) -> Part {
        Part { revision: 0, next: Offset(0), aggregates: vec![Aggregate::default(); metrics] }
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

    /// Bytes that it takes in memory, about.
    pub fn memory_bytes(metrics: usize) -> usize {
        std::mem::size_of::<Part>() + metrics * std::mem::size_of::<Aggregate>()
    }

    /// Canonical encoding: metrics without a value are left out, the others stand sorted by name,
    /// a checksum ends it.
    pub fn encode(&self, metrics: &[Arc<str>]) -> Vec<u8> {
        debug_assert!(metrics.is_sorted(), "the view's metrics are sorted by name");
        let mut out = Writer::new(VERSION);
        out.unsigned(self.revision.into());
        out.signed(self.next.0.into());
        let held = || metrics.iter().zip(&self.aggregates).filter(|(_, aggregate)| aggregate.count > 0);
        out.unsigned(held().count() as u128);
        held().for_each(|(name, aggregate)| encode_aggregate(&mut out, name, aggregate));
        out.finish()
    }

    /// Reads a blob back; `metrics` are the view's, sorted by name.
    pub fn decode(blob: &[u8], metrics: &[Arc<str>]) -> Result<Part, DecodeError> {
        let mut reader = Reader::open(blob, VERSION)?;
        let mut part = Part::empty(metrics.len());
        part.revision = reader.unsigned_as()?;
        part.next = Offset(reader.signed_as()?);
        for _ in 0..reader.unsigned_as::<usize>()? {
            let name = reader.text()?;
            let at = metrics.iter().position(|metric| **metric == *name);
            let at = at.ok_or_else(|| DecodeError::Content(format!("metric {name:?} is not one of the view's")))?;
            part.aggregates[at] = decode_aggregate(&mut reader)?;
        }
        reader.end()?;
        Ok(part)
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

    fn metrics() -> Vec<Arc<str>> {
        ["humidity", "temperature"].map(Arc::from).to_vec()
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
                assert!(Part::decode(&broken, &metrics()).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Part::decode(&blob[..at], &metrics()).is_err(), "cut at {at}");
        }
        assert!(Part::decode(&blob, &metrics()[..1]).is_err(), "a metric that the view does not have");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(values: Vec<(i64, u8)>) {
            let part = part(&values);
            let blob = part.encode(&metrics());
            prop_assert_eq!(Part::decode(&blob, &metrics()), Ok(part));
        }

        #[test]
        fn hostile_blobs_are_refused_without_a_panic(blob: Vec<u8>) {
            let _ = Part::decode(&blob, &metrics());
            let mut sealed = blob;
            sealed.extend(crc32fast::hash(&sealed).to_le_bytes());
            let _ = Part::decode(&sealed, &metrics());
        }
    }
}
