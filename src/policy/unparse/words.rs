//! The words of an expression's text: names, operators and how tightly they bind, and what is left out of it.

use cel::common::ast::{CallExpr, Expr, operators};
use cel::parser::Expression;

use crate::policy::guard::{is_claims, string};
use crate::policy::language::{BOUNDED, PLACE, PLAIN};

/// How tightly operators bind, from loose to tight.
pub(super) const TERNARY: u8 = 1;
pub(super) const OR: u8 = 2;
pub(super) const AND: u8 = 3;
const RELATION: u8 = 4;
const SUM: u8 = 5;
const PRODUCT: u8 = 6;
pub(super) const UNARY: u8 = 7;
pub(super) const MEMBER: u8 = 8;

/// A string as CEL writes it.
pub(in crate::policy) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `claims.x`, or `claims["a/b"]` where the name is no identifier.
pub(in crate::policy) fn claim(name: &str) -> String {
    if is_identifier(name) { format!("claims.{name}") } else { format!("claims[{}]", quoted(name)) }
}

/// The claim that a rewritten variable stands for.
pub(in crate::policy) fn claim_of(variable: &str) -> Option<&str> {
    variable.strip_prefix("@claims[\"")?.strip_suffix("\"]")
}

pub(super) fn is_identifier(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// What stands around a value without a meaning of its own.
pub(in crate::policy) fn transparent(node: &Expression) -> &Expression {
    match &node.expr {
        Expr::Call(call) if [PLAIN, BOUNDED, PLACE].contains(&call.func_name.as_str()) => {
            call.args.first().map_or(node, transparent)
        }
        _ => node,
    }
}

/// The claim that a rewritten `has(claims.x)` asks for.
pub(in crate::policy) fn has(call: &CallExpr) -> Option<&str> {
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::IN, [name, container]) if is_claims(container) => string(name),
        _ => None,
    }
}

/// How an operator is written, and how tightly it binds.
pub(super) fn operator(name: &str) -> Option<(&'static str, u8)> {
    Some(match name {
        operators::CONDITIONAL => ("?", TERNARY),
        operators::LOGICAL_OR => ("||", OR),
        operators::LOGICAL_AND => ("&&", AND),
        operators::EQUALS => ("==", RELATION),
        operators::NOT_EQUALS => ("!=", RELATION),
        operators::LESS => ("<", RELATION),
        operators::LESS_EQUALS => ("<=", RELATION),
        operators::GREATER => (">", RELATION),
        operators::GREATER_EQUALS => (">=", RELATION),
        operators::IN => ("in", RELATION),
        operators::ADD => ("+", SUM),
        operators::SUBSTRACT => ("-", SUM),
        operators::MULTIPLY => ("*", PRODUCT),
        operators::DIVIDE => ("/", PRODUCT),
        operators::MODULO => ("%", PRODUCT),
        operators::LOGICAL_NOT => ("!", UNARY),
        operators::NEGATE => ("-", UNARY),
        _ => return None,
    })
}
