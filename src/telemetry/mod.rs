//! What the engine tells of itself: logs on stderr, metrics for Prometheus, health for an orchestrator.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogConfig;

mod door;
mod health;
mod listen;
mod metrics;
pub mod names;

pub use health::Health;
pub use listen::{Listening, listen};
pub use metrics::install;

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(
        "log.level = {0:?}: expected a level such as \"info\", or levels by module such as \"info,etiage::store=debug\""
    )]
    Level(String),
    /// A second subscriber or recorder in one process.
    #[error("{0} already set up in this process")]
    Twice(&'static str),
    #[error("serve.listen = {address:?}: {source}; give another address, or an empty text for none")]
    Listen { address: String, source: std::io::Error },
}

/// Sends the process's logs to stderr, as lines for people or as JSON objects.
pub fn logs(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.level).map_err(|_| TelemetryError::Level(config.level.clone()))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = if config.json {
        lines.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
    set.map_err(|_| TelemetryError::Twice("logs are"))
}
