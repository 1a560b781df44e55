//! What is on record of tokens that end, come back or are refused, and of administrators' requests that are slow, cut off,
//! malformed or too many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod admin_support;
mod support;
mod vault;

use std::time::Duration;

use admin_support::{ADMIN, DAY, accounts, admin, ask, kept, planted, stand, stand_for, token_for};
use cambio::accounts::{AccountChange, AccountId, AccountTokenId, RotateWish};
use cambio::audit::Record;
use rstest::rstest;
use serde_json::{Value, json};
use support::{Answer, Issuer, Stand};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vault::NAMESPACE;

const SELF_ROTATE: &str = "/api/v4/personal_access_tokens/self/rotate";
const SURFACES: [&str; 9] =
    ["preflight", "lookup-self", "read", "write", "revoke-self", "revoke", "admin", "self-rotate", "exchange"];

async fn limited(limits: &str) -> Stand {
    stand_for(Issuer::start().await, &format!("{ADMIN}rate_limits: {limits}\n")).await
}

/// Presents a token of an account somewhere.
async fn present(stand: &Stand, how: &str, token: &str) -> Answer {
    match how {
        "preflight" => vault::read(stand, token, "sys/internal/ui/mounts/secret").await,
        "lookup-self" => vault::read(stand, token, "auth/token/lookup-self").await,
        "read" => vault::read(stand, token, "secret/data/app/db").await,
        "write" => vault::write(stand, token, "app/db", json!({"a": "b"})).await,
        "revoke-self" => vault::with(stand, token, "POST", "auth/token/revoke-self", &Value::Null).await,
        "revoke" => stand.post("/oauth2/revoke", &[("token", token)]).await,
        "admin" => ask(stand, token, "GET", "issuers", Value::Null).await,
        "self-rotate" => ask(stand, token, "POST", SELF_ROTATE, Value::Null).await,
        _ => {
            let form = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                ("subject_token", token),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
                ("audience", "vault"),
            ];
            stand.post("/oauth2/token", &form).await
        }
    }
}

fn with_reason(stand: &Stand, reason: &str) -> Vec<Record> {
    stand.records().into_iter().filter(|record| record.reason.as_deref() == Some(reason)).collect()
}

