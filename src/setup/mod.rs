//! From the configuration to a world that runs: regions and stations are read, decoders compiled,
//! views bound to their live generations.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::REGION;
use crate::config::{Config, InputFile, StoreConfig, StreamConfig, ViewConfig};
use crate::decode::{Decoder, Stations};
use crate::keys::{Field, Grouping};
use crate::locate::{Both, Outlines, RegionSet};
use crate::reading::TopicPartition;
use crate::run::Settings;
use crate::run::decoding::Places;
use crate::run::stream::StreamRun;
use crate::source::SourceError;
use crate::start::Feed;
use crate::store::{GenerationRecord, StoreError};
use crate::view::View;

pub mod connect;
pub mod generations;
pub mod history;
pub mod meaning;
mod replayed;

use meaning::Meaning;

/// Largest region set or station registry that is read, bytes.
pub const MAX_FILE: u64 = 256 << 20;

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("{what} {path:?}: {why}")]
    File { what: &'static str, path: String, why: String },
    #[error("stream {stream}: {why}")]
    Stream { stream: String, why: String },
    #[error("view {view}: {why}")]
    View { view: String, why: String },
    #[error(
        "view {view} would mean something else than what its rows hold: {differs}. Go back to the configuration that \
         computed them, or compute them again with `etiage replay --from earliest`"
    )]
    OtherMeaning { view: String, differs: String },
    #[error("there is nothing to run: no view that is there takes any of the streams")]
    NothingToRun,
    #[error(transparent)]
    Replay(#[from] crate::replay::plan::Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// A view, and the generation that it is folded in.
pub type InGeneration = (Arc<View>, Arc<GenerationRecord>);

/// Regions as they were read, with a digest of their text.
#[derive(Clone)]
pub struct Regions {
    pub places: Places,
    pub digest: String,
    /// In the order of the set.
    codes: Arc<[Arc<str>]>,
    names: BTreeMap<Arc<str>, Arc<str>>,
}

/// A stream's decoder and registry.
pub struct Input {
    pub decoder: Decoder,
    pub file_decoders: BTreeMap<TopicPartition, Decoder>,
    pub stations_digest: Option<String>,
}

/// Everything that the configuration names, read and compiled; nothing of it has touched a server.
pub struct Compiled {
    pub inputs: BTreeMap<String, Input>,
    /// Distinct region sets.
    pub regions: Vec<Regions>,
    /// Which of them a view uses, if it groups by regions.
    region_of_view: BTreeMap<String, usize>,
    /// Of each view.
    pub meanings: BTreeMap<String, Meaning>,
}

impl Compiled {
    pub fn new(config: &Config) -> Result<Compiled, SetupError> {
        let mut compiled = Compiled {
            inputs: BTreeMap::new(),
            regions: Vec::new(),
            region_of_view: BTreeMap::new(),
            meanings: BTreeMap::new(),
        };
        compiled.inputs = inputs(config)?;
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for (name, view) in config.views.iter().filter(|(_, view)| view.by_region()) {
            let same = format!("{:?}", (&view.regions, &view.region_code, &view.region_name, view.nearest_within_m));
            let number = match known.get(&same) {
                Some(number) => *number,
                None => {
                    compiled.regions.push(regions(view)?);
                    known.insert(same, compiled.regions.len() - 1);
                    compiled.regions.len() - 1
                }
            };
            compiled.region_of_view.insert(name.clone(), number);
        }
        compiled.meanings =
            config.views.keys().map(|name| (name.clone(), meaning::of(name, config, &compiled))).collect();
        Ok(compiled)
    }

    /// The same views over the streams of another configuration: their regions are not read again.
    pub fn with_streams_of(&self, config: &Config) -> Result<Compiled, SetupError> {
        Ok(Compiled {
            inputs: inputs(config)?,
            regions: self.regions.clone(),
            region_of_view: self.region_of_view.clone(),
            meanings: self.meanings.clone(),
        })
    }

    /// The regions of a view that groups by them.
    pub fn regions_of(&self, view: &str) -> Option<&Regions> {
        self.region_of_view.get(view).map(|number| &self.regions[*number])
    }

    /// The view of a live generation.
    pub fn view(&self, name: &str, config: &Config, generation: &GenerationRecord) -> Result<Arc<View>, SetupError> {
        let view = &config.views[name];
        Ok(Arc::new(View {
            name: Arc::from(name),
            generation: generation.generation,
            epoch_us: generation.epoch_us,
            metrics: metrics_of(name, config),
            any_metric: takes_any_metric(name, config),
            unit_exponent: unit_of(name, config)?,
            widths: view.widths(),
            zone: view.zone,
            allowed_lateness_ms: view.allowed_lateness_ms,
            group_by: view.group_by.iter().map(|field| Arc::from(field.as_str())).collect(),
            regions: self.regions_of(name).map(|regions| regions.names.clone()).unwrap_or_default(),
            before_ms: view.before_ms,
            horizon_ms: generation.horizon_ms(),
            partial_until_ms: generation.partial_until_ms(),
            flush_ms: view.flush_ms,
        }))
    }

    /// The streams as the loop runs them, each with the views that it feeds; without those that
    /// feed none.
    pub fn streams(
        &self,
        config: &Config,
        views: &[InGeneration],
    ) -> Result<BTreeMap<Arc<str>, Arc<StreamRun>>, SetupError> {
        let mut streams = BTreeMap::new();
        for (name, input) in &self.inputs {
            let feeding = views.iter().filter(|(view, _)| config.views[&*view.name].takes(name));
            let feeding: Vec<&InGeneration> = feeding.collect();
            if feeding.is_empty() {
                tracing::warn!(stream = name, "no view that runs takes this stream: it is not read");
                continue;
            }
            let run = self.stream(name, input, &config.streams[name], &feeding);
            streams.insert(run.name.clone(), Arc::new(run));
        }
        if streams.is_empty() { Err(SetupError::NothingToRun) } else { Ok(streams) }
    }

    fn stream(&self, name: &str, input: &Input, stream: &StreamConfig, feeding: &[&InGeneration]) -> StreamRun {
        // Only the region sets that its own views use.
        let sets: std::collections::BTreeSet<usize> =
            feeding.iter().filter_map(|(view, _)| self.region_of_view.get(&*view.name).copied()).collect();
        let sets: Vec<usize> = sets.into_iter().collect();
        let grouping = |view: &View| {
            let set = self.region_of_view.get(&*view.name);
            let set = set.and_then(|number| sets.iter().position(|known| known == number));
            self.grouping(view, set, &input.decoder, stream.tenant.is_some())
        };
        StreamRun {
            name: Arc::from(name),
            topics: topics(stream),
            decoder: input.decoder.clone(),
            file_decoders: input.file_decoders.clone(),
            places: sets.iter().map(|number| self.regions[*number].places.clone()).collect(),
            groupings: feeding.iter().map(|(view, _)| grouping(view)).collect(),
            feeds: feeding.iter().map(|(view, generation)| feed(view, generation, &input.decoder)).collect(),
            out_of_orderness_ms: stream.out_of_orderness_ms,
            idle_after_ms: stream.idle_after_ms.unsigned_abs(),
        }
    }

    fn grouping(&self, view: &View, set: Option<usize>, decoder: &Decoder, tenants: bool) -> Grouping {
        let field = |name: &Arc<str>| match (set, self.regions_of(&view.name)) {
            (Some(set), Some(regions)) if **name == *REGION => Field::Region { set, codes: regions.codes.clone() },
            _ => Field::Label(decoder.label_names().iter().position(|label| label == name)),
        };
        Grouping::new(view.group_by.iter().map(field).collect(), tenants)
    }
}

fn feed(view: &Arc<View>, generation: &Arc<GenerationRecord>, decoder: &Decoder) -> Feed {
    let names = decoder.metric_names();
    let column = |(at, metric): (usize, &Arc<str>)| Some((at, names.iter().position(|name| name == metric)?));
    let columns = view.metrics.iter().enumerate().filter_map(column).collect();
    Feed { view: view.clone(), columns, generation: generation.clone() }
}

fn topics(stream: &StreamConfig) -> Vec<Arc<str>> {
    let files = stream.files.iter().map(|file| Arc::from(file.name.as_str()));
    stream.topics.iter().map(|topic| Arc::from(topic.as_str())).chain(files).collect()
}

/// Names of the metrics that a view takes, as far as the configuration says them; sorted.
pub fn metrics_of(view: &str, config: &Config) -> Vec<Arc<str>> {
    let settings = &config.views[view];
    let streams = config.feeding(settings);
    let all: std::collections::BTreeSet<&String> = match settings.metrics.is_empty() {
        true => streams.flat_map(|(_, stream)| stream.metrics.keys()).collect(),
        false => settings.metrics.iter().collect(),
    };
    all.into_iter().map(|name| Arc::from(name.as_str())).collect()
}

/// Whether a view takes every other metric, too, that its streams find in the readings.
pub fn takes_any_metric(view: &str, config: &Config) -> bool {
    let settings = &config.views[view];
    settings.metrics.is_empty() && config.feeding(settings).any(|(_, stream)| stream.every_numeric)
}

/// The unit of a view's values, as a power of ten.
pub fn unit_of(view: &str, config: &Config) -> Result<i32, SetupError> {
    let streams = config.feeding(&config.views[view]);
    let units: std::collections::BTreeSet<i32> = streams.map(|(_, stream)| stream.unit_exponent).collect();
    match units.first() {
        Some(unit) if units.len() == 1 => Ok(*unit),
        _ => Err(SetupError::View {
            view: view.to_owned(),
            why: "its streams count in different units: give them the same `unit`".to_owned(),
        }),
    }
}

fn inputs(config: &Config) -> Result<BTreeMap<String, Input>, SetupError> {
    config.streams.iter().map(|(name, stream)| Ok((name.clone(), input(name, stream)?))).collect()
}

fn input(name: &str, stream: &StreamConfig) -> Result<Input, SetupError> {
    let failed = |why: String| SetupError::Stream { stream: name.to_owned(), why };
    let (mut stations, mut stations_digest) = (Stations::default(), None);
    if let Some(registry) = &stream.stations {
        let text = read("station registry", &registry.file)?;
        stations_digest = Some(meaning::digest(text.as_bytes()));
        stations = Stations::from_csv(&text, registry)
            .map_err(|error| failed(format!("station registry {}: {error}", registry.file.display())))?;
    }
    let decoder = Decoder::new(stream, stations).map_err(|error| failed(error.to_string()))?;
    let mut file_decoders = BTreeMap::new();
    for InputFile { name, path: file } in stream.files.iter().filter(|_| stream.format == crate::config::Format::Csv) {
        let header =
            crate::source::files::csv_header(file).map_err(|error| failed(format!("{}: {error}", file.display())))?;
        let decoder =
            decoder.with_csv_header(&header).map_err(|error| failed(format!("{}: {error}", file.display())))?;
        let topic = Arc::from(name.as_str());
        file_decoders.insert(TopicPartition { topic, partition: 0 }, decoder);
    }
    Ok(Input { decoder, file_decoders, stations_digest })
}

/// Two things at once: the second in a thread of its own.
pub struct AtOnce;

impl Both for AtOnce {
    fn both<A: Send, B: Send>(self, one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
        std::thread::scope(|scope| {
            let other = scope.spawn(other);
            let one = one();
            // What has gone wrong there goes on here.
            (one, other.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)))
        })
    }
}

