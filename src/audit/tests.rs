//! One record per exchange, whatever happens to the exchange, to the disk, or in the texts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::audit::{AuditUnavailable, ClaimDetail, Journal, JournalSettings, Outcome, Record, Surface, Trail, find};
use crate::clock::Timestamp;
use crate::identity::{DecisionId, IssuerName, Namespace, PolicyName, TargetName};
use crate::jose::{Algorithm, SigningKey, random, sha256};
use crate::mint::{IssuedToken, KeyRing, KeySettings, KeySource, LifetimeInput, MintInput, Minter};
use rstest::rstest;
use serde_json::{Value, json};

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const LATENCY: Duration = Duration::from_micros(123);

pub(super) struct Home {
    _dir: tempfile::TempDir,
    pub(super) path: PathBuf,
}

pub(super) fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit/decisions.jsonl");
    Home { _dir: dir, path }
}

impl Home {
    pub(super) fn journal(&self) -> Arc<Journal> {
        Journal::open(JournalSettings::file(self.path.clone())).unwrap()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        lines(&self.path)
    }
}

/// The records; other lines of the chain and pieces of lines are left out.
pub(super) fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| serde_json::from_str::<Record>(line).is_ok()).map(str::to_owned).collect()
}

pub(super) fn id() -> DecisionId {
    DecisionId::new(NOW, random().unwrap())
}

pub(super) fn begin(journal: &Arc<Journal>) -> Trail {
    Trail::begin(journal, id(), NOW, Surface::OAuth, Some("192.0.2.7".parse().unwrap()))
}

pub(super) fn denied() -> Outcome<'static> {
    Outcome::Denied { reason: "policy.no_rule", detail: Some("no rule of `gitlab` held".to_owned()) }
}

pub(super) fn issued() -> IssuedToken {
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
        revocable: false,
        usage: crate::mint::Usage::Access,
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
    trail.metadata([("job", "17")].into_iter());
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
        "metadata": {"job": "17"},
        "trace": [{"rule": "protected", "held": true}], "jti": token.jti(),
        "expires": "2026-11-18T11:16:40.000Z", "lifetime_s": 600, "latency_us": 123,
        "seq": 3, "prev": line["prev"],
    });
    let whole = fs::read_to_string(&home.path).unwrap();
    let before = whole.lines().nth(1).unwrap();
    assert_eq!(line["prev"], json!(sha256(before.as_bytes()).to_string()), "after the header and its head");
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
    // The header and its head; the head is a signed token that is meant to be read.
    fs::read_to_string(&home.path).unwrap().lines().skip(2).map(|line| format!("{line}\n")).collect()
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
    let written = home.lines().remove(0);
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
fn what_an_administrator_does_is_on_record_with_before_and_after() {
    let home = home();
    let journal = home.journal();
    let begin = || Trail::begin(&journal, id(), NOW, Surface::Admin, None);
    let mut trail = begin();
    trail.account("0199-admin");
    trail.acts("service_account.disable", "service_account/0199-a");
    trail.namespace("group_1");
    trail.changed(Some(&json!({"disabled": false, "note": TOKEN})), Some(&json!({"disabled": true})));
    trail.admit().unwrap();
    trail.close(Outcome::Done, LATENCY);
    let mut trail = begin();
    trail.acts("service_account.create", &"x".repeat(10_000));
    trail.changed(None, Some(&json!({"permissions": vec!["x".repeat(100); 1000]})));
    trail.close(Outcome::Denied { reason: "admin.not_allowed", detail: None }, LATENCY);
    assert!(journal.flush(PATIENCE));
    let records: Vec<Record> = home.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [done, denied] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((done.outcome.as_str(), done.action.as_deref()), ("done", Some("service_account.disable")));
    assert_eq!(done.object.as_deref(), Some("service_account/0199-a"));
    assert_eq!((done.account.as_deref(), done.namespace.as_deref()), (Some("0199-admin"), Some("group_1")));
    assert_eq!(done.before, Some(json!({"disabled": false, "note": "[token]"})));
    assert_eq!(done.after, Some(json!({"disabled": true})));
    assert_eq!((denied.outcome.as_str(), &denied.before), ("denied", &None));
    assert!(denied.after.as_ref().unwrap()["cut_bytes"].as_u64().unwrap() > 100_000);
    assert!(home.lines()[1].len() < 2000);
}

#[test]
fn a_call_that_nothing_came_of_leaves_no_record_and_one_that_is_lent_leaves_one() {
    let home = home();
    let journal = Journal::open(JournalSettings::file(home.path.clone())).unwrap();
    drop(begin(&journal).only_if_closed());
    let mut silent = begin(&journal).only_if_closed();
    drop(silent.lend());
    drop(silent);
    let mut trail = begin(&journal);
    let mut lent = trail.lend();
    lent.subject("s");
    drop(trail);
    lent.close(Outcome::Done, LATENCY);
    begin(&journal).only_if_closed().close(Outcome::Done, LATENCY);
    assert!(journal.flush(PATIENCE));
    let records: Vec<Record> = home.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = records.iter().map(|record| (record.outcome.as_str(), record.subject.as_deref())).collect();
    assert_eq!(told, [("done", Some("s")), ("done", None)]);
}

#[test]
fn the_state_of_the_largest_account_is_whole_but_for_long_texts() {
    let home = home();
    let journal = Journal::open(JournalSettings::file(home.path.clone())).unwrap();
    let grants = |word: &str| json!(vec![format!("{word}{}", "x".repeat(500)); 12]);
    let [odd, who] = ["\u{e0041}".repeat(250), format!("idp:{}", "\u{e0041}".repeat(2_000))];
    let state = json!({
        "permissions": grants("granted"), "pending": {"grants": grants("wanted"), "requested_by": who},
        "description": odd, "owner": "\u{e0041}".repeat(50), "created_by": who, "updated_by": who, "approved_by": who,
    });
    let mut trail = begin(&journal);
    trail.changed(Some(&state), Some(&json!(vec!["y".repeat(600); 50])));
    trail.close(Outcome::Done, LATENCY);
    assert!(journal.flush(PATIENCE));
    let record: Record = serde_json::from_str(&home.lines()[0]).unwrap();
    let before = record.before.unwrap();
    assert_eq!(
        (&before["permissions"], &before["pending"]["grants"]),
        (&state["permissions"], &state["pending"]["grants"])
    );
    assert!(before["created_by"].as_str().unwrap().ends_with('…'));
    assert!(record.after.unwrap()["cut_bytes"].as_u64().unwrap() > 24 * 1024);
}
