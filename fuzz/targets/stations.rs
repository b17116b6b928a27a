//! A registry of stations: taken, with every position on the globe, or refused with a reason.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match etiage_fuzz::stations(text) {
        Ok(stations) => {
            for (id, (lat, lon)) in stations.sorted() {
                assert!(!id.is_empty() && lat.abs() <= 90.0 && lon.abs() <= 180.0, "{id} {lat} {lon}");
            }
        }
        Err(error) => assert!(error.line > 0, "{error}"),
    }
});
