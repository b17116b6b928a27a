//! The store: is it there, is its schema this binary's, does it keep what it acknowledges?

use std::path::Path;
use std::sync::Arc;

use etiage::check::store::cassandra;
use etiage::config::{Config, StoreConfig};
use etiage::store::sqlite::Sqlite;
use etiage::store::{self, Store, StoreError};

use super::Report;
use super::local::is_read_only;

/// The store, where it can be asked further.
pub async fn look(config: &Config, report: &mut Report) -> Option<Arc<dyn Store>> {
    match &config.store {
        StoreConfig::Sqlite { path } => sqlite(path, report).await,
        StoreConfig::Cassandra(settings) => {
            let what = format!("store {}", settings.nodes.join(", "));
            let store = told(&what, store::open(&config.store).await, report)?;
            let facts = told(&what, store.facts().await, report)?;
            report.well(&what, &facts.name);
            told(&format!("keyspace {}", settings.keyspace), store.check().await, report)?;
            report.well(
                format!("keyspace {}", settings.keyspace),
                "its schema is this etiage's; no guardrail is in the way",
            );
            report.extend(cassandra(&facts, &settings.keyspace, settings.commit_lag_ms));
            Some(store)
        }
    }
}

fn told<T>(what: &str, answer: Result<T, StoreError>, report: &mut Report) -> Option<T> {
    answer.map_err(|error| report.wrong(what, error.to_string())).ok()
}

async fn sqlite(path: &Path, report: &mut Report) -> Option<Arc<dyn Store>> {
    let what = format!("store {}", path.display());
    if !path.exists() {
        absent(&what, path, report);
        return None;
    }
    let store: Arc<dyn Store> = Arc::new(told(&what, Sqlite::open_to_read(path), report)?);
    if let Err(error) = std::fs::OpenOptions::new().append(true).open(path) {
        report.wrong(&what, format!("{error}: let this user write the file and its directory"));
    }
    let facts = told(&what, store.facts().await, report)?;
    report.well(&what, facts.name);
    match store.check().await {
        Ok(()) => report.well(&what, "its schema is this etiage's"),
        // Of the embedded store, `run` does what `migrate` does.
        Err(StoreError::Refused(text)) if text.ends_with("run `etiage migrate`") => {
            report.well(&what, format!("{text}, or let `etiage run` do it"));
            return None;
        }
        Err(error) => {
            report.wrong(&what, error.to_string());
            return None;
        }
    }
    Some(store)
}

fn absent(what: &str, path: &Path, report: &mut Report) {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        let text = format!("there is no directory {}: make it, or correct store.path", parent.display());
        return report.wrong(what, text);
    }
    if is_read_only(parent) {
        let text = format!("{} cannot be written: let this user write there, or correct store.path", parent.display());
        return report.wrong(what, text);
    }
    report.well(what, "not there yet: `etiage run` makes it");
}
