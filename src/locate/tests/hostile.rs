//! What is no set of regions is refused with a reason, and never with a panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn feature(properties: Value, geometry: Value) -> Value {
    json!({"type": "Feature", "properties": properties, "geometry": geometry})
}

fn with_ring(ring: Value) -> Value {
    feature(json!({"code": "a", "name": "A"}), json!({"type": "Polygon", "coordinates": [ring]}))
}

fn fault_of(features: Value) -> String {
    let text = json!({"type": "FeatureCollection", "features": features}).to_string();
    RegionSet::from_geojson(&text, "code", "name")
        .err()
        .map_or_else(|| "it was taken".to_owned(), |error| error.to_string())
}

fn square() -> Value {
    json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]})
}

#[test]
fn features_are_refused_with_the_reason() {
    let code = |code: Value| feature(json!({"code": code, "name": "A"}), square());
    let geometry = |geometry: Value| json!([feature(json!({"code": "a", "name": "A"}), geometry)]);
    let table = [
        (json!([]), "has no features"),
        (json!([feature(json!({"name": "A"}), square())]), "features[0]: property \"code\" is missing"),
        (json!([feature(Value::Null, square())]), "features[0]: property \"code\" is missing"),
        (json!([code(json!(""))]), "or empty"),
        (json!([code(json!(1.5))]), "no whole number"),
        (json!([code(json!(["a"]))]), "no text"),
        (
            json!([code(json!("a")), code(json!("a"))]),
            "features[1] (code \"a\"): the code is already that of features[0]",
        ),
        (json!([code(json!(53)), code(json!("53"))]), "features[1] (code \"53\"): the code is already"),
        (json!([feature(json!({"code": "a"}), square())]), "features[0] (code \"a\"): property \"name\" is missing"),
        (geometry(Value::Null), "its geometry is missing"),
        (geometry(json!({"type": "Point", "coordinates": [0, 0]})), "its geometry is Point"),
        (geometry(json!({"type": "LineString", "coordinates": [[0, 0], [1, 1]]})), "its geometry is LineString"),
        (
            geometry(json!({"type": "GeometryCollection", "geometries": [square()]})),
            "its geometry is GeometryCollection",
        ),
        (geometry(json!({"type": "MultiPolygon", "coordinates": []})), "it has no ring"),
        (geometry(json!({"type": "Polygon", "coordinates": [[]]})), "it has no ring"),
    ];
    for (features, reason) in table {
        let fault = fault_of(features);
        assert!(fault.contains(reason), "{fault:?} does not say {reason:?}");
    }
}

#[test]
fn rings_are_refused_with_the_reason() {
    let table = [
        (json!([[0, 0], [1, 0], [0, 0]]), "has 3 positions"),
        (json!([[0, 0]]), "has 1 positions"),
        (json!([[0, 0], [1, 0], [1, 1], [0, 1]]), "the ring from [0, 0] is not closed"),
        (json!([[0, 0], [1, 0], [1], [0, 0]]), "a position has 1 numbers"),
        (json!([[0, 0], [181, 0], [1, 1], [0, 0]]), "position [181, 0] is out of range"),
        (json!([[0, 0], [1, 90.5], [1, 1], [0, 0]]), "position [1, 90.5] is out of range"),
        (
            json!([[652_000, 6_862_000], [653_000, 6_862_000], [653_000, 6_863_000], [652_000, 6_862_000]]),
            "give WGS84 degrees",
        ),
        (json!([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]), "cross: make the polygon valid"),
        (
            json!([[179, -17], [-179, -17], [-179, -18], [179, -18], [179, -17]]),
            "features[0] (code \"a\"): its edge from [179, -17] to [-179, -17] goes round more than half of the world: cut",
        ),
        (
            json!([[-170, 0], [180, 0], [180, 5], [-170, 5], [-170, 0]]),
            "give an edge that is meant to be so long a position",
        ),
        (json!([[-170, 0], [0, 0], [180, 0], [180, 5], [0, 5], [-170, 5], [-170, 0]]), "it was taken"),
        (json!([[-180, -90], [180, -90], [180, -60], [-180, -60], [-180, -90]]), "it was taken"),
        (json!([[0, 0, 5], [1, 0, 5], [1, 1, 5], [0, 0, 5]]), "it was taken"),
        (json!([[0, 0], [0, 0], [0, 0], [0, 0]]), "it was taken"),
        (json!([[0, 0], [4, 0], [2, 0], [2, 2], [0, 0]]), "it was taken"),
    ];
    for (ring, reason) in table {
        let fault = fault_of(json!([with_ring(ring)]));
        assert!(fault.contains(reason), "{fault:?} does not say {reason:?}");
    }
}

#[test]
fn texts_are_refused_with_the_reason() {
    let deep = "[".repeat(100_000);
    let large = " ".repeat((256 << 20) + 1);
    let table = [
        ("", "not GeoJSON"),
        ("{}", "not GeoJSON"),
        ("null", "not GeoJSON"),
        (&deep, "not GeoJSON"),
        ("{\"type\":\"FeatureCollection\"}", "not GeoJSON"),
        (
            "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"properties\":{},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[1e999,0]]]}}]}",
            "not GeoJSON",
        ),
        ("{\"type\":\"Topology\",\"objects\":{}}", "not GeoJSON"),
        ("{\"type\":\"Point\",\"coordinates\":[0,0]}", "are a GeoJSON Point: give a FeatureCollection"),
        ("{\"type\":\"Feature\",\"properties\":{},\"geometry\":null}", "are a GeoJSON Feature: give"),
        (&large, "at most 268435456 can be read"),
    ];
    for (text, reason) in table {
        let fault = RegionSet::from_geojson(text, "code", "name").err().expect("refused").to_string();
        assert!(fault.contains(reason), "{fault:?} does not say {reason:?}");
    }
}

