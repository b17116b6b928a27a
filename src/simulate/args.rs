//! The arguments of `etiage simulate` and `etiage simulate replay`.

use std::path::PathBuf;

use super::{Format, Kind};

/// Where records go.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Where to (without any: to stdout)")]
pub struct Destination {
    /// Send to this topic, which must be there
    #[arg(long)]
    pub topic: Option<String>,
    /// Addresses of the brokers
    #[arg(long, value_name = "HOST:PORT,…", default_value = "127.0.0.1:9092", env = "ETIAGE_KAFKA__BOOTSTRAP_SERVERS")]
    pub brokers: String,
    /// A property of librdkafka, such as linger.ms=5; may be repeated
    #[arg(short = 'X', value_name = "PROPERTY=VALUE")]
    pub property: Vec<String>,
    /// File of such properties, one a line: secrets do not belong on a command line
    #[arg(long, value_name = "FILE")]
    pub properties: Option<PathBuf>,
    /// Write files into this directory: part-0.ndjson, part-1.ndjson, … (or .csv)
    #[arg(long, value_name = "DIR", conflicts_with = "topic")]
    pub files: Option<PathBuf>,
    /// Number of files; a sensor's readings all go to one
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub partitions: u32,
}

/// Simulated sensors.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArgs {
    #[command(flatten)]
    pub to: Destination,
    /// Which sensors
    #[arg(long, value_enum, default_value_t, help_heading = "What")]
    pub shape: Kind,
    /// How readings are written; json where the shape leaves a choice
    #[arg(long, value_enum, help_heading = "What")]
    pub format: Option<Format>,
    /// Equal seeds (with the same --start) give equal readings, byte for byte
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "What")]
    pub seed: u64,
    /// Number of sensors, or of stations: 1,000, and 62 weather stations
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000), help_heading = "What")]
    pub sensors: Option<u32>,
    /// Readings in a record: one is a JSON object, more are an array; in CSV, lines
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = "What")]
    pub per_record: u32,
    /// Share of sensors that stand abroad
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share, help_heading = "What")]
    pub abroad: f64,
    /// bts-alarms: tenants among whom the stations are shared out
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "What")]
    pub tenants: u32,
    /// synop: the stations, a CSV file with ID;Nom;Latitude;Longitude. Without it they are made up
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub stations: Option<PathBuf>,
    /// synop: write the stations that are made up into this file (with --files: stations.csv beside them)
    #[arg(long, value_name = "FILE", conflicts_with = "stations", help_heading = "What")]
    pub write_stations: Option<PathBuf>,

    /// Readings a second, in real time from now on; what --start puts into the past goes at once. 0: as fast as
    /// possible, of the time up to now
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = rate, help_heading = "When")]
    pub rate: f64,
    /// Readings in all. Without it: 100,000; with --rate or --until no limit
    #[arg(long, value_name = "N", help_heading = "When")]
    pub readings: Option<u64>,
    /// Time of the first reading, such as 2026-03-01 or 2026-03-01T06:00:00Z (UTC where it names no offset)
    #[arg(long, value_name = "TIME", value_parser = instant, help_heading = "When")]
    pub start: Option<Instant>,
    /// Nothing is measured from then on: a time as for --start, or now
    #[arg(long, value_name = "TIME", value_parser = instant, help_heading = "When")]
    pub until: Option<Instant>,
    /// Time between two readings of a sensor, such as 10s, 15m, 3h (with --rate it follows from the rate). Without
    /// it: 10 s, a minute for bts-alarms and city-sensors, 3 hours for synop
    #[arg(long, value_name = "TIME", value_parser = interval, help_heading = "When")]
    pub interval: Option<f64>,

    /// Mean delay of a record on its way, which puts them out of order
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = seconds, help_heading = "What goes wrong")]
    pub disorder: f64,
    /// Share of records that are delayed so
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = share, help_heading = "What goes wrong")]
    pub disorder_share: f64,
    /// Share of records that arrive late: devices that come back
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, help_heading = "What goes wrong")]
    pub late: f64,
    /// How late they are at most
    #[arg(long, value_name = "TIME", default_value = "36h", value_parser = seconds, help_heading = "What goes wrong")]
    pub late_by: f64,
    /// Share of records sent twice
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, help_heading = "What goes wrong")]
    pub duplicates: f64,
    /// Share of records that nobody can read, on top of the others
    #[arg(long, value_name = "SHARE", visible_alias = "bad", default_value_t = 0.0, value_parser = share, help_heading = "What goes wrong")]
    pub garbage: f64,
}

