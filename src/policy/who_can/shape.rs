//! What names an expression can yield, as far as its text says.
//!
//! Decides by literal parts: a name is a row of pieces, each a literal, the hex of something, or anything. Refuses to
//! evaluate: whether a name comes out of real claims, the example says.

use std::collections::HashMap;

use cel::common::ast::{Expr, operators};
use cel::parser::Expression;

use crate::policy::comprehension::Macro;
use crate::policy::guard::string;
use crate::policy::language::lower_hex;
use crate::policy::rule::Let;
use crate::policy::unparse::transparent;

/// The most alternatives of one expression.
const ALTERNATIVES: usize = 64;

/// One form of a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape<'e> {
    pub(super) pieces: Vec<Piece<'e>>,
    /// Conditions of ternaries on the way, and which way they have to go.
    pub(super) assumes: Vec<(&'e Expression, bool)>,
    /// The element of a list that it is the shape of; none where it is no list that is written out.
    pub(super) element: Option<&'e Expression>,
}

impl<'e> Shape<'e> {
    fn of(piece: Piece<'e>) -> Self {
        Self { pieces: vec![piece], ..Self::default() }
    }
}

/// A part of a name.
#[derive(Clone, Debug)]
pub(super) enum Piece<'e> {
    /// This text.
    Text(String),
    /// The hex of what this comes to.
    Hex(&'e Expression),
    /// Whatever this comes to.
    Any(&'e Expression),
}

/// What a part of a name would have to come to.
pub(super) type Binding<'e> = (&'e Expression, String);

/// The shapes of what `node` yields: a name, or a list of names. Recursion is bounded by the depth of a tree, and by the
/// order of the variables, each of which sees only those above it.
pub(super) fn shapes<'e>(node: &'e Expression, lets: &'e [Let]) -> Vec<Shape<'e>> {
    let node = transparent(node);
    let any = || vec![Shape::of(Piece::Any(node))];
    let found = match &node.expr {
        Expr::Literal(_) => match string(node) {
            Some(text) => vec![Shape::of(Piece::Text(text.to_owned()))],
            None => vec![],
        },
        Expr::Ident(name) => match lets.iter().position(|variable| *variable.name == **name) {
            Some(at) => {
                let above = lets.get(..at).unwrap_or_default();
                lets.get(at).map_or_else(any, |variable| shapes(variable.clause.tree(), above))
            }
            None => any(),
        },
        Expr::List(list) => list.elements.iter().flat_map(|element| elements(element, element, lets)).collect(),
        Expr::Comprehension(inner) => match Macro::of(inner) {
            Some(Macro::Map(_, each)) => elements(each, node, lets),
            Some(Macro::Filter(_)) => shapes(&inner.iter_range, lets),
            _ => any(),
        },
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::ADD, [left, right]) if is_list(left, lets) || is_list(right, lets) => {
                shapes(left, lets).into_iter().chain(shapes(right, lets)).collect()
            }
            (operators::ADD, [left, right]) => joined(&shapes(left, lets), &shapes(right, lets)),
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let side = |node, truth| {
                    let mut side = shapes(node, lets);
                    side.iter_mut().for_each(|shape| shape.assumes.push((condition, truth)));
                    side
                };
                let (yes, no) = (side(yes, true), side(no, false));
                yes.into_iter().chain(no).collect()
            }
            ("hex", [of]) => hex(of, lets),
            ("format", [values]) if call.target.as_deref().and_then(string) == Some("%x") => {
                match &transparent(values).expr {
                    Expr::List(list) => list.elements.first().map_or_else(any, |of| hex(of, lets)),
                    _ => any(),
                }
            }
            _ => any(),
        },
        _ => any(),
    };
    // What can't be followed to its end may be anything.
    if found.len() > ALTERNATIVES { any() } else { found }
}

/// The shapes of one element of a list.
fn elements<'e>(each: &'e Expression, element: &'e Expression, lets: &'e [Let]) -> Vec<Shape<'e>> {
    let mut found = shapes(each, lets);
    found.iter_mut().for_each(|shape| shape.element = Some(element));
    found
}

fn hex<'e>(of: &'e Expression, lets: &'e [Let]) -> Vec<Shape<'e>> {
    match shapes(of, lets).as_slice() {
        [Shape { pieces, .. }] => match pieces.as_slice() {
            [Piece::Text(text)] => vec![Shape::of(Piece::Text(lower_hex(text)))],
            _ => vec![Shape::of(Piece::Hex(of))],
        },
        _ => vec![Shape::of(Piece::Hex(of))],
    }
}

