//! From a role's documents to a target.
//!
//! Decides whether everything that makes a role is in order: its path, its program, its mount's configuration and the
//! issuer that this names. Refuses to take keys from a document: those are of cambio's own configuration, and the mount's
//! issuer only says which of its issuers the role is for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chain::Chain;
use super::document::{Located, RoleDocument};
use super::documents::Documents;
use super::issuer;
use super::messages;
use super::path::RolePath;
use super::program::{Program, Question};
use crate::identity::IssuerName;
use crate::policy::build::Builder;
use crate::policy::cost::{CLAIM, Size};
use crate::policy::digest;
use crate::policy::document::Place;
use crate::policy::language::{CLAIMS, Dialect, Language, NOW, OPERATION};
use crate::policy::limits::{CONDITIONS, LETS, ROLE_STEPS, TEXT_BYTES};
use crate::policy::pattern::Pattern;
use crate::policy::problem::{Faults, Problem};
use crate::policy::rule::{Clause, Let, Rule, Target};
use crate::policy::trace::Part;

/// Builds the target of a role, or nothing where `faults` says why.
pub(in crate::policy) fn target(
    builder: &mut Builder<'_>,
    language: &Language,
    documents: &Documents,
    file: &Arc<str>,
    faults: &mut Faults,
) -> Option<Target> {
    let name = documents.path.target().ok()?;
    let issuers = issuer::of(documents, builder.catalog, faults);
    let rule = Steps { builder, documents, faults, sight: Sight::default(), issuers: &issuers }.rule(language)?;
    if !faults.is_empty() {
        return None;
    }
    let mut by_issuer = vec![];
    for issuer in issuers {
        if rule.steps > ROLE_STEPS {
            let steps = rule.steps;
            faults.add(documents.role.expression.place, Problem::TooCostlyRole { steps });
            return None;
        }
        by_issuer.push((issuer, Box::from([0_u16])));
    }
    Some(Target {
        name,
        aliases: Box::default(),
        namespace: documents.path.namespace.clone(),
        description: None,
        file: Arc::clone(file),
        rules: Box::from([rule]),
        by_issuer: by_issuer.into(),
        scopes: Box::default(),
    })
}

/// The variables that an expression can see, and what the program has come to need.
#[derive(Default)]
struct Sight<'d> {
    names: Vec<&'d str>,
    sizes: Vec<(&'d str, Size)>,
    steps: u64,
    claims: BTreeMap<Arc<str>, Arc<str>>,
    patterns: BTreeMap<Arc<str>, Pattern>,
}

struct Steps<'b, 'i, 'd> {
    builder: &'b mut Builder<'i>,
    documents: &'d Documents,
    faults: &'b mut Faults,
    sight: Sight<'d>,
    issuers: &'b [IssuerName],
}

impl<'d> Steps<'_, '_, 'd> {
    fn rule(mut self, language: &Language) -> Option<Rule> {
        let Documents { path, role, .. } = self.documents;
        self.named(path, role);
        let place = role.expression.place;
        self.faults.at_most(place, "variables", role.variables.len(), LETS);
        let lets = self.variables(role)?;
        let (questions, last) = self.chain(&role.expression)?;
        let name = self.builder.compiler.text(path.role());
        // Each claim that it mentions is read once, however often it is mentioned.
        let conversion = if self.sight.claims.is_empty() { 0 } else { CLAIM.copy() };
        let audiences = role.bound_audiences.iter().map(|audience| Box::from(audience.as_str())).collect();
        let program = Program { path: path.clone(), language: language.clone(), questions, last, audiences };
        Some(Rule {
            name,
            place,
            lets: lets.into(),
            require: Box::default(),
            policies: Box::default(),
            metadata: Box::default(),
            terms: None,
            claims: self.builder.compiler.claims(self.sight.claims),
            patterns: self.sight.patterns.into_values().collect(),
            digest: digest::of_role(&path.to_string(), role, self.issuers),
            steps: self.sight.steps.saturating_add(conversion),
            program: Some(Box::new(program)),
        })
    }

