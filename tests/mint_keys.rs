//! The signing keys over their life: made, kept, rotated, lost, damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cambio::clock::{Clock, ManualClock, Timestamp};
use cambio::jose::{Algorithm, CompactJws, KeyRules, KeySet, SigningKey};
use cambio::mint::{KeyError, KeyRing, KeySettings, KeySource, KeyState, MAX_LIFETIME, Rotation, rotate};
use cambio::state::StateError;
use rstest::rstest;
use zeroize::Zeroizing;

const START: Timestamp = Timestamp::from_secs(1_795_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

struct Home {
    _dir: tempfile::TempDir,
    data: PathBuf,
}

fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    Home { _dir: dir, data }
}

impl Home {
    fn settings(&self) -> KeySettings {
        KeySettings::managed(self.data.clone())
    }

    fn with(&self, algorithm: Algorithm, rotate_every: Option<Duration>) -> KeySettings {
        KeySettings::new(KeySource::Managed { data_dir: self.data.clone(), algorithm, rotate_every })
    }

    fn keys(&self) -> PathBuf {
        self.data.join("keys")
    }

    fn manifest(&self) -> String {
        fs::read_to_string(self.keys().join("manifest.json")).unwrap()
    }

    fn pems(&self) -> Vec<String> {
        let names = fs::read_dir(self.keys()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".pem")).collect()
    }
}

fn published(ring: &KeyRing) -> KeySet {
    let rules = KeyRules { algorithms: Algorithm::ALL.to_vec(), jwt_svid: false };
    KeySet::parse(ring.public_jwks().as_bytes(), &rules).unwrap()
}

