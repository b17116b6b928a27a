//! A set of regions in GeoJSON: refused with a reason, or table, index and the slow twin say the same of every place.
#![no_main]

use etiage::locate::{Outlines, RegionSet};

/// Sets with more vertices take the slow twin too long.
const VERTICES: usize = 200;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(outlines) = Outlines::from_geojson(text, "code", "name") else { return };
    let vertices: Vec<(f64, f64)> = outlines.vertices().take(VERTICES + 1).collect();
    if vertices.len() > VERTICES {
        return;
    }
    let set = RegionSet::from_geojson(text, "code", "name").expect("the outlines were taken");
    let middles = vertices.windows(2).map(|ends| ((ends[0].0 + ends[1].0) / 2.0, (ends[0].1 + ends[1].1) / 2.0));
    for (lon, lat) in vertices.iter().copied().chain(middles) {
        for (lat, lon) in [(lat, lon), (lat.next_up(), lon), (lat, lon.next_down())] {
            let answer = outlines.locate(lat, lon);
            assert_eq!(set.locate(lat, lon), answer, "table, {lat:?} {lon:?}");
            assert_eq!(set.locate_by_index(lat, lon), answer, "index, {lat:?} {lon:?}");
            let _ = set.nearest_within(lat, lon, 1_000.0);
        }
    }
});
