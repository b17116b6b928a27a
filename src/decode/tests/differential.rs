//! The decoder against its twin, on generated readings and on the same with damage.

use proptest::prelude::*;
use proptest::sample::select;

use super::{NOON_MS, agree, batch, everything, stations, synop, temperatures, verdicts};
use crate::config::{Format, PositionFields, StreamConfig, TimeFormat};
use crate::decode::Decoder;

const TIMES: &[&str] = &[
    "\"2019-02-19 14:02:10\"",
    "\"2019-02-19T13:02:10.1234Z\"",
    "\"2019-02-19 13:02:10 UTC\"",
    "\"2018-03-25 02:30:00\"",
    "\"2018-10-28 02:30:00\"",
    "\"2019-02-30 00:00:00\"",
    "\"2099-01-01T00:00:00Z\"",
    "\"2019\\u002d02-19T15:02:10+01:00\"",
    "1550584930",
    "null",
    "\"\"",
    "\"mq\"",
];
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "29.4068",
    "284.9",
    "-9999",
    "9223372036.854775807",
    "9223372036.8547758075",
    "1e999",
    "1E-999",
    "0.0000000005",
    "0.00000000050000000000000000001",
    "-1.5e3",
    "999999",
    "999999.0",
    "91",
    "-180",
    "12345678901234567890.5",
    "190",
    "190.5",
];
const ODD: &[&str] = &[
    "null",
    "true",
    "false",
    "\"mq\"",
    "\"1\"",
    "\"True\"",
    "\"29.4\"",
    "[1,2]",
    "{}",
    "{\"b\":1}",
    "[[{\"a\":[]}]]",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"é\"",
    "01",
    "1.",
    "NaN",
    "",
    "\"France\"",
    "\"Spain\"",
    "\"\\u0046rance\"",
];

fn value(usual: &'static [&'static str]) -> BoxedStrategy<String> {
    let nested = (number(), select(ODD)).prop_map(|(b, c)| format!("{{\"b\": {b} ,\"c\":{c}}}"));
    let plain = move |pool| select(pool).prop_map(str::to_owned);
    prop_oneof![12 => plain(usual), 1 => plain(ODD), 1 => nested].boxed()
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![select(NUMBERS).prop_map(str::to_owned), "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,12})?"]
}

/// A member with a value of its kind, mostly.
fn member() -> impl Strategy<Value = String> {
    let texts: &'static [&'static str] = &["\"France\"", "\"Spain\"", "\"é\"", "1.0", "true"];
    let keys = vec![
        ("\"timestamp\"", TIMES),
        ("\"lat\"", NUMBERS),
        ("\"lon\"", NUMBERS),
        ("\"temperature\"", NUMBERS),
        ("\"limit\"", NUMBERS),
        ("\"country\"", texts),
        ("\"active\"", texts),
        ("\"a\"", ODD),
        ("\"l\\u0061t\"", NUMBERS),
        ("\"other\"", ODD),
    ];
    select(keys).prop_flat_map(|(key, pool)| value(pool).prop_map(move |value| format!("{key}:{value}")))
}

/// An object with every field that a reading needs, and members that may replace them.
fn object() -> impl Strategy<Value = String> {
    let base = (select(TIMES), -90.0..90.0f64, -180.0..180.0f64, number(), select(ODD)).prop_map(
        |(time, lat, lon, temperature, c)| {
            format!("\"timestamp\":{time},\"lat\":{lat},\"lon\": {lon},\"temperature\":{temperature},\"country\":\"France\",\"a\":{{\"c\":{c},\"b\":{temperature}}}")
        },
    );
    let blank = select(vec!["", " ", "\t\r", "  "]);
    (base, prop::collection::vec(member(), 0..4), blank, any::<bool>()).prop_map(|(base, more, blank, first)| {
        let mut members = vec![base];
        members.extend(more);
        if first {
            members.reverse();
        }
        format!("{blank}{{{blank}{}{blank}}}", members.join(&format!("{blank},")))
    })
}

fn payload(format: Format) -> BoxedStrategy<Vec<u8>> {
    let element = prop_oneof![9 => object(), 1 => select(ODD).prop_map(str::to_owned)];
    let several = prop::collection::vec(element, 0..5);
    let array = |all: Vec<String>| format!("[{}]", all.join(",")).into_bytes();
    match format {
        Format::Json => prop_oneof![3 => object().prop_map(String::into_bytes), 1 => several.prop_map(array)].boxed(),
        Format::JsonArray => several.prop_map(array).boxed(),
        _ => several.prop_map(|all| all.join("\n").into_bytes()).boxed(),
    }
}

