//! The rules of one target, tried on one token's claims.
//!
//! Decides: the first rule whose conditions all hold grants; a condition that is false leads to the next rule; whatever
//! else happens (an error, another type, a name that is none) denies the request there and then, so that a typing error
//! in a strict rule never falls through to a lax one. Refuses to know where claims come from.
//!
//! Conditions are tried in order and the first false one ends the rule, so that `has(claims.environment)` guards the
//! conditions after it. A `let` is evaluated when an expression that mentions it is, not before: it needs no guard of
//! its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::common::types::{CelBool, CelList, CelString};
use cel::common::value::{CowVal, Val};
use cel::{Context, Value};
use serde_json::Map;

use super::claims::Claims;
use super::decision::{Denial, Grant, Reason};
use super::fault::Fault;
use super::language::Language;
use super::limits::{METADATA_BYTES, POLICIES};
use super::rule::{Clause, Rule, Target};
use super::scope::Scope;
use super::trace::{End, Part, Trace};
use crate::clock::Timestamp;
use crate::identity::{IssuerName, PolicyName};

/// What the rules said, and how they came to it.
#[derive(Debug)]
pub struct Evaluation {
    /// What is granted, or why nothing is.
    pub outcome: Result<Grant, Reason>,
    /// Which rules were tried.
    pub trace: Trace,
}

impl Evaluation {
    /// The grant, or the denial.
    pub(super) fn into_result(self) -> Result<(Grant, Trace), Denial> {
        match self.outcome {
            Ok(grant) => Ok((grant, self.trace)),
            Err(reason) => Err(Denial::new(reason, self.trace)),
        }
    }
}

/// Tries the rules of `target` for `issuer` on `claims`.
pub(super) fn evaluate(
    language: &Language,
    target: &Target,
    issuer: &IssuerName,
    claims: &Map<String, serde_json::Value>,
    now: Timestamp,
) -> Evaluation {
    let mut trace = Trace::default();
    let outcome = match Claims::bounded(claims) {
        Ok(claims) => first_that_decides(language, target, issuer, claims, now, &mut trace),
        Err(fault) => Err(Reason::ClaimsOutOfBounds(fault)),
    };
    Evaluation { outcome, trace }
}

fn first_that_decides(
    language: &Language,
    target: &Target,
    issuer: &IssuerName,
    claims: Claims<'_>,
    now: Timestamp,
    trace: &mut Trace,
) -> Result<Grant, Reason> {
    let mut nearest: Option<(&Rule, u16)> = None;
    for rule in target.rules_of(issuer) {
        if let Some(program) = &rule.program {
            return program.evaluate(rule, claims, now, trace);
        }
        let scope = Scope::new(rule, language, claims, issuer.as_str(), now);
        // `cel` has a few panics of its own; a token must not be able to end a worker with one.
        let tried = catch_unwind(AssertUnwindSafe(|| Trial::new(&scope, rule, language).run()));
        let (held, outcome) = tried.unwrap_or((0, Err(Stop::Failed(Part::Grant, Trouble::Fault(Fault::Panicked)))));
        match outcome {
            Ok(grant) => {
                trace.push(&rule.name, held, End::Granted);
                return Ok(grant);
            }
            Err(Stop::Unmet) => {
                trace.push(&rule.name, held, End::Unmet { condition: held });
                if nearest.is_none_or(|(_, most)| held > most) {
                    nearest = Some((rule, held));
                }
            }
            Err(Stop::Failed(at, trouble)) => {
                trace.push(&rule.name, held, End::Failed { at });
                return Err(trouble.reason(&rule.name, at));
            }
        }
    }
    Err(match nearest {
        None => Reason::NoRuleForIssuer,
        Some((rule, condition)) => Reason::ConditionsNotMet {
            rule: Arc::clone(&rule.name),
            condition,
            message: rule.require.get(usize::from(condition)).map_or_else(|| Arc::from(""), |c| Arc::clone(&c.message)),
        },
    })
}

/// Why a rule granted nothing.
enum Stop {
    /// The condition after those that held is false.
    Unmet,
    /// The request is denied.
    Failed(Part, Trouble),
}

/// What denies a request.
enum Trouble {
    Fault(Fault),
    Type { expected: &'static str, got: Box<str> },
    Name(crate::identity::PolicyNameError),
    NoPolicies,
    TooManyPolicies,
    MetadataTooLong,
}

impl Trouble {
    fn reason(self, rule: &Arc<str>, at: Part) -> Reason {
        let rule = Arc::clone(rule);
        match self {
            Self::Fault(fault) => Reason::EvaluationError { rule, at, fault },
            Self::Type { expected, got } => Reason::WrongType { rule, at, expected, got },
            Self::Name(error) => Reason::BadPolicyName { rule, at, error },
            Self::NoPolicies => Reason::NoPolicies { rule },
            Self::TooManyPolicies => Reason::TooManyPolicies { rule },
            Self::MetadataTooLong => Reason::MetadataTooLong { rule, at },
        }
    }
}

/// One rule on one token.
struct Trial<'v> {
    rule: &'v Rule,
    context: Context<'v, 'v>,
    /// The `let` variables that are in the context: one bit each.
    ready: u32,
}

