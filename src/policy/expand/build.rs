//! Nodes that stand for a macro's call. Decides their shape and their id; refuses to know a macro.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, ListExpr, LiteralValue, operators};
use cel::parser::Expression;

use super::UNUSED;

/// Makes nodes with the id of one call.
#[derive(Clone, Copy)]
pub(in crate::policy) struct Build {
    id: u64,
}

impl Build {
    pub(in crate::policy) fn of(id: u64) -> Self {
        Self { id }
    }

    pub(in crate::policy) fn node(self, expr: Expr) -> Expression {
        Expression { id: self.id, expr }
    }

    pub(in crate::policy) fn ident(self, name: &str) -> Expression {
        self.node(Expr::Ident(name.to_owned()))
    }

    pub(in crate::policy) fn truth(self, truth: bool) -> Expression {
        self.node(Expr::Literal(LiteralValue::Boolean(truth.into())))
    }

    pub(in crate::policy) fn int(self, number: i64) -> Expression {
        self.node(Expr::Literal(LiteralValue::Int(number.into())))
    }

    pub(in crate::policy) fn list(self, elements: Vec<Expression>) -> Expression {
        self.node(Expr::List(ListExpr::new(elements)))
    }

    /// `name(args)`.
    pub(in crate::policy) fn call(self, name: &str, args: Vec<Expression>) -> Expression {
        self.node(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
    }

    /// `target.name(args)`.
    pub(in crate::policy) fn on(self, target: Expression, name: &str, args: Vec<Expression>) -> Expression {
        self.node(Expr::Call(CallExpr { func_name: name.to_owned(), target: Some(Box::new(target)), args }))
    }

    /// `namespace.name(args)`.
    pub(in crate::policy) fn of_namespace(self, namespace: &str, name: &str, args: Vec<Expression>) -> Expression {
        self.on(self.ident(namespace), name, args)
    }

    /// `condition ? yes : no`.
    pub(in crate::policy) fn choose(self, condition: Expression, yes: Expression, no: Expression) -> Expression {
        self.call(operators::CONDITIONAL, vec![condition, yes, no])
    }

    /// `within`, where `name` is `value`.
    pub(in crate::policy) fn bind(self, name: String, value: Expression, within: Expression) -> Expression {
        self.node(Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range: self.list(vec![]),
            iter_var: UNUSED.to_owned(),
            iter_var2: None,
            accu_init: value,
            loop_cond: self.truth(false),
            loop_step: self.ident(&name),
            result: within,
            accu_var: name,
        })))
    }
}
