//! What a replay begins with, and when it may take over. Pure: the facts are fetched by the caller.

use std::collections::BTreeMap;

use crate::reading::{Offset, SourceId};
use crate::setup::meaning::Meaning;
use crate::store::{GenerationRecord, GenerationState, Start};

/// The least step from one epoch to the next, µs, beside twice the records: every stamp of a generation is its epoch
/// and a revision, and these are fewer than the records.
const EPOCH_STEP_US: i64 = 10_000_000_000;

/// ScyllaDB takes no timestamp that is further ahead than three days, µs.
const FURTHEST_AHEAD_US: i64 = 3 * 86_400_000_000;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "a replay of view {view} with another configuration is under way (generation {generation}): go on with that \
         configuration, or give it up with `etiage replay --abort --view {view}`"
    )]
    AnotherReplay { view: String, generation: u32 },
    #[error(
        "the log of {source_id} begins at offset {log_start}, and view {view} was computed from offset {start}: a replay \
         of what is left would lose the windows before. It is not begun"
    )]
    HistoryGone { view: String, source_id: String, start: Offset, log_start: Offset },
    #[error(
        "generation {generation} of view {view} would be stamped {days} days ahead of the clock: is this clock right? \
         (The generation before was stamped by another one.)"
    )]
    EpochAhead { view: String, generation: u32, days: i64 },
}

/// One partition of the streams that feed a view, and what its log holds.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    pub source: SourceId,
    pub start: Offset,
    pub end: Offset,
}

/// The generation under which a view is replayed: the one that a replay with the same meaning has begun, or a
/// new one. `known`: all generations of all views.
pub fn generation(
    (view, meaning): (&str, &Meaning),
    known: &[GenerationRecord],
    logs: &[Log],
    group: &str,
    now_us: i64,
) -> Result<GenerationRecord, Refusal> {
    let of_view = || known.iter().filter(|record| record.view == view);
    let under_way = |state| matches!(state, GenerationState::Replaying | GenerationState::Promoting);
    if let Some(begun) = of_view().find(|record| under_way(record.state)) {
        if begun.fingerprint == meaning.fingerprint {
            return Ok(begun.clone());
        }
        return Err(Refusal::AnotherReplay { view: view.to_owned(), generation: begun.generation });
    }
    let serving = of_view().find(|record| record.serves());
    if let Some(serving) = serving {
        nothing_is_gone(serving, logs)?;
    }
    // One number for all views of a replay, and never that of an earlier group.
    let joined =
        known.iter().filter(|record| record.state == GenerationState::Replaying).map(|one| one.generation).max();
    let next = known.iter().map(|record| record.generation).max().unwrap_or(0) + 1;
    let generation = joined.filter(|joined| of_view().all(|one| one.generation < *joined)).unwrap_or(next);
    // No part, and no row of one partition, has more revisions than its log has records.
    let records: i64 = logs.iter().map(|log| log.end.0).sum();
    let before_us = of_view().map(|record| record.epoch_us).max();
    let above_us = before_us.map_or(0, |epoch_us| epoch_us + EPOCH_STEP_US + 2 * records);
    let epoch_us = now_us.max(above_us);
    if epoch_us - now_us > FURTHEST_AHEAD_US {
        let days = (epoch_us - now_us) / 86_400_000_000;
        return Err(Refusal::EpochAhead { view: view.to_owned(), generation, days });
    }
    Ok(GenerationRecord {
        view: view.to_owned(),
        generation,
        epoch_us,
        state: GenerationState::Replaying,
        fingerprint: meaning.fingerprint.clone(),
        meaning: meaning.text.clone(),
        group: format!("{group}.g{generation}"),
        starts: logs.iter().map(|log| (log.source, Start { offset: log.start, max_ms: None })).collect(),
    })
}

fn nothing_is_gone(serving: &GenerationRecord, logs: &[Log]) -> Result<(), Refusal> {
    for log in logs {
        let start = serving.starts.get(&log.source).map_or(Offset(0), |start| start.offset);
        if log.start > start {
            let (view, source_id) = (serving.view.clone(), format!("{}/{}", log.source.topic, log.source.partition));
            return Err(Refusal::HistoryGone { view, source_id, start, log_start: log.start });
        }
    }
    Ok(())
}

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

