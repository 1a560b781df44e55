//! From a policy file to a target.
//!
//! Decides whether every name, bound and expression of a file is in order, and reports all that are not, not only the
//! first. Refuses to know about other files, beyond sharing compiled expressions with them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::compile::Compiler;
use super::cost::Size;
use super::digest;
use super::document::{Document, GrantDocument, Place, PolicyItem, RuleDocument, place};
use super::limits::{
    ALIASES, CONDITIONS, GRANT_ITEMS, LETS, METADATA, RULES, SCOPES, STEPS, TEXT_BYTES, TTL_LEAST, TTL_MOST,
};
use super::pattern::Pattern;
use super::problem::{Faults, Problem};
use super::rule::{Clause, Condition, Item, Let, Rule, Target, Terms};
use super::trace::Part;
use crate::identity::IssuerName;

/// Builds targets, sharing what repeats between them.
pub(super) struct Builder<'i> {
    pub(super) compiler: Compiler,
    pub(super) issuers: &'i BTreeSet<IssuerName>,
}

impl Builder<'_> {
    /// The target of `document`, or nothing where `faults` says why.
    pub(super) fn target(&mut self, document: &Document, file: &Arc<str>, faults: &mut Faults) -> Option<Target> {
        let at = place(&document.target);
        faults.at_most(at, "aliases", document.aliases.len(), ALIASES);
        faults.at_most(at, "rules", document.rules.len(), RULES);
        if document.rules.is_empty() {
            faults.add(at, Problem::Missing("a target needs at least one rule"));
        }
        let description = document.description.as_ref();
        if let Some(text) = description.filter(|text| text.value.len() > TEXT_BYTES) {
            faults.add(place(text), Problem::TooLong { what: "a description", most: TEXT_BYTES });
        }
        let mut aliases = vec![];
        for alias in &document.aliases {
            if is_alias(&alias.value) {
                aliases.push(Box::from(alias.value.as_str()));
            } else {
                let kind = "a target: 1 to 512 bytes of visible ASCII";
                faults.add(place(alias), Problem::Name { name: alias.value.clone(), kind });
            }
        }
        let mut names = HashSet::new();
        let mut rules = vec![];
        let mut by_issuer: BTreeMap<IssuerName, Vec<u16>> = BTreeMap::new();
        for (index, rule) in (0_u16..).zip(document.rules.iter().take(RULES)) {
            if !names.insert(rule.name.value.as_str()) {
                let name = rule.name.value.clone();
                faults.add(place(&rule.name), Problem::Duplicate { kind: "a rule", name });
            }
            for issuer in self.issuers_of(rule, faults) {
                by_issuer.entry(issuer).or_default().push(index);
            }
            rules.extend(RuleBuilder { builder: &mut *self, document, rule, faults: &mut *faults }.build());
        }
        if !faults.is_empty() {
            return None;
        }
        affordable(&by_issuer, &rules, faults);
        let mut scopes: Vec<Arc<str>> = vec![];
        for word in rules.iter().filter_map(|rule| rule.terms.as_deref()).flat_map(|terms| terms.scopes.iter()) {
            if !scopes.contains(word) {
                scopes.push(Arc::clone(word));
            }
        }
        Some(Target {
            name: document.target.value.clone(),
            aliases: aliases.into(),
            namespace: document.namespace.as_ref().map(|namespace| namespace.value.clone()),
            description: description.map(|text| Box::from(text.value.as_str())),
            file: Arc::clone(file),
            rules: rules.into(),
            by_issuer: by_issuer.into_iter().map(|(issuer, indices)| (issuer, indices.into())).collect(),
            scopes: scopes.into(),
        })
    }

    /// The configured issuers that a rule names, each once.
    fn issuers_of(&self, rule: &RuleDocument, faults: &mut Faults) -> BTreeSet<IssuerName> {
        let named = &rule.issuer;
        if named.value.0.is_empty() {
            faults.add(place(named), Problem::Missing("a rule needs at least one issuer"));
        }
        let mut found = BTreeSet::new();
        for issuer in &named.value.0 {
            // The configuration's own copy, so that ten thousand targets share one text.
            match self.issuers.get(issuer) {
                None => faults.add(place(named), Problem::UnknownIssuer(issuer.clone())),
                Some(known) if !found.insert(known.clone()) => {
                    let name = issuer.as_str().to_owned();
                    faults.add(place(named), Problem::Duplicate { kind: "in this list", name });
                }
                Some(_) => {}
            }
        }
        found
    }
}

