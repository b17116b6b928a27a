//! The nouns that travel: where a record comes from, a batch of raw records, a batch of decoded
//! readings. Everything here is plain data; nothing reads a clock or does I/O.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{BooleanArray, Float64Array, Int64Array, UInt8Array};

use crate::decode::Reject;

/// One incarnation of a topic: Kafka's topic UUID (a recreated topic gets another one), or for a
/// file source a digest of the stream and the file's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub [u8; 16]);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({self})")
    }
}

/// One source partition: what a part is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId {
    pub topic: TopicId,
    pub partition: i32,
}

/// `<topic id>/<partition>`: for people where nobody knows the topic's name, and in what the store keeps.
impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Offset of a record in its partition (for files: the line number, from 0). A *position* is the
/// offset of the next record to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset(pub i64);

impl Offset {
    /// The position after this record.
    pub fn after(self) -> Offset {
        Offset(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A topic's name and a partition's number: how messages, metrics and people name a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// One record as it was read; its bytes lie in the batch's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    pub offset: Offset,
    /// The record's Kafka timestamp in ms since the epoch: bounds how far ahead a reading's event
    /// time may be. `None` where the source has none (files): the stream's fixed bound applies.
    pub timestamp_ms: Option<i64>,
    pub key: Option<Range<u32>>,
    /// The value of the header that names the tenant, where the stream asks for one.
    pub header: Option<Range<u32>>,
    /// `None` is a tombstone.
    pub payload: Option<Range<u32>>,
}

/// Longest value of a header that is read along, bytes.
const MAX_HEADER: usize = 1024;

/// Consecutive records of one partition, their bytes in one buffer (at most 4 GiB).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawBatch {
    pub bytes: Vec<u8>,
    pub records: Vec<RawRecord>,
    /// Leader epoch of the last record; −1 where unknown.
    pub leader_epoch: i32,
}

impl RawBatch {
    /// Copies one record into the batch.
    pub fn push(&mut self, offset: Offset, timestamp_ms: Option<i64>, key: Option<&[u8]>, payload: Option<&[u8]>) {
        let (key, payload) = (key.map(|key| self.add(key)), payload.map(|payload| self.add(payload)));
        self.records.push(RawRecord { offset, timestamp_ms, key, header: None, payload });
    }

    /// Copies a header's value into the batch, for the record pushed last. A long one is no tenant's
    /// name, and counts as an empty one: nobody bounds headers but us.
    pub fn push_header(&mut self, value: &[u8]) {
        let value = self.add(if value.len() > MAX_HEADER { &[] } else { value });
        if let Some(record) = self.records.last_mut() {
            record.header = Some(value);
        }
    }

    /// The same records in batches of at most so many, in order. The leader epoch is known of the last one alone.
    pub fn split(self, most: usize) -> Vec<RawBatch> {
        if self.records.len() <= most.max(1) {
            return vec![self];
        }
        let mut pieces = Vec::new();
        for records in self.records.chunks(most.max(1)) {
            let mut piece = RawBatch { leader_epoch: -1, ..RawBatch::default() };
            for record in records {
                let slice = |range: &Option<Range<u32>>| {
                    range.as_ref().map(|range| &self.bytes[range.start as usize..range.end as usize])
                };
                piece.push(record.offset, record.timestamp_ms, slice(&record.key), slice(&record.payload));
                if let Some(header) = slice(&record.header) {
                    piece.push_header(header);
                }
            }
            pieces.push(piece);
        }
        if let Some(last) = pieces.last_mut() {
            last.leader_epoch = self.leader_epoch;
        }
        pieces
    }

    fn add(&mut self, slice: &[u8]) -> Range<u32> {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(slice);
        start..self.bytes.len() as u32
    }

    pub fn payload(&self, record: &RawRecord) -> Option<&[u8]> {
        record.payload.as_ref().map(|range| &self.bytes[range.start as usize..range.end as usize])
    }
}

/// What a reading says about one of its metrics beside the value: judged from the reading alone.
pub mod flags {
    /// The value lies above the threshold.
    pub const ALARM: u8 = 1;
    /// The reading is flagged active by its sender.
    pub const ACTIVE: u8 = 2;
    /// The value lies outside the metric's normal range.
    pub const OUTLIER: u8 = 4;
}

/// One metric of every reading of a batch.
#[derive(Clone, Debug)]
pub struct MetricColumn {
    /// Fixed-point values in the stream's unit; null where the value is missing.
    pub values: Int64Array,
    /// Bits of [`flags`]; 0 where the value is missing.
    pub flags: UInt8Array,
}

/// Texts, each distinct one kept once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextColumn {
    /// Index into `texts`; `None` where the reading has no text.
    pub of: Vec<Option<u32>>,
    pub texts: Vec<Arc<str>>,
}

impl TextColumn {
    pub fn get(&self, row: usize) -> Option<u32> {
        self.of[row]
    }

    pub fn text(&self, number: u32) -> &Arc<str> {
        &self.texts[number as usize]
    }
}

