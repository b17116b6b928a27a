//! A table's twin: the same readings as a JSON array, with the numbers as the standard library writes them.

use std::fmt::Write;

use arrow_array::types::{Float32Type, Float64Type, Int16Type, Int64Type, UInt64Type};
use arrow_array::{ArrowPrimitiveType, PrimitiveArray};
use chrono::{DateTime, SecondsFormat};
use proptest::prelude::*;

use super::*;
use crate::decode::arrow::{Habit, Numeric};
use crate::decode::decimal::Number;
use crate::decode::fields::Slot;

/// A column and, of each row, its value in JSON; `None` where the text lacks it.
struct Told {
    name: &'static str,
    column: ArrayRef,
    values: Vec<Option<String>>,
}

/// What is drawn of a reading: seconds and ms about noon, then values that each type makes something of.
pub type Drawn = ((i64, i64), Vec<Option<u64>>);

const TEXTS: [&str; 6] = ["France", "Spain", "mq", "", "1.0", "é \"quoted\" and longer than twelve bytes"];

pub fn rows() -> impl Strategy<Value = (Vec<Drawn>, Vec<usize>, usize)> {
    let raw = prop_oneof![3 => (0u64..2000).boxed(), 1 => any::<u64>().boxed()];
    let row = ((-4000i64..400, -5i64..1005), prop::collection::vec(prop::option::weighted(0.9, raw), 10));
    (prop::collection::vec(row, 1..12), prop::collection::vec(0usize..1000, 10), 1usize..8)
}

fn shortest<T: std::fmt::Display + std::fmt::LowerExp>(value: T, wide: f64) -> String {
    match wide.abs() {
        _ if wide.is_nan() => "\"NaN\"".to_owned(),
        _ if wide.is_infinite() => if wide > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }.to_owned(),
        magnitude if magnitude == 0.0 || (1e-7..1e21).contains(&magnitude) => value.to_string(),
        _ => format!("{value:e}"),
    }
}

