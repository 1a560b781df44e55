//! Reads what is asked of a part of a text: `indexOf`, `substring`, `split`.

use cel::common::ast::{Expr, operators};
use cel::parser::Expression;

use super::read::Reader;
use super::term::{Term, literal};
use super::{At, Demand, Literal, Of, Scope, Segment, Test};
use crate::policy::guard::string;
use crate::policy::trace::Part;

impl<'t> Reader<'t> {
    /// `x.indexOf("..") >= 0` and the like, in whichever order: "`x` contains this".
    pub(super) fn found(
        &mut self,
        operator: &str,
        (a, b): (&'t Expression, &'t Expression),
        holds: bool,
        (node, part): (&'t Expression, Part),
    ) -> Option<Demand> {
        let int = |node| match literal(node) {
            Some(Literal::Int(value)) => Some(value),
            _ => None,
        };
        let (search, is_found) = match (operator, int(a), int(b)) {
            (operators::GREATER_EQUALS, None, Some(0)) | (operators::GREATER, None, Some(-1)) => (a, true),
            (operators::LESS_EQUALS, Some(0), None) | (operators::LESS, Some(-1), None) => (b, true),
            (operators::LESS, None, Some(0)) | (operators::LESS_EQUALS, None, Some(-1)) => (a, false),
            (operators::GREATER, Some(0), None) | (operators::GREATER_EQUALS, Some(-1), None) => (b, false),
            _ => return None,
        };
        let (term, text) = self.searched(search, part)?;
        Some(self.atom(term, Test::Infix(text), holds == is_found, At::of(node, part)))
    }

    /// `x.indexOf("..") == -1`, `x.indexOf("..") == 0`, `x.substring(0, 3) == "abc"`.
    pub(super) fn sliced(
        &mut self,
        node: &'t Expression,
        subject: &'t Expression,
        wanted: &Literal,
        holds: bool,
        part: Part,
    ) -> Option<Demand> {
        let at = At::of(node, part);
        match wanted {
            Literal::Int(-1) => {
                let (term, text) = self.searched(subject, part)?;
                Some(self.atom(term, Test::Infix(text), !holds, at))
            }
            Literal::Int(0) => {
                let (term, text) = self.searched(subject, part)?;
                Some(self.atom(term, Test::Prefix(text), holds, at))
            }
            Literal::Text(wanted) => {
                let Expr::Call(call) = &subject.expr else { return None };
                let (text, [start, end]) = (call.target.as_deref()?, call.args.as_slice()) else { return None };
                let len = i64::try_from(wanted.chars().count()).ok()?;
                let whole = call.func_name == "substring"
                    && literal(start) == Some(Literal::Int(0))
                    && literal(end) == Some(Literal::Int(len));
                // A text that is shorter is an error, of which neither answer is true.
                let term = self.term(text, part).filter(|term| whole && !term.optional && term.default.is_none())?;
                Some(self.atom(term, Test::Prefix(wanted.clone()), holds, at))
            }
            _ => None,
        }
    }

    fn searched(&mut self, node: &'t Expression, part: Part) -> Option<(Term, String)> {
        let Expr::Call(call) = &node.expr else { return None };
        let (text, [sought]) = (call.target.as_deref()?, call.args.as_slice()) else { return None };
        let (sought, _) = self.resolve(sought, part);
        let sought = string(sought).filter(|_| call.func_name == "indexOf")?;
        Some((self.term(text, part).filter(|term| !term.optional)?, sought.to_owned()))
    }

    /// `x.split("/")[0]` that is to be `wanted`.
    pub(super) fn segment(&mut self, subject: &'t Expression, wanted: &Literal, part: Part) -> Option<Segment> {
        let Literal::Text(wanted) = wanted else { return None };
        let Expr::Call(index) = &subject.expr else { return None };
        let (operators::INDEX, [list, at]) = (index.func_name.as_str(), index.args.as_slice()) else { return None };
        let Some(Literal::Int(at)) = literal(at) else { return None };
        let (list, part) = self.resolve(list, part);
        let Expr::Call(split) = &list.expr else { return None };
        let separator = string(split.args.first().filter(|_| split.func_name == "split")?)?;
        let term = self.term(split.target.as_deref()?, part).filter(|term| term.scope == Scope::Value)?;
        let Of::Claim(claim) = term.of else { return None };
        let index = usize::try_from(at).ok()?;
        Some(Segment { claim, separator: separator.to_owned(), index, text: wanted.clone() })
    }
}
