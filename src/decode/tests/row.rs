//! Ordinary CSV rows, taken in one pass, against the long way through cells, slots and judge, and against the twin.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::alone::assert_slow_alike;
use super::differential::damage;
use super::plain::{lacking, planned};
use super::{NOON_MS, agree, metric, stations};
use crate::config::{Format, PositionFields, StreamConfig, TenantConfig, TimeFormat};
use crate::decode::Decoder;
use crate::decode::compile::Compiled;
use crate::decode::plain::Ordinary;
use crate::decode::row::{RowEnd, Rows};
use crate::decode::time::Minutes;
use crate::decode::window::Windows;

const HEADER: &str = "id;timestamp;x;lat;lon;temperature;country;kind;other.y;a.b";
const ROW: &str = "s1;2019-02-19 14:02:10;?;45.6;-0.5;29.4;France;x;z;7";

fn stream() -> StreamConfig {
    StreamConfig { format: Format::Csv, ..planned() }
}

/// Where it ends, if it is taken in one pass.
fn ordinary(rows: &str) -> Option<RowEnd> {
    ordinary_in(&stream(), HEADER, rows)
}

fn ordinary_in(stream: &StreamConfig, header: &str, rows: &str) -> Option<RowEnd> {
    let compiled = Compiled::new(stream, stations()).expect("a valid stream");
    let header = compiled.csv_header(header.as_bytes()).expect("a header");
    let (mut ordinary, windows) = (Ordinary::new(&compiled.judge), Windows::new(rows.as_bytes()));
    ordinary.last_ms = compiled.judge.last_ms(Some(NOON_MS));
    let rows = Rows { text: rows, window: windows.at(0, rows.len()), separator: b';' };
    ordinary.read_row(&header.uses, rows, &compiled.judge, &mut Minutes::default())
}

#[test]
fn what_is_ordinary_and_what_is_not() {
    let length = ROW.len();
    for (behind, end, next) in [
        ("", length, length),
        ("\n", length, length + 1),
        ("\r\n", length, length + 2),
        ("\r", length, length + 1),
        (";\n", length + 1, length + 2),
        (";\r\nmore", length + 1, length + 3),
        ("\nmore", length, length + 1),
    ] {
        assert_eq!(ordinary(&format!("{ROW}{behind}")), Some(RowEnd { end, next }), "{behind:?}");
    }
    for (was, is) in
        [("29.4", "mq"), ("29.4", ""), ("?", " a \"quote\" "), ("s1", ""), ("France", "Spain"), ("7", " mq ")]
    {
        assert!(ordinary(&ROW.replacen(was, is, 1)).is_some(), "{was} → {is}");
    }
    let others = [
        ("s1", "\"s1\""),
        ("s1", " s1"),
        ("?", "\"?\""),
        ("?", "?;"),
        ("?", "\n"),
        ("29.4", " 29.4"),
        ("29.4", "+29.4"),
        ("29.4", "1e1"),
        ("29.4", "warm"),
        ("45.6", ""),
        ("45.6", "95.6"),
        ("2019-02-19", "2019-02-30"),
        ("2019-02-19 14:02:10", "mq"),
        (";7", ""),
        (";7", ";7;7"),
        (";7", ";7;;"),
        (";7", ";7\rx"),
    ];
    for (was, is) in others {
        assert_eq!(ordinary(&ROW.replacen(was, is, 1)), None, "{was} → {is}");
    }
    assert_eq!(ordinary("\n"), None);
    assert_eq!(ordinary(""), None);
}

/// The line without one of its cells.
fn without(line: &str, absent: usize) -> String {
    let cells = line.split(';').enumerate().filter(|(column, _)| *column != absent);
    cells.map(|(_, cell)| cell).collect::<Vec<_>>().join(";")
}

#[test]
fn some_columns_may_be_absent() {
    let ordinary_of = |stream: &StreamConfig, absent: usize| {
        let without = |line: &str| without(line, absent);
        let rows = [without(ROW), without(&ROW.replacen("29.4", "1e1", 1)), without(ROW)];
        assert_slow_alike(stream, Some(without(HEADER).as_bytes()), &rows.each_ref().map(|row| row.as_bytes()));
        ordinary_in(stream, &without(HEADER), &without(ROW)).is_some()
    };
    // (Without the time, or half of a position, a header is refused.)
    let may_be = [0, 2, 5, 6, 7, 8, 9, 10];
    assert!(may_be.into_iter().all(|absent| ordinary_of(&stream(), absent)));
    assert!([true, false].into_iter().all(|kept| ordinary_of(&lacking(stream(), kept), 10)));
}

