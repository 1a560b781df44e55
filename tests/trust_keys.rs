//! The guarantees of the key cache (`product.md` section 4), each by a test that fails without it. The issuers are real HTTP
//! servers; time is moved by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod trust_support;

use std::sync::Arc;
use std::time::Duration;

use cambio::clock::{Clock, ManualClock, Timestamp};
use cambio::trust::{FetchError, Issuers, Keeper, KeyCache, KeyFault, KeysUnavailable, Reason, Refresh, Snapshot};
use rstest::rstest;
use trust_support::{Answer, START, Server, after, at, fixture, issuers, one, tick};

const FETCHED: Refresh = Refresh::Fetched { changed: true };
const SAME: Refresh = Refresh::Fetched { changed: false };

fn cache(issuers: &Issuers) -> &KeyCache {
    issuers.iter().next().unwrap().keys()
}

fn key_ids(snapshot: &Snapshot) -> Vec<String> {
    snapshot.keys().keys().iter().map(|key| key.key_id().unwrap_or("-").to_owned()).collect()
}

/// The good key of most fixtures, under another `kid`.
fn good_as(key_id: &str) -> String {
    fixture("hostile/j23-extra-members.json").replace("\"good\"", &format!("{key_id:?}"))
}

async fn served(more: &str) -> (Server, Issuers) {
    let server = Server::start().await;
    server.answer("/jwks", Answer::ok(good_as("good")));
    let issuers = one(&server, more);
    assert_eq!(cache(&issuers).refresh(Reason::Missing, START).await, FETCHED);
    (server, issuers)
}

#[tokio::test]
async fn ten_thousand_random_key_ids_cause_a_handful_of_fetches() {
    let (server, issuers) = served("").await;
    let keys = cache(&issuers);
    for number in 0..10_000_u64 {
        let now = START.plus(Duration::from_millis(10 * number)); // 100 seconds in all
        let seen = keys.current(now).unwrap();
        assert!(!seen.keys().knows(&format!("random-{number}")));
        let refresh = keys.refresh(Reason::UnknownKeyId(seen.generation()), now).await;
        assert_ne!(refresh, FETCHED);
    }
    assert_eq!(server.hits("/jwks"), 4, "one at start, then one every 30 seconds");
}

#[tokio::test]
async fn a_hundred_who_ask_at_once_share_one_fetch() {
    let server = Server::start().await;
    server.answer("/jwks", Answer::ok(good_as("good")).after(Duration::from_millis(200)));
    let issuers = Arc::new(one(&server, ""));
    let askers: Vec<_> = (0..100)
        .map(|_| {
            let keys = cache(&issuers).clone();
            tokio::spawn(async move { keys.refresh(Reason::Missing, START).await })
        })
        .collect();
    for asker in askers {
        assert_eq!(asker.await.unwrap(), FETCHED);
    }
    assert_eq!(server.hits("/jwks"), 1);
}

