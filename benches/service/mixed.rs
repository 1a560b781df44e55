//! The load: of ten requests four exchanges, four reads of a value, one bulk read and one rotation, on a schedule.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Plan;
use crate::client::{Answer, Client, request};
use crate::deployment::Deployment;
use crate::estate::{Estate, secret};
use crate::fixture::Fixture;
use crate::report::Report;

const CALLERS: usize = 64;
const IN_BULK: usize = 10;
const ROTATE: &str = "/api/v4/personal_access_tokens/self/rotate";

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Exchange,
    Read,
    Bulk,
    Rotate,
}

impl Kind {
    fn of(number: usize) -> Self {
        match number % 10 {
            0 | 2 | 5 | 7 => Self::Exchange,
            1 | 3 | 6 | 8 => Self::Read,
            4 => Self::Bulk,
            _ => Self::Rotate,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Read => "read of a value",
            Self::Bulk => "bulk read of ten",
            Self::Rotate => "rotation",
        }
    }
}

#[derive(Default)]
struct Told {
    latencies: BTreeMap<Kind, Vec<f64>>,
    refusals: BTreeMap<(Kind, u16), (u32, String)>,
}

pub fn run(deployment: &Deployment, fixture: &Fixture, estate: Estate, plan: Plan, report: &mut Report) {
    let exchanges = fixture.requests("/oauth2/token", usize::MAX);
    let next = AtomicU32::new(0);
    let start = Instant::now();
    let mut shares: Vec<Vec<String>> = vec![Vec::new(); CALLERS];
    for (number, token) in estate.account_tokens.iter().enumerate() {
        shares[number % CALLERS].push(token.clone());
    }
    let all: Vec<Told> = std::thread::scope(|scope| {
        let callers: Vec<_> = shares
            .into_iter()
            .map(|tokens| {
                let caller = Caller { tokens, at: 0, exchanges: &exchanges, estate: &estate };
                let next = &next;
                scope.spawn(move || caller.go_on(deployment, next, start, plan))
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().expect("caller")).collect()
    });
    let mut told = Told::default();
    for one in all {
        for (kind, mut latencies) in one.latencies {
            told.latencies.entry(kind).or_default().append(&mut latencies);
        }
        for (what, (count, first)) in one.refusals {
            let entry = told.refusals.entry(what).or_insert((0, first));
            entry.0 += count;
        }
    }
    report_of(deployment, told, start.elapsed(), report);
}

/// One of those who ask; tokens that it rotates are its own.
struct Caller<'a> {
    tokens: Vec<String>,
    at: usize,
    exchanges: &'a [Vec<u8>],
    estate: &'a Estate,
}

impl Caller<'_> {
    fn go_on(mut self, deployment: &Deployment, next: &AtomicU32, start: Instant, plan: Plan) -> Told {
        let mut clients: Vec<Client> = deployment.replicas.iter().map(|replica| Client::new(replica.address)).collect();
        let replicas = clients.len();
        let mut told = Told::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = Duration::from_secs_f64(f64::from(number) / f64::from(plan.per_second));
            if due > plan.run {
                return told;
            }
            if let Some(early) = due.checked_sub(start.elapsed()) {
                std::thread::sleep(early);
            }
            let number = number as usize;
            let kind = Kind::of(number);
            let answer = self.ask(kind, number, &mut clients[number / 10 % replicas]);
            told.latencies.entry(kind).or_default().push((start.elapsed() - due).as_secs_f64() * 1e3);
            if answer.status != 200 {
                let entry = told.refusals.entry((kind, answer.status)).or_insert((0, answer.body));
                entry.0 += 1;
            }
        }
    }

    fn ask(&mut self, kind: Kind, number: usize, client: &mut Client) -> Answer {
        let scattered = number.wrapping_mul(7919);
        let tokens = self.tokens.len();
        self.at = (self.at + 1) % tokens;
        // Both kinds of tokens read.
        let reader = match number % 20 < 10 {
            true => &self.estate.secrets_tokens[scattered % self.estate.secrets_tokens.len()],
            false => &self.tokens[self.at],
        };
        match kind {
            Kind::Exchange => client.ask(&self.exchanges[number % self.exchanges.len()]),
            Kind::Read => {
                let path = format!("/api/v4/projects/1/secrets/{}/value", secret(scattered % self.estate.secrets));
                client.json("GET", &path, reader, "")
            }
            Kind::Bulk => {
                let names = (0..IN_BULK).map(|more| secret((scattered + more * 31) % self.estate.secrets));
                let names: Vec<String> = names.map(|name| name.replace("%2F", "/")).collect();
                let body = json!({ "names": names }).to_string();
                let answer = client.json("POST", "/api/v4/projects/1/secrets/values", reader, &body);
                let whole = answer.status != 200 || answer.body.matches("\"status\":200").count() == IN_BULK;
                if whole { answer } else { Answer { status: 207, ..answer } }
            }
            Kind::Rotate => {
                let headers = format!("authorization: Bearer {}\r\n", self.tokens[self.at]);
                let asked = request("POST", ROTATE, &headers, "application/json", r#"{"overlap":60}"#);
                let answer = client.ask(&asked);
                if answer.status == 200 {
                    self.tokens[self.at] = answer.json()["token"].as_str().expect("token").to_owned();
                }
                answer
            }
        }
    }
}

fn report_of(deployment: &Deployment, told: Told, took: Duration, report: &mut Report) {
    let name = deployment.state.name();
    let count: usize = told.latencies.values().map(Vec::len).sum();
    report.row(&format!("{name}: answers"), count as f64, "");
    report.row("  a second", count as f64 / took.as_secs_f64(), "/s");
    for (kind, mut latencies) in told.latencies {
        latencies.sort_by(f64::total_cmp);
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
        for (share, what) in [(0.5, "p50"), (0.99, "p99"), (1.0, "longest")] {
            report.row(&format!("  {}, {what}", kind.name()), at(share), "ms");
        }
    }
    let errors: u32 = told.refusals.values().map(|(count, _)| count).sum();
    report.row("  errors", f64::from(errors), "");
    for ((kind, status), (count, first)) in told.refusals {
        println!("{name}: {} × {status} to a {}: {first}", count, kind.name());
    }
    report.row("  memory after it, of a replica", deployment.resident_mib(), "MiB");
}