/// Values of metrics that the stream does not name: some readings have some of them.
#[derive(Clone, Debug, Default)]
pub struct Others {
    /// Distinct metrics of the batch.
    pub names: Vec<Arc<str>>,
    /// Where the values of each row begin; one more than rows, or empty where there are none at all.
    pub starts: Vec<u32>,
    /// (index into `names`, fixed-point value, bits of [`flags`])
    pub values: Vec<(u32, i64, u8)>,
    /// Of each row: values left out. As many as rows, or empty where there are none at all.
    pub left_out: Vec<u32>,
}

impl Others {
    /// Values of a row that were left out: too many, or of no use as a metric.
    pub fn left_out(&self, row: usize) -> u64 {
        self.left_out.get(row).copied().unwrap_or_default().into()
    }

    /// The values of a row.
    pub fn of(&self, row: usize) -> &[(u32, i64, u8)] {
        match self.starts.get(row..row + 2) {
            Some(&[start, end]) => &self.values[start as usize..end as usize],
            _ => &[],
        }
    }
}

/// The columns of a batch: one row per reading that the stream itself did not reject, in the
/// order of the log. All have the same length.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Event time, ms since the epoch (finer input is rounded down).
    pub time_ms: Int64Array,
    /// WGS84 degrees; null where the reading has no position. Of a filtered reading: null.
    pub lat: Float64Array,
    pub lon: Float64Array,
    /// True where a configured filter leaves the reading out: it counts for the maximum event
    /// time and in the tallies, and for nothing else.
    pub filtered: BooleanArray,
    /// In the order of the stream's metrics.
    pub metrics: Vec<MetricColumn>,
    pub others: Others,
    /// `None` where the stream has no tenants.
    pub tenants: Option<TextColumn>,
    /// In the order of the stream's labels.
    pub labels: Vec<TextColumn>,
    /// Index of the reading within its record, and where its text lies in the batch's buffer
    /// (what the late and rejects topics carry).
    pub index: Vec<u32>,
    pub text: Vec<Range<u32>>,
}

impl Default for Columns {
    fn default() -> Columns {
        Columns {
            time_ms: Int64Array::from(Vec::<i64>::new()),
            lat: Float64Array::from(Vec::<f64>::new()),
            lon: Float64Array::from(Vec::<f64>::new()),
            filtered: BooleanArray::from(Vec::<bool>::new()),
            metrics: Vec::new(),
            others: Others::default(),
            tenants: None,
            labels: Vec::new(),
            index: Vec::new(),
            text: Vec::new(),
        }
    }
}

impl Columns {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

/// One record of a decoded batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: Offset,
    /// Its rows in the columns.
    pub readings: Range<u32>,
    /// How many of its readings the stream rejected (a message that cannot be split counts as one).
    pub rejected: u32,
}

/// A reading that the stream rejected.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    pub offset: Offset,
    /// Index of the reading within its record; 0 for a record that cannot be split.
    pub index: u32,
    pub reject: Reject,
    /// The reading's text (or the whole payload) in the batch's buffer.
    pub text: Range<u32>,
}

/// Consecutive records of one partition, decoded.
#[derive(Clone, Debug)]
pub struct Batch {
    pub raw: RawBatch,
    /// One for every raw record, in offset order.
    pub records: Vec<Record>,
    pub columns: Columns,
    pub rejections: Vec<Rejection>,
    /// A record is a table, its readings are rows: none has a text of its own, and each one's is the whole record's.
    /// ([`crate::decode::Texts`] writes a row where it is asked for.)
    pub tables: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_split_into_the_same_records() {
        let mut whole = RawBatch { leader_epoch: 7, ..RawBatch::default() };
        for offset in 0..7 {
            let text = format!("payload {offset}");
            let payload = (offset != 3).then_some(text.as_bytes());
            whole.push(Offset(offset * 2), (offset != 4).then_some(offset), (offset > 1).then_some(b"key"), payload);
            if offset % 2 == 0 {
                whole.push_header(text.as_bytes());
            }
        }
        let told = |batch: &RawBatch| -> Vec<_> {
            let slice = |range: &Option<Range<u32>>| {
                range.as_ref().map(|range| batch.bytes[range.start as usize..range.end as usize].to_vec())
            };
            let record = |record: &RawRecord| {
                let texts = [&record.key, &record.header, &record.payload].map(slice);
                (record.offset, record.timestamp_ms, texts)
            };
            batch.records.iter().map(record).collect()
        };
        assert_eq!(whole.clone().split(7), [whole.clone()]);
        let pieces = whole.clone().split(3);
        assert_eq!(pieces.iter().map(|piece| piece.records.len()).collect::<Vec<_>>(), [3, 3, 1]);
        assert_eq!(pieces.iter().map(|piece| piece.leader_epoch).collect::<Vec<_>>(), [-1, -1, 7]);
        assert_eq!(pieces.iter().flat_map(told).collect::<Vec<_>>(), told(&whole));
    }
}
