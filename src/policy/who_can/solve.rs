//! Claims that meet a condition, guessed from its text.
//!
//! Decides nothing: what comes out is a guess, good only once an evaluation agrees. It knows the forms in which conditions
//! are written: comparisons with literals, `in`, `has`, prefixes and patterns, `exists` and `all`, and what `&&`, `||`,
//! `!`, ternaries and variables make of them.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;
use serde_json::{Value, json};

pub(super) use super::draft::Solver;
use super::shape::{Piece, shapes};
use crate::policy::comprehension::Macro;
use crate::policy::guard::string;
use crate::policy::language::MATCH;
use crate::policy::unparse::{has, transparent};

/// How deep a condition is followed, variables included.
const DEPTH: usize = 48;

impl Solver<'_> {
    /// Changes the claims so that `node` may come to be `truth`; whether it knows how.
    pub(super) fn make(&mut self, node: &Expression, truth: bool, depth: usize) -> bool {
        if depth > DEPTH {
            return false;
        }
        match &transparent(node).expr {
            Expr::Literal(LiteralValue::Boolean(literal)) => *literal.inner() == truth,
            Expr::Ident(name) => match self.lets.iter().position(|variable| *variable.name == **name) {
                Some(at) => {
                    self.lets.get(at).is_some_and(|variable| self.make(variable.clause.tree(), truth, depth + 1))
                }
                None => self.set(node, Value::from(truth)),
            },
            Expr::Select(select) if select.test => {
                if truth {
                    self.present(&select.operand, &select.field)
                } else {
                    self.absent(&select.operand, &select.field)
                }
            }
            Expr::Select(_) => self.set(node, Value::from(truth)),
            Expr::Call(call) => self.call(call, truth, depth),
            Expr::Comprehension(inner) => self.comprehension(inner, truth, depth),
            _ => false,
        }
    }

    fn call(&mut self, call: &CallExpr, truth: bool, depth: usize) -> bool {
        if let Some(claim) = has(call) {
            if truth {
                if !self.claims.contains_key(claim) {
                    let value = self.placeholder(claim);
                    self.claims.insert(claim.to_owned(), value);
                }
            } else {
                self.claims.remove(claim);
            }
            return true;
        }
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, _, [one]) => self.make(one, !truth, depth + 1),
            (operators::LOGICAL_AND, _, [left, right]) if truth => {
                let left = self.make(left, true, depth + 1);
                self.make(right, true, depth + 1) && left
            }
            (operators::LOGICAL_OR, _, [left, right]) if !truth => {
                let left = self.make(left, false, depth + 1);
                self.make(right, false, depth + 1) && left
            }
            // One side is enough; the right one is the one that says more: `!has(claims.x) || claims.x == ".."`.
            (operators::LOGICAL_AND | operators::LOGICAL_OR, _, [left, right]) => {
                self.make(right, truth, depth + 1) || self.make(left, truth, depth + 1)
            }
            (operators::CONDITIONAL, _, [condition, yes, no]) => {
                (self.make(condition, true, depth + 1) && self.make(yes, truth, depth + 1))
                    || (self.make(condition, false, depth + 1) && self.make(no, truth, depth + 1))
            }
            (operators::EQUALS, _, [left, right]) => self.equal(left, right, truth, depth),
            (operators::NOT_EQUALS, _, [left, right]) => self.equal(left, right, !truth, depth),
            (operators::IN, _, [element, container]) => self.within(element, container, truth, depth),
            (operators::LESS | operators::LESS_EQUALS, _, [left, right]) => self.ordered(left, right, truth),
            (operators::GREATER | operators::GREATER_EQUALS, _, [left, right]) => self.ordered(right, left, truth),
            ("startsWith" | "endsWith" | "contains", Some(subject), [part]) => match (string(part), truth) {
                (Some(part), true) => self.value(subject, Value::from(part), depth),
                _ => self.value(subject, Value::from("other"), depth),
            },
            (MATCH, _, [subject, pattern]) => match (&pattern.expr, truth) {
                (Expr::Ident(name), true) => {
                    matching(name).is_some_and(|text| self.value(subject, Value::from(text), depth))
                }
                _ => self.value(subject, Value::from("other"), depth),
            },
            ("hasValue", Some(optional), []) => match &optional.expr {
                Expr::Call(CallExpr { func_name, args, .. }) if func_name == operators::OPT_SELECT => {
                    match args.as_slice() {
                        [operand, field] => {
                            let field = string(field).unwrap_or_default().to_owned();
                            if truth { self.present(operand, &field) } else { self.absent(operand, &field) }
                        }
                        _ => false,
                    }
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Makes both sides equal, or not.
    fn equal(&mut self, left: &Expression, right: &Expression, truth: bool, depth: usize) -> bool {
        for (side, other) in [(left, right), (right, left)] {
            if let Some(value) = self.literal(other) {
                if truth {
                    return self.value(side, value, depth);
                }
                let differs = self.path(side).and_then(|path| self.at(&path).map(|known| *known != value));
                return differs == Some(true) || self.value(side, another(&value), depth);
            }
        }
        let known = |solver: &Self, side| solver.path(side).and_then(|path| solver.at(&path).cloned());
        match (known(self, left), known(self, right)) {
            (_, Some(value)) if truth => self.set(left, value),
            (Some(value), None) if truth => self.set(right, value),
            (None, None) if truth => self.set(left, Value::from("x")) && self.set(right, Value::from("x")),
            (_, Some(value)) => self.set(left, another(&value)),
            _ => false,
        }
    }

    /// Makes `node` come to `value`.
    pub(super) fn value(&mut self, node: &Expression, value: Value, depth: usize) -> bool {
        if depth > DEPTH {
            return false;
        }
        match &transparent(node).expr {
            Expr::Call(call) => match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
                (operators::CONDITIONAL, _, [condition, yes, no]) => {
                    for (branch, truth) in [(yes, true), (no, false)] {
                        if literal(branch).is_none_or(|found| found == value)
                            && self.make(condition, truth, depth + 1)
                            && (literal(branch).is_some() || self.value(branch, value.clone(), depth + 1))
                        {
                            return true;
                        }
                    }
                    false
                }
                ("lowerAscii" | "upperAscii" | "trim", Some(subject), []) | ("string" | "dyn", None, [subject]) => {
                    self.value(subject, value, depth + 1)
                }
                ("int", None, [subject]) => self.value(subject, Value::from(value.to_string()), depth + 1),
                ("size", Some(subject), []) | ("size", None, [subject]) => {
                    let size = value.as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(1).min(64);
                    let text =
                        self.path(subject).and_then(|path| self.at(&path).cloned()).is_none_or(|old| old.is_string());
                    let made = if text { Value::from("x".repeat(size)) } else { Value::from(vec!["x"; size]) };
                    self.set(subject, made)
                }
                ("orValue", Some(optional), [_]) => self.value(optional, value, depth + 1),
                _ => self.set(node, value),
            },
            Expr::Ident(name) => match self.lets.iter().find(|variable| *variable.name == **name) {
                Some(variable) => self.value(variable.clause.tree(), value, depth + 1),
                None => self.set(node, value),
            },
            _ => self.set(node, value),
        }
    }

    fn within(&mut self, element: &Expression, container: &Expression, truth: bool, depth: usize) -> bool {
        if let Expr::List(list) = &container.expr {
            let values: Vec<Value> = list.elements.iter().filter_map(literal).collect();
            return match (values.first(), truth) {
                (Some(first), true) => self.value(element, first.clone(), depth),
                (Some(first), false) => self.value(element, another(first), depth),
                (None, _) => false,
            };
        }
        let Some(value) = literal(element) else { return false };
        let Some(path) = self.path(container) else { return false };
        let mut items = self.at(&path).and_then(Value::as_array).cloned().unwrap_or_default();
        if truth {
            items.push(value)
        } else {
            items.retain(|item| *item != value)
        }
        self.set(container, Value::from(items))
    }

    /// Makes `small` less than `large`, or not.
    fn ordered(&mut self, small: &Expression, large: &Expression, truth: bool) -> bool {
        let step = if truth { 1 } else { -1 };
        let number = |node: &Expression| literal(node).and_then(|value| value.as_i64());
        match (number(small), number(large)) {
            (Some(bound), None) => self.value(large, Value::from(bound.saturating_add(step)), 0),
            (None, Some(bound)) => self.value(small, Value::from(bound.saturating_sub(step)), 0),
            _ => false,
        }
    }

    fn comprehension(&mut self, inner: &ComprehensionExpr, truth: bool, depth: usize) -> bool {
        let Some(path) = self.path(&inner.iter_range) else { return false };
        let mut items = self.at(&path).and_then(Value::as_array).cloned().unwrap_or_default();
        match (Macro::of(inner), truth) {
            (Some(Macro::Exists(that) | Macro::ExistsOne(that)), true) => {
                let Some(element) = self.element(inner, that, true, depth) else { return false };
                items.push(element);
            }
            (Some(Macro::All(that)), true) => {
                let Some(element) = self.element(inner, that, true, depth) else { return false };
                items = vec![element];
            }
            (Some(Macro::All(that)), false) => {
                let Some(element) = self.element(inner, that, false, depth) else { return false };
                items.push(element);
            }
            (Some(Macro::Exists(_) | Macro::ExistsOne(_)), false) => items.clear(),
            _ => return false,
        }
        self.set(&inner.iter_range, Value::from(items))
    }

    /// An element for which `that` may be `truth`.
    fn element(&mut self, inner: &ComprehensionExpr, that: &Expression, truth: bool, depth: usize) -> Option<Value> {
        self.elements.push((inner.iter_var.clone(), None));
        let made = self.make(that, truth, depth + 1);
        let (_, element) = self.elements.pop()?;
        element.filter(|_| made)
    }

    /// Makes the pieces of a name come to what they have to.
    pub(super) fn bind(&mut self, node: &Expression, text: &str, item: &Expression) -> bool {
        if self.value(node, Value::from(text), 0) {
            return true;
        }
        // An element of the list that the item maps: `claims.groups.map(g, "group/" + g)`.
        let Expr::Comprehension(inner) = &item.expr else { return false };
        let named = |name: &str| *name == inner.iter_var;
        let read = match &transparent(node).expr {
            Expr::Call(call) if call.func_name == "string" => call.args.first().map_or(node, transparent),
            _ => node,
        };
        let is_element = matches!(&read.expr, Expr::Ident(name) if named(name));
        let Some(path) = self.path(&inner.iter_range).filter(|_| is_element) else { return false };
        let mut items = self.at(&path).and_then(Value::as_array).cloned().unwrap_or_default();
        items.push(Value::from(text));
        self.set(&inner.iter_range, Value::from(items))
    }
}

