//! Patterns that match more than they seem to.

use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::Look;

use super::view::{Beside, Spot, View};
use super::wide::{is_identified, is_name};
use crate::policy::code::Code;
use crate::policy::demand::{Atom, Test};
use crate::policy::finding::Finding;
use crate::policy::pattern::PatternKind;
use crate::trust::expression;

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    view.each(|atom, beside| findings.extend(loose(view, atom, beside)));
}

/// P0303. `matches` finds its pattern anywhere in the text: `matches("acme/shop")` is also true of `evil/acme/shop-x`. An
/// alternative outside of a group has its own anchors or none, a `.` is any character, and a `.*` or `**` in the middle of
/// a name goes on into what others can register.
///
/// Wrong: `claims.repository.matches("acme/shop")`, `claims.sub.fullMatch("repo:acme.*")`.
/// Right: `claims.repository.fullMatch("acme/(shop|cart)")`, `claims.ref.glob("refs/tags/v*")`.
fn loose(view: &View<'_>, atom: &Atom, beside: &Beside<'_>) -> Option<Finding> {
    let path = atom.claim().filter(|_| atom.holds)?;
    let Test::Pattern(kind, text) = &atom.test else { return None };
    let named = is_name(view, path) && !is_identified(view, path, beside);
    let flaw = match kind {
        PatternKind::Glob => of_glob(text, named),
        PatternKind::Search => unanchored(text).or_else(|| of_regex(text, named)),
        PatternKind::Full => of_regex(text, named),
    }?;
    let message = flaw.what.replace("{}", &format!("`{}`", expression(path)));
    let spot = Spot::Node(atom.at.part, atom.at.literal);
    Some(view.finding(Code::LoosePattern, spot, message).labelled(flaw.label).helped(flaw.help))
}

/// What is wrong with a pattern.
struct Flaw {
    what: &'static str,
    label: String,
    help: String,
}

fn unanchored(text: &str) -> Option<Flaw> {
    let hir = regex_syntax::parse(text).ok()?;
    let start = hir.properties().look_set_prefix().contains(Look::Start);
    let end = hir.properties().look_set_suffix().contains(Look::End);
    let label = match (start, end) {
        (true, true) => return None,
        (false, true) => "anything may stand before it",
        (true, false) => "anything may stand after it",
        (false, false) => "anything may stand around it",
    };
    let bare = text.trim_start_matches('^').trim_end_matches('$');
    let help = if regex_syntax::escape(bare) == *bare && start {
        format!("if a beginning is meant, say `startsWith(\"{bare}\")`; else `fullMatch`, which wants the whole text")
    } else {
        "use `fullMatch`, which wants the whole text".to_owned()
    };
    Some(Flaw { what: "`matches` finds this anywhere in {}", label: label.to_owned(), help })
}

fn of_regex(text: &str, named: bool) -> Option<Flaw> {
    let tree = ast::parse::Parser::new().parse(text).ok()?;
    let mut flaw = None;
    ast::visit(&tree, Search { text, named, flaw: &mut flaw }).ok()?;
    flaw
}

struct Search<'s> {
    text: &'s str,
    named: bool,
    flaw: &'s mut Option<Flaw>,
}

