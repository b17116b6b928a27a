//! What the first readings of a stream become: for people who wonder whether the configuration
//! means what they meant. Pure.

use std::sync::Arc;

use arrow_array::Array;
use serde_json::{Value, json};

use crate::decode::Texts;
use crate::locate::RegionIdx;
use crate::reading::{Batch, TextColumn, TopicPartition, flags};

/// Longest piece of a refused reading's text that is shown, in characters.
const SHOWN: usize = 160;

/// A region set in use, for the names of what lies in it.
pub struct Place<'a> {
    /// The views that group by it, or the set's own name.
    pub label: String,
    /// Code and name by index.
    pub region: &'a dyn Fn(usize) -> (String, String),
    /// Where each row of the batch lies.
    pub found: Vec<Option<RegionIdx>>,
}

/// What a stream's columns are called.
pub struct Names<'a> {
    pub metrics: &'a [Arc<str>],
    pub labels: &'a [Arc<str>],
    pub places: &'a [Place<'a>],
    pub unit_exponent: i32,
}

/// One reading, or a record that cannot be split into readings.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// `topic/partition`, offset, index within the record.
    pub partition: String,
    pub offset: i64,
    pub index: u32,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The stream rejects it; with the start of its text.
    Refused {
        reason: &'static str,
        detail: String,
        text: String,
    },
    Taken(Taken),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    pub time_ms: i64,
    pub position: Option<(f64, f64)>,
    /// Empty where the stream has none, or the reading names none.
    pub tenant: Option<String>,
    /// What views may group by: those that the reading has.
    pub labels: Vec<(String, String)>,
    /// Per region set: whose it is, and the code and name of the region; `None` is outside.
    pub regions: Vec<(String, Option<(String, String)>)>,
    /// A configured filter leaves it out.
    pub filtered: bool,
    pub metrics: Vec<Metric>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    pub name: String,
    /// Decimal text; `None` where it is missing.
    pub value: Option<String>,
    pub alarm: bool,
    pub active: bool,
    pub outlier: bool,
}

/// The first readings of a decoded batch, in the order of the log.
pub fn first(partition: &TopicPartition, batch: &Batch, names: &Names<'_>, count: usize) -> Vec<Reading> {
    let mut readings: Vec<Reading> = Vec::new();
    let mut texts = Texts::new(batch);
    for rejection in &batch.rejections {
        let index = (!rejection.reject.is_of_table()).then_some(rejection.index);
        let outcome = Outcome::Refused {
            reason: rejection.reject.reason(),
            detail: rejection.reject.to_string(),
            text: clip(&String::from_utf8_lossy(&texts.text(&rejection.text, index, 4 * SHOWN).bytes)),
        };
        readings.push(reading(partition, rejection.offset.0, rejection.index, outcome));
    }
    for record in &batch.records {
        for row in record.readings.start as usize..record.readings.end as usize {
            let taken = taken(batch, row, names);
            readings.push(reading(partition, record.offset.0, batch.columns.index[row], Outcome::Taken(taken)));
        }
    }
    readings.sort_by_key(|one| (one.offset, one.index));
    readings.truncate(count);
    readings
}

fn reading(partition: &TopicPartition, offset: i64, index: u32, outcome: Outcome) -> Reading {
    Reading { partition: partition.to_string(), offset, index, outcome }
}

fn taken(batch: &Batch, row: usize, names: &Names<'_>) -> Taken {
    let columns = &batch.columns;
    let has_position = columns.lat.is_valid(row) && columns.lon.is_valid(row);
    let region =
        |place: &Place<'_>| (place.label.clone(), place.found[row].map(|region| (place.region)(region.index())));
    let text = |column: &TextColumn| column.get(row).map(|number| column.text(number).to_string());
    let label = |(name, column): (&Arc<str>, &TextColumn)| Some((name.to_string(), text(column)?));
    let named = names.metrics.iter().zip(&columns.metrics).map(|(name, column)| {
        let value = column.values.is_valid(row).then(|| column.values.value(row));
        metric(name, value, column.flags.value(row), names.unit_exponent)
    });
    let others = columns.others.of(row).iter().map(|(name, value, flags)| {
        metric(&columns.others.names[*name as usize], Some(*value), *flags, names.unit_exponent)
    });
    Taken {
        time_ms: columns.time_ms.value(row),
        position: has_position.then(|| (columns.lat.value(row), columns.lon.value(row))),
        tenant: columns.tenants.as_ref().and_then(text),
        labels: names.labels.iter().zip(&columns.labels).filter_map(label).collect(),
        regions: if has_position { names.places.iter().map(region).collect() } else { Vec::new() },
        filtered: columns.filtered.value(row),
        metrics: named.chain(others).collect(),
    }
}

fn metric(name: &str, value: Option<i64>, bits: u8, unit_exponent: i32) -> Metric {
    let has = |flag| bits & flag != 0;
    Metric {
        name: name.to_owned(),
        value: value.map(|value| decimal(value, unit_exponent)),
        alarm: has(flags::ALARM),
        active: has(flags::ACTIVE),
        outlier: has(flags::OUTLIER),
    }
}

impl Reading {
    pub fn json(&self) -> Value {
        let mut object = json!({ "partition": self.partition, "offset": self.offset, "index": self.index });
        let more = match &self.outcome {
            Outcome::Refused { reason, detail, text } => json!({ "rejected": reason, "detail": detail, "text": text }),
            Outcome::Taken(taken) => taken.json(),
        };
        if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
            object.extend(more.clone());
        }
        object
    }
}