    /// A document that was read from the API has the role's name in it.
    fn named(&mut self, path: &RolePath, role: &RoleDocument) {
        if let Some(name) = role.name.as_ref().filter(|name| name.value.to_ascii_lowercase() != *path.role()) {
            let message = format!("the document is of the role `{}`, its file of `{}`", name.value, path.role());
            self.faults.add(name.place, Problem::Shape(message));
        }
        if let Some(message) = role.message.as_ref().filter(|message| message.value.len() > TEXT_BYTES) {
            self.faults.add(message.place, Problem::TooLong { what: "a message", most: TEXT_BYTES });
        }
    }

    fn variables(&mut self, role: &'d RoleDocument) -> Option<Vec<Let>> {
        let mut lets = vec![];
        for (index, (name, source)) in (0_u16..).zip(role.variables.iter().take(LETS)) {
            if !is_variable(&name.value) || [CLAIMS, NOW, OPERATION].contains(&name.value.as_str()) {
                let kind = "a variable: letters, digits and `_`, and neither `claims`, `now` nor `operation`";
                self.faults.add(name.place, Problem::Name { name: name.value.clone(), kind });
            }
            if self.sight.names.contains(&name.value.as_str()) {
                let name_of = name.value.clone();
                self.faults.add(name.place, Problem::Duplicate { kind: "a variable", name: name_of });
            }
            let (clause, size) = self.clause(&source.value, source.place, Part::Let(index))?;
            self.sight.names.push(&name.value);
            self.sight.sizes.push((&name.value, size));
            lets.push(Let { name: self.builder.compiler.text(&name.value), clause });
        }
        Some(lets)
    }

    fn chain(&mut self, expression: &'d Located<String>) -> Option<(Box<[Question]>, Clause)> {
        let source = expression.value.as_str();
        let chain = Chain::of(source, CONDITIONS);
        let text = &self.documents.text;
        let piece = |span: &std::ops::Range<usize>| {
            (source.get(span.clone()).unwrap_or_default(), expression.within(text, span.clone()))
        };
        let mut questions = vec![];
        let mut count = 0_u16;
        for (condition, answer) in &chain.questions {
            let ((condition, condition_at), (answer, answer_at)) = (piece(condition), piece(answer));
            let condition = self.clause(condition, condition_at, Part::Condition(count));
            let answer = self.clause(answer, answer_at, Part::Answer(count));
            questions.push(condition.zip(answer));
            count += 1;
        }
        let (last, last_at) = piece(&chain.last);
        let (last, _) = self.clause(last, last_at, Part::Answer(count))?;
        let questions: Option<Vec<Question>> = questions
            .into_iter()
            .map(|found| found.map(|((condition, _), (answer, _))| Question { condition, answer }))
            .collect();
        Some((questions?.into(), last))
    }

    /// Compiles one expression, and adds what it needs to the sight.
    fn clause(&mut self, source: &str, at: Place, part: Part) -> Option<(Clause, Size)> {
        let sight = &mut self.sight;
        let compiled = self.builder.compiler.compile(source, Dialect::Role, &sight.names);
        let bounded = compiled.and_then(|code| code.bound(&sight.sizes).map(|bound| (code, bound)));
        let rule = || self.documents.path.role().to_owned();
        let (code, bound) = match bounded {
            Ok(found) => found,
            Err(error) => {
                self.faults.add(at, Problem::Expression { rule: rule(), part, error });
                return None;
            }
        };
        let mut wrong = vec![];
        messages::faults(code.tree(), &mut wrong);
        for message in wrong {
            self.faults.add(at, Problem::Message { rule: rule(), part, message });
        }
        sight.steps = sight.steps.saturating_add(bound.steps);
        for (variable, claim) in code.claims().iter() {
            sight.claims.insert(Arc::clone(variable), Arc::clone(claim));
        }
        for pattern in code.patterns() {
            sight.patterns.insert(Arc::from(pattern.name()), pattern.clone());
        }
        // All variables are evaluated before the expression, so that none has to be asked for.
        Some((Clause { code, lets: 0, place: at }, bound.size))
    }
}

fn is_variable(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}
