//! What a text that matches a pattern begins with.

use regex_syntax::hir::{Hir, HirKind, Look};

use crate::policy::pattern::PatternKind;

/// The beginnings of all texts that match, one for each alternative; an empty one where a match may begin with anything.
pub(super) fn beginnings(kind: PatternKind, pattern: &str) -> Vec<String> {
    match kind {
        PatternKind::Glob => {
            vec![pattern.split(['*', '?']).next().unwrap_or_default().to_owned()]
        }
        PatternKind::Search | PatternKind::Full => match regex_syntax::parse(pattern) {
            Ok(hir) => of_hir(&hir, kind == PatternKind::Full),
            Err(_) => vec![String::new()],
        },
    }
}

fn of_hir(hir: &Hir, anchored: bool) -> Vec<String> {
    match hir.kind() {
        HirKind::Alternation(parts) => parts.iter().flat_map(|part| of_hir(part, anchored)).collect(),
        HirKind::Capture(capture) => of_hir(&capture.sub, anchored),
        HirKind::Literal(literal) if anchored => vec![String::from_utf8_lossy(&literal.0).into_owned()],
        HirKind::Concat(parts) => {
            let mut anchored = anchored;
            let mut text = String::new();
            for part in parts {
                match part.kind() {
                    HirKind::Look(Look::Start) => anchored = true,
                    HirKind::Literal(literal) if anchored => text.push_str(&String::from_utf8_lossy(&literal.0)),
                    HirKind::Alternation(_) | HirKind::Capture(_) if anchored => {
                        return of_hir(part, true).into_iter().map(|tail| format!("{text}{tail}")).collect();
                    }
                    _ => break,
                }
            }
            vec![text]
        }
        _ => vec![String::new()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(PatternKind::Glob, "repo:*/shop:*", &["repo:"])]
    #[case(PatternKind::Glob, "acme/shop", &["acme/shop"])]
    #[case(PatternKind::Search, "acme/shop", &[""])]
    #[case(PatternKind::Search, "^acme/shop", &["acme/shop"])]
    #[case(PatternKind::Search, "^a/.*|b/.*", &["a/", ""])]
    #[case(PatternKind::Full, "(acme|ajax)/.*", &["acme", "ajax"])]
    #[case(PatternKind::Full, "repo:acme/(shop|cart):.*", &["repo:acme/shop", "repo:acme/cart"])]
    #[case(PatternKind::Full, ".*", &[""])]
    #[case(PatternKind::Full, "(", &[""])]
    fn a_match_begins_so(#[case] kind: PatternKind, #[case] pattern: &str, #[case] expected: &[&str]) {
        assert_eq!(beginnings(kind, pattern), expected);
    }
}
