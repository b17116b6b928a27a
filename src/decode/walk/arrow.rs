//! Tables: a record is a stream of Arrow's IPC format, each row of its batches a reading.

use std::collections::BTreeSet;
use std::mem;

use super::{Place, Slot, Walk};
use crate::decode::arrow::{
    Batch, Cell, Column, Content, Dictionaries, Habit, LEAST_ROW, Messages, Schema, Written, malformed,
};
use crate::decode::reject::Reject;

/// Bytes of a text that is a field's value, at most.
const MAX_TEXT: usize = 512;

/// Rows whose slots are filled at once, a column after the other.
const ROWS: usize = 128;

/// A schema, and where in it the stream's fields are.
pub(super) struct Found {
    schema: Schema,
    /// A slot, and its column.
    fields: Vec<(usize, usize)>,
    /// Columns of numbers that the stream does not name, with their metrics.
    others: Vec<(usize, Option<u32>)>,
    /// The dictionaries of all of them.
    dictionaries: BTreeSet<i64>,
    habits: Vec<Habit>,
    /// Scratch: numbers as text, a column after the other.
    texts: String,
    written: Vec<Written>,
}

/// The columns of a batch that are asked for.
struct Asked<'a> {
    rows: usize,
    /// First those that fill slots.
    columns: Vec<Column<'a>>,
}

impl<'a> Walk<'a> {
    pub(super) fn table(&mut self, place: &mut Place<'_>, payload: &'a [u8]) -> Result<(), Reject> {
        let (mut messages, first) = Messages::open(payload)?;
        // Taken out, so that the rows may borrow it beside the scratch.
        let mut found = match self.last_table.take() {
            Some((last, found)) if last == first.metadata => found,
            _ => self.find(Schema::read(&first)?),
        };
        let mut known = Dictionaries::default();
        let mut room = payload.len() / LEAST_ROW;
        while let Some(message) = messages.next()? {
            match &message.content {
                Content::Dictionary(dictionary) => {
                    known.take(&found.schema, &found.dictionaries, &message, dictionary)?;
                }
                Content::Batch(batch) => {
                    let batch = Batch::open(found.schema.parts, &message, batch)?;
                    let left = room.checked_sub(batch.rows);
                    room = left.ok_or(malformed(message.at, "at most one row for every two bytes of the record"))?;
                    let columns = found.columns().map(|column| batch.column(&found.schema, column, &known));
                    let asked = Asked { rows: batch.rows, columns: columns.collect::<Result<_, _>>()? };
                    self.rows(place, payload.len(), &mut found, &asked)?;
                }
            }
        }
        self.last_table = Some((first.metadata, found));
        Ok(())
    }

    /// Looks for the stream's fields.
    fn find(&mut self, schema: Schema) -> Found {
        let paths = self.compiled.judge.fields.paths().enumerate();
        let fields: Vec<_> = paths.filter_map(|(slot, path)| Some((slot, schema.find(path)?))).collect();
        let others = self.others.as_mut().map(|others| others.columns(schema.numeric())).unwrap_or_default();
        let mut found = Found {
            habits: vec![Habit::default(); fields.len() + others.len()],
            schema,
            fields,
            others,
            dictionaries: BTreeSet::new(),
            texts: String::new(),
            written: Vec::new(),
        };
        let dictionary = |column: usize| found.schema.columns[column].dictionary.map(|(id, _)| id);
        found.dictionaries = found.columns().filter_map(dictionary).collect();
        found
    }

    fn rows(
        &mut self,
        place: &mut Place<'_>,
        length: usize,
        found: &mut Found,
        asked: &Asked<'_>,
    ) -> Result<(), Reject> {
        let width = self.slots.len();
        for start in (0..asked.rows).step_by(ROWS) {
            let rows = ROWS.min(asked.rows - start);
            found.write_numbers(asked, start, rows)?;
            let texts = mem::take(&mut found.texts);
            let mut slots = vec![Slot::Absent; rows * width];
            let mut written = found.written.chunks_exact(rows);
            for (&(slot, column), values) in found.fields.iter().zip(&asked.columns) {
                let places = slots[slot..].iter_mut().step_by(width);
                if found.schema.columns[column].kind.is_numeric() {
                    let numbers = written.next().unwrap_or_default();
                    places.zip(numbers).for_each(|(place, number)| *place = number.slot(&texts));
                } else {
                    for (row, place) in places.enumerate() {
                        *place = slot_of(values.cell(start + row)?);
                    }
                }
            }
            let others: Vec<&[Written]> = written.collect();
            for row in 0..rows {
                if let Some(builder) = &mut self.others {
                    builder.begin_row();
                    let numbers = found.others.iter().zip(&others);
                    for (metric, text) in
                        numbers.filter_map(|((_, metric), all)| Some((metric, all[row].text(&texts)?)))
                    {
                        builder.add_column(&self.compiled.judge, *metric, text);
                    }
                }
                self.judged(place, &slots[row * width..(row + 1) * width], 0..length);
            }
            drop(slots);
            found.texts = texts;
        }
        Ok(())
    }
}

impl Found {
    fn columns(&self) -> impl Iterator<Item = usize> {
        columns(&self.fields, &self.others)
    }

    /// Writes the rows' numbers, a column after the other.
    fn write_numbers(&mut self, asked: &Asked<'_>, start: usize, rows: usize) -> Result<(), Reject> {
        self.texts.clear();
        self.written.clear();
        let columns = columns(&self.fields, &self.others);
        for ((column, values), habit) in columns.zip(&asked.columns).zip(&mut self.habits) {
            if !self.schema.columns[column].kind.is_numeric() {
                continue;
            }
            for row in start..start + rows {
                self.written.push(match values.cell(row)? {
                    Cell::Number(number) => number.write(&mut self.texts, habit),
                    _ => Written::Null,
                });
            }
        }
        Ok(())
    }
}

/// All columns that are asked for, first those that fill slots.
fn columns(fields: &[(usize, usize)], others: &[(usize, Option<u32>)]) -> impl Iterator<Item = usize> {
    fields.iter().map(|(_, column)| *column).chain(others.iter().map(|(column, _)| *column))
}

fn slot_of(cell: Cell<'_>) -> Slot<'_> {
    match cell {
        // (Numbers are written first.)
        Cell::Null | Cell::Number(_) => Slot::Null,
        Cell::Bool(value) => Slot::Bool(value),
        // (All rows may share one text: none may cost each of them more than a few bytes of the record.)
        Cell::Text(text) if text.len() > MAX_TEXT => Slot::Nested("a text of more than 512 bytes"),
        Cell::Text(text) => Slot::Text(text.into()),
        Cell::Time(stamp) => Slot::Time(stamp),
        Cell::Other(name) => Slot::Nested(name),
    }
}
