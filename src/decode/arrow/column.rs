//! A batch of rows: its columns as slices of the message's body, each access checked.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use arrow_ipc::{DictionaryBatch, FieldNode, RecordBatch};
use flatbuffers::Vector;

use super::cell::{Values, array, integer};
use super::message::Message;
use super::schema::{Integer, Kind, Parts, Schema};
use super::{Cell, malformed};
use crate::decode::reject::Reject;
use crate::decode::time::Stamp;

pub struct Batch<'a> {
    pub rows: usize,
    /// Where its message lies in the record, and the message's body.
    at: usize,
    body_at: usize,
    body: &'a [u8],
    nodes: Vector<'a, FieldNode>,
    buffers: Vector<'a, arrow_ipc::Buffer>,
    /// Of each column of views: how many buffers of texts those before it have; and at last of all.
    views: Vec<usize>,
}

impl<'a> Batch<'a> {
    /// A batch of a schema with so many parts.
    pub fn open(parts: Parts, message: &Message<'a>, batch: &RecordBatch<'a>) -> Result<Batch<'a>, Reject> {
        let fault = |expected| Err(malformed(message.at, expected));
        if batch.compression().is_some() {
            return fault("buffers without compression");
        }
        // (A record has less than 4 GiB: more rows than that have no bytes. So no product below is too large.)
        let rows = u32::try_from(batch.length()).ok();
        let (Some(rows), Some(nodes), Some(buffers)) = (rows, batch.nodes(), batch.buffers()) else {
            return fault("a batch with rows, nodes and buffers");
        };
        let mut views = vec![0usize];
        for count in batch.variadicBufferCounts().into_iter().flatten() {
            let all = usize::try_from(count).ok().and_then(|count| views[views.len() - 1].checked_add(count));
            // (More than there are buffers are too many.)
            match all.filter(|all| *all <= buffers.len()) {
                Some(all) => views.push(all),
                None => return fault("as many buffers as a batch of its schema has"),
            }
        }
        let all = parts.buffers + views[views.len() - 1];
        if (nodes.len(), buffers.len(), views.len()) != (parts.nodes, all, parts.views + 1) {
            return fault("as many buffers as a batch of its schema has");
        }
        // So that nothing is looked at more often than it is there.
        let lengths =
            buffers.iter().try_fold(0usize, |sum, buffer| sum.checked_add(usize::try_from(buffer.length()).ok()?));
        if lengths.is_none_or(|lengths| lengths > message.body.len()) {
            return fault("buffers that are together no longer than their message");
        }
        Ok(Batch {
            rows: rows as usize,
            at: message.at,
            body_at: message.body_at,
            body: message.body,
            nodes,
            buffers,
            views,
        })
    }

    /// The column for itself: the structs that it lies in may be null where it is not.
    pub fn bare_column(&self, schema: &Schema, column: usize, known: &Dictionaries<'a>) -> Result<Column<'a>, Reject> {
        let field = &schema.columns[column];
        let Some((id, index)) = field.dictionary else { return self.values(field.kind, field.first) };
        let indexes = self.fixed(index.bytes, field.first)?;
        let chunks = known.by_id.get(&id).cloned().unwrap_or_default();
        let values = Values::Dictionary { index, indexes, chunks };
        Ok(Column { at: self.at, valid: self.valid(Kind::Integer(index), field.first)?, values })
    }

    /// The column, with the nulls of the structs that it lies in.
    pub fn column(&self, schema: &Schema, column: usize, known: &Dictionaries<'a>) -> Result<Column<'a>, Reject> {
        let mut found = self.bare_column(schema, column, known)?;
        let mut above = schema.columns[column].parent;
        while let Some(parent) = above {
            let parent = &schema.columns[parent];
            if let Some(outer) = self.valid(parent.kind, parent.first)? {
                found.valid = Some(match found.valid {
                    None => outer,
                    Some(inner) => {
                        Cow::Owned(inner.iter().zip(outer.iter()).map(|(inner, outer)| inner & outer).collect())
                    }
                });
            }
            above = parent.parent;
        }
        Ok(found)
    }

    fn values(&self, kind: Kind, first: Parts) -> Result<Column<'a>, Reject> {
        let valid = self.valid(kind, first)?;
        let values = match kind {
            Kind::Null => Values::Null,
            Kind::Bool => Values::Bool(self.least(self.rows.div_ceil(8), first, 1)?),
            Kind::Integer(integer) => Values::Integer(integer, self.fixed(integer.bytes, first)?),
            Kind::Float32 => Values::Float32(self.fixed(4, first)?),
            Kind::Float64 => Values::Float64(self.fixed(8, first)?),
            Kind::Decimal { bytes, scale } => Values::Decimal { bytes, scale, values: self.fixed(bytes, first)? },
            Kind::Timestamp { per_s, is_instant } => {
                Values::Timestamp { per_s, is_instant, values: self.fixed(8, first)? }
            }
            // (Of no rows the buffer of offsets may be empty.)
            Kind::Text { large } if self.rows > 0 => {
                let offsets = self.least((self.rows + 1) * if large { 8 } else { 4 }, first, 1)?;
                Values::Text { large, offsets, text: self.text(first, 2)? }
            }
            Kind::Text { .. } => Values::Null,
            Kind::TextView => {
                let views = self.fixed(16, first)?;
                let count = self.views[first.views + 1] - self.views[first.views];
                Values::TextView {
                    views,
                    texts: (0..count).map(|text| self.text(first, 2 + text)).collect::<Result<_, _>>()?,
                }
            }
            Kind::Struct => Values::Other("a Struct"),
            Kind::Other(name) => Values::Other(name),
        };
        Ok(Column { at: self.at, valid, values })
    }

    /// The bits that say which values are there; `None` where all are.
    fn valid(&self, kind: Kind, first: Parts) -> Result<Option<Cow<'a, [u8]>>, Reject> {
        let node = self.nodes.get(first.nodes);
        if usize::try_from(node.length()) != Ok(self.rows) {
            return Err(malformed(self.at, "as many values as rows"));
        }
        if node.null_count() == 0 || kind == Kind::Null || matches!(kind, Kind::Other("a Union" | "a RunEndEncoded")) {
            return Ok(None);
        }
        self.least(self.rows.div_ceil(8), first, 0).map(|bits| Some(Cow::Borrowed(bits)))
    }

    /// The values of a column of values of a fixed size.
    fn fixed(&self, bytes: usize, first: Parts) -> Result<&'a [u8], Reject> {
        self.least(self.rows * bytes, first, 1)
    }

    /// A column's buffer, so many bytes of it.
    fn least(&self, bytes: usize, first: Parts, number: usize) -> Result<&'a [u8], Reject> {
        let (_, buffer) = self.buffer(first, number)?;
        buffer.get(..bytes).ok_or(malformed(self.at, "a value for every row"))
    }

    fn text(&self, first: Parts, number: usize) -> Result<&'a str, Reject> {
        let (start, buffer) = self.buffer(first, number)?;
        simdutf8::basic::from_utf8(buffer).map_err(|_| {
            let valid = std::str::from_utf8(buffer).map_or_else(|error| error.valid_up_to(), str::len);
            Reject::NotUtf8 { at: self.body_at + start + valid }
        })
    }

    /// A column's buffer, and where in the body it begins.
    fn buffer(&self, first: Parts, number: usize) -> Result<(usize, &'a [u8]), Reject> {
        let buffer = self.buffers.get(first.buffers + self.views[first.views] + number);
        let place = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let found = place.and_then(|(start, length)| Some((start, self.body.get(start..)?.get(..length)?)));
        found.ok_or(malformed(self.at, "buffers that lie in the message"))
    }
}

