//! What becomes of records when the disk is full, slow, shared or cut off.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::audit::{
    AuditError, AuditUnavailable, Journal, JournalSettings, OnFailure, Outcome, Record, Sink, Surface, Trail, find,
};
use crate::identity::DecisionId;
use crate::jose::random;
use crate::state::StateError;
use crate::state::small_disk::SmallDisk;
use rstest::rstest;

use super::chain_tests::verified;
use super::tests::{LATENCY, NOW, PATIENCE, begin, denied, home, lines};

#[test]
fn a_line_that_a_crash_cut_off_stays_by_itself() {
    let home = home();
    let journal = home.journal();
    let first = begin(&journal);
    let id = first.id().unwrap();
    first.close(denied(), LATENCY);
    drop(journal);
    let whole = fs::read_to_string(&home.path).unwrap();
    let line = whole.lines().nth(2).unwrap();
    let torn = format!("{whole}{}", &line[..line.len() / 2]);
    fs::write(&home.path, &torn).unwrap();

    let journal = home.journal();
    let second = begin(&journal);
    let next = second.id().unwrap();
    second.close(denied(), LATENCY);
    journal.shutdown();
    assert_eq!(home.lines().len(), 2);
    assert!(fs::read_to_string(&home.path).unwrap().starts_with(&format!("{torn}\n")));
    let report = verified(&home.path);
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.chains[0].torn, 1);
    assert!(find(&home.path, id).unwrap().is_some() && find(&home.path, next).unwrap().is_some());
}

#[test]
fn full_files_are_set_aside_kept_in_number_and_searched() {
    let home = home();
    let sink = Sink::File { path: home.path.clone(), rotate_bytes: 4000, keep: 3, keep_for: None };
    let journal = Journal::open(JournalSettings::new(sink)).unwrap();
    let mut ids = Vec::new();
    for second in 0..100 {
        let now = NOW.plus(Duration::from_secs(second / 2)); // two of a time, so that names would collide
        let id = DecisionId::new(now, random().unwrap());
        ids.push(id);
        Trail::begin(&journal, id, now, Surface::Vault, None).close(denied(), LATENCY);
        assert!(journal.flush(PATIENCE));
    }
    let files = fs::read_dir(home.path.parent().unwrap()).unwrap().map(|e| e.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    let kept: usize = files.iter().map(|file| lines(file).len()).sum();
    assert!((24..60).contains(&kept), "{kept}");
    assert!(ids[100 - kept..].iter().all(|id| find(&home.path, *id).unwrap().is_some()));
    assert!(find(&home.path, ids[0]).unwrap().is_none());
    for file in &files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    journal.shutdown();
    let report = verified(&home.path);
    assert!(report.is_good(), "{report:?}");
    let chain = &report.chains[0];
    assert_eq!((chain.records, chain.last_segment - chain.first_segment), (u64::try_from(kept).unwrap(), 3));
    assert!(chain.first_segment > 1 && chain.uncovered().is_none(), "{chain:?}");
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
    let sink = Sink::File { path: PathBuf::from("/dev/full"), rotate_bytes: 1, keep: 1, keep_for: None };
    let journal = Journal::open(JournalSettings { on_failure, ..JournalSettings::new(sink) }).unwrap();
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
    let sink = Sink::File { path: PathBuf::from("/dev/full"), rotate_bytes: 1, keep: 1, keep_for: None };
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