/// The value of a literal, or of a text that is put together from literals.
pub(super) fn literal(node: &Expression) -> Option<Value> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(Value::from(text.inner())),
        Expr::Literal(LiteralValue::Boolean(truth)) => Some(Value::from(*truth.inner())),
        Expr::Literal(LiteralValue::Int(number)) => Some(Value::from(*number.inner())),
        Expr::Literal(LiteralValue::UInt(number)) => Some(Value::from(*number.inner())),
        Expr::Literal(LiteralValue::Double(number)) => Some(Value::from(*number.inner())),
        Expr::Literal(LiteralValue::Null) => Some(Value::Null),
        Expr::List(list) => list.elements.iter().map(literal).collect::<Option<Vec<Value>>>().map(Value::from),
        Expr::Call(call) if call.func_name == operators::ADD => match shapes(node, &[]).as_slice() {
            [shape] => {
                let text = |piece: &Piece<'_>| if let Piece::Text(text) = piece { Some(text.clone()) } else { None };
                shape.pieces.iter().map(text).collect::<Option<String>>().map(Value::from)
            }
            _ => None,
        },
        _ => None,
    }
}

/// A value of the same type that is another.
fn another(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(format!("{text}x")),
        Value::Bool(truth) => Value::from(!truth),
        Value::Number(number) => Value::from(number.as_i64().unwrap_or(0).saturating_add(1)),
        Value::Array(items) => Value::from([items.as_slice(), &[json!("x")]].concat()),
        Value::Null | Value::Object(_) => Value::from("x"),
    }
}

/// A text that the pattern may match: a glob with `x` for what varies, a regular expression without what is special.
fn matching(variable: &str) -> Option<String> {
    let (kind, rest) = variable.strip_prefix('@')?.split_once('(')?;
    let text: String = serde_json::from_str(rest.strip_suffix(')')?).ok()?;
    if kind == "glob" {
        return Some(text.replace("**", "x").replace(['*', '?'], "x"));
    }
    let inner = text.trim_start_matches('^').trim_end_matches('$').trim_start_matches("\\A").trim_end_matches("\\z");
    let first = inner.split('|').next().unwrap_or(inner).trim_matches(['(', ')']);
    let plain =
        first.replace(".*", "x").replace(".+", "x").replace("[0-9]+", "1").replace("[a-z]+", "x").replace("\\d+", "1");
    let plain = plain.replace("\\.", ".").replace("\\/", "/").replace("[^/]+", "x").replace("[^/]*", "x");
    Some(plain)
}
