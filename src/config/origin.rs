//! Where a configuration came from, so that it can be read again. Decides nothing.

use std::path::PathBuf;

use super::{Config, ConfigError};

/// Where a configuration came from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// A text, and the directory that its paths are relative to.
    Text(String, PathBuf),
}

impl Origin {
    /// Reads it again: another file may stand there now, and other platforms in their directory.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read(&self) -> Result<Config, ConfigError> {
        match self {
            Self::File(path) => Config::load(path),
            Self::Text(text, base) => Config::parse(text, base),
        }
    }
}