impl ast::Visitor for Search<'_> {
    type Output = ();
    type Err = ();

    fn finish(self) -> Result<(), ()> {
        Ok(())
    }

    fn visit_pre(&mut self, tree: &Ast) -> Result<(), ()> {
        if self.flaw.is_some() {
            return Ok(());
        }
        let Ast::Concat(concat) = tree else { return Ok(()) };
        for pair in concat.asts.windows(2) {
            let [before, after] = pair else { continue };
            let Ast::Literal(before) = before else { continue };
            match after {
                Ast::Dot(_) if before.c.is_alphanumeric() => {
                    let quoted = self.text.to_owned();
                    *self.flaw = Some(Flaw {
                        what: "`.` is any character here, not a dot, in {}",
                        label: "also another character in place of `.`".to_owned(),
                        help: format!("write `[.]` for a dot in `{quoted}`"),
                    });
                }
                Ast::Repetition(more) if self.named && is_any(&more.ast) && before.c.is_alphanumeric() => {
                    *self.flaw = Some(Flaw {
                        what: "the name in {} may go on here: others can register one that begins so",
                        label: format!("also `{}-evil`", literals_before(&concat.asts, after)),
                        help:
                            "end the name with its separator, `/` or `:`, before `.*`, or use `[^/:]*` within a segment"
                                .to_owned(),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The literal text right before `end`.
fn literals_before(parts: &[Ast], end: &Ast) -> String {
    let mut text = String::new();
    for part in parts.iter().take_while(|part| part.span() != end.span()) {
        match part {
            Ast::Literal(literal) => text.push(literal.c),
            _ => text.clear(),
        }
    }
    text
}

/// `.`: any character.
fn is_any(tree: &Ast) -> bool {
    matches!(tree, Ast::Dot(_))
}

fn of_glob(text: &str, named: bool) -> Option<Flaw> {
    let star = text.find('*')?;
    let before = text.get(..star).and_then(|before| before.chars().next_back());
    let after_name = before.is_some_and(char::is_alphanumeric);
    let flaw = |what, label: &str, help: &str| Some(Flaw { what, label: label.to_owned(), help: help.to_owned() });
    if let Some(double) = text.find("**") {
        let lead = text.get(..double).and_then(|before| before.chars().next_back());
        let last = double + 2 == text.len();
        if lead.is_none() {
            return flaw(
                "`**` is any beginning of {}, slashes included",
                "anything may stand before it",
                "name the beginning, or use `*`, which stops at `/`",
            );
        }
        if lead.is_some_and(char::is_alphanumeric) || (named && !last) {
            return flaw(
                "`**` is any number of segments of {}",
                "any number of segments",
                "use `*`, which stops at `/`, or end the name with `/` before `**`",
            );
        }
    }
    if named && after_name {
        return flaw(
            "the name in {} may go on here: others can register one that begins so",
            "also `...-evil`",
            "end the name with its separator before `*`, or write it out",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::rule;
    use crate::policy::Code;
    use rstest::rstest;

    #[rstest]
    #[case::not_anchored("claims.ref.matches(\"main\")", true)]
    #[case::begins("claims.ref.matches(\"^main\")", true)]
    #[case::ends("claims.ref.matches(\"main$\")", true)]
    #[case::each_alternative_has_one("claims.ref.matches(\"^main|next$\")", true)]
    #[case::anchored("claims.ref.matches(\"^(main|next)$\")", false)]
    #[case::each_alternative_has_both("claims.ref.matches(\"^main$|^next$\")", false)]
    #[case::whole("claims.ref.fullMatch(\"main|next\")", false)]
    #[case::not_that("!claims.ref.matches(\"main\")", false)]
    #[case::dot("claims.sub.fullMatch(\"spiffe://a.b/c\")", true)]
    #[case::dot_in_brackets("claims.sub.fullMatch(\"spiffe://a[.]b/c\")", false)]
    #[case::dots_after_a_separator("claims.sub.fullMatch(\"spiffe://a/ns/.*\")", false)]
    #[case::dots_within_a_name("claims.sub.fullMatch(\"spiffe://a/ns/pay.*\")", true)]
    #[case::glob("claims.sub.glob(\"spiffe://a/ns/*/sa/api\")", false)]
    #[case::glob_within_a_name("claims.sub.glob(\"spiffe://a/ns/pay*\")", true)]
    #[case::glob_of_everything("claims.ref.glob(\"**\")", true)]
    #[case::glob_below("claims.sub.glob(\"spiffe://a/ns/**\")", false)]
    #[case::glob_around("claims.sub.glob(\"spiffe://a/**/api\")", true)]
    fn p0303_of_patterns_that_match_more(#[case] condition: &str, #[case] found: bool) {
        assert_eq!(rule("spiffe", &[condition]).has(Code::LoosePattern), found);
    }

    #[rstest]
    #[case(
        "claims.job_workflow_ref.glob(\"acme/shop/.github/workflows/deploy*\")",
        "claims.repository_id == \"74\"",
        false
    )]
    #[case("claims.job_workflow_ref.glob(\"acme/shop/.github/workflows/deploy*\")", "claims.run_id != \"\"", true)]
    #[case("claims.ref.fullMatch(\"refs/heads/release.*\")", "claims.run_id != \"\"", false)]
    fn p0303_of_a_name_is_silent_beside_its_id(#[case] condition: &str, #[case] other: &str, #[case] found: bool) {
        assert_eq!(rule("github", &[condition, other]).has(Code::LoosePattern), found);
    }
}