/// Whether it is written as a list, so that adding to it makes a longer one. Recursion is bounded as that of [`shapes`].
fn is_list(node: &Expression, lets: &[Let]) -> bool {
    match &transparent(node).expr {
        Expr::List(_) => true,
        Expr::Comprehension(inner) => matches!(Macro::of(inner), Some(Macro::Map(..) | Macro::Filter(_))),
        Expr::Ident(name) => lets.iter().position(|variable| *variable.name == **name).is_some_and(|at| {
            let above = lets.get(..at).unwrap_or_default();
            lets.get(at).is_some_and(|variable| is_list(variable.clause.tree(), above))
        }),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::ADD, sides) | (operators::CONDITIONAL, [_, sides @ ..]) => {
                sides.iter().any(|side| is_list(side, lets))
            }
            _ => false,
        },
        _ => false,
    }
}

fn joined<'e>(left: &[Shape<'e>], right: &[Shape<'e>]) -> Vec<Shape<'e>> {
    let pairs = left.iter().flat_map(|left| right.iter().map(move |right| (left, right)));
    let join = |(left, right): (&Shape<'e>, &Shape<'e>)| Shape {
        pieces: left.pieces.iter().chain(&right.pieces).cloned().collect(),
        assumes: left.assumes.iter().chain(&right.assumes).copied().collect(),
        element: None,
    };
    pairs.take(ALTERNATIVES + 1).map(join).collect()
}

/// A name that is asked for: exact, or a glob with `*`, `**` and `?`.
#[derive(Clone, Debug)]
pub(super) struct Wanted(Vec<Token>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This character.
    One(char),
    /// One character; with `true` also a slash.
    Some,
    /// Any run of characters that are hex digits (`Hex`), no slash (`Segment`), or anything.
    Hex,
    Segment,
    Run,
}

impl Wanted {
    pub(super) fn new(text: &str) -> Self {
        let mut tokens = vec![];
        let mut rest = text.chars().peekable();
        while let Some(next) = rest.next() {
            tokens.push(match next {
                '*' if rest.next_if_eq(&'*').is_some() => Token::Run,
                '*' => Token::Segment,
                '?' => Token::Some,
                other => Token::One(other),
            });
        }
        Self(tokens)
    }

    /// Whether a name of `shape` can be one that is asked for.
    pub(super) fn meets(&self, shape: &Shape<'_>) -> bool {
        let mut tokens = vec![];
        for piece in &shape.pieces {
            match piece {
                Piece::Text(text) => tokens.extend(text.chars().map(Token::One)),
                Piece::Hex(_) => tokens.push(Token::Hex),
                Piece::Any(_) => tokens.push(Token::Run),
            }
        }
        Meeting { left: &tokens, right: &self.0, known: HashMap::new() }.meet(0, 0)
    }

    /// Whether `name` is asked for.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.meets(&Shape::of(Piece::Text(name.to_owned())))
    }

    /// The one name, where there are no wildcards.
    pub(super) fn exact(&self) -> Option<String> {
        let one = |token: &Token| if let Token::One(c) = token { Some(*c) } else { None };
        self.0.iter().map(one).collect()
    }

    /// A name that is asked for and has `shape`, taking the shortest for each wildcard: for an example.
    pub(super) fn example(&self) -> String {
        let char = |token: &Token| match token {
            Token::One(c) => *c,
            _ => 'x',
        };
        self.0.iter().map(char).collect()
    }
}

/// Whether two rows of tokens have a text in common.
struct Meeting<'t> {
    left: &'t [Token],
    right: &'t [Token],
    known: HashMap<(usize, usize), bool>,
}

impl Meeting<'_> {
    /// As deep as both are long: names have at most 640 bytes, expressions 4 KiB.
    fn meet(&mut self, left: usize, right: usize) -> bool {
        if let Some(known) = self.known.get(&(left, right)) {
            return *known;
        }
        let found = match (self.left.get(left).copied(), self.right.get(right).copied()) {
            (None, None) => true,
            (Some(token), None) => runs(token) && self.meet(left + 1, right),
            (None, Some(token)) => runs(token) && self.meet(left, right + 1),
            (Some(a), Some(b)) => match (runs(a), runs(b)) {
                (false, false) => accept(a, b) && self.meet(left + 1, right + 1),
                (true, false) => self.meet(left + 1, right) || (accept(a, b) && self.meet(left, right + 1)),
                (false, true) => self.meet(left, right + 1) || (accept(b, a) && self.meet(left + 1, right)),
                // Whatever both run over could as well be nothing.
                (true, true) => self.meet(left + 1, right) || self.meet(left, right + 1),
            },
        };
        self.known.insert((left, right), found);
        found
    }
}

const fn runs(token: Token) -> bool {
    matches!(token, Token::Hex | Token::Segment | Token::Run)
}

