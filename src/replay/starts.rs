//! Where a replay begins in each log, and which windows it leaves as they are. Pure: the facts are fetched by the caller.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;

use crate::reading::{Offset, SourceId};
use crate::store::{GenerationRecord, Span, Start};
use crate::view::View;
use crate::window::{Width, Window};

use super::plan::Refusal;

/// From when on somebody wants a view to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayFrom {
    /// All that the logs still hold.
    Earliest,
    /// Windows that start at or after this, ms since the epoch.
    Time(i64),
    /// Where a view serves, the windows that are open still. Where none does, what comes from now on.
    Now,
}

/// What that is for one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    Earliest,
    /// Windows that start earlier are left as they are.
    At {
        from_ms: i64,
    },
    /// The ends of the logs: windows that start at or before this are partial, since readings before were left out.
    Ends {
        left_out_ms: i64,
    },
}

impl Beginning {
    /// The rows that stay as they are, if they hold what a partition's records from an offset on said.
    fn kept(self, from: Offset) -> Option<Span> {
        match self {
            Beginning::At { from_ms } => Some(Span { until_ms: from_ms - 1, from }),
            Beginning::Earliest | Beginning::Ends { .. } => None,
        }
    }
}

/// What somebody asks of a replay.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub from: ReplayFrom,
    /// Rows whose readings the logs hold no longer may go.
    pub forget_history: bool,
    /// Windows that take readings still, but hold some that are not computed again, may stay as they are until they end.
    pub freeze_windows: bool,
}

/// One partition of the streams that feed a view, and what its log holds.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    pub source: SourceId,
    pub start: Offset,
    pub end: Offset,
    /// Of the records that the serving generation folded and the log has lost: the maximum event time, where the store
    /// knows it.
    pub gone_ms: Option<i64>,
    /// Where a beginning was asked for: a place before which the serving generation met no later reading.
    pub before: Option<Reached>,
}

/// A place in a log, and the maximum event time before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    pub offset: Offset,
    pub max_ms: Option<i64>,
}

/// Where base windows of two widths never begin at once, a time is not looked for any further.
const STEPS_BACK: usize = 100;

/// A view that serves, as a replay finds it.
pub struct Serving<'a> {
    /// As the replay computes it.
    pub view: &'a View,
    /// Its widths under the meaning that serves, and the zone that they are counted in.
    pub widths: &'a [Width],
    pub zone: Tz,
    /// The least of its partitions' maximum event times; those in which nothing has been met do not count.
    pub reached_ms: Option<i64>,
    /// Of its streams.
    pub out_of_orderness_ms: i64,
    /// Whether both meanings take the same readings from a record, at the same times.
    pub reads_alike: bool,
}

impl Serving<'_> {
    fn name(&self) -> String {
        self.view.name.to_string()
    }

    /// Base windows that start before this have ended and take no reading any more (where lateness is unlimited: have
    /// ended). Windows of both widths begin here, if such a time is near.
    pub fn open_ms(&self) -> Option<i64> {
        let lateness_ms = self.view.allowed_lateness_ms.unwrap_or(0);
        let closed_ms = self.reached_ms?.saturating_sub(self.out_of_orderness_ms).saturating_sub(lateness_ms);
        let mut open_ms = closed_ms;
        for _ in 0..STEPS_BACK {
            let starts = self.bases(open_ms).map(|(_, window)| window.start_ms);
            let start_ms = starts.min().unwrap_or(open_ms);
            if start_ms == open_ms {
                break;
            }
            open_ms = start_ms;
        }
        Some(open_ms)
    }

    /// The base windows that hold a time, of the new meaning and of the one that serves.
    fn bases(&self, time_ms: i64) -> impl Iterator<Item = (Width, Window)> {
        let new = (self.view.widths[0], self.view.window(self.view.widths[0], time_ms));
        let old = self.widths.first().map(|width| (*width, width.window(time_ms, self.zone)));
        [Some(new), old].into_iter().flatten()
    }

    /// What is asked for. Windows that take readings still are computed anew whole: they would stay half.
    pub fn beginning(&self, from: ReplayFrom) -> Result<Beginning, Refusal> {
        if from == ReplayFrom::Earliest {
            return Ok(Beginning::Earliest);
        }
        if !self.reads_alike {
            return Err(Refusal::ReadsOtherwise { view: self.name() });
        }
        let open_ms = self.open_ms().ok_or_else(|| Refusal::NothingYet { view: self.name() })?;
        match from {
            ReplayFrom::Time(from_ms) if from_ms > open_ms => {
                Err(Refusal::StillOpen { view: self.name(), from_ms, open_ms })
            }
            ReplayFrom::Time(from_ms) => Ok(Beginning::At { from_ms }),
            ReplayFrom::Earliest | ReplayFrom::Now => Ok(Beginning::At { from_ms: open_ms }),
        }
    }

    /// The windows that would stay as they are although they take readings (from the first to the last), or hold such on
    /// both sides of the horizon: rollups, and where base windows are others now, these. They take nothing further.
    pub fn frozen(&self, horizon_ms: Option<i64>) -> BTreeSet<(Width, Window)> {
        let Some(horizon_ms) = horizon_ms else { return BTreeSet::new() };
        let open_ms = self.open_ms().filter(|open_ms| *open_ms <= horizon_ms);
        let open = open_ms.into_iter().flat_map(|open_ms| self.bases(open_ms).zip(self.bases(horizon_ms)));
        let open = open
            .map(|((width, Window { start_ms, .. }), (_, Window { end_ms, .. }))| (width, Window { start_ms, end_ms }));
        let here: Vec<(Width, Window)> = self.bases(horizon_ms).collect();
        let differ = here.windows(2).any(|pair| pair[0] != pair[1]);
        let others = here.into_iter().filter(|(_, window)| differ && window.end_ms - 1 > horizon_ms);
        let rollups = [(&*self.view.widths, self.view.zone), (self.widths, self.zone)];
        let rollups = rollups.into_iter().flat_map(|widths| divided(widths, horizon_ms));
        open.chain(others).chain(rollups).collect()
    }
}

