//! Tables: a record is a stream of Arrow's IPC format, each row of its batches a reading.

use std::collections::BTreeSet;
use std::mem;
use std::ops::Range;

use super::{Place, Slot, Walk};
use crate::decode::arrow::{
    Batch, Cell, Column, Content, Dictionaries, Habit, LEAST_ROW, MAX_TEXT, Messages, ROWS, Schema, Source, Written,
    malformed,
};
use crate::decode::plain::Uses;
use crate::decode::reject::Reject;

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
    /// What becomes of the fields' values, where rows may be ordinary.
    uses: Option<Uses>,
    /// Scratch: those of the rows at hand that go the long way.
    long: Vec<usize>,
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
        let slots = fields.iter().map(|(slot, _)| Some(*slot));
        let mut found = Found {
            uses: self.compiled.plan.as_ref().and_then(|plan| plan.uses(slots)),
            long: Vec::new(),
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

    /// Takes a batch's rows, each one the ordinary way or the long one.
    fn rows(
        &mut self,
        place: &mut Place<'_>,
        length: usize,
        found: &mut Found,
        asked: &Asked<'a>,
    ) -> Result<(), Reject> {
        let width = self.slots.len();
        for start in (0..asked.rows).step_by(ROWS) {
            let rows = start..asked.rows.min(start + ROWS);
            self.ordinary_rows(place, found, asked, rows.clone());
            if found.long.is_empty() {
                rows.for_each(|row| self.ordinary_row_of_table(place, length, row - start));
                continue;
            }
            let texts = found.write_numbers(asked)?;
            let slots = found.slots(asked, width, &texts)?;
            let mut long = found.long.iter().zip(slots.chunks_exact(width)).enumerate().peekable();
            for row in rows {
                let Some((number, (_, slots))) = long.next_if(|(_, (at, _))| **at == row) else {
                    self.ordinary_row_of_table(place, length, row - start);
                    continue;
                };
                if let Some(builder) = &mut self.others {
                    builder.begin_row();
                    for (metric, text) in found.others_of(number, &texts) {
                        builder.add_column(&self.compiled.judge, metric, text);
                    }
                }
                self.judged(place, slots, 0..length);
            }
            drop(slots);
            found.texts = texts;
        }
        Ok(())
    }

    /// Takes those of some rows that are ordinary, and finds those that are not.
    fn ordinary_rows(&mut self, place: &Place<'_>, found: &mut Found, asked: &Asked<'a>, rows: Range<usize>) {
        found.long.clear();
        let Some(uses) = &found.uses else { return found.long.extend(rows) };
        let judge = &self.compiled.judge;
        let last_ms = judge.last_ms(place.record.timestamp_ms);
        let start = rows.start;
        let source = Source { rows, uses, columns: &asked.columns };
        self.block.take(&source, &mut found.habits, judge, &mut self.minutes, last_ms);
        found.long.extend(self.block.others().map(|at| start + at));
    }

    /// One of those that were taken last.
    #[inline]
    fn ordinary_row_of_table(&mut self, place: &mut Place<'_>, length: usize, at: usize) {
        self.block.row(at, &mut self.ordinary);
        self.ordinary_reading(place, 0..length);
    }
}

impl Found {
    fn columns(&self) -> impl Iterator<Item = usize> {
        columns(&self.fields, &self.others)
    }

    /// Writes the numbers of the rows that go the long way, a column after the other.
    fn write_numbers(&mut self, asked: &Asked<'_>) -> Result<String, Reject> {
        let mut texts = mem::take(&mut self.texts);
        texts.clear();
        self.written.clear();
        let columns = columns(&self.fields, &self.others);
        for ((column, values), habit) in columns.zip(&asked.columns).zip(&mut self.habits) {
            if !self.schema.columns[column].kind.is_numeric() {
                continue;
            }
            for row in &self.long {
                self.written.push(match values.cell(*row)? {
                    Cell::Number(number) => number.write(&mut texts, habit),
                    _ => Written::Null,
                });
            }
        }
        Ok(texts)
    }

    /// The slots of these rows, so many each.
    fn slots<'s>(&self, asked: &Asked<'s>, width: usize, texts: &'s str) -> Result<Vec<Slot<'s>>, Reject> {
        let mut slots = vec![Slot::Absent; self.long.len() * width];
        let mut written = self.written.chunks_exact(self.long.len());
        for (&(slot, column), values) in self.fields.iter().zip(&asked.columns) {
            let places = slots[slot..].iter_mut().step_by(width);
            if self.schema.columns[column].kind.is_numeric() {
                let numbers = written.next().unwrap_or_default();
                places.zip(numbers).for_each(|(place, number)| *place = number.slot(texts));
            } else {
                for (row, place) in self.long.iter().zip(places) {
                    *place = slot_of(values.cell(*row)?);
                }
            }
        }
        Ok(slots)
    }

    /// Of one of these rows the numbers that the stream does not name.
    fn others_of<'s>(&self, number: usize, texts: &'s str) -> impl Iterator<Item = (Option<u32>, &'s str)> {
        let fields = self.fields.iter().filter(|(_, column)| self.schema.columns[*column].kind.is_numeric()).count();
        let written = self.written.chunks_exact(self.long.len()).skip(fields);
        self.others.iter().zip(written).filter_map(move |((_, metric), all)| Some((*metric, all[number].text(texts)?)))
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
        Cell::Text(text) if text.len() > MAX_TEXT => Slot::Nested("a text of more than 512 bytes"),
        Cell::Text(text) => Slot::Text(text.into()),
        Cell::Time(stamp) => Slot::Time(stamp),
        Cell::Other(name) => Slot::Nested(name),
    }
}
