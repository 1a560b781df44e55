//! The promises of a policy file, kept or broken.
//!
//! Decides whether what the rules say about a case's claims is what the case says. Refuses to know files and targets
//! other than the one that a case belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::decision::{Grant, Reason};
use super::document::{CaseDocument, Document, ExpectDenial, ExpectPermit, Place, place};
use super::evaluate::{Evaluation, evaluate};
use super::language::Language;
use super::limits::{CASES, TEXT_BYTES};
use super::problem::{Faults, Problem};
use super::rehearsal::RehearsedCase;
use super::role::Refusal;
use super::rule::Target;
use super::trace::End;
use crate::clock::Timestamp;
use crate::identity::IssuerName;

/// The moment of a case that gives none: 2026-11-18T11:06:40Z. A case should not depend on the day that it runs.
pub(super) const DEFAULT_MOMENT: Timestamp = Timestamp::from_secs(1_795_000_000);

/// How one case came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseOutcome {
    /// The file, relative to the policy directory.
    pub file: Arc<str>,
    /// Where the case stands.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// Whether it expects a permit.
    pub permit: bool,
    /// What is wrong, or nothing.
    pub failure: Option<CaseFailure>,
}

/// A case that came out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFailure {
    /// What the file says.
    pub expected: String,
    /// What the rules say.
    pub got: String,
}

impl fmt::Display for CaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, got {}", self.expected, self.got)
    }
}

/// A case with what it inherits.
pub(super) struct Case<'d> {
    document: &'d CaseDocument,
    issuer: &'d IssuerName,
    claims: Map<String, Value>,
    at: Timestamp,
}

/// Works out the cases of a file. What is not well formed goes to `faults`.
///
/// A case may name an issuer that is not configured here: that no rule is for it is what such a case shows.
pub(super) fn resolve<'d>(document: &'d Document, faults: &mut Faults) -> Vec<Case<'d>> {
    resolve_for(&document.cases, None, faults)
}

/// The same for cases that may leave out their issuer, where there is one that goes without saying.
pub(super) fn resolve_for<'d>(
    written: &'d [CaseDocument],
    usual: Option<&'d IssuerName>,
    faults: &mut Faults,
) -> Vec<Case<'d>> {
    let last = written.last().map(|case| place(&case.name)).unwrap_or_default();
    faults.at_most(last, "cases", written.len(), CASES);
    let mut cases: BTreeMap<&str, usize> = BTreeMap::new();
    let mut resolved: Vec<Case<'d>> = vec![];
    for case in written.iter().take(CASES) {
        let name = case.name.value.as_str();
        let at = place(&case.name);
        if name.trim().is_empty() || name.len() > TEXT_BYTES {
            faults.add(at, Problem::Missing("a case needs a name of at most 1024 bytes"));
        }
        if cases.contains_key(name) {
            faults.add(at, Problem::Duplicate { kind: "a case", name: name.to_owned() });
        }
        let earlier = |name: &str| cases.get(name).and_then(|index| resolved.get(*index));
        match inherit(case, usual, earlier) {
            Ok(case) => {
                cases.insert(name, resolved.len());
                resolved.push(case);
            }
            Err(reason) => faults.add(at, Problem::Case { case: name.to_owned(), reason }),
        }
    }
    resolved
}

fn inherit<'d: 'c, 'c>(
    case: &'d CaseDocument,
    usual: Option<&'d IssuerName>,
    earlier: impl Fn(&str) -> Option<&'c Case<'d>>,
) -> Result<Case<'d>, String> {
    if case.permit.is_some() == case.deny.is_some() {
        return Err("a case says either `permit` or `deny`".to_owned());
    }
    let base = match &case.like {
        None => None,
        Some(like) => Some(earlier(like).ok_or_else(|| format!("no earlier case `{like}` to be like"))?),
    };
    let mut claims = match (&case.claims, base) {
        (Some(claims), None) => claims.clone(),
        (None, Some(base)) => base.claims.clone(),
        (Some(_), Some(_)) => return Err("a case has `claims`, or is `like` another, not both".to_owned()),
        (None, None) => return Err("a case needs `claims`, or a case to be `like`".to_owned()),
    };
    if base.is_none() && !(case.with.is_empty() && case.without.is_empty()) {
        return Err("`with` and `without` change the claims of the case that this one is `like`".to_owned());
    }
    merge(&mut claims, &case.with);
    for path in &case.without {
        remove(&mut claims, path).ok_or_else(|| format!("there is no claim `{path}` to be without"))?;
    }
    let issuer = case.issuer.as_ref().or(base.map(|base| base.issuer));
    let at = case.at.map(|at| at.0).or(base.map(|base| base.at));
    Ok(Case {
        document: case,
        issuer: issuer.or(usual).ok_or("a case needs an `issuer`")?,
        claims,
        at: at.unwrap_or(DEFAULT_MOMENT),
    })
}

