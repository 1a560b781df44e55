//! One expression, looked at while it is evaluated.
//!
//! Decides which sub-expressions the evaluator comes to (the operand that a `||` does not need is none of them), and asks
//! the evaluator itself for the value of each.

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, operators};
use cel::common::types::CelBool;
use cel::common::value::CowVal;
use cel::parser::Expression;
use cel::{Context, ExecutionError, Value};

use super::shown::shown;
use crate::policy::comprehension::{Bound, Macro};
use crate::policy::fault::Fault;
use crate::policy::guard::{is_claims, qualified, string};
use crate::policy::unparse::{claim_of, has};

/// The most elements of a range that are kept where values are shown, besides the one that decided.
const ROUNDS: usize = 3;

/// A sub-expression with what it came to.
#[derive(Debug)]
pub(in crate::policy) struct Observed<'e> {
    pub(in crate::policy) node: &'e Expression,
    pub(in crate::policy) outcome: Outcome,
    /// The sub-expressions that were evaluated for it, in order.
    pub(in crate::policy) parts: Vec<Observed<'e>>,
    /// What was evaluated for elements of its range, where it is a comprehension.
    pub(in crate::policy) rounds: Vec<Round<'e>>,
    /// How many elements were asked.
    pub(in crate::policy) asked: usize,
}

/// What was evaluated for one element.
#[derive(Debug)]
pub(in crate::policy) struct Round<'e> {
    pub(in crate::policy) element: Box<str>,
    /// Whether no further element was asked after it.
    pub(in crate::policy) decided: bool,
    pub(in crate::policy) parts: Vec<Observed<'e>>,
}

/// What an expression came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Outcome {
    /// A value: what it says where it is a bool, and its text.
    Value { truth: Option<bool>, shown: Box<str> },
    /// An error.
    Fault(Fault),
}

impl Outcome {
    pub(in crate::policy) fn truth(&self) -> Option<bool> {
        match self {
            Self::Value { truth, .. } => *truth,
            Self::Fault(_) => None,
        }
    }
}

/// How an expression is looked at.
pub(super) struct Eye<'s> {
    /// Its text, which faults may quote.
    pub(super) source: &'s str,
    /// Whether values are wanted as text.
    pub(super) values: bool,
    /// Which claims are not to be shown.
    pub(super) hidden: &'s dyn Fn(&str) -> bool,
}

