//! Optionals that hold nothing, and what stands for a value that is not there.
//!
//! Decides what the [`table`](super::table) can't say of calls that fit: whether there can be a value at all, and whether
//! its substitute is of its type.

use cel::parser::Expression;

use super::ty::Type;
use super::walk::Checker;
use crate::policy::code::Code;

impl<'e> Checker<'e, '_> {
    /// Whether a call on an optional that fits makes no sense all the same, which is noted.
    pub(super) fn senseless(
        &mut self,
        node: &'e Expression,
        name: &str,
        operands: &[&'e Expression],
        types: &[Type<'e>],
    ) -> bool {
        match (name, types, operands) {
            ("value", [Type::Optional(held)], [target]) if **held == Type::Never && !self.present => {
                let message = format!("{} is none, and its value is taken", self.clause.text(target));
                let range = self.clause.node(node);
                self.issue(Code::Unguarded, range, message)
                    .labelled("never a value")
                    .helped("say what stands for it: `.orValue(..)` instead of `.value()`");
                true
            }
            ("orValue", [Type::Optional(held), other], [_, substitute]) => self.unlike(name, held, other, substitute),
            ("or", [Type::Optional(held), Type::Optional(other)], [_, substitute]) => {
                self.unlike(name, held, other, substitute)
            }
            _ => false,
        }
    }

    /// Whether a substitute may be of a type that the value never is. Null may stand for any.
    fn unlike(&mut self, name: &str, held: &Type<'e>, other: &Type<'e>, substitute: &'e Expression) -> bool {
        let wrong = |one: &&Type<'e>| !matches!(one, Type::Null) && !held.can_equal(one);
        let Some(wrong) = other.alternatives().iter().find(wrong) else { return false };
        let is = if wrong == other { "is" } else { "may be" };
        let message = format!(
            "`{name}` takes what the optional holds, {}, and {} {is} {}",
            held.a(),
            self.clause.text(substitute),
            wrong.a()
        );
        let help = self.rewritten(substitute, held).map(|literal| format!("write `{literal}`"));
        let range = self.clause.node(substitute);
        let issue = self.issue(Code::WrongArgument, range, message);
        issue.labelled(wrong.a());
        issue.help = help;
        true
    }
}
