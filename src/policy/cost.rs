//! The worst case of an expression: how many steps it may take, and how large its value may grow.
//!
//! Decides, from the bounds on claims alone, whether an expression can be evaluated at any time by anybody's token
//! without hurting the others. Refuses to measure: a cost that is known only while it is being spent comes too late in
//! an evaluator that can't be stopped.
//!
//! A list's elements share its bytes, so inside a comprehension over `n` elements an element counts the `n`th part of
//! them: exact for every operation whose cost grows linearly with the text. Where it grows faster, the largest possible
//! element counts for each ([`calls`]).

mod calls;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::compile::{CompileError, Program};
use super::expand::is_bind;
use super::guard::{is_claims, is_operator};
use super::limits::{CLAIM_BYTES, CLAIM_ITEMS, CLAIM_NODES, MESSAGE_BYTES, VALUE_BYTES};

/// How large a value may be. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Bytes of text; of an element, its share of the list's.
    bytes: u64,
    /// Bytes of text of the largest possible element, which bounds how many parts it splits into.
    most: u64,
    /// Values, at any depth.
    nodes: u64,
    /// Elements, where it is a list or a map.
    items: u64,
}

/// What an expression costs, and the size of its value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bound {
    /// Steps: nodes evaluated, with text and elements converted to the same unit.
    pub(super) steps: u64,
    /// The value.
    pub(super) size: Size,
}

/// A number, a bool, a moment, a short name.
const SMALL: Size = Size { bytes: 64, most: 64, nodes: 1, items: 0 };
/// Any claim: of its type nothing is known here.
pub(super) const CLAIM: Size =
    Size { bytes: CLAIM_BYTES as u64, most: CLAIM_BYTES as u64, nodes: CLAIM_NODES as u64, items: CLAIM_ITEMS as u64 };
/// Bytes that are compared or copied in one step.
const BYTES_PER_STEP: u64 = 256;
/// What one round of a comprehension costs besides its body: two variables bound, one value cloned.
const ROUND: u64 = 4;

/// Bounds a rewritten expression. `lets` holds the size of each visible `let`. Recursive: only after the depth is bounded.
///
/// # Errors
/// [`CompileError::TooLarge`] where a value may outgrow [`VALUE_BYTES`].
pub(super) fn bound<'a>(code: &'a Program, lets: &[(&'a str, Size)]) -> Result<Bound, CompileError> {
    Estimate { code, names: lets.to_vec(), lets: lets.len() }.of(code.tree())
}

impl Size {
    /// Larger in every respect than either.
    fn or(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.max(other.bytes),
            most: self.most.max(other.most),
            nodes: self.nodes.max(other.nodes),
            items: self.items.max(other.items),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            most: self.most.saturating_add(other.most),
            nodes: self.nodes.saturating_add(other.nodes),
            items: self.items.saturating_add(other.items),
        }
    }

    fn times(self, count: u64) -> Self {
        Self {
            bytes: self.bytes.saturating_mul(count),
            most: self.most.saturating_mul(count),
            nodes: self.nodes.saturating_mul(count),
            items: self.items,
        }
    }

    /// One element of this list, in the comprehension over all of them.
    fn element(self) -> Self {
        let share = |whole: u64| whole.div_ceil(self.items.max(1));
        Self { bytes: share(self.bytes), most: self.most, nodes: share(self.nodes), items: self.items }
    }

    fn of_text(bytes: usize) -> Self {
        let bytes = bytes as u64;
        Self { bytes, most: bytes, nodes: 1, items: 0 }
    }

    /// Steps to copy it.
    pub(super) fn copy(self) -> u64 {
        self.nodes.saturating_add(self.bytes / BYTES_PER_STEP)
    }
}

struct Estimate<'a> {
    code: &'a Program,
    /// The `let` variables, and those of the comprehensions around.
    names: Vec<(&'a str, Size)>,
    /// How many of them are `let` variables, which are all in one scope.
    lets: usize,
}

