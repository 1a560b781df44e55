//! Code from outside that runs with the token's identity.

use super::view::{Spot, View};
use crate::policy::code::Code;
use crate::policy::demand::{Atom, Demand, Literal, Of, Test};
use crate::policy::finding::Finding;
use crate::trust::{Beyond, OutsideCode, Platform, expression};

/// P0306. Some runs have the identity of a repository and the input, or the code, of somebody who may not write to it:
/// GitHub's `pull_request_target`, `issue_comment` and `workflow_run`, the pipeline of a fork's merge request that GitLab
/// runs in the parent project, CircleCI's builds of forks. A rule that pins the repository and its main branch is met by
/// them.
///
/// Wrong: `claims.repository_id == "74" && claims.ref == "refs/heads/main" && claims.ref_protected == "true"`.
/// Right: `... && claims.event_name in ["push", "workflow_dispatch"]`.
pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    for (_, platform) in view.platforms() {
        let exposed = platform.authority().outside_code.iter().filter_map(|entry| exposed(view, platform, entry));
        findings.extend(exposed);
    }
}

fn exposed(view: &View<'_>, platform: &Platform, entry: &OutsideCode) -> Option<Finding> {
    let claim = expression(&entry.claim);
    let because = &entry.because;
    let help = format!("add `{}`", entry.fix);
    if entry.values.is_empty() {
        if view.ways().all(|way| keeps_out(way, entry)) {
            return None;
        }
        let message = format!("nothing keeps code from outside out ({}): {because}", platform.title());
        return Some(
            view.finding(Code::ForkExposure, Spot::Rule, message)
                .labelled(format!("does not ask for `{claim}`"))
                .helped(help),
        );
    }
    let admitted = |value: &str| view.ways().any(|way| !refuses(way, entry, value));
    let open: Vec<&str> = entry.values.iter().map(AsRef::as_ref).filter(|value| admitted(value)).collect();
    if open.is_empty() {
        return None;
    }
    let atoms = view.require.atoms().into_iter().chain(view.items.iter().flat_map(|item| item.when.atoms()));
    let named = atoms.into_iter().find_map(|atom| {
        let value = open.iter().find(|value| is_named(atom, entry, value))?;
        Some((atom.at, *value))
    });
    if let Some((at, value)) = named {
        if entry.named_is_meant {
            return None;
        }
        let message = format!("`{claim}` may be `{value}`: {because}");
        let spot = Spot::Node(at.part, at.node);
        let help = format!("leave `{value}` out, or accept it with the reason why its runs take nothing from outside");
        return Some(view.finding(Code::ForkExposure, spot, message).labelled("lets outsiders start it").helped(help));
    }
    if entry.unless.iter().any(|other| view.ways().all(|way| way.pins(other)))
        || entry.unless_beyond.iter().any(|other| view.ways().all(|way| reaches(way, other)))
    {
        return None;
    }
    let names: Vec<String> = open.iter().take(3).map(|value| format!("`{value}`")).collect();
    let message = format!("nothing keeps `{claim}` from being {}: {because}", names.join(", "));
    Some(view.finding(Code::ForkExposure, Spot::Rule, message).labelled(format!("any `{claim}`")).helped(help))
}

/// Whether `demand` says the claim whole, or its beginning beyond that text.
fn reaches(demand: &Demand, other: &Beyond) -> bool {
    let beyond = |text: &String| text.split_once(&*other.text).is_some_and(|(_, rest)| !rest.is_empty());
    demand.has_atom(&mut |atom| {
        let whole = matches!(atom.test, Test::Among(_));
        atom.is_about(&other.claim) && atom.pins() && (whole || atom.beginnings().iter().all(beyond))
    })
}

/// Whether `demand` is not met where the claim has that value.
fn refuses(demand: &Demand, entry: &OutsideCode, value: &str) -> bool {
    let value = Literal::Text(value.to_owned());
    demand.entails(&mut |part| match part {
        Demand::Atom(atom) => atom.is_about(&entry.claim) && atom.admits(&value) == Some(false),
        Demand::Opaque(opaque) => opaque.mentions.contains(&entry.claim),
        _ => false,
    })
}

/// Whether a test spells that value out among those that it admits.
fn is_named(atom: &Atom, entry: &OutsideCode, value: &str) -> bool {
    let named = matches!(&atom.test, Test::Among(values) if values.contains(&Literal::Text(value.to_owned())));
    named && atom.holds && atom.is_about(&entry.claim)
}

