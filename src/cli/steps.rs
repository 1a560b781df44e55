//! A decision step by step, on paper and as JSON: for `policy eval` and `explain`. Decides nothing.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::text::{shown, span};
use crate::policy::{End, Fate, Grant, Note, Part, Reason, RuleSteps, Seen, Step, Steps, Target};

/// The column at which values stand, where the text before them leaves room.
const VALUES: usize = 60;

/// Every rule, with what each expression rested on, and the decision.
pub(super) fn told(steps: &Steps, target: &Target) -> String {
    let mut text = String::new();
    for rule in &steps.rules {
        rule_told(&mut text, rule, target);
    }
    text.push_str(&decided(steps, target));
    text
}

fn rule_told(text: &mut String, rule: &RuleSteps, target: &Target) {
    let name = &rule.name;
    let kind = if rule.is_role { "role" } else { "rule" };
    let place = format!("{}:{}", target.file(), rule.place.line);
    let _ = match &rule.fate {
        Fate::OtherIssuer => writeln!(text, "{kind} {name}  ({place})  not tried: it is for other issuers\n"),
        Fate::NotReached => writeln!(text, "rule {name}  ({place})  not tried: a rule before it decided\n"),
        Fate::Tried(End::Granted) => writeln!(text, "{kind} {name}  ({place})  grants"),
        Fate::Tried(End::Unmet { .. }) if rule.is_role => writeln!(text, "role {name}  ({place})  refuses"),
        Fate::Tried(End::Unmet { .. }) => writeln!(text, "rule {name}  ({place})  does not apply"),
        Fate::Tried(End::Failed { .. }) if rule.is_role => {
            writeln!(text, "role {name}  ({place})  failed: that denies")
        }
        Fate::Tried(End::Failed { .. }) => {
            writeln!(text, "rule {name}  ({place})  failed: that denies, whatever the next rule says")
        }
    };
    if matches!(rule.fate, Fate::Tried(_)) {
        rule.steps.iter().for_each(|step| step_told(text, rule, step));
        text.push('\n');
    }
}

fn step_told(text: &mut String, rule: &RuleSteps, step: &Step) {
    let left = matches!(rule.fate, Fate::Tried(End::Failed { at }) if at == step.part);
    let value = shown(&step.seen.to_string());
    let (mark, title) = match (step.part, &step.seen) {
        (Part::Condition(index), Seen::Value(truth)) if rule.is_role => {
            (if &**truth == "true" { "yes " } else { "no  " }, format!("question {index}"))
        }
        (Part::Answer(index), Seen::Value(_)) if rule.is_role => ("    ", format!("answer {index}")),
        (_, Seen::Fault(_)) => ("ERR ", step.part.to_string()),
        _ if left => ("ERR ", step.part.to_string()),
        (Part::Condition(_), Seen::Value(truth)) => {
            (if &**truth == "true" { "ok  " } else { "NO  " }, step.part.to_string())
        }
        (Part::When(_), Seen::Value(truth)) => {
            (if &**truth == "true" { "ok  " } else { "skip" }, step.part.to_string())
        }
        (Part::Let(_), _) => ("    ", format!("let {}", step.name.as_deref().unwrap_or_default())),
        (Part::Metadata(_), _) => ("    ", format!("metadata {}", step.name.as_deref().unwrap_or_default())),
        (Part::Policy(_) | Part::Answer(_) | Part::Grant, _) => ("    ", step.part.to_string()),
    };
    let source: Vec<&str> = step.source.split_whitespace().collect();
    let _ = writeln!(text, "  {mark}  {title}  {}", shown(&source.join(" ")));
    if let (Some(message), "NO  ") = (&step.message, mark) {
        let _ = writeln!(text, "          {}  (line {})", shown(message), step.place.line);
    }
    if !matches!(mark, "ok  " | "NO  " | "skip" | "yes " | "no  ") {
        let _ = writeln!(text, "          = {value}");
    }
    for note in &step.notes {
        let indent = "  ".repeat(note.depth.min(12));
        let label = format!("          {indent}{}", shown(&note.text));
        let _ = match &note.seen {
            Some(seen) => writeln!(text, "{label:<VALUES$}  {}", shown(&seen.to_string())),
            None => writeln!(text, "{label}"),
        };
    }
}

fn decided(steps: &Steps, target: &Target) -> String {
    match &steps.evaluation.outcome {
        Ok(grant) => granted(grant),
        Err(reason) => denied(steps, target, reason),
    }
}

