//! Replicas that share the memory of single-use tokens in a real Redis: one presentation wins wherever it is made, and what
//! happens when Redis is stopped, paused, slow, full, started again or replaced. No counter is started again for any of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cambio::clock::Clock;
use rstest::rstest;
use serde_json::{Value, json};
use support::http::{free_port, reqwest_client};
use support::redis::Redis;
use support::stand::{entry, eventually};
use support::{Answer, Issuer, Stand, exchange};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A replica that trusts `issuer` for tokens of one use, and waits for Redis longer than a busy machine can take.
async fn replica(issuer: &Issuer, url: &str) -> Stand {
    replica_with(issuer, &format!("{{url: '{url}', timeout: 3s}}")).await
}

async fn replica_with(issuer: &Issuer, counters: &str) -> Stand {
    let entries = entry("workloads", issuer.name(), "replay: single_use");
    Stand::open_for(issuer.clone(), &entries, &format!("state: {{counters: {counters}}}")).await
}

fn unavailable(stand: &Stand, answer: &Answer) {
    stand.refused(answer, 503, "temporarily_unavailable", "replay_memory_unavailable");
    assert_eq!(answer.header("retry-after"), "5");
}

fn is_up(stand: &Stand) -> bool {
    stand.running().counter().counters().unwrap().status().up
}

async fn shared_check(stand: &Stand) -> Value {
    let ready = stand.ops("/readyz").await;
    assert_eq!(ready.status, 200, "{}", ready.text);
    let checks = ready.json()["checks"].as_array().unwrap().clone();
    checks.into_iter().find(|check| check["name"] == "shared counters").unwrap()
}

