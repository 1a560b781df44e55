//! A real kube-apiserver: as the issuer of a pod's token, and as an independent verifier of ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::http::free_port;
use support::real_part::RealPart;
use support::stand::{entry, eventually};
use support::{AUDIENCE, Issuer, Stand};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

const POLICY: &str = r#"
target: vault
namespace: team-a
rules:
  - name: pod
    issuer: cluster
    let:
      kubernetes: 'claims["kubernetes.io"]'
    require:
      - that: 'kubernetes.namespace == "team-a" && kubernetes.serviceaccount.name == "deployer"'
        message: this is another service account
      - that: 'kubernetes.serviceaccount.uid == "UID"'
        message: the service account was created anew
      - that: has(kubernetes.pod)
        message: the token is not bound to a pod
    grant:
      policies: ['"workloads/team-a/deployer"']
      scopes: [read]
"#;

/// A cluster, and a counter that trusts it as a bare cluster has to be: by its CA, with a bearer token.
async fn cluster(arguments: &[&str], lines: &str, sections: &str) -> Option<(RealPart, Stand)> {
    let mut cluster = RealPart::kubernetes(arguments)?;
    let keys = format!(
        "platform: kubernetes\nkeys: {{cluster: {{server: {}, ca_file: {}, token_file: {}}}}}{lines}",
        cluster.said("url"),
        cluster.said("ca"),
        cluster.said("reader_token_file")
    );
    let mut stand = Stand::prepare(Issuer::start().await, &entry("cluster", &cluster.said("issuer"), &keys), sections);
    let account = cluster.command("token", &json!({}));
    stand.write("policies/vault.yaml", &POLICY.replace("UID", account["service_account_uid"].as_str().unwrap()));
    stand.start().await;
    stand.settled().await;
    Some((cluster, stand))
}

fn pod_token(cluster: &mut RealPart, stand: &Stand, pod: &str) -> String {
    requested(cluster, stand, &json!({"pod": pod, "audiences": [AUDIENCE]}))
}

