//! Two `cambio serve` over one PostgreSQL and one Redis, behind a round-robin, as a platform team runs them: one of them killed
//! with -9 again and again under load, both started at once on nothing, budgets in common, revocations in time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "processes go by the clock of the machine")]

mod replicas_support;
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cambio::jose::random;
use replicas_support::afterwards::{self, Kills};
use replicas_support::callers::{self, SOON, World};
use replicas_support::{Call, Dice, Replica, Replicas};
use tokio::task::JoinSet;

/// How often a replica that serves is killed. Those that are killed while they start come on top.
const KILLS: usize = 50;
/// How long a replica that is ready again is left alone at most.
const LIFE_MS: usize = 300;
/// The longest that nothing at all is done for anybody, on a machine that is busy with other tests too.
const LONGEST_GAP: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_a_replica_is_killed_fifty_times_nothing_acknowledged_is_lost_and_nobody_is_let_in() {
    let Some(replicas) = Replicas::start("single_use", "").await else { return };
    let seed = u64::from_be_bytes(random().unwrap());
    println!("seed {seed:#018x}");
    let mut dice = Dice(seed);
    let world = World::furnish(replicas).await;
    let mut load = load(&world, &mut dice);
    let began = Instant::now();
    let (kills, starting) = kill(&world, &mut dice, &mut load).await;
    let took = began.elapsed();
    world.over.store(true, Ordering::SeqCst);
    load.join_all().await;
    for replica in &world.replicas.both {
        replica.settled(&world.replicas.shared).await;
    }
    let (tally, gap, wait) =
        world.ledger.with(|entries| (entries.tally.clone(), entries.longest_gap, entries.longest_wait));
    println!("{KILLS} kills of one that served, {starting} of one that started, in {took:?}");
    for ((kind, how), count) in &tally {
        println!("{kind}: {how}: {count}");
    }
    println!("nothing was done for {gap:?} at most; the longest wait for an answer was {wait:?}");
    assert!(gap < LONGEST_GAP, "{gap:?}");
    afterwards::every_acknowledged_version_is_there(&world).await;
    afterwards::every_token_is_what_was_said_of_it(&world).await;
    for replica in &world.replicas.both {
        replica.stop();
        assert!(!replica.log().contains("panicked"), "{}", replica.log());
    }
    afterwards::both_journals_are_whole(&world, &kills);
}

/// Callers in parallel, each with numbers of its own.
fn load(world: &Arc<World>, dice: &mut Dice) -> JoinSet<()> {
    let mut load = JoinSet::new();
    let mut own = || (Arc::clone(world), Dice(u64::try_from(dice.below(usize::MAX)).unwrap()));
    for number in 0..2 {
        let (world, dice) = own();
        load.spawn(callers::presents(world, dice));
        let (world, dice) = own();
        load.spawn(callers::writes(world, number, dice));
        let (world, dice) = own();
        load.spawn(callers::reads(world, dice));
    }
    let (rotating, dice) = own();
    load.spawn(callers::rotates(rotating, dice));
    let (revoking, dice) = own();
    load.spawn(callers::revokes(revoking, dice));
    let (world, dice) = own();
    load.spawn(callers::intrudes(world, dice));
    load.spawn(looks_who_is_ready(own().0));
    load
}

