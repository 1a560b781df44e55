//! The index against a matcher that is slow and obviously right, over documents and paths that clash often.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::identity::PolicyName;

const NOW: i64 = 1_800_000_000;

/// A rule as a test writes it.
#[derive(Clone, Debug)]
struct Written {
    pattern: String,
    capabilities: Vec<Capability>,
    expired: bool,
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => "[ab]{1,2}", 2 => Just("+".to_owned())];
    let end =
        prop_oneof![3 => Just(String::new()), 1 => Just("/".to_owned()), 1 => Just("/*".to_owned()), 1 => "/[ab]\\*"];
    prop_oneof![
        30 => (prop::collection::vec(segment, 1..4), end).prop_map(|(segments, end)| format!("{}{end}", segments.join("/"))),
        2 => "[ab]\\*",
        1 => Just("*".to_owned()),
    ]
}

fn path() -> impl Strategy<Value = String> {
    (prop::collection::vec("[ab]{1,2}", 1..5), prop::bool::ANY)
        .prop_map(|(segments, folder)| format!("{}{}", segments.join("/"), if folder { "/" } else { "" }))
}

fn policies() -> impl Strategy<Value = Vec<Vec<Written>>> {
    let capability = prop_oneof![
        4 => Just(Capability::Read),
        3 => Just(Capability::List),
        2 => Just(Capability::Update),
        1 => Just(Capability::Deny)
    ];
    let rule = (pattern(), prop::collection::vec(capability, 0..3), prop::bool::weighted(0.2))
        .prop_map(|(pattern, capabilities, expired)| Written { pattern, capabilities, expired });
    prop::collection::vec(prop::collection::vec(rule, 0..8), 1..4)
}

fn documents(policies: &[Vec<Written>]) -> AclDocuments {
    let hcl = |rules: &Vec<Written>| {
        let rule = |rule: &Written| {
            let words: Vec<_> = rule.capabilities.iter().map(|capability| format!("\"{capability}\"")).collect();
            let end = if rule.expired { "expiration = \"2027-01-01T00:00:00Z\"" } else { "" };
            format!("path \"{}\" {{ capabilities = [{}] {end} }}\n", rule.pattern, words.join(", "))
        };
        rules.iter().map(rule).collect::<String>()
    };
    let sources = policies.iter().enumerate().map(|(at, rules)| (format!("sys/policies/acl/p{at}.hcl"), hcl(rules)));
    AclDocuments::from_sources(sources).unwrap()
}

fn names(policies: &[Vec<Written>]) -> Vec<PolicyName> {
    (0..policies.len()).map(|at| PolicyName::new(&format!("p{at}")).unwrap()).collect()
}

/// Segment by segment.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        // Some beginning of the path is matched by what stands before the star.
        Some(body) => (0..=path.len()).any(|end| matches(body, &path[..end])),
        None => {
            let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
            pattern.len() == path.len() && pattern.iter().zip(path).all(|(want, given)| *want == "+" || *want == given)
        }
    }
}

/// The facts' words, one by one: less is of lower priority.
fn priority(one: &str, two: &str) -> Ordering {
    let first = |pattern: &str| pattern.find(['+', '*']).unwrap();
    let (star_one, star_two) = (one.ends_with('*'), two.ends_with('*'));
    let plus = |pattern: &str| pattern.matches('+').count();
    if first(one) != first(two) {
        return first(one).cmp(&first(two));
    }
    if star_one != star_two {
        return if star_one { Ordering::Less } else { Ordering::Greater };
    }
    if plus(one) != plus(two) {
        return plus(two).cmp(&plus(one));
    }
    one.len().cmp(&two.len()).then(one.cmp(two))
}

/// What counts for a path, walking through everything.
fn reference(policies: &[Vec<Written>], path: &str, lists: bool) -> Option<Vec<Capability>> {
    let live: Vec<&Written> = policies.iter().flatten().filter(|rule| !rule.expired).collect();
    let union = |pattern: &str| {
        let of_pattern = live.iter().filter(|rule| rule.pattern == pattern);
        let all: Vec<Capability> = of_pattern.flat_map(|rule| rule.capabilities.clone()).collect();
        if all.contains(&Capability::Deny) { vec![] } else { all }
    };
    let exact = |path: &str| {
        let wild = |rule: &Written| rule.pattern.contains(['+', '*']);
        live.iter().find(|rule| !wild(rule) && rule.pattern == path).map(|rule| union(&rule.pattern))
    };
    let wild = |path: &str| {
        let wild = live.iter().filter(|rule| rule.pattern.contains(['+', '*']) && matches(&rule.pattern, path));
        wild.max_by(|one, two| priority(&one.pattern, &two.pattern)).map(|rule| union(&rule.pattern))
    };
    let bare = path.strip_suffix('/').filter(|_| lists);
    exact(path).or_else(|| exact(bare?)).or_else(|| wild(path)).or_else(|| wild(bare?))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_index_finds_what_a_walk_through_everything_finds(policies in policies(), paths in prop::collection::vec(path(), 1..8)) {
        let documents = documents(&policies);
        let names = names(&policies);
        let acl = documents.of(None, &names);
        for path in paths {
            for capability in [Capability::Read, Capability::List, Capability::Update, Capability::Deny] {
                let granted = acl.check(&path, capability, Timestamp::from_secs(NOW));
                let expected = reference(&policies, &path, capability.lists());
                prop_assert_eq!(granted.is_ok(), expected.is_some_and(|all| all.contains(&capability)), "{} {}", path, capability);
            }
            let mut told = reference(&policies, &path, true).unwrap_or_default();
            told.sort_unstable();
            told.dedup();
            if told.is_empty() {
                told.push(Capability::Deny);
            }
            prop_assert_eq!(acl.capabilities(&path, Timestamp::from_secs(NOW)), told, "{}", path);
        }
    }

    #[test]
    fn a_mount_with_anything_granted_is_seen(policies in policies(), path in path(), cut in any::<prop::sample::Index>()) {
        let documents = documents(&policies);
        let names = names(&policies);
        let acl = documents.of(None, &names);
        let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at + 1).chain([0]).collect();
        let mount = &path[..*cut.get(&ends)];
        let granted = acl.capabilities(&path, Timestamp::from_secs(NOW)) != [Capability::Deny];
        prop_assert!(!granted || acl.sees_any_below(mount, Timestamp::from_secs(NOW)), "{} below {}", path, mount);
    }

    #[test]
    fn what_nobody_may_have_is_not_seen(path in path()) {
        let none = vec![vec![Written { pattern: "*".to_owned(), capabilities: vec![Capability::Deny], expired: false }]];
        let documents = documents(&none);
        prop_assert!(!documents.of(None, &names(&none)).sees_any_below(&path, Timestamp::from_secs(NOW)));
    }
}
