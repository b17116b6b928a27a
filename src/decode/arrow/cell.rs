//! One value of a column.

use super::column::Chunks;
use super::schema::Integer;
use crate::decode::time::Stamp;

/// The values of a column, one a row at least.
#[derive(Clone, Debug)]
pub enum Values<'a> {
    Null,
    Bool(&'a [u8]),
    Integer(Integer, &'a [u8]),
    Float32(&'a [u8]),
    Float64(&'a [u8]),
    Decimal {
        bytes: usize,
        scale: i8,
        values: &'a [u8],
    },
    Text {
        large: bool,
        offsets: &'a [u8],
        text: &'a str,
    },
    /// Short texts stand in the view itself.
    TextView {
        views: &'a [u8],
        texts: Vec<&'a str>,
    },
    Timestamp {
        per_s: i64,
        is_instant: bool,
        values: &'a [u8],
    },
    Dictionary {
        index: Integer,
        indexes: &'a [u8],
        chunks: Chunks<'a>,
    },
    Other(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Bool(bool),
    Number(Numeric<'a>),
    Text(&'a str),
    Time(Stamp),
    Other(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numeric<'a> {
    /// From the least one of 64 bits to the largest one without a sign.
    Integer(i128),
    Float32(f32),
    Float64(f64),
    /// Little-endian, of 4, 8, 16 or 32 bytes.
    Decimal {
        value: &'a [u8],
        scale: i8,
    },
}

impl<'a> Values<'a> {
    /// What the row, one of the batch's, holds; `None` where that is text that lies elsewhere than in its buffer. (An
    /// entry of a dictionary is the column's own business.)
    #[inline]
    pub fn cell(&self, row: usize) -> Option<Cell<'a>> {
        Some(match self {
            Values::Null | Values::Dictionary { .. } => Cell::Null,
            Values::Bool(bits) => Cell::Bool(bits[row / 8] >> (row % 8) & 1 == 1),
            Values::Integer(kind, values) => Cell::Number(Numeric::Integer(integer(*kind, values, row))),
            Values::Float32(values) => Cell::Number(Numeric::Float32(f32::from_le_bytes(array(values, row)))),
            Values::Float64(values) => Cell::Number(Numeric::Float64(f64::from_le_bytes(array(values, row)))),
            Values::Decimal { bytes, scale, values } => {
                Cell::Number(Numeric::Decimal { value: &values[row * bytes..(row + 1) * bytes], scale: *scale })
            }
            Values::Text { large: false, offsets, text } => {
                let offset = |row| usize::try_from(i32::from_le_bytes(array(offsets, row))).ok();
                Cell::Text(text.get(offset(row)?..offset(row + 1)?)?)
            }
            Values::Text { large: true, offsets, text } => {
                let offset = |row| usize::try_from(i64::from_le_bytes(array(offsets, row))).ok();
                Cell::Text(text.get(offset(row)?..offset(row + 1)?)?)
            }
            Values::TextView { views, texts } => Cell::Text(viewed(&views[row * 16..(row + 1) * 16], texts)?),
            Values::Timestamp { per_s, is_instant, values } => {
                let value = i64::from_le_bytes(array(values, row));
                Cell::Time(Stamp { value, per_s: *per_s, is_instant: *is_instant })
            }
            Values::Other(name) => Cell::Other(name),
        })
    }
}

/// A length, and either up to twelve bytes or four of them, a buffer's number and a place there.
fn viewed<'a>(view: &'a [u8], texts: &[&'a str]) -> Option<&'a str> {
    let word = |number| usize::try_from(i32::from_le_bytes(array(view, number))).ok();
    let length = word(0)?;
    if length <= 12 {
        return std::str::from_utf8(&view[4..4 + length]).ok();
    }
    texts.get(word(2)?)?.get(word(3)?..)?.get(..length)
}

#[inline]
pub fn integer(kind: Integer, values: &[u8], row: usize) -> i128 {
    match (kind.bytes, kind.signed) {
        (1, true) => i8::from_le_bytes(array(values, row)).into(),
        (1, false) => u8::from_le_bytes(array(values, row)).into(),
        (2, true) => i16::from_le_bytes(array(values, row)).into(),
        (2, false) => u16::from_le_bytes(array(values, row)).into(),
        (4, true) => i32::from_le_bytes(array(values, row)).into(),
        (4, false) => u32::from_le_bytes(array(values, row)).into(),
        (_, true) => i64::from_le_bytes(array(values, row)).into(),
        (_, false) => u64::from_le_bytes(array(values, row)).into(),
    }
}

/// The bytes of a row's value, which is there.
#[inline]
pub fn array<const BYTES: usize>(values: &[u8], row: usize) -> [u8; BYTES] {
    values.as_chunks::<BYTES>().0[row]
}
