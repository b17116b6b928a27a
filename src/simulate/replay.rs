//! `etiage simulate replay`: the rows of a CSV file, or the lines of a JSON one, sent as they once happened
//! or n times faster. Rows are taken as they are: what cannot be read is for the engine to judge.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::watch;

use super::output::Output;
use super::pace::Pace;
use super::run::shown;
use super::{Format, ReplayArgs, SimulateError};

/// A longer row is not a reading.
const MAX_ROW: usize = 16 << 20;

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Replayed {
    pub records: u64,
    /// Of those, sent at once because nobody knows when they happened.
    pub timeless: u64,
    pub seconds: f64,
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records sent in {:.1} s", self.records, self.seconds)?;
        if self.timeless > 0 {
            write!(f, ", {} of them without a time that can be read", self.timeless)?;
        }
        Ok(())
    }
}

/// Sends until everything is sent, or `stop` turns true, or nobody reads any more.
pub async fn replay(args: ReplayArgs, stop: watch::Receiver<bool>) -> Result<Replayed, SimulateError> {
    if args.speed > 0.0 && args.time.is_none() {
        let what = "--speed goes by the rows' own times: --time names their column";
        return Err(SimulateError::Arguments(what.to_owned()));
    }
    let file = File::open(&args.file).map_err(SimulateError::file(&args.file))?;
    let mut rows = Rows { lines: BufReader::with_capacity(1 << 16, file), path: &args.file, separator: None };
    let shape = Shape::of(&args, &mut rows)?;
    let mut pace = Pace::new(stop);
    let mut output = Output::open(&args.to, shape.header()).await?;
    let mut replayed = Replayed::default();
    let sent = match send(&args, &shape, &mut rows, &mut pace, &mut output, &mut replayed).await {
        Ok(()) => output.finish(pace.stopped()).await,
        Err(error) => Err(error),
    };
    replayed.seconds = pace.elapsed().as_secs_f64();
    match sent {
        Err(error) if !error.is_closed_pipe() => Err(error),
        _ => Ok(replayed),
    }
}

async fn send(
    args: &ReplayArgs,
    shape: &Shape,
    rows: &mut Rows<'_, impl BufRead>,
    pace: &mut Pace,
    output: &mut Output,
    replayed: &mut Replayed,
) -> Result<(), SimulateError> {
    let (mut row, mut first_ms, mut last_ms) = (Vec::new(), None, i64::MIN);
    while !pace.stopped() && rows.next(&mut row)? {
        let Picked { time, key, record } = shape.pick(&row, args);
        match time.as_deref().map(written_time) {
            Some(Some(time_ms)) => {
                // A row that is older than one before it comes late, as it did then.
                last_ms = last_ms.max(time_ms);
                let since_ms = last_ms.saturating_sub(*first_ms.get_or_insert(time_ms)).max(0);
                if args.speed > 0.0 {
                    let due =
                        Duration::try_from_secs_f64(since_ms as f64 / 1_000.0 / args.speed).unwrap_or(Duration::MAX);
                    pace.wait_until(due, output, || shown(last_ms)).await?;
                }
            }
            Some(None) => replayed.timeless += 1,
            None => {}
        }
        let sender = crc32fast::hash(key.as_bytes());
        if pace.stopped() || !output.write(sender, &key, &record, || pace.stopped()).await? {
            return Ok(());
        }
        replayed.records += 1;
        pace.count(|| if first_ms.is_some() { shown(last_ms) } else { "an unknown time".to_owned() });
    }
    Ok(())
}

/// A file's rows: lines, but that those of CSV may hold line ends within quotes.
struct Rows<'a, R> {
    lines: R,
    path: &'a Path,
    /// Of CSV.
    separator: Option<u8>,
}

impl<R: BufRead> Rows<'_, R> {
    /// The next row that is not empty, without its line end; false at the file's end.
    fn next(&mut self, row: &mut Vec<u8>) -> Result<bool, SimulateError> {
        loop {
            row.clear();
            if !self.line(row)? {
                return Ok(false);
            }
            if let Some(separator) = self.separator {
                while is_open(row, separator) && self.line(row)? {}
            }
            while row.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                row.pop();
            }
            if !row.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Appends one line, its end included.
    fn line(&mut self, row: &mut Vec<u8>) -> Result<bool, SimulateError> {
        let room = (MAX_ROW + 1).saturating_sub(row.len()) as u64;
        let read = (&mut self.lines).take(room).read_until(b'\n', row).map_err(SimulateError::file(self.path))?;
        if row.len() > MAX_ROW {
            return Err(SimulateError::Arguments(format!(
                "{}: a row of more than 16 MiB is no reading: is a quote left open?",
                self.path.display()
            )));
        }
        Ok(read > 0)
    }
}

/// A quoted cell has begun and not ended. (A quote opens a cell only where the cell begins.)
fn is_open(row: &[u8], separator: u8) -> bool {
    let (mut quoted, mut begins) = (false, true);
    for &byte in row {
        let counts = byte == b'"' && (quoted || begins);
        quoted ^= counts;
        // A doubled quote within a cell closes it and opens it again.
        begins = !quoted && (byte == separator || counts);
    }
    quoted
}

/// What the file's rows are, and where in them the time and the key stand.
enum Shape {
    Json,
    Csv { header: Vec<u8>, columns: Vec<String>, separator: u8, time: Option<usize>, key: Option<usize>, objects: bool },
}

struct Picked<'a> {
    time: Option<String>,
    /// Empty where it has none.
    key: String,
    record: std::borrow::Cow<'a, [u8]>,
}

