//! The rules of an imported policy.
//!
//! Decides what becomes of each part of a program. A program with several grants becomes several rules, each of which asks
//! all that was asked before it: the conditions of two of them can't hold together.

use super::cases;
use super::yaml::{Yaml, quoted};
use crate::identity::{IssuerName, TargetName};
use crate::policy::catalog::Catalog;
use crate::policy::limits::TEXT_BYTES;
use crate::policy::role::chain::Chain;
use crate::policy::role::documents::Documents;
use crate::policy::role::messages::AUTH;
use crate::policy::role::text::{negated, with_hex};
use crate::policy::set::PolicySet;
use crate::policy::trace::Part;
use crate::trust::Claim;
use cel::common::ast::{Expr, LiteralValue};

/// The message of the condition that stands for `bound_audiences`.
pub(super) const AUDIENCE: &str = "the token is not meant for us";

/// An answer of the program.
enum Answer<'a> {
    /// A message, as it stands in the program.
    Deny(String),
    /// `false`, or a message that is made at run time.
    DenyWithout(&'static str),
    /// `pb.Auth{..}`, its text.
    Grant(&'a str),
    /// Anything else.
    Unknown(&'a str),
}

/// A policy while it is written.
pub(super) struct Translation<'a> {
    pub(super) documents: &'a Documents,
    set: &'a PolicySet,
    pub(super) yaml: Yaml,
    pub(super) notes: Vec<String>,
    pub(super) missing: Vec<String>,
    /// Whether the platform's `aud` is always one text: then a test for a list is one that can't hold.
    one_audience: bool,
}

impl<'a> Translation<'a> {
    pub(super) fn of(
        documents: &'a Documents,
        set: &'a PolicySet,
        target: &TargetName,
        issuer: &IssuerName,
        catalog: &Catalog,
    ) -> Self {
        let schema = catalog.find(issuer).and_then(|facts| facts.schema.as_deref());
        let ty = schema.and_then(|schema| schema.claim("aud")).map(Claim::ty);
        let one_audience = ty.is_some_and(|ty| ty.admits(&"us".into()) && !ty.admits(&vec!["us"].into()));
        let mut this = Self { documents, set, yaml: Yaml::default(), notes: vec![], missing: vec![], one_audience };
        let path = &documents.path;
        this.yaml.line(0, &format!("# Imported from the OpenBao role {path}."));
        this.yaml.line(0, &format!("target: {}", quoted(target.as_str())));
        this.yaml.line(0, &format!("aliases: [{}]", quoted(&path.to_string())));
        if let Some(namespace) = path.namespace() {
            this.yaml.line(0, &format!("namespace: {}", quoted(namespace.as_str())));
        }
        this.names();
        this.rules(issuer);
        let one_audience = one_audience && !documents.role.bound_audiences.is_empty();
        cases::write(documents, set, issuer, one_audience, &mut this.yaml, &mut this.notes);
        this
    }

    pub(super) fn finish(self) -> (String, Vec<String>, Vec<String>) {
        (self.yaml.finish(), self.notes, self.missing)
    }

    /// What holds for all names and numbers of a program.
    fn names(&mut self) {
        self.notes.push(
            "a policy's name with spaces around it, or none: OpenBao trims it and leaves it out, cambio denies"
                .to_owned(),
        );
        self.notes.push(
            "numbers in claims: OpenBao sees a `double` and writes 1000000 as `1e+06`, cambio sees an `int`".to_owned(),
        );
        let sources = || {
            let role = &self.documents.role;
            let variables = role.variables.iter().map(|(_, source)| source.value.as_str());
            variables.chain([role.expression.value.as_str()])
        };
        let role = self.set.targets().first().and_then(|target| target.rules().first());
        let parts = |rule: &crate::policy::Rule| {
            let lets = (0..rule.lets.len()).filter_map(|index| u16::try_from(index).ok()).map(Part::Let);
            let questions = (0..=rule.questions().unwrap_or_default()).filter_map(|index| u16::try_from(index).ok());
            lets.chain(questions.flat_map(|index| [Part::Condition(index), Part::Answer(index)])).collect::<Vec<_>>()
        };
        if role.is_some_and(|rule| parts(rule).into_iter().any(|part| rule.mentions(part, "operation"))) {
            self.missing.push("`operation` does not exist in a policy: it is always `update`".to_owned());
        }
        for function in ["check_valid_email(", "encode_json(", "decode_json("] {
            if sources().any(|source| source.contains(function)) {
                self.missing.push(format!("`{function}..)` does not exist in a policy"));
            }
        }
        for (name, _) in &self.documents.role.variables {
            let used = role.is_some_and(|rule| parts(rule).into_iter().any(|part| rule.mentions(part, &name.value)));
            if !used {
                self.notes.push(format!(
                    "variable `{}` is used by nothing: where it fails, OpenBao denies, and cambio does not look",
                    name.value
                ));
            }
        }
    }

    fn rules(&mut self, issuer: &IssuerName) {
        let source = self.documents.role.expression.value.as_str();
        let chain = Chain::of(source, crate::policy::limits::CONDITIONS);
        let piece = |span: &std::ops::Range<usize>| source.get(span.clone()).unwrap_or_default();
        let mut asked: Vec<(String, String)> = vec![];
        let mut grants: Vec<(Vec<(String, String)>, &str)> = vec![];
        let answers: Vec<Answer<'_>> = (0..=chain.questions.len())
            .map(|index| {
                let span = chain.questions.get(index).map_or(&chain.last, |(_, answer)| answer);
                self.answer(index, piece(span))
            })
            .collect();
        let message = |answer: Option<&Answer<'_>>| match answer {
            Some(Answer::Deny(message)) => message.clone(),
            Some(Answer::DenyWithout(why)) => (*why).to_owned(),
            _ => "the role's condition does not hold".to_owned(),
        };
        for (index, answer) in answers.iter().enumerate() {
            let condition = chain.questions.get(index).map(|(condition, _)| piece(condition));
            match answer {
                Answer::Grant(text) => {
                    let mut asked = asked.clone();
                    asked.extend(condition.map(|holds| (with_hex(holds), message(answers.get(index + 1)))));
                    grants.push((asked, text));
                }
                Answer::Unknown(text) => self.missing.push(format!("an answer that is no `pb.Auth{{..}}`: `{text}`")),
                Answer::Deny(_) | Answer::DenyWithout(_) => {}
            }
            asked.extend(condition.map(|holds| (negated(&with_hex(holds)), message(Some(answer)))));
        }
        if grants.is_empty() {
            self.missing.push("no answer grants anything: there is no policy to write".to_owned());
        }
        self.yaml.line(0, "rules:");
        let several = grants.len() > 1;
        for (number, (asked, grant)) in (1..).zip(grants) {
            let name = rule_name(self.documents.path.role());
            let name = if several { format!("{name}-{number}") } else { name };
            self.yaml.line(1, &format!("- name: {}", quoted(&name)));
            self.yaml.line(2, &format!("issuer: {issuer}"));
            self.variables();
            self.conditions(asked);
            self.grant(grant);
        }
    }

    fn variables(&mut self) {
        let documents = self.documents;
        if documents.role.variables.is_empty() {
            return;
        }
        self.yaml.line(2, "let:");
        for (name, source) in &documents.role.variables {
            self.yaml.entry(3, &name.value, &with_hex(&source.value));
        }
    }

    fn conditions(&mut self, asked: Vec<(String, String)>) {
        self.yaml.line(2, "require:");
        let audiences = &self.documents.role.bound_audiences;
        let aud = "(type(claims.aud) == list ? claims.aud : [claims.aud])";
        let some = "has(claims.aud) && ";
        let text = |audience: &String| serde_json::Value::from(audience.as_str()).to_string();
        let audience = match audiences.as_slice() {
            [] => None,
            [one] if self.one_audience => Some(format!("{some}claims.aud == {}", text(one))),
            many if self.one_audience => {
                Some(format!("{some}claims.aud in [{}]", many.iter().map(text).collect::<Vec<_>>().join(", ")))
            }
            [one] => Some(format!("{some}{} in {aud}", text(one))),
            many => {
                Some(format!("{some}[{}].exists(a, a in {aud})", many.iter().map(text).collect::<Vec<_>>().join(", ")))
            }
        };
        let audience = audience.map(|that| (that, AUDIENCE.to_owned()));
        let mut conditions: Vec<(String, String)> = audience.into_iter().chain(asked).collect();
        if conditions.is_empty() {
            self.missing.push("the role grants to every token of its issuer: a policy needs a condition".to_owned());
            conditions.push(("true".to_owned(), "every token of the issuer".to_owned()));
        }
        for (that, message) in conditions {
            self.yaml.entry(3, "- that", &that);
            let message = if message.trim().is_empty() { "the role denies without a message" } else { &message };
            self.yaml.entry(4, "message", message);
        }
    }

    /// One answer of the program, as far as it is known.
    fn answer(&mut self, index: usize, text: &'a str) -> Answer<'a> {
        let rule = self.set.targets().first().and_then(|target| target.rules().first());
        let program = rule.and_then(|rule| rule.program.as_deref());
        let tree = u16::try_from(index).ok().and_then(|index| program?.answer(index)).map(|clause| clause.code.tree());
        match tree.map(|tree| &tree.expr) {
            Some(Expr::Literal(LiteralValue::String(message))) if message.inner().len() <= TEXT_BYTES => {
                Answer::Deny(message.inner().to_owned())
            }
            Some(Expr::Literal(LiteralValue::Boolean(truth))) if !truth.inner() => {
                Answer::DenyWithout("the role answers `false`")
            }
            Some(Expr::Struct(message)) if message.type_name == AUTH => Answer::Grant(text),
            Some(Expr::Literal(LiteralValue::String(_))) => Answer::DenyWithout("the role's message is too long"),
            Some(Expr::Call(call)) if call.func_name == "format" || is_text(&call.args) => {
                self.notes.push(format!("a message that is made from claims has no counterpart: `{text}`"));
                Answer::DenyWithout("the role denies with a message of its own")
            }
            _ => Answer::Unknown(text),
        }
    }
}

/// Whether one of an addition's operands is a text, so that it is one.
fn is_text(operands: &[cel::parser::Expression]) -> bool {
    operands.iter().any(|operand| match &operand.expr {
        Expr::Literal(LiteralValue::String(_)) => true,
        Expr::Call(call) => is_text(&call.args),
        _ => false,
    })
}

/// A rule's name has no `_`.
fn rule_name(role: &str) -> String {
    let name: String =
        role.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    name.chars().take(60).collect()
}
