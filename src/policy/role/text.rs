//! The structure of an expression's text: brackets and operators, outside of strings and comments.
//!
//! Decides where text may be cut. Refuses to understand it: whatever is cut is parsed again before it counts.

use std::ops::Range;

/// A character, or two, that structure an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Open,
    Close,
    Question,
    Colon,
    Comma,
    Plus,
    Equal,
    Unequal,
    Not,
    /// Any other operator.
    Operator,
}

/// The signs of a text with their places.
pub(super) fn signs(source: &str) -> Vec<(usize, Sign)> {
    let bytes = source.as_bytes();
    let mut signs = vec![];
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied().unwrap_or_default();
        let (sign, len) = match (byte, next) {
            (b'"' | b'\'', _) => {
                at = after_string(bytes, at);
                continue;
            }
            (b'`', _) => {
                at += 1 + bytes.iter().skip(at + 1).take_while(|b| **b != b'`').count() + 1;
                continue;
            }
            (b'/', b'/') => {
                at += bytes.iter().skip(at).take_while(|b| **b != b'\n').count();
                continue;
            }
            (b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'0'..=b'9', _) => {
                let len = bytes.iter().skip(at).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
                let word = bytes.get(at..at + len).unwrap_or_default();
                ((word == b"in").then_some(Sign::Operator), len)
            }
            (b'(' | b'[' | b'{', _) => (Some(Sign::Open), 1),
            (b')' | b']' | b'}', _) => (Some(Sign::Close), 1),
            // `a.?b`, `a[?b]`, `{?k: v}` are the optional syntax; only the first can stand outside of brackets.
            (b'?', _) => ((!follows(bytes, at, b".")).then_some(Sign::Question), 1),
            (b':', _) => (Some(Sign::Colon), 1),
            (b',', _) => (Some(Sign::Comma), 1),
            (b'+', _) => (Some(Sign::Plus), 1),
            (b'=', b'=') => (Some(Sign::Equal), 2),
            (b'!', b'=') => (Some(Sign::Unequal), 2),
            (b'!', _) => (Some(Sign::Not), 1),
            (b'&' | b'|' | b'<' | b'>' | b'-' | b'*' | b'/' | b'%', _) => (Some(Sign::Operator), 1),
            _ => (None, 1),
        };
        signs.extend(sign.map(|sign| (at, sign)));
        at += len;
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
    let ends = |at: usize| !triple || bytes.get(at..at + 3).is_some_and(|end| end.iter().all(|b| *b == quote));
    let mut at = start + closing;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'\\' && !raw {
            at += 2;
        } else if *byte == quote && ends(at) {
            return at + closing;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The signs of a span that stand outside of its brackets.
pub(super) fn outermost<'s>(
    signs: &'s [(usize, Sign)],
    within: &'s Range<usize>,
) -> impl Iterator<Item = (usize, Sign)> + 's {
    let mut depth = 0_usize;
    signs.iter().filter(|(at, _)| within.contains(at)).filter_map(move |(at, sign)| {
        match sign {
            Sign::Open => depth += 1,
            Sign::Close => depth = depth.saturating_sub(1),
            sign if depth == 0 => return Some((*at, *sign)),
            _ => {}
        }
        None
    })
}

/// A span cut at each outermost `sign`.
pub(super) fn split(source: &str, within: &Range<usize>, sign: Sign) -> Vec<Range<usize>> {
    let signs = signs(source);
    let mut pieces = vec![];
    let mut start = within.start;
    for (at, _) in outermost(&signs, within).filter(|(_, found)| *found == sign) {
        pieces.push(trimmed(source, start..at));
        start = at + 1;
    }
    pieces.push(trimmed(source, start..within.end));
    pieces
}

/// The span without the spaces and the parentheses around all of it.
pub(super) fn unwrapped(source: &str, signs: &[(usize, Sign)], mut span: Range<usize>) -> Range<usize> {
    loop {
        span = trimmed(source, span);
        match inside(source, signs, &span, b'(') {
            Some(inner) => span = inner,
            None => return span,
        }
    }
}

