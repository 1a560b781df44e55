//! Whatever is done to a chain after it was written, verification finds it; and a chain survives what happens to a process.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use crate::audit::{Journal, JournalSettings, Report, Sink, Trail, Verifier};
use crate::clock::{Clock, ManualClock};
use crate::identity::DecisionId;
use crate::jose::{Sha256, random, sha256};
use proptest::prelude::*;
use rstest::rstest;

use super::audit_key::AuditKeys;
use super::sink::OpenSink;
use super::syncing::Syncing;
use super::tests::{LATENCY, NOW, PATIENCE, begin, denied, home};
use super::writer::Writer;

pub(super) fn verified(path: &Path) -> Report {
    let mut verifier = Verifier::new();
    verifier.journal(path).unwrap();
    verifier.finish()
}

/// A chain of several segments with a change of the key, removed segments and a torn line, closed well; its files' lines, and
/// its heads.
struct Good {
    files: Vec<(String, Vec<u8>)>,
    heads: Vec<String>,
}

static GOOD: LazyLock<Good> = LazyLock::new(|| {
    let home = home();
    let sink = Sink::File { path: home.path.clone(), rotate_bytes: 6000, keep: 3, keep_for: None };
    let settings = JournalSettings { sink, ..JournalSettings::file(home.path.clone()) };
    let keys = AuditKeys::open(settings.keys.as_deref()).unwrap();
    let run = |records: u64| {
        let journal = Journal::open(settings.clone()).unwrap();
        for _ in 0..records {
            begin(&journal).close(denied(), LATENCY);
            assert!(journal.flush(PATIENCE));
        }
        journal.shutdown();
    };
    run(60);
    let whole = fs::read(&home.path).unwrap();
    fs::write(&home.path, [&whole, whole.lines_from(2)].concat()).unwrap();
    run(3);
    keys.prepare().unwrap();
    let journal = Journal::open(settings.clone()).unwrap();
    while keys.next().unwrap().is_some() {
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(journal);
    run(12);
    let report = verified(&home.path);
    assert!(report.is_good(), "{report:?}");
    let chain = &report.chains[0];
    assert!(chain.first_segment > 1 && chain.last_segment - chain.first_segment == 3, "{chain:?}");
    assert_eq!((chain.torn, chain.keys.len(), chain.uncovered()), (1, 2, None), "{chain:?}");
    let mut files: Vec<(String, Vec<u8>)> = super::file_names::rotated(&home.path)
        .unwrap()
        .into_iter()
        .map(|(_, path)| path)
        .chain([home.path.clone()])
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.retain(|(_, bytes)| !bytes.is_empty());
    Good { files, heads: vec![keys.head().unwrap().unwrap()] }
});

trait LinesFrom {
    fn lines_from(&self, line: usize) -> &[u8];
}

impl LinesFrom for Vec<u8> {
    /// Half of that line.
    fn lines_from(&self, line: usize) -> &[u8] {
        let line = self.split(|b| *b == b'\n').nth(line).unwrap();
        &line[..line.len() / 2]
    }
}

fn report(files: &[(String, Vec<u8>)], heads: &[String]) -> Report {
    let mut verifier = Verifier::new();
    heads.iter().for_each(|head| assert!(verifier.expect(head)));
    for (name, bytes) in files {
        verifier.lines(name, Cursor::new(bytes)).unwrap();
    }
    verifier.finish()
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn the_chain_as_it_was_written_is_good() {
    let report = report(&GOOD.files, &GOOD.heads);
    assert!(report.is_good(), "{report:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_changed_byte_is_found(file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        let mut files = GOOD.files.clone();
        let bytes = &mut files[file.index(GOOD.files.len())].1;
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(!report(&files, &[]).is_good());
    }

    #[test]
    fn removed_lines_are_found(file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), many in 1..5_usize) {
        let mut files = GOOD.files.clone();
        let file = file.index(files.len());
        let mut rest = lines(&files[file].1);
        let at = at.index(rest.len());
        let end = (at + many).min(rest.len());
        // The end of the last file is the next property's.
        prop_assume!(file + 1 < files.len() || end < rest.len());
        rest.drain(at..end);
        files[file].1 = rest.concat();
        prop_assert!(!report(&files, &[]).is_good());
    }

    #[test]
    fn a_cut_at_the_end_is_found_by_a_head_from_elsewhere_or_at_least_within_a_line(cut in any::<prop::sample::Index>()) {
        look_at_a_cut(cut.index(GOOD.files.last().unwrap().1.len()));
    }

    #[test]
    fn swapped_lines_are_found(file in any::<prop::sample::Index>(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let mut files = GOOD.files.clone();
        let file = file.index(files.len());
        let mut all = lines(&files[file].1);
        let (a, b) = (a.index(all.len()), b.index(all.len()));
        prop_assume!(a != b);
        all.swap(a, b);
        files[file].1 = all.concat();
        prop_assert!(!report(&files, &[]).is_good());
    }

    #[test]
    fn repeated_and_foreign_lines_are_found(
        file in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        foreign in prop::option::of("\\PC{0,20}"),
    ) {
        let mut files = GOOD.files.clone();
        let file = file.index(files.len());
        let mut all = lines(&files[file].1);
        let line = foreign.map_or_else(|| all[from.index(all.len())].clone(), |text| format!("{text}\n").into_bytes());
        all.insert(to.index(all.len() + 1), line);
        files[file].1 = all.concat();
        prop_assert!(!report(&files, &[]).is_good());
    }

    #[test]
    fn no_input_is_too_odd_to_be_looked_at(text in "(?s:.{0,200})", lines in prop::collection::vec("[{}\":a-z0-9,]{0,60}\n", 0..6)) {
        let mut verifier = Verifier::new();
        verifier.lines("a", Cursor::new(text.as_bytes())).unwrap();
        verifier.lines("b", Cursor::new(lines.concat())).unwrap();
        prop_assert!(!verifier.finish().is_good());
    }
}

/// Looks at the last file when it ends after so many bytes.
fn look_at_a_cut(cut: usize) {
    let mut files = GOOD.files.clone();
    files.last_mut().unwrap().1.truncate(cut);
    let all = lines(&GOOD.files.last().unwrap().1);
    // The line of the newest head itself may be missing: everything that it covers is there.
    let all_but_last = all[..all.len() - 1].concat().len();
    assert_eq!(report(&files, &GOOD.heads).is_good(), cut == all_but_last, "cut at {cut}");
    let end = &files.last().unwrap().1;
    let whole = end.is_empty() || end.ends_with(b"\n");
    // Nor does anything else say then that files are gone because they were removed.
    let removed = all.iter().rposition(|line| line.starts_with(br#"{"v":1,"kind":"removed""#));
    let told = removed.is_none_or(|at| cut >= all[..=at].concat().len());
    let alone = report(&files, &[]);
    assert_eq!(alone.is_good(), whole && told, "cut at {cut}: {alone:?}");
    let chain = &alone.chains[0];
    if let (true, None) = (whole, chain.uncovered()) {
        let last = lines(&files.iter().rev().find(|(_, bytes)| !bytes.is_empty()).unwrap().1).pop().unwrap();
        assert!(last.starts_with(br#"{"v":1,"kind":"head""#), "lines are uncovered, and it does not say so");
    }
}

#[test]
fn a_cut_between_any_two_lines_is_found_as_one_within_a_line() {
    let last = lines(&GOOD.files.last().unwrap().1);
    (0..last.len()).for_each(|kept| look_at_a_cut(last[..kept].concat().len()));
}

#[test]
fn files_that_are_missing_repeated_or_in_another_order_are_found() {
    assert!(GOOD.files.len() >= 3);
    for gone in 0..GOOD.files.len() - 1 {
        let mut files = GOOD.files.clone();
        files.remove(gone);
        let report = report(&files, &[]);
        assert!(!report.is_good(), "without file {gone}");
    }
    let (mut twice, mut turned) = (GOOD.files.clone(), GOOD.files.clone());
    twice.insert(1, twice[0].clone());
    turned.swap(0, 1);
    assert!(!report(&twice, &[]).is_good());
    assert!(!report(&turned, &[]).is_good());
}

#[test]
fn whoever_writes_a_chain_anew_with_a_key_of_their_own_is_found_by_the_pinned_key_or_a_head() {
    let other = home();
    let journal = other.journal();
    begin(&journal).close(denied(), LATENCY);
    journal.shutdown();
    let forged = vec![("decisions.jsonl".to_owned(), fs::read(&other.path).unwrap())];
    assert!(report(&forged, &[]).is_good(), "it is whole in itself");
    let key = verified(&other.path).chains[0].keys[0].clone();
    for (pin, good) in [(key.as_str(), true), ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false)] {
        let mut verifier = Verifier::new();
        verifier.pin(pin);
        verifier.journal(&other.path).unwrap();
        assert_eq!(verifier.finish().is_good(), good);
    }
    let report = report(&forged, &GOOD.heads);
    assert!(report.notes.iter().any(|note| note.contains("which is not here")), "{report:?}");
}

#[test]
fn a_foreign_head_in_a_chain_is_found() {
    let (ours, other) = (home(), home());
    let written = |home: &super::tests::Home| {
        let journal = home.journal();
        begin(&journal).close(denied(), LATENCY);
        journal.shutdown();
        lines(&fs::read(&home.path).unwrap())
    };
    let (mut mine, theirs) = (written(&ours), written(&other));
    *mine.last_mut().unwrap() = theirs.last().unwrap().clone();
    let report = report(&[("x".to_owned(), mine.concat())], &[]);
    assert!(report.faults.iter().any(|fault| fault.what.contains("foreign key")), "{report:?}");
}

/// The attacks on a journal whose process is down: what is found at the next start begins another chain, and says so.
#[rstest]
#[case::a_line_after_the_last_head_was_changed("changed", "does not follow")]
#[case::the_end_was_cut("cut", "lines are missing at its end")]
#[case::the_file_is_gone("gone", "the journal is gone")]
#[case::the_header_was_damaged("header", "its first line is no header")]
#[case::the_key_is_gone("key", "last head does not verify")]
#[case::it_is_another_chain("other", "last head does not verify")]
#[case::it_was_linked_anew_without_heads("headless", "no head of ours stands in it")]
#[case::it_was_linked_anew_behind_the_first_head("anew", "it was written anew")]
#[case::the_kept_head_is_somebody_elses("kept", "by no key of ours")]
fn a_journal_that_does_not_verify_is_not_continued_in_silence(#[case] attack: &str, #[case] said: &str) {
    let home = home();
    let keys = home.path.with_file_name("audit-keys");
    let journal = home.journal();
    (0..5).for_each(|_| begin(&journal).close(denied(), LATENCY));
    journal.shutdown();
    let mut all = lines(&fs::read(&home.path).unwrap());
    match attack {
        "changed" => {
            all.push(all[3].clone());
            fs::write(&home.path, all.concat()).unwrap();
        }
        "cut" => fs::write(&home.path, all[..4].concat()).unwrap(),
        "gone" => fs::remove_file(&home.path).unwrap(),
        "header" => {
            all[0][0] = b'[';
            fs::write(&home.path, all.concat()).unwrap();
        }
        // Without the key nobody makes a head. But nothing makes anybody leave the heads in: lines are linked by a digest
        // that everybody can compute, and made more until none seems to be missing.
        "headless" | "anew" => {
            let heads = if attack == "anew" { 2 } else { 1 };
            let mut forged = all[..heads].to_vec();
            let records: Vec<Vec<u8>> =
                all[2..].iter().filter(|line| !line.starts_with(br#"{"v":1,"kind""#)).cloned().collect();
            let edited = String::from_utf8(records[1].clone()).unwrap().replace("denied", "issued");
            assert_ne!(edited.as_bytes(), records[1]);
            forged.extend([records[0].clone(), edited.into_bytes()]);
            forged.extend(records[2..].iter().chain(&records).cloned());
            let forged = linked_anew(&forged);
            assert!(forged.len() > all.len() && report(&[("x".to_owned(), forged.concat())], &[]).is_good());
            fs::write(&home.path, forged.concat()).unwrap();
        }
        "kept" => {
            let other = super::tests::home();
            drop(other.journal());
            fs::copy(other.path.with_file_name("audit-keys").join("head.jws"), keys.join("head.jws")).unwrap();
        }
        "key" => fs::remove_file(keys.join("audit.pem")).unwrap(),
        "other" => {
            let other = super::tests::home();
            drop(other.journal());
            fs::copy(&other.path, &home.path).unwrap();
        }
        other => panic!("{other}"),
    }
    let journal = home.journal();
    begin(&journal).close(denied(), LATENCY);
    journal.shutdown();
    let report = verified(&home.path);
    let because = report.faults.iter().find(|fault| fault.what.contains("a new chain begins here"));
    assert!(because.is_some_and(|fault| fault.what.contains(said)), "{report:?}");
    // And from there on it is whole.
    let again = home.journal();
    begin(&again).close(denied(), LATENCY);
    again.shutdown();
    let later = verified(&home.path);
    assert_eq!(later.fault_count, report.fault_count, "{later:?}");
    assert_eq!(later.chains.last().unwrap().records, 2);
}

/// The same lines, each linked to the one before as if it had been written after it.
fn linked_anew(lines: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut linked: Vec<Vec<u8>> = Vec::new();
    for (line, seq) in lines.iter().zip(1..) {
        let text = String::from_utf8(line.clone()).unwrap();
        let body = &text[..text.rfind(r#","seq":"#).unwrap()];
        let before = linked.last().map(|last| sha256(&last[..last.len() - 1])).unwrap_or(Sha256::NONE);
        linked.push(format!("{body},\"seq\":{seq},\"prev\":\"{before}\"}}\n").into_bytes());
    }
    linked
}

/// A start that dies before it has written anything: on a full disk every start is one.
fn dead_start(home: &super::tests::Home) {
    let mut sink = OpenSink::new(&JournalSettings::file(home.path.clone()).sink).unwrap();
    let keys = AuditKeys::open(Some(&home.path.with_file_name("audit-keys"))).unwrap();
    super::begin::begin(&mut sink, keys, NOW).unwrap();
}

#[rstest]
#[case::the_end_was_cut("cut", "lines are missing at its end")]
#[case::the_file_is_gone("gone", "the journal is gone")]
fn what_was_found_is_told_however_many_starts_die_before_they_have_said_it(#[case] attack: &str, #[case] said: &str) {
    let home = home();
    let journal = home.journal();
    (0..5).for_each(|_| begin(&journal).close(denied(), LATENCY));
    journal.shutdown();
    match attack {
        "cut" => fs::write(&home.path, lines(&fs::read(&home.path).unwrap())[..4].concat()).unwrap(),
        _ => fs::remove_file(&home.path).unwrap(),
    }
    (0..3).for_each(|_| dead_start(&home));
    drop(home.journal());
    let report = verified(&home.path);
    let told = report.faults.iter().filter(|fault| fault.what.contains("a new chain begins here")).collect::<Vec<_>>();
    assert!(told.len() == 1 && told[0].what.contains(said), "{report:?}");
}

/// Between the moment that a new chain is on the disk and the one in which its head is kept, the kept one is of the chain
/// before.
#[test]
fn a_new_chain_is_continued_before_its_head_is_kept_and_no_other_one_in_its_place() {
    let home = home();
    let kept = home.path.with_file_name("audit-keys").join("head.jws");
    let cut = || fs::write(&home.path, lines(&fs::read(&home.path).unwrap())[..2].concat()).unwrap();
    let run = || {
        let journal = home.journal();
        begin(&journal).close(denied(), LATENCY);
        journal.shutdown();
        verified(&home.path)
    };
    run();
    let first_head = fs::read(&kept).unwrap();
    cut();
    let second = run();
    assert_eq!((second.chains.len(), second.fault_count), (2, 1), "{second:?}");
    let (second_file, second_head) = (fs::read(&home.path).unwrap(), fs::read(&kept).unwrap());
    fs::write(&kept, first_head).unwrap();
    let again = run();
    assert_eq!((again.chains.len(), again.fault_count, again.chains[1].records), (2, 1, 2), "{again:?}");
    // A chain that once followed another one does not follow this one.
    cut();
    let third = run();
    assert_eq!((third.chains.len(), third.fault_count), (3, 2), "{third:?}");
    fs::write(&home.path, &second_file).unwrap();
    let fourth = run();
    assert!(fourth.faults.iter().any(|fault| fault.what.contains("another chain than was written last")), "{fourth:?}");
    assert_ne!(fs::read(&kept).unwrap(), second_head);
}

#[test]
fn the_key_of_before_is_destroyed_only_once_a_head_by_the_next_one_is_kept() {
    let home = home();
    let mut sink = OpenSink::new(&JournalSettings::file(home.path.clone()).sink).unwrap();
    let dir = home.path.with_file_name("audit-keys");
    let begun = super::begin::begin(&mut sink, AuditKeys::open(Some(&dir)).unwrap(), NOW).unwrap();
    let shared = super::journal::Shared::default();
    let mut writer = Writer::new(&shared, sink, begun, Clock::System, Syncing::start().unwrap());
    assert!(writer.write_first());
    writer.sync();
    let keys = AuditKeys::open(Some(&dir)).unwrap();
    let next = keys.prepare().unwrap();
    // Nothing can be kept: the old key stays.
    fs::create_dir(dir.join(".head.jws.new")).unwrap();
    writer.change_key();
    assert!(keys.next().unwrap().is_some() && keys.current().unwrap().key_id() != next);
    fs::remove_dir(dir.join(".head.jws.new")).unwrap();
    writer.sign();
    writer.sync();
    writer.change_key();
    assert!(keys.next().unwrap().is_none() && keys.current().unwrap().key_id() == next);
    let kept = super::head::Head::unverified(&keys.head().unwrap().unwrap()).unwrap();
    assert_eq!(kept.key_id(), Some(next.as_str()));
    drop(writer);
    drop(home.journal());
    let report = verified(&home.path);
    assert!(report.is_good() && report.chains.len() == 1, "{report:?}");
}

/// Whoever takes a whole journal away takes all that would say so with it, but for the heads that lie elsewhere.
#[test]
fn a_chain_that_is_missing_as_a_whole_is_a_fault_if_a_key_of_the_journal_signed_it() {
    let home = home();
    let kept = home.path.with_file_name("audit-keys").join("head.jws");
    drop(home.journal());
    let heads = vec![fs::read_to_string(&kept).unwrap()];
    fs::remove_file(&home.path).unwrap();
    fs::remove_file(&kept).unwrap();
    drop(home.journal());
    let files = [("decisions.jsonl".to_owned(), fs::read(&home.path).unwrap())];
    assert!(report(&files, &[]).is_good(), "it does not know of the other one");
    let found = report(&files, &heads);
    assert!(found.faults.iter().any(|fault| fault.what.contains("is missing")), "{found:?}");
    // Nothing is left, but the key is known from elsewhere.
    let mut verifier = Verifier::new();
    verifier.pin(&report(&files, &[]).chains[0].keys[0]);
    assert!(verifier.expect(&heads[0]));
    let nothing = verifier.finish();
    assert!(nothing.faults.iter().any(|fault| fault.what.contains("is missing")), "{nothing:?}");
    // Another replica's is none of ours.
    let foreign = report(&files, &GOOD.heads);
    assert!(foreign.is_good() && foreign.notes.len() == 1, "{foreign:?}");
}

#[test]
fn a_chain_that_was_removed_as_too_old_is_no_fault_though_its_heads_are_known() {
    let home = home();
    let kept = home.path.with_file_name("audit-keys").join("head.jws");
    let clock = ManualClock::new(NOW);
    let sink = Sink::File { path: home.path.clone(), rotate_bytes: 1500, keep: 2, keep_for: None };
    let settings =
        JournalSettings { sink, clock: Clock::Manual(clock.clone()), ..JournalSettings::file(home.path.clone()) };
    let run = |records: usize| {
        let journal = Journal::open(settings.clone()).unwrap();
        for _ in 0..records {
            begin(&journal).close(denied(), LATENCY);
            assert!(journal.flush(PATIENCE));
        }
        journal.shutdown();
        clock.advance(Duration::from_secs(60));
    };
    run(1);
    let old = fs::read_to_string(&kept).unwrap();
    fs::write(&home.path, lines(&fs::read(&home.path).unwrap())[..2].concat()).unwrap();
    run(40);
    let mut verifier = Verifier::new();
    assert!(verifier.expect(&old));
    verifier.journal(&home.path).unwrap();
    let report = verifier.finish();
    assert!(report.is_good() && report.chains.len() == 1, "{report:?}");
    assert!(report.notes.iter().any(|note| note.contains("which was removed")), "{report:?}");
}

#[test]
fn a_chain_begins_after_records_of_before_there_were_chains_and_accounts_for_them() {
    let home = home();
    fs::create_dir_all(home.path.parent().unwrap()).unwrap();
    let old =
        "{\"v\":1,\"id\":\"x\",\"time\":\"2026-11-18T11:06:40.000Z\",\"surface\":\"oauth\",\"outcome\":\"denied\"}\n";
    fs::write(&home.path, old.repeat(3)).unwrap();
    fs::write(home.path.with_file_name("decisions-000000000000001.jsonl"), old.repeat(2)).unwrap();
    for file in fs::read_dir(home.path.parent().unwrap()).unwrap() {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(!verified(&home.path).is_good(), "nothing covers them");
    drop(home.journal());
    let report = verified(&home.path);
    assert!(report.is_good(), "{report:?}");
    assert!(report.notes[0].starts_with("5 lines of before there were chains"), "{report:?}");
    let set_aside: Vec<PathBuf> =
        super::file_names::rotated(&home.path).unwrap().into_iter().map(|(_, path)| path).collect();
    fs::write(set_aside.last().unwrap(), old.repeat(2)).unwrap();
    assert!(!verified(&home.path).is_good(), "one of them was removed since");
}

#[test]
fn files_that_are_too_old_are_removed_and_the_rest_verifies() {
    let home = home();
    let clock = ManualClock::new(NOW);
    let keep_for = Some(Duration::from_secs(3600));
    let sink = Sink::File { path: home.path.clone(), rotate_bytes: 3000, keep: 100, keep_for };
    let settings =
        JournalSettings { sink, clock: Clock::Manual(clock.clone()), ..JournalSettings::file(home.path.clone()) };
    let journal = Journal::open(settings).unwrap();
    for _ in 0..100 {
        let now = Clock::Manual(clock.clone()).now();
        let id = DecisionId::new(now, random().unwrap());
        Trail::begin(&journal, id, now, crate::audit::Surface::OAuth, None).close(denied(), LATENCY);
        assert!(journal.flush(PATIENCE));
        clock.advance(Duration::from_secs(120));
    }
    journal.shutdown();
    let report = verified(&home.path);
    assert!(report.is_good(), "{report:?}");
    let chain = &report.chains[0];
    // 30 of them are an hour; a file is removed once its newest is older.
    assert!(chain.first_segment > 1 && (25..60).contains(&chain.records), "{chain:?}");
}

#[test]
fn a_stream_carries_a_chain_of_its_own_for_every_start() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap().success());
    let mut all = Vec::new();
    for _ in 0..2 {
        let mut reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let sink = Sink::File { path: path.clone(), rotate_bytes: 1, keep: 1, keep_for: None };
        let journal = Journal::open(JournalSettings::new(sink)).unwrap();
        begin(&journal).close(denied(), LATENCY);
        journal.shutdown();
        let mut buffer = vec![0; 65_536];
        let read = std::io::Read::read(&mut reader, &mut buffer).unwrap();
        all.extend_from_slice(&buffer[..read]);
    }
    let report = report(&[("collected".to_owned(), all)], &[]);
    assert_eq!((report.chains.len(), report.chains[1].records), (2, 1));
    // Several chains in one file are what a collector makes of it.
    assert!(report.is_good(), "{report:?}");
}
