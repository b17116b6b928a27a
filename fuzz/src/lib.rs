//! What the targets share: streams that ask for everything, in every format, with their decoders.

use std::path::Path;

use etiage::config::{Config, Format, StationsConfig, StreamConfig};
use etiage::decode::{Decoder, Stations, Texts, twin};

/// When the records of a batch were written: their readings may lie in its future.
const NOON_MS: i64 = 1_550_584_930_000;

/// Kelvin, thresholds of both kinds, a normal range, nested paths, filters, a flag.
const STREAM: &str = r#"
[streams.s]
topics = ["t"]
time = "timestamp"
zone = "Europe/Paris"
active = "active"
missing = ["mq", "-9999"]
filters = [{ field = "country", not = "Spain" }, { field = "c", in = ["true", "1.0", "é"] }]
[streams.s.metrics]
kelvin = { field = "temperature", scale = "1.5", offset = "-273.15", threshold = 10, normal = { mu = "12.5", sigma = "0.25", k = "3" } }
level = { field = "b", threshold = { field = "limit", unset = "999999" } }
[streams.s.labels]
site = "site"
[views.v]
group_by = ["site"]
"#;

/// One that wants no more of a reading than a plan can say (`decode/plain.rs`).
const PLAIN: &str = r#"
[streams.s]
topics = ["t"]
time = "timestamp"
zone = "Europe/Paris"
missing = ["mq"]
filters = [{ field = "country", not = "Spain" }, { field = "c", in = ["1.0", "é"] }]
[streams.s.metrics]
kelvin = { field = "temperature", scale = "1.5", offset = "-273.15", threshold = 10, normal = { mu = "12.5", sigma = "0.25", k = "3" } }
level = { field = "b" }
[views.v]
group_by = ["region"]
"#;

/// A stream, its decoder and its stations.
pub struct Reader {
    stream: StreamConfig,
    decoder: Decoder,
    /// The same without its fast ways.
    slow: Decoder,
    stations: Stations,
}

impl Reader {
    /// `settings`: lines of the stream's table.
    pub fn new(settings: &str) -> Reader {
        Reader::of(STREAM, settings)
    }

    /// The same of one that has a plan.
    pub fn plain(settings: &str) -> Reader {
        Reader::of(PLAIN, settings)
    }

    fn of(stream: &str, settings: &str) -> Reader {
        let text = stream.replacen("[streams.s]", &format!("[streams.s]\n{settings}"), 1);
        let config = Config::of_text(Some((Path::new("fuzz.toml"), &text)), std::iter::empty());
        let stream = config.unwrap_or_else(|error| panic!("{error}\n{text}")).streams.remove("s").expect("the stream");
        let stations = stations("id;lat;lon\n07005;50.136;1.834\n07015;50.57;3.0975\n").expect("stations");
        let decoder = Decoder::new(&stream, stations.clone()).expect("a decoder");
        let slow = Decoder::slow(&stream, stations.clone()).expect("a decoder");
        Reader { stream, decoder, slow, stations }
    }

    /// The decoder takes any bytes, and gives every reading one verdict: the same alone and after others. (What a record
    /// separator, 0x1e, divides is several records that may look alike.)
    pub fn decode(&self, payload: &[u8]) {
        let pieces: Vec<&[u8]> = payload.split(|byte| *byte == 0x1e).collect();
        let after = b"what lies behind a record may be looked at".as_slice();
        let records: Vec<&[u8]> = pieces.iter().flat_map(|piece| [*piece; 3]).chain([after]).collect();
        let together = twin::verdicts(&self.decoder.decode(twin::batch(&records, None)));
        assert_eq!(twin::verdicts(&self.slow.decode(twin::batch(&records, None))), together);
        for (record, together) in records.iter().zip(together) {
            assert_eq!(twin::verdicts(&self.decoder.decode(twin::batch(&[record], None))), [together]);
        }
    }

    /// The same of a record that holds any bytes; and each of its readings has a text.
    pub fn decode_whole(&self, payload: &[u8]) {
        let batch = self.decoder.decode(twin::batch(&[payload; 2], None));
        assert_eq!(twin::verdicts(&self.slow.decode(twin::batch(&[payload; 2], None))), twin::verdicts(&batch));
        let mut texts = Texts::new(&batch);
        for rejection in &batch.rejections {
            texts.text(&rejection.text, (!rejection.reject.is_of_table()).then_some(rejection.index), 1000);
        }
        for (text, index) in batch.columns.text.iter().zip(&batch.columns.index) {
            texts.text(text, Some(*index), 1000);
        }
        let alone = twin::verdicts(&self.decoder.decode(twin::batch(&[payload], None))).remove(0);
        assert_eq!(twin::verdicts(&batch), [alone.clone(), alone]);
    }

    /// And the verdict is that of its twin, which forgives quotes that nobody should write.
    pub fn agree(&self, payload: &[u8]) {
        if self.stream.format == Format::Csv && !quotes_are_regular(payload, self.stream.separator) {
            return;
        }
        for timestamp_ms in [None, Some(NOON_MS)] {
            twin::assert_agreement(&self.decoder, &self.stream, &self.stations, payload, timestamp_ms);
        }
    }
}

/// Whether quotes open cells, and close before a separator or the end of a line, as RFC 4180 has it. (And whether no
/// carriage return stands alone: the twin would end a line there.)
fn quotes_are_regular(text: &[u8], separator: u8) -> bool {
    enum At {
        Start,
        Within,
        Quoted,
        Quote,
        Return,
    }
    let mut at = At::Start;
    for &byte in text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text) {
        at = match (at, byte) {
            (At::Quoted, b'"') => At::Quote,
            (At::Quoted, _) | (At::Quote | At::Start, b'"') => At::Quoted,
            (At::Return, b'\n') => At::Start,
            (At::Return, _) => return false,
            (_, b'\n') => At::Start,
            (_, b'\r') => At::Return,
            (_, byte) if byte == separator => At::Start,
            (At::Quote, _) => return false,
            (At::Start | At::Within, _) => At::Within,
        };
    }
    !matches!(at, At::Quoted | At::Return)
}

/// A registry, with the columns id, lat and lon.
pub fn stations(text: &str) -> Result<Stations, etiage::decode::StationsError> {
    let [id, lat, lon] = ["id", "lat", "lon"].map(str::to_owned);
    Stations::from_csv(text, &StationsConfig { file: "stations.csv".into(), separator: b';', id, lat, lon })
}