#[derive(Clone, Debug)]
pub struct Column<'a> {
    /// Where its message lies in the record.
    pub(super) at: usize,
    valid: Option<Cow<'a, [u8]>>,
    values: Values<'a>,
}

impl<'a> Column<'a> {
    /// What the row holds. Fails where that would lie elsewhere than in its buffer.
    #[inline]
    pub fn cell(&self, row: usize) -> Result<Cell<'a>, Reject> {
        if !self.is_there(row) {
            return Ok(Cell::Null);
        }
        match &self.values {
            Values::Dictionary { index, indexes, chunks } => self.entry(*index, indexes, chunks, row),
            values => values.cell(row).ok_or_else(|| malformed(self.at, "texts that lie in their buffer")),
        }
    }

    /// Each of the rows' values, where they are doubles.
    #[inline(always)]
    pub fn doubles(&self, rows: Range<usize>) -> Option<impl Iterator<Item = Option<f64>>> {
        let Values::Float64(values) = &self.values else { return None };
        Some(rows.map(|row| self.is_there(row).then(|| f64::from_le_bytes(array(values, row)))))
    }

    /// Each of the rows' values, where they are timestamps.
    #[inline(always)]
    pub fn stamps(&self, rows: Range<usize>) -> Option<impl Iterator<Item = Option<Stamp>>> {
        let &Values::Timestamp { per_s, is_instant, values } = &self.values else { return None };
        let stamp = move |row| Stamp { value: i64::from_le_bytes(array(values, row)), per_s, is_instant };
        Some(rows.map(move |row| self.is_there(row).then(|| stamp(row))))
    }

    #[inline(always)]
    fn is_there(&self, row: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid[row / 8] >> (row % 8) & 1 == 1)
    }

    fn entry(
        &self,
        index: Integer,
        indexes: &[u8],
        chunks: &[(usize, Column<'a>)],
        row: usize,
    ) -> Result<Cell<'a>, Reject> {
        let fault = || malformed(self.at, "indexes that lie in their dictionary");
        let index = usize::try_from(integer(index, indexes, row)).map_err(|_| fault())?;
        let chunk = chunks.partition_point(|(end, _)| *end <= index);
        let (_, column) = chunks.get(chunk).ok_or_else(fault)?;
        let start = if chunk == 0 { 0 } else { chunks[chunk - 1].0 };
        column.cell(index - start)
    }
}