/// One request tries all rules of its issuer in the worst case, so that they share one budget.
fn affordable(by_issuer: &BTreeMap<IssuerName, Vec<u16>>, rules: &[Rule], faults: &mut Faults) {
    for (issuer, indices) in by_issuer {
        let mut steps = 0_u64;
        for rule in indices.iter().filter_map(|index| rules.get(usize::from(*index))) {
            steps = steps.saturating_add(rule.steps);
            if steps > STEPS {
                let problem = Problem::TooCostly { rule: rule.name().to_owned(), issuer: issuer.clone(), steps };
                faults.add(rule.place, problem);
                break;
            }
        }
    }
}

/// Builds one rule.
struct RuleBuilder<'b, 'i, 'd> {
    builder: &'b mut Builder<'i>,
    document: &'d Document,
    rule: &'d RuleDocument,
    faults: &'b mut Faults,
}

/// The `let` variables that an expression can see, and what its rule has come to need.
#[derive(Default)]
struct Sight<'d> {
    names: Vec<&'d str>,
    sizes: Vec<(&'d str, Size)>,
    /// The variables that each of them needs, itself included.
    masks: Vec<u32>,
    steps: u64,
    claims: BTreeMap<Arc<str>, Arc<str>>,
    patterns: BTreeMap<Arc<str>, Pattern>,
}

impl<'d> RuleBuilder<'_, '_, 'd> {
    fn build(mut self) -> Option<Rule> {
        let rule = self.rule;
        let at = place(&rule.name);
        if !is_label(&rule.name.value) {
            let kind = "a rule: lower-case letters, digits and `-`, 1 to 63 bytes";
            self.faults.add(at, Problem::Name { name: rule.name.value.clone(), kind });
        }
        self.faults.at_most(at, "`let` variables", rule.lets.0.len(), LETS);
        self.faults.at_most(at, "conditions", rule.require.len(), CONDITIONS);
        if rule.require.is_empty() {
            // It would grant to every workload that the issuer vouches for.
            self.faults.add(at, Problem::Missing("a rule needs at least one condition"));
        }
        let mut sight = Sight::default();
        let lets = self.lets(&mut sight)?;
        let require = self.conditions(&mut sight);
        let policies = self.policies(&rule.grant, &mut sight);
        let metadata = self.metadata(&rule.grant, &mut sight);
        let terms = self.terms(&rule.grant);
        let name = self.builder.compiler.text(&rule.name.value);
        Some(Rule {
            name,
            place: at,
            lets: lets.into(),
            require: require?.into(),
            policies: policies?.into(),
            metadata: metadata?.into(),
            terms,
            claims: self.builder.compiler.claims(sight.claims),
            patterns: sight.patterns.into_values().collect(),
            digest: digest::of_rule(self.document, rule),
            steps: sight.steps,
        })
    }

    fn lets(&mut self, sight: &mut Sight<'d>) -> Option<Vec<Let>> {
        let mut lets = vec![];
        for (index, (name, source)) in (0_u16..).zip(self.rule.lets.0.iter().take(LETS)) {
            if !is_variable(&name.value) || super::language::is_reserved(&name.value) {
                let kind = "a variable: letters, digits and `_`, and not the name of anything in CEL";
                self.faults.add(place(name), Problem::Name { name: name.value.clone(), kind });
            }
            let (clause, size) = self.clause(&source.value, place(source), Part::Let(index), sight)?;
            sight.masks.push(clause.lets | (1 << index));
            sight.names.push(&name.value);
            sight.sizes.push((&name.value, size));
            lets.push(Let { name: self.builder.compiler.text(&name.value), clause });
        }
        Some(lets)
    }

    fn conditions(&mut self, sight: &mut Sight<'d>) -> Option<Vec<Condition>> {
        let mut conditions = vec![];
        for (index, condition) in (0_u16..).zip(self.rule.require.iter().take(CONDITIONS)) {
            let message = &condition.message;
            if message.value.trim().is_empty() || message.value.len() > TEXT_BYTES {
                self.faults.add(place(message), Problem::Missing("a condition needs a message of at most 1024 bytes"));
            }
            let that = self.clause(&condition.that.value, place(&condition.that), Part::Condition(index), sight);
            conditions.push(that.map(|(that, _)| (that, self.builder.compiler.text(&message.value))));
        }
        // All of them first, so that each one's fault is reported.
        conditions.into_iter().map(|found| found.map(|(that, message)| Condition { that, message })).collect()
    }

