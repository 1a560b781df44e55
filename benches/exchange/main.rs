//! `make bench`: what an exchange costs beside the bound that the same run measures, as a table and as JSON.
//!
//! The bound of a path is `1 / (its cryptography + the same server answering a constant)`: what a handler would reach
//! whose parsing, policy, minting, audit and metrics cost nothing. Server and load each have one core of their own; the
//! load polls its sockets instead of sleeping, so that waking it is not charged to the server.
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

mod fixture;
mod load;
mod micro;
mod report;
mod servers;

use std::process::Command;

use fixture::Fixture;
use load::{Load, Rate};
use report::Report;

const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("constant-server") => servers::answer_constantly(),
        Some("measure") => measure(),
        _ => {
            // Pinned from the first instruction on: the whole measurement runs in a child.
            let own = std::env::current_exe().expect("own path");
            let status = Command::new("taskset").args(["-c", LOAD_CORE]).arg(own).arg("measure").status();
            std::process::exit(status.expect("taskset is needed (util-linux)").code().unwrap_or(1));
        }
    }
}

fn measure() {
    let mut report = Report::default();
    eprintln!("signing tokens (RS256, about 2 KB each) ...");
    let fixture = Fixture::new(12_000);
    report.token_bytes = fixture.tokens[0].len();

    eprintln!("measuring cryptography ...");
    report.micro = micro::measure(&fixture);

    eprintln!("measuring the constant handler ...");
    let constant = servers::Server::constant(SERVER_CORE);
    let requests = fixture.requests("/constant", usize::MAX);
    report.constant = best(&constant, &requests);
    drop(constant);

    for algorithm in ["ES256", "EdDSA"] {
        eprintln!("measuring exchanges, {algorithm} ...");
        let server = servers::Server::cambio(SERVER_CORE, &fixture, algorithm, "512KiB");
        report.ready_ms.get_or_insert(server.ready_ms);
        let distinct = fixture.requests("/oauth2/token", usize::MAX);
        let speed = best(&server, &distinct);
        report.row(algorithm, false, speed);
        if algorithm == "ES256" {
            report.fixed = Some(Load::new(server.address, &distinct).run(Rate::PerSecond(1000)));
        }
        drop(server);

        let server = servers::Server::cambio(SERVER_CORE, &fixture, algorithm, "16MiB");
        let few = fixture.requests("/oauth2/token", 100);
        let speed = best(&server, &few);
        report.row(algorithm, true, speed);
        report.resident_kib = report.resident_kib.max(server.resident_kib());
    }
    report.print();
    report.write_json();
}

/// How fast a server answers.
#[derive(Clone, Copy, Default)]
pub struct Speed {
    /// Answers a second, by the clock.
    pub per_second: f64,
    /// Processor time an answer, user and system, in microseconds: what remains comparable on a machine that does other
    /// things too.
    pub cpu_us: f64,
}

/// The best of three: noise only ever slows a run down.
fn best(server: &servers::Server, requests: &[Vec<u8>]) -> Speed {
    let runs = (0..3).map(|_| {
        let before = server.cpu_us();
        let measured = Load::new(server.address, requests).run(Rate::Full);
        Speed { per_second: measured.per_second, cpu_us: (server.cpu_us() - before) / f64::from(measured.answers) }
    });
    runs.reduce(|best, run| Speed {
        per_second: best.per_second.max(run.per_second),
        cpu_us: best.cpu_us.min(run.cpu_us),
    })
    .unwrap_or_default()
}
