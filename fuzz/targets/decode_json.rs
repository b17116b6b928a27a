//! Readings in JSON, in each of its formats: the decoder and its twin (serde_json, chrono, big integers) agree.
#![no_main]

use std::sync::LazyLock;

use etiage_fuzz::Reader;

static READERS: LazyLock<[Reader; 4]> = LazyLock::new(|| {
    [
        "format = \"json\"\nlat = \"lat\"\nlon = \"lon\"",
        "format = \"json-array\"\nlat = \"lat\"\nlon = \"lon\"",
        "format = \"ndjson\"\nlat = \"a.lat\"\nlon = \"a.lon\"",
        "format = \"json\"\ntime_format = \"epoch-ms\"",
    ]
    .map(Reader::new)
});

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    READERS.iter().for_each(|reader| {
        reader.decode(payload);
        reader.agree(payload);
    });
});
