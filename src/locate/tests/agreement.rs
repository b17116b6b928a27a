//! Table, index, slow twin and the `geo` crate say the same.

use geo::{Contains, MultiPolygon};
use geojson::GeoJson;
use proptest::prelude::*;

use super::*;

/// One of the set's vertices or the middle of two neighbours, moved by 10^-power degrees or not at all.
fn near_a_border(case: &'static Case) -> impl Strategy<Value = (f64, f64)> {
    let vertices: Vec<(f64, f64)> = case.outlines.vertices().collect();
    let moved = prop_oneof![Just(0.0), (-1.0..1.0, 3..16i32).prop_map(|(v, power)| v * 10f64.powi(-power))];
    let moved = (moved.clone(), moved);
    (1..vertices.len(), any::<bool>(), moved).prop_map(move |(at, middle, (north, east))| {
        let ((x, y), (other_x, other_y)) = (vertices[at], vertices[if middle { at - 1 } else { at }]);
        (f64::midpoint(y, other_y) + north, f64::midpoint(x, other_x) + east)
    })
}

/// Beside the rims of the table's squares, where rounding decides which one is asked.
fn on_a_rim(case: &'static Case) -> impl Strategy<Value = (f64, f64)> {
    let cells = &case.set.cells;
    let rim = |from: f64, per: f64| {
        (0..1u32 << cells::ALL_BITS, -2..3i64).prop_map(move |(number, off)| {
            let v = from + f64::from(number & !0xf) / per;
            f64::from_bits(v.to_bits().wrapping_add_signed(off))
        })
    };
    (rim(cells.y, cells.per_y), rim(cells.x, cells.per_x))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn on_and_beside_real_borders((lat, lon) in near_a_border(&REGIONS)) {
        REGIONS.locate(lat, lon);
    }

    #[test]
    fn on_and_beside_departments((lat, lon) in near_a_border(&DEPARTEMENTS)) {
        DEPARTEMENTS.locate(lat, lon);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn index_and_table_beside_borders((lat, lon) in near_a_border(&DEPARTEMENTS)) {
        prop_assert_eq!(DEPARTEMENTS.set.locate(lat, lon), DEPARTEMENTS.set.locate_by_index(lat, lon));
    }

    #[test]
    fn index_and_table_on_rims((lat, lon) in on_a_rim(&REGIONS)) {
        prop_assert_eq!(REGIONS.set.locate(lat, lon), REGIONS.set.locate_by_index(lat, lon));
    }

    #[test]
    fn index_and_table_anywhere(lat in -22.0..52.0, lon in -62.0..56.0) {
        prop_assert_eq!(REGIONS.set.locate(lat, lon), REGIONS.set.locate_by_index(lat, lon));
    }
}

static POLYGONS: LazyLock<Vec<MultiPolygon>> = LazyLock::new(|| {
    let GeoJson::FeatureCollection(collection) = RegionSet::shipped("regions").unwrap().parse().unwrap() else {
        panic!("a collection")
    };
    let polygons = |feature: geojson::Feature| match geo::Geometry::try_from(feature.geometry.unwrap()).unwrap() {
        geo::Geometry::Polygon(polygon) => polygon.into(),
        geo::Geometry::MultiPolygon(polygons) => polygons,
        other => panic!("{other:?}"),
    };
    collection.features.into_iter().map(polygons).collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// No random position lies exactly on a border, where the other library knows no owner.
    #[test]
    fn geo_says_the_same(lat in 41.0..51.2, lon in -5.2..9.7) {
        let holds = POLYGONS.iter().position(|polygons| polygons.contains(&geo::Point::new(lon, lat)));
        prop_assert_eq!(REGIONS.set.locate(lat, lon).map(RegionIdx::index), holds);
    }

    #[test]
    fn geo_says_the_same_beside_borders((lat, lon) in near_a_border(&REGIONS), north in 1e-7..1e-3, east in 1e-7..1e-3) {
        let (lat, lon) = (lat + north, lon + east);
        let holds = POLYGONS.iter().position(|polygons| polygons.contains(&geo::Point::new(lon, lat)));
        prop_assert_eq!(REGIONS.set.locate(lat, lon).map(RegionIdx::index), holds);
    }
}

/// A grid of shaken quadrilaterals, each given to one of some regions: a coverage whose regions
/// are in many pieces that touch themselves and each other. Corners lie on eighths, so that many
/// are level with one another.
fn patchwork() -> impl Strategy<Value = Vec<Vec<Vec<Vec<[f64; 2]>>>>> {
    let shake = proptest::collection::vec((-2..3i32, -2..3i32), 49);
    let owners = proptest::collection::vec(0..6usize, 36);
    (shake, owners).prop_map(|(shake, owners)| {
        let corner = |i: usize| {
            let off = |eighths: i32| f64::from(eighths) / 8.0;
            [(i % 7) as f64 + off(shake[i].0), (i / 7) as f64 + off(shake[i].1)]
        };
        let mut regions = vec![Vec::new(); 6];
        for (at, owner) in owners.into_iter().enumerate() {
            let i = at / 6 * 7 + at % 6;
            regions[owner].push(vec![[i, i + 1, i + 8, i + 7, i].map(corner).to_vec()]);
        }
        regions.retain(|polygons| !polygons.is_empty());
        regions
    })
}

/// Triangles anywhere, each a region: they overlap, touch, repeat and may be flat.
fn triangles() -> impl Strategy<Value = Vec<Vec<Vec<Vec<[f64; 2]>>>>> {
    let corner = || (0..9i32, 0..9i32).prop_map(|(x, y)| [f64::from(x), f64::from(y)]);
    let triangle = (corner(), corner(), corner()).prop_map(|(a, b, c)| vec![vec![vec![a, b, c, a]]]);
    proptest::collection::vec(triangle, 1..40)
}

/// On a lattice of sixteenths, where all the corners and many of the edges are, or beside it.
fn lattice() -> impl Strategy<Value = Vec<(f64, f64)>> {
    let v = || {
        (-16..160i32, prop_oneof![4 => Just(0), 1 => -1..2i64])
            .prop_map(|(n, off)| f64::from_bits((f64::from(n) / 16.0).to_bits().wrapping_add_signed(off)))
    };
    proptest::collection::vec((v(), v()), 100)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn on_a_patchwork(regions in patchwork(), positions in lattice()) {
        let case = case(&regions);
        prop_assert_eq!(case.unknown_squares(), 0);
        for (lat, lon) in positions {
            case.locate(lat, lon);
            let holders = Point::new(lat, lon).map_or(0, |p| case.set.index.holders(p).regions().len());
            prop_assert!(holders <= 1, "{} {} is in {} regions", lat, lon, holders);
            // Shaken corners stay within a quarter of their place.
            let inside = (0.25..5.75).contains(&lat) && (0.25..5.75).contains(&lon);
            prop_assert!(!inside || holders == 1, "{} {} is in a gap", lat, lon);
        }
    }

    #[test]
    fn on_a_heap_of_triangles(regions in triangles(), positions in lattice()) {
        let case = case(&regions);
        for (lat, lon) in positions {
            case.locate(lat, lon);
        }
    }
}

/// Strips whose borders lie on the rims of squares, or some steps of a double beside.
fn strips(turned: bool) -> Case {
    let turn = |strip: [f64; 4]| if turned { [strip[1], strip[0], strip[3], strip[2]] } else { strip };
    let made = |strips: Vec<[f64; 4]>| {
        let region = |strip: [f64; 4]| {
            let [west, south, east, north] = turn(strip);
            vec![vec![ring(west, south, east, north)]]
        };
        case(&strips.into_iter().map(region).collect::<Vec<_>>())
    };
    let (low, high) = (1.1, 61.3);
    let probe = made(vec![[low, 3.0, high, 4.0]]);
    let (from, per) = axis_of(&probe, turned);
    let rims = (1..500).map(|i| (from + f64::from(i * 131) / per, i64::from(i % 9) - 4));
    let rims = rims.map(|(rim, off)| f64::from_bits(rim.to_bits().wrapping_add_signed(off)));
    let borders: Vec<f64> = std::iter::once(low).chain(rims).chain([high]).collect();
    made(borders.windows(2).map(|ends| [ends[0], 3.0, ends[1], 4.0]).collect())
}

fn axis_of(case: &Case, turned: bool) -> (f64, f64) {
    let cells = &case.set.cells;
    if turned { (cells.y, cells.per_y) } else { (cells.x, cells.per_x) }
}

#[test]
fn borders_on_the_rims_of_squares() {
    for turned in [false, true] {
        let case = strips(turned);
        let (from, per) = axis_of(&case, turned);
        for i in 1..500 {
            let rim = from + f64::from(i * 131) / per;
            for off in -9..10 {
                let v = f64::from_bits(rim.to_bits().wrapping_add_signed(off));
                let (lat, lon) = if turned { (v, 3.5) } else { (3.5, v) };
                assert_eq!(case.set.locate(lat, lon), case.set.locate_by_index(lat, lon), "{lat:?} {lon:?}");
            }
        }
    }
}
