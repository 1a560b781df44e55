//! Single use, under concurrency, over restarts, and when the disk or the memory is full: in one process, and over a Redis.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::identity::{IssuerName, TargetName};
use crate::jose::{Sha256, sha256};
use crate::replay::guard::{Admission, AdmitInput};
use crate::replay::memory::MARGIN;
use crate::replay::{JournalError, ReplayError, ReplayGuard, ReplaySettings};
use crate::state::counters::real::Redis;
use crate::state::counters::{CLOCKS_DIFFER, Counters, CountersError, CountersSettings};
use crate::state::small_disk::SmallDisk;
use crate::state::{KEPT_PAST_END, PrivateDir};
use crate::trust::{MAX_LEEWAY, ReplayRule};
use rstest::rstest;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const LEEWAY: Duration = Duration::from_secs(60);

struct World {
    gitlab: IssuerName,
    github: IssuerName,
    prod: TargetName,
    test: TargetName,
}

fn world() -> World {
    World {
        gitlab: IssuerName::new("gitlab").unwrap(),
        github: IssuerName::new("github").unwrap(),
        prod: TargetName::new("prod").unwrap(),
        test: TargetName::new("test").unwrap(),
    }
}

impl World {
    fn job<'a>(&'a self, token_id: Option<&'a str>) -> AdmitInput<'a> {
        AdmitInput {
            rule: ReplayRule::SingleUse,
            issuer: &self.gitlab,
            target: &self.prod,
            token_id,
            token_digest: sha256(b"token"),
            earliest: NOW,
            expires: NOW.plus(Duration::from_secs(300)),
            now: NOW,
        }
    }
}

/// A guard, and what it stands on.
struct Guard {
    guard: ReplayGuard,
    redis: Option<Redis>,
    runtime: tokio::runtime::Runtime,
}

/// Where admissions are remembered.
#[derive(Clone, Copy, Debug)]
enum Where {
    Here,
    InRedis,
}
use Where::{Here, InRedis};

impl Where {
    /// A guard that remembers there; `None` where no Redis is installed.
    fn guard(self) -> Option<Guard> {
        match self {
            Here => Some(memory(10_000)),
            InRedis => {
                let redis = Redis::start()?;
                redis.has_been_there_since("cambio:", 0);
                Some(Guard::over(redis))
            }
        }
    }
}

impl Guard {
    fn open(settings: &ReplaySettings, now: Timestamp) -> Result<Self, JournalError> {
        Ok(Self { guard: ReplayGuard::open(settings, now)?, redis: None, runtime: runtime() })
    }

    fn over(redis: Redis) -> Self {
        let runtime = runtime();
        // Slow machines are not what is tested.
        let settings = CountersSettings::new(&redis.url(), None).unwrap().with_timeout(Duration::from_secs(5)).unwrap();
        let counters = runtime.block_on(Counters::open(settings));
        Self { guard: ReplayGuard::shared(Arc::new(counters)), redis: Some(redis), runtime }
    }

    fn admit(&self, input: &AdmitInput<'_>) -> Result<Admission, ReplayError> {
        // A Redis goes by its own clock, and believes nobody whose clock is far from it: what is at `NOW` is now.
        let shift =
            if self.redis.is_some() && input.now == NOW { Clock::System.now().since(NOW) } else { Duration::ZERO };
        let [earliest, expires, now] = [input.earliest, input.expires, input.now].map(|moment| moment.plus(shift));
        self.runtime.block_on(self.guard.admit(&AdmitInput { earliest, expires, now, ..*input }))
    }

    fn maintain(&self, now: Timestamp) -> Result<(), JournalError> {
        self.guard.maintain(now)
    }

