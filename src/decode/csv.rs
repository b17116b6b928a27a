//! CSV rows (RFC 4180 quotes, any one-byte separator, LF or CRLF) cut into cells.

use std::borrow::Cow;

use super::fields::{Fields, Slot, SlotId};
use super::plain::{Plan, Uses};
use super::reject::Reject;

/// Which cell of a row goes to which slot. Of a name that occurs twice the last column counts.
#[derive(Clone, Debug)]
pub struct CsvHeader {
    slots: Vec<Option<SlotId>>,
    /// Of every column.
    pub names: Vec<Box<str>>,
    /// Cells that every row must have: the header's, without the empty one after a trailing separator.
    cells: usize,
    /// What becomes of each cell of an ordinary row; empty where there are none.
    pub uses: Uses,
}

impl CsvHeader {
    /// Reads a header line; names are trimmed.
    pub fn parse(line: &str, separator: u8, fields: &Fields, plan: Option<&Plan>) -> Result<CsvHeader, Reject> {
        let mut names: Vec<String> = Vec::new();
        for_cells(line, separator, |cell| names.push(cell.trim().to_owned()))?;
        names.pop_if(|name| name.is_empty());
        let mut slots = vec![None; names.len()];
        for (slot, path) in fields.paths().enumerate() {
            if let Some(column) = names.iter().rposition(|name| name == path) {
                slots[column] = Some(SlotId(slot));
            }
        }
        let cells = names.len();
        let uses =
            plan.and_then(|plan| plan.uses(slots.iter().map(|slot| slot.map(|slot| slot.0)))).unwrap_or_default();
        Ok(CsvHeader { cells, uses, slots, names: names.into_iter().map(String::into_boxed_str).collect() })
    }

    pub fn has(&self, slot: SlotId) -> bool {
        self.slots.contains(&Some(slot))
    }

    /// Cuts a row (without its line end) and puts its configured cells into their slots; the others
    /// go to `rest` with the numbers of their columns, where that is wanted.
    pub fn row<'a>(
        &self,
        row: &'a str,
        separator: u8,
        slots: &mut [Slot<'a>],
        mut rest: Option<&mut Vec<(usize, Cow<'a, str>)>>,
    ) -> Result<(), Reject> {
        let (mut count, mut last_empty) = (0, false);
        for_cells(row, separator, |cell| {
            last_empty = cell.is_empty();
            match (self.slots.get(count), &mut rest) {
                (Some(&Some(SlotId(slot))), _) => slots[slot] = Slot::Cell(cell),
                (Some(None), Some(rest)) => rest.push((count, cell)),
                _ => {}
            }
            count += 1;
        })?;
        // A trailing separator adds an empty cell of its own.
        let tolerated = self.cells + usize::from(last_empty);
        match count {
            cells if cells < self.cells => Err(Reject::RowTooShort { cells, header: self.cells }),
            cells if cells > tolerated => Err(Reject::RowTooLong { cells, header: self.cells }),
            _ => Ok(()),
        }
    }
}

/// Cuts the first row off: the row without its line end, and the bytes up to the next row. Line
/// ends within quotes belong to the row. A row whose quotes never close ends at its first line
/// end, so that it spoils none but itself.
pub fn first_row(text: &[u8], separator: u8) -> (&[u8], usize) {
    let line = || text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    let end = quoted_row_end(text, separator).unwrap_or_else(line);
    let row = &text[..end];
    (row.strip_suffix(b"\r").unwrap_or(row), (end + 1).min(text.len()))
}

/// Where the first row ends; `None` where a quote is not closed as it should be.
fn quoted_row_end(text: &[u8], separator: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        if text.get(at) == Some(&b'"') {
            at += quoted_length(&text[at..])?;
            if !matches!(text.get(at), None | Some(b'\r' | b'\n')) && text.get(at) != Some(&separator) {
                return None;
            }
        }
        at += text[at..].iter().position(|&byte| byte == separator || byte == b'\n').unwrap_or(text.len() - at);
        if text.get(at) != Some(&separator) {
            return Some(at);
        }
        at += 1;
    }
}

/// Bytes of a quoted cell, both quotes included.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text[at..].iter().position(|&byte| byte == b'"')? + 1;
        if text.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

fn for_cells<'a>(row: &'a str, separator: u8, mut each: impl FnMut(Cow<'a, str>)) -> Result<(), Reject> {
    let bytes = row.as_bytes();
    let mut at = 0;
    loop {
        let start = at;
        if bytes.get(at) == Some(&b'"') {
            let length = quoted_length(&bytes[at..]);
            at += length.ok_or(Reject::Malformed { at, expected: "the end of the quoted cell" })?;
            if bytes.get(at).is_some_and(|&byte| byte != separator) {
                return Err(Reject::Malformed { at, expected: "a separator after the quoted cell" });
            }
            each(unquote(&row[start + 1..at - 1]));
        } else {
            at += bytes[at..].iter().position(|&byte| byte == separator).unwrap_or(bytes.len() - at);
            each(Cow::Borrowed(&row[start..at]));
        }
        if at == bytes.len() {
            return Ok(());
        }
        at += 1;
    }
}

fn unquote(inside: &str) -> Cow<'_, str> {
    if inside.contains('"') { Cow::Owned(inside.replace("\"\"", "\"")) } else { Cow::Borrowed(inside) }
}
