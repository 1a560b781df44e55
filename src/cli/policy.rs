//! `cambio policy`: try policies before they count.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::text::count;
use super::{Answer, CliError, NO, print};
use crate::config::Config;
use crate::identity::IssuerName;
use crate::policy::{CaseOutcome, LoadError, LoadErrors, PolicySet, Problem};

/// Work with policy files.
#[derive(Debug, Args)]
pub(super) struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Test(Test),
}

/// Compile all policy files, and run their cases.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 every case came out as it says, 1 one did not or a file is out of order, 2 nothing could be tested.

Examples:
  cambio policy test policies                            issuers are those that the files name
  cambio policy test policies/group-pipelines.yaml       one file
  cambio policy test --config cambio.yaml                as `cambio serve` would load them
  cambio policy test policies --issuer gitlab --issuer prod-cluster"
)]
struct Test {
    /// The directory of policy files, or one file; default that of the configuration, else `policies`.
    #[arg(value_name = "DIR")]
    path: Option<PathBuf>,
    /// The configuration, for its issuers and its directory.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The name of an issuer that is configured; may be repeated. Without it and `--config`, those that the files name.
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    issuer: Vec<String>,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

impl Policy {
    pub(super) fn run(self) -> Answer {
        match self.command {
            Command::Test(test) => test.run(),
        }
    }
}

/// What came of the files.
struct Tested {
    outcomes: Vec<CaseOutcome>,
    errors: Vec<LoadError>,
}

impl Test {
    fn run(self) -> Answer {
        let config = self.config.as_deref().map(Config::load).transpose().map_err(CliError::new)?;
        let path = match (&self.path, &config) {
            (Some(path), _) => path.clone(),
            (None, Some(config)) => config.policies.clone(),
            (None, None) => PathBuf::from("policies"),
        };
        let (directory, only) = place(&path)?;
        let issuers = match &config {
            Some(config) => Some(config.issuer_names()),
            None if self.issuer.is_empty() => None,
            None => Some(named(&self.issuer)?),
        };
        let mut tested = run_cases(&directory, issuers)?;
        if let Some(only) = &only {
            tested.outcomes.retain(|outcome| *outcome.file == **only);
            tested.errors.retain(|error| *error.file == **only);
        }
        let failed = tested.outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
        let good = failed == 0 && tested.errors.is_empty();
        if good && tested.outcomes.is_empty() {
            let what = format!("there are no cases below `{}`; nothing was tested", path.display());
            return Err(CliError::new(format!("{what}\n  policy files end with `.yaml` or `.yml`, and have `cases`")));
        }
        let text = if self.json { tested.json(good) } else { tested.table(failed) };
        print(&text)?;
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }
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

fn named(names: &[String]) -> Result<BTreeSet<IssuerName>, CliError> {
    let name =
        |text: &String| IssuerName::new(text).map_err(|error| CliError::new(format!("`--issuer {text}`: {error}")));
    names.iter().map(name).collect()
}

/// Runs the cases; where no issuers are given, for all that the files turn out to name.
fn run_cases(directory: &Path, issuers: Option<BTreeSet<IssuerName>>) -> Result<Tested, CliError> {
    let guess = issuers.is_none();
    let mut issuers = issuers.unwrap_or_default();
    loop {
        let errors = match PolicySet::run_cases(directory, &issuers) {
            Ok(outcomes) => return Ok(Tested { outcomes, errors: Vec::new() }),
            Err(errors) => errors,
        };
        let before = issuers.len();
        if guess {
            issuers.extend(errors.errors().iter().filter_map(unknown_issuer));
        }
        if issuers.len() == before {
            return out_of_order(errors);
        }
    }
}

fn unknown_issuer(error: &LoadError) -> Option<IssuerName> {
    match &error.problem {
        Problem::UnknownIssuer(name) => Some(name.clone()),
        _ => None,
    }
}

fn out_of_order(errors: LoadErrors) -> Result<Tested, CliError> {
    let unreadable = |error: &LoadError| matches!(error.problem, Problem::Unreadable(_) | Problem::Internal(_));
    if errors.errors().iter().all(unreadable) {
        return Err(CliError::new(errors));
    }
    Ok(Tested { outcomes: Vec::new(), errors: errors.errors().to_vec() })
}

impl Tested {
    fn table(&self, failed: usize) -> String {
        let mut text = String::new();
        let mut file = "";
        for outcome in &self.outcomes {
            if file != &*outcome.file {
                file = &outcome.file;
                let _ = writeln!(text, "{file}");
            }
            let kind = if outcome.permit { "permit" } else { "deny" };
            let mark = if outcome.failure.is_none() { "ok  " } else { "FAIL" };
            let _ = writeln!(text, "  {mark}  {kind:6}  {}", outcome.name);
            if let Some(failure) = &outcome.failure {
                let _ = writeln!(text, "        at        {file}:{}:{}", outcome.place.line, outcome.place.column);
                let _ = writeln!(text, "        expected  {}", failure.expected);
                let _ = writeln!(text, "        got       {}", failure.got);
            }
        }
        for error in &self.errors {
            let _ = writeln!(text, "{error}");
        }
        let files: BTreeSet<&str> = self.outcomes.iter().map(|outcome| &*outcome.file).collect();
        let _ = if self.errors.is_empty() {
            let (cases, files) = (count(self.outcomes.len(), "case", "cases"), count(files.len(), "file", "files"));
            let end = if failed == 0 { "all as expected".to_owned() } else { format!("{failed} not as expected") };
            writeln!(text, "\n{cases} in {files}: {end}")
        } else {
            let faults = count(self.errors.len(), "fault", "faults");
            writeln!(text, "\n{faults}; no case was run: a set with a fault in it does not go live")
        };
        text
    }

    fn json(&self, good: bool) -> String {
        let case = |outcome: &CaseOutcome| {
            json!({
                "file": &*outcome.file, "line": outcome.place.line, "column": outcome.place.column, "name": outcome.name,
                "expects": if outcome.permit { "permit" } else { "deny" }, "ok": outcome.failure.is_none(),
                "expected": outcome.failure.as_ref().map(|failure| &failure.expected),
                "got": outcome.failure.as_ref().map(|failure| &failure.got),
            })
        };
        let error = |error: &LoadError| {
            let (line, column) = error.place.map_or((None, None), |place| (Some(place.line), Some(place.column)));
            json!({"file": &*error.file, "line": line, "column": column, "problem": error.problem.to_string()})
        };
        let cases: Vec<Value> = self.outcomes.iter().map(case).collect();
        let errors: Vec<Value> = self.errors.iter().map(error).collect();
        super::pretty(&json!({"ok": good, "cases": cases, "errors": errors}))
    }
}