    fn policies(&mut self, grant: &'d GrantDocument, sight: &mut Sight<'d>) -> Option<Vec<Item>> {
        let at = place(&self.rule.name);
        self.faults.at_most(at, "entries of `policies`", grant.policies.len(), GRANT_ITEMS);
        if grant.policies.is_empty() {
            self.faults.add(at, Problem::Missing("a grant needs at least one policy"));
        }
        let mut items = vec![];
        for (index, item) in (0_u16..).zip(grant.policies.iter().take(GRANT_ITEMS)) {
            let policy = Part::Policy(index);
            items.push(match &item.value {
                PolicyItem::Always(source) => {
                    self.clause(source, place(item), policy, sight).map(|(policy, _)| Item { when: None, policy })
                }
                PolicyItem::When { when, policy: source } => {
                    let when = self.clause(&when.value, place(when), Part::When(index), sight);
                    let policy = self.clause(&source.value, place(source), policy, sight);
                    when.zip(policy).map(|((when, _), (policy, _))| Item { when: Some(when), policy })
                }
            });
        }
        items.into_iter().collect()
    }

    fn metadata(&mut self, grant: &'d GrantDocument, sight: &mut Sight<'d>) -> Option<Vec<(Arc<str>, Clause)>> {
        self.faults.at_most(place(&self.rule.name), "entries of `metadata`", grant.metadata.0.len(), METADATA);
        let mut metadata = vec![];
        for (index, (name, source)) in (0_u16..).zip(grant.metadata.0.iter().take(METADATA)) {
            if !is_variable(&name.value) {
                let kind = "a metadata entry: letters, digits and `_`, at most 63 bytes";
                self.faults.add(place(name), Problem::Name { name: name.value.clone(), kind });
            }
            let clause = self.clause(&source.value, place(source), Part::Metadata(index), sight);
            metadata.push(clause.map(|(clause, _)| (self.builder.compiler.text(&name.value), clause)));
        }
        metadata.into_iter().collect()
    }

    fn terms(&mut self, grant: &GrantDocument) -> Option<Box<Terms>> {
        self.faults.at_most(place(&self.rule.name), "scopes", grant.scopes.len(), SCOPES);
        let mut scopes: Vec<Arc<str>> = vec![];
        for word in &grant.scopes {
            if !is_scope_word(&word.value) {
                let kind = "a scope (RFC 6749 section 3.3)";
                self.faults.add(place(word), Problem::Name { name: word.value.clone(), kind });
            } else if scopes.iter().any(|known| **known == *word.value) {
                self.faults.add(place(word), Problem::Duplicate { kind: "a scope", name: word.value.clone() });
            } else {
                scopes.push(self.builder.compiler.text(&word.value));
            }
        }
        if let Some(ttl) = grant.ttl.as_ref().filter(|ttl| !(TTL_LEAST..=TTL_MOST).contains(&ttl.value.0)) {
            self.faults.add(place(ttl), Problem::Ttl);
        }
        let ttl = grant.ttl.as_ref().map(|ttl| ttl.value.0);
        let says = ttl.is_some() || grant.outlive_subject || !scopes.is_empty();
        says.then(|| Box::new(Terms { ttl, outlive_subject: grant.outlive_subject, scopes: scopes.into() }))
    }

    /// Compiles one expression, and adds what it needs to `sight`.
    fn clause(&mut self, source: &str, at: Place, part: Part, sight: &mut Sight<'d>) -> Option<(Clause, Size)> {
        let compiled = self.builder.compiler.compile(source, &sight.names);
        let bounded = compiled.and_then(|code| code.bound(&sight.sizes).map(|bound| (code, bound)));
        let (code, bound) = match bounded {
            Ok(found) => found,
            Err(error) => {
                let rule = self.rule.name.value.clone();
                self.faults.add(at, Problem::Expression { rule, part, error });
                return None;
            }
        };
        sight.steps = sight.steps.saturating_add(bound.steps);
        for (variable, claim) in code.claims().iter() {
            sight.claims.insert(Arc::clone(variable), Arc::clone(claim));
        }
        for pattern in code.patterns() {
            sight.patterns.insert(Arc::from(pattern.name()), pattern.clone());
        }
        let mentioned = sight.names.iter().zip(&sight.masks).filter(|(name, _)| code.mentions(name));
        let lets = mentioned.fold(0, |mask, (_, needs)| mask | needs);
        Some((Clause { code, lets, place: at }, bound.size))
    }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_variable(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_alias(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// `scope-token` of RFC 6749 section 3.3.
fn is_scope_word(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
