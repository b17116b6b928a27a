//! 1 · Bytes → columns, or a reason why not. Pure.
//!
//! A scanner ([`json`], [`csv`], [`arrow`]) finds a reading's configured fields in the record, as they are
//! written; the [`judge`] makes a row of them or says why not. A message that cannot be split
//! counts as one rejected reading; a bad reading among others harms only itself.

use std::sync::Arc;

use crate::config::{Format, StreamConfig};
use crate::reading::{Batch, RawBatch};

mod arrow;
mod columns;
mod compile;
mod csv;
mod decimal;
mod fields;
mod json;
mod judge;
mod others;
mod plain;
mod reject;
mod row;
mod shape;
mod stations;
mod swar;
mod texts;
mod time;
mod walk;
mod window;

#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
pub mod twin;

pub use arrow::Texts;
pub use compile::DecoderError;
pub use reject::Reject;
pub use stations::{Stations, StationsError};
pub use time::RANGE_MS;

use compile::Compiled;
use csv::CsvHeader;

/// A stream's configuration, compiled. Cheap to clone, shared by threads.
#[derive(Clone, Debug)]
pub struct Decoder {
    compiled: Arc<Compiled>,
    /// The header of every record; without it, each CSV record opens with its own.
    header: Option<Arc<CsvHeader>>,
}

impl Decoder {
    /// `stations`: the registry that the stream names, read elsewhere; empty where it names none.
    pub fn new(stream: &StreamConfig, stations: Stations) -> Result<Decoder, DecoderError> {
        Ok(Decoder { compiled: Arc::new(Compiled::new(stream, stations)?), header: None })
    }

    /// One without a plan: all readings go the long way.
    #[cfg(any(test, fuzzing))]
    pub fn slow(stream: &StreamConfig, stations: Stations) -> Result<Decoder, DecoderError> {
        let mut compiled = Compiled::new(stream, stations)?;
        compiled.plan = None;
        Ok(Decoder { compiled: Arc::new(compiled), header: None })
    }

    /// A decoder for the lines of a CSV file, each a record of its own: their header is the file's
    /// first line. It must name the fields without which every line would be rejected.
    pub fn with_csv_header(&self, header: &[u8]) -> Result<Decoder, DecoderError> {
        let header = self.compiled.csv_header(header)?;
        Ok(Decoder { compiled: self.compiled.clone(), header: Some(Arc::new(header)) })
    }

    /// The metrics, in the order of the columns.
    pub fn metric_names(&self) -> &[Arc<str>] {
        &self.compiled.metric_names
    }

    /// The labels, in the order of the columns.
    pub fn label_names(&self) -> &[Arc<str>] {
        &self.compiled.label_names
    }

    /// Every record of the batch, in order. Takes any input.
    pub fn decode(&self, raw: RawBatch) -> Batch {
        let walk::Decoded { records, columns, rejections } = walk::decode(&self.compiled, self.header.as_deref(), &raw);
        Batch { raw, records, columns, rejections, tables: self.compiled.format == Format::ArrowIpc }
    }
}
