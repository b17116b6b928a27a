//! What a replay begins with. Pure: the facts are fetched by the caller.

use std::collections::BTreeSet;

use crate::reading::{Offset, SourceId};
use crate::setup::meaning::Meaning;
use crate::store::{GenerationRecord, GenerationState, Stamp, Start};

use super::starts::{self, Beginning, Log, ReplayFrom, Request};

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
        "generation {generation} of view {view} has taken over under another configuration, and its rows are still being \
         published: let `etiage replay` with that configuration end first"
    )]
    StillPublishing { view: String, generation: u32 },
    #[error("view {view} is being replayed together with {others}: name them all, or give those up with `--abort`")]
    Together { view: String, others: String },
    #[error(
        "views {view} and {other} cannot be replayed together, for a replay of one of them has begun, or taken over, without the \
         other: go on with each by its own `etiage replay --view`, or give those up that have begun with `--abort --view`"
    )]
    Apart { view: String, other: String },
    #[error(
        "the log of {source_id} begins at offset {log_start}, view {view} was computed from offset {start}, and it cannot \
         be told which rows hold what is gone (the store keeps no position past it, or this configuration takes other \
         readings from a record, or at other times, than the one that serves): a replay of what is left removes them. If \
         that is what you want, say --view {view} --from earliest --forget-history"
    )]
    HistoryGone { view: String, source_id: String, start: Offset, log_start: Offset },
    #[error(
        "view {view} has folded {source_id} up to offset {folded}, and it ends at {log_end} now: what is gone would be \
         missing from the rows that are computed again. Put back what was there; or if that is what you want, say --view {view} \
         --from earliest --forget-history (which removes the rows of all that the logs have lost)"
    )]
    LogEnds { view: String, source_id: String, folded: Offset, log_end: Offset },
    #[error(
        "windows of view {view} hold readings from before the replay begins, or such as the logs have lost, and would stay \
         as they are and take nothing further until they end: {windows}. Say --freeze-windows if that is what you want; or \
         have the replay begin where they begin; or, where the logs have lost readings, say --forget-history to have \
         them count what is left"
    )]
    WindowsFreeze { view: String, windows: String },
    #[error(
        "view {view} would be computed again from {} on, and its windows from {} on take readings still: what comes for \
         those between would be lost. Say an earlier time, or --from now",
        shown(*from_ms), shown(*open_ms)
    )]
    StillOpen { view: String, from_ms: i64, open_ms: i64 },
    #[error("view {view} has met no reading yet: there is nothing that could be left as it is. Say --from earliest")]
    NothingYet { view: String },
    #[error(
        "{source_id} has records that view {view} has not folded, and none before them said a time: what they hold might \
         belong to windows that stay as they are. Let it catch up (a file of history never does), or say --from earliest"
    )]
    NotFolded { view: String, source_id: String },
    #[error(
        "this configuration takes other readings from a record than the one that computed view {view}, or at other times: \
         it is not known where in the logs a time is, nor which windows are open. Say --from earliest"
    )]
    ReadsOtherwise { view: String },
    #[error("view {view} would be computed from {} on, which has not come yet: say --from now", shown(*from_ms))]
    NotYet { view: String, from_ms: i64 },
    #[error(
        "a replay of view {view} that begins elsewhere is under way (generation {generation}): go on with it by the same \
         --from, with --forget-history if it was begun with that, or give it up with `etiage replay --abort --view {view}`"
    )]
    BeginsElsewhere { view: String, generation: u32 },
    #[error(
        "view {view} was also computed from {source_id}, which is not there any more (the topic was deleted or created \
         again, or a topic or file was taken out): a replay removes the rows of its readings. If that is what you want, \
         say --view {view} --from earliest --forget-history"
    )]
    SourceGone { view: String, source_id: String },
    #[error(
        "generation {generation} of view {view} would be stamped {days} days ahead of the clock: is this clock right? \
         (The generation before was stamped by another one.)"
    )]
    EpochAhead { view: String, generation: u32, days: i64 },
    #[error(
        "generation {generation} of view {view} has taken over already: it cannot be given up any more. Going back is \
         another replay, with the configuration of before"
    )]
    TakenOver { view: String, generation: u32 },
    #[error(
        "view {view} is being replayed (generation {generation}): let that end, or give it up with \
         `etiage replay --abort --view {view}`, before the view is retired"
    )]
    NotAlone { view: String, generation: u32 },
    #[error(
        "view {view} was retired, and its rows are there still: a replay removes those that it does not compute again. If that is \
         what you want, say --view {view} --from earliest (or now) --forget-history"
    )]
    RowsOfRetired { view: String },
    #[error("the store knows no view {view}; it knows {known}")]
    Unknown { view: String, known: String },
}