/// A file of readings, sent again.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// The file: .csv with a header line; anything else holds one JSON value a line
    pub file: PathBuf,
    /// Column (of JSON: field) of the event time, which --speed goes by
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// So many times faster than it happened; 0 is as fast as possible
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = speed)]
    pub speed: f64,
    /// Column (of JSON: field) whose text is the record's key
    #[arg(long, value_name = "COLUMN")]
    pub key: Option<String>,
    /// How a row of CSV is sent: as it is under its header (csv), or as an object (json)
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Separator of a CSV file, where the header does not tell: a character, or \t
    #[arg(long, value_name = "CHARACTER", value_parser = separator)]
    pub separator: Option<u8>,
    #[command(flatten)]
    pub to: Destination,
}

/// A point in time, ms since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    Now,
    At(i64),
}

impl Instant {
    pub(super) fn ms(self, now_ms: i64) -> i64 {
        match self {
            Instant::Now => now_ms,
            Instant::At(ms) => ms,
        }
    }
}

fn number(text: &str, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| range.contains(number))
}

fn rate(text: &str) -> Result<f64, String> {
    let number = number(text, 0.0..=1e9).filter(|rate| *rate == 0.0 || *rate >= 0.001);
    number.ok_or_else(|| "expected readings a second between 0.001 and 1e9, or 0".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    number(text, 0.0..=1e9).ok_or_else(|| "expected a number such as 60, or 0".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    number(text, 0.0..=1.0).ok_or_else(|| "expected a share between 0 and 1, such as 0.01".to_owned())
}

/// In seconds: `5`, `250ms`, `15m`, `36h`, `2d`.
fn seconds(text: &str) -> Result<f64, String> {
    // The longer unit first, for its last letter is another's.
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];
    let with_unit = units.iter().find_map(|(unit, worth)| Some((text.strip_suffix(unit)?, *worth)));
    let (text, worth) = with_unit.unwrap_or((text, 1.0));
    let seconds = text.trim().parse::<f64>().ok().map(|number| number * worth);
    seconds
        .filter(|seconds| (0.0..=1e9).contains(seconds))
        .ok_or_else(|| "expected a time such as 10s, 15m or 36h".to_owned())
}

fn interval(text: &str) -> Result<f64, String> {
    seconds(text).and_then(|seconds| match seconds >= 0.001 {
        true => Ok(seconds),
        false => Err("expected at least 1ms".to_owned()),
    })
}

fn instant(text: &str) -> Result<Instant, String> {
    if text == "now" {
        return Ok(Instant::Now);
    }
    let day = || text.parse::<chrono::NaiveDate>().ok()?.and_hms_opt(0, 0, 0);
    let plain = || chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok();
    let ms = match chrono::DateTime::parse_from_rfc3339(text) {
        Ok(time) => Some(time.timestamp_millis()),
        Err(_) => day().or_else(plain).map(|time| time.and_utc().timestamp_millis()),
    };
    ms.map(Instant::At).ok_or_else(|| "expected a time such as 2026-03-01, 2026-03-01T06:00:00Z or now".to_owned())
}

fn separator(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err("expected one ASCII character such as ; or \\t".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_read() {
        for (text, wanted) in [("5", 5.0), ("250ms", 0.25), ("15m", 900.0), ("36h", 129_600.0), ("2d", 172_800.0)] {
            assert_eq!(seconds(text), Ok(wanted), "{text}");
        }
        for text in ["", "h", "-1s", "1e300d", "NaN", "5 weeks"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert!(interval("0").is_err() && interval("1ms").is_ok());
        assert_eq!(instant("1970-01-02"), Ok(Instant::At(86_400_000)));
        assert_eq!(instant("1970-01-01 00:00:01"), Ok(Instant::At(1_000)));
        assert_eq!(instant("1970-01-01T01:00:00+01:00"), Ok(Instant::At(0)));
        assert_eq!(instant("now").map(|time| time.ms(7)), Ok(7));
        assert!(instant("yesterday").is_err() && instant("2026-02-30").is_err());
        assert_eq!((separator(";"), separator("\\t")), (Ok(b';'), Ok(b'\t')));
        assert!(separator(";;").is_err() && separator("é").is_err());
        assert!(rate("0").is_ok() && rate("0.0001").is_err() && rate("-1").is_err() && share("1.1").is_err());
    }
}
