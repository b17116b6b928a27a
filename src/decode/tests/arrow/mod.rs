//! Tables: what their types mean, the same readings as JSON, and whatever else a record may hold.

use std::sync::Arc;

use arrow_array::types::{Int8Type, UInt16Type};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray, Float32Array, Float64Array,
    Int64Array, LargeStringArray, NullArray, RecordBatch, StringArray, StringViewArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow_buffer::NullBuffer;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field};

use super::*;
use crate::decode::Texts;

mod hostile;
mod ordinary;
mod same;

/// A stream of these batches, which have one schema.
pub fn stream_of(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).expect("a writer");
    batches.iter().for_each(|batch| writer.write(batch).expect("a batch"));
    writer.into_inner().expect("the stream")
}

pub type Columns = Vec<(&'static str, ArrayRef)>;

pub fn batch_of(columns: &Columns) -> RecordBatch {
    let columns = columns.iter().map(|(name, column)| (*name, column.clone(), true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
}

pub fn table(columns: &Columns) -> Vec<u8> {
    stream_of(&[batch_of(columns)])
}

pub fn array<T: arrow_array::Array + 'static>(array: T) -> ArrayRef {
    Arc::new(array)
}

/// Two readings, of which the second has no temperature.
pub fn good() -> Columns {
    vec![
        ("timestamp", array(StringArray::from(vec!["2019-02-19 14:02:10", "2019-02-19T13:02:11Z"]))),
        ("lat", array(Float64Array::from(vec![45.6, 45.7]))),
        ("lon", array(Float32Array::from(vec![0.06, -0.5]))),
        ("temperature", array(Float64Array::from(vec![Some(29.4), None]))),
        ("country", array(StringArray::from(vec!["France", "France"]))),
    ]
}

/// The good ones with another column in one's place.
fn with(name: &str, column: ArrayRef) -> Columns {
    let mut columns = good();
    columns.iter_mut().find(|(of, _)| *of == name).expect("a column").1 = column;
    columns
}

fn whole(stream: &StreamConfig, payload: &[u8]) -> Batch {
    Decoder::new(stream, stations()).expect("a valid stream").decode(batch(&[payload], Some(NOON_MS)))
}

/// The reasons, "" for a reading that is taken.
fn reasons(columns: &Columns) -> Vec<&'static str> {
    let found = decode(&temperatures(Format::ArrowIpc), &table(columns), Some(NOON_MS));
    found.into_iter().map(|verdict| verdict.err().unwrap_or("")).collect()
}

/// What `temperature` is worth in the first reading.
fn value(column: ArrayRef) -> Option<i64> {
    let found = decode(&temperatures(Format::ArrowIpc), &table(&with("temperature", column)), Some(NOON_MS));
    found[0].as_ref().expect("a reading").metrics[0].0
}

fn times(column: ArrayRef) -> Vec<Result<i64, &'static str>> {
    let stream = StreamConfig { time_format: TimeFormat::EpochS, ..temperatures(Format::ArrowIpc) };
    let found = decode(&stream, &table(&with("timestamp", column)), Some(NOON_MS));
    found.into_iter().map(|verdict| verdict.map(|reading| reading.time_ms)).collect()
}

#[test]
fn rows_are_readings() {
    let found = decode(&temperatures(Format::ArrowIpc), &table(&good()), Some(NOON_MS));
    let json = br#"[{"timestamp":"2019-02-19 14:02:10","lat":45.6,"lon":0.06,"temperature":29.4,"country":"France"},
        {"timestamp":"2019-02-19T13:02:11Z","lat":45.7,"lon":-0.5,"temperature":null,"country":"France"}]"#;
    assert_eq!(found, decode(&temperatures(Format::JsonArray), json, Some(NOON_MS)));
    assert!(found.iter().all(Result::is_ok), "{found:?}");
    let none = RecordBatch::new_empty(batch_of(&good()).schema());
    let rows = |batches: &[RecordBatch]| decode(&temperatures(Format::ArrowIpc), &stream_of(batches), None).len();
    assert_eq!(rows(&[batch_of(&good()), none.clone(), batch_of(&good())]), 4);
    assert_eq!(rows(&[none]), 0);
}

