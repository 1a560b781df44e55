//! A syntax tree as text again, for people.
//!
//! Decides how a part of an expression is written when only its tree is left: what [`rewrite`](super::rewrite) put in is
//! read back (`claims.x`, `has(claims.x)`, `text.glob("..")`), and macros stand as they were called. The text is for
//! reading: it is bounded, and nothing compiles it.

mod words;

use std::fmt::Write as _;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::comprehension::{Bound, Macro};
use super::guard::{qualified, string};
use super::language::{EXTRACT, EXTRACT_ALL, MATCH, MILLISECONDS, REPLACE};
use super::rule::Let;
use words::{AND, MEMBER, OR, TERNARY, UNARY, is_identifier, operator};
pub(super) use words::{claim, claim_of, has, quoted, transparent};

/// The longest text, in bytes; a longer one ends with `…`. Inlined variables could double it with each of 32.
const LONGEST: usize = 2 * 1024;

/// The text of `node`.
pub(super) fn text(node: &Expression) -> String {
    text_with(node, &[])
}

/// The text of `node` with the expressions of `lets` in the place of their names.
pub(super) fn text_with(node: &Expression, lets: &[Let]) -> String {
    let mut writer = Writer { out: String::new(), lets, bound: vec![] };
    writer.node(node, 0);
    if writer.out.len() > LONGEST {
        writer.out.truncate(writer.out.floor_char_boundary(LONGEST));
        writer.out.push('…');
    }
    writer.out
}

struct Writer<'l> {
    out: String,
    lets: &'l [Let],
    /// Variables of comprehensions around, which hide nothing but are no `let`.
    bound: Vec<String>,
}

