//! What stays of an expression that can't be read: a key that is the same for the same expression, and its claims.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hash as _;

use cel::common::ast::{EntryExpr, Expr, operators};
use cel::parser::Expression;

use super::read::BUDGET;
use crate::policy::guard::{is_claims, string};
use crate::trust::ClaimPath;

/// The claims that `tree` mentions, those of the `let` variables in it included.
pub(in crate::policy) fn mentions<'t>(lets: &'t [(&'t str, &'t Expression)], tree: &'t Expression) -> Vec<ClaimPath> {
    let mut claims = vec![];
    Walk { lets, left: BUDGET, claims: &mut claims }.node(tree, &mut DefaultHasher::new());
    claims.sort();
    claims.dedup();
    claims
}

/// Hashes a tree without its ids, `let` variables as what they stand for, and collects the claims in it.
pub(super) struct Walk<'w, 't> {
    pub(super) lets: &'w [(&'t str, &'t Expression)],
    pub(super) left: u32,
    pub(super) claims: &'w mut Vec<ClaimPath>,
}

impl Walk<'_, '_> {
    pub(super) fn node(&mut self, node: &Expression, hasher: &mut DefaultHasher) {
        let Some(left) = self.left.checked_sub(1) else { return node.id.hash(hasher) };
        self.left = left;
        if let Some(path) = spelled(node) {
            path.hash(hasher);
            self.claims.push(path);
            return;
        }
        std::mem::discriminant(&node.expr).hash(hasher);
        match &node.expr {
            Expr::Ident(name) => match self.lets.iter().find(|(known, _)| known == name) {
                Some((_, tree)) => self.node(tree, hasher),
                None => name.hash(hasher),
            },
            Expr::Literal(value) => format!("{value:?}").hash(hasher),
            Expr::Select(select) => {
                (&select.field, select.test).hash(hasher);
                self.node(&select.operand, hasher);
            }
            Expr::Call(call) => {
                (&call.func_name, call.args.len()).hash(hasher);
                call.target.iter().for_each(|target| self.node(target, hasher));
                call.args.iter().for_each(|arg| self.node(arg, hasher));
            }
            Expr::List(list) => {
                list.elements.len().hash(hasher);
                list.elements.iter().for_each(|element| self.node(element, hasher));
            }
            Expr::Map(map) => map.entries.iter().for_each(|entry| {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    self.node(&entry.key, hasher);
                    self.node(&entry.value, hasher);
                }
            }),
            Expr::Comprehension(inner) => {
                inner.iter_var.hash(hasher);
                [&inner.iter_range, &inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result]
                    .into_iter()
                    .for_each(|part| self.node(part, hasher));
            }
            Expr::Struct(_) | Expr::Unspecified => node.id.hash(hasher),
        }
    }
}

/// The claim that a node spells out, from `claims` on.
fn spelled(node: &Expression) -> Option<ClaimPath> {
    let (operand, name) = match &node.expr {
        Expr::Select(select) => (&*select.operand, select.field.as_str()),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, [operand, name]) => {
                (operand, string(name)?)
            }
            (operators::IN, [name, container]) if is_claims(container) => (container, string(name)?),
            _ => return None,
        },
        _ => return None,
    };
    if is_claims(operand) { Some(ClaimPath::top(name)) } else { spelled(operand).map(|outer| outer.child(name)) }
}
