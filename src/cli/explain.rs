//! `cambio explain`: why a decision was made, from the record that it left and the policies of its time.

mod account_reasons;
mod admin_reasons;
mod reasons;
mod role;
pub(super) mod rules;
mod secret_reasons;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use reasons::meaning;
use rules::SetOfThen;

use super::audit::on_database;
use super::text::shown;
use super::{Answer, CliError, NO, pretty, print};
use crate::audit::{Decisions, Record, Sink, find};
use crate::config::Config;
use crate::identity::{DecisionId, IssuerName};

/// Tell why a request was allowed or denied, by the id that the caller got.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the record is printed, 1 there is no such record, 2 the journal could not be read.

Examples:
  cambio explain 019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f --config cambio.yaml
  cambio explain 019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f --journal /var/lib/cambio/audit/decisions.jsonl --json
Where `audit.claims` is `values`, the rules are walked once more with the claims of then; else it is shown where each rule
ended, and which claims the token had. The policy set of then is kept for the last 20 sets that went live."
)]
pub(super) struct Explain {
    /// The decision's id: `decision_id` of the error, or the header `Cambio-Decision`.
    #[arg(value_name = "DECISION-ID")]
    id: String,
    /// The configuration file, which names the journal and the policies; default `cambio.yaml`.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The journal file, where it is another; full ones beside it are searched too.
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
        let config = rules::config(self.config.as_deref(), self.journal.is_none())?;
        let journal = match (self.journal, config.as_ref().map(|config| &config.audit.sink)) {
            (Some(journal), _) => journal,
            (None, Some(Sink::File { path, .. })) => path.clone(),
            (None, _) => {
                let text = "the journal goes to standard output; give the file that it was collected in as `--journal`";
                return Err(CliError::new(text));
            }
        };
        let failed = |error| CliError::new(format!("cannot read the journal `{}`: {error}", journal.display()));
        if !journal.try_exists().map_err(failed)? {
            return Err(CliError::new(format!(
                "there is no journal `{}`; is this the configuration that cambio runs with?",
                journal.display()
            )));
        }
        let mut found = find(&journal, id).map_err(failed)?;
        let mut store = None;
        if let (None, Some(config)) = (&found, &config) {
            match in_store(config, id) {
                Ok(record) => found = record,
                Err(error) => store = Some(error),
            }
        }
        let Some(record) = found else {
            eprintln!("cambio: no record of {id} in `{}` and the full files beside it", journal.display());
            match store {
                Some(error) => eprintln!("  the store could not be asked: {error}"),
                None => eprintln!("  another replica may have decided, or it is older than what is kept"),
            }
            return Ok(ExitCode::from(NO));
        };
        print(&explained(&record, config.as_ref(), self.json))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The record as the store has it; none where there is no store.
fn in_store(config: &Config, id: DecisionId) -> Result<Option<Record>, String> {
    let found = on_database(config, async |database| Decisions::new(database).find(id).await)?;
    Ok(found.flatten().map(|decision| decision.record))
}

/// A record with what is known beyond it, for people or as JSON.
pub(super) fn explained(record: &Record, config: Option<&Config>, as_json: bool) -> String {
    let set = SetOfThen::find(record, config);
    let masked = masked(record, config);
    if as_json {
        pretty(&json(&masked, &rules::json(record, &set)))
    } else {
        told(&masked) + &rules::told(record, &set)
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
    let meaning = record.reason.as_deref().and_then(meaning);
    line("that is", meaning.as_ref().map(|meaning| meaning.says));
    line("next", meaning.as_ref().map(|meaning| meaning.next));
    line("time", Some(&record.time));
    line("surface", surface.as_str());
    line("remote", record.remote.map(|remote| remote.to_string()).as_deref());
    line("operation", record.operation.as_deref());
    line("path", record.path.as_deref());
    line("target", record.target.as_deref());
    line("claimed issuer", record.claimed_issuer.as_deref());
    line("issuer", record.issuer.as_deref());
    line("subject", record.subject.as_deref());
    line("account", record.account.as_deref());
    line("family", record.family.as_deref());
    line("exchange", record.exchange.as_deref());
    line("namespace", record.namespace.as_deref());
    line("action", record.action.as_deref());
    line("object", record.object.as_deref());
    line("before", record.before.as_ref().map(Value::to_string).as_deref());
    line("after", record.after.as_ref().map(Value::to_string).as_deref());
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
    text
}

/// The record without the values of claims that the platform calls secret.
fn masked(record: &Record, config: Option<&Config>) -> Record {
    let mut record = record.clone();
    let catalog = config.map(Config::catalog);
    let issuer = record.issuer.as_deref().and_then(|name| IssuerName::new(name).ok());
    let facts = issuer.and_then(|issuer| catalog.as_ref().and_then(|catalog| catalog.find(&issuer)));
    if let (Some(schema), Some(Value::Object(claims))) =
        (facts.and_then(|one| one.schema.as_deref()), &mut record.claims)
    {
        for (_, value) in claims.iter_mut().filter(|(name, _)| schema.hides(name)) {
            *value = Value::from("[hidden]");
        }
    }
    record
}

/// The record with what is known beyond it.
fn json(record: &Record, policy: &Value) -> Value {
    let meaning = record.reason.as_deref().and_then(meaning);
    let (says, next) = (meaning.as_ref().map(|meaning| meaning.says), meaning.as_ref().map(|meaning| meaning.next));
    let mut told = serde_json::to_value(record).unwrap_or_default();
    if let Some(members) = told.as_object_mut() {
        members.insert("explained".to_owned(), serde_json::json!({"says": says, "next": next, "policy": policy}));
    }
    told
}

fn claims(claims: &Value) -> String {
    match claims {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
