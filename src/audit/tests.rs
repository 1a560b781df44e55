//! One record per exchange, whatever happens to the exchange, to the disk, or in the texts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::audit::{
    AuditError, AuditUnavailable, ClaimDetail, Journal, JournalSettings, OnFailure, Outcome, Record, Sink, Surface,
    Trail, find,
};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, IssuerName, Namespace, PolicyName, TargetName};
use crate::jose::{Algorithm, SigningKey, random, sha256};
use crate::mint::{IssuedToken, KeyRing, KeySettings, KeySource, LifetimeInput, MintInput, Minter};
use crate::state::StateError;
use crate::state::small_disk::SmallDisk;
use rstest::rstest;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const PATIENCE: Duration = Duration::from_secs(10);
const LATENCY: Duration = Duration::from_micros(123);

struct Home {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit/decisions.jsonl");
    Home { _dir: dir, path }
}

impl Home {
    fn journal(&self) -> Arc<Journal> {
        Journal::open(JournalSettings::file(self.path.clone())).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        lines(&self.path)
    }
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn id() -> DecisionId {
    DecisionId::new(NOW, random().unwrap())
}

fn begin(journal: &Arc<Journal>) -> Trail {
    Trail::begin(journal, id(), NOW, Surface::OAuth, Some("192.0.2.7".parse().unwrap()))
}

fn denied() -> Outcome<'static> {
    Outcome::Denied { reason: "policy.no_rule", detail: Some("no rule of `gitlab` held".to_owned()) }
}

fn issued() -> IssuedToken {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    fs::write(&path, SigningKey::generate(Algorithm::EdDSA).unwrap().as_bytes()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let ring = KeyRing::open(&KeySettings::new(KeySource::Files(vec![path])), NOW).unwrap();
    let minter = Minter::new(Arc::new(ring), "https://cambio.example");
    let input = MintInput {
        issuer: &IssuerName::new("gitlab").unwrap(),
        subject: "s",
        target: &TargetName::new("prod").unwrap(),
        namespace: Some(&Namespace::new("a").unwrap()),
        rule: "r",
        rule_digest: sha256(b"r"),
        policy_digest: sha256(b"p"),
        policies: &[],
        scope: "",
        lifetime: LifetimeInput {
            asked: None,
            rule: None,
            issuer_cap: None,
            subject_expires: NOW,
            outlive_subject: true,
        },
        decision: id(),
        now: NOW,
    };
    minter.mint_for_tests(&input).unwrap()
}

#[test]
fn a_whole_exchange_becomes_one_line_that_reads_back() {
    let home = home();
    let journal = home.journal();
    let token = issued();
    let mut trail = begin(&journal);
    let id = trail.id().unwrap();
    trail.asked("prod");
    trail.claimed(Some("https://gitlab.example"), Some("kid-1"), sha256(b"token"));
    trail.issuer(&IssuerName::new("gitlab").unwrap());
    let claims = json!({"ref": "main", "ref_protected": "true"});
    trail.subject("project:1");
    trail.claims(claims.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value)));
    trail.policy_set(sha256(b"set"));
    trail.permitted("protected", sha256(b"rule"), &[PolicyName::new("a/b").unwrap()]);
    trail.trace(json!([{"rule": "protected", "held": true}]));
    trail.admit().unwrap();
    trail.close(Outcome::Issued(&token), LATENCY);
    assert!(journal.flush(PATIENCE));

    let line: Value = serde_json::from_str(&home.lines()[0]).unwrap();
    let expected = json!({
        "v": 1, "id": id.to_string(), "time": "2026-11-18T11:06:40.000Z", "surface": "oauth", "remote": "192.0.2.7",
        "outcome": "issued", "claimed_issuer": "https://gitlab.example", "key_id": "kid-1",
        "token": sha256(b"token").to_string(), "issuer": "gitlab", "subject": "project:1",
        "claims": ["ref", "ref_protected"], "target": "prod", "policy_set": sha256(b"set").to_string(),
        "rule": "protected", "rule_digest": sha256(b"rule").to_string(), "policies": ["a/b"],
        "trace": [{"rule": "protected", "held": true}], "jti": token.jti(),
        "expires": "2026-11-18T11:16:40.000Z", "lifetime_s": 600, "latency_us": 123,
    });
    assert_eq!(line, expected);
    let record: Record = find(&home.path, id).unwrap().unwrap();
    assert_eq!(serde_json::to_value(&record).unwrap(), expected, "nothing is lost by reading");
    assert!(find(&home.path, self::id()).unwrap().is_none());
    assert_eq!(fs::metadata(&home.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!home.lines()[0].contains(token.token()));
}

