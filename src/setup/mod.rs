//! From the configuration to a world that runs: regions and stations are read, decoders compiled,
//! views bound to their live generations.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, StoreConfig, StreamConfig, ViewConfig};
use crate::decode::{Decoder, Stations};
use crate::locate::RegionSet;
use crate::reading::TopicPartition;
use crate::run::Settings;
use crate::run::decoding::Places;
use crate::run::stream::StreamRun;
use crate::source::SourceError;
use crate::start::Feed;
use crate::store::{GenerationRecord, StoreError};
use crate::view::{Key, View};

pub mod connect;
pub mod generations;
pub mod meaning;

/// Largest region set or station registry that is read, bytes.
const MAX_FILE: u64 = 256 << 20;

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
    #[error("there is nothing to run: no view takes any of the streams")]
    NothingToRun,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Regions as they were read, with a digest of their text.
pub struct Regions {
    pub places: Places,
    pub digest: String,
    keys: Arc<[Key]>,
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
    /// Distinct region sets, in the order of the located columns.
    pub regions: Vec<Regions>,
    /// Which of them a view uses.
    region_of_view: BTreeMap<String, usize>,
}

impl Compiled {
    pub fn new(config: &Config) -> Result<Compiled, SetupError> {
        let mut compiled = Compiled { inputs: BTreeMap::new(), regions: Vec::new(), region_of_view: BTreeMap::new() };
        for (name, stream) in &config.streams {
            compiled.inputs.insert(name.clone(), input(name, stream)?);
        }
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for (name, view) in &config.views {
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
        Ok(compiled)
    }

    /// Which of the region sets a view uses.
    pub fn region_set_of(&self, view: &str) -> Option<usize> {
        self.region_of_view.get(view).copied()
    }

    /// The view of a live generation.
    pub fn view(&self, name: &str, config: &Config, generation: &GenerationRecord) -> Result<Arc<View>, SetupError> {
        let view = &config.views[name];
        let region_set = self.region_of_view[name];
        Ok(Arc::new(View {
            name: Arc::from(name),
            generation: generation.generation,
            epoch_us: generation.epoch_us,
            metrics: metrics_of(name, config),
            unit_exponent: unit_of(name, config)?,
            widths: vec![view.window],
            allowed_lateness_ms: view.allowed_lateness_ms,
            region_set,
            keys: self.regions[region_set].keys.clone(),
            flush_ms: view.flush_ms,
        }))
    }

    /// The streams as the loop runs them, each with the views that it feeds; without those that
    /// feed none.
    pub fn streams(
        self,
        config: &Config,
        views: &[(Arc<View>, Arc<GenerationRecord>)],
    ) -> Result<BTreeMap<Arc<str>, Arc<StreamRun>>, SetupError> {
        let places = Arc::new(self.regions.into_iter().map(|regions| regions.places).collect::<Vec<_>>());
        let mut streams = BTreeMap::new();
        for (name, input) in self.inputs {
            let stream = &config.streams[&name];
            let feeding = views.iter().filter(|(view, _)| feeds(&config.views[&*view.name], &name));
            let feeds: Vec<Feed> = feeding.map(|(view, generation)| feed(view, generation, &input.decoder)).collect();
            if feeds.is_empty() {
                tracing::warn!(stream = name, "no view that runs takes this stream: it is not read");
                continue;
            }
            let name: Arc<str> = Arc::from(name);
            let run = StreamRun {
                name: name.clone(),
                topics: topics(stream),
                decoder: input.decoder,
                file_decoders: input.file_decoders,
                places: places.clone(),
                feeds,
                out_of_orderness_ms: stream.out_of_orderness_ms,
                idle_after_ms: stream.idle_after_ms.unsigned_abs(),
            };
            streams.insert(name, Arc::new(run));
        }
        if streams.is_empty() { Err(SetupError::NothingToRun) } else { Ok(streams) }
    }
}

/// Whether a view takes a stream's readings.
pub fn feeds(view: &ViewConfig, stream: &str) -> bool {
    view.streams.is_empty() || view.streams.iter().any(|name| name == stream)
}

fn feed(view: &Arc<View>, generation: &Arc<GenerationRecord>, decoder: &Decoder) -> Feed {
    let names = decoder.metric_names();
    let column = |(at, metric): (usize, &Arc<str>)| Some((at, names.iter().position(|name| name == metric)?));
    let columns = view.metrics.iter().enumerate().filter_map(column).collect();
    Feed { view: view.clone(), columns, generation: generation.clone() }
}

fn topics(stream: &StreamConfig) -> Vec<Arc<str>> {
    let files = stream.files.iter().map(|file| Arc::from(file.to_string_lossy()));
    stream.topics.iter().map(|topic| Arc::from(topic.as_str())).chain(files).collect()
}

/// Names of a view's metrics, sorted.
pub fn metrics_of(view: &str, config: &Config) -> Vec<Arc<str>> {
    let settings = &config.views[view];
    let streams = config.streams.iter().filter(|(name, _)| feeds(settings, name));
    let all: std::collections::BTreeSet<&str> =
        streams.flat_map(|(_, stream)| stream.metrics.keys().map(String::as_str)).collect();
    let wanted = |name: &&str| settings.metrics.is_empty() || settings.metrics.iter().any(|metric| metric == name);
    all.into_iter().filter(wanted).map(Arc::from).collect()
}

fn unit_of(view: &str, config: &Config) -> Result<i32, SetupError> {
    let streams = config.streams.iter().filter(|(name, _)| feeds(&config.views[view], name));
    let units: std::collections::BTreeSet<i32> = streams.map(|(_, stream)| stream.unit_exponent).collect();
    match units.first() {
        Some(unit) if units.len() == 1 => Ok(*unit),
        _ => Err(SetupError::View {
            view: view.to_owned(),
            why: "its streams count in different units: give them the same `unit`".to_owned(),
        }),
    }
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
    for file in stream.files.iter().filter(|_| stream.format == crate::config::Format::Csv) {
        let header =
            crate::source::files::csv_header(file).map_err(|error| failed(format!("{}: {error}", file.display())))?;
        let decoder =
            decoder.with_csv_header(&header).map_err(|error| failed(format!("{}: {error}", file.display())))?;
        let topic = Arc::from(file.to_string_lossy());
        file_decoders.insert(TopicPartition { topic, partition: 0 }, decoder);
    }
    Ok(Input { decoder, file_decoders, stations_digest })
}

fn regions(view: &ViewConfig) -> Result<Regions, SetupError> {
    let set = match RegionSet::shipped(&view.regions) {
        Some(text) => (text.to_owned(), view.regions.clone()),
        None => (read("region set", Path::new(&view.regions))?, view.regions.clone()),
    };
    let (text, path) = set;
    let set = RegionSet::from_geojson(&text, &view.region_code, &view.region_name)
        .map_err(|error| SetupError::File { what: "region set", path, why: error.to_string() })?;
    let key = |region: &crate::locate::Region| Key { code: region.code().into(), label: region.name().into() };
    let keys = set.regions().iter().map(key).collect();
    let places = Places { set: Arc::new(set), nearest_within_m: view.nearest_within_m };
    Ok(Regions { places, digest: meaning::digest(text.as_bytes()), keys })
}

fn read(what: &'static str, path: &Path) -> Result<String, SetupError> {
    let failed = |why: String| SetupError::File { what, path: path.display().to_string(), why };
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > MAX_FILE {
        return Err(failed(format!("{length} bytes are more than the {MAX_FILE} that are read")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))
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
    }
}
