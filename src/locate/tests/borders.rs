//! On borders: the predicate against whole-number arithmetic, and that a coverage has no gap.

use std::collections::{HashMap, HashSet};

use num_bigint::BigInt;
use proptest::prelude::*;

use super::border::Edge;
use super::*;

/// The value in units of 2^-400: exact for everything that is not near zero.
fn whole(v: f64) -> BigInt {
    let bits = v.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let mantissa = if exponent == 0 { 0 } else { (bits & ((1 << 52) - 1)) | 1 << 52 };
    let magnitude = BigInt::from(mantissa) << usize::try_from((exponent - 1075 + 400).max(0)).unwrap();
    if v < 0.0 { -magnitude } else { magnitude }
}

fn side_in_whole_numbers(edge: &Edge, p: Point) -> std::cmp::Ordering {
    let (a, b) = edge.ends();
    let step = |from: f64, to: f64| whole(to) - whole(from);
    let cross = step(a.x, b.x) * step(a.y, p.y) - step(a.y, b.y) * step(a.x, p.x);
    cross.cmp(&BigInt::ZERO)
}

/// Degrees of all sizes, as many of them plain as strange.
fn degree() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-1000..1000i32).prop_map(|n| f64::from(n) / 16.0),
        -90.0..90.0,
        (-90.0..90.0, 0..110i32).prop_map(|(v, digits)| v * 10f64.powi(-digits)),
    ]
}

fn a_point() -> impl Strategy<Value = Point> {
    (degree(), degree()).prop_map(|(lat, lon)| Point::new(lat, lon).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn sides_are_exact(a in a_point(), b in a_point(), part in 0.0..1.0, off in -3..4i64) {
        let Some(edge) = Edge::new(a, b) else { return Ok(()) };
        // As near to the edge as doubles come.
        let nudge = |v: f64| Some(f64::from_bits(v.to_bits().wrapping_add_signed(off))).filter(|v| v.is_finite()).unwrap_or(v);
        let near = Point::near_zero_is_zero(nudge(a.x + part * (b.x - a.x)), a.y + part * (b.y - a.y));
        for p in [near, a, b] {
            let side = edge.side(p).partial_cmp(&0.0).unwrap();
            prop_assert_eq!(side, side_in_whole_numbers(&edge, p));
        }
    }
}

type Vertex = [u64; 2];

/// How many regions have each edge, and the vertices that only shared edges meet.
fn inner_borders(outlines: &Outlines) -> (HashMap<[Vertex; 2], usize>, Vec<Point>) {
    let vertex = |p: Point| [p.x.to_bits(), p.y.to_bits()];
    let mut owners: HashMap<[Vertex; 2], usize> = HashMap::new();
    let ends = |edge: Edge| (edge.ends().0, edge.ends().1);
    for (_, edge) in outlines.edges() {
        let (a, b) = ends(edge);
        *owners.entry([vertex(a), vertex(b)]).or_default() += 1;
    }
    let outer: HashSet<Vertex> = owners.iter().filter(|(_, count)| **count == 1).flat_map(|(edge, _)| *edge).collect();
    let inner: HashSet<Vertex> = owners.keys().flatten().copied().filter(|vertex| !outer.contains(vertex)).collect();
    let point = |[x, y]: Vertex| Point { x: f64::from_bits(x), y: f64::from_bits(y) };
    (owners, inner.into_iter().map(point).collect())
}

/// Regions that hold the position by the rule of the infinitesimal step, before borders are touched.
fn holders(case: &Case, p: Point) -> usize {
    case.set.index.holders(p).regions().len()
}

#[test]
fn a_vertex_or_middle_of_inner_borders_lies_in_exactly_one_region() {
    for case in [&*REGIONS, &*DEPARTEMENTS] {
        let (edges, vertices) = inner_borders(&case.outlines);
        assert!(vertices.len() > 10_000, "{}", vertices.len());
        for p in vertices {
            assert_eq!(holders(case, p), 1, "{p:?}");
        }
        for ([[ax, ay], [bx, by]], owners) in edges {
            let middle = |a: u64, b: u64| f64::midpoint(f64::from_bits(a), f64::from_bits(b));
            let p = Point { x: middle(ax, bx), y: middle(ay, by) };
            assert!(holders(case, p) == 1 || owners == 1 && holders(case, p) == 0, "{p:?}");
        }
    }
}

#[test]
fn every_vertex_of_a_territory_belongs_to_a_region_that_has_it() {
    for case in [&*REGIONS, &*DEPARTEMENTS] {
        let mut having: HashMap<Vertex, HashSet<usize>> = HashMap::new();
        for (region, edge) in case.outlines.edges() {
            let ends = edge.ends();
            for p in [ends.0, ends.1] {
                having.entry([p.x.to_bits(), p.y.to_bits()]).or_default().insert(region as usize);
            }
        }
        for ([x, y], regions) in having {
            let (lon, lat) = (f64::from_bits(x), f64::from_bits(y));
            let found = case.set.locate(lat, lon).unwrap_or_else(|| panic!("{lat} {lon} is outside"));
            assert!(regions.contains(&found.index()), "{lat} {lon}");
        }
    }
}

#[test]
fn the_rule_on_a_chessboard() {
    // 2 3
    // 0 1
    let square = |x: f64, y: f64| vec![vec![ring(x, y, x + 1.0, y + 1.0)]];
    let board = case(&[square(0.0, 0.0), square(1.0, 0.0), square(0.0, 1.0), square(1.0, 1.0)]);
    let rule = [
        ("the middle is taken a step to the north-east", 1.0, 1.0, "3"),
        ("a meridian belongs to the east", 0.5, 1.0, "1"),
        ("a parallel belongs to the north", 1.0, 0.5, "2"),
        ("the west is closed", 0.5, 0.0, "0"),
        ("and so is the east", 0.5, 2.0, "1"),
        ("the south", 0.0, 1.5, "1"),
        ("the north", 2.0, 1.5, "3"),
        ("where an inner border meets the rim, the first of both", 2.0, 1.0, "2"),
        ("corners", 2.0, 2.0, "3"),
        ("beyond", 2.0f64.next_up(), 1.0, ""),
        ("before", 0.5, 0.0f64.next_down(), "0"),
        ("before", 0.5, -1e-100, ""),
    ];
    for (what, lat, lon, code) in rule {
        assert_eq!(board.code(lat, lon), code, "{what}");
    }
}
