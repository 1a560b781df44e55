//! Rules and entries that have no effect of their own.

use super::view::{Spot, View};
use crate::policy::code::Code;
use crate::policy::demand::{Demand, implies, is_impossible};
use crate::policy::finding::Finding;

pub(super) fn check(views: &[View<'_>], findings: &mut Vec<Finding>) {
    for (at, view) in views.iter().enumerate() {
        if never(view, findings) {
            continue;
        }
        let earlier = views.iter().take(at);
        let hidden = earlier.filter(|one| !is_impossible(&one.require)).find_map(|earlier| shadowed(earlier, view));
        findings.extend(hidden);
        repeated(view, findings);
    }
}

/// P0311. A rule whose conditions contradict one another grants to nobody: either one of them is not what was meant, or
/// the rule is left over, and the next who edits it makes it match.
///
/// Wrong: `claims.ref_type == "branch" && claims.ref_type == "tag"`.
/// Right: two rules, or `claims.ref_type in ["branch", "tag"]`.
fn never(view: &View<'_>, findings: &mut Vec<Finding>) -> bool {
    if is_impossible(&view.require) {
        let message = "the conditions of this rule contradict one another: it grants to nobody";
        let help = "ask for one value of a claim, or for one of several: `claims.x in [...]`";
        findings.push(view.finding(Code::NeverMatches, Spot::Rule, message).labelled("never matches").helped(help));
        return true;
    }
    for item in &view.items {
        if is_impossible(&item.whole) {
            let message = "this entry is never granted: its `when` contradicts the rule's conditions";
            let spot = Spot::Node(item.part, item.policy.id);
            findings.push(view.finding(Code::NeverMatches, spot, message).labelled("never granted"));
        }
    }
    false
}

/// P0310 and P0312. Rules are tried in order and the first that matches decides. A rule whose tokens all match an earlier
/// one of the same issuers is never reached: what it grants, or no longer grants, changes nothing (P0310). Where both grant
/// the same for the same, one of the two is a copy that the next edit forgets (P0312).
///
/// Wrong: a rule for `claims.project_id == "20"`, then one for `claims.project_id == "20" && claims.ref_protected == "true"`.
/// Right: the stricter rule first.
fn shadowed(earlier: &View<'_>, view: &View<'_>) -> Option<Finding> {
    let covered = view.issuers.iter().all(|(name, _)| earlier.issuers.iter().any(|(known, _)| known == name));
    if !covered || view.issuers.is_empty() || !implies(&view.require, &earlier.require) {
        return None;
    }
    let name = earlier.rule.name();
    let same = implies(&earlier.require, &view.require) && grants(earlier) == grants(view);
    Some(if same {
        let message = format!("this grants the same for the same as rule `{name}` above");
        view.finding(Code::SameGrant, Spot::Rule, message).labelled("a copy").helped("remove one of the two")
    } else {
        let message =
            format!("rule `{name}` above matches all that this one matches, so that this one is never reached");
        let help = format!("put it before `{name}`, or make `{name}` ask for what this one does not");
        view.finding(Code::ShadowedRule, Spot::Rule, message).labelled("never reached").helped(help)
    })
}

/// What a rule grants, as it is written.
fn grants<'v>(view: &'v View<'_>) -> Vec<(Option<&'v str>, Option<&'v str>)> {
    let source = |part| view.rule.source_of(part);
    (0_u16..)
        .zip(&view.items)
        .map(|(at, _)| {
            use crate::policy::trace::Part;
            (source(Part::When(at)), source(Part::Policy(at)))
        })
        .collect()
}