/// Members as they stand in every reading of a stream, but for their values.
const MEMBERS: &[(&str, &[&str])] = &[
    ("\"timestamp\":?", TIMES),
    ("\"lat\": ?", NUMBERS),
    ("\"lon\":?", NUMBERS),
    ("\"temperature\" :?", NUMBERS),
    ("\"limit\":?", NUMBERS),
    ("\"country\":?", &["\"France\"", "\"Spain\"", "\"é\"", "1.0"]),
    ("\"active\":?", &["true", "false", "null", "1"]),
    ("\"a\":{\"b\": ?,\"c\":true}", NUMBERS),
    ("\"l\\u0061t\":?", NUMBERS),
    ("\"a\":{\"c\":{\"d\":?}}", ODD),
    ("\"a\":?", ODD),
    ("\"other\":{\"with a long name\":[?,{}],\"y\":?}", ODD),
    ("\"kind\":?", &["\"x\"", "\"é\"", "\"\"", "\"y\""]),
    ("\"id\":?", &["\"1b16b092-e8e8-490b-a9be-0db1580fb164\"", "\"s1\"", "\"\"", "\"a quote \\\" within\""]),
];

/// Lines of two shapes, with values of their kinds mostly.
pub fn look_alike() -> impl Strategy<Value = Vec<String>> {
    of_shapes(prop::sample::subsequence((0..MEMBERS.len()).collect::<Vec<_>>(), 3..=MEMBERS.len()).prop_shuffle())
}

/// The same with all fields of an ordinary reading, each once; in some shapes, with most of them.
pub fn ordinary() -> impl Strategy<Value = Vec<String>> {
    let all = vec![0, 1, 2, 3, 5, 7, 11, 12, 13];
    let some = prop::sample::subsequence(all.clone(), 6..9);
    of_shapes(prop_oneof![2 => Just(all), 1 => some].prop_shuffle())
}

fn of_shapes(shape: impl Strategy<Value = Vec<usize>>) -> impl Strategy<Value = Vec<String>> {
    let value = (any::<prop::sample::Index>(), 0..30u8, "-?(0|[1-9][0-9]?)(\\.[0-9]{1,12})?");
    let values = prop::collection::vec(value, 2 * MEMBERS.len());
    let lines = prop::collection::vec((0..5usize, values), 1..9);
    (prop::collection::vec(shape, 2), lines).prop_map(|(shapes, lines)| {
        let line = |(which, values): (usize, Vec<(prop::sample::Index, u8, String)>)| {
            let mut values = values.into_iter();
            let mut member = |number: &usize| {
                let (text, pool) = MEMBERS[*number];
                text.split_inclusive('?').fold(String::new(), |all, piece| match piece.strip_suffix('?') {
                    None => all + piece,
                    Some(piece) => all + piece + &fill(values.next(), pool),
                })
            };
            format!("{{{}}}", shapes[which / 4].iter().map(&mut member).collect::<Vec<_>>().join(","))
        };
        lines.into_iter().map(line).collect()
    })
}

/// Mostly what makes a good reading, so that what is in it shows.
fn fill(value: Option<(prop::sample::Index, u8, String)>, pool: &[&str]) -> String {
    match value {
        Some((at, 0, _)) => (*at.get(ODD)).to_owned(),
        Some((at, 1, _)) => (*at.get(pool)).to_owned(),
        Some((_, _, number)) if pool == NUMBERS || pool == ODD => number,
        _ => pool[0].to_owned(),
    }
}

/// Cuts the payload, overwrites or inserts a byte.
pub fn damage(mut payload: Vec<u8>, kind: u8, at: prop::sample::Index, byte: u8) -> Vec<u8> {
    let at = at.index(payload.len() + 1);
    match kind {
        0 => {}
        1 => payload.truncate(at),
        2 => payload.insert(at, byte),
        _ if at < payload.len() => payload[at] = byte,
        _ => {}
    }
    payload
}

fn damaged(format: Format) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![select(b"\"\\{}[]:,0-9.eE \n\t\0".to_vec()), any::<u8>()];
    (payload(format), 0u8..5, any::<prop::sample::Index>(), byte)
        .prop_map(|(text, kind, at, byte)| damage(text, kind, at, byte))
}

fn cell() -> impl Strategy<Value = String> {
    let odd = vec!["mq", "", " 1 ", "NaN", "\"a\"\"b\"", "\"a;b\"", "\"a\nb\"", "é", "07005", "-9999", "true"];
    prop_oneof![5 => number(), 2 => select(odd).prop_map(str::to_owned)]
}

fn row(times: &'static [&'static str], place: &'static [&'static str]) -> impl Strategy<Value = String> {
    (select(times), select(place), cell(), cell(), prop::collection::vec(cell(), 0..3), select(vec!["", ";"])).prop_map(
        |(time, place, a, b, more, end)| {
            [&[place.to_owned(), time.to_owned(), a, b], &more[..]].concat().join(";") + end
        },
    )
}

fn csv(
    header: &'static str,
    times: &'static [&'static str],
    place: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> {
    let end = select(vec!["\n", "\r\n", "\n\n"]);
    let before = select(vec!["", "\n", "\r\n\n", "\u{feff}", "\u{feff}\n", "\n\u{feff}", " \n"]);
    let rows = prop::collection::vec(row(times, place), 0..6);
    (before, rows, end, any::<bool>()).prop_map(move |(before, rows, end, last)| {
        let text = before.to_owned() + &[&[header.to_owned()], &rows[..]].concat().join(end);
        if last { text + end } else { text }.into_bytes()
    })
}

