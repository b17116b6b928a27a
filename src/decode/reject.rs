//! Why the stream refuses a reading: counted data, not an error.

use std::fmt;

/// Longest text of a label or tenant, bytes: it becomes part of a key of the store.
pub(super) const MAX_TEXT: usize = 256;

/// Longest piece of an offending value that is carried along, in characters.
const CLIP: usize = 64;

/// One reason, with the offending value.
#[derive(Clone, Debug, PartialEq)]
pub enum Reject {
    /// The record has no payload.
    Tombstone,
    /// The payload is empty or blank.
    Empty,
    TooLarge {
        bytes: usize,
        limit: usize,
    },
    /// `at`: bytes of valid text before the first bad one.
    NotUtf8 {
        at: usize,
    },
    /// Not what the format says; `at` in bytes from the start of the text.
    Malformed {
        at: usize,
        expected: &'static str,
    },
    TooDeep {
        at: usize,
        limit: u32,
    },
    NotAnObject {
        value: Box<str>,
    },
    NotAnArray {
        value: Box<str>,
    },
    RowTooShort {
        cells: usize,
        header: usize,
    },
    RowTooLong {
        cells: usize,
        header: usize,
    },
    MissingField {
        field: Box<str>,
    },
    BadTime {
        field: Box<str>,
        value: Box<str>,
    },
    /// The clocks were put forward over this local time.
    NoSuchLocalTime {
        value: Box<str>,
        zone: &'static str,
    },
    /// Too far ahead of the record's own timestamp, or of the bound of a file.
    Future {
        time_ms: i64,
        limit_ms: i64,
    },
    BadNumber {
        field: Box<str>,
        value: Box<str>,
    },
    NumberTooLong {
        field: Box<str>,
        limit: usize,
    },
    /// The value does not fit 64 bits in the stream's unit.
    OutOfRange {
        field: Box<str>,
        value: Box<str>,
    },
    /// Beyond ±90 degrees of latitude or ±180 of longitude.
    BadPosition {
        field: Box<str>,
        value: Box<str>,
    },
    /// Of a stream with tenants: `from` says where the tenant should have been.
    NoTenant {
        from: Box<str>,
    },
}

impl Reject {
    /// All reasons, in the order of the variants.
    pub const REASONS: [&str; 19] = [
        "tombstone",
        "empty",
        "too_large",
        "not_utf8",
        "malformed",
        "too_deep",
        "not_an_object",
        "not_an_array",
        "row_too_short",
        "row_too_long",
        "missing_field",
        "bad_time",
        "no_such_local_time",
        "future",
        "bad_number",
        "number_too_long",
        "out_of_range",
        "bad_position",
        "no_tenant",
    ];

    /// Whether it is a whole record's, where records are tables: their rows are never refused for these.
    pub fn is_of_table(&self) -> bool {
        matches!(
            self,
            Reject::Tombstone
                | Reject::Empty
                | Reject::TooLarge { .. }
                | Reject::NotUtf8 { .. }
                | Reject::Malformed { .. }
                | Reject::TooDeep { .. }
        )
    }

    /// A short name that stays the same: the label of counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Reject::Tombstone => "tombstone",
            Reject::Empty => "empty",
            Reject::TooLarge { .. } => "too_large",
            Reject::NotUtf8 { .. } => "not_utf8",
            Reject::Malformed { .. } => "malformed",
            Reject::TooDeep { .. } => "too_deep",
            Reject::NotAnObject { .. } => "not_an_object",
            Reject::NotAnArray { .. } => "not_an_array",
            Reject::RowTooShort { .. } => "row_too_short",
            Reject::RowTooLong { .. } => "row_too_long",
            Reject::MissingField { .. } => "missing_field",
            Reject::BadTime { .. } => "bad_time",
            Reject::NoSuchLocalTime { .. } => "no_such_local_time",
            Reject::Future { .. } => "future",
            Reject::BadNumber { .. } => "bad_number",
            Reject::NumberTooLong { .. } => "number_too_long",
            Reject::OutOfRange { .. } => "out_of_range",
            Reject::BadPosition { .. } => "bad_position",
            Reject::NoTenant { .. } => "no_tenant",
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reject::Tombstone => write!(f, "the record has no payload"),
            Reject::Empty => write!(f, "the payload is empty"),
            Reject::TooLarge { bytes, limit } => write!(f, "payload of {bytes} bytes, at most {limit} are taken"),
            Reject::NotUtf8 { at } => write!(f, "not UTF-8 after {at} bytes"),
            Reject::Malformed { at, expected } => write!(f, "expected {expected} at byte {at}"),
            Reject::TooDeep { at, limit } => write!(f, "nested more than {limit} deep at byte {at}"),
            Reject::NotAnObject { value } => write!(f, "{value} is not an object"),
            Reject::NotAnArray { value } => write!(f, "{value} is not an array"),
            Reject::RowTooShort { cells, header } | Reject::RowTooLong { cells, header } => {
                write!(f, "row of {cells} cells under a header of {header}")
            }
            Reject::MissingField { field } => write!(f, "field {field:?} is missing"),
            Reject::BadTime { field, value } => write!(f, "{field}: {value} is not a time of the stream's format"),
            Reject::NoSuchLocalTime { value, zone } => write!(f, "local time {value} does not exist in {zone}"),
            Reject::Future { time_ms, limit_ms } => write!(f, "event time {time_ms} ms lies after {limit_ms} ms"),
            Reject::BadNumber { field, value } => write!(f, "{field}: {value} is not a number"),
            Reject::NumberTooLong { field, limit } => write!(f, "{field}: a number of more than {limit} digits"),
            Reject::OutOfRange { field, value } => write!(f, "{field}: {value} is out of the range of the unit"),
            Reject::BadPosition { field, value } => write!(f, "{field}: {value} degrees do not exist"),
            Reject::NoTenant { from } => write!(f, "no tenant in {from}: expected 1 to {MAX_TEXT} bytes of UTF-8"),
        }
    }
}

/// The start of a value from outside, short enough to carry.
pub(super) fn clip(value: &str) -> Box<str> {
    match value.char_indices().nth(CLIP) {
        None => value.into(),
        Some((end, _)) => format!("{}…", &value[..end]).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_clipped_between_characters() {
        assert_eq!(&*clip("étiage"), "étiage");
        let clipped = clip(&"é".repeat(1000));
        assert_eq!(clipped.chars().count(), CLIP + 1);
    }
}
