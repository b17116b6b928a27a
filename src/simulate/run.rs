//! `etiage simulate`: its arguments, and the loop that sends.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::output::Output;
use super::{Counts, Settings, SimulateError, Simulation};

/// A longer line of a file is not a record.
const MAX_LINE: usize = 16 << 20;

/// Simulated sensors across France, or a file's lines, sent to files, stdout or a Kafka topic.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArgs {
    /// Write one file a partition into this directory.
    #[arg(long, value_name = "DIR", conflicts_with = "topic")]
    pub files: Option<PathBuf>,
    /// Number of files; a sensor's readings all go to one.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub partitions: u32,
    /// Send to this topic, keyed by sensor. Without it and without --files: to stdout.
    #[arg(long)]
    pub topic: Option<String>,
    #[arg(long, default_value = "127.0.0.1:9092")]
    pub brokers: String,
    /// A property of librdkafka, as property=value; may be repeated.
    #[arg(short = 'X', value_name = "PROPERTY=VALUE")]
    pub property: Vec<String>,
    /// Send the lines of this file (.csv: the header goes with each; else one JSON value a line) instead of simulating.
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
    /// Field of the file's records that holds the key.
    #[arg(long, requires = "from_file")]
    pub key: Option<String>,
    /// Separator of a CSV file.
    #[arg(long, default_value = ";")]
    pub separator: char,
    /// Readings a second, sent in real time from now on. Without it: as fast as possible, of the time up to now.
    #[arg(long, value_parser = positive)]
    pub rate: Option<f64>,
    /// Equal seeds (and --start) give equal readings.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub sensors: u32,
    /// Readings in all. Without it: 100,000, or with --rate no end.
    #[arg(long)]
    pub readings: Option<u64>,
    /// Time of the first reading, such as 2026-03-01T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub start: Option<i64>,
    /// Seconds between two readings of a sensor (with --rate that follows from the rate).
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    pub interval: f64,
    /// Readings in a record: one is a JSON object, more are an array.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub per_record: u32,
    /// Mean delay of a record in seconds: what puts them out of order.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    pub disorder: f64,
    /// Share of records that arrive up to 36 hours late.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub late: f64,
    /// Share of records sent twice.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub duplicates: f64,
    /// Share of records that nobody can read.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub garbage: f64,
    /// Share of sensors that stand abroad.
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    pub abroad: f64,
}

/// What was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub counts: Counts,
    pub seconds: f64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { records, readings, abroad, duplicates, garbage } = self.counts;
        write!(f, "{records} records sent in {:.1} s", self.seconds)?;
        // A file's records are sent as they are, and nobody has counted what is in them.
        if readings == 0 {
            return Ok(());
        }
        write!(f, ": {readings} readings ({abroad} from abroad), ")?;
        write!(f, "{duplicates} records twice, {garbage} of garbage")
    }
}

pub async fn run(args: SimulateArgs) -> Result<Summary, SimulateError> {
    let begun = now();
    let mut output = match (&args.files, &args.topic) {
        (Some(dir), _) => Output::files(dir, args.partitions)?,
        (None, Some(topic)) => Output::Topic(super::kafka::Topic::open(&args.brokers, topic, &args.property)?),
        (None, None) => Output::stdout(),
    };
    let counts = match &args.from_file {
        Some(path) => copy(path, &args, &mut output).await?,
        None => simulate(&args, &mut output).await?,
    };
    output.finish().await?;
    Ok(Summary { counts, seconds: begun.elapsed().as_secs_f64() })
}

async fn simulate(args: &SimulateArgs, output: &mut Output) -> Result<Counts, SimulateError> {
    let settings = settings(args, chrono::Utc::now().timestamp_millis());
    let mut pace = args.rate.map(|_| Pace::new());
    let start_ms = settings.start_ms;
    let mut simulation = Simulation::new(settings);
    for emission in simulation.by_ref() {
        if let Some(pace) = &mut pace {
            pace.wait_until(Duration::from_millis((emission.arrival_ms - start_ms).unsigned_abs()), output).await?;
        }
        let key = format!("sensor-{:05}", emission.gateway);
        output.write(emission.gateway, &key, &emission.payload).await?;
    }
    Ok(simulation.counts())
}

/// `now_ms` is where a simulation without a rate ends, and one with a rate begins.
fn settings(args: &SimulateArgs, now_ms: i64) -> Settings {
    let readings = args.readings.unwrap_or(if args.rate.is_some() { u64::MAX } else { 100_000 });
    let interval = args.rate.map_or(args.interval, |rate| f64::from(args.sensors) / rate);
    let interval_ms = ((interval * 1_000.0) as i64).max(1);
    let rounds = readings.div_ceil(u64::from(args.sensors)).min(i64::MAX as u64) as i64;
    let first_ms = if args.rate.is_some() { now_ms } else { now_ms.saturating_sub(rounds.saturating_mul(interval_ms)) };
    Settings {
        seed: args.seed,
        sensors: args.sensors,
        readings,
        start_ms: args.start.unwrap_or(first_ms),
        interval_ms,
        per_record: args.per_record,
        disorder_ms: args.disorder * 1_000.0,
        late_share: args.late,
        duplicate_share: args.duplicates,
        garbage_share: args.garbage,
        abroad_share: args.abroad,
        ..Settings::default()
    }
}

