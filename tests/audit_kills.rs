//! A process that writes the audit journal is killed with -9 again and again, in the middle of whatever it does: the chain
//! goes on, verifies, and has every record that was said to be written.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, missing_docs)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use cambio::audit::{Journal, JournalSettings, Outcome, Sink, Surface, Trail, Verifier};
use cambio::clock::Clock;
use cambio::identity::DecisionId;
use cambio::jose::random;

const CHILD: &str = "CAMBIO_TEST_AUDIT_CHILD";
const KILLS: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(20);

fn settings(path: &Path) -> JournalSettings {
    let sink = Sink::File { path: path.to_owned(), rotate_bytes: 200_000, keep: 10_000, keep_for: None };
    JournalSettings { sink, ..JournalSettings::file(path.to_owned()) }
}

fn close(journal: &Arc<Journal>, nth: u64) {
    let now = Clock::System.now();
    let trail = Trail::begin(journal, DecisionId::new(now, random().unwrap()), now, Surface::OAuth, None);
    let detail = Some("x".repeat(usize::try_from(nth % 900).unwrap()));
    trail.close(Outcome::Denied { reason: "conditions_not_met", detail }, Duration::from_micros(1));
}

/// What is killed: writes as fast as it can, and says how many are on the way to the disk. Does nothing on its own.
#[test]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let journal = Journal::open(settings(Path::new(&path))).unwrap();
    println!("open");
    let mut count = 0;
    loop {
        for _ in 0..200 {
            close(&journal, count);
            count += 1;
        }
        assert!(journal.flush(PATIENCE));
        println!("written {count}");
    }
}

/// Starts a child, kills it after a moment, and answers how many records it had written by its own account.
fn killed(path: &Path, after: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let (opened, is_open) = channel();
    let reader = std::thread::spawn(move || {
        let words = said.lines().map_while(Result::ok).inspect(|line| {
            // The test's name may stand before it.
            if line.ends_with("open") {
                let _ = opened.send(());
            }
        });
        words.filter_map(|line| line.rsplit_once("written ")?.1.parse::<u64>().ok()).max().unwrap_or(0)
    });
    is_open.recv_timeout(PATIENCE).unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn a_writer_that_is_killed_twenty_times_leaves_one_whole_chain() {
    let home = tempfile::tempdir().unwrap();
    let path: PathBuf = home.path().join("audit/decisions.jsonl");
    let mut written = 0;
    for round in 0..KILLS {
        let moment = u64::from(u16::from_be_bytes(random().unwrap()));
        written += killed(&path, Duration::from_millis(moment % 300));
        // As it was left: nothing is wrong but a last line that may be cut off.
        let mut verifier = Verifier::new();
        verifier.journal(&path).unwrap();
        let report = verifier.finish();
        let cut_off = |what: &str| what.contains("is not whole") || what.contains("no line says that it was torn");
        assert!(report.faults.iter().all(|fault| cut_off(&fault.what)), "round {round}: {report:?}");
    }
    let journal = Journal::open(settings(&path)).unwrap();
    close(&journal, 0);
    journal.shutdown();
    let mut verifier = Verifier::new();
    verifier.journal(&path).unwrap();
    let report = verifier.finish();
    assert!(report.is_good(), "{report:?}");
    assert_eq!(report.chains.len(), 1);
    let chain = &report.chains[0];
    assert!(written > 1000 && chain.records > written, "{} of {written}", chain.records);
    assert!(chain.last_segment > 2 && chain.uncovered().is_none(), "{chain:?}");
}