impl Eye<'_> {
    /// Looks at `node`, in which the values of the variables `secret` are not to be shown. Recursion is bounded by the
    /// depth of a tree.
    pub(super) fn look<'e, 'v>(
        &self,
        node: &'e Expression,
        context: &Context<'_, 'v>,
        secret: &[&str],
    ) -> Observed<'e> {
        let resolved = Value::resolve_val(node, context);
        let outcome = self.outcome(node, &resolved, secret);
        let mut observed = Observed { node, outcome, parts: vec![], rounds: vec![], asked: 0 };
        match &node.expr {
            Expr::Call(call) => self.call(call, context, secret, &mut observed),
            Expr::Select(select) if !is_claims(&select.operand) => {
                observed.parts.push(self.look(&select.operand, context, secret));
            }
            Expr::List(list) => {
                observed.parts = list.elements.iter().map(|element| self.look(element, context, secret)).collect();
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        observed.parts.push(self.look(&entry.key, context, secret));
                        observed.parts.push(self.look(&entry.value, context, secret));
                    }
                }
            }
            Expr::Comprehension(inner) => self.comprehension(inner, context, secret, &mut observed),
            Expr::Literal(_) | Expr::Ident(_) | Expr::Select(_) | Expr::Struct(_) | Expr::Unspecified => {}
        }
        observed
    }

    fn outcome(&self, node: &Expression, value: &Result<CowVal<'_, '_>, ExecutionError>, secret: &[&str]) -> Outcome {
        match value {
            Err(error) => Outcome::Fault(Fault::of(error, self.source)),
            Ok(value) => {
                let truth = value.downcast_ref::<CelBool>().map(|truth| *truth.inner());
                let shown = match truth {
                    Some(truth) if !matches!(node.expr, Expr::Ident(_)) => truth.to_string().into(),
                    _ if !self.values => Box::from(""),
                    _ if self.is_hidden(node, secret) => Box::from("[hidden]"),
                    _ => shown(value.as_ref()),
                };
                Outcome::Value { truth, shown }
            }
        }
    }

    fn call<'e>(&self, call: &'e CallExpr, context: &Context<'_, '_>, secret: &[&str], into: &mut Observed<'e>) {
        let look = |node: &'e Expression| self.look(node, context, secret);
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let condition = look(condition);
                let taken = condition.outcome.truth().map(|truth| if truth { yes } else { no });
                into.parts.push(condition);
                into.parts.extend(taken.map(look));
            }
            (name @ (operators::LOGICAL_OR | operators::LOGICAL_AND), [left, right]) => {
                let left = look(left);
                let decided = left.outcome.truth() == Some(name == operators::LOGICAL_OR);
                into.parts.push(left);
                into.parts.extend((!decided).then(|| look(right)));
            }
            _ if has(call).is_some() => {}
            (name, args) => {
                let target = call.target.as_deref().filter(|target| qualified(target, name).is_none());
                into.parts.extend(target.into_iter().chain(args).filter(|part| !is_claims(part)).map(look));
            }
        }
    }

    fn comprehension<'e>(
        &self,
        inner: &'e ComprehensionExpr,
        context: &Context<'_, '_>,
        secret: &[&str],
        into: &mut Observed<'e>,
    ) {
        if let Some(bound) = Bound::of(inner) {
            into.parts.push(self.look(bound.value, context, secret));
            let Ok(value) = Value::resolve_val(bound.value, context) else { return };
            let mut scope = context.new_inner_scope();
            scope.add_variable_as_val(bound.name, value.into_owned());
            let mut secret = secret.to_vec();
            if self.is_hidden(bound.value, &secret) {
                secret.push(bound.name);
            }
            return into.parts.push(self.look(bound.within, &scope, &secret));
        }
        into.parts.push(self.look(&inner.iter_range, context, secret));
        let (Some(of), Ok(range)) = (Macro::of(inner), Value::resolve_val(&inner.iter_range, context)) else { return };
        let Some(range_items) = range.as_iterable() else { return };
        let hidden = self.is_hidden(&inner.iter_range, secret);
        let mut secret = secret.to_vec();
        if hidden {
            secret.push(&inner.iter_var);
        }
        let mut items = range_items.iter();
        while let Some(item) = items.next() {
            let mut scope = context.new_inner_scope();
            scope.add_variable_as_val(&inner.iter_var, item.clone_as_boxed());
            let mut parts = vec![];
            for part in of.each() {
                parts.push(self.look(part, &scope, &secret));
                let first = parts.first().and_then(|first| first.outcome.truth());
                if matches!(of, Macro::Map(Some(_), _)) && first == Some(false) {
                    break;
                }
            }
            let first = parts.first().and_then(|first| first.outcome.truth());
            let decided = of.decided_by().is_some_and(|decisive| first == Some(decisive));
            into.asked += 1;
            // For a person, one element that decided says all; for coverage, each does.
            if decided && self.values {
                into.rounds.clear();
            }
            if decided || !self.values || into.rounds.len() < ROUNDS {
                let element = match (self.values, hidden) {
                    (false, _) => Box::from(""),
                    (true, true) => Box::from("[hidden]"),
                    (true, false) => shown(item),
                };
                into.rounds.push(Round { element, decided, parts });
            }
            if decided {
                return;
            }
        }
    }

    /// Whether the value of `node` could tell something that is not to be shown.
    fn is_hidden(&self, node: &Expression, secret: &[&str]) -> bool {
        let mut found = false;
        walk(node, &mut |inner| {
            if let Expr::Ident(name) = &inner.expr {
                found |= secret.contains(&name.as_str()) || claim_of(name).is_some_and(|claim| (self.hidden)(claim));
                // `claims[..]` with a computed name can be any of them.
                found |= is_claims(inner) && (self.hidden)("");
            }
        });
        found
    }
}

/// Visits `node` and all that is in it. Recursion is bounded by the depth of a tree.
pub(in crate::policy) fn walk<'e>(node: &'e Expression, visit: &mut impl FnMut(&'e Expression)) {
    visit(node);
    children(node).into_iter().for_each(|child| walk(child, visit));
}

/// The sub-expressions of `node`, from the left, as its author wrote them.
pub(in crate::policy) fn children(node: &Expression) -> Vec<&Expression> {
    match &node.expr {
        Expr::Call(call) if has(call).is_some() => vec![],
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| in_entry(&entry.expr)).collect(),
        Expr::Struct(message) => message.entries.iter().flat_map(|entry| in_entry(&entry.expr)).collect(),
        Expr::Comprehension(inner) if let Some(bound) = Bound::of(inner) => vec![bound.value, bound.within],
        Expr::Comprehension(inner) => {
            let each: Vec<&Expression> = match Macro::of(inner) {
                Some(of) => of.each().collect(),
                None => vec![&inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result],
            };
            std::iter::once(&inner.iter_range).chain(each).collect()
        }
        Expr::Literal(_) | Expr::Ident(_) | Expr::Unspecified => vec![],
    }
}

fn in_entry(entry: &EntryExpr) -> Vec<&Expression> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}

/// The claims that `node` names, those that it only asks for included.
pub(in crate::policy) fn claims_in(node: &Expression) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    walk(node, &mut |inner| match &inner.expr {
        Expr::Ident(name) => found.extend(claim_of(name)),
        Expr::Call(call) => match call.args.as_slice() {
            [operand, name] if is_claims(operand) => found.extend(string(name)),
            _ => found.extend(has(call)),
        },
        _ => {}
    });
    found
}