#[test]
fn whatever_becomes_of_an_exchange_there_is_one_record() {
    let home = home();
    let journal = home.journal();
    begin(&journal).close(denied(), LATENCY);
    begin(&journal).close(Outcome::Failed { reason: "keys.unreachable", detail: None }, LATENCY);
    drop(begin(&journal));
    let panicked = std::thread::spawn({
        let journal = Arc::clone(&journal);
        move || {
            let _trail = begin(&journal);
            panic!("as a bug would");
        }
    });
    assert!(panicked.join().is_err());
    assert!(journal.flush(PATIENCE));
    let told: Vec<(String, String)> = home
        .lines()
        .iter()
        .map(|line| serde_json::from_str::<Record>(line).unwrap())
        .map(|record| (record.outcome, record.reason.unwrap()))
        .collect();
    let expected = [
        ("denied", "policy.no_rule"),
        ("failed", "keys.unreachable"),
        ("aborted", "abandoned"),
        ("aborted", "panicked"),
    ];
    assert_eq!(told, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!((journal.counters().written, journal.counters().pending), (4, 0));
}

#[test]
fn many_threads_lose_nothing_and_shutdown_writes_the_rest() {
    let home = home();
    let journal = home.journal();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..500).for_each(|_| begin(&journal).close(denied(), LATENCY)));
        }
    });
    journal.shutdown();
    assert_eq!(home.lines().len(), 4000);
    assert!(home.lines().iter().all(|line| serde_json::from_str::<Record>(line).is_ok()));
    // Too late: counted, and nothing may be minted any more.
    let mut late = begin(&journal);
    assert_eq!(late.worthwhile(), Err(AuditUnavailable::Closed));
    assert_eq!(late.admit(), Err(AuditUnavailable::Closed));
    late.close(denied(), LATENCY);
    assert_eq!((journal.counters().lost, home.lines().len()), (1, 4000));
}

#[test]
fn shutdown_waits_for_what_was_admitted_and_for_nothing_else() {
    let home = home();
    let journal = home.journal();
    let (mut minting, mut waiting) = (begin(&journal), begin(&journal));
    minting.admit().unwrap();
    let shutdown = std::thread::spawn({
        let journal = Arc::clone(&journal);
        move || journal.shutdown()
    });
    while waiting.worthwhile().is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(waiting.admit(), Err(AuditUnavailable::Closed));
    minting.close(Outcome::Issued(&issued()), LATENCY);
    shutdown.join().unwrap();
    assert_eq!((home.lines().len(), journal.counters().lost, journal.counters().pending), (1, 0, 0));
}

#[test]
fn shutdown_does_not_wait_for_ever() {
    let home = home();
    let journal = home.journal();
    let mut stuck = begin(&journal);
    stuck.admit().unwrap();
    journal.shutdown();
    stuck.close(denied(), LATENCY);
    assert_eq!((journal.counters().lost, journal.counters().pending), (1, 0));
}

const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJhIn0.c2lnbmF0dXJlLXBsYW50ZWQ";

/// Plants `text` in every place that a caller, an issuer or an operator's message can reach.
fn planted(text: &str, detail: ClaimDetail) -> String {
    let home = home();
    let settings = JournalSettings { claims: detail, ..JournalSettings::file(home.path.clone()) };
    let journal = Journal::open(settings).unwrap();
    let mut trail = begin(&journal);
    trail.asked(text);
    trail.claimed(Some(text), Some(text), sha256(b"x"));
    let value = json!({"deep": [text], text: text});
    trail.subject(text);
    trail.claims([(text, &value), ("plain", &json!(text))]);
    trail.permitted(text, sha256(b"x"), &[]);
    trail.trace(json!({text: [text]}));
    trail.close(Outcome::Denied { reason: "r", detail: Some(text.to_owned()) }, LATENCY);
    assert!(journal.flush(PATIENCE));
    fs::read_to_string(&home.path).unwrap()
}