impl<'a> Estimate<'a> {
    fn of(&mut self, tree: &'a Expression) -> Result<Bound, CompileError> {
        let inner = match &tree.expr {
            Expr::Literal(LiteralValue::String(text)) => Bound { steps: 0, size: Size::of_text(text.inner().len()) },
            Expr::Literal(LiteralValue::Bytes(bytes)) => Bound { steps: 0, size: Size::of_text(bytes.inner().len()) },
            Expr::Literal(_) => Bound { steps: 0, size: SMALL },
            Expr::Ident(name) => Bound { steps: self.lookup(), size: self.variable(name) },
            Expr::Select(select) => {
                let operand = self.of(&select.operand)?;
                Bound {
                    steps: operand.steps.saturating_add(self.lookup().saturating_mul(2)),
                    size: if select.test { SMALL } else { operand.size },
                }
            }
            Expr::List(list) => self.collect(list.elements.iter(), list.elements.len())?,
            Expr::Map(map) => {
                let parts = map.entries.iter().filter_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                    EntryExpr::StructField(_) => None,
                });
                self.collect(parts.flatten(), map.entries.len())?
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension)?,
            Expr::Call(call) if call.target.is_none() && is_operator(&call.func_name) => self.operator(call)?,
            Expr::Call(call) => self.call(call)?,
            Expr::Struct(message) => {
                let parts = message.entries.iter().filter_map(|entry| match &entry.expr {
                    EntryExpr::StructField(field) => Some(&field.value),
                    EntryExpr::MapEntry(_) => None,
                });
                self.collect(parts, message.entries.len())?
            }
            Expr::Unspecified => Bound::default(),
        };
        // A message holds many claims at once, and nothing adds two of them together.
        let most = if matches!(tree.expr, Expr::Struct(_)) { MESSAGE_BYTES } else { VALUE_BYTES };
        if inner.size.bytes > most || inner.size.nodes > most {
            return Err(CompileError::TooLarge);
        }
        Ok(Bound { steps: inner.steps.saturating_add(1), size: inner.size })
    }

    /// Steps to find a name: `cel` looks into one scope after the other, and for `a.b.c` for each of its beginnings.
    fn lookup(&self) -> u64 {
        self.names.len().saturating_sub(self.lets) as u64 / 4
    }

    fn variable(&self, name: &str) -> Size {
        match self.names.iter().rev().find(|(bound, _)| *bound == name) {
            Some((_, size)) => *size,
            None if self.code.claims().iter().any(|(variable, _)| **variable == *name) => CLAIM,
            None => SMALL,
        }
    }

    /// A list or map literal, which copies its elements.
    fn collect(&mut self, elements: impl Iterator<Item = &'a Expression>, items: usize) -> Result<Bound, CompileError> {
        let mut whole = Bound { steps: 0, size: Size { nodes: 1, ..Size::default() } };
        let mut within = 0;
        for element in elements {
            let part = self.of(element)?;
            within = within.max(part.size.items);
            whole.steps = whole.steps.saturating_add(part.steps).saturating_add(part.size.copy());
            whole.size = whole.size.and(part.size);
        }
        whole.size.items = within.max(items as u64);
        Ok(whole)
    }

    fn operator(&mut self, call: &'a CallExpr) -> Result<Bound, CompileError> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, [operand, index]) => {
                let of_claims = is_claims(operand);
                let operand = if of_claims { Bound { steps: 0, size: CLAIM } } else { self.of(operand)? };
                let (index, index_of) = (self.of(index)?, index);
                let optional = call.func_name != operators::INDEX;
                // A claim by a computed name is converted on each mention; what an optional holds is copied, and so is
                // a list that has no place of that number.
                let fraction = matches!(index_of.expr, Expr::Literal(LiteralValue::Double(_)));
                let copied = if of_claims || optional || fraction { operand.size.copy() } else { 0 };
                Ok(Bound {
                    // Where there is no such key, the error holds a copy of it.
                    steps: operand
                        .steps
                        .saturating_add(index.steps)
                        .saturating_add(copied)
                        .saturating_add(index.size.bytes / BYTES_PER_STEP),
                    size: operand.size,
                })
            }
            (operators::IN, [element, container]) => {
                let element = self.of(element)?;
                // A key is hashed whole, however few the map has.
                let hashed = (element.size.bytes / BYTES_PER_STEP).saturating_mul(4);
                let element = Bound { steps: element.steps.saturating_add(hashed), ..element };
                if is_claims(container) {
                    return Ok(Bound { steps: element.steps.saturating_add(1), size: SMALL });
                }
                let container = self.of(container)?;
                let each = element.size.copy().saturating_mul(container.size.items).min(container.size.copy());
                let steps = element.steps.saturating_add(container.steps);
                Ok(Bound { steps: steps.saturating_add(container.size.items).saturating_add(each), size: SMALL })
            }
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let (condition, yes, no) = (self.of(condition)?, self.of(yes)?, self.of(no)?);
                let steps = condition.steps.saturating_add(yes.steps.max(no.steps));
                Ok(Bound { steps, size: yes.size.or(no.size) })
            }
            (operators::ADD, [left, right]) => {
                let (left, right) = (self.of(left)?, self.of(right)?);
                let size = left.size.and(right.size);
                let steps = left.steps.saturating_add(right.steps).saturating_add(size.copy());
                Ok(Bound { steps, size })
            }
            (name, args) => {
                let mut steps = 0_u64;
                let mut sizes = Vec::with_capacity(args.len());
                for arg in args {
                    let arg = self.of(arg)?;
                    steps = steps.saturating_add(arg.steps);
                    sizes.push(arg.size);
                }
                Ok(Bound { steps: steps.saturating_add(applied(name, &sizes)), size: SMALL })
            }
        }
    }

    /// The macros' shapes: a bool or a count that is folded, or an empty list that is appended to in place.
    fn comprehension(&mut self, inner: &'a ComprehensionExpr) -> Result<Bound, CompileError> {
        if is_bind(inner) {
            return self.bind(inner);
        }
        let range = self.of(&inner.iter_range)?;
        let init = self.of(&inner.accu_init)?;
        let rounds = range.size.items;
        let collects = matches!(inner.accu_init.expr, Expr::List(_));
        let outer = self.names.len();
        self.names.push((&inner.accu_var, if collects { Size::default() } else { SMALL }));
        self.names.push((&inner.iter_var, range.size.element()));
        let condition = self.of(&inner.loop_cond);
        let step = self.of(&inner.loop_step);
        self.names.truncate(outer);
        let (condition, step) = (condition?, step?);
        let round = condition.steps.saturating_add(step.steps).saturating_add(ROUND);
        let size =
            if collects { Size { items: rounds.max(step.size.items), ..step.size.times(rounds) } } else { SMALL };
        let steps = range.steps.saturating_add(init.steps).saturating_add(range.size.copy());
        Ok(Bound { steps: steps.saturating_add(round.saturating_mul(rounds)), size })
    }

    /// A value with a name: evaluated once, and never copied again.
    fn bind(&mut self, inner: &'a ComprehensionExpr) -> Result<Bound, CompileError> {
        let value = self.of(&inner.accu_init)?;
        self.names.push((&inner.accu_var, value.size));
        let within = self.of(&inner.result);
        self.names.pop();
        let within = within?;
        let steps = value.steps.saturating_add(value.size.copy()).saturating_add(within.steps);
        let copied = within.size.copy();
        Ok(Bound { steps: steps.saturating_add(copied).saturating_add(ROUND), size: within.size })
    }
}

/// The steps of an operator besides its operands.
fn applied(name: &str, sizes: &[Size]) -> u64 {
    let copies = sizes.iter().map(|size| size.copy());
    match name {
        operators::EQUALS | operators::NOT_EQUALS => copies.min().unwrap_or_default(),
        // Where they don't fit, the error holds a copy of both, and `all` goes on after an error.
        operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO => {
            copies.fold(0, u64::saturating_add)
        }
        operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS => {
            sizes.iter().fold(4, |sum, size| sum.saturating_add(size.bytes / BYTES_PER_STEP * 2))
        }
        // `cel` prepares the error before it knows whether there is one.
        operators::LOGICAL_NOT | operators::NEGATE => 4,
        _ => 0,
    }
}