fn requested(cluster: &mut RealPart, stand: &Stand, asked: &Value) -> String {
    let token = cluster.command("token", asked)["token"].as_str().unwrap().to_owned();
    stand.keeps_up();
    token
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pods_token_is_exchanged_and_no_exchange_fails_while_the_cluster_rotates_its_keys() {
    // Without the cache of verified tokens: each exchange needs the keys.
    let Some((mut cluster, stand)) = cluster(&["--issuer", ISSUER], "", "verified_token_cache: 0").await else {
        return;
    };
    let stand = Arc::new(stand);
    let anonymous = cluster.command("get", &json!({"path": "/openid/v1/jwks"}));
    assert_eq!(anonymous["status"], 403, "a bare cluster tells its keys only to whom it knows");

    let token = pod_token(&mut cluster, &stand, "api-1");
    let answer = stand.exchange(&token).await;
    let record = stand.permitted(&answer);
    assert_eq!(
        (record.issuer.as_deref(), record.policies.as_slice()),
        (Some("cluster"), ["workloads/team-a/deployer".to_owned()].as_slice())
    );
    let issued = stand.verified(&answer.token()).await;
    assert_eq!(issued.claims["sub"], "cluster:system:serviceaccount:team-a:deployer");

    for (asked, reason) in [
        (json!({"audiences": [AUDIENCE]}), "conditions_not_met"), // no pod
        (json!({"audiences": [AUDIENCE], "pod": "api-2", "service_account": "other"}), "conditions_not_met"),
        (json!({"audiences": ["another"], "pod": "api-1"}), "audience_mismatch"),
        (json!({"audiences": [AUDIENCE, "another"], "pod": "api-1"}), "audience_not_single"),
        (json!({"audiences": [AUDIENCE, ISSUER], "pod": "api-1"}), "audience_of_platform"),
    ] {
        let token = requested(&mut cluster, &stand, &asked);
        let answer = stand.exchange(&token).await;
        stand.refused(&answer, 400, "invalid_request", reason);
    }

    // The load: tokens from before, throughout; the API server is away for some seconds.
    let tokens: Vec<_> = (0..8).map(|n| pod_token(&mut cluster, &stand, &format!("load-{n}"))).collect();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut load = tokio::task::JoinSet::new();
    for token in tokens.clone() {
        let (stand, stop, done) = (Arc::clone(&stand), Arc::clone(&stop), Arc::clone(&done));
        load.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let answer = stand.exchange(&token).await;
                assert_eq!(answer.status, 200, "{}", answer.text);
                done.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await; // the API server needs the processor as well
            }
        });
    }
    let before = done.load(Ordering::Relaxed);
    let rotated = cluster.command("rotate", &json!({"alg": "ES256"}));
    assert_eq!(rotated["algs"], json!(["ES256", "RS256"]));
    assert!(done.load(Ordering::Relaxed) > before + 100, "exchanges went on meanwhile");
    stand.advance(31); // beyond the cooldown
    let fresh = pod_token(&mut cluster, &stand, "api-1");
    assert_eq!(jsonwebtoken::decode_header(&fresh).unwrap().alg, jsonwebtoken::Algorithm::ES256);
    let answer = stand.exchange(&fresh).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let after = done.load(Ordering::Relaxed);
    eventually("exchanges with the old key's tokens go on", || done.load(Ordering::Relaxed) > after + 50).await;
    stop.store(true, Ordering::Relaxed);
    load.join_all().await;
    let rules = stand.running().counter().rules();
    let status = rules.issuers.iter().next().unwrap().keys().status();
    assert_eq!((status.keys, status.fetches), (2, 2), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_api_server_takes_our_token_for_who_it_says() {
    let Some(mut cluster) = RealPart::kubernetes(&[]) else { return };
    let url = format!("https://localhost:{}", free_port());
    let sections = format!(
        "issuer: {url}\nlisten: 127.0.0.1:{}\ntls: {{certificate: {}, key: {}}}",
        url.rsplit_once(':').unwrap().1,
        cluster.said("gateway_cert"),
        cluster.said("gateway_key")
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(cluster.said("gateway_key"), mode).unwrap();
    let mut stand = Stand::open_with("replay: reusable", &sections).await;
    stand.speaks_tls(&cluster.said("ca"));
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
    let token = answer.token();

    cluster.command("trust", &json!({"issuer": url, "audience": "vault", "groups_claim": "policies"}));
    // The API server reads our discovery document some seconds after it started.
    let mut status = Value::Null;
    for _ in 0..60 {
        status = cluster.command("review", &json!({"token": token}));
        if status["authenticated"] == true {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(status["authenticated"], true, "{status}");
    assert_eq!(status["user"]["username"], "workloads:job-17");
    let groups = status["user"]["groups"].as_array().unwrap();
    assert!(groups.contains(&json!("jobs/global")), "{groups:?}");

    let (text, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{text}.{}", signature.chars().rev().collect::<String>());
    assert_ne!(cluster.command("review", &json!({"token": forged}))["authenticated"], true);
    let other = stand.token().sign();
    let mut form = support::exchange(&other);
    form[3].1 = "deploy";
    let deploy = stand.post("/oauth2/token", &form).await.token();
    assert_ne!(cluster.command("review", &json!({"token": deploy}))["authenticated"], true, "it is for another");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_pod_loses_access_where_the_cluster_is_asked() {
    let Some((mut cluster, stand)) = cluster(&["--issuer", ISSUER], "\ntoken_review: true", "").await else {
        return;
    };
    let (kept, deleted) = (pod_token(&mut cluster, &stand, "kept"), pod_token(&mut cluster, &stand, "deleted"));
    for token in [&kept, &deleted] {
        stand.permitted(&stand.exchange(token).await);
    }
    cluster.command("delete_pod", &json!({"pod": "deleted"}));
    // The token verifies, was verified before, and has most of its life before it. An API server remembers for ten seconds
    // what it said of a token.
    let mut answer = stand.exchange(&deleted).await;
    for _ in 0..150 {
        if answer.status != 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer = stand.exchange(&deleted).await;
    }
    stand.refused(&answer, 400, "invalid_request", "token_gone");
    stand.permitted(&stand.exchange(&kept).await);
    cluster.command("pause", &json!({}));
    stand.refused(&stand.exchange(&kept).await, 503, "temporarily_unavailable", "token_review_unavailable");
    cluster.command("resume", &json!({}));
    let answer = stand.exchange(&kept).await;
    stand.permitted(&answer);
}
