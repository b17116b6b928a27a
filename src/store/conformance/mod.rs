//! What every store must do, as one set of checks over the contract: run on the embedded store
//! by the unit tests and on real Cassandra by the integration tests. A check panics where the
//! store is wrong. Each one works in views and groups of its own, so that they may share a store
//! that has just been made.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use super::{PartWrite, RowWrite, Slot, Stamp, Store, StoreError};
use crate::reading::{SourceId, TopicId};
use crate::window::Width;

mod control;
mod parts;
mod rows;

/// Runs every check. The store must be migrated and empty.
pub async fn run(store: &dyn Store) {
    must(store.check().await);
    parts::run(store).await;
    rows::run(store).await;
    control::run(store).await;
}

/// The epoch of the suite's generations: 2023-11-14.
const EPOCH: i64 = 1_700_000_000_000_000;

/// 2019-02-19T14:00:00Z.
const HOUR_14: i64 = 1_550_584_800_000;

/// Keys that a careless statement would mangle.
const KEYS: [&str; 9] =
    ["53", "", " ", "a/b/c", "a%2Fb", "Île-de-France/東京/🌊", "it's \"quoted\"; --", "\u{0}", "?1"];

fn must<T>(result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| panic!("the store must answer in this suite: {error}"))
}

/// Everything that a listing tells, in pieces that are neither empty nor endless.
async fn heard<T>(list: impl AsyncFnOnce(Sender<Vec<T>>) -> Result<(), StoreError>) -> Vec<T> {
    let (send, mut pieces) = tokio::sync::mpsc::channel::<Vec<T>>(1);
    let mut all = Vec::new();
    let hear = async {
        while let Some(piece) = pieces.recv().await {
            assert!((1..=1_000).contains(&piece.len()));
            all.extend(piece);
        }
    };
    let (told, ()) = tokio::join!(list(send), hear);
    must(told);
    all
}

fn slot(view: &str, key: &str, start_ms: i64) -> Slot {
    Slot { view: view.into(), generation: 1, width: Width::HOUR, tenant: "".into(), key: key.into(), start_ms }
}

fn source(topic: u8, partition: i32) -> SourceId {
    SourceId { topic: TopicId([topic; 16]), partition }
}

fn stamp(revision: i64) -> Stamp {
    Stamp(EPOCH + revision)
}

/// A part whose bytes say its revision, and are the smaller the later it is: a store that lets the
/// larger value win in place of the later stamp must not pass.
fn part(slot: &Slot, source: SourceId, revision: i64) -> PartWrite {
    let state = format!("{:05}: {revision} of {source:?}", 10_000 - revision).into_bytes();
    PartWrite { slot: slot.clone(), source, state, stamp: stamp(revision) }
}

/// A row whose cells all follow from its revision, most of them the smaller the later it is.
fn row(slot: &Slot, revision: i64) -> RowWrite {
    let count = 10_000 - revision;
    let value = count as f64;
    RowWrite {
        slot: slot.clone(),
        metric: Arc::from("temperature"),
        label: Arc::from(format!("label {count:05}")),
        labels: BTreeMap::from([("count".to_owned(), count.to_string())]),
        end_ms: slot.width.window(slot.start_ms, chrono_tz::UTC).end_ms,
        count,
        mean: value / 10.0,
        min: value / -3.0,
        max: value / 3.0,
        stddev: value.sqrt(),
        alarms: count + 1,
        active: count + 2,
        outliers: count + 3,
        partial: count % 2 == 0,
        revision,
        updated_at_ms: HOUR_14 - revision,
        stamp: stamp(revision),
    }
}

/// All orders in which the revisions 1 to 4 may arrive.
fn orders() -> Vec<Vec<i64>> {
    let mut orders: Vec<Vec<i64>> = vec![vec![]];
    for revision in 1..=4 {
        orders = orders
            .iter()
            .flat_map(|order| {
                (0..=order.len()).map(move |at| {
                    let mut longer = order.clone();
                    longer.insert(at, revision);
                    longer
                })
            })
            .collect();
    }
    orders
}
