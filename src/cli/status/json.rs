//! The status as one JSON object. Keys are only ever added.

use std::io::Write;

use serde_json::{Value, json};

use super::{Instance, Line, Status};
use crate::cli::rows::time;

pub fn write(status: &Status, out: &mut dyn Write) -> anyhow::Result<()> {
    let instance = |one: &Instance<'_>| {
        json!({
            "name": one.name, "started": time(one.started_ms), "partitions": one.partitions, "last_seen_ms": one.age_ms,
            "running": one.is_alive(),
        })
    };
    let instances = status.instances();
    let members = status.members.iter().map(|one| json!({ "id": one.id, "client": one.client, "host": one.host }));
    let object = json!({
        "group": status.group,
        "partitions": status.lines.iter().map(partition).collect::<Vec<Value>>(),
        "adds_up": status.adds_up(),
        "running": instances.iter().any(Instance::is_alive),
        "lag": { "folded": status.folded_lag(), "committed": status.committed_lag() },
        "records_per_second": status.records_per_second(),
        "open_windows": status.open_windows(),
        "instances": instances.iter().map(instance).collect::<Vec<Value>>(),
        "members": members.collect::<Vec<Value>>(),
    });
    Ok(writeln!(out, "{object:#}")?)
}

fn partition(line: &Line) -> Value {
    let views = line.tallies().map(|(view, generation, max_ms, width, tally)| {
        json!({
            "view": view, "generation": generation, "width": width.to_string(), "max_event_time": max_ms.map(time),
            "watermark": line.watermark(view, generation).map(time),
            "seen": tally.seen, "folded": tally.folded, "late": tally.late, "rejected": tally.rejected,
            "outside": tally.outside, "unkeyed": tally.unkeyed, "filtered": tally.filtered, "before_history": tally.before_history,
            "missing": tally.missing, "surplus": tally.surplus, "adds_up": tally.adds_up(),
        })
    });
    json!({
        "topic": &*line.position.partition.topic, "partition": line.position.partition.partition,
        "topic_id": line.position.source.topic.to_string(), "stream": &*line.position.stream,
        "log_start": line.log_start, "log_end": line.log_end, "committed": line.committed(),
        "committed_lag": line.committed_lag(),
        "folded": line.folded(), "folded_lag": line.folded_lag(),
        "ours": line.is_ours(),
        "idle_watermark": line.commit.as_ref().and_then(|commit| commit.idle_ms).map(time),
        "heartbeat": heartbeat(line),
        "views": views.collect::<Vec<Value>>(),
    })
}

fn heartbeat(line: &Line) -> Value {
    let Some(beat) = &line.beat else { return Value::Null };
    let said = &beat.said;
    json!({
        "instance": said.instance, "age_ms": beat.age_ms, "running": beat.is_alive(), "folded": said.folded.0,
        "log_end": said.log_end.0, "watermark": said.watermark_ms.map(time), "records_per_second": said.records_per_second,
        "open_windows": said.open_windows, "memory_bytes": said.memory_bytes,
    })
}
