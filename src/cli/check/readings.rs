//! The first readings of each stream, decoded and located as a run would.

use std::collections::BTreeMap;

use etiage::check::readings::{Names, Outcome, Place, Reading, first};
use etiage::config::{Config, Format, InputFile, StreamConfig, TenantConfig};
use etiage::locate::RegionSet;
use etiage::reading::{Batch, RawBatch, TopicPartition};
use etiage::run::decoding::locate;
use etiage::setup::{Compiled, Regions};
use etiage::source::files::first_records;
use etiage::source::kafka::inspect::Inspector;

use super::Report;

type Records = BTreeMap<TopicPartition, RawBatch>;

pub async fn look(
    config: &Config,
    compiled: &Compiled,
    inspector: Option<&Inspector>,
    count: usize,
    report: &mut Report,
) {
    if count == 0 {
        return;
    }
    for (name, stream) in &config.streams {
        let records = match inspector {
            Some(inspector) => of_topics(stream, inspector, count).await,
            None => Ok(Some(of_files(stream, count))),
        };
        match records {
            Ok(None) => {}
            Ok(Some(records)) => {
                let readings = shown(config, compiled, name, records, count);
                tell(name, &readings, report);
                report.readings.push((name.clone(), readings));
            }
            Err(error) => report.wrong(format!("stream {name}"), error),
        }
    }
}

/// `None` where its topics are absent, which has a line of its own in the report.
async fn of_topics(stream: &StreamConfig, inspector: &Inspector, count: usize) -> Result<Option<Records>, String> {
    let told = |error: etiage::source::SourceError| error.to_string();
    let there = inspector.topics(stream.topics.iter().cloned().collect()).await.map_err(told)?;
    if there.is_empty() {
        return Ok(None);
    }
    let header = match &stream.tenant {
        Some(TenantConfig::Header(name)) => Some(name.as_str()),
        _ => None,
    };
    let mut records = Records::new();
    for (topic, facts) in there {
        records.extend(inspector.first_records(topic, facts.partitions, header, count).await.map_err(told)?);
    }
    Ok(Some(records))
}

fn of_files(stream: &StreamConfig, count: usize) -> Records {
    let longest = stream.max_record.saturating_add(1);
    // A file that cannot be opened has its own line in the report.
    let open = |file: &InputFile| {
        let batch = first_records(&file.path, stream.format == Format::Csv, longest, count).ok()?;
        Some((TopicPartition { topic: file.name.as_str().into(), partition: 0 }, batch))
    };
    stream.files.iter().filter_map(open).collect()
}

fn shown(config: &Config, compiled: &Compiled, name: &str, records: Records, count: usize) -> Vec<Reading> {
    let (stream, input) = (&config.streams[name], &compiled.inputs[name]);
    let mut readings = Vec::new();
    for (partition, raw) in records {
        let batch = input.file_decoders.get(&partition).unwrap_or(&input.decoder).decode(raw);
        let regions: Vec<_> = compiled.regions.iter().map(|one| region_names(&one.places.set)).collect();
        let place = |(one, region)| place(config, compiled, one, region, &batch);
        let places: Vec<Place<'_>> = compiled.regions.iter().zip(&regions).map(place).collect();
        let names = Names {
            metrics: input.decoder.metric_names(),
            labels: input.decoder.label_names(),
            places: &places,
            unit_exponent: stream.unit_exponent,
        };
        readings.extend(first(&partition, &batch, &names, count - readings.len()));
        if readings.len() >= count {
            break;
        }
    }
    if !config.rejects.payload {
        readings.iter_mut().for_each(withhold);
    }
    readings
}

/// A region set, called by the views that use it.
fn place<'a>(
    config: &Config,
    compiled: &Compiled,
    regions: &Regions,
    region: &'a impl Fn(usize) -> (String, String),
    batch: &Batch,
) -> Place<'a> {
    let uses = |view: &&String| compiled.regions_of(view).is_some_and(|one| std::ptr::eq(one, regions));
    let views: Vec<&str> = config.views.keys().filter(uses).map(String::as_str).collect();
    Place { label: views.join(", "), region, found: locate(&regions.places, batch) }
}

fn region_names(set: &RegionSet) -> impl Fn(usize) -> (String, String) {
    |index| (set.regions()[index].code().to_owned(), set.regions()[index].name().to_owned())
}

/// What must not leave with a reject must not show here.
fn withhold(reading: &mut Reading) {
    if let Outcome::Refused { detail, text, .. } = &mut reading.outcome {
        *detail = "withheld by rejects.payload = false".to_owned();
        text.clear();
    }
}

fn tell(stream: &str, readings: &[Reading], report: &mut Report) {
    let refused = readings.iter().filter(|one| matches!(one.outcome, Outcome::Refused { .. })).count();
    report.about(format!("stream {stream}"), |about| match (readings.len(), refused) {
        (0, _) => about.well("holds no readings yet"),
        (all, 0) => about.well(format!("its first {all} readings are understood")),
        (all, refused) if refused == all => about.wrong(format!(
            "all of its first {all} readings are refused: do format, time, lat, lon and metrics of streams.{stream} fit them?"
        )),
        (all, refused) => about.warn(format!("{refused} of its first {all} readings are refused: see below")),
    });
}