/// The rollups that hold readings on both sides of a horizon.
pub fn divided((widths, zone): (&[Width], Tz), horizon_ms: i64) -> impl Iterator<Item = (Width, Window)> {
    let windows = widths.iter().skip(1).map(move |width| (*width, width.window(horizon_ms, zone)));
    windows.filter(move |(_, window)| window.end_ms - 1 > horizon_ms)
}

/// What is asked for, of a view that nothing serves: the logs hold no reading that is later than `newest_ms`.
pub fn alone(from: ReplayFrom, newest_ms: i64) -> Beginning {
    match from {
        ReplayFrom::Earliest => Beginning::Earliest,
        ReplayFrom::Time(from_ms) => Beginning::At { from_ms },
        ReplayFrom::Now => Beginning::Ends { left_out_ms: newest_ms },
    }
}

/// Where a generation starts that takes nothing over from another one.
pub fn of_logs(logs: &[Log], beginning: Beginning) -> BTreeMap<SourceId, Start> {
    let start = |log: &Log| match beginning {
        Beginning::Ends { left_out_ms } => {
            Start { left_out: Some(Span { until_ms: left_out_ms, from: log.start }), ..Start::at(log.end) }
        }
        Beginning::Earliest | Beginning::At { .. } => Start { kept: beginning.kept(log.start), ..Start::at(log.start) },
    };
    logs.iter().map(|log| (log.source, start(log))).collect()
}

/// Where a generation starts in whose favour rows of what the logs have lost may go.
pub fn of_what_the_logs_hold(logs: &[Log], beginning: Beginning) -> BTreeMap<SourceId, Start> {
    let forgets = |(source, start)| (source, Start { forgets: true, ..start });
    of_logs(logs, beginning).into_iter().map(forgets).collect()
}

/// Where a generation starts that is computed beside what another one has made, also of records that are gone.
pub fn of_what_is_left(
    serving: &GenerationRecord,
    logs: &[Log],
    beginning: Beginning,
) -> Result<BTreeMap<SourceId, Start>, Refusal> {
    let view = serving.view.clone();
    if let Some(gone) = serving.starts.keys().find(|source| !logs.iter().any(|log| log.source == **source)) {
        return Err(Refusal::SourceGone { view, source_id: gone.to_string() });
    }
    let start = |log: &Log| {
        let before = start_in(serving, log.source);
        let kept = beginning.kept(before.rows_from());
        // All readings before it belong to windows that are kept, and so do those that the log has lost before it.
        if let (Some(_), Some(Reached { offset, max_ms })) = (kept, log.before)
            && offset >= log.start
            && before.left_out.is_none()
        {
            return Ok((log.source, Start { max_ms, gone_ms: before.gone_ms, kept, ..Start::at(offset) }));
        }
        let gone_ms = match log.gone_ms {
            _ if log.start <= before.rows_from() => before.gone_ms,
            Some(gone_ms) => before.gone_ms.max(Some(gone_ms)),
            None => {
                let (view, source_id) = (view.clone(), log.source.to_string());
                return Err(Refusal::HistoryGone { view, source_id, start: before.rows_from(), log_start: log.start });
            }
        };
        // What was left out is folded now, unless the log has lost any of it.
        let left_out = before.left_out.filter(|left_out| log.start > left_out.from);
        Ok((log.source, Start { gone_ms, left_out, kept, ..Start::at(log.start) }))
    };
    logs.iter().map(start).collect()
}

