//! Readings in tables: the decoder takes any bytes, and every reading has a text.
#![no_main]

use std::sync::LazyLock;

use etiage_fuzz::Reader;

static READERS: LazyLock<[Reader; 2]> = LazyLock::new(|| {
    [
        "format = \"arrow-ipc\"\nlat = \"lat\"\nlon = \"lon\"",
        "format = \"arrow-ipc\"\nlat = \"a.lat\"\nlon = \"a.lon\"\nevery_numeric = true",
    ]
    .map(Reader::new)
});

libfuzzer_sys::fuzz_target!(|payload: &[u8]| READERS.iter().for_each(|reader| reader.decode_whole(payload)));
