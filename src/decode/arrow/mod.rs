//! Arrow IPC: a record is one stream of it, a schema and then batches of rows. Read where it lies, without a copy and
//! without arrow's own arrays: their reader takes lengths and offsets from the bytes at their word, and panics.
//!
//! What bounds the reader, whatever the bytes say: a message's metadata is verified ([`message`]) and may not look larger
//! than a few times its length, however often it repeats a piece of itself; a message's buffers lie in its body and are
//! together no longer than it; a record has no more columns than [`MAX_COLUMNS`], and no more rows than
//! half its bytes; texts of more than 512 bytes count for nothing, since all rows may share one. Every access to a buffer is checked. So
//! time and memory stay within some hundred times the record's length.

mod cell;
mod column;
mod message;
mod number;
mod ordinary;
mod rows;
mod schema;

pub use cell::{Cell, Numeric};
pub use column::{Batch, Column, Dictionaries};
pub use message::{Content, Messages};
pub use number::{Habit, Written};
pub use ordinary::{Block, ROWS, Source};
pub use rows::Texts;
pub use schema::Schema;

use super::reject::Reject;

/// Columns of a schema, at most, those within others included.
pub const MAX_COLUMNS: usize = 16_384;
/// A row takes so many bytes of its record, at least: one that is taken has a time and a value.
pub const LEAST_ROW: usize = 2;

/// Bytes of a text that is a field's value, at most. (All rows may share one text: none may cost each of them more than a
/// few bytes of the record.)
pub const MAX_TEXT: usize = 512;

/// Not what the format says; `at` in bytes from the start of the record.
pub fn malformed(at: usize, expected: &'static str) -> Reject {
    Reject::Malformed { at, expected }
}
