//! Whose workload it is, and whether it will be the same one's tomorrow.

use super::view::{Beside, Spot, View};
use crate::policy::code::Code;
use crate::policy::demand::{Atom, Demand, Literal, Test};
use crate::policy::finding::Finding;
use crate::policy::pattern::{Pattern, PatternKind};
use crate::trust::{Authority, ClaimKind, ClaimPath, OwnerClaim, expression};

/// Whether anybody at all is let in: then who else is does not matter.
pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    let mut told: Vec<ClaimPath> = vec![];
    view.each(|atom, beside| {
        if let Some(path) = atom.claim().filter(|path| !told.contains(path))
            && let Some(finding) = recyclable(view, atom, beside)
        {
            told.push(path.clone());
            findings.push(finding);
        }
    });
    if findings.len() > before {
        return false;
    }
    let open = any_owner(view);
    let is_open = open.is_some() || only_chosen(view).is_some();
    findings.extend(open);
    is_open
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
    let ids: Vec<String> = known.identified_by().iter().map(|id| format!("`{} == \"...\"`", expression(id))).collect();
    let message = format!(
        "`{claim}` names whoever bears the name: on {platform}, another can have it after a deletion or a new name"
    );
    let help = format!("pin {} as well", ids.join(" or "));
    let spot = Spot::Node(atom.at.part, atom.at.node);
    Some(view.finding(Code::RecyclableName, spot, message).labelled("a name that can be had again").helped(help))
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
        let ids: Vec<String> = ids.take(2).map(|id| format!("`{} == \"...\"`", expression(id))).collect();
        let help = if ids.is_empty() {
            "pin the claim that says who it is".to_owned()
        } else {
            format!("pin {}", ids.join(" or "))
        };
        let message = format!("no condition says whose workload it is, {whose}");
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
        Demand::Opaque(opaque) => {
            owners.iter().any(|owner| opaque.mentions.iter().any(|path| owner.claim.is_within(path)))
        }
        _ => false,
    })
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
        Demand::Opaque(opaque) => opaque.mentions.iter().any(|path| !own(path)),
        _ => false,
    })
}
