//! Prefixes, suffixes and substrings that others can have too.

use super::view::{Beside, Spot, View};
use crate::policy::code::Code;
use crate::policy::demand::{Atom, Test};
use crate::policy::finding::Finding;
use crate::trust::{ClaimKind, ClaimPath, expression};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    view.each(|atom, beside| findings.extend(wide(view, atom, beside)));
}

/// P0304. A name ends where its separator is, not where a prefix ends: `repo:acme` is also the beginning of
/// `repo:acme-evil/...`, which anybody can register. A suffix or a substring says nothing about who stands before it. And
/// an id is compared whole: `74` is the beginning of `745` too.
///
/// Wrong: `claims.sub.startsWith("repo:acme")`.
/// Right: `claims.repository_owner_id == "65"`, or at least `claims.sub.startsWith("repo:acme/")`.
fn wide(view: &View<'_>, atom: &Atom, beside: &Beside<'_>) -> Option<Finding> {
    let path = atom.claim().filter(|_| atom.holds)?;
    let (text, function) = match &atom.test {
        Test::Prefix(text) => (text, "startsWith"),
        Test::Suffix(text) => (text, "endsWith"),
        Test::Infix(text) => (text, "contains"),
        _ => return None,
    };
    let claim = expression(path);
    let spot = Spot::Node(atom.at.part, atom.at.literal);
    let is_id = view.documented(path).any(|(_, known)| known.kind() == ClaimKind::ImmutableId);
    if is_id {
        let message = format!("`{claim}` is an id: a part of one belongs to other ids as well");
        let help = format!("compare it whole: `{claim} == \"...\"`");
        return Some(view.finding(Code::WidePrefix, spot, message).labelled("a part of an id").helped(help));
    }
    if !is_name(view, path) || is_identified(view, path, beside) {
        return None;
    }
    let (message, label, help) = match function {
        "startsWith" if is_closed(text.chars().next_back()) => return None,
        "startsWith" => {
            let closed = format!("{text}{}", separator(text));
            (
                format!("`{claim}` of others begins so, too"),
                format!(
                    "also `{text}{}evil{}...`",
                    if text.ends_with(['-', '_', '.']) { "" } else { "-" },
                    separator(text)
                ),
                format!("end it with its separator, `{closed}`, or compare the whole: `{claim} == \"...\"`"),
            )
        }
        "endsWith" => (
            format!("whatever stands before this in `{claim}` is anybody's"),
            format!("also `mallory{}{text}`", if is_closed(text.chars().next()) { "" } else { "-" }),
            format!("compare the whole, `{claim} == \"...\"`, or say who it is by an id beside it"),
        ),
        _ => (
            format!("whatever stands around this in `{claim}` is anybody's"),
            format!("also `mallory-{text}-evil`"),
            format!("compare the whole, `{claim} == \"...\"`, or its beginning up to a separator"),
        ),
    };
    Some(view.finding(Code::WidePrefix, spot, message).labelled(label).helped(help))
}

/// Whether a claim's text names something that others can name alike: a name, or what nobody documents.
pub(super) fn is_name(view: &View<'_>, path: &ClaimPath) -> bool {
    let mut documented = view.documented(path).peekable();
    if documented.peek().is_none() {
        return view.issuers.iter().any(|(_, facts)| facts.schema.is_some());
    }
    documented.any(|(_, known)| match known.kind() {
        ClaimKind::RecyclableName | ClaimKind::ImmutableId => true,
        ClaimKind::PlatformSet => known.values().is_empty(),
        _ => false,
    })
}

/// Whether something beside it says by an id what the name is of.
pub(super) fn is_identified(view: &View<'_>, path: &ClaimPath, beside: &Beside<'_>) -> bool {
    let mut documented = view.documented(path).peekable();
    documented.peek().is_some() && documented.all(|(_, known)| known.identified_by().iter().any(|id| beside.pins(id)))
}

/// Whether a name can't go on across that character.
pub(super) fn is_closed(edge: Option<char>) -> bool {
    edge.is_none_or(|edge| matches!(edge, '/' | ':' | '@' | '|' | '#' | '}' | '{' | ',' | ' '))
}

/// The separator that most likely comes next: the last one that is there.
fn separator(text: &str) -> char {
    let last = text.chars().rev().find(|c| matches!(c, '/' | ':'));
    // `repo:acme` goes on with a path, `system:serviceaccount:payments` does not.
    if last == Some(':') && text.matches(':').count() > 1 { ':' } else { '/' }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rule;
    use crate::policy::Code;
    use rstest::rstest;

    #[rstest]
    #[case::open("claims.sub.startsWith(\"repo:acme\")", true)]
    #[case::closed("claims.sub.startsWith(\"repo:acme/\")", false)]
    #[case::dashes_do_not_close("claims.repository.startsWith(\"acme/team-\")", true)]
    #[case::suffix("claims.repository.endsWith(\"/shop\")", true)]
    #[case::substring("claims.repository.contains(\"shop\")", true)]
    #[case::beside_the_id("claims.repository_id == \"74\" && claims.sub.startsWith(\"repo:acme\")", false)]
    #[case::id("claims.repository_owner_id.startsWith(\"6\")", true)]
    #[case::ref_of_a_repository("claims.ref.startsWith(\"refs/heads/release\")", false)]
    #[case::not_that("!claims.repository.startsWith(\"acme\")", false)]
    #[case::in_a_list("[\"acme\", \"ajax\"].exists(o, claims.repository.startsWith(o))", true)]
    fn p0304_of_what_others_have_too(#[case] condition: &str, #[case] found: bool) {
        assert_eq!(rule("github", &[condition]).has(Code::WidePrefix), found);
    }

    #[rstest]
    #[case("repo:acme", '/')]
    #[case("system:serviceaccount:payments", ':')]
    #[case("spiffe://prod.example.org/ns/pay", '/')]
    #[case("acme", '/')]
    fn the_next_separator_is_the_last_one(#[case] text: &str, #[case] expected: char) {
        assert_eq!(super::separator(text), expected);
    }
}
