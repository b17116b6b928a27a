//! A part's blob as the store gives it, and the same with a checksum that is right: refused, or read, and then what is
//! written of it is read back as the same part.
#![no_main]

use std::sync::Arc;

use etiage::part::{Metrics, Part, Stored};

fn read(blob: &[u8], metrics: &mut Metrics) -> Option<Part> {
    Part::of(Stored::decode(blob).ok()?, metrics, true).ok()
}

libfuzzer_sys::fuzz_target!(|blob: &[u8]| {
    let mut metrics = Metrics::new(&["humidity", "temperature"].map(Arc::from));
    let _ = read(blob, &mut metrics);
    let sealed = [blob, &crc32fast::hash(blob).to_le_bytes()].concat();
    if let Some(part) = read(&sealed, &mut metrics) {
        let written = part.encode(&metrics);
        let again = read(&written, &mut metrics).expect("what was written is read");
        assert_eq!(again.encode(&metrics), written);
        assert_eq!((again.revision, again.next), (part.revision, part.next));
    }
});
