//! Several replicas over one database: started at once, over rotations, behind, cut off, paused, and with rows that somebody
//! else wrote.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::task::Poll;

use rstest::rstest;
use zeroize::Zeroizing;

use super::*;
use crate::jose::{Algorithm, CompactJws, KeyRules, KeySet, SigningKey};
use crate::mint::minter::MintInput;
use crate::mint::tests::{input, names};
use crate::mint::{KeyRing, KeySource, KeyState, LifetimeInput, MintError, Minter};
use crate::secrets::local::{MasterKey, MasterKeys, WrappedKeys};
use crate::state::PrivateDir;
use crate::state::database::{DATABASE_FILE, Database};
use crate::state::real_postgres::Postgres;

const START: Timestamp = Timestamp::from_secs(1_795_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

struct Home {
    dir: tempfile::TempDir,
    database: Database,
    server: Option<Postgres>,
}

impl Home {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // This file is two modules: one over a file, one over a PostgreSQL.
        let server = module_path!().ends_with("on_postgres").then(Postgres::start).flatten();
        let database = match &server {
            Some(server) => Database::connect(&server.database_url(), START).await.unwrap(),
            None => Database::open(&PrivateDir::open(&dir.path().join("shared")).unwrap(), START).await.unwrap(),
        };
        Self { dir, database, server }
    }

    /// As a replica of its own reaches it: a file belongs to one process.
    async fn connect(&self) -> Database {
        match &self.server {
            Some(server) => Database::connect(&server.database_url(), START).await.unwrap(),
            None => self.database.clone(),
        }
    }

    /// Everything that the database has on the disk.
    fn files(&self) -> Vec<u8> {
        match &self.server {
            Some(server) => server.files().into_iter().flat_map(|(_, content)| content).collect(),
            None => ["", "-wal"]
                .into_iter()
                .flat_map(|suffix| {
                    let name = format!("{DATABASE_FILE}{suffix}");
                    fs::read(self.dir.path().join("shared").join(name)).unwrap_or_default()
                })
                .collect(),
        }
    }

    /// A data directory of one replica.
    fn data(&self, replica: &str) -> PathBuf {
        self.dir.path().join(replica)
    }

    fn settings(&self, replica: &str) -> KeySettings {
        KeySettings::new(KeySource::Database {
            data_dir: self.data(replica),
            algorithm: Algorithm::ES256,
            rotate_every: Some(6 * HOUR),
        })
    }

    async fn keys_under(&self, master: u8, previous: Option<u8>) -> Result<KeyDatabase, KeyError> {
        let key = |byte: u8| MasterKey::from_text(&format!("{}{byte:02x}", "00".repeat(31))).unwrap();
        let master = MasterKeys::new(key(master), previous.map(key).into_iter().collect()).unwrap();
        let wrapped = WrappedKeys::open(self.database.clone(), master).await?;
        if previous.is_some() {
            wrapped.rewrap().await?;
        }
        KeyDatabase::open(self.database.clone(), &wrapped, START).await
    }

    async fn keys(&self) -> KeyDatabase {
        self.keys_under(1, None).await.unwrap()
    }

    async fn try_ring(&self, replica: &str, now: Timestamp) -> Result<KeyRing, KeyError> {
        let store = self.keys_under(1, None).await?.over(self.connect().await);
        KeyRing::open_shared(&self.settings(replica), store, now).await
    }

    async fn ring(&self, replica: &str, now: Timestamp) -> KeyRing {
        self.try_ring(replica, now).await.unwrap()
    }

    /// The inner part of a ring, and what it publishes.
    async fn shared(&self, now: Timestamp) -> (SharedKeys, ArcSwap<Snapshot>) {
        let (shared, snapshot) = SharedKeys::open(&self.settings("a"), self.keys().await, now).await.unwrap();
        (shared, ArcSwap::from_pointee(snapshot))
    }
}

