//! Permits and refuses, budget by budget; floods, and replicas.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;

use super::{Claim, LimitSettings, Limited, Limiter, Passage, Rate};
use crate::clock::{Clock, Timestamp};
use crate::identity::{IssuerName, TargetName};
use crate::jose::sha256;
use crate::state::counters::real::Redis;
use crate::state::counters::{Counters, CountersSettings};

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const HERE: &str = "192.0.2.1";

fn here() -> Passage {
    at(HERE)
}

fn at(address: &str) -> Passage {
    Passage::from(address.parse::<IpAddr>().unwrap())
}

fn issuer(name: &str) -> IssuerName {
    IssuerName::new(name).unwrap()
}

fn alone(change: impl FnOnce(&mut LimitSettings)) -> Limiter {
    let mut settings = LimitSettings::off();
    change(&mut settings);
    Limiter::new(settings, None)
}

/// A request with a good token that was verified before.
async fn good(limiter: &Limiter, from: &str, subject: &str, target: &str, now: Timestamp) -> Result<(), Limited> {
    let (mut passage, target) = (at(from), TargetName::new(target).unwrap());
    limiter.verified(&mut passage, subject, now).await?;
    let of = issuer(subject.split(':').next().unwrap());
    limiter.counted(&mut passage, Some(&of), Some(&target), now).await
}

/// The question before a token that nobody knows is verified.
async fn unknown(limiter: &Limiter, from: &str, of: &str, subject: &str, over: bool) -> Result<(), Limited> {
    let (of, subject) = (issuer(of), format!("{of}:{subject}"));
    let claim = Claim { issuer: Some(&of), subject: Some(&subject), over, ..Claim::default() };
    limiter.before_cryptography(&mut at(from), claim, NOW).await
}

#[rstest]
#[case::source(|s: &mut LimitSettings| s.source = Rate::per_minute(2), "limit_source", (HERE, "a:x", "t"), ("192.0.2.2", "a:x", "t"))]
#[case::subject(|s: &mut LimitSettings| s.subject = Rate::per_minute(2), "limit_subject", ("192.0.2.9", "a:s", "t2"), (HERE, "a:s2", "t"))]
#[case::issuer(|s: &mut LimitSettings| s.issuer = Rate::per_minute(2), "limit_issuer", ("192.0.2.9", "a:x", "t2"), (HERE, "b:s", "t"))]
#[case::target(|s: &mut LimitSettings| s.target = Rate::per_minute(2), "limit_target", ("192.0.2.9", "b:x", "t"), (HERE, "a:s", "t2"))]
#[tokio::test]
async fn a_budget_refuses_whoever_shares_it_and_nobody_else(
    #[case] setting: fn(&mut LimitSettings),
    #[case] reason: &str,
    #[case] shares: (&str, &str, &str),
    #[case] other: (&str, &str, &str),
) {
    let limiter = alone(setting);
    for _ in 0..2 {
        good(&limiter, HERE, "a:s", "t", NOW).await.unwrap();
    }
    let (from, subject, target) = shares;
    let refused = good(&limiter, from, subject, target, NOW).await.unwrap_err();
    assert_eq!((refused.reason(), refused.state.remaining, refused.state.limit), (reason, 0, 2));
    assert_eq!((refused.state.observed, refused.state.retry_after), (3, Duration::from_secs(30)));
    let (from, subject, target) = other;
    good(&limiter, from, subject, target, NOW).await.unwrap();
    let (from, subject, target) = shares;
    good(&limiter, from, subject, target, NOW.plus(Duration::from_secs(30))).await.unwrap();
}

#[tokio::test]
async fn without_limits_nothing_is_told_and_nothing_kept() {
    let limiter = alone(|_| ());
    let mut passage = here();
    for _ in 0..1000 {
        limiter.verified(&mut passage, "a:s", NOW).await.unwrap();
        limiter.counted(&mut passage, None, None, NOW).await.unwrap();
        limiter.failed(&mut passage, None, NOW).unwrap();
    }
    assert_eq!((passage.tightest(), limiter.status().keys), (None, 0));
}

#[tokio::test]
async fn whoever_is_refused_by_his_own_budget_takes_nothing_from_his_neighbours() {
    let limiter = alone(|settings| {
        settings.subject = Rate::per_minute(5);
        settings.source = Rate::per_minute(10);
    });
    let mut refused = 0;
    for _ in 0..1000 {
        refused += usize::from(good(&limiter, HERE, "a:noisy", "t", NOW).await.is_err());
    }
    assert_eq!(refused, 995);
    for number in 0..5 {
        good(&limiter, HERE, &format!("a:quiet-{number}"), "t", NOW).await.unwrap();
    }
    assert_eq!(good(&limiter, HERE, "a:one-more", "t", NOW).await.unwrap_err().reason(), "limit_source");
}

