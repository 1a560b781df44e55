//! Limits as callers meet them: over the surfaces, with exact headers, and who goes on while somebody floods.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "a test says so")]

mod support;

use serde_json::{Value, json};
use support::{Answer, Stand};

async fn stand(limits: &str) -> Stand {
    let stand = Stand::open_with("replay: reusable", &format!("rate_limits: {limits}")).await;
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
    stand.permitted(&stand.exchange(&stand.token().claim("sub", "job-known").claim("n", 1).sign()).await);
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
