//! The policies of an imported grant.
//!
//! Decides which entries a list of policies becomes, and that each is in lower case, as OpenBao makes it. Refuses to know
//! anything else of a grant.

use crate::policy::role::chain::Chain;
use crate::policy::role::text::{Sign, inside, outermost, signs, split, unwrapped, with_hex};

/// The entries of a list of policies: where, and which.
pub(super) fn policies(list: &str) -> Vec<(Option<String>, String)> {
    let list = &with_hex(list);
    let found = signs(list);
    let whole = unwrapped(list, &found, 0..list.len());
    let only_sums = outermost(&found, &whole).all(|(_, sign)| sign == Sign::Plus);
    if !only_sums {
        return vec![(None, each_in_lower_case(list))];
    }
    let mut entries = vec![];
    for piece in split(list, &whole, Sign::Plus) {
        let piece = unwrapped(list, &found, piece);
        let text = list.get(piece.clone()).unwrap_or_default();
        let chain = Chain::of(text, 1);
        match chain.questions.first() {
            Some((condition, yes)) if text.get(chain.last.clone()) == Some("[]") => {
                let when = text.get(condition.clone()).unwrap_or_default();
                let elements = elements(text.get(yes.clone()).unwrap_or_default());
                entries.extend(elements.into_iter().map(|policy| (Some(when.to_owned()), policy)));
            }
            _ => entries.extend(elements(text).into_iter().map(|policy| (None, policy))),
        }
    }
    entries
}

/// The elements of a list literal, or the text itself.
fn elements(list: &str) -> Vec<String> {
    let found = signs(list);
    let Some(inner) = inside(list, &found, &(0..list.len()), b'[') else { return vec![each_in_lower_case(list)] };
    let elements = split(list, &inner, Sign::Comma).into_iter().filter(|element| !element.is_empty());
    elements.filter_map(|element| list.get(element)).map(in_lower_case).collect()
}

fn each_in_lower_case(list: &str) -> String {
    format!("{}.map(name, name.lowerAscii())", operand(list))
}

/// OpenBao writes names in lower case; what is so already stays as it is.
fn in_lower_case(name: &str) -> String {
    let pieces = split(name, &(0..name.len()), Sign::Plus);
    let is_lower = |piece: &str| piece.starts_with("hex(") || is_literal(piece) && *piece == piece.to_lowercase();
    if pieces.into_iter().all(|piece| name.get(piece).is_some_and(is_lower)) {
        return name.to_owned();
    }
    format!("{}.lowerAscii()", operand(name))
}

/// A text literal, without escapes and prefixes.
fn is_literal(text: &str) -> bool {
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    quoted('"').or(quoted('\'')).is_some_and(|text| !text.contains(['"', '\'', '\\']))
}

/// In parentheses, where an operator would take what follows for its own.
fn operand(text: &str) -> String {
    let found = signs(text);
    let whole = 0..text.len();
    let has_operators = outermost(&found, &whole).next().is_some();
    if has_operators { format!("({text})") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("['a', x]", &[("", "'a'"), ("", "x.lowerAscii()")])]
    #[case("['A']", &[("", "'A'.lowerAscii()")])]
    #[case("['a/' + '%x'.format([x])]", &[("", "'a/' + hex(x)")])]
    #[case("['a/' + x]", &[("", "('a/' + x).lowerAscii()")])]
    #[case("[a] + (b != '' ? ['b', 'c'] : []) + d", &[("", "a.lowerAscii()"), ("b != ''", "'b'"), ("b != ''", "'c'"), ("", "d.map(name, name.lowerAscii())")])]
    #[case("a ? ['b'] : ['c']", &[("", "(a ? ['b'] : ['c']).map(name, name.lowerAscii())")])]
    #[case("[]", &[])]
    fn a_list_becomes_its_entries(#[case] list: &str, #[case] expected: &[(&str, &str)]) {
        let entries = policies(list);
        let entries: Vec<(&str, &str)> =
            entries.iter().map(|(when, policy)| (when.as_deref().unwrap_or_default(), policy.as_str())).collect();
        assert_eq!(entries, expected);
    }
}
