//! Rejected and late readings as they leave: keyed by their place in the log, with the reason and,
//! unless withheld, their text. Sent at least once; the key tells repetitions. Pure.

use std::cell::RefCell;
use std::ops::Range;

use arrow_array::Array;
use serde_json::{Map, Value, json};

use crate::decode::Texts;
use crate::reading::{Batch, Offset, Rejection, TopicPartition};
use crate::source::Outgoing;
use crate::view::View;

/// Longest text that is sent along, bytes: a poison message must not become a second one.
const MAX_TEXT: usize = 64 * 1024;

/// Fields that hold something of the reading.
const TELLING: [&str; 2] = ["detail", "event_time_ms"];

/// What all readings of a batch have in common.
pub struct Sender<'a> {
    partition: &'a TopicPartition,
    stream: &'a str,
    payload: bool,
    batch: &'a Batch,
    texts: RefCell<Texts<'a>>,
}

impl<'a> Sender<'a> {
    /// `payload`: whether the readings' text goes along, and with it whatever repeats a piece of it: without, reason
    /// and place are all that leaves.
    pub fn new(partition: &'a TopicPartition, stream: &'a str, payload: bool, batch: &'a Batch) -> Sender<'a> {
        Sender { partition, stream, payload, batch, texts: RefCell::new(Texts::new(batch)) }
    }

    /// A reading that the stream rejected.
    pub fn rejected(&self, rejection: &Rejection) -> Outgoing {
        let Rejection { offset, index, reject, text } = rejection;
        let fields = json!({ "reason": reject.reason(), "detail": reject.to_string() });
        self.outgoing(false, *offset, *index, text, reject.is_of_table(), fields)
    }

    /// A reading that lies in none of a view's regions, or that has no position.
    pub fn outside(&self, offset: Offset, row: usize, view: &str) -> Outgoing {
        let columns = &self.batch.columns;
        let (reason, what) = if columns.lat.is_null(row) {
            ("no_position", "has no position".to_owned())
        } else {
            ("outside", format!("{}, {} lies in none of the regions", columns.lat.value(row), columns.lon.value(row)))
        };
        self.not_taken(offset, row, json!({ "reason": reason, "detail": format!("{what}: view {view}"), "view": view }))
    }

    /// A reading without a field that a view groups by.
    pub fn unkeyed(&self, offset: Offset, row: usize, view: &View) -> Outgoing {
        let detail = format!("nothing in a field that view {} groups by: {}", view.name, view.group_by.join(", "));
        self.not_taken(offset, row, json!({ "reason": "unkeyed", "detail": detail, "view": &*view.name }))
    }

    fn not_taken(&self, offset: Offset, row: usize, fields: Value) -> Outgoing {
        let columns = &self.batch.columns;
        self.outgoing(false, offset, columns.index[row], &columns.text[row], false, fields)
    }

    /// A reading that came after its window was closed in this partition.
    pub fn late(&self, offset: Offset, row: usize, view: &str, width: &str) -> Outgoing {
        let columns = &self.batch.columns;
        let fields = json!({
            "reason": "late",
            "event_time_ms": columns.time_ms.value(row),
            "view": view,
            "width": width,
        });
        self.outgoing(true, offset, columns.index[row], &columns.text[row], false, fields)
    }

    /// `of_table`: where records are tables, the text is the whole record's, none of its rows'.
    fn outgoing(
        &self,
        late: bool,
        offset: Offset,
        index: u32,
        text: &Range<u32>,
        of_table: bool,
        fields: Value,
    ) -> Outgoing {
        let TopicPartition { topic, partition } = self.partition;
        let mut value = Map::new();
        value.insert("stream".into(), self.stream.into());
        value.insert("topic".into(), (**topic).into());
        value.insert("partition".into(), (*partition).into());
        value.insert("offset".into(), offset.0.into());
        value.insert("index".into(), index.into());
        value.extend(fields.as_object().cloned().unwrap_or_default());
        if !self.payload {
            value.retain(|name, _| !TELLING.contains(&name.as_str()));
        } else {
            let all = self.texts.borrow_mut().text(text, (!of_table).then_some(index), MAX_TEXT);
            let kept = &all.bytes[..all.bytes.len().min(MAX_TEXT)];
            value.insert("payload".into(), String::from_utf8_lossy(kept).into());
            if kept.len() < all.bytes.len() {
                value.insert("payload_bytes".into(), all.bytes.len().into());
            }
            if all.is_cut {
                value.insert("payload_cut".into(), true.into());
            }
        }
        Outgoing { late, key: format!("{topic}/{partition}/{offset}/{index}"), value: Value::Object(value).to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::decode::Reject;
    use crate::reading::RawBatch;

    #[test]
    fn without_the_payload_nothing_of_the_reading_leaves() {
        let mut raw = RawBatch::default();
        raw.push(Offset(7), None, None, Some(b"{\"secret\":29.4}"));
        let rejections = Vec::new();
        let batch = Batch { raw, records: Vec::new(), columns: Default::default(), rejections, tables: false };
        let partition = TopicPartition { topic: Arc::from("t"), partition: 3 };
        let reject = Reject::BadNumber { field: "secret".into(), value: "29.4".into() };
        let sent = |payload| {
            let rejection = Rejection { offset: Offset(7), index: 0, reject: reject.clone(), text: 0..15 };
            Sender::new(&partition, "s", payload, &batch).rejected(&rejection)
        };
        let whole: Value = serde_json::from_str(&sent(true).value).unwrap();
        assert_eq!((&whole["payload"], &whole["reason"]), (&json!("{\"secret\":29.4}"), &json!("bad_number")));
        assert!(whole["detail"].as_str().unwrap().contains("29.4"));
        let bare = sent(false);
        let expected = json!({
            "stream": "s", "topic": "t", "partition": 3, "offset": 7, "index": 0, "reason": "bad_number",
        });
        assert_eq!(serde_json::from_str::<Value>(&bare.value).unwrap(), expected);
        assert_eq!(bare.key, "t/3/7/0");
    }
}
