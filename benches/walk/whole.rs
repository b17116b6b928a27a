//! From bytes to folded windows on one core, and what each step of it takes: decode, locate with keys, judge and fold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etiage::commit::Tally;
use etiage::config::{StreamConfig, TenantConfig};
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
    let readings = readings(Shape::Long, READINGS, 20_000);
    bench("18 regions", &Walk::new(Grouped::Region(None)), &readings);
    bench("200 tenants x 18 regions", &Walk::new(Grouped::Region(Some(TenantConfig::Key))), &readings);
}

fn bench(name: &str, walk: &Walk, readings: &[Reading]) {
    let batches = batches(readings);
    let best = (0..ROUNDS).map(|_| walk.time(&batches)).min_by_key(|steps| steps.iter().sum::<Duration>());
    let [decode, locate, fold] = best.unwrap_or_default().map(|step| each(step, READINGS));
    let whole = decode + locate + fold;
    println!(
        "whole, {name}: {whole:.1} ns a reading ({:.1} M/s on one core): decode {decode:.1}, locate and keys {locate:.1}, \
         judge and fold {fold:.1}",
        1e3 / whole
    );
}

/// A log of these readings, one a record.
pub fn batches(readings: &[Reading]) -> Vec<RawBatch> {
    let raw = |(number, readings): (usize, &[Reading])| {
        let mut raw = batch(readings, 1);
        for (at, record) in raw.records.iter_mut().enumerate() {
            record.offset = Offset((number * BATCH + at) as i64);
        }
        raw
    };
    readings.chunks(BATCH).enumerate().map(raw).collect()
}

/// What the view groups by.
pub enum Grouped {
    Region(Option<TenantConfig>),
    Sensor,
}

pub struct Walk {
    decoder: Decoder,
    places: Vec<Places>,
    groupings: Vec<Grouping>,
    view: Arc<View>,
}

impl Walk {
    pub fn new(grouped: Grouped) -> Walk {
        let (code, name) = SHIPPED_PROPERTIES;
        let text = RegionSet::shipped("regions").expect("a shipped set");
        let set = Arc::new(RegionSet::from_geojson(text, code, name).expect("a shipped set is valid"));
        let codes = set.regions().iter().map(|region| region.code().into()).collect();
        let (field, group_by, stream) = match grouped {
            Grouped::Region(tenant) => (Field::Region { set: 0, codes }, "region", StreamConfig { tenant, ..stream() }),
            Grouped::Sensor => {
                let labels = BTreeMap::from([("sensor".to_owned(), "id".to_owned())]);
                (Field::Label(Some(0)), "sensor", StreamConfig { labels, ..stream() })
            }
        };
        let view = View {
            name: group_by.into(),
            generation: 1,
            epoch_us: 1_700_000_000_000_000,
            metrics: vec!["temperature".into()],
            any_metric: false,
            unit_exponent: -9,
            widths: vec!["1h".parse().expect("a width")],
            zone: stream.zone,
            allowed_lateness_ms: Some(21_600_000),
            group_by: vec![group_by.into()],
            regions: BTreeMap::new(),
            before_ms: None,
            horizon_ms: None,
            partial_until_ms: None,
            flush_ms: 1000,
        };
        Walk {
            groupings: vec![Grouping::new(vec![field], stream.tenant.is_some())],
            decoder: Decoder::new(&stream, Stations::default()).expect("a valid stream"),
            places: vec![Places { set, nearest_within_m: None }],
            view: Arc::new(view),
        }
    }

    pub fn keyed(&self, raw: RawBatch) -> Keyed {
        key(&self.places, &self.groupings, self.decoder.decode(raw))
    }

    /// At its beginning.
    pub fn partition(&self) -> Partition {
        let start = FoldStart {
            view: self.view.clone(),
            columns: vec![(0, 0)],
            position: Offset(0),
            max_ms: None,
            tallies: vec![Tally::new(1)],
        };
        let source = SourceId { topic: TopicId([1; 16]), partition: 0 };
        Partition::new(source, 120_000, 0, vec![start], None)
    }

    /// A partition from its beginning; how long each step took for all batches.
    fn time(&self, batches: &[RawBatch]) -> [Duration; 3] {
        let mut partition = self.partition();
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

pub fn fold(partition: &mut Partition, keyed: &Keyed) {
    let judged = partition.judge(keyed);
    for wanted in &judged.wanted {
        partition.install(wanted, None).expect("nothing was read back");
    }
    partition.fold(keyed, judged, 0);
}