/// What somebody wants to replay.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub view: &'a str,
    /// All views of the same replay.
    pub together: &'a BTreeSet<String>,
    pub meaning: &'a Meaning,
    pub request: Request,
}

/// The generation that a replay with the same meaning has begun for a view. `known`: all generations of all views.
pub fn begun(wanted: Wanted<'_>, known: &[GenerationRecord]) -> Result<Option<GenerationRecord>, Refusal> {
    let Wanted { view, together, meaning, request } = wanted;
    let under_way = |state| matches!(state, GenerationState::Replaying | GenerationState::Promoting);
    let Some(begun) = known.iter().find(|record| record.view == view && under_way(record.state)) else {
        return Ok(None);
    };
    let (view, generation) = (view.to_owned(), begun.generation);
    if begun.fingerprint != meaning.fingerprint {
        return Err(match begun.state {
            GenerationState::Promoting => Refusal::StillPublishing { view, generation },
            _ => Refusal::AnotherReplay { view, generation },
        });
    }
    let serving = known.iter().find(|one| one.view == view && one.serves() && one.generation != generation);
    // Once it has taken over, it must come to its end, wherever it began.
    if begun.state == GenerationState::Replaying && !begins_so(begun, serving, request) {
        return Err(Refusal::BeginsElsewhere { view, generation });
    }
    // They share a group, and so the partitions: each must fold all of them. (Where one has taken over, nothing is left to fold.)
    let is_in_group = |one: &&GenerationRecord| one.group == begun.group && one.state == GenerationState::Replaying;
    let in_group = known.iter().filter(|one| begun.state == GenerationState::Replaying && is_in_group(one));
    let others: Vec<&str> = in_group.map(|one| one.view.as_str()).filter(|one| !together.contains(*one)).collect();
    if !others.is_empty() {
        return Err(Refusal::Together { view, others: others.join(", ") });
    }
    let is_with = |one: &GenerationRecord| one.group == begun.group && one.state == begun.state;
    let apart = |one: &&GenerationRecord| under_way(one.state) && !is_with(one) && together.contains(&one.view);
    if let Some(other) = known.iter().find(apart) {
        return Err(Refusal::Apart { view, other: other.view.clone() });
    }
    Ok(Some(begun.clone()))
}

/// The views of a replay share a group.
pub fn in_one_group(records: &[GenerationRecord]) -> Result<(), Refusal> {
    match records.split_first() {
        Some((first, rest)) => match rest.iter().find(|record| record.group != first.group) {
            Some(other) => Err(Refusal::Apart { view: first.view.clone(), other: other.view.clone() }),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// The generation under which the replay of a view begins.
pub fn generation(
    wanted: Wanted<'_>,
    beginning: Beginning,
    known: &[GenerationRecord],
    logs: &[Log],
    group: &str,
    now_us: i64,
) -> Result<GenerationRecord, Refusal> {
    let Wanted { view, together, meaning, request } = wanted;
    let of_view = || known.iter().filter(|record| record.view == view);
    let serving = of_view().find(|record| record.serves());
    if serving.is_none() && !request.forget_history && of_view().any(|one| one.state == GenerationState::Retired) {
        return Err(Refusal::RowsOfRetired { view: view.to_owned() });
    }
    let starts = match serving {
        Some(serving) if !request.forget_history => starts::of_what_is_left(serving, logs, beginning)?,
        Some(_) => starts::of_what_the_logs_hold(logs, beginning),
        None => starts::of_logs(logs, beginning),
    };
    // One number for all views of a replay, and never that of another group.
    let replaying = || known.iter().filter(|record| record.state == GenerationState::Replaying);
    let is_ours =
        |number: u32| replaying().filter(|one| one.generation == number).all(|one| together.contains(&one.view));
    let joined = replaying().map(|one| one.generation).filter(|number| is_ours(*number)).max();
    let next = known.iter().map(|record| record.generation).max().unwrap_or(0) + 1;
    let generation = joined.filter(|joined| of_view().all(|one| one.generation < *joined)).unwrap_or(next);
    let epoch_us = epoch_us(of_view(), logs, now_us);
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
        starts,
    })
}

/// Whether a replay that has begun may be one that began like this. (Which windows were open then is not known any more.)
fn begins_so(begun: &GenerationRecord, serving: Option<&GenerationRecord>, request: Request) -> bool {
    // What the generation before has left out may have been lost meanwhile.
    let taken_over = |source: &SourceId, start: &Start| {
        serving.is_some_and(|serving| starts::start_in(serving, *source).left_out == start.left_out)
    };
    let forgets = request.forget_history && serving.is_some();
    let begins = |source: &SourceId, start: &Start| match request.from {
        ReplayFrom::Earliest => start.kept.is_none() && (start.left_out.is_none() || taken_over(source, start)),
        ReplayFrom::Time(from_ms) => start.kept.is_some_and(|kept| kept.until_ms == from_ms - 1),
        ReplayFrom::Now => start.kept.is_some() || start.left_out.is_some(),
    };
    begun.starts.iter().all(|(source, start)| start.forgets == forgets && begins(source, start))
}

/// A time for people; ms where there is no such date.
pub fn shown(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).map_or_else(|| ms.to_string(), |time| time.to_rfc3339())
}

