//! A role's program, compiled, and what it says about one token's claims.
//!
//! Decides as OpenBao does: the token's audience is one of the bound ones; the variables are evaluated in order, all of
//! them, whether or not anything uses them; then the expression, whose value denies (`false`, a message), grants (a
//! `pb.Auth`) or is an error (anything else). Whatever fails denies. Refuses to know where claims come from.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::common::ast::{Expr, LiteralValue};
use cel::common::types::{CelBool, CelString, CelStruct, Kind};
use cel::common::value::{CowVal, Val};
use cel::{Context, Value};
use serde_json::Map;

use super::grant::{Auth, TokenType};
use super::messages::AUTH;
use super::path::RolePath;
use super::refusal::{Refusal, Said};
use crate::clock::Timestamp;
use crate::identity::PolicyName;
use crate::policy::claims::Claims;
use crate::policy::decision::{Grant, Reason};
use crate::policy::fault::Fault;
use crate::policy::language::Language;
use crate::policy::rule::{Clause, Rule};
use crate::policy::scope::Scope;
use crate::policy::trace::{End, Part, Trace};

/// A compiled program. Its variables, claims and patterns are those of its rule.
pub(in crate::policy) struct Program {
    pub(in crate::policy) path: RolePath,
    pub(in crate::policy) language: Language,
    /// Questions in order, each with the answer where it holds.
    pub(in crate::policy) questions: Box<[Question]>,
    /// The answer where none holds.
    pub(in crate::policy) last: Clause,
    pub(in crate::policy) audiences: Box<[Box<str>]>,
}

/// `condition ? answer : ...`.
#[derive(Debug)]
pub(in crate::policy) struct Question {
    pub(in crate::policy) condition: Clause,
    pub(in crate::policy) answer: Clause,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("path", &self.path).field("questions", &self.questions.len()).finish()
    }
}

impl Program {
    /// The answer of that number; the last one stands after all questions.
    pub(in crate::policy) fn answer(&self, index: u16) -> Option<&Clause> {
        let index = usize::from(index);
        match self.questions.get(index) {
            Some(question) => Some(&question.answer),
            None => (index == self.questions.len()).then_some(&self.last),
        }
    }

    /// What the program of `rule` says to `claims`.
    pub(in crate::policy) fn evaluate(
        &self,
        rule: &Rule,
        claims: Claims<'_>,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Grant, Reason> {
        if !self.is_for_us(claims.json()) {
            trace.push(&rule.name, 0, End::Failed { at: Part::Grant });
            return Err(self.refused(rule, Refusal::Audience));
        }
        let scope = Scope::of_program(rule, &self.language, claims, now);
        let mut passed = 0;
        // `cel` has a few panics of its own; a token must not be able to end a worker with one.
        let ran = catch_unwind(AssertUnwindSafe(|| self.run(rule, &scope, &mut passed)));
        let stop = match ran.unwrap_or(Err(Stop::Failed(Part::Grant, Fault::Panicked))) {
            Ok(grant) => {
                trace.push(&rule.name, passed, End::Granted);
                return Ok(grant);
            }
            Err(stop) => stop,
        };
        let (end, reason) = match stop {
            Stop::Answered(refusal) => (End::Unmet { condition: passed }, self.refused(rule, refusal)),
            Stop::Failed(at, fault) => {
                (End::Failed { at }, Reason::EvaluationError { rule: Arc::clone(&rule.name), at, fault })
            }
            Stop::Name(at, error) => {
                (End::Failed { at }, Reason::BadPolicyName { rule: Arc::clone(&rule.name), at, error })
            }
        };
        trace.push(&rule.name, passed, end);
        Err(reason)
    }

    fn refused(&self, rule: &Rule, refusal: Refusal) -> Reason {
        Reason::Refused { rule: Arc::clone(&rule.name), refusal }
    }

    /// Any audience will do; without bound audiences OpenBao asks for none.
    fn is_for_us(&self, claims: &Map<String, serde_json::Value>) -> bool {
        let bound = |audience: &serde_json::Value| {
            audience.as_str().is_some_and(|audience| self.audiences.iter().any(|bound| **bound == *audience))
        };
        match claims.get("aud") {
            _ if self.audiences.is_empty() => true,
            Some(serde_json::Value::Array(audiences)) => audiences.iter().any(bound),
            Some(audience) => bound(audience),
            None => false,
        }
    }