#[test]
fn holes_islands_and_overlaps() {
    let with_hole = vec![vec![ring(0.0, 0.0, 10.0, 10.0), ring(4.0, 4.0, 6.0, 6.0)], vec![ring(4.5, 4.5, 5.5, 5.5)]];
    let over_it = vec![vec![ring(2.0, 2.0, 12.0, 5.0)]];
    let case = case(&[with_hole, over_it]);
    for (lat, lon, code) in
        [(1.0, 1.0, "0"), (3.0, 3.0, "0"), (4.2, 4.2, "1"), (5.2, 4.2, ""), (5.2, 5.2, "0"), (3.0, 11.0, "1")]
    {
        assert_eq!(case.code(lat, lon), code, "{lat} {lon}");
    }
    for (lat, lon) in [(4.0, 5.0), (6.0, 5.0), (5.2, 4.0), (5.2, 6.0), (4.5, 5.0), (5.5, 5.0)] {
        assert_ne!(case.code(lat, lon), "", "rims of holes belong to a region: {lat} {lon}");
    }
}

#[test]
fn a_line_inside_of_nothing_is_a_border_all_the_same() {
    let spike = vec![vec![vec![[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [8.0, 4.0], [4.0, 4.0], [0.0, 4.0], [0.0, 0.0]]]];
    let case = case(&[spike, vec![vec![vec![[20.0, 20.0]; 4]]]]);
    for (lat, lon, code) in [(4.0, 6.0, "0"), (4.1, 6.0, ""), (3.9, 6.0, ""), (20.0, 20.0, "")] {
        assert_eq!(case.code(lat, lon), code, "{lat} {lon}");
    }
}

#[test]
fn the_smallest_and_the_largest_sets() {
    let tiny = 1e-12;
    let speck = case(&[vec![vec![ring(2.0, 48.0, 2.0 + tiny, 48.0 + tiny)]]]);
    assert_eq!((speck.code(48.0 + tiny / 2.0, 2.0 + tiny / 2.0), speck.code(48.0, 2.1)), ("0", ""));
    let world = case(&[vec![vec![ring(-180.0, -90.0, 180.0, 90.0)]]]);
    for (lat, lon) in [(0.0, 0.0), (90.0, 180.0), (-90.0, -180.0), (90.0, -180.0), (5e-324, -5e-324)] {
        assert_eq!(world.code(lat, lon), "0", "{lat} {lon}");
    }
    let line = case(&[vec![vec![vec![[0.0, 0.0], [4.0, 0.0], [0.0, 0.0], [0.0, 0.0]]]]]);
    assert_eq!((line.code(0.0, 2.0), line.code(1e-9, 2.0)), ("0", ""));
    let nothing = case(&[vec![vec![vec![[7.0, 7.0]; 4]]]]);
    assert_eq!(nothing.code(7.0, 7.0), "", "a ring of no length has no border either");
}

#[test]
fn many_long_borders_cost_bounded_work() {
    let slivers: Vec<_> = (0..5_000)
        .map(|i| {
            let (west, east) = (f64::from(i) / 100.0, f64::from(i + 1) / 100.0);
            vec![vec![vec![[west, 0.0], [east, 0.0], [90.0, 60.0], [west, 0.0]]]]
        })
        .collect();
    let fan = case(&slivers);
    assert!(fan.set.memory_bytes() < 64 << 20, "{}", fan.set.memory_bytes());
    assert!(matches!(fan.set.cells.find(90.0, 60.0), Found::Unknown), "the hinge is left to the index");
    for (lat, lon) in [(60.0, 90.0), (60.0f64.next_down(), 90.0), (60.0 - 1e-9, 90.0 - 1e-9), (30.0, 70.0)] {
        fan.locate(lat, lon);
    }
    for i in 0..200 {
        let (lat, lon) = (f64::from(i * 37 % 600) / 10.0 + 0.05, f64::from(i * 91 % 900) / 10.0);
        fan.locate(lat, lon);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = RegionSet::from_geojson(&text, "code", "name");
    }
}

const WORDS: [&str; 11] = [
    "type",
    "Polygon",
    "MultiPolygon",
    "Feature",
    "FeatureCollection",
    "features",
    "geometry",
    "coordinates",
    "properties",
    "code",
    "name",
];

/// Any JSON that keeps to GeoJSON's words.
fn words() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-200..200i32).prop_map(Value::from),
        proptest::sample::select(&WORDS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(proptest::sample::select(&WORDS[..]), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
        ]
    })
}

/// Rings of few corners on few places: closed or not, crossing or not, flat or not.
fn rings() -> impl Strategy<Value = Vec<Vec<[i32; 2]>>> {
    proptest::collection::vec(proptest::collection::vec([0..5i32, 0..5i32], 2..7), 1..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_json_is_read_or_refused(features in proptest::collection::vec(words(), 0..4), geometry in words()) {
        let _ = fault_of(json!(features));
        let _ = fault_of(json!([feature(json!({"code": "a", "name": "A"}), geometry)]));
    }

    #[test]
    fn what_is_read_is_located_alike(mut rings in rings(), close in 0..5) {
        if close > 0 {
            rings.iter_mut().for_each(|ring| ring.push(ring[0]));
        }
        let geometry = json!({"type": "Polygon", "coordinates": rings});
        let text = json!({"type": "FeatureCollection", "features": [feature(json!({"code": "a", "name": "A"}), geometry)]}).to_string();
        if let Ok(case) = Case::new(&text, "code", "name") {
            for i in 0..100 {
                case.locate(f64::from(i % 10) / 2.0, f64::from(i / 10) / 2.0);
            }
        }
    }
}
