//! Which policy files a command is about, and which issuers they may name.
//!
//! Decides where the files are and what is known of the issuers: from the configuration; from `--issuer NAME=PLATFORM`; or,
//! where neither is given, from the names in the files, each taken for an issuer of the platform of that name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::super::CliError;
use crate::config::Config;
use crate::identity::IssuerName;
use crate::policy::{Catalog, Inspection, LoadErrors, PolicySet, Problem, Rehearsal};
use crate::trust::{Platform, Platforms};

/// The files and the issuers.
#[derive(Debug, Args)]
pub(super) struct Files {
    /// The directory of policy files, or one file; default that of the configuration, else `policies`.
    #[arg(value_name = "DIR")]
    path: Option<PathBuf>,
    /// The configuration, for its issuers, their claims and its directory.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// An issuer and its platform; may be repeated. A name alone is an issuer whose claims are not known, unless a
    /// platform has that name. Without it and `--config`, the issuers that the files name.
    #[arg(long, value_name = "NAME[=PLATFORM]", conflicts_with = "config")]
    issuer: Vec<String>,
}

/// Files, once they are found.
pub(super) struct Found {
    /// The directory to load.
    pub(super) directory: PathBuf,
    /// The one file of it that was meant, relative to it.
    pub(super) only: Option<String>,
    /// The path as it was given, for messages.
    pub(super) shown: PathBuf,
    /// The issuers, where they are known beforehand.
    catalog: Option<Catalog>,
}

impl Files {
    /// For a command with arguments of its own.
    pub(super) fn of(path: Option<PathBuf>, config: Option<PathBuf>) -> Self {
        Self { path, config, issuer: vec![] }
    }

    /// Looks for them.
    pub(super) fn find(&self) -> Result<Found, CliError> {
        let config = self.config.as_deref().map(Config::load_without_secrets).transpose().map_err(CliError::new)?;
        let path = match (&self.path, &config) {
            (Some(path), _) => path.clone(),
            (None, Some(config)) => config.policies.clone(),
            (None, None) => PathBuf::from("policies"),
        };
        let (directory, only) = place(&path)?;
        let catalog = match &config {
            Some(config) => Some(config.catalog()),
            None if self.issuer.is_empty() => None,
            None => Some(named(&self.issuer)?),
        };
        Ok(Found { directory, only, shown: path, catalog })
    }
}

impl Found {
    /// Checks the files and runs their cases; where no issuers are given, for all that the files turn out to name.
    pub(super) fn inspect(&self) -> Result<Inspection, CliError> {
        PolicySet::inspect(&self.directory, &self.catalog()?).map_err(CliError::new)
    }

    /// Whether a file, named relative to the directory, is one that was meant.
    pub(super) fn is_meant(&self, file: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == file)
    }

    /// The same, with what the tools ask of cases.
    pub(super) fn rehearse(&self) -> Result<Rehearsal, CliError> {
        PolicySet::rehearse(&self.directory, &self.catalog()?).map_err(CliError::new)
    }

    /// The issuers: those that were given, or those that the files name.
    pub(super) fn catalog(&self) -> Result<Catalog, CliError> {
        if let Some(catalog) = &self.catalog {
            return Ok(catalog.clone());
        }
        Ok(guessed(Catalog::default(), |catalog| PolicySet::load(&self.directory, catalog)))
    }
}

/// The issuers of `catalog` and those that policies turn out to name, each taken for one of the platform of its name.
pub(super) fn guessed(mut catalog: Catalog, load: impl Fn(&Catalog) -> Result<PolicySet, LoadErrors>) -> Catalog {
    let platforms = Platforms::embedded();
    loop {
        let before = catalog.len();
        if let Err(errors) = load(&catalog) {
            for name in unknown_issuers(&errors) {
                catalog.add_guessing(name, &platforms);
            }
        }
        if catalog.len() == before {
            return catalog;
        }
    }
}

fn unknown_issuers(errors: &LoadErrors) -> Vec<IssuerName> {
    let name = |problem: &Problem| match problem {
        Problem::UnknownIssuer(name) => Some(name.clone()),
        _ => None,
    };
    errors.errors().iter().filter_map(|error| name(&error.problem)).collect()
}

/// The directory to load, and the one file of it that was meant.
fn place(path: &Path) -> Result<(PathBuf, Option<String>), CliError> {
    let found = path.metadata().map_err(|error| {
        CliError::new(format!("cannot read `{}`: {error}\n  name the directory of policy files", path.display()))
    })?;
    if found.is_dir() {
        return Ok((path.to_owned(), None));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.ends_with(".yaml") && !name.ends_with(".yml") {
        return Err(CliError::new(format!("`{}` is no policy file: those end with `.yaml` or `.yml`", path.display())));
    }
    Ok((parent.to_owned(), Some(name.to_owned())))
}

/// `prod-cluster=kubernetes`, or `gitlab`.
fn named(texts: &[String]) -> Result<Catalog, CliError> {
    let platforms = Platforms::embedded();
    let mut catalog = Catalog::default();
    for text in texts {
        let (name, of) = text.split_once('=').map_or((text.as_str(), None), |(name, of)| (name, Some(of)));
        let name = IssuerName::new(name).map_err(|error| CliError::new(format!("`--issuer {text}`: {error}")))?;
        match of {
            None => catalog.add_guessing(name, &platforms),
            Some(of) => catalog.add(name, Some(&platform(of)?)),
        }
    }
    Ok(catalog)
}

/// The platform of that name.
pub(super) fn platform(name: &str) -> Result<Arc<Platform>, CliError> {
    let platforms = Platforms::embedded();
    platforms.find(name).cloned().ok_or_else(|| {
        let known: Vec<&str> = platforms.iter().map(|platform| platform.name()).collect();
        CliError::new(format!("`--issuer`: no platform `{name}`: there are {}", known.join(", ")))
    })
}
