//! What librdkafka calls back: only noted here. The reader acts on it after the poll has returned, so that nothing
//! waits inside librdkafka.

use std::collections::VecDeque;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use rdkafka_sys as sys;

use super::{Code, Failure, List, text};

/// What librdkafka asked of the group member, in the order of asking.
pub enum Rebalance {
    Assign(List),
    Revoke(List),
}

/// What callbacks have noted since the reader last looked.
#[derive(Default)]
pub struct Notes {
    rebalances: Mutex<VecDeque<Rebalance>>,
    errors: Mutex<VecDeque<Failure>>,
    /// The newest that says why: librdkafka says the same again only after half a minute.
    reason: Mutex<Option<Failure>>,
}

impl Notes {
    pub fn next_rebalance(&self) -> Option<Rebalance> {
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub fn reason(&self) -> Option<Failure> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn next_error(&self) -> Option<Failure> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

pub(super) unsafe extern "C" fn on_rebalance(
    rk: *mut sys::rd_kafka_t,
    err: sys::rd_kafka_resp_err_t,
    partitions: *mut sys::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    use sys::RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS as ASSIGN, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS as REVOKE,
    };
    // SAFETY: the opaque pointer is the handle's `Notes`; librdkafka's list is copied.
    unsafe {
        let notes = &*opaque.cast::<Notes>();
        let copy = || List(sys::rd_kafka_topic_partition_list_copy(partitions));
        let note = match err as i32 {
            code if code == ASSIGN as i32 => Rebalance::Assign(copy()),
            code if code == REVOKE as i32 => Rebalance::Revoke(copy()),
            _ => {
                sys::rd_kafka_assign(rk, ptr::null());
                return;
            }
        };
        notes.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push_back(note);
    }
}

pub(super) unsafe extern "C" fn on_error(
    _: *mut sys::rd_kafka_t,
    err: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque pointer is the handle's `Notes`.
    let notes = unsafe { &*opaque.cast::<Notes>() };
    if err != sys::RDKafkaRespErr::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN as i32 {
        let failure = Failure { code: Code(err), text: text(reason) };
        *notes.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }
    let mut errors = notes.errors.lock().unwrap_or_else(PoisonError::into_inner);
    // The reader looks after every poll; the bound is for the time before it starts.
    if errors.len() < 1024 {
        errors.push_back(Failure { code: Code(err), text: text(reason) });
    }
}

pub(super) unsafe extern "C" fn on_log(
    _: *const sys::rd_kafka_t,
    level: c_int,
    fac: *const c_char,
    buf: *const c_char,
) {
    let (facility, line) = (text(fac), text(buf));
    // Connection failures come through the error callback too, where they are limited in rate.
    let repeated = matches!(facility.as_str(), "FAIL" | "ERROR" | "BROKERFAIL");
    match level {
        0..=4 if !repeated => tracing::warn!(target: "librdkafka", facility, "{line}"),
        5..=6 => tracing::info!(target: "librdkafka", facility, "{line}"),
        _ => tracing::debug!(target: "librdkafka", facility, "{line}"),
    }
}
