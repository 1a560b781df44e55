//! The cases of an imported policy.
//!
//! Decides that the policy promises what the role does: each of the role's cases, with what the role says to it now.
//! Refuses to take an expectation from anywhere else.

use serde_json::{Map, Value, json};

use super::rules::AUDIENCE;
use super::yaml::{Yaml, quoted};
use crate::identity::IssuerName;
use crate::policy::cases::resolve_for;
use crate::policy::decision::{Grant, Reason};
use crate::policy::problem::Faults;
use crate::policy::role::documents::Documents;
use crate::policy::role::refusal::Refusal;
use crate::policy::set::PolicySet;

/// Writes them.
pub(super) fn write(
    documents: &Documents,
    set: &PolicySet,
    issuer: &IssuerName,
    one_audience: bool,
    yaml: &mut Yaml,
    notes: &mut Vec<String>,
) {
    let mut faults = Faults::of(&documents.cases_file);
    let cases = resolve_for(&documents.cases.cases, Some(issuer), &mut faults);
    let Some(target) = set.targets().first().filter(|_| !cases.is_empty()) else { return };
    yaml.line(0, "cases:");
    for (case, written) in cases.iter().zip(&documents.cases.cases) {
        let (vouched, claims, at) = case.asked();
        if claims.values().any(reads_otherwise) {
            notes.push(format!("case `{}` is left out: it is about how OpenBao writes a number", written.name.value));
            continue;
        }
        yaml.line(1, &format!("- name: {}", quoted(&written.name.value)));
        match &written.like {
            Some(like) => {
                yaml.line(2, &format!("like: {}", quoted(like)));
                if !written.with.is_empty() {
                    yaml.line(2, &format!("with: {}", Value::Object(written.with.clone())));
                }
                if !written.without.is_empty() {
                    yaml.line(2, &format!("without: {}", json!(written.without)));
                }
            }
            None => {
                yaml.line(2, &format!("issuer: {vouched}"));
                yaml.line(2, "claims:");
                for (name, value) in claims {
                    yaml.line(3, &format!("{}: {value}", Value::from(name.as_str())));
                }
            }
        }
        if let Some(moment) = written.at.as_ref().and_then(|_| jiff::Timestamp::from_second(at.as_secs()).ok()) {
            yaml.line(2, &format!("at: {}", quoted(&moment.to_string())));
        }
        match set.evaluate(vouched, claims, target, at).outcome {
            Ok(grant) => permit(&grant, yaml),
            // The policy asks for the one text before it asks what the role asks.
            Err(_) if one_audience && claims.get("aud").is_some_and(Value::is_array) => {
                yaml.line(2, &format!("deny: {}", quoted(AUDIENCE)));
            }
            Err(reason) => yaml.line(2, &format!("deny: {}", quoted(&denial(&reason)))),
        }
    }
}

/// Whether there is a number in it that OpenBao writes with an exponent, and cambio does not.
fn reads_otherwise(claim: &Value) -> bool {
    match claim {
        Value::Number(number) => number.as_f64().is_some_and(|number| number.abs() >= 1e6),
        Value::Array(items) => items.iter().any(reads_otherwise),
        Value::Object(members) => members.values().any(reads_otherwise),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn permit(grant: &Grant, yaml: &mut Yaml) {
    let policies: Vec<&str> = grant.policies().iter().map(|policy| policy.as_str()).collect();
    let metadata: Map<String, Value> =
        grant.metadata().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    yaml.line(2, "permit:");
    yaml.line(3, &format!("policies: {}", json!(policies)));
    if let Some(ttl) = grant.ttl() {
        yaml.line(3, &format!("ttl: {}s", ttl.as_secs()));
    }
    yaml.line(3, &format!("metadata: {}", Value::Object(metadata)));
}

fn denial(reason: &Reason) -> String {
    match reason {
        Reason::Refused { refusal: Refusal::Message(said), .. } if said.is_literal() => said.text().to_owned(),
        Reason::Refused { refusal: Refusal::Message(_), .. } => "the role denies with a message of its own".to_owned(),
        Reason::Refused { refusal: Refusal::False, .. } => "the role answers `false`".to_owned(),
        Reason::Refused { refusal: Refusal::Audience, .. } => AUDIENCE.to_owned(),
        other => other.code().to_owned(),
    }
}
