//! librdkafka's consumer behind safe types: the handle, lists of partitions, messages, callbacks.
//!
//! All `unsafe` of the Kafka source is in this file and in `admin.rs`. Callbacks only note what happened;
//! the reader acts on it after the poll has returned, so that nothing waits inside librdkafka.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka_sys as sys;

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
}

impl Notes {
    pub fn next_rebalance(&self) -> Option<Rebalance> {
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub fn next_error(&self) -> Option<Failure> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// A consumer handle. Destroyed with the last of its owners, without leaving the group: that is `close`'s work.
pub struct Client {
    pub(super) rk: *mut sys::rd_kafka_t,
    queue: *mut sys::rd_kafka_queue_t,
    pub notes: Arc<Notes>,
}

// SAFETY: librdkafka's handles and queues may be used from any thread.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    pub fn new(properties: &BTreeMap<String, String>) -> Result<Client, String> {
        let notes = Arc::new(Notes::default());
        let conf = configure(properties)?;
        let mut why = [0; 512];
        // SAFETY: `notes` outlives the handle (dropped after it is destroyed); on success `rd_kafka_new` owns the
        // configuration, on failure it is destroyed here.
        unsafe {
            sys::rd_kafka_conf_set_opaque(conf, Arc::as_ptr(&notes).cast_mut().cast());
            sys::rd_kafka_conf_set_rebalance_cb(conf, Some(on_rebalance));
            sys::rd_kafka_conf_set_error_cb(conf, Some(on_error));
            sys::rd_kafka_conf_set_log_cb(conf, Some(on_log));
            let rk = sys::rd_kafka_new(sys::RDKafkaType::RD_KAFKA_CONSUMER, conf, why.as_mut_ptr(), why.len());
            if rk.is_null() {
                sys::rd_kafka_conf_destroy(conf);
                return Err(text(why.as_ptr()));
            }
            sys::rd_kafka_poll_set_consumer(rk);
            Ok(Client { rk, queue: sys::rd_kafka_queue_get_consumer(rk), notes })
        }
    }

