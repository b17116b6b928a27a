//! Do edges of one region cross? A sweep from west to east.

use super::border::Edge;

/// Pairs of edges that are compared before giving up: some seconds. Real borders need a few for
/// every edge; only many edges that are long against the whole need the square of their number.
const MAX_PAIRS: usize = 1 << 31;

#[derive(PartialEq, Debug)]
pub(super) enum Crossing {
    None,
    Between(Edge, Edge),
    TooManyToTell,
}

/// The first two edges that cross: each has the other's ends on both of its sides. Edges that
/// only touch, or lie on one another, do not cross.
pub(super) fn crossing(mut edges: Vec<Edge>) -> Crossing {
    edges.sort_unstable_by(|one, other| one.west().total_cmp(&other.west()));
    let mut pairs = 0;
    for (at, one) in edges.iter().enumerate() {
        let beside = edges[at + 1..].iter().take_while(|other| other.west() <= one.east());
        for other in beside {
            pairs += 1;
            if other.south() <= one.north() && one.south() <= other.north() && cross(one, other) {
                return Crossing::Between(*one, *other);
            }
        }
        if pairs > MAX_PAIRS {
            return Crossing::TooManyToTell;
        }
    }
    Crossing::None
}

fn cross(one: &Edge, other: &Edge) -> bool {
    splits(one, other) && splits(other, one)
}

fn splits(line: &Edge, edge: &Edge) -> bool {
    let (a, b) = edge.ends();
    let (a, b) = (line.side(a), line.side(b));
    (a > 0.0 && b < 0.0) || (a < 0.0 && b > 0.0)
}
