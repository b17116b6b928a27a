//! Decoding, locating and finding keys beside the loop: pure functions of the bytes, so any thread may do them, and
//! several may do those of one partition. Batches have numbers, by which their partition folds them in order
//! ([`InOrder`]). What waits is bounded by the permits that travel with the batches.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::Array;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::keys::Grouping;
use crate::keys::Keyed;
use crate::locate::{RegionIdx, RegionSet};
use crate::reading::{Batch, RawBatch, TopicPartition};

use super::RunError;
use super::stream::StreamRun;

/// A region set in use, with its snapping distance.
#[derive(Clone)]
pub struct Places {
    pub set: Arc<RegionSet>,
    pub nearest_within_m: Option<f64>,
}

/// A batch on its way, tagged with the ownership that it was read in: what arrives after the
/// partition has gone is dropped.
pub struct Job {
    pub partition: TopicPartition,
    pub ownership: u64,
    /// The partition's first batch of this ownership is 0.
    pub number: u64,
    pub stream: Arc<StreamRun>,
    pub raw: RawBatch,
    pub permit: Option<OwnedSemaphorePermit>,
}

pub struct Decoded {
    pub partition: TopicPartition,
    pub ownership: u64,
    pub number: u64,
    pub keyed: Keyed,
    pub permit: Option<OwnedSemaphorePermit>,
}

/// What comes out of the pool; the error names a batch on which decoding broke off.
pub type Outcome = Result<Decoded, RunError>;

/// Threads that decode, each what comes next; they end when the pool is dropped.
pub struct DecodePool {
    jobs: std_mpsc::Sender<Job>,
    threads: usize,
    out: UnboundedSender<Outcome>,
}

impl DecodePool {
    /// Starts `threads` threads; decoded batches come out of the receiver. Without any, whoever
    /// sends a batch decodes it.
    pub fn start(threads: usize) -> std::io::Result<(DecodePool, UnboundedReceiver<Outcome>)> {
        let (out, decoded) = unbounded_channel();
        let (jobs, inbox) = std_mpsc::channel();
        let inbox = Arc::new(Mutex::new(inbox));
        for number in 0..threads {
            let (inbox, out) = (Arc::clone(&inbox), out.clone());
            std::thread::Builder::new().name(format!("decode-{number}")).spawn(move || work(&inbox, &out))?;
        }
        Ok((DecodePool { jobs, threads, out }, decoded))
    }

    pub fn send(&self, job: Job) {
        // What fails is a pool whose threads or whose receiver have ended, after they have said why.
        if self.threads == 0 {
            let _ = self.out.send(Ok(decode(job)));
        } else {
            let _ = self.jobs.send(job);
        }
    }

    /// Batches of a partition that are decoded, or being so, and not yet folded: as many as keep the threads busy where this
    /// instance owns so many partitions. Not more: a hostile one may take many times its bytes when it is decoded.
    pub fn ahead(&self, partitions: usize) -> usize {
        1 + (self.threads / partitions.max(1)).max(1)
    }
}

fn work(inbox: &Mutex<std_mpsc::Receiver<Job>>, out: &UnboundedSender<Outcome>) {
    // Nothing that can panic is done under the lock.
    let next = || inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(job) = next() {
        let first = job.raw.records.first().map_or(0, |record| record.offset.0);
        let batch = format!("{} from offset {first} on", job.partition);
        // Without its batch a partition would wait for ever: the run ends instead.
        let outcome = catch_unwind(AssertUnwindSafe(|| decode(job))).map_err(|_| RunError::DecoderGone(batch));
        if out.send(outcome).is_err() {
            return;
        }
    }
}

fn decode(Job { partition, ownership, number, stream, raw, permit }: Job) -> Decoded {
    let batch = stream.decode(&partition, raw);
    let keyed = key(&stream.places, &stream.groupings, batch);
    Decoded { partition, ownership, number, keyed, permit }
}

/// Puts what comes in any order back into the order of its numbers, from 0 on.
pub struct InOrder<T> {
    next: u64,
    early: BTreeMap<u64, T>,
}

impl<T> Default for InOrder<T> {
    fn default() -> InOrder<T> {
        InOrder { next: 0, early: BTreeMap::new() }
    }
}

impl<T> InOrder<T> {
    pub fn put(&mut self, number: u64, one: T) {
        self.early.insert(number, one);
    }

    /// The next one, if it has come.
    pub fn pop(&mut self) -> Option<T> {
        let one = self.early.remove(&self.next)?;
        self.next += 1;
        Some(one)
    }
}

/// Finds the region of every reading, in each set in use, and its key for each view.
pub fn key(places: &[Places], groupings: &[Grouping], batch: Batch) -> Keyed {
    let regions: Vec<Vec<Option<RegionIdx>>> = places.iter().map(|places| locate(places, &batch)).collect();
    let keys = groupings.iter().map(|grouping| grouping.keys(&batch.columns, &regions)).collect();
    Keyed { batch, keys }
}

/// The region of every reading, in one set.
pub fn locate(places: &Places, batch: &Batch) -> Vec<Option<RegionIdx>> {
    let columns = &batch.columns;
    let mut regions = Vec::with_capacity(columns.len());
    places.set.locate_column(columns.lat.values(), columns.lon.values(), &mut regions);
    for (row, region) in regions.iter_mut().enumerate() {
        if columns.lat.is_null(row) || columns.lon.is_null(row) {
            *region = None;
        } else if let (None, Some(within_m)) = (&region, places.nearest_within_m) {
            *region = places.set.nearest_within(columns.lat.value(row), columns.lon.value(row), within_m);
        }
    }
    regions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_comes_goes_in_order(order in Just((0..40u64).collect::<Vec<_>>()).prop_shuffle()) {
            let (mut numbers, mut out) = (InOrder::default(), Vec::new());
            for number in order {
                numbers.put(number, number);
                let before = out.len();
                out.extend(std::iter::from_fn(|| numbers.pop()));
                prop_assert!(out.len() > before || number > before as u64, "{number} waits for nothing");
            }
            prop_assert_eq!(out, (0..40).collect::<Vec<_>>());
        }
    }
}
