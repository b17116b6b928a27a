//! Lists of partitions, with offsets and what goes with them.

use std::ptr;

use rdkafka_sys as sys;

use super::{Code, c_string, slice, text};

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
pub(super) unsafe fn elements(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<(Element, Code)> {
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