/// The dictionaries as they are at a place of the stream.
#[derive(Default)]
pub struct Dictionaries<'a> {
    by_id: BTreeMap<i64, Chunks<'a>>,
}

/// The pieces of a dictionary that grew, each with the index after its last.
pub(super) type Chunks<'a> = Rc<Vec<(usize, Column<'a>)>>;

impl<'a> Dictionaries<'a> {
    /// Takes a dictionary, or what comes on top of it, if it is one of those.
    pub fn take(
        &mut self,
        schema: &Schema,
        wanted: &BTreeSet<i64>,
        message: &Message<'a>,
        dictionary: &DictionaryBatch<'a>,
    ) -> Result<(), Reject> {
        let id = dictionary.id();
        let Some(kind) = schema.dictionaries.get(&id).copied().filter(|_| wanted.contains(&id)) else { return Ok(()) };
        let data = dictionary.data().ok_or(malformed(message.at, "a dictionary with values"))?;
        let column = match kind {
            // What nobody can ask for need not be taken apart.
            Kind::Other(name) => Column { at: message.at, valid: None, values: Values::Other(name) },
            kind => {
                let batch = Batch::open(kind.parts(), message, &data)?;
                batch.values(kind, Parts::default())?
            }
        };
        let rows = usize::try_from(data.length()).map_err(|_| malformed(message.at, "a dictionary with values"))?;
        let chunks = self.by_id.entry(id).or_default();
        if !dictionary.isDelta() {
            *chunks = Rc::default();
        }
        let chunks = Rc::make_mut(chunks);
        let end = chunks.last().map_or(0, |(end, _)| *end).checked_add(rows);
        chunks.push((end.ok_or(malformed(message.at, "a dictionary with values"))?, column));
        Ok(())
    }
}

impl Kind {
    /// Of a batch with nothing but one such column.
    fn parts(self) -> Parts {
        let (buffers, views) = match self {
            Kind::Null => (0, 0),
            Kind::Text { .. } => (3, 0),
            Kind::TextView => (2, 1),
            _ => (2, 0),
        };
        Parts { nodes: 1, buffers, views }
    }
}