#[test]
fn every_type_of_number_is_exact() {
    let one = 1_000_000_000;
    assert_eq!(value(array(Float64Array::from(vec![21.3, 0.0]))), Some(21_300_000_000));
    assert_eq!(value(array(Float32Array::from(vec![21.3, 0.0]))), Some(21_300_000_000));
    assert_eq!(value(array(Float64Array::from(vec![-1e-9, 0.0]))), Some(-1));
    assert_eq!(value(array(Int64Array::from(vec![-5, 0]))), Some(-5 * one));
    assert_eq!(value(array(UInt64Array::from(vec![9_223_372_036, 0]))), Some(9_223_372_036 * one));
    let decimals = |value, scale| {
        array(Decimal128Array::from(vec![value, 0]).with_precision_and_scale(38, scale).expect("a decimal"))
    };
    assert_eq!(value(decimals(1_234_567_890_123_456_789, 18)), Some(1_234_567_890));
    // Half to even, of more digits than 64 bits hold.
    assert_eq!(value(decimals(5 * 10i128.pow(27), 37)), Some(0));
    assert_eq!(value(decimals(15 * 10i128.pow(27), 37)), Some(2));
    assert_eq!(value(decimals(3, -2)), Some(300 * one));
    assert_eq!(
        value(array(DictionaryArray::new(Int8Array_of(&[1, 0]), array(Int64Array::from(vec![7, 8]))))),
        Some(8 * one)
    );
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(reasons(&with("temperature", array(Float64Array::from(vec![bad, 1.0])))), ["bad_number", ""]);
    }
    assert_eq!(reasons(&with("temperature", array(Float64Array::from(vec![1e300, 1e-300])))), ["out_of_range", ""]);
    assert_eq!(reasons(&with("temperature", array(UInt64Array::from(vec![u64::MAX, 1])))), ["out_of_range", ""]);
}

#[expect(non_snake_case, reason = "an array's name")]
fn Int8Array_of(keys: &[i8]) -> arrow_array::PrimitiveArray<Int8Type> {
    keys.iter().copied().collect()
}

#[test]
fn what_is_no_number_is_said() {
    assert_eq!(reasons(&with("temperature", array(StringArray::from(vec!["29.4", "mq"])))), ["bad_number", ""]);
    assert_eq!(reasons(&with("temperature", array(BooleanArray::from(vec![Some(true), None])))), ["bad_number", ""]);
    assert_eq!(reasons(&with("temperature", array(NullArray::new(2)))), ["", ""]);
    assert_eq!(reasons(&with("temperature", array(Date32Array::from(vec![Some(1), None])))), ["bad_number", ""]);
    assert_eq!(reasons(&with("temperature", array(TimestampSecondArray::from(vec![1, 1])))), ["bad_number"; 2]);
    let batch =
        whole(&temperatures(Format::ArrowIpc), &table(&with("timestamp", array(Date32Array::from(vec![1, 2])))));
    assert_eq!(batch.rejections[1].reject.to_string(), "timestamp: a Date is not a time of the stream's format");
}

#[test]
fn timestamps_are_instants_or_wall_clocks() {
    let at = NOON_MS - 1;
    let zoned = [
        array(TimestampSecondArray::from(vec![NOON_MS / 1000, 0]).with_timezone("+05:00")),
        array(TimestampMillisecondArray::from(vec![NOON_MS, 0]).with_timezone("Asia/Tokyo")),
        array(TimestampMicrosecondArray::from(vec![NOON_MS * 1000 + 999, 0]).with_timezone("UTC")),
        array(TimestampNanosecondArray::from(vec![NOON_MS * 1_000_000 + 999_999, 0]).with_timezone("UTC")),
    ];
    for column in zoned {
        assert_eq!(times(column), [Ok(NOON_MS), Ok(0)]);
    }
    // An hour ahead in winter, two in summer; and Paris had the odd minutes until 1911.
    let local = array(TimestampMillisecondArray::from(vec![at + 3_600_000, 1_532_000_000_123]));
    assert_eq!(times(local), [Ok(at), Ok(1_532_000_000_123 - 7_200_000)]);
    let old = array(TimestampSecondArray::from(vec![-2_000_000_000, -1]));
    assert_eq!(times(old), [Ok(-2_000_000_561_000), Ok(-3_601_000)]);
    // 2018-03-25 02:30 was none, 2018-10-28 02:30 were two.
    let odd = array(TimestampSecondArray::from(vec![1_521_945_000, 1_540_693_800]));
    assert_eq!(times(odd), [Err("no_such_local_time"), Ok(1_540_686_600_000)]);
    let far = array(TimestampSecondArray::from(vec![i64::MAX, i64::MIN]).with_timezone("UTC"));
    assert_eq!(times(far), [Err("bad_time"); 2]);
    assert_eq!(times(array(TimestampSecondArray::from(vec![i64::MAX, i64::MIN / 1000]))), [Err("bad_time"); 2]);
    assert_eq!(
        times(array(TimestampSecondArray::from(vec![None, Some(NOON_MS)]))),
        [Err("missing_field"), Err("bad_time")]
    );
    // Other columns are what the stream's format says.
    assert_eq!(times(array(Int64Array::from(vec![NOON_MS / 1000, 0]))), [Ok(NOON_MS), Ok(0)]);
    assert_eq!(reasons(&with("timestamp", array(Int64Array::from(vec![NOON_MS, 0])))), ["bad_time"; 2]);
}

