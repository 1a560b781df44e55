//! `cambio policy diff`: whose decisions change where one policy set takes the place of another.
//!
//! Decides what is asked of both: all cases of both, and the recorded decisions whose claims were kept by value.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::super::steps;
use super::super::text::{count, shown};
use super::super::{Answer, CliError, NO, pretty, print};
use super::files::guessed;
use super::recorded::{Asked, Origin, Recorded};
use super::revision::Side;
use crate::audit::Sink;
use crate::config::Config;
use crate::policy::{Catalog, Change, ChangeKind, Question, Rehearsal, RehearsedCase, Severity, Verdict};

/// List every decision that changes between two policy sets: those newly permitted first.
#[derive(Debug, Args)]
#[command(
    after_help = "A and B are directories, or git revisions: `REV:path`, or `REV` for the path of the other side. All cases of both sets are
put to both, and so are the recorded decisions of the journal whose claims were kept (`audit.claims: values`).
Exit codes: 0 nothing changes, 1 something does, 2 the sets could not be compared.
Examples:
  cambio policy diff main policies                          what this working copy changes
  cambio policy diff main:policies HEAD:policies --config cambio.yaml
  cambio policy diff old new --journal decisions.jsonl --fail-on newly-permitted"
)]
pub(super) struct Diff {
    /// The set that is.
    #[arg(value_name = "A")]
    before: String,
    /// The set that is to be.
    #[arg(value_name = "B")]
    after: String,
    /// The configuration, for its issuers and its journal.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The journal of recorded decisions; full ones beside it are read, too.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Only the cases, not the recorded decisions.
    #[arg(long, conflicts_with = "journal")]
    cases: bool,
    /// Which changes make the exit code 1.
    #[arg(long, value_name = "CHANGE", value_enum, default_value_t = FailOn::Any)]
    fail_on: FailOn,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

/// Which changes are a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Every one.
    Any,
    /// A permit, or a policy in one, that was not given before.
    NewlyPermitted,
}

/// What came of it.
struct Compared {
    changes: Vec<(Asked, Change)>,
    cases: usize,
    recorded: Recorded,
    /// Cases of either set that come out otherwise than they say.
    broken: Vec<String>,
}

impl Diff {
    pub(super) fn run(self) -> Answer {
        let config = self.config.as_deref().map(Config::load_without_secrets).transpose().map_err(CliError::new)?;
        let fallback =
            config.as_ref().map_or_else(|| "policies".to_owned(), |config| config.policies.display().to_string());
        let same = |other: &str| match other.split_once(':') {
            _ if Path::new(other).is_dir() => other.to_owned(),
            Some((_, path)) => path.to_owned(),
            None => fallback.clone(),
        };
        let before = Side::find(&self.before, &same(&self.after))?;
        let after = Side::find(&self.after, &same(&self.before))?;
        let catalog = match &config {
            Some(config) => config.catalog(),
            None => guessed(guessed(Catalog::default(), |catalog| before.load(catalog)), |catalog| after.load(catalog)),
        };
        let (before, after) = (rehearsed(&before, &self.before, &catalog)?, rehearsed(&after, &self.after, &catalog)?);
        let (Some(old), Some(new)) = (before.built(), after.built()) else {
            return Err(CliError::new("nothing was loaded"));
        };
        let cases = cases(&before, &after);
        let recorded = match self.journal(config.as_ref()) {
            Some(path) => Recorded::read(path, [old, new])?,
            None => Recorded::default(),
        };
        let mut compared = Compared { changes: vec![], cases: cases.len(), recorded, broken: broken(&before, &after) };
        let decisions = std::mem::take(&mut compared.recorded.asked);
        for asked in cases.into_iter().chain(decisions) {
            compared.changes.extend(old.change(new, &asked.question).map(|change| (asked, change)));
        }
        compared.changes.sort_by_key(|(_, change)| change.kind);
        let fails = |change: &Change| self.fail_on == FailOn::Any || change.kind.permits_more();
        let fails = compared.changes.iter().any(|(_, change)| fails(change));
        print(&if self.json { compared.json() } else { compared.told() })?;
        Ok(if fails { ExitCode::from(NO) } else { ExitCode::SUCCESS })
    }

    /// The journal, where there is one to read.
    fn journal<'a>(&'a self, config: Option<&'a Config>) -> Option<&'a Path> {
        match (&self.journal, config.map(|config| &config.audit.sink)) {
            (Some(path), _) => Some(path),
            (None, Some(Sink::File { path, .. })) if !self.cases && path.exists() => Some(path),
            _ => None,
        }
    }
}

/// The set with its cases; that a case comes out otherwise is no reason not to compare.
fn rehearsed(side: &Side, name: &str, catalog: &Catalog) -> Result<Rehearsal, CliError> {
    let rehearsal = side.rehearse(catalog).map_err(CliError::new)?;
    if rehearsal.built().is_none() {
        let faults = rehearsal.inspection().counting(Severity::Error).map(ToString::to_string).collect::<Vec<_>>();
        return Err(CliError::new(format!("the policies of `{}` do not load\n{}", shown(name), faults.join("\n"))));
    }
    Ok(rehearsal)
}

