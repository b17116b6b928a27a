//! 6 · What a commit says: a position, and what the log below it determines. Pure.
//!
//! The metadata beside a committed offset repeats that offset with the topic's id and a checksum,
//! so that an offset set by a tool is told from one of ours (invariant I9). Per view it holds the
//! position from which the view folds, its maximum event time there, and its tallies: whoever
//! takes the partition over goes on exactly where the commit stands.

use std::sync::Arc;

use crate::bytes::{DecodeError, Reader, Writer};
use crate::reading::{Offset, SourceId, TopicId};
use crate::window::Width;

const VERSION: u8 = 1;

/// Most views and widths that metadata may name: bounds what a hostile commit can make us allocate.
const MAX_ITEMS: usize = 10_000;

/// What became of the readings below a position, in one view and width.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub seen: u64,
    pub folded: u64,
    pub late: u64,
    /// By the stream: unreadable, without a time, out of range, …
    pub rejected: u64,
    /// By the view: in none of its regions.
    pub outside: u64,
    /// By the view: without a field that it groups by.
    pub unkeyed: u64,
    pub filtered: u64,
    /// Belongs to a window that a replay left alone.
    pub before_history: u64,
    /// Of the folded readings: those without a value, per metric of the view.
    pub missing: Vec<u64>,
    /// Of the folded readings: values of metrics that their part had no more room for.
    pub surplus: u64,
}

impl Tally {
    pub fn new(metrics: usize) -> Tally {
        Tally { missing: vec![0; metrics], ..Tally::default() }
    }

    /// The law of conservation (invariant I6).
    pub fn adds_up(&self) -> bool {
        let Tally { folded, late, rejected, outside, unkeyed, filtered, before_history, .. } = self;
        self.seen == folded + late + rejected + outside + unkeyed + filtered + before_history
    }

    pub fn add(&mut self, other: &Tally) {
        let Tally { seen, folded, late, rejected, outside, unkeyed, filtered, before_history, missing, surplus } =
            other;
        self.seen += seen;
        self.folded += folded;
        self.late += late;
        self.rejected += rejected;
        self.outside += outside;
        self.unkeyed += unkeyed;
        self.filtered += filtered;
        self.before_history += before_history;
        self.surplus += surplus;
        self.missing.resize(self.missing.len().max(missing.len()), 0);
        self.missing.iter_mut().zip(missing).for_each(|(sum, more)| *sum += more);
    }

    fn encode(&self, out: &mut Writer) {
        let Tally { seen, folded, late, rejected, outside, unkeyed, filtered, before_history, missing, surplus } = self;
        for count in [seen, folded, late, rejected, outside, unkeyed, filtered, before_history, surplus] {
            out.unsigned((*count).into());
        }
        out.unsigned(missing.len() as u128);
        missing.iter().for_each(|count| out.unsigned((*count).into()));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Tally, DecodeError> {
        Ok(Tally {
            seen: reader.unsigned_as()?,
            folded: reader.unsigned_as()?,
            late: reader.unsigned_as()?,
            rejected: reader.unsigned_as()?,
            outside: reader.unsigned_as()?,
            unkeyed: reader.unsigned_as()?,
            filtered: reader.unsigned_as()?,
            before_history: reader.unsigned_as()?,
            surplus: reader.unsigned_as()?,
            missing: many(reader, |reader| reader.unsigned_as())?,
        })
    }
}

/// Where one view stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewCommit {
    pub view: Arc<str>,
    pub generation: u32,
    pub position: Offset,
    /// Maximum event time below the position; `None` is −∞.
    pub max_ms: Option<i64>,
    pub tallies: Vec<(Width, Tally)>,
}

/// The whole of what a commit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub source: SourceId,
    /// The committed offset: the least position of the views.
    pub position: Offset,
    /// Leader epoch of the last record below it (of a file: a check of its text); −1 where unknown.
    pub leader_epoch: i32,
    /// Clock watermark of an idle partition, ms: says something of the clock, nothing of the log.
    pub idle_ms: Option<i64>,
    /// The newest position that the store has been proven to keep.
    pub kept: Option<Offset>,
    /// Sorted by name.
    pub views: Vec<ViewCommit>,
}

/// Where the views of a commit are.
enum Body {
    Here = 0,
    /// Too long for the broker: in the store, under this position.
    Spilled = 1,
}

/// Metadata as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metadata {
    Whole(Commit),
    /// The views must be fetched from the store and joined with [`Commit::join`].
    Spilled(Commit),
}

