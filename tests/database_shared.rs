//! Replicas over one real PostgreSQL: what one writes or revokes the other knows; and what happens while the database is
//! stopped, paused or slow. No counter is started again for any of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "how long an answer takes while the database is away is what is asked")]

mod support;
mod vault;

use std::time::{Duration, Instant};

use cambio::app::App;
use cambio::clock::Clock;
use cambio::config::Config;
use serde_json::{Value, json};
use support::postgres::Postgres;
use support::stand::{CLIENT_SECRET, entry};
use support::{Answer, Issuer, Stand};
use vault::{ADMINS, JOBS, NAMESPACE, document, job, login, read, with, write};

/// How long an answer may take while the database is away: 2 s for a connection, or 5 s for a statement, on a machine that
/// has other things to do.
const AT_MOST: Duration = Duration::from_secs(12);

fn prepared(issuer: &Issuer, url: &str) -> Stand {
    let entries = entry("workloads", issuer.name(), "replay: reusable");
    let sections = format!(
        "tokens: {{keys: database}}\nstate: {{database: {{url: '{url}'}}}}\nsecrets:\n  master_key_file: master.key\n  mounts: [{{mount: secret, namespace: '*', store: local}}]\nclients: [{{id: rs, secret_file: rs.secret, targets: [vault]}}]\n"
    );
    let stand = Stand::prepare(issuer.clone(), &entries, &sections);
    stand.write_private("master.key", &format!("01{}", "5a".repeat(31)));
    document(&stand, NAMESPACE, "jobs/global", JOBS);
    document(&stand, NAMESPACE, "jobs/admin", ADMINS);
    stand
}

async fn replica(issuer: &Issuer, postgres: &Postgres) -> Stand {
    let mut stand = prepared(issuer, &postgres.url());
    stand.start().await;
    stand.settled().await;
    stand
}

async fn revoke(stand: &Stand, token: &str) -> Answer {
    stand.post("/oauth2/revoke", &[("token", token)]).await
}

async fn is_good(stand: &Stand, token: &str) -> bool {
    let answer = introspect(stand, token).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["active"].as_bool().unwrap()
}

async fn introspect(stand: &Stand, token: &str) -> Answer {
    let request = stand.request("/oauth2/introspect").basic_auth("rs", Some(CLIENT_SECRET));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    stand.send(request.body(format!("token={token}"))).await
}

async fn database_check(stand: &Stand) -> Value {
    let ready = stand.ops("/readyz").await;
    assert_eq!(ready.status, 200, "{}", ready.text);
    let checks = ready.json()["checks"].as_array().unwrap().clone();
    checks.into_iter().find(|check| check["name"] == "database").unwrap()
}