    pub fn subscribe<'a>(&self, topics: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        let mut list = List::new();
        topics.for_each(|topic| drop(list.add(topic, -1)));
        // SAFETY: both pointers are live; the list is copied.
        Code(unsafe { sys::rd_kafka_subscribe(self.rk, list.0) } as i32).check()
    }

    /// Fills `into` with at most `limit` messages; waits until there are that many or the time has passed.
    pub fn consume(&self, wait: Duration, limit: usize, into: &mut Vec<Message>) {
        into.reserve(limit);
        // SAFETY: `Message` is a transparent pointer; librdkafka writes at most `limit` of them behind the vector's end.
        unsafe {
            let end = into.as_mut_ptr().add(into.len()).cast::<*mut sys::rd_kafka_message_t>();
            let count = sys::rd_kafka_consume_batch_queue(self.queue, millis(wait), end, limit);
            into.set_len(into.len() + count.max(0) as usize);
        }
    }

    /// Reads these partitions from the offsets in the list, beside (cooperative) or instead of the present ones.
    pub fn assign(&self, list: &List) -> Result<(), Failure> {
        // SAFETY: both pointers are live; the list is copied.
        unsafe {
            if self.is_cooperative() {
                take_error(sys::rd_kafka_incremental_assign(self.rk, list.0))
            } else {
                Code(sys::rd_kafka_assign(self.rk, list.0) as i32).check()
            }
        }
    }

    pub fn unassign(&self, list: &List) -> Result<(), Failure> {
        // SAFETY: as above.
        unsafe {
            if self.is_cooperative() {
                take_error(sys::rd_kafka_incremental_unassign(self.rk, list.0))
            } else {
                Code(sys::rd_kafka_assign(self.rk, ptr::null()) as i32).check()
            }
        }
    }

    fn is_cooperative(&self) -> bool {
        // SAFETY: the result is null or a static string.
        let protocol = unsafe { sys::rd_kafka_rebalance_protocol(self.rk) };
        text(protocol) == "COOPERATIVE"
    }

    /// The group has given the partitions to others already.
    pub fn assignment_lost(&self) -> bool {
        // SAFETY: the handle is live.
        unsafe { sys::rd_kafka_assignment_lost(self.rk) != 0 }
    }

    pub fn pause(&self, list: &List) {
        // SAFETY: both pointers are live. What fails is said in the list, and a partition that is gone needs no pause.
        unsafe { sys::rd_kafka_pause_partitions(self.rk, list.0) };
    }

    pub fn resume(&self, list: &List) {
        // SAFETY: as above.
        unsafe { sys::rd_kafka_resume_partitions(self.rk, list.0) };
    }

    /// Reads on at the list's offsets; where it cannot, the list says so.
    pub fn seek(&self, list: &List, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: both pointers are live.
        unsafe { take_error(sys::rd_kafka_seek_partitions(self.rk, list.0, millis(timeout))) }?;
        list.answers().into_iter().try_for_each(|(_, code)| code.check())
    }

    /// Fills in offsets and metadata of the group's commits; elements without one keep a negative offset.
    pub fn committed(&self, list: &mut List, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: both pointers are live, and the list is borrowed alone.
        Code(unsafe { sys::rd_kafka_committed(self.rk, list.0, millis(timeout)) } as i32).check()
    }

    /// First offset held and offset after the last record, asked of the broker.
    pub fn watermarks(&self, topic: &str, partition: i32, timeout: Duration) -> Result<(i64, i64), Failure> {
        let name = c_string(topic);
        let (mut low, mut high) = (0, 0);
        // SAFETY: all pointers are live for the call.
        let err = unsafe {
            let wait = millis(timeout);
            sys::rd_kafka_query_watermark_offsets(self.rk, name.as_ptr(), partition, &mut low, &mut high, wait)
        };
        Code(err as i32).check().map(|()| (low, high))
    }

    /// Commits all offsets of the list and waits for the answer; the list is returned with an error code for each.
    pub fn commit(&self, list: &List, timeout: Duration) -> Result<Vec<(Element, Code)>, Failure> {
        // SAFETY: the queue and the event are ours and destroyed here; the event's list lives as long as the event.
        unsafe {
            let queue = sys::rd_kafka_queue_new(self.rk);
            let sent = Code(sys::rd_kafka_commit_queue(self.rk, list.0, queue, None, ptr::null_mut()) as i32);
            let event = match sent.0 {
                0 => sys::rd_kafka_queue_poll(queue, millis(timeout)),
                _ => ptr::null_mut(),
            };
            sys::rd_kafka_queue_destroy(queue);
            sent.check()?;
            if event.is_null() {
                return Err(Failure { code: TIMED_OUT, text: "no answer to a commit".into() });
            }
            let code = Code(sys::rd_kafka_event_error(event) as i32);
            let answers = elements(sys::rd_kafka_event_topic_partition_list(event));
            sys::rd_kafka_event_destroy(event);
            // The event's code repeats one of the partitions' unless the whole request failed.
            if answers.iter().all(|(_, one)| one.0 == 0) { code.check().map(|()| answers) } else { Ok(answers) }
        }
    }

    /// Begins to leave the group; revocations still come through the polls until `closed`.
    pub fn begin_close(&self) -> Result<(), Failure> {
        // SAFETY: both pointers are live.
        unsafe { take_error(sys::rd_kafka_consumer_close_queue(self.rk, self.queue)) }
    }

    pub fn closed(&self) -> bool {
        // SAFETY: the handle is live.
        unsafe { sys::rd_kafka_consumer_closed(self.rk) != 0 }
    }

    /// The words of a fatal error, if one has been raised.
    pub fn fatal(&self) -> Option<String> {
        let mut why = [0; 512];
        // SAFETY: the buffer's length is given.
        let err = unsafe { sys::rd_kafka_fatal_error(self.rk, why.as_mut_ptr(), why.len()) } as i32;
        (err != 0).then(|| text(why.as_ptr()))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handle: every user holds an owner of this value.
        unsafe {
            sys::rd_kafka_queue_destroy(self.queue);
            sys::rd_kafka_destroy_flags(self.rk, sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        }
    }
}

pub const TIMED_OUT: Code = Code(sys::RDKafkaRespErr::RD_KAFKA_RESP_ERR__TIMED_OUT as i32);

fn configure(properties: &BTreeMap<String, String>) -> Result<*mut sys::rd_kafka_conf_t, String> {
    let mut why = [0; 512];
    // SAFETY: the configuration is ours until handed to `rd_kafka_new`, or destroyed on an error.
    unsafe {
        let conf = sys::rd_kafka_conf_new();
        for (key, value) in properties {
            let (name, setting) = (c_string(key), c_string(value));
            let result = sys::rd_kafka_conf_set(conf, name.as_ptr(), setting.as_ptr(), why.as_mut_ptr(), why.len());
            if result != sys::RDKafkaConfRes::RD_KAFKA_CONF_OK {
                sys::rd_kafka_conf_destroy(conf);
                return Err(text(why.as_ptr()));
            }
        }
        Ok(conf)
    }
}

/// A list of partitions.
pub struct List(pub(super) *mut sys::rd_kafka_topic_partition_list_t);

// SAFETY: a list is plain memory with one owner.
unsafe impl Send for List {}

/// What one element of a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub metadata: Vec<u8>,
}

impl List {
    pub fn new() -> List {
        // SAFETY: allocates; aborts when out of memory.
        List(unsafe { sys::rd_kafka_topic_partition_list_new(8) })
    }

