//! `cambio explain`: why a decision was made, from the record that it left.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::text::shown;
use super::{Answer, CliError, NO, pretty, print};
use crate::audit::{Record, Sink, find};
use crate::config::Config;
use crate::identity::DecisionId;

/// Tell why a request was allowed or denied, by the id that the caller got.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the record is printed, 1 there is no such record, 2 the journal could not be read.

Examples:
  cambio explain 019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f --config cambio.yaml
  cambio explain 019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f --journal /var/lib/cambio/audit/decisions.jsonl --json"
)]
pub(super) struct Explain {
    /// The decision's id: `decision_id` of the error, or the header `Cambio-Decision`.
    #[arg(value_name = "DECISION-ID")]
    id: String,
    /// The configuration file, which names the journal.
    #[arg(long, short, value_name = "FILE", default_value = "cambio.yaml", conflicts_with = "journal")]
    config: PathBuf,
    /// The journal file; full ones beside it are searched too.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Print the record as JSON.
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(self) -> Answer {
        let text = self.id.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
        let odd = || {
            let example = "019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f";
            CliError::new(format!(
                "`{}` is no decision id; it is the `decision_id` of the error that the caller got, e.g. {example}",
                shown(&super::token_text::struck(&self.id))
            ))
        };
        let id = DecisionId::parse(&text).ok_or_else(odd)?;
        let journal = match self.journal {
            Some(journal) => journal,
            None => match Config::load(&self.config).map_err(CliError::new)?.audit.sink {
                Sink::File { path, .. } => path,
                Sink::Stdout => {
                    let text =
                        "the journal goes to standard output; give the file that it was collected in as `--journal`";
                    return Err(CliError::new(text));
                }
            },
        };
        let failed = |error| CliError::new(format!("cannot read the journal `{}`: {error}", journal.display()));
        if !journal.try_exists().map_err(failed)? {
            return Err(CliError::new(format!(
                "there is no journal `{}`; is this the configuration that cambio runs with?",
                journal.display()
            )));
        }
        let Some(record) = find(&journal, id).map_err(failed)? else {
            eprintln!("cambio: no record of {id} in `{}` and the full files beside it", journal.display());
            eprintln!("  another replica may have decided, or its file was deleted since (`audit.keep`)");
            return Ok(ExitCode::from(NO));
        };
        let text = if self.json { pretty(&serde_json::to_value(&record).unwrap_or_default()) } else { told(&record) };
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The record, from what was asked to what was decided.
fn told(record: &Record) -> String {
    let mut text = String::new();
    let surface = serde_json::to_value(record.surface).unwrap_or_default();
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<15} {}", shown(value));
        }
    };
    line("decision", Some(&record.id));
    line("outcome", Some(&record.outcome));
    line("reason", record.reason.as_deref());
    line("detail", record.detail.as_deref());
    line("time", Some(&record.time));
    line("surface", surface.as_str());
    line("remote", record.remote.map(|remote| remote.to_string()).as_deref());
    line("target", record.target.as_deref());
    line("claimed issuer", record.claimed_issuer.as_deref());
    line("issuer", record.issuer.as_deref());
    line("subject", record.subject.as_deref());
    line("key id", record.key_id.as_deref());
    line("token (sha256)", record.token.as_deref());
    line("claims", record.claims.as_ref().map(claims).as_deref());
    line("policy set", record.policy_set.as_deref());
    line("rule", record.rule.as_deref());
    for policy in &record.policies {
        line("policy", Some(policy));
    }
    line("token id", record.jti.as_deref());
    line("expires", record.expires.as_deref());
    line("lifetime", record.lifetime_s.map(|seconds| format!("{seconds} s")).as_deref());
    line("took", record.latency_us.map(|micros| format!("{micros} µs")).as_deref());
    let tried = record.trace.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !tried.is_empty() {
        text.push_str("\nrules that were tried, in order\n");
    }
    for rule in tried {
        let _ = writeln!(text, "  {}", shown(&trial(rule)));
    }
    text
}

/// One rule of a trace; positions count from 1 here, as a reader counts.
fn trial(rule: &Value) -> String {
    let name = rule.get("rule").and_then(Value::as_str).unwrap_or("?");
    let held = rule.get("held").and_then(Value::as_u64).unwrap_or(0);
    match rule.get("end").and_then(Value::as_str) {
        Some("granted") => format!("{name}: all {held} conditions hold; granted"),
        Some("unmet") => {
            let condition = rule.get("condition").and_then(Value::as_u64).unwrap_or(0) + 1;
            format!("{name}: {held} held, then condition {condition} did not")
        }
        Some("failed") => {
            let at = rule.get("at").and_then(Value::as_str).unwrap_or("?");
            format!("{name}: {held} held, then `{at}` failed; that denies, whatever the next rule says")
        }
        _ => rule.to_string(),
    }
}

fn claims(claims: &Value) -> String {
    match claims {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
