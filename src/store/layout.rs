//! How values are laid out in either store: times as text, buckets and years, names of states and
//! kinds, the starts of a generation, timestamps of cursors. Pure.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::{GenerationState, PositionKind, Span, Start, StoreError, Whole};
use crate::reading::{Offset, SourceId, TopicId};
use crate::window::Width;

/// The times that a store keeps: from the start of the year 1 to the end of 9999, where ISO 8601
/// text has four digits of year and sorts as time does.
pub const TIMES_MS: RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

pub const DAY_MS: i64 = 86_400_000;

/// Refuses a time that a store cannot keep.
pub fn checked_time(ms: i64) -> Result<i64, StoreError> {
    if TIMES_MS.contains(&ms) {
        return Ok(ms);
    }
    Err(StoreError::Refused(format!(
        "time {ms} ms since the epoch lies outside the years 1 to 9999 that a store keeps: reject such readings with max_future or a filter"
    )))
}

/// The nearest time that a store keeps: for the bounds of a query, where further out means the same.
pub fn clamped_time(ms: i64) -> i64 {
    ms.clamp(*TIMES_MS.start(), *TIMES_MS.end())
}

fn utc(ms: i64) -> Result<DateTime<Utc>, StoreError> {
    let ms = checked_time(ms)?;
    DateTime::from_timestamp_millis(ms).ok_or_else(|| StoreError::Refused(format!("time {ms} ms has no date")))
}

