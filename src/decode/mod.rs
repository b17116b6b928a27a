//! 1 · Bytes → columns, or a reason why not. Pure.

/// Why the stream refuses a reading. (To be completed.)
#[derive(Clone, Debug, PartialEq)]
pub enum Reject {
    Tombstone,
}
