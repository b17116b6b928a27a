//! Position → region: nanoseconds a position over the shipped sets, beside the exact index and the
//! slow twin; time to build; memory.

use std::hint::black_box;
use std::time::{Duration, Instant};

use etiage::locate::{Outlines, RegionIdx, RegionSet, SHIPPED_PROPERTIES};

/// Positions of one workload.
type Column = (Vec<f64>, Vec<f64>);

const POSITIONS: usize = 1 << 18;
const ROUNDS: usize = 15;

pub fn run() {
    ["regions", "departements"].into_iter().for_each(bench_set);
}

fn bench_set(name: &str) {
    let text = RegionSet::shipped(name).expect("a shipped set");
    let (code, label) = SHIPPED_PROPERTIES;
    let outlines = || Outlines::from_geojson(text, code, label).expect("a shipped set is valid");
    let parse = best(outlines);
    let build = best(|| RegionSet::from(outlines()));
    let (outlines, set) = (outlines(), RegionSet::from_geojson(text, code, label).expect("a shipped set is valid"));
    let memory = set.memory_bytes() as f64 / f64::from(1 << 20);
    println!("locate/{name}: parse and validate {parse:.0?}, with the tables {build:.0?}, {memory:.1} MiB");
    for (kind, column) in workloads(&outlines) {
        bench_workload(name, kind, &column, &set, &outlines);
    }
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
    let column = best(|| set.locate_column(lat, lon, &mut out));
    let one_by_one = |count: usize, locate: &dyn Fn(f64, f64) -> Option<RegionIdx>| {
        let time = best(|| (0..count).filter_map(|i| locate(lat[i], lon[i])).count());
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

fn each(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count as f64
}

fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        black_box(work());
        start.elapsed()
    };
    (0..ROUNDS).map(timed).min().unwrap_or_default()
}

/// SplitMix64: the same positions on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