    fn run<'v>(&'v self, rule: &'v Rule, scope: &'v Scope<'_>, passed: &mut u16) -> Result<Grant, Stop> {
        let mut context = self.language.context();
        context.set_variable_resolver(scope);
        for (index, variable) in (0_u16..).zip(&rule.lets) {
            let value = resolve(&variable.clause, &context, Part::Let(index))?.into_owned();
            context.add_variable_as_val(variable.name.as_ref(), value);
        }
        for question in &self.questions {
            let at = Part::Condition(*passed);
            let value = resolve(&question.condition, &context, at)?;
            let holds = value.downcast_ref::<CelBool>().map(|truth| *truth.inner()).ok_or_else(|| {
                let types = format!("{}, _, _", value.get_type().name());
                Stop::Failed(at, Fault::NoOverload { function: "?:".into(), types: types.into() })
            })?;
            if holds {
                return self.say(rule, &question.answer, &context, Part::Answer(*passed));
            }
            *passed += 1;
        }
        self.say(rule, &self.last, &context, Part::Answer(*passed))
    }

    fn say<'v>(&self, rule: &Rule, clause: &Clause, context: &Context<'v, 'v>, at: Part) -> Result<Grant, Stop> {
        let value = resolve(clause, context, at)?;
        if let Some(message) = value.downcast_ref::<CelString<'_>>() {
            let is_literal = matches!(&clause.code.tree().expr, Expr::Literal(LiteralValue::String(_)));
            return Err(Stop::Answered(Refusal::Message(Said::new(message.inner(), is_literal))));
        }
        if value.downcast_ref::<CelBool>().is_some_and(|truth| !truth.inner()) {
            return Err(Stop::Answered(Refusal::False));
        }
        match value.downcast_ref::<CelStruct<'_>>().filter(|message| message.name() == AUTH) {
            Some(auth) => self.grant(rule, auth, at),
            None => Err(Stop::Answered(Refusal::Unexpected {
                cel: Box::from(value.get_type().name()),
                go: go_type(value.as_ref()),
            })),
        }
    }

    fn grant(&self, rule: &Rule, auth: &CelStruct<'_>, at: Part) -> Result<Grant, Stop> {
        let auth = Auth::of(auth, self.path.role()).map_err(Stop::Answered)?;
        let names = auth.policies.iter().map(|name| PolicyName::new(name).map_err(|error| Stop::Name(at, error)));
        let policies = names.collect::<Result<Vec<_>, _>>()?;
        if policies.is_empty() {
            return Err(Stop::Answered(Refusal::Unusable { field: "policies", why: "no policies" }));
        }
        Ok(Grant {
            rule: Arc::clone(&rule.name),
            rule_digest: rule.digest,
            policies,
            // What the program says of the lifetime is what the operator wrote; a program that says nothing gets no more
            // than a policy that says nothing.
            outlive_subject: auth.outlives,
            revocable: auth.rest.token_type == TokenType::Service,
            ttl: auth.ttl,
            scopes: Arc::default(),
            metadata: auth.metadata,
            role: Some(Box::new(auth.rest)),
        })
    }
}

/// Why a program granted nothing.
enum Stop {
    Answered(Refusal),
    Failed(Part, Fault),
    Name(Part, crate::identity::PolicyNameError),
}

fn resolve<'e, 'v>(clause: &'e Clause, context: &'e Context<'v, 'v>, at: Part) -> Result<CowVal<'e, 'v>, Stop> {
    Value::resolve_val(clause.code.tree(), context)
        .map_err(|error| Stop::Failed(at, Fault::of(&error, clause.code.source())))
}

/// Go's name of a value's type, which OpenBao's error has.
fn go_type(value: &dyn Val) -> &'static str {
    match value.get_type().kind() {
        Kind::Boolean => "types.Bool",
        Kind::Int => "types.Int",
        Kind::UInt => "types.Uint",
        Kind::Double => "types.Double",
        Kind::Bytes => "types.Bytes",
        Kind::NullType => "types.Null",
        Kind::Timestamp => "types.Timestamp",
        Kind::Duration => "types.Duration",
        Kind::List => "*types.baseList",
        Kind::Map => "*types.baseMap",
        Kind::Type => "*types.Type",
        Kind::Struct => "*types.protoObj",
        _ => "*types.Optional",
    }
}