/// Each record has its own header: what one lacks, those before and after it have.
#[test]
fn records_with_and_without_a_column_take_turns() {
    let record = |absent: usize| {
        let lines = [HEADER, ROW, &ROW.replacen("29.4", "-3.5", 1), &ROW.replacen("France", "Spain", 1)];
        lines.map(|line| without(line, absent)).join("\n")
    };
    let records: Vec<String> = (0..10).flat_map(|absent| [record(10), record(absent), record(9 - absent)]).collect();
    let payloads: Vec<&[u8]> = records.iter().map(String::as_bytes).collect();
    [true, false].into_iter().for_each(|kept| assert_slow_alike(&lacking(stream(), kept), None, &payloads));
    assert_slow_alike(&stream(), None, &payloads);
}

/// A row longer than a window shows, and one that ends where the window does.
#[test]
fn long_rows() {
    for length in [4000, 4096 - ROW.len(), 4096, 4097 - ROW.len(), 4098 - ROW.len(), 5000] {
        let row = ROW.replacen('?', &"x".repeat(length), 1);
        let csv = format!("{HEADER}\n{row}\n{row}");
        agree(&stream(), csv.as_bytes(), Some(NOON_MS));
    }
}

fn cell(column: usize) -> BoxedStrategy<String> {
    let odd = select(vec![
        "", "mq", " ", "\"\"", "\"a;b\"", "\"a\nb\"", "é", " x ", "1e2", "+1", ".5", "007", "true", "-", ".",
    ]);
    let number = "-?(0|[1-9][0-9]?)(\\.[0-9]{1,12})?";
    let usual = match column {
        1 => select(vec!["2019-02-19 14:02:10", "2019-02-19T13:02:10.5Z", "2018-03-25 02:30:00", "1550584930"])
            .prop_map(str::to_owned)
            .boxed(),
        3..=5 | 9 => number.boxed(),
        6 => select(vec!["France", "Spain"]).prop_map(str::to_owned).boxed(),
        7 => select(vec!["x", "é", "y"]).prop_map(str::to_owned).boxed(),
        _ => "[a-z]{0,20}".boxed(),
    };
    prop_oneof![25 => usual, 1 => odd.prop_map(str::to_owned)].boxed()
}

/// Rows; some of them spoiled by what is never closed, or returns where no line ends.
fn rows(spoiled: bool) -> impl Strategy<Value = String> {
    let cells: Vec<_> = (0..10).map(cell).collect();
    let end = select(vec!["\n", "\n", "\n", "\r\n", ";\n", ";\r\n", ";;\n", "\n\n"]);
    let row = (cells, end, 0..30u8).prop_map(move |(mut cells, end, cut)| {
        if cut == 0 {
            cells.pop();
        }
        match cut {
            1 if spoiled => cells.push("\"open".to_owned()),
            2 if spoiled => cells[2].push('\r'),
            3 if spoiled => cells[9].push('\r'),
            _ => {}
        }
        cells.join(";") + end
    });
    prop::collection::vec(row, 0..12).prop_map(|rows| {
        // (Behind the last one no line ends.)
        let rows = rows.concat();
        format!("{HEADER}\n{}", rows.strip_suffix('\n').unwrap_or(&rows))
    })
}

