//! A stream as the loop runs it: its decoder, its places, and the views that it feeds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decode::Decoder;
use crate::keys::Grouping;
use crate::reading::{Batch, RawBatch, TopicPartition};
use crate::start::Feed;

use super::decoding::Places;

pub struct StreamRun {
    pub name: Arc<str>,
    /// Topics (of a file source: the files' names).
    pub topics: Vec<Arc<str>>,
    pub decoder: Decoder,
    /// CSV files have a header each: their partitions have decoders of their own.
    pub file_decoders: BTreeMap<TopicPartition, Decoder>,
    /// The region sets that its views use.
    pub places: Vec<Places>,
    pub feeds: Vec<Feed>,
    /// How the readings are grouped for each of the feeds.
    pub groupings: Vec<Grouping>,
    pub out_of_orderness_ms: i64,
    pub idle_after_ms: u64,
}

impl StreamRun {
    pub fn decode(&self, partition: &TopicPartition, raw: RawBatch) -> Batch {
        self.file_decoders.get(partition).unwrap_or(&self.decoder).decode(raw)
    }
}