/// `2019-02-19T14:00:00Z`: a time of whole seconds, as the starts and ends of windows are.
pub fn seconds_text(ms: i64) -> Result<String, StoreError> {
    if ms.rem_euclid(1000) != 0 {
        return Err(StoreError::Refused(format!("window bound {ms} ms is no whole second: its text would not sort")));
    }
    Ok(utc(ms)?.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// `2019-02-19T14:00:00.000Z`: any other time. The two forms never share a column.
pub fn millis_text(ms: i64) -> Result<String, StoreError> {
    Ok(utc(ms)?.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Reads either form.
pub fn time_of(text: &str) -> Result<i64, StoreError> {
    DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis()).map_err(|error| {
        StoreError::Refused(format!("the store holds the time {text:?}: {error}; something else wrote it"))
    })
}

/// The day of an instant: days since the epoch, in UTC.
fn day_of(start_ms: i64) -> i64 {
    start_ms.div_euclid(DAY_MS)
}

/// The bucket of `rows_by_time` for windows that start at this instant: the UTC day, or the first day
/// of the UTC month where they last a day or more. Days since the epoch.
pub fn bucket_of(width: Width, start_ms: i64) -> i64 {
    let day = day_of(start_ms);
    if !width.spans_days() {
        return day;
    }
    // Every time that a store keeps has a date.
    let date = DateTime::from_timestamp_millis(start_ms).map_or(1, |time| i64::from(time.day()));
    day - (date - 1)
}

/// All buckets of a range of window starts, in their order.
pub fn buckets(width: Width, starts: &Range<i64>) -> impl Iterator<Item = i64> + use<> {
    let last = bucket_of(width, starts.end - 1);
    // A month is at most 31 days long: 31 days after its first day lies the next one.
    let next = move |day: &i64| {
        let step = if width.spans_days() { 31 } else { 1 };
        Some(bucket_of(width, (day + step) * DAY_MS))
    };
    std::iter::successors(Some(bucket_of(width, starts.start)), next).take_while(move |day| *day <= last)
}

/// A bucket's text: `2019-02-19`.
pub fn day_text(day: i64) -> Result<String, StoreError> {
    Ok(utc(day.saturating_mul(DAY_MS))?.date_naive().to_string())
}

/// The year of `rows_by_key`, in UTC.
pub fn year_of(start_ms: i64) -> Result<i32, StoreError> {
    Ok(utc(start_ms)?.year())
}

/// A generation as the `int` of the tables.
pub fn generation_int(generation: u32) -> Result<i32, StoreError> {
    i32::try_from(generation)
        .map_err(|_| StoreError::Refused(format!("generation {generation} exceeds {}, the tables' largest", i32::MAX)))
}

/// A cursor's write timestamp in µs: grows with its value, is above 0 and lies before 1980
/// whatever the event time, so that no server takes it for one from the future.
pub fn cursor_stamp(cursor_ms: i64) -> Result<i64, StoreError> {
    Ok(checked_time(cursor_ms)? - TIMES_MS.start() + 1)
}

/// `live`, `draining until 2019-02-19T14:00:00.000Z`, …
pub fn state_text(state: GenerationState) -> Result<String, StoreError> {
    Ok(match state {
        GenerationState::Draining { until_ms } => format!("{}{UNTIL}{}", state.name(), millis_text(until_ms)?),
        other => other.name().to_owned(),
    })
}

const UNTIL: &str = " until ";

pub fn state_of(text: &str) -> Result<GenerationState, StoreError> {
    use GenerationState::{Draining, Live, Promoting, Replaying, Retired, Superseded};
    let (name, until) = text.split_once(UNTIL).map_or((text, None), |(name, until)| (name, Some(until)));
    let known = match until {
        Some(until) => vec![Draining { until_ms: time_of(until)? }],
        None => vec![Live, Replaying, Promoting, Superseded, Retired],
    };
    known
        .into_iter()
        .find(|state| state.name() == name)
        .ok_or_else(|| StoreError::Refused(format!("the store has a generation in state {text:?}: use a newer etiage")))
}

pub fn kind_name(kind: PositionKind) -> &'static str {
    match kind {
        PositionKind::Commit => "commit",
        PositionKind::Kept => "kept",
        PositionKind::Spill => "spill",
        PositionKind::Heartbeat => "heartbeat",
        PositionKind::Drained => "drained",
    }
}

/// One entry of a generation's starts, as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredStart {
    offset: i64,
    max_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_out: Option<StoredSpan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept: Option<StoredSpan>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    forgets: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whole: Option<StoredWhole>,
}

#[derive(Serialize, Deserialize)]
struct StoredWhole {
    lines: i64,
    mark: i32,
}

#[derive(Serialize, Deserialize)]
struct StoredSpan {
    until_ms: i64,
    from: i64,
}

/// Canonical JSON: `{"<topic id>/<partition>":{"offset":0,"max_ms":null}}`, with `gone_ms`, `left_out`, `kept`,
/// `forgets` and `whole` where there is any.
pub fn starts_json(starts: &BTreeMap<SourceId, Start>) -> String {
    let named: BTreeMap<String, StoredStart> = starts
        .iter()
        .map(|(source, start)| {
            let Start { offset: Offset(offset), max_ms, gone_ms, left_out, kept, forgets, whole } = *start;
            let span =
                |span: Option<Span>| span.map(|Span { until_ms, from: Offset(from) }| StoredSpan { until_ms, from });
            let (left_out, kept) = (span(left_out), span(kept));
            let whole = whole.map(|Whole { lines: Offset(lines), mark }| StoredWhole { lines, mark });
            (source.to_string(), StoredStart { offset, max_ms, gone_ms, left_out, kept, forgets, whole })
        })
        .collect();
    serde_json::json!(named).to_string()
}

pub fn starts_of(json: &str) -> Result<BTreeMap<SourceId, Start>, StoreError> {
    let bad =
        || StoreError::Refused(format!("the store has a generation with the starts {json:?}: something else wrote it"));
    let named: BTreeMap<String, StoredStart> = serde_json::from_str(json).map_err(|_| bad())?;
    let read = |(name, start): (String, StoredStart)| {
        let (topic, partition) = name.split_once('/')?;
        let source = SourceId { topic: topic_of(topic)?, partition: partition.parse().ok()? };
        let StoredStart { offset, max_ms, gone_ms, left_out, kept, forgets, whole } = start;
        let span =
            |span: Option<StoredSpan>| span.map(|StoredSpan { until_ms, from }| Span { until_ms, from: Offset(from) });
        let (left_out, kept) = (span(left_out), span(kept));
        let whole = whole.map(|StoredWhole { lines, mark }| Whole { lines: Offset(lines), mark });
        Some((source, Start { offset: Offset(offset), max_ms, gone_ms, left_out, kept, forgets, whole }))
    };
    named.into_iter().map(|entry| read(entry).ok_or_else(bad)).collect()
}

fn topic_of(hex: &str) -> Option<TopicId> {
    let number = u128::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 32)?;
    Some(TopicId(number.to_be_bytes()))
}

/// A topic id from its stored 16 bytes.
pub fn topic_of_bytes(bytes: &[u8]) -> Result<TopicId, StoreError> {
    bytes.try_into().map(TopicId).map_err(|_| {
        StoreError::Refused(format!(
            "the store holds a topic id of {} bytes, not 16: something else wrote it",
            bytes.len()
        ))
    })
}