/// Waits until a check of `/readyz` says so.
async fn told(stand: &Stand, ok: bool) -> Value {
    let began = Instant::now();
    loop {
        let check = database_check(stand).await;
        if check["ok"] == ok {
            return check;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{check}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What is the same in every outage: exchanges go on, and so do checks by what is known; reading and writing secrets and revoking
/// are told to come again, in time.
async fn goes_on_without(stand: &Stand, token: &str, revoked: &str) {
    let began = Instant::now();
    let exchanged = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&exchanged);
    assert!(login(stand, "auth/jwt/login", "vault", &stand.token().sign()).await.status == 200);
    assert!(is_good(stand, token).await && !is_good(stand, revoked).await);
    assert_eq!(read(stand, token, "auth/token/lookup-self").await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(3), "nothing of this waits for the database: {:?}", began.elapsed());
    for (what, answer) in [
        ("read", timed(read(stand, token, "secret/data/app/db")).await),
        ("list", timed(with(stand, token, "LIST", "secret/metadata/app", &Value::Null)).await),
        ("write", timed(write(stand, token, "app/db", json!({"a": "lost"}))).await),
        ("revoke", timed(revoke(stand, token)).await),
    ] {
        assert_eq!(answer.status, 503, "{what}: {}", answer.text);
        assert_eq!(answer.header("retry-after"), "5", "{what}");
    }
    assert!(is_good(stand, token).await, "a revocation that was refused has no effect");
}

async fn timed(answer: impl Future<Output = Answer>) -> Answer {
    let began = Instant::now();
    let answer = answer.await;
    assert!(began.elapsed() < AT_MOST, "{:?}", began.elapsed());
    answer
}

/// Reads, writes and revokes again, on the same counter.
async fn is_back(stand: &Stand, token: &str) {
    told(stand, true).await;
    let began = Instant::now();
    while write(stand, token, "app/db", json!({"a": "again"})).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answer = read(stand, token, "secret/data/app/db").await;
    assert_eq!(answer.json()["data"]["data"]["a"], "again");
    assert_eq!(revoke(stand, token).await.status, 200);
    assert!(!is_good(stand, token).await);
}

/// A replica with a secret, a good token and a revoked one.
async fn furnished(postgres: &Postgres) -> (Stand, String, String) {
    let stand = replica(&Issuer::start().await, postgres).await;
    let (token, revoked) = (job(&stand).await, job(&stand).await);
    assert_eq!(write(&stand, &token, "app/db", json!({"a": "b"})).await.status, 200);
    assert_eq!(revoke(&stand, &revoked).await.status, 200);
    (stand, token, revoked)
}

#[tokio::test]
async fn what_one_replica_writes_or_revokes_the_other_knows() {
    let Some(postgres) = Postgres::start() else { return };
    let issuer = Issuer::start().await;
    let (one, other) = (replica(&issuer, &postgres).await, replica(&issuer, &postgres).await);
    let token = job(&one).await;
    assert_eq!(write(&one, &token, "app/db", json!({"a": "b"})).await.status, 200);
    // The other takes the keys over within a moment.
    let began = Instant::now();
    while read(&other, &token, "secret/data/app/db").await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_good(&other, &token).await);
    assert_eq!(revoke(&one, &token).await.status, 200);
    assert!(!is_good(&one, &token).await);
    let revoked = Instant::now();
    while is_good(&other, &token).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
        // Promised are 2 s; a machine that runs other tests beside this one has longer.
        assert!(revoked.elapsed() < Duration::from_secs(5), "the other replica does not learn of it");
    }
    println!("seen by the other replica after {:?}", revoked.elapsed());
    let refused = read(&other, &token, "secret/data/app/db").await;
    assert_eq!(refused.status, 403);
    assert_eq!(other.record(&refused).reason.as_deref(), Some("token_not_good"));
    assert_eq!(database_check(&other).await["ok"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_version_is_given_twice_and_none_is_lost_whichever_replica_writes() {
    let Some(postgres) = Postgres::start() else { return };
    let issuer = Issuer::start().await;
    let replicas = [replica(&issuer, &postgres).await, replica(&issuer, &postgres).await];
    let replicas: &'static [Stand; 2] = Box::leak(Box::new(replicas));
    let tokens: &'static [String; 2] = Box::leak(Box::new([job(&replicas[0]).await, job(&replicas[1]).await]));
    let writing: Vec<_> = (0..40)
        .map(|number| {
            tokio::spawn(async move {
                let (stand, token) = (&replicas[number % 2], &tokens[number % 2]);
                // The namespace, its first data key and the secret are made by whoever is first.
                let answer = write(stand, token, "app/many", json!({"n": number})).await;
                assert_eq!(answer.status, 200, "{}", answer.text);
                answer.json()["data"]["version"].as_u64().unwrap()
            })
        })
        .collect();
    let mut versions = Vec::new();
    for written in writing {
        versions.push(written.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=40).collect::<Vec<_>>());
    // Of those who replace the same version one wins.
    let replacing: Vec<_> = (0..10)
        .map(|number| {
            tokio::spawn(async move {
                let body = json!({"data": {"n": number}, "options": {"cas": 40}});
                with(&replicas[number % 2], &tokens[number % 2], "POST", "secret/data/app/many", &body).await.status
            })
        })
        .collect();
    let mut won = 0;
    for replaced in replacing {
        won += usize::from(replaced.await.unwrap() == 200);
    }
    assert_eq!(won, 1);
    assert_eq!(postgres.ask("SELECT secrets, (SELECT COUNT(*) FROM secrets) FROM secret_namespaces"), "1|1");
    assert_eq!(postgres.ask("SELECT sealed FROM data_keys"), "41");
}

#[tokio::test]
async fn while_the_database_is_stopped_exchanges_go_on_and_it_is_found_again() {
    let Some(mut postgres) = Postgres::start() else { return };
    let (stand, token, revoked) = furnished(&postgres).await;
    postgres.kill();
    let check = told(&stand, false).await;
    assert!(check["detail"].as_str().unwrap().contains("the database is not available"), "{check}");
    goes_on_without(&stand, &token, &revoked).await;
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(read(&stand, &token, "secret/data/app/db").await.status, 503);
    }
    assert!(began.elapsed() < AT_MOST, "of many requests few wait: {:?}", began.elapsed());
    postgres.start_again();
    is_back(&stand, &token).await;
}

#[tokio::test]
async fn while_the_database_is_paused_exchanges_go_on_and_it_is_found_again() {
    let Some(postgres) = Postgres::start() else { return };
    let (stand, token, revoked) = furnished(&postgres).await;
    postgres.pause();
    goes_on_without(&stand, &token, &revoked).await;
    told(&stand, false).await;
    postgres.resume();
    is_back(&stand, &token).await;
}

#[tokio::test]
async fn a_slow_database_is_waited_for() {
    let Some(postgres) = Postgres::start() else { return };
    let (stand, token, _) = furnished(&postgres).await;
    let pulses = tokio::task::spawn_blocking(move || {
        for _ in 0..10 {
            postgres.pause();
            std::thread::sleep(Duration::from_millis(300));
            postgres.resume();
            std::thread::sleep(Duration::from_millis(100));
        }
        postgres
    });
    for number in 0..8 {
        let answer = timed(write(&stand, &token, "app/slow", json!({"n": number}))).await;
        assert_eq!((answer.status, answer.json()["data"]["version"].as_u64()), (200, Some(number + 1)));
    }
    let postgres = pulses.await.unwrap();
    is_back(&stand, &token).await;
    drop(postgres);
}

#[tokio::test]
async fn a_replica_that_was_cut_off_for_a_minute_vouches_for_no_token_and_exchanges_on() {
    let Some(mut postgres) = Postgres::start() else { return };
    let (stand, token, _) = furnished(&postgres).await;
    postgres.kill();
    told(&stand, false).await;
    stand.advance(61);
    let refused = read(&stand, &token, "secret/data/app/db").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"), "{}", refused.text);
    assert_eq!(stand.record(&refused).reason.as_deref(), Some("revocations_unknown"));
    assert_eq!(read(&stand, &token, "auth/token/lookup-self").await.status, 503);
    // Only of tokens of ours is there anything to be known.
    let (signed, _) = token.rsplit_once('.').unwrap();
    for garbage in ["garbage", &format!("{signed}.{}", "A".repeat(86))] {
        let refused = read(&stand, garbage, "secret/data/app/db").await;
        assert_eq!(refused.status, 403, "{}", refused.text);
        assert_eq!(stand.record(&refused).reason.as_deref(), Some("token_not_good"));
    }
    assert_eq!(introspect(&stand, &token).await.status, 503);
    assert_eq!(revoke(&stand, &token).await.status, 503);
    let exchanged = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&exchanged);
    let check = told(&stand, false).await;
    assert!(check["detail"].as_str().unwrap().starts_with("no token of ours is good"), "{check}");
    postgres.start_again();
    told(&stand, true).await;
    is_back(&stand, &job(&stand).await).await;
}

#[tokio::test]
async fn without_its_database_no_replica_starts_and_the_url_is_not_told() {
    let issuer = Issuer::start().await;
    let port = support::http::free_port();
    let stand = prepared(&issuer, &format!("postgres://cambio@127.0.0.1:{port}/cambio"));
    let began = Instant::now();
    let config = Config::load(&stand.path("cambio.yaml")).unwrap();
    let Err(error) = App::open(config, Clock::System).await else { panic!("it started") };
    let text = error.to_string();
    assert!(text.starts_with("the database: the database is not available"), "{text}");
    assert!(!text.contains(&port.to_string()) && !text.contains("cambio@"), "{text}");
    assert!(began.elapsed() >= Duration::from_secs(14) && began.elapsed() < Duration::from_secs(25));
}

#[tokio::test]
async fn a_replica_that_starts_before_its_database_waits_for_it() {
    let Some(mut postgres) = Postgres::start() else { return };
    let issuer = Issuer::start().await;
    let mut stand = prepared(&issuer, &postgres.url());
    postgres.kill();
    let started = tokio::spawn(async move {
        stand.start().await;
        stand
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!started.is_finished());
    postgres.start_again();
    let stand = started.await.unwrap();
    stand.settled().await;
    let token = job(&stand).await;
    assert_eq!(write(&stand, &token, "app/db", json!({"a": "b"})).await.status, 200);
}
