//! Position → region: nanoseconds a position over the shipped sets and over one of the size of the communes, beside the
//! exact index, the slow twin and the interval tree of the geo crate; time to build; memory.

use etiage::locate::{Outlines, RegionIdx, RegionSet, SHIPPED_PROPERTIES};
use etiage::setup::AtOnce;
use geo::indexed::IntervalTreeMultiPolygon;
use geo::{BoundingRect, Contains, MultiPolygon, Point};
use geojson::{Feature, FeatureCollection};
use rstar::RTree;
use rstar::primitives::{GeomWithData, Rectangle};

use crate::communes;
use crate::measure::{Random, best, each};

/// Positions of one workload.
type Column = (Vec<f64>, Vec<f64>);

const POSITIONS: usize = 1 << 18;

pub fn run() {
    ["regions", "departements"]
        .into_iter()
        .for_each(|name| bench_set(name, RegionSet::shipped(name).expect("a shipped set")));
    bench_set("communes-sized", &communes::geojson());
}

fn bench_set(name: &str, text: &str) {
    let (code, label) = SHIPPED_PROPERTIES;
    let outlines = || Outlines::from_geojson(text, code, label).expect("a shipped set is valid");
    let parse = best(|| (), |()| outlines());
    let build = best(|| (), |()| RegionSet::from(outlines()));
    let at_once = best(|| (), |()| RegionSet::build(outlines(), AtOnce));
    let (outlines, set) = (outlines(), RegionSet::from_geojson(text, code, label).expect("a shipped set is valid"));
    let memory = set.memory_bytes() as f64 / f64::from(1 << 20);
    let (regions, vertices) = (set.regions().len(), outlines.vertices().count());
    println!(
        "locate/{name}, {regions} regions of {vertices} vertices: parse and validate {parse:.1?}, with the tables {build:.1?}, with two threads {at_once:.1?}, {memory:.1} MiB"
    );
    let peer = Peer::new(text);
    for (kind, column) in workloads(&outlines) {
        bench_workload(name, kind, &column, &set, &outlines);
        bench_peer(name, kind, &column, &set, &peer);
    }
}

/// What the geo crate and rstar offer, as one would use them: a tree of the regions' boxes, an interval tree of each region's edges.
struct Peer {
    boxes: RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>,
    regions: Vec<IntervalTreeMultiPolygon<f64>>,
}

impl Peer {
    fn new(text: &str) -> Peer {
        let collection = text.parse::<FeatureCollection>().expect("a valid set");
        let shapes: Vec<MultiPolygon> = collection.features.into_iter().map(shape).collect();
        let around = |(number, shape): (usize, &MultiPolygon)| {
            let rect = shape.bounding_rect().expect("not empty");
            GeomWithData::new(Rectangle::from_corners(rect.min().into(), rect.max().into()), number)
        };
        Peer {
            boxes: RTree::bulk_load(shapes.iter().enumerate().map(around).collect()),
            regions: shapes.iter().map(IntervalTreeMultiPolygon::new).collect(),
        }
    }

    fn locate(&self, lat: f64, lon: f64) -> Option<usize> {
        let point = Point::new(lon, lat);
        let around = self.boxes.locate_all_at_point([lon, lat]).map(|found| found.data);
        around.filter(|number| self.regions[*number].contains(&point)).min()
    }
}

fn shape(feature: Feature) -> MultiPolygon {
    match geo::Geometry::<f64>::try_from(feature).expect("a geometry") {
        geo::Geometry::MultiPolygon(shape) => shape,
        geo::Geometry::Polygon(shape) => shape.into(),
        other => panic!("regions are polygons: {other:?}"),
    }
}

/// It may differ on borders alone, where none of these positions lie.
fn bench_peer(name: &str, kind: &str, (lat, lon): &Column, set: &RegionSet, peer: &Peer) {
    let count = 1 << 10;
    for i in 0..count {
        let ours = set.locate(lat[i], lon[i]).map(RegionIdx::index);
        assert_eq!(ours, peer.locate(lat[i], lon[i]), "{}, {}", lat[i], lon[i]);
    }
    let time = best(|| (), |()| (0..count).filter_map(|i| peer.locate(lat[i], lon[i])).count());
    println!("locate/{name}, {kind}: geo's interval trees behind an rstar of boxes {:.0} ns", each(time, count));
}

/// A mile around places where people live is not this dense in borders, and no sea this empty: the
/// first is what readings look like, the others are the ends of the scale.
fn workloads(outlines: &Outlines) -> [(&'static str, Column); 3] {
    let vertices: Vec<(f64, f64)> = outlines.vertices().collect();
    let mut random = Random(1);
    let mainland = (0..POSITIONS).map(|_| (random.between(42.3, 51.1), random.between(-4.8, 8.2))).unzip();
    let world = (0..POSITIONS).map(|_| (random.between(-21.5, 51.2), random.between(-62.0, 56.0))).unzip();
    let borders = (0..POSITIONS)
        .map(|_| {
            let (lon, lat) = vertices[random.next() as usize % vertices.len()];
            (lat + random.between(-1e-3, 1e-3), lon + random.between(-1e-3, 1e-3))
        })
        .unzip();
    [("box of the mainland", mainland), ("box of all", world), ("within 1e-3° of a vertex", borders)]
}

fn bench_workload(name: &str, kind: &str, (lat, lon): &Column, set: &RegionSet, outlines: &Outlines) {
    for i in (0..POSITIONS).step_by(POSITIONS / 512) {
        let answer = set.locate(lat[i], lon[i]);
        assert_eq!(answer, outlines.locate(lat[i], lon[i]), "{}, {}", lat[i], lon[i]);
        assert_eq!(answer, set.locate_by_index(lat[i], lon[i]), "{}, {}", lat[i], lon[i]);
    }
    let mut out: Vec<Option<RegionIdx>> = Vec::with_capacity(POSITIONS);
    let column = best(|| (), |()| set.locate_column(lat, lon, &mut out));
    let one_by_one = |count: usize, locate: &dyn Fn(f64, f64) -> Option<RegionIdx>| {
        let time = best(|| (), |()| (0..count).filter_map(|i| locate(lat[i], lon[i])).count());
        each(time, count)
    };
    println!(
        "locate/{name}, {kind}: {:.1} ns a position, index {:.0} ns, slow twin {:.0} ns; {:.0} % inside",
        each(column, POSITIONS),
        one_by_one(1 << 12, &|lat, lon| set.locate_by_index(lat, lon)),
        one_by_one(64, &|lat, lon| outlines.locate(lat, lon)),
        100.0 * out.iter().flatten().count() as f64 / POSITIONS as f64,
    );
}
