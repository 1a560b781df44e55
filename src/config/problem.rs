//! What is wrong with a configuration, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: String,
    fault: String,
    fix: String,
    of_a_secret: bool,
}

/// Why a configuration is no good.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{0}`: {1}")]
    Unreadable(PathBuf, io::Error),
    /// The file is larger than 4 MiB.
    #[error("`{0}` is larger than 4 MiB")]
    TooLarge(PathBuf),
    /// Not YAML, or not of the shape of a configuration.
    #[error("{0}")]
    Shape(String),
    /// Of the right shape, and wrong.
    #[error("{}", listed(.0))]
    Problems(Vec<Problem>),
    /// The same, with the file's name.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    InFile(PathBuf, Box<ConfigError>),
}

impl Problem {
    pub(super) fn new(place: &str, fault: impl fmt::Display, fix: &str) -> Self {
        Self { place: place.to_owned(), fault: fault.to_string(), fix: fix.to_owned(), of_a_secret: false }
    }

    /// A secret that is not there, or cannot be read here: nothing is wrong with the configuration itself.
    pub(super) fn of_a_secret(self) -> Self {
        Self { of_a_secret: true, ..self }
    }

    pub(super) fn is_of_a_secret(&self) -> bool {
        self.of_a_secret
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fault)?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, "\n    {}", self.fix) }
    }
}

impl ConfigError {
    /// How many problems it tells of.
    #[must_use]
    pub fn problems(&self) -> usize {
        match self {
            Self::Problems(problems) => problems.len(),
            Self::InFile(_, error) => error.problems(),
            Self::Unreadable(..) | Self::TooLarge(_) | Self::Shape(_) => 1,
        }
    }

    /// Whether the file could not be read at all, which may pass.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable(..))
    }

    pub(super) fn in_file(self, path: &Path) -> Self {
        Self::InFile(path.to_owned(), Box::new(self))
    }
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    lines.concat()
}
