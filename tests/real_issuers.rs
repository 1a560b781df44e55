//! Tokens of issuers that nobody here wrote: oidc-provider in the shapes of GitLab and GitHub, and glewlwyd. The policies
//! are those that an operator starts from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use support::real_part::RealPart;
use support::stand::{entry, eventually};
use support::{AUDIENCE, Answer, Issuer, Stand, exchange};

/// One provider, which mints for both platforms: two issuers of one identifier, so that a request names which it means.
async fn stand(idp: &RealPart, lines: &str) -> Stand {
    let lines = format!("platform: gitlab\nunusual_issuer: true{lines}");
    let gitlab = entry("gitlab", &idp.said("issuer"), &lines);
    let github = entry("github", &idp.said("issuer"), &lines.replace("gitlab", "github"));
    let mut stand = Stand::prepare(Issuer::start().await, &(gitlab + &github), "");
    for policy in ["gitlab-group-pipelines.yaml", "github-environment.yaml"] {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(policy);
        stand.write(&format!("policies/{policy}"), &std::fs::read_to_string(shipped).unwrap());
    }
    stand.start().await;
    stand
}

fn mint(idp: &mut RealPart, mut asked: Value) -> String {
    asked["audience"] = asked.get("audience").cloned().unwrap_or(json!(AUDIENCE));
    idp.command("mint", &asked)["token"].as_str().unwrap().to_owned()
}

/// What the shipped policy of GitHub asks for.
fn deployment() -> Value {
    json!({"client": "github-job", "claims": {"environment": "production", "event_name": "push",
        "job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main"}})
}