/// The cases of both, each question once.
fn cases(before: &Rehearsal, after: &Rehearsal) -> Vec<Asked> {
    let mut asked = BTreeMap::new();
    for case in before.cases().iter().chain(after.cases()) {
        let RehearsedCase { file, place, name, target, issuer, claims, at, .. } = case;
        let key = json!([&**file, target.as_str(), issuer.as_str(), claims, at.as_millis()]).to_string();
        let question =
            Question { target: target.as_str().to_owned(), issuer: issuer.clone(), claims: claims.clone(), at: *at };
        let origin = Origin::Case { file: file.to_string(), line: place.line, name: name.clone() };
        asked.insert(key, Asked { question, origin });
    }
    asked.into_values().collect()
}

fn broken(before: &Rehearsal, after: &Rehearsal) -> Vec<String> {
    let of = |side: &'static str, rehearsal: &Rehearsal| {
        let outcomes = rehearsal.inspection().outcomes().iter().filter(|outcome| outcome.failure.is_some());
        outcomes.map(|one| format!("{side}: {}:{} {}", one.file, one.place.line, one.name)).collect::<Vec<_>>()
    };
    [of("A", before), of("B", after)].concat()
}

impl Compared {
    fn told(&self) -> String {
        let mut text = String::new();
        let mut kind = None;
        for (asked, change) in &self.changes {
            if kind != Some(change.kind) {
                kind = Some(change.kind);
                let of_kind = self.changes.iter().filter(|(_, other)| other.kind == change.kind).count();
                let _ = writeln!(text, "{} ({of_kind})", change.kind.title());
            }
            let _ = match &asked.origin {
                Origin::Case { file, line, name } => writeln!(text, "  case `{}` ({file}:{line})", shown(name)),
                Origin::Decision { id, time, alike: 0 } => writeln!(text, "  decision {id} of {time}"),
                Origin::Decision { id, time, alike } => {
                    writeln!(text, "  decision {id} of {time}, and {alike} like it")
                }
            };
            let question = &asked.question;
            let _ = writeln!(text, "    target {}, issuer {}", shown(&question.target), question.issuer.as_str());
            let _ = writeln!(text, "    A  {}", shown(&change.before.to_string()));
            let _ = writeln!(text, "    B  {}", shown(&change.after.to_string()));
            for difference in &change.differences {
                let _ = writeln!(text, "       {}", shown(difference));
            }
        }
        if !self.changes.is_empty() {
            text.push('\n');
        }
        for broken in &self.broken {
            let _ = writeln!(text, "a case comes out otherwise than it says in {}", shown(broken));
        }
        let asked = format!("{}, {}", count(self.cases, "case", "cases"), self.decisions());
        let _ = match self.changes.len() {
            0 => writeln!(text, "{asked}: nothing changes"),
            some => writeln!(text, "{asked}: {}", count(some, "change", "changes")),
        };
        text
    }

    fn decisions(&self) -> String {
        let recorded = &self.recorded;
        let mut text = count(recorded.replayed, "recorded decision", "recorded decisions");
        if recorded.without_values > 0 {
            let _ = write!(
                text,
                " ({} more could not be replayed: their claims were not kept, see `audit.claims`)",
                recorded.without_values
            );
        }
        if recorded.beyond > 0 {
            let _ = write!(text, " ({} more were left out: there are too many different ones)", recorded.beyond);
        }
        text
    }

    fn json(&self) -> String {
        let verdict = |verdict: &Verdict| match verdict {
            Verdict::Permit(grant) => steps::granted_json(grant),
            Verdict::Denied(reason) => json!({"permit": false, "reason": reason.code(), "detail": reason.to_string()}),
            Verdict::NoTarget => json!({"permit": false, "reason": "target_unknown"}),
        };
        let change = |(asked, change): &(Asked, Change)| {
            let origin = match &asked.origin {
                Origin::Case { file, line, name } => json!({"case": name, "file": file, "line": line}),
                Origin::Decision { id, time, alike } => json!({"decision": id, "time": time, "alike": alike}),
            };
            json!({
                "change": change.kind.code(), "origin": origin, "target": asked.question.target,
                "issuer": asked.question.issuer.as_str(), "before": verdict(&change.before), "after": verdict(&change.after),
                "differences": change.differences,
            })
        };
        let counted = |kind: ChangeKind| self.changes.iter().filter(|(_, change)| change.kind == kind).count();
        let kinds =
            [ChangeKind::NewlyPermitted, ChangeKind::MorePolicies, ChangeKind::NewlyDenied, ChangeKind::Changed];
        let counts: serde_json::Map<String, Value> =
            kinds.into_iter().map(|kind| (kind.code().to_owned(), Value::from(counted(kind)))).collect();
        pretty(&json!({
            "changes": self.changes.iter().map(change).collect::<Vec<_>>(), "counts": counts, "cases": self.cases,
            "decisions": self.recorded.replayed, "not_replayable": self.recorded.without_values,
            "left_out": self.recorded.beyond, "broken_cases": self.broken,
        }))
    }
}
