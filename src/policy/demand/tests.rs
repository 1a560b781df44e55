//! What is read off conditions, and that it is never more than what they ask for: against the evaluator.

use cel::parser::Expression;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Map, Value, json};

use super::{Demand, Of, Reader, Scope, Test, implies, is_impossible};
use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::policy::compile::parse;
use crate::policy::trace::Part;
use crate::policy::{Catalog, PolicySet};

const LETS: [(&str, &str); 2] =
    [("prod", r#"claims.env == "prod""#), ("level", r#"claims.protected == "true" ? "high" : "low""#)];

/// Reads a condition of a rule with [`LETS`].
fn read(condition: &str) -> Demand {
    let trees: Vec<(&str, Expression)> = LETS.iter().map(|(name, source)| (*name, parse(source).unwrap())).collect();
    let lets: Vec<(&str, &Expression)> = trees.iter().map(|(name, tree)| (*name, tree)).collect();
    let tree = parse(condition).unwrap();
    Reader::new(&lets).demand(&tree, true, Part::Condition(0))
}

/// A demand in a few words.
fn shown(demand: &Demand) -> String {
    let list = |parts: &[Demand]| parts.iter().map(shown).collect::<Vec<_>>().join(" ");
    match demand {
        Demand::Always => "always".to_owned(),
        Demand::Never => "never".to_owned(),
        Demand::All(parts) => format!("all({})", list(parts)),
        Demand::Any(parts) => format!("any({})", list(parts)),
        Demand::Opaque(opaque) => {
            let claims: Vec<String> = opaque.mentions.iter().map(ToString::to_string).collect();
            format!("opaque[{}]", claims.join(" "))
        }
        Demand::Atom(atom) => {
            let of = match &atom.of {
                Of::Claim(path) => path.to_string(),
                Of::Issuer => "issuer".to_owned(),
            };
            let scope = match atom.scope {
                Scope::Value => "",
                Scope::Some => "some ",
                Scope::Every => "every ",
            };
            let not = if atom.holds { "" } else { "not " };
            let absent = match atom.absent {
                super::Absent::Errs => "",
                super::Absent::Meets => " or absent",
                super::Absent::Fails => " and there",
            };
            let test = match &atom.test {
                Test::Present => "present".to_owned(),
                Test::NonEmpty => "filled".to_owned(),
                Test::Among(values) => values.iter().map(ToString::to_string).collect::<Vec<_>>().join("|"),
                Test::Prefix(text) => format!("{text}.."),
                Test::Suffix(text) => format!("..{text}"),
                Test::Infix(text) => format!("..{text}.."),
                Test::Pattern(_, text) => format!("/{text}/"),
                Test::Same(of, via) => format!("{via}{of:?}"),
            };
            format!("{scope}{}{of}: {not}{test}{absent}", atom.via)
        }
    }
}

#[rstest]
#[case(r#"claims.a == "x""#, r#"a: "x""#)]
#[case(r#""x" == claims["a"]"#, r#"a: "x""#)]
#[case(r#"claims.a == "x" || claims.a == "y" || claims.a in ["z"]"#, r#"a: "x"|"y"|"z""#)]
#[case(r#"!(claims.a == "x" && claims.b != 1)"#, r#"any(a: not "x" b: 1)"#)]
#[case(r#"claims.?a.orValue("") == "x""#, r#"a: "x" and there"#)]
#[case(r#"claims.?a.orValue("x") == "x""#, r#"a: "x" or absent"#)]
#[case(r#"claims.?a.orValue("") != "x""#, r#"a: not "x" or absent"#)]
#[case(r#"(has(claims.a) ? claims.a : "") == "x""#, r#"a: "x" and there"#)]
#[case(r#"("a" in claims ? string(claims["a"]) : "") == "x""#, r#"a: "x" and there"#)]
#[case("has(claims.a.b)", "a.b: present")]
#[case("claims.?a.?b.hasValue()", "a.b: present")]
#[case("claims.a", "a: true")]
#[case("claims.a == false", "a: false")]
#[case(r#"claims.a.lowerAscii().startsWith("x")"#, "lowerAscii.a: x..")]
#[case("claims.a == claims.b.c", r#"a: Claim(ClaimPath(["b", "c"]))"#)]
#[case(r#""x" in claims.a"#, r#"some a: "x""#)]
#[case(r#"claims.a.exists(x, x == "b" || x.endsWith("c"))"#, r#"all(any(some a: "b" some a: ..c) a: filled)"#)]
#[case(
    r#"claims.a.exists(x, x.startsWith("b") && x != "bc")"#,
    r#"all(some a: b.. some a: not "bc" a: filled opaque[a])"#
)]
#[case(r#"claims.a.all(x, x in ["b"])"#, r#"every a: "b""#)]
#[case(r#"!claims.?a.orValue([]).exists(x, x == "b")"#, r#"every a: not "b" or absent"#)]
#[case(r#"!claims.a.all(x, x == "b")"#, r#"some a: not "b""#)]
#[case(r#"claims.a.all(x, x == "b" || x.endsWith("c"))"#, "opaque[a]")]
#[case(r#"claims.a.exists(x, claims.b == x)"#, "all(opaque[a b] a: filled opaque[a b])")]
#[case("claims.a.size() > 0", "a: filled")]
#[case("0 == size(claims.a)", "a: not filled")]
#[case("claims.a != []", "a: filled")]
#[case("claims.a.size() == 2", "all(a: filled opaque[a])")]
#[case("claims.a.size() < 2", "opaque[a]")]
#[case("prod", r#"env: "prod""#)]
#[case("!prod", r#"env: not "prod""#)]
#[case("prod == true", r#"env: "prod""#)]
#[case(r#"level == "high""#, r#"protected: "true""#)]
#[case(r#"level != "high""#, r#"protected: not "true""#)]
#[case(r#"level == "other""#, "never")]
#[case(r#"issuer == "x""#, r#"issuer: "x""#)]
#[case(r#"claims.a + "y" == "xy""#, "opaque[a]")]
#[case(r#"claims.a.split("/", 2)[0] == claims.b"#, "opaque[a b]")]
#[case("true && (false || claims.a)", "a: true")]
fn a_condition_reads_as(#[case] condition: &str, #[case] expected: &str) {
    assert_eq!(shown(&read(condition)), expected);
}