/// A token that a memory which has only just begun admits: it is from after that, and from longer after than clocks may
/// differ, so that it takes some seconds to get one.
async fn admitted_afresh(stand: &Stand) -> String {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        let ahead = Clock::System.now().as_secs() - stand.now().as_secs() + 10 + 4;
        let token = stand.token().shift("iat", ahead).shift("exp", ahead).sign();
        if stand.exchange(&token).await.status == 200 {
            return token;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("no token is admitted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_presentations_at_two_counters_exactly_one_is_admitted() {
    let Some(redis) = Redis::start() else { return };
    let issuer = Issuer::start().await;
    let stands = [Arc::new(replica(&issuer, &redis.url()).await), Arc::new(replica(&issuer, &redis.url()).await)];
    for stand in &stands {
        stand.settled().await;
    }
    for round in 0..200 {
        let token = stands[0].token().sign();
        let mut presentations = tokio::task::JoinSet::new();
        for n in 0..4 {
            let (stand, token) = (Arc::clone(&stands[n % 2]), token.clone());
            presentations.spawn(async move { stand.exchange(&token).await });
        }
        let answers = presentations.join_all().await;
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        let lost = answers.iter().filter(|answer| answer.status == 400).count();
        assert_eq!((won, lost), (1, 3), "{round}: {answers:?}");
    }
    assert_eq!((stands[0].allowed() + stands[1].allowed(), redis.remembered()), (200, 200));
    let records: Vec<_> = stands.iter().flat_map(|stand| stand.records()).collect();
    let replayed = records.iter().filter(|record| record.reason.as_deref() == Some("token_replayed")).count();
    assert_eq!((records.len(), replayed), (800, 600));
    let metrics = stands[0].ops("/metrics").await.text;
    assert!(metrics.contains("cambio_shared_counters_up 1") && metrics.contains("_remember 1"), "{metrics}");
    assert!(metrics.contains("cambio_shared_counters_commands_total{result=\"failed\"} 0"), "{metrics}");
    assert_eq!(shared_check(&stands[0]).await["ok"], json!(true));
}

/// `cambio serve` in a process of its own.
struct Process {
    child: Child,
    url: String,
    _directory: tempfile::TempDir,
}

impl Process {
    async fn start(issuer: &Issuer, redis: &Redis, client: &reqwest::Client) -> Self {
        let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
        let entries = entry("workloads", issuer.name(), "replay: single_use");
        let sections = format!("listen: 127.0.0.1:{port}\nstate: {{counters: {{timeout: 3s}}}}");
        let config = directory.path().join("cambio.yaml");
        std::fs::write(&config, support::stand::configuration(&entries, &sections)).unwrap();
        std::fs::create_dir(directory.path().join("policies")).unwrap();
        let policy = support::stand::POLICY.replace(", others", "");
        std::fs::write(directory.path().join("policies/vault.yaml"), policy).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
        command.arg("serve").arg("--config").arg(&config).env_clear().env("CAMBIO_REDIS_URL", redis.url());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let this = Self { child, url: format!("http://127.0.0.1:{port}"), _directory: directory };
        for _ in 0..500 {
            let keys = client.get(format!("{}/oauth2/jwks", this.url)).send().await;
            if keys.is_ok_and(|answer| answer.status().is_success()) {
                return this;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("cambio does not listen");
    }

    async fn exchange(&self, client: &reqwest::Client, token: &str) -> u16 {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(exchange(token)).finish();
        let request = client.post(format!("{}/oauth2/token", self.url)).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.send().await.unwrap().status().as_u16()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_presentations_at_two_processes_exactly_one_is_admitted() {
    let Some(redis) = Redis::start() else { return };
    let (issuer, client) = (Issuer::start().await, reqwest_client(None));
    let one = Process::start(&issuer, &redis, &client).await;
    let other = Process::start(&issuer, &redis, &client).await;
    for round in 0..200 {
        let token = issuer.token(Clock::System.now()).sign();
        let (first, second) = tokio::join!(one.exchange(&client, &token), other.exchange(&client, &token));
        assert_eq!([first, second].into_iter().filter(|status| *status == 200).count(), 1, "{round}: {first} {second}");
        assert_eq!(first + second, 600, "{round}: {first} {second}");
    }
    // Whoever is killed takes nothing along.
    let token = issuer.token(Clock::System.now()).sign();
    assert_eq!(one.exchange(&client, &token).await, 200);
    drop(one);
    let successor = Process::start(&issuer, &redis, &client).await;
    for process in [&other, &successor] {
        assert_eq!(process.exchange(&client, &token).await, 400);
    }
}

#[tokio::test]
async fn while_redis_is_paused_single_use_is_denied_at_once_and_everything_else_goes_on() {
    let Some(redis) = Redis::start() else { return };
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let entries =
        entry("workloads", issuer.name(), "replay: single_use") + &entry("others", other.name(), "replay: reusable");
    let sections = format!("state: {{counters: {{url: '{}'}}}}", redis.url());
    let stand = Stand::open_for(issuer, &entries, &sections).await;
    stand.settled().await;
    let before = stand.token().sign();
    let answer = stand.exchange(&before).await;
    stand.permitted(&answer);

    redis.pause();
    let (token, mut took) = (stand.token().sign(), Vec::new());
    for _ in 0..30 {
        let began = Instant::now();
        let answer = stand.exchange(&token).await;
        took.push(began.elapsed());
        unavailable(&stand, &answer);
        let answer = stand.exchange(&other.token(stand.now()).sign()).await;
        stand.permitted(&answer);
    }
    println!("denied after {:?}, then {:?} at most", took[0], took[1..].iter().max().unwrap());
    assert!(took[0] < Duration::from_millis(250 + 500), "{took:?}");
    assert!(took[1..].iter().all(|took| *took < Duration::from_millis(150)), "{took:?}");
    let check = shared_check(&stand).await;
    assert!(check["ok"] == json!(false) && check["detail"].as_str().unwrap().contains("single-use"), "{check}");
    let metrics = stand.ops("/metrics").await.text;
    assert!(metrics.contains("cambio_shared_counters_up 0"), "{metrics}");
    assert!(metrics.contains("cambio_shared_counters_commands_total{result=\"down\"} 29"), "{metrics}");

    redis.resume();
    let began = Instant::now();
    eventually("it is back", || is_up(&stand)).await;
    println!("back after {:?}", began.elapsed());
    // Nothing of what was denied was burnt.
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    for spent in [before, token] {
        let answer = stand.exchange(&spent).await;
        stand.refused(&answer, 400, "invalid_request", "token_replayed");
    }
}

/// Without its disk a Redis that was started again knows nothing, and is not believed about what was before; with it, where
/// the operator vouches for the disk, it goes on.
#[rstest]
#[case::that_forgot(&[], "false", false)]
#[case::that_may_have_forgotten(&["--appendonly", "yes", "--appendfsync", "everysec"], "false", false)]
#[case::that_remembers(&["--appendonly", "yes", "--appendfsync", "always"], "true", true)]
#[case::that_was_to_remember_and_has_no_file(&[], "true", false)]
#[tokio::test]
async fn a_redis_that_is_started_again_admits_nothing_twice(
    #[case] arguments: &[&str],
    #[case] durable: &str,
    #[case] remembers: bool,
) {
    let Some(mut redis) = Redis::start_with(arguments) else { return };
    redis.has_been_there("cambio:");
    if remembers {
        redis.vouched_for_since("cambio:", redis.now() - 3_600_000);
    }
    let counters = format!("{{url: '{}', timeout: 3s, durable: {durable}}}", redis.url());
    let stand = replica_with(&Issuer::start().await, &counters).await;
    stand.settled().await;
    let [spent, unspent] = [stand.token().sign(), stand.token().sign()];
    let answer = stand.exchange(&spent).await;
    stand.permitted(&answer);
    redis.kill();
    eventually("it was noticed", || !is_up(&stand)).await;
    let answer = stand.exchange(&spent).await;
    unavailable(&stand, &answer);
    redis.start_again();
    eventually("it is back", || is_up(&stand)).await;
    let answer = stand.exchange(&spent).await;
    if remembers {
        stand.refused(&answer, 400, "invalid_request", "token_replayed");
        let answer = stand.exchange(&unspent).await;
        stand.permitted(&answer);
        return;
    }
    unavailable(&stand, &answer);
    let answer = stand.exchange(&unspent).await;
    let record = stand.refused(&answer, 503, "temporarily_unavailable", "replay_memory_unavailable");
    assert!(record.detail.unwrap().contains("before the shared memory began"));
    // Tokens from now on are good, once, after the few seconds by which clocks may differ.
    let token = admitted_afresh(&stand).await;
    let answer = stand.exchange(&token).await;
    stand.refused(&answer, 400, "invalid_request", "token_replayed");
}

#[tokio::test]
async fn a_copy_that_takes_over_behind_the_same_name_is_found() {
    let Some(first) = Redis::start() else { return };
    let port = first.port().to_string();
    let Some(copy) = Redis::start_with(&["--replicaof", "127.0.0.1", &port]) else { return };
    let name = Relay::start(first.port()).await;
    let stand = replica(&Issuer::start().await, &name.url()).await;
    stand.settled().await;
    let spent = stand.token().sign();
    let answer = stand.exchange(&spent).await;
    stand.permitted(&answer);
    drop(first);
    name.leads_to(copy.port());
    eventually("it was noticed", || !is_up(&stand)).await;
    // It takes no writes yet.
    let answer = stand.exchange(&stand.token().sign()).await;
    unavailable(&stand, &answer);
    copy.ask(&["REPLICAOF", "NO", "ONE"]);
    eventually("it is back", || is_up(&stand)).await;
    let answer = stand.exchange(&spent).await;
    unavailable(&stand, &answer);
}

/// A name that leads to one server or another, and takes its time.
struct Relay {
    port: u16,
    to: Arc<AtomicU64>,
    delay_ms: Arc<AtomicU64>,
}

impl Relay {
    async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (to, delay_ms) = (Arc::new(AtomicU64::new(u64::from(to))), Arc::new(AtomicU64::new(0)));
        let this = Self { port, to: Arc::clone(&to), delay_ms: Arc::clone(&delay_ms) };
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let to = u16::try_from(to.load(Ordering::SeqCst)).unwrap();
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
                let ((mut read, mut write), (mut read_server, mut write_server)) =
                    (caller.into_split(), server.into_split());
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut write_server).await });
                let delay_ms = Arc::clone(&delay_ms);
                tokio::spawn(async move {
                    let mut some = [0; 4096];
                    while let Ok(count @ 1..) = read_server.read(&mut some).await {
                        tokio::time::sleep(Duration::from_millis(delay_ms.load(Ordering::SeqCst))).await;
                        if write.write_all(&some[..count]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        this
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn leads_to(&self, port: u16) {
        self.to.store(u64::from(port), Ordering::SeqCst);
    }

    fn answers_after(&self, millis: u64) {
        self.delay_ms.store(millis, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_slow_redis_is_waited_for_until_the_timeout_and_a_lost_answer_admits_nobody() {
    let Some(redis) = Redis::start() else { return };
    let name = Relay::start(redis.port()).await;
    let stand = replica_with(&Issuer::start().await, &format!("{{url: '{}'}}", name.url())).await;
    stand.settled().await;
    name.answers_after(60);
    let token = stand.token().sign();
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
    name.answers_after(600);
    let lost = stand.token().sign();
    let began = Instant::now();
    let answer = stand.exchange(&lost).await;
    unavailable(&stand, &answer);
    assert!(began.elapsed() < Duration::from_millis(250 + 500), "{:?}", began.elapsed());
    name.answers_after(0);
    eventually("it is back", || is_up(&stand)).await;
    // Redis did remember it, and nobody knows who was told so.
    let answer = stand.exchange(&lost).await;
    stand.refused(&answer, 400, "invalid_request", "token_replayed");
    let answer = stand.exchange(&stand.token().sign()).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn a_full_redis_denies_burns_nothing_and_heals() {
    let Some(redis) = Redis::start() else { return };
    let stand = replica(&Issuer::start().await, &redis.url()).await;
    stand.settled().await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let token = stand.token().sign();
    let answer = stand.exchange(&token).await;
    let record = stand.refused(&answer, 503, "temporarily_unavailable", "replay_memory_unavailable");
    assert!(record.detail.unwrap().contains("full"));
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    let answer = stand.exchange(&token).await;
    stand.permitted(&answer);
}

#[tokio::test]
async fn a_redis_that_may_evict_is_told_of_and_single_use_is_denied() {
    let Some(redis) = Redis::start() else { return };
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let stand = replica(&Issuer::start().await, &redis.url()).await;
    stand.settled().await;
    let answer = stand.exchange(&stand.token().sign()).await;
    let record = stand.refused(&answer, 503, "temporarily_unavailable", "replay_memory_unavailable");
    assert!(record.detail.unwrap().contains("`maxmemory-policy` is `allkeys-lru`"));
    let check = shared_check(&stand).await;
    assert!(check["ok"] == json!(false) && check["detail"].as_str().unwrap().contains("noeviction"), "{check}");
    let metrics = stand.ops("/metrics").await.text;
    assert!(metrics.contains("cambio_shared_counters_up 1") && metrics.contains("_remember 0"), "{metrics}");
}

#[tokio::test]
async fn a_counter_starts_without_redis_and_finds_it_later() {
    let Some(mut redis) = Redis::start() else { return };
    redis.kill();
    let began = Instant::now();
    let stand = replica(&Issuer::start().await, &redis.url()).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    stand.settled().await;
    let answer = stand.exchange(&stand.token().sign()).await;
    unavailable(&stand, &answer);
    redis.start_again();
    eventually("it is there", || is_up(&stand)).await;
    assert_eq!(shared_check(&stand).await["ok"], json!(true));
    let token = admitted_afresh(&stand).await;
    let answer = stand.exchange(&token).await;
    stand.refused(&answer, 400, "invalid_request", "token_replayed");
}

#[tokio::test]
async fn what_a_denial_and_a_forgery_burn_is_nothing_here_too() {
    let Some(redis) = Redis::start() else { return };
    let stand = replica(&Issuer::start().await, &redis.url()).await;
    stand.settled().await;
    let token = stand.token();
    let late = stand.token().shift("exp", -3570).sign();
    let forged = format!("{}.{}", token.sign().rsplit_once('.').unwrap().0, support::key::encode([1; 64]));
    for refused in [late, forged] {
        assert_eq!(stand.exchange(&refused).await.status, 400);
    }
    assert_eq!(redis.remembered(), 0);
    let answer = stand.exchange(&token.sign()).await;
    stand.permitted(&answer);
    assert_eq!(redis.remembered(), 1);
}