impl Writer<'_> {
    /// Writes `node`, in parentheses where it binds less than `least`. Recursion is bounded by the depth of a tree.
    fn node(&mut self, node: &Expression, least: u8) {
        if self.out.len() > LONGEST {
            return;
        }
        let level = self.level(node);
        if level < least {
            self.out.push('(');
            self.bare(node);
            self.out.push(')');
        } else {
            self.bare(node);
        }
    }

    fn level(&self, node: &Expression) -> u8 {
        match &transparent(node).expr {
            Expr::Ident(name) => self.inlined(name).map_or(MEMBER, |of| self.level(of)),
            Expr::Call(call) => match call.func_name.as_str() {
                operators::IN if has(call).is_some() => MEMBER,
                name => operator(name).map_or(MEMBER, |(_, level)| level),
            },
            _ => MEMBER,
        }
    }

    fn inlined(&self, name: &str) -> Option<&Expression> {
        let found = self.lets.iter().find(|variable| *variable.name == *name);
        found.filter(|_| !self.bound.iter().any(|bound| bound == name)).map(|variable| variable.clause.tree())
    }

    fn bare(&mut self, node: &Expression) {
        match &transparent(node).expr {
            Expr::Literal(literal) => self.literal(literal),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) if select.test => {
                self.out.push_str("has(");
                self.member(&select.operand, &select.field);
                self.out.push(')');
            }
            Expr::Select(select) => self.member(&select.operand, &select.field),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                self.out.push('[');
                for (index, element) in list.elements.iter().enumerate() {
                    self.comma(index);
                    if list.optional_indices.contains(&index) {
                        self.out.push('?');
                    }
                    self.node(element, 0);
                }
                self.out.push(']');
            }
            Expr::Map(map) => {
                self.out.push('{');
                for (index, entry) in map.entries.iter().enumerate() {
                    self.comma(index);
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.node(&entry.key, 0);
                        self.out.push_str(": ");
                        self.node(&entry.value, 0);
                    }
                }
                self.out.push('}');
            }
            Expr::Comprehension(inner) => self.comprehension(inner),
            Expr::Struct(message) => {
                let _ = write!(self.out, "{}{{…}}", message.type_name);
            }
            Expr::Unspecified => self.out.push('…'),
        }
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push_str(", ");
        }
    }

    fn literal(&mut self, literal: &LiteralValue) {
        let _ = match literal {
            LiteralValue::Boolean(truth) => write!(self.out, "{}", truth.inner()),
            LiteralValue::Int(number) => write!(self.out, "{}", number.inner()),
            LiteralValue::UInt(number) => write!(self.out, "{}u", number.inner()),
            LiteralValue::Double(number) => write!(self.out, "{:?}", number.inner()),
            LiteralValue::String(text) => write!(self.out, "{}", quoted(text.inner())),
            LiteralValue::Bytes(bytes) => write!(self.out, "b\"{}\"", bytes.inner().escape_ascii()),
            LiteralValue::Null => write!(self.out, "null"),
        };
    }

    fn name(&mut self, name: &str) {
        if let Some(claim_name) = claim_of(name) {
            self.out.push_str(&claim(claim_name));
        } else if let Some(index) = self.lets.iter().position(|variable| *variable.name == *name)
            && let Some(variable) = self.lets.get(index).filter(|_| self.inlined(name).is_some())
        {
            // A variable sees only those above it, so that this ends.
            let (lets, bound) = (self.lets, std::mem::take(&mut self.bound));
            self.lets = lets.get(..index).unwrap_or_default();
            self.bare(variable.clause.tree());
            (self.lets, self.bound) = (lets, bound);
        } else {
            self.out.push_str(name.trim_start_matches('@'));
        }
    }

    fn member(&mut self, operand: &Expression, field: &str) {
        self.node(operand, MEMBER);
        let _ = if is_identifier(field) { write!(self.out, ".{field}") } else { write!(self.out, ".`{field}`") };
    }

    fn call(&mut self, call: &CallExpr) {
        if let Some(claim_name) = has(call) {
            let _ = write!(self.out, "has({})", claim(claim_name));
            return;
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.node(condition, OR);
                self.out.push_str(" ? ");
                self.node(yes, OR);
                self.out.push_str(" : ");
                self.node(no, TERNARY);
            }
            (operators::LOGICAL_NOT, [one]) => {
                self.out.push('!');
                self.node(one, UNARY);
            }
            (operators::NEGATE, [one]) => {
                self.out.push('-');
                self.node(one, UNARY);
            }
            (operators::INDEX | operators::OPT_INDEX, [operand, index]) => {
                self.node(operand, MEMBER);
                self.out.push_str(if call.func_name == operators::INDEX { "[" } else { "[?" });
                self.node(index, 0);
                self.out.push(']');
            }
            (operators::OPT_SELECT, [operand, field]) => {
                self.node(operand, MEMBER);
                let _ = write!(self.out, ".?{}", string(field).unwrap_or_default());
            }
            (MILLISECONDS, [subject]) => {
                self.node(subject, MEMBER);
                self.out.push_str(".getMilliseconds()");
            }
            (name @ (REPLACE | EXTRACT | EXTRACT_ALL), [subject, pattern, to @ ..]) => {
                let _ = write!(self.out, "regex.{}(", name.trim_start_matches('@'));
                self.node(subject, 0);
                let pattern = if let Expr::Ident(pattern) = &pattern.expr { pattern.as_str() } else { "" };
                let text = pattern.split_once('(').map_or("", |(_, text)| text.trim_end_matches(')'));
                let _ = write!(self.out, ", {text}");
                for arg in to {
                    self.out.push_str(", ");
                    self.node(arg, 0);
                }
                self.out.push(')');
            }
            (MATCH, [subject, pattern]) => {
                self.node(subject, MEMBER);
                self.out.push('.');
                self.node(pattern, 0);
            }
            (name, [left, right]) if operator(name).is_some() => {
                let (sign, level) = operator(name).unwrap_or_default();
                self.node(left, level);
                let _ = write!(self.out, " {sign} ");
                // `a && (b && c)` means what `a && b && c` does; `a - (b - c)` doesn't.
                self.node(right, if matches!(level, OR | AND) { level } else { level + 1 });
            }
            (name, args) => self.function(call, name, args),
        }
    }

    fn bound(&mut self, bound: Bound<'_>) {
        let Some([yes, no]) = bound.chosen() else {
            let _ = write!(self.out, "cel.bind({}, ", bound.name.trim_start_matches('@'));
            self.node(bound.value, 0);
            self.out.push_str(", ");
            self.node(bound.within, 0);
            return self.out.push(')');
        };
        self.node(bound.value, MEMBER);
        match &yes.expr {
            Expr::Comprehension(inner) if let Some(held) = Bound::of(inner) => {
                let _ = write!(self.out, ".optMap({}, ", held.name);
                self.node(held.within, 0);
            }
            Expr::Call(call) if call.func_name == "value" => {
                self.out.push_str(".orValue(");
                self.node(no, 0);
            }
            _ => {
                self.out.push_str(".or(");
                self.node(no, 0);
            }
        }
        self.out.push(')');
    }

    fn function(&mut self, call: &CallExpr, name: &str, args: &[Expression]) {
        if let Some(target) = &call.target {
            match qualified(target, name) {
                Some(full) => self.out.push_str(&full),
                None => {
                    self.node(target, MEMBER);
                    let _ = write!(self.out, ".{name}");
                }
            }
        } else {
            self.out.push_str(name.trim_start_matches('@'));
        }
        self.out.push('(');
        for (index, arg) in args.iter().enumerate() {
            self.comma(index);
            self.node(arg, 0);
        }
        self.out.push(')');
    }

    fn comprehension(&mut self, inner: &ComprehensionExpr) {
        if let Some(bound) = Bound::of(inner) {
            return self.bound(bound);
        }
        self.node(&inner.iter_range, MEMBER);
        let Some(of) = Macro::of(inner) else {
            let _ = write!(self.out, ".(loop over `{}`)", inner.iter_var);
            return;
        };
        let _ = write!(self.out, ".{}({}", of.name(), inner.iter_var);
        self.bound.push(inner.iter_var.clone());
        for part in of.each() {
            self.out.push_str(", ");
            self.node(part, 0);
        }
        self.bound.pop();
        self.out.push(')');
    }
}

#[cfg(test)]
mod tests {
    use super::super::compile::Compiler;
    use super::super::language::Dialect;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("claims.a == \"x\" && (claims.b || claims.c)")]
    #[case("has(claims.a) ? claims.a + \"/\" : \"none\"")]
    #[case("!has(claims.a.b) || !(claims.a.b in [\"x\", \"y\"])")]
    #[case("claims.groups.exists(g, g.startsWith(\"a\") && g != \"b\")")]
    #[case("claims.groups.all(g, g == \"a\")")]
    #[case("claims.groups.exists_one(g, g == \"a\")")]
    #[case("claims.groups.filter(g, g != \"a\").map(g, \"x/\" + g)")]
    #[case("claims.groups.map(g, g != \"a\", hex(g))")]
    #[case("claims.ref.glob(\"refs/**\") || claims.ref.fullMatch(\"a|b\")")]
    #[case("claims.?job_id.orValue(\"\")")]
    #[case("claims[\"https://x/y\"] == 1 - (2 - 3) * -4")]
    #[case("optional.of(1).hasValue()")]
    #[case("size(claims.a[0]) > 2u")]
    #[case("{\"a\": 1.5}[claims.k] >= 1.0")]
    fn a_tree_reads_as_it_was_written(#[case] source: &str) {
        let code = Compiler::default().compile(source, Dialect::Native, &[]).unwrap();
        assert_eq!(text(code.tree()), source);
    }
}
