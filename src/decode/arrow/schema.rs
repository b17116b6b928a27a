//! A stream's schema: its columns, and where each one's parts stand among the nodes and buffers of every batch.

use std::collections::BTreeMap;

use arrow_ipc::{Endianness, MetadataVersion, Precision, TimeUnit, Type, UnionMode};

use super::message::{SchemaMessage, verified};
use super::{MAX_COLUMNS, malformed};
use crate::decode::others::MAX_NAME;
use crate::decode::reject::Reject;

#[derive(Clone, Debug, Default)]
pub struct Schema {
    pub columns: Vec<Field>,
    /// Those that lie in no other.
    pub roots: Vec<usize>,
    /// What every batch must have, those buffers aside that a view has any number of.
    pub parts: Parts,
    /// What the values of each dictionary are, by its id.
    pub dictionaries: BTreeMap<i64, Kind>,
}

/// Places among a batch's parts, which stand in the order of the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub nodes: usize,
    pub buffers: usize,
    /// Columns of texts or bytes by views.
    pub views: usize,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: Box<str>,
    pub kind: Kind,
    /// Of its values, where they stand in a dictionary: its id, and the indexes.
    pub dictionary: Option<(i64, Integer)>,
    /// The first of its parts.
    pub first: Parts,
    /// The column that it lies in.
    pub parent: Option<usize>,
    /// Columns within it, of a struct.
    pub within: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integer {
    pub bytes: usize,
    pub signed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Integer(Integer),
    Float32,
    Float64,
    Decimal {
        bytes: usize,
        scale: i8,
    },
    Text {
        large: bool,
    },
    TextView,
    Timestamp {
        per_s: i64,
        is_instant: bool,
    },
    Struct,
    /// No value of a reading; its name for messages.
    Other(&'static str),
}

impl Kind {
    pub fn is_numeric(self) -> bool {
        matches!(self, Kind::Integer(_) | Kind::Float32 | Kind::Float64 | Kind::Decimal { .. })
    }
}

impl Schema {
    pub fn read(message: &SchemaMessage<'_>) -> Result<Schema, Reject> {
        let at = message.at;
        let message = verified(at, message.metadata)?;
        let schema = message.header_as_schema().ok_or(malformed(at, "a schema"))?;
        if schema.endianness() != Endianness::Little {
            return Err(malformed(at, "little-endian values"));
        }
        if message.bodyLength() != 0 {
            return Err(malformed(at, "a schema without a body"));
        }
        let mut reader = Reader { at, version: message.version(), seen: 0, schema: Schema::default() };
        for field in schema.fields().into_iter().flatten() {
            let root = reader.field(&field, None)?;
            reader.schema.roots.extend(root);
        }
        Ok(reader.schema)
    }

    /// The column at a path: within structs, or else one that has the whole path for its name. Of a name that
    /// occurs twice the last one counts.
    pub fn find(&self, path: &str) -> Option<usize> {
        let named =
            |among: &[usize], name: &str| among.iter().copied().rfind(|&column| *self.columns[column].name == *name);
        let mut keys = path.split('.');
        let first = named(&self.roots, keys.next()?);
        let nested = keys.try_fold(first, |column, key| column.map(|column| named(&self.columns[column].within, key)));
        nested.flatten().or_else(|| named(&self.roots, path))
    }

    /// Every column of numbers, with its dotted path, which is cut where it is longer than any metric's name.
    pub fn numeric(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        self.roots.iter().for_each(|&root| self.numeric_within(root, "", &mut found));
        found
    }

    fn numeric_within(&self, column: usize, above: &str, found: &mut Vec<(usize, String)>) {
        let field = &self.columns[column];
        let path = || {
            let start = if above.is_empty() { String::new() } else { format!("{above}.") };
            let room = (MAX_NAME + 1).saturating_sub(start.len());
            let end = (room..field.name.len()).find(|end| field.name.is_char_boundary(*end));
            start + &field.name[..end.unwrap_or(field.name.len())]
        };
        if field.kind.is_numeric() {
            found.push((column, path()));
        } else if !field.within.is_empty() {
            let path = path();
            field.within.iter().for_each(|&within| self.numeric_within(within, &path, found));
        }
    }

    /// Forgets where the columns are that are no value of a reading.
    pub fn leave_out_others(&mut self) {
        let kinds: Vec<Kind> = self.columns.iter().map(|field| field.kind).collect();
        let is_value = |column: &usize| !matches!(kinds[*column], Kind::Other(_));
        self.roots.retain(is_value);
        self.columns.iter_mut().for_each(|field| field.within.retain(is_value));
    }
}

struct Reader {
    at: usize,
    version: MetadataVersion,
    /// Columns so far, those that are not kept included.
    seen: usize,
    schema: Schema,
}

impl Reader {
    /// One column with all that lies in it (which the verifier has found not to be too deep). Only those in structs are kept.
    fn field(&mut self, field: &arrow_ipc::Field<'_>, parent: Option<usize>) -> Result<Option<usize>, Reject> {
        let mut kind = self.kind(field)?;
        if kind == Kind::Struct && field.dictionary().is_some() {
            kind = Kind::Other("a Dictionary of Structs");
        }
        let dictionary = match field.dictionary() {
            None => None,
            Some(dictionary) => {
                let index = dictionary.indexType();
                // (Left out, the indexes are 32 bits.)
                let index = index.map_or(Ok(Integer { bytes: 4, signed: true }), |index| self.integer(index))?;
                // (Else one column's values would be taken for the other's.)
                if *self.schema.dictionaries.entry(dictionary.id()).or_insert(kind) != kind {
                    return Err(malformed(self.at, "dictionaries whose values are of one type"));
                }
                Some((dictionary.id(), index))
            }
        };
        let column = self.schema.columns.len();
        self.schema.columns.push(Field {
            name: field.name().unwrap_or_default().into(),
            kind,
            dictionary,
            first: self.schema.parts,
            parent,
            within: Vec::new(),
        });
        self.own_parts(field)?;
        if dictionary.is_some() {
            return Ok(Some(column));
        }
        for child in field.children().into_iter().flatten() {
            if kind == Kind::Struct {
                let within = self.field(&child, Some(column))?;
                self.schema.columns[column].within.extend(within);
            } else {
                self.skip(&child)?;
            }
        }
        Ok(Some(column))
    }

    /// A column that nobody can ask for: only its parts count.
    fn skip(&mut self, field: &arrow_ipc::Field<'_>) -> Result<(), Reject> {
        self.own_parts(field)?;
        if field.dictionary().is_some() {
            return Ok(());
        }
        field.children().into_iter().flatten().try_for_each(|child| self.skip(&child))
    }

    fn count(&mut self) -> Result<(), Reject> {
        self.seen += 1;
        if self.seen > MAX_COLUMNS { Err(malformed(self.at, "at most 16384 columns")) } else { Ok(()) }
    }

    /// The parts of a column, without those of the columns within it. (Of one with a dictionary they are those of its indexes.)
    fn own_parts(&mut self, field: &arrow_ipc::Field<'_>) -> Result<(), Reject> {
        self.count()?;
        let (buffers, children) = match field.type_type() {
            _ if field.dictionary().is_some() => (2, None),
            Type::Null => (0, Some(0)),
            Type::Utf8 | Type::LargeUtf8 | Type::Binary | Type::LargeBinary => (3, Some(0)),
            Type::Utf8View | Type::BinaryView => {
                self.schema.parts.views += 1;
                (2, Some(0))
            }
            Type::List | Type::LargeList | Type::Map => (2, Some(1)),
            Type::ListView | Type::LargeListView => (3, Some(1)),
            Type::FixedSizeList => (1, Some(1)),
            Type::RunEndEncoded => (0, Some(2)),
            Type::Struct_ => (1, None),
            Type::Union => {
                let is_dense = field.type_as_union().is_some_and(|union| union.mode() == UnionMode::Dense);
                // (Until version 4 with validity bits.)
                (1 + usize::from(is_dense) + usize::from(self.version == MetadataVersion::V4), None)
            }
            _ => (2, Some(0)),
        };
        if children.is_some_and(|children| field.children().map_or(0, |list| list.len()) != children) {
            return Err(malformed(self.at, "as many columns within a column as its type has"));
        }
        self.schema.parts.nodes += 1;
        self.schema.parts.buffers += buffers;
        Ok(())
    }

    fn kind(&self, field: &arrow_ipc::Field<'_>) -> Result<Kind, Reject> {
        // A type's tag may be there without the type.
        let fault = || malformed(self.at, "a column with its type");
        Ok(match field.type_type() {
            Type::Null => Kind::Null,
            Type::Bool => Kind::Bool,
            Type::Int => Kind::Integer(self.integer(field.type_as_int().ok_or_else(fault)?)?),
            Type::FloatingPoint => match field.type_as_floating_point().ok_or_else(fault)?.precision() {
                Precision::SINGLE => Kind::Float32,
                Precision::DOUBLE => Kind::Float64,
                _ => Kind::Other("a Float16"),
            },
            Type::Decimal => {
                let decimal = field.type_as_decimal().ok_or_else(fault)?;
                let scale = i8::try_from(decimal.scale());
                let scale = scale.map_err(|_| malformed(self.at, "a scale of decimals from -128 to 127"))?;
                match decimal.bitWidth() {
                    bits @ (32 | 64 | 128 | 256) => Kind::Decimal { bytes: bits as usize / 8, scale },
                    _ => return Err(malformed(self.at, "decimals of 32, 64, 128 or 256 bits")),
                }
            }
            Type::Utf8 => Kind::Text { large: false },
            Type::LargeUtf8 => Kind::Text { large: true },
            Type::Utf8View => Kind::TextView,
            Type::Timestamp => {
                let timestamp = field.type_as_timestamp().ok_or_else(fault)?;
                let per_s = match timestamp.unit() {
                    TimeUnit::SECOND => 1,
                    TimeUnit::MILLISECOND => 1_000,
                    TimeUnit::MICROSECOND => 1_000_000,
                    TimeUnit::NANOSECOND => 1_000_000_000,
                    _ => return Err(malformed(self.at, "timestamps in s, ms, us or ns")),
                };
                Kind::Timestamp { per_s, is_instant: timestamp.timezone().is_some_and(|zone| !zone.is_empty()) }
            }
            Type::Struct_ => Kind::Struct,
            Type::Date => Kind::Other("a Date"),
            Type::Time => Kind::Other("a Time"),
            Type::Duration => Kind::Other("a Duration"),
            Type::Interval => Kind::Other("an Interval"),
            Type::Binary | Type::LargeBinary | Type::BinaryView | Type::FixedSizeBinary => Kind::Other("a Binary"),
            Type::List | Type::LargeList | Type::ListView | Type::LargeListView | Type::FixedSizeList => {
                Kind::Other("a List")
            }
            Type::Map => Kind::Other("a Map"),
            Type::Union => Kind::Other("a Union"),
            Type::RunEndEncoded => Kind::Other("a RunEndEncoded"),
            _ => return Err(malformed(self.at, "columns of types that are known")),
        })
    }

    fn integer(&self, integer: arrow_ipc::Int<'_>) -> Result<Integer, Reject> {
        match integer.bitWidth() {
            bits @ (8 | 16 | 32 | 64) => Ok(Integer { bytes: bits as usize / 8, signed: integer.is_signed() }),
            _ => Err(malformed(self.at, "integers of 8, 16, 32 or 64 bits")),
        }
    }
}