/// P0312 within a rule: an entry of `policies` that an earlier one grants already.
fn repeated(view: &View<'_>, findings: &mut Vec<Finding>) {
    for (at, item) in view.items.iter().enumerate() {
        let source = view.rule.source_of(item.part);
        let known = view.items.iter().take(at).any(|earlier| {
            view.rule.source_of(earlier.part) == source
                && (earlier.when == Demand::Always || implies(&item.whole, &earlier.whole))
        });
        if known {
            let message = "an entry above grants the same policy wherever this one does";
            let spot = Spot::Node(item.part, item.policy.id);
            findings.push(view.finding(Code::SameGrant, spot, message).labelled("granted already").helped("remove it"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{codes, rule};
    use crate::policy::Code;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::the_same("claims.project_id == \"20\"", "claims.project_id == \"20\"", "P0312")]
    #[case::the_same_turned(
        "claims.ref == \"a\" && claims.sub == \"b\"",
        "\"b\" == claims.sub && claims.ref == \"a\"",
        "P0312"
    )]
    #[case::stricter("claims.project_id == \"20\"", "claims.project_id == \"20\" && claims.ref == \"a\"", "P0310")]
    #[case::fewer_values("claims.ref in [\"a\", \"b\"]", "claims.ref == \"a\"", "P0310")]
    #[case::value_and_prefix("claims.ref.startsWith(\"rel/\")", "claims.ref == \"rel/1\"", "P0310")]
    #[case::value_and_pattern("claims.ref.glob(\"rel/*\")", "claims.ref in [\"rel/1\", \"rel/2\"]", "P0310")]
    #[case::longer_prefix("claims.ref.startsWith(\"rel/\")", "claims.ref.startsWith(\"rel/1\")", "P0310")]
    #[case::presence("has(claims.environment)", "has(claims.environment) && claims.environment == \"a\"", "P0310")]
    #[case::not_this_one("claims.ref != \"a\"", "claims.ref == \"b\"", "P0310")]
    #[case::one_alternative("claims.ref == \"a\" || claims.sub == \"b\"", "claims.sub == \"b\"", "P0310")]
    #[case::unreadable_but_the_same("size(claims.ref) == 3", "size(claims.ref) == 3 && claims.sub == \"b\"", "P0310")]
    #[case::member_of_a_list(
        "\"a\" in claims.?groups_direct.orValue([])",
        "claims.?groups_direct.orValue([]).exists(g, g == \"a\")",
        "P0312"
    )]
    #[case::laxer("claims.project_id == \"20\" && claims.ref == \"a\"", "claims.project_id == \"20\"", "")]
    #[case::another_value("claims.project_id == \"20\"", "claims.project_id == \"21\"", "")]
    #[case::unreadable("size(claims.ref) == 3", "size(claims.ref) == 4", "")]
    #[case::two_elements(
        "claims.?groups_direct.orValue([]).exists(g, g.startsWith(\"a\") && g.endsWith(\"b\"))",
        "claims.?groups_direct.orValue([]).exists(g, g.startsWith(\"a\")) && claims.?groups_direct.orValue([]).exists(g, g.endsWith(\"b\"))",
        ""
    )]
    #[case::shorter_prefix("claims.ref.startsWith(\"rel/1\")", "claims.ref.startsWith(\"rel/\")", "")]
    #[case::absence("has(claims.environment)", "claims.?environment.orValue(\"\") != \"a\"", "")]
    #[case::lower_case("claims.ref.lowerAscii() == \"a\"", "claims.ref == \"a\"", "")]
    fn p0310_and_p0312_of_a_rule_that_is_not_reached(#[case] earlier: &str, #[case] later: &str, #[case] code: &str) {
        let found = codes(rule("gitlab", &[later]).after(rule("gitlab", &[earlier])));
        let found: Vec<_> = found.into_iter().filter(|code| ["P0310", "P0312"].contains(code)).collect();
        assert_eq!(found, if code.is_empty() { vec![] } else { vec![code] });
    }

    #[test]
    fn p0310_is_of_the_same_issuers() {
        let later = rule("gitlab", &["claims.sub == \"a\""]);
        assert!(!codes(later.after(rule("github", &["claims.sub == \"a\""]))).contains(&"P0312"));
    }

    #[rstest]
    #[case::two_values("claims.ref == \"a\" && claims.ref == \"b\"", true)]
    #[case::value_and_prefix("claims.ref == \"a\" && claims.ref.startsWith(\"b\")", true)]
    #[case::value_and_not("claims.ref == \"a\" && !(claims.ref in [\"a\", \"b\"])", true)]
    #[case::absent_and_a_value("!has(claims.environment) && claims.?environment.orValue(\"\") == \"a\"", true)]
    #[case::never("claims.ref == \"a\" && false", true)]
    #[case::each_alternative("claims.ref == \"a\" && (claims.ref == \"b\" || claims.ref == \"c\")", true)]
    #[case::some_and_every(
        "claims.?groups_direct.orValue([]).exists(g, g == \"a\") && claims.?groups_direct.orValue([]).all(g, g == \"b\")",
        true
    )]
    #[case::two_elements(
        "claims.?groups_direct.orValue([]).exists(g, g == \"a\") && claims.?groups_direct.orValue([]).exists(g, g == \"b\")",
        false
    )]
    #[case::one_alternative("claims.ref == \"a\" && (claims.ref == \"b\" || claims.sub == \"c\")", false)]
    #[case::documented("claims.ref_type == \"tag\" || claims.ref_type == \"branch\"", false)]
    #[case::different_case("claims.ref == \"a\" && claims.ref.upperAscii() == \"A\"", false)]
    fn p0311_of_conditions_that_contradict(#[case] condition: &str, #[case] found: bool) {
        assert_eq!(rule("gitlab", &[condition]).has(Code::NeverMatches), found);
    }

    #[test]
    fn p0311_of_a_when_that_contradicts_its_rule() {
        let when = |value: &str| json!([{"when": format!("claims.ref == {value:?}"), "policy": "\"a\""}]);
        assert!(rule("gitlab", &["claims.ref in [\"a\", \"b\"]"]).granting(when("c")).has(Code::NeverMatches));
        assert!(!rule("gitlab", &["claims.ref in [\"a\", \"b\"]"]).granting(when("b")).has(Code::NeverMatches));
    }

    #[rstest]
    #[case::twice(json!(["\"a\"", "\"a\""]), true)]
    #[case::in_a_when_after(json!(["\"a\"", {"when": "claims.ref == \"x\"", "policy": "\"a\""}]), true)]
    #[case::in_a_when_before(json!([{"when": "claims.ref == \"x\"", "policy": "\"a\""}, "\"a\""]), false)]
    #[case::two_names(json!(["\"a\"", "\"b\""]), false)]
    fn p0312_of_an_entry_that_is_granted_already(#[case] policies: serde_json::Value, #[case] found: bool) {
        assert_eq!(rule("gitlab", &["claims.sub == \"a\""]).granting(policies).has(Code::SameGrant), found);
    }
}
