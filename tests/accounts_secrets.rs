//! Secrets, read with the token of a service account as it is: what its permissions open, and what they do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod accounts;
mod support;
mod vault;

use accounts::{ADMIN, account_in, issue, secrets_token, token};
use cambio::accounts::AccountChange;
use rstest::rstest;
use serde_json::{Value, json};
use support::Stand;
use vault::{document, read, stand, with, write};

async fn filled() -> Stand {
    let stand = stand().await;
    let admin = vault::token(&stand, "admin-1").await;
    for path in ["app/db", "app/deep/x", "other/db"] {
        assert_eq!(write(&stand, &admin, path, json!({"password": "one"})).await.status, 200);
    }
    stand
}

#[rstest]
#[case::reads("GET", "secret/data/app/db", 200)]
#[case::deeper("GET", "secret/data/app/deep/x", 200)]
#[case::metadata("GET", "secret/metadata/app/db", 200)]
#[case::elsewhere("GET", "secret/data/other/db", 404)]
#[case::nothing_there("GET", "secret/data/app/none", 404)]
#[case::lists("LIST", "secret/metadata/app", 404)]
#[case::writes("POST", "secret/data/app/db", 403)]
#[case::deletes("DELETE", "secret/data/app/db", 403)]
#[case::another_namespace("GET", "group_100/group_201/secret/data/app/db", 404)]
#[tokio::test]
async fn a_permission_to_read_reads_and_does_nothing_else(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
) {
    let stand = filled().await;
    let (_, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    let body = if method == "POST" { json!({"data": {"a": "b"}}) } else { Value::Null };
    let bearers = [issued.token.text().to_owned(), secrets_token(&stand, issued.token.text()).await];
    for bearer in bearers {
        let answer = with(&stand, &bearer, method, path, &body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
}

#[rstest]
#[case::lists("LIST", "secret/metadata/app", 200)]
#[case::reads("GET", "secret/data/app/db", 404)]
#[case::reads_metadata("GET", "secret/metadata/app/db", 404)]
#[case::writes("POST", "secret/data/app/db", 403)]
#[tokio::test]
async fn a_permission_to_list_lists_and_does_nothing_else(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
) {
    let stand = filled().await;
    let (_, issued) = token(&stand, "lister", &["secret/app/* list"]).await;
    let body = if method == "POST" { json!({"data": {"a": "b"}}) } else { Value::Null };
    let answer = with(&stand, issued.token.text(), method, path, &body).await;
    assert_eq!(answer.status, status, "{}", answer.text);
}

#[rstest]
#[case::writes("POST", "secret/data/app/db", 200)]
#[case::makes("POST", "secret/data/app/new", 200)]
#[case::deletes("DELETE", "secret/data/app/db", 204)]
#[case::reads("GET", "secret/data/app/db", 404)]
#[case::lists("LIST", "secret/metadata/app", 404)]
#[case::deletes_history("DELETE", "secret/metadata/app/db", 403)]
#[case::destroys("POST", "secret/destroy/app/db", 403)]
#[case::elsewhere("POST", "secret/data/other/db", 403)]
#[tokio::test]
async fn a_permission_to_write_writes_and_does_nothing_else(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
) {
    let stand = filled().await;
    let (_, issued) = token(&stand, "writer", &["secret/app/* write"]).await;
    let body = match method {
        "POST" if path.contains("destroy") => json!({"versions": [1]}),
        "POST" => json!({"data": {"a": "b"}}),
        _ => Value::Null,
    };
    let answer = with(&stand, issued.token.text(), method, path, &body).await;
    assert_eq!(answer.status, status, "{}", answer.text);
}

#[tokio::test]
async fn a_read_is_recorded_under_the_accounts_name_and_without_its_token() {
    let stand = filled().await;
    let (account, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    let answer = read(&stand, issued.token.text(), "secret/data/app/db").await;
    let record = stand.record(&answer);
    assert_eq!(record.outcome, "served");
    assert_eq!(record.issuer.as_deref(), Some("service-accounts"));
    assert_eq!(record.subject.as_deref(), Some("service-accounts:group_100/group_200/reports"));
    assert_eq!(record.jti, Some(issued.info.id.to_string()), "which of its tokens it was");
    assert_eq!(record.account, Some(account.id.to_string()));
    assert_eq!(record.token, accounts::accounts(&stand).digest(issued.token.text()).map(|digest| digest.to_string()));
    assert!(!serde_json::to_string(&record).unwrap().contains(&issued.token.text()[10..]));
}

#[tokio::test]
async fn accounts_of_one_name_have_budgets_of_their_own_in_their_namespaces() {
    let stand = vault::stand_with("rate_limits: {subject: 2 per 1m}\n").await;
    let [mut ours, mut theirs] = [vec![], vec![]];
    let (_, one) = token(&stand, "ci", &["secret/app/*"]).await;
    let other = issue(&stand, &account_in(&stand, "group_100", "ci", &["secret/app/*"]).await).await;
    for _ in 0..3 {
        ours.push(read(&stand, one.token.text(), "secret/data/app/db").await.status);
    }
    for _ in 0..2 {
        theirs.push(read(&stand, other.token.text(), "secret/data/app/db").await.status);
    }
    assert_eq!((ours, theirs), (vec![404, 404, 429], vec![404, 404]));
}

#[tokio::test]
async fn disabling_an_account_ends_its_reads_at_once_here() {
    let stand = filled().await;
    let (account, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    let minted = secrets_token(&stand, issued.token.text()).await;
    for bearer in [issued.token.text(), &minted] {
        assert_eq!(read(&stand, bearer, "secret/data/app/db").await.status, 200);
    }
    let change = AccountChange { disabled: Some(true), ..AccountChange::default() };
    accounts::accounts(&stand).update(account.id, change, ADMIN, stand.now()).await.unwrap();
    for (bearer, reason) in
        [(issued.token.text(), "service_account_unavailable"), (&minted, "service_account_unavailable")]
    {
        let answer = read(&stand, bearer, "secret/data/app/db").await;
        assert_eq!(answer.status, 403, "{}", answer.text);
        assert_eq!(stand.record(&answer).reason.as_deref(), Some(reason));
    }
}

#[tokio::test]
async fn an_account_of_one_namespace_reads_nothing_of_another() {
    let stand = filled().await;
    for namespace in ["", "group_100", "group_100/group_201"] {
        let account = account_in(&stand, namespace, "reports", &["secret/*", "secret/* list"]).await;
        let issued = issue(&stand, &account).await;
        for path in ["secret/data/app/db", "group_100/group_200/secret/data/app/db"] {
            let answer = read(&stand, issued.token.text(), path).await;
            assert_eq!(answer.status, 404, "{namespace}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn an_accounts_access_documents_count_beside_its_permissions() {
    let mut stand = filled().await;
    document(&stand, vault::NAMESPACE, "others/read", "path \"secret/data/other/*\" { capabilities = [\"read\"] }");
    stand.restart().await;
    stand.settled().await;
    let (account, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    assert_eq!(read(&stand, issued.token.text(), "secret/data/other/db").await.status, 404);
    let grants = json!({"permissions": [{"secrets": "secret/app/*"}], "policies": ["others/read"]});
    let change = AccountChange { grants: Some(serde_json::from_value(grants).unwrap()), ..AccountChange::default() };
    accounts::accounts(&stand).update(account.id, change, ADMIN, stand.now()).await.unwrap();
    assert_eq!(read(&stand, issued.token.text(), "secret/data/app/db").await.status, 403, "made without documents");
    let issued = issue(&stand, &account).await;
    let minted = secrets_token(&stand, issued.token.text()).await;
    for bearer in [issued.token.text(), &minted] {
        for path in ["secret/data/other/db", "secret/data/app/db"] {
            assert_eq!(read(&stand, bearer, path).await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn clients_are_told_about_an_accounts_token_as_about_any() {
    let stand = filled().await;
    let (_, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    let bearer = issued.token.text();
    let about = read(&stand, bearer, "auth/token/lookup-self").await.json()["data"].clone();
    assert_eq!(about["policies"], json!(["service-accounts/reports"]));
    let name = json!(format!("service-accounts:{}/reports", vault::NAMESPACE));
    assert_eq!((&about["display_name"], &about["renewable"]), (&name, &json!(false)));
    assert_eq!(about["ttl"], 30 * 86_400);
    let paths = json!({"paths": ["secret/data/app/db", "secret/data/other/db"]});
    let told = with(&stand, bearer, "POST", "sys/capabilities-self", &paths).await.json()["data"].clone();
    assert_eq!((&told["secret/data/app/db"], &told["secret/data/other/db"]), (&json!(["read"]), &json!(["deny"])));
    let mounts = read(&stand, bearer, "sys/internal/ui/mounts").await.json()["data"]["secret"].clone();
    assert!(mounts.get("secret/").is_some() && mounts.get("kv1/").is_none(), "{mounts}");
    assert_eq!(with(&stand, bearer, "POST", "auth/token/revoke-self", &Value::Null).await.status, 204);
    assert_eq!(read(&stand, bearer, "secret/data/app/db").await.status, 403);
}

#[tokio::test]
async fn accounts_outlive_a_restart() {
    let mut stand = filled().await;
    let (_, issued) = token(&stand, "reports", &["secret/app/*"]).await;
    let minted = secrets_token(&stand, issued.token.text()).await;
    assert_eq!(read(&stand, issued.token.text(), "secret/data/app/db").await.status, 200);
    stand.restart().await;
    stand.settled().await;
    for bearer in [issued.token.text(), &minted] {
        assert_eq!(read(&stand, bearer, "secret/data/app/db").await.status, 200);
    }
    let used = accounts::accounts(&stand).token(issued.info.id).await.unwrap().used;
    assert!(used.is_some(), "its use was written when the server stopped");
}
