//! A record cut into messages: metadata (a flatbuffer, verified before anything of it is read) and a body.

use arrow_ipc::{DictionaryBatch, MessageHeader, MetadataVersion, RecordBatch, root_as_message_with_opts};
use flatbuffers::{InvalidFlatbuffer, VerifierOptions};

use super::malformed;
use crate::decode::json::MAX_DEPTH;
use crate::decode::reject::Reject;

/// Before the length of a message's metadata since version 0.15.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// How the other form begins, that of files.
const FILE: &[u8] = b"ARROW1";
/// Metadata may name a piece of itself many times over, and each time it is looked at again: so large it may look,
/// in times of its length. (What writers write shares nothing but the lists of its tables' fields.)
const APPARENT: usize = 16;

const STREAM: &str = "an Arrow IPC stream";

pub struct Messages<'a> {
    bytes: &'a [u8],
    at: usize,
}

pub struct Message<'a> {
    /// Where its metadata lies in the record.
    pub at: usize,
    pub content: Content<'a>,
    /// Where its body lies.
    pub body_at: usize,
    pub body: &'a [u8],
}

pub enum Content<'a> {
    Dictionary(DictionaryBatch<'a>),
    Batch(RecordBatch<'a>),
}

/// The metadata of the first message.
pub struct SchemaMessage<'a> {
    pub at: usize,
    pub metadata: &'a [u8],
}

impl<'a> Messages<'a> {
    /// The stream, and its first message, whose body is empty.
    pub fn open(bytes: &'a [u8]) -> Result<(Messages<'a>, SchemaMessage<'a>), Reject> {
        if bytes.starts_with(FILE) {
            return Err(malformed(0, "an Arrow IPC stream, not a file: write it in the stream format"));
        }
        let mut messages = Messages { bytes, at: 0 };
        match messages.metadata()? {
            Some((at, metadata)) => Ok((messages, SchemaMessage { at, metadata })),
            None => Err(malformed(0, STREAM)),
        }
    }

    /// The next message after the first one; `None` at the end of the stream, after which nothing may stand.
    pub fn next(&mut self) -> Result<Option<Message<'a>>, Reject> {
        let Some((at, metadata)) = self.metadata()? else { return Ok(None) };
        let message = verified(at, metadata)?;
        let body_at = self.at;
        let length = usize::try_from(message.bodyLength()).ok();
        let body = length.and_then(|length| self.bytes.get(self.at..)?.get(..length));
        let body = body.ok_or(malformed(at, "a body that is all there"))?;
        self.at += body.len();
        let content = match message.header_type() {
            MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().map(Content::Dictionary),
            MessageHeader::RecordBatch => message.header_as_record_batch().map(Content::Batch),
            _ => None,
        };
        let content = content.ok_or(malformed(at, "a batch of rows or a dictionary"))?;
        Ok(Some(Message { at, content, body_at, body }))
    }

    /// The next message's metadata, and where it lies.
    fn metadata(&mut self) -> Result<Option<(usize, &'a [u8])>, Reject> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let expected = if self.at == 0 { STREAM } else { "a message" };
        let mut length = self.word().ok_or(malformed(self.at, expected))?;
        if length == CONTINUATION {
            length = self.word().ok_or(malformed(self.at, "a message's length"))?;
        }
        let (at, length) = (self.at, u32::from_le_bytes(length) as usize);
        if length == 0 {
            return if at == self.bytes.len() {
                Ok(None)
            } else {
                Err(malformed(at, "nothing after the end of the stream"))
            };
        }
        let metadata = self.bytes[at..].get(..length).ok_or(malformed(at, expected))?;
        self.at += length;
        Ok(Some((at, metadata)))
    }

    fn word(&mut self) -> Option<[u8; 4]> {
        let word = *self.bytes.get(self.at..)?.first_chunk()?;
        self.at += word.len();
        Some(word)
    }
}

/// The message whose metadata lies at `at` of the record.
pub fn verified(at: usize, metadata: &[u8]) -> Result<arrow_ipc::Message<'_>, Reject> {
    let bounds = VerifierOptions {
        max_depth: MAX_DEPTH as usize,
        max_apparent_size: metadata.len().saturating_mul(APPARENT),
        ignore_missing_null_terminator: true,
        ..VerifierOptions::default()
    };
    let message = root_as_message_with_opts(&bounds, metadata).map_err(|fault| match fault {
        InvalidFlatbuffer::DepthLimitReached => Reject::TooDeep { at, limit: MAX_DEPTH },
        InvalidFlatbuffer::ApparentSizeTooLarge => malformed(at, "metadata that does not repeat itself"),
        _ if at <= 8 => malformed(at, STREAM),
        _ => malformed(at, "a message"),
    })?;
    match message.version() {
        MetadataVersion::V4 | MetadataVersion::V5 => Ok(message),
        _ => Err(malformed(at, "metadata of version 4 or 5")),
    }
}
