//! What one document says: policies with their rules.
//!
//! Decides the shape of a document. Refuses to know the other documents, and what a rule opens.

use std::collections::HashMap;
use std::sync::Arc;

use super::fault::Findings;
use super::fields;
use super::file_path::{FileKind, policy_name};
use super::limits::{PATHS, PATTERN_BYTES};
use super::node::{Member, Node, Span, Value};
use super::pattern::{Pattern, PatternError};
use super::rule::Rule;
use super::sources::Source;
use super::template;
use super::{hcl, json};
use crate::identity::PolicyName;
use crate::policy::{Place, Problem};

/// A policy as it is written.
pub(super) struct Written {
    pub(super) name: PolicyName,
    pub(super) place: Place,
    /// A pattern may stand several times in it.
    pub(super) rules: Vec<(Pattern, Rule)>,
}

/// Reads a document; faults go to `findings`, and then what is returned counts for nothing.
pub(super) fn read(source: &Source, findings: &mut Findings<'_>) -> Vec<Written> {
    // As OpenBao tells the languages apart.
    let json = source.file.ends_with(".json") || source.text.trim_start().starts_with('{');
    let root = match if json { json::read(&source.text) } else { hcl::read(&source.text) } {
        Ok(root) => root,
        Err(error) => {
            findings.shape(Span { at: error.at, len: 0 }, error.message);
            return vec![];
        }
    };
    let mut reader = Reader { findings, paths: 0 };
    let Some(members) = reader.map(&root) else { return vec![] };
    reader.once(members, "setting");
    let policies = match &source.kind {
        FileKind::One(_, name) => vec![reader.policy(name.clone(), Span::default(), members)],
        FileKind::Many(_) => reader.policies(members),
        FileKind::Stray(_) | FileKind::Other => vec![],
    };
    if reader.paths > PATHS {
        let problem = Problem::TooMany { what: "paths", most: PATHS };
        findings.fault(Span::default(), problem, Some("split the document into several"));
    }
    policies
}

struct Reader<'f, 't> {
    findings: &'f mut Findings<'t>,
    /// How many paths there are so far.
    paths: usize,
}

impl Reader<'_, '_> {
    /// `policy "name" { .. }`, any number of them.
    fn policies(&mut self, members: &[Member]) -> Vec<Written> {
        let mut policies = vec![];
        for member in members {
            if member.key != "policy" {
                let message = format!("there is no `{}` here", member.key.escape_debug());
                self.findings.advised(
                    member.span,
                    message,
                    "a document of several policies has `policy \"<name>\" { .. }` only",
                );
                continue;
            }
            for (name, span, body) in self.named(&member.value, "policy") {
                let Some(members) = self.map(body) else { continue };
                self.once(members, "setting");
                match template::expand(name).map_err(str::to_owned).and_then(|name| policy_name(&name)) {
                    Ok(name) => policies.push(self.policy(name, span, members)),
                    Err(message) => self.findings.shape(span, message),
                }
            }
        }
        policies
    }

    /// `path "pattern" { .. }`, any number of them.
    fn policy(&mut self, name: PolicyName, span: Span, members: &[Member]) -> Written {
        let mut rules = vec![];
        for member in members {
            match (member.key.as_str(), &member.value.value) {
                ("path", _) => {
                    for (pattern, span, body) in self.named(&member.value, "path") {
                        self.paths += 1;
                        let rule = self.map(body).map(|members| {
                            self.once(members, "field");
                            fields::rule(members, self.findings)
                        });
                        rules
                            .extend(self.pattern(pattern, span).zip(rule).map(|(pattern, rule)| (pattern, rule, span)));
                    }
                }
                ("name", Value::Text(written)) if written == name.as_str() => {}
                ("name", _) => {
                    self.findings.shape(
                        member.value.span,
                        format!("the policy's name is `{name}`, by where its document stands"),
                    );
                }
                ("policy", Value::Text(_)) => self.findings.advised(
                    member.span,
                    "this is the body of an API call, not a document",
                    "write what stands in `policy` into the file, as it is",
                ),
                (other, _) => {
                    let message = format!("there is no `{}` here", other.escape_debug());
                    self.findings.advised(member.span, message, "a policy has `path \"<path>\" { .. }` only");
                }
            }
        }
        self.shadowed(&rules);
        let rules = rules.into_iter().map(|(pattern, rule, _)| (pattern, rule)).collect();
        Written { name, place: self.findings.place(span), rules }
    }

    fn pattern(&mut self, written: &str, span: Span) -> Option<Pattern> {
        let expanded = match template::expand(written) {
            Ok(expanded) => expanded,
            Err(message) => {
                self.findings.shape(span, message);
                return None;
            }
        };
        match Pattern::new(&expanded) {
            Ok(pattern) => return Some(pattern),
            Err(PatternError::TooLong) => {
                self.findings.fault(span, Problem::TooLong { what: "a path", most: PATTERN_BYTES }, None);
            }
            Err(error) => self.findings.shape(span, error.to_string()),
        }
        None
    }

    /// Warns of rules that never count, because the same pattern is denied elsewhere in the policy.
    fn shadowed(&mut self, rules: &[(Pattern, Rule, Span)]) {
        let denying = rules.iter().filter(|(_, rule, _)| rule.denies() && rule.expiration.is_none());
        let denied: HashMap<&Arc<str>, Span> = denying.map(|(pattern, _, span)| (pattern.text(), *span)).collect();
        for (pattern, _, span) in rules.iter().filter(|(_, rule, _)| !rule.denies()) {
            if let Some(denied) = denied.get(pattern.text()) {
                let line = self.findings.place(*denied).line;
                self.findings.warn(*span, format!("this never counts: line {line} denies the same path"));
            }
        }
    }

    /// The named objects of a `path` or `policy`: one object of them, or a list of such objects, as OpenBao reads JSON.
    fn named<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n str, Span, &'n Node)> {
        let objects = match &node.value {
            Value::List(objects) => objects.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut named = vec![];
        for object in objects {
            let Some(members) = self.map(object) else { continue };
            // A policy that is written twice is found by the set.
            if what == "path" {
                self.once(members, what);
            }
            named.extend(members.iter().map(|member| (member.key.as_str(), member.span, &member.value)));
        }
        named
    }

    fn map<'n>(&mut self, node: &'n Node) -> Option<&'n [Member]> {
        match &node.value {
            Value::Map(members) => Some(members),
            other => {
                self.findings.shape(node.span, format!("{} where an object is expected", other.kind()));
                None
            }
        }
    }

    /// Refuses names that occur twice: one reader takes the first, another the last. Blocks may be written again.
    fn once(&mut self, members: &[Member], what: &str) {
        let mut seen: HashMap<&str, &Member> = HashMap::with_capacity(members.len());
        for member in members {
            let Some(first) = seen.insert(&member.key, member) else { continue };
            let again = matches!(what, "setting" | "path");
            if !(first.block && member.block && again) {
                let line = self.findings.place(first.span).line;
                let name = member.key.escape_debug();
                self.findings.shape(member.span, format!("the {what} `{name}` is already there, in line {line}"));
            }
        }
    }
}
