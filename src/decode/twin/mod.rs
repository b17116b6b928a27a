//! The decoder's slow twin, for tests and fuzzing: the same verdict on every reading, or one of the two is wrong.

use std::collections::BTreeMap;

use arrow_array::Array;

use super::{Decoder, Stations};
use crate::config::StreamConfig;
use crate::reading::{Batch, Offset, RawBatch};

mod slow;

pub use slow::{Rational, civil, decode, earliest};

/// A reading without its text: what the decoder and its twin must agree on.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub time_ms: i64,
    pub filtered: bool,
    pub position: Option<(f64, f64)>,
    pub metrics: Vec<(Option<i64>, u8)>,
}

/// A reading, or the label of the reason why not.
pub type Verdict = Result<Reading, &'static str>;

/// Every record's readings in order, checking on the way what holds for any batch.
pub fn verdicts(batch: &Batch) -> Vec<Vec<Verdict>> {
    let rows: Vec<Reading> = (0..batch.columns.len()).map(|row| reading(batch, row)).collect();
    assert_eq!(batch.records.len(), batch.raw.records.len());
    let (mut row, mut rejections) = (0, batch.rejections.iter().peekable());
    let mut all = Vec::new();
    for (record, raw) in batch.records.iter().zip(&batch.raw.records) {
        assert_eq!((record.offset, record.readings.start), (raw.offset, row));
        let mut verdicts: BTreeMap<u32, Verdict> = BTreeMap::new();
        for row in record.readings.clone() {
            verdicts.insert(batch.columns.index[row as usize], Ok(rows[row as usize].clone()));
        }
        let mut rejected = 0;
        while let Some(rejection) = rejections.next_if(|rejection| rejection.offset == record.offset) {
            verdicts.insert(rejection.index, Err(rejection.reject.reason()));
            assert!(rejection.reject.to_string().len() < 400, "{}", rejection.reject);
            assert!(batch.raw.bytes.get(rejection.text.start as usize..rejection.text.end as usize).is_some());
            rejected += 1;
        }
        // Conservation: each reading has exactly one verdict, and their indexes leave no gap.
        assert_eq!(record.rejected, rejected);
        assert_eq!(verdicts.len(), record.readings.len() + rejected as usize);
        assert!(verdicts.keys().copied().eq(0..verdicts.len() as u32));
        row = record.readings.end;
        all.push(verdicts.into_values().collect());
    }
    assert_eq!((row as usize, rejections.next()), (rows.len(), None));
    all
}

fn reading(batch: &Batch, row: usize) -> Reading {
    let columns = &batch.columns;
    assert_eq!(columns.lat.is_null(row), columns.lon.is_null(row));
    let metric = |metric: &crate::reading::MetricColumn| {
        (metric.values.is_valid(row).then(|| metric.values.value(row)), metric.flags.value(row))
    };
    Reading {
        time_ms: columns.time_ms.value(row),
        filtered: columns.filtered.value(row),
        position: columns.lat.is_valid(row).then(|| (columns.lat.value(row), columns.lon.value(row))),
        metrics: columns.metrics.iter().map(metric).collect(),
    }
}

/// A batch of payloads whose records bear the timestamp.
pub fn batch(payloads: &[&[u8]], timestamp_ms: Option<i64>) -> RawBatch {
    let mut raw = RawBatch::default();
    for (offset, payload) in payloads.iter().enumerate() {
        raw.push(Offset(offset as i64), timestamp_ms, Some(b"key"), Some(payload));
    }
    raw
}

/// Panics where the decoder, made of this stream and these stations, says something else of a payload than its twin.
pub fn assert_agreement(
    decoder: &Decoder,
    stream: &StreamConfig,
    stations: &Stations,
    payload: &[u8],
    timestamp_ms: Option<i64>,
) {
    let fast = verdicts(&decoder.decode(batch(&[payload], timestamp_ms))).remove(0);
    let slow = decode(stream, stations, payload, timestamp_ms);
    assert_eq!(fast, slow, "decoder and twin, {}", String::from_utf8_lossy(payload));
}
