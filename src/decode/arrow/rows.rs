//! The text of a reading, for people and for the topics of rejected and late ones: where it lies in the batch, or, of a
//! row of a table, written as a JSON object when somebody asks for it. Most rows are never asked for: written while they
//! are decoded, all of them would cost more than the decoding. The table at hand is kept, so that its next row costs no more than the writing.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;

use super::number::Habit;
use super::schema::Kind;
use super::{Batch, Cell, Column, Content, Dictionaries, Messages, Schema};
use crate::reading::Batch as Readings;

/// The texts of a record's rows have so many times its bytes, all together, or [`LEAST_TEXT`] each: a text or a name
/// that a row shares with all others stands in each one's.
const SHARE: usize = 32;
const LEAST_TEXT: usize = 256;

pub struct Texts<'a> {
    batch: &'a Readings,
    table: Option<(Range<u32>, Table<'a>)>,
}

/// The text of a reading.
pub struct Text<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// It goes on.
    pub is_cut: bool,
}

impl<'a> Texts<'a> {
    pub fn new(batch: &'a Readings) -> Texts<'a> {
        Texts { batch, table: None }
    }

    /// The text of a reading that lies there, `index` in its record; or of a whole record. A row's is cut where it is longer
    /// than `limit`, or than its share of the record's.
    pub fn text(&mut self, lies: &Range<u32>, index: Option<u32>, limit: usize) -> Text<'a> {
        let batch = self.batch;
        let whole = &batch.raw.bytes[lies.start as usize..lies.end as usize];
        let all = Text { bytes: whole.into(), is_cut: false };
        let Some(index) = index.filter(|_| batch.tables) else { return all };
        if self.table.as_ref().is_none_or(|(of, _)| of != lies) {
            self.table = Some((lies.clone(), Table::open(whole)));
        }
        let Some((_, table)) = &mut self.table else { return all };
        let limit = limit.min((SHARE * whole.len() / table.rows.max(1)).max(LEAST_TEXT));
        let Some(mut text) = table.row(index as usize, limit) else { return all };
        let is_cut = text.len() > limit;
        let end = if is_cut { (0..=limit).rev().find(|end| text.is_char_boundary(*end)) } else { None };
        text.truncate(end.unwrap_or(text.len()));
        Text { bytes: text.into_bytes().into(), is_cut }
    }
}

/// The rows of a record, one batch at a time: mostly they are asked for in order.
struct Table<'a> {
    payload: &'a [u8],
    schema: Schema,
    dictionaries: BTreeSet<i64>,
    /// Of all batches.
    rows: usize,
    /// What comes after the batch at hand, if anything is left.
    rest: Option<Messages<'a>>,
    known: Dictionaries<'a>,
    /// The rows of the batch at hand, and all of its columns; what is broken in those that nobody asked for when it was
    /// decoded is null.
    at_hand: Range<usize>,
    columns: Vec<Option<Column<'a>>>,
}

impl<'a> Table<'a> {
    fn open(payload: &'a [u8]) -> Table<'a> {
        let opened = Messages::open(payload).ok();
        let mut schema = opened.as_ref().and_then(|(_, first)| Schema::read(first).ok()).unwrap_or_default();
        schema.leave_out_others();
        let (mut messages, mut rows) = (opened.map(|(messages, _)| messages), 0usize);
        while let Some(Ok(Some(message))) = messages.as_mut().map(Messages::next) {
            if let Content::Batch(batch) = &message.content {
                rows = rows.saturating_add(usize::try_from(batch.length()).unwrap_or(0));
            }
        }
        let dictionaries = schema.dictionaries.keys().copied().collect();
        let mut table = Table {
            payload,
            schema,
            dictionaries,
            rows,
            rest: None,
            known: Dictionaries::default(),
            at_hand: 0..0,
            columns: Vec::new(),
        };
        table.begin();
        table
    }

    fn begin(&mut self) {
        self.rest = Messages::open(self.payload).ok().map(|(messages, _)| messages);
        (self.known, self.at_hand, self.columns) = (Dictionaries::default(), 0..0, Vec::new());
    }

    /// Goes on to the next message; `None` where there is none.
    fn next(&mut self) -> Option<()> {
        // (A dictionary that grows is not copied where nobody holds it.)
        self.columns.clear();
        let message = self.rest.as_mut()?.next().ok()??;
        match &message.content {
            Content::Dictionary(dictionary) => {
                let _ = self.known.take(&self.schema, &self.dictionaries, &message, dictionary);
            }
            Content::Batch(batch) => {
                let batch = Batch::open(self.schema.parts, &message, batch).ok()?;
                let column = |column| batch.bare_column(&self.schema, column, &self.known).ok();
                self.columns = (0..self.schema.columns.len()).map(column).collect();
                self.at_hand = self.at_hand.end..self.at_hand.end.saturating_add(batch.rows);
            }
        }
        Some(())
    }

    /// The row's text, or more of it than the limit.
    fn row(&mut self, row: usize, limit: usize) -> Option<String> {
        if row < self.at_hand.start {
            self.begin();
        }
        while row >= self.at_hand.end || self.columns.is_empty() {
            self.next()?;
        }
        let (schema, columns) = (&self.schema, self.columns.as_slice());
        let mut line = Line { schema, columns, row: row - self.at_hand.start, limit, text: String::new() };
        line.object(&schema.roots);
        Some(line.text)
    }
}

struct Line<'t, 'a> {
    schema: &'t Schema,
    columns: &'t [Option<Column<'a>>],
    row: usize,
    limit: usize,
    text: String,
}

impl Line<'_, '_> {
    fn object(&mut self, members: &[usize]) {
        let mut before = '{';
        for &member in members {
            if self.text.len() > self.limit {
                return;
            }
            let field = &self.schema.columns[member];
            let cell = self.columns[member].as_ref().and_then(|column| column.cell(self.row).ok());
            self.text.push(before);
            before = ',';
            self.quoted(&field.name);
            self.text.push(':');
            match cell {
                Some(Cell::Other(_)) if field.kind == Kind::Struct => self.object(&field.within),
                cell => self.value(cell.unwrap_or(Cell::Null)),
            }
        }
        self.text.push_str(if before == '{' { "{}" } else { "}" });
    }

    fn value(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Null | Cell::Other(_) => self.text.push_str("null"),
            Cell::Bool(value) => self.text.push_str(if value { "true" } else { "false" }),
            Cell::Number(number) => {
                let written = number.write(&mut self.text, &mut Habit::default());
                if let super::Written::NotANumber(name) = written {
                    self.quoted(name);
                }
            }
            Cell::Text(text) => self.quoted(text),
            Cell::Time(stamp) => {
                // Writing to a string does not fail.
                let _ = write!(self.text, "\"{stamp}\"");
            }
        }
    }

    /// As much of it as the limit lets be of use.
    fn quoted(&mut self, text: &str) {
        let room = self.limit.saturating_sub(self.text.len());
        let end = (room..text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
        self.text.push_str(&serde_json::Value::from(&text[..end]).to_string());
    }
}