#[rstest]
fn nothing_planted_in_any_field_leaks_breaks_the_line_or_fools_a_terminal(
    #[values(
        "\n{\"v\":1,\"outcome\":\"issued\"}\n",
        "\u{1b}[2J\u{9b}31m\u{7f}\r",
        "\u{202e}\u{2028}\u{feff}\u{e0041}",
        "\",\"outcome\":\"issued\",\"x\":\"",
        "\u{0}"
    )]
    text: &str,
    #[values(ClaimDetail::None, ClaimDetail::Names, ClaimDetail::Values)] detail: ClaimDetail,
) {
    let written = planted(text, detail);
    assert_eq!(written.lines().count(), 1);
    assert!(
        !written
            .trim_end_matches('\n')
            .chars()
            .any(|c| c.is_control() || "\u{202e}\u{2028}\u{feff}\u{e0041}".contains(c))
    );
    let record: Record = serde_json::from_str(&written).unwrap();
    assert_eq!(record.outcome, "denied");
    assert_eq!(record.subject.as_deref(), Some(text), "and the operator reads what it was");
}

#[rstest]
fn a_token_planted_in_any_field_is_struck_out(
    #[values(TOKEN, "Bearer cambio_sa_0123456789abcdef")] text: &str,
    #[values(ClaimDetail::None, ClaimDetail::Names, ClaimDetail::Values)] detail: ClaimDetail,
) {
    let written = planted(text, detail);
    assert!(written.contains("[token]"));
    assert!(!written.contains("eyJ") && !written.contains("c2lnbmF0") && !written.contains("0123456789abcdef"));
}

#[rstest]
fn a_record_is_bounded_whatever_it_is_given(
    #[values("é", "\u{1}", "\u{e0041}")] text: &str,
    #[values(ClaimDetail::None, ClaimDetail::Names, ClaimDetail::Values)] detail: ClaimDetail,
) {
    let long = text.repeat(100_000);
    let home = home();
    let settings = JournalSettings { claims: detail, ..JournalSettings::file(home.path.clone()) };
    let journal = Journal::open(settings).unwrap();
    let mut trail = begin(&journal);
    trail.asked(&long);
    trail.claimed(Some(&long), Some(&long), sha256(b"x"));
    let (value, names) = (json!(long), (0..1000).map(|n| format!("{n}{long}")).collect::<Vec<_>>());
    trail.subject(&long);
    trail.claims(names.iter().map(|name| (name.as_str(), &value)));
    let policies: Vec<PolicyName> = (0..1000).map(|n| PolicyName::new(&format!("p/{n:0250}")).unwrap()).collect();
    trail.permitted(&long, sha256(b"x"), &policies);
    trail.trace(vec![long.clone(); 10]);
    trail.close(Outcome::Denied { reason: "r", detail: Some(long) }, LATENCY);
    assert!(journal.flush(PATIENCE));
    let written = fs::read_to_string(&home.path).unwrap();
    assert!(written.len() < 64 * 1024, "{}", written.len());
    let record: Record = serde_json::from_str(&written).unwrap();
    assert!(record.subject.unwrap().ends_with(&format!("{text}…")));
    assert_eq!(record.policies.len(), 64);
    assert!(record.trace.unwrap()["cut_bytes"].as_u64().unwrap() > 1_000_000);
}

#[test]
fn claim_values_are_kept_only_where_the_operator_asks() {
    let claims = [("user_email", json!("a@b.example")), ("groups", json!(["1", "2"]))];
    let written = |detail| {
        let home = home();
        let settings = JournalSettings { claims: detail, ..JournalSettings::file(home.path.clone()) };
        let journal = Journal::open(settings).unwrap();
        let mut trail = begin(&journal);
        trail.subject("s");
        trail.claims(claims.iter().map(|(name, value)| (*name, value)));
        trail.close(denied(), LATENCY);
        assert!(journal.flush(PATIENCE));
        serde_json::from_str::<Record>(&home.lines()[0]).unwrap().claims
    };
    assert_eq!(written(ClaimDetail::None), None);
    assert_eq!(written(ClaimDetail::Names), Some(json!(["user_email", "groups"])));
    assert_eq!(written(ClaimDetail::Values), Some(json!({"user_email": "a@b.example", "groups": ["1", "2"]})));
}

