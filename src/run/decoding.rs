//! Decoding, locating and finding keys beside the loop: functions of the bytes alone, so any thread may do them, and
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
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;
    use crate::decode::{Decoder, Stations};
    use crate::keys::Field;
    use crate::reading::Offset;

    fn stream(groupings: Vec<Grouping>) -> Arc<StreamRun> {
        let text = r#"
            streams.a = { topics = ["a"], time = "t", labels = { k = "k" }, metrics = { v = {} } }
            views.a = { group_by = ["k"] }
        "#;
        let config = Config::of_text(Some((Path::new("t.toml"), text)), std::iter::empty()).unwrap();
        Arc::new(StreamRun {
            name: "a".into(),
            topics: vec!["a".into()],
            decoder: Decoder::new(&config.streams["a"], Stations::default()).unwrap(),
            file_decoders: BTreeMap::new(),
            places: Vec::new(),
            feeds: Vec::new(),
            groupings,
            out_of_orderness_ms: 0,
            idle_after_ms: 0,
        })
    }

    /// Now and then one that takes long.
    fn job(stream: &Arc<StreamRun>, number: u64) -> Job {
        let mut raw = RawBatch::default();
        for record in 0..if number.is_multiple_of(7) { 500 } else { 1 } {
            let offset = Offset(number as i64 * 1_000 + record);
            raw.push(offset, Some(0), None, Some(br#"{"t":"2026-03-01T00:00:00Z","k":"x","v":1}"#));
        }
        let partition = TopicPartition { topic: "a".into(), partition: 0 };
        Job { partition, ownership: 1, number, stream: stream.clone(), raw, permit: None }
    }

    #[test]
    fn threads_share_a_partition_and_leave_its_order() {
        let (pool, mut decoded) = DecodePool::start(4).unwrap();
        let stream = stream(Vec::new());
        (0..300).for_each(|number| pool.send(job(&stream, number)));
        let (mut ordered, mut firsts) = (InOrder::default(), Vec::new());
        for _ in 0..300 {
            let Decoded { number, keyed, .. } = decoded.blocking_recv().unwrap().unwrap();
            ordered.put(number, keyed.batch.records[0].offset.0);
            firsts.extend(std::iter::from_fn(|| ordered.pop()));
        }
        assert_eq!(firsts, (0..300).map(|number| number * 1_000).collect::<Vec<_>>());
    }

    #[test]
    fn what_breaks_decoding_off_is_named() {
        let (pool, mut decoded) = DecodePool::start(2).unwrap();
        // Regions that nobody has looked for.
        let broken = stream(vec![Grouping::new(vec![Field::Region { set: 9, codes: Arc::from([]) }], false)]);
        pool.send(job(&broken, 5));
        let said = decoded.blocking_recv().unwrap().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains("a/0 from offset 5000 on"), "{said}");
        pool.send(job(&stream(Vec::new()), 6));
        assert_eq!(decoded.blocking_recv().unwrap().unwrap().number, 6);
    }

    #[test]
    fn more_threads_than_partitions_keep_busy() {
        let ahead = |threads, partitions| DecodePool::start(threads).unwrap().0.ahead(partitions);
        let of = [(0, 1), (1, 1), (2, 6), (2, 1), (8, 1), (8, 3), (8, 0)];
        assert_eq!(of.map(|(threads, partitions)| ahead(threads, partitions)), [2, 2, 2, 3, 9, 3, 9]);
    }

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
