//! Readings in JSON, in each of its formats: the decoder and its twin (serde_json, chrono, big integers) agree.
#![no_main]

use std::sync::LazyLock;

use etiage_fuzz::Reader;

static READERS: LazyLock<[Reader; 7]> = LazyLock::new(|| {
    [
        Reader::new("format = \"json\"\nlat = \"lat\"\nlon = \"lon\""),
        Reader::new("format = \"json-array\"\nlat = \"lat\"\nlon = \"lon\""),
        Reader::new("format = \"ndjson\"\nlat = \"a.lat\"\nlon = \"a.lon\""),
        Reader::new("format = \"json\"\ntime_format = \"epoch-ms\""),
        Reader::plain("format = \"json\"\nlat = \"lat\"\nlon = \"lon\""),
        Reader::plain("format = \"ndjson\"\nlat = \"a.lat\"\nlon = \"a.lon\""),
        Reader::plain("format = \"json\"\ntime_format = \"epoch-ms\"\nlat = \"lat\"\nlon = \"lon\""),
    ]
});

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    READERS.iter().for_each(|reader| {
        reader.decode(payload);
        reader.agree(payload);
    });
});
