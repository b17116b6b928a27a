//! Étiage: geolocated sensor readings in Kafka → regions → event-time windows → rows in Cassandra,
//! exactly once.
//!
//! The modules stand in the order in which the data walks:
//!
//! ```text
//! RawBatch ─► decode ─► Batch ─► locate, keys ─► Keyed ─► partition ─► PartWrite ─► merge ─► RowWrite
//! (source)                                        (judge, fold, flush)   (store)             (store)
//!                                                                    Commit ─► CommitRequest (source)
//! ```
//! From `reading` to `outgoing` everything is pure: no clock, socket, thread, environment or
//! random source. `run` is the loop that drives it; `ARCHITECTURE.md` says why it is right.

pub mod config;
pub mod reading;

pub mod decode;
pub mod locate;

pub mod keys;
pub mod window;

pub mod bytes;
pub mod durability;
pub mod part;
pub mod partition;
pub mod view;

pub mod closing;
pub mod commit;
pub mod heartbeat;
pub mod merge;
pub mod outgoing;
pub mod start;

pub mod check;
pub mod clock;
pub mod limited;
pub mod replay;
pub mod run;
pub mod setup;
pub mod simulate;
pub mod source;
pub mod store;
pub mod telemetry;
