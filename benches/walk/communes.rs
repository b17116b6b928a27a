//! A set of the size of the French communes, made up: some 35,000 regions that tile a box around the mainland, with borders
//! that wind, shared by the neighbours.

use std::fmt::Write;

use crate::measure::Random;

/// So many regions along each side.
const SIDE: usize = 187;
const SOUTH_WEST: (f64, f64) = (-4.8, 42.3);
const NORTH_EAST: (f64, f64) = (8.2, 51.1);
/// How far a corner lies from where it would in a regular grid, in sides of a region; and how far a border winds, in lengths of
/// its own. Borders do not cross for as little as this, and the reader of the set would say if they did.
const CORNERS: f64 = 0.2;
const WINDING: f64 = 0.03;

type Point = (f64, f64);

/// As GeoJSON, with the properties of the shipped sets.
pub fn geojson() -> String {
    let mut random = Random(7);
    let corners: Vec<Vec<Point>> =
        (0..=SIDE).map(|row| (0..=SIDE).map(|column| corner(&mut random, column, row)).collect()).collect();
    // Of each corner the border to the east, and the one to the north.
    let mut border = |from: Option<&Point>, to: Option<&Point>| match (from, to) {
        (Some(from), Some(to)) => winding(&mut random, *from, *to, 3),
        _ => Vec::new(),
    };
    let mut borders = Vec::new();
    for row in 0..=SIDE {
        for column in 0..=SIDE {
            let at = corners[row].get(column);
            let east = border(at, corners[row].get(column + 1));
            borders.push((east, border(at, corners.get(row + 1).and_then(|row| row.get(column)))));
        }
    }
    let mut text = String::from(r#"{"type":"FeatureCollection","features":["#);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let of = |column: usize, row: usize| &borders[row * (SIDE + 1) + column];
            let back = |points: &[Point]| points.iter().rev().copied().collect::<Vec<_>>();
            let ring = [
                of(column, row).0.clone(),
                of(column + 1, row).1.clone(),
                back(&of(column, row + 1).0),
                back(&of(column, row).1),
            ];
            let number = row * SIDE + column;
            let comma = if number == 0 { "" } else { "," };
            let _ =
                write!(text, r#"{comma}{{"type":"Feature","properties":{{"code":"{number:05}","nom":"{number}"}},"#);
            let _ = write!(text, r#""geometry":{{"type":"Polygon","coordinates":[[{}]]}}}}"#, ring_text(&ring));
        }
    }
    text.push_str("]}");
    text
}

fn corner(random: &mut Random, column: usize, row: usize) -> Point {
    let mut along = |from: f64, to: f64, number: usize| {
        from + (to - from) / SIDE as f64 * (number as f64 + random.between(-CORNERS, CORNERS))
    };
    (along(SOUTH_WEST.0, NORTH_EAST.0, column), along(SOUTH_WEST.1, NORTH_EAST.1, row))
}

/// From one corner to another over 2^depth edges.
fn winding(random: &mut Random, from: Point, to: Point, depth: u32) -> Vec<Point> {
    if depth == 0 {
        return vec![from, to];
    }
    let aside = random.between(-WINDING, WINDING);
    let middle =
        (f64::midpoint(from.0, to.0) + (to.1 - from.1) * aside, f64::midpoint(from.1, to.1) - (to.0 - from.0) * aside);
    let mut points = winding(random, from, middle, depth - 1);
    points.extend(winding(random, middle, to, depth - 1).into_iter().skip(1));
    points
}

/// Each border ends where the next one begins.
fn ring_text(borders: &[Vec<Point>]) -> String {
    let first = borders[0][0];
    let points = borders.iter().flat_map(|border| &border[..border.len() - 1]).chain(std::iter::once(&first));
    points.map(|(lon, lat)| format!("[{lon:.6},{lat:.6}]")).collect::<Vec<_>>().join(",")
}
