//! How far a replay is, and when it may take over. Pure.

use std::collections::BTreeMap;

use crate::reading::{Offset, SourceId};
use crate::store::Start;

/// How far one partition is, as its replayer said last.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub folded: Offset,
    pub log_end: Offset,
    pub records_per_second: u64,
    pub watermark_ms: Option<i64>,
}

/// Records that the replay may still be behind when the old generation is asked to drain, and seconds of its own rate.
const BEHIND: i64 = 10_000;
const BEHIND_S: i64 = 5;

/// Where the views of a stream began to be replayed, given where each did: in a partition in which they did not begin
/// together, at the first of their places. (A partition that a view does not name has begun at 0.)
pub fn first_starts<'a>(
    views: impl Iterator<Item = &'a BTreeMap<SourceId, Start>> + Clone,
) -> BTreeMap<SourceId, Start> {
    let first = |source: &SourceId| {
        let starts = views.clone().map(|starts| starts.get(source).map_or(Offset(0), |start| start.offset));
        Start::at(starts.min().unwrap_or_default())
    };
    views.clone().flat_map(BTreeMap::keys).map(|source| (*source, first(source))).collect()
}

/// Near enough to the end: what is left is folded within seconds.
pub fn caught_up(partitions: &BTreeMap<SourceId, Option<Progress>>) -> bool {
    let near = |progress: &Progress| {
        let rate = i64::try_from(progress.records_per_second).unwrap_or(i64::MAX);
        progress.log_end.0 - progress.folded.0 <= BEHIND.max(rate.saturating_mul(BEHIND_S))
    };
    partitions.values().all(|progress| progress.as_ref().is_some_and(near))
}

/// A replay as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overall {
    /// Of the records between the starts and the ends, 0 to 100.
    pub percent: i64,
    pub records_per_second: u64,
    /// Records that are not folded yet, in the partitions of which anything is known.
    pub behind: i64,
    /// The least watermark.
    pub watermark_ms: Option<i64>,
    /// At the present rate; `None` where there is none.
    pub eta_s: Option<u64>,
}

pub fn overall(partitions: &BTreeMap<SourceId, Option<Progress>>, starts: &BTreeMap<SourceId, Start>) -> Overall {
    let known = || partitions.iter().filter_map(|(source, progress)| Some((source, progress.as_ref()?)));
    let behind: i64 = known().map(|(_, one)| (one.log_end.0 - one.folded.0).max(0)).sum();
    let start = |source| starts.get(source).map_or(0, |start: &Start| start.offset.0);
    let all: i64 = known().map(|(source, one)| (one.log_end.0 - start(source)).max(0)).sum();
    let records_per_second: u64 = known().map(|(_, one)| one.records_per_second).sum();
    Overall {
        percent: if all == 0 { 100 } else { 100 * (all - behind).max(0) / all },
        records_per_second,
        behind,
        watermark_ms: known().map(|(_, one)| one.watermark_ms).min().flatten(),
        eta_s: if behind == 0 { Some(0) } else { behind.unsigned_abs().checked_div(records_per_second) },
    }
}

/// Whether the replay has committed all that the old generation may have published: `required` says how far that
/// is, or that it is not known yet.
pub fn may_promote(
    required: &BTreeMap<SourceId, Option<Offset>>,
    committed: &BTreeMap<SourceId, Offset>,
    starts: &BTreeMap<SourceId, Start>,
) -> bool {
    required.iter().all(|(source, required)| {
        // An empty partition: nobody has read or published anything, and nobody commits anything.
        let start = starts.get(source).map_or(Offset(0), |start| start.offset);
        let reached = committed.get(source).copied().unwrap_or(start);
        required.is_some_and(|required| reached >= required)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::TopicId;

    fn source(partition: i32) -> SourceId {
        SourceId { topic: TopicId([7; 16]), partition }
    }

    #[test]
    fn progress_is_told_of_the_partitions_that_somebody_replays() {
        let progress = |folded, log_end, watermark_ms| {
            let (folded, log_end) = (Offset(folded), Offset(log_end));
            Some(Progress { folded, log_end, records_per_second: 10, watermark_ms })
        };
        let partitions = BTreeMap::from([
            (source(0), progress(100, 200, Some(7))),
            (source(1), progress(100, 100, Some(5))),
            (source(2), None),
        ]);
        let starts = BTreeMap::from([(source(0), Start::at(Offset(100)))]);
        let told = overall(&partitions, &starts);
        let wanted =
            Overall { percent: 50, records_per_second: 20, behind: 100, watermark_ms: Some(5), eta_s: Some(5) };
        assert_eq!(told, wanted);
        assert!(!caught_up(&partitions), "of the third nothing is known");
        assert_eq!(overall(&BTreeMap::new(), &starts).percent, 100);
    }

    #[test]
    fn views_that_begin_apart_have_begun_at_the_first_of_their_places() {
        let starts = |places: &[(i32, i64)]| -> BTreeMap<SourceId, Start> {
            places.iter().map(|(partition, at)| (source(*partition), Start::at(Offset(*at)))).collect()
        };
        let views = [starts(&[(0, 60), (1, 5)]), starts(&[(0, 40), (2, 8)])];
        let first = first_starts(views.iter());
        let told: Vec<i64> = [0, 1, 2].iter().map(|partition| first[&source(*partition)].offset.0).collect();
        assert_eq!(told, [40, 0, 0]);
        let required = BTreeMap::from([(source(0), Some(Offset(60)))]);
        assert!(!may_promote(&required, &BTreeMap::new(), &first), "one of the two has committed nothing");
    }

    #[test]
    fn promotion_waits_for_every_partition() {
        let known = |offset: i64| Some(Offset(offset));
        let starts = BTreeMap::from([(source(1), Start::at(Offset(7)))]);
        let required = BTreeMap::from([(source(0), known(10)), (source(1), known(7))]);
        let at = |offset: i64| BTreeMap::from([(source(0), Offset(offset))]);
        assert!(may_promote(&required, &at(10), &starts));
        assert!(!may_promote(&required, &at(9), &starts));
        assert!(!may_promote(&required, &at(10), &BTreeMap::new()), "the second has come no further than 0");
        assert!(!may_promote(&BTreeMap::from([(source(0), None)]), &at(9), &starts));
    }
}
