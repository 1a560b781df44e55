//! `make bench-service`: a whole deployment under its design load, over SQLite and over PostgreSQL with Redis.
//!
//! 10,000 service accounts, 50,000 tokens and 100,000 secrets are loaded through the API; then 1,000 requests a second of
//! exchanges, reads of values, bulk reads and rotations for five minutes, each on a schedule (a late answer counts from when
//! its request was due). Load, servers, PostgreSQL (which syncs its log) and Redis share the machine's processors. The last part
//! measures one caller while another one floods.
//!
//! `cargo bench --bench service -- --seconds 20 --part 10` is a short one: a tenth of the estate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "a measurement, not a service"
)]

mod client;
mod deployment;
mod estate;
#[path = "../exchange/fixture.rs"]
mod fixture;
mod flood;
mod mixed;
#[path = "../../tests/support/postgres.rs"]
mod postgres;
#[path = "../../tests/support/redis.rs"]
mod redis;
#[path = "../secrets/report.rs"]
mod report;

use std::time::Duration;

use deployment::{Deployment, State};
use fixture::Fixture;
use report::Report;

/// What is run, and how large.
#[derive(Clone, Copy)]
struct Plan {
    accounts: usize,
    tokens_each: usize,
    secrets: usize,
    per_second: u32,
    run: Duration,
}

fn main() {
    let plan = plan();
    let mut report = Report::default();
    eprintln!("signing tokens (RS256, about 2 KB each) ...");
    let fixture = Fixture::new(12_000);
    for state in [State::Embedded, State::Shared] {
        eprintln!("{state:?}: loading ...");
        let Some(deployment) = Deployment::start(&fixture, state) else {
            println!("{state:?}: skipped, PostgreSQL or Redis is not installed");
            continue;
        };
        let estate = estate::load(&deployment, &fixture, plan, &mut report);
        eprintln!("{state:?}: {} requests a second, for {:?} ...", plan.per_second, plan.run);
        mixed::run(&deployment, &fixture, estate, plan, &mut report);
    }
    eprintln!("one caller while another one floods ...");
    flood::run(&fixture, &mut report);
    report.print();
    report.write_json("service");
}

fn plan() -> Plan {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |flag: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == flag);
        at.map_or(default, |at| arguments[at + 1].parse().expect("a number"))
    };
    let part = usize::try_from(number("--part", 1)).expect("a number");
    Plan {
        accounts: 10_000 / part,
        tokens_each: 5,
        secrets: 100_000 / part,
        per_second: u32::try_from(number("--rate", 1000)).expect("a number"),
        run: Duration::from_secs(number("--seconds", 300)),
    }
}