/// Above every stamp of the generations before. No part, and no row of one partition, has more revisions than its log has
/// records.
pub fn epoch_us<'a>(before: impl Iterator<Item = &'a GenerationRecord>, logs: &[Log], now_us: i64) -> i64 {
    let records: i64 = logs.iter().map(|log| log.end.0).sum();
    let above_us = before.map(|record| record.epoch_us).max().map(|us| us + EPOCH_STEP_US + 2 * records);
    above_us.map_or(now_us, |above_us| now_us.max(above_us))
}

/// Above every stamp of a generation, and below every one of the next.
pub fn last_stamp(record: &GenerationRecord) -> Stamp {
    Stamp(record.epoch_us + EPOCH_STEP_US - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::reading::TopicId;
    use crate::store::Span;

    fn source(partition: i32) -> SourceId {
        SourceId { topic: TopicId([7; 16]), partition }
    }

    fn log(partition: i32, start: i64, end: i64) -> Log {
        Log { source: source(partition), start: Offset(start), end: Offset(end), gone_ms: None, before: None }
    }

    fn meaning(text: &str) -> Meaning {
        Meaning { text: text.to_owned(), fingerprint: format!("digest of {text}") }
    }

    const EARLIEST: Request = Request { from: ReplayFrom::Earliest, forget_history: false, freeze_windows: false };

    fn wanted<'a>(view: &'a str, together: &'a BTreeSet<String>, meaning: &'a Meaning) -> Wanted<'a> {
        Wanted { view, together, meaning, request: EARLIEST }
    }

    /// Gone on with, or begun.
    fn taken_up(
        wanted: Wanted<'_>,
        known: &[GenerationRecord],
        logs: &[Log],
        now_us: i64,
    ) -> Result<GenerationRecord, Refusal> {
        let begun = begun(wanted, known)?;
        begun.map_or_else(|| generation(wanted, Beginning::Earliest, known, logs, "etiage", now_us), Ok)
    }

    fn begin(
        view: &str,
        text: &str,
        known: &[GenerationRecord],
        logs: &[Log],
        now_us: i64,
    ) -> Result<GenerationRecord, Refusal> {
        let together = BTreeSet::from(["v".to_owned(), "w".to_owned()]);
        taken_up(wanted(view, &together, &meaning(text)), known, logs, now_us)
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
            starts: BTreeMap::from([(source(0), Start::at(Offset(5)))]),
        }
    }

    #[test]
    fn a_new_generation_lies_above_every_stamp_of_the_one_before() {
        let logs = [log(0, 5, 1_000), log(1, 0, 500)];
        let new = begin("v", "new", &[live("v", 1, 100)], &logs, 200).unwrap();
        assert_eq!((new.generation, new.state), (2, GenerationState::Replaying));
        assert_eq!(new.epoch_us, 100 + EPOCH_STEP_US + 3_000);
        assert_eq!((new.group.as_str(), new.starts.len()), ("etiage.g2", 2));
        let later = begin("v", "new", &[live("v", 1, 100)], &logs, i64::MAX / 2).unwrap();
        assert_eq!(later.epoch_us, i64::MAX / 2);
        let ahead = begin("v", "new", &[live("v", 1, 4 * 86_400_000_000)], &logs, 200);
        assert!(matches!(ahead, Err(Refusal::EpochAhead { .. })), "{ahead:?}");
    }

    #[test]
    fn a_replay_that_has_begun_goes_on_and_another_one_is_refused() {
        let begun = GenerationRecord {
            state: GenerationState::Replaying,
            fingerprint: meaning("new").fingerprint,
            group: "etiage.g2".to_owned(),
            ..live("v", 2, 300)
        };
        let known = [live("v", 1, 100), begun.clone(), live("w", 1, 100)];
        let found = begin("v", "new", &known, &[log(0, 5, 10)], 400);
        assert_eq!(found.as_ref(), Ok(&begun));
        let other = begin("v", "third", &known, &[log(0, 5, 10)], 400);
        assert!(matches!(other, Err(Refusal::AnotherReplay { generation: 2, .. })), "{other:?}");
        // The second view of one replay shares its number, and so its group.
        let second = begin("w", "new", &known, &[log(0, 5, 10)], 400).unwrap();
        assert_eq!((second.generation, second.group.as_str()), (2, "etiage.g2"));
        // Another replay has a group of its own, and one of two that share one is not gone on with alone.
        let alone = |view: &str, known: &[GenerationRecord]| {
            let (together, meaning) = (BTreeSet::from([view.to_owned()]), meaning("new"));
            taken_up(wanted(view, &together, &meaning), known, &[log(0, 5, 10)], 400)
        };
        assert_eq!(alone("w", &known).unwrap().group, "etiage.g3");
        let apart = [known.as_slice(), &[alone("w", &known).unwrap()]].concat();
        assert!(alone("v", &apart).is_ok() && alone("w", &apart).is_ok());
        let at_once = begin("v", "new", &apart, &[log(0, 5, 10)], 400);
        assert!(matches!(at_once, Err(Refusal::Apart { .. })), "they read in two groups: {at_once:?}");
        // Nor is one begun beside another's, whichever is named first.
        let third = alone("w", &known).unwrap();
        for records in [[begun.clone(), third.clone()], [third, begun.clone()]] {
            assert!(matches!(in_one_group(&records), Err(Refusal::Apart { .. })));
        }
        assert_eq!((in_one_group(&[begun.clone(), second.clone()]), in_one_group(&[])), (Ok(()), Ok(())));
        let both = [known.as_slice(), std::slice::from_ref(&second)].concat();
        assert!(matches!(alone("v", &both), Err(Refusal::Together { .. })));
        // One that has taken over without the other is published by itself.
        let first_over = GenerationRecord { state: GenerationState::Promoting, ..begun.clone() };
        let one_over = [live("w", 1, 100), first_over, second];
        let at_once = begin("v", "new", &one_over, &[log(0, 5, 10)], 400);
        assert!(matches!(at_once, Err(Refusal::Apart { .. })), "{at_once:?}");
        assert!(alone("v", &one_over).is_ok() && alone("w", &one_over).is_ok());
        let promoting = GenerationRecord { state: GenerationState::Promoting, ..live("v", 2, 300) };
        let other = begin("v", "third", &[promoting], &[log(0, 5, 10)], 400);
        assert!(matches!(other, Err(Refusal::StillPublishing { generation: 2, .. })), "{other:?}");
    }

    #[test]
    fn a_replay_goes_on_as_it_began() {
        let begun = GenerationRecord {
            state: GenerationState::Replaying,
            fingerprint: meaning("new").fingerprint,
            ..live("v", 2, 300)
        };
        let from = |from: ReplayFrom, known: &[GenerationRecord]| {
            let (together, meaning) = (BTreeSet::from(["v".to_owned()]), meaning("new"));
            let request = Request { from, ..EARLIEST };
            taken_up(Wanted { request, ..wanted("v", &together, &meaning) }, known, &[log(0, 5, 10)], 400)
        };
        let started =
            |start: Start| [GenerationRecord { starts: BTreeMap::from([(source(0), start)]), ..begun.clone() }];
        let kept = Some(Span { until_ms: 99, from: Offset(5) });
        let at = started(Start { kept, ..Start::at(Offset(7)) });
        // What the logs have lost may move the horizon on.
        let lost = started(Start { kept, gone_ms: Some(200), ..Start::at(Offset(7)) });
        let at_the_end =
            started(Start { left_out: Some(Span { until_ms: 99, from: Offset(5) }), ..Start::at(Offset(10)) });
        let whole = started(Start { gone_ms: Some(99), ..Start::at(Offset(7)) });
        let goes_on = [(ReplayFrom::Time(100), &at), (ReplayFrom::Time(100), &lost), (ReplayFrom::Now, &at)];
        for (asked, begun) in
            goes_on.into_iter().chain([(ReplayFrom::Now, &at_the_end), (ReplayFrom::Earliest, &whole)])
        {
            assert_eq!(from(asked, begun).as_ref(), Ok(&begun[0]), "{asked:?}");
        }
        for (asked, begun) in [
            (ReplayFrom::Earliest, &at_the_end),
            (ReplayFrom::Earliest, &at),
            (ReplayFrom::Time(101), &at),
            (ReplayFrom::Time(99), &lost),
            (ReplayFrom::Time(100), &at_the_end),
            (ReplayFrom::Time(100), &whole),
            (ReplayFrom::Now, &whole),
        ] {
            let other = from(asked, begun);
            assert!(matches!(other, Err(Refusal::BeginsElsewhere { generation: 2, .. })), "{asked:?}: {other:?}");
        }
        // What was left out by the generation that serves, and has been lost since, is left out from the earliest on, too.
        let serving = GenerationRecord { starts: at_the_end[0].starts.clone(), ..live("v", 1, 100) };
        let both = [serving, at_the_end[0].clone()];
        assert_eq!(from(ReplayFrom::Earliest, &both).as_ref(), Ok(&both[1]));
        // Nor does it throw away what it was not told to, or keep what it was.
        let forgetting = started(Start { forgets: true, ..Start::at(Offset(7)) });
        for (forget_history, begun, same) in
            [(true, &forgetting, true), (false, &forgetting, false), (true, &whole, false), (false, &whole, true)]
        {
            let (together, meaning) = (BTreeSet::from(["v".to_owned()]), meaning("new"));
            let wanted = Wanted { request: Request { forget_history, ..EARLIEST }, ..wanted("v", &together, &meaning) };
            let known = [live("v", 1, 100), begun[0].clone()];
            assert_eq!(super::begun(wanted, &known).is_ok(), same, "{forget_history} {begun:?}");
        }
        // What has taken over comes to its end, however it began.
        let promoting = [GenerationRecord { state: GenerationState::Promoting, ..at[0].clone() }];
        assert_eq!(from(ReplayFrom::Earliest, &promoting).as_ref(), Ok(&promoting[0]));
    }

    #[test]
    fn what_the_log_no_longer_holds_is_not_thrown_away() {
        let gone = begin("v", "new", &[live("v", 1, 100)], &[log(0, 6, 10)], 400);
        assert!(matches!(gone, Err(Refusal::HistoryGone { .. })), "{gone:?}");
        let away = begin("v", "new", &[live("v", 1, 100)], &[log(3, 0, 10)], 400);
        assert!(matches!(away, Err(Refusal::SourceGone { .. })), "{away:?}");
        // Unless that is what is wanted.
        for logs in [[log(0, 6, 10)], [log(3, 0, 10)]] {
            let (together, meaning) = (BTreeSet::from(["v".to_owned()]), meaning("new"));
            let request = Request { forget_history: true, ..EARLIEST };
            let wanted = Wanted { request, ..wanted("v", &together, &meaning) };
            let begun = taken_up(wanted, &[live("v", 1, 100)], &logs, 400).map(|begun| begun.starts);
            let start = Start { forgets: true, ..Start::at(logs[0].start) };
            assert_eq!(begun, Ok(BTreeMap::from([(logs[0].source, start)])));
        }
        // Where it is known which rows hold what is gone, these are left alone, by the next generation too.
        let log = |start: i64, gone_ms: Option<i64>| Log { gone_ms, ..log(0, start, 10) };
        let second = begin("v", "new", &[live("v", 1, 100)], &[log(6, Some(70))], 400).unwrap();
        assert_eq!((second.starts[&source(0)].offset, second.horizon_ms()), (Offset(6), Some(70)));
        let second = [GenerationRecord { state: GenerationState::Live, ..second }];
        for (log, horizon_ms) in [(log(6, None), 70), (log(8, Some(90)), 90), (log(8, Some(60)), 70)] {
            assert_eq!(begin("v", "third", &second, &[log], 400).unwrap().horizon_ms(), Some(horizon_ms));
        }
        assert!(matches!(begin("v", "third", &second, &[log(8, None)], 400), Err(Refusal::HistoryGone { .. })));
        // Rows of a view that was retired are nobody's, and there still.
        let retired = GenerationRecord { state: GenerationState::Retired, ..live("v", 1, 100) };
        let again = begin("v", "new", &[retired], &[log(5, None)], 400);
        assert_eq!(again, Err(Refusal::RowsOfRetired { view: "v".to_owned() }));
        // A view that nobody has computed has nothing to lose.
        assert!(begin("x", "new", &[live("v", 1, 100)], &[log(6, None)], 400).is_ok());
    }
}
