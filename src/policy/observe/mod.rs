//! The evaluation of one target, watched: for the tools, apart from the path of an exchange.
//!
//! Decides nothing: [`evaluate`] decides, and its trace says how far each rule came; here each expression that it came to
//! is evaluated once more, part by part, by the same engine with the same variables.

mod node;
mod shown;

use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::{Context, Value};
use serde_json::Map;

pub(super) use self::node::{Observed, Outcome, children, claims_in, walk};

use self::node::Eye;
use super::claims::Claims;
use super::evaluate::{Evaluation, evaluate};
use super::fault::Fault;
use super::language::Language;
use super::role::Program;
use super::rule::{Clause, Rule, Target};
use super::scope::Scope;
use super::trace::{End, Part, Tried};
use super::unparse::claim_of;
use crate::clock::Timestamp;
use crate::identity::IssuerName;

/// What is evaluated, and how closely it is looked at.
pub(super) struct Look<'l> {
    pub(super) language: &'l Language,
    pub(super) target: &'l Target,
    pub(super) issuer: &'l IssuerName,
    pub(super) claims: &'l Map<String, serde_json::Value>,
    pub(super) now: Timestamp,
    /// Whether values are wanted as text.
    pub(super) values: bool,
    /// Which claims are not to be shown; the empty name asks whether there are any.
    pub(super) hidden: &'l dyn Fn(&str) -> bool,
}

/// A rule that was tried, with the expressions that the evaluator came to, in order.
pub(super) struct ObservedRule<'t> {
    pub(super) rule: &'t Rule,
    pub(super) end: End,
    pub(super) parts: Vec<(Part, Observed<'t>)>,
}

impl<'l> Look<'l> {
    /// The evaluation, and what was seen of it.
    pub(super) fn take(&self) -> (Evaluation, Vec<ObservedRule<'l>>) {
        let evaluation = evaluate(self.language, self.target, self.issuer, self.claims, self.now);
        let Ok(claims) = Claims::bounded(self.claims) else { return (evaluation, vec![]) };
        let tried = self.target.rules_of(self.issuer).zip(evaluation.trace.rules());
        let rules = tried.map(|(rule, tried)| match &rule.program {
            Some(program) => self.program(rule, program, tried, claims),
            None => self.rule(rule, tried.end, claims),
        });
        let rules = rules.collect();
        (evaluation, rules)
    }

    fn rule(&self, rule: &'l Rule, end: End, claims: Claims<'_>) -> ObservedRule<'l> {
        let scope = Scope::new(rule, self.language, claims, self.issuer.as_str(), self.now);
        let mut context = self.language.context();
        context.set_variable_resolver(&scope);
        let mut watch = Watch { look: self, rule, context, ready: 0, secret: vec![], parts: vec![] };
        watch.run(end);
        let parts = watch.parts;
        ObservedRule { rule, end, parts }
    }
}

/// What OpenBao's programs do otherwise: their variables are evaluated before anything else, all of them; then questions
/// in order, and the answer of the first that holds.
impl<'l> Look<'l> {
    fn program(&self, rule: &'l Rule, program: &'l Program, tried: &Tried, claims: Claims<'_>) -> ObservedRule<'l> {
        let scope = Scope::of_program(rule, &program.language, claims, self.now);
        let mut context = program.language.context();
        context.set_variable_resolver(&scope);
        let mut watch = Watch { look: self, rule, context, ready: 0, secret: vec![], parts: vec![] };
        // A token for another audience is refused before.
        if tried.end != (End::Failed { at: Part::Grant }) {
            watch.run_program(program, tried);
        }
        let parts = watch.parts;
        ObservedRule { rule, end: tried.end, parts }
    }
}

/// One rule while it is looked at.
struct Watch<'w, 'l, 'v> {
    look: &'w Look<'l>,
    rule: &'l Rule,
    context: Context<'v, 'v>,
    ready: u32,
    /// The `let` variables whose values are not to be shown.
    secret: Vec<&'l str>,
    parts: Vec<(Part, Observed<'l>)>,
}

impl<'l> Watch<'_, 'l, '_> {
    /// Looks at the expressions in the order of the evaluator, up to the one at which it left the rule.
    fn run(&mut self, end: End) {
        let last = match end {
            End::Granted => None,
            End::Unmet { condition } => Some(Part::Condition(condition)),
            End::Failed { at } => Some(at),
        };
        let rule = self.rule;
        for (index, condition) in (0_u16..).zip(&rule.require) {
            if self.see(&condition.that, Part::Condition(index), last).is_none() {
                return;
            }
        }
        for (index, item) in (0_u16..).zip(&rule.policies) {
            let taken = match &item.when {
                None => Some(true),
                Some(when) => match self.see(when, Part::When(index), last) {
                    None => return,
                    Some(outcome) => outcome.truth(),
                },
            };
            if taken == Some(true) && self.see(&item.policy, Part::Policy(index), last).is_none() {
                return;
            }
        }
        if last == Some(Part::Grant) {
            return;
        }
        for (index, (_, clause)) in (0_u16..).zip(&rule.metadata) {
            if self.see(clause, Part::Metadata(index), last).is_none() {
                return;
            }
        }
    }