#[tokio::test]
async fn a_known_key_is_found_while_a_fetch_hangs() {
    let (server, issuers) = served("").await;
    server.answer("/jwks", Answer::ok(good_as("new")).after(Duration::from_secs(60)));
    let keys = cache(&issuers).clone();
    let generation = keys.current(START).unwrap().generation();
    let asker = tokio::spawn({
        let keys = keys.clone();
        async move { keys.refresh(Reason::UnknownKeyId(generation), after(60)).await }
    });
    while server.hits("/jwks") < 2 {
        tokio::task::yield_now().await;
    }
    assert!(keys.status().in_flight && !asker.is_finished());
    assert_eq!(key_ids(&keys.current(after(60)).unwrap()), ["good"]);
    asker.abort();
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_end_the_fetch() {
    let server = Server::start().await;
    server.answer("/jwks", Answer::ok(good_as("good")).after(Duration::from_millis(200)));
    let issuers = one(&server, "");
    let keys = cache(&issuers);
    let impatient = tokio::time::timeout(Duration::from_millis(20), keys.refresh(Reason::Missing, START));
    assert!(impatient.await.is_err());
    assert_eq!(keys.refresh(Reason::Missing, START).await, FETCHED);
    assert_eq!(server.hits("/jwks"), 1);
}

#[tokio::test]
async fn an_issuer_that_is_down_at_start_is_trusted_as_soon_as_it_is_up() {
    let server = Server::start().await;
    let (address, issuers) = (server.address, one(&server, ""));
    drop(server);
    let (keeper, keys) = (Keeper::new(), cache(&issuers));
    assert_eq!(tick(&keeper, &issuers, START).await, 1);
    assert_eq!(keys.current(START).unwrap_err(), KeysUnavailable::NeverFetched);
    let status = keys.status();
    assert!(matches!(status.last_error, Some(KeyFault::Fetch(FetchError::Unreachable { .. }))), "{status:?}");
    assert_eq!(tick(&keeper, &issuers, START).await, 0, "it backs off");
    let up = Server::start_at(&address.to_string(), false).await;
    up.answer("/jwks", Answer::ok(good_as("good")));
    assert_eq!(tick(&keeper, &issuers, after(3)).await, 1);
    assert_eq!(key_ids(&keys.current(after(3)).unwrap()), ["good"]);
    assert_eq!(keys.status().last_error, None);
}

#[tokio::test]
async fn an_issuer_that_is_down_for_an_hour_is_asked_seldom_and_its_keys_serve() {
    let (server, issuers) = served("").await;
    let (keeper, keys) = (Keeper::new(), cache(&issuers));
    server.answer("/jwks", Answer::status(503));
    for second in 0..3600 {
        tick(&keeper, &issuers, after(second)).await;
        assert_eq!(key_ids(&keys.current(after(second)).unwrap()), ["good"]);
    }
    let asked = server.hits("/jwks");
    assert!((45..=100).contains(&asked), "about once a minute after the first failures, but {asked}");
    assert_eq!(keys.status().failures, asked as u64 - 1);
    server.answer("/jwks", Answer::ok(good_as("new")));
    for second in 3600..3720 {
        tick(&keeper, &issuers, after(second)).await;
    }
    assert_eq!(key_ids(&keys.current(after(3720)).unwrap()), ["new"]);
    assert_eq!(keys.status().consecutive_failures, 0);
}

#[tokio::test]
async fn the_last_good_keys_serve_for_a_bounded_time() {
    let (_server, issuers) = served(", jwks: {stale_for: 2h}").await;
    let keys = cache(&issuers);
    assert!(keys.current(after(7200)).is_ok());
    assert_eq!(keys.current(after(7201)).unwrap_err(), KeysUnavailable::TooOld);
    assert_eq!(keys.refresh(Reason::Missing, after(7201)).await, SAME);
    assert!(keys.current(after(7201)).is_ok(), "the issuer has confirmed them");
}

#[rstest]
#[case::empty(Answer::ok(r#"{"keys":[]}"#))]
#[case::only_odd_keys(Answer::ok(r#"{"keys":[{"kty":"AKP"},{"kty":"oct","k":"AA"}]}"#))]
#[case::no_keys(Answer::ok("{}"))]
#[case::a_page(Answer::ok("<html>sign in</html>"))]
#[case::nothing(Answer::ok(""))]
#[case::half(Answer::ok(good_as("half")).broken())]
#[case::not_found(Answer::status(404))]
#[case::no_content(Answer::status(204))]
#[case::error(Answer::status(500))]
#[case::accepted(Answer::ok(good_as("accepted")).with_status(202))]
#[case::partial(Answer::ok(good_as("part")).with_status(206))]
#[tokio::test]
async fn an_empty_or_broken_answer_never_replaces_good_keys(#[case] answer: Answer) {
    let (server, issuers) = served("").await;
    let keys = cache(&issuers);
    let generation = keys.current(START).unwrap().generation();
    server.answer("/jwks", answer);
    let refresh = keys.refresh(Reason::UnknownKeyId(generation), after(60)).await;
    assert!(matches!(refresh, Refresh::Failed(_)), "{refresh:?}");
    let current = keys.current(after(60)).unwrap();
    assert_eq!((key_ids(&current), current.generation()), (vec!["good".to_owned()], generation));
    assert_eq!(current.fetched(), START, "a failure is no confirmation");
    assert!(keys.status().last_error.is_some());
}

#[tokio::test]
async fn a_key_that_its_issuer_removed_is_gone_with_the_next_good_answer() {
    let (server, issuers) = served("").await;
    let keys = cache(&issuers);
    let before = keys.current(START).unwrap();
    server.answer("/jwks", Answer::ok(good_as("next")));
    assert_eq!(keys.refresh(Reason::UnknownKeyId(before.generation()), after(30)).await, FETCHED);
    let current = keys.current(after(30)).unwrap();
    assert_eq!(key_ids(&current), ["next"]);
    assert_ne!(current.generation(), before.generation());
}

#[tokio::test]
async fn the_same_keys_in_another_text_are_no_change() {
    let (server, issuers) = served("").await;
    let keys = cache(&issuers);
    let before = keys.current(START).unwrap();
    server.answer("/jwks", Answer::ok(good_as("good").replace("https://evil.example", "https://other.example")));
    assert_eq!(keys.refresh(Reason::UnknownKeyId(before.generation()), after(30)).await, SAME);
    let current = keys.current(after(30)).unwrap();
    assert_eq!(current.generation(), before.generation());
    assert_ne!(current.keys().digest(), before.keys().digest());
}

#[tokio::test]
async fn an_unknown_key_id_is_told_how_long_to_wait() {
    let (server, issuers) = served("").await;
    let keys = cache(&issuers);
    let generation = keys.current(START).unwrap().generation();
    let refresh = keys.refresh(Reason::UnknownKeyId(generation), after(12)).await;
    assert_eq!(refresh, Refresh::TooSoon { retry_after: Duration::from_secs(18) });
    assert_eq!(server.hits("/jwks"), 1);
}

#[tokio::test]
async fn requests_that_end_in_the_reverse_order_of_their_beginning_cause_one_fetch() {
    let (server, issuers) = served("").await;
    let keys = cache(&issuers);
    let generation = keys.current(START).unwrap().generation();
    // Two hundred requests, one begun every half second, whose bodies end youngest first.
    for number in (0..200_u64).rev() {
        let began = after(60).plus(Duration::from_millis(500 * number));
        keys.refresh(Reason::UnknownKeyId(generation), began).await;
    }
    assert_eq!(server.hits("/jwks"), 2, "one at start, then one for all of them");
    assert_eq!(keys.status().last_attempt, Some(after(60).plus(Duration::from_millis(500 * 199))));
}

#[tokio::test]
async fn a_failed_attempt_starts_the_cooldown_too() {
    let (server, issuers) = served("").await;
    let keys = cache(&issuers);
    let generation = keys.current(START).unwrap().generation();
    server.answer("/jwks", Answer::status(500));
    for millis in 0..2000 {
        keys.refresh(Reason::UnknownKeyId(generation), after(60).plus(Duration::from_millis(10 * millis))).await;
    }
    assert_eq!(server.hits("/jwks"), 2);
}

#[tokio::test]
async fn a_bad_signature_under_a_known_key_id_causes_one_fetch_in_five_minutes() {
    let (server, issuers) = served("").await;
    let keys = cache(&issuers);
    let generation = keys.current(START).unwrap().generation();
    for second in 30..330 {
        keys.refresh(Reason::BadSignature(generation), after(second)).await;
    }
    assert_eq!(server.hits("/jwks"), 2);
    assert_eq!(keys.refresh(Reason::BadSignature(generation), after(331)).await, SAME);
    assert_eq!(server.hits("/jwks"), 3);
}

#[tokio::test]
async fn whoever_looked_at_older_keys_is_told_to_look_again_without_a_fetch() {
    let (server, issuers) = served("").await;
    let keys = cache(&issuers);
    let seen = keys.current(START).unwrap().generation();
    server.answer("/jwks", Answer::ok(good_as("next")));
    assert_eq!(keys.refresh(Reason::UnknownKeyId(seen), after(30)).await, FETCHED);
    assert_eq!(keys.refresh(Reason::UnknownKeyId(seen), after(30)).await, FETCHED);
    assert_eq!(server.hits("/jwks"), 2);
}

#[rstest]
#[case("cache-control: public, max-age=600", 600)]
#[case("cache-control: max-age=86400, must-revalidate", 3600)]
#[case("cache-control: no-store", 60)]
#[tokio::test]
async fn keys_are_fetched_again_before_they_are_stale(#[case] header: &str, #[case] fresh: u64) {
    let server = Server::start().await;
    server.answer("/jwks", Answer::ok(good_as("good")).header(header));
    let (keeper, issuers) = (Keeper::new(), one(&server, ""));
    assert_eq!(tick(&keeper, &issuers, START).await, 1);
    assert_eq!(cache(&issuers).status().fresh_until, Some(after(fresh)));
    assert_eq!(tick(&keeper, &issuers, after(fresh * 69 / 100)).await, 0);
    assert_eq!(tick(&keeper, &issuers, after(fresh * 91 / 100)).await, 1);
    assert_eq!(server.hits("/jwks"), 2);
    assert_eq!(cache(&issuers).status().fresh_until, Some(after(fresh * 91 / 100 + fresh)));
}

#[tokio::test]
async fn a_tick_does_not_ask_twice_and_not_all_at_once() {
    let server = Server::start().await;
    server.answer("/jwks", Answer::ok(good_as("good")).after(Duration::from_millis(100)));
    let (own, url) = (server.url(""), server.url("/jwks"));
    let yaml: String = (0..100)
        .map(|number| {
            format!(
                "- {{name: i{number}, platform: generic, issuer: '{own}/{number}', audiences: [cambio], \
                 insecure_http: true, keys: {{jwks_url: '{url}'}}}}\n"
            )
        })
        .collect();
    let (keeper, issuers) = (Keeper::new(), issuers(&yaml));
    let first = keeper.tick(&issuers, &at(START));
    assert_eq!(first.len(), 100);
    assert_eq!(keeper.tick(&issuers, &at(after(1))).len(), 0, "all are taken on");
    for fetch in first {
        fetch.await.unwrap();
    }
    assert!(issuers.iter().all(|issuer| issuer.keys().current(START).is_ok()));
    assert_eq!(server.hits("/jwks"), 100);
    let most = server.most_at_once();
    assert!((2..=32).contains(&most), "{most} at once");
}

#[tokio::test]
async fn a_fetch_that_waited_for_its_turn_counts_from_its_own_beginning() {
    let (slow, server) = (Server::start().await, Server::start().await);
    slow.answer("/jwks", Answer::ok(good_as("good")).after(Duration::from_millis(500)));
    server.answer("/jwks", Answer::ok(good_as("good")));
    let entry = |number: usize| {
        let server = if number < 32 { &slow } else { &server };
        format!(
            "- {{name: i{number}, platform: generic, issuer: '{}/{number}', audiences: [cambio], \
             insecure_http: true, keys: {{jwks_url: '{}'}}}}\n",
            server.url(""),
            server.url("/jwks")
        )
    };
    let issuers = issuers(&(0..33).map(entry).collect::<String>());
    let clock = ManualClock::new(START);
    let mut fetches = Keeper::new().tick(&issuers, &Clock::Manual(clock.clone()));
    while slow.hits("/jwks") < 32 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    clock.advance(Duration::from_secs(40));
    fetches.remove(32).await.unwrap();
    let fetched = issuers.iter().nth(32).unwrap().keys().current(after(40)).unwrap().fetched();
    assert_eq!(fetched, after(40));
}

#[rstest]
#[case::nothing(r#"{"keys":[]}"#, true)]
#[case::only_for_x509(r#"{"keys":[{"kty":"EC","use":"x509-svid"}]}"#, true)]
#[case::unreadable(r#"{"keys":[{"kty":"EC","use":"jwt-svid","crv":"P-256","x":"AA"}]}"#, false)]
#[case::broken("", false)]
#[tokio::test]
async fn for_spiffe_a_set_without_keys_revokes_all(#[case] body: &str, #[case] revoked: bool) {
    let server = Server::start().await;
    server.answer("/jwks", Answer::ok(fixture("good/spiffe.json")));
    let url = server.url("/jwks");
    let issuers = issuers(&format!(
        "- {{name: s, platform: spiffe, issuer: 'spiffe://prod.example.org', audiences: [cambio], insecure_http: true, \
         keys: {{jwks_url: '{url}'}}}}"
    ));
    let keys = cache(&issuers);
    assert_eq!(keys.refresh(Reason::Missing, START).await, FETCHED);
    let generation = keys.current(START).unwrap().generation();
    server.answer("/jwks", Answer::ok(body));
    let refresh = keys.refresh(Reason::UnknownKeyId(generation), after(60)).await;
    assert_eq!(refresh == FETCHED, revoked, "{refresh:?}");
    assert_eq!(keys.current(after(60)).unwrap().keys().keys().is_empty(), revoked);
}

#[tokio::test]
async fn two_clusters_with_one_issuer_string_have_their_own_keys() {
    let (first, second) = (Server::start().await, Server::start().await);
    first.answer("/jwks", Answer::ok(good_as("first")));
    second.answer("/jwks", Answer::ok(good_as("second")));
    let entry = |name: &str, server: &Server| {
        format!(
            "- {{name: {name}, platform: kubernetes, issuer: 'https://kubernetes.default.svc.cluster.local', \
             audiences: [cambio], insecure_http: true, keys: {{jwks_url: '{}'}}}}\n",
            server.url("/jwks")
        )
    };
    let issuers = issuers(&(entry("a", &first) + &entry("b", &second)));
    tick(&Keeper::new(), &issuers, START).await;
    let ids: Vec<_> = issuers.iter().map(|issuer| key_ids(&issuer.keys().current(START).unwrap())).collect();
    assert_eq!(ids, [["first"], ["second"]]);
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes_and_only_then() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, good_as("one")).unwrap();
    let yaml = format!(
        "- {{name: f, platform: generic, issuer: 'https://issuer.example.com', audiences: [cambio], \
         keys: {{file: '{}'}}}}",
        path.display()
    );
    let (keeper, issuers) = (Keeper::new(), issuers(&yaml));
    let keys = cache(&issuers);
    let read = |now: Timestamp| key_ids(&keys.current(now).unwrap());
    tick(&keeper, &issuers, START).await;
    assert_eq!(read(START), ["one"]);
    let generation = keys.current(START).unwrap().generation();
    assert_eq!(tick(&keeper, &issuers, after(1)).await, 0);
    assert_eq!(tick(&keeper, &issuers, after(6)).await, 1);
    assert_eq!(keys.current(after(6)).unwrap().generation(), generation, "unchanged");
    assert_eq!(keys.current(after(6)).unwrap().fetched(), after(6), "but confirmed");
    std::fs::write(&path, good_as("other")).unwrap();
    tick(&keeper, &issuers, after(12)).await;
    assert_eq!(read(after(12)), ["other"]);
    std::fs::write(&path, "{").unwrap();
    tick(&keeper, &issuers, after(18)).await;
    assert_eq!(read(after(18)), ["other"], "a broken file replaces nothing");
    std::fs::remove_file(&path).unwrap();
    tick(&keeper, &issuers, after(30)).await;
    assert_eq!(read(after(30)), ["other"], "nor does a missing one");
    assert!(keys.status().last_error.unwrap().to_string().contains("jwks.json"));
    std::fs::write(&path, good_as("back")).unwrap();
    tick(&keeper, &issuers, after(120)).await;
    assert_eq!(read(after(120)), ["back"]);
}