fn verifies(set: &KeySet, token: &str) -> bool {
    let jws = CompactJws::parse(Zeroizing::new(token.to_owned())).unwrap();
    set.candidates(jws.unverified_algorithm(), jws.unverified_key_id()).any(|key| jws.is_signed_by(key))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn after(span: Duration) -> Timestamp {
    START.plus(span)
}

#[test]
fn the_first_start_makes_one_private_key_and_a_restart_keeps_it() {
    let home = home();
    let ring = KeyRing::open(&home.settings(), START).unwrap();
    let key_id = ring.signer().key_id().to_owned();
    assert_eq!(ring.signer().algorithm(), Algorithm::ES256);
    assert!(published(&ring).knows(&key_id));
    assert!(!ring.public_jwks().contains("\"d\""));
    assert_eq!(home.pems(), [format!("{key_id}.pem")]);
    assert_eq!(mode(&home.keys()), 0o700);
    assert_eq!(mode(&home.keys().join("manifest.json")), 0o600);
    assert_eq!(mode(&home.keys().join(format!("{key_id}.pem"))), 0o600);
    assert!(!home.manifest().contains("PRIVATE"));

    let token = ring.signer().sign(b"{}").unwrap();
    let jwks = ring.public_jwks();
    drop(ring);
    let again = KeyRing::open(&home.settings(), after(HOUR)).unwrap();
    assert_eq!((again.signer().key_id(), again.public_jwks()), (key_id.as_str(), jwks));
    assert!(verifies(&published(&again), &token));
}

/// Verifiers that fetch our keys at most once per `max-age`, each at its own time, over scheduled rotations, rotations by
/// command, a change of algorithm, and restarts. No token that is alive may ever fail at any of them.
#[tokio::test]
async fn no_rotation_ever_fails_a_verification() {
    let home = home();
    let manual = ManualClock::new(START);
    let clock = Clock::Manual(manual.clone());
    let mut settings = home.with(Algorithm::ES256, Some(30 * HOUR));
    let mut ring = KeyRing::open(&settings, clock.now()).unwrap();
    let step = 10 * MINUTE;
    let mut verifiers: Vec<(Timestamp, KeySet)> = Vec::new();
    let mut tokens: Vec<(Timestamp, String)> = Vec::new();
    let mut signers = std::collections::BTreeSet::new();
    for turn in 0..(6 * 24 * 6) {
        let now = clock.now();
        match turn {
            100 => drop(rotate(&settings, Rotation::Ahead, now).unwrap()), // `cambio keys rotate` beside the server
            300 => {
                settings = home.with(Algorithm::EdDSA, Some(30 * HOUR));
                ring = KeyRing::open(&settings, now).unwrap();
            }
            400 => drop(ring.rotate(Rotation::Ahead, now).await.unwrap()),
            turn if turn % 97 == 0 => ring = KeyRing::open(&settings, now).unwrap(),
            _ => {}
        }
        ring.tick(now).await.unwrap();
        if turn < 6 {
            verifiers.push((now, published(&ring))); // one in each phase of the hour
        }
        for (fetched, set) in &mut verifiers {
            if now.since(*fetched) >= ring.max_age(now) {
                (*fetched, *set) = (now, published(&ring));
            }
        }
        let signer = ring.signer();
        signers.insert(signer.key_id().to_owned());
        tokens.push((now.plus(MAX_LIFETIME), signer.sign(b"{}").unwrap().to_string()));
        // Of the tokens that live the newest and the oldest, and once an hour every twentieth.
        tokens.retain(|(expires, _)| *expires > now);
        let between = if turn % 6 == 0 { 20 } else { usize::MAX };
        for (_, set) in &verifiers {
            let mut checked = tokens.iter().step_by(between).chain(tokens.last());
            assert!(checked.all(|(_, token)| verifies(set, token)), "turn {turn}");
        }
        manual.advance(step);
    }
    assert!(signers.len() >= 6, "{signers:?}");
    assert_eq!(ring.signer().algorithm(), Algorithm::EdDSA);
    // What is over is gone, and only keys that sign or will have a private half on the disk.
    assert!(ring.keys().len() <= 3, "{:?}", ring.keys());
    assert!(home.pems().len() <= 2);
}

#[tokio::test]
async fn a_key_waits_ahead_of_use_only_while_a_server_publishes_it() {
    let home = home();
    drop(KeyRing::open(&home.settings(), START).unwrap());
    let next = rotate(&home.settings(), Rotation::Ahead, after(MINUTE)).unwrap();
    assert_eq!(next.state, KeyState::Prepared { published: None });
    assert_eq!(rotate(&home.settings(), Rotation::Ahead, after(2 * MINUTE)).unwrap(), next, "one at a time");

    // The server was down for hours: nobody has seen the key, so it does not sign yet.
    let ring = KeyRing::open(&home.settings(), after(5 * HOUR)).unwrap();
    assert!(published(&ring).knows(&next.key_id));
    assert_ne!(ring.signer().key_id(), &*next.key_id);
    ring.tick(after(6 * HOUR)).await.unwrap();
    assert_ne!(ring.signer().key_id(), &*next.key_id);
    ring.tick(after(6 * HOUR + 2 * MINUTE)).await.unwrap();
    assert_eq!(ring.signer().key_id(), &*next.key_id);
}

#[tokio::test]
async fn an_immediate_rotation_ends_every_other_key_at_once() {
    let home = home();
    let ring = KeyRing::open(&home.settings(), START).unwrap();
    let prepared = ring.rotate(Rotation::Ahead, START).await.unwrap();
    let leaked = ring.signer().sign(b"{}").unwrap();
    let next = rotate(&home.settings(), Rotation::Immediately, after(MINUTE)).unwrap();
    ring.tick(after(MINUTE)).await.unwrap();
    assert_eq!(ring.signer().key_id(), &*next.key_id);
    assert_ne!(prepared.key_id, next.key_id, "a prepared key may have leaked too");
    assert!(!verifies(&published(&ring), &leaked));
    assert_eq!(published(&ring).keys().len(), 1);
    assert_eq!(home.pems(), [format!("{}.pem", next.key_id)]);
    assert_eq!(ring.keys().iter().filter(|key| matches!(key.state, KeyState::Revoked { .. })).count(), 2);
    ring.tick(after(26 * HOUR)).await.unwrap();
    assert_eq!(ring.keys().len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_changes_nothing() {
    let home = home();
    let ring = KeyRing::open(&home.settings(), START).unwrap();
    ring.rotate(Rotation::Ahead, START).await.unwrap();
    let before = ring.keys();
    ring.tick(START.minus(1000 * HOUR)).await.unwrap();
    assert_eq!(ring.keys(), before);
}

/// Each is what a crash between two steps leaves behind.
#[rstest]
#[case::the_first_manifest_without_keys("{\"version\":1,\"keys\":[]}", None)]
#[case::the_first_key_without_its_manifest("{\"version\":1,\"keys\":[]}", Some("orphan.pem"))]
#[case::half_a_manifest_beside_the_old_one("{\"version\":1,\"keys\":[]}", Some(".manifest.json.new"))]
fn a_first_start_that_was_cut_off_begins_again(#[case] manifest: &str, #[case] left: Option<&str>) {
    let home = home();
    drop(KeyRing::open(&home.settings(), START).unwrap());
    for pem in home.pems() {
        fs::rename(home.keys().join(&pem), home.keys().join("orphan.pem")).unwrap();
    }
    if left != Some("orphan.pem") {
        fs::remove_file(home.keys().join("orphan.pem")).unwrap();
    }
    if let Some(name @ ".manifest.json.new") = left {
        fs::write(home.keys().join(name), "{\"vers").unwrap();
    }
    fs::write(home.keys().join("manifest.json"), manifest).unwrap();
    let ring = KeyRing::open(&home.settings(), START).unwrap();
    assert_eq!(published(&ring).keys().len(), 1);
    assert_eq!(home.keys().join("orphan.pem").exists(), left == Some("orphan.pem"), "a stray key is left where it is");
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_is_finished() {
    let home = home();
    let ring = KeyRing::open(&home.settings(), START).unwrap();
    let old = format!("{}.pem", ring.signer().key_id());
    let private = fs::read(home.keys().join(&old)).unwrap();
    ring.rotate(Rotation::Ahead, START).await.unwrap();
    ring.tick(after(2 * HOUR)).await.unwrap();
    assert!(!home.pems().contains(&old), "a retired key needs no private half");
    // The crash came between writing the manifest and destroying the private half.
    fs::write(home.keys().join(&old), private).unwrap();
    fs::set_permissions(home.keys().join(&old), fs::Permissions::from_mode(0o600)).unwrap();
    drop(KeyRing::open(&home.settings(), after(2 * HOUR)).unwrap());
    assert!(!home.pems().contains(&old));
}

#[tokio::test]
async fn a_server_and_the_command_line_never_interleave() {
    let home = home();
    let ring = Arc::new(KeyRing::open(&home.settings(), START).unwrap());
    let other = KeyRing::open(&home.settings(), START).unwrap(); // another server on the same directory
    let rotating = (0..4).map(|_| {
        let settings = home.settings();
        tokio::task::spawn_blocking(move || {
            for _ in 0..5 {
                rotate(&settings, Rotation::Ahead, START).unwrap();
            }
        })
    });
    let rotating: Vec<_> = rotating.collect();
    for _ in 0..20 {
        ring.tick(START).await.unwrap();
        other.tick(START).await.unwrap();
    }
    for rotating in rotating {
        rotating.await.unwrap();
    }
    ring.tick(START).await.unwrap();
    other.tick(START).await.unwrap();
    assert_eq!(ring.keys(), other.keys());
    assert_eq!(ring.public_jwks(), other.public_jwks());
    assert_eq!(ring.keys().len(), 2);
    other.tick(after(2 * HOUR)).await.unwrap();
    ring.tick(after(2 * HOUR)).await.unwrap();
    assert_eq!(ring.signer().key_id(), other.signer().key_id());
}

#[rstest]
#[case("keys", 0o750)]
#[case("keys/manifest.json", 0o640)]
#[case("keys/KEY", 0o604)]
fn keys_that_others_can_reach_are_refused(#[case] what: &str, #[case] mode: u32) {
    let home = home();
    let ring = KeyRing::open(&home.settings(), START).unwrap();
    let what = home.data.join(what.replace("KEY", &format!("{}.pem", ring.signer().key_id())));
    fs::set_permissions(&what, fs::Permissions::from_mode(mode)).unwrap();
    let error = KeyRing::open(&home.settings(), START).err().unwrap();
    assert!(matches!(error, KeyError::State(StateError::Wide { .. })), "{error}");
    assert!(error.to_string().contains("chmod"), "{error}");
}

#[rstest]
#[case::not_json("{\"version\":1,", "no manifest")]
#[case::another_version("{\"version\":2,\"keys\":[]}", "version 2")]
#[case::a_stranger("{\"version\":1,\"keys\":[],\"x\":1}", "no manifest")]
#[case::empty("", "no manifest")]
#[tokio::test]
async fn a_damaged_manifest_stops_the_start_and_is_left_as_it_is(#[case] text: &str, #[case] why: &str) {
    let home = home();
    let ring = KeyRing::open(&home.settings(), START).unwrap();
    let key_id = ring.signer().key_id().to_owned();
    fs::write(home.keys().join("manifest.json"), text).unwrap();
    let error = KeyRing::open(&home.settings(), START).err().unwrap().to_string();
    assert!(error.contains(why) && error.contains("manifest.json"), "{error}");
    assert_eq!(home.manifest(), text);
    assert_eq!(home.pems().len(), 1);
    // A server that runs goes on with what it has.
    assert!(ring.tick(START).await.is_err());
    assert_eq!(ring.signer().key_id(), key_id);
}

#[rstest]
#[case::an_edited_public_key(|m: &str, _: &str| m.replacen("\"x\": \"", "\"x\": \"AA", 1))]
#[case::an_edited_kid(|m: &str, kid: &str| m.replace(kid, "../../etc/passwd"))]
#[case::two_active(|m: &str, _: &str| m.replace("\"prepared\": {\n          \"published\": 1795000000\n", "\"active\": {\n          \"since\": 1\n"))]
#[tokio::test]
async fn an_edited_manifest_is_refused(#[case] edit: fn(&str, &str) -> String) {
    let home = home();
    let ring = KeyRing::open(&home.settings(), START).unwrap();
    ring.rotate(Rotation::Ahead, START).await.unwrap();
    let edited = edit(&home.manifest(), ring.signer().key_id());
    assert_ne!(edited, home.manifest());
    fs::write(home.keys().join("manifest.json"), &edited).unwrap();
    assert!(KeyRing::open(&home.settings(), START).is_err());
    assert_eq!(home.manifest(), edited);
}

#[test]
fn a_lost_manifest_is_told_from_a_first_start() {
    let home = home();
    drop(KeyRing::open(&home.settings(), START).unwrap());
    fs::remove_file(home.keys().join("manifest.json")).unwrap();
    assert!(matches!(KeyRing::open(&home.settings(), START), Err(KeyError::NoManifest(_))));
    assert_eq!(home.pems().len(), 1);
}

#[test]
fn a_lost_or_swapped_private_half_is_named_and_an_immediate_rotation_helps() {
    let home = home();
    let ring = KeyRing::open(&home.settings(), START).unwrap();
    let path = home.keys().join(format!("{}.pem", ring.signer().key_id()));
    let other = SigningKey::generate(Algorithm::ES256).unwrap();
    fs::write(&path, other.as_bytes()).unwrap();
    assert!(matches!(KeyRing::open(&home.settings(), START), Err(KeyError::Swapped(_))));
    fs::remove_file(&path).unwrap();
    assert!(matches!(KeyRing::open(&home.settings(), START), Err(KeyError::Missing(_))));
    let next = rotate(&home.settings(), Rotation::Immediately, START).unwrap();
    assert_eq!(KeyRing::open(&home.settings(), START).unwrap().signer().key_id(), &*next.key_id);
}

#[tokio::test]
async fn a_disk_that_refuses_changes_nothing_and_is_tried_again() {
    let home = home();
    let ring = KeyRing::open(&home.with(Algorithm::ES256, Some(HOUR)), START).unwrap();
    let (before, jwks) = (home.manifest(), ring.public_jwks());
    let obstacle = home.keys().join(".manifest.json.new");
    fs::create_dir(&obstacle).unwrap();
    let due = after(2 * HOUR);
    assert!(matches!(ring.tick(due).await, Err(KeyError::State(StateError::Io { .. }))));
    assert_eq!((home.manifest(), ring.public_jwks()), (before, jwks));
    assert!(ring.signer().sign(b"{}").is_ok());
    // A restart meanwhile serves with the keys that are there.
    assert_eq!(KeyRing::open(&home.with(Algorithm::ES256, Some(HOUR)), due).unwrap().keys(), ring.keys());
    fs::remove_dir(&obstacle).unwrap();
    ring.tick(due).await.unwrap();
    assert_eq!(ring.keys().len(), 1, "not before half a minute is over");
    ring.tick(due.plus(MINUTE)).await.unwrap();
    assert_eq!(ring.keys().len(), 2);
}

fn key_file(path: &Path, algorithm: Algorithm, mode: u32) {
    fs::write(path, SigningKey::generate(algorithm).unwrap().as_bytes()).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn the_operators_files_sign_are_read_again_and_are_not_rotated_here() {
    let home = home();
    fs::create_dir(&home.data).unwrap();
    let (a, b) = (home.data.join("a.pem"), home.data.join("b.pem"));
    key_file(&a, Algorithm::EdDSA, 0o440); // as the kubelet mounts it
    key_file(&b, Algorithm::ES256, 0o600);
    let settings = KeySettings::new(KeySource::Files(vec![a.clone(), b.clone()]));
    let ring = KeyRing::open(&settings, START).unwrap();
    let first = ring.signer().key_id().to_owned();
    assert_eq!((ring.signer().algorithm(), published(&ring).keys().len()), (Algorithm::EdDSA, 2));
    assert!(matches!(ring.rotate(Rotation::Ahead, START).await, Err(KeyError::OperatorFiles)));
    assert!(matches!(rotate(&settings, Rotation::Ahead, START), Err(KeyError::OperatorFiles)));

    fs::write(home.data.join("new"), "no key").unwrap();
    fs::set_permissions(home.data.join("new"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(home.data.join("new"), &a).unwrap();
    assert!(matches!(ring.tick(START).await, Err(KeyError::Key { .. })));
    assert_eq!(ring.signer().key_id(), first);
    fs::copy(&b, home.data.join("new")).unwrap();
    fs::rename(home.data.join("new"), &a).unwrap();
    assert!(matches!(ring.tick(START).await, Err(KeyError::Twice(_))));
    key_file(&home.data.join("new"), Algorithm::ES256, 0o600);
    fs::rename(home.data.join("new"), &a).unwrap();
    ring.tick(START).await.unwrap();
    assert_ne!(ring.signer().key_id(), first);
    assert!(!home.keys().exists());
}

#[tokio::test]
async fn an_operators_file_that_could_not_be_read_is_tried_again_without_another_change() {
    let home = home();
    fs::create_dir(&home.data).unwrap();
    let path = home.data.join("a.pem");
    key_file(&path, Algorithm::ES256, 0o600);
    let ring = KeyRing::open(&KeySettings::new(KeySource::Files(vec![path.clone()])), START).unwrap();
    let old = ring.signer().key_id().to_owned();
    key_file(&path, Algorithm::EdDSA, 0o644);
    let soon = after(Duration::from_secs(5));
    assert!(ring.tick(soon).await.is_err());
    // The mode is no part of what a change is told by.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    ring.tick(soon).await.unwrap();
    assert_eq!(ring.signer().key_id(), old, "not at every tick");
    ring.tick(soon.plus(Duration::from_secs(30))).await.unwrap();
    assert_ne!(ring.signer().key_id(), old);
}

#[test]
fn an_operators_file_that_the_world_can_read_is_refused() {
    let home = home();
    fs::create_dir(&home.data).unwrap();
    let path = home.data.join("a.pem");
    key_file(&path, Algorithm::ES256, 0o644);
    let error = KeyRing::open(&KeySettings::new(KeySource::Files(vec![path])), START).err().unwrap();
    assert!(matches!(error, KeyError::State(StateError::Wide { .. })));
    assert!(matches!(KeyRing::open(&KeySettings::new(KeySource::Files(Vec::new())), START), Err(KeyError::NoFiles)));
}
