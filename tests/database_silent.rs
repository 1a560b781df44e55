//! Many callers of a counter whose real PostgreSQL hangs, or is gone without a word: few of them wait, and none of those who need
//! no database. It is found again without a restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]
#![allow(missing_docs)]

mod support;
mod vault;
mod vault_support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use support::postgres::Postgres;
use support::{Answer, Issuer, Stand};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use vault_support::{NAMESPACE, login, plant, prepare, send};

const PATH: &str = "secret/data/app/db";

/// Sections that name the database; those of the secrets go on where they stood.
fn sections(url: &str) -> String {
    format!("  master_key_file: master.key\ntokens: {{keys: database}}\nstate: {{database: {{url: '{url}'}}}}\n")
}

async fn written(issuer: Issuer, url: &str) -> Stand {
    let stand = prepare(issuer, &sections(url)).await;
    stand.write_private("master.key", &format!("01{}", "aa".repeat(31)));
    stand
}

/// A replica with a secret in the database.
async fn replica(url: &str) -> Stand {
    let mut stand = written(Issuer::start().await, url).await;
    stand.start().await;
    stand.settled().await;
    plant(&stand, NAMESPACE, PATH, &json!({"password": "one"})).await;
    stand
}

async fn read(stand: &Stand, token: &str) -> Answer {
    send(stand, "GET", PATH, &[("x-vault-token", token)], None).await
}

async fn write(stand: &Stand, token: &str, path: &str, value: &str) -> Answer {
    send(stand, "POST", path, &[("x-vault-token", token)], Some(&json!({"data": {"password": value}}))).await
}

async fn revoke(stand: &Stand, token: &str) -> Answer {
    stand.post("/oauth2/revoke", &[("token", token)]).await
}

/// Whether a token of ours is good, which asks no database.
async fn stands(stand: &Stand, token: &str) -> u16 {
    send(stand, "GET", "auth/token/lookup-self", &[("x-vault-token", token)], None).await.status
}

async fn exchanges(stand: &Stand) {
    let answer = stand.post("/oauth2/token", &exchange_for_app(&stand.token().sign())).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

fn exchange_for_app(token: &str) -> Vec<(&str, &str)> {
    let mut form = support::exchange(token);
    for (name, value) in &mut form {
        if *name == "audience" || *name == "resource" {
            *value = "app";
        }
    }
    form
}

#[track_caller]
fn unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{answer:?}");
}

async fn database_check(stand: &Stand) -> Value {
    let ready = stand.ops("/readyz").await;
    assert_eq!(ready.status, 200, "{}", ready.text);
    let checks = ready.json()["checks"].as_array().unwrap().clone();
    checks.into_iter().find(|check| check["name"] == "database").unwrap()
}

