//! Limits as callers meet them: over the surfaces, with exact headers, and who goes on while somebody floods.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "a test says so")]

mod accounts;
mod support;
mod vault;

use std::sync::Arc;
use std::time::Duration;

use cambio::accounts::AccountToken;
use cambio::audit::Surface;
use cambio::exchange::{Ask, Naming, NotServedClass, Source};
use cambio::secrets::{ApiCall, Verb};
use serde_json::{Value, json};
use support::stand::CLIENT_SECRET;
use support::{Answer, Stand};

async fn stand(limits: &str) -> Stand {
    let stand = Stand::open_with(
        "replay: reusable",
        &format!("rate_limits: {limits}\nclients: [{{id: rs, secret_file: rs.secret, targets: [vault]}}]"),
    )
    .await;
    stand.settled().await;
    stand
}

async fn login(stand: &Stand, jwt: &str) -> Answer {
    let body = json!({"role": "vault", "jwt": jwt}).to_string();
    stand.send(stand.request("/v1/auth/jwt/login").body(body)).await
}

fn headers(answer: &Answer) -> [String; 7] {
    ["limit", "name", "observed", "remaining", "reset", "resettime"]
        .map(|name| answer.header(&format!("ratelimit-{name}")).to_owned())
        .into_iter()
        .chain([answer.header("retry-after").to_owned()])
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

#[tokio::test]
async fn a_subject_over_its_budget_is_told_on_every_surface_and_another_goes_on() {
    let stand = stand("{subject: 3 per 1m, source: 1000 per 1m}").await;
    let (token, now) = (stand.token().claim("sub", "job-1").sign(), stand.now().as_secs());
    for left in [2, 1, 0_u64] {
        let answer = stand.exchange(&token).await;
        stand.permitted(&answer);
        let (observed, reset) = ((3 - left).to_string(), (now + 20 * i64::try_from(3 - left).unwrap()).to_string());
        assert_eq!(headers(&answer), ["3", "subject", &observed, &left.to_string(), &reset, "", ""]);
    }
    let refused = stand.exchange(&token).await;
    let record = stand.refused(&refused, 429, "temporarily_unavailable", "limit_subject");
    assert_eq!(record.subject.as_deref(), Some("job-1"));
    let told = headers(&refused);
    assert_eq!(told[..5], ["3", "subject", "4", "0", &(now + 60).to_string()]);
    assert_eq!(told[6], "20");
    let date = cambio::clock::Timestamp::from_http_date(&told[5]).unwrap();
    assert_eq!(date.as_secs(), now + 60);
    // The same subject at the Vault surface; the second refusal of one bucket in ten seconds leaves no record of its own.
    let refused = login(&stand, &token).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "20"));
    assert!(refused.json()["errors"][0].as_str().unwrap().contains("quota"), "{}", refused.text);
    assert!(stand.records().iter().all(|record| record.id != refused.decision()));
    stand.permitted(&stand.exchange(&stand.token().claim("sub", "job-2").sign()).await);
    stand.advance(20);
    stand.permitted(&stand.exchange(&token).await);
    let refused = stand.exchange(&token).await;
    assert!(stand.record(&refused).detail.unwrap().contains("; 1 more since"), "{refused:?}");
}