/// All of them at the same time.
async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in waiting.iter_mut().filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                *done = Some(output);
            }
        }
        if waiting.iter().any(|(_, done)| done.is_none()) { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

fn published(ring: &KeyRing) -> KeySet {
    let rules = KeyRules { algorithms: Algorithm::ALL.to_vec(), jwt_svid: false };
    KeySet::parse(ring.public_jwks().as_bytes(), &rules).unwrap()
}

fn verifies(set: &KeySet, token: &str) -> bool {
    let jws = CompactJws::parse(Zeroizing::new(token.to_owned())).unwrap();
    set.candidates(jws.unverified_algorithm(), jws.unverified_key_id()).any(|key| jws.is_signed_by(key))
}

fn sign(ring: &KeyRing) -> String {
    ring.signer().sign(b"{}").unwrap().to_string()
}

fn after(span: Duration) -> Timestamp {
    START.plus(span)
}

/// Ticks each ring every five seconds over `span`.
async fn run(rings: &[&KeyRing], from: Timestamp, span: Duration) -> Timestamp {
    let mut now = from;
    while now < from.plus(span) {
        now = now.plus(TICK_EVERY);
        for ring in rings {
            ring.tick(now).await.unwrap();
        }
    }
    now
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_at_once_make_one_first_key() {
    for _ in 0..3 {
        let home = Home::new().await;
        let rings = join_all((0..8).map(|_| home.ring("a", START))).await;
        let jwks: BTreeSet<_> = rings.iter().map(KeyRing::public_jwks).collect();
        assert_eq!(jwks.len(), 1);
        assert_eq!(home.keys().await.list().await.unwrap().len(), 1);
        assert_eq!(home.database.signing_keys().await.unwrap(), 1);
        for ring in &rings {
            assert!(verifies(&published(&rings[0]), &sign(ring)));
        }
        // A restart makes no other one.
        assert_eq!(home.ring("a", after(HOUR)).await.signer().key_id(), rings[0].signer().key_id());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_move_on_at_once_take_each_step_once() {
    let home = Home::new().await;
    let rings = join_all((0..6).map(|_| home.ring("a", START))).await;
    let mut now = after(6 * HOUR);
    for expected in [2, 2, 2, 2, 3] {
        join_all(rings.iter().map(|ring| ring.tick(now))).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        now = now.plus(TICK_EVERY);
        join_all(rings.iter().map(|ring| ring.tick(now))).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        for ring in &rings {
            let keys = ring.keys();
            assert_eq!(keys, rings[0].keys());
            assert!(keys.len() == expected || keys.len() == 2, "{keys:?}");
            assert_eq!(keys.iter().filter(|key| matches!(key.state, KeyState::Active { .. })).count(), 1);
        }
        now = now.plus(20 * MINUTE);
    }
}

/// Four replicas: one that looks in time, one nearly a minute late, one that is restarted, one that can't reach the database
/// for hours. Verifiers take the set from any of them, as long as it says that it is ready, and keep it for as long as they
/// were told. No token that is alive may ever fail at any of them.
#[tokio::test]
async fn no_rotation_of_replicas_ever_fails_a_verification() {
    let home = Home::new().await;
    let settings = |replica: &str| KeySettings {
        publish_ahead: 10 * MINUTE,
        ..KeySettings::new(KeySource::Database {
            data_dir: home.data(replica),
            algorithm: Algorithm::ES256,
            rotate_every: Some(HOUR),
        })
    };
    let open = async |now| KeyRing::open_shared(&settings("a"), home.keys().await, now).await.unwrap();
    let mut rings = [open(START).await, open(START).await, open(START).await, open(START).await];
    let mut now = START;
    let mut verifiers: Vec<(Timestamp, KeySet)> = (0..4).map(|_| (START, published(&rings[0]))).collect();
    let mut tokens: Vec<String> = Vec::new();
    let mut signers = BTreeSet::new();
    let mut not_ready = 0;
    for turn in 0..600_usize {
        now = now.plus(55 * SECOND);
        if turn % 71 == 0 {
            rings[2] = open(now).await;
        }
        // The late one looks before the others change something.
        for late_first in [1, 0, 2] {
            rings[late_first].tick(now).await.unwrap();
        }
        if !(100..300).contains(&turn) && !(450..500).contains(&turn) {
            rings[3].tick(now).await.unwrap();
        }
        let ready: Vec<&KeyRing> = rings.iter().filter(|ring| ring.reading().unwrap().is_current(now)).collect();
        not_ready += rings.len() - ready.len();
        for (number, (until, set)) in verifiers.iter_mut().enumerate() {
            if *until <= now {
                // Two always ask the one that is cut off, where it is ready; the others ask all in turn.
                let asked = if number < 2 { ready.len() - 1 } else { (turn + number) % ready.len() };
                (*until, *set) = (now.plus(ready[asked].max_age(now)), published(ready[asked]));
            }
        }
        let fresh: Vec<String> = rings.iter().map(sign).collect();
        signers.extend(rings.iter().map(|ring| ring.signer().key_id().to_owned()));
        let in_touch: BTreeSet<_> = rings[..3].iter().map(|ring| ring.signer().key_id().to_owned()).collect();
        assert!(in_touch.len() <= 2, "turn {turn}");
        for (number, (_, set)) in verifiers.iter().enumerate() {
            let sample = tokens.iter().skip(turn % 97).step_by(97).chain(tokens.iter().rev().take(4));
            for token in fresh.iter().chain(sample) {
                assert!(verifies(set, token), "turn {turn}, verifier {number}");
            }
        }
        tokens.extend(fresh);
    }
    assert!(not_ready > 150, "{not_ready}");
    assert!(signers.len() >= 7, "{signers:?}");
    // What is over is gone, and only keys that sign or will have a private half.
    assert!(home.database.signing_keys().await.unwrap() <= 2);
    rings[0].tick(now.plus(25 * HOUR)).await.unwrap();
    assert!(rings[0].keys().len() <= 3, "{:?}", rings[0].keys());
    assert!(home.database.signing_keys().await.unwrap() <= 2);
}

#[tokio::test]
async fn a_replica_that_cannot_read_publishes_for_shorter_and_then_is_not_ready() {
    let home = Home::new().await;
    let ring = KeyRing::open_shared(&home.settings("a"), home.keys().await, START).await.unwrap();
    let reading = ring.reading().unwrap();
    for (span, max_age, current) in [
        (Duration::ZERO, HOUR, true),
        (MINUTE, HOUR, true),
        (2 * MINUTE, 59 * MINUTE, true),
        (60 * MINUTE, MINUTE, true),
        (61 * MINUTE, Duration::ZERO, false),
        (40 * HOUR, Duration::ZERO, false),
    ] {
        let now = after(span);
        assert_eq!((ring.max_age(now), reading.is_current(now)), (max_age, current), "{span:?}");
    }
    assert_eq!(reading.signs_until(), after(MAX_LIFETIME + MINUTE));
    // What it has, it keeps: the database is gone.
    home.database.close().await;
    let key = ring.signer().key_id().to_owned();
    assert!(matches!(ring.tick(after(HOUR)).await, Err(KeyError::Database(_))));
    assert_eq!((ring.signer().key_id(), ring.reading().unwrap()), (&*key, reading));
    assert!(home.keys_under(1, None).await.is_err(), "without the database there is no start");
}

#[tokio::test]
async fn no_token_is_signed_that_may_outlive_its_published_key() {
    let home = Home::new().await;
    let ring = Arc::new(home.ring("a", START).await);
    let minter = Minter::new(Arc::clone(&ring), "https://cambio.example");
    let names = names();
    let mint = |now: Timestamp| {
        let input = input(&names, "a");
        let lifetime = LifetimeInput { subject_expires: now.plus(HOUR), ..input.lifetime };
        minter.mint_for_tests(&MintInput { now, lifetime, ..input }).map(|_| ())
    };
    // Tokens live ten minutes here.
    let last = after(24 * HOUR + MINUTE - 10 * MINUTE);
    assert_eq!(mint(last), Ok(()));
    assert_eq!(mint(last.plus(SECOND)), Err(MintError::StaleKeys));
    // The next look makes all well again.
    ring.tick(last.plus(SECOND)).await.unwrap();
    assert_eq!(mint(last.plus(SECOND)), Ok(()));
}

#[tokio::test]
async fn a_rotation_by_command_is_published_by_all_before_it_signs() {
    let home = Home::new().await;
    let (a, b) = (home.ring("a", START).await, home.ring("b", START).await);
    let next = home.keys().await.rotate(&home.settings("cli"), Rotation::Ahead, START).await.unwrap();
    assert_eq!(next.state, KeyState::Prepared { published: None });
    let again = home.keys().await.rotate(&home.settings("cli"), Rotation::Ahead, START).await.unwrap();
    assert_eq!(again.key_id, next.key_id, "one at a time");
    let now = run(&[&a, &b], START, 10 * SECOND).await;
    assert!(published(&a).knows(&next.key_id) && published(&b).knows(&next.key_id));
    let now = run(&[&a, &b], now, HOUR).await;
    assert_ne!(a.signer().key_id(), &*next.key_id);
    run(&[&a, &b], now, 2 * MINUTE).await;
    assert_eq!((a.signer().key_id(), b.signer().key_id()), (&*next.key_id, &*next.key_id));
    // The private half of the one before is destroyed.
    assert_eq!(home.database.signing_keys().await.unwrap(), 1);
}

#[tokio::test]
async fn an_immediate_rotation_ends_every_other_key_at_every_replica() {
    let home = Home::new().await;
    let (a, b) = (home.ring("a", START).await, home.ring("b", START).await);
    let leaked = sign(&a);
    let next = a.rotate(Rotation::Immediately, START).await.unwrap();
    b.tick(after(TICK_EVERY)).await.unwrap();
    for ring in [&a, &b] {
        assert_eq!(ring.signer().key_id(), &*next.key_id);
        assert!(!verifies(&published(ring), &leaked));
    }
    assert_eq!(home.database.signing_keys().await.unwrap(), 1);
}

#[tokio::test]
async fn another_replica_takes_over_when_the_one_that_rotates_is_gone() {
    let home = Home::new().await;
    let (gone, left) = (home.ring("a", START).await, home.ring("b", START).await);
    let now = run(&[&gone, &left], START, 6 * HOUR - MINUTE).await;
    let holder = home.database.lease(LEASE).await.unwrap().unwrap();
    let ended = holder.until;
    // The clock of the one that is left is ahead: within the skew it waits.
    left.tick(ended.plus(SKEW)).await.unwrap();
    assert_eq!(home.database.lease(LEASE).await.unwrap().unwrap(), holder);
    run(&[&left], now, 2 * MINUTE).await;
    assert_ne!(home.database.lease(LEASE).await.unwrap().unwrap().holder, holder.holder);
    assert_eq!(left.keys().len(), 2, "the next key is prepared");
}

/// It read, and then slept: what it would write now was decided long ago.
#[rstest]
#[case::and_others_moved_on(true)]
#[case::and_another_only_took_the_lease(false)]
#[tokio::test]
async fn a_holder_that_slept_past_its_lease_changes_nothing(#[case] moved_on: bool) {
    let home = Home::new().await;
    let (sleeper, current) = home.shared(START).await;
    sleeper.tick(&current, START).await.unwrap();
    let due = after(6 * HOUR);
    let mut held = sleeper.held.lock().await;
    assert!(sleeper.is_elected(&mut held, due).await.unwrap());

    let other = home.ring("b", due).await;
    let woke = due.plus(LEASE_FOR + SKEW + 5 * SECOND);
    if moved_on {
        run(&[&other], due, LEASE_FOR + SKEW + 10 * SECOND).await;
        assert_eq!(other.keys().len(), 2);
    } else {
        let lease = LeaseRow { holder: "other".to_owned(), until: woke.plus(LEASE_FOR) };
        assert!(home.keys().await.take_lease(LEASE, &lease, woke.minus(SKEW)).await.unwrap());
    }
    let before = home.database.signing_manifest().await.unwrap();
    sleeper.move_on(&mut held, &current, due).await.unwrap();
    assert_eq!(home.database.signing_manifest().await.unwrap(), before);
    assert!(!sleeper.is_elected(&mut held, woke).await.unwrap(), "it holds nothing any more");
    let version = before.unwrap().version;
    drop(held);
    sleeper.tick(&current, woke).await.unwrap();
    assert_eq!(sleeper.held.lock().await.version, version);
}

#[tokio::test]
async fn the_database_never_sees_a_private_half() {
    let home = Home::new().await;
    let store = home.keys().await;
    let ring = home.ring("a", START).await;
    let manifest = store.read().await.unwrap().unwrap().1;
    let sealed = home.database.signing_key(ring.signer().key_id()).await.unwrap().unwrap();
    let pem = store.open_for_tests(ring.signer().key_id(), sealed.clone());
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    assert!(pem.contains("PRIVATE KEY") && body.len() > 100);
    let mut everything = sealed;
    everything.extend(manifest.to_json());
    everything.extend(home.files());
    let contains = |needle: &[u8]| everything.windows(needle.len()).any(|part| part == needle);
    assert!(contains(ring.signer().key_id().as_bytes()), "it looks in the right place");
    assert!(!contains(b"PRIVATE KEY") && !contains(&body.as_bytes()[..24]) && !contains(&body.as_bytes()[60..84]));
}

/// Each is what somebody can do who may write the database and has no master key.
#[rstest]
#[case::an_edited_manifest("UPDATE signing_manifest SET manifest = replace(manifest, '1795000000', '1795000001')")]
#[case::another_version("UPDATE signing_manifest SET version = version + 1")]
#[case::another_seal("UPDATE signing_manifest SET seal = (SELECT wrapped FROM wrapped_keys)")]
#[case::swapped_halves(
    "UPDATE signing_keys SET sealed = (SELECT s.sealed FROM signing_keys s WHERE s.kid <> signing_keys.kid)"
)]
#[case::an_edited_half("UPDATE signing_keys SET sealed = (SELECT wrapped FROM wrapped_keys)")]
#[case::no_halves("DELETE FROM signing_keys")]
#[case::no_manifest("DELETE FROM signing_manifest")]
#[case::another_sealing_key("UPDATE wrapped_keys SET wrapped = master")]
#[case::no_sealing_key("DELETE FROM wrapped_keys")]
#[tokio::test]
async fn what_cambio_did_not_write_is_refused(#[case] sql: &'static str) {
    let home = Home::new().await;
    let ring = home.ring("a", START).await;
    ring.rotate(Rotation::Ahead, START).await.unwrap();
    assert!(home.try_ring("b", START).await.is_ok());
    let before = (ring.public_jwks(), ring.signer().key_id().to_owned());
    assert!(home.database.tamper(sql).await >= 1);
    let error = home.try_ring("b", START).await.err().unwrap();
    assert!(
        matches!(error, KeyError::Tampered(_) | KeyError::Missing(_) | KeyError::NoManifest(_) | KeyError::Wrapped(_)),
        "{error}"
    );
    // A replica that runs goes on with what it has.
    let _ = ring.tick(after(MINUTE)).await;
    assert_eq!((ring.public_jwks(), ring.signer().key_id().to_owned()), before);
}

#[tokio::test]
async fn an_older_manifest_is_not_taken_up_by_a_replica_that_runs() {
    let home = Home::new().await;
    let ring = home.ring("a", START).await;
    home.database.tamper("CREATE TABLE backup AS SELECT * FROM signing_manifest").await;
    let leaked = ring.signer().key_id().to_owned();
    ring.rotate(Rotation::Immediately, START).await.unwrap();
    home.database.tamper("DELETE FROM signing_manifest").await;
    assert!(matches!(ring.tick(after(MINUTE)).await, Err(KeyError::WentBack { found: 0, .. })));
    home.database.tamper("INSERT INTO signing_manifest SELECT * FROM backup").await;
    let error = ring.tick(after(2 * MINUTE)).await.unwrap_err();
    assert!(matches!(error, KeyError::WentBack { seen: 2, found: 1 }), "{error}");
    assert!(!published(&ring).knows(&leaked));
}

#[tokio::test]
async fn another_master_key_leaves_the_signing_keys_as_they_are() {
    let home = Home::new().await;
    let old = home.ring("a", START).await;
    let store = home.keys_under(2, Some(1)).await.unwrap();
    let new = KeyRing::open_shared(&home.settings("b"), store, START).await.unwrap();
    assert_eq!(new.public_jwks(), old.public_jwks());
    // A replica that still runs with the old one goes on, and takes over what the new one makes.
    new.rotate(Rotation::Ahead, START).await.unwrap();
    old.tick(after(TICK_EVERY)).await.unwrap();
    assert_eq!(new.public_jwks(), old.public_jwks());
    assert!(home.keys_under(1, None).await.is_err());
    assert!(home.keys_under(2, None).await.is_ok());
}

fn directory(home: &Home, replica: &str) -> KeySettings {
    KeySettings::new(KeySource::Managed {
        data_dir: home.data(replica),
        algorithm: Algorithm::ES256,
        rotate_every: Some(6 * HOUR),
    })
}

#[tokio::test]
async fn the_keys_of_a_directory_are_moved_and_their_tokens_stay_good() {
    let home = Home::new().await;
    let before = KeyRing::open(&directory(&home, "a"), START).unwrap();
    before.rotate(Rotation::Ahead, START).await.unwrap();
    let token = sign(&before);
    let ring = home.ring("a", after(MINUTE)).await;
    assert_eq!((ring.keys(), ring.public_jwks()), (before.keys(), before.public_jwks()));
    assert!(verifies(&published(&ring), &token));
    let left: Vec<_> =
        fs::read_dir(home.data("a").join("keys")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| *name == "moved" || *name == ".lock"), "{left:?}");
    // Back to the directory: refused, rather than with other keys than the replicas.
    assert!(matches!(KeyRing::open(&directory(&home, "a"), after(MINUTE)), Err(KeyError::Moved(_))));
    assert!(matches!(crate::mint::list(&directory(&home, "a")), Err(KeyError::Moved(_))));
    assert!(before.tick(after(HOUR)).await.is_err(), "a server that still runs on it keeps what it has");
    assert_eq!(home.ring("a", after(HOUR)).await.signer().key_id(), before.signer().key_id());
}

#[tokio::test]
async fn the_keys_of_a_second_directory_are_published_until_their_tokens_are_over() {
    let home = Home::new().await;
    let second = KeyRing::open(&directory(&home, "b"), START).unwrap();
    let token = sign(&second);
    let a = home.ring("a", START).await;
    let b = home.ring("b", START).await;
    a.tick(after(TICK_EVERY)).await.unwrap();
    for ring in [&a, &b] {
        assert_eq!(ring.signer().key_id(), a.signer().key_id());
        assert!(verifies(&published(ring), &token));
    }
    assert_ne!(second.signer().key_id(), a.signer().key_id());
    assert_eq!(home.database.signing_keys().await.unwrap(), 1, "it signs no more, so its private half is gone");
    a.tick(after(25 * HOUR)).await.unwrap();
    assert!(!published(&a).knows(second.signer().key_id()));
}

#[tokio::test]
async fn a_move_that_was_cut_off_is_finished() {
    let home = Home::new().await;
    let before = KeyRing::open(&directory(&home, "a"), START).unwrap();
    let keys = home.data("a").join("keys");
    let saved: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(&keys)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let first = home.ring("a", START).await;
    let restore = || {
        for (path, content) in &saved {
            fs::write(path, content).unwrap();
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
    };
    // Between the commit and the mark.
    restore();
    fs::remove_file(keys.join("moved")).unwrap();
    let again = home.ring("a", START).await;
    assert_eq!((again.keys(), again.signer().key_id()), (first.keys(), before.signer().key_id()));
    assert!(keys.join("moved").exists() && !keys.join("manifest.json").exists());
    // Between the mark and the destruction.
    restore();
    home.ring("a", START).await;
    assert!(fs::read_dir(&keys).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().ends_with(".pem")));
}

#[tokio::test]
async fn a_stranger_s_key_in_the_manifest_is_not_published() {
    let home = Home::new().await;
    let ring = home.ring("a", START).await;
    // With the right form, and the right version, and no master key: sealed under another one.
    let pem = SigningKey::generate(Algorithm::ES256).unwrap();
    let key = SigningKey::from_pem(Algorithm::ES256, &pem, crate::mint::MEDIA_TYPE).unwrap();
    let other = Home::new().await;
    let strange = other.keys().await;
    let (version, mut manifest) = home.keys().await.read().await.unwrap().unwrap();
    let mut entry = manifest.keys[0].clone();
    entry.kid = Box::from(key.key_id());
    entry.public = key.public_jwk().clone();
    entry.state = KeyState::Retiring { since: 1, until: i64::MAX };
    manifest.keys.push(entry);
    let forging = strange.over(home.database.clone());
    assert!(forging.write(version, &Change::of(manifest), None, START).await.unwrap());
    let error = ring.tick(after(MINUTE)).await.unwrap_err();
    assert!(matches!(error, KeyError::Tampered(_)), "{error}");
    assert!(!published(&ring).knows(key.key_id()));
}
