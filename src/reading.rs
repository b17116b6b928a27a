//! The nouns that travel: where a record comes from, a batch of raw records, a batch of decoded
//! readings. Everything here is plain data; nothing reads a clock or does I/O.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{BooleanArray, Float64Array, Int64Array, UInt8Array};

use crate::decode::Reject;
use crate::locate::RegionIdx;

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
    /// `None` is a tombstone.
    pub payload: Option<Range<u32>>,
}

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
        let mut add = |slice: &[u8]| {
            let start = self.bytes.len() as u32;
            self.bytes.extend_from_slice(slice);
            start..self.bytes.len() as u32
        };
        let (key, payload) = (key.map(&mut add), payload.map(&mut add));
        self.records.push(RawRecord { offset, timestamp_ms, key, payload });
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
    /// Index of the reading within its record, and where its text lies in the batch's buffer
    /// (what the late and rejects topics carry).
    pub index: Vec<u32>,
    pub text: Vec<Range<u32>>,
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
}

/// A decoded batch with the place of each reading.
#[derive(Clone, Debug)]
pub struct Located {
    pub batch: Batch,
    /// Per region set in use: the region of each reading.
    pub regions: Vec<Vec<Option<RegionIdx>>>,
}