/// Sends so much garbage from here that there are no failures left.
fn flood(limiter: &Limiter, from: &str, of: Option<&IssuerName>, times: usize) {
    for _ in 0..times {
        let _ = limiter.failed(&mut at(from), of, NOW);
    }
}

#[tokio::test]
async fn garbage_ends_before_it_costs_anything_and_good_callers_of_the_same_address_go_on() {
    let limiter = alone(|settings| {
        settings.failures = Rate::per_minute(100);
        settings.source = Rate::per_minute(1000);
    });
    good(&limiter, HERE, "a:known", "t", NOW).await.unwrap();
    flood(&limiter, HERE, None, 99);
    unknown(&limiter, HERE, "a", "x", false).await.unwrap();
    flood(&limiter, HERE, None, 1000);
    assert_eq!(limiter.failed(&mut here(), None, NOW).unwrap_err().reason(), "limit_failures");
    // What is over by its own word is not worth a signature.
    assert_eq!(unknown(&limiter, HERE, "a", "x", true).await.unwrap_err().reason(), "limit_failures");
    // Well-formed and badly signed, under ever new names: a tenth, and then none.
    let mut passed = 0;
    for number in 0..1000 {
        passed += usize::from(unknown(&limiter, HERE, "a", &format!("s{number}"), false).await.is_ok());
    }
    assert_eq!(passed, 10);
    // A new token of somebody who was here before, and all tokens that are known, are not touched by that.
    unknown(&limiter, HERE, "a", "known", false).await.unwrap();
    for _ in 0..900 {
        good(&limiter, HERE, "a:known", "t", NOW).await.unwrap();
    }
    // Elsewhere nothing has happened.
    unknown(&limiter, "192.0.2.2", "a", "x", false).await.unwrap();
}

#[tokio::test]
async fn whoever_names_somebody_takes_from_that_one_only() {
    let limiter = alone(|settings| settings.failures = Rate::per_minute(100));
    for subject in ["a:known", "a:other"] {
        good(&limiter, HERE, subject, "t", NOW).await.unwrap();
    }
    flood(&limiter, HERE, None, 100);
    for _ in 0..1000 {
        let _ = unknown(&limiter, HERE, "a", "known", false).await;
    }
    assert!(unknown(&limiter, HERE, "a", "known", false).await.is_err());
    unknown(&limiter, HERE, "a", "other", false).await.unwrap();
    unknown(&limiter, HERE, "a", "stranger", false).await.unwrap();
}

/// The question before a token that says nothing by itself is looked up.
async fn opaque(limiter: &Limiter, passage: &mut Passage, token: &[u8]) -> Result<(), Limited> {
    limiter.before_cryptography(passage, Claim { token: Some(sha256(token)), ..Claim::default() }, NOW).await
}

#[tokio::test]
async fn a_token_that_says_nothing_goes_on_where_it_was_good_before_and_strangers_take_nothing_from_it() {
    let limiter = alone(|settings| settings.failures = Rate::per_minute(100));
    limiter.remember(&here(), &sha256(b"known"), NOW);
    flood(&limiter, HERE, None, 100);
    let mut passed = 0;
    for number in 0..100_u32 {
        passed += usize::from(opaque(&limiter, &mut here(), &number.to_be_bytes()).await.is_ok());
    }
    assert_eq!(passed, 10);
    let mut passage = here();
    opaque(&limiter, &mut passage, b"known").await.unwrap();
    let told = passage.tightest().unwrap();
    assert_eq!((told.name, told.remaining, told.observed), ("failures", 0, 100));
    assert!(told.retry_after.is_zero(), "who goes on has nothing to wait for");
    assert!(opaque(&limiter, &mut here(), b"another").await.is_err());
    let elsewhere = opaque(&limiter, &mut at("192.0.2.2"), b"another").await;
    elsewhere.unwrap();
}

#[tokio::test]
async fn what_nobody_can_tell_is_bounded_and_takes_no_failures() {
    let limiter = alone(|settings| settings.failures = Rate::per_minute(20));
    let passed = (0..100).filter(|_| limiter.unsettled(&mut here(), NOW).is_ok()).count();
    assert_eq!(passed, 20);
    assert_eq!(limiter.unsettled(&mut here(), NOW).unwrap_err().reason(), "limit_failures");
    limiter.unsettled(&mut at("192.0.2.2"), NOW).unwrap();
    unknown(&limiter, HERE, "a", "stranger", false).await.unwrap();
    limiter.failed(&mut here(), None, NOW).unwrap();
}

