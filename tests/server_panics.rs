//! A panic says where it happened, and nothing of what it was about. Alone in its file: the hook is the whole process's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test says so")]

use std::process::Command;

use cambio::telemetry::{LogSettings, quiet_panics, start_logs};

const CHILD: &str = "CAMBIO_TEST_PANICS";

#[test]
#[allow(clippy::disallowed_methods, reason = "the test asks whether it is its own child")]
fn a_panic_is_logged_by_its_place_and_without_its_payload() {
    if std::env::var_os(CHILD).is_some() {
        start_logs(&LogSettings::default()).unwrap();
        quiet_panics();
        let claim = "planted-claim-value".to_owned();
        let _ = std::thread::spawn(move || panic!("cannot cope with {claim}")).join();
        let _ = std::thread::spawn(|| panic!("planted-constant")).join();
        std::process::exit(0);
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_panic_is_logged_by_its_place_and_without_its_payload", "--nocapture"])
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{said}");
    assert!(!said.contains("planted"), "{said}");
    assert_eq!(said.matches("tests/server_panics.rs:").count(), 2, "{said}");
}
