//! Whatever moment a process is killed at, while several writers write: what the local store acknowledged is there and right, and
//! nothing is there by half.
//!
//! The writer is this test binary again, as another process, which says each acknowledgement on its standard output after the
//! store gave it. The parent kills it (`SIGKILL`), opens the same directory, and compares. A killed process leaves the system's
//! memory of files alone, which a lost supply does not; so the second test takes away the end of the write-ahead log, at any
//! byte, and the layers below are held to their settings (`synchronous = FULL`, see `state::database`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cambio::clock::Timestamp;
use cambio::jose::sha256;
use cambio::secrets::local::{KvVersion, LocalLimits, LocalStore, MasterKey, MasterKeys};
use cambio::secrets::{KvAnswer, KvError, KvMethod, KvRequest, SecretData, SecretPath};
use cambio::state::PrivateDir;
use cambio::state::database::Database;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const ROUNDS: u64 = 25;
const WRITERS: u64 = 4;
const PATHS: u64 = 3;
/// Where the writer finds the directory, and what makes this binary a writer.
const DIRECTORY: &str = "CAMBIO_TEST_POWER_LOSS_DIRECTORY";
const ROUND: &str = "CAMBIO_TEST_POWER_LOSS_ROUND";

/// What was acknowledged: path and version, and the digest of the value.
type Acknowledged = BTreeMap<(String, u64), String>;

async fn open(dir: &Path) -> (Database, Arc<LocalStore>) {
    let dir = PrivateDir::open(dir).unwrap();
    let database = Database::open(&dir, NOW).await.unwrap();
    let master = MasterKeys::new(MasterKey::embedded(&dir, &database).await.unwrap(), Vec::new()).unwrap();
    let limits = LocalLimits { max_versions: 1_000_000, ..LocalLimits::default() };
    (database.clone(), Arc::new(LocalStore::open(database, master, limits).await.unwrap()))
}

async fn run(store: &LocalStore, path: &str, method: KvMethod) -> Result<KvAnswer, KvError> {
    store.run(None, "kv", KvVersion::V2, &KvRequest::Secret(SecretPath::new(path).unwrap(), method), NOW).await
}

