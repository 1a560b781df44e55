//! Rules as the tables of the lints write them, and what no lint may do: panic, or take long.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::identity::IssuerName;
use crate::policy::{Catalog, Code, Finding, PolicySet};
use crate::trust::Platforms;

/// A rule to be looked at, of an issuer that is called as its platform.
pub(super) struct Draft(Value);

/// A rule of that issuer with those conditions.
pub(super) fn rule(issuer: &str, conditions: &[&str]) -> Draft {
    let require: Vec<Value> = conditions.iter().map(|that| json!({"that": that, "message": "no"})).collect();
    Draft(json!({"name": "r", "issuer": issuer, "require": require, "grant": {"policies": ["\"p\""]}}))
}

impl Draft {
    pub(super) fn letting(mut self, name: &str, value: &str) -> Self {
        self.0["let"] = json!({name: value});
        self
    }

    pub(super) fn granting(mut self, policies: Value) -> Self {
        self.0["grant"]["policies"] = policies;
        self
    }

    pub(super) fn living(mut self, ttl: &str, outlive: bool) -> Self {
        self.0["grant"]["ttl"] = json!(ttl);
        self.0["grant"]["outlive_subject"] = json!(outlive);
        self
    }

    pub(super) fn after(self, earlier: Self) -> Vec<Value> {
        let mut earlier = earlier.0;
        earlier["name"] = json!("earlier");
        vec![earlier, self.0]
    }

    /// The codes of the lints over it.
    pub(super) fn codes(self) -> Vec<&'static str> {
        codes(vec![self.0])
    }

    pub(super) fn has(self, code: Code) -> bool {
        self.codes().contains(&code.id())
    }
}

/// The codes of the lints over these rules, without those about cases, which they don't have.
pub(super) fn codes(rules: Vec<Value>) -> Vec<&'static str> {
    let found = findings(&json!({"target": "t", "rules": rules})).into_iter();
    let about = |code: &Code| code.id().starts_with("P03") && *code != Code::NoDenialCase;
    found.map(|finding| finding.code).filter(about).map(Code::id).collect()
}

pub(in crate::policy) fn findings(file: &Value) -> Vec<Finding> {
    let mut catalog = Catalog::default();
    let platforms = Platforms::embedded();
    for name in ["github", "gitlab", "kubernetes", "spiffe", "circleci", "generic", "google", "terraform-cloud"] {
        catalog.add(IssuerName::new(name).unwrap(), platforms.find(name));
    }
    let inspection = PolicySet::inspect_sources([("p.yaml", file.to_string())], &catalog).unwrap();
    assert!(inspection.set().is_some(), "{:#?}", inspection.findings());
    inspection.findings().to_vec()
}

/// Conditions of all kinds, nested; many of them are nonsense.
fn conditions() -> impl Strategy<Value = String> {
    let claim = prop::sample::select(vec![
        "claims.ref",
        "claims.project_id",
        "claims.?environment.orValue(\"\")",
        "claims.ref_protected",
        "claims.sub",
        "v",
        "string(claims.project_path)",
        "claims.project_path.lowerAscii()",
    ]);
    let text = prop::sample::select(vec!["main", "", "20", "true", "a/b:", "^x.*|y$", "**"]);
    let leaf = (claim.clone(), claim, text, 0..9_u8).prop_map(|(a, b, text, shape)| match shape {
        0 => format!("{a} == {text:?}"),
        1 => format!("{a} != {text:?}"),
        2 => format!("{a} in [{text:?}, \"z\"]"),
        3 => format!("{a}.startsWith({text:?})"),
        4 => format!("{a}.endsWith({text:?})"),
        5 => format!("{a} == {b}"),
        6 => format!("claims.project_group_ids.exists(x, x == {text:?} || x == {b})"),
        7 => format!("claims.project_group_ids.all(x, x != {text:?} && x != {b})"),
        _ => format!("has(claims.environment) && {text:?} in claims.project_group_ids"),
    });
    leaf.prop_recursive(4, 32, 3, |inner| {
        (inner.clone(), inner.clone(), inner, 0..6_u8).prop_map(|(a, b, c, shape)| match shape {
            0 => format!("({a}) && ({b})"),
            1 => format!("({a}) || ({b})"),
            2 => format!("!({a})"),
            3 => format!("(({a}) ? ({b}) : ({c}))"),
            4 => format!("(({a}) ? \"x\" : \"y\") == \"x\""),
            _ => format!("({a}) == ({b})"),
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn no_condition_makes_the_lints_panic(a in conditions(), b in conditions()) {
        let draft = rule("gitlab", &[&a, &b]).letting("v", "claims.?environment.orValue(\"x\")");
        let earlier = rule("gitlab", &[&b]);
        let mut rules = draft.after(earlier);
        rules.truncate(2);
        let file = json!({"target": "t", "rules": rules}).to_string();
        let mut catalog = Catalog::default();
        catalog.add(IssuerName::new("gitlab").unwrap(), Platforms::embedded().find("gitlab"));
        // Some are refused, as too deep or of a wrong type: that is no finding of a lint.
        let _ = PolicySet::inspect_sources([("p.yaml", file)], &catalog).unwrap();
    }
}

/// Each variable uses the one before it twice: two to the power of thirty, spelt out.
#[test]
#[allow(clippy::disallowed_methods, reason = "how long it takes is what is asked")]
fn variables_that_double_each_other_are_not_followed_for_ever() {
    let mut lets = serde_json::Map::new();
    lets.insert("v00".to_owned(), json!("claims.ref == \"a\" || claims.sub == \"b\""));
    for at in 1..30 {
        lets.insert(format!("v{at:02}"), json!(format!("(v{:02} && claims.ref != \"c\") || !v{:02}", at - 1, at - 1)));
    }
    let mut draft = rule("gitlab", &["v29", "claims.project_id == \"20\"", "!v29 || v28"]);
    draft.0["let"] = Value::Object(lets);
    let copies: Vec<Value> = (0..8)
        .map(|at| {
            let mut copy = draft.0.clone();
            copy["name"] = json!(format!("r{at}"));
            copy
        })
        .collect();
    let began = Instant::now();
    let _ = findings(&json!({"target": "t", "rules": copies}));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
