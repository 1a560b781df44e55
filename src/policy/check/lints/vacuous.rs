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
        let help = format!("say what it has to be: `{claim} == \"...\"`, or ask `has({claim}) &&` first");
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
    let help = format!("say what it has to be: `{claim} == \"...\"` or `{claim} in [...]`");
    Some(view.finding(Code::NotEqualAbsent, spot, message).labelled("all others pass").helped(help))
}