proptest! {
    #![proptest_config(super::cases(3000))]

    #[test]
    fn rows_are_what_the_twin_says(rows in rows(false), time in 0usize..3) {
        let time_format = [TimeFormat::Auto, TimeFormat::EpochS, TimeFormat::EpochMs][time].clone();
        agree(&StreamConfig { time_format, ..stream() }, rows.as_bytes(), Some(NOON_MS));
    }

    #[test]
    fn rows_are_read_as_any(records in prop::collection::vec(rows(true), 1..4), tenant in 0usize..3, kind in 0u8..5, at: prop::sample::Index, byte in prop_oneof![select(b"\";,\r\n-+.0 \0\xc3".to_vec()), any::<u8>()]) {
        let tenant = [None, Some(TenantConfig::Field("x".into())), Some(TenantConfig::Key)].into_iter().nth(tenant).flatten();
        let mut payloads: Vec<Vec<u8>> = records.iter().map(|rows| rows.clone().into_bytes()).collect();
        payloads[0] = damage(std::mem::take(&mut payloads[0]), kind, at, byte);
        let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        assert_slow_alike(&StreamConfig { tenant, ..stream() }, None, &payloads);
        [true, false].into_iter().for_each(|kept| assert_slow_alike(&lacking(stream(), kept), None, &payloads));
    }

    /// Lines of a file are records of their own, with nothing between them in the batch.
    #[test]
    fn lines_are_read_as_any(rows in rows(true), compact in any::<bool>()) {
        let stream = match compact {
            true => StreamConfig { time_format: TimeFormat::Compact, ..stream() },
            false => stream(),
        };
        let rows = if compact { rows.replace("2019-02-19 14:02:10", "20190219140210") } else { rows };
        let lines: Vec<&[u8]> = rows.split('\n').skip(1).map(str::as_bytes).collect();
        assert_slow_alike(&stream, Some(HEADER.as_bytes()), &lines);
    }

    #[test]
    fn short_rows_are_read_as_any(lines in prop::collection::vec("(-?[0-9.e]{0,3}[;\r]?){1,3}", 1..6)) {
        let stream = StreamConfig {
            time: "a".into(),
            time_format: TimeFormat::EpochS,
            position: PositionFields::None,
            metrics: BTreeMap::from([("b".to_owned(), metric("b"))]),
            labels: BTreeMap::new(),
            filters: Vec::new(),
            ..stream()
        };
        let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        for header in ["a;b", "b;a", "b;b;a", "a;b;x", "x;a;b"] {
            assert_slow_alike(&stream, Some(header.as_bytes()), &lines);
        }
        let only_time = StreamConfig { metrics: BTreeMap::new(), ..stream };
        assert_slow_alike(&only_time, Some(b"a"), &lines);
    }
}

/// A text that goes on behind the window, in the last cell.
#[test]
fn long_last_cells() {
    for length in [3900, 4000, 4030, 4031, 4032, 4096, 5000] {
        let row = format!("2019-02-19 14:02:10;45.6;-0.5;29.4;France;x;z;7;{}", "é".repeat(length / 2));
        let header = "timestamp;lat;lon;temperature;country;kind;other.y;a.b;id";
        let csv = format!("{header}\n{row}\n{row}\r\n{row}");
        assert_slow_alike(&stream(), None, &[csv.as_bytes()]);
    }
}

/// What numbers are made of cannot separate them.
#[test]
fn separators_that_are_refused() {
    for separator in [b'-', b'.', b'+', b'7', b'e', b'"', b'\n', 0xe9] {
        assert!(Decoder::new(&StreamConfig { separator, ..stream() }, stations()).is_err(), "{separator}");
    }
}

#[test]
fn separators_of_all_kinds() {
    for separator in [0, b'\t', b' ', b',', b'|', b'/', b':', b'\'', b'\\'] {
        let with = |text: &str| text.replace(' ', "T").replace(';', &char::from(separator).to_string());
        let payload = format!("{}\n{}\n{}", with(HEADER), with(ROW), with(&ROW.replace("29.4", "mq")));
        let stream = StreamConfig { separator, ..stream() };
        assert_slow_alike(&stream, None, &[payload.as_bytes(), b"0", b"\0"]);
    }
}

/// A row that ends where nothing more may be read, and whatever begins the next record.
#[test]
fn the_next_record_is_none_of_a_row() {
    for last in ["7", "7.5", "-", "0", "7.", "12345678", "12345678;9", "12345678x", "\r", "é"] {
        for next in ["8", ".5", "-1", "e5", "\n", "\r\n", ";", "\0"] {
            for long in [1, 4096 - ROW.len() - 1, 4096 - ROW.len(), 4096 - ROW.len() + 4] {
                let row = ROW.replacen('?', &"x".repeat(long), 1) + last;
                assert_slow_alike(
                    &stream(),
                    Some(HEADER.as_bytes()),
                    &[row.as_bytes(), next.as_bytes(), ROW.as_bytes()],
                );
            }
        }
    }
}
