//! Claims while they are changed towards a goal: what an expression reads of them, and how that is set.
//!
//! Decides nothing about conditions. Knows claims by name, their members, and the elements of comprehensions.

use cel::common::ast::{Expr, operators};
use cel::parser::Expression;
use serde_json::{Map, Value, json};

use super::solve::literal;
use crate::policy::guard::{is_claims, string};
use crate::policy::rule::Let;
use crate::policy::unparse::{claim_of, transparent};
use crate::trust::ClaimSchema;

/// Claims while they are changed towards a goal.
pub(super) struct Solver<'s> {
    pub(super) claims: Map<String, Value>,
    pub(super) lets: &'s [Let],
    pub(super) schema: Option<&'s ClaimSchema>,
    /// Variables of comprehensions around, with the element that is being made.
    pub(super) elements: Vec<(String, Option<Value>)>,
}

impl Solver<'_> {
    /// The names that lead to what `node` reads of the claims or of an element; the first is the claim's, or the variable's.
    pub(super) fn path(&self, node: &Expression) -> Option<Vec<String>> {
        match &transparent(node).expr {
            Expr::Ident(name) => {
                if let Some(at) = self.lets.iter().position(|variable| *variable.name == **name) {
                    return self.lets.get(at).and_then(|variable| self.path(variable.clause.tree()));
                }
                let known = self.elements.iter().any(|(variable, _)| variable == name);
                claim_of(name).map(|claim| vec![claim.to_owned()]).or_else(|| known.then(|| vec![format!("@{name}")]))
            }
            Expr::Select(select) => Some([self.path(&select.operand)?, vec![select.field.clone()]].concat()),
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, [operand, name]) => {
                    let name = string(name)?.to_owned();
                    match is_claims(operand) {
                        true => Some(vec![name]),
                        false => Some([self.path(operand)?, vec![name]].concat()),
                    }
                }
                // `("x" in claims) ? claims.x : ""`: what it reads, if it reads anything.
                (operators::CONDITIONAL, [_, yes, _]) => self.path(yes),
                ("orValue" | "value", _) => self.path(call.target.as_deref()?),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value of a literal, or of a variable that is one.
    pub(super) fn literal(&self, node: &Expression) -> Option<Value> {
        let named = |name: &str| self.lets.iter().find(|variable| *variable.name == *name);
        match &transparent(node).expr {
            Expr::Ident(name) => named(name).and_then(|variable| literal(variable.clause.tree())),
            _ => literal(node),
        }
    }

    /// What stands there now.
    pub(super) fn at(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let root = match first.strip_prefix('@') {
            Some(variable) => self.elements.iter().rev().find(|(known, _)| known == variable)?.1.as_ref()?,
            None => self.claims.get(first)?,
        };
        rest.iter().try_fold(root, |value, name| value.get(name))
    }

    /// Sets what `node` reads; whether it knows how.
    pub(super) fn set(&mut self, node: &Expression, value: Value) -> bool {
        let Some(path) = self.path(node) else { return false };
        let Some((first, rest)) = path.split_first() else { return false };
        let root = match first.strip_prefix('@') {
            Some(variable) => match self.elements.iter_mut().rev().find(|(known, _)| known == variable) {
                Some((_, element)) => element.get_or_insert(Value::Null),
                None => return false,
            },
            None => self.claims.entry(first.clone()).or_insert(Value::Null),
        };
        let mut place = root;
        for name in rest {
            if !place.is_object() {
                *place = json!({});
            }
            let Some(members) = place.as_object_mut() else { return false };
            place = members.entry(name.clone()).or_insert(Value::Null);
        }
        *place = value;
        true
    }

    /// Sees to it that the member is there.
    pub(super) fn present(&mut self, operand: &Expression, field: &str) -> bool {
        let Some(path) = self.path(operand).map(|path| [path, vec![field.to_owned()]].concat()) else {
            return is_claims(operand) && self.give(field);
        };
        if self.at(&path).is_some() {
            return true;
        }
        let Some(members) = self.path(operand).and_then(|path| self.at(&path).cloned()) else {
            return self.set(operand, json!({field: "x"}));
        };
        let mut members = members.as_object().cloned().unwrap_or_default();
        members.insert(field.to_owned(), Value::from("x"));
        self.set(operand, Value::Object(members))
    }

    /// Sees to it that the member is not there.
    pub(super) fn absent(&mut self, operand: &Expression, field: &str) -> bool {
        let Some(path) = self.path(operand) else {
            return is_claims(operand) && self.claims.remove(field).is_some();
        };
        let mut members = self.at(&path).and_then(Value::as_object).cloned().unwrap_or_default();
        members.remove(field);
        self.set(operand, Value::Object(members))
    }

    /// Adds a claim with some value.
    pub(super) fn give(&mut self, claim: &str) -> bool {
        let value = self.placeholder(claim);
        self.claims.insert(claim.to_owned(), value).is_none()
    }

    /// A value of the claim's type: a documented one, where there is one.
    pub(super) fn placeholder(&self, claim: &str) -> Value {
        let Some(known) = self.schema.and_then(|schema| schema.claim(claim)) else { return Value::from("x") };
        if let Some(value) = known.values().first() {
            return Value::from(value.as_ref());
        }
        let fits = [json!("x"), json!(["x"]), json!(true), json!(1), json!({}), json!([])];
        fits.into_iter().find(|value| known.ty().admits(value)).unwrap_or(Value::Null)
    }
}