#[test]
fn texts_of_any_type_are_texts() {
    let texts = ["France", "Spain, where it is longer than twelve bytes"];
    let dictionary: DictionaryArray<UInt16Type> = texts.into_iter().collect();
    let views = DictionaryArray::new(Int8Array_of(&[0, 1]), array(StringViewArray::from(texts.to_vec())));
    let columns = [
        array(LargeStringArray::from(texts.to_vec())),
        array(StringViewArray::from(texts.to_vec())),
        array(dictionary),
        array(views),
    ];
    for column in columns {
        let stream = temperatures(Format::ArrowIpc);
        let found = decode(&stream, &table(&with("country", column)), Some(NOON_MS));
        let filtered: Vec<bool> = found.iter().map(|verdict| verdict.as_ref().expect("a reading").filtered).collect();
        assert_eq!(filtered, [false, true]);
    }
}

/// A struct with a number.
fn within(name: &str, values: Vec<Option<i64>>, nulls: Option<Vec<bool>>) -> ArrayRef {
    let field = Arc::new(Field::new(name, DataType::Int64, true));
    array(StructArray::new(vec![field].into(), vec![array(Int64Array::from(values))], nulls.map(NullBuffer::from)))
}

#[test]
fn paths_reach_into_structs() {
    let stream = StreamConfig {
        metrics: BTreeMap::from([("level".to_owned(), metric("a.b"))]),
        ..temperatures(Format::ArrowIpc)
    };
    let levels = |columns: Vec<(&'static str, ArrayRef)>| -> Vec<Option<i64>> {
        let found = decode(&stream, &table(&[good(), columns].concat()), Some(NOON_MS));
        found
            .into_iter()
            .map(|verdict| verdict.expect("a reading").metrics[0].0.map(|value| value / 1_000_000_000))
            .collect()
    };
    let inner = || within("b", vec![Some(1), Some(2)], None);
    assert_eq!(levels(vec![("a", inner())]), [Some(1), Some(2)]);
    // Of a struct that is null nothing counts.
    assert_eq!(levels(vec![("a", within("b", vec![Some(1), Some(2)], Some(vec![false, true])))]), [None, Some(2)]);
    assert_eq!(levels(vec![("a", within("b", vec![None, Some(2)], Some(vec![true, true])))]), [None, Some(2)]);
    // A column of the whole name is one, too, where no path fits.
    let dotted = || ("a.b", array(Int64Array::from(vec![3, 4])));
    assert_eq!(levels(vec![dotted()]), [Some(3), Some(4)]);
    assert_eq!(levels(vec![dotted(), ("a", inner())]), [Some(1), Some(2)]);
    assert_eq!(levels(vec![dotted(), ("a", within("c", vec![Some(1), Some(2)], None))]), [Some(3), Some(4)]);
    assert_eq!(levels(vec![]), [None, None]);
}

