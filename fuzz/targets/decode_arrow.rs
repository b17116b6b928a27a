//! Readings in tables: the decoder takes any bytes, every reading has a text, and ordinary rows are what others are.
#![no_main]

use std::sync::LazyLock;

use etiage_fuzz::Reader;

static READERS: LazyLock<[Reader; 3]> = LazyLock::new(|| {
    let flat = "format = \"arrow-ipc\"\nlat = \"lat\"\nlon = \"lon\"";
    let nested = "format = \"arrow-ipc\"\nlat = \"a.lat\"\nlon = \"a.lon\"\nevery_numeric = true";
    [Reader::new(flat), Reader::new(nested), Reader::plain(flat)]
});

libfuzzer_sys::fuzz_target!(|payload: &[u8]| READERS.iter().for_each(|reader| reader.decode_whole(payload)));