/// Near enough to the end: what is left is folded within seconds.
pub fn caught_up(partitions: &BTreeMap<SourceId, Option<Progress>>) -> bool {
    let near = |progress: &Progress| {
        let rate = i64::try_from(progress.records_per_second).unwrap_or(i64::MAX);
        progress.log_end.0 - progress.folded.0 <= BEHIND.max(rate.saturating_mul(BEHIND_S))
    };
    partitions.values().all(|progress| progress.as_ref().is_some_and(near))
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

    fn log(partition: i32, start: i64, end: i64) -> Log {
        Log { source: source(partition), start: Offset(start), end: Offset(end) }
    }

    fn meaning(text: &str) -> Meaning {
        Meaning { text: text.to_owned(), fingerprint: format!("digest of {text}") }
    }

    fn live(view: &str, generation: u32, epoch_us: i64) -> GenerationRecord {
        GenerationRecord {
            view: view.to_owned(),
            generation,
            epoch_us,
            state: GenerationState::Live,
            fingerprint: meaning("old").fingerprint,
            meaning: "old".to_owned(),
            group: "etiage".to_owned(),
            starts: BTreeMap::from([(source(0), Start { offset: Offset(5), max_ms: None })]),
        }
    }

    #[test]
    fn a_new_generation_lies_above_every_stamp_of_the_one_before() {
        let logs = [log(0, 5, 1_000), log(1, 0, 500)];
        let new = generation(("v", &meaning("new")), &[live("v", 1, 100)], &logs, "etiage", 200).unwrap();
        assert_eq!((new.generation, new.state), (2, GenerationState::Replaying));
        assert_eq!(new.epoch_us, 100 + EPOCH_STEP_US + 3_000);
        assert_eq!((new.group.as_str(), new.starts.len()), ("etiage.g2", 2));
        let later = generation(("v", &meaning("new")), &[live("v", 1, 100)], &logs, "etiage", i64::MAX / 2).unwrap();
        assert_eq!(later.epoch_us, i64::MAX / 2);
        let ahead = generation(("v", &meaning("new")), &[live("v", 1, 4 * 86_400_000_000)], &logs, "etiage", 200);
        assert!(matches!(ahead, Err(Refusal::EpochAhead { .. })), "{ahead:?}");
    }

    #[test]
    fn a_replay_that_has_begun_goes_on_and_another_one_is_refused() {
        let begun = GenerationRecord {
            state: GenerationState::Replaying,
            fingerprint: meaning("new").fingerprint,
            ..live("v", 2, 300)
        };
        let known = [live("v", 1, 100), begun.clone(), live("w", 1, 100)];
        let found = generation(("v", &meaning("new")), &known, &[log(0, 5, 10)], "etiage", 400);
        assert_eq!(found.as_ref(), Ok(&begun));
        let other = generation(("v", &meaning("third")), &known, &[log(0, 5, 10)], "etiage", 400);
        assert!(matches!(other, Err(Refusal::AnotherReplay { generation: 2, .. })), "{other:?}");
        // The second view of one replay shares its number, and so its group.
        let second = generation(("w", &meaning("new")), &known, &[log(0, 5, 10)], "etiage", 400).unwrap();
        assert_eq!((second.generation, second.group.as_str()), (2, "etiage.g2"));
    }

    #[test]
    fn what_the_log_no_longer_holds_is_not_thrown_away() {
        let gone = generation(("v", &meaning("new")), &[live("v", 1, 100)], &[log(0, 6, 10)], "etiage", 400);
        assert!(matches!(gone, Err(Refusal::HistoryGone { .. })), "{gone:?}");
        // A view that nobody has computed has nothing to lose.
        assert!(generation(("x", &meaning("new")), &[live("v", 1, 100)], &[log(0, 6, 10)], "etiage", 400).is_ok());
    }

    #[test]
    fn promotion_waits_for_every_partition() {
        let known = |offset: i64| Some(Offset(offset));
        let starts = BTreeMap::from([(source(1), Start { offset: Offset(7), max_ms: None })]);
        let required = BTreeMap::from([(source(0), known(10)), (source(1), known(7))]);
        let at = |offset: i64| BTreeMap::from([(source(0), Offset(offset))]);
        assert!(may_promote(&required, &at(10), &starts));
        assert!(!may_promote(&required, &at(9), &starts));
        assert!(!may_promote(&required, &at(10), &BTreeMap::new()), "the second has come no further than 0");
        assert!(!may_promote(&BTreeMap::from([(source(0), None)]), &at(9), &starts));
    }
}
