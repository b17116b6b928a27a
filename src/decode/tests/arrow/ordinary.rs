//! Ordinary rows of tables against the long way through slots and judge, and against the same readings as JSON.

use proptest::prelude::*;

use super::same::{assert_same, payloads, rows};
use super::*;
use crate::config::TenantConfig;
use crate::decode::arrow::{Block, Content, Dictionaries, Habit, Messages, ROWS, Schema, Source};
use crate::decode::compile::Compiled;
use crate::decode::tests::alone::assert_slow_alike;
use crate::decode::tests::plain::lacking;
use crate::decode::time::Minutes;

/// What a plan can say, of columns that tables here have.
fn planned(format: Format) -> StreamConfig {
    let all = everything(format);
    StreamConfig {
        metrics: BTreeMap::from([
            ("kelvin".to_owned(), all.metrics["kelvin"].clone()),
            ("level".to_owned(), metric("a.b")),
            ("limit".to_owned(), metric("limit")),
        ]),
        labels: BTreeMap::from([("c".to_owned(), "a.c".to_owned())]),
        filters: vec![FilterConfig { field: "country".into(), rule: FilterRule::Not("Spain".into()) }],
        ..temperatures(format)
    }
}

/// One of a few such streams.
fn one_of_them(format: Format, number: usize) -> StreamConfig {
    let tenant = || Some(TenantConfig::Field("site".into()));
    let counted = |time_format| StreamConfig { time: "more".into(), time_format, ..planned(format) };
    let in_two = || {
        let rule = FilterRule::In(vec!["mq".into(), "France".into(), String::new()]);
        [planned(format).filters, vec![FilterConfig { field: "site".into(), rule }]].concat()
    };
    match number {
        0 => planned(format),
        1 => StreamConfig { position: PositionFields::None, tenant: tenant(), ..planned(format) },
        2 => StreamConfig { filters: in_two(), ..planned(format) },
        3 => StreamConfig { tenant: Some(TenantConfig::Key), ..planned(format) },
        4 => StreamConfig { tenant: Some(TenantConfig::Header("h".into())), filters: in_two(), ..planned(format) },
        5 => counted(TimeFormat::EpochS),
        6 => counted(TimeFormat::EpochMs),
        7 => counted(TimeFormat::EpochUs),
        8 => counted(TimeFormat::EpochNs),
        _ => StreamConfig { tenant: tenant(), filters: Vec::new(), ..planned(format) },
    }
}

/// Which of the rows, all of one batch, are ordinary.
fn ordinary(stream: &StreamConfig, columns: &Columns, last_ms: i64) -> Vec<bool> {
    let (payload, compiled) = (table(columns), Compiled::new(stream, stations()).expect("a valid stream"));
    let (mut messages, first) = Messages::open(&payload).expect("a stream");
    let (schema, judge) = (Schema::read(&first).expect("a schema"), &compiled.judge);
    let message = messages.next().expect("a message").expect("a batch");
    let Content::Batch(batch) = &message.content else { panic!("a batch") };
    let batch = crate::decode::arrow::Batch::open(schema.parts, &message, batch).expect("a batch");
    let fields: Vec<(usize, usize)> =
        judge.fields.paths().enumerate().filter_map(|(slot, path)| Some((slot, schema.find(path)?))).collect();
    let slots = fields.iter().map(|(slot, _)| Some(*slot));
    let uses = compiled.plan.as_ref().expect("a plan").uses(slots).expect("all columns that it must have");
    let column = |(_, column): &(usize, usize)| batch.column(&schema, *column, &Dictionaries::default());
    let columns: Vec<_> = fields.iter().map(|field| column(field).expect("a column")).collect();
    let (mut block, mut habits) = (Block::default(), vec![Habit::default(); columns.len()]);
    let source = Source { rows: 0..batch.rows, uses: &uses, columns: &columns };
    block.take(&source, &mut habits, judge, &mut Minutes::default(), last_ms);
    let others: Vec<usize> = block.others().collect();
    (0..batch.rows).map(|row| !others.contains(&row)).collect()
}

