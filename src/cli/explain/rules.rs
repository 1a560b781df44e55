//! The rules of a recorded decision, by the policy set of its time.
//!
//! Decides which set that is: the one that is kept under the record's digest, else the files as they are now, if they are
//! still the same. Refuses to explain by any other.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::role;
use crate::audit::Record;
use crate::cli::CliError;
use crate::cli::steps;
use crate::cli::text::shown;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::identity::IssuerName;
use crate::policy::{Archive, Catalog, Part, PolicySet, Rehearsal, Rule, Target};
use crate::trust::Platforms;

/// The policy set of a decision.
pub(super) enum SetOfThen {
    /// It is here.
    Here { rehearsal: Box<Rehearsal>, catalog: Catalog, from: &'static str },
    /// It is not; why.
    Gone(String),
}

impl SetOfThen {
    /// Looks for the set that `record` names.
    pub(super) fn find(record: &Record, config: Option<&Config>) -> Self {
        let Some(digest) = record.policy_set.as_deref() else {
            return Self::Gone("no policy was asked: the decision fell before".to_owned());
        };
        let Some(config) = config else {
            return Self::Gone("the text of the rules needs the configuration: give `--config`, too".to_owned());
        };
        let mut catalog = config.catalog();
        // An issuer may have been taken out since.
        if let Some(issuer) = record.issuer.as_deref().and_then(|name| IssuerName::new(name).ok())
            && catalog.find(&issuer).is_none()
        {
            catalog.add_guessing(issuer, &Platforms::embedded());
        }
        let here = |rehearsal: Rehearsal, from| {
            let rehearsal = Box::new(rehearsal);
            Self::Here { rehearsal, catalog: catalog.clone(), from }
        };
        let mut gone =
            format!("the policy set {} of then is not kept (the last {} are)", short(digest), crate::policy::KEPT_SETS);
        match Archive::existing(&config.data)
            .and_then(|archive| archive.map_or(Ok(None), |archive| archive.set(digest, &catalog)))
        {
            Ok(Some(rehearsal)) if rehearsal.built().is_some() => return here(rehearsal, "kept from then"),
            Ok(_) => {}
            Err(error) => gone = format!("the policy set {} of then can't be read: {error}", short(digest)),
        }
        match PolicySet::rehearse(&config.policies, &catalog) {
            Ok(now) if now.built().is_some_and(|set| set.digest().to_string() == digest) => {
                here(now, "the files as they are now")
            }
            _ => Self::Gone(format!("{gone}, and the files are others now")),
        }
    }

    /// The set and the record's target in it.
    fn target(&self, record: &Record) -> Option<(&PolicySet, &Target)> {
        let Self::Here { rehearsal, .. } = self else { return None };
        let set = rehearsal.built()?;
        Some((set, set.target(record.target.as_deref()?)?))
    }
}

/// What the rules said: step by step where the record has the claims' values, else where each rule ended.
pub(super) fn told(record: &Record, set: &SetOfThen) -> String {
    let mut text = String::new();
    if tried(record).next().is_none() {
        return text;
    }
    match set {
        SetOfThen::Here { from, .. } => {
            let _ = writeln!(text, "\nrules of the policy set {from}\n");
        }
        SetOfThen::Gone(why) => {
            let _ = writeln!(text, "\nrules that were tried, in order ({why})");
        }
    }
    let Some((policies, target)) = set.target(record) else {
        for tried in tried(record) {
            let trial = if role::is_one(record) { role::trial(tried) } else { trial(tried) };
            let _ = writeln!(text, "  {}", shown(&trial));
        }
        return text;
    };
    if let Some(steps) = replayed(record, set, policies, target) {
        text.push_str(&steps);
        return text;
    }
    for tried in tried(record) {
        rule_told(&mut text, tried, target, record);
    }
    text
}

/// For a program: where each expression that decided stands, and what it says.
pub(super) fn json(record: &Record, set: &SetOfThen) -> Value {
    let SetOfThen::Here { from, .. } = set else {
        let SetOfThen::Gone(why) = set else { return Value::Null };
        return serde_json::json!({"policy_set": Value::Null, "why": why});
    };
    let Some((policies, target)) = set.target(record) else { return Value::Null };
    let replay = replay(record, set, policies, target).map(|steps| steps::json(&steps, target));
    let rules: Vec<Value> = tried(record)
        .filter_map(|tried| {
            let (rule, part) = expression(tried, target)?;
            let place = part.and_then(|part| rule.place_of(part)).unwrap_or(rule.place());
            let source = part.and_then(|part| rule.source_of(part));
            Some(serde_json::json!({
                "rule": rule.name(), "at": part.map(|part| part.to_string()), "file": target.file(), "line": place.line,
                "column": place.column, "source": source,
            }))
        })
        .collect();
    serde_json::json!({"policy_set": from, "rules": rules, "steps": replay})
}

fn tried(record: &Record) -> impl Iterator<Item = &Value> {
    record.trace.iter().filter_map(Value::as_array).flatten()
}

/// The rule and the expression at which it was left.
fn expression<'t>(tried: &Value, target: &'t Target) -> Option<(&'t Rule, Option<Part>)> {
    let name = tried.get("rule")?.as_str()?;
    let rule = target.rules().iter().find(|rule| rule.name() == name)?;
    let condition = tried.get("condition").and_then(Value::as_u64).and_then(|index| u16::try_from(index).ok());
    let failed = tried.get("at").and_then(Value::as_str).and_then(Part::parse);
    Some((rule, condition.map(Part::Condition).or(failed)))
}

