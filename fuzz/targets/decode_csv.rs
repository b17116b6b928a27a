//! Readings in CSV with their header: the decoder takes any bytes, and agrees with its twin (the csv crate) on text.
#![no_main]

use std::sync::LazyLock;

use etiage_fuzz::Reader;

static READERS: LazyLock<[Reader; 4]> = LazyLock::new(|| {
    [
        Reader::new("format = \"csv\"\nseparator = \";\"\nlat = \"lat\"\nlon = \"lon\""),
        Reader::new("format = \"csv\"\nseparator = \",\"\ntime_format = \"compact\"\nstation = \"id\"\nstations = { file = \"s.csv\", id = \"id\", lat = \"lat\", lon = \"lon\" }"),
        Reader::plain("format = \"csv\"\nseparator = \";\"\nlat = \"lat\"\nlon = \"lon\""),
        Reader::plain("format = \"csv\"\nseparator = \",\"\ntime_format = \"epoch-ms\"\nlat = \"lat\"\nlon = \"lon\""),
    ]
});

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    READERS.iter().for_each(|reader| {
        reader.decode(payload);
        if std::str::from_utf8(payload).is_ok() {
            reader.agree(payload);
        }
    });
});
