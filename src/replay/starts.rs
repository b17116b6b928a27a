//! Where a replay begins in each log, and which windows it leaves as they are. Pure: the facts are fetched by the caller.

use std::collections::BTreeMap;

use crate::reading::{Offset, SourceId};
use crate::store::{GenerationRecord, Start};
use crate::view::View;
use crate::window::{Width, Window};

use super::plan::Refusal;

/// From when on somebody wants a view to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
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

/// What somebody asks of a replay.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub from: From,
    /// Rows whose readings the logs hold no longer may go.
    pub forget_history: bool,
    /// Rollups that hold readings on both sides of the beginning may stay as they are until they end.
    pub freeze_rollups: bool,
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

/// What is asked for, of a view that serves and has come to `reached_ms` (the least of its partitions' maximum event
/// times) where its streams allow `out_of_orderness_ms`. Windows that take readings still are computed anew whole:
/// they would stay half.
pub fn beside(
    from: From,
    view: &View,
    reached_ms: Option<i64>,
    out_of_orderness_ms: i64,
) -> Result<Beginning, Refusal> {
    let lateness_ms = view.allowed_lateness_ms.unwrap_or(0);
    let closed_ms = reached_ms.map(|ms| ms.saturating_sub(out_of_orderness_ms).saturating_sub(lateness_ms));
    if from == From::Earliest {
        return Ok(Beginning::Earliest);
    }
    let closed_ms = closed_ms.ok_or_else(|| Refusal::NothingYet { view: view.name.to_string() })?;
    let open_ms = view.window(view.widths[0], closed_ms).start_ms;
    match from {
        From::Time(from_ms) if from_ms > open_ms => {
            Err(Refusal::StillOpen { view: view.name.to_string(), from_ms, open_ms })
        }
        From::Time(from_ms) => Ok(Beginning::At { from_ms }),
        From::Earliest | From::Now => Ok(Beginning::At { from_ms: open_ms }),
    }
}

/// What is asked for, of a view that nothing serves: the logs hold no reading that is later than `newest_ms`.
pub fn alone(from: From, newest_ms: i64) -> Beginning {
    match from {
        From::Earliest => Beginning::Earliest,
        From::Time(from_ms) => Beginning::At { from_ms },
        From::Now => Beginning::Ends { left_out_ms: newest_ms },
    }
}

/// Where a generation starts that takes nothing over from another one.
pub fn of_logs(logs: &[Log], beginning: Beginning) -> BTreeMap<SourceId, Start> {
    let start = |log: &Log| match beginning {
        Beginning::Earliest => Start::at(log.start),
        Beginning::At { from_ms } => Start { gone_ms: Some(from_ms - 1), ..Start::at(log.start) },
        Beginning::Ends { left_out_ms } => Start { left_out_ms: Some(left_out_ms), ..Start::at(log.end) },
    };
    logs.iter().map(|log| (log.source, start(log))).collect()
}

/// Where a generation starts that is computed beside what another one has made, also of records that are gone.
pub fn of_what_is_left(
    serving: &GenerationRecord,
    logs: &[Log],
    beginning: Beginning,
) -> Result<BTreeMap<SourceId, Start>, Refusal> {
    let (view, shown) = (serving.view.clone(), |source: &SourceId| format!("{}/{}", source.topic, source.partition));
    if let Some(gone) = serving.starts.keys().find(|source| !logs.iter().any(|log| log.source == **source)) {
        return Err(Refusal::SourceGone { view, source_id: shown(gone) });
    }
    let left_ms = match beginning {
        Beginning::At { from_ms } => Some(from_ms - 1),
        Beginning::Earliest | Beginning::Ends { .. } => None,
    };
    let start = |log: &Log| {
        let before = start_in(serving, log.source);
        // All readings before it belong to windows that are left as they are; so do those that were lost or left out before.
        if let (Some(_), Some(Reached { offset, max_ms })) = (left_ms, log.before)
            && offset >= log.start
            && before.left_out_ms.is_none()
        {
            return Ok((log.source, Start { max_ms, gone_ms: left_ms.max(before.gone_ms), ..Start::at(offset) }));
        }
        let gone_ms = match log.gone_ms {
            _ if log.start <= before.offset => before.gone_ms,
            Some(gone_ms) => before.gone_ms.max(Some(gone_ms)),
            None => {
                let (view, source_id) = (view.clone(), shown(&log.source));
                return Err(Refusal::HistoryGone { view, source_id, start: before.offset, log_start: log.start });
            }
        };
        Ok((log.source, Start { gone_ms: gone_ms.max(left_ms), ..Start::at(log.start) }))
    };
    logs.iter().map(start).collect()
}

/// Where a generation starts in a partition: one that it does not name was added later.
pub fn start_in(record: &GenerationRecord, source: SourceId) -> Start {
    record.starts.get(&source).copied().unwrap_or(Start::at(Offset(0)))
}