#[test]
fn what_is_ordinary_and_what_is_not() {
    let stream = temperatures(Format::ArrowIpc);
    let with = |name: &str, column: ArrayRef| ordinary(&stream, &with(name, column), NOON_MS + 300_000);
    assert_eq!(ordinary(&stream, &good(), NOON_MS), [true, true]);
    assert_eq!(ordinary(&stream, &good(), NOON_MS - 3_600_001), [false, false], "they are from a time to come");
    let long = "2019-02-19 14:02:10.".to_owned() + &"0".repeat(500);
    let texts = |texts: Vec<&str>| array(StringArray::from(texts));
    let floats = |floats: Vec<f64>| array(Float64Array::from(floats));
    let decimals =
        |values| array(Decimal128Array::from(values).with_precision_and_scale(38, 2).expect("decimals of two places"));
    let times = |times: Vec<Option<i64>>| array(TimestampMillisecondArray::from(times).with_timezone("UTC"));
    assert_eq!(with("timestamp", texts(vec!["2019-02-19 14:02:10", &long])), [true, false]);
    assert_eq!(with("timestamp", times(vec![Some(NOON_MS), Some(NOON_MS + 300_001)])), [true, false]);
    assert_eq!(with("timestamp", times(vec![None, Some(i64::MIN)])), [false, false]);
    assert_eq!(with("lat", floats(vec![-90.0, 90.1])), [true, false]);
    assert_eq!(with("lat", floats(vec![1.0 / 3.0, f64::NAN])), [true, false]);
    assert_eq!(with("lon", array(Float64Array::from(vec![Some(-180.0), None]))), [true, false]);
    assert_eq!(with("lon", array(Float32Array::from(vec![0.1, f32::INFINITY]))), [true, false]);
    assert_eq!(with("lon", decimals(vec![-125, 18_001])), [true, false]);
    assert_eq!(with("lat", texts(vec!["1", "2"])), [false, false]);
    assert_eq!(with("temperature", floats(vec![-0.000_000_1, 1.0 / 3.0])), [true, false]);
    assert_eq!(with("temperature", floats(vec![1e300, f64::NAN])), [false, false]);
    assert_eq!(with("temperature", decimals(vec![5, 10i128.pow(30)])), [true, false]);
    assert_eq!(with("temperature", array(UInt64Array::from(vec![7, u64::MAX]))), [true, false]);
    assert_eq!(with("temperature", texts(vec!["1", "mq"])), [false, false]);
    assert_eq!(with("country", array(StringArray::from(vec![None, Some("Spain")]))), [true, true]);
    assert_eq!(with("country", array(BooleanArray::from(vec![true, false]))), [false, false]);
    assert_eq!(with("country", texts(vec![&"x".repeat(512), &"x".repeat(513)])), [true, false]);
}

/// Tables without a column, after such as have it.
#[test]
fn some_columns_may_be_absent() {
    let stream = temperatures(Format::ArrowIpc);
    for absent in ["temperature", "country"] {
        let columns: Columns = good().into_iter().filter(|(name, _)| *name != absent).collect();
        assert_eq!(ordinary(&stream, &columns, NOON_MS), [true, true], "{absent}");
        assert_slow_alike(&stream, None, &[&table(&good()), &table(&columns), &table(&good())]);
    }
    let kept = |kept| ordinary(&lacking(temperatures(Format::ArrowIpc), kept), &good(), NOON_MS);
    assert_eq!((kept(true), kept(false)), (vec![true; 2], vec![true; 2]));
}

/// More rows than are taken at once, of which each one in turn goes the long way.
#[test]
fn a_row_that_is_not_ordinary_keeps_its_place() {
    for odd in [0, 1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS] {
        let rows = 2 * ROWS + 1;
        let temperature = |row: usize| if row == odd { 1.0 / 3.0 } else { row as f64 / 10.0 };
        let lat = |row: usize| (row != odd + 2).then_some(row as f64 / 4.0);
        let columns: Columns = vec![
            ("timestamp", array(StringArray::from(vec!["2019-02-19 14:02:10"; rows]))),
            ("lat", array((0..rows).map(lat).collect::<Float64Array>())),
            ("lon", array(Float64Array::from(vec![0.5; rows]))),
            ("temperature", array((0..rows).map(temperature).collect::<Float64Array>())),
            ("country", array(StringArray::from_iter_values((0..rows).map(|row| ["France", "Spain"][row % 2])))),
        ];
        let payload = table(&columns);
        assert_slow_alike(&temperatures(Format::ArrowIpc), None, &[&payload, &payload[..payload.len() - 8], &payload]);
        let found = decode(&temperatures(Format::ArrowIpc), &payload, Some(NOON_MS));
        assert_eq!(found[odd].as_ref().map(|reading| reading.filtered), Ok(odd % 2 == 1));
        assert_eq!(found.len(), rows);
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn ordinary_rows_are_read_as_any((drawn, kinds, each) in rows(), number in 0usize..10, is_many in prop::bool::weighted(0.05)) {
        let (drawn, each) = if is_many {
            (drawn.iter().cycle().take(drawn.len() * 20).cloned().collect(), each * 20)
        } else {
            (drawn, each)
        };
        let (arrow, json) = payloads(&drawn, &kinds, each);
        // (A second time with what was learned of the columns.)
        let records = [arrow.as_slice(), &arrow, b"none", &arrow];
        assert_slow_alike(&one_of_them(Format::ArrowIpc, number), None, &records);
        assert_same(|format| one_of_them(format, number), &arrow, &json);
        for kept in [true, false] {
            assert_slow_alike(&lacking(one_of_them(Format::ArrowIpc, number), kept), None, &records);
            assert_same(|format| lacking(one_of_them(format, number), kept), &arrow, &json);
        }
    }

    #[test]
    fn damaged_tables_are_read_as_any((drawn, kinds, each) in rows(), number in 0usize..10, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let (arrow, _) = payloads(&drawn, &kinds, each);
        let mut damaged = arrow.clone();
        for (at, byte) in damage {
            // (Mostly of the values: of the schema next to nothing may be damaged.)
            let half = damaged.len() / 2;
            damaged[half + at.index(arrow.len() - half)] = byte;
        }
        assert_slow_alike(&one_of_them(Format::ArrowIpc, number), None, &[&damaged, &arrow, &damaged]);
    }
}