#[test]
fn a_line_that_a_crash_cut_off_stays_by_itself() {
    let home = home();
    let journal = home.journal();
    let first = begin(&journal);
    let id = first.id().unwrap();
    first.close(denied(), LATENCY);
    drop(journal);
    let whole = fs::read_to_string(&home.path).unwrap();
    let torn = format!("{whole}{}", &whole[..whole.len() / 2]);
    fs::write(&home.path, &torn).unwrap();

    let journal = home.journal();
    let second = begin(&journal);
    let next = second.id().unwrap();
    second.close(denied(), LATENCY);
    journal.shutdown();
    assert_eq!(home.lines().len(), 3);
    assert!(fs::read_to_string(&home.path).unwrap().starts_with(&format!("{torn}\n")));
    assert!(find(&home.path, id).unwrap().is_some() && find(&home.path, next).unwrap().is_some());
}

#[test]
fn full_files_are_set_aside_kept_in_number_and_searched() {
    let home = home();
    let sink = Sink::File { path: home.path.clone(), rotate_bytes: 2000, keep: 3 };
    let journal = Journal::open(JournalSettings::new(sink)).unwrap();
    let mut ids = Vec::new();
    for second in 0..100 {
        let now = NOW.plus(Duration::from_secs(second / 2)); // two of a time, so that names would collide
        let id = DecisionId::new(now, random().unwrap());
        ids.push(id);
        Trail::begin(&journal, id, now, Surface::Vault, None).close(denied(), LATENCY);
        assert!(journal.flush(PATIENCE));
    }
    let files: Vec<PathBuf> = fs::read_dir(home.path.parent().unwrap()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    let kept: usize = files.iter().map(|file| lines(file).len()).sum();
    assert!((24..60).contains(&kept), "{kept}");
    assert!(ids[100 - kept..].iter().all(|id| find(&home.path, *id).unwrap().is_some()));
    assert!(find(&home.path, ids[0]).unwrap().is_none());
    for file in &files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(lines(file).iter().all(|line| serde_json::from_str::<Record>(line).is_ok()));
    }
    assert_eq!(journal.counters().failures, 0);
}

#[test]
fn a_file_that_others_read_or_another_process_writes_is_refused() {
    let home = home();
    let journal = home.journal();
    let second = Journal::open(JournalSettings::file(home.path.clone())).err().unwrap();
    assert!(matches!(second, AuditError::State(StateError::Busy(_))), "{second}");
    drop(journal);
    fs::set_permissions(&home.path, fs::Permissions::from_mode(0o644)).unwrap();
    let wide = Journal::open(JournalSettings::file(home.path.clone())).err().unwrap();
    assert!(matches!(wide, AuditError::State(StateError::Wide { .. })), "{wide}");
}

#[rstest]
#[case(OnFailure::Deny, Err(AuditUnavailable::Sink))]
#[case(OnFailure::Drop, Ok(()))]
fn a_sink_that_refuses_is_noticed_and_counted(
    #[case] on_failure: OnFailure,
    #[case] admitted: Result<(), AuditUnavailable>,
) {
    let sink = Sink::File { path: PathBuf::from("/dev/full"), rotate_bytes: 1, keep: 1 };
    let journal = Journal::open(JournalSettings { on_failure, ..JournalSettings::new(sink) }).unwrap();
    assert!(journal.healthy());
    begin(&journal).close(denied(), LATENCY);
    while journal.healthy() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(begin(&journal).admit(), admitted);
    assert!(!journal.flush(Duration::from_millis(50)));
    journal.shutdown();
    let counters = journal.counters();
    assert_eq!((counters.written, counters.lost, counters.pending), (0, 2, 0));
    assert!(counters.failures >= 1);
    assert_eq!(counters.refused, u64::from(on_failure == OnFailure::Deny));
}

