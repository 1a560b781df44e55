//! Claims that are granted a policy: made by repair, and offered only once the evaluation agrees.
//!
//! Decides where to start (a case that is permitted, a documented token of the platform, nothing) and what to repair next:
//! whatever the evaluation stops at.

use std::collections::BTreeSet;

use cel::common::ast::Expr;
use serde_json::{Map, Value};

use super::program;
use super::shape::{Wanted, bindings};
use super::solve::Solver;
use super::{Example, Hit};
use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::policy::cases::DEFAULT_MOMENT;
use crate::policy::catalog::Catalog;
use crate::policy::decision::Reason;
use crate::policy::fault::Fault;
use crate::policy::observe::claims_in;
use crate::policy::rehearsal::Rehearsal;
use crate::policy::role::Refusal;
use crate::policy::rule::{Rule, Target};
use crate::policy::set::PolicySet;
use crate::policy::trace::{End, Part};
use crate::policy::unparse::claim_of;

/// How often one attempt is repaired.
const REPAIRS: usize = 64;

/// What an example is looked for.
pub(super) struct Search<'s> {
    pub(super) rehearsal: &'s Rehearsal,
    pub(super) set: &'s PolicySet,
    pub(super) target: &'s Target,
    pub(super) rule: &'s Rule,
    pub(super) wanted: &'s Wanted,
    pub(super) hits: &'s [Hit<'s>],
    pub(super) catalog: &'s Catalog,
}