/// The rollups that hold readings on both sides of the horizon: they would stay as they are until they end.
pub fn frozen_rollups(view: &View) -> Vec<(Width, Window)> {
    let Some(horizon_ms) = view.horizon_ms else { return Vec::new() };
    let windows = view.widths.iter().skip(1).map(|width| (*width, view.window(*width, horizon_ms)));
    windows.filter(|(_, window)| window.end_ms - 1 > horizon_ms).collect()
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

    #[test]
    fn windows_that_take_readings_still_are_computed_anew_whole() {
        let reached_ms = Some(10 * HOUR_MS + 100);
        let beside = |from, lateness_ms, reached_ms| beside(from, &view(lateness_ms, None), reached_ms, 50);
        let at = |hour: i64| Ok(Beginning::At { from_ms: hour * HOUR_MS });
        assert_eq!(beside(From::Now, Some(50), reached_ms), at(10));
        assert_eq!(beside(From::Now, Some(51), reached_ms), at(9), "one that ends at 10 may take another reading");
        assert_eq!(beside(From::Now, None, reached_ms), at(10), "none ever closes: those that have ended are left");
        assert_eq!(beside(From::Time(9 * HOUR_MS), Some(51), reached_ms), at(9));
        let open = beside(From::Time(9 * HOUR_MS + 1), Some(51), reached_ms);
        assert!(matches!(open, Err(Refusal::StillOpen { .. })), "{open:?}");
        for from in [From::Now, From::Time(5)] {
            assert_eq!(beside(from, Some(0), None), Err(Refusal::NothingYet { view: "v".to_owned() }));
        }
        for reached_ms in [None, reached_ms] {
            assert_eq!(beside(From::Earliest, Some(0), reached_ms), Ok(Beginning::Earliest));
        }
    }

    #[test]
    fn rollups_freeze_where_the_beginning_divides_them() {
        let frozen = |horizon_ms| frozen_rollups(&view(None, Some(horizon_ms))).len();
        assert_eq!((frozen(24 * HOUR_MS - 1), frozen(24 * HOUR_MS), frozen(25 * HOUR_MS - 1)), (0, 1, 1));
        assert!(frozen_rollups(&view(None, None)).is_empty());
    }

    #[test]
    fn a_beginning_is_a_place_before_which_nothing_later_was_met() {
        let serving = GenerationRecord {
            view: "v".to_owned(),
            generation: 1,
            epoch_us: 1,
            state: GenerationState::Live,
            fingerprint: String::new(),
            meaning: String::new(),
            group: "etiage".to_owned(),
            starts: BTreeMap::from([(SOURCE, Start::at(Offset(5)))]),
        };
        let log = |start, gone_ms, before: Option<(i64, i64)>| {
            let before = before.map(|(offset, max_ms)| Reached { offset: Offset(offset), max_ms: Some(max_ms) });
            Log { source: SOURCE, start: Offset(start), end: Offset(99), gone_ms, before }
        };
        let at = Beginning::At { from_ms: 100 };
        let starts = |log: Log, beginning| of_what_is_left(&serving, &[log], beginning).map(|starts| starts[&SOURCE]);
        let start = |offset, max_ms, gone_ms| Ok(Start { max_ms, gone_ms, ..Start::at(Offset(offset)) });
        assert_eq!(starts(log(5, None, Some((60, 98))), at), start(60, Some(98), Some(99)));
        // It need not be known what the log has lost before that.
        assert_eq!(starts(log(50, None, Some((60, 98))), at), start(60, Some(98), Some(99)));
        assert_eq!(starts(log(5, None, None), at), start(5, None, Some(99)));
        // What is lost after that moves the horizon on.
        assert_eq!(starts(log(61, Some(120), Some((60, 98))), at), start(61, None, Some(120)));
        assert_eq!(starts(log(61, Some(70), None), at), start(61, None, Some(99)));
        assert!(matches!(starts(log(61, None, Some((60, 98))), at), Err(Refusal::HistoryGone { .. })));
        assert_eq!(starts(log(5, None, Some((60, 98))), Beginning::Earliest), start(5, None, None));
        // What was lost before the generation that serves stays lost, and what that one left out is folded.
        let beside = |before: Start| {
            let serving = GenerationRecord { starts: BTreeMap::from([(SOURCE, before)]), ..serving.clone() };
            of_what_is_left(&serving, &[log(5, None, Some((60, 98)))], at).map(|starts| starts[&SOURCE])
        };
        assert_eq!(beside(Start { gone_ms: Some(300), ..Start::at(Offset(5)) }), start(60, Some(98), Some(300)));
        assert_eq!(beside(Start { left_out_ms: Some(300), ..Start::at(Offset(50)) }), start(5, None, Some(99)));
    }

    #[test]
    fn a_view_that_nothing_serves_begins_where_it_is_told() {
        let log = Log { source: SOURCE, start: Offset(5), end: Offset(99), gone_ms: None, before: None };
        let start = |from| of_logs(&[log], alone(from, 700))[&SOURCE];
        assert_eq!(start(From::Earliest), Start::at(Offset(5)));
        assert_eq!(start(From::Time(100)), Start { gone_ms: Some(99), ..Start::at(Offset(5)) });
        assert_eq!(start(From::Now), Start { left_out_ms: Some(700), ..Start::at(Offset(99)) });
    }
}
