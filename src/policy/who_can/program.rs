//! What the program of an OpenBao role can yield, and how claims are steered to one of its answers.
//!
//! Decides by the literals of `pb.Auth{policies: ..}`. Refuses to call a name impossible that it can't follow: policies that
//! are computed as a whole may be any.

use cel::common::ast::{Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::draft::Solver;
use super::shape::{Piece, Shape, Wanted, shapes};
use super::{Hit, Needed};
use crate::policy::guard::string;
use crate::policy::role::{AUTH, Program, negated, of_message};
use crate::policy::rule::{Let, Rule};
use crate::policy::unparse;

/// Entries of `pb.Auth{policies: ..}`, of each answer, that meet what is asked for.
pub(super) fn hits<'r>(rule: &'r Rule, program: &'r Program, wanted: &Wanted) -> Vec<Hit<'r>> {
    let mut found = vec![];
    let mut index = 0;
    while let Some(answer) = program.answer(index) {
        grants(answer.code.tree(), &rule.lets, &mut |grant| {
            found.extend(entries(grant, &rule.lets).into_iter().map(|shape| Hit { index, shape, whole: grant.node() }));
        });
        index += 1;
    }
    found.retain(|hit| wanted.meets(&hit.shape));
    found
}

/// What has to hold for the answer of that number: no question before it, and its own.
pub(super) fn conditions(rule: &Rule, program: &Program, answer: u16) -> Vec<Needed> {
    let text = |node| unparse::text_with(node, &rule.lets);
    let before = program.questions.iter().take(usize::from(answer)).map(|question| {
        let denial = string(question.answer.tree()).map(str::to_owned);
        (negated(&text(question.condition.tree())), denial, question.condition.place)
    });
    let own = program.questions.get(usize::from(answer)).map(|question| {
        let condition = &question.condition;
        (text(condition.tree()), None, condition.place)
    });
    before
        .chain(own)
        .map(|(text, denial, place)| {
            let message = denial.unwrap_or_else(|| "the program answers something else".to_owned());
            Needed { message: message.into(), text, place }
        })
        .collect()
}

/// Changes claims that were given the answer `got` towards the answer `wanted`; whether there was another.
pub(super) fn steer(solver: &mut Solver<'_>, program: &Program, got: u16, wanted: u16) -> bool {
    let question = |index: u16| program.questions.get(usize::from(index)).map(|one| one.condition.tree());
    let (next, truth) = if got < wanted { (question(got), false) } else { (question(wanted), true) };
    if got != wanted
        && let Some(next) = next
    {
        solver.make(next, truth, 0);
    }
    got != wanted
}

/// What an answer may grant.
#[derive(Clone, Copy)]
enum Granted<'e> {
    /// These policies.
    Policies(&'e Expression),
    /// `default`, beside them.
    Default(&'e Expression),
    /// Something that only the token shows.
    Computed(&'e Expression),
}

impl<'e> Granted<'e> {
    const fn node(self) -> &'e Expression {
        match self {
            Self::Policies(node) | Self::Default(node) | Self::Computed(node) => node,
        }
    }
}

/// Recursion is bounded as in [`shapes`].
fn grants<'e>(node: &'e Expression, lets: &'e [Let], found: &mut dyn FnMut(Granted<'e>)) {
    let node = unparse::transparent(node);
    match &node.expr {
        Expr::Literal(_) => {}
        Expr::Struct(message) if message.type_name == AUTH => {
            let field = |wanted: &str| of_message(message).find(|(name, _)| *name == wanted).map(|(_, value)| value);
            if let Some(policies) = field("policies") {
                found(Granted::Policies(policies));
            }
            let without = field("no_default_policy").map(|value| &value.expr);
            if !matches!(without, Some(Expr::Literal(LiteralValue::Boolean(truth))) if *truth.inner()) {
                found(Granted::Default(node));
            }
        }
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            call.args.iter().skip(1).for_each(|side| grants(side, lets, found));
        }
        Expr::Ident(name) => match lets.iter().position(|variable| *variable.name == **name) {
            Some(at) => {
                let above = lets.get(..at).unwrap_or_default();
                lets.get(at).into_iter().for_each(|variable| grants(variable.clause.tree(), above, found));
            }
            None => found(Granted::Computed(node)),
        },
        _ => found(Granted::Computed(node)),
    }
}

/// The shapes of the names, as OpenBao writes them: without spaces around them, in lower case.
fn entries<'e>(granted: Granted<'e>, lets: &'e [Let]) -> Vec<Shape<'e>> {
    let mut found = match granted {
        Granted::Policies(node) => shapes(node, lets),
        Granted::Default(_) => {
            vec![Shape { pieces: vec![Piece::Text("default".to_owned())], ..Shape::default() }]
        }
        Granted::Computed(node) => vec![Shape { pieces: vec![Piece::Any(node)], ..Shape::default() }],
    };
    for shape in &mut found {
        for piece in &mut shape.pieces {
            if let Piece::Text(text) = piece {
                *text = text.to_lowercase();
            }
        }
        if let Some(Piece::Text(text)) = shape.pieces.first_mut() {
            *text = text.trim_start().to_owned();
        }
        if let Some(Piece::Text(text)) = shape.pieces.last_mut() {
            text.truncate(text.trim_end().len());
        }
    }
    found
}