impl Search<'_> {
    /// The first that is found.
    pub(super) fn example(&self, issuers: &[IssuerName]) -> Option<Example> {
        for issuer in issuers {
            for (claims, at) in self.starts(issuer) {
                for hit in self.hits {
                    let found = self.repaired(issuer, claims.clone(), at, hit);
                    if let Some(example) = found.and_then(|claims| self.least(issuer, claims, at)) {
                        return Some(example);
                    }
                }
            }
        }
        None
    }

    /// Permitted cases of this target, documented tokens, and nothing.
    fn starts(&self, issuer: &IssuerName) -> Vec<(Map<String, Value>, Timestamp)> {
        let mut starts = vec![];
        for case in &self.rehearsal.cases {
            if case.permit && case.target == self.target.name && case.issuer == *issuer && starts.len() < 8 {
                starts.push((case.claims.clone(), case.at));
            }
        }
        let platform = self.catalog.find(issuer).and_then(|facts| facts.platform.as_ref());
        let documented = platform.into_iter().flat_map(|platform| platform.examples()).take(4);
        starts.extend(documented.map(|token| (token.claims.clone(), DEFAULT_MOMENT)));
        starts.push((Map::new(), DEFAULT_MOMENT));
        starts
    }

    /// Claims that are granted the policy by this rule.
    fn repaired(
        &self,
        issuer: &IssuerName,
        claims: Map<String, Value>,
        at: Timestamp,
        hit: &Hit<'_>,
    ) -> Option<Map<String, Value>> {
        let schema = self.catalog.find(issuer).and_then(|facts| facts.schema.as_deref());
        let mut solver = Solver { claims, lets: &self.rule.lets, schema, elements: vec![] };
        let mut before = None;
        for _ in 0..REPAIRS {
            if self.is_granted(issuer, &solver.claims, at) {
                return Some(solver.claims);
            }
            if before.as_ref() == Some(&solver.claims) {
                return None;
            }
            before = Some(solver.claims.clone());
            self.repair(&mut solver, issuer, at, hit);
        }
        None
    }

    fn is_granted(&self, issuer: &IssuerName, claims: &Map<String, Value>, at: Timestamp) -> bool {
        let granted = self.set.evaluate(issuer, claims, self.target, at).outcome;
        granted.is_ok_and(|grant| {
            grant.rule() == self.rule.name() && grant.policies().iter().any(|name| self.wanted.matches(name.as_str()))
        })
    }

    /// Changes what the evaluation stopped at.
    fn repair(&self, solver: &mut Solver<'_>, issuer: &IssuerName, at: Timestamp, hit: &Hit<'_>) {
        let evaluation = self.set.evaluate(issuer, &solver.claims, self.target, at);
        let Some(last) = evaluation.trace.rules().last() else { return };
        let tried = evaluation.trace.rules().iter().find(|tried| tried.rule == self.rule.name);
        let Some(tried) = tried else {
            // A rule before this one decides: it should not.
            let Some(other) = self.target.rules.iter().find(|rule| rule.name == last.rule) else { return };
            for condition in &other.require {
                let claims = solver.claims.clone();
                let mut against = Solver { claims, lets: &other.lets, schema: solver.schema, elements: vec![] };
                if against.make(condition.that.tree(), false, 0) && against.claims != solver.claims {
                    solver.claims = against.claims;
                    return;
                }
            }
            return;
        };
        if let Some(program) = &self.rule.program {
            match (tried.end, evaluation.outcome) {
                (_, Err(Reason::Refused { refusal: Refusal::Audience, .. })) => {
                    if let Some(audience) = program.audiences.first() {
                        solver.claims.insert("aud".to_owned(), Value::from(&**audience));
                    }
                }
                (_, Err(Reason::EvaluationError { fault: Fault::NoSuchClaim(name), .. })) if solver.give(&name) => {}
                _ if program::steer(solver, program, tried.held, hit.index) => {}
                _ => self.yields(solver, hit),
            }
            return;
        }
        match tried.end {
            End::Unmet { condition } => {
                if let Some(condition) = self.rule.require.get(usize::from(condition)) {
                    solver.make(condition.that.tree(), true, 0);
                }
            }
            End::Failed { at: part } => match evaluation.outcome {
                Err(Reason::EvaluationError { fault: Fault::NoSuchClaim(name), .. }) if solver.give(&name) => {}
                _ => {
                    if let Part::Condition(index) = part
                        && let Some(condition) = self.rule.require.get(usize::from(index))
                    {
                        solver.make(condition.that.tree(), true, 0);
                    } else {
                        self.yields(solver, hit);
                    }
                }
            },
            End::Granted => self.yields(solver, hit),
        }
    }

    /// Makes the entry of the grant yield the name.
    fn yields(&self, solver: &mut Solver<'_>, hit: &Hit<'_>) {
        let item = self.rule.policies.get(usize::from(hit.index));
        if let Some(when) = item.and_then(|item| item.when.as_ref()) {
            solver.make(when.tree(), true, 0);
        }
        for (node, truth) in &hit.shape.assumes {
            solver.make(node, *truth, 0);
        }
        let name = self.wanted.exact().unwrap_or_else(|| self.wanted.example());
        for (node, value) in bindings(&hit.shape, &name).unwrap_or_default() {
            solver.bind(node, &value, hit.shape.element.unwrap_or(hit.whole));
        }
    }

    /// Only the claims that the rules before and this one mention, if the answer is the same with them alone.
    fn least(&self, issuer: &IssuerName, mut claims: Map<String, Value>, at: Timestamp) -> Option<Example> {
        let mut fewer = claims.clone();
        let rules = self.target.rules.iter().take_while(|rule| rule.name != self.rule.name).chain([self.rule]);
        let mut known: BTreeSet<&str> = rules.flat_map(mentioned).collect();
        // A role's audiences are asked for before its program runs.
        known.extend(self.rule.program.as_ref().map(|_| "aud"));
        let computed = self.rule.require.iter().any(|condition| reads_all(condition.that.tree()));
        if !computed {
            fewer.retain(|name, _| known.contains(name.as_str()));
        }
        if self.is_granted(issuer, &fewer, at) {
            claims = fewer;
        }
        // The last word: what is offered is what was evaluated.
        let grant = self.set.evaluate(issuer, &claims, self.target, at).outcome.ok()?;
        let yields = grant.policies().iter().any(|name| self.wanted.matches(name.as_str()));
        let policies = grant.policies().to_vec();
        yields.then(|| Example { issuer: issuer.clone(), claims, policies })
    }
}

/// The claims that any of its expressions names.
fn mentioned(rule: &Rule) -> BTreeSet<&str> {
    if rule.program.is_some() {
        return rule.claims().collect();
    }
    let items = rule.policies.iter().flat_map(|item| item.when.iter().chain([&item.policy]));
    let others = rule.metadata.iter().map(|(_, clause)| clause).chain(rule.lets.iter().map(|one| &one.clause));
    let clauses = rule.require.iter().map(|condition| &condition.that).chain(items).chain(others);
    clauses.flat_map(|clause| claims_in(clause.tree())).collect()
}

/// Whether an expression reads claims by a computed name.
fn reads_all(node: &cel::parser::Expression) -> bool {
    let mut found = false;
    crate::policy::observe::walk(node, &mut |inner| {
        found |= matches!(&inner.expr, Expr::Ident(name) if claim_of(name).is_none() && crate::policy::guard::is_claims(inner));
    });
    found
}
