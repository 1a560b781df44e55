//! `cambio policy check`: what is wrong with the files, or odd about them, before anybody's token comes.

use std::fmt::Write as _;
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use clap::Args;
use serde_json::{Value, json};

use super::super::text::{count, shown};
use super::super::{Answer, CliError, NO, pretty, print};
use super::files::{Files, Found};
use super::report::Report;
use crate::policy::{Code, Finding, Inspection, LoadError, Rule, Severity, Target, limits};
use crate::secrets::acl::{AclDocuments, AclErrors};

/// Check all policy files: their shape, their expressions against the claims of their issuers, and habits that let people
/// in; run their cases; and check the access documents beside them.
#[derive(Debug, Args)]
#[command(after_help = "A warning counts, unless the file accepts it with a reason:
  accept: [{finding: P0305, because: \"the group's name is reserved\"}]
in the file, in a rule, or beside a condition. `cambio policy why P0305` shows the page of a code.

Exit codes: 0 no finding that counts, 1 there are some, 2 nothing could be checked.

Examples:
  cambio policy check policies                           issuers are those that the files name
  cambio policy check policies/group-pipelines.yaml      one file
  cambio policy check --config cambio.yaml               as `cambio serve` would load them
  cambio policy check policies --issuer prod-cluster=kubernetes
  cambio policy check policies --sarif > cambio.sarif    for a code-scanning service")]
pub(super) struct Check {
    #[command(flatten)]
    files: Files,
    /// Print a JSON document.
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Print a SARIF 2.1.0 log, with paths relative to the current directory.
    #[arg(long)]
    sarif: bool,
    /// Let warnings pass: only errors fail.
    #[arg(long)]
    allow_warnings: bool,
    /// Show what the files accept, too.
    #[arg(long)]
    accepted: bool,
    /// Show the steps that each rule can take at most, whatever the claims.
    #[arg(long)]
    costs: bool,
}

impl Check {
    pub(super) fn run(self) -> Answer {
        let found = self.files.find()?;
        let inspection = found.inspect()?;
        let acl = AclDocuments::load(&found.directory);
        let faults = acl.as_ref().err().map(AclErrors::errors).unwrap_or_default();
        let all = inspection.findings().iter().cloned().chain(faults.iter().map(LoadError::finding));
        let findings: Vec<Finding> = all.filter(|finding| found.is_meant(&finding.file)).collect();
        for warning in acl.iter().flat_map(AclDocuments::warnings).filter(|odd| found.is_meant(&odd.file)) {
            eprintln!("{}", shown(&warning.to_string()));
        }
        let unreadable = |finding: &Finding| matches!(finding.code, Code::Unreadable | Code::Internal);
        if !findings.is_empty() && findings.iter().all(unreadable) {
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            return Err(CliError::new(lines.join("\n")));
        }
        let targets = targets(&inspection, &found);
        if findings.is_empty() && inspection.set().is_some() && targets.is_empty() {
            let what = format!("there is no policy file below `{}`; nothing was checked", found.shown.display());
            return Err(CliError::new(format!("{what}\n  policy files end with `.yaml` or `.yml`")));
        }
        let report = Report::new(&found.directory, findings);
        let errors = report.counting(Severity::Error);
        let warnings = if self.allow_warnings { 0 } else { report.counting(Severity::Warning) };
        let good = errors + warnings == 0;
        let text = if self.sarif {
            pretty(&report.to_sarif())
        } else if self.json {
            pretty(&document(&report, &targets, good))
        } else {
            let coloured = AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
            let costs = if self.costs { costs(&targets) } else { String::new() };
            format!("{}{costs}{}", report.told(self.accepted, coloured), summary(&report, &targets))
        };
        print(&text)?;
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }
}

/// The targets of the files that were meant; none where an error keeps the set from loading.
fn targets<'a>(inspection: &'a Inspection, found: &Found) -> Vec<&'a Target> {
    let all = inspection.set().map(|set| set.targets()).unwrap_or_default();
    all.iter().filter(|target| found.is_meant(target.file())).collect()
}

fn document(report: &Report, targets: &[&Target], good: bool) -> Value {
    let mut document = report.to_json();
    let rule = |target: &Target, rule: &Rule| {
        json!({
            "target": target.name().as_str(), "rule": rule.name(), "file": report.path_of(target.file()), "steps": rule.steps(), "most_steps": most(rule),
        })
    };
    let rules = targets.iter().flat_map(|target| target.rules().iter().map(|one| rule(target, one)));
    document.insert("rules".to_owned(), rules.collect());
    document.insert("most_steps".to_owned(), json!(limits::STEPS));
    document.insert("ok".to_owned(), json!(good));
    Value::from(document)
}

fn summary(report: &Report, targets: &[&Target]) -> String {
    let counted = report.counted();
    if targets.is_empty() {
        return format!("{counted}; a set with an error in it does not go live\n");
    }
    let rules = targets.iter().map(|target| target.rules().len()).sum();
    let (targets, rules) = (count(targets.len(), "target", "targets"), count(rules, "rule", "rules"));
    format!("{counted} in {targets} with {rules}\n")
}

/// The bound on a rule's steps: a role has one of its own.
fn most(rule: &Rule) -> u64 {
    if rule.questions().is_some() { limits::ROLE_STEPS } else { limits::STEPS }
}

/// Each rule's steps against the bound, which holds for the rules of one target and one issuer together.
fn costs(targets: &[&Target]) -> String {
    let row = |target: &Target, rule: &Rule| {
        let hundredths = rule.steps().saturating_mul(10_000) / most(rule);
        let share = format!("{}.{:02} %", hundredths / 100, hundredths % 100);
        [shown(target.name().as_str()), shown(rule.name()), rule.steps().to_string(), share]
    };
    let mut rows = vec![["target", "rule", "steps", "of the bound"].map(str::to_owned)];
    rows.extend(targets.iter().flat_map(|target| target.rules().iter().map(|one| row(target, one))));
    let width =
        |column: fn(&[String; 4]) -> &String| rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0);
    let (first, second, third) = (width(|[a, ..]| a), width(|[_, b, ..]| b), width(|[_, _, c, _]| c));
    let mut text = String::new();
    for [target, rule, steps, share] in &rows {
        let _ = writeln!(text, "{target:first$}  {rule:second$}  {steps:>third$}  {share:>12}");
    }
    let (bound, role) = (limits::STEPS, limits::ROLE_STEPS);
    let _ = writeln!(
        text,
        "at most {bound} steps for the rules of one target and one issuer together; {role} for a role of OpenBao\n"
    );
    text
}
