//! `cambio policy init`: a first policy file, from one token.
//!
//! Decides whose token it is; [`draft`] which of its claims count, [`write`] how the file reads. The token is never printed,
//! nor is it verified: the file lets in what the token was, and that is for its reader to judge.

mod draft;
mod write;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value};

use super::super::recognised::recognised;
use super::super::text::shown;
use super::super::token_text::{self, is_token_like};
use super::super::{Answer, CliError, NO, print};
use super::files;
use crate::config::Config;
use crate::identity::{IssuerName, TargetName};
use crate::jose::CompactJws;
use crate::policy::{Catalog, Finding, PolicySet, Severity, layout, read_claims};
use crate::trust::Platform;
use draft::Draft;

/// The most that is read of a file of claims, in bytes.
const MOST: u64 = 64 * 1024;

/// Write a first policy file from a token: immutable ids pinned, optional claims guarded, with a permitted case and denied
/// ones.
#[derive(Debug, Args)]
#[command(
    after_help = "The token is neither printed nor verified. The cases have its claims, but for those of the one run, of persons, and
secret ones. The file goes to standard output; it passes `check` and `test`. Read it before you use it.

Exit codes: 0 here is the file, 1 the file has findings, told on standard error; 2 there is no token, or nothing in it to
go by.

Examples:
  cambio policy init --from-token token.jwt --target shop-production > policies/shop.yaml
  kubectl create token api --audience https://cambio.example.com | cambio policy init --from-token - --issuer prod-cluster
  cambio policy init --claims claims.json --issuer prod=kubernetes
  cambio policy init --from-token token.jwt --config cambio.yaml"
)]
pub(super) struct Init {
    /// The file with the token, or `-` for standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "claims", conflicts_with = "claims")]
    from_token: Option<PathBuf>,
    /// A file with the token's claims instead: a JSON object or a YAML map.
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// What the token will be asked for.
    #[arg(long, value_name = "NAME", default_value = "my-target")]
    target: String,
    /// The issuer's name in the configuration, with its platform where the issuer's URL does not tell; default the
    /// platform's name.
    #[arg(long, value_name = "NAME[=PLATFORM]")]
    issuer: Option<String>,
    /// The configuration, for its issuers.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Init {
    pub(super) fn run(self) -> Answer {
        let target = TargetName::new(&self.target).map_err(|error| CliError::new(format!("`--target`: {error}")))?;
        let claims = match (&self.from_token, &self.claims) {
            (Some(file), _) => of_token(file)?,
            (None, Some(file)) => of_file(file)?,
            (None, None) => return Err(CliError::new("give `--from-token` or `--claims`")),
        };
        let source = self.source(&claims)?;
        let text = file(&source, &target, &claims)?;
        let findings = findings(&text, &source.catalog)?;
        print(&text)?;
        for finding in &findings {
            eprintln!("cambio: {finding}");
        }
        Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }

    /// Whose token it is.
    fn source(&self, claims: &Map<String, Value>) -> Result<Source, CliError> {
        let claimed = claimed_issuer(claims)?;
        let (name, platform) = match &self.issuer {
            Some(text) => text.split_once('=').map_or((Some(text.as_str()), None), |(name, of)| (Some(name), Some(of))),
            None => (None, None),
        };
        let name = name.map(IssuerName::new).transpose();
        let name = name.map_err(|error| CliError::new(format!("`--issuer`: {error}")))?;
        if let Some(config) =
            self.config.as_deref().map(Config::load_without_secrets).transpose().map_err(CliError::new)?
        {
            let issuer = config.issuers.find(&claimed, name.as_ref()).map_err(|error| {
                CliError::new(format!("{error}: `{}`\n  add it to the configuration first", shown(&claimed)))
            })?;
            let (name, platform) = (issuer.name().clone(), Arc::clone(issuer.platform()));
            return Ok(Source { name, platform, catalog: config.catalog() });
        }
        let platform = match platform {
            Some(platform) => files::platform(platform)?,
            None => {
                recognised(&claimed, claims).into_iter().next().or_else(|| Platform::embedded("generic")).ok_or_else(
                    || CliError::new("no platform has such an issuer; name one by `--issuer NAME=PLATFORM`"),
                )?
            }
        };
        let own = || IssuerName::new(platform.name()).map_err(CliError::new);
        let name = name.map_or_else(own, Ok)?;
        let mut catalog = Catalog::default();
        catalog.add(name.clone(), Some(&platform));
        Ok(Source { name, platform, catalog })
    }
}

/// Whose token it is.
struct Source {
    name: IssuerName,
    platform: Arc<Platform>,
    catalog: Catalog,
}

/// The text of the file.
fn file(source: &Source, target: &TargetName, claims: &Map<String, Value>) -> Result<String, CliError> {
    let draft = Draft::new(&source.platform, claims).ok_or_else(|| {
        CliError::new("the token has no claim that says whose workload it is: neither an immutable id nor `sub`")
    })?;
    let text = write::file(&draft, source.name.as_str(), target.as_str(), &source.platform, claims);
    layout(&text).map_err(|fault| CliError::new(format!("the file could not be laid out: {fault}")))
}

/// What counts against the file that was made.
fn findings(text: &str, catalog: &Catalog) -> Result<Vec<Finding>, CliError> {
    let inspection = PolicySet::inspect_sources([("policy.yaml", text)], catalog).map_err(CliError::new)?;
    let severities = [Severity::Error, Severity::Warning];
    Ok(severities.iter().flat_map(|severity| inspection.counting(*severity)).cloned().collect())
}

fn of_token(file: &Path) -> Result<Map<String, Value>, CliError> {
    let token = token_text::read(file)?;
    let unread = |error| CliError::new(format!("this is no signed token in its compact form: {error}"));
    Ok(CompactJws::parse(token).map_err(unread)?.into_claims())
}

fn of_file(file: &Path) -> Result<Map<String, Value>, CliError> {
    if is_token_like(&file.to_string_lossy()) {
        return Err(CliError::new("a file is expected here, not a token"));
    }
    let unreadable = |error: std::io::Error| CliError::new(format!("cannot read `{}`: {error}", file.display()));
    if file.metadata().map_err(unreadable)?.len() > MOST {
        return Err(CliError::new(format!("`{}` is larger than 64 KiB", file.display())));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    read_claims(&text).map_err(|error| CliError::new(format!("`{}` {error}", file.display())))
}

/// The `iss`, or the trust domain of a JWT-SVID, which need not have one.
fn claimed_issuer(claims: &Map<String, Value>) -> Result<String, CliError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let trust_domain = |subject: &str| {
        let domain = subject.strip_prefix("spiffe://")?.split('/').next()?;
        Some(format!("spiffe://{domain}"))
    };
    let domain = text("sub").and_then(trust_domain);
    let none = || CliError::new("the token has no `iss`; is this an access token, not an id token?");
    domain.or_else(|| text("iss").map(str::to_owned)).ok_or_else(none)
}

#[cfg(test)]
mod tests;