fn conditions() -> impl Strategy<Value = String> {
    let claim = prop::sample::select(vec![
        "claims.env",
        "claims.?env.orValue(\"\")",
        "claims.?env.orValue(\"prod\")",
        "claims.ref",
        "level",
    ]);
    let text = prop::sample::select(vec!["prod", "", "main", "high", "pr"]);
    let leaf = (claim.clone(), claim, text, 0..11_u8).prop_map(|(a, b, text, shape)| match shape {
        0 => format!("{a} == {text:?}"),
        1 => format!("{a} != {text:?}"),
        2 => format!("{a} in [{text:?}, \"z\"]"),
        3 => format!("{a}.startsWith({text:?})"),
        4 => format!("{a} == {b}"),
        5 => format!("claims.list.exists(x, x == {text:?} || x == \"z\" && x != \"\")"),
        6 => format!("claims.list.all(x, x != {text:?})"),
        7 => format!("claims.?list.orValue([]).all(x, x == {text:?})"),
        8 => format!("{text:?} in claims.?list.orValue([])"),
        9 => "has(claims.env)".to_owned(),
        _ => "claims.list.size() > 0".to_owned(),
    });
    leaf.prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), inner.clone(), inner, 0..5_u8).prop_map(|(a, b, c, shape)| match shape {
            0 => format!("({a}) && ({b})"),
            1 => format!("({a}) || ({b})"),
            2 => format!("!({a})"),
            3 => format!("(({a}) ? ({b}) : ({c}))"),
            _ => format!("({a}) == ({b})"),
        })
    })
}

fn claims() -> impl Strategy<Value = Map<String, Value>> {
    let text = || prop::sample::select(vec!["prod", "", "main", "high", "pr", "z", "true"]);
    let env = prop::option::of(text());
    let list = prop::option::of(prop::collection::vec(text(), 0..3));
    (env, text(), prop::bool::ANY, list).prop_map(|(env, r#ref, protected, list)| {
        let mut claims = Map::new();
        if let Some(env) = env {
            claims.insert("env".to_owned(), json!(env));
        }
        if let Some(list) = list {
            claims.insert("list".to_owned(), json!(list));
        }
        claims.insert("ref".to_owned(), json!(r#ref));
        claims.insert("protected".to_owned(), json!(protected.to_string()));
        claims
    })
}

/// A set with a target for each condition; nothing where one of them is too costly to load.
fn load(conditions: &[&str], issuer: &IssuerName) -> Option<PolicySet> {
    let lets: Map<String, Value> = LETS.iter().map(|(name, source)| ((*name).to_owned(), json!(source))).collect();
    let files = conditions.iter().enumerate().map(|(at, that)| {
        let require = json!([{"that": that, "message": "no"}]);
        let rule =
            json!({"name": "r", "issuer": "x", "let": lets, "require": require, "grant": {"policies": ["\"p\""]}});
        (format!("{at}.yaml"), json!({"target": format!("t{at}"), "rules": [rule]}).to_string())
    });
    PolicySet::from_sources(files, &Catalog::of_names([issuer.clone()])).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn what_is_implied_holds_and_what_is_impossible_never_does(
        a in conditions(),
        b in conditions(),
        claims in prop::collection::vec(claims(), 24),
    ) {
        let issuer = IssuerName::new("x").unwrap();
        let both = format!("({a}) && ({b})");
        let conditions = [a.as_str(), &b, &both];
        let Some(set) = load(&conditions, &issuer) else { return Err(TestCaseError::reject("too costly")) };
        let demands: Vec<Demand> = conditions.iter().map(|condition| read(condition)).collect();
        for claims in claims {
            let now = Timestamp::from_secs(1_795_000_000);
            let outcome = |target| set.evaluate(&issuer, &claims, target, now).outcome;
            let permits = |at: usize| outcome(&set.targets()[at]).is_ok();
            let refuses = |at: usize| outcome(&set.targets()[at]).is_err_and(|reason| reason.code() == "conditions_not_met");
            for (one, first) in demands.iter().enumerate() {
                let held = permits(one);
                prop_assert!(!(held && is_impossible(first)), "{} is possible: {claims:?}", conditions[one]);
                for (other, second) in demands.iter().enumerate() {
                    let denied = held && implies(first, second) && refuses(other);
                    prop_assert!(!denied, "{} does not imply {}: {claims:?}", conditions[one], conditions[other]);
                }
            }
        }
    }
}
