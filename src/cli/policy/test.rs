//! `cambio policy test`: the promises of the files, kept or broken.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::text::count;
use super::super::{Answer, CliError, NO, pretty, print};
use super::files::Files;
use crate::policy::{CaseOutcome, Code, Finding, Severity};

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
pub(super) struct Test {
    #[command(flatten)]
    files: Files,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

/// What came of the files.
struct Tested {
    outcomes: Vec<CaseOutcome>,
    errors: Vec<Finding>,
}

impl Test {
    pub(super) fn run(self) -> Answer {
        let found = self.files.find()?;
        let inspection = found.inspect()?;
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
        let tested = Tested { outcomes, errors };
        let failed = tested.outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
        let good = failed == 0 && tested.errors.is_empty();
        if good && tested.outcomes.is_empty() {
            let what = format!("there are no cases below `{}`; nothing was tested", found.shown.display());
            return Err(CliError::new(format!("{what}\n  policy files end with `.yaml` or `.yml`, and have `cases`")));
        }
        let text = if self.json { tested.json(good) } else { tested.table(failed) };
        print(&text)?;
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
        let error = |error: &Finding| {
            let (line, column) = (error.place.line, error.place.column);
            json!({"file": &*error.file, "line": line, "column": column, "code": error.code.id(), "problem": error.message})
        };
        let cases: Vec<Value> = self.outcomes.iter().map(case).collect();
        let errors: Vec<Value> = self.errors.iter().map(error).collect();
        pretty(&json!({"ok": good, "cases": cases, "errors": errors}))
    }
}
