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

mod local;
mod report;

use report::Report;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut report = Report::default();
    local::sealing(&mut report);
    local::reads_and_writes(&mut report);
    report.print();
    report.write_json();
}
