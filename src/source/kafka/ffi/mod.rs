//! librdkafka's consumer behind safe types: error codes, and what the parts share.
//!
//! All `unsafe` of the Kafka source is in this folder.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::time::Duration;

use rdkafka_sys as sys;

mod admin;
mod callbacks;
mod client;
mod list;
mod message;

pub use self::admin::{Topic, describe, settings};
pub use self::callbacks::Rebalance;
pub use self::client::Client;
pub use self::list::{Element, List};
pub use self::message::Message;

/// One of librdkafka's or the broker's error codes. A plain number: a broker may be newer than the enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub i32);

impl Code {
    pub fn known(self) -> Option<sys::RDKafkaErrorCode> {
        sys::RDKafkaRespErr::try_from(self.0).ok().map(Into::into)
    }

    fn check(self) -> Result<(), Failure> {
        if self.0 == 0 { Ok(()) } else { Err(Failure { code: self, text: self.to_string() }) }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match sys::RDKafkaRespErr::try_from(self.0) {
            // SAFETY: the function returns a static string for every value of the enumeration.
            Ok(err) => f.write_str(&text(unsafe { sys::rd_kafka_err2str(err) })),
            Err(_) => write!(f, "kafka error {}", self.0),
        }
    }
}

/// An error with librdkafka's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    pub text: String,
}

impl Failure {
    /// The same failure, with what it happened to.
    pub fn about(self, what: &str) -> Failure {
        Failure { text: format!("{what}: {}", self.text), ..self }
    }
}

pub const TIMED_OUT: Code = Code(sys::RDKafkaRespErr::RD_KAFKA_RESP_ERR__TIMED_OUT as i32);

/// # Safety
/// `error` is null or ours.
unsafe fn take_error(error: *mut sys::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the error is ours and destroyed once its words are copied.
    unsafe {
        let code = Code(sys::rd_kafka_error_code(error) as i32);
        let words = text(sys::rd_kafka_error_string(error));
        sys::rd_kafka_error_destroy(error);
        Err(Failure { code, text: words })
    }
}

/// # Safety
/// `start` is null or has `len` bytes that live for `'a`.
unsafe fn slice<'a>(start: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's word.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), len) })
}

/// A C string's text; empty for null.
fn text(from: *const c_char) -> String {
    // SAFETY: librdkafka's strings end with a zero byte.
    if from.is_null() { String::new() } else { unsafe { CStr::from_ptr(from) }.to_string_lossy().into_owned() }
}

/// Text for C: cut at a zero byte, which no name or setting of Kafka's may hold.
fn c_string(from: &str) -> CString {
    let end = from.find('\0').unwrap_or(from.len());
    CString::new(&from[..end]).unwrap_or_default()
}

fn millis(duration: Duration) -> c_int {
    c_int::try_from(duration.as_millis()).unwrap_or(c_int::MAX)
}
