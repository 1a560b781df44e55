//! `cambio policy test`: the promises of the files, kept or broken.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};

use super::super::text::{count, lines_shown};
use super::super::{Answer, CliError, NO, pretty, print};
use super::coverage::Coverage;
use super::files::Files;
use super::junit;
use crate::policy::{CaseOutcome, Code, Finding, Rehearsal, Severity};

/// Compile all policy files, and run their cases.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 every case came out as it says, 1 one did not, a file is out of order, or the
cases have shown too little, 2 nothing could be tested.

Examples:
  cambio policy test policies                            issuers are those that the files name
  cambio policy test policies/group-pipelines.yaml       one file
  cambio policy test --config cambio.yaml                as `cambio serve` would load them
  cambio policy test policies --issuer gitlab --issuer prod-cluster
  cambio policy test policies --coverage                 and what no case has shown
  cambio policy test policies --min-coverage 90 --junit report.xml")]
pub(super) struct Test {
    #[command(flatten)]
    files: Files,
    /// Say what no case has shown: conditions that were never false, branches and grants that were never taken.
    #[arg(long)]
    coverage: bool,
    /// Fail where the cases have shown less than that of what there is to show, and say what is missing.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// Write the outcome as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

/// What came of the files.
struct Tested {
    outcomes: Vec<CaseOutcome>,
    errors: Vec<Finding>,
    coverage: Option<Coverage>,
}

impl Test {
    pub(super) fn run(self) -> Answer {
        let found = self.files.find()?;
        let measured = self.coverage || self.min_coverage.is_some() || self.json;
        let rehearsal = if measured || self.junit.is_some() { Some(found.rehearse()?) } else { None };
        let inspected = if rehearsal.is_none() { Some(found.inspect()?) } else { None };
        let Some(inspection) = rehearsal.as_ref().map(Rehearsal::inspection).or(inspected.as_ref()) else {
            return Err(CliError::new("nothing was tested"));
        };
        let meant = |file: &str| found.only.as_deref().is_none_or(|only| only == file);
        let errors = inspection.counting(Severity::Error);
        let errors: Vec<Finding> =
            errors.filter(|one| one.code != Code::CaseFailed && meant(&one.file)).cloned().collect();
        let outcomes: Vec<CaseOutcome> =
            inspection.outcomes().iter().filter(|outcome| meant(&outcome.file)).cloned().collect();
        let unreadable = |error: &Finding| matches!(error.code, Code::Unreadable | Code::Internal);
        if !errors.is_empty() && errors.iter().all(unreadable) {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            return Err(CliError::new(lines.join("\n")));
        }
        let coverage = rehearsal.as_ref().filter(|_| measured && errors.is_empty()).map(|rehearsal| Coverage {
            files: rehearsal.coverage().iter().filter(|one| meant(&one.file)).cloned().collect(),
        });
        let tested = Tested { outcomes, errors, coverage };
        let failed = tested.outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
        let enough =
            self.min_coverage.is_none_or(|least| tested.coverage.as_ref().is_none_or(|one| one.reaches(least)));
        let good = failed == 0 && tested.errors.is_empty() && enough;
        if failed == 0 && tested.errors.is_empty() && tested.outcomes.is_empty() {
            let what = format!("there are no cases below `{}`; nothing was tested", found.shown.display());
            return Err(CliError::new(format!("{what}\n  policy files end with `.yaml` or `.yml`, and have `cases`")));
        }
        if let (Some(file), Some(rehearsal)) = (&self.junit, &rehearsal) {
            let text = junit::document(&timed(&tested.outcomes, rehearsal), &tested.errors);
            std::fs::write(file, text)
                .map_err(|error| CliError::new(format!("cannot write `{}`: {error}", file.display())))?;
        }
        // Names and messages are the files': a merge request must not repaint its own failure.
        let text = if self.json { tested.json(good) } else { lines_shown(&tested.table(failed)) };
        print(&text)?;
        if let Some(coverage) = tested.coverage.as_ref().filter(|_| !self.json) {
            print(&lines_shown(&coverage.table(self.min_coverage)))?;
        }
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }
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
            let kept = match self.outcomes.len().saturating_sub(failed) {
                0 => String::new(),
                kept => format!(", although {} out as expected", count(kept, "case comes", "cases come")),
            };
            writeln!(text, "\n{faults}: the set does not go live{kept}")
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
        let error = |error: &Finding| {
            let (line, column) = (error.place.line, error.place.column);
            json!({"file": &*error.file, "line": line, "column": column, "code": error.code.id(), "problem": error.message})
        };
        let cases: Vec<Value> = self.outcomes.iter().map(case).collect();
        let errors: Vec<Value> = self.errors.iter().map(error).collect();
        let coverage = self.coverage.as_ref().map(Coverage::json);
        pretty(&json!({"ok": good, "cases": cases, "errors": errors, "coverage": coverage}))
    }
}

/// Each case with the time that it takes; none where its file is not of a kind that is rehearsed.
#[allow(clippy::disallowed_methods, reason = "measures")]
fn timed<'o>(outcomes: &'o [CaseOutcome], rehearsal: &Rehearsal) -> Vec<junit::Timed<'o>> {
    let took = |outcome: &CaseOutcome| {
        let mut cases = rehearsal.cases().iter();
        let case = cases.find(|case| case.file == outcome.file && case.name == outcome.name)?;
        let set = rehearsal.built()?;
        let target = set.target(case.target.as_str())?;
        let start = Instant::now();
        let _ = set.evaluate(&case.issuer, &case.claims, target, case.at);
        Some(start.elapsed())
    };
    outcomes.iter().map(|outcome| (outcome, took(outcome).unwrap_or_default())).collect()
}