#[tokio::test]
async fn a_flood_from_everywhere_in_the_name_of_an_issuer_leaves_each_address_its_part() {
    let limiter = alone(|settings| settings.failures = Rate::per_minute(100));
    for number in 0..100 {
        flood(&limiter, &format!("203.0.113.{number}"), Some(&issuer("a")), 20);
    }
    // Here nothing failed, and strangers of that issuer have a tenth; those of another have all.
    let mut passed = 0;
    for number in 0..50 {
        passed += usize::from(unknown(&limiter, HERE, "a", &format!("s{number}"), false).await.is_ok());
    }
    assert_eq!(passed, 10);
    unknown(&limiter, HERE, "b", "s", false).await.unwrap();
    let mut passage = here();
    let of = issuer("a");
    let claim = Claim { issuer: Some(&of), over: true, ..Claim::default() };
    limiter.before_cryptography(&mut passage, claim, NOW).await.unwrap_err();
    assert_eq!(passage.tightest().map(|state| state.remaining), Some(100), "others' failures are told to nobody");
}

#[tokio::test]
async fn a_source_without_budget_is_refused_before_cryptography() {
    let limiter = alone(|settings| settings.source = Rate::per_minute(3));
    for _ in 0..3 {
        unknown(&limiter, HERE, "a", "s", false).await.unwrap();
        good(&limiter, HERE, "a:s", "t", NOW).await.unwrap();
    }
    assert_eq!(unknown(&limiter, HERE, "a", "s", false).await.unwrap_err().reason(), "limit_source");
}

#[tokio::test]
async fn a_million_addresses_take_bounded_memory() {
    let mut settings = LimitSettings { max_keys: 10_000, ..LimitSettings::default() };
    settings.failures = Rate::per_minute(10);
    let limiter = Limiter::new(settings, None);
    for number in 0..1_000_000_u32 {
        let mut passage = Passage::from(std::net::Ipv4Addr::from_bits(number).into());
        let _ = limiter.failed(&mut passage, None, NOW);
        if number % 1000 == 0 {
            assert!(limiter.status().keys <= 10_000);
        }
    }
    assert!(limiter.status().evicted > 0);
}

async fn counters(redis: &Redis) -> Arc<Counters> {
    Arc::new(Counters::open(CountersSettings::new(&redis.url(), None).unwrap()).await)
}

fn shared(counters: Arc<Counters>, subject: u64) -> Limiter {
    let subject = Rate::per_minute(subject);
    Limiter::new(LimitSettings { subject, replicas: 2, ..LimitSettings::off() }, Some(counters))
}

async fn passed(limiter: &Limiter, times: usize) -> usize {
    let mut passed = 0;
    for _ in 0..times {
        passed += usize::from(good(limiter, HERE, "a:s", "t", Clock::System.now()).await.is_ok());
    }
    passed
}

#[tokio::test]
async fn two_replicas_share_a_budget_over_one_redis() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = (shared(counters(&redis).await, 10), shared(counters(&redis).await, 10));
    assert_eq!(passed(&one, 7).await, 7);
    assert_eq!(passed(&two, 7).await, 3);
    assert_eq!(passed(&one, 7).await, 0);
    assert_eq!((one.status().keys, one.status().fallen), (0, false));
}

#[tokio::test]
async fn failures_are_told_to_other_replicas() {
    let Some(redis) = Redis::start() else { return };
    let settings = LimitSettings { failures: Rate::per_minute(20), ..LimitSettings::off() };
    let one = Limiter::new(settings.clone(), Some(counters(&redis).await));
    let two = Limiter::new(settings, Some(counters(&redis).await));
    for _ in 0..30 {
        let _ = one.failed(&mut here(), None, NOW);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let claim = Claim { over: true, ..Claim::default() };
    assert!(two.before_cryptography(&mut here(), claim, Clock::System.now()).await.is_err());
    two.before_cryptography(&mut at("192.0.2.2"), claim, Clock::System.now()).await.unwrap();
}

#[tokio::test]
async fn without_redis_each_replica_keeps_its_part_and_says_so_until_it_is_back() {
    let Some(mut redis) = Redis::start() else { return };
    let limiter = shared(counters(&redis).await, 10);
    assert_eq!(passed(&limiter, 1).await, 1);
    redis.kill();
    assert_eq!(passed(&limiter, 20).await, 5);
    let status = limiter.status();
    assert_eq!((status.shared, status.fallen, status.falls), (true, true, 1));
    redis.start_again();
    for _ in 0..200 {
        let _ = passed(&limiter, 1).await;
        if !limiter.status().fallen {
            return assert_eq!(limiter.status().falls, 1);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("limits are not shared again");
}