/// Objects member by member, everything else replaced. A `null` is a value, as it is in tokens.
fn merge(claims: &mut Map<String, Value>, with: &Map<String, Value>) {
    for (name, value) in with {
        match (claims.get_mut(name), value) {
            (Some(Value::Object(members)), Value::Object(with)) => merge(members, with),
            _ => {
                claims.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Removes a claim by name, or by JSON Pointer (RFC 6901) where the path begins with `/`.
fn remove(claims: &mut Map<String, Value>, path: &str) -> Option<Value> {
    let Some(pointer) = path.strip_prefix('/') else { return claims.remove(path) };
    let mut names: Vec<String> = pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
    let last = names.pop()?;
    let mut members = claims;
    for name in &names {
        members = members.get_mut(name)?.as_object_mut()?;
    }
    members.remove(&last)
}

impl Case<'_> {
    /// The case for those who replay it.
    pub(super) fn rehearsed(&self, target: &Target) -> RehearsedCase {
        RehearsedCase {
            file: Arc::clone(&target.file),
            place: place(&self.document.name),
            name: self.document.name.value.clone(),
            target: target.name.clone(),
            issuer: self.issuer.clone(),
            claims: self.claims.clone(),
            at: self.at,
            permit: self.document.permit.is_some(),
        }
    }

    /// Who vouches, for what claims, at what moment.
    pub(super) fn asked(&self) -> (&IssuerName, &Map<String, Value>, Timestamp) {
        (self.issuer, &self.claims, self.at)
    }

    /// Runs the case.
    pub(super) fn run(&self, language: &Language, target: &Target) -> CaseOutcome {
        let evaluation = evaluate(language, target, self.issuer, &self.claims, self.at);
        let document = self.document;
        let (expected, met) = match (&document.permit, &document.deny) {
            (Some(permit), _) => {
                (said_permit(permit), evaluation.outcome.as_ref().is_ok_and(|got| granted(permit, got)))
            }
            (None, Some(denial)) => (said_denial(denial), denied(denial, &evaluation, target)),
            (None, None) => (String::new(), false),
        };
        let failure = (!met).then(|| CaseFailure { expected, got: said(&evaluation, document.permit.as_ref()) });
        CaseOutcome {
            file: Arc::clone(&target.file),
            place: place(&document.name),
            name: document.name.value.clone(),
            permit: document.permit.is_some(),
            failure,
        }
    }
}

fn granted(expected: &ExpectPermit, got: &Grant) -> bool {
    let policies: BTreeSet<&str> = got.policies.iter().map(|policy| policy.as_str()).collect();
    let scopes = || got.scopes().collect::<BTreeSet<_>>();
    let metadata = || got.metadata().map(|(k, v)| (k.to_owned(), Value::from(v))).collect::<Map<_, _>>();
    expected.policies.iter().map(String::as_str).collect::<BTreeSet<_>>() == policies
        && expected.rule.as_deref().is_none_or(|rule| rule == got.rule())
        && expected.ttl().is_none_or(|ttl| got.ttl == Some(ttl))
        && expected.outlive_subject.is_none_or(|outlive| got.outlive_subject == outlive)
        && expected
            .scopes
            .as_ref()
            .is_none_or(|words| words.iter().map(String::as_str).collect::<BTreeSet<_>>() == scopes())
        && expected.metadata.as_ref().is_none_or(|expected| *expected == metadata())
}

/// A reason is met by the code of the denial, or by the message of the condition that failed: of the named rule, or of
/// the one that came nearest.
fn denied(expected: &ExpectDenial, got: &Evaluation, target: &Target) -> bool {
    let Err(reason) = &got.outcome else { return false };
    let failed = match &expected.rule {
        None => match reason {
            Reason::ConditionsNotMet { message, .. } => Some(message.as_ref()),
            Reason::Refused { refusal: Refusal::Message(said), .. } => Some(said.text()),
            _ => None,
        },
        Some(name) => {
            let Some(tried) = got.trace.rules().iter().find(|tried| *tried.rule == **name) else { return false };
            match tried.end {
                End::Unmet { condition } => {
                    let rule = target.rules.iter().find(|rule| rule.name == tried.rule);
                    rule.and_then(|rule| rule.require.get(usize::from(condition)))
                        .map(|condition| condition.message.as_ref())
                }
                End::Granted | End::Failed { .. } => None,
            }
        }
    };
    let login = || matches!(reason, Reason::Refused { .. }) && expected.reason == reason.login_error();
    expected.reason == reason.code() || failed.is_some_and(|message| *message == *expected.reason) || login()
}

fn said_permit(permit: &ExpectPermit) -> String {
    let mut text = format!("permit of {:?}", permit.policies);
    if let Some(rule) = &permit.rule {
        text.push_str(&format!(" by rule `{rule}`"));
    }
    if let Some(ttl) = permit.ttl() {
        text.push_str(&format!(", ttl {} s", ttl.as_secs()));
    }
    if let Some(outlive) = permit.outlive_subject {
        text.push_str(&format!(", outlive_subject {outlive}"));
    }
    if let Some(scopes) = &permit.scopes {
        text.push_str(&format!(", scopes {scopes:?}"));
    }
    if let Some(metadata) = &permit.metadata {
        text.push_str(&format!(", metadata {}", Value::Object(metadata.clone())));
    }
    text
}

fn said_denial(denial: &ExpectDenial) -> String {
    match &denial.rule {
        Some(rule) => format!("denial by rule `{rule}` with `{}`", denial.reason),
        None => format!("denial with `{}`", denial.reason),
    }
}

/// What came out, in as much detail as was asked for.
fn said(evaluation: &Evaluation, asked: Option<&ExpectPermit>) -> String {
    let grant = match &evaluation.outcome {
        Err(reason) => return format!("denial: {} ({reason})", reason.code()),
        Ok(grant) => grant,
    };
    said_permit(&ExpectPermit::of(grant, asked))
}
