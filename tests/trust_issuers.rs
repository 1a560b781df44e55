//! Issuers as operators write them: what is understood, what is refused and how it is said, and which issuer is found.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod trust_support;

use std::time::Duration;

use cambio::identity::IssuerName;
use cambio::trust::{AudienceRule, ReplayRule, Untrusted};
use rstest::rstest;
use trust_support::{fixture, issuers, try_issuers};

fn faults(yaml: &str) -> String {
    try_issuers(yaml).expect_err("the settings are refused").join("\n")
}

#[test]
fn the_platform_fills_in_what_the_operator_leaves_out() {
    let issuers = issuers("- {name: gh, platform: github, audiences: [cambio]}");
    let issuer = issuers.iter().next().unwrap();
    assert_eq!(issuer.url().as_str(), "https://token.actions.githubusercontent.com");
    assert_eq!(issuer.leeway(), Duration::from_secs(60));
    assert_eq!(issuer.max_token_lifetime(), Duration::from_secs(3600));
    assert_eq!((issuer.replay(), issuer.audience_rule()), (ReplayRule::SingleUse, AudienceRule::Single));
    assert_eq!(issuer.max_issued_ttl(), None);
    assert!(
        issuer.types().accept(None) && issuer.types().accept(Some("JWT")) && !issuer.types().accept(Some("at+jwt"))
    );
    let required: Vec<_> = issuer.required_claims().iter().map(ToString::to_string).collect();
    assert_eq!(required, ["repository_id", "repository_owner_id", "event_name"]);
    assert_eq!(
        issuer.keys().status().source,
        "https://token.actions.githubusercontent.com/.well-known/openid-configuration"
    );
    assert!(issuer.smells().is_empty());
}

