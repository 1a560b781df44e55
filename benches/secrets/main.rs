//! `cargo bench --bench secrets`: what a read and a write of the local store cost, and where that goes, as a table and as JSON.
//!
//! Each figure is the best of several runs: noise only ever slows a run down. A read's share is told apart: the whole read
//! through `LocalStore::run`, the query alone, the opening of the sealed bytes alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement, not a service"
)]

#[allow(dead_code, reason = "shared with the other benchmark")]
#[path = "../exchange/fixture.rs"]
mod fixture;
mod http;
#[allow(dead_code, reason = "shared with the other benchmark")]
#[path = "../exchange/load.rs"]
mod load;
mod local;
mod report;
#[allow(dead_code, reason = "shared with the other benchmark")]
#[path = "../exchange/servers.rs"]
mod servers;

use std::process::Command;

use report::Report;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LOAD_CORE: &str = "1";

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("constant-server") => servers::answer_constantly(),
        Some("over-http") => measure(),
        _ => {
            // Pinned from the first instruction on: the whole measurement runs in a child.
            let own = std::env::current_exe().expect("own path");
            let status = Command::new("taskset").args(["-c", LOAD_CORE]).arg(own).arg("over-http").status();
            std::process::exit(status.expect("taskset is needed (util-linux)").code().unwrap_or(1));
        }
    }
}

fn measure() {
    let mut report = Report::default();
    let read_us = local::reads_and_writes(&mut report);
    local::sealing(&mut report);
    http::reads(&mut report, read_us);
    report.print();
    report.write_json("secrets");
}