    fn run_program(&mut self, program: &'l Program, tried: &Tried) {
        let last = if let End::Failed { at } = tried.end { Some(at) } else { None };
        let all = (0_u32..32).zip(&self.rule.lets).fold(0, |mask, (index, _)| mask | (1 << index));
        if self.variables(all, last).is_none() {
            return;
        }
        for (index, question) in (0_u16..).zip(&program.questions) {
            let Some(outcome) = self.see(&question.condition, Part::Condition(index), last) else { return };
            if outcome.truth() == Some(true) {
                break;
            }
        }
        if let Some(answer) = program.answer(tried.held) {
            self.see(answer, Part::Answer(tried.held), last);
        }
    }

    /// Looks at one expression, after the variables that it needs; nothing where the rule was left there.
    fn see(&mut self, clause: &'l Clause, at: Part, last: Option<Part>) -> Option<Outcome> {
        self.variables(clause.lets, last)?;
        let outcome = self.push(clause, at);
        (last != Some(at) && !matches!(outcome, Outcome::Fault(_))).then_some(outcome)
    }

    /// Looks at variables that were not needed before; nothing where the rule was left there.
    fn variables(&mut self, needed: u32, last: Option<Part>) -> Option<()> {
        let mut missing = needed & !self.ready;
        while missing != 0 {
            let index = missing.trailing_zeros();
            missing &= missing - 1;
            self.ready |= 1 << index;
            let Some(variable) = self.rule.lets.get(index as usize) else { continue };
            let part = Part::Let(u16::try_from(index).unwrap_or(u16::MAX));
            let outcome = self.push(&variable.clause, part);
            if self.hides(&variable.clause) {
                self.secret.push(&variable.name);
            }
            if matches!(outcome, Outcome::Fault(_)) || last == Some(part) {
                return None;
            }
            let value = Value::resolve_val(variable.clause.tree(), &self.context).ok()?.into_owned();
            self.context.add_variable_as_val(variable.name.as_ref(), value);
        }
        Some(())
    }

    fn push(&mut self, clause: &'l Clause, part: Part) -> Outcome {
        let eye = Eye { source: clause.code.source(), values: self.look.values, hidden: self.look.hidden };
        let looked = catch_unwind(AssertUnwindSafe(|| eye.look(clause.tree(), &self.context, &self.secret)));
        let observed = looked.unwrap_or_else(|_| Observed {
            node: clause.tree(),
            outcome: Outcome::Fault(Fault::Panicked),
            parts: vec![],
            rounds: vec![],
            asked: 0,
        });
        let outcome = observed.outcome.clone();
        self.parts.push((part, observed));
        outcome
    }

    fn hides(&self, clause: &Clause) -> bool {
        let mut hides = false;
        walk(clause.tree(), &mut |node| {
            if let cel::common::ast::Expr::Ident(name) = &node.expr {
                hides |= self.secret.contains(&name.as_str())
                    || claim_of(name).is_some_and(|claim| (self.look.hidden)(claim))
                    || (super::guard::is_claims(node) && (self.look.hidden)(""));
            }
        });
        hides
    }
}
