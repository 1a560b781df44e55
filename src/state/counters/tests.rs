//! Against a real Redis: equal to the arithmetic, once for all, in bounded time, and what each way of its going away means.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use tokio::time::Instant;

use super::gcra::{self, Bucket};
use super::real::Redis;
use super::*;
use crate::clock::Clock;

const PATIENCE: Duration = Duration::from_millis(250);

/// Counters that wait longer than a busy machine can take.
async fn over(redis: &Redis) -> Counters {
    patient(redis, Duration::from_secs(3)).await
}

async fn patient(redis: &Redis, timeout: Duration) -> Counters {
    Counters::open(CountersSettings::new(&redis.url(), None).unwrap().with_timeout(timeout).unwrap()).await
}

fn now() -> Timestamp {
    Clock::System.now()
}

/// A token that was issued just now.
fn token(n: u8) -> OnceAsk {
    OnceAsk { key: [n; 16], earliest: now(), until: now().plus(Duration::from_mins(10)) }
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(20), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn up(counters: &Counters) {
    eventually("the counters came up", async || counters.status().up).await;
}

#[tokio::test]
async fn of_all_that_ask_on_two_connections_exactly_one_is_told_so() {
    let Some(redis) = Redis::start() else { return };
    let replicas = [Arc::new(over(&redis).await), Arc::new(over(&redis).await)];
    for round in 0..200 {
        let mut presentations = tokio::task::JoinSet::new();
        for n in 0..8 {
            let counters = Arc::clone(&replicas[n % 2]);
            presentations.spawn(async move { counters.remember_once(&token(round), now()).await.unwrap() });
        }
        let told = presentations.join_all().await;
        assert_eq!(told.iter().filter(|new| **new).count(), 1, "{round}");
    }
    assert_eq!(redis.remembered(), 200);
}

/// The same asks to the script and to the pure function, at moments that also go back.
#[test]
fn the_server_computes_what_the_arithmetic_says() {
    let Some(redis) = Redis::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let counters = runtime.block_on(over(&redis));
    let sizes = prop_oneof![
        (0_u64..20, 60_000_u64..200_000),
        Just((7, 60_000)),
        Just((MAX_LIMIT, 86_400_000)),
        Just((u64::MAX, u64::MAX)),
    ];
    let costs = prop_oneof![4 => 0_u64..6, 1 => 6_u64..25, 1 => Just(u64::MAX)];
    let steps = prop_oneof![4 => -3_000_i64..30_000, 1 => -100_000_000_i64..100_000_000];
    let asks = proptest::collection::vec((0_usize..3, steps, costs), 1..40);
    let run = std::sync::atomic::AtomicU64::new(0);
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(proptest::array::uniform3(sizes), asks), |(sizes, asks)| {
        let run = run.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut model: [Option<Bucket>; 3] = [None; 3];
        let mut clock = 1_795_000_000_000_i64;
        for (which, step, cost) in asks {
            clock += step;
            let moment = Timestamp::from_millis(clock);
            let (limit, window) = sizes[which];
            let key = format!("{run}-{which}");
            // The server drops what has leaked by its own clock: nothing here is so little that it would within a test.
            let cost = if limit > 1_000 { cost.saturating_mul(MAX_LIMIT / 20) } else { cost };
            let ask = BucketAsk { key: key.as_bytes(), limit, window: Duration::from_millis(window), cost };
            // The same bucket twice in one command: each on its own, one after the other.
            let (answers, _) = runtime.block_on(counters.take_at(&[ask, ask], Some(moment))).unwrap();
            for answer in answers {
                let (expected, next) = gcra::take(model[which], &ask, moment);
                model[which] = next.or(model[which]);
                prop_assert_eq!(answer, expected);
            }
        }
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn a_budget_is_one_for_all_and_is_not_kept_longer_than_it_matters() {
    let Some(redis) = Redis::start() else { return };
    let (one, other) = (over(&redis).await, over(&redis).await);
    let ask = |cost| BucketAsk { key: b"source \x00\xff", limit: 10, window: Duration::from_secs(60), cost };
    // A clock that is wrong by hours changes nothing: all go by the server's.
    let wrong = now().plus(Duration::from_hours(3));
    for n in 0..10 {
        let answers = if n % 2 == 0 { one.take(&[ask(1)], wrong).await } else { other.take(&[ask(1)], now()).await };
        assert!(answers.unwrap()[0].allowed, "{n}");
    }
    let refused = one.take(&[ask(1), ask(0)], now()).await.unwrap();
    assert!(refused.iter().all(|answer| !answer.allowed && answer.retry_after > Duration::from_secs(4)), "{refused:?}");
    assert!(one.status().clock_ahead_ms < -10_000_000 || one.status().clock_ahead_ms.abs() < 5_000);
    let keys = redis.ask(&["KEYS", "cambio:bucket:*"]);
    assert_eq!(keys.matches("cambio:bucket:60000:source").count(), 1, "{keys}");
    let answer = one.take(&[BucketAsk { limit: 1, window: Duration::from_millis(40), ..ask(1) }], now()).await.unwrap();
    assert!(answer[0].allowed, "a window of another length is another bucket");
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert!(!redis.ask(&["KEYS", "cambio:bucket:40:*"]).contains("source"), "an empty bucket is gone");
    assert!(one.take(&[], now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_paused_server_costs_one_timeout_and_nobody_after_it_waits() {
    let Some(redis) = Redis::start() else { return };
    let counters = Arc::new(patient(&redis, PATIENCE).await);
    assert!(counters.remember_once(&token(1), now()).await.unwrap());
    redis.pause();
    let began = Instant::now();
    let mut waiting = tokio::task::JoinSet::new();
    for n in 10..30 {
        let counters = Arc::clone(&counters);
        waiting.spawn(async move { counters.remember_once(&token(n), now()).await });
    }
    assert!(waiting.join_all().await.iter().all(Result::is_err));
    assert!((PATIENCE..PATIENCE * 4).contains(&began.elapsed()), "{:?}", began.elapsed());
    let began = Instant::now();
    for n in 30..130 {
        assert_eq!(counters.remember_once(&token(n), now()).await, Err(CountersError::Down));
    }
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let status = counters.status();
    assert!(!status.up && status.error.is_some() && status.tally.results[2] >= 100, "{status:?}");

    redis.resume();
    let began = Instant::now();
    up(&counters).await;
    println!("back after {:?}", began.elapsed());
    // What reached the server after its time burnt nothing: the caller was told to come again, and can.
    for n in 10..30 {
        assert_eq!(counters.remember_once(&token(n), now()).await, Ok(true), "{n}");
    }
    assert_eq!(counters.remember_once(&token(1), now()).await, Ok(false), "and nothing is forgotten");
}

#[tokio::test]
async fn a_server_that_is_gone_is_found_again_and_asked_since_when_it_remembers() {
    let Some(mut redis) = Redis::start() else { return };
    let counters = over(&redis).await;
    let before = token(1);
    assert!(counters.remember_once(&before, now()).await.unwrap());
    redis.kill();
    eventually("it was noticed", async || counters.remember_once(&token(2), now()).await.is_err()).await;
    assert!(counters.take(&[], now()).await.is_err());
    redis.start_again();
    up(&counters).await;
    // It says "new" to everything now, and is not believed about what may have come before.
    for ask in [before, token(3)] {
        let answer = counters.remember_once(&ask, now()).await;
        assert!(matches!(answer, Err(CountersError::Forgotten(_))), "{answer:?}");
    }
    let later = OnceAsk { earliest: counters.status().since.unwrap().plus(CLOCKS_DIFFER * 2), ..token(4) };
    eventually("later tokens are taken", async || counters.remember_once(&later, now()).await == Ok(true)).await;
}

#[rstest]
#[case::everything(&["FLUSHALL"])]
#[case::the_name_alone(&["DEL", "cambio:memory"])]
#[case::another_name(&["SET", "cambio:memory", "another:0 1000"])]
#[tokio::test]
async fn a_server_that_was_emptied_admits_nobody_again(#[case] command: &[&str]) {
    let Some(redis) = Redis::start() else { return };
    let counters = over(&redis).await;
    let before = token(1);
    assert!(counters.remember_once(&before, now()).await.unwrap());
    redis.ask(command);
    assert_eq!(counters.remember_once(&before, now()).await, Err(CountersError::Changed));
    up(&counters).await;
    let answer = counters.remember_once(&before, now()).await;
    assert!(matches!(answer, Err(CountersError::Forgotten(_))), "{answer:?}");
}

#[rstest]
#[case::ahead(3600)]
#[case::behind(-3600)]
#[tokio::test]
async fn where_clocks_are_far_apart_no_token_is_remembered_and_it_is_told(#[case] seconds: i64) {
    let Some(redis) = Redis::start() else { return };
    let counters = over(&redis).await;
    let here = Timestamp::from_millis(now().as_millis() + seconds * 1000);
    let answer = counters.remember_once(&token(1), here).await;
    assert!(matches!(answer, Err(CountersError::Apart(ahead)) if (ahead + seconds * 1000).abs() < 5000), "{answer:?}");
    let status = counters.status();
    assert!(status.up && matches!(status.error, Some(CountersError::Apart(_))), "{status:?}");
    assert_eq!((counters.remember_once(&token(1), now()).await, counters.status().error), (Ok(true), None));
}

#[rstest]
#[case::ahead(3_600_000)]
#[case::and_back(-3_600_000)]
#[tokio::test]
async fn a_clock_that_leapt_begins_a_new_memory_for_all(#[case] millis: i64) {
    let Some(redis) = Redis::start() else { return };
    let (one, other) = (over(&redis).await, over(&redis).await);
    let before = token(1);
    assert!(one.remember_once(&before, now()).await.unwrap());
    // What a server does whose clock is ahead for a moment, as those see it who watched it.
    redis.ask(&["DEL", &format!("cambio:once:{}", "01".repeat(16))]);
    for counters in [&one, &other] {
        counters.link.watch.lock().unwrap().as_mut().unwrap().server -= millis;
    }
    one.link.greet_again().await;
    let since = one.status().since;
    other.link.greet_again().await;
    assert_eq!(other.status().since, since, "it is begun once, by whoever sees it first");
    for counters in [&one, &other] {
        let answer = counters.remember_once(&before, now()).await;
        assert!(matches!(answer, Err(CountersError::Forgotten(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_copy_that_takes_over_is_another_memory() {
    let Some(first) = Redis::start() else { return };
    let Some(copy) = Redis::start_with(&["--replicaof", "127.0.0.1", &first.port().to_string()]) else { return };
    let before = over(&first).await;
    assert!(before.remember_once(&token(1), now()).await.unwrap());
    eventually("it was copied", async || copy.remembered() == 1).await;
    // As long as it is a copy it cannot remember, and says so.
    let counters = over(&copy).await;
    assert_eq!(counters.remember_once(&token(2), now()).await, Err(CountersError::Down));
    assert_eq!(counters.status().error, Some(CountersError::Refused("READONLY".into())));
    drop(first);
    copy.ask(&["REPLICAOF", "NO", "ONE"]);
    up(&counters).await;
    for ask in [token(1), token(2)] {
        let answer = counters.remember_once(&ask, now()).await;
        assert!(matches!(answer, Err(CountersError::Forgotten(_))), "{answer:?}");
    }
}

#[rstest]
#[case("allkeys-lru")]
#[case("volatile-ttl")]
#[tokio::test]
async fn a_server_that_may_forget_what_lives_remembers_no_token(#[case] policy: &str) {
    let Some(redis) = Redis::start_with(&["--maxmemory-policy", policy]) else { return };
    redis.has_been_there("cambio:");
    let counters = over(&redis).await;
    let refused = Err(CountersError::Evicts(policy.into()));
    assert_eq!(counters.remember_once(&token(1), now()).await, refused);
    assert_eq!((counters.status().up, counters.status().error), (true, refused.err()));
    let ask = BucketAsk { key: b"a", limit: 1, window: Duration::from_secs(1), cost: 1 };
    assert!(counters.take(&[ask], now()).await.unwrap()[0].allowed, "budgets go on");
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    eventually("it was noticed", async || counters.remember_once(&token(1), now()).await.is_ok()).await;
}

#[tokio::test]
async fn a_server_that_has_evicted_is_not_believed_about_what_was_before() {
    let Some(redis) = Redis::start() else { return };
    let counters = over(&redis).await;
    let since = counters.status().since.unwrap();
    assert!(counters.remember_once(&token(1), now()).await.unwrap());
    for (name, value) in [("maxmemory-policy", "volatile-ttl"), ("maxmemory", "2mb")] {
        redis.ask(&["CONFIG", "SET", name, value]);
    }
    let junk = "for i = 1, 4000 do redis.call('SET', 'junk' .. i, string.rep('x', 1000), 'PX', 9000000) end";
    redis.ask(&["EVAL", junk, "0"]);
    for n in 0..100 {
        redis.ask(&["SET", &format!("more{n}"), "x", "PX", "9000000"]);
    }
    for (name, value) in [("maxmemory", "0"), ("maxmemory-policy", "noeviction")] {
        redis.ask(&["CONFIG", "SET", name, value]);
    }
    assert!(redis.ask(&["GET", "cambio:memory"]).contains(":0 "), "what has no end is not evicted");
    eventually("it was noticed", async || counters.status().since > Some(since)).await;
    let answer = counters.remember_once(&OnceAsk { earliest: since.plus(CLOCKS_DIFFER * 2), ..token(1) }, now()).await;
    assert!(matches!(answer, Err(CountersError::Forgotten(_))), "{answer:?}");
}

#[tokio::test]
async fn a_full_server_remembers_nothing_forgets_nothing_and_heals() {
    let Some(redis) = Redis::start() else { return };
    let counters = over(&redis).await;
    assert!(counters.remember_once(&token(1), now()).await.unwrap());
    redis.ask(&["CONFIG", "SET", "maxmemory", "1mb"]);
    assert_eq!(counters.remember_once(&token(2), now()).await, Err(CountersError::Full));
    assert!(counters.status().up, "it answers");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(counters.remember_once(&token(2), now()).await, Ok(true));
    assert_eq!(counters.remember_once(&token(1), now()).await, Ok(false));
}

#[tokio::test]
async fn scripts_that_were_flushed_are_given_again() {
    let Some(redis) = Redis::start() else { return };
    let counters = over(&redis).await;
    redis.ask(&["SCRIPT", "FLUSH"]);
    assert_eq!(counters.remember_once(&token(1), now()).await, Ok(true));
}

#[tokio::test]
async fn a_user_with_what_the_documentation_grants_is_enough_and_a_password_is_never_shown() {
    let Some(redis) = Redis::start() else { return };
    let page = include_str!("../../../docs/state.md");
    let rule = page.lines().find(|line| line.starts_with("ACL SETUSER cambio ")).expect("the rule in the docs");
    let words: Vec<&str> = rule.split_whitespace().collect();
    assert_eq!(redis.ask(&words).trim(), "+OK", "{rule}");
    let password = words.iter().find_map(|word| word.strip_prefix('>')).unwrap();
    redis.ask(&["CONFIG", "SET", "requirepass", "another"]);
    let open = async |password: &str| {
        let url = redis.url().replace("redis://", &format!("redis://cambio:{password}@"));
        Counters::open(CountersSettings::new(&url, None).unwrap()).await
    };
    let counters = open(password).await;
    assert_eq!(counters.remember_once(&token(1), now()).await, Ok(true), "{:?}", counters.status());
    let ask = BucketAsk { key: b"a", limit: 1, window: Duration::from_secs(1), cost: 1 };
    assert!(counters.take(&[ask], now()).await.unwrap()[0].allowed);
    let wrong = open("hunter2").await;
    assert_eq!(wrong.status().error, Some(CountersError::Refused("wrong user or password".into())));
    assert!(!format!("{wrong:?} {:?}", wrong.status()).contains("hunter2"));
}

#[tokio::test]
async fn another_prefix_is_another_memory() {
    let Some(redis) = Redis::start() else { return };
    redis.has_been_there("team:");
    let counters = over(&redis).await;
    let settings = CountersSettings::new(&redis.url(), None).unwrap().with_prefix("team:").unwrap();
    let team = Counters::open(settings).await;
    assert_eq!(counters.remember_once(&token(1), now()).await, Ok(true));
    assert_eq!(team.remember_once(&token(1), now()).await, Ok(true));
    assert_eq!(team.remember_once(&token(1), now()).await, Ok(false));
}

#[tokio::test]
async fn over_tls_the_server_is_verified_and_by_nobody_but_who_was_named() {
    let file = |name| format!("{}/tests/cli_support/test-only-tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (certificate, key, ca) = (file("leaf.crt"), file("leaf.key"), file("ca.crt"));
    let tls = ["--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let Some(redis) = Redis::start_with(&[&tls[..], &["--tls-ca-cert-file", &ca, "--tls-auth-clients", "no"]].concat())
    else {
        return;
    };
    redis.has_been_there("cambio:");
    let url = format!("rediss://127.0.0.1:{port}");
    let pem = std::fs::read(&ca).unwrap();
    let counters = Counters::open(CountersSettings::new(&url, Some(&pem)).unwrap()).await;
    assert_eq!(counters.remember_once(&token(1), now()).await, Ok(true), "{:?}", counters.status());
    let unknown = Counters::open(CountersSettings::new(&url, None).unwrap()).await;
    assert!(matches!(unknown.status().error, Some(CountersError::Connection(_))), "{:?}", unknown.status());
    let plain = Counters::open(CountersSettings::new(&url.replace("rediss", "redis"), None).unwrap()).await;
    assert!(!plain.status().up);
}
