//! The nearest region: for positions just outside, on piers and quays.
//!
//! Trigonometry is libm's own, in plain arithmetic: the system's differs by machine and version,
//! and what a reading counts for must not.

use std::f64::consts::PI;

use super::RegionIdx;
use super::border::{Edge, Point};
use super::index::BorderIndex;

/// Mean radius of the Earth, m.
const RADIUS_M: f64 = 6_371_008.8;

/// The region whose border is nearest to the position, if it lies within the distance.
pub(super) fn nearest_within(index: &BorderIndex, p: Point, within_m: f64) -> Option<RegionIdx> {
    if within_m.is_nan() || within_m < 0.0 {
        return None;
    }
    let reach = (within_m / RADIUS_M).min(PI);
    let farthest = square(libm::sin(reach / 2.0));
    let (south_west, north_east) = around(p, reach);
    index
        .between(south_west, north_east)
        .map(|border| (haversine(p, closest(&border.edge, p)), border.first()))
        .filter(|(distance, _)| *distance <= farthest)
        .min_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)))
        .and_then(|(_, region)| RegionIdx::from_index(region))
}

/// A box in degrees that holds everything within `reach` (radians), and a little more.
fn around(p: Point, reach: f64) -> ([f64; 2], [f64; 2]) {
    let slack = |degrees: f64| degrees * (1.0 + 1e-9) + 1e-9;
    let dy = slack(reach.to_degrees());
    let over_a_pole = p.y.abs() + dy >= 90.0;
    let dx = if over_a_pole {
        360.0
    } else {
        slack(libm::asin((libm::sin(reach) / libm::cos(p.y.to_radians())).min(1.0)).to_degrees())
    };
    ([p.x - dx, p.y - dy], [p.x + dx, p.y + dy])
}

/// The point of the edge closest to `p`, on a map whose scale is true around `p`.
fn closest(edge: &Edge, p: Point) -> Point {
    let (a, b) = edge.ends();
    let shrink = libm::cos(p.y.to_radians());
    let (along_x, along_y) = ((b.x - a.x) * shrink, b.y - a.y);
    let (to_x, to_y) = ((p.x - a.x) * shrink, p.y - a.y);
    let length = square(along_x) + square(along_y);
    let part = (to_x * along_x + to_y * along_y) / length;
    if part >= 1.0 {
        b
    } else if part > 0.0 {
        Point { x: a.x + part * (b.x - a.x), y: a.y + part * (b.y - a.y) }
    } else {
        // Also where the edge is too short to have a length in this arithmetic.
        a
    }
}

/// Grows with the great-circle distance: the square of the sine of half the angle.
fn haversine(p: Point, q: Point) -> f64 {
    let half_sine = |degrees: f64| libm::sin(degrees.to_radians() / 2.0);
    let (p_cos, q_cos) = (libm::cos(p.y.to_radians()), libm::cos(q.y.to_radians()));
    square(half_sine(q.y - p.y)) + p_cos * q_cos * square(half_sine(q.x - p.x))
}

fn square(v: f64) -> f64 {
    v * v
}
