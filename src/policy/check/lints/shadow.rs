//! Rules and entries that have no effect of their own.

use super::view::{Spot, View};
use crate::policy::code::Code;
use crate::policy::demand::{Absent, Demand, Scope, Test, implies, is_impossible};
use crate::policy::finding::Finding;
use crate::trust::expression;

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

/// P0311. A rule whose conditions contradict one another, or that ask for a value that the platform never sends, grants to
/// nobody: either a claim is misspelt in it, or it is left over, and the next who edits it makes it match.
///
/// Wrong: `claims.ref_type == "branch" && claims.ref_type == "tag"`; `claims.ref_protected == "yes"`.
/// Right: two rules, or `claims.ref_type in ["branch", "tag"]`; `claims.ref_protected == "true"`.
fn never(view: &View<'_>, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    view.each(|atom, _| findings.extend(undocumented(view, atom)));
    if is_impossible(&view.require) {
        if findings.len() == before {
            let message = "the conditions of this rule contradict one another: it grants to nobody";
            let help = "ask for one value of a claim, or for one of several: `claims.x in [...]`";
            findings.push(view.finding(Code::NeverMatches, Spot::Rule, message).labelled("never matches").helped(help));
        }
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

/// A value outside of those that every issuer of the rule documents.
fn undocumented(view: &View<'_>, atom: &crate::policy::demand::Atom) -> Option<Finding> {
    let path = atom.claim().filter(|_| atom.holds && atom.via.is_empty() && atom.scope == Scope::Value)?;
    let Test::Among(values) = &atom.test else { return None };
    let documented: Vec<_> = view.documented(path).collect();
    let (platform, first) = documented.first()?;
    let unknown = values.iter().find(|value| {
        let crate::policy::demand::Literal::Text(text) = value else { return false };
        !(text.is_empty() && atom.absent != Absent::Errs)
            && documented
                .iter()
                .all(|(_, known)| !known.values().is_empty() && known.values().iter().all(|one| **one != **text))
    })?;
    let known: Vec<String> = first.values().iter().map(|value| format!("{value:?}")).collect();
    let claim = expression(path);
    let message = format!("`{claim}` is never {unknown} on {platform}: it is one of {}", known.join(", "));
    let spot = Spot::Node(atom.at.part, atom.at.literal);
    Some(view.finding(Code::NeverMatches, spot, message).labelled("not one of its values"))
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
