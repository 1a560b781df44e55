//! What runs beside the requests, when a part of it hangs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod support;

use std::process::Command;
use std::time::Duration;

use support::stand::{entry, eventually};
use support::{Issuer, Stand};

fn fixture(name: &str) -> String {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("jwks-fixtures/keys");
    std::fs::read_to_string(directory.join(format!("{name}.test-only.pem"))).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_hangs_does_not_stop_the_refresh_of_issuers_keys() {
    let issuer = Issuer::start().await;
    let entries = entry("workloads", issuer.name(), "replay: reusable");
    let mut stand = Stand::prepare(issuer, &entries, "tls: {certificate: tls.pem, key: tls-key.pem}");
    let certificate = stand.write("tls.pem", &fixture("server"));
    stand.write_private("tls-key.pem", &fixture("server-key"));
    stand.start().await;
    stand.settled().await;
    // A pipe in the certificate's place: whoever opens it to read waits for somebody who writes.
    let pipe = stand.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::rename(&pipe, &certificate).unwrap();
    let writer = loop {
        // Opened for writing without waiting, it says whether somebody reads.
        if let Ok(file) = tokio::net::unix::pipe::OpenOptions::new().open_sender(&certificate) {
            break file;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let before = stand.issuer.key_hits();
    stand.advance(3600);
    eventually("keys are fetched", || stand.issuer.key_hits() > before).await;
    drop(writer);
    stand.stop().await;
}
