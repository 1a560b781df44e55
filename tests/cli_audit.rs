//! `cambio audit verify` and `cambio audit rotate-key`, as an operator calls them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use cambio::audit::{Journal, JournalSettings, Outcome, Surface, Trail};
use cambio::clock::Clock;
use cambio::identity::DecisionId;
use cambio::jose::random;
use serde_json::Value;

const CONFIG: &str = "issuer: https://cambio.example.com
data: data
issuers:
- {name: gitlab, platform: gitlab, issuer: 'https://gitlab.example.com', audiences: ['https://cambio.example.com']}
";

struct Home {
    dir: tempfile::TempDir,
    journal: PathBuf,
}

/// A directory with a configuration, and a journal of ten records as `cambio serve` would have left it.
fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cambio.yaml"), CONFIG).unwrap();
    let journal = dir.path().join("data/audit/decisions.jsonl");
    let home = Home { dir, journal };
    home.write(10);
    home
}

impl Home {
    fn write(&self, records: usize) {
        let keys = Some(self.dir.path().join("data/audit-keys"));
        let journal = Journal::open(JournalSettings { keys, ..JournalSettings::file(self.journal.clone()) }).unwrap();
        (0..records).for_each(|_| close(&journal));
        journal.shutdown();
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let Output { status, stdout, stderr } =
            Command::new(env!("CARGO_BIN_EXE_cambio")).current_dir(self.dir.path()).args(arguments).output().unwrap();
        let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
        (status.code().unwrap(), text)
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.journal).unwrap().lines().map(|line| format!("{line}\n")).collect()
    }

    fn put(&self, lines: &[String]) {
        fs::write(&self.journal, lines.concat()).unwrap();
    }
}

fn close(journal: &Arc<Journal>) {
    let now = Clock::System.now();
    let trail = Trail::begin(journal, DecisionId::new(now, random().unwrap()), now, Surface::OAuth, None);
    trail.close(Outcome::Denied { reason: "conditions_not_met", detail: None }, Duration::from_micros(1));
}

fn thumbprint(path: &Path) -> String {
    let header: Value = serde_json::from_str(fs::read_to_string(path).unwrap().lines().next().unwrap()).unwrap();
    header["key"]["kid"].as_str().unwrap().to_owned()
}

#[test]
fn a_good_journal_is_summed_up() {
    let home = home();
    let (code, text) = home.run(&["audit", "verify"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.ends_with("good\n") && text.contains("records   10") && text.contains(&thumbprint(&home.journal)),
        "{text}"
    );
    assert!(!text.contains("note:"), "its key and its newest head are known from the data directory: {text}");
    let (code, json) = home.run(&["audit", "verify", "--json"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, &report["good"], &report["key_pinned"], &report["heads"]),
        (0, &true.into(), &true.into(), &1.into())
    );
    assert_eq!(report["chains"][0]["records"], 10);
    let (code, text) = home.run(&["audit", "verify", "data/audit"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("no key was given") && text.contains("no heads from elsewhere"), "{text}");
}

#[test]
fn each_damage_is_told_with_its_place() {
    let home = home();
    let good = home.lines();
    let damaged = |lines: &[String], arguments: &[&str]| {
        home.put(lines);
        let (code, text) = home.run(&[&["audit", "verify"], arguments].concat());
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("DAMAGED"), "{text}");
        text
    };
    let mut edited = good.clone();
    edited[4] = edited[4].replace("denied", "issued");
    let text = damaged(&edited, &[]);
    assert!(text.contains("decisions.jsonl:6 (line 6 of the chain): line 5 is not what it was"), "{text}");
    let mut gap = good.clone();
    gap.drain(3..5);
    assert!(damaged(&gap, &[]).contains("lines 4 to 5 are missing"));
    assert!(damaged(&good[..6], &[]).contains("cut at the end"));
    let mut torn = good.clone();
    let half = torn[7].len() / 2;
    torn[7].truncate(half);
    assert!(damaged(&torn[..8], &["data/audit/decisions.jsonl"]).contains("is not whole"));
    // The same cut, seen by heads in a log.
    let head: Value = serde_json::from_str(good.last().unwrap()).unwrap();
    let log = format!("{{\"message\":\"audit head\",\"head\":{}}}\n", head["head"]);
    fs::write(home.dir.path().join("log"), log).unwrap();
    let arguments = ["data/audit/decisions.jsonl", "--heads", "log"];
    assert!(damaged(&good[..6], &arguments).contains("cut at the end"));
    home.put(&good);
    let foreign = home.run(&["audit", "verify", "data/audit", "--key", &"A".repeat(43)]);
    assert!(foreign.0 == 1 && foreign.1.contains("signed by the key that was given"), "{}", foreign.1);
}

#[test]
fn what_cannot_be_read_is_no_verdict() {
    let home = home();
    for arguments in [
        vec!["audit", "verify", "nowhere.jsonl"],
        vec!["audit", "verify", "--config", "nowhere.yaml"],
        vec!["audit", "verify", "--key", "short"],
        vec!["audit", "verify", "--heads", "nowhere"],
        vec!["audit", "verify", "data/audit-keys"],
        vec!["audit", "verify", "data/audit", "--heads", "store"],
    ] {
        let (code, text) = home.run(&arguments);
        assert_eq!(code, 2, "{arguments:?}: {text}");
    }
}

#[test]
fn a_key_that_is_made_takes_over_at_the_next_start_and_both_verify() {
    let home = home();
    let old = thumbprint(&home.journal);
    let (code, text) = home.run(&["audit", "rotate-key"]);
    assert_eq!(code, 0, "{text}");
    let new = text.split_whitespace().next().unwrap().to_owned();
    assert_eq!(home.run(&["audit", "rotate-key"]).1.split_whitespace().next(), Some(new.as_str()), "one waits already");
    let keys = home.dir.path().join("data/audit-keys");
    let journal =
        Journal::open(JournalSettings { keys: Some(keys.clone()), ..JournalSettings::file(home.journal.clone()) })
            .unwrap();
    while keys.join("audit-next.pem").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    close(&journal);
    journal.shutdown();
    for key in [&old, &new] {
        let (code, text) = home.run(&["audit", "verify", "data/audit", "--key", key]);
        assert_eq!(code, 0, "{text}");
    }
    assert_eq!(home.run(&["audit", "verify"]).0, 0, "by the key that signs now");
}