fn with_action(stand: &Stand, action: &str) -> Vec<Record> {
    stand.records().into_iter().filter(|record| record.action.as_deref() == Some(action)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_comes_back_is_on_record_once_wherever_it_is_presented_first() {
    let stand = stand().await;
    let mut copies = vec![];
    for how in SURFACES {
        let (account, id, text) = planted(&stand, NAMESPACE, how, &[]).await;
        let rotated = ask(&stand, &text, "POST", SELF_ROTATE, json!({"overlap": 60})).await;
        assert_eq!(rotated.status, 200, "{}", rotated.text);
        copies.push((how, account, id, text));
    }
    stand.advance(61);
    for (how, account, id, text) in &copies {
        for _ in 0..2 {
            present(&stand, how, text).await;
        }
        let mut found = with_reason(&stand, "account_token_reused");
        found.retain(|record| record.account == Some(account.id.to_string()));
        assert_eq!(found.len(), 1, "{how}: {found:?}");
        let record = found.remove(0);
        let digest = accounts(&stand).digest(text).unwrap().to_string();
        assert_eq!(
            (record.outcome.as_str(), record.remote.unwrap().to_string()),
            ("denied", "127.0.0.1".to_owned()),
            "{how}"
        );
        assert_eq!((record.token, record.issuer.as_deref()), (Some(digest), Some("service-accounts")), "{how}");
        assert_eq!(
            (&record.jti, &record.family, record.namespace.as_deref()),
            (&None, &Some(id.clone()), Some(NAMESPACE)),
            "{how}"
        );
    }
}

#[rstest]
#[case::as_rfc_7009_says("revoke")]
#[case::as_vault_clients_do("revoke-self")]
#[tokio::test(flavor = "multi_thread")]
async fn whoever_ends_the_token_that_it_holds_is_on_record_once(#[case] how: &str) {
    let stand = stand().await;
    let (account, id, text) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let secrets = token_for(&stand, "job-1", "vault").await;
    let exchange = stand.records().into_iter().rfind(|record| record.outcome == "issued").unwrap();
    for token in [&text, &text, &secrets, &secrets] {
        present(&stand, how, token).await;
    }
    let found = with_action(&stand, "token.revoke_self");
    let [of_account, of_secrets] = found.as_slice() else { panic!("{found:?}") };
    let digest = accounts(&stand).digest(&text).unwrap().to_string();
    assert_eq!((&of_account.token, &of_account.jti), (&Some(digest), &Some(id.clone())));
    assert_eq!((&of_account.account, &of_account.family), (&Some(account.id.to_string()), &Some(id.clone())));
    assert_eq!(of_account.object, Some(format!("tokens/{id}")));
    assert_eq!((&of_secrets.jti, &of_secrets.exchange), (&exchange.jti, &Some(exchange.id)));
    assert_eq!(of_secrets.subject.as_deref(), Some("workloads:job-1"));
    for record in [of_account, of_secrets] {
        let [before, after] = [&record.before, &record.after].map(|state| state.as_ref().unwrap()["revoked"].clone());
        assert_eq!((record.outcome.as_str(), before, after), ("done", json!(false), json!(true)));
        assert_eq!(record.remote.unwrap().to_string(), "127.0.0.1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ends_the_token_of_another_is_on_record_under_its_own_name() {
    let stand = vault::stand_with("service_accounts: {}\n").await;
    let (operator, job, other) =
        (vault::token(&stand, "admin-1").await, vault::job(&stand).await, vault::token(&stand, "job-2").await);
    let revoked = vault::with(&stand, &operator, "POST", "auth/token/revoke", &json!({"token": job})).await;
    assert_eq!(revoked.status, 204, "{}", revoked.text);
    let told = vault::read(&stand, &other, "auth/token/lookup-self").await;
    let accessor = told.json()["data"]["accessor"].clone();
    if accessor != "" {
        let body = json!({"accessor": accessor});
        let revoked = vault::with(&stand, &operator, "POST", "auth/token/revoke-accessor", &body).await;
        assert_eq!(revoked.status, 204, "{}", revoked.text);
    }
    let found = with_action(&stand, "token.revoke");
    assert_eq!(found.len(), if accessor == "" { 1 } else { 2 });
    for record in found {
        assert_eq!((record.outcome.as_str(), record.subject.as_deref()), ("done", Some("workloads:admin-1")));
        assert!(record.object.unwrap().starts_with("secrets-tokens/"));
        assert_eq!(record.after.unwrap()["revoked"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_who_ends_a_token_by_its_text_leaves_a_record_that_names_it() {
    let stand = stand().await;
    let operator = admin(&stand, "ops-1").await;
    let (account, id, text) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let revoked = ask(&stand, &operator, "POST", "revocations", json!({"token": text})).await;
    assert_eq!((revoked.status, &revoked.json()["revoked"]), (200, &json!(true)), "{}", revoked.text);
    let record = stand.record(&revoked);
    let [before, after] = [record.before.unwrap(), record.after.unwrap()];
    assert_eq!((&before["id"], &before["revoked"], &after["revoked"]), (&json!(id), &json!(false), &json!(true)));
    assert_eq!((record.account, record.family), (Some(account.id.to_string()), Some(id)));
    assert_eq!(record.namespace.as_deref(), Some(NAMESPACE));
    assert_eq!(present(&stand, "admin", &text).await.status, 401);
    // Whoever has none of ours is told so.
    accounts(&stand).delete(account.id, None).await.unwrap();
    let unknown = ask(&stand, &operator, "POST", "revocations", json!({"token": text})).await;
    assert_eq!((unknown.status, stand.record(&unknown).reason.as_deref()), (404, Some("not_found")));
    let cut = ask(&stand, &operator, "POST", "revocations", json!({"token": &text[..58]})).await;
    assert_eq!((cut.status, stand.record(&cut).reason.as_deref()), (400, Some("account_token_malformed")));
}

#[rstest]
#[case::too_long(&"a".repeat(129), 400)]
#[case::no_base64url("a b", 400)]
#[case::nothing("", 400)]
#[case::the_longest(&"a".repeat(128), 200)]
#[tokio::test(flavor = "multi_thread")]
async fn a_jti_that_is_none_is_the_callers_mistake(#[case] jti: &str, #[case] status: u16) {
    let stand = stand().await;
    let operator = admin(&stand, "ops-1").await;
    let body = json!({"jti": jti, "expires_at": stand.now().plus(DAY).to_string()});
    let answer = ask(&stand, &operator, "POST", "revocations", body).await;
    assert_eq!((answer.status, answer.header("retry-after")), (status, ""), "{}", answer.text);
    if status == 400 {
        assert_eq!(stand.record(&answer).reason.as_deref(), Some("body_malformed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_uses_of_a_token_are_found_and_every_page_knows_what_leads_to_it() {
    let stand = stand().await;
    let operator = admin(&stand, "ops-1").await;
    let (_, id, text) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let exchanged = present(&stand, "exchange", &text).await;
    let minted = exchanged.json()["access_token"].as_str().unwrap().to_owned();
    stand.advance(1);
    let used = present(&stand, "admin", &minted).await;
    assert_eq!(stand.record(&used).exchange.as_deref(), Some(exchanged.decision()));
    stand.advance(1);
    present(&stand, "revoke", &text).await;
    stand.advance(1);
    let mut expected = vec![exchanged.decision().to_owned(), used.decision().to_owned()];
    expected.extend(with_action(&stand, "token.revoke_self").into_iter().map(|record| record.id));
    for how in ["admin", "self-rotate", "exchange", "read", "write"] {
        let refused = present(&stand, how, &text).await;
        let record = stand.record(&refused);
        assert_eq!(record.reason.as_deref(), Some("account_token_revoked"), "{how}");
        expected.push(refused.decision().to_owned());
        stand.advance(1);
    }
    let last = ask(&stand, &operator, "GET", "issuers", Value::Null).await;
    kept(&stand, &operator, &last).await;
    for limit in [1, 3, 200] {
        let (mut cursor, mut found) = (String::new(), vec![]);
        loop {
            let path = format!("decisions?token={id}&limit={limit}{cursor}");
            let page = ask(&stand, &operator, "GET", &path, Value::Null).await.json();
            let ids = page["decisions"].as_array().unwrap();
            assert!(ids.len() <= limit, "{page}");
            found.extend(ids.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            assert_eq!(page["complete"], page["next_cursor"].is_null());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        found.reverse();
        assert_eq!(found, expected, "{limit}");
    }
    // A filter that the exchange does not pass hides no use of what it gave.
    let path = format!("decisions?token={id}&reason=acl_denied");
    let denied = ask(&stand, &operator, "GET", &path, Value::Null).await.json();
    let one = stand.record(&used).reason.as_deref() == Some("acl_denied");
    assert_eq!(denied["decisions"].as_array().unwrap().len(), usize::from(one), "{denied}");
    let path = format!("decisions?token={id}&target=vault&outcome=denied&from={}", stand.now().plus(DAY));
    assert_eq!(ask(&stand, &operator, "GET", &path, Value::Null).await.json()["decisions"], json!([]));
}

/// The head of a request that brings a body, and the first byte of that.
async fn begun(stand: &Stand, head: &str, token: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(stand.running().address()).await.unwrap();
    let (length, first) = (body.len(), &body[..1]);
    let text = format!(
        "{head} HTTP/1.1\r\nhost: c\r\nauthorization: Bearer {token}\r\nx-vault-token: {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{first}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    // It has its head, and waits for the rest.
    tokio::time::sleep(Duration::from_millis(500)).await;
    stream
}

async fn rest(mut stream: TcpStream, body: &str) -> String {
    stream.write_all(&body.as_bytes()[1..]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_its_token_while_its_body_comes_changes_nothing() {
    let stand = stand().await;
    let (thief, _, text) = planted(&stand, NAMESPACE, "thief", &["admin/all"]).await;
    let (ci, ..) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let (path, body) = (format!("PATCH /api/admin/v1/service-accounts/{}", ci.id), json!({"owner": "me"}).to_string());
    let slow = begun(&stand, &path, &text, &body).await;
    let off = AccountChange { disabled: Some(true), ..AccountChange::default() };
    accounts(&stand).update(thief.id, off, "test", stand.now()).await.unwrap();
    let answer = rest(slow, &body).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(accounts(&stand).show(ci.id).await.unwrap().owner, "team-a");
    assert_eq!(with_reason(&stand, "service_account_unavailable").len(), 1);
    // As long as it is good, it is.
    let on = AccountChange { disabled: Some(false), ..AccountChange::default() };
    accounts(&stand).update(thief.id, on, "test", stand.now()).await.unwrap();
    let answer = rest(begun(&stand, &path, &text, &body).await, &body).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // And so with a value that is written.
    let (minted, value) = (token_for(&stand, "job-1", "vault").await, json!({"data": {"a": "b"}}).to_string());
    let slow = begun(&stand, "POST /v1/secret/data/app/db", &minted, &value).await;
    present(&stand, "revoke", &minted).await;
    let answer = rest(slow, &value).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(with_reason(&stand, "token_not_good").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_whose_body_does_not_come_is_on_record() {
    let stand = stand().await;
    let minted = token_for(&stand, "job-1", "vault").await;
    drop(begun(&stand, "POST /v1/secret/data/app/db", &minted, "{\"data\": {}}").await);
    support::stand::eventually("a record", || {
        stand.records().iter().any(|record| {
            let reason = record.reason.as_deref();
            record.operation.as_deref() == Some("write") && matches!(reason, Some("body_unreadable" | "abandoned"))
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_is_on_record_though_its_client_hung_up() {
    let stand = stand().await;
    let operator = admin(&stand, "ops-1").await;
    let (ci, ..) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let (mut sent, id) = (0, ci.id);
    for wait in 0..40_u64 {
        let body = json!({"owner": format!("owner-{wait}")}).to_string();
        let mut stream = TcpStream::connect(stand.running().address()).await.unwrap();
        let text = format!(
            "PATCH /api/admin/v1/service-accounts/{id} HTTP/1.1\r\nhost: c\r\nauthorization: Bearer {operator}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_micros(wait * 250)).await;
        drop(stream);
        sent += 1;
    }
    // Every change is one revision more, and is one record with what was and what is.
    let revisions = |stand: &Stand| {
        let done = with_action(stand, "service_account.update");
        let done = done.into_iter().filter(|record| record.outcome == "done");
        let mut found: Vec<u64> = done.map(|record| record.after.unwrap()["revision"].as_u64().unwrap()).collect();
        found.sort_unstable();
        found
    };
    let mut last = 0;
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = show(&stand, ci.id).await;
        if now == last && revisions(&stand).len() as u64 == now - 1 {
            break;
        }
        last = now;
    }
    let revision = show(&stand, ci.id).await;
    assert!(revision > 1 && sent >= revision - 1, "{revision}");
    assert_eq!(revisions(&stand), (2..=revision).collect::<Vec<_>>());
}

async fn show(stand: &Stand, id: AccountId) -> u64 {
    accounts(stand).show(id).await.unwrap().revision
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_was_granted_for_a_moment_is_on_record_whole() {
    let stand = stand().await;
    let operator = admin(&stand, "ops-1").await;
    let (ci, ..) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let path = format!("service-accounts/{}", ci.id);
    let filled = |count: usize| {
        let fillers = (0..count).map(|n| json!({"secrets": format!("secret/{n:0493}")}));
        let everything = json!({"secrets": "secret/*", "access": "write"});
        json!({"permissions": fillers.chain([everything]).collect::<Vec<_>>(), "description": "\u{e0041}".repeat(250)})
    };
    let refused = ask(&stand, &operator, "PATCH", &path, filled(20)).await;
    assert_eq!((refused.status, stand.record(&refused).reason.as_deref()), (400, Some("invalid")), "{}", refused.text);
    assert!(refused.text.contains("6144 bytes"), "{}", refused.text);
    let granted = ask(&stand, &operator, "PATCH", &path, filled(11)).await;
    assert_eq!(granted.status, 200, "{}", granted.text);
    let back = ask(&stand, &operator, "PATCH", &path, json!({"permissions": []})).await;
    for state in [stand.record(&granted).after.unwrap(), stand.record(&back).before.unwrap()] {
        let permissions = state["permissions"].as_array().unwrap();
        assert!(permissions.contains(&json!({"secrets": "secret/*", "access": "write"})), "{state}");
        assert_eq!(permissions.len(), 12);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_malformed_requests_leaves_few_records_and_answers_tell_budgets() {
    let stand = limited("{failures: 3 per 1m, subject: 50 per 1m}").await;
    let operator = admin(&stand, "ops-1").await;
    assert_eq!(ask(&stand, &operator, "GET", "issuers", Value::Null).await.status, 200);
    for _ in 0..20 {
        let answer = ask(&stand, "", "GET", "service-accounts?x=1", Value::Null).await;
        assert_eq!((answer.status, answer.header("ratelimit-name")), (400, "failures"), "{}", answer.text);
    }
    assert!(with_reason(&stand, "query_malformed").len() <= 3);
    assert_eq!(with_reason(&stand, "limit_failures").len(), 1);
    // Whoever has a good token goes on, and is told about its own; its mistakes are charged to it, and to nobody else.
    let good = ask(&stand, &operator, "GET", "issuers", Value::Null).await;
    assert_eq!((good.status, good.header("ratelimit-limit")), (200, "50"), "{}", good.text);
    let mistaken = ask(&stand, &operator, "POST", "service-accounts", json!([1])).await;
    assert_eq!((mistaken.status, mistaken.header("ratelimit-name")), (400, "subject"), "{}", mistaken.text);
    assert_eq!(stand.record(&mistaken).reason.as_deref(), Some("body_malformed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_self_rotations_leaves_a_record_of_its_refusal() {
    let stand = limited("{subject: 1 per 1m}").await;
    let (_, _, text) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let body = json!({"overlap": 3600});
    assert_eq!(ask(&stand, &text, "POST", SELF_ROTATE, body.clone()).await.status, 200);
    for _ in 0..3 {
        let refused = ask(&stand, &text, "POST", SELF_ROTATE, body.clone()).await;
        assert_eq!((refused.status, refused.header("ratelimit-name")), (429, "subject"), "{}", refused.text);
    }
    let found = with_reason(&stand, "limit_subject");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].token, Some(accounts(&stand).digest(&text).unwrap().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_within_the_budgets_before_its_token_is_looked_at() {
    let stand = limited("{failures: 10 per 1m}").await;
    let (_, id, copy) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let (gone, _, unknown) = planted(&stand, NAMESPACE, "gone", &[]).await;
    accounts(&stand).delete(gone.id, None).await.unwrap();
    // Elsewhere: a token that was good at this address would go on within a budget of its own.
    let wish = RotateWish { overlap: Some(Duration::from_secs(60)), ..RotateWish::default() };
    accounts(&stand).rotate(AccountTokenId::parse(&id).unwrap(), wish, "corp:dora", stand.now()).await.unwrap();
    stand.advance(61);
    let mut statuses = vec![];
    for _ in 0..15 {
        statuses.push(present(&stand, "write", &unknown).await.status);
    }
    assert_eq!((statuses[0], statuses[14]), (403, 429), "{statuses:?}");
    let refused = vault::write(&stand, &copy, "app/db", json!({"a": "b"})).await;
    // Had it been looked at, its family would have ended.
    assert_eq!((refused.status, accounts(&stand).reuses()), (429, 0));
}