/// Asks until the answer is 200: how long that took.
async fn recovers(stand: &Stand, token: &str) -> Duration {
    let began = Instant::now();
    while read(stand, token).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while database_check(stand).await["ok"] != json!(true) {
        assert!(began.elapsed() < Duration::from_secs(30), "it is not told that it recovered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

async fn timed<T>(what: &str, answer: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let answer = answer.await;
    eprintln!("{what}: {:?}", began.elapsed());
    (answer, began.elapsed())
}

/// While nothing answers: what needs the database is refused, soon; what needs none goes on.
async fn without_a_database(stand: &Stand, token: &str) {
    let (answer, first) = timed("the first read", read(stand, token)).await;
    unavailable(&answer);
    assert!(first < Duration::from_secs(10), "{first:?}");
    let (answers, rest) = timed("20 reads more", async {
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(read(stand, token).await);
        }
        answers
    })
    .await;
    answers.iter().for_each(unavailable);
    // One in a second asks, and waits for two.
    assert!(rest < Duration::from_secs(10), "they piled up: {rest:?}");
    unavailable(&write(stand, token, PATH, "two").await);
    let (_, exchange) = timed("an exchange", exchanges(stand)).await;
    assert!(exchange < Duration::from_secs(2), "{exchange:?}");
    let answer = revoke(stand, token).await;
    unavailable(&answer);
    assert_eq!(stands(stand, token).await, 200, "it was not revoked");
    let check = database_check(stand).await;
    assert!(!check.to_string().contains("postgres://"), "{check}");
}

async fn as_before(stand: &Stand, token: &str) {
    timed("recovery", recovers(stand, token)).await;
    assert_eq!(read(stand, token).await.json()["data"]["data"]["password"], "one", "what was refused was not written");
    assert_eq!(write(stand, token, PATH, "two").await.status, 200);
    assert_eq!(revoke(stand, token).await.status, 200);
    assert_eq!(stands(stand, token).await, 403);
}

/// Reads of as many callers at once: how long the longest took, and how many took longer than half a second.
async fn at_once(stand: &Arc<Stand>, token: &str, callers: usize) -> (Duration, usize) {
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (stand, token) = (Arc::clone(stand), token.to_owned());
        reads.spawn(async move {
            let began = Instant::now();
            unavailable(&read(&stand, &token).await);
            began.elapsed()
        });
    }
    let took = reads.join_all().await;
    let slow = took.iter().filter(|took| **took > Duration::from_millis(500)).count();
    let longest = took.into_iter().max().unwrap();
    eprintln!("{callers} reads at once: {longest:?} at most, {slow} of them waited");
    (longest, slow)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_hangs_those_on_the_way_wait_once_and_of_those_after_them_a_few() {
    let Some(server) = Postgres::start() else { return };
    let stand = Arc::new(replica(&server.url()).await);
    let token = login(&stand, "app").await;
    all_connections(&stand, &token).await;
    server.pause();
    let (longest, _) = at_once(&stand, &token, 100).await;
    assert!(longest < Duration::from_secs(9), "{longest:?}");
    for _ in 0..3 {
        let (_, slow) = at_once(&stand, &token, 100).await;
        assert!(slow <= 10, "{slow} of 100 waited");
    }
    without_a_database(&stand, &token).await;
    server.resume();
    as_before(&stand, &token).await;
}

/// Every connection that can be is made.
async fn all_connections(stand: &Arc<Stand>, token: &str) {
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (stand, token) = (Arc::clone(stand), token.to_owned());
        reads.spawn(async move { assert_eq!(read(&stand, &token).await.status, 200) });
    }
    reads.join_all().await;
}

/// A way to a server on which nothing comes through for a while, and of what was sent then nothing ever does.
struct Way {
    port: u16,
    cut: watch::Sender<bool>,
    delay_ms: watch::Sender<u64>,
}

impl Way {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            port: listener.local_addr().unwrap().port(),
            cut: watch::Sender::new(false),
            delay_ms: watch::Sender::new(0),
        };
        let (cut, delay_ms) = (this.cut.subscribe(), this.delay_ms.subscribe());
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let (cut, delay_ms) = (cut.clone(), delay_ms.clone());
                tokio::spawn(async move {
                    if *cut.borrow() {
                        std::future::pending::<()>().await;
                    }
                    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let ((read, write), (read_server, write_server)) = (caller.into_split(), server.into_split());
                    tokio::spawn(Self::carry(read, write_server, cut.clone(), watch::channel(0).1));
                    tokio::spawn(Self::carry(read_server, write, cut, delay_ms));
                });
            }
        });
        this
    }

    async fn carry(
        mut from: tokio::net::tcp::OwnedReadHalf,
        mut to: tokio::net::tcp::OwnedWriteHalf,
        cut: watch::Receiver<bool>,
        delay_ms: watch::Receiver<u64>,
    ) {
        let mut some = [0; 8192];
        while let Ok(count @ 1..) = from.read(&mut some).await {
            let delay = *delay_ms.borrow();
            tokio::time::sleep(Duration::from_millis(delay)).await;
            if *cut.borrow() {
                // For good: neither end hears of it, as when a machine is gone.
                std::future::pending::<()>().await;
            }
            if to.write_all(&some[..count]).await.is_err() {
                return;
            }
        }
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_gone_without_a_word_is_found_again_by_new_connections() {
    let Some(server) = Postgres::start() else { return };
    let way = Way::to(server.port()).await;
    let stand = Arc::new(replica(&way.url()).await);
    let token = login(&stand, "app").await;
    all_connections(&stand, &token).await;
    way.cut.send_replace(true);
    without_a_database(&stand, &token).await;
    way.cut.send_replace(false);
    as_before(&stand, &token).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_far_away_is_waited_for() {
    let Some(server) = Postgres::start() else { return };
    let way = Way::to(server.port()).await;
    let stand = replica(&way.url()).await;
    let token = login(&stand, "app").await;
    way.delay_ms.send_replace(150);
    let (answer, _) = timed("a read with 150 ms per answer", read(&stand, &token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let (answer, _) = timed("a write with 150 ms per answer", write(&stand, &token, PATH, "two")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let (_, exchange) = timed("an exchange", exchanges(&stand)).await;
    assert!(exchange < Duration::from_secs(2), "{exchange:?}");
    way.delay_ms.send_replace(0);
    assert_eq!(read(&stand, &token).await.json()["data"]["data"]["password"], "two");
}
