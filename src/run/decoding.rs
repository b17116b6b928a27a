//! Decoding, locating and finding keys beside the loop: pure functions of the bytes, so any thread may do them.
//! A partition's batches always go to the same thread and therefore stay in order. What waits is
//! bounded by the permits that travel with the batches.

use std::sync::Arc;
use std::sync::mpsc as std_mpsc;

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
    pub stream: Arc<StreamRun>,
    pub raw: RawBatch,
    pub permit: Option<OwnedSemaphorePermit>,
}

pub struct Decoded {
    pub partition: TopicPartition,
    pub ownership: u64,
    pub keyed: Keyed,
    pub permit: Option<OwnedSemaphorePermit>,
}

/// Threads that decode; they end when the pool is dropped.
pub struct DecodePool {
    threads: Vec<std_mpsc::Sender<Job>>,
    out: UnboundedSender<Decoded>,
}

impl DecodePool {
    /// Starts `threads` threads; decoded batches come out of the receiver. Without any, whoever
    /// sends a batch decodes it.
    pub fn start(threads: usize) -> std::io::Result<(DecodePool, UnboundedReceiver<Decoded>)> {
        let (out, decoded) = unbounded_channel();
        let start_one = |number: usize| {
            let (jobs, inbox) = std_mpsc::channel();
            let out: UnboundedSender<Decoded> = out.clone();
            let name = format!("decode-{number}");
            std::thread::Builder::new().name(name).spawn(move || work(&inbox, &out))?;
            Ok(jobs)
        };
        let threads = (0..threads).map(start_one).collect::<std::io::Result<_>>()?;
        Ok((DecodePool { threads, out }, decoded))
    }

    /// `lane` is a number that a partition keeps: its batches stay in order.
    pub fn send(&self, lane: usize, job: Job) -> Result<(), RunError> {
        if self.threads.is_empty() {
            // The receiver is the loop itself.
            let _ = self.out.send(decode(job));
            return Ok(());
        }
        let thread = &self.threads[lane % self.threads.len()];
        thread.send(job).map_err(|lost| {
            let first = lost.0.raw.records.first().map_or(0, |record| record.offset.0);
            RunError::DecoderGone(format!("before {} offset {first}", lost.0.partition))
        })
    }
}

fn work(inbox: &std_mpsc::Receiver<Job>, out: &UnboundedSender<Decoded>) {
    while let Ok(job) = inbox.recv() {
        if out.send(decode(job)).is_err() {
            return;
        }
    }
}

fn decode(Job { partition, ownership, stream, raw, permit }: Job) -> Decoded {
    let batch = stream.decode(&partition, raw);
    let keyed = key(&stream.places, &stream.groupings, batch);
    Decoded { partition, ownership, keyed, permit }
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