fn granted(grant: &Grant) -> String {
    let mut text = format!("permit, by rule `{}`\n", grant.rule());
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9} {}", shown(value));
    };
    for policy in grant.policies() {
        line("policy", policy.as_str());
    }
    match grant.ttl() {
        Some(ttl) => line("ttl", &format!("at most {}", span(ttl))),
        None => line("ttl", "as the subject token's and the configuration's bounds allow"),
    }
    if grant.outlive_subject() {
        line("", "the token may outlive the subject token");
    }
    if grant.revocable() {
        line("", "a Vault client revokes the token when it is done");
    }
    let scopes: Vec<&str> = grant.scopes().collect();
    if !scopes.is_empty() {
        line("scopes", &scopes.join(" "));
    }
    text
}

/// Why not, and what each rule lacked first.
fn denied(steps: &Steps, target: &Target, reason: &Reason) -> String {
    let mut text = format!("denied: {}\n  {}\n", reason.code(), shown(&reason.to_string()));
    if let Reason::NoRuleForIssuer = reason {
        let issuers: Vec<&str> = target.issuers().map(|issuer| issuer.as_str()).collect();
        let _ = writeln!(text, "  `{}` has rules for {}", target.name().as_str(), issuers.join(", "));
    }
    let unmet = steps.rules.iter().filter_map(|rule| match rule.fate {
        Fate::Tried(End::Unmet { condition }) if !rule.is_role => Some((rule, Part::Condition(condition))),
        _ => None,
    });
    let lacking: Vec<_> = unmet.collect();
    if !lacking.is_empty() {
        text.push_str("what would have been needed first\n");
    }
    for (rule, part) in lacking {
        let step = rule.steps.iter().find(|step| step.part == part);
        let source = step.map(|step| step.source.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default();
        let line = step.map_or(rule.place.line, |step| step.place.line);
        let _ = writeln!(text, "  {}: {}  ({part}, {}:{line})", rule.name, shown(&source), target.file());
    }
    text
}

/// The same for a program.
pub(super) fn json(steps: &Steps, target: &Target) -> Value {
    let value = |seen: Option<&Seen>| match seen {
        Some(Seen::Value(value)) => Some(value.to_string()),
        Some(Seen::Fault(_)) | None => None,
    };
    let error = |seen: Option<&Seen>| match seen {
        Some(Seen::Fault(fault)) => Some(fault.to_string()),
        Some(Seen::Value(_)) | None => None,
    };
    let step = |step: &Step| {
        let note = |note: &Note| {
            let seen = note.seen.as_ref();
            json!({"text": note.text, "depth": note.depth, "value": value(seen), "error": error(seen)})
        };
        let seen = Some(&step.seen);
        json!({
            "at": step.part.to_string(), "name": step.name.as_deref(), "source": &*step.source, "line": step.place.line,
            "column": step.place.column, "message": step.message.as_deref(), "value": value(seen), "error": error(seen),
            "parts": step.notes.iter().map(note).collect::<Vec<_>>(),
        })
    };
    let rule = |rule: &RuleSteps| {
        let (fate, at) = match rule.fate {
            Fate::OtherIssuer => ("other_issuer", None),
            Fate::NotReached => ("not_reached", None),
            Fate::Tried(End::Granted) => ("granted", None),
            Fate::Tried(End::Unmet { condition }) => ("unmet", Some(Part::Condition(condition))),
            Fate::Tried(End::Failed { at }) => ("failed", Some(at)),
        };
        let steps: Vec<Value> = rule.steps.iter().map(step).collect();
        json!({"rule": &*rule.name, "line": rule.place.line, "end": fate, "at": at.map(|at| at.to_string()), "steps": steps})
    };
    let rules: Vec<Value> = steps.rules.iter().map(rule).collect();
    json!({
        "target": target.name().as_str(), "file": target.file(), "rules": rules,
        "decision": decision(&steps.evaluation.outcome),
    })
}

/// A decision for a program.
fn decision(outcome: &Result<Grant, Reason>) -> Value {
    match outcome {
        Ok(grant) => granted_json(grant),
        Err(reason) => json!({"permit": false, "reason": reason.code(), "detail": reason.to_string()}),
    }
}

/// A grant for a program.
pub(super) fn granted_json(grant: &Grant) -> Value {
    json!({
        "permit": true, "rule": grant.rule(), "policies": grant.policies(),
        "ttl_s": grant.ttl().map(|ttl| ttl.as_secs()), "outlive_subject": grant.outlive_subject(),
        "revocable": grant.revocable(),
        "scopes": grant.scopes().collect::<Vec<_>>(),
    })
}