#[test]
fn the_operator_overrides_what_the_platform_says() {
    let issuers = issuers(
        "- name: gh\n  platform: github\n  audiences: [a, b]\n  audience_rule: any\n  replay: reusable\n  leeway: 5s\n  \
         max_token_lifetime: 10m\n  max_issued_ttl: 15m\n  types: [at+jwt]\n  algorithms: [ES256]\n  \
         required_claims: [environment, [a.b, c]]",
    );
    let issuer = issuers.iter().next().unwrap();
    assert_eq!((issuer.replay(), issuer.audience_rule()), (ReplayRule::Reusable, AudienceRule::Any));
    assert_eq!(issuer.max_issued_ttl(), Some(Duration::from_secs(900)));
    assert!(!issuer.types().accept(None) && issuer.types().accept(Some("at+jwt")));
    assert_eq!(issuer.algorithms().iter().map(|one| one.name()).collect::<Vec<_>>(), ["ES256"]);
    assert_eq!(issuer.required_claims().last().unwrap().to_string(), r#"["a.b"].c"#);
    assert_eq!(issuer.smells().len(), 2);
}

#[rstest]
#[case("platform: githbu", "there is no platform `githbu`; there are aks, ")]
#[case("platform: gitlab", "`issuer` is missing; it is the exact `iss` of the tokens, e.g. `https://gitlab.com`")]
#[case(
    "platform: gke, issuer: 'https://container.googleapis.com/v1/projects/p'",
    "does not look like an issuer of the platform `gke`"
)]
#[case(
    "platform: aks, issuer: 'https://eastus.oic.prod-aks.azure.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/00001111-aaaa-2222-bbbb-3333cccc4444'",
    "byte by byte"
)]
#[case(
    "platform: azure-devops, issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0'",
    "an issuer names one tenant"
)]
#[case("platform: generic, issuer: 'https://u:p@a.example'", "no user info, query or fragment")]
#[case("platform: generic, issuer: 'kubernetes/serviceaccount'", "is not an absolute URL")]
#[case("platform: generic, issuer: 'spiffe://a.example', keys: {jwks_url: 'https://a.example'}", "belong together")]
#[case("platform: spiffe, issuer: 'https://a.example', keys: {jwks_url: 'https://a.example'}", "belong together")]
#[case("platform: spiffe, issuer: 'spiffe://a.example'", "`keys` is missing; this platform has no discovery")]
#[case("platform: spiffe, issuer: 'spiffe://a.example', keys: discovery", "a trust domain has no discovery document")]
#[case("platform: github, leeway: 6m", "`leeway` is 6m; it must be from 0s to 5m")]
#[case("platform: github, jwks: {fresh_min: 2h}", "`jwks.fresh_min` is 2h")]
#[case("platform: github, jwks: {stale_for: 10m}", "`jwks.stale_for` is 10m")]
#[case("platform: github, jwks: {cooldown: 0}", "`jwks.cooldown` is 0s")]
#[case("platform: github, jwks: {timeout: 5m}", "`jwks.timeout` is 5m")]
#[case("platform: github, algorithms: []", "`algorithms` is empty")]
#[case("platform: github, types: []", "`types` is empty")]
#[case("platform: github, keys: {jwks_url: 'file:///etc/passwd'}", "is not an absolute URL")]
#[case("platform: github, keys: {jwks_url: 'ftp://a.example/k'}", "it must be https")]
#[case("platform: github, keys: {jwks_url: 'http://a.example/k'}", "`insecure_http: true` allows it, for tests")]
#[case("platform: github, keys: {inline: {keys: []}}", "`keys.inline` has no usable key")]
#[case("platform: github, keys: {inline: {keys: [{kty: oct, k: AA}]}}", "key 0: a symmetric key was published")]
#[case("platform: github, ca_file: /ca, keys: {file: /k}", "`ca_file` has no effect")]
#[case(
    "platform: eks, issuer: 'https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE', ca_file: /ca, keys: {cluster: {}}",
    "say it once"
)]
fn each_fault_says_what_to_do(#[case] settings: &str, #[case] expected: &str) {
    let text = faults(&format!("- {{name: x, audiences: [cambio], {settings}}}"));
    assert!(text.starts_with("issuer `x`: ") && text.contains(expected), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[rstest]
#[case("audiences: []", "`audiences` is empty; without an audience")]
#[case("audiences: [a, a]", "the audience `a` occurs twice")]
#[case("audiences: ['']", "an audience has 1 to 1024 bytes")]
#[case("audiences: ['https://kubernetes.default.svc.cluster.local']", "set `accept_platform_audience: true`")]
#[case("audiences: [k3s]", "choose an audience that only cambio has")]
fn an_audience_is_one_that_only_cambio_has(#[case] audiences: &str, #[case] expected: &str) {
    let text = faults(&format!(
        "- {{name: x, platform: kubernetes, issuer: 'https://kubernetes.default.svc.cluster.local', keys: {{cluster: {{}}}}, {audiences}}}"
    ));
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_platform_audience_is_accepted_only_if_the_operator_says_so_and_only_that_one() {
    let issuers = issuers(
        "- {name: x, platform: eks, issuer: 'https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE', \
         audiences: [sts.amazonaws.com], accept_platform_audience: true}",
    );
    let issuer = issuers.iter().next().unwrap();
    assert!(!issuer.refuses_audience("sts.amazonaws.com") && !issuer.refuses_audience("cambio"));
    assert!(
        issuer.refuses_audience("https://kubernetes.default.svc") && issuer.refuses_audience("pods.eks.amazonaws.com")
    );
    assert!(issuer.refuses_audience(issuer.url().as_str()));
    assert_eq!(issuer.smells().len(), 1);
}

#[test]
fn all_faults_of_all_issuers_are_found_at_once() {
    let text = faults(
        "- {name: a, platform: github, audiences: [], leeway: 1h}\n- {name: b, platform: none, audiences: [x]}\n\
         - {name: b, platform: github, audiences: [x]}",
    );
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.contains("issuer `b`: the name occurs twice"), "{text}");
}

#[rstest]
#[case("https://gitlab.example.com", None, Ok("gitlab"))]
#[case("https://gitlab.example.com/", None, Err(Untrusted::UnknownIssuer))]
#[case("https://GITLAB.example.com", None, Err(Untrusted::UnknownIssuer))]
#[case("https://gitlab.example.com.evil.example", None, Err(Untrusted::UnknownIssuer))]
#[case("", None, Err(Untrusted::UnknownIssuer))]
#[case("https://gitlab.example.com", Some("gitlab"), Ok("gitlab"))]
#[case("https://gitlab.example.com", Some("one"), Err(Untrusted::NameMismatch))]
#[case("https://gitlab.example.com", Some("nobody"), Err(Untrusted::UnknownIssuer))]
#[case("https://kubernetes.default.svc.cluster.local", None, Err(Untrusted::Ambiguous))]
#[case("https://kubernetes.default.svc.cluster.local", Some("two"), Ok("two"))]
#[case("https://other.example.com", Some("two"), Err(Untrusted::NameMismatch))]
#[case("spiffe://prod.example.org", None, Ok("mesh"))]
#[case("spiffe://dev.example.org", None, Err(Untrusted::UnknownIssuer))]
fn an_issuer_is_found_byte_for_byte_and_never_guessed(
    #[case] claimed: &str,
    #[case] named: Option<&str>,
    #[case] expected: Result<&str, Untrusted>,
) {
    let cluster = |name: &str| {
        format!(
            "- {{name: {name}, platform: kubernetes, issuer: 'https://kubernetes.default.svc.cluster.local', \
             audiences: [cambio], keys: {{cluster: {{server: 'https://10.0.0.1:6443'}}}}}}\n"
        )
    };
    let spiffe = fixture("good/spiffe.json").replace('\n', " ");
    let issuers = issuers(&format!(
        "{}{}- {{name: gitlab, platform: gitlab, issuer: 'https://gitlab.example.com', audiences: [cambio]}}\n\
         - {{name: mesh, platform: spiffe, issuer: 'spiffe://prod.example.org', audiences: [cambio], keys: {{inline: {spiffe}}}}}",
        cluster("one"),
        cluster("two"),
    ));
    let named = named.map(|name| IssuerName::new(name).unwrap());
    let found = issuers.find(claimed, named.as_ref()).map(|issuer| issuer.name().as_str());
    assert_eq!(found, expected);
    let mesh = issuers.named(&IssuerName::new("mesh").unwrap()).unwrap();
    assert_eq!(mesh.trust_domain(), Some("prod.example.org"));
}

#[test]
fn a_thousand_issuers_are_each_found() {
    let yaml: String = (0..1000)
        .map(|number| format!("- {{name: i{number}, platform: generic, issuer: 'https://i{number}.example.com', audiences: [cambio]}}\n"))
        .collect();
    let issuers = issuers(&yaml);
    assert_eq!(issuers.len(), 1000);
    for number in 0..1000 {
        let found = issuers.find(&format!("https://i{number}.example.com"), None).unwrap();
        assert_eq!(found.name().as_str(), format!("i{number}"));
    }
}