/// Where readings are read otherwise than under the generation that serves, or at other times, no row is known to hold
/// what that one did not fold: what was lost before it is lost without a trace.
pub fn nothing_was_lost_before(serving: &GenerationRecord, logs: &[Log]) -> Result<(), Refusal> {
    let lost = logs.iter().map(|log| (log, start_in(serving, log.source))).find(|(_, start)| start.gone_ms.is_some());
    lost.map_or(Ok(()), |(log, Start { offset, .. })| {
        let (view, source_id) = (serving.view.clone(), log.source.to_string());
        Err(Refusal::HistoryGone { view, source_id, start: offset, log_start: log.start })
    })
}

/// Where a generation starts in a partition: one that it does not name was added later.
pub fn start_in(record: &GenerationRecord, source: SourceId) -> Start {
    record.starts.get(&source).copied().unwrap_or(Start::at(Offset(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::TopicId;
    use crate::store::GenerationState;

    const HOUR_MS: i64 = 3_600_000;
    const SOURCE: SourceId = SourceId { topic: TopicId([7; 16]), partition: 0 };

    fn view(allowed_lateness_ms: Option<i64>, horizon_ms: Option<i64>) -> View {
        View {
            name: "v".into(),
            generation: 1,
            epoch_us: 1,
            metrics: Vec::new(),
            any_metric: false,
            unit_exponent: -9,
            widths: vec![Width::HOUR, "1d".parse().unwrap()],
            zone: chrono_tz::UTC,
            allowed_lateness_ms,
            group_by: Vec::new(),
            regions: BTreeMap::new(),
            before_ms: None,
            horizon_ms,
            partial_until_ms: None,
            flush_ms: 1_000,
        }
    }

    fn record() -> GenerationRecord {
        GenerationRecord {
            view: "v".to_owned(),
            generation: 1,
            epoch_us: 1,
            state: GenerationState::Live,
            fingerprint: String::new(),
            meaning: String::new(),
            group: "etiage".to_owned(),
            starts: BTreeMap::from([(SOURCE, Start::at(Offset(5)))]),
        }
    }

    fn log(start: i64, gone_ms: Option<i64>, before: Option<(i64, i64)>) -> Log {
        let before = before.map(|(offset, max_ms)| Reached { offset: Offset(offset), max_ms: Some(max_ms) });
        Log { source: SOURCE, start: Offset(start), end: Offset(99), gone_ms, before }
    }

    fn serving(view: &View, reached_ms: Option<i64>) -> Serving<'_> {
        let (widths, zone) = (&*view.widths, view.zone);
        Serving { view, widths, zone, reached_ms, out_of_orderness_ms: 50, reads_alike: true }
    }

    #[test]
    fn windows_that_take_readings_still_are_computed_anew_whole() {
        use ReplayFrom::{Earliest, Now, Time};
        let reached_ms = Some(10 * HOUR_MS + 100);
        let beginning = |from, lateness_ms, reached_ms| serving(&view(lateness_ms, None), reached_ms).beginning(from);
        let at = |hour: i64| Ok(Beginning::At { from_ms: hour * HOUR_MS });
        assert_eq!(beginning(Now, Some(50), reached_ms), at(10));
        assert_eq!(beginning(Now, Some(51), reached_ms), at(9), "one that ends at 10 may take another reading");
        assert_eq!(beginning(Now, None, reached_ms), at(10), "none ever closes: those that have ended are left");
        assert_eq!(beginning(Time(9 * HOUR_MS), Some(51), reached_ms), at(9));
        let open = beginning(Time(9 * HOUR_MS + 1), Some(51), reached_ms);
        assert!(matches!(open, Err(Refusal::StillOpen { .. })), "{open:?}");
        for from in [Now, Time(5)] {
            assert_eq!(beginning(from, Some(0), None), Err(Refusal::NothingYet { view: "v".to_owned() }));
        }
        for reached_ms in [None, reached_ms] {
            assert_eq!(beginning(Earliest, Some(0), reached_ms), Ok(Beginning::Earliest));
        }
        // What is open under other times is not known.
        for (from, refused) in [(Now, true), (Time(5), true), (Earliest, false)] {
            let view = view(Some(0), None);
            let beginning = Serving { reads_alike: false, ..serving(&view, reached_ms) }.beginning(from);
            assert_eq!(beginning == Err(Refusal::ReadsOtherwise { view: "v".to_owned() }), refused);
        }
        // Nor does one of the width of before stay half.
        let old = ["4h".parse().unwrap()];
        let view = view(Some(50), None);
        let wider = Serving { widths: &old, ..serving(&view, reached_ms) };
        assert_eq!(wider.beginning(Now), at(8));
        assert!(matches!(wider.beginning(Time(9 * HOUR_MS)), Err(Refusal::StillOpen { .. })));
        // Where they do not nest, a time is found at which both begin.
        let old = ["7h".parse().unwrap()];
        assert_eq!(Serving { widths: &old, ..serving(&view, reached_ms) }.beginning(Now), at(7));
        let old = ["45m".parse().unwrap()];
        assert_eq!(Serving { widths: &old, ..serving(&view, reached_ms) }.beginning(Now), at(9));
    }

    #[test]
    fn windows_freeze_where_what_is_lost_or_kept_divides_them() {
        let frozen = |horizon_ms, reached_ms, old: &[&str]| {
            let old: Vec<Width> = old.iter().map(|width| width.parse().unwrap()).collect();
            let view = view(Some(50), None);
            let frozen = Serving { widths: &old, ..serving(&view, reached_ms) }.frozen(horizon_ms);
            frozen
                .into_iter()
                .map(|(width, window)| format!("{width} {}", window.start_ms / HOUR_MS))
                .collect::<Vec<_>>()
        };
        let (day_ms, same) = (24 * HOUR_MS, ["1h", "1d"]);
        let reached_ms = Some(30 * HOUR_MS + 100);
        assert_eq!(frozen(Some(day_ms - 1), reached_ms, &same), [""; 0]);
        assert_eq!(frozen(Some(day_ms), reached_ms, &same), ["1d 24"]);
        assert_eq!(frozen(Some(day_ms), reached_ms, &["1h", "12h"]), ["12h 24", "1d 24"], "a width of before");
        assert_eq!(frozen(Some(30 * HOUR_MS - 1), reached_ms, &same), ["1d 24"]);
        assert_eq!(frozen(Some(30 * HOUR_MS), reached_ms, &same), ["1h 30", "1d 24"], "open still");
        // Rows of another width that begin later go, and windows that begin earlier are not computed.
        assert_eq!(frozen(Some(day_ms + HOUR_MS / 2 - 1), reached_ms, &["30m", "1d"]), ["1h 24", "1d 24"]);
        assert_eq!(frozen(Some(day_ms + HOUR_MS - 1), reached_ms, &["2h", "1d"]), ["2h 24", "1d 24"]);
        assert_eq!(
            frozen(Some(day_ms + HOUR_MS / 2 - 1), reached_ms, &same),
            ["1d 24"],
            "it is left, and no other takes its place"
        );
        assert_eq!(frozen(Some(30 * HOUR_MS), None, &same), ["1d 24"], "nothing has been met yet");
        assert_eq!(frozen(None, reached_ms, &same), [""; 0]);
    }

    #[test]
    fn a_beginning_is_a_place_before_which_nothing_later_was_met() {
        let serving = record();
        let at = Beginning::At { from_ms: 100 };
        let starts = |log: Log, beginning| of_what_is_left(&serving, &[log], beginning).map(|starts| starts[&SOURCE]);
        let kept = |from| Some(Span { until_ms: 99, from: Offset(from) });
        let start = |offset, max_ms, gone_ms| Ok(Start { max_ms, gone_ms, kept: kept(5), ..Start::at(Offset(offset)) });
        assert_eq!(starts(log(5, None, Some((60, 98))), at), start(60, Some(98), None));
        // It need not be known what the log has lost before that.
        assert_eq!(starts(log(50, None, Some((60, 98))), at), start(60, Some(98), None));
        assert_eq!(starts(log(5, None, None), at), start(5, None, None));
        // What is lost after that moves the horizon on.
        assert_eq!(starts(log(61, Some(120), Some((60, 98))), at), start(61, None, Some(120)));
        assert_eq!(starts(log(61, Some(70), None), at), start(61, None, Some(70)));
        assert!(matches!(starts(log(61, None, Some((60, 98))), at), Err(Refusal::HistoryGone { .. })));
        assert_eq!(starts(log(5, None, Some((60, 98))), Beginning::Earliest), Ok(Start::at(Offset(5))));
        // What was lost before the generation that serves stays lost, and what that one left out is folded.
        let beside = |before: Start, log: Log, beginning| {
            let serving = GenerationRecord { starts: BTreeMap::from([(SOURCE, before)]), ..serving.clone() };
            of_what_is_left(&serving, &[log], beginning).map(|starts| starts[&SOURCE])
        };
        let lost = Start { gone_ms: Some(300), ..Start::at(Offset(5)) };
        assert_eq!(beside(lost, log(5, None, Some((60, 98))), at), start(60, Some(98), Some(300)));
        let left_out = Some(Span { until_ms: 300, from: Offset(5) });
        let at_the_end = Start { left_out, ..Start::at(Offset(50)) };
        let folded = Start { kept: kept(50), ..Start::at(Offset(5)) };
        assert_eq!(beside(at_the_end, log(5, None, Some((60, 98))), at), Ok(folded));
        assert_eq!(folded.rows_from(), Offset(5), "later windows hold what is folded now");
        let gone = beside(folded, log(20, Some(120), None), Beginning::Earliest).unwrap();
        assert_eq!((gone.offset, gone.gone_ms), (Offset(20), Some(120)));
        // It stays left out where the log has lost any of it since.
        for (log, gone_ms) in
            [(log(30, None, None), None), (log(50, None, None), None), (log(70, Some(200), None), Some(200))]
        {
            let lost = beside(at_the_end, log, Beginning::Earliest);
            assert_eq!(lost, Ok(Start { gone_ms, left_out, ..Start::at(log.start) }));
        }
        let nothing = Start { left_out: Some(Span { until_ms: 300, from: Offset(0) }), ..Start::at(Offset(0)) };
        assert_eq!(beside(nothing, log(0, None, None), Beginning::Earliest), Ok(Start::at(Offset(0))));
    }

    #[test]
    fn from_the_earliest_on_all_is_computed_that_was_kept() {
        let chosen =
            Start { max_ms: Some(98), kept: Some(Span { until_ms: 99, from: Offset(5) }), ..Start::at(Offset(60)) };
        let serving = GenerationRecord { starts: BTreeMap::from([(SOURCE, chosen)]), ..record() };
        let starts = |start, gone_ms, beginning| {
            of_what_is_left(&serving, &[log(start, gone_ms, None)], beginning).map(|starts| starts[&SOURCE])
        };
        assert_eq!(starts(5, None, Beginning::Earliest), Ok(Start::at(Offset(5))));
        // Of what the kept rows hold, the log may have lost some: these stay.
        let lost = Start { gone_ms: Some(98), ..Start::at(Offset(30)) };
        assert_eq!(starts(30, Some(98), Beginning::Earliest), Ok(lost));
        assert!(matches!(starts(30, None, Beginning::Earliest), Err(Refusal::HistoryGone { start: Offset(5), .. })));
        // What is kept once more holds what it held.
        let again = Start { kept: Some(Span { until_ms: 49, from: Offset(5) }), ..Start::at(Offset(5)) };
        assert_eq!(starts(5, None, Beginning::At { from_ms: 50 }), Ok(again));
    }

    #[test]
    fn what_was_lost_before_is_known_under_the_meaning_of_then_alone() {
        let serving = |start| GenerationRecord { starts: BTreeMap::from([(SOURCE, start)]), ..record() };
        let logs = [log(5, None, None)];
        let lost = nothing_was_lost_before(&serving(Start { gone_ms: Some(300), ..Start::at(Offset(5)) }), &logs);
        assert!(matches!(lost, Err(Refusal::HistoryGone { start: Offset(5), .. })), "{lost:?}");
        // What was left out or kept is computed now.
        let span = Some(Span { until_ms: 300, from: Offset(0) });
        for start in [Start { left_out: span, ..Start::at(Offset(5)) }, Start { kept: span, ..Start::at(Offset(5)) }] {
            assert_eq!(nothing_was_lost_before(&serving(start), &logs), Ok(()));
        }
    }

    #[test]
    fn a_view_that_nothing_serves_begins_where_it_is_told() {
        let start = |from| of_logs(&[log(5, None, None)], alone(from, 700))[&SOURCE];
        assert_eq!(start(ReplayFrom::Earliest), Start::at(Offset(5)));
        assert_eq!(
            start(ReplayFrom::Time(100)),
            Start { kept: Some(Span { until_ms: 99, from: Offset(5) }), ..Start::at(Offset(5)) }
        );
        let left_out = Some(Span { until_ms: 700, from: Offset(5) });
        assert_eq!(start(ReplayFrom::Now), Start { left_out, ..Start::at(Offset(99)) });
    }
}
