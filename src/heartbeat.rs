//! What a running instance says of a partition that it owns, for people who ask how it is getting
//! on: a hint beside the committed positions, which nothing in the engine reads back. Pure.

use crate::bytes::{DecodeError, Reader, Writer};
use crate::reading::Offset;

const VERSION: u8 = 1;

/// Longest name of an instance, bytes.
const MAX_NAME: usize = 256;

/// One partition at one moment. When that was, the store says beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// `host/process`.
    pub instance: String,
    /// When the instance started, ms since the epoch.
    pub started_ms: i64,
    /// Folded up to here: the committed position lies at or below it.
    pub folded: Offset,
    /// The furthest end of the log that the instance knew.
    pub log_end: Offset,
    pub watermark_ms: Option<i64>,
    /// Since the heartbeat before.
    pub records_per_second: u64,
    /// Parts in memory: windows of this partition that are open, or were not long ago.
    pub open_windows: u64,
    /// Of those parts and of what goes out with them.
    pub memory_bytes: u64,
}

impl Heartbeat {
    pub fn encode(&self) -> Vec<u8> {
        let Heartbeat { instance, started_ms, folded, log_end, watermark_ms, .. } = self;
        let mut out = Writer::new(VERSION);
        out.text(clip(instance));
        out.signed((*started_ms).into());
        out.signed(folded.0.into());
        out.signed(log_end.0.into());
        out.optional(*watermark_ms);
        for count in [self.records_per_second, self.open_windows, self.memory_bytes] {
            out.unsigned(count.into());
        }
        out.finish()
    }

    pub fn decode(metadata: &[u8]) -> Result<Heartbeat, DecodeError> {
        let mut reader = Reader::open(metadata, VERSION)?;
        let heartbeat = Heartbeat {
            instance: clip(reader.text()?).to_owned(),
            started_ms: reader.signed_as()?,
            folded: Offset(reader.signed_as()?),
            log_end: Offset(reader.signed_as()?),
            watermark_ms: reader.optional()?,
            records_per_second: reader.unsigned_as()?,
            open_windows: reader.unsigned_as()?,
            memory_bytes: reader.unsigned_as()?,
        };
        reader.end()?;
        Ok(heartbeat)
    }
}

/// Records a second between two positions; 0 where no time has passed.
pub fn rate(before: Offset, after: Offset, elapsed_ms: u64) -> u64 {
    let records = after.0.saturating_sub(before.0).max(0).unsigned_abs();
    records.saturating_mul(1_000).checked_div(elapsed_ms).unwrap_or(0)
}

fn clip(name: &str) -> &str {
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    &name[..ends.take_while(|end| *end <= MAX_NAME).last().unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heartbeat() -> Heartbeat {
        Heartbeat {
            instance: "étiage-0/7".into(),
            started_ms: 1_700_000_000_000,
            folded: Offset(1_234),
            log_end: Offset(2_000),
            watermark_ms: Some(-5),
            records_per_second: 90_000,
            open_windows: 36,
            memory_bytes: 12_345,
        }
    }

    #[test]
    fn what_was_said_is_read_back() {
        let one = heartbeat();
        assert_eq!(Heartbeat::decode(&one.encode()), Ok(one.clone()));
        let idle = Heartbeat { watermark_ms: None, instance: String::new(), ..one };
        assert_eq!(Heartbeat::decode(&idle.encode()), Ok(idle));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = Heartbeat { instance: "é".repeat(MAX_NAME), ..heartbeat() };
        assert_eq!(Heartbeat::decode(&long.encode()).map(|one| one.instance), Ok("é".repeat(MAX_NAME / 2)));
    }

    #[test]
    fn any_change_is_noticed() {
        let blob = heartbeat().encode();
        for at in 0..blob.len() {
            let mut broken = blob.clone();
            broken[at] ^= 0x10;
            assert!(Heartbeat::decode(&broken).is_err());
            assert!(Heartbeat::decode(&blob[..at]).is_err());
        }
    }

    #[test]
    fn rates_are_of_the_time_between_and_never_negative() {
        assert_eq!(rate(Offset(0), Offset(500), 5_000), 100);
        assert_eq!(rate(Offset(500), Offset(0), 5_000), 0, "another ownership began lower");
        assert_eq!(rate(Offset(0), Offset(500), 0), 0);
        assert_eq!(rate(Offset(i64::MIN), Offset(i64::MAX), 1), u64::MAX);
    }

    proptest! {
        #[test]
        fn hostile_heartbeats_are_refused_without_a_panic(mut blob: Vec<u8>) {
            let _ = Heartbeat::decode(&blob);
            blob.insert(0, VERSION);
            blob.extend(crc32fast::hash(&blob).to_le_bytes());
            if let Ok(read) = Heartbeat::decode(&blob) {
                prop_assert!(read.instance.len() <= MAX_NAME);
            }
        }
    }
}
