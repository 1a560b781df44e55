//! `cambio policy eval`: what the policies say to one token, step by step, before it is sent.
//!
//! Decides nothing that the counter does not: a token is verified by the chain of an exchange, or it is said loudly that
//! nothing was verified.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::text::shown;
use super::super::token::inspection::Inspection;
use super::super::{Answer, CliError, NO, pretty, print, runtime, steps, token, token_text};
use super::files::Files;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::identity::IssuerName;
use crate::policy::{Catalog, PolicySet, Rehearsal, Severity, Target, read_claims};
use crate::trust::nearest;

/// The most bytes of a claims file.
const CLAIMS_BYTES: u64 = 64 * 1024;

/// Show what the policies decide for a token or for claims, step by step: every rule, condition and value.
#[derive(Debug, Args)]
#[command(after_help = "Values of claims are shown, since the policies decide by them; the token never is.
Exit codes: 0 permit, 1 denied (by the policies, or because the token does not verify), 2 the question could not be put.
Examples:
  cambio policy eval --target group-pipelines --token job.jwt --config cambio.yaml      verified, as the counter would
  cambio policy eval policies --target group-pipelines --token job.jwt --unverified
  cambio policy eval policies --target group-pipelines --claims claims.json --issuer gitlab
  cambio policy eval policies --target group-pipelines --claims claims.yaml --issuer gitlab --at 2026-11-18T11:06:40Z")]
pub(super) struct Eval {
    /// The directory of policy files, or one file; default that of the configuration, else `policies`.
    #[arg(value_name = "DIR")]
    path: Option<PathBuf>,
    /// What the token is asked for: a target's name or alias.
    #[arg(long, value_name = "NAME")]
    target: String,
    /// The file with a token, or `-` for standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "claims", conflicts_with = "claims")]
    token: Option<PathBuf>,
    /// Do not verify the token: anybody could have made it.
    #[arg(long, requires = "token")]
    unverified: bool,
    /// A file with claims, JSON or YAML, or `-` for standard input.
    #[arg(long, value_name = "FILE", requires = "issuer")]
    claims: Option<PathBuf>,
    /// The operator's name of the issuer that vouches for them.
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// The moment of the decision: RFC 3339, or seconds since 1970; default now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The configuration, for its issuers, their keys and its directory.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

/// Who says what.
struct Asked {
    issuer: IssuerName,
    claims: Map<String, Value>,
    /// How far it can be relied upon.
    standing: String,
    verified: bool,
}

impl Eval {
    pub(super) fn run(self) -> Answer {
        let now = Clock::System.now();
        let at = self.at.as_deref().map_or(Ok(now), token::moment)?;
        let found = Files::of(self.path.clone(), self.config.clone()).find()?;
        let catalog = found.catalog()?;
        let rehearsal = found.rehearse()?;
        let set = built(&rehearsal)?;
        let target = target(set, &self.target)?;
        let named = self.issuer.as_deref().map(|name| issuer(name, &catalog)).transpose()?;
        let asked = match (&self.claims, &self.token) {
            (Some(file), _) => claims_of_file(file, named)?,
            (None, Some(file)) => match self.token_claims(file, named, &catalog, at, now)? {
                Ok(asked) => asked,
                Err(refused) => {
                    print(&refused)?;
                    return Ok(ExitCode::from(NO));
                }
            },
            (None, None) => return Err(CliError::new("give `--token FILE` or `--claims FILE`")),
        };
        let schema = catalog.find(&asked.issuer).and_then(|facts| facts.schema.as_deref());
        let steps = set.steps(&asked.issuer, &asked.claims, target, at, schema);
        let text = if self.json {
            let mut told = steps::json(&steps, target);
            if let Some(members) = told.as_object_mut() {
                members.insert("issuer".to_owned(), Value::from(asked.issuer.as_str()));
                members.insert("verified".to_owned(), Value::from(asked.verified));
                members.insert("at".to_owned(), Value::from(at.to_string()));
            }
            pretty(&told)
        } else {
            let head = format!(
                "target  {}\nissuer  {}  {}\nmoment  {at}\n\n",
                target.name().as_str(),
                asked.issuer.as_str(),
                asked.standing
            );
            head + &steps::told(&steps, target)
        };
        print(&text)?;
        Ok(if steps.evaluation.outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }

    /// The claims of a token; or why it is refused before any policy is asked.
    fn token_claims(
        &self,
        file: &Path,
        named: Option<IssuerName>,
        catalog: &Catalog,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<Result<Asked, String>, CliError> {
        let read = token_text::read(file)?;
        if self.unverified {
            let inspection = Inspection::by_platform(&read, at);
            let Some(seen) = &inspection.read else {
                return Err(CliError::new(
                    "this is no signed token in its compact form; `cambio token inspect` says more",
                ));
            };
            eprintln!("cambio: WARNING: nothing about this token was verified; anybody could have made it");
            let claims = seen.claims.clone();
            let issuer = match named {
                Some(name) => name,
                None => vouching(
                    catalog,
                    seen.claimed_issuer.as_deref(),
                    inspection.platform.as_deref().map(|one| one.name()),
                )?,
            };
            return Ok(Ok(Asked { issuer, claims, standing: "NOT VERIFIED".to_owned(), verified: false }));
        }
        let Some(config) = &self.config else {
            let text = "a token is verified by the keys of a configured issuer: give `--config`, or `--unverified` to see what its \
                        claims would come to if they were true";
            return Err(CliError::new(text));
        };
        let config = Config::load_without_secrets(config).map_err(CliError::new)?;
        let inspection = runtime()?.block_on(Inspection::by_config(&read, &config, named.as_ref(), at, now))?;
        match (&inspection.issuer, &inspection.read) {
            (Some(issuer), Some(seen)) if inspection.is_good() => Ok(Ok(Asked {
                issuer: issuer.name().clone(),
                claims: seen.claims.clone(),
                standing: "the token verifies".to_owned(),
                verified: true,
            })),
            _ if self.json => {
                let told = json!({"verified": false, "token": inspection.to_json(at, true), "decision": {"permit": false, "reason": "token_refused"}});
                Ok(Err(pretty(&told)))
            }
            _ => {
                let told = inspection.told(&file.display().to_string(), at, false);
                Ok(Err(format!(
                    "{told}\ndenied: the token does not verify, so that no policy was asked\n  `--unverified` shows what its claims would come to\n"
                )))
            }
        }
    }
}

/// The set; a case that comes out otherwise does not keep it from being asked.
pub(super) fn built(rehearsal: &Rehearsal) -> Result<&PolicySet, CliError> {
    rehearsal.built().ok_or_else(|| {
        let faults: Vec<String> = rehearsal.inspection().counting(Severity::Error).map(ToString::to_string).collect();
        CliError::new(format!("the policies do not load, so that there is nothing to ask\n{}", faults.join("\n")))
    })
}

/// The target of that name; or the names that there are.
fn target<'s>(set: &'s PolicySet, name: &str) -> Result<&'s Target, CliError> {
    set.target(name).ok_or_else(|| {
        let names =
            || set.targets().iter().flat_map(|target| std::iter::once(target.name().as_str()).chain(target.aliases()));
        let told = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if set.targets().is_empty() => "there are no policy files".to_owned(),
            None => {
                let known: Vec<&str> = set.targets().iter().take(12).map(|target| target.name().as_str()).collect();
                let more = if set.targets().len() > known.len() { ", …" } else { "" };
                format!("there are {}{more}", known.join(", "))
            }
        };
        CliError::new(format!("there is no target `{}`; {told}", shown(name)))
    })
}