fn regions(view: &ViewConfig) -> Result<Regions, SetupError> {
    let set = match RegionSet::shipped(&view.regions) {
        Some(text) => (text.to_owned(), view.regions.clone()),
        None => (read("region set", Path::new(&view.regions))?, view.regions.clone()),
    };
    let (text, path) = set;
    let outlines = Outlines::from_geojson(&text, &view.region_code, &view.region_name)
        .map_err(|error| SetupError::File { what: "region set", path, why: error.to_string() })?;
    let set = RegionSet::build(outlines, AtOnce);
    // As they stand in keys.
    let code = |region: &crate::locate::Region| Arc::<str>::from(&*crate::keys::escape(region.code()));
    let named = |region: &crate::locate::Region| (code(region), region.name().into());
    Ok(Regions {
        codes: set.regions().iter().map(|region| Arc::from(region.code())).collect(),
        names: set.regions().iter().map(named).collect(),
        places: Places { set: Arc::new(set), nearest_within_m: view.nearest_within_m },
        digest: meaning::digest(text.as_bytes()),
    })
}

fn read(what: &'static str, path: &Path) -> Result<String, SetupError> {
    let text = crate::limited::read_text(path, MAX_FILE);
    text.map_err(|error| SetupError::File { what, path: path.display().to_string(), why: error.to_string() })
}

/// The loop's settings.
pub fn settings(config: &Config, until_end: bool) -> Settings {
    let engine = &config.engine;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Settings {
        commit_lag_ms: match &config.store {
            StoreConfig::Cassandra(cassandra) => cassandra.commit_lag_ms,
            StoreConfig::Sqlite { .. } => 0,
        },
        commit_every_ms: engine.commit_every_ms,
        parts_bytes: engine.parts_bytes,
        stop_deadline_ms: engine.stop_deadline_ms,
        decode_threads: if engine.decode_threads == 0 { processors } else { engine.decode_threads },
        payload: config.rejects.payload,
        until_end,
        replaying: false,
        pace: Default::default(),
    }
}
