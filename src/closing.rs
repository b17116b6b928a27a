//! Which windows are final. Pure.
//!
//! A view is as far as the least advanced partition of the streams that feed it, by what the
//! partitions have *committed*: final is a promise about the store, so only what is durable
//! counts. A partition that has committed nothing holds everything open.

use crate::commit::Commit;

/// The watermark that one partition's commit proves, in ms; `None` is −∞. An idle partition's
/// clock watermark counts where it is later than its readings.
pub fn partition_watermark(commit: &Commit, view: &str, generation: u32, out_of_orderness_ms: i64) -> Option<i64> {
    let max_ms = commit.view(view, generation)?.max_ms;
    max_ms.map(|max_ms| max_ms - out_of_orderness_ms).max(commit.idle_ms)
}

/// Windows that end at or before this are final, ms. `None`: none are. Of each partition of the
/// feeding streams the watermark; with unlimited lateness, finality counts from the window's end.
pub fn cursor(watermarks: &[Option<i64>], allowed_lateness_ms: Option<i64>) -> Option<i64> {
    let least = watermarks.iter().copied().min()??;
    Some(least.saturating_sub(allowed_lateness_ms.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_advanced_partition_decides_and_an_unknown_one_holds_all() {
        assert_eq!(cursor(&[Some(500), Some(300)], Some(100)), Some(200));
        assert_eq!(cursor(&[Some(500), Some(300)], None), Some(300));
        assert_eq!(cursor(&[Some(500), None], Some(100)), None);
        assert_eq!(cursor(&[], Some(100)), None);
    }
}
