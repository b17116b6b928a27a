//! GeoJSON → a validated set of regions and their rings.

use std::fmt;

use geojson::{Feature, GeoJson, GeometryValue, Position};
use rustc_hash::FxHashMap;

use super::Region;
use super::border::{Edge, Point};
use super::rings::{self, Crossing};

/// A larger text is refused: it would take gigabytes to parse.
const MAX_BYTES: usize = 256 << 20;

/// Why a text is no set of regions.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum RegionSetError {
    #[error("the regions are {bytes} bytes of GeoJSON, and at most {MAX_BYTES} can be read: simplify the borders")]
    TooLarge { bytes: usize },
    #[error("the regions are not GeoJSON: {0}")]
    NotGeoJson(String),
    #[error("the regions are a GeoJSON {0}: give a FeatureCollection")]
    NotACollection(&'static str),
    #[error("the FeatureCollection has no features: give one feature for every region")]
    Empty,
    #[error("{feature}: {fault}")]
    Feature { feature: String, fault: Fault },
}

/// What is wrong with a feature. Points are longitude, latitude.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Fault {
    #[error(
        "property {property:?} is missing, or no text and no whole number, or empty: it must hold the region's code"
    )]
    Code { property: String },
    #[error(
        "the code is already that of features[{first}]: codes must be unique (several polygons of one region are one MultiPolygon)"
    )]
    DuplicateCode { first: usize },
    #[error("property {property:?} is missing or no text: it must hold the region's name")]
    Name { property: String },
    #[error("its geometry is {found}: a region is a Polygon or a MultiPolygon")]
    Geometry { found: &'static str },
    #[error("it has no ring: a region is at least one polygon")]
    NoRing,
    #[error("a position has {numbers} numbers: give longitude and latitude")]
    Position { numbers: usize },
    #[error(
        "position [{x}, {y}] is out of range: give WGS84 degrees, longitude (-180 to 180) before latitude (-90 to 90)"
    )]
    Range { x: f64, y: f64 },
    #[error("the ring from [{x}, {y}] has {points} positions: the shortest ring has four, the last equal to the first")]
    ShortRing { x: f64, y: f64, points: usize },
    #[error("the ring from [{x}, {y}] is not closed: its last position must equal its first")]
    OpenRing { x: f64, y: f64 },
    #[error(
        "its edge from [{}, {}] to [{}, {}] goes round more than half of the world: cut what crosses the antimeridian in two there, as a MultiPolygon (RFC 7946, 3.1.9); give an edge that is meant to be so long a position in its middle", .0[0], .0[1], .1[0], .1[1]
    )]
    LongEdge([f64; 2], [f64; 2]),
    #[error("its edges from [{}, {}] and from [{}, {}] cross: make the polygon valid", .0[0], .0[1], .1[0], .1[1])]
    CrossingEdges([f64; 2], [f64; 2]),
    #[error("its edges are too long and too many to be checked for crossings: simplify or split it")]
    Tangled,
}

/// A closed ring of the region with this number.
struct Ring {
    region: u32,
    points: Vec<Point>,
}

/// Regions and their rings, as in the file, validated.
///
/// Invariant: at least one region; every ring has four or more points, the last equal to the
/// first; no two edges of one region cross. They may touch and overlap, and so may regions.
pub struct Outlines {
    regions: Vec<Region>,
    rings: Vec<Ring>,
}

impl Outlines {
    /// See [`RegionSet::from_geojson`](super::RegionSet::from_geojson).
    pub fn from_geojson(text: &str, code_property: &str, name_property: &str) -> Result<Outlines, RegionSetError> {
        let features = features(text)?;
        let mut outlines = Outlines { regions: Vec::with_capacity(features.len()), rings: Vec::new() };
        let mut seen: FxHashMap<String, usize> = FxHashMap::default();
        for (at, feature) in features.iter().enumerate() {
            let code = code(feature, code_property);
            let named = FeatureName { at, code: code.as_deref() };
            let read = || {
                let code = code.clone().ok_or_else(|| Fault::Code { property: code_property.to_owned() })?;
                if let Some(&first) = seen.get(&code) {
                    return Err(Fault::DuplicateCode { first });
                }
                let name = name(feature, name_property)?;
                Ok((Region { code, name }, rings_of(at as u32, feature)?))
            };
            let (region, rings) =
                read().map_err(|fault| RegionSetError::Feature { feature: named.to_string(), fault })?;
            seen.insert(region.code.clone(), at);
            outlines.regions.push(region);
            outlines.rings.extend(rings);
        }
        Ok(outlines)
    }

    pub(super) fn into_regions(self) -> Vec<Region> {
        self.regions
    }

    /// All edges with their region's number, in the order of the set. A step of no length is no edge.
    pub(super) fn edges(&self) -> impl Iterator<Item = (u32, Edge)> {
        self.rings.iter().flat_map(|ring| edges(&ring.points).map(|edge| (ring.region, edge)))
    }

