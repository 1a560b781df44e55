use super::*;
use crate::trust::{ClaimKind, ClaimSchema, Platforms};
use serde_json::json;

fn made(platform: &Arc<Platform>, claims: &Map<String, Value>, target: &str) -> (String, Vec<Finding>) {
    let name = IssuerName::new(platform.name()).unwrap();
    let mut catalog = Catalog::default();
    catalog.add(name.clone(), Some(platform));
    let source = Source { name, platform: Arc::clone(platform), catalog };
    let text = file(&source, &TargetName::new(target).unwrap(), claims).unwrap();
    let findings = findings(&text, &source.catalog).unwrap();
    (text, findings)
}

/// Every example of every platform, with what says which.
fn examples() -> Vec<(String, Arc<Platform>, Map<String, Value>)> {
    let platforms = Platforms::embedded();
    let of = |platform: &Arc<Platform>| {
        let one = |example: &crate::trust::ExampleToken| {
            (format!("{}, {}", platform.name(), example.name), Arc::clone(platform), example.claims.clone())
        };
        platform.examples().iter().map(one).collect::<Vec<_>>()
    };
    let all: Vec<_> = platforms.iter().flat_map(of).collect();
    assert!(all.len() >= 15, "{}", all.len());
    all
}

#[test]
fn the_file_from_every_example_of_every_platform_has_no_finding_and_its_layout() {
    let mut odd = String::new();
    for (name, platform, claims) in examples() {
        let (text, findings) = made(&platform, &claims, "shop");
        assert_eq!(layout(&text).as_ref(), Ok(&text), "{name}");
        let said: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
        if !said.is_empty() {
            odd.push_str(&format!("== {name}\n{text}\n{said}\n"));
        }
    }
    assert!(odd.is_empty(), "{odd}");
}

#[test]
fn every_file_permits_the_token_and_denies_every_change_that_it_names() {
    for (name, platform, claims) in examples() {
        let (text, _) = made(&platform, &claims, "shop");
        let catalog = Catalog::of_names([IssuerName::new(platform.name()).unwrap()]);
        let inspection = PolicySet::inspect_sources([("policy.yaml", text.as_str())], &catalog).unwrap();
        let cases = inspection.outcomes();
        assert!(cases.iter().all(|case| case.failure.is_none()), "{name}\n{text}");
        assert_eq!(cases.iter().filter(|case| case.permit).count(), 1, "{name}");
        assert!(cases.iter().any(|case| !case.permit), "{name}");
    }
}

/// The texts of claims of one run, of persons, and secret ones.
fn private(claims: &Map<String, Value>, schema: &ClaimSchema, found: &mut Vec<String>) {
    for (name, value) in claims {
        let Some(claim) = schema.claim(name) else { continue };
        match (claim.kind(), claim.members(), value) {
            (ClaimKind::TokenBound | ClaimKind::Secret | ClaimKind::Actor, _, Value::String(text))
                if text.len() > 4 =>
            {
                found.push(text.clone());
            }
            (_, Some(members), Value::Object(inner)) => private(inner, members, found),
            _ => {}
        }
    }
}

#[test]
fn nothing_of_the_one_run_and_of_persons_is_in_the_file() {
    let mut tried = 0;
    for (name, platform, claims) in examples() {
        let (text, _) = made(&platform, &claims, "shop");
        let mut found = vec![];
        private(&claims, platform.schema(), &mut found);
        for value in found {
            assert!(!text.contains(&value), "{name}: {value}\n{text}");
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
}

#[test]
fn whatever_a_claim_says_it_stays_a_text() {
    let github = Platform::embedded("github").unwrap();
    let mut claims = github.examples()[0].claims.clone();
    for odd in [
        "it's",
        "a: b # c",
        "\"quoted\"",
        "line\nline",
        "{a}",
        "\\",
        "\u{1b}[31m",
        "'",
        " spaces ",
        "\u{202e}",
        &"long ".repeat(60),
    ] {
        claims.insert("environment".to_owned(), json!(odd));
        claims.insert("workflow".to_owned(), json!(odd));
        let (text, findings) = made(&github, &claims, "shop");
        assert!(findings.is_empty(), "{odd:?}: {findings:?}\n{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
}

#[test]
fn a_target_s_name_makes_a_policy_s_name() {
    let gitlab = Platform::embedded("gitlab").unwrap();
    for target in ["shop", "urn:shop.example.com:8200/A", "a~b", "true", "12", "root"] {
        let (text, findings) = made(&gitlab, &gitlab.examples()[0].claims, target);
        assert!(findings.is_empty(), "{target}: {findings:?}\n{text}");
    }
}

#[test]
fn what_is_chosen_by_the_caller_or_not_protected_is_told_and_not_asked_for() {
    let gitlab = Platform::embedded("gitlab").unwrap();
    let (text, _) = made(&gitlab, &gitlab.examples()[0].claims, "shop");
    assert!(text.contains("# Not asked for: `ref_protected`"), "{text}");
    assert!(!text.contains("claims.ref =="), "{text}");
    let github = Platform::embedded("github").unwrap();
    let mut claims = github.examples()[0].claims.clone();
    claims.insert("event_name".to_owned(), json!("pull_request_target"));
    let (text, findings) = made(&github, &claims, "shop");
    assert!(text.contains("# Take care: `event_name` is `pull_request_target`"), "{text}\n{findings:?}");
}

#[test]
fn a_token_that_says_nothing_of_its_workload_makes_no_file() {
    let github = Platform::embedded("github").unwrap();
    let source = Source { name: IssuerName::new("github").unwrap(), platform: github, catalog: Catalog::default() };
    let claims = Map::from_iter([("aud".to_owned(), json!("https://cambio.example.com"))]);
    assert!(file(&source, &TargetName::new("shop").unwrap(), &claims).is_err());
}
