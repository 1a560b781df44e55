//! Each kind of node, and the text that it was parsed from.

use rstest::rstest;

use super::*;
use crate::policy::compile::parse;

/// The texts of all nodes, a macro's inner ones left out.
fn texts(source: &str) -> Vec<String> {
    fn walk(node: &Expression, spans: &Spans, source: &str, texts: &mut Vec<String>) {
        texts.push(source[spans.node(node)].to_owned());
        match &node.expr {
            Expr::Comprehension(inner) => walk(&inner.iter_range, spans, source, texts),
            _ => children(node).into_iter().for_each(|child| walk(child, spans, source, texts)),
        }
    }
    let tree = parse(source).unwrap();
    let mut texts = vec![];
    walk(&tree, &Spans::of(source), source, &mut texts);
    texts
}

#[rstest]
#[case("1 + 2 * 3", &["1 + 2 * 3", "1", "2 * 3", "2", "3"])]
#[case("(1 + 2) * 3", &["(1 + 2) * 3", "1 + 2", "1", "2", "3"])]
#[case("((a)).b", &["((a)).b", "a"])]
#[case("-1 < -a", &["-1 < -a", "-1", "-a", "a"])]
#[case("! ( a )", &["! ( a )", "a"])]
#[case("a ? b : (c)", &["a ? b : (c)", "a", "b", "c"])]
#[case("claims.a.b", &["claims.a.b", "claims.a", "claims"])]
#[case("claims . a", &["claims . a", "claims"])]
#[case("claims['a b']", &["claims['a b']", "claims", "'a b'"])]
#[case("claims[?'a'].x", &["claims[?'a'].x", "claims[?'a']", "claims", "'a'"])]
#[case("claims.?a.orValue(')')", &["claims.?a.orValue(')')", "claims.?a", "claims", "a", "')'"])]
#[case("has(claims.a) && b", &["has(claims.a) && b", "has(claims.a)", "claims", "b"])]
#[case("a && b && c", &["a && b && c", "a && b", "a", "b", "c"])]
#[case("size([1, 2]) == 2", &["size([1, 2]) == 2", "size([1, 2])", "[1, 2]", "1", "2", "2"])]
#[case("a.startsWith((b))", &["a.startsWith((b))", "a", "b"])]
#[case("l.exists(x, x == 'y') || z", &["l.exists(x, x == 'y') || z", "l.exists(x, x == 'y')", "l", "z"])]
#[case("{'a': 1, 'b': [2]}", &["{'a': 1, 'b': [2]}", "'a'", "1", "'b'", "[2]", "2"])]
#[case("optional.of(1).value()", &["optional.of(1).value()", "optional.of(1)", "optional", "1"])]
#[case("a // b\n == c // d", &["a // b\n == c", "a", "c"])]
#[case("'é' == a", &["'é' == a", "'é'", "a"])]
fn a_node_has_the_text_that_it_was_parsed_from(#[case] source: &str, #[case] expected: &[&str]) {
    assert_eq!(texts(source), expected);
}

#[rstest]
#[case("a.startsWith('x')", "startsWith", "'x'")]
#[case("size(a)", "size", "a")]
#[case("a.trim()", "trim", "()")]
#[case("a + b", "+", "a + b")]
#[case("l.exists(x, x == y)", "exists", "x, x == y")]
fn a_call_has_a_name_and_arguments(#[case] source: &str, #[case] name: &str, #[case] arguments: &str) {
    let (tree, spans) = (parse(source).unwrap(), Spans::of(source));
    assert_eq!(&source[spans.function(&tree)], name);
    assert_eq!(&source[spans.arguments(&tree)], arguments);
}

#[rstest]
#[case("claims.abc", "abc")]
#[case("claims.a.?abc", "abc")]
#[case("has(claims.abc)", "abc")]
#[case("has((claims.abc))", "abc")]
#[case("claims.`a-b`", "`a-b`")]
fn a_selection_has_a_field(#[case] source: &str, #[case] field: &str) {
    let (tree, spans) = (parse(source).unwrap(), Spans::of(source));
    assert_eq!(&source[spans.field(&tree)], field);
}