impl Taken {
    fn json(&self) -> Value {
        let region = |(label, region): &(String, Option<(String, String)>)| {
            let (code, name) = region.clone().unzip();
            json!({ "of": label, "code": code, "name": name })
        };
        let metric = |one: &Metric| json!({ "name": one.name, "value": one.value, "alarm": one.alarm, "active": one.active, "outlier": one.outlier });
        json!({
            "time_ms": self.time_ms, "lat": self.position.map(|place| place.0), "lon": self.position.map(|place| place.1),
            "tenant": self.tenant, "labels": self.labels.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "filtered": self.filtered, "regions": self.regions.iter().map(region).collect::<Vec<_>>(),
            "metrics": self.metrics.iter().map(metric).collect::<Vec<_>>(),
        })
    }
}

/// A fixed-point value as a decimal text: 29406800000 of unit 1e-9 is `29.4068`.
pub fn decimal(value: i64, unit_exponent: i32) -> String {
    let places = unit_exponent.unsigned_abs() as usize;
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let (sign, fraction) = (if value < 0 { "-" } else { "" }, fraction.trim_end_matches('0'));
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOADS: [&str; 4] = [
        r#"[{"at":"2019-02-19T14:00:00Z","lat":48.11,"lon":-1.68,"x":31.5,"on":1},{"at":"never","x":1},
            {"at":"2019-02-19T14:00:01Z","lat":0,"lon":0,"on":0}]"#,
        "{not json",
        r#"{"at":"2019-02-19T14:00:02Z","lat":48.11,"lon":-1.68,"x":1,"country":"Spain"}"#,
        r#"{"at":"2019-02-19T14:00:03Z","lat":48.11,"lon":-1.68,"x":2}"#,
    ];

    /// The payloads as the configuration below understands them.
    fn readings(count: usize) -> Vec<Reading> {
        let text = r#"{ topics = ["t"], time = "at", lat = "lat", lon = "lon", active = "on",
            filters = [{ field = "country", not = "Spain" }], metrics.x = { threshold = 30, normal = { mu = 0, sigma = 1, k = 2 } } }"#;
        let text = &text.replace('\n', " ");
        let vars = [("ETIAGE_STREAMS__T", text.as_str()), ("ETIAGE_VIEWS__REGION__WINDOW", "1h")];
        let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = crate::config::Config::load(None, vars).expect("sound");
        let compiled = crate::setup::Compiled::new(&config).expect("sound");
        let mut raw = crate::reading::RawBatch::default();
        for (offset, payload) in PAYLOADS.iter().enumerate() {
            raw.push(crate::reading::Offset(offset as i64), Some(1_600_000_000_000), None, Some(payload.as_bytes()));
        }
        let input = &compiled.inputs["t"];
        let set = compiled.regions[0].places.set.clone();
        let place = crate::run::decoding::Places { set: set.clone(), nearest_within_m: None };
        let batch = input.decoder.decode(raw);
        let found = crate::run::decoding::locate(&place, &batch);
        let region = |at: usize| (set.regions()[at].code().to_owned(), set.regions()[at].name().to_owned());
        let partition = TopicPartition { topic: "t".into(), partition: 3 };
        let places = [Place { label: "region".into(), region: &region, found }];
        let (metrics, labels) = (input.decoder.metric_names(), input.decoder.label_names());
        first(&partition, &batch, &Names { metrics, labels, places: &places, unit_exponent: -9 }, count)
    }

    #[test]
    fn each_reading_is_told_in_the_order_of_the_log() {
        let all = readings(100);
        let places: Vec<_> = all.iter().map(|one| (one.offset, one.index)).collect();
        assert_eq!(places, [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (3, 0)]);
        assert_eq!(all[0].partition, "t/3");
        let first = &all[0].json();
        assert_eq!((&first["regions"][0]["code"], &first["metrics"][0]["value"]), (&json!("53"), &json!("31.5")));
        let flags = ["alarm", "active", "outlier"].map(|flag| first["metrics"][0][flag].as_bool());
        assert_eq!(flags, [Some(true); 3], "{first}");
        assert_eq!((&all[1].json()["rejected"], &all[3].json()["rejected"]), (&json!("bad_time"), &json!("malformed")));
        let outside = &all[2].json();
        assert_eq!((&outside["regions"][0]["code"], &outside["metrics"][0]["value"]), (&Value::Null, &Value::Null));
        assert_eq!((&all[4].json()["filtered"], &all[5].json()["filtered"]), (&json!(true), &json!(false)));
        assert_eq!(readings(2)[..], all[..2]);
    }

    #[test]
    fn fixed_point_values_are_told_as_decimals() {
        for (value, exponent, text) in [
            (29_406_800_000, -9, "29.4068"),
            (-5, -1, "-0.5"),
            (0, -9, "0"),
            (1, -15, "0.000000000000001"),
            (70, 0, "70"),
            (i64::MIN, -9, "-9223372036.854775808"),
        ] {
            assert_eq!(decimal(value, exponent), text);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(clip("é"), "é");
        assert_eq!(clip(&"é".repeat(1_000)).chars().count(), SHOWN + 1);
    }
}