/// Whether one character that `of` stands for can be part of `over`.
fn accept(over: Token, of: Token) -> bool {
    match (over, of) {
        (Token::One(a), Token::One(b)) => a == b,
        (Token::Some | Token::Segment, Token::One(c)) | (Token::One(c), Token::Some) => c != '/',
        (Token::Hex, Token::One(c)) => matches!(c, '0'..='9' | 'a'..='f'),
        (Token::Run, _) | (_, Token::Some) => true,
        _ => false,
    }
}

/// What the parts of `shape` come to where its name is `name`; the first way that there is.
pub(super) fn bindings<'e>(shape: &Shape<'e>, name: &str) -> Option<Vec<Binding<'e>>> {
    fn rest<'e>(pieces: &[Piece<'e>], name: &str, found: &mut Vec<Binding<'e>>) -> bool {
        let Some((first, others)) = pieces.split_first() else { return name.is_empty() };
        let node = match first {
            Piece::Text(text) => return name.strip_prefix(text.as_str()).is_some_and(|tail| rest(others, tail, found)),
            Piece::Hex(node) | Piece::Any(node) => *node,
        };
        // The longest first: a name ends with what varies.
        for (end, _) in name.char_indices().chain([(name.len(), ' ')]).collect::<Vec<_>>().into_iter().rev() {
            let (part, tail) = name.split_at(end);
            let value = if matches!(first, Piece::Hex(_)) { unhex(part) } else { Some(part.to_owned()) };
            let Some(value) = value else { continue };
            let before = found.len();
            found.push((node, value));
            if rest(others, tail, found) {
                return true;
            }
            found.truncate(before);
        }
        false
    }
    let mut found = vec![];
    rest(&shape.pieces, name, &mut found).then_some(found)
}

/// The text of lower-case hex, if it is that of a text.
fn unhex(text: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    });
    String::from_utf8(pairs.collect::<Option<Vec<u8>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::policy::compile::Compiler;
    use crate::policy::language::Dialect;
    use crate::policy::unparse;

    #[rstest]
    #[case("\"a/b\"", "a/b", true)]
    #[case("\"a/b\"", "a/*", true)]
    #[case("\"a/b\"", "a", false)]
    #[case("\"a/b/c\"", "a/*", false)]
    #[case("\"a/b/c\"", "a/**", true)]
    #[case("\"a/b\"", "?/b", true)]
    #[case("\"env/\" + hex(claims.e)", "env/70726f64", true)]
    #[case("\"env/\" + hex(claims.e)", "env/prod", false)]
    #[case("\"env/\" + hex(claims.e)", "*/70*", true)]
    #[case("\"env/\" + claims.e", "env/a/b", true)]
    #[case("\"env/\" + claims.e + \"/x\"", "env/a/y", false)]
    #[case("claims.p ? \"a\" : \"b\"", "b", true)]
    #[case("claims.p ? \"a\" : \"b\"", "c", false)]
    #[case("[\"a\", \"b\" + claims.x]", "bc", true)]
    #[case("claims.g.map(g, \"group/\" + g)", "group/7", true)]
    #[case("claims.g.map(g, \"group/\" + g)", "groups/7", false)]
    #[case("claims.anything", "whatever", true)]
    #[case("hex(\"a\")", "61", true)]
    #[case("[\"a\"] + [\"b\"]", "b", true)]
    #[case("[\"a\"] + [\"b\"]", "ab", false)]
    #[case("claims.g.filter(g, g != \"x\")", "whatever", true)]
    fn a_name_is_met_by_its_literal_parts(#[case] source: &str, #[case] wanted: &str, #[case] meets: bool) {
        let code = Compiler::default().compile(source, Dialect::Native, &[]).unwrap();
        let wanted = Wanted::new(wanted);
        assert_eq!(shapes(code.tree(), &[]).iter().any(|shape| wanted.meets(shape)), meets);
    }

    #[rstest]
    #[case("\"env/\" + hex(claims.e)", "env/70726f64", &[("claims.e", "prod")])]
    #[case("claims.a + \"/\" + claims.b", "x/y/z", &[("claims.a", "x/y"), ("claims.b", "z")])]
    fn what_varies_is_bound_to_its_part(#[case] source: &str, #[case] name: &str, #[case] expected: &[(&str, &str)]) {
        let code = Compiler::default().compile(source, Dialect::Native, &[]).unwrap();
        let shapes = shapes(code.tree(), &[]);
        let found = bindings(&shapes[0], name).unwrap();
        let found: Vec<(String, String)> =
            found.into_iter().map(|(node, value)| (unparse::text(node), value)).collect();
        let expected: Vec<(String, String)> =
            expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(found, expected);
    }
}