/// What stands between the bracket that begins a span and the one that ends it, if these belong together.
pub(super) fn inside(source: &str, signs: &[(usize, Sign)], span: &Range<usize>, open: u8) -> Option<Range<usize>> {
    let last = span.end.checked_sub(1)?;
    let opens = source.as_bytes().get(span.start) == Some(&open);
    (opens && closes(signs, span.start) == Some(last)).then(|| span.start + 1..last)
}

/// Where the bracket that opens at `open` is closed.
pub(super) fn closes(signs: &[(usize, Sign)], open: usize) -> Option<usize> {
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
            _ => {}
        }
    }
    None
}

/// The span without the spaces around it.
pub(super) fn trimmed(source: &str, span: Range<usize>) -> Range<usize> {
    let text = source.get(span.clone()).unwrap_or_default();
    let start = span.start + (text.len() - text.trim_start().len());
    start..(start + text.trim().len()).max(start)
}

/// The negation of a condition, as short as it can be said.
pub(in crate::policy) fn negated(condition: &str) -> String {
    let signs = signs(condition);
    let whole = unwrapped(condition, &signs, 0..condition.len());
    let text = condition.get(whole.clone()).unwrap_or_default();
    let found: Vec<(usize, Sign)> = outermost(&signs, &whole).collect();
    let swapped = |at: usize, by: &str| {
        let (left, right) = (condition.get(whole.start..at), condition.get(at + 2..whole.end));
        format!("{}{by}{}", left.unwrap_or_default(), right.unwrap_or_default())
    };
    match found.as_slice() {
        [(at, Sign::Equal)] => swapped(*at, "!="),
        [(at, Sign::Unequal)] => swapped(*at, "=="),
        [(at, Sign::Not)] if *at == whole.start => {
            let inner = unwrapped(condition, &signs, whole.start + 1..whole.end);
            condition.get(inner).unwrap_or_default().to_owned()
        }
        _ => format!("!({text})"),
    }
}

/// The text with `hex(x)` for each `"%x".format([x])`.
pub(super) fn with_hex(source: &str) -> String {
    let mut text = source.to_owned();
    let mut from = 0;
    while let Some((start, list)) = ["\"%x\".format(", "'%x'.format("]
        .into_iter()
        .filter_map(|call| text.get(from..)?.find(call).map(|at| (from + at, from + at + call.len())))
        .min()
    {
        from = list;
        let signs = signs(&text);
        let Some(end) = closes(&signs, list - 1) else { continue };
        let Some(value) = inside(&text, &signs, &trimmed(&text, list..end), b'[') else { continue };
        if outermost(&signs, &value).any(|(_, sign)| sign == Sign::Comma) {
            continue;
        }
        let value = text.get(trimmed(&text, value)).unwrap_or_default().to_owned();
        text.replace_range(start..=end, &format!("hex({value})"));
        from = start;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("sub == \"\"", "sub != \"\"")]
    #[case("(a != b)", "a == b")]
    #[case("!x.exists(g, g == \"a\")", "x.exists(g, g == \"a\")")]
    #[case("!(a || b)", "a || b")]
    #[case("a || b", "!(a || b)")]
    #[case("!a == b", "!(!a == b)")]
    #[case("a == b == c", "!(a == b == c)")]
    #[case("a in b", "!(a in b)")]
    #[case("a in b == c", "!(a in b == c)")]
    #[case("a ? b : c == d", "!(a ? b : c == d)")]
    #[case("a < b", "!(a < b)")]
    #[case("inside == 'in'", "inside != 'in'")]
    #[case("a == '=='", "a != '=='")]
    fn a_condition_is_negated_as_short_as_it_can_be_said(#[case] condition: &str, #[case] expected: &str) {
        assert_eq!(negated(condition), expected);
    }

    #[rstest]
    #[case(r#""%x".format([a])"#, "hex(a)")]
    #[case("'x' + '%x'.format([ string(a[0]) ]) + '%x'.format([b])", "'x' + hex(string(a[0])) + hex(b)")]
    #[case("'%x'.format([a, b])", "'%x'.format([a, b])")]
    #[case("'%x'.format(list)", "'%x'.format(list)")]
    #[case("'%x'.format([a]", "'%x'.format([a]")]
    fn hex_is_said_in_cambios_words(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(with_hex(text), expected);
    }
}