    fn remembered(&self) -> usize {
        self.redis.as_ref().map_or_else(|| self.guard.remembered(), Redis::remembered)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn memory(capacity: usize) -> Guard {
    Guard::open(&ReplaySettings { capacity, journal: None }, NOW).unwrap()
}

fn with_journal(dir: &PrivateDir, now: Timestamp) -> Guard {
    Guard::open(&ReplaySettings { capacity: 1000, journal: Some(dir.clone()) }, now).unwrap()
}

fn replayed<T>(answer: Result<T, ReplayError>) -> bool {
    matches!(answer, Err(ReplayError::Replayed))
}

/// One good presentation was admitted; this one differs in one thing.
#[rstest]
#[case::the_same(|_: &World, _: &mut AdmitInput<'_>| (), true)]
#[case::another_spelling_of_the_token(|_: &World, i: &mut AdmitInput<'_>| i.token_digest = sha256(b"other"), true)]
#[case::a_later_end(|_: &World, i: &mut AdmitInput<'_>| i.expires = i.expires.plus(LEEWAY), true)]
#[case::another_token_id(|_: &World, i: &mut AdmitInput<'_>| i.token_id = Some("b"), false)]
#[case::no_token_id(|_: &World, i: &mut AdmitInput<'_>| i.token_id = None, false)]
#[case::a_reusable_token(|_: &World, i: &mut AdmitInput<'_>| i.rule = ReplayRule::Reusable, false)]
fn a_token_is_known_by_issuer_target_and_id(
    #[values(Here, InRedis)] place: Where,
    #[case] change: fn(&World, &mut AdmitInput<'_>),
    #[case] expected: bool,
) {
    let world = world();
    let Some(guard) = place.guard() else { return };
    assert!(guard.admit(&world.job(Some("a"))).unwrap().is_remembered());
    let mut second = world.job(Some("a"));
    change(&world, &mut second);
    assert_eq!(replayed(guard.admit(&second)), expected);
}

#[rstest]
fn another_target_and_another_issuer_are_other_uses(#[values(Here, InRedis)] place: Where) {
    let world = world();
    let Some(guard) = place.guard() else { return };
    guard.admit(&world.job(Some("a"))).unwrap();
    guard.admit(&AdmitInput { target: &world.test, ..world.job(Some("a")) }).unwrap();
    guard.admit(&AdmitInput { issuer: &world.github, ..world.job(Some("a")) }).unwrap();
    assert_eq!(guard.remembered(), 3);
}

#[rstest]
fn without_a_token_id_the_digest_stands_in_and_is_never_taken_for_one(#[values(Here, InRedis)] place: Where) {
    let world = world();
    let Some(guard) = place.guard() else { return };
    guard.admit(&world.job(None)).unwrap();
    assert!(replayed(guard.admit(&world.job(None))));
    let digest: Sha256 = sha256(b"token");
    let posing = String::from_utf8_lossy(digest.bytes()).into_owned();
    guard.admit(&world.job(Some(&posing))).unwrap();
}

#[rstest]
fn reusable_tokens_are_admitted_freely_and_cost_no_memory(#[values(Here, InRedis)] place: Where) {
    let world = world();
    let Some(guard) = (match place {
        Here => Some(memory(0)),
        InRedis => place.guard().inspect(|guard| guard.redis.as_ref().unwrap().pause()),
    }) else {
        return;
    };
    let pod = AdmitInput { rule: ReplayRule::Reusable, ..world.job(Some("a")) };
    assert!((0..10).all(|_| !guard.admit(&pod).unwrap().is_remembered()));
    if let Some(redis) = &guard.redis {
        redis.resume();
    }
    assert_eq!(guard.remembered(), 0);
}

/// The attack that the leeway makes: present again when a naive memory has forgotten and verification still accepts,
/// be it with a leeway that was raised meanwhile. Over a Redis it is its clock that forgets: how long that takes is asked below.
#[test]
fn a_token_is_remembered_for_as_long_as_verification_accepts_it() {
    let world = world();
    let guard = memory(10_000);
    let first = world.job(Some("a"));
    guard.admit(&first).unwrap();
    let last_accepted = first.expires.plus(MAX_LEEWAY).minus(Duration::from_millis(1));
    for now in [first.expires.minus(LEEWAY), first.expires, last_accepted, last_accepted.plus(MARGIN)] {
        for n in 0..50 {
            // Others come and go meanwhile, so that sweeping has every chance.
            let other = n.to_string();
            let short = AdmitInput { expires: now, now, ..world.job(Some(&other)) };
            let _ = guard.admit(&short);
        }
        assert!(replayed(guard.admit(&AdmitInput { now, ..first })), "{now}");
    }
}

#[test]
fn of_many_at_once_exactly_one_is_admitted() {
    let world = world();
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(&home.path().join("replay")).unwrap();
    for guard in [Some(memory(10_000)), Some(with_journal(&dir, NOW)), InRedis.guard()].into_iter().flatten() {
        for round in 0..50 {
            let token_id = format!("round-{round}");
            let barrier = Barrier::new(8);
            let admitted = std::thread::scope(|scope| {
                let present = || {
                    barrier.wait();
                    guard.admit(&world.job(Some(&token_id))).is_ok()
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(present)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
            });
            assert_eq!(admitted, 1);
        }
    }
}

#[test]
fn a_full_memory_denies_and_forgets_nobody() {
    let world = world();
    let guard = memory(10);
    let ids: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    for id in &ids[..10] {
        guard.admit(&world.job(Some(id))).unwrap();
    }
    assert!(matches!(guard.admit(&world.job(Some(&ids[10]))), Err(ReplayError::MemoryFull)));
    assert!(ids[..10].iter().all(|id| replayed(guard.admit(&world.job(Some(id))))));
    let later = NOW.plus(Duration::from_secs(3600));
    let fresh = AdmitInput { now: later, expires: later.plus(LEEWAY), ..world.job(Some(&ids[10])) };
    guard.admit(&fresh).unwrap();
}

#[test]
fn a_restart_forgets_nothing_that_lives() {
    let world = world();
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(&home.path().join("replay")).unwrap();
    let guard = with_journal(&dir, NOW);
    guard.admit(&world.job(Some("a"))).unwrap();
    let long = AdmitInput { expires: NOW.plus(Duration::from_secs(7200)), ..world.job(Some("long")) };
    guard.admit(&long).unwrap();
    // As after kill -9: nothing was synced, closed or dropped in order. Only the lock goes with the process.
    drop(guard);

    let soon = NOW.plus(LEEWAY);
    let again = with_journal(&dir, soon);
    assert!(replayed(again.admit(&AdmitInput { now: soon, ..world.job(Some("a")) })));
    assert!(replayed(again.admit(&AdmitInput { now: soon, ..long })));
    drop(again);

    let later = NOW.plus(Duration::from_secs(3600));
    let last = with_journal(&dir, later);
    assert_eq!(last.remembered(), 1);
    // The clock is set back behind what was dropped at the start: nobody can say, so nobody is admitted.
    assert!(matches!(last.admit(&world.job(Some("a"))), Err(ReplayError::Forgotten)));
}

#[test]
fn a_record_that_a_crash_cut_off_does_not_shift_the_others() {
    let world = world();
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(&home.path().join("replay")).unwrap();
    drop({
        let guard = with_journal(&dir, NOW);
        guard.admit(&world.job(Some("a"))).unwrap();
        guard
    });
    let segment = dir.names().unwrap().into_iter().find(|name| name.starts_with("admitted-")).unwrap();
    OpenOptions::new().append(true).open(dir.join(&segment)).unwrap().write_all(&[7; 11]).unwrap();
    let guard = with_journal(&dir, NOW);
    assert!(replayed(guard.admit(&world.job(Some("a")))));
    guard.admit(&world.job(Some("b"))).unwrap();
    drop(guard);
    let guard = with_journal(&dir, NOW);
    assert!(replayed(guard.admit(&world.job(Some("a")))) && replayed(guard.admit(&world.job(Some("b")))));
}

#[test]
fn segments_are_removed_once_everything_in_them_is_over() {
    let world = world();
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(&home.path().join("replay")).unwrap();
    let guard = with_journal(&dir, NOW);
    let segments = || dir.names().unwrap().iter().filter(|name| name.starts_with("admitted-")).count();
    guard.admit(&world.job(Some("a"))).unwrap();
    guard.maintain(NOW).unwrap();
    assert_eq!(segments(), 1);
    let later = NOW.plus(Duration::from_secs(900));
    guard.maintain(later).unwrap();
    assert_eq!(segments(), 2, "the old one is over, and stays for a day");
    let fresh = AdmitInput { now: later, expires: later.plus(LEEWAY * 60), ..world.job(Some("b")) };
    guard.admit(&fresh).unwrap();
    guard.maintain(NOW.plus(Duration::from_secs(300) + MAX_LEEWAY + MARGIN + KEPT_PAST_END)).unwrap();
    assert_eq!(segments(), 2, "one was removed, one begun");
    drop(guard);
    assert!(replayed(with_journal(&dir, later).admit(&fresh)));
}

/// The attack: a machine that boots with its clock wrong, and is set right before the next start.
#[test]
fn a_clock_that_was_ahead_at_a_start_brings_no_token_back() {
    let world = world();
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(&home.path().join("replay")).unwrap();
    with_journal(&dir, NOW).admit(&world.job(Some("a"))).unwrap();
    let ahead = with_journal(&dir, NOW.plus(KEPT_PAST_END));
    ahead.maintain(NOW.plus(KEPT_PAST_END)).unwrap();
    assert!(matches!(ahead.admit(&world.job(Some("a"))), Err(ReplayError::Forgotten)), "set right while it runs");
    drop(ahead);
    assert!(replayed(with_journal(&dir, NOW).admit(&world.job(Some("a")))));
}

#[test]
fn a_clock_that_is_far_behind_stops_the_start_and_forgets_nothing() {
    let world = world();
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(&home.path().join("replay")).unwrap();
    with_journal(&dir, NOW).admit(&world.job(Some("a"))).unwrap();
    let settings = ReplaySettings { capacity: 1000, journal: Some(dir.clone()) };
    let error = Guard::open(&settings, Timestamp::from_secs(0)).err().unwrap();
    assert!(error.to_string().contains("is the clock right?"), "{error}");
    assert!(replayed(with_journal(&dir, NOW).admit(&world.job(Some("a")))));
}

#[test]
fn a_segment_with_a_damaged_record_is_never_removed() {
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(&home.path().join("replay")).unwrap();
    let name = "admitted-00000000000000000001.log";
    dir.write(name, &[0; 48]).unwrap();
    let guard = with_journal(&dir, NOW);
    guard.maintain(NOW.plus(KEPT_PAST_END * 9)).unwrap();
    assert_eq!(dir.read(name, 99).unwrap().unwrap().len(), 48);
}

#[test]
fn a_full_disk_denies_burns_nothing_and_heals() {
    let Some(disk) = SmallDisk::mount("64k") else { return };
    let world = world();
    let dir = PrivateDir::open(&disk.path().join("replay")).unwrap();
    let guard = with_journal(&dir, NOW);
    guard.admit(&world.job(Some("before"))).unwrap();
    let filler = disk.fill();
    let (mut admitted, mut denied) = (Vec::new(), Vec::new());
    for n in 0..400 {
        let id = n.to_string();
        match guard.admit(&world.job(Some(&id))) {
            Ok(_) => admitted.push(id),
            Err(ReplayError::Journal(_)) => denied.push(id),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(!denied.is_empty());
    fs::remove_file(filler).unwrap();
    assert!(denied.iter().all(|id| guard.admit(&world.job(Some(id))).is_ok()), "nothing was burnt");
    drop(guard);
    let guard = with_journal(&dir, NOW);
    let all = admitted.iter().chain(&denied).map(String::as_str).chain(["before"]);
    assert!(all.into_iter().all(|id| replayed(guard.admit(&world.job(Some(id))))));
}

/// What a Redis that has just begun may have forgotten: what was issued before, and as much after as clocks may differ.
#[test]
fn a_token_from_before_the_shared_memory_began_is_refused_and_a_later_one_is_not() {
    let world = world();
    let Some(redis) = Redis::start_with(&[]) else { return };
    // As if it had begun then, and not a moment later.
    let now = Clock::System.now();
    redis.has_been_there_since("cambio:", now.as_millis());
    let guard = Guard::over(redis);
    let issued = |at: Timestamp| AdmitInput { earliest: at, expires: at.plus(LEEWAY), now, ..world.job(Some("a")) };
    for at in [now.minus(LEEWAY / 2), now, now.plus(CLOCKS_DIFFER)] {
        let answer = guard.admit(&issued(at));
        let forgotten = matches!(answer, Err(ReplayError::Shared(CountersError::Forgotten(since))) if since == now);
        assert!(forgotten, "{answer:?}");
    }
    assert_eq!(guard.remembered(), 0, "nothing is burnt");
    guard.admit(&issued(now.plus(CLOCKS_DIFFER + Duration::from_millis(1)))).unwrap();
}

/// Else it could be presented before its time, be forgotten, and be presented again as a later one.
#[test]
fn a_token_from_the_future_is_not_remembered_before_its_time() {
    let world = world();
    let Some(guard) = InRedis.guard() else { return };
    let now = Clock::System.now();
    let issued = |at: Timestamp| AdmitInput { earliest: at, expires: at.plus(LEEWAY), now, ..world.job(Some("a")) };
    let answer = guard.admit(&issued(now.plus(CLOCKS_DIFFER * 3)));
    assert!(matches!(answer, Err(ReplayError::Shared(CountersError::Ahead))), "{answer:?}");
    guard.admit(&issued(now.plus(CLOCKS_DIFFER / 2))).unwrap();
}

/// A caller's clock that is ahead, or a server's, must not make the memory shorter for everybody else.
#[rstest]
#[case::the_clocks_agree(0)]
#[case::the_callers_is_behind(-50)]
#[case::the_callers_is_ahead(50)]
fn a_shared_memory_lasts_by_whichever_clock_is_behind(#[case] ahead: i64) {
    let world = world();
    let Some(guard) = InRedis.guard() else { return };
    let true_now = Clock::System.now();
    let now = Timestamp::from_secs(true_now.as_secs() + ahead);
    guard.admit(&AdmitInput { now, expires: true_now.plus(LEEWAY), ..world.job(Some("a")) }).unwrap();
    let keys = guard.redis.as_ref().unwrap().ask(&["KEYS", "cambio:once:*"]);
    let key = keys.lines().find(|line| line.contains("once")).unwrap();
    let left: i64 = guard.redis.as_ref().unwrap().ask(&["PTTL", key]).trim().trim_start_matches(':').parse().unwrap();
    let life = i64::try_from((LEEWAY + MAX_LEEWAY + MARGIN).as_secs()).unwrap();
    let expected = life.max(life - ahead);
    assert!((expected - 10..=expected + 1).contains(&(left / 1000)), "{left} of {expected}");
}