#[tokio::test]
async fn a_flood_of_garbage_from_one_address_stops_nobody_else_behind_it() {
    let stand = stand("{failures: 50 per 1m}").await;
    let known = stand.token().claim("sub", "job-known").sign();
    stand.permitted(&stand.exchange(&known).await);
    let mut statuses = [0; 2];
    for number in 0..300 {
        let answer = match number % 3 {
            0 => stand.exchange("garbage").await,
            1 => stand.post("/oauth2/token", &[("grant_type", "nonsense")]).await,
            _ => stand.exchange(&(stand.token().claim("sub", format!("job-{number}")).sign() + "AAAA")).await,
        };
        match answer.status {
            400 => statuses[0] += 1,
            429 => statuses[1] += 1,
            other => panic!("{other} {}", answer.text),
        }
        if answer.status == 429 {
            assert_eq!(answer.text_of("error"), "temporarily_unavailable");
            assert_eq!(answer.header("ratelimit-name"), "failures");
        }
        if number % 30 == 0 {
            stand.permitted(&stand.exchange(&known).await);
        }
    }
    assert!(statuses[0] <= 60 && statuses[1] >= 240, "{statuses:?}");
    // A new token of somebody who was here before, and no more records than the budget and a few.
    let answer = stand.exchange(&stand.token().claim("sub", "job-known").claim("n", 1).sign()).await;
    stand.permitted(&answer);
    assert_eq!((answer.header("retry-after"), answer.header("ratelimit-resettime")), ("", ""), "it was let on");
    let refused = stand.records().iter().filter(|record| record.outcome == "denied").count();
    assert!(refused < 65, "{refused}");
    let metrics = stand.ops("/metrics").await.text;
    assert!(metrics.contains("cambio_limit_checks_total{limit=\"failures\",result=\"refused\"}"), "{metrics}");
    assert!(stand.ops("/readyz").await.text.contains("kept by this replica"));
}

#[tokio::test]
async fn resource_servers_and_whoever_ends_tokens_have_budgets_too() {
    let stand = stand("{source: 4 per 1m, failures: 2 per 1m, subject: off}").await;
    for _ in 0..2 {
        let refused =
            stand.post("/oauth2/introspect", &[("token", "x"), ("client_id", "x"), ("client_secret", "x")]).await;
        assert_eq!((refused.status, refused.header("ratelimit-name").is_empty()), (401, false));
    }
    let refused = stand.post("/oauth2/introspect", &[("token", "x"), ("client_id", "x"), ("client_secret", "x")]).await;
    assert_eq!((refused.status, refused.header("ratelimit-name")), (429, "failures"));
    let revoked = stand.post("/oauth2/revoke", &[("token", "x")]).await;
    assert_eq!((revoked.status, revoked.text_of("error").as_str()), (429, "temporarily_unavailable"));
    assert_eq!(stand.get("/v1/sys/health").await.status, 200);
    stand.advance(60);
    assert_eq!(stand.post("/oauth2/revoke", &[("token", "x")]).await.status, 200);
}