/// A width from its stored text.
pub fn width_of(text: &str) -> Result<Width, StoreError> {
    text.parse().map_err(|_| {
        StoreError::Refused(format!("the store holds parts of the width {text:?}: something else wrote them"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is computed from the earliest and the latest reading there may be can be kept.
    #[test]
    fn every_window_of_every_reading_can_be_stored() {
        for time_ms in [*crate::decode::RANGE_MS.start(), *crate::decode::RANGE_MS.end()] {
            for (width, zone) in ["1s", "7h", "12h", "1d", "1w", "1mo"].iter().flat_map(|width| {
                [chrono_tz::UTC, chrono_tz::Pacific::Apia, chrono_tz::Pacific::Honolulu].map(|zone| (*width, zone))
            }) {
                let window = width.parse::<Width>().unwrap().window(time_ms, zone);
                for bound in [window.start_ms, window.end_ms] {
                    for moved in [-crate::config::MAX_BEFORE_MS, 0, crate::config::MAX_BEFORE_MS] {
                        assert!(seconds_text(bound + moved).is_ok(), "{width} {zone} {time_ms}");
                    }
                }
            }
        }
    }

    #[test]
    fn times_are_written_as_text_that_sorts_and_reads_back() {
        // date -u -d @1550584800 +%FT%TZ
        assert_eq!(seconds_text(1_550_584_800_000).unwrap(), "2019-02-19T14:00:00Z");
        assert_eq!(millis_text(-1).unwrap(), "1969-12-31T23:59:59.999Z");
        assert_eq!(seconds_text(*TIMES_MS.start()).unwrap(), "0001-01-01T00:00:00Z");
        assert_eq!(millis_text(*TIMES_MS.end()).unwrap(), "9999-12-31T23:59:59.999Z");
        let times = [*TIMES_MS.start(), -62_000_000_000_001, -1, 0, 7, 1_550_584_800_000, *TIMES_MS.end()];
        for pair in times.windows(2) {
            assert!(millis_text(pair[0]).unwrap() < millis_text(pair[1]).unwrap());
            assert!(cursor_stamp(pair[0]).unwrap() < cursor_stamp(pair[1]).unwrap());
        }
        for time in times {
            assert_eq!(time_of(&millis_text(time).unwrap()).unwrap(), time);
        }
    }

    #[test]
    fn times_beyond_four_digit_years_are_refused_and_query_bounds_clamped() {
        for ms in [i64::MIN, *TIMES_MS.start() - 1, *TIMES_MS.end() + 1, i64::MAX] {
            assert!(millis_text(ms).is_err() && cursor_stamp(ms).is_err() && year_of(ms).is_err());
            assert!(millis_text(clamped_time(ms)).is_ok());
        }
        assert!(seconds_text(1).is_err());
        assert!(time_of("yesterday").is_err());
    }

    #[test]
    fn cursor_stamps_are_positive_and_lie_in_the_past() {
        assert_eq!(cursor_stamp(*TIMES_MS.start()).unwrap(), 1);
        // date -u -d 1980-01-01 +%s
        assert!(cursor_stamp(*TIMES_MS.end()).unwrap() < 315_532_800_000_000 + 4 * DAY_MS * 1000);
    }

    #[test]
    fn days_and_years_before_the_epoch_round_down() {
        assert_eq!((day_of(-1), day_of(0), day_of(DAY_MS)), (-1, 0, 1));
        assert_eq!((day_text(-1).unwrap().as_str(), day_text(0).unwrap().as_str()), ("1969-12-31", "1970-01-01"));
        assert_eq!((year_of(-1).unwrap(), year_of(0).unwrap()), (1969, 1970));
    }

    #[test]
    fn starts_and_names_read_back() {
        let source = |byte, partition| SourceId { topic: TopicId([byte; 16]), partition };
        let starts = BTreeMap::from([
            (source(0, 0), Start::at(Offset(0))),
            (source(0, 1), Start { gone_ms: Some(9), ..Start::at(Offset(4)) }),
            (source(0, 2), Start { left_out: Some(Span { until_ms: 8, from: Offset(1) }), ..Start::at(Offset(3)) }),
            (source(0, 4), Start { forgets: true, ..Start::at(Offset(3)) }),
            (source(0, 5), Start { whole: Some(Whole { lines: Offset(9), mark: 7 }), ..Start::at(Offset(0)) }),
            (source(0, 3), Start { kept: Some(Span { until_ms: 7, from: Offset(2) }), ..Start::at(Offset(3)) }),
            (source(255, 11), Start { max_ms: Some(-5), ..Start::at(Offset(i64::MAX)) }),
        ]);
        assert_eq!(starts_of(&starts_json(&starts)).unwrap(), starts);
        assert_eq!(starts_json(&BTreeMap::new()), "{}");
        for bad in ["", "[]", r#"{"00/0":{"offset":0,"max_ms":null}}"#, r#"{"x":{"offset":0,"max_ms":null}}"#] {
            assert!(starts_of(bad).is_err(), "{bad}");
        }
        use GenerationState::{Draining, Live, Promoting, Replaying, Retired, Superseded};
        for state in [Live, Replaying, Draining { until_ms: 1_550_584_800_007 }, Promoting, Superseded, Retired] {
            assert_eq!(state_of(&state_text(state).unwrap()).unwrap(), state);
        }
        assert!(state_of("asleep").is_err() && state_of("draining until dawn").is_err());
        assert!(topic_of_bytes(&[0; 15]).is_err());
    }
}
