//! A configuration's text, then variables of the environment, separated by zeros: taken, or refused with a short reason.
#![no_main]

use std::path::Path;

use etiage::config::Config;
use etiage::decode::{Decoder, Stations};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // No file of a secret is to be opened: its name may be a device that waits for somebody to type.
    if text.to_ascii_lowercase().contains("file") {
        return;
    }
    let mut pieces = text.split('\0');
    let file = pieces.next().unwrap_or_default();
    let variables = pieces.filter_map(|piece| piece.split_once('=')).map(|(name, value)| (name.into(), value.into()));
    match Config::of_text(Some((Path::new("fuzz.toml"), file)), variables) {
        Ok(config) => config.streams.values().for_each(|stream| {
            let _ = Decoder::new(stream, Stations::default());
        }),
        Err(error) => assert!(error.to_string().len() < 16 << 10, "{error}"),
    }
});