/// What stands for no value is found in a decimal of any width, with all of its decimals.
#[test]
fn decimals_are_written_out() {
    let missing = |column: ArrayRef, token: &str| {
        let stream = StreamConfig { missing: vec![token.to_owned()], ..temperatures(Format::ArrowIpc) };
        let found = decode(&stream, &table(&with("temperature", column)), Some(NOON_MS));
        found[0].as_ref().expect("a reading").metrics[0].0.is_none()
    };
    let of_128 = |value: i128, scale| {
        array(Decimal128Array::from(vec![value, 0]).with_precision_and_scale(38, scale).expect("a decimal"))
    };
    let of_256 = |value: &str, scale| {
        let value = arrow_buffer::i256::from_string(value).expect("a number");
        let zero = arrow_buffer::i256::ZERO;
        array(Decimal256Array::from(vec![value, zero]).with_precision_and_scale(76, scale).expect("a decimal"))
    };
    assert!(missing(of_128(-99_900, 2), "-999.00"));
    assert!(missing(of_256("-99900", 2), "-999.00"));
    assert!(!missing(of_256("-99901", 2), "-999.00"));
    assert!(missing(of_128(-999, -2), "-99900"));
    assert!(missing(of_128(0, -2), "0"));
    assert!(missing(of_128(123_456_789_012_345_678_901, 3), "123456789012345678.901"));
    assert!(missing(of_128(12_345_678_901_234_567_890, 0), "12345678901234567890"));
    assert!(missing(of_256("-5", 70), &format!("-0.{}5", "0".repeat(69))));
    assert!(missing(of_256(&"7".repeat(60), 30), &format!("{0}.{0}", "7".repeat(30))));
}

/// A text that all rows share is looked at for each of them: it may not be long.
#[test]
fn long_texts_are_none() {
    for (length, reason) in [(488, ""), (5000, "bad_time")] {
        let time = format!("2019-02-19 14:02:10.{}Z", "0".repeat(length));
        let column = array(StringArray::from(vec![time.as_str(), "2019-02-19 14:02:10"]));
        assert_eq!(reasons(&with("timestamp", column)), [reason, ""]);
    }
}

/// A row's text that is cut says so.
#[test]
fn a_rows_share_of_the_texts() {
    let names: Vec<String> = (0..100).map(|number| format!("a column with a long name, number {number}")).collect();
    let flags = array(BooleanArray::from(vec![true; 800]));
    let columns = names.iter().map(|name| (name.as_str(), flags.clone(), true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
    let batch = whole(&temperatures(Format::ArrowIpc), &stream_of(&[batch]));
    assert_eq!(batch.rejections.len(), 800);
    let mut texts = Texts::new(&batch);
    let cut = texts.text(&batch.rejections[799].text, Some(799), 1 << 16);
    assert!(cut.is_cut && cut.bytes.starts_with(b"{\"a column with"), "{}", cut.bytes.len());
    assert!(cut.bytes.len() * 800 <= 32 * batch.raw.bytes.len());
    assert!(!texts.text(&batch.rejections[799].text, None, 1 << 16).is_cut);
}

#[test]
fn a_row_is_written_when_it_is_asked_for() {
    let mut columns = with("temperature", array(Float64Array::from(vec![Some(1e300), Some(f64::NAN)])));
    columns.push(("a \"b\"", within("c", vec![Some(-1), None], None)));
    columns.push(("at", array(TimestampMillisecondArray::from(vec![NOON_MS, NOON_MS]).with_timezone("UTC"))));
    columns.push(("day", array(Date32Array::from(vec![1, 2]))));
    let payload = stream_of(&[batch_of(&columns), batch_of(&columns)]);
    let batch = whole(&temperatures(Format::ArrowIpc), &payload);
    let mut texts = Texts::new(&batch);
    let mut text = |number: usize, limit| {
        let rejection = &batch.rejections[number];
        assert!(!rejection.reject.is_of_table());
        String::from_utf8(texts.text(&rejection.text, Some(rejection.index), limit).bytes.into_owned()).expect("text")
    };
    let first = r#"{"timestamp":"2019-02-19 14:02:10","lat":45.6,"lon":0.06,"temperature":1e300,"country":"France","a \"b\"":{"c":-1},"at":"2019-02-19T14:02:10.000Z"}"#;
    assert_eq!(text(0, 1000), first);
    assert_eq!(text(2, 1000), first);
    let last = r#","lat":45.7,"lon":-0.5,"temperature":"NaN","country":"France","a \"b\"":{"c":null},"at":"2019-02-19T14:02:10.000Z"}"#;
    assert!(text(3, 1000).ends_with(last), "{}", text(3, 1000));
    // Back to an earlier batch; and cut.
    assert_eq!(text(0, 1000), first);
    assert_eq!(text(0, 20), first[..20]);
}
