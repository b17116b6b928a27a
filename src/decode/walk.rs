//! The walk over a batch: record by record, reading by reading.

use std::borrow::Cow;
use std::mem;
use std::ops::Range;
use std::str;

use super::arrow::Block;
use super::columns::ColumnsBuilder;
use super::compile::Compiled;
use super::csv::{self, CsvHeader};
use super::fields::Slot;
use super::json::{Scanner, is_blank};
use super::judge::{Measured, Tenant};
use super::others::OthersBuilder;
use super::plain::Ordinary;
use super::reject::{MAX_TEXT, Reject, clip};
use super::row::{RowEnd, Rows};
use super::shape::Shapes;
use super::time::Minutes;
use super::window::Windows;
use crate::config::Format;
use crate::reading::{Columns, RawBatch, RawRecord, Record, Rejection};

mod arrow;

pub struct Decoded {
    pub records: Vec<Record>,
    pub columns: Columns,
    pub rejections: Vec<Rejection>,
}

pub fn decode(compiled: &Compiled, header: Option<&CsvHeader>, raw: &RawBatch) -> Decoded {
    let is_table = compiled.format == Format::ArrowIpc;
    let mut walk = Walk {
        compiled,
        header,
        bytes: &raw.bytes,
        // (Tables are none.)
        text: Some(&raw.bytes).filter(|_| !is_table).and_then(|bytes| simdutf8::basic::from_utf8(bytes).ok()),
        windows: Windows::new(&raw.bytes),
        slots: vec![Slot::Absent; compiled.judge.fields.len()],
        measured: vec![Measured::default(); compiled.judge.metrics.len()],
        minutes: Minutes::default(),
        shapes: Shapes::default(),
        ordinary: Ordinary::new(&compiled.judge),
        columns: compiled.columns(raw.records.len()),
        others: compiled.every_numeric.then(|| OthersBuilder::new(compiled.taken())),
        rest: Vec::new(),
        rejections: Vec::new(),
        last_header: None,
        last_table: None,
        block: Block::default(),
    };
    let records = raw.records.iter().map(|record| walk.record(record)).collect();
    let others = walk.others.map(OthersBuilder::finish).unwrap_or_default();
    Decoded { records, columns: walk.columns.finish(others), rejections: walk.rejections }
}

