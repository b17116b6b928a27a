//! The names of all metrics: what dashboards and alert rules are written against.

/// Readings seen. Labels `stream`, `outcome`: one of [`OUTCOMES`].
pub const READINGS: &str = "etiage_readings_total";
/// Rejected readings. Labels `stream`, `reason`.
pub const REJECTS: &str = "etiage_rejects_total";
/// Tallies of the owned partitions, one per view and width, that do not add up: none, ever.
pub const TALLIES_OFF: &str = "etiage_tallies_off";
/// Records read. Label `stream`.
pub const RECORDS: &str = "etiage_records_total";
/// Records between a partition's position and its end. Labels `topic`, `partition`, `kind`: [`LAG_FOLDED`] or [`LAG_COMMITTED`].
pub const LAG: &str = "etiage_lag_records";
/// A partition's watermark, seconds since the epoch. Labels `topic`, `partition`.
pub const WATERMARK: &str = "etiage_watermark_seconds";
/// From a record's Kafka timestamp to the acknowledgement of the row that holds it.
pub const APPEND_TO_ROW: &str = "etiage_append_to_row_seconds";
/// Requests to the store. Label `operation`.
pub const STORE: &str = "etiage_store_seconds";
/// Requests to the store that failed. Label `operation`.
pub const STORE_ERRORS: &str = "etiage_store_errors_total";
/// Parts and rows (with the `mean_before` of later windows, each a write of its own) of flushes that the store acknowledged as a whole. Label `kind`: [`PARTS_WRITTEN`] or [`ROWS_WRITTEN`]. Beside
/// [`READINGS`] it says how much is written for a reading.
pub const STORE_WRITES: &str = "etiage_store_writes_total";
/// Partitions that came and went. Label `kind`: `assigned`, `revoked`, `lost`.
pub const REBALANCES: &str = "etiage_rebalances_total";
/// Aggregates in memory, and their bytes.
pub const PARTS: &str = "etiage_parts_in_memory";
pub const PARTS_BYTES: &str = "etiage_parts_bytes";
/// Bytes of records that were read and are not folded yet: `engine.queue` bounds them.
pub const QUEUE_BYTES: &str = "etiage_queue_bytes";
/// Commits of positions. Label `outcome`: `ok`, `fenced`, `failed`.
pub const COMMITS: &str = "etiage_commits_total";
/// From the start of a flush to the acknowledgement of its last row.
pub const FLUSH: &str = "etiage_flush_seconds";

/// Records that a replay is behind the end of the topics, and seconds until it has caught up at its present rate.
pub const REPLAY_BEHIND: &str = "etiage_replay_behind_records";
pub const REPLAY_ETA: &str = "etiage_replay_eta_seconds";

/// Values of `outcome` of [`READINGS`]; a reading has one of them per view (the first for folded).
pub const OUTCOMES: [&str; 7] = ["folded", "late", "rejected", "outside", "unkeyed", "filtered", "before_history"];
pub const PARTS_WRITTEN: &str = "parts";
pub const ROWS_WRITTEN: &str = "rows";
pub const LAG_FOLDED: &str = "folded";
pub const LAG_COMMITTED: &str = "committed";
