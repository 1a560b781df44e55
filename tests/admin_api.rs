//! The administration over HTTP: who may do what, what is on record, and that nothing changes where it is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod admin_support;
mod support;
mod vault;

use admin_support::{DAY, accounts, admin, ask, kept, planted, stand, token_for};
use rstest::rstest;
use serde_json::{Value, json};
use support::{Answer, Stand};
use vault::{NAMESPACE, stand_with};

fn new_account(stand: &Stand, name: &str) -> Value {
    json!({
        "namespace": NAMESPACE,
        "name": name,
        "owner": "team-a",
        "description": "reports",
        "permissions": [{"secrets": "secret/app/*"}],
        "expires_at": stand.now().plus(30 * DAY).to_string(),
    })
}

#[track_caller]
fn is_problem(stand: &Stand, answer: &Answer, status: u16, kind: &str, reason: &str) {
    let record = stand.record(answer);
    let told = (answer.status, answer.json()["type"].as_str().map(str::to_owned), record.reason.clone());
    let expected = (status, Some(format!("urn:cambio:problem:{kind}")), Some(reason.to_owned()));
    assert_eq!(told, expected, "{} {:?}", answer.text, record.detail);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!((record.outcome.as_str(), &record.before, &record.after), ("denied", &None, &None));
    assert_eq!(serde_json::to_value(record.surface).unwrap(), "admin");
}

