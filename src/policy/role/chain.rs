//! A program's expression, cut into the questions that it asks.
//!
//! Decides where the outermost ternaries of `a ? x : (b ? y : z)` begin and end, so that each of their parts is compiled,
//! evaluated and explained on its own, and so that a chain of many questions is no deeper than one. Refuses to parse:
//! text that this can't cut stays one piece, and the parser says what is wrong with it. A ternary binds weaker than
//! everything else in CEL, which is why cutting at its signs is exact.

use std::ops::Range;

/// Questions in order, and the answer where none holds; spans of bytes in the text.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::policy) struct Chain {
    pub(in crate::policy) questions: Vec<(Range<usize>, Range<usize>)>,
    pub(in crate::policy) last: Range<usize>,
}

impl Chain {
    /// Cuts `source`, at most `most` times.
    pub(in crate::policy) fn of(source: &str, most: usize) -> Self {
        let signs = signs(source);
        let mut questions = vec![];
        let mut rest = 0..source.len();
        loop {
            rest = unwrapped(source, &signs, rest);
            if questions.len() == most {
                return Self { questions, last: rest };
            }
            let Some((question, colon)) = ternary(&signs, &rest) else { return Self { questions, last: rest } };
            questions.push((trimmed(source, rest.start..question), trimmed(source, question + 1..colon)));
            rest = colon + 1..rest.end;
        }
    }
}

/// A character that structures an expression, outside of strings and comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Open,
    Close,
    Question,
    Colon,
}

/// The signs of a text with their places.
fn signs(source: &str) -> Vec<(usize, Sign)> {
    let bytes = source.as_bytes();
    let mut signs = vec![];
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let sign = match byte {
            b'"' | b'\'' => {
                at = after_string(bytes, at);
                continue;
            }
            b'`' => {
                at += 1 + bytes.iter().skip(at + 1).take_while(|b| **b != b'`').count() + 1;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes.iter().skip(at).take_while(|b| **b != b'\n').count();
                continue;
            }
            b'(' | b'[' | b'{' => Some(Sign::Open),
            b')' | b']' | b'}' => Some(Sign::Close),
            // `a.?b`, `a[?b]`, `{?k: v}` are the optional syntax; only the first can stand outside of brackets.
            b'?' if !follows(bytes, at, b".") => Some(Sign::Question),
            b':' => Some(Sign::Colon),
            _ => None,
        };
        signs.extend(sign.map(|sign| (at, sign)));
        at += 1;
    }
    signs
}

/// Whether the last byte before `at` that is no space is one of `these`.
fn follows(bytes: &[u8], at: usize, these: &[u8]) -> bool {
    let before = bytes.iter().take(at).rev().find(|byte| !byte.is_ascii_whitespace());
    before.is_some_and(|byte| these.contains(byte))
}