#[tokio::test]
async fn secrets_are_read_within_the_budget_of_the_subject_that_logged_in() {
    let stand = stand("{subject: 4 per 1m}").await;
    let token = stand.exchange(&stand.token().claim("sub", "job-1").sign()).await.token();
    let body = r#"{"data":{"a":"b"}}"#;
    let write =
        async || stand.send(stand.request("/v1/secret/data/a").header("x-vault-token", &token).body(body)).await;
    for left in ["2", "1", "0"] {
        let answer = write().await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (403, left), "{}", answer.text);
    }
    let refused = write().await;
    assert_eq!(
        (refused.status, refused.header("ratelimit-name"), refused.header("retry-after")),
        (429, "subject", "15")
    );
    assert_eq!(stand.record(&refused).reason.as_deref(), Some("limit_subject"));
    let errors: Value = refused.json();
    assert_eq!(errors["errors"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_is_a_source_of_its_own() {
    let sections = "rate_limits: {source: 2 per 1m}\nhttp: {trusted_proxies: [127.0.0.0/8]}";
    let stand = Stand::open_with("replay: reusable", sections).await;
    stand.settled().await;
    let token = stand.token().claim("sub", "job-1").sign();
    let from = async |client: &str| {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(support::exchange(&token)).finish();
        let request = stand.request("/oauth2/token").header("content-type", "application/x-www-form-urlencoded");
        stand.send(request.header("x-forwarded-for", client).body(body)).await
    };
    for _ in 0..2 {
        let answer = from("6.6.6.6, 192.0.2.1").await;
        assert_eq!(stand.permitted(&answer).remote.unwrap().to_string(), "192.0.2.1");
    }
    let refused = from("7.7.7.7, 192.0.2.1").await;
    stand.refused(&refused, 429, "temporarily_unavailable", "limit_source");
    stand.permitted(&from("192.0.2.2").await);
}

#[tokio::test]
async fn rest_tells_budgets_and_refuses_by_them_in_its_own_words() {
    let stand = stand("{failures: 2 per 1m, source: off, subject: off}").await;
    for left in ["1", "0"] {
        let answer = stand.get("/api/v4/projects/1/secrets/a/value").await;
        let told = (answer.status, answer.header("ratelimit-name"), answer.header("ratelimit-remaining"));
        assert_eq!(told, (401, "failures", left), "{}", answer.text);
    }
    let refused = stand.get("/api/v4/projects/1/secrets/a/value").await;
    assert_eq!((refused.status, refused.header("content-type")), (429, "application/problem+json"));
    assert_eq!((refused.header("ratelimit-limit"), refused.header("retry-after")), ("2", "30"));
    assert!(!refused.header("ratelimit-resettime").is_empty());
    assert_eq!(stand.record(&refused).reason.as_deref(), Some("limit_failures"));
}

/// Asks about a token as a resource server does.
async fn introspect(stand: &Stand, token: &str) -> Answer {
    let request = stand.request("/oauth2/introspect").basic_auth("rs", Some(CLIENT_SECRET));
    stand.send(request.header("content-type", "application/x-www-form-urlencoded").body(format!("token={token}"))).await
}

#[tokio::test]
async fn whoever_proves_nothing_takes_nothing_from_those_behind_the_same_address() {
    let stand = stand("{source: 20 per 1m, failures: 5 per 1m}").await;
    let job = stand.token().claim("sub", "job-1").sign();
    let token = stand.exchange(&job).await.token();
    for _ in 0..50 {
        for path in ["/v1/auth/token/lookup-self", "/v1/sys/mounts", "/v1/sys/wrapping/lookup"] {
            let answer = stand.get(path).await;
            assert!(matches!(answer.status, 400 | 403 | 429), "{path}: {}", answer.text);
        }
        let answer = stand.post("/oauth2/introspect", &[("token", "x")]).await;
        assert!(matches!(answer.status, 401 | 429), "{}", answer.text);
        let answer = stand.post("/oauth2/introspect", &[("token", "x"), ("token", "y")]).await;
        assert!(matches!(answer.status, 400 | 429), "{}", answer.text);
        let answer = stand.post("/oauth2/revoke", &[("token", "x")]).await;
        assert!(matches!(answer.status, 200 | 429), "{}", answer.text);
    }
    assert_eq!(stand.get("/v1/auth/token/lookup-self").await.header("ratelimit-name"), "failures");
    // Of twenty good requests one was made so far.
    for left in (0..19).rev() {
        let answer = match left % 3 {
            0 => stand.exchange(&job).await,
            1 => introspect(&stand, &token).await,
            _ => vault::read(&stand, &token, "auth/token/lookup-self").await,
        };
        assert_eq!(answer.status, 200, "{left}: {}", answer.text);
        assert_eq!(answer.header("retry-after"), "");
    }
    let refused = introspect(&stand, &token).await;
    assert_eq!((refused.status, refused.header("ratelimit-name")), (429, "source"));
}

#[tokio::test]
async fn calls_about_a_token_are_its_subjects_and_ending_it_is_always_possible() {
    let stand = stand("{subject: 3 per 1m, failures: 2 per 1m}").await;
    let token = stand.exchange(&stand.token().claim("sub", "job-1").sign()).await.token();
    let lookup = async || vault::read(&stand, &token, "auth/token/lookup-self").await;
    assert_eq!((lookup().await.status, lookup().await.status), (200, 200));
    let refused = lookup().await;
    assert_eq!((refused.status, refused.header("ratelimit-name")), (429, "subject"));
    // What is not renewable is refused, and is no failure of somebody whose token is good.
    stand.advance(60);
    for _ in 0..3 {
        assert_eq!(vault::with(&stand, &token, "POST", "auth/token/renew-self", &Value::Null).await.status, 400);
    }
    assert_eq!(lookup().await.status, 429);
    assert_eq!(vault::with(&stand, &token, "POST", "auth/token/revoke-self", &Value::Null).await.status, 204);
    assert_eq!((lookup().await.status, lookup().await.status), (403, 403));
    assert_eq!(lookup().await.header("ratelimit-name"), "failures");
}

#[tokio::test]
async fn made_up_tokens_of_service_accounts_keep_none_out_that_was_good() {
    let stand = vault::stand_with("rate_limits: {failures: 50 per 1m}\n").await;
    let (_, issued) = accounts::token(&stand, "reports", &["secret/app/*"]).await;
    let good = issued.token.text();
    let read = async |token: &str| vault::read(&stand, token, "secret/data/app/none").await;
    assert_eq!(read(good).await.status, 404);
    let flood = async || {
        let mut denied = 0;
        for number in 0..200 {
            let made_up = AccountToken::new().unwrap();
            // Every other one is told from a token by its checksum alone.
            let text = if number % 2 == 0 { made_up.text().to_owned() } else { format!("{}0", &made_up.text()[..58]) };
            match read(&text).await.status {
                403 => denied += 1,
                429 => {}
                other => panic!("{other}"),
            }
        }
        denied
    };
    let denied = flood().await;
    assert!((50..=60).contains(&denied), "{denied}");
    for round in 0..40 {
        assert_eq!(read(good).await.status, 404, "{round}");
        let exchanged = accounts::exchanged(&stand, good).await;
        assert_eq!(exchanged.status, 200, "{round}: {}", exchanged.text);
    }
    // Also when it has to be looked up again.
    stand.advance(5);
    flood().await;
    for _ in 0..40 {
        assert_eq!(read(good).await.status, 404);
    }
}

#[tokio::test]
async fn texts_that_are_no_tokens_take_nothing_from_strangers_who_have_one() {
    let stand = stand("{failures: 50 per 1m}").await;
    let token = stand.exchange(&stand.token().claim("sub", "job-1").sign()).await.token();
    for _ in 0..100 {
        vault::read(&stand, "garbage", "auth/token/lookup-self").await;
        vault::read(&stand, &format!("{}garbage", AccountToken::new().unwrap().text()), "auth/token/lookup-self").await;
    }
    // Nobody has seen this token of ours yet, and this one not the issuer's.
    assert_eq!(vault::read(&stand, &token, "auth/token/lookup-self").await.status, 200);
    stand.permitted(&stand.exchange(&stand.token().claim("sub", "job-2").sign()).await);
}

/// A request for a secret, past the listener: as many at once as no test has connections for.
async fn access(stand: Arc<Stand>, token: String) -> Result<(), NotServedClass> {
    let call = ApiCall { verb: Verb::Read, path: "", version: None, depth: None, body: b"" };
    let (namespace, path) = ("", "secret/data/app/db");
    let ask = Ask { token: &token, namespace, naming: Naming::Loose, path, call, query: "" };
    let source = Source { surface: Surface::Vault, address: "192.0.2.1".parse().unwrap() };
    let served = stand.running().counter().access(source).serve(ask).await;
    served.map(drop).map_err(|not_served| not_served.class)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_does_not_take_the_room_that_everybodys_records_need() {
    // It takes connections, and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let secrets = format!(
        "secrets:\n  mounts: [{{mount: secret, namespace: \"*\", store: openbao, openbao: bao}}]\n  openbao: [{{name: bao, \
         address: \"http://{address}\", timeout: 60s}}]\n"
    );
    let stand = Arc::new(vault::stand_with(&secrets).await);
    let job = stand.token().claim("sub", "job-1").sign();
    let token = stand.exchange(&job).await.token();
    let (room, more) = (stand.running().counter().journal().capacity() / 8, 50);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..room + more {
        asking.spawn(access(Arc::clone(&stand), token.clone()));
    }
    for number in 0..more {
        let ended = tokio::time::timeout(Duration::from_secs(20), asking.join_next()).await;
        let ended = ended.unwrap_or_else(|_| panic!("only {number} were refused")).unwrap().unwrap();
        assert_eq!(ended, Err(NotServedClass::Unavailable(Duration::from_secs(5))));
    }
    assert_eq!(asking.len(), room);
    let answer = stand.exchange(&job).await;
    stand.permitted(&answer);
    let refused = vault::read(&stand, &token, "secret/data/app/db").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"));
    assert_eq!(stand.record(&refused).reason.as_deref(), Some("upstream_unavailable"));
    asking.abort_all();
    while asking.join_next().await.is_some() {}
}