impl Shape {
    fn of(args: &ReplayArgs, rows: &mut Rows<'_, impl BufRead>) -> Result<Shape, SimulateError> {
        let is_csv = args.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        if !is_csv {
            return match args.format {
                Some(Format::Csv) => Err(SimulateError::Arguments(format!(
                    "--format csv: {} is no .csv file, so its lines are sent as the JSON that they are",
                    args.file.display()
                ))),
                _ => Ok(Shape::Json),
            };
        }
        let mut header = Vec::new();
        if !rows.next(&mut header)? {
            return Err(SimulateError::Arguments(format!("{}: no header line in it", args.file.display())));
        }
        let header = header.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&header).to_vec();
        let separator = args.separator.unwrap_or_else(|| likely_separator(&header));
        rows.separator = Some(separator);
        let columns: Vec<String> = cells(&header, separator).iter().map(|name| name.trim().to_owned()).collect();
        let column = |option: &str, name: &Option<String>| match name {
            None => Ok(None),
            Some(name) => columns.iter().position(|column| column == name).map(Some).ok_or_else(|| {
                SimulateError::Arguments(format!(
                    "{option} {name:?}: no such column in {}; it has {}",
                    args.file.display(),
                    columns.join(", ")
                ))
            }),
        };
        let (time, key) = (column("--time", &args.time)?, column("--key", &args.key)?);
        let objects = args.format == Some(Format::Json);
        Ok(Shape::Csv { header, separator, time, key, objects, columns })
    }

    /// The line that each record of a topic opens with.
    fn header(&self) -> Option<&[u8]> {
        match self {
            Shape::Csv { header, objects: false, .. } => Some(header),
            _ => None,
        }
    }

    fn pick<'a>(&self, row: &'a [u8], args: &ReplayArgs) -> Picked<'a> {
        match self {
            Shape::Json => {
                let wanted = args.time.is_some() || args.key.is_some();
                let value = if wanted { serde_json::from_slice(row).ok() } else { None };
                let text = |name: &Option<String>| Some(member(value.as_ref(), name.as_deref()?));
                Picked { time: text(&args.time), key: text(&args.key).unwrap_or_default(), record: row.into() }
            }
            Shape::Csv { columns, separator, time, key, objects, .. } => {
                let cells =
                    if time.is_some() || key.is_some() || *objects { cells(row, *separator) } else { Vec::new() };
                let text = |at: &Option<usize>| Some(cells.get((*at)?).map_or("", |cell| cell.trim()).to_owned());
                let record = if *objects { object(columns, &cells).into() } else { row.into() };
                Picked { time: text(time), key: text(key).unwrap_or_default(), record }
            }
        }
    }
}

/// The text of an object's member, reached by a dotted path; empty where there is none.
fn member(value: Option<&serde_json::Value>, path: &str) -> String {
    let found = value.and_then(|value| path.split('.').try_fold(value, |value, key| value.get(key)));
    match found {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Of the usual separators, the one that the header has most of.
fn likely_separator(header: &[u8]) -> u8 {
    let count = |separator: u8| header.iter().filter(|byte| **byte == separator).count();
    // Of equally many the last one: a comma where there is nothing to separate.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|separator| count(*separator)).unwrap_or(b',')
}

fn cells(row: &[u8], separator: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(row);
    let mut record = csv::ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect(),
        _ => Vec::new(),
    }
}

/// A row as an object: numbers, `true`, `false` and `null` as they are written, anything else as a text. A cell
/// whose column has no name, or that is beyond the header, has no place in it.
fn object(columns: &[String], cells: &[String]) -> Vec<u8> {
    let mut text = Vec::new();
    for (column, cell) in columns.iter().zip(cells).filter(|(column, _)| !column.is_empty()) {
        text.push(if text.is_empty() { b'{' } else { b',' });
        // A text always has a form in JSON.
        text.extend(serde_json::to_vec(column).unwrap_or_default());
        text.push(b':');
        let bare = cell.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | 't' | 'f' | 'n'))
            && serde_json::from_str::<&RawValue>(cell).is_ok();
        match bare {
            true => text.extend_from_slice(cell.trim_end().as_bytes()),
            false => text.extend(serde_json::to_vec(cell).unwrap_or_default()),
        }
    }
    if text.is_empty() {
        text.push(b'{');
    }
    text.push(b'}');
    text
}

/// A time as readings write it: RFC 3339; `2019-02-19 14:02:10`, with ` UTC` or without; `20190219140210`;
/// seconds, ms, µs or ns since the epoch, by their number of digits.
fn written_time(text: &str) -> Option<i64> {
    use chrono::{DateTime, NaiveDateTime};
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let utc =
        |text: &str, format: &str| Some(NaiveDateTime::parse_from_str(text, format).ok()?.and_utc().timestamp_millis());
    match (digits, text.len()) {
        (true, 14) => utc(text, "%Y%m%d%H%M%S"),
        (true, 9..=11) => text.parse::<i64>().ok()?.checked_mul(1_000),
        (true, 12 | 13) => text.parse().ok(),
        (true, 15 | 16) => Some(text.parse::<i64>().ok()? / 1_000),
        (true, 18 | 19) => Some(text.parse::<i64>().ok()? / 1_000_000),
        (true, _) => None,
        (false, _) => match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Some(time.timestamp_millis()),
            Err(_) => {
                let text = text.strip_suffix(" UTC").unwrap_or(text);
                utc(text, "%Y-%m-%d %H:%M:%S%.f").or_else(|| utc(text, "%Y-%m-%dT%H:%M:%S%.f"))
            }
        },
    }
}

#[cfg(test)]
mod tests;