async fn present(stand: &Stand, issuer: &str, target: &str, token: &str) -> Answer {
    stand.keeps_up();
    let mut form = exchange(token);
    form[3].1 = target;
    stand.post(&format!("/oauth2/token?subject_issuer={issuer}"), &form).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gitlab_job_gets_the_policies_of_its_group() {
    let Some(mut idp) = RealPart::idp(&[]) else { return };
    let stand = stand(&idp, "").await;
    stand.settled().await;
    let answer = present(&stand, "gitlab", "group-pipelines", &mint(&mut idp, json!({}))).await;
    stand.permitted(&answer);
    let claims = stand.verified(&answer.token()).await.claims;
    assert_eq!(
        claims["policies"],
        json!(["pipelines/protected/global", "pipelines/protected/env/70726f64756374696f6e"])
    );
    assert_eq!(claims["namespace"], "group_100/group_200");
    assert_eq!(claims["sub"], "gitlab:project_path:acme/payments/api:ref_type:branch:ref:main");

    for (change, reason) in [
        (json!({"claims": {"project_group_ids": ["201", "100"]}}), "conditions_not_met"),
        (json!({"claims": {"project_group_ids": []}}), "conditions_not_met"),
        (json!({"drop": ["project_group_ids"]}), "conditions_not_met"),
        (json!({"claims": {"ref_protected": true}}), "conditions_not_met"),
        (json!({"claims": {"project_id": "77"}}), "conditions_not_met"),
        (json!({"claims": {"environment": null}}), "evaluation_error"),
        (json!({"drop": ["project_id"]}), "claim_missing"),
        (json!({"audience": idp.said("issuer")}), "audience_of_platform"),
        (json!({"audience": [AUDIENCE, "https://other.example"]}), "audience_not_single"),
        (json!({"times": {"exp": -120}}), "token_expired"),
        (json!({"times": {"nbf": 120}}), "token_not_yet_valid"),
        (json!({"ttl": 100_000}), "token_long_lived"),
        (json!({"header": {"typ": "at+jwt"}}), "type_refused"),
        (json!({"drop": ["sub"]}), "subject_malformed"),
    ] {
        let answer = present(&stand, "gitlab", "group-pipelines", &mint(&mut idp, change)).await;
        stand.refused(&answer, 400, "invalid_request", reason);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_github_deployment_is_exchanged_once() {
    let Some(mut idp) = RealPart::idp(&[]) else { return };
    let stand = stand(&idp, "").await;
    stand.settled().await;
    let token = mint(&mut idp, deployment());
    let answer = present(&stand, "github", "shop-production", &token).await;
    stand.permitted(&answer);
    // The policy lets it outlive the five minutes of GitHub's token.
    assert_eq!(answer.json()["expires_in"], 900);
    let answer = present(&stand, "github", "shop-production", &token).await;
    stand.refused(&answer, 400, "invalid_request", "token_replayed");
    let pull_request = mint(
        &mut idp,
        json!({"client": "github-job", "claims": {"environment": "production",
        "event_name": "pull_request_target", "job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main"}}),
    );
    let answer = present(&stand, "github", "shop-production", &pull_request).await;
    stand.refused(&answer, 400, "invalid_request", "conditions_not_met");
    // A job of the other platform, whose issuer calls itself the same.
    let answer = present(&stand, "github", "shop-production", &mint(&mut idp, json!({}))).await;
    stand.refused(&answer, 400, "invalid_request", "claim_missing");
    let token = mint(&mut idp, deployment());
    stand.keeps_up();
    let answer = stand.exchange(&token).await;
    stand.refused(&answer, 400, "invalid_request", "issuer_ambiguous");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_away_at_start_rotates_and_is_away_for_an_hour() {
    let Some(mut idp) = RealPart::idp(&[]) else { return };
    let token = mint(&mut idp, json!({"ttl": 20_000}));
    idp.command("pause", &json!({}));
    let stand = stand(&idp, "\nalgorithms: [RS256, ES256]").await;
    let answer = present(&stand, "gitlab", "group-pipelines", &token).await;
    stand.refused(&answer, 503, "temporarily_unavailable", "keys_unavailable");
    idp.command("resume", &json!({}));
    stand.advance(10);
    let answer = present(&stand, "gitlab", "group-pipelines", &token).await;
    stand.permitted(&answer);

    idp.command("hits", &json!({"reset": true}));
    idp.command("rotate", &json!({"alg": "ES256"}));
    stand.advance(31);
    let rotated = mint(&mut idp, json!({"ttl": 20_000}));
    for token in [&rotated, &token] {
        let answer = present(&stand, "gitlab", "group-pipelines", token).await;
        stand.permitted(&answer);
    }
    let hits = idp.command("hits", &json!({}));
    assert!((1..=2).contains(&hits["/jwks"].as_u64().unwrap()), "{hits}"); // two issuers at one provider

    idp.command("pause", &json!({}));
    for _ in 0..4 {
        stand.advance(900);
        for token in [&rotated, &token] {
            let answer = present(&stand, "gitlab", "group-pipelines", token).await;
            stand.permitted(&answer);
        }
    }
    // It comes back without the old key: whose tokens are refused from then on.
    idp.command("droptail", &json!({}));
    idp.command("resume", &json!({}));
    stand.advance(120);
    let rules = stand.running().counter().rules();
    let fetched = || rules.issuers.iter().all(|issuer| issuer.keys().status().keys == 1);
    eventually("the keys were fetched again", fetched).await;
    let answer = present(&stand, "gitlab", "group-pipelines", &rotated).await;
    stand.permitted(&answer);
    let answer = present(&stand, "gitlab", "group-pipelines", &token).await;
    stand.refused(&answer, 400, "invalid_request", "key_unknown");
}

#[rstest]
#[case("ES256")]
#[case("RS256")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_and_independent_provider_is_trusted_by_its_own_rules(#[case] algorithm: &str) {
    let Some(mut provider) = RealPart::glewlwyd(&["--alg", algorithm]) else { return };
    // Its tokens are access tokens, and say so.
    let lines = "replay: reusable\ntypes: [at+jwt]".to_owned();
    let entry = entry("glewlwyd", &provider.said("issuer"), &lines).replace(AUDIENCE, &provider.said("audience"));
    let mut stand = Stand::prepare(Issuer::start().await, &entry, "");
    stand.write("policies/vault.yaml", &format!(
        "target: vault\nrules:\n  - name: client\n    issuer: glewlwyd\n    require:\n      - {{that: 'claims.sub == \"{client}\" || \
         claims.client_id == \"{client}\"', message: this is another client}}\n    grant: {{policies: ['\"clients/one\"']}}\n",
        client = provider.said("client")
    ));
    stand.start().await;
    let token = provider.command("mint", &json!({}))["token"].as_str().unwrap().to_owned();
    stand.keeps_up();
    let mut form = exchange(&token);
    form[2].1 = "urn:ietf:params:oauth:token-type:access_token";
    let answer = stand.post("/oauth2/token", &form).await;
    stand.permitted(&answer);
    form[2].1 = "urn:ietf:params:oauth:token-type:id_token";
    let answer = stand.post("/oauth2/token", &form).await;
    stand.refused(&answer, 400, "invalid_request", "type_refused");
}
