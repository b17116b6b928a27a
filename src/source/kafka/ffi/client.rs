//! The consumer's handle: everything that is asked of it.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka_sys::{self as sys, RDKafkaErrorCode as E};

use super::callbacks::{self, Notes};
use super::list::elements;
use super::{Code, Element, Failure, List, Message, TIMED_OUT, c_string, millis, take_error, text};

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
            sys::rd_kafka_conf_set_rebalance_cb(conf, Some(callbacks::on_rebalance));
            sys::rd_kafka_conf_set_error_cb(conf, Some(callbacks::on_error));
            sys::rd_kafka_conf_set_log_cb(conf, Some(callbacks::on_log));
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
        for topic in topics {
            list.add(topic, -1);
        }
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

    /// Serves the callbacks of a handle that reads nothing, and tells what has gone wrong since the last time.
    pub fn grievances(&self) -> Vec<Failure> {
        // Of such a handle's queue nothing but errors can come, and those are noted too.
        self.consume(Duration::ZERO, 1, &mut Vec::new());
        std::iter::from_fn(|| self.notes.next_error()).collect()
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

    pub fn is_cooperative(&self) -> bool {
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

    /// Reads on at the list's offsets; with an epoch, once the log has been asked whether it ends before.
    /// False where one of them could not be told: not begun yet, so it begins where it was assigned; or being stopped; or
    /// overtaken by a pause of the library's own; or its topic has gone.
    pub fn seek(&self, list: &List, timeout: Duration) -> Result<bool, Failure> {
        // SAFETY: both pointers are live.
        unsafe { take_error(sys::rd_kafka_seek_partitions(self.rk, list.0, millis(timeout))) }?;
        let mut all = true;
        for (_, code) in list.answers() {
            match code.known() {
                Some(E::State | E::PreviousInProgress | E::UnknownPartition | E::Outdated) => all = false,
                _ => code.check()?,
            }
        }
        Ok(all)
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

    /// Asks the brokers anew what partitions the topic has and who leads them; librdkafka remembers the answer.
    pub fn refresh(&self, topic: &str, timeout: Duration) -> Result<(), Failure> {
        let name = c_string(topic);
        let mut answer = ptr::null();
        // SAFETY: topic and answer are ours and destroyed here; a null topic would ask about all that are known.
        let err = unsafe {
            let topic = sys::rd_kafka_topic_new(self.rk, name.as_ptr(), ptr::null_mut());
            if topic.is_null() {
                return Code(sys::rd_kafka_last_error() as i32).check();
            }
            let err = sys::rd_kafka_metadata(self.rk, 0, topic, &mut answer, millis(timeout));
            sys::rd_kafka_topic_destroy(topic);
            if !answer.is_null() {
                sys::rd_kafka_metadata_destroy(answer);
            }
            err
        };
        Code(err as i32).check()
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
    /// Whether the group has taken this member in, with partitions or without.
    pub fn is_member(&self) -> bool {
        // SAFETY: what is returned is ours until it is destroyed.
        unsafe {
            let metadata = sys::rd_kafka_consumer_group_metadata(self.rk);
            if metadata.is_null() {
                return false;
            }
            let generation = sys::rd_kafka_consumer_group_metadata_generation_id(metadata);
            sys::rd_kafka_consumer_group_metadata_destroy(metadata);
            generation > 0
        }
    }

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
