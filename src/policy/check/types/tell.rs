//! How a fault of types is told: what is wrong, where, and what to write instead.
//!
//! Decides words and places. Refuses to decide whether anything is wrong.

use std::cell::OnceCell;
use std::ops::Range;

use cel::common::ast::{Expr, LiteralValue};
use cel::parser::Expression;

use super::ty::{Kinds, Type};
use super::walk::Checker;
use crate::policy::check::spans::Spans;
use crate::policy::code::Code;
use crate::policy::guard::is_claims;
use crate::trust::{Claim, ClaimSchema};

/// One fault, in one expression.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::policy) struct Issue {
    /// What kind.
    pub(in crate::policy) code: Code,
    /// The bytes of the expression's text.
    pub(in crate::policy) range: Range<usize>,
    /// What is wrong.
    pub(in crate::policy) message: String,
    /// A few words below the text.
    pub(in crate::policy) label: Option<String>,
    /// What to do.
    pub(in crate::policy) help: Option<String>,
}

impl Issue {
    pub(super) fn labelled(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(label.into());
        self
    }

    pub(super) fn helped(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}

/// An expression with its places, which are worked out when the first is asked for.
pub(super) struct Clause<'e> {
    source: &'e str,
    pub(super) tree: &'e Expression,
    spans: OnceCell<Spans>,
}

impl<'e> Clause<'e> {
    pub(super) fn new(source: &'e str, tree: &'e Expression) -> Self {
        Self { source, tree, spans: OnceCell::new() }
    }

    pub(super) fn spans(&self) -> &Spans {
        self.spans.get_or_init(|| Spans::of(self.source))
    }

    pub(super) fn node(&self, node: &Expression) -> Range<usize> {
        self.spans().node(node)
    }

    /// The text of a node, quoted; shortened where it is long.
    pub(super) fn text(&self, node: &Expression) -> String {
        let text = self.source.get(self.node(node)).unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.chars().count() <= 60 {
            return format!("`{text}`");
        }
        format!("`{}..`", text.chars().take(56).collect::<String>())
    }
}