/// A value that says where it belongs, of a size that takes one page or several.
fn value(path: &str, writer: u64, round: u64, count: u64) -> SecretData {
    let size = usize::try_from([20, 200, 3_000, 20_000][usize::try_from(count % 4).unwrap()]).unwrap();
    let json = format!(r#"{{"at":"{path} {writer} {round} {count}","fill":"{}"}}"#, "x".repeat(size));
    SecretData::new(json.into_bytes().into()).unwrap()
}

async fn write(store: &LocalStore, path: &str, data: SecretData) -> u64 {
    match run(store, path, KvMethod::Write { data, cas: None }).await.unwrap() {
        KvAnswer::Written { metadata, .. } => metadata.version,
        other => panic!("{other:?}"),
    }
}

/// Writes until it is killed. Not a test of its own: it does nothing unless a parent asks.
#[test]
fn the_writer_that_is_killed() {
    let Ok(dir) = std::env::var(DIRECTORY) else { return };
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async move {
        let (_, store) = open(Path::new(&dir)).await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    for count in 0.. {
                        // Writers share paths, so that their versions interleave.
                        let path = format!("app/{}", (writer + count) % PATHS);
                        let data = value(&path, writer, round, count);
                        let digest = sha256(data.as_json());
                        let version = write(&store, &path, data).await;
                        // One write of one line, so that a kill leaves it whole or absent.
                        let line = format!("ack {path} {version} {digest}\n");
                        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

/// Starts a writer, kills it after `life`, and returns what it said.
fn kill_a_writer(dir: &Path, round: u64, life: Duration) -> Acknowledged {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["the_writer_that_is_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let (mut acknowledged, mut line) = (Acknowledged::new(), String::new());
        while said.read_line(&mut line).unwrap() > 0 {
            let whole = line.strip_suffix('\n').unwrap_or_default();
            // libtest's own words stand before the first of ours.
            if let Some((_, ack)) = whole.split_once("ack ") {
                let [path, version, digest] = ack.split(' ').collect::<Vec<_>>()[..] else { panic!("{ack}") };
                let before = acknowledged.insert((path.to_owned(), version.parse().unwrap()), digest.to_owned());
                assert_eq!(before, None, "one version was acknowledged twice: {ack}");
            }
            line.clear();
        }
        acknowledged
    });
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Every version that is there opens, belongs where it stands, and follows the one before it.
async fn compare(dir: &Path, acknowledged: &Acknowledged) -> u64 {
    let (database, store) = open(dir).await;
    database.check().await.unwrap();
    let mut found = 0;
    for number in 0..PATHS {
        let path = format!("app/{number}");
        let metadata = match run(&store, &path, KvMethod::ReadMetadata).await {
            Ok(KvAnswer::Metadata(metadata)) => metadata,
            Err(KvError::NotFound) => continue,
            other => panic!("{other:?}"),
        };
        let versions: Vec<u64> = metadata.versions.iter().map(|row| row.version).collect();
        assert_eq!(versions, (1..=metadata.current_version).collect::<Vec<_>>(), "{path} has gaps");
        for version in versions {
            let read = run(&store, &path, KvMethod::Read { version: Some(version) }).await;
            let Ok(KvAnswer::Version { data: Some(data), .. }) = read else { panic!("{path} {version}: {read:?}") };
            let json: serde_json::Value = serde_json::from_slice(data.as_json()).unwrap();
            assert!(json["at"].as_str().unwrap().starts_with(&path));
            if let Some(digest) = acknowledged.get(&(path.clone(), version)) {
                assert_eq!(sha256(data.as_json()).to_string(), *digest, "{path} {version}");
            }
            found += 1;
        }
    }
    for (path, version) in acknowledged.keys() {
        let read = run(&store, path, KvMethod::Read { version: Some(*version) }).await;
        assert!(
            matches!(read, Ok(KvAnswer::Version { data: Some(_), .. })),
            "{path} {version} was acknowledged: {read:?}"
        );
    }
    database.close().await;
    found
}

#[test]
fn what_was_acknowledged_outlives_a_kill_at_any_moment() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut all, mut found) = (Acknowledged::new(), 0);
    let mut seed = u64::from(std::process::id());
    for round in 0..ROUNDS {
        // A new moment in each round: in the making of the file, of the keys, of the first secret, or in full work.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let life = Duration::from_micros(5_000 + (seed >> 33) % 400_000);
        let acknowledged = kill_a_writer(&dir, round, life);
        for (at, digest) in acknowledged {
            assert_eq!(all.insert(at.clone(), digest), None, "{at:?} was acknowledged by an earlier process");
        }
        found = runtime.block_on(compare(&dir, &all));
    }
    println!("{} acknowledged, {found} found, after {ROUNDS} kills", all.len());
    assert!(all.len() > 100, "too few writes to mean anything: {}", all.len());
    // At most one write of each writer, for each kill, was done and not yet acknowledged.
    assert!(found <= u64::try_from(all.len()).unwrap() + ROUNDS * WRITERS, "{found} of {}", all.len());
}

#[test]
fn a_log_that_ends_anywhere_is_a_state_of_before() {
    let home = tempfile::tempdir().unwrap();
    let (full, cut) = (home.path().join("full"), home.path().join("cut"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (_database, store) = open(&full).await;
        for count in 0..12 {
            let path = format!("app/{}", count % PATHS);
            write(&store, &path, value(&path, 0, 0, count)).await;
        }
        // The files as they are while the store is open: nothing is written back into the database yet.
        let log = fs::read(full.join("cambio.db-wal")).unwrap();
        let mut last = 0;
        for step in 0..=60 {
            let length = log.len() * step / 60;
            let _ = fs::remove_dir_all(&cut);
            PrivateDir::open(&cut).unwrap();
            for name in ["cambio.db", "master.key"] {
                fs::copy(full.join(name), cut.join(name)).unwrap();
            }
            fs::copy(full.join("cambio.db-wal"), cut.join("cambio.db-wal")).unwrap();
            fs::write(cut.join("cambio.db-wal"), &log[..length]).unwrap();
            let found = compare(&cut, &Acknowledged::new()).await;
            assert!(found >= last, "a longer log has less in it");
            last = found;
        }
        assert_eq!(last, 12);
    });
}
