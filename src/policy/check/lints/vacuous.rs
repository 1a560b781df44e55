//! Conditions that are met by nothing at all.

use super::view::{Beside, Spot, View};
use crate::policy::code::Code;
use crate::policy::demand::{Absent, Atom, Literal, Scope, Test};
use crate::policy::finding::Finding;
use crate::trust::{ClaimKind, expression};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    view.each(|atom, beside| {
        findings.extend(vacuous(view, atom, beside));
        findings.extend(not_equal(view, atom, beside));
    });
}

/// P0301. `all` is true of an empty list: a token whose list has nobody in it meets `list.all(x, x in [...])`, and so does
/// `!list.exists(...)`, which is the same question. It is meant as "someone I know is in it", and says "nobody else is".
///
/// Wrong: `claims.groups_direct.all(group, group in ["ops", "dev"])`: a user without groups passes.
/// Right: `claims.groups_direct.exists(group, group == "ops")`, or `claims.groups_direct.size() > 0 &&` before it.
fn vacuous(view: &View<'_>, atom: &Atom, beside: &Beside<'_>) -> Option<Finding> {
    let path = atom.claim().filter(|_| atom.scope == Scope::Every)?;
    let filled = |other: &Atom| {
        let inside =
            other.claim().is_some_and(|inner| inner != path && inner.is_within(path)) && other.needs_presence();
        let itself = other.is_about(path)
            && other.holds
            && other.absent != Absent::Meets
            && (other.test == Test::NonEmpty || other.scope == Scope::Some);
        inside || itself
    };
    let asked = |other: &&Atom| other.is_about(path) && other.test == Test::NonEmpty;
    if beside.has(filled) || view.require.atoms().iter().any(asked) {
        return None;
    }
    // A list of those who may not is fine beside something that says who may.
    if !atom.holds && beside.has(Atom::pins) {
        return None;
    }
    let claim = expression(path);
    let how = if atom.absent == Absent::Meets { "empty or absent" } else { "empty" };
    let message =
        format!("this holds of every token whose `{claim}` is {how}: it asks of none of its elements anything");
    let help =
        format!("ask for the element that has to be there, `{claim}.exists(x, ...)`, or add `{claim}.size() > 0`");
    let spot = Spot::Node(atom.at.part, atom.at.node);
    Some(view.finding(Code::Vacuous, spot, message).labelled(format!("true of an {how} list")).helped(help))
}

/// P0302. `!=` lets everything in but one value. Where an absent claim counts as another value
/// (`claims.?environment.orValue("") != "production"`), every token without the claim passes as well; and of a name that
/// people choose (a ref, an owner), those that are not listed are all others, which anybody may take next.
///
/// Wrong: `claims.?environment.orValue("") != "production"`: a job without an environment passes.
/// Right: `claims.environment in ["staging", "review"]`.
fn not_equal(view: &View<'_>, atom: &Atom, beside: &Beside<'_>) -> Option<Finding> {
    let path = atom.claim()?;
    let compared = !matches!(atom.test, Test::Present | Test::NonEmpty | Test::Same(..));
    if atom.holds || atom.scope != Scope::Value || !compared {
        return None;
    }
    let claim = expression(path);
    let spot = Spot::Node(atom.at.part, atom.at.node);
    let needed = |other: &Atom| other.is_about(path) && other.needs_presence();
    if atom.absent == Absent::Meets && !beside.has(needed) {
        let message = format!("a token without `{claim}` meets this");
        let help = format!("say what it has to be, `{}`, or ask `has({claim}) &&` first", view.equals(path, "..."));
        return Some(
            view.finding(Code::NotEqualAbsent, spot, message).labelled("true where the claim is absent").helped(help),
        );
    }
    let only_empty =
        |literal: &Literal| matches!(literal, Literal::Text(text) if text.is_empty()) || *literal == Literal::Null;
    if matches!(&atom.test, Test::Among(values) if values.iter().all(only_empty)) || beside.pins(path) {
        return None;
    }
    let (_, known) = view.documented(path).next()?;
    let chosen = matches!(known.kind(), ClaimKind::RecyclableName | ClaimKind::CallerChosen | ClaimKind::ImmutableId);
    if !chosen || !known.values().is_empty() {
        return None;
    }
    let message = format!("every other value of `{claim}` meets this, those included that somebody makes up tomorrow");
    let help = format!("say what it has to be: `{}`, or one of several with `in`", view.equals(path, "..."));
    Some(view.finding(Code::NotEqualAbsent, spot, message).labelled("all others pass").helped(help))
}