struct Walk<'a> {
    compiled: &'a Compiled,
    header: Option<&'a CsvHeader>,
    bytes: &'a [u8],
    /// The same, where all of it is text: then no record needs to be looked at for that.
    text: Option<&'a str>,
    windows: Windows<'a>,
    /// Scratch: the fields and the metrics of the reading at hand.
    slots: Vec<Slot<'a>>,
    measured: Vec<Measured>,
    minutes: Minutes,
    shapes: Shapes,
    ordinary: Ordinary<'a>,
    columns: ColumnsBuilder,
    /// Where the stream takes numbers that it does not name; and scratch for cells without a slot.
    others: Option<OthersBuilder<'a>>,
    rest: Vec<(usize, Cow<'a, str>)>,
    rejections: Vec<Rejection>,
    /// The records of a topic mostly open with the same header.
    last_header: Option<(&'a str, CsvHeader)>,
    /// And with the same schema.
    last_table: Option<(&'a [u8], arrow::Found)>,
    /// Scratch: rows of a table.
    block: Block<'a>,
}

/// The record at hand.
struct Place<'r> {
    record: &'r RawRecord,
    /// Where its payload lies in the batch's buffer.
    start: usize,
    /// Index of the next reading.
    index: u32,
}

impl<'a> Walk<'a> {
    fn record(&mut self, record: &RawRecord) -> Record {
        let (row, rejection) = (self.columns.len(), self.rejections.len());
        if let Err(reject) = self.payload(record) {
            // Nothing is kept of a record that turned out broken half-way.
            self.columns.truncate(row);
            self.others.iter_mut().for_each(|others| others.truncate(row));
            self.rejections.truncate(rejection);
            let text = record.payload.clone().unwrap_or_default();
            self.rejections.push(Rejection { offset: record.offset, index: 0, reject, text });
        }
        Record {
            offset: record.offset,
            readings: row as u32..self.columns.len() as u32,
            rejected: (self.rejections.len() - rejection) as u32,
        }
    }

    /// Fails where the record cannot be split into readings.
    fn payload(&mut self, record: &RawRecord) -> Result<(), Reject> {
        let range = record.payload.as_ref().ok_or(Reject::Tombstone)?;
        let payload = &self.bytes[range.start as usize..range.end as usize];
        if payload.len() > self.compiled.max_record {
            return Err(Reject::TooLarge { bytes: payload.len(), limit: self.compiled.max_record });
        }
        let first = payload.iter().find(|byte| !byte.is_ascii_whitespace()).ok_or(Reject::Empty)?;
        let mut place = Place { record, start: range.start as usize, index: 0 };
        match self.compiled.format {
            Format::Json if *first == b'[' => self.json_array(&mut place, payload),
            Format::Json => self.json_object(&mut place, payload, 0),
            Format::JsonArray => self.json_array(&mut place, payload),
            Format::Ndjson => {
                self.json_lines(&mut place, payload);
                Ok(())
            }
            Format::Csv => self.csv(&mut place, payload),
            Format::ArrowIpc => self.table(&mut place, payload),
        }
    }

    /// One object, at `start` of the payload. Fails where the text is not exactly that.
    #[inline(always)]
    fn json_object(&mut self, place: &mut Place<'_>, text: &'a [u8], start: usize) -> Result<(), Reject> {
        let text = self.utf8(place.start + start, text)?;
        let from = text.bytes().take_while(|byte| is_blank(*byte)).count();
        if let Some(length) = self.ordinary(&text[from..], place.start + start + from, place, 1)
            && text.as_bytes()[from + length..].iter().all(|byte| is_blank(*byte))
        {
            self.ordinary_reading(place, start + from..start + from + length);
            return Ok(());
        }
        self.any_object(place, text, start)
    }

    fn any_object(&mut self, place: &mut Place<'_>, text: &'a str, start: usize) -> Result<(), Reject> {
        let mut scanner = Scanner::new(text);
        let from = scanner.at();
        if scanner.peek() != b'{' {
            scanner.skip(0)?;
            scanner.end()?;
            return Err(Reject::NotAnObject { value: clip(text.trim_ascii()) });
        }
        self.fields(&mut scanner, place.start + start, 1)?;
        let to = scanner.at();
        scanner.end()?;
        self.numbers(&text[from..to]);
        self.reading(place, start + from..start + to);
        Ok(())
    }

    fn json_array(&mut self, place: &mut Place<'_>, payload: &'a [u8]) -> Result<(), Reject> {
        let text = self.utf8(place.start, payload)?;
        let mut scanner = Scanner::new(text);
        if !scanner.take(b'[') {
            scanner.skip(0)?;
            scanner.end()?;
            return Err(Reject::NotAnArray { value: clip(text.trim_ascii()) });
        }
        if scanner.take(b']') {
            return scanner.end();
        }
        loop {
            self.json_element(place, &mut scanner, text)?;
            scanner.blanks();
            if scanner.take(b']') {
                return scanner.end();
            }
            if !scanner.take(b',') {
                return scanner.fault("',' or ']'");
            }
        }
    }

    fn json_element(&mut self, place: &mut Place<'_>, scanner: &mut Scanner<'a>, text: &'a str) -> Result<(), Reject> {
        let from = scanner.at();
        if let Some(length) = self.ordinary(&text[from..], place.start + from, place, 2) {
            scanner.go_to(from + length);
            self.ordinary_reading(place, from..from + length);
        } else if scanner.peek() == b'{' {
            self.fields(scanner, place.start, 2)?;
            self.numbers(&text[from..scanner.at()]);
            self.reading(place, from..scanner.at());
        } else {
            scanner.skip(1)?;
            let value = clip(&text[from..scanner.at()]);
            self.refuse(place, Reject::NotAnObject { value }, from..scanner.at());
        }
        Ok(())
    }

    /// Takes the object that a text begins with, if it is an ordinary reading: where it ends. The text lies at `base` of the batch's.
    #[inline(always)]
    fn ordinary(&mut self, text: &'a str, base: usize, place: &Place<'_>, depth: u32) -> Option<usize> {
        let judge = &self.compiled.judge;
        let window = self.windows.at(base, base + text.len());
        self.ordinary.last_ms = judge.last_ms(place.record.timestamp_ms);
        self.shapes.ordinary(&mut self.ordinary, &window, text, judge, &mut self.minutes, depth)
    }

    /// Takes the object that comes next into the slots. The scanner's text lies at `base` of the batch's.
    fn fields(&mut self, scanner: &mut Scanner<'a>, base: usize, depth: u32) -> Result<(), Reject> {
        let from = scanner.at();
        let text = &scanner.text()[from..];
        let window = self.windows.at(base + from, base + scanner.text().len());
        if let Some(end) = self.shapes.read(&window, text, &mut self.slots, depth) {
            scanner.go_to(from + end);
            return Ok(());
        }
        self.forget_fields();
        let compiled = self.compiled;
        scanner.object(Some(&compiled.tree), &mut self.slots, depth)?;
        let object = &scanner.text()[from..scanner.at()];
        self.shapes.missed(object, &compiled.tree, self.slots.len(), compiled.plan.as_ref());
        Ok(())
    }

    fn json_lines(&mut self, place: &mut Place<'_>, payload: &'a [u8]) {
        let mut start = 0;
        for line in payload.split(|&byte| byte == b'\n') {
            if !line.trim_ascii().is_empty()
                && let Err(reject) = self.json_object(place, line, start)
            {
                self.refuse(place, reject, start..start + line.len());
            }
            start += line.len() + 1;
        }
    }

    fn csv(&mut self, place: &mut Place<'_>, payload: &'a [u8]) -> Result<(), Reject> {
        if let Some(header) = self.header {
            self.csv_rows(place, payload, 0, header);
            return Ok(());
        }
        // Before the header a byte-order mark may stand, and empty lines.
        let mut start = if payload.starts_with("\u{feff}".as_bytes()) { "\u{feff}".len() } else { 0 };
        let mut line: &[u8] = &[];
        while line.is_empty() {
            if payload[start..].trim_ascii().is_empty() {
                return Err(Reject::Empty);
            }
            let (row, length) = csv::first_row(&payload[start..], self.compiled.separator);
            (line, start) = (row, start + length);
        }
        let line = utf8(line)?;
        // Taken out, so that the rows may borrow it beside the scratch.
        let (line, header) = match self.last_header.take() {
            Some((last, header)) if last == line => (line, header),
            _ => {
                let Compiled { separator, judge, plan, .. } = self.compiled;
                (line, CsvHeader::parse(line, *separator, &judge.fields, plan.as_ref())?)
            }
        };
        self.csv_rows(place, &payload[start..], start, &header);
        self.last_header = Some((line, header));
        Ok(())
    }

    /// `start`: where the rows lie in the payload.
    fn csv_rows(&mut self, place: &mut Place<'_>, mut rows: &'a [u8], mut start: usize, header: &CsvHeader) {
        let separator = self.compiled.separator;
        let first = start;
        // (Where all of them are text: else each is looked at for itself.)
        let text = self.utf8(place.start + start, rows).ok();
        while !rows.is_empty() {
            let text = text.and_then(|text| text.get(start - first..));
            if let Some(RowEnd { end, next }) = text.and_then(|text| self.ordinary_row(place, text, start, header)) {
                self.ordinary_reading(place, start..start + end);
                (rows, start) = (&rows[next..], start + next);
                continue;
            }
            let (row, length) = csv::first_row(rows, separator);
            let text = start..start + row.len();
            if !row.is_empty() {
                self.forget_fields();
                self.rest.clear();
                let row = self.utf8(place.start + start, row);
                let rest = self.others.is_some().then_some(&mut self.rest);
                match row.and_then(|row| header.row(row, separator, &mut self.slots, rest)) {
                    Ok(()) => {
                        self.others.iter_mut().for_each(|others| others.find_csv(&header.names, &mut self.rest));
                        self.reading(place, text);
                    }
                    Err(reject) => self.refuse(place, reject, text),
                }
            }
            rows = &rows[length..];
            start += length;
        }
    }

    /// Takes the first of the rows that lie at `start` of the payload, if it is ordinary.
    #[inline(always)]
    fn ordinary_row(&mut self, place: &Place<'_>, text: &'a str, start: usize, header: &CsvHeader) -> Option<RowEnd> {
        let Compiled { judge, separator, .. } = self.compiled;
        let at = place.start + start;
        self.ordinary.last_ms = judge.last_ms(place.record.timestamp_ms);
        let rows = Rows { text, window: self.windows.at(at, at + text.len()), separator: *separator };
        self.ordinary.read_row(&header.uses, rows, judge, &mut self.minutes)
    }

    /// `bytes`, which lie at `at` of the batch's, as text.
    fn utf8(&self, at: usize, bytes: &'a [u8]) -> Result<&'a str, Reject> {
        match self.text.and_then(|text| text.get(at..at + bytes.len())) {
            Some(text) => Ok(text),
            None => utf8(bytes),
        }
    }

    /// The text beside a record's payload that names the tenant, where one does.
    fn aside(&self, record: &RawRecord) -> Option<&'a str> {
        let range = match &self.compiled.judge.tenant {
            Tenant::Key => record.key.as_ref()?,
            Tenant::Header { .. } => record.header.as_ref()?,
            Tenant::None | Tenant::Field(_) => return None,
        };
        // (Longer ones are no tenant's name. Each row of a table asks, and nobody bounds keys but us.)
        let range = Some(range.start as usize..range.end as usize).filter(|range| range.len() <= MAX_TEXT)?;
        self.utf8(range.start, &self.bytes[range]).ok()
    }

    fn forget_fields(&mut self) {
        self.slots.fill(Slot::Absent);
    }

    /// Finds the numbers that the stream does not name, where it takes them.
    fn numbers(&mut self, object: &'a str) {
        self.others.iter_mut().for_each(|others| others.find_json(object));
    }

    /// Of a filtered one nothing but its time counts.
    fn ordinary_reading(&mut self, place: &mut Place<'_>, text: Range<usize>) {
        let row = self.ordinary.row();
        let tenant = match &self.compiled.judge.tenant {
            Tenant::None => None,
            _ if row.filtered => None,
            Tenant::Field(_) => self.ordinary.tenant,
            _ => match self.compiled.judge.tenant(&[], self.aside(place.record)) {
                Ok(tenant) => tenant,
                Err(reject) => return self.refuse(place, reject, text),
            },
        };
        self.columns.push(&row, &self.ordinary.measured, place.index, place.text(text));
        let labels = self.ordinary.labels.iter().map(|label| label.filter(|_| !row.filtered));
        self.columns.push_texts(tenant, labels);
        place.index += 1;
    }

    /// Judges the reading whose fields are in the slots. Of a filtered one nothing but its time counts.
    fn reading(&mut self, place: &mut Place<'_>, text: Range<usize>) {
        let slots = mem::take(&mut self.slots);
        self.judged(place, &slots, text);
        self.slots = slots;
    }

    fn judged(&mut self, place: &mut Place<'_>, slots: &[Slot<'_>], text: Range<usize>) {
        let judge = &self.compiled.judge;
        let row = match judge.judge(slots, place.record.timestamp_ms, &mut self.minutes, &mut self.measured) {
            Ok(row) => row,
            Err(reject) => return self.refuse(place, reject, text),
        };
        let tenant = match judge.tenant(slots, self.aside(place.record)) {
            _ if row.filtered => None,
            Ok(tenant) => tenant,
            Err(reject) => return self.refuse(place, reject, text),
        };
        self.columns.push(&row, &self.measured, place.index, place.text(text));
        let labels = judge.labels.iter().map(|label| judge.label(*label, slots).filter(|_| !row.filtered));
        self.columns.push_texts(tenant, labels);
        self.others.iter_mut().for_each(|others| others.end_row(judge, slots, row.filtered));
        place.index += 1;
    }

    fn refuse(&mut self, place: &mut Place<'_>, reject: Reject, text: Range<usize>) {
        let rejection = Rejection { offset: place.record.offset, index: place.index, reject, text: place.text(text) };
        self.rejections.push(rejection);
        place.index += 1;
    }
}

impl Place<'_> {
    /// A range of the payload as a range of the batch's buffer (which holds at most 4 GiB).
    fn text(&self, range: Range<usize>) -> Range<u32> {
        (self.start + range.start) as u32..(self.start + range.end) as u32
    }
}

fn utf8(text: &[u8]) -> Result<&str, Reject> {
    str::from_utf8(text).map_err(|error| Reject::NotUtf8 { at: error.valid_up_to() })
}