    pub fn add(&mut self, topic: &str, partition: i32) -> Entry<'_> {
        let name = c_string(topic);
        // SAFETY: the name is copied; the entry borrows the list, so that nothing moves its elements meanwhile.
        Entry(unsafe { &mut *sys::rd_kafka_topic_partition_list_add(self.0, name.as_ptr(), partition) })
    }

    pub fn elements(&self) -> impl Iterator<Item = Element> {
        // SAFETY: the list is live.
        unsafe { elements(self.0) }.into_iter().map(|(element, _)| element)
    }

    /// Elements with the error that the last request left on each.
    pub fn answers(&self) -> Vec<(Element, Code)> {
        // SAFETY: the list is live.
        unsafe { elements(self.0) }
    }

    pub fn is_empty(&self) -> bool {
        // SAFETY: the list is live.
        unsafe { (*self.0).cnt == 0 }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: ours alone.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.0) };
    }
}

/// The element just added.
pub struct Entry<'a>(&'a mut sys::rd_kafka_topic_partition_t);

impl Entry<'_> {
    pub fn offset(self, offset: i64) -> Self {
        self.0.offset = offset;
        self
    }

    /// −1 is unknown.
    pub fn leader_epoch(self, epoch: i32) -> Self {
        // SAFETY: the element is live.
        unsafe { sys::rd_kafka_topic_partition_set_leader_epoch(self.0, epoch) };
        self
    }

    pub fn metadata(self, metadata: &str) -> Self {
        // SAFETY: the list frees what this allocator gave; the copy stays within it.
        unsafe {
            let copy = sys::rd_kafka_mem_malloc(ptr::null_mut(), metadata.len().max(1));
            ptr::copy_nonoverlapping(metadata.as_ptr(), copy.cast(), metadata.len());
            self.0.metadata = copy;
            self.0.metadata_size = metadata.len();
        }
        self
    }
}

/// # Safety
/// `list` is null or live.
unsafe fn elements(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<(Element, Code)> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: a live list has `cnt` elements; metadata is null or has its size.
    unsafe {
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        let all = (0..count).map(|index| (*list).elems.add(index));
        all.map(|element| {
            let metadata = slice((*element).metadata, (*element).metadata_size).unwrap_or_default().to_vec();
            let code = Code((&raw const (*element).err).cast::<i32>().read());
            let (topic, partition, offset) = (text((*element).topic), (*element).partition, (*element).offset);
            (Element { topic, partition, offset, metadata }, code)
        })
        .collect()
    }
}

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

    pub fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: both pointers are live.
        let at = unsafe { sys::rd_kafka_message_timestamp(self.0, &mut kind) };
        (at >= 0).then_some(at)
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

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: ours alone.
        unsafe { sys::rd_kafka_message_destroy(self.0) };
    }
}

unsafe extern "C" fn on_rebalance(
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

unsafe extern "C" fn on_error(_: *mut sys::rd_kafka_t, err: c_int, reason: *const c_char, opaque: *mut c_void) {
    // SAFETY: the opaque pointer is the handle's `Notes`.
    let notes = unsafe { &*opaque.cast::<Notes>() };
    let mut errors = notes.errors.lock().unwrap_or_else(PoisonError::into_inner);
    // The reader looks after every poll; the bound is for the time before it starts.
    if errors.len() < 1024 {
        errors.push_back(Failure { code: Code(err), text: text(reason) });
    }
}

unsafe extern "C" fn on_log(_: *const sys::rd_kafka_t, level: c_int, fac: *const c_char, buf: *const c_char) {
    let (facility, line) = (text(fac), text(buf));
    // Connection failures come through the error callback too, where they are limited in rate.
    let repeated = matches!(facility.as_str(), "FAIL" | "ERROR" | "BROKERFAIL");
    match level {
        0..=4 if !repeated => tracing::warn!(target: "librdkafka", facility, "{line}"),
        5..=6 => tracing::info!(target: "librdkafka", facility, "{line}"),
        _ => tracing::debug!(target: "librdkafka", facility, "{line}"),
    }
}

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
pub(super) fn text(from: *const c_char) -> String {
    // SAFETY: librdkafka's strings end with a zero byte.
    if from.is_null() { String::new() } else { unsafe { CStr::from_ptr(from) }.to_string_lossy().into_owned() }
}

/// Text for C: cut at a zero byte, which no name or setting of Kafka's may hold.
pub(super) fn c_string(from: &str) -> CString {
    let end = from.find('\0').unwrap_or(from.len());
    CString::new(&from[..end]).unwrap_or_default()
}

pub(super) fn millis(duration: Duration) -> c_int {
    c_int::try_from(duration.as_millis()).unwrap_or(c_int::MAX)
}
