//! Rejected and late readings as they leave: keyed by their place in the log, with the reason and,
//! unless withheld, their text. Sent at least once; the key tells repetitions. Pure.

use arrow_array::Array;
use serde_json::{Map, Value, json};

use crate::decode::Reject;
use crate::reading::{Batch, Offset, TopicPartition};
use crate::source::Outgoing;
use crate::view::View;

/// Longest text that is sent along, bytes: a poison message must not become a second one.
const MAX_TEXT: usize = 64 * 1024;

/// Fields that hold something of the reading.
const TELLING: [&str; 2] = ["detail", "event_time_ms"];

/// What all readings of a partition have in common.
pub struct Sender<'a> {
    pub partition: &'a TopicPartition,
    pub stream: &'a str,
    /// Whether the readings' text goes along, and with it whatever repeats a piece of it: without, reason
    /// and place are all that leaves.
    pub payload: bool,
}

impl Sender<'_> {
    /// A reading that the stream rejected.
    pub fn rejected(
        &self,
        batch: &Batch,
        offset: Offset,
        index: u32,
        reject: &Reject,
        text: &std::ops::Range<u32>,
    ) -> Outgoing {
        let fields = json!({ "reason": reject.reason(), "detail": reject.to_string() });
        self.outgoing(false, batch, offset, index, text, fields)
    }

    /// A reading that lies in none of a view's regions, or that has no position.
    pub fn outside(&self, batch: &Batch, offset: Offset, row: usize, view: &str) -> Outgoing {
        let columns = &batch.columns;
        let (reason, what) = if columns.lat.is_null(row) {
            ("no_position", "has no position".to_owned())
        } else {
            ("outside", format!("{}, {} lies in none of the regions", columns.lat.value(row), columns.lon.value(row)))
        };
        self.not_taken(
            batch,
            offset,
            row,
            json!({ "reason": reason, "detail": format!("{what}: view {view}"), "view": view }),
        )
    }

    /// A reading without a field that a view groups by.
    pub fn unkeyed(&self, batch: &Batch, offset: Offset, row: usize, view: &View) -> Outgoing {
        let detail = format!("nothing in a field that view {} groups by: {}", view.name, view.group_by.join(", "));
        self.not_taken(batch, offset, row, json!({ "reason": "unkeyed", "detail": detail, "view": &*view.name }))
    }

    fn not_taken(&self, batch: &Batch, offset: Offset, row: usize, fields: Value) -> Outgoing {
        let columns = &batch.columns;
        self.outgoing(false, batch, offset, columns.index[row], &columns.text[row], fields)
    }

    /// A reading that came after its window was closed in this partition.
    pub fn late(&self, batch: &Batch, offset: Offset, row: usize, view: &str, width: &str) -> Outgoing {
        let columns = &batch.columns;
        let fields = json!({
            "reason": "late",
            "event_time_ms": columns.time_ms.value(row),
            "view": view,
            "width": width,
        });
        self.outgoing(true, batch, offset, columns.index[row], &columns.text[row], fields)
    }

    fn outgoing(
        &self,
        late: bool,
        batch: &Batch,
        offset: Offset,
        index: u32,
        text: &std::ops::Range<u32>,
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
            let all = &batch.raw.bytes[text.start as usize..text.end as usize];
            let kept = &all[..all.len().min(MAX_TEXT)];
            value.insert("payload".into(), String::from_utf8_lossy(kept).into());
            if kept.len() < all.len() {
                value.insert("payload_bytes".into(), all.len().into());
            }
        }
        Outgoing { late, key: format!("{topic}/{partition}/{offset}/{index}"), value: Value::Object(value).to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::reading::RawBatch;

    #[test]
    fn without_the_payload_nothing_of_the_reading_leaves() {
        let mut raw = RawBatch::default();
        raw.push(Offset(7), None, None, Some(b"{\"secret\":29.4}"));
        let batch = Batch { raw, records: Vec::new(), columns: Default::default(), rejections: Vec::new() };
        let partition = TopicPartition { topic: Arc::from("t"), partition: 3 };
        let reject = Reject::BadNumber { field: "secret".into(), value: "29.4".into() };
        let sent = |payload| {
            let sender = Sender { partition: &partition, stream: "s", payload };
            sender.rejected(&batch, Offset(7), 0, &reject, &(0..15))
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