/// The issuer of that name; or the names that there are.
fn issuer(name: &str, catalog: &Catalog) -> Result<IssuerName, CliError> {
    let parsed = IssuerName::new(name).map_err(|error| {
        CliError::new(format!("`--issuer {}`: {error}; it is the issuer's name in the policies, no URL", shown(name)))
    })?;
    if catalog.find(&parsed).is_some() {
        return Ok(parsed);
    }
    let names: Vec<&str> = catalog.iter().map(|(known, _)| known.as_str()).collect();
    let told = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", names.join(", ")),
    };
    Err(CliError::new(format!("there is no issuer `{parsed}`; {told}")))
}

/// The issuer that an unverified token says it is from: by its exact `iss`, else the only one of its platform.
fn vouching(catalog: &Catalog, claimed: Option<&str>, platform: Option<&str>) -> Result<IssuerName, CliError> {
    let exact: Vec<_> =
        catalog.iter().filter(|(_, facts)| facts.url.is_some() && facts.url.as_deref() == claimed).collect();
    let alike =
        || catalog.iter().filter(|(_, facts)| facts.platform.as_ref().map(|one| one.name()) == platform).collect();
    let likely: Vec<_> = if exact.is_empty() { alike() } else { exact };
    match likely.as_slice() {
        [(name, _)] => Ok((*name).clone()),
        _ => {
            let names: Vec<&str> = catalog.iter().map(|(name, _)| name.as_str()).collect();
            let from = claimed.map(shown).unwrap_or_default();
            Err(CliError::new(format!(
                "the token says it is from `{from}`, and no single issuer of these policies is that; give `--issuer`, one of {}",
                names.join(", ")
            )))
        }
    }
}

fn claims_of_file(file: &Path, named: Option<IssuerName>) -> Result<Asked, CliError> {
    let text = read_bounded(file)?;
    let name = if file.as_os_str() == "-" { "standard input".to_owned() } else { format!("`{}`", file.display()) };
    let claims = read_claims(&text).map_err(|error| CliError::new(format!("{name} {error}")))?;
    let issuer = named.ok_or_else(|| CliError::new("`--claims` needs `--issuer`: whose claims are they?"))?;
    Ok(Asked { issuer, claims, standing: "claims from a file: nobody vouches for them".to_owned(), verified: false })
}

fn read_bounded(file: &Path) -> Result<String, CliError> {
    let failed =
        |error: std::io::Error| CliError::new(format!("cannot read the claims file `{}`: {error}", file.display()));
    let mut text = String::new();
    let mut read = |from: &mut dyn std::io::Read| {
        use std::io::Read as _;
        from.take(CLAIMS_BYTES + 1).read_to_string(&mut text)
    };
    if file.as_os_str() == "-" {
        read(&mut std::io::stdin().lock()).map_err(failed)?;
    } else {
        if token_text::is_token_like(&file.to_string_lossy()) {
            return Err(CliError::new(
                "a file with claims is expected here, not a token; write it to a file and give `--token`",
            ));
        }
        read(&mut fs::File::open(file).map_err(failed)?).map_err(failed)?;
    }
    if text.len() as u64 > CLAIMS_BYTES {
        return Err(CliError::new(format!(
            "`{}` is larger than 64 KiB: no token carries that many claims",
            file.display()
        )));
    }
    Ok(text)
}
