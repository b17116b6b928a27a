//! What is wrong with a configuration, and where it says so.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// `defaults.toml`.
    Default,
    File {
        path: Arc<Path>,
        line: usize,
    },
    /// The variable's name, as it was written.
    Env(Arc<str>),
}

impl Origin {
    /// Of two settings, the one of the higher layer wins.
    pub fn layer(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::File { .. } => 1,
            Origin::Env(_) => 2,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(f, "built-in defaults"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Env(variable) => write!(f, "{variable}"),
        }
    }
}

/// A configuration that is not used, and why.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file (the configuration, or one that it names) cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The text, a key, a value, or two of them together.
    #[error("{0}")]
    Invalid(String),
}

impl ConfigError {
    pub(super) fn at(origin: &Origin, path: &str, message: impl fmt::Display) -> ConfigError {
        ConfigError::Invalid(format!("{origin}: {path}: {message}"))
    }

    pub(super) fn invalid(message: impl Into<String>) -> ConfigError {
        ConfigError::Invalid(message.into())
    }
}