fn rule_told(text: &mut String, tried: &Value, target: &Target, record: &Record) {
    let expression = expression(tried, target);
    if let (Some(_), Some((rule, part))) = (target.role(), expression) {
        let _ = writeln!(text, "  {}", shown(&role::trial(tried)));
        let parts = part.map(|part| role::decisive(part, rule)).unwrap_or_default();
        parts.iter().for_each(|part| source_told(text, rule, *part, target, &format!("{}  ", role::name(*part))));
        return claims_told(text, parts.iter().flat_map(|part| rule.claims_of(*part)).collect(), record);
    }
    let _ = writeln!(text, "  {}", shown(&trial(tried)));
    let Some((rule, Some(part))) = expression else { return };
    source_told(text, rule, part, target, "");
    if let Some(message) = rule.message_of(part) {
        let _ = writeln!(text, "      {}", shown(message));
    }
    claims_told(text, rule.claims_of(part), record);
}

/// Where an expression stands, and what it says.
fn source_told(text: &mut String, rule: &Rule, part: Part, target: &Target, title: &str) {
    let line = rule.place_of(part).unwrap_or(rule.place()).line;
    let source = rule.source_of(part).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(text, "      {}:{line}  {title}{}", target.file(), shown(&source));
}

/// Which of these claims the token had.
fn claims_told(text: &mut String, claims: BTreeSet<&str>, record: &Record) {
    let known = names(record);
    for claim in claims {
        match known.as_ref().map(|(names, all)| (names.contains(claim), *all)) {
            Some((true, _)) => {
                let _ = writeln!(text, "      the token had the claim `{}`", shown(claim));
            }
            Some((false, true)) => {
                let _ = writeln!(text, "      the token had no claim `{}`", shown(claim));
            }
            Some((false, false)) | None => {}
        }
    }
}

/// The names of the token's claims, and whether these are all.
fn names(record: &Record) -> Option<(BTreeSet<&str>, bool)> {
    let names: BTreeSet<&str> = match record.claims.as_ref()? {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        Value::Object(claims) => claims.keys().map(String::as_str).collect(),
        _ => return None,
    };
    let all = !names.contains("…");
    Some((names, all))
}

/// The claims by value, where the record has them all.
pub(in crate::cli) fn values(record: &Record) -> Option<&Map<String, Value>> {
    let claims = record.claims.as_ref()?.as_object()?;
    let whole = |name: &str, value: &Value| name != "…" && value != "…" && !struck(value);
    claims.iter().all(|(name, value)| whole(name, value)).then_some(claims)
}

/// Whether something in it was left out when the record was written.
fn struck(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("[token]"),
        Value::Array(items) => items.iter().any(struck),
        Value::Object(members) => members.values().any(struck),
        _ => false,
    }
}

fn replay(record: &Record, set: &SetOfThen, policies: &PolicySet, target: &Target) -> Option<crate::policy::Steps> {
    let SetOfThen::Here { catalog, .. } = set else { return None };
    let issuer = IssuerName::new(record.issuer.as_deref()?).ok()?;
    let at = Timestamp::parse(&record.time)?;
    let schema = catalog.find(&issuer).and_then(|facts| facts.schema.as_deref());
    Some(policies.steps(&issuer, values(record)?, target, at, schema))
}

/// The evaluation once more, where it comes to the same as then.
fn replayed(record: &Record, set: &SetOfThen, policies: &PolicySet, target: &Target) -> Option<String> {
    let steps = replay(record, set, policies, target)?;
    let same = match &steps.evaluation.outcome {
        Ok(grant) => record.rule.as_deref() == Some(grant.rule()),
        Err(reason) => record.reason.as_deref() == Some(reason.code()),
    };
    let mut text = steps::told(&steps, target);
    if !same {
        text.push_str(
            "this is not what was decided then: a value was cut in the record, or the decision fell elsewhere\n",
        );
    }
    Some(text)
}

/// One rule of a trace. Positions are those of the record, `require[0]` being the first.
fn trial(tried: &Value) -> String {
    let name = tried.get("rule").and_then(Value::as_str).unwrap_or("?");
    let held = tried.get("held").and_then(Value::as_u64).unwrap_or(0);
    match tried.get("end").and_then(Value::as_str) {
        Some("granted") => format!("{name}: all {held} conditions hold; granted"),
        Some("unmet") => {
            let condition = tried.get("condition").and_then(Value::as_u64).unwrap_or(0);
            format!("{name}: {held} held, then require[{condition}] did not")
        }
        Some("failed") => {
            let at = tried.get("at").and_then(Value::as_str).unwrap_or("?");
            format!("{name}: {held} held, then {at} failed; that denies, whatever the next rule says")
        }
        _ => tried.to_string(),
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// The journal's place, as the configuration has it.
pub(super) fn config(path: Option<&Path>, needed: bool) -> Result<Option<Config>, CliError> {
    match path {
        Some(path) => Config::load_without_secrets(path).map(Some).map_err(CliError::new),
        None if needed => Config::load_without_secrets(Path::new("cambio.yaml")).map(Some).map_err(CliError::new),
        None => Ok(None),
    }
}