/// Where the string that begins at `start` has ended.
fn after_string(bytes: &[u8], start: usize) -> usize {
    let quote = bytes.get(start).copied().unwrap_or_default();
    let prefix = bytes.iter().take(start).rev().take(2).take_while(|b| matches!(b, b'r' | b'R' | b'b' | b'B'));
    let raw = prefix.into_iter().any(|b| matches!(b, b'r' | b'R'));
    let triple = bytes.get(start + 1) == Some(&quote) && bytes.get(start + 2) == Some(&quote);
    let closing = if triple { 3 } else { 1 };
    let mut at = start + closing;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'\\' && !raw {
            at += 2;
        } else if *byte == quote
            && (!triple || bytes.get(at..at + 3).is_some_and(|end| end.iter().all(|b| *b == quote)))
        {
            return at + closing;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The first `?` of `within` outside of brackets, and its `:`, where no other ternary stands between them.
fn ternary(signs: &[(usize, Sign)], within: &Range<usize>) -> Option<(usize, usize)> {
    let mut depth = 0_usize;
    let mut question = None;
    for (at, sign) in signs.iter().filter(|(at, _)| within.contains(at)) {
        match (sign, question) {
            (Sign::Open, _) => depth += 1,
            (Sign::Close, _) => depth = depth.checked_sub(1)?,
            (Sign::Question, None) if depth == 0 => question = Some(*at),
            (Sign::Question, Some(_)) if depth == 0 => return None,
            (Sign::Colon, Some(question)) if depth == 0 => return Some((question, *at)),
            (Sign::Colon, None) if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The span without the spaces and the parentheses around all of it.
fn unwrapped(source: &str, signs: &[(usize, Sign)], mut span: Range<usize>) -> Range<usize> {
    loop {
        span = trimmed(source, span);
        let bytes = source.as_bytes();
        let wrapped = bytes.get(span.start) == Some(&b'(')
            && span.end.checked_sub(1).and_then(|end| bytes.get(end)) == Some(&b')')
            && closes(signs, span.start) == span.end.checked_sub(1);
        if !wrapped {
            return span;
        }
        span = span.start + 1..span.end - 1;
    }
}

/// Where the bracket that opens at `open` is closed.
fn closes(signs: &[(usize, Sign)], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, sign) in signs.iter().filter(|(at, _)| *at >= open) {
        match sign {
            Sign::Open => depth += 1,
            Sign::Close => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(*at);
                }
            }
            Sign::Question | Sign::Colon => {}
        }
    }
    None
}

fn trimmed(source: &str, span: Range<usize>) -> Range<usize> {
    let text = source.get(span.clone()).unwrap_or_default();
    let start = span.start + (text.len() - text.trim_start().len());
    start..(start + text.trim().len()).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn cut(source: &str) -> (Vec<(&str, &str)>, &str) {
        let chain = Chain::of(source, 8);
        let questions = chain.questions.iter().map(|(c, a)| (&source[c.clone()], &source[a.clone()])).collect();
        (questions, &source[chain.last.clone()])
    }

    #[rstest]
    #[case::no_question("pb.Auth{policies: ['a']}", &[], "pb.Auth{policies: ['a']}")]
    #[case::one("a == '?:' ? 'no' : pb.Auth{}", &[("a == '?:'", "'no'")], "pb.Auth{}")]
    #[case::many("a ? 'x' : b ? 'y' : c", &[("a", "'x'"), ("b", "'y'")], "c")]
    #[case::in_parentheses("(a ? 'x' : ((b) ? 'y' : (c)))", &[("a", "'x'"), ("(b)", "'y'")], "c")]
    #[case::a_ternary_as_condition("(a ? b : c) ? d : e", &[("(a ? b : c)", "d")], "e")]
    #[case::a_ternary_as_answer("a ? (b ? 'x' : 'y') : e", &[("a", "(b ? 'x' : 'y')")], "e")]
    #[case::two_parentheses("(a) || (b)", &[], "(a) || (b)")]
    #[case::a_map("{'a': 1}.a == 1 ? 'x' : 'y'", &[("{'a': 1}.a == 1", "'x'")], "'y'")]
    #[case::optional_syntax("claims.?a.orValue('') == '' ? 'x' : y", &[("claims.?a.orValue('') == ''", "'x'")], "y")]
    #[case::optional_index("claims[?'a'].hasValue() ? 'x' : y", &[("claims[?'a'].hasValue()", "'x'")], "y")]
    #[case::escapes(r"a == '\'?' ? 'x' : y", &[(r"a == '\'?'", "'x'")], "y")]
    #[case::raw(r"a == r'\' ? 'x' : y", &[(r"a == r'\'", "'x'")], "y")]
    #[case::triple("a == '''it's ? ''' ? 'x' : y", &[("a == '''it's ? '''", "'x'")], "y")]
    #[case::comment("a // why?\n ? 'x' : y", &[("a // why?", "'x'")], "y")]
    #[case::an_answer_that_is_no_answer("a ? b ? 'x' : 'y' : z", &[], "a ? b ? 'x' : 'y' : z")]
    #[case::unfinished("a ? 'x", &[], "a ? 'x")]
    #[case::unbalanced("a) ? 'x' : y", &[], "a) ? 'x' : y")]
    #[case::nothing("", &[], "")]
    fn an_expression_is_cut_at_its_outermost_ternaries(
        #[case] source: &str,
        #[case] questions: &[(&str, &str)],
        #[case] last: &str,
    ) {
        assert_eq!(cut(source), (questions.to_vec(), last));
    }

    #[test]
    fn what_is_left_of_too_many_questions_stays_whole() {
        let source = "a ? 'x' : b ? 'y' : c";
        assert_eq!(&source[Chain::of(source, 1).last], "b ? 'y' : c");
    }
}