/// Every endpoint: method, path, body. `ACC` is an account of the administration's namespace, `TOK` its token.
fn endpoints(stand: &Stand) -> Vec<(&'static str, &'static str, Value)> {
    let id = "019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f";
    let end = stand.now().plus(DAY).to_string();
    vec![
        ("GET", "service-accounts", Value::Null),
        ("POST", "service-accounts", new_account(stand, "new")),
        ("GET", "service-accounts/ACC", Value::Null),
        ("PATCH", "service-accounts/ACC", json!({"owner": "team-b"})),
        ("POST", "service-accounts/ACC/disable", Value::Null),
        ("POST", "service-accounts/ACC/enable", Value::Null),
        ("POST", "service-accounts/ACC/approve", json!({"revision": 1})),
        ("POST", "service-accounts/ACC/refuse", json!({"revision": 1})),
        ("GET", "service-accounts/ACC/tokens", Value::Null),
        ("POST", "service-accounts/ACC/tokens", json!({"name": "t", "expires_at": end})),
        ("GET", "service-accounts/ACC/tokens/TOK", Value::Null),
        ("POST", "service-accounts/ACC/tokens/TOK/rotate", Value::Null),
        ("DELETE", "service-accounts/ACC/tokens/TOK", Value::Null),
        ("DELETE", "service-accounts/ACC", Value::Null),
        ("POST", "tokens/search", json!({"id": id})),
        ("GET", "grants", Value::Null),
        ("GET", "bindings", Value::Null),
        ("GET", "issuers", Value::Null),
        ("POST", "issuers/workloads/refresh", Value::Null),
        ("GET", "targets", Value::Null),
        ("GET", "decisions", Value::Null),
        ("GET", "decisions/019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f", Value::Null),
        ("POST", "revocations", json!({"jti": "x", "expires_at": end})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_administrator_may_do_nothing_anywhere_and_changes_nothing() {
    let stand = stand().await;
    let (account, token_id, own) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let (_, _, elsewhere) = planted(&stand, "group_100", "elsewhere", &[]).await;
    let before = accounts(&stand).show(account.id).await.unwrap();
    // A secrets token for another target, one for the administration whose policies say nothing of it, the token of an account
    // without access documents, and that of an account in another namespace.
    let callers = [
        (token_for(&stand, "admin-1", "vault").await, "admin_target"),
        (admin(&stand, "idle-1").await, "acl_denied"),
        (own, "acl_denied"),
        (elsewhere, "admin_namespace"),
    ];
    for (method, path, body) in endpoints(&stand) {
        let path = path.replace("ACC", &account.id.to_string()).replace("TOK", &token_id);
        for (token, reason) in &callers {
            let answer = ask(&stand, token, method, &path, body.clone()).await;
            is_problem(&stand, &answer, 403, "forbidden", reason);
        }
        let answer = ask(&stand, "", method, &path, body.clone()).await;
        is_problem(&stand, &answer, 401, "no-token", "token_not_good");
        let answer = ask(&stand, "eyJhbGciOiJub25lIn0.e30.", method, &path, body).await;
        is_problem(&stand, &answer, 401, "bad-token", "token_not_good");
    }
    assert_eq!(accounts(&stand).show(account.id).await.unwrap(), before);
    assert_eq!(accounts(&stand).list_all(None, 10).await.unwrap().len(), 2);
    assert!(accounts(&stand).tokens(account.id, None, 10).await.unwrap()[0].revoked.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_do_everything() {
    let stand = stand().await;
    let token = admin(&stand, "ops-1").await;
    for (method, path, body) in endpoints(&stand) {
        let (account, token_id, _) = planted(&stand, NAMESPACE, "ci", &[]).await;
        let path = path.replace("ACC", &account.id.to_string()).replace("TOK", &token_id);
        let answer = ask(&stand, &token, method, &path, body).await;
        let expected = match (method, path.as_str()) {
            (_, path) if path.ends_with("/approve") || path.ends_with("/refuse") => 409,
            (_, path) if path.starts_with("decisions/") || path == "tokens/search" => 404,
            ("POST", path) if path == "service-accounts" || path.ends_with("/tokens") => 201,
            ("POST", path) if path.ends_with("/refresh") => answer.status,
            ("DELETE", _) => 204,
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text);
        assert_ne!(answer.status, 403, "{method} {path}");
        let record = stand.record(&answer);
        assert!(record.action.is_some() && record.subject.is_some(), "{method} {path}: {record:?}");
        let _ = accounts(&stand).delete(account.id, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_changed_switched_and_removed_with_before_and_after_on_record() {
    let stand = stand().await;
    let token = admin(&stand, "ops-1").await;
    let made = ask(&stand, &token, "POST", "service-accounts", new_account(&stand, "ci")).await;
    assert_eq!((made.status, made.json()["status"].as_str()), (201, Some("active")), "{}", made.text);
    let record = stand.record(&made);
    assert_eq!((record.outcome.as_str(), record.action.as_deref()), ("done", Some("service_account.create")));
    assert_eq!(record.object.as_deref(), Some("service-accounts/group_100/group_200/ci"));
    assert_eq!((&record.before, record.namespace.as_deref()), (&None, Some(NAMESPACE)));
    assert_eq!(record.after.unwrap()["owner"], "team-a");

    let named = "service-accounts/group_100%2Fgroup_200%2Fci";
    let changed = ask(&stand, &token, "PATCH", named, json!({"owner": "team-b"})).await;
    assert_eq!((changed.status, changed.json()["owner"].as_str()), (200, Some("team-b")), "{}", changed.text);
    let record = stand.record(&changed);
    assert_eq!(
        (record.before.unwrap()["owner"].clone(), record.after.unwrap()["owner"].clone()),
        (json!("team-a"), json!("team-b"))
    );

    let off = ask(&stand, &token, "POST", &format!("{named}/disable"), Value::Null).await;
    assert_eq!(off.json()["status"], "disabled");
    let on = ask(&stand, &token, "POST", &format!("{named}/enable"), Value::Null).await;
    assert_eq!(on.json()["status"], "active");
    let gone = ask(&stand, &token, "DELETE", named, Value::Null).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert_eq!(stand.record(&gone).before.unwrap()["name"], "ci");
    assert_eq!(ask(&stand, &token, "GET", named, Value::Null).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_is_in_no_record() {
    let stand = stand().await;
    let (account, ..) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let admin = admin(&stand, "ops-1").await;
    let base = format!("service-accounts/{}/tokens", account.id);
    let end = stand.now().plus(DAY).to_string();
    let issued = ask(&stand, &admin, "POST", &base, json!({"name": "cron", "expires_at": end})).await;
    let first = issued.json()["token"].as_str().unwrap().to_owned();
    let id = issued.json()["id"].as_str().unwrap().to_owned();
    assert!(first.starts_with("cambio_sa_"));
    let rotated = ask(&stand, &admin, "POST", &format!("{base}/{id}/rotate"), json!({"overlap": 60})).await;
    let json = rotated.json();
    for member in [
        "id",
        "name",
        "revoked",
        "created_at",
        "description",
        "scopes",
        "user_id",
        "last_used_at",
        "active",
        "expires_at",
        "token",
    ] {
        assert!(json.get(member).is_some(), "{member}: {json}");
    }
    assert_eq!(
        (json["revoked"].as_bool(), json["active"].as_bool(), json["name"].as_str()),
        (Some(false), Some(true), Some("cron"))
    );
    assert_eq!(json["expires_at"].as_str().unwrap().len(), 10);
    let second = json["token"].as_str().unwrap().to_owned();
    let listed = ask(&stand, &admin, "GET", &base, Value::Null).await;
    assert_eq!(listed.json()["tokens"].as_array().unwrap().len(), 3);
    let written = serde_json::to_string(&stand.records()).unwrap();
    for token in [&first, &second] {
        assert!(!listed.text.contains(token.as_str()) && !written.contains(token.as_str()));
    }
    let again = ask(&stand, &admin, "POST", &format!("{base}/{id}/rotate"), Value::Null).await;
    is_problem(&stand, &again, 409, "conflict", "already_rotated");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_rotates_its_own_token_as_gitlabs_clients_do() {
    let stand = stand().await;
    let (_, id, own) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let path = "/api/v4/personal_access_tokens/self/rotate";
    let day = stand.now().plus(10 * DAY).to_string()[..10].to_owned();
    let rotated = ask(&stand, &own, "POST", &format!("{path}?expires_at={day}"), Value::Null).await;
    assert_eq!((rotated.status, rotated.json()["expires_at"].as_str()), (200, Some(&*day)), "{}", rotated.text);
    let record = stand.record(&rotated);
    assert_eq!((record.action.as_deref(), record.jti.as_deref()), (Some("token.rotate_self"), Some(&*id)));
    assert_eq!(record.before.unwrap()["state"], "rotating");
    // Its successor was made for those ten days, and gets no more by itself.
    let successor = rotated.json()["token"].as_str().unwrap().to_owned();
    let longer = json!({"expires_at": stand.now().plus(31 * DAY).to_string()});
    let refused = ask(&stand, &successor, "POST", path, longer).await;
    assert_eq!((refused.status, stand.record(&refused).reason.as_deref()), (400, Some("invalid")), "{}", refused.text);
    let workload = admin(&stand, "ops-1").await;
    assert_eq!(ask(&stand, &workload, "POST", path, Value::Null).await.status, 401);
    assert_eq!(ask(&stand, "", "POST", path, Value::Null).await.status, 401);
    assert_eq!(ask(&stand, &own, "POST", path, json!({"expires": "x"})).await.status, 400);
}

#[rstest]
#[case::by_text("token")]
#[case::by_id("id")]
#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_token_is_found_and_its_family_revoked(#[case] by: &str) {
    let stand = stand().await;
    let (account, id, text) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let admin = admin(&stand, "ops-1").await;
    let path = "/api/v4/personal_access_tokens/self/rotate";
    let successor = ask(&stand, &text, "POST", path, Value::Null).await.json()["token"].as_str().unwrap().to_owned();
    let leaked = if by == "token" { text } else { id.clone() };
    let found = ask(&stand, &admin, "POST", "tokens/search", json!({by: leaked})).await;
    assert_eq!((found.status, &found.json()["token"]["state"]), (200, &json!("rotating")), "{}", found.text);
    assert_eq!(found.json()["service_account"]["id"], account.id.to_string());
    let revoked = ask(&stand, &admin, "POST", "tokens/search", json!({by: leaked, "revoke": true})).await;
    assert_eq!((revoked.status, &revoked.json()["revoked_now"]), (200, &json!(2)), "{}", revoked.text);
    let record = stand.record(&revoked);
    assert_eq!(record.action.as_deref(), Some("token.revoke_leaked"));
    assert_eq!(
        (record.before.unwrap()["revoked"].clone(), record.after.unwrap()["revoked"].clone()),
        (json!(false), json!(true))
    );
    let after = ask(&stand, &successor, "POST", path, Value::Null).await;
    assert_eq!(after.status, 401, "{}", after.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_another_namespace_are_out_of_reach_and_not_told_from_none() {
    let stand = stand().await;
    let (inside, ..) = planted(&stand, NAMESPACE, "inside", &[]).await;
    let (outside, ..) = planted(&stand, "group_100", "outside", &[]).await;
    let token = admin(&stand, "scoped-1").await;
    assert_eq!(ask(&stand, &token, "GET", &format!("service-accounts/{}", inside.id), Value::Null).await.status, 200);
    let nobody = "019aa3c1-7b2e-7c3d-9f10-2a4b6c8d0e1f";
    for id in
        [outside.id.to_string(), nobody.to_owned(), "group_100%2Foutside".to_owned(), "group_100%2Fnobody".to_owned()]
    {
        let answer = ask(&stand, &token, "GET", &format!("service-accounts/{id}"), Value::Null).await;
        is_problem(&stand, &answer, 403, "forbidden", "acl_denied");
    }
    let listed = ask(&stand, &token, "GET", &format!("service-accounts?namespace={NAMESPACE}"), Value::Null).await;
    assert_eq!(listed.json()["service_accounts"].as_array().unwrap().len(), 1, "{}", listed.text);
    for query in ["", "?namespace=group_100", "?namespace=@root", "?namespace=-"] {
        let answer = ask(&stand, &token, "GET", &format!("service-accounts{query}"), Value::Null).await;
        is_problem(&stand, &answer, 403, "forbidden", "acl_denied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_make_tokens_of_an_account_makes_no_account_by_it() {
    let mut stand = stand().await;
    stand.stop().await;
    // A namespace that is called as an account is.
    stand.write(
        "policies/inner.yaml",
        &support::stand::POLICY
            .replace("target: vault", "target: inner")
            .replace("group_200", "group_200/ci")
            .replace(", others", "")
            .replace("aliases: [https://vault.example.com, vault-too]", ""),
    );
    let rules = r#"path "sys/cambio/tokens/group_100/group_200/ci" { capabilities = ["create", "update"] }
path "sys/cambio/tokens/group_100/group_200/ci/*" { capabilities = ["create", "update"] }"#;
    vault::document(&stand, NAMESPACE, "admin/nothing", rules);
    stand.start().await;
    stand.settled().await;
    let (account, ..) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let token = admin(&stand, "idle-1").await;
    let end = stand.now().plus(DAY).to_string();
    let path = format!("service-accounts/{}/tokens", account.id);
    let issued = ask(&stand, &token, "POST", &path, json!({"name": "t", "expires_at": end})).await;
    assert_eq!(issued.status, 201, "{}", issued.text);
    for name in ["tokens", "ci", "approve"] {
        let mut body = new_account(&stand, name);
        body["namespace"] = json!(format!("{NAMESPACE}/ci"));
        let refused = ask(&stand, &token, "POST", "service-accounts", body).await;
        is_problem(&stand, &refused, 403, "forbidden", "acl_denied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn power_over_accounts_with_access_documents_takes_sudo() {
    let stand = stand().await;
    let (boss, boss_token, text) = planted(&stand, NAMESPACE, "boss", &["admin/all"]).await;
    let (plain, ..) = planted(&stand, NAMESPACE, "plain", &[]).await;
    // The account is an administrator by its own token.
    assert_eq!(ask(&stand, &text, "GET", "issuers", Value::Null).await.status, 200);
    let token = admin(&stand, "scoped-1").await;
    let with_documents = |mut body: Value| {
        body["policies"] = json!(["admin/all"]);
        body
    };
    let end = stand.now().plus(DAY).to_string();
    let boss = boss.id;
    for (method, path, body) in [
        ("POST", "service-accounts".to_owned(), with_documents(new_account(&stand, "mine"))),
        ("PATCH", format!("service-accounts/{}", plain.id), json!({"policies": ["admin/all"]})),
        ("PATCH", format!("service-accounts/{boss}"), json!({"owner": "me"})),
        ("POST", format!("service-accounts/{boss}/enable"), Value::Null),
        ("POST", format!("service-accounts/{boss}/tokens"), json!({"name": "mine", "expires_at": end})),
        ("POST", format!("service-accounts/{boss}/tokens/{boss_token}/rotate"), Value::Null),
    ] {
        let refused = ask(&stand, &token, method, &path, body.clone()).await;
        is_problem(&stand, &refused, 403, "forbidden", "acl_denied");
        let operator = admin(&stand, "ops-1").await;
        let allowed = ask(&stand, &operator, method, &path, body).await;
        assert!(matches!(allowed.status, 200 | 201), "{method} {path}: {}", allowed.text);
    }
    let without = ask(&stand, &token, "PATCH", &format!("service-accounts/{}/x", plain.id), Value::Null).await;
    assert_eq!(without.status, 404);
}

/// Somebody who may make accounts without documents makes one, and a token of it, and waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_older_than_its_accounts_documents_is_no_administrators() {
    let stand = stand().await;
    let [scoped, operator] = [admin(&stand, "scoped-1").await, admin(&stand, "ops-1").await];
    let made = ask(&stand, &scoped, "POST", "service-accounts", new_account(&stand, "ci")).await;
    let account = format!("service-accounts/{}", made.json()["id"].as_str().unwrap());
    let body = json!({"name": "mine", "expires_at": stand.now().plus(DAY).to_string()});
    let issued = ask(&stand, &scoped, "POST", &format!("{account}/tokens"), body).await;
    assert_eq!(issued.status, 201, "{}", issued.text);
    let mine = issued.json()["token"].as_str().unwrap().to_owned();
    let changed = ask(&stand, &operator, "PATCH", &account, json!({"policies": ["admin/all"]})).await;
    assert_eq!((changed.status, &changed.json()["tokens_revoked"]), (200, &json!(1)), "{}", changed.text);
    assert_eq!(stand.record(&changed).after.unwrap()["tokens_revoked"], 1);
    assert_eq!(ask(&stand, &mine, "GET", "issuers", Value::Null).await.status, 401);
}

#[rstest]
#[case::unknown_member(json!({"surname": "x"}), "body_malformed")]
#[case::no_owner(json!({"owner": null}), "body_malformed")]
#[case::empty_owner(json!({"owner": " "}), "invalid")]
#[case::bad_name(json!({"name": "a b"}), "body_malformed")]
#[case::bad_pattern(json!({"permissions": [{"secrets": "secret/../x"}]}), "body_malformed")]
#[case::bad_access(json!({"permissions": [{"secrets": "secret/x", "access": "admin"}]}), "body_malformed")]
#[case::another_account(json!({"policies": ["service-accounts/boss"]}), "invalid")]
#[case::no_end(json!({"expires_at": "soon"}), "body_malformed")]
#[case::long_ago(json!({"expires_at": "2020-01-01"}), "invalid")]
#[case::for_ever(json!({"expires_at": "2099-01-01"}), "invalid")]
#[case::nowhere(json!({"namespace": "group_100/nobody"}), "namespace_unknown")]
#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_account_is_refused(#[case] other: Value, #[case] reason: &str) {
    let stand = stand().await;
    let token = admin(&stand, "ops-1").await;
    let mut body = new_account(&stand, "ci");
    for (name, value) in other.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = ask(&stand, &token, "POST", "service-accounts", body).await;
    is_problem(&stand, &answer, 400, "bad-request", reason);
    assert!(accounts(&stand).list_all(None, 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_with_where_the_next_begins() {
    let stand = stand().await;
    for name in ["a", "b", "c", "d", "e"] {
        planted(&stand, NAMESPACE, name, &[]).await;
    }
    let token = admin(&stand, "ops-1").await;
    for query in ["", &*format!("&namespace={NAMESPACE}")] {
        let (mut cursor, mut names) = (String::new(), vec![]);
        loop {
            let page =
                ask(&stand, &token, "GET", &format!("service-accounts?limit=2{query}{cursor}"), Value::Null).await;
            let page = page.json();
            names.extend(page["service_accounts"].as_array().unwrap().iter().map(|one| one["name"].to_string()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(names.concat(), r#""a""b""c""d""e""#);
    }
    // A cursor is of its list.
    let path = format!("service-accounts?namespace={NAMESPACE}&cursor=group_100/a");
    assert_eq!(ask(&stand, &token, "GET", &path, Value::Null).await.status, 400);
    for query in ["limit=0", "limit=201", "limit=x", "cursor=X", "cursor=@root/a", "page=1", "limit=1&limit=2"] {
        assert_eq!(
            ask(&stand, &token, "GET", &format!("service-accounts?{query}"), Value::Null).await.status,
            400,
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_when_the_account_that_it_stopped_at_is_removed() {
    let stand = stand().await;
    let mut ids = vec![];
    for name in ["a", "b", "c"] {
        ids.push(planted(&stand, NAMESPACE, name, &[]).await.0.id);
    }
    let token = admin(&stand, "ops-1").await;
    for (query, at) in [(String::new(), 1), (format!("&namespace={NAMESPACE}"), 0)] {
        let path = format!("service-accounts?limit={}{query}", at + 1);
        let first = ask(&stand, &token, "GET", &path, Value::Null).await.json();
        let cursor = first["next_cursor"].as_str().unwrap();
        accounts(&stand).delete(ids[at], None).await.unwrap();
        let next = ask(&stand, &token, "GET", &format!("{path}&cursor={cursor}"), Value::Null).await;
        assert_eq!((next.status, &next.json()["service_accounts"][0]["name"]), (200, &json!("c")), "{}", next.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_good_no_more() {
    let stand = stand().await;
    let operator = admin(&stand, "ops-1").await;
    let victim = admin(&stand, "ops-2").await;
    assert_eq!(ask(&stand, &victim, "GET", "targets", Value::Null).await.status, 200);
    let revoked = ask(&stand, &operator, "POST", "revocations", json!({"token": victim})).await;
    assert_eq!(revoked.status, 200, "{}", revoked.text);
    assert!(!serde_json::to_string(&stand.records()).unwrap().contains(&victim));
    assert_eq!(ask(&stand, &victim, "GET", "targets", Value::Null).await.status, 401);
    for body in [json!({}), json!({"token": "x", "jti": "y"}), json!({"jti": "y"})] {
        assert_eq!(ask(&stand, &operator, "POST", "revocations", body).await.status, 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_issuers_is_told() {
    let stand = stand().await;
    let token = admin(&stand, "ops-1").await;
    let issuers = ask(&stand, &token, "GET", "issuers", Value::Null).await.json();
    let one = &issuers["issuers"][0];
    assert_eq!(
        (&one["name"], &one["usable"], &one["keys"]["last_error"]),
        (&json!("workloads"), &json!(true), &Value::Null)
    );
    assert!(one["keys"]["count"].as_u64().unwrap() > 0 && one["keys"]["digest"].as_str().unwrap().len() == 64);
    let missing = ask(&stand, &token, "POST", "issuers/nobody/refresh", Value::Null).await;
    is_problem(&stand, &missing, 404, "not-found", "issuer_unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_target_there_is_no_administration() {
    let stand = stand_with("service_accounts: {}\n").await;
    for path in ["service-accounts", "issuers", "decisions", "x"] {
        assert_eq!(ask(&stand, "", "GET", path, Value::Null).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_committed_served_and_of_every_endpoint() {
    let text = cambio::http::admin::document().unwrap();
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/openapi-admin.json");
    if std::env::var_os("CAMBIO_WRITE_OPENAPI").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == text, "renew it: CAMBIO_WRITE_OPENAPI=1 cargo test --test admin_api");
    let stand = stand().await;
    assert_eq!(ask(&stand, "", "GET", "openapi.json", Value::Null).await.text, text);
    // As many as those whose refusals are tested above: an endpoint that is new is tested as well.
    let api: Value = serde_json::from_str(&text).unwrap();
    let operations = api["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len());
    assert_eq!(operations.sum::<usize>(), endpoints(&stand).len());
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_found_by_filter_and_page_newest_first() {
    let stand = stand().await;
    let operator = admin(&stand, "ops-1").await;
    let idle = admin(&stand, "idle-1").await;
    let mut refused = vec![];
    for _ in 0..5 {
        stand.advance(1);
        refused.push(ask(&stand, &idle, "GET", "issuers", Value::Null).await);
    }
    kept(&stand, &operator, refused.last().unwrap()).await;
    let (mut cursor, mut found) = (String::new(), vec![]);
    loop {
        let path = format!("decisions?reason=acl_denied&outcome=denied&issuer=workloads&limit=2{cursor}");
        let page = ask(&stand, &operator, "GET", &path, Value::Null).await.json();
        found.extend(page["decisions"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<&str> = refused.iter().rev().map(Answer::decision).collect();
    assert_eq!(found, expected);
    let one = ask(&stand, &operator, "GET", &format!("decisions/{}", found[0]), Value::Null).await.json();
    assert_eq!(
        (&one["record"]["subject"], &one["record"]["action"]),
        (&json!("workloads:idle-1"), &json!("issuer.list"))
    );
    for query in ["outcome=nothing", "subject=nobody", "from=2099-01-01", "to=2020-01-01"] {
        let page = ask(&stand, &operator, "GET", &format!("decisions?{query}"), Value::Null).await;
        assert_eq!((page.status, &page.json()["decisions"]), (200, &json!([])), "{query}");
    }
    for query in ["from=soon", "cursor=x", "limit=0", "colour=red"] {
        assert_eq!(
            ask(&stand, &operator, "GET", &format!("decisions?{query}"), Value::Null).await.status,
            400,
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_use_of_a_token_is_found_also_of_what_it_was_exchanged_for() {
    let stand = stand().await;
    let operator = admin(&stand, "ops-1").await;
    let (_, id, text) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let (_, _, other) = planted(&stand, NAMESPACE, "other", &[]).await;
    let direct = ask(&stand, &text, "GET", "issuers", Value::Null).await;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &*text),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", "vault"),
    ];
    let exchanged = stand.post("/oauth2/token", &form).await;
    let minted = exchanged.json()["access_token"].as_str().unwrap().to_owned();
    let used = ask(&stand, &minted, "GET", "issuers", Value::Null).await;
    let unrelated = ask(&stand, &other, "GET", "issuers", Value::Null).await;
    kept(&stand, &operator, &unrelated).await;
    let page = ask(&stand, &operator, "GET", &format!("decisions?token={id}"), Value::Null).await;
    let json = page.json();
    let mut found: Vec<&str> =
        json["decisions"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    let mut expected = [&direct, &exchanged, &used].map(Answer::decision);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!((found.as_slice(), &json["complete"]), (expected.as_slice(), &json!(true)), "{}", page.text);
    let nobody = ask(&stand, &operator, "GET", &format!("decisions?token={}", direct.decision()), Value::Null).await;
    is_problem(&stand, &nobody, 404, "not-found", "not_found");
    // By the digest that stands in the audit in place of the token, too.
    let digest = stand.record(&exchanged).token.unwrap();
    let by_digest = ask(&stand, &operator, "POST", "tokens/search", json!({"digest": digest})).await;
    assert_eq!(by_digest.json()["token"]["id"], id.as_str(), "{}", by_digest.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_a_rule_acts_as_is_among_the_bindings() {
    let mut stand = stand().await;
    stand.stop().await;
    let bound = support::stand::POLICY.replace("target: vault", "target: bound").replace(", others", "");
    let bound = bound.replace("aliases: [https://vault.example.com, vault-too]", "");
    let bound = bound.replace("policies: ['\"jobs/global\"']", "service_account: ci");
    stand.write("policies/bound.yaml", &bound);
    stand.start().await;
    stand.settled().await;
    let operator = admin(&stand, "ops-1").await;
    let bindings = ask(&stand, &operator, "GET", "bindings", Value::Null).await.json();
    let one = &bindings["bindings"][0];
    assert_eq!(bindings["bindings"].as_array().unwrap().len(), 1, "{bindings}");
    assert_eq!((&one["service_account"], &one["target"], &one["rule"]), (&json!("ci"), &json!("bound"), &json!("job")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_asked_for_another_approves() {
    let issuer = support::Issuer::start().await;
    let stand =
        admin_support::stand_for(issuer, "admin: {target: admin}\nservice_accounts: {approval: second_person}\n").await;
    let [asker, approver] = [admin(&stand, "ops-1").await, admin(&stand, "ops-2").await];
    let made = ask(&stand, &asker, "POST", "service-accounts", new_account(&stand, "ci")).await;
    assert_eq!((made.status, &made.json()["status"]), (201, &json!("pending")), "{}", made.text);
    let waiting = ask(&stand, &approver, "GET", "grants", Value::Null).await.json();
    assert_eq!(waiting["service_accounts"][0]["name"], "ci");
    let path = format!("service-accounts/{}/approve", made.json()["id"].as_str().unwrap());
    let own = ask(&stand, &asker, "POST", &path, json!({"revision": 1})).await;
    is_problem(&stand, &own, 403, "forbidden", "same_person");
    let stale = ask(&stand, &approver, "POST", &path, json!({"revision": 7})).await;
    is_problem(&stand, &stale, 409, "conflict", "changed_meanwhile");
    let approved = ask(&stand, &approver, "POST", &path, json!({"revision": 1})).await;
    assert_eq!((approved.status, &approved.json()["status"]), (200, &json!("active")), "{}", approved.text);
    let record = stand.record(&approved);
    assert_eq!(
        (record.action.as_deref(), record.before.unwrap()["status"].clone()),
        (Some("grant.approve"), json!("pending"))
    );
    let waiting = ask(&stand, &approver, "GET", "grants", Value::Null).await.json();
    assert_eq!(waiting["service_accounts"], json!([]));
}

#[rstest]
#[case::by_refusing_it("POST", "/refuse", json!({"revision": 1}))]
#[case::by_asking_for_nothing("PATCH", "", json!({"permissions": []}))]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_its_own_account(#[case] method: &str, #[case] part: &str, #[case] body: Value) {
    let sections = "admin: {target: admin}\nservice_accounts: {approval: second_person}\n";
    let stand = admin_support::stand_for(support::Issuer::start().await, sections).await;
    let asker = admin(&stand, "ops-1").await;
    let made = ask(&stand, &asker, "POST", "service-accounts", new_account(&stand, "ci")).await;
    let account = format!("service-accounts/{}", made.json()["id"].as_str().unwrap());
    let new = json!({"name": "t", "expires_at": stand.now().plus(DAY).to_string()});
    let issued = ask(&stand, &asker, "POST", &format!("{account}/tokens"), new).await;
    let answer = ask(&stand, &asker, method, &format!("{account}{part}"), body).await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("pending")), "{}", answer.text);
    let used = ask(&stand, issued.json()["token"].as_str().unwrap(), "GET", "issuers", Value::Null).await;
    is_problem(&stand, &used, 401, "bad-token", "service_account_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_what_it_asked_for_because_another_changed_a_part_of_it() {
    let sections = "admin: {target: admin}\nservice_accounts: {approval: second_person}\n";
    let stand = admin_support::stand_for(support::Issuer::start().await, sections).await;
    let [maker, one, other] =
        [admin(&stand, "ops-0").await, admin(&stand, "ops-1").await, admin(&stand, "ops-2").await];
    let made = ask(&stand, &maker, "POST", "service-accounts", new_account(&stand, "ci")).await;
    let account = format!("service-accounts/{}", made.json()["id"].as_str().unwrap());
    let approved = ask(&stand, &one, "POST", &format!("{account}/approve"), json!({"revision": 1})).await;
    assert_eq!(approved.status, 200, "{}", approved.text);
    let asked = ask(&stand, &one, "PATCH", &account, json!({"policies": ["admin/scoped"]})).await;
    assert_eq!(asked.json()["pending"]["requested_by"], json!(["workloads:ops-1"]), "{}", asked.text);
    let changed = ask(&stand, &other, "PATCH", &account, json!({"permissions": [{"secrets": "secret/*"}]})).await;
    let changed = changed.json();
    assert_eq!(changed["pending"]["grants"]["policies"], json!(["admin/scoped"]), "what one asked for still waits");
    let body = json!({"revision": changed["revision"]});
    for asker in [&one, &other] {
        let answer = ask(&stand, asker, "POST", &format!("{account}/approve"), body.clone()).await;
        is_problem(&stand, &answer, 403, "forbidden", "same_person");
    }
    let answer = ask(&stand, &maker, "POST", &format!("{account}/approve"), body).await;
    assert_eq!((answer.status, &answer.json()["policies"]), (200, &json!(["admin/scoped"])), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_who_revokes_a_rotated_token_revokes_its_family() {
    let stand = stand().await;
    let (account, id, text) = planted(&stand, NAMESPACE, "ci", &[]).await;
    let operator = admin(&stand, "ops-1").await;
    let rotate = "/api/v4/personal_access_tokens/self/rotate";
    let successor = ask(&stand, &text, "POST", rotate, json!({"overlap": 60})).await.json()["token"].clone();
    let path = format!("service-accounts/{}/tokens/{id}", account.id);
    assert_eq!(ask(&stand, &operator, "DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(ask(&stand, successor.as_str().unwrap(), "GET", "issuers", Value::Null).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_a_token_of_an_account_may_end_it() {
    let stand = stand().await;
    let (account, _, text) = planted(&stand, NAMESPACE, "ci", &[]).await;
    assert_eq!(stand.post("/oauth2/revoke", &[("token", &text)]).await.status, 200);
    assert!(accounts(&stand).tokens(account.id, None, 10).await.unwrap()[0].revoked.is_some());
    assert_eq!(ask(&stand, &text, "GET", "issuers", Value::Null).await.status, 401);
}