impl<'e> Checker<'e, '_> {
    /// Notes a fault; one of each kind at each place.
    pub(super) fn issue(&mut self, code: Code, range: Range<usize>, message: impl Into<String>) -> &mut Issue {
        let issue = Issue { code, range, message: message.into(), label: None, help: None };
        let known = self.issues.iter().position(|known| known.code == issue.code && known.range == issue.range);
        let at = known.unwrap_or_else(|| {
            self.issues.push(issue);
            self.issues.len() - 1
        });
        #[allow(clippy::indexing_slicing, reason = "found or pushed right above")]
        &mut self.issues[at]
    }

    pub(super) fn unknown_member(
        &mut self,
        node: &'e Expression,
        operand: &'e Expression,
        schema: &'e ClaimSchema,
        field: &str,
    ) {
        let range = self.clause.spans().field(node);
        let meant = schema.nearest(field).map(|meant| format!("did you mean `{meant}`?"));
        let (code, message) = if is_claims(operand) {
            (Code::UnknownClaim, format!("no claim `{field}`"))
        } else {
            (Code::UnknownMember, format!("{} has no member `{field}`", self.clause.text(operand)))
        };
        let known: Vec<&str> = schema.claims().map(|(name, _)| name).collect();
        let members = (!is_claims(operand) && known.len() <= 8).then(|| format!("it has `{}`", known.join("`, `")));
        let issue = self.issue(code, range, message);
        issue.labelled(if code == Code::UnknownClaim { "no such claim" } else { "no such member" });
        let open = "if the platform does send it, document it among the issuer's claims in the configuration";
        issue.help = Some(meant.or(members).unwrap_or_else(|| open.to_owned()));
    }

    pub(super) fn no_member(
        &mut self,
        node: &'e Expression,
        operand: &'e Expression,
        of: &Type<'e>,
        one: &Type<'e>,
    ) -> Type<'e> {
        let what = self.clause.text(operand);
        let message = if of == one {
            format!("{what} is {}, which has no members", one.a())
        } else {
            format!("{what} may be {}, which has no members", one.a())
        };
        let help = if matches!(one, Type::Null) && of != one {
            format!("ask first: `{} != null && ..`", what.trim_matches('`'))
        } else {
            "only maps have members".to_owned()
        };
        let range = self.clause.spans().field(node);
        self.issue(Code::UnknownMember, range, message).labelled(format!("not of {}", one.a())).helped(help);
        Type::Dyn
    }

    pub(super) fn unguarded(&mut self, node: &'e Expression, claim: &Claim) {
        let what = self.clause.text(node);
        let bare = what.trim_matches('`');
        let message = format!("{what} may be absent, and is read without asking first");
        let help = if bare.ends_with(']') {
            "ask first: `\"name\" in ..`, in an earlier condition or with `&&` before it".to_owned()
        } else {
            format!("ask first: `has({bare}) && ..`, or in a condition of its own above this one")
        };
        let doc = if claim.doc().is_empty() { "may be absent".to_owned() } else { claim.doc().to_owned() };
        let range = self.clause.node(node);
        self.issue(Code::Unguarded, range, message).labelled(doc).helped(help);
    }

    /// That `value()` is asked of `target`, which may be none.
    pub(super) fn untested(&mut self, node: &'e Expression, target: &'e Expression, claim: &Claim) {
        let what = self.clause.text(target);
        let message = format!("{what} may be none, and its value is taken without asking first");
        let bare = what.trim_matches('`');
        let help = format!("say what stands for it where it is absent: `{bare}.orValue(..)`");
        let range = self.clause.node(node);
        self.issue(Code::Unguarded, range, message).labelled(claim.doc()).helped(help);
    }

    /// That `node` should be a bool and is not.
    pub(super) fn want_bool(&mut self, node: &'e Expression, ty: &Type<'e>, code: Code, who: &str) {
        self.dynamic |= ty.is_dyn();
        if ty.alternatives().iter().all(|one| matches!(one, Type::Bool | Type::Dyn)) {
            return;
        }
        let text = self.clause.text(node);
        let verb = if ty.alternatives().len() > 1 { "may be" } else { "is" };
        let message = format!("{who} a bool, and {text} {verb} {}", ty.a());
        let help = self.as_bool(node, ty, text.trim_matches('`'));
        let issue = self.issue(code, self.clause.node(node), message);
        issue.label = Some(ty.a());
        issue.help = help;
    }

    /// What the author may have meant by a value that is no bool.
    fn as_bool(&self, node: &'e Expression, ty: &Type<'e>, text: &str) -> Option<String> {
        let says = self.claim(node).is_some_and(|claim| claim.values().iter().any(|value| **value == *"true"));
        match ty {
            Type::String if says => {
                Some(format!("the claim is the text `\"true\"` or `\"false\"`: `{text} == \"true\"`"))
            }
            Type::String => Some(format!("compare it: `{text} == \"..\"`, `{text} != \"\"`")),
            Type::Int => Some(format!("compare it: `{text} > 0`")),
            Type::List(_) | Type::Map(..) => Some(format!("compare it: `size({text}) > 0`")),
            Type::Optional(_) => Some(format!("`{text}.orValue(false)`, or `{text}.hasValue()`")),
            _ => None,
        }
    }

    /// How a literal of another type would have to be written to be compared with `other`.
    pub(super) fn rewritten(&self, literal: &'e Expression, other: &Type<'e>) -> Option<String> {
        let Expr::Literal(value) = &literal.expr else { return None };
        let text = self.clause.text(literal);
        let bare = text.trim_matches('`');
        match (value, other) {
            (LiteralValue::Boolean(_) | LiteralValue::Int(_) | LiteralValue::UInt(_), Type::String) => {
                Some(format!("\"{}\"", bare.trim_end_matches(['u', 'U'])))
            }
            (LiteralValue::String(value), Type::Int) => value.inner().parse::<i64>().ok().map(|n| n.to_string()),
            (LiteralValue::String(value), Type::Bool) => value.inner().parse::<bool>().ok().map(|b| b.to_string()),
            (LiteralValue::UInt(value), Type::Int) => Some(value.inner().to_string()),
            (LiteralValue::Double(value), Type::Int) if value.inner().fract() == 0.0 => Some(value.inner().to_string()),
            _ => None,
        }
    }

    /// What to do about a value that may be null.
    pub(super) fn not_null(text: &str, ty: &Type<'_>) -> Option<String> {
        let may = ty.alternatives().len() > 1 && ty.kinds().meets(Kinds::NULL);
        may.then(|| format!("it may be null: ask first, `{text} != null && ..`"))
    }
}
