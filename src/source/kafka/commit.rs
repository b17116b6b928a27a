//! Commits: the metadata's text form, and what a broker's refusal means. Only `commit` itself does I/O.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rdkafka_sys::RDKafkaErrorCode as E;

use super::ffi::{Client, Element, Failure, List};
use super::trouble::request_error;
use crate::reading::Offset;
use crate::source::{CommitRequest, Committed, SourceError};

/// Tells our metadata from anybody else's, and this text form from later ones.
const PREFIX: &str = "e1:";
/// The broker's default for `offset.metadata.max.bytes`.
const BROKER_LIMIT: usize = 4096;
/// Bytes that fit beside a commit: base64 makes four characters of three.
pub const METADATA_LIMIT: usize = (BROKER_LIMIT - PREFIX.len()) / 4 * 3;
/// An answer takes milliseconds, and some seconds while the group's coordinator moves.
const TIMEOUT: Duration = Duration::from_secs(10);

pub fn encode(metadata: &[u8]) -> String {
    let mut text = String::from(PREFIX);
    STANDARD_NO_PAD.encode_string(metadata, &mut text);
    text
}

/// What the group has on record; text that is not ours counts as no metadata.
pub fn committed(element: &Element) -> Option<Committed> {
    let ours = || STANDARD_NO_PAD.decode(element.metadata.strip_prefix(PREFIX.as_bytes())?).ok();
    (element.offset >= 0).then(|| Committed { offset: Offset(element.offset), metadata: ours().unwrap_or_default() })
}

/// Commits all of them, or says why not. Blocks until the broker has answered.
pub fn commit(client: &Client, commits: &[CommitRequest]) -> Result<(), SourceError> {
    let mut list = List::new();
    for one in commits {
        let entry = list.add(&one.partition.topic, one.partition.partition).offset(one.offset.0);
        entry.leader_epoch(one.leader_epoch).metadata(&encode(&one.metadata));
    }
    let answers = client.commit(&list, TIMEOUT).map_err(|failure| verdict("commit", &failure))?;
    match answers.iter().find(|(_, code)| code.0 != 0) {
        Some((element, code)) => {
            let place = format!("commit of {}/{}", element.topic, element.partition);
            Err(verdict(&place, &Failure { code: *code, text: code.to_string() }))
        }
        None => Ok(()),
    }
}

fn verdict(what: &str, failure: &Failure) -> SourceError {
    let text = format!("{what}: {}", failure.text);
    match failure.code.known() {
        Some(E::IllegalGeneration | E::UnknownMemberId | E::FencedInstanceId | E::Fenced) => SourceError::Fenced(text),
        // A *stale* epoch is no fence: the group has moved on and this member, still in it, learns the new epoch with
        // its next heartbeat. Whoever has lost the partition is told by a revocation.
        Some(E::FencedMemberEpoch | E::AssignmentLost) => SourceError::Fenced(text),
        Some(E::OffsetMetadataTooLarge | E::InvalidCommitOffsetSize) => SourceError::Fatal(format!(
            "{text}: set the brokers' offset.metadata.max.bytes to {BROKER_LIMIT} (their default) or more"
        )),
        // No coordinator known, nothing stored, the handle closing: no answer about the commit itself.
        Some(E::NoOffset | E::State | E::UnknownGroup) => SourceError::Unavailable(text),
        _ => request_error(what, failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::kafka::ffi::Code;

    fn element(offset: i64, metadata: &str) -> Element {
        Element { topic: "t".into(), partition: 0, offset, metadata: metadata.as_bytes().to_vec() }
    }

    #[test]
    fn metadata_reads_back_up_to_the_limit() {
        for len in [0, 1, 2, 3, 100, METADATA_LIMIT] {
            let bytes: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
            let text = encode(&bytes);
            assert!(text.len() <= BROKER_LIMIT, "{len} bytes make {}", text.len());
            assert_eq!(committed(&element(7, &text)), Some(Committed { offset: Offset(7), metadata: bytes }));
        }
        assert!(encode(&vec![0; METADATA_LIMIT + 3]).len() > BROKER_LIMIT - 4, "the limit wastes nothing");
    }

    #[test]
    fn metadata_of_others_is_none() {
        for text in ["", "hello", "e1:%%%", "e2:AAAA"] {
            assert_eq!(committed(&element(7, text)), Some(Committed { offset: Offset(7), metadata: vec![] }), "{text}");
        }
        assert_eq!(committed(&element(-1001, "e1:AAAA")), None);
    }

    #[test]
    fn refusals() {
        let of = |code: E| verdict("commit", &Failure { code: Code(code as i32), text: "x".into() });
        assert!(matches!(of(E::IllegalGeneration), SourceError::Fenced(_)));
        assert!(matches!(of(E::StaleMemberEpoch), SourceError::Unavailable(_)));
        assert!(matches!(of(E::RebalanceInProgress), SourceError::Unavailable(_)));
        assert!(matches!(of(E::BrokerTransportFailure), SourceError::Unavailable(_)));
        assert!(matches!(of(E::UnknownTopicOrPartition), SourceError::Unavailable(_)), "brokers may lag behind");
        assert!(
            matches!(of(E::OffsetMetadataTooLarge), SourceError::Fatal(text) if text.contains("offset.metadata.max.bytes"))
        );
    }
}
