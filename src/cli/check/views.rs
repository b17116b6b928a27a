//! Would `etiage run` start? The views' generations, and every partition's position.

use std::collections::BTreeMap;
use std::sync::Arc;

use etiage::check::views::{configured, live, strangers};
use etiage::config::Config;
use etiage::run::assign;
use etiage::run::stream::StreamRun;
use etiage::setup::{Compiled, SetupError, connect, history};
use etiage::source::{Assignment, GroupPosition, Source};
use etiage::store::Store;

use super::Report;

pub async fn look(config: &Config, store: Arc<dyn Store>, report: &mut Report) {
    if let Err(error) = ask(config, store, report).await {
        report.wrong("positions", error.to_string());
    }
}

async fn ask(config: &Config, store: Arc<dyn Store>, report: &mut Report) -> Result<(), SetupError> {
    let source = connect::observe(config, store.clone()).await?;
    let records = store.generations().await?;
    let positions = source.group_positions().await?;
    let compiled = Compiled::new(config)?;
    for name in config.views.keys() {
        let mut read = positions.iter().filter(|one| config.views[name].takes(&one.stream));
        let is_read = read.any(|one| one.committed.is_some());
        let has_history = history::has(config, name);
        report.extend([configured(name, &compiled.meanings[name], &records, is_read, has_history)]);
    }
    report.extend(strangers(|view| config.views.contains_key(view), &records));
    let mut bound = Vec::new();
    for name in config.views.keys() {
        if let Some(record) = live(name, &records) {
            bound.push((compiled.view(name, config, record)?, Arc::new(record.clone())));
        }
    }
    if bound.is_empty() {
        // Nothing has begun, so there is no position that could be wrong.
        return Ok(());
    }
    let streams = compiled.streams(config, &bound)?;
    partitions(&*store, &*source, &positions, &streams, report).await
}

async fn partitions(
    store: &dyn Store,
    source: &dyn Source,
    positions: &[GroupPosition],
    streams: &BTreeMap<Arc<str>, Arc<StreamRun>>,
    report: &mut Report,
) -> Result<(), SetupError> {
    let (mut sound, mut lag) = (0, 0);
    for position in positions {
        let Some(stream) = streams.get(&position.stream) else { continue };
        let (log_start, log_end) = source.log_bounds(&position.partition).await?;
        let GroupPosition { partition, source: id, stream: name, committed } = position.clone();
        let assignment = Assignment { partition, source: id, stream: name, log_start, log_end, committed };
        // The engine's own decision.
        match assign::plan(store, source.group(), &assignment, stream).await? {
            Ok(plan) => {
                sound += 1;
                lag += (log_end.0 - plan.position.0).max(0);
            }
            Err(refusal) => report.wrong(format!("partition {}", assignment.partition), refusal.to_string()),
        }
    }
    report.well("positions", format!("{sound} of {} partitions can go on, {lag} records behind", positions.len()));
    Ok(())
}