/// Objects in which more is meant than scalars, each in one place: their shapes are none.
#[test]
fn what_no_shape_can_say() {
    for members in [
        r#""a":{"b":1,"c":1.0},"a":3"#,
        r#""a":{"b":1},"a":{"c":1.0}"#,
        r#""a":3,"a":{"b":1,"c":true}"#,
        r#""a":{"b":{"x":1},"c":1.0}"#,
        r#""a":{"b":[1],"c":1.0}"#,
        r#""a":{"b":1e3,"c":"\u00e9"}"#,
        r#""temperature":1,"temperatur\u0065":2"#,
    ] {
        let line = format!(r#"{{"timestamp":"2019-02-19 14:02:10","lat":45.5,"lon":0,"country":"France",{members}}}"#);
        for last in [members, r#""a":{"b":5,"c":"é"}"#, r#""a":null"#] {
            let lines = [&line, &line, &line, &line.replace(members, last)].map(String::as_str).join("\n");
            agree(&everything(Format::Ndjson), lines.as_bytes(), Some(NOON_MS));
        }
    }
}

proptest! {
    #![proptest_config(super::cases(1500))]

    #[test]
    fn json_objects(payload in damaged(Format::Json), all: bool) {
        let stream = if all { everything(Format::Json) } else { temperatures(Format::Json) };
        agree(&stream, &payload, all.then_some(NOON_MS));
    }

    #[test]
    fn json_arrays(payload in damaged(Format::JsonArray)) {
        agree(&everything(Format::JsonArray), &payload, Some(NOON_MS));
    }

    #[test]
    fn deep_and_damaged(opened in prop::collection::vec(select(vec!["[", "{\"a\":", "{\"b\\\"[\":", "[[1,{}],"]), 58..70), rest in "[\\[\\]{}\",:0-]{0,8}") {
        let payload = opened.concat() + &rest;
        for format in [Format::Json, Format::JsonArray, Format::Ndjson] {
            agree(&everything(format), payload.as_bytes(), Some(NOON_MS));
        }
    }

    #[test]
    fn json_lines(payload in damaged(Format::Ndjson)) {
        agree(&everything(Format::Ndjson), &payload, Some(NOON_MS));
    }

    /// What is remembered of a reading's shape changes nothing about the next ones.
    #[test]
    fn readings_that_look_alike(lines in look_alike(), kind in 0u8..5, at: prop::sample::Index, byte in any::<u8>()) {
        let stream = everything(Format::Ndjson);
        agree(&stream, &damage(lines.join("\n").into_bytes(), kind, at, byte), Some(NOON_MS));
        agree(&everything(Format::JsonArray), format!("[{}]", lines.join(", ")).as_bytes(), Some(NOON_MS));
    }

    #[test]
    fn csv_of_stations(payload in csv("numer_sta; date ;t;ff;x;", &["20190501000000", "20190230000000", "\"20190501000000\"", "2019"], &["07005", "07015 ", "7", ""])) {
        agree(&synop(), &payload, None);
    }

    #[test]
    fn csv_of_places(payload in csv("lat;timestamp;lon;temperature", &["2019-02-19 14:02:10", "2018-03-25 02:30:00", "\"2019-02-19T14:02:10Z\""], &["45.5", " 1e1 ", "+7", "91", "inf"])) {
        let mut stream = temperatures(Format::Csv);
        stream.filters.clear();
        agree(&stream, &payload, None);
    }

    #[test]
    fn epochs(number in prop_oneof![number(), "-?[0-9]{9,20}(\\.[0-9]{1,25})?(e-?[0-9]{1,2})?"], format in select(vec![TimeFormat::EpochS, TimeFormat::EpochMs, TimeFormat::EpochUs, TimeFormat::EpochNs]), quoted: bool) {
        let quote = if quoted { "\"" } else { "" };
        let payload = format!("{{\"timestamp\":{quote}{number}{quote},\"lat\":1,\"lon\":1}}");
        let stream = StreamConfig { time_format: format, position: PositionFields::None, ..temperatures(Format::Json) };
        agree(&stream, payload.as_bytes(), None);
    }

    /// No input panics, and every reading has its one verdict ([`verdicts`] checks it).
    #[test]
    fn any_bytes(payloads in prop::collection::vec(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(select(b"{}[]\"\"\\:,;\n\r 019-.eEtruefalsn\xc3".to_vec()), 0..200),
        damaged(Format::JsonArray),
    ], 1..4)) {
        let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        for format in [Format::Json, Format::JsonArray, Format::Ndjson, Format::Csv] {
            let decoder = Decoder::new(&everything(format), stations()).expect("a valid stream");
            verdicts(&decoder.decode(batch(&payloads, None)));
            super::alone::assert_alike(&everything(format), &payloads);
        }
        let file = Decoder::new(&synop(), stations()).expect("a valid stream").with_csv_header(b"numer_sta;date;t").expect("a header");
        verdicts(&file.decode(batch(&payloads, None)));
    }
}
