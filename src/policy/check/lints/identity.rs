//! Whose workload it is, and whether it will be the same one's tomorrow.

use super::view::{Beside, Spot, View};
use crate::policy::code::Code;
use crate::policy::demand::{Atom, Demand, Literal, Opaque, Segment, Test};
use crate::policy::finding::Finding;
use crate::policy::pattern::{Pattern, PatternKind};
use crate::trust::{Authority, ClaimKind, ClaimPath, OwnerClaim, expression};

/// Whether anybody at all is let in: then who else is does not matter.
pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) -> bool {
    let open = any_owner(view);
    if open.is_some() || only_chosen(view).is_some() {
        findings.extend(open);
        return true;
    }
    let mut told: Vec<ClaimPath> = vec![];
    view.each(|atom, beside| {
        if let Some(path) = atom.claim().filter(|path| !told.contains(path))
            && let Some(finding) = recyclable(view, atom, beside)
        {
            told.push(path.clone());
            findings.push(finding);
        }
    });
    view.each_part(|part, beside| {
        if let Demand::Opaque(opaque) = part {
            let found = opaque.mentions.iter().find_map(|path| Some((path, unread(view, opaque, path, beside)?)));
            if let Some((path, finding)) = found.filter(|(path, _)| !told.contains(path)) {
                told.push(path.clone());
                findings.push(finding);
            }
        }
    });
    false
}

/// P0305. A name belongs to whoever bears it today. An account, repository, project or service account that is renamed or
/// deleted sets its name free, and whoever takes it gets tokens with the same claims. The id beside it is never given
/// again.
///
/// Wrong: `claims.repository == "acme/shop"`.
/// Right: `claims.repository_id == "74"`, alone or beside the name.
fn recyclable(view: &View<'_>, atom: &Atom, beside: &Beside<'_>) -> Option<Finding> {
    let path = atom.claim().filter(|_| atom.pins())?;
    let unsafe_in = view.documented(path).find(|(_, known)| {
        let ids = known.identified_by();
        known.kind() == ClaimKind::RecyclableName && !ids.is_empty() && !ids.iter().any(|id| beside.pins(id))
    });
    let (platform, known) = unsafe_in?;
    if view.platforms().any(|(_, platform)| holds_an_id(platform.authority(), path, atom)) {
        return None;
    }
    let claim = expression(path);
    let ids: Vec<String> = known.identified_by().iter().map(|id| format!("`{}`", view.equals(id, "..."))).collect();
    let message = format!(
        "`{claim}` names whoever bears the name: on {platform}, another can have it after a deletion or a new name"
    );
    let help = format!("pin {} as well", ids.join(" or "));
    let spot = Spot::Node(atom.at.part, atom.at.node);
    Some(view.finding(Code::RecyclableName, spot, message).labelled("a name that can be had again").helped(help))
}

/// P0305 of a condition that can't be read: it rests on a name in some way.
fn unread(view: &View<'_>, opaque: &Opaque, path: &ClaimPath, beside: &Beside<'_>) -> Option<Finding> {
    let (platform, known) = view.documented(path).filter(|_| opaque.names).find(|(_, known)| {
        let ids = known.identified_by();
        known.kind() == ClaimKind::RecyclableName && !ids.is_empty() && !ids.iter().any(|id| beside.pins(id))
    })?;
    let claim = expression(path);
    let ids: Vec<String> = known.identified_by().iter().map(|id| format!("`{}`", view.equals(id, "..."))).collect();
    let message = format!(
        "this condition could not be read as a test of the whole `{claim}`, a name which on {platform} another can have after a deletion or a new name"
    );
    let help = format!("write it plainly, `{claim} == \"...\"`, and pin {} as well", ids.join(" or "));
    let spot = Spot::Node(opaque.at.part, opaque.at.node);
    Some(view.finding(Code::RecyclableName, spot, message).labelled("a part of a name").helped(help))
}

/// Whether the texts that the test admits have an immutable id in them.
fn holds_an_id(authority: &Authority, path: &ClaimPath, atom: &Atom) -> bool {
    let globs = authority.owners.iter().filter(|owner| owner.claim == *path).flat_map(|owner| &owner.with_id);
    let patterns: Vec<Pattern> = globs.filter_map(|glob| Pattern::new(PatternKind::Glob, glob).ok()).collect();
    let fits = |text: &String| patterns.iter().any(|pattern| pattern.matches(text) == Some(true));
    !patterns.is_empty() && atom.beginnings().iter().all(fits)
}

