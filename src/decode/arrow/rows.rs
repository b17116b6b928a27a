//! The text of a reading, for people and for the topics of rejected and late ones: where it lies in the batch, or, of a
//! row of a table, written as a JSON object when somebody asks for it. Most rows are never asked for: written while they
//! are decoded, all of them would cost more than the decoding. The table at hand is kept, so that its next row costs no more than the writing.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

use super::number::Habit;
use super::schema::Kind;
use super::{Batch, Cell, Column, Content, Dictionaries, Messages, Schema};
use crate::reading::Batch as Readings;

/// The texts of a record's rows have so many times its bytes, all together, or [`LEAST_TEXT`] each: a text or a name
/// that a row shares with all others stands in each one's.
const SHARE: usize = 32;
const LEAST_TEXT: usize = 512;

pub struct Texts<'a> {
    batch: &'a Readings,
    table: Option<(Range<u32>, Table<'a>)>,
}

impl<'a> Texts<'a> {
    pub fn new(batch: &'a Readings) -> Texts<'a> {
        Texts { batch, table: None }
    }

    /// The text of a reading that lies there, `index` in its record; or of a whole record. A row's that is longer than `limit`, or
    /// than its share of the record's, is cut somewhere behind that.
    pub fn text(&mut self, lies: &Range<u32>, index: Option<u32>, limit: usize) -> Cow<'a, [u8]> {
        let batch = self.batch;
        let whole = &batch.raw.bytes[lies.start as usize..lies.end as usize];
        let Some(index) = index.filter(|_| batch.tables) else { return whole.into() };
        if self.table.as_ref().is_none_or(|(of, _)| of != lies) {
            self.table = Some((lies.clone(), Table::open(whole)));
        }
        let row = self.table.as_ref().and_then(|(_, table)| {
            let share = (SHARE * whole.len() / table.rows().max(1)).max(LEAST_TEXT);
            table.row(index as usize, limit.min(share))
        });
        row.map_or(whole.into(), |text| text.into_bytes().into())
    }
}

/// All columns of a record. What is broken in those that nobody asked for when it was decoded is null.
#[derive(Default)]
struct Table<'a> {
    schema: Schema,
    /// The row after the last one, and every column.
    batches: Vec<(usize, Vec<Option<Column<'a>>>)>,
}

impl<'a> Table<'a> {
    fn open(payload: &'a [u8]) -> Table<'a> {
        let Ok((mut messages, first)) = Messages::open(payload) else { return Table::default() };
        let mut table = Table { schema: Schema::read(&first).unwrap_or_default(), batches: Vec::new() };
        table.schema.leave_out_others();
        let schema = &table.schema;
        let dictionaries: Vec<i64> = schema.columns.iter().filter_map(|field| Some(field.dictionary?.0)).collect();
        let (mut known, mut end) = (Dictionaries::default(), 0usize);
        while let Ok(Some(message)) = messages.next() {
            match &message.content {
                Content::Dictionary(dictionary) => {
                    let _ = known.take(schema, &dictionaries, &message, dictionary);
                }
                Content::Batch(batch) => {
                    let Ok(batch) = Batch::open(schema.parts, &message, batch) else { break };
                    let column = |column| batch.column(schema, column, &known).ok();
                    end = end.saturating_add(batch.rows);
                    table.batches.push((end, (0..schema.columns.len()).map(column).collect()));
                }
            }
        }
        table
    }

    fn rows(&self) -> usize {
        self.batches.last().map_or(0, |(end, _)| *end)
    }

    fn row(&self, row: usize, limit: usize) -> Option<String> {
        let at = self.batches.partition_point(|(end, _)| *end <= row);
        let (_, columns) = self.batches.get(at)?;
        let start = if at == 0 { 0 } else { self.batches[at - 1].0 };
        let mut line = Line { schema: &self.schema, columns, row: row - start, limit, text: String::new() };
        line.object(&self.schema.roots);
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
