//! The pure core, by tests that try to break it. The oracle groups the records and knows nothing
//! of parts, flushes or ownerships; it decodes what ends up in the store, and that is all that it
//! takes from the core.

mod grain;
mod horizon;
mod liveness;
mod log;
mod merging;
mod metadata;
mod oracle;
mod rational;
mod read_back;
mod splits;
