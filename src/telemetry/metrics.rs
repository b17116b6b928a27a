//! The recorder behind the metrics, with their descriptions and the histograms' buckets.

use std::time::Duration;

use ::metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::MetricKindMask;

use super::{TelemetryError, names};

/// Seconds: a flush is a second, a store that is away is minutes, a late device is hours.
const FRESHNESS: [f64; 14] = [0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];
/// Seconds: from one local write to a request that timed out.
const REQUEST: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The loop renews its gauges all the time: what it does not is a partition that has been given up, and must not be
/// taken for one that lags.
const GAUGES_STAY: Duration = Duration::from_secs(60);

/// Installs the process's recorder. Until then, and without it, metrics cost next to nothing and go nowhere.
pub fn install() -> Result<PrometheusHandle, TelemetryError> {
    let recorder = recorder().map_err(|_| TelemetryError::Twice("metrics are"))?;
    let handle = recorder.handle();
    ::metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::Twice("metrics are"))?;
    describe();
    Ok(handle)
}

pub(super) fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(names::APPEND_TO_ROW.into()), &FRESHNESS)?
        .set_buckets_for_metric(Matcher::Full(names::STORE.into()), &REQUEST)?
        .set_buckets_for_metric(Matcher::Full(names::FLUSH.into()), &REQUEST)?
        .idle_timeout(MetricKindMask::GAUGE, Some(GAUGES_STAY));
    Ok(builder.build_recorder())
}

pub(super) fn describe() {
    describe_counter!(names::READINGS, "Readings seen, by stream and outcome");
    describe_counter!(names::REJECTS, "Rejected readings, by stream and reason");
    describe_gauge!(names::TALLIES_OFF, "Tallies of the owned partitions, one per view and width, that do not add up");
    describe_counter!(names::RECORDS, "Records read, by stream");
    describe_gauge!(names::LAG, "Records between a partition's position and its end, folded or committed");
    describe_gauge!(names::WATERMARK, "Watermark of a partition, seconds since the epoch");
    describe_histogram!(names::APPEND_TO_ROW, "Seconds from a record's Kafka timestamp to its row's acknowledgement");
    describe_histogram!(names::STORE, "Seconds that a request to the store took, by operation");
    describe_counter!(names::STORE_ERRORS, "Requests to the store that failed, by operation");
    describe_counter!(names::STORE_WRITES, "Parts and rows of acknowledged flushes, by kind");
    describe_counter!(names::REBALANCES, "Partitions assigned, revoked and lost");
    describe_gauge!(names::PARTS, "Aggregates in memory");
    describe_gauge!(names::PARTS_BYTES, "Bytes of the aggregates in memory");
    describe_gauge!(names::QUEUE_BYTES, "Bytes of records read and not yet folded");
    describe_gauge!(names::REPLAY_BEHIND, "Records that a replay is behind the end of the topics");
    describe_gauge!(names::REPLAY_ETA, "Seconds until a replay has caught up, at its present rate");
    describe_counter!(names::COMMITS, "Commits of positions, by outcome");
    describe_histogram!(names::FLUSH, "Seconds from the start of a flush to the acknowledgement of its last row");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_described_and_has_its_buckets() {
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        ::metrics::with_local_recorder(&recorder, || {
            describe();
            ::metrics::counter!(names::READINGS, "stream" => "t", "outcome" => names::OUTCOMES[0]).increment(3);
            ::metrics::histogram!(names::APPEND_TO_ROW).record(0.2);
            ::metrics::histogram!(names::STORE, "operation" => "write_parts").record(0.002);
        });
        let text = handle.render();
        assert!(text.contains("# HELP etiage_readings_total Readings seen"), "{text}");
        assert!(text.contains("etiage_readings_total{stream=\"t\",outcome=\"folded\"} 3"), "{text}");
        assert!(text.contains("etiage_append_to_row_seconds_bucket{le=\"0.25\"} 1"), "{text}");
        assert!(text.contains("etiage_append_to_row_seconds_bucket{le=\"0.1\"} 0"), "{text}");
        assert!(text.contains("etiage_store_seconds_bucket{operation=\"write_parts\",le=\"0.0025\"} 1"), "{text}");
    }
}
