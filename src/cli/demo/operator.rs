//! The operator's side of a decision: its audit record, found by the id that the caller got, and the policy file beside it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::screen::Screen;
use crate::audit::{self, Record};
use crate::cli::CliError;
use crate::exchange::Counter;
use crate::identity::DecisionId;
use crate::policy::{Part, Rule, Target};

/// How long a record may take to its file.
const PATIENCE: Duration = Duration::from_secs(2);

/// Somebody with access to the journal.
pub(super) struct Operator {
    pub(super) counter: Arc<Counter>,
    pub(super) journal: PathBuf,
}

impl Operator {
    /// The record of that decision.
    pub(super) async fn looks_up(&self, id: &str) -> Result<Record, CliError> {
        let asked = DecisionId::parse(id).ok_or_else(|| CliError::new(format!("`{id}` is no decision's id")))?;
        let (counter, journal) = (Arc::clone(&self.counter), self.journal.clone());
        let found = tokio::task::spawn_blocking(move || {
            counter.journal().flush(PATIENCE);
            audit::find(&journal, asked)
        });
        let found = found.await.map_err(CliError::new)?.map_err(CliError::new)?;
        found.ok_or_else(|| CliError::new(format!("the journal has no record of the decision {id}")))
    }

    /// Says why: the rules that were tried, and where the one that decided stands.
    pub(super) fn explains(&self, record: &Record, screen: &Screen) {
        screen.row("operator", &format!("finds the decision {} in the audit journal", record.id));
        if let Some(detail) = &record.detail {
            screen.row("because", &format!("{detail} ({})", record.reason.as_deref().unwrap_or_default()));
        }
        let rules = self.counter.rules();
        let target = record.target.as_deref().and_then(|name| rules.policies.target(name));
        for tried in record.trace.iter().filter_map(Value::as_array).flatten() {
            if let Some(target) = target {
                explain_rule(tried, target, record, screen);
            }
        }
    }
}

fn explain_rule(tried: &Value, target: &Target, record: &Record, screen: &Screen) {
    let named = tried.get("rule").and_then(Value::as_str).unwrap_or_default();
    let held = tried.get("held").and_then(Value::as_u64).unwrap_or_default();
    let Some(rule) = target.rules().iter().find(|rule| rule.name() == named) else { return };
    let unmet = tried.get("condition").and_then(Value::as_u64).and_then(|index| u16::try_from(index).ok());
    let Some(unmet) = unmet.map(Part::Condition) else {
        let place = format!("policies/{}:{}", target.file(), rule.place().line);
        return screen.row("rule", &format!("`{named}` ({place}): all {held} conditions held"));
    };
    let source = rule.source_of(unmet).unwrap_or_default();
    let line = rule.place_of(unmet).unwrap_or(rule.place()).line;
    let place = format!("policies/{}:{line}", target.file());
    screen.row("rule", &format!("`{named}`: {held} conditions held, the next did not ({place})"));
    screen.row("", source);
    for (claim, value) in claims_of(rule, source, record) {
        screen.row("token", &format!("has {claim} {value}"));
    }
}

/// The claims that the condition mentions, as the token had them.
fn claims_of<'r>(rule: &'r Rule, source: &'r str, record: &'r Record) -> impl Iterator<Item = (&'r str, &'r Value)> {
    let mentioned = rule.claims().filter(move |claim| source.contains(claim));
    mentioned.filter_map(|claim| Some((claim, record.claims.as_ref()?.get(claim)?)))
}