/// P0307. An issuer's signature says that a token is genuine, not whose it is: github.com, gitlab.com and the like sign for
/// everybody who opens an account, a cluster for each of its namespaces. A rule that only looks at the ref, the event or
/// the environment lets in every project that has one of that name.
///
/// Wrong: `claims.ref == "refs/heads/main" && claims.ref_protected == "true"` and nothing else.
/// Right: `claims.repository_id == "74"` beside it.
fn any_owner(view: &View<'_>) -> Option<Finding> {
    for (facts, platform) in view.platforms() {
        let authority = platform.authority();
        let named = |demand: &Demand| {
            if authority.owners.is_empty() {
                rests_on_anything(demand)
            } else {
                names_an_owner(demand, &authority.owners)
            }
        };
        if view.ways().all(named) || only_chosen(view).is_some() {
            continue;
        }
        let name = platform.name();
        let whose = if authority.is_shared(facts.url.as_deref()) {
            format!("and the issuer ({name}) signs for everybody who has an account there")
        } else {
            format!("and the issuer ({name}) signs for every workload that it knows")
        };
        let ids = authority.owners.iter().map(|owner| &owner.claim);
        let ids: Vec<String> = ids.take(2).map(|id| format!("`{}`", view.equals(id, "..."))).collect();
        let help = if ids.is_empty() {
            "pin the claim that says who it is".to_owned()
        } else {
            format!("pin {}", ids.join(" or "))
        };
        let owned = |path: &ClaimPath| authority.owners.iter().any(|owner| owner.claim == *path);
        let mut unclear = None;
        view.each_part(|part, _| {
            if let Demand::Opaque(opaque) = part {
                unclear = unclear.take().or_else(|| opaque.mentions.iter().find(|path| owned(path)).map(expression));
            }
        });
        let message = match unclear {
            None => format!("no condition says whose workload it is, {whose}"),
            Some(claim) => format!(
                "no condition says whose workload it is (what is asked of `{claim}` could not be read as a test of the whole), {whose}"
            ),
        };
        return Some(view.finding(Code::AnyOwner, Spot::Rule, message).labelled("whoever asks").helped(help));
    }
    None
}

/// The first test of a rule whose every test is of what the caller chose: told by `caller`, as P0308.
pub(super) fn only_chosen(view: &View<'_>) -> Option<Atom> {
    let atoms = view.require.atoms();
    let mut tests = atoms.iter().filter(|atom| atom.pins()).peekable();
    let first = *tests.peek()?;
    if view.require.entails(&mut |part| matches!(part, Demand::Opaque(_))) {
        return None;
    }
    let chosen = |path: &ClaimPath| {
        let mut documented = view.documented(path).peekable();
        documented.peek().is_some()
            && documented.all(|(_, known)| {
                matches!(known.kind(), ClaimKind::CallerChosen | ClaimKind::Actor | ClaimKind::TokenBound)
            })
    };
    let owned = |atom: &&Atom| {
        let about = |owner: &OwnerClaim| atom.is_about(&owner.claim);
        view.platforms().any(|(_, platform)| platform.authority().owners.iter().any(about))
    };
    tests.all(|atom| atom.claim().is_some_and(chosen) && !owned(atom)).then(|| (*first).clone())
}

fn names_an_owner(demand: &Demand, owners: &[OwnerClaim]) -> bool {
    demand.entails(&mut |part| match part {
        Demand::Atom(atom) => owners.iter().any(|owner| {
            atom.is_about(&owner.claim) && atom.pins() && atom.beginnings().iter().all(|text| owner.is_named_by(text))
        }),
        Demand::Opaque(opaque) if !opaque.names => false,
        Demand::Opaque(Opaque { segment: Some(segment), .. }) => owners.iter().any(|owner| is_segment(owner, segment)),
        Demand::Opaque(opaque) => {
            owners.iter().any(|owner| opaque.mentions.iter().any(|path| owner.claim.is_within(path)))
        }
        _ => false,
    })
}

/// Whether that segment is the first one that names the owner: the one after what always stands before it.
fn is_segment(owner: &OwnerClaim, segment: &Segment) -> bool {
    let Segment { claim, separator, index, text } = segment;
    if owner.claim != *claim || separator.is_empty() {
        return false;
    }
    let follows = |lead: &str| lead.ends_with(separator.as_str()) && lead.matches(separator.as_str()).count() == *index;
    let first = *index == 0 && owner.is_named_by(text);
    first || (!text.is_empty() && owner.after.iter().any(|lead| follows(lead)))
}