impl<'v> Trial<'v> {
    fn new(scope: &'v Scope<'_>, rule: &'v Rule, language: &Language) -> Self {
        let mut context = language.context();
        context.set_variable_resolver(scope);
        Self { rule, context, ready: 0 }
    }

    /// How many conditions held, and what came of it.
    fn run(mut self) -> (u16, Result<Grant, Stop>) {
        let mut held = 0;
        for condition in &self.rule.require {
            match self.truth(&condition.that, Part::Condition(held)) {
                Ok(true) => held += 1,
                Ok(false) => return (held, Err(Stop::Unmet)),
                Err(stop) => return (held, Err(stop)),
            }
        }
        (held, self.grant())
    }

    fn grant(&mut self) -> Result<Grant, Stop> {
        let mut policies = Vec::new();
        for (index, item) in (0_u16..).zip(&self.rule.policies) {
            if let Some(when) = &item.when
                && !self.truth(when, Part::When(index))?
            {
                continue;
            }
            match &item.account {
                // What the file says of itself, and not an expression.
                Some(_) if policies.len() == POLICIES => {
                    return Err(Stop::Failed(Part::Grant, Trouble::TooManyPolicies));
                }
                Some(account) => policies.push(account.clone()),
                None => self.names(&item.policy, Part::Policy(index), &mut policies)?,
            }
        }
        if policies.is_empty() {
            return Err(Stop::Failed(Part::Grant, Trouble::NoPolicies));
        }
        let metadata = self.metadata()?;
        let terms = self.rule.terms.as_deref();
        Ok(Grant {
            rule: Arc::clone(&self.rule.name),
            rule_digest: self.rule.digest,
            policies,
            ttl: terms.and_then(|terms| terms.ttl),
            outlive_subject: terms.is_some_and(|terms| terms.outlive_subject),
            revocable: terms.is_some_and(|terms| terms.revocable),
            scopes: terms.map_or_else(Arc::default, |terms| Arc::clone(&terms.scopes)),
            metadata,
            role: None,
        })
    }

    /// Adds the policies that one entry names: a string, or a list of strings.
    fn names(&mut self, clause: &'v Clause, at: Part, policies: &mut Vec<PolicyName>) -> Result<(), Stop> {
        let value = self.value(clause, at)?;
        let mut add = |value: &dyn Val| {
            let name = value
                .downcast_ref::<CelString<'_>>()
                .ok_or_else(|| wrong(at, "a string or a list of strings", value))?;
            let name = PolicyName::new(name.inner()).map_err(|error| Stop::Failed(at, Trouble::Name(error)))?;
            if policies.contains(&name) {
                return Ok(());
            }
            if policies.len() == POLICIES {
                return Err(Stop::Failed(Part::Grant, Trouble::TooManyPolicies));
            }
            policies.push(name);
            Ok(())
        };
        match value.downcast_ref::<CelList<'_>>() {
            Some(list) => list.inner().iter().try_for_each(|element| add(element.as_ref())),
            None => add(value.as_ref()),
        }
    }

    fn metadata(&mut self) -> Result<Vec<(Arc<str>, String)>, Stop> {
        let mut metadata = Vec::with_capacity(self.rule.metadata.len());
        for (index, (name, clause)) in (0_u16..).zip(&self.rule.metadata) {
            let at = Part::Metadata(index);
            let value = self.value(clause, at)?;
            let text = value.downcast_ref::<CelString<'_>>().ok_or_else(|| wrong(at, "a string", value.as_ref()))?;
            if text.inner().len() > METADATA_BYTES {
                return Err(Stop::Failed(at, Trouble::MetadataTooLong));
            }
            metadata.push((Arc::clone(name), text.inner().to_owned()));
        }
        Ok(metadata)
    }

    fn truth(&mut self, clause: &'v Clause, at: Part) -> Result<bool, Stop> {
        let value = self.value(clause, at)?;
        match value.downcast_ref::<CelBool>() {
            Some(truth) => Ok(*truth.inner()),
            None => Err(wrong(at, "a bool", value.as_ref())),
        }
    }

    /// The value of an expression, after the `let` variables that it mentions.
    fn value<'e>(&'e mut self, clause: &'e Clause, at: Part) -> Result<CowVal<'e, 'v>, Stop> {
        let mut missing = clause.lets & !self.ready;
        while missing != 0 {
            let index = missing.trailing_zeros();
            missing &= missing - 1;
            self.ready |= 1 << index;
            let Some(variable) = self.rule.lets.get(index as usize) else { continue };
            let at = Part::Let(u16::try_from(index).unwrap_or(u16::MAX));
            let value = Self::resolve(&variable.clause, &self.context, at)?.into_owned();
            self.context.add_variable_as_val(variable.name.as_ref(), value);
        }
        Self::resolve(clause, &self.context, at)
    }

    fn resolve<'e>(clause: &'e Clause, context: &'e Context<'v, 'v>, at: Part) -> Result<CowVal<'e, 'v>, Stop> {
        Value::resolve_val(clause.tree(), context)
            .map_err(|error| Stop::Failed(at, Trouble::Fault(Fault::of(&error, clause.code.source()))))
    }
}

fn wrong(at: Part, expected: &'static str, value: &dyn Val) -> Stop {
    Stop::Failed(at, Trouble::Type { expected, got: value.get_type().name().into() })
}