#[rstest]
#[case(OnFailure::Deny, Err(AuditUnavailable::Full))]
#[case(OnFailure::Drop, Ok(()))]
fn without_room_nothing_is_minted_or_the_loss_is_counted(
    #[case] on_failure: OnFailure,
    #[case] admitted: Result<(), AuditUnavailable>,
) {
    let home = home();
    let settings = JournalSettings { capacity: 3, on_failure, ..JournalSettings::file(home.path.clone()) };
    let journal = Journal::open(settings).unwrap();
    let mut trails: Vec<Trail> = (0..3).map(|_| begin(&journal)).collect();
    assert!(trails.iter_mut().all(|trail| trail.admit().is_ok() && trail.admit().is_ok()));
    let mut fourth = begin(&journal);
    assert_eq!(fourth.admit(), admitted);
    assert!(journal.healthy(), "full for a moment is no illness");
    fourth.close(denied(), LATENCY);
    drop(trails);
    assert!(journal.flush(PATIENCE));
    assert_eq!((journal.counters().written, journal.counters().lost), (3, 1));
    assert_eq!(begin(&journal).admit(), Ok(()), "there is room again");
}

/// The attack: thousands of requests whose bodies never come.
#[rstest]
fn whoever_only_waits_takes_no_room(#[values(OnFailure::Deny, OnFailure::Drop)] on_failure: OnFailure) {
    let home = home();
    let settings = JournalSettings { capacity: 16, on_failure, ..JournalSettings::file(home.path.clone()) };
    let journal = Journal::open(settings).unwrap();
    let idle: Vec<Trail> = (0..1000).map(|_| begin(&journal)).collect();
    assert!(idle.iter().all(|trail| trail.worthwhile().is_ok()));
    assert!(journal.healthy());
    let mut trail = begin(&journal);
    assert_eq!(trail.admit(), Ok(()));
    trail.close(denied(), LATENCY);
    assert!(journal.flush(PATIENCE));
    assert_eq!((journal.counters().written, journal.counters().lost, journal.counters().pending), (1, 0, 0));
    for trail in idle {
        trail.close(denied(), LATENCY);
        assert!(journal.flush(PATIENCE));
    }
    assert_eq!((journal.counters().written, journal.counters().lost), (1001, 0));
}

#[test]
fn denials_leave_room_for_what_is_minted() {
    let sink = Sink::File { path: PathBuf::from("/dev/full"), rotate_bytes: 1, keep: 1 };
    let settings = JournalSettings { capacity: 16, on_failure: OnFailure::Drop, ..JournalSettings::new(sink) };
    let journal = Journal::open(settings).unwrap();
    (0..100).for_each(|_| begin(&journal).close(denied(), LATENCY));
    assert_eq!((journal.counters().pending, journal.counters().lost), (14, 86));
    begin(&journal).admit().unwrap();
    assert_eq!((journal.counters().pending, journal.counters().lost), (15, 86));
}

#[test]
fn a_sink_that_hangs_is_noticed_without_an_error() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap().success());
    let reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let journal = Journal::open(JournalSettings::file(path)).unwrap();
    while journal.healthy() {
        begin(&journal).close(Outcome::Denied { reason: "r", detail: Some("x".repeat(1000)) }, LATENCY);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(journal.counters().failures, 0);
    let drain = std::thread::spawn(move || std::io::copy(&mut { reader }, &mut std::io::sink()));
    while !journal.healthy() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!drain.is_finished());
}

#[test]
fn a_disk_that_was_full_gets_every_record_once_it_has_room_and_no_half_ones() {
    let Some(disk) = SmallDisk::mount("256k") else { return };
    let path = disk.path().join("decisions.jsonl");
    let journal = Journal::open(JournalSettings::file(path.clone())).unwrap();
    begin(&journal).close(denied(), LATENCY);
    assert!(journal.flush(PATIENCE));
    let filler = disk.fill();
    for _ in 0..200 {
        begin(&journal).close(denied(), LATENCY);
    }
    while journal.healthy() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(begin(&journal).admit(), Err(AuditUnavailable::Sink));
    fs::remove_file(filler).unwrap();
    assert!(journal.flush(PATIENCE));
    assert!(journal.healthy());
    begin(&journal).admit().unwrap();
    journal.shutdown();
    let lines = lines(&path);
    assert!(lines.iter().all(|line| serde_json::from_str::<Record>(line).is_ok()));
    let ids: std::collections::BTreeSet<String> =
        lines.iter().map(|line| serde_json::from_str::<Record>(line).unwrap().id).collect();
    assert_eq!((lines.len(), ids.len()), (203, 203));
    assert_eq!(journal.counters().lost, 0);
}