impl Commit {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.head(Body::Here);
        self.encode_views(&mut out);
        out.finish()
    }

    /// The form for a commit whose views have been spilled.
    pub fn encode_spilled(&self) -> Vec<u8> {
        self.head(Body::Spilled).finish()
    }

    fn head(&self, body: Body) -> Writer {
        let mut out = Writer::new(VERSION);
        out.byte(body as u8);
        out.raw(&self.source.topic.0);
        out.signed(self.source.partition.into());
        out.signed(self.position.0.into());
        out.signed(self.leader_epoch.into());
        out.optional(self.idle_ms);
        out.optional(self.kept.map(|kept| kept.0));
        out
    }

    fn encode_views(&self, out: &mut Writer) {
        out.unsigned(self.views.len() as u128);
        for view in &self.views {
            out.text(&view.view);
            out.unsigned(view.generation.into());
            out.signed(view.position.0.into());
            out.optional(view.max_ms);
            out.unsigned(view.tallies.len() as u128);
            for (width, tally) in &view.tallies {
                out.signed(width.code().into());
                tally.encode(out);
            }
        }
    }

    pub fn decode(metadata: &[u8]) -> Result<Metadata, DecodeError> {
        let mut reader = Reader::open(metadata, VERSION)?;
        let body = reader.byte()?;
        let topic = TopicId(reader.raw(16)?.try_into().map_err(|_| DecodeError::Malformed)?);
        let mut commit = Commit {
            source: SourceId { topic, partition: reader.signed_as()? },
            position: Offset(reader.signed_as()?),
            leader_epoch: reader.signed_as()?,
            idle_ms: reader.optional()?,
            kept: reader.optional()?.map(Offset),
            views: Vec::new(),
        };
        let whole = body == Body::Here as u8;
        if whole {
            commit.views = many(&mut reader, decode_view)?;
        } else if body != Body::Spilled as u8 {
            return Err(DecodeError::Malformed);
        }
        reader.end()?;
        Ok(if whole { Metadata::Whole(commit) } else { Metadata::Spilled(commit) })
    }

    /// A whole commit, if that is what it is.
    pub fn whole(metadata: &[u8]) -> Option<Commit> {
        match Commit::decode(metadata) {
            Ok(Metadata::Whole(commit)) => Some(commit),
            _ => None,
        }
    }

    /// Completes a spilled commit with the whole one that the store keeps for its position.
    pub fn join(self, spilled: &Commit) -> Option<Commit> {
        let same = self.source == spilled.source && self.position == spilled.position;
        same.then(|| Commit { views: spilled.views.clone(), ..self })
    }

    /// The furthest position of a view: everything below it must be durable before the commit.
    pub fn reach(&self) -> Offset {
        self.views.iter().map(|view| view.position).max().unwrap_or(self.position)
    }

    pub fn view(&self, name: &str, generation: u32) -> Option<&ViewCommit> {
        self.views.iter().find(|view| *view.view == *name && view.generation == generation)
    }
}

fn decode_view(reader: &mut Reader<'_>) -> Result<ViewCommit, DecodeError> {
    Ok(ViewCommit {
        view: Arc::from(reader.text()?),
        generation: reader.unsigned_as()?,
        position: Offset(reader.signed_as()?),
        max_ms: reader.optional()?,
        tallies: many(reader, |reader| Ok((width(reader)?, Tally::decode(reader)?)))?,
    })
}

fn width(reader: &mut Reader<'_>) -> Result<Width, DecodeError> {
    Width::from_code(reader.signed_as()?).ok_or(DecodeError::Malformed)
}

fn many<T>(
    reader: &mut Reader<'_>,
    mut one: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count: usize = reader.unsigned_as()?;
    if count > MAX_ITEMS {
        return Err(DecodeError::Malformed);
    }
    (0..count).map(|_| one(reader)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn commit() -> Commit {
        let tally = Tally {
            seen: 10,
            folded: 4,
            late: 2,
            rejected: 1,
            outside: 1,
            unkeyed: 1,
            filtered: 1,
            before_history: 0,
            missing: vec![3, 0],
            surplus: 5,
        };
        Commit {
            source: SourceId { topic: TopicId([7; 16]), partition: 3 },
            position: Offset(1_234_567),
            leader_epoch: 12,
            idle_ms: Some(-5),
            kept: Some(Offset(1_000_000)),
            views: vec![ViewCommit {
                view: Arc::from("region"),
                generation: 1,
                position: Offset(1_234_567),
                max_ms: Some(1_550_584_930_000),
                tallies: vec![(Width::HOUR, tally)],
            }],
        }
    }

    #[test]
    fn metadata_is_read_back_whole_and_spilled() {
        let commit = commit();
        assert!(commit.views[0].tallies[0].1.adds_up());
        assert_eq!(Commit::decode(&commit.encode()), Ok(Metadata::Whole(commit.clone())));
        let Ok(Metadata::Spilled(head)) = Commit::decode(&commit.encode_spilled()) else { panic!("spilled") };
        assert!(head.views.is_empty());
        let other = Commit { position: Offset(5), ..commit.clone() };
        assert_eq!(head.clone().join(&other), None);
        assert_eq!(head.join(&commit), Some(commit));
    }

    #[test]
    fn a_view_takes_well_under_a_hundred_bytes() {
        assert!(commit().encode().len() < 100, "{}", commit().encode().len());
    }

    #[test]
    fn any_change_is_noticed() {
        let blob = commit().encode();
        for at in 0..blob.len() {
            let mut broken = blob.clone();
            broken[at] ^= 0x10;
            assert!(Commit::decode(&broken).is_err());
            assert!(Commit::decode(&blob[..at]).is_err());
        }
    }

    proptest! {
        #[test]
        fn hostile_metadata_is_refused_without_a_panic(mut blob: Vec<u8>) {
            let _ = Commit::decode(&blob);
            blob.insert(0, VERSION);
            blob.extend(crc32fast::hash(&blob).to_le_bytes());
            let _ = Commit::decode(&blob);
        }
    }
}