/// Where nothing is documented: any test of a claim that is not of the token itself.
fn rests_on_anything(demand: &Demand) -> bool {
    let own = |path: &ClaimPath| {
        path.names().next().is_some_and(|name| ["iss", "aud", "exp", "iat", "nbf", "jti"].contains(&name))
    };
    demand.entails(&mut |part| match part {
        Demand::Atom(atom) => {
            let says_something = atom.beginnings().iter().all(|text| !text.is_empty());
            let other = matches!(atom.test, Test::Suffix(_) | Test::Infix(_));
            let empty = atom.test == Test::Among(vec![Literal::Null]);
            atom.pins() && !empty && (says_something || other) && atom.claim().is_some_and(|path| !own(path))
        }
        Demand::Opaque(opaque) => opaque.names && opaque.mentions.iter().any(|path| !own(path)),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::rule;
    use crate::policy::Code;
    use rstest::rstest;

    #[rstest]
    #[case::name("claims.repository == \"acme/shop\"", true)]
    #[case::one_of_several_names("claims.repository in [\"acme/shop\", \"acme/cart\"]", true)]
    #[case::folded_name("claims.repository.lowerAscii() == \"acme/shop\"", true)]
    #[case::name_and_id("claims.repository == \"acme/shop\" && claims.repository_id == \"74\"", false)]
    #[case::name_and_its_owners_id("claims.repository == \"acme/shop\" && claims.repository_owner_id == \"65\"", true)]
    #[case::owner_and_repository_id("claims.repository_owner == \"acme\" && claims.repository_id == \"74\"", false)]
    #[case::id_in_one_alternative(
        "(claims.repository_id == \"74\" || claims.actor == \"x\") && claims.repository == \"acme/shop\"",
        true
    )]
    #[case::id_in_each_alternative(
        "(claims.repository_id == \"74\" || claims.repository_id == \"75\") && claims.repository == \"acme/shop\"",
        false
    )]
    #[case::subject("claims.sub == \"repo:acme/shop:ref:refs/heads/main\"", true)]
    #[case::subject_with_ids("claims.sub == \"repo:acme@65/shop@74:ref:refs/heads/main\"", false)]
    #[case::not_that_name("claims.repository_id == \"74\" && claims.repository != \"acme/old\"", false)]
    #[case::refused_id("claims.repository == \"acme/shop\" && claims.repository_id != \"75\"", true)]
    fn p0305_of_a_name_without_its_id(#[case] condition: &str, #[case] found: bool) {
        assert_eq!(rule("github", &[condition]).has(Code::RecyclableName), found);
    }

    #[test]
    fn p0305_sees_through_variables() {
        let draft = |conditions: &[&str]| rule("kubernetes", conditions).letting("k", "claims[\"kubernetes.io\"]");
        assert!(draft(&["k.namespace == \"a\""]).has(Code::RecyclableName));
        assert!(!draft(&["k.namespace == \"a\"", "k.serviceaccount.uid == \"u\""]).has(Code::RecyclableName));
    }

    #[rstest]
    #[case::ref_only("github", "claims.?ref_protected.orValue(\"\") == \"true\"", true)]
    #[case::id("github", "claims.repository_id == \"74\"", false)]
    #[case::one_of_ids("github", "claims.repository_id in [\"74\", \"75\"]", false)]
    #[case::unreadable_mention("github", "claims.sub.split(\":\", 4)[1] == \"acme/shop\"", false)]
    #[case::prefix_that_names_nobody("github", "claims.sub.startsWith(\"repo:\")", true)]
    #[case::glob_that_names_nobody(
        "github",
        "claims.sub.glob(\"repo:*/shop:*\") && claims.repository_id != \"1\"",
        true
    )]
    #[case::another_repositorys_workflow(
        "github",
        "claims.job_workflow_ref.contains(\"deploy\") && claims.runner_environment == \"github-hosted\"",
        true
    )]
    #[case::one_alternative_names_nobody(
        "github",
        "claims.repository_id == \"74\" || claims.?ref_protected.orValue(\"\") == \"true\"",
        true
    )]
    #[case::account_of_any_namespace("kubernetes", "has(claims[\"kubernetes.io\"].pod)", true)]
    #[case::namespace("kubernetes", "claims[\"kubernetes.io\"].namespace == \"a\"", false)]
    #[case::group("gitlab", "claims.?project_group_ids.orValue([]).exists(x, x == \"200\")", false)]
    #[case::group_among_others("gitlab", "\"200\" in claims.?project_group_ids.orValue([])", false)]
    #[case::verified_email_of_anybody("google", "claims.?email_verified.orValue(false)", true)]
    #[case::nothing_is_known("generic", "claims.team == \"a\"", false)]
    #[case::nothing_at_all("generic", "claims.aud == \"a\"", true)]
    fn p0307_where_anybody_is_let_in(#[case] issuer: &str, #[case] condition: &str, #[case] found: bool) {
        let codes = rule(issuer, &[condition]).codes();
        assert_eq!(codes.contains(&"P0307") || codes.contains(&"P0308") && issuer == "generic", found, "{codes:?}");
    }

    #[test]
    fn p0307_is_content_where_each_grant_asks() {
        let when = |when: &str| serde_json::json!([{"when": when, "policy": "\"a\""}]);
        let granting = |condition: &str| rule("github", &["claims.event_name == \"push\""]).granting(when(condition));
        assert!(!granting("claims.repository_id == \"74\"").has(Code::AnyOwner));
        assert!(granting("claims.run_attempt == \"1\"").has(Code::AnyOwner));
    }
}
