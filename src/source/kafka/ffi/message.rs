//! Messages, borrowed from librdkafka until dropped.

use std::ffi::CStr;

use rdkafka_sys as sys;

use super::{Code, slice, text};

/// A message, or an error in a message's place.
#[repr(transparent)]
pub struct Message(*mut sys::rd_kafka_message_t);

// SAFETY: a message is plain memory with one owner; its destruction may happen on any thread.
unsafe impl Send for Message {}

impl Message {
    pub fn code(&self) -> Code {
        // SAFETY: the message is live; the code is read as a number (see `Code`).
        Code(unsafe { (&raw const (*self.0).err).cast::<i32>().read() })
    }

    /// Two messages with equal places are of one topic and partition.
    pub fn place(&self) -> (usize, i32) {
        // SAFETY: the message is live.
        unsafe { ((*self.0).rkt as usize, (*self.0).partition) }
    }

    pub fn topic(&self) -> String {
        // SAFETY: the message holds its topic.
        unsafe { if (*self.0).rkt.is_null() { String::new() } else { text(sys::rd_kafka_topic_name((*self.0).rkt)) } }
    }

    pub fn partition(&self) -> i32 {
        self.place().1
    }

    pub fn offset(&self) -> i64 {
        // SAFETY: the message is live.
        unsafe { (*self.0).offset }
    }

    /// Bytes of key and payload.
    pub fn size(&self) -> usize {
        // SAFETY: the message is live.
        unsafe { (*self.0).len + (*self.0).key_len }
    }

    pub fn key(&self) -> Option<&[u8]> {
        // SAFETY: the message is live and borrowed for as long as the slice.
        unsafe { slice((*self.0).key, (*self.0).key_len) }
    }

    pub fn payload(&self) -> Option<&[u8]> {
        // SAFETY: as above.
        unsafe { slice((*self.0).payload, (*self.0).len) }
    }

    /// The last value of a header; `None` where the record has no such header, or a null in it.
    pub fn header(&self, name: &CStr) -> Option<&[u8]> {
        let (mut headers, mut value, mut length) = (std::ptr::null_mut(), std::ptr::null(), 0);
        // SAFETY: the message is live and keeps its headers; the value is borrowed for as long.
        unsafe {
            if !told_well(sys::rd_kafka_message_headers(self.0, &mut headers)) {
                return None;
            }
            if !told_well(sys::rd_kafka_header_get_last(headers, name.as_ptr(), &mut value, &mut length)) {
                return None;
            }
            slice(value, length)
        }
    }

    /// Milliseconds since the epoch; 0 for a record that carries none.
    pub fn timestamp_ms(&self) -> i64 {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: both pointers are live.
        let at = unsafe { sys::rd_kafka_message_timestamp(self.0, &mut kind) };
        told(at)
    }

    pub fn leader_epoch(&self) -> i32 {
        // SAFETY: the message is live.
        unsafe { sys::rd_kafka_message_leader_epoch(self.0) }
    }

    /// librdkafka's words for an error message.
    pub fn error_text(&self) -> String {
        // SAFETY: the message is live; its text is null or lives as long.
        let words = text(unsafe { sys::rd_kafka_message_errstr(self.0) });
        if words.is_empty() { self.code().to_string() } else { words }
    }
}

fn told_well(code: sys::rd_kafka_resp_err_t) -> bool {
    code as i32 == 0
}

/// A record without a timestamp (−1) counts as of the epoch, so that readings of today are refused as future by the
/// record alone. Telling of no timestamp would judge it as a line of a file: by a bound that is not the topic's.
fn told(timestamp_ms: i64) -> i64 {
    timestamp_ms.max(0)
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: ours alone.
        unsafe { sys::rd_kafka_message_destroy(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_a_timestamp_is_of_the_epoch() {
        assert_eq!([-1, i64::MIN, 0, 1, 1_700_000_000_000].map(told), [0, 0, 0, 1, 1_700_000_000_000]);
    }
}
