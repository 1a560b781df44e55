//! What a comprehension was before the parser folded it: `exists`, `all`, `exists_one`, `map`, `filter`.
//!
//! Decides nothing. The parser turns a macro into a loop with an accumulator; a reader knows it only by its name. A shape
//! that is none of these is left alone, and told as a whole.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

/// A macro over the elements of a range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Macro<'e> {
    /// Whether the predicate holds for one element.
    Exists(&'e Expression),
    /// Whether it holds for all.
    All(&'e Expression),
    /// Whether it holds for exactly one.
    ExistsOne(&'e Expression),
    /// The elements for which it holds.
    Filter(&'e Expression),
    /// What each element becomes, where the predicate holds.
    Map(Option<&'e Expression>, &'e Expression),
}

impl<'e> Macro<'e> {
    /// The macro that was folded into `inner`.
    pub(super) fn of(inner: &'e ComprehensionExpr) -> Option<Self> {
        if inner.iter_var2.is_some() {
            return None;
        }
        let Expr::Call(step) = &inner.loop_step.expr else { return None };
        let is_result = |node: &Expression| matches!(&node.expr, Expr::Ident(name) if *name == inner.accu_var);
        match (&inner.accu_init.expr, step.func_name.as_str(), step.args.as_slice()) {
            (Expr::Literal(LiteralValue::Boolean(start)), operators::LOGICAL_OR, [result, that])
                if !*start.inner() && is_result(result) =>
            {
                Some(Self::Exists(that))
            }
            (Expr::Literal(LiteralValue::Boolean(start)), operators::LOGICAL_AND, [result, that])
                if *start.inner() && is_result(result) =>
            {
                Some(Self::All(that))
            }
            (Expr::Literal(LiteralValue::Int(_)), operators::CONDITIONAL, [that, _, result]) if is_result(result) => {
                Some(Self::ExistsOne(that))
            }
            (Expr::List(_), operators::CONDITIONAL, [that, add, result]) if is_result(result) => {
                let each = added(add)?;
                let same = matches!(&each.expr, Expr::Ident(name) if *name == inner.iter_var);
                Some(if same { Self::Filter(that) } else { Self::Map(Some(that), each) })
            }
            (Expr::List(_), operators::ADD, _) => added(&inner.loop_step).map(|each| Self::Map(None, each)),
            _ => None,
        }
    }

    /// The name that it is called by.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Exists(_) => "exists",
            Self::All(_) => "all",
            Self::ExistsOne(_) => "exists_one",
            Self::Filter(_) => "filter",
            Self::Map(..) => "map",
        }
    }

    /// What is evaluated for each element, in order.
    pub(super) fn each(self) -> impl Iterator<Item = &'e Expression> {
        let (first, second) = match self {
            Self::Exists(that) | Self::All(that) | Self::ExistsOne(that) | Self::Filter(that) => (Some(that), None),
            Self::Map(that, each) => (that, Some(each)),
        };
        first.into_iter().chain(second)
    }

    /// The value of the predicate after which no further element is asked.
    pub(super) const fn decided_by(self) -> Option<bool> {
        match self {
            Self::Exists(_) => Some(true),
            Self::All(_) => Some(false),
            Self::ExistsOne(_) | Self::Filter(_) | Self::Map(..) => None,
        }
    }
}

/// A value with a name, in an expression: what `cel.bind`, `optMap` and a lazy `orValue` come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound<'e> {
    pub(super) name: &'e str,
    pub(super) value: &'e Expression,
    pub(super) within: &'e Expression,
}

impl<'e> Bound<'e> {
    /// The binding that `inner` is: a loop over no elements.
    pub(super) fn of(inner: &'e ComprehensionExpr) -> Option<Self> {
        let empty = matches!(&inner.iter_range.expr, Expr::List(list) if list.elements.is_empty());
        (empty && inner.iter_var.starts_with('@')).then(|| Self {
            name: &inner.accu_var,
            value: &inner.accu_init,
            within: &inner.result,
        })
    }

    /// The branches of the choice that nobody wrote as one, where it is `optMap` or `orValue`.
    pub(super) fn chosen(self) -> Option<[&'e Expression; 2]> {
        match &self.within.expr {
            Expr::Call(call) if self.name.starts_with('@') && call.func_name == operators::CONDITIONAL => {
                match call.args.as_slice() {
                    [_, yes, no] => Some([yes, no]),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// The one element that is added to the accumulator.
fn added(step: &Expression) -> Option<&Expression> {
    match &step.expr {
        Expr::Call(CallExpr { func_name, args, .. }) if func_name == operators::ADD => match args.as_slice() {
            [_, Expression { expr: Expr::List(list), .. }] => match list.elements.as_slice() {
                [one] => Some(one),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}
