//! How fast the general scanner is. Not a test: run it in a release build with `--ignored --nocapture`.

use std::time::Instant;

use super::{NOON_MS, batch, stations, temperatures};
use crate::config::{Format, StreamConfig};
use crate::decode::Decoder;

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
#[test]
#[ignore = "a measurement, meaningful in a release build alone"]
fn nanoseconds_a_reading() {
    let text = |at: usize| {
        format!(
            r#"{{"id":"s{:05}","timestamp":"2019-02-19 {:02}:{:02}:10","lat":45.62{at:04},"lon":0.06{at:04},"temperature":{}.4068,"country":"France"}}"#,
            at % 20_000,
            at % 14,
            at % 60,
            at % 40,
        )
    };
    let payloads: Vec<String> = (0..10_000).map(text).collect();
    let slices: Vec<&[u8]> = payloads.iter().map(|payload| payload.as_bytes()).collect();
    for zone in [chrono_tz::UTC, chrono_tz::Europe::Paris] {
        let stream = StreamConfig { zone, ..temperatures(Format::Json) };
        let decoder = Decoder::new(&stream, stations()).expect("valid");
        let best = (0..20).map(|_| {
            let raw = batch(&slices, Some(NOON_MS));
            let start = Instant::now();
            let batch = decoder.decode(raw);
            let taken = start.elapsed();
            assert_eq!((batch.columns.len(), batch.rejections.len()), (slices.len(), 0));
            taken.as_nanos() / slices.len() as u128
        });
        let best = best.min().unwrap_or_default();
        println!("{zone}: {best} ns a reading of {} bytes", payloads[0].len());
    }
}