#[tokio::test]
async fn inline_keys_never_grow_old_and_are_never_fetched() {
    let yaml = format!(
        "- {{name: i, platform: generic, issuer: 'https://issuer.example.com', audiences: [cambio], \
         keys: {{inline: {}}}}}",
        good_as("good").replace('\n', " ")
    );
    let (keeper, issuers) = (Keeper::new(), issuers(&yaml));
    let keys = cache(&issuers);
    let far = after(10 * 365 * 86_400);
    assert_eq!(tick(&keeper, &issuers, far).await, 0);
    let current = keys.current(far).unwrap();
    assert_eq!(key_ids(&current), ["good"]);
    assert_eq!(keys.refresh(Reason::UnknownKeyId(current.generation()), far).await, SAME);
    assert_eq!(keys.status().next_attempt, None);
}

#[tokio::test]
async fn after_a_reload_an_unchanged_issuer_keeps_its_keys_and_a_changed_one_does_not() {
    let (server, before) = served("").await;
    let same = one(&server, "").keeping(&before);
    assert!(cache(&same).current(START).is_ok());
    let changed = one(&server, ", leeway: 10s").keeping(&before);
    assert_eq!(cache(&changed).current(START).unwrap_err(), KeysUnavailable::NeverFetched);
}

#[tokio::test]
async fn the_state_of_a_cache_is_visible() {
    let server = Server::start().await;
    server.answer("/jwks", Answer::ok(fixture("hostile/j01-unknown-kty.json")));
    let (keeper, issuers) = (Keeper::new(), one(&server, ""));
    tick(&keeper, &issuers, START).await;
    let status = cache(&issuers).status();
    assert_eq!((status.keys, status.skipped.len(), status.exposed, status.fetches, status.failures), (1, 1, 0, 1, 0));
    assert_eq!(status.source, server.url("/jwks"));
    assert_eq!(
        (status.fetched, status.last_attempt, status.usable_until),
        (Some(START), Some(START), Some(after(86_400)))
    );
    assert!(status.digest.is_some() && !status.in_flight && status.next_attempt > Some(START));
}