#[cfg(test)]
mod tests {
    use super::super::tests::rule;
    use crate::policy::Code;
    use rstest::rstest;

    #[rstest]
    #[case::all("claims.?groups_direct.orValue([]).all(g, g in [\"a\"])", true)]
    #[case::all_of_a_present_list("has(claims.groups_direct) && claims.groups_direct.all(g, g in [\"a\"])", true)]
    #[case::all_beside_a_size(
        "claims.?groups_direct.orValue([]).size() > 0 && claims.?groups_direct.orValue([]).all(g, g in [\"a\"])",
        false
    )]
    #[case::all_beside_a_turned_size(
        "1 <= size(claims.?groups_direct.orValue([])) && claims.?groups_direct.orValue([]).all(g, g == \"a\")",
        false
    )]
    #[case::all_beside_an_exists(
        "has(claims.groups_direct) && claims.groups_direct.all(g, g in [\"a\"]) && \"a\" in claims.groups_direct",
        false
    )]
    #[case::all_or_empty(
        "!(claims.?groups_direct.orValue([]).size() > 0) || claims.?groups_direct.orValue([]).all(g, g == \"a\")",
        false
    )]
    #[case::exists("claims.?groups_direct.orValue([]).exists(g, g in [\"a\"])", false)]
    #[case::not_one_that_is_not("!claims.?groups_direct.orValue([]).exists(g, g != \"a\")", true)]
    #[case::none_of_the_denied("!claims.?groups_direct.orValue([]).exists(g, g == \"evil\")", false)]
    #[case::not_in("!(\"evil\" in claims.?groups_direct.orValue([]))", false)]
    fn p0301_of_an_all_that_nobody_meets(#[case] condition: &str, #[case] found: bool) {
        assert_eq!(rule("gitlab", &["claims.project_id == \"20\"", condition]).has(Code::Vacuous), found);
    }

    #[test]
    fn p0301_of_a_list_of_denied_that_is_all_there_is() {
        assert!(rule("gitlab", &["!claims.?groups_direct.orValue([]).exists(g, g == \"evil\")"]).has(Code::Vacuous));
    }

    #[rstest]
    #[case::absent("claims.?environment.orValue(\"\") != \"production\"", true)]
    #[case::absent_behind_a_not("!(claims.?environment.orValue(\"\") in [\"production\"])", true)]
    #[case::absent_written_as_a_choice("(has(claims.environment) ? claims.environment : \"\") != \"production\"", true)]
    #[case::absent_but_asked_for("has(claims.environment) && claims.?environment.orValue(\"\") != \"\"", false)]
    #[case::not_empty("claims.?environment.orValue(\"\") != \"\"", false)]
    #[case::default_is_refused("claims.?environment_protected.orValue(\"false\") != \"false\"", false)]
    #[case::all_refs_but_one("claims.ref != \"main\"", true)]
    #[case::all_refs_but_one_of_a_kind("claims.ref != \"main\" && claims.ref.startsWith(\"release/\")", false)]
    #[case::of_few_values("claims.ref_type != \"tag\"", false)]
    #[case::what_the_platform_sets("claims.pipeline_source != \"schedule\"", false)]
    #[case::equal("claims.?environment.orValue(\"\") == \"production\"", false)]
    fn p0302_of_what_everything_else_meets(#[case] condition: &str, #[case] found: bool) {
        assert_eq!(rule("gitlab", &["claims.project_id == \"20\"", condition]).has(Code::NotEqualAbsent), found);
    }
}
