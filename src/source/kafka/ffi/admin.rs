//! What the consumer asks about topics: their ids, partitions and settings, through librdkafka's admin calls.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::ptr;
use std::time::Duration;

use rdkafka_sys as sys;

use super::{Client, Code, Failure, TIMED_OUT, c_string, millis, text};
use crate::reading::TopicId;

/// One topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub id: TopicId,
    pub partitions: i32,
    pub replication: usize,
}

/// Describes topics; one that the cluster does not know is left out.
pub fn describe(client: &Client, names: &[&str], timeout: Duration) -> Result<BTreeMap<String, Topic>, Failure> {
    let owned: Vec<_> = names.iter().map(|name| c_string(name)).collect();
    let mut pointers: Vec<*const c_char> = owned.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: the collection copies the names and is destroyed after the call; the result lives as long as the event.
    unsafe {
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let call = |options, queue| sys::rd_kafka_DescribeTopics(client.rk, topics, options, queue);
        let event = ask(client, sys::RDKafkaAdminOp::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout, call);
        sys::rd_kafka_TopicCollection_destroy(topics);
        let event = event?;
        let mut count = 0;
        let result = sys::rd_kafka_event_DescribeTopics_result(event.0);
        let all = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        (0..count).filter_map(|index| topic(*all.add(index)).transpose()).collect()
    }
}

/// # Safety
/// `description` is live.
unsafe fn topic(description: *const sys::rd_kafka_TopicDescription_t) -> Result<Option<(String, Topic)>, Failure> {
    use sys::RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART as UNKNOWN;
    // SAFETY: everything read belongs to the description.
    unsafe {
        let name = text(sys::rd_kafka_TopicDescription_name(description));
        let error = sys::rd_kafka_TopicDescription_error(description);
        match Code(sys::rd_kafka_error_code(error) as i32) {
            Code(0) => {}
            Code(code) if code == UNKNOWN as i32 => return Ok(None),
            code => {
                let words = text(sys::rd_kafka_error_string(error));
                return Err(Failure { code, text: format!("topic \"{name}\": {words}") });
            }
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(description);
        let high = sys::rd_kafka_Uuid_most_significant_bits(id) as u64;
        let low = sys::rd_kafka_Uuid_least_significant_bits(id) as u64;
        let id = TopicId(((u128::from(high) << 64) | u128::from(low)).to_be_bytes());
        let (mut count, mut replication) = (0, 0);
        let partitions = sys::rd_kafka_TopicDescription_partitions(description, &mut count);
        if count > 0 {
            sys::rd_kafka_TopicPartitionInfo_replicas(*partitions, &mut replication);
        }
        Ok(Some((name, Topic { id, partitions: i32::try_from(count).unwrap_or(i32::MAX), replication })))
    }
}

/// The settings of topics, by topic.
pub fn settings(
    client: &Client,
    names: &[&str],
    timeout: Duration,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Failure> {
    let mut resources: Vec<_> = names.iter().map(|name| resource(name)).collect();
    // SAFETY: the resources are copied by the call and destroyed after it; the result lives as long as the event.
    unsafe {
        let (start, len) = (resources.as_mut_ptr(), resources.len());
        let call = |options, queue| sys::rd_kafka_DescribeConfigs(client.rk, start, len, options, queue);
        let event = ask(client, sys::RDKafkaAdminOp::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout, call);
        sys::rd_kafka_ConfigResource_destroy_array(start, len);
        let event = event?;
        let mut count = 0;
        let result = sys::rd_kafka_event_DescribeConfigs_result(event.0);
        let all = sys::rd_kafka_DescribeConfigs_result_resources(result, &mut count);
        Ok((0..count).map(|index| entries(*all.add(index))).collect())
    }
}

fn resource(topic: &str) -> *mut sys::rd_kafka_ConfigResource_t {
    let name = c_string(topic);
    // SAFETY: the name is copied.
    unsafe { sys::rd_kafka_ConfigResource_new(sys::RDKafkaResourceType::RD_KAFKA_RESOURCE_TOPIC, name.as_ptr()) }
}

/// # Safety
/// `resource` is live.
unsafe fn entries(resource: *const sys::rd_kafka_ConfigResource_t) -> (String, BTreeMap<String, String>) {
    let mut count = 0;
    // SAFETY: everything read belongs to the resource.
    unsafe {
        let name = text(sys::rd_kafka_ConfigResource_name(resource));
        let all = sys::rd_kafka_ConfigResource_configs(resource, &mut count);
        let pair = |entry| (text(sys::rd_kafka_ConfigEntry_name(entry)), text(sys::rd_kafka_ConfigEntry_value(entry)));
        (name, (0..count).map(|index| pair(*all.add(index))).collect())
    }
}

struct Event(*mut sys::rd_kafka_event_t);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours alone.
        unsafe { sys::rd_kafka_event_destroy(self.0) };
    }
}

/// Makes an admin call and waits for its result.
fn ask(
    client: &Client,
    operation: sys::RDKafkaAdminOp,
    timeout: Duration,
    call: impl FnOnce(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
) -> Result<Event, Failure> {
    // SAFETY: options and queue are ours; an answer to a destroyed queue is dropped by librdkafka.
    unsafe {
        let options = sys::rd_kafka_AdminOptions_new(client.rk, operation);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, millis(timeout), ptr::null_mut(), 0);
        let queue = sys::rd_kafka_queue_new(client.rk);
        call(options, queue);
        let event = sys::rd_kafka_queue_poll(queue, millis(timeout) + 500);
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_AdminOptions_destroy(options);
        if event.is_null() {
            return Err(Failure { code: TIMED_OUT, text: "no answer about the topics".into() });
        }
        let event = Event(event);
        match Code(sys::rd_kafka_event_error(event.0) as i32) {
            Code(0) => Ok(event),
            code => Err(Failure { code, text: text(sys::rd_kafka_event_error_string(event.0)) }),
        }
    }
}
