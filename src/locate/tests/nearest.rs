//! The nearest region, against distances of the `geo` crate.

use geo::{Distance, Haversine};
use proptest::prelude::*;

use super::*;

/// Metres in a degree of latitude on the sphere of mean radius.
const DEGREE_M: f64 = 6_371_008.8 * std::f64::consts::PI / 180.0;

/// Region 0 west of region 1, each a degree wide, north of the 48th parallel.
static COAST: LazyLock<Case> =
    LazyLock::new(|| case(&[vec![vec![ring(-4.0, 48.0, -3.0, 49.0)]], vec![vec![ring(-3.0, 48.0, -2.0, 49.0)]]]));

fn nearest(case: &Case, lat: f64, lon: f64, within_m: f64) -> &str {
    case.set.nearest_within(lat, lon, within_m).map_or("", |region| case.set[region].code())
}

#[test]
fn piers_snap_within_the_distance_only() {
    for pier_m in [8.5, 50.0, 2000.0] {
        let south = 48.0 - pier_m / DEGREE_M;
        let east = -2.0 + pier_m / DEGREE_M / 48.5f64.to_radians().cos();
        for (lat, lon, code) in [(south, -3.5, "0"), (south, -2.5, "1"), (48.5, east, "1")] {
            assert_eq!(COAST.code(lat, lon), "");
            assert_eq!(nearest(&COAST, lat, lon, pier_m * 1.001), code, "{pier_m} m");
            assert_eq!(nearest(&COAST, lat, lon, pier_m * 0.999), "", "{pier_m} m");
        }
    }
}

#[test]
fn inside_is_nearest_and_ties_go_to_the_first() {
    assert_eq!(nearest(&COAST, 48.5, -2.5, 0.0), "1");
    assert_eq!(nearest(&COAST, 47.9, -3.0, 20_000.0), "0");
    assert_eq!(nearest(&COAST, 49.0 + 1e-4, -3.0, 20_000.0), "0");
    assert_eq!(nearest(&COAST, 47.9, -3.0 + 1e-4, 20_000.0), "1");
}

#[test]
fn odd_distances_harm_nobody() {
    for (within_m, code) in
        [(f64::NAN, ""), (-1.0, ""), (0.0, ""), (f64::NEG_INFINITY, ""), (f64::INFINITY, "0"), (1e9, "0")]
    {
        assert_eq!(nearest(&COAST, 47.0, -3.5, within_m), code, "{within_m}");
        assert_eq!(nearest(&COAST, -90.0, -3.5, within_m), code, "{within_m}");
    }
    assert_eq!(nearest(&COAST, 90.0, 170.0, 4_000_000.0), "", "49° N is 4,559 km from the pole");
    assert_ne!(nearest(&COAST, 90.0, 170.0, 4_600_000.0), "");
    assert_eq!(nearest(&COAST, f64::NAN, 0.0, 1e9), "");
}

#[test]
fn real_stations_off_the_coast_snap_to_it() {
    // Cap Cépet near Toulon and the airfields at the water's edge.
    for (lat, lon, code) in [(43.079333, 5.940833, "93"), (43.648833, 7.209, "93"), (48.825833, -3.473167, "53")] {
        assert_eq!(nearest(&REGIONS, lat, lon, 2_000.0), code, "{lat} {lon}");
    }
    assert_eq!(nearest(&REGIONS, 46.7663, -56.1792, 2_000.0), "", "Saint-Pierre is far from all of them");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// The distance to the nearest of many points on the border, by another library.
    #[test]
    fn distances_are_great_circles(lat in 47.5..49.5, lon in -4.6..-1.4) {
            prop_assume!(COAST.set.locate(lat, lon).is_none());
        let p = geo::Point::new(lon, lat);
        let step = |i: i32| f64::from(i) / 5000.0;
        let rim = (0..=5000).flat_map(|i| [(-4.0 + 2.0 * step(i), 48.0), (-4.0 + 2.0 * step(i), 49.0), (-4.0, 48.0 + step(i)), (-2.0, 48.0 + step(i))]);
        let distance = rim.map(|(x, y)| Haversine.distance(p, geo::Point::new(x, y))).fold(f64::INFINITY, f64::min);
        prop_assert_eq!(nearest(&COAST, lat, lon, distance * 0.99 - 30.0), "");
        prop_assert_eq!(nearest(&COAST, lat, lon, distance * 1.01 + 30.0), if lon < -3.0 { "0" } else { "1" });
    }
}

/// A region north of the 60th parallel whose eastern border runs across the meridians.
static SLANT: LazyLock<Case> =
    LazyLock::new(|| case(&[vec![vec![vec![[0.0, 60.0], [6.0, 60.0], [0.0, 66.0], [0.0, 60.0]]]]]));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn slanting_borders_are_as_near_as_they_are(along in 0.1..0.9, off in 0.001..1.0) {
        let (lat, lon) = (60.0 + 6.0 * along + off, 6.0 - 6.0 * along + off);
        let p = geo::Point::new(lon, lat);
        let rim = (0..=20_000).map(|i| f64::from(i) * 6.0 / 20_000.0);
        let distance = rim.map(|v| Haversine.distance(p, geo::Point::new(6.0 - v, 60.0 + v))).fold(f64::INFINITY, f64::min);
        prop_assert_eq!(nearest(&SLANT, lat, lon, distance * 0.99 - 30.0), "");
        prop_assert_eq!(nearest(&SLANT, lat, lon, distance * 1.01), "0");
    }
}