    /// Longitude and latitude of every vertex, region by region.
    pub fn vertices(&self) -> impl Iterator<Item = (f64, f64)> {
        self.rings.iter().flat_map(|ring| ring.points.iter().map(|p| (p.x, p.y)))
    }
}

/// How messages name a feature.
struct FeatureName<'a> {
    at: usize,
    code: Option<&'a str>,
}

impl fmt::Display for FeatureName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "features[{}]", self.at)?;
        self.code.map_or(Ok(()), |code| write!(f, " (code {code:?})"))
    }
}

fn features(text: &str) -> Result<Vec<Feature>, RegionSetError> {
    if text.len() > MAX_BYTES {
        return Err(RegionSetError::TooLarge { bytes: text.len() });
    }
    let parsed = text.trim_start_matches('\u{feff}').parse::<GeoJson>();
    match parsed.map_err(|error| RegionSetError::NotGeoJson(error.to_string()))? {
        GeoJson::FeatureCollection(collection) if collection.features.is_empty() => Err(RegionSetError::Empty),
        GeoJson::FeatureCollection(collection) => Ok(collection.features),
        GeoJson::Feature(_) => Err(RegionSetError::NotACollection("Feature")),
        GeoJson::Geometry(geometry) => Err(RegionSetError::NotACollection(geometry.value.type_name())),
    }
}

fn code(feature: &Feature, property: &str) -> Option<String> {
    let code = match feature.property(property)? {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) if !number.is_f64() => number.to_string(),
        _ => return None,
    };
    (!code.is_empty()).then_some(code)
}

fn name(feature: &Feature, property: &str) -> Result<String, Fault> {
    let name = feature.property(property).and_then(serde_json::Value::as_str);
    name.map(str::to_owned).ok_or_else(|| Fault::Name { property: property.to_owned() })
}

fn rings_of(region: u32, feature: &Feature) -> Result<Vec<Ring>, Fault> {
    let polygons = match feature.geometry.as_ref().map(|geometry| &geometry.value) {
        Some(GeometryValue::Polygon { coordinates }) => std::slice::from_ref(coordinates),
        Some(GeometryValue::MultiPolygon { coordinates }) => coordinates.as_slice(),
        Some(other) => return Err(Fault::Geometry { found: other.type_name() }),
        None => return Err(Fault::Geometry { found: "missing" }),
    };
    let rings: Vec<Ring> = polygons
        .iter()
        .flatten()
        .map(|ring| Ok(Ring { region, points: closed_ring(ring)? }))
        .collect::<Result<_, _>>()?;
    if rings.is_empty() {
        return Err(Fault::NoRing);
    }
    check_crossings(&rings)?;
    Ok(rings)
}

fn closed_ring(ring: &[Position]) -> Result<Vec<Point>, Fault> {
    let points: Vec<Point> = ring.iter().map(point).collect::<Result<_, _>>()?;
    match points.as_slice() {
        [] => Err(Fault::NoRing),
        [first, .., last] if first != last => Err(Fault::OpenRing { x: first.x, y: first.y }),
        [first, ..] if points.len() < 4 => Err(Fault::ShortRing { x: first.x, y: first.y, points: points.len() }),
        _ => match points.windows(2).find(|ends| is_wrapped(ends[0], ends[1])) {
            Some(ends) => Err(Fault::LongEdge([ends[0].x, ends[0].y], [ends[1].x, ends[1].y])),
            None => Ok(points),
        },
    }
}

/// An edge that was most likely meant to go the other way round the world: taken as it is written, it would make a
/// region of everything but itself. From one rim of the map to the other it is as long as it looks.
fn is_wrapped(p: Point, q: Point) -> bool {
    (p.x - q.x).abs() > 180.0 && (p.x.abs() < 180.0 || q.x.abs() < 180.0)
}

/// Heights, if any, are ignored.
fn point(position: &Position) -> Result<Point, Fault> {
    match *position.as_slice() {
        [x, y, ..] => Point::new(y, x).ok_or(Fault::Range { x, y }),
        ref short => Err(Fault::Position { numbers: short.len() }),
    }
}

fn edges(ring: &[Point]) -> impl Iterator<Item = Edge> {
    ring.windows(2).filter_map(|ends| Edge::new(ends[0], ends[1]))
}

fn check_crossings(rings: &[Ring]) -> Result<(), Fault> {
    let corner = |edge: &Edge| [edge.ends().0.x, edge.ends().0.y];
    match rings::crossing(rings.iter().flat_map(|ring| edges(&ring.points)).collect()) {
        Crossing::None => Ok(()),
        Crossing::Between(one, other) => Err(Fault::CrossingEdges(corner(&one), corner(&other))),
        Crossing::TooManyToTell => Err(Fault::Tangled),
    }
}
