//! From bytes to folded windows on one core, and what each step of it takes: decode, locate with keys, judge and fold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etiage::commit::Tally;
use etiage::config::TenantConfig;
use etiage::decode::{Decoder, Stations};
use etiage::keys::{Field, Grouping, Keyed};
use etiage::locate::{RegionSet, SHIPPED_PROPERTIES};
use etiage::partition::{FoldStart, Partition};
use etiage::reading::{Offset, RawBatch, SourceId, TopicId};
use etiage::run::decoding::{Places, key};
use etiage::view::View;

use crate::measure::each;
use crate::readings::{Reading, Shape, batch, readings, stream};

const READINGS: usize = 200_000;
/// Readings of a batch, about what the engine takes at once.
const BATCH: usize = 4_000;
const ROUNDS: usize = 9;

pub fn run() {
    let readings = readings(Shape::Long, READINGS);
    bench("18 regions", &readings, None);
    bench("200 tenants x 18 regions", &readings, Some(TenantConfig::Key));
}

fn bench(name: &str, readings: &[Reading], tenant: Option<TenantConfig>) {
    let walk = Walk::new(tenant);
    let batches: Vec<RawBatch> = readings.chunks(BATCH).enumerate().map(raw).collect();
    let best = (0..ROUNDS).map(|_| walk.time(&batches)).min_by_key(|steps| steps.iter().sum::<Duration>());
    let [decode, locate, fold] = best.unwrap_or_default().map(|step| each(step, READINGS));
    let whole = decode + locate + fold;
    println!(
        "whole, {name}: {whole:.1} ns a reading ({:.1} M/s on one core): decode {decode:.1}, locate and keys {locate:.1}, \
         judge and fold {fold:.1}",
        1e3 / whole
    );
}

fn raw((number, readings): (usize, &[Reading])) -> RawBatch {
    let mut raw = batch(readings, 1);
    for (at, record) in raw.records.iter_mut().enumerate() {
        record.offset = Offset((number * BATCH + at) as i64);
    }
    raw
}

struct Walk {
    decoder: Decoder,
    places: Vec<Places>,
    groupings: Vec<Grouping>,
    view: Arc<View>,
}

impl Walk {
    fn new(tenant: Option<TenantConfig>) -> Walk {
        let (code, name) = SHIPPED_PROPERTIES;
        let text = RegionSet::shipped("regions").expect("a shipped set");
        let set = Arc::new(RegionSet::from_geojson(text, code, name).expect("a shipped set is valid"));
        let codes = set.regions().iter().map(|region| region.code().into()).collect();
        let grouping = Grouping::new(vec![Field::Region { set: 0, codes }], tenant.is_some());
        let decoder = Decoder::new(&etiage::config::StreamConfig { tenant, ..stream() }, Stations::default());
        let view = View {
            name: "region".into(),
            generation: 1,
            epoch_us: 1_700_000_000_000_000,
            metrics: vec!["temperature".into()],
            any_metric: false,
            unit_exponent: -9,
            widths: vec!["1h".parse().expect("a width")],
            zone: stream().zone,
            allowed_lateness_ms: Some(21_600_000),
            group_by: vec!["region".into()],
            regions: BTreeMap::new(),
            before_ms: None,
            horizon_ms: None,
            partial_until_ms: None,
            flush_ms: 1000,
        };
        Walk {
            decoder: decoder.expect("a valid stream"),
            places: vec![Places { set, nearest_within_m: None }],
            groupings: vec![grouping],
            view: Arc::new(view),
        }
    }

    /// A partition from its beginning; how long each step took for all batches.
    fn time(&self, batches: &[RawBatch]) -> [Duration; 3] {
        let start = FoldStart {
            view: self.view.clone(),
            columns: vec![(0, 0)],
            position: Offset(0),
            max_ms: None,
            tallies: vec![Tally::new(1)],
        };
        let source = SourceId { topic: TopicId([1; 16]), partition: 0 };
        let mut partition = Partition::new(source, 120_000, 0, vec![start], None);
        let mut steps = [Duration::ZERO; 3];
        for raw in batches {
            let raw = raw.clone();
            let begun = Instant::now();
            let decoded = self.decoder.decode(raw);
            let at_decoded = Instant::now();
            let keyed = key(&self.places, &self.groupings, decoded);
            let at_keyed = Instant::now();
            fold(&mut partition, &keyed);
            steps[0] += at_decoded - begun;
            steps[1] += at_keyed - at_decoded;
            steps[2] += at_keyed.elapsed();
        }
        let commit = partition.snapshot();
        let (_, tally) = &commit.views[0].tallies[0];
        assert_eq!((tally.seen, tally.rejected, tally.late), (READINGS as u64, 0, 0));
        assert!(tally.folded > READINGS as u64 / 3 && tally.folded + tally.outside == READINGS as u64);
        steps
    }
}

fn fold(partition: &mut Partition, keyed: &Keyed) {
    let judged = partition.judge(keyed);
    for wanted in &judged.wanted {
        partition.install(wanted, None).expect("nothing was read back");
    }
    partition.fold(keyed, judged, 0);
}