fn wide(raw: u64) -> f64 {
    match raw % 5 {
        0 => f64::from_bits(raw.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        1 => (raw % 2000) as f64 / 10.0 - 50.0,
        2 => raw as f64,
        3 => (raw % 1_000_000) as f64 / 1e6,
        _ => 1.0 / raw as f64,
    }
}

fn primitive<T: ArrowPrimitiveType>(
    name: &'static str,
    raws: &[Option<u64>],
    value: impl Fn(u64) -> T::Native,
    told: impl Fn(T::Native) -> String,
) -> Told {
    let values: Vec<Option<T::Native>> = raws.iter().map(|raw| raw.map(&value)).collect();
    let column = array(values.iter().copied().collect::<PrimitiveArray<T>>());
    Told { name, column, values: values.into_iter().map(|value| value.map(&told)).collect() }
}

fn number(name: &'static str, kind: usize, raws: &[Option<u64>]) -> Told {
    match kind % 7 {
        0 => primitive::<Float64Type>(name, raws, wide, |value| shortest(value, value)),
        1 => primitive::<Float32Type>(name, raws, |raw| wide(raw) as f32, |value| shortest(value, value.into())),
        2 => primitive::<Int8Type>(name, raws, |raw| raw as i8, |value| value.to_string()),
        3 => primitive::<Int16Type>(name, raws, |raw| raw as i16, |value| value.to_string()),
        4 => primitive::<Int64Type>(name, raws, |raw| raw as i64, |value| value.to_string()),
        5 => primitive::<UInt64Type>(name, raws, |raw| raw, |value| value.to_string()),
        _ => {
            let values: Vec<Option<i128>> = raws.iter().map(|raw| raw.map(|raw| i128::from(raw as i64))).collect();
            let column: Decimal128Array = values.iter().copied().collect();
            let column = array(column.with_precision_and_scale(38, 3).expect("a decimal"));
            let told = |value: i128| {
                let (sign, value) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
                format!("{sign}{}.{:03}", value / 1000, value % 1000)
            };
            Told { name, column, values: values.into_iter().map(|value| value.map(told)).collect() }
        }
    }
}

fn text(name: &'static str, kind: usize, raws: &[Option<u64>]) -> Told {
    let values: Vec<Option<&str>> = raws.iter().map(|raw| raw.map(|raw| TEXTS[raw as usize % TEXTS.len()])).collect();
    let column = match kind % 4 {
        0 => array(StringArray::from(values.clone())),
        1 => array(LargeStringArray::from(values.clone())),
        2 => array(StringViewArray::from(values.clone())),
        _ => array(values.iter().copied().collect::<DictionaryArray<Int8Type>>()),
    };
    let told = |value: Option<&str>| value.map(|value| serde_json::Value::from(value).to_string());
    Told { name, column, values: values.into_iter().map(told).collect() }
}

fn flag(name: &'static str, raws: &[Option<u64>]) -> Told {
    let values: Vec<Option<bool>> = raws.iter().map(|raw| raw.map(|raw| raw % 2 == 1)).collect();
    let told = values.iter().map(|value| value.map(|value| value.to_string())).collect();
    Told { name, column: array(BooleanArray::from(values)), values: told }
}

/// Noon, or the hours in which the clocks were put forward and back.
fn time(name: &'static str, kind: usize, drawn: &[Drawn]) -> Told {
    let around = [NOON_MS, 1_521_945_000_000, 1_540_693_800_000, -2_000_000_000_000][kind / 8 % 4];
    let at: Vec<i64> = drawn.iter().map(|((s, ms), _)| around + s * 1000 + ms).collect();
    let (per_ms, is_instant) = ([1, 1000][kind / 2 % 2], kind.is_multiple_of(2));
    let text = |ms: &i64| {
        let text = DateTime::from_timestamp_millis(*ms).expect("a time").to_rfc3339_opts(SecondsFormat::Millis, true);
        if is_instant { text } else { text.trim_end_matches('Z').to_owned() }
    };
    let zone = is_instant.then_some("Europe/Athens");
    let column = match kind / 4 % 2 {
        0 => array(StringArray::from(at.iter().map(text).collect::<Vec<_>>())),
        _ if per_ms == 1 => array(TimestampMillisecondArray::from(at.clone()).with_timezone_opt(zone)),
        _ => {
            let fine: Vec<i64> = at.iter().map(|ms| ms * 1000 + 999).collect();
            array(TimestampMicrosecondArray::from(fine).with_timezone_opt(zone))
        }
    };
    Told { name, column, values: at.iter().map(|ms| Some(format!("\"{}\"", text(ms)))).collect() }
}

/// The columns, with those of the struct `a` beside each other; and each row as JSON.
fn told(drawn: &[Drawn], kinds: &[usize]) -> (Vec<Told>, [Told; 2]) {
    let raws = |number: usize| drawn.iter().map(|(_, raws)| raws[number]).collect::<Vec<_>>();
    let degrees = |name, number: usize| {
        let (raws, degrees) = (raws(number), |raw: u64| (raw % 1900) as f64 / 10.0 - 90.0);
        match kinds[8 + number] % 4 {
            0 | 1 => primitive::<Float64Type>(name, &raws, degrees, |value| value.to_string()),
            2 => primitive::<Float32Type>(name, &raws, |raw| degrees(raw) as f32, |value| value.to_string()),
            _ => primitive::<Int16Type>(name, &raws, |raw| degrees(raw) as i16, |value| value.to_string()),
        }
    };
    let columns = vec![
        time("timestamp", kinds[0], drawn),
        degrees("lat", 0),
        degrees("lon", 1),
        number("temperature", kinds[1], &raws(2)),
        number("limit", kinds[2], &raws(3)),
        text("country", kinds[3], &raws(4)),
        flag("active", &raws(5)),
        number("more", kinds[4], &raws(6)),
        text("site", kinds[5], &raws(7)),
    ];
    (columns, [number("b", kinds[6], &raws(8)), text("c", kinds[7], &raws(9))])
}

pub fn payloads(drawn: &[Drawn], kinds: &[usize], each: usize) -> (Vec<u8>, String) {
    let (columns, within) = told(drawn, kinds);
    let mut all: Columns = columns.iter().map(|told| (told.name, told.column.clone())).collect();
    let fields: Vec<Arc<Field>> =
        within.iter().map(|told| Arc::new(Field::new(told.name, told.column.data_type().clone(), true))).collect();
    let arrays = within.iter().map(|told| told.column.clone()).collect();
    all.push(("a", array(StructArray::new(fields.into(), arrays, None))));
    let whole = batch_of(&all);
    let starts = (0..drawn.len()).step_by(each);
    let batches: Vec<RecordBatch> = starts.map(|start| whole.slice(start, each.min(drawn.len() - start))).collect();
    let mut json = String::from("[");
    for row in 0..drawn.len() {
        let value = |told: &Told| told.values[row].clone().unwrap_or("null".to_owned());
        json += if row == 0 { "{" } else { ",{" };
        columns.iter().for_each(|told| write!(json, "\"{}\":{},", told.name, value(told)).expect("a string"));
        write!(json, "\"a\":{{\"b\":{},\"c\":{}}}}}", value(&within[0]), value(&within[1])).expect("a string");
    }
    (stream_of(&batches), json + "]")
}

/// All that a batch says of its readings.
fn said(batch: &Batch) -> Vec<String> {
    let columns = &batch.columns;
    let mut all: Vec<String> = verdicts(batch).remove(0).iter().map(|verdict| format!("{verdict:?}")).collect();
    for row in 0..columns.len() {
        let mut others: Vec<_> = columns
            .others
            .of(row)
            .iter()
            .map(|(id, value, flags)| (columns.others.names[*id as usize].clone(), *value, *flags))
            .collect();
        others.sort();
        let text = |column: &crate::reading::TextColumn| column.get(row).map(|number| column.text(number).clone());
        let labels: Vec<_> = columns.labels.iter().map(text).collect();
        let tenant = columns.tenants.as_ref().and_then(text);
        all.push(format!("{others:?} {} {labels:?} {tenant:?}", columns.others.left_out(row)));
    }
    all
}

pub fn assert_same(stream: impl Fn(Format) -> StreamConfig, arrow: &[u8], json: &str) {
    let of_rows = said(&whole(&stream(Format::ArrowIpc), arrow));
    let of_json = said(&whole(&stream(Format::JsonArray), json.as_bytes()));
    assert_eq!(of_rows, of_json, "{json}");
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn a_table_says_what_its_readings_say_in_json((drawn, kinds, each) in rows()) {
        let (arrow, json) = payloads(&drawn, &kinds, each);
        let labels = || BTreeMap::from([("site".to_owned(), "site".to_owned()), ("c".to_owned(), "a.c".to_owned())]);
        let tenant = || Some(crate::config::TenantConfig::Field("site".into()));
        assert_same(|format| StreamConfig { labels: labels(), ..everything(format) }, &arrow, &json);
        assert_same(|format| StreamConfig { tenant: tenant(), ..temperatures(format) }, &arrow, &json);
        let by_station = |format| StreamConfig {
            position: PositionFields::Station { field: "site".into() },
            filters: Vec::new(),
            labels: labels(),
            ..temperatures(format)
        };
        assert_same(by_station, &arrow, &json);
        assert_same(|format| StreamConfig { every_numeric: true, ..temperatures(format) }, &arrow, &json);
    }

    /// The texts are those of the standard library, whatever came before; and what is known of their digits is right.
    #[test]
    fn floats_are_written_as_short_as_they_can_be(raws in prop::collection::vec(any::<u64>(), 1..50)) {
        let (mut texts, mut habits) = (String::new(), [Habit::default(); 2]);
        for raw in raws {
            let (double, single) = (wide(raw), wide(raw) as f32);
            let written = [
                (Numeric::Float64(double).write(&mut texts, &mut habits[0]), shortest(double, double)),
                (Numeric::Float32(single).write(&mut texts, &mut habits[1]), shortest(single, single.into())),
            ];
            for (written, expected) in written {
                match written.slot(&texts) {
                    Slot::Number(number) => {
                        prop_assert_eq!((number.text, written.text(&texts)), (&*expected, Some(&*expected)));
                        prop_assert_eq!(Some(number), Number::parse(number.text));
                    }
                    other => prop_assert_eq!(other, Slot::Text(expected.trim_matches('"').into())),
                }
            }
        }
    }
}