/// What a load balancer does beside passing requests on.
async fn looks_who_is_ready(world: Arc<World>) {
    while !world.over.load(Ordering::SeqCst) {
        for replica in &world.replicas.both {
            replica.is_ready(&world.replicas.shared).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Kills one replica after the other, either, never both; and every fourth time the same one once more while it starts. When
/// which was killed, and how many of them were starting.
async fn kill(world: &World, dice: &mut Dice, load: &mut JoinSet<()>) -> (Kills, usize) {
    let (mut kills, mut starting) = (Kills::new(), 0);
    for _ in 0..KILLS {
        tokio::time::sleep(dice.millis(LIFE_MS)).await;
        if let Some(ended) = load.try_join_next() {
            panic!("a caller has ended: {ended:?}");
        }
        let victim = dice.below(2);
        let replica = &world.replicas.both[victim];
        kills.push((victim, replica.kill()));
        replica.start();
        if dice.below(4) == 0 {
            tokio::time::sleep(dice.millis(200)).await;
            starting += usize::from(!replica.serves.load(Ordering::SeqCst));
            kills.push((victim, replica.kill()));
            replica.start();
        }
        replica.settled(&world.replicas.shared).await;
    }
    (kills, starting)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_revoked_at_one_replica_is_refused_by_the_other_within_two_seconds() {
    let Some(replicas) = Replicas::start("single_use", "").await else { return };
    let admin = replicas.login("ops-1", "admin").await;
    let account = replicas.account(&admin, "reader", "secret/app/*").await;
    let job = replicas.login("job-1", "vault").await;
    replicas.done(&Call::write(&job, "app/0", "value", None)).await;
    let (mut slowest, mut dice) = (Duration::ZERO, Dice(u64::from_be_bytes(random().unwrap())));
    for round in 0..12 {
        // At any moment between two looks.
        tokio::time::sleep(dice.millis(700)).await;
        let token = match round % 3 {
            0 => replicas.done(&Replicas::issue(&admin, &account)).await.text_of("token"),
            _ => replicas.login("job-1", "vault").await,
        };
        let (here, there) = (round % 2, 1 - round % 2);
        let read = Call::value(&token, "0", None);
        assert_eq!(replicas.at(there, &read).await.unwrap().status, 200);
        let revoked = replicas.at(here, &Call::form("/oauth2/revoke", &[("token", &token)])).await.unwrap();
        assert_eq!(revoked.status, 200, "{}", revoked.text);
        let at = Instant::now();
        assert_eq!(replicas.at(here, &read).await.unwrap().status, 401);
        loop {
            // The moment of asking counts: whoever asks later than that is refused.
            let asked = at.elapsed();
            match replicas.at(there, &read).await.unwrap().status {
                200 => assert!(asked < SOON, "it is good there after {asked:?}"),
                status => {
                    assert_eq!(status, 401);
                    slowest = slowest.max(asked);
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    println!("refused by the other replica after {slowest:?} at most");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_one_for_both_replicas_and_without_redis_each_has_its_half_and_says_so() {
    // So slow to fill again that nothing comes back while this runs.
    let limits = "rate_limits: {source: 'off', failures: 'off', subject: 20 per 1d, replicas: 2}";
    let Some(replicas) = Replicas::start("reusable", limits).await else { return };
    assert_eq!(admitted(&replicas, "job-1", 60).await, 20);
    // Another subject's budget is another one.
    assert_eq!(admitted(&replicas, "job-2", 1).await, 1);
    for replica in &replicas.both {
        let check = replica.check(&replicas.shared, "limits").await;
        assert_eq!((&check["ok"], check["detail"].as_str()), (&true.into(), Some("shared by all replicas")), "{check}");
    }
    replicas.shared.redis.lock().unwrap().kill();
    // Ten at each: nobody is refused because Redis is down, and nobody gets more than the limit by it.
    assert_eq!(admitted(&replicas, "job-3", 60).await, 20);
    for replica in &replicas.both {
        let check = replica.check(&replicas.shared, "limits").await;
        assert_eq!(check["ok"], false, "{check}");
        assert_eq!(check["detail"], "not shared now: this replica keeps its part of each limit");
    }
    replicas.shared.redis.lock().unwrap().start_again();
    let began = Instant::now();
    for (number, replica) in replicas.both.iter().enumerate() {
        while replica.check(&replicas.shared, "limits").await["ok"] == false {
            assert!(began.elapsed() < Duration::from_secs(20), "they are not shared again");
            replicas.at(number, &Call::exchange(&replicas.shared.token("job-4"), "vault")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert_eq!(admitted(&replicas, "job-5", 60).await, 20);
}

/// How many of so many exchanges of one subject, in pairs at both replicas at once, are admitted. The others are told 429.
async fn admitted(replicas: &Replicas, subject: &str, count: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..count.div_ceil(2) {
        let [one, other] = [0, 1].map(|_| Call::exchange(&replicas.shared.token(subject), "vault"));
        let (one, other) = match count {
            1 => (replicas.at(0, &one).await.unwrap().status, 429),
            _ => {
                let (one, other) = tokio::join!(replicas.at(0, &one), replicas.at(1, &other));
                (one.unwrap().status, other.unwrap().status)
            }
        };
        for status in [one, other] {
            assert!([200, 429].contains(&status), "{status}");
            admitted += usize::from(status == 200);
        }
    }
    admitted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_start_at_once_on_an_empty_database_one_makes_its_tables_and_both_publish_one_key() {
    let Some(mut replicas) = Replicas::prepare("single_use", "").await else { return };
    let mut dice = Dice(u64::from_be_bytes(random().unwrap()));
    for round in 0..6 {
        if round > 0 {
            replicas.shared.postgres.ask("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
            replicas.both = ["one", "other"].map(|name| Replica::prepare(name, &replicas.shared, "single_use", ""));
        }
        let [one, other] = &replicas.both;
        one.start();
        other.start();
        if round % 2 == 1 {
            // In the middle of it one is killed; what it had begun is the other's to do.
            tokio::time::sleep(dice.millis(250)).await;
            one.kill();
            one.start();
        }
        one.settled(&replicas.shared).await;
        other.settled(&replicas.shared).await;
        let published = [keys(&replicas, 0).await, keys(&replicas, 1).await];
        assert_eq!(published[0].len(), 1, "{published:?}");
        assert_eq!(published[0], published[1]);
        let postgres = &replicas.shared.postgres;
        assert_eq!(postgres.ask("SELECT kid FROM signing_keys"), published[0][0]);
        let layouts = postgres.ask("SELECT COUNT(*), COUNT(DISTINCT version), MIN(version) FROM schema_versions");
        let [count, distinct, first] = layouts.split('|').collect::<Vec<_>>()[..] else { panic!("{layouts}") };
        assert!(count == distinct && first == "1", "{layouts}");
        // A token of either is good at the other.
        for (here, there) in [(0, 1), (1, 0)] {
            let exchange = Call::exchange(&replicas.shared.token("job-1"), "vault");
            let token = replicas.at(here, &exchange).await.unwrap().token();
            let about = replicas.at(there, &Call::get(&token, "/v1/auth/token/lookup-self")).await.unwrap();
            assert_eq!(about.status, 200, "{}", about.text);
        }
        one.stop();
        other.stop();
    }
}

/// The ids of the keys that a replica publishes.
async fn keys(replicas: &Replicas, replica: usize) -> Vec<String> {
    let set = replicas.at(replica, &Call::get("", "/oauth2/jwks")).await.unwrap().json();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}