/// Sends a file's lines, each a record.
async fn copy(path: &Path, args: &SimulateArgs, output: &mut Output) -> Result<Counts, SimulateError> {
    let file = File::open(path).map_err(SimulateError::file(path))?;
    let mut lines = BufReader::with_capacity(1 << 16, file);
    let mut shape = Shape::of(path, args, &mut lines)?;
    let mut pace = args.rate.map(|rate| (Pace::new(), rate));
    let (mut counts, mut line) = (Counts::default(), Vec::new());
    while read_line(&mut lines, &mut line, path)? {
        if line.is_empty() {
            continue;
        }
        if let Some((pace, rate)) = &mut pace {
            pace.wait_until(Duration::from_secs_f64(counts.records as f64 / *rate), output).await?;
        }
        let key = shape.key(&line);
        let sender = crc32fast::hash(key.as_bytes());
        output.write(sender, &key, shape.record(&line)).await?;
        counts.records += 1;
    }
    Ok(counts)
}

/// Reads one line, without its end; false at the file's.
fn read_line(lines: &mut impl BufRead, line: &mut Vec<u8>, path: &Path) -> Result<bool, SimulateError> {
    line.clear();
    let read = std::io::Read::take(&mut *lines, MAX_LINE as u64 + 1)
        .read_until(b'\n', line)
        .map_err(SimulateError::file(path))?;
    if line.len() > MAX_LINE {
        return Err(SimulateError::Arguments(format!(
            "{}: a line of more than 16 MiB is not a record",
            path.display()
        )));
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(read > 0)
}

/// How a file's lines become records, and where their key is.
enum Shape {
    Json { key: Option<String> },
    Csv { header: Vec<u8>, column: Option<usize>, separator: u8, record: Vec<u8> },
}

impl Shape {
    fn of(path: &Path, args: &SimulateArgs, lines: &mut impl BufRead) -> Result<Shape, SimulateError> {
        if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("csv")) {
            return Ok(Shape::Json { key: args.key.clone() });
        }
        if args.files.is_some() {
            let message =
                "--from-file with a CSV file goes to a topic; to read it as it is, name it in the stream's `files`";
            return Err(SimulateError::Arguments(message.to_owned()));
        }
        let separator = u8::try_from(args.separator).map_err(|_| {
            SimulateError::Arguments(format!("--separator {:?}: expected one ASCII character", args.separator))
        })?;
        let mut header = Vec::new();
        read_line(lines, &mut header, path)?;
        let columns = fields(&header, separator);
        let position = |key: &String| {
            let found = columns.iter().position(|column| column == key);
            found.ok_or_else(|| {
                SimulateError::Arguments(format!(
                    "--key {key:?}: no such column in {}; it has {}",
                    path.display(),
                    columns.join(", ")
                ))
            })
        };
        let column = args.key.as_ref().map(position).transpose()?;
        Ok(Shape::Csv { header, column, separator, record: Vec::new() })
    }

    /// The record's key; empty where it has none.
    fn key(&self, line: &[u8]) -> String {
        match self {
            Shape::Csv { column: Some(column), separator, .. } => {
                fields(line, *separator).into_iter().nth(*column).unwrap_or_default()
            }
            Shape::Json { key: Some(key) } => match serde_json::from_slice::<serde_json::Value>(line) {
                Ok(value) => {
                    value.get(key).map_or(String::new(), |key| key.as_str().map_or(key.to_string(), str::to_owned))
                }
                Err(_) => String::new(),
            },
            _ => String::new(),
        }
    }

    /// A line of CSV means nothing without its header.
    fn record<'a>(&'a mut self, line: &'a [u8]) -> &'a [u8] {
        match self {
            Shape::Json { .. } => line,
            Shape::Csv { header, record, .. } => {
                record.clear();
                record.extend_from_slice(header);
                record.push(b'\n');
                record.extend_from_slice(line);
                record
            }
        }
    }
}

fn fields(line: &[u8], separator: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(line);
    let mut record = csv::ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => record.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect(),
        _ => Vec::new(),
    }
}

/// Sends at a pace: sleeps where it is ahead.
struct Pace {
    begun: Instant,
}

impl Pace {
    fn new() -> Pace {
        Pace { begun: now() }
    }

    /// Shorter waits are not worth a sleep: the clock's grain is a millisecond.
    const GRAIN: Duration = Duration::from_millis(2);

    async fn wait_until(&mut self, due: Duration, output: &mut Output) -> Result<(), SimulateError> {
        let ahead = due.saturating_sub(self.begun.elapsed());
        if ahead > Pace::GRAIN {
            output.flush()?;
            tokio::time::sleep(ahead).await;
        }
        Ok(())
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.001..=1e9).contains(number));
    number.ok_or_else(|| "expected a number between 0.001 and 1e9, such as 100".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1e9).contains(number));
    number.ok_or_else(|| "expected seconds, such as 5".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "expected a share between 0 and 1, such as 0.01".to_owned())
}

fn instant(text: &str) -> Result<i64, String> {
    let time = chrono::DateTime::parse_from_rfc3339(text);
    time.map(|time| time.timestamp_millis()).map_err(|_| "expected a time such as 2026-03-01T00:00:00Z".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "simulated sensors send in real time")]
fn now() -> Instant {
    Instant::now()
}
