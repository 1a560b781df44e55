//! Service accounts at the token endpoint: by their own token (RFC 8693), and by a rule that lets a caller act as one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod accounts;
mod support;
mod vault;

use std::time::Duration;

use accounts::{ADMIN, account, account_in, exchanged, form, issue, secrets_token, token};
use cambio::accounts::{AccountChange, AccountToken, RotateWish};
use rstest::rstest;
use serde_json::json;
use support::stand::CLIENT_SECRET;
use support::{Answer, Stand, exchange};
use vault::{NAMESPACE, read, stand_with, write};

const CLIENTS: &str = "clients: [{id: rs, secret_file: rs.secret, targets: [vault]}]\n";

async fn stand() -> Stand {
    stand_with(CLIENTS).await
}

async fn is_active(stand: &Stand, token: &str) -> bool {
    let form = [("token", token), ("client_id", "rs"), ("client_secret", CLIENT_SECRET)];
    stand.post("/oauth2/introspect", &form).await.json()["active"].as_bool().unwrap()
}

#[tokio::test]
async fn an_accounts_token_is_exchanged_for_one_of_ours() {
    let stand = stand().await;
    let (account, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    let answer = exchanged(&stand, issued.token.text()).await;
    let record = stand.permitted(&answer);
    let claims = stand.verified(&answer.token()).await.claims;
    assert_eq!(claims["sub"], format!("service-accounts:{NAMESPACE}/reports"));
    assert_eq!((&claims["aud"], &claims["namespace"]), (&json!("vault"), &json!(NAMESPACE)));
    assert_eq!(claims["policies"], json!(["service-accounts/reports"]));
    assert_eq!(claims["rule"], "service-account/reports");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    assert_eq!(record.issuer.as_deref(), Some("service-accounts"));
    assert_eq!(record.subject.as_deref(), Some("group_100/group_200/reports"));
    assert_eq!(record.rule.as_deref(), Some("service-account/reports"));
    let line = serde_json::to_string(&record).unwrap();
    assert!(!line.contains(&issued.token.text()[10..]), "{line}");
    let digest = accounts::accounts(&stand).digest(issued.token.text()).unwrap();
    assert_eq!(record.token, Some(digest.to_string()), "its keyed digest");
    assert_eq!(record.account, Some(account.id.to_string()));
    assert!(is_active(&stand, &answer.token()).await);
}

#[rstest]
#[case::as_a_jwt("urn:ietf:params:oauth:token-type:jwt")]
#[case::as_an_id_token("urn:ietf:params:oauth:token-type:id_token")]
#[tokio::test]
async fn a_declared_type_is_taken_at_its_word(#[case] declared: &str) {
    let stand = stand().await;
    let (_, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    let mut form = form(issued.token.text());
    form[2].1 = declared;
    let answer = stand.post("/oauth2/token", &form).await;
    stand.refused(&answer, 400, "invalid_request", "account_token_misdeclared");
}

#[rstest]
#[case::another(|_: &str| AccountToken::new().unwrap().text().to_owned(), "account_token_unknown")]
#[case::cut(|token: &str| token[..40].to_owned(), "account_token_malformed")]
#[case::typo(|token: &str| format!("{}{}", &token[..58], if token.ends_with('0') { "1" } else { "0" }), "account_token_malformed")]
#[tokio::test]
async fn what_is_no_token_of_an_account_is_refused(#[case] change: fn(&str) -> String, #[case] reason: &str) {
    let stand = stand().await;
    let (_, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    let answer = exchanged(&stand, &change(issued.token.text())).await;
    stand.refused(&answer, 400, "invalid_request", reason);
}

#[tokio::test]
async fn an_account_of_another_namespace_gets_no_token_for_this_one() {
    let stand = stand().await;
    for namespace in ["", "group_100", "group_100/group_201"] {
        let elsewhere = account_in(&stand, namespace, "reports", &["secret/*"]).await;
        let issued = issue(&stand, &elsewhere).await;
        let answer = exchanged(&stand, issued.token.text()).await;
        stand.refused(&answer, 400, "invalid_target", "target_unknown");
    }
}

#[tokio::test]
async fn a_lifetime_ends_with_the_token_that_was_presented() {
    let stand = stand().await;
    let (_, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    stand.advance(30 * 86_400 - 120);
    let answer = exchanged(&stand, issued.token.text()).await;
    assert_eq!(answer.json()["expires_in"], 120);
    stand.advance(100);
    let answer = exchanged(&stand, issued.token.text()).await;
    stand.refused(&answer, 400, "invalid_request", "token_expires_too_soon");
    stand.advance(20);
    let answer = exchanged(&stand, issued.token.text()).await;
    stand.refused(&answer, 400, "invalid_request", "account_token_expired");
}

#[rstest]
#[case::disabled(AccountChange { disabled: Some(true), ..AccountChange::default() })]
#[case::other_grants(AccountChange {
    grants: Some(serde_json::from_value(json!({"permissions": [{"secrets": "secret/other/*"}]})).unwrap()),
    ..AccountChange::default()
})]
#[tokio::test]
async fn what_was_minted_for_an_account_ends_when_the_account_is_changed(#[case] change: AccountChange) {
    let stand = stand().await;
    let (account, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    let minted = secrets_token(&stand, issued.token.text()).await;
    assert!(is_active(&stand, &minted).await);
    accounts::accounts(&stand).update(account.id, change, ADMIN, stand.now()).await.unwrap();
    assert!(!is_active(&stand, &minted).await);
}

#[tokio::test]
async fn what_was_minted_for_a_disabled_account_does_not_come_back_with_it() {
    let stand = stand().await;
    let (account, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    let minted = secrets_token(&stand, issued.token.text()).await;
    for disabled in [true, false] {
        let change = AccountChange { disabled: Some(disabled), ..AccountChange::default() };
        accounts::accounts(&stand).update(account.id, change, ADMIN, stand.now()).await.unwrap();
    }
    assert!(!is_active(&stand, &minted).await);
    assert!(is_active(&stand, &secrets_token(&stand, issued.token.text()).await).await);
}

#[tokio::test]
async fn an_owner_and_a_description_may_change_without_ending_anything() {
    let stand = stand().await;
    let (account, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    let minted = secrets_token(&stand, issued.token.text()).await;
    let change = AccountChange { owner: Some("team-b".to_owned()), ..AccountChange::default() };
    accounts::accounts(&stand).update(account.id, change, ADMIN, stand.now()).await.unwrap();
    assert!(is_active(&stand, &minted).await);
}

#[tokio::test]
async fn deleting_an_account_or_revoking_its_token_ends_what_was_minted() {
    let stand = stand().await;
    let (first, one) = token(&stand, "reports", &["secret/app/*"]).await;
    let (second, other) = token(&stand, "backups", &["secret/app/*"]).await;
    let [deleted, revoked] =
        [secrets_token(&stand, one.token.text()).await, secrets_token(&stand, other.token.text()).await];
    accounts::accounts(&stand).delete(first.id, None).await.unwrap();
    accounts::accounts(&stand).revoke(other.info.id, stand.now()).await.unwrap();
    assert!(!is_active(&stand, &deleted).await && !is_active(&stand, &revoked).await);
    let answer = exchanged(&stand, other.token.text()).await;
    stand.refused(&answer, 400, "invalid_request", "account_token_revoked");
    let again = issue(&stand, &second).await;
    assert!(is_active(&stand, &secrets_token(&stand, again.token.text()).await).await);
}

#[tokio::test]
async fn a_rotated_token_that_comes_back_is_loud_once_and_ends_its_family() {
    let stand = stand().await;
    let (_, first) = token(&stand, "reports", &["secret/app/*"]).await;
    let wish = RotateWish { overlap: Some(Duration::from_secs(60)), ..RotateWish::default() };
    let second = accounts::accounts(&stand).rotate(first.info.id, wish, ADMIN, stand.now()).await.unwrap().new;
    let minted = secrets_token(&stand, second.token.text()).await;
    stand.advance(29);
    let answer = exchanged(&stand, first.token.text()).await;
    assert_eq!(answer.json()["expires_in"], 31, "within its overlap, and no longer");
    stand.advance(31);
    let answer = exchanged(&stand, first.token.text()).await;
    let record = stand.refused(&answer, 400, "invalid_request", "account_token_reused");
    let digest = accounts::accounts(&stand).digest(first.token.text()).unwrap();
    assert_eq!(record.token, Some(digest.to_string()), "which of them it was");
    for token in [&first, &second] {
        let answer = exchanged(&stand, token.token.text()).await;
        stand.refused(&answer, 400, "invalid_request", "account_token_revoked");
    }
    assert!(!is_active(&stand, &minted).await, "what the successor got ends too");
    let metrics = stand.ops("/metrics").await.text;
    assert!(metrics.contains("cambio_service_account_token_reuses_total 1"), "{metrics}");
    assert!(metrics.contains("cambio_refusals_total{reason=\"account_token_reused\"} 1"), "{metrics}");
}

/// Whoever stole a token, rotated it and then ends the old one, so that the owner does not give the theft away.
#[rstest]
#[case::by_the_token_endpoint("oauth2/revoke")]
#[case::as_a_vault_client("v1/auth/token/revoke-self")]
#[tokio::test]
async fn a_thief_ends_its_own_token_with_the_one_that_it_has_rotated(#[case] path: &str) {
    let stand = stand().await;
    let (_, stolen) = token(&stand, "reports", &["secret/app/*"]).await;
    let rotate = stand.request("/api/v4/personal_access_tokens/self/rotate");
    let rotate = rotate.header("authorization", format!("Bearer {}", stolen.token.text()));
    let rotated = stand.send(rotate.header("content-type", "application/json").body(r#"{"overlap": 60}"#)).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let successor = rotated.json()["token"].as_str().unwrap().to_owned();
    let minted = secrets_token(&stand, &successor).await;
    stand.advance(30);
    let ended = if path.starts_with("v1") {
        stand.send(stand.request(&format!("/{path}")).header("x-vault-token", stolen.token.text())).await
    } else {
        stand.post(&format!("/{path}"), &[("token", stolen.token.text())]).await
    };
    assert!(matches!(ended.status, 200 | 204), "{}", ended.text);
    let answer = exchanged(&stand, &successor).await;
    stand.refused(&answer, 400, "invalid_request", "account_token_revoked");
    assert!(!is_active(&stand, &minted).await, "what it got ends too");
}

#[tokio::test]
async fn whoever_has_an_accounts_token_may_end_it() {
    let stand = stand().await;
    let (_, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    assert_eq!(stand.post("/oauth2/revoke", &[("token", issued.token.text())]).await.status, 200);
    let answer = exchanged(&stand, issued.token.text()).await;
    stand.refused(&answer, 400, "invalid_request", "account_token_revoked");
}

#[tokio::test]
async fn an_accounts_token_is_none_of_ours_to_a_resource_server() {
    let stand = stand().await;
    let (_, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    assert!(!is_active(&stand, issued.token.text()).await);
}

/// A job that acts as `reports`: the rule is tried before the one of the stand.
const BINDING: &str = r#"
target: bound
namespace: group_100/group_200
rules:
  - name: reports
    issuer: workloads
    require:
      - that: 'claims.sub == "job-reports"'
        message: this is not the reports job
    grant:
      service_account: reports
      ttl: 1h
cases:
  - name: the reports job
    issuer: workloads
    claims: {sub: job-reports, aud: https://cambio.example.com}
    permit: {rule: reports, policies: [service-accounts/reports]}
  - name: another job
    like: the reports job
    with: {sub: job-1}
    deny: {reason: conditions_not_met}
"#;

async fn bound() -> Stand {
    let mut stand = stand().await;
    stand.write("policies/bound.yaml", BINDING);
    stand.restart().await;
    stand.settled().await;
    stand
}

async fn as_bound(stand: &Stand) -> Answer {
    let jwt = stand.token().claim("sub", "job-reports").sign();
    let mut form = exchange(&jwt);
    form[3].1 = "bound";
    stand.post("/oauth2/token", &form).await
}

#[tokio::test]
async fn a_rule_lets_a_workload_act_as_an_account_and_read_what_it_may() {
    let stand = bound().await;
    let job = vault::job(&stand).await;
    write(&stand, &job, "app/db", json!({"password": "one"})).await;
    let account = account(&stand, "reports", &["secret/app/*"]).await;
    let answer = as_bound(&stand).await;
    let record = stand.permitted(&answer);
    assert_eq!(record.rule.as_deref(), Some("reports"), "the rule of the policy set, for whoever asks why");
    let claims = stand.verified(&answer.token()).await.claims;
    assert_eq!(
        (&claims["sub"], &claims["policies"]),
        (&json!("workloads:job-reports"), &json!(["service-accounts/reports"]))
    );
    assert_eq!(read(&stand, &answer.token(), "secret/data/app/db").await.status, 200);

    // What it may do is asked when it reads, and not put into its token.
    let grants = serde_json::from_value(json!({"permissions": [{"secrets": "secret/other/*"}]})).unwrap();
    let change = AccountChange { grants: Some(grants), ..AccountChange::default() };
    accounts::accounts(&stand).update(account.id, change, ADMIN, stand.now()).await.unwrap();
    assert_eq!(read(&stand, &answer.token(), "secret/data/app/db").await.status, 404);
    let change = AccountChange { disabled: Some(true), ..AccountChange::default() };
    accounts::accounts(&stand).update(account.id, change, ADMIN, stand.now()).await.unwrap();
    assert_eq!(read(&stand, &answer.token(), "secret/data/app/db").await.status, 403, "its token is good no more");
    let answer = as_bound(&stand).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(stand.record(&answer).reason.as_deref(), Some("service_account_unavailable"));
}

#[tokio::test]
async fn without_the_account_a_rule_grants_nothing() {
    let stand = bound().await;
    let answer = as_bound(&stand).await;
    stand.refused(&answer, 400, "invalid_request", "service_account_unavailable");
    account_in(&stand, "group_100", "reports", &["secret/*"]).await;
    let answer = as_bound(&stand).await;
    let record = stand.refused(&answer, 400, "invalid_request", "service_account_unavailable");
    assert!(record.detail.unwrap().contains("does not exist"), "another namespace's is none");
}

#[tokio::test]
async fn whoever_acts_as_an_account_by_a_rule_ends_with_it() {
    let stand = bound().await;
    let account = account(&stand, "reports", &["secret/app/*"]).await;
    let change = AccountChange { expires: Some(stand.now().plus(Duration::from_secs(45))), ..AccountChange::default() };
    accounts::accounts(&stand).update(account.id, change, ADMIN, stand.now()).await.unwrap();
    let answer = as_bound(&stand).await;
    assert_eq!(answer.json()["expires_in"], 45, "{}", answer.text);
    stand.advance(20);
    let answer = as_bound(&stand).await;
    stand.refused(&answer, 400, "invalid_request", "token_expires_too_soon");
    stand.advance(25);
    let answer = as_bound(&stand).await;
    stand.refused(&answer, 400, "invalid_request", "service_account_unavailable");
}