/// Whether the claim is pinned, or has to be the same as the other.
fn keeps_out(demand: &Demand, entry: &OutsideCode) -> bool {
    let Some(other) = &entry.same_as else { return demand.pins(&entry.claim) };
    demand.entails(&mut |part| match part {
        Demand::Atom(atom) => {
            let same = |of: &Of, path| matches!(of, Of::Claim(known) if known == path);
            let equal = matches!(&atom.test, Test::Same(of, _) if atom.holds
                && (same(of, &entry.claim) || same(of, other))
                && (atom.is_about(&entry.claim) || atom.is_about(other)));
            // An issuer that does not tell yet has nothing to compare with.
            let untold = atom.is_about(other) && atom.test == Test::Present && !atom.holds;
            equal || untold || (atom.is_about(&entry.claim) && atom.pins())
        }
        Demand::Opaque(opaque) => opaque.mentions.contains(&entry.claim),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::rule;
    use crate::policy::Code;
    use rstest::rstest;

    const GITHUB: &str = "claims.repository_id == \"74\"";
    const GROUP: &str = "claims.?project_group_ids.orValue([]).exists(id, id == \"200\")";

    #[rstest]
    #[case::any_event("claims.?ref_protected.orValue(\"\") == \"true\"", true)]
    #[case::listed("claims.event_name in [\"push\", \"release\"]", false)]
    #[case::one("claims.event_name == \"push\" || claims.event_name == \"release\"", false)]
    #[case::one_is_refused("claims.event_name != \"pull_request_target\"", true)]
    #[case::all_are_refused(
        "!(claims.event_name in [\"pull_request_target\", \"issue_comment\", \"issues\", \"discussion\", \"discussion_comment\", \"workflow_run\"])",
        false
    )]
    #[case::pattern("claims.event_name.fullMatch(\"push|release\")", false)]
    #[case::pattern_with_it("claims.event_name.startsWith(\"pu\")", true)]
    #[case::named("claims.event_name in [\"push\", \"workflow_run\"]", true)]
    #[case::environment("claims.?environment.orValue(\"\") == \"production\"", false)]
    #[case::environment_and_named(
        "claims.?environment.orValue(\"\") == \"production\" && claims.event_name in [\"push\", \"issues\"]",
        true
    )]
    #[case::owner_of_a_workflow("claims.workflow_ref.startsWith(\"acme/\")", true)]
    #[case::any_workflow_of_a_repository("claims.job_workflow_ref.startsWith(\"acme/shop/.github/workflows/\")", true)]
    #[case::workflow_of_any_ref("claims.workflow_ref.startsWith(\"acme/shop/.github/workflows/deploy.yml@\")", false)]
    #[case::workflow("claims.workflow_ref == \"acme/shop/.github/workflows/deploy.yml@refs/heads/main\"", false)]
    fn p0306_of_events_that_outsiders_start(#[case] condition: &str, #[case] found: bool) {
        assert_eq!(rule("github", &[GITHUB, condition]).has(Code::ForkExposure), found);
    }

    #[rstest]
    #[case::project("claims.project_id == \"20\"", false)]
    #[case::group(GROUP, true)]
    #[case::runs_in_the_project("claims.?job_project_id.orValue(\"\") == \"20\"", true)]
    #[case::group_and_same_project(
        "claims.project_id == claims.?job_project_id.orValue(\"\") && claims.namespace_id == \"72\"",
        false
    )]
    #[case::group_and_same_project_where_told(
        "(!has(claims.job_project_id) || claims.job_project_id == claims.project_id) && claims.namespace_id == \"72\"",
        false
    )]
    #[case::group_and_another_project(
        "claims.?job_project_id.orValue(\"\") != claims.project_id && claims.namespace_id == \"72\"",
        true
    )]
    fn p0306_of_the_code_of_forks(#[case] condition: &str, #[case] found: bool) {
        assert_eq!(rule("gitlab", &[condition]).has(Code::ForkExposure), found);
    }

    #[rstest]
    #[case::any_origin("claims[\"oidc.circleci.com/project-id\"] == \"p\"", true)]
    #[case::one_origin(
        "claims[\"oidc.circleci.com/project-id\"] == \"p\" && claims[?\"oidc.circleci.com/vcs-origin\"].orValue(\"\") == \"o\"",
        false
    )]
    fn p0306_of_builds_of_forks(#[case] condition: &str, #[case] found: bool) {
        assert_eq!(rule("circleci", &[condition]).has(Code::ForkExposure), found);
    }
}
