//! One rule of a policy file. Decides whether its names, bounds and expressions are in order, and what it comes to need
//! of the claims.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Builder;
use crate::identity::PolicyName;
use crate::policy::check::blame;
use crate::policy::check::locate::locate;
use crate::policy::cost::{CLAIM, Size};
use crate::policy::digest;
use crate::policy::document::{Document, GrantDocument, Place, PolicyItem, RuleDocument, place};
use crate::policy::language::Dialect;
use crate::policy::limits::{CONDITIONS, GRANT_ITEMS, LETS, METADATA, SCOPES, TEXT_BYTES, TTL_LEAST, TTL_MOST};
use crate::policy::pattern::Pattern;
use crate::policy::problem::{Faults, Problem};
use crate::policy::rule::{Clause, Condition, Item, Let, Rule, Terms};
use crate::policy::trace::Part;

/// Builds one rule.
pub(super) struct RuleBuilder<'b, 'i, 'd> {
    pub(super) builder: &'b mut Builder<'i>,
    pub(super) document: &'d Document,
    pub(super) text: &'d str,
    pub(super) rule: &'d RuleDocument,
    pub(super) faults: &'b mut Faults,
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
    /// The rule, or nothing where `faults` says why.
    pub(super) fn build(mut self) -> Option<Rule> {
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
        // Each claim that it mentions is read once, however often it is mentioned.
        let conversion = if sight.claims.is_empty() { 0 } else { CLAIM.copy() };
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
            steps: sight.steps.saturating_add(conversion),
            program: None,
        })
    }

    fn lets(&mut self, sight: &mut Sight<'d>) -> Option<Vec<Let>> {
        let mut lets = vec![];
        for (index, (name, source)) in (0_u16..).zip(self.rule.lets.0.iter().take(LETS)) {
            if !is_variable(&name.value) || Dialect::Native.reserves(&name.value) {
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
            conditions.push(that.map(|(that, _)| (that, self.builder.compiler.text(message.value.trim()))));
        }
        // All of them first, so that each one's fault is reported.
        conditions.into_iter().map(|found| found.map(|(that, message)| Condition { that, message })).collect()
    }

    fn policies(&mut self, grant: &'d GrantDocument, sight: &mut Sight<'d>) -> Option<Vec<Item>> {
        let at = place(&self.rule.name);
        self.faults.at_most(at, "entries of `policies`", grant.policies.len(), GRANT_ITEMS);
        if grant.policies.is_empty() {
            self.faults.add(at, Problem::Missing("a grant needs at least one policy, or a service account"));
        }
        let mut items = vec![];
        for (index, item) in (0_u16..).zip(grant.policies.iter().take(GRANT_ITEMS)) {
            let policy = Part::Policy(index);
            items.push(match &item.value {
                PolicyItem::Always(source) => self.clause(source, place(item), policy, sight).map(|(policy, _)| Item {
                    when: None,
                    policy,
                    account: None,
                }),
                PolicyItem::When { when, policy: source } => {
                    let when = self.clause(&when.value, place(when), Part::When(index), sight);
                    let policy = self.clause(&source.value, place(source), policy, sight);
                    when.zip(policy).map(|((when, _), (policy, _))| Item { when: Some(when), policy, account: None })
                }
                PolicyItem::Account { account, policy: source } => {
                    let account = Some(PolicyName::of_account(account));
                    self.clause(source, place(item), policy, sight).map(|(policy, _)| Item {
                        when: None,
                        policy,
                        account,
                    })
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
        let says = ttl.is_some() || grant.outlive_subject || grant.revocable || !scopes.is_empty();
        let (outlive_subject, revocable) = (grant.outlive_subject, grant.revocable);
        says.then(|| Box::new(Terms { ttl, outlive_subject, revocable, scopes: scopes.into() }))
    }

    /// Compiles one expression, and adds what it needs to `sight`.
    fn clause(&mut self, source: &str, at: Place, part: Part, sight: &mut Sight<'d>) -> Option<(Clause, Size)> {
        let compiled = self.builder.compiler.compile(source, Dialect::Native, &sight.names);
        let bounded = compiled.and_then(|code| code.bound(&sight.sizes).map(|bound| (code, bound)));
        let (code, bound) = match bounded {
            Ok(found) => found,
            Err(error) => {
                let rule = self.rule.name.value.clone();
                let range = blame::blamed(source, Dialect::Native, &sight.names, &error);
                let facts = self.rule.issuer.value.0.first().and_then(|issuer| self.builder.catalog.find(issuer));
                let schema = facts.and_then(|facts| facts.schema.as_deref());
                let help = blame::advice(&error, Dialect::Native, &sight.names, schema);
                let at = locate(self.text, at, source, range);
                self.faults.add_advised(at, Problem::Expression { rule, part, error }, help);
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

/// `scope-token` of RFC 6749 section 3.3.
fn is_scope_word(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
