//! `cargo bench --bench policy`: what policies cost to load, to hold and to evaluate, beside the bounds, as a table and as
//! JSON.
//!
//! Loading reads, parses, compiles, checks and runs every case, as at a start or a reload. Each figure is the best of
//! several runs: noise only ever slows a run down. Flatness compares an exchange's share of policies (find the issuer, find
//! the target, evaluate its rules on the claims) in sets of other sizes, first with one target asked again and again, then
//! with each in turn, where memory that no cache holds has to be read.
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

mod estate;
mod evaluating;
mod loading;
mod report;

use estate::{Cases, Estate};
use report::Report;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("load") {
        return loading::child(&arguments.collect::<Vec<_>>());
    }
    let mut report = Report::default();
    for (count, cases) in [(1_000, Cases::Two), (1_000, Cases::All), (10_000, Cases::Two), (10_000, Cases::All)] {
        eprintln!("loading {count} policies with {} cases each ...", cases.count());
        let estate = Estate::new(count, 1, cases);
        let loaded = loading::measure(&estate);
        let bound = (count == 1_000).then_some(200.0);
        report.row(&format!("load {count} policies, {} cases each", cases.count()), loaded.wall_ms, "ms", bound);
        report.row("  processor time for one policy", loaded.cpu_ms * 1e3 / count as f64, "us", None);
        report.row("  a look whether they changed", loaded.look_ms, "ms", None);
        if count == 1_000 {
            report.row("  `cambio serve` is ready after", loading::ready_ms(&estate), "ms", bound);
        }
    }
    eprintln!("starting with 10000 policies and 1000 issuers ...");
    let resident = loading::resident_mib(&Estate::new(10_000, 1_000, Cases::Two));
    report.row("resident with 10000 policies and 1000 issuers", resident, "MiB", None);
    evaluating::flatness(&mut report);
    evaluating::check(&mut report);
    evaluating::roles(&mut report);
    report.print();
    report.write_json();
}
