//! One caller, 50 requests a second, beside another one who sends as fast as answers come. The server has one processor, whoever
//! asks the rest; the limits are those that cambio has by default, but for `subject`: the benchmark's tokens have one alone.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::client::{Client, request};
use crate::deployment::Replica;
use crate::fixture::Fixture;
use crate::report::Report;

const RUN: Duration = Duration::from_secs(15);
const PER_SECOND: u32 = 50;
const FLOODERS: usize = 16;
const LIMITS: &str = "http: {trusted_proxies: [127.0.0.1/32]}\nrate_limits: {subject: 1000000 per 1m}\n";

/// From which address it comes, in what.
type Flood = Box<dyn Fn(usize) -> Vec<u8> + Sync>;

pub fn run(fixture: &Fixture, report: &mut Report) {
    let replica = Replica::start(fixture, &fixture.path().join("flood"), LIMITS, Some("0"));
    let tokens = fixture.requests("/oauth2/token", usize::MAX);
    let (good, others) = tokens.split_at(200);
    let good: Vec<Vec<u8>> = good.iter().map(|request| from("192.0.2.1", request)).collect();
    let others = others.to_vec();
    let alone = p99(&replica, &good, None, report, "nobody else");

    let garbage = |address: &'static str| -> Flood {
        Box::new(move |number| {
            let body = format!(
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=x{number}\
                 &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&audience=group-200"
            );
            let headers = format!("x-forwarded-for: {address}\r\n");
            request("POST", "/oauth2/token", &headers, "application/x-www-form-urlencoded", &body)
        })
    };
    let forged = |address: &'static str, others: Vec<Vec<u8>>| -> Flood {
        Box::new(move |number| {
            let mut request = from(address, &others[number % others.len()]);
            // The end of the signature, which is the end of the body.
            let last = request.len() - 10;
            request[last] = if request[last] == b'A' { b'B' } else { b'A' };
            request
        })
    };
    let valid: Flood = {
        let others = others.clone();
        Box::new(move |number| from("192.0.2.2", &others[number % others.len()]))
    };
    let floods = [
        ("garbage from another address", garbage("192.0.2.2")),
        ("garbage from the same address", garbage("192.0.2.1")),
        ("forged signatures from another address", forged("192.0.2.2", others.clone())),
        ("forged signatures from the same address", forged("192.0.2.1", others)),
        ("good tokens from another address", valid),
    ];
    for (what, flood) in floods {
        let beside = p99(&replica, &good, Some(flood), report, what);
        report.row("  as a factor", beside / alone, "");
    }
}

/// The 99th percentile of the good caller, in milliseconds; all of its answers have to be good.
fn p99(replica: &Replica, good: &[Vec<u8>], flood: Option<Flood>, report: &mut Report, what: &str) -> f64 {
    let (stop, sent, refused) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut latencies = std::thread::scope(|scope| {
        for _ in 0..if flood.is_some() { FLOODERS } else { 0 } {
            let (stop, sent, refused, flood) = (&stop, &sent, &refused, flood.as_ref().expect("a flood"));
            scope.spawn(move || {
                let mut client = Client::new(replica.address);
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.ask(&flood(sent.fetch_add(1, Ordering::Relaxed)));
                    if answer.status == 429 {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let latencies = steadily(replica, good);
        stop.store(true, Ordering::Relaxed);
        latencies
    });
    latencies.sort_by(f64::total_cmp);
    let p99 = latencies[(latencies.len() - 1) * 99 / 100];
    report.row(&format!("flood: {what}"), sent.into_inner() as f64 / RUN.as_secs_f64(), "/s");
    report.row("  of it told 429", refused.into_inner() as f64 / RUN.as_secs_f64(), "/s");
    report.row("  p99 of the good caller", p99, "ms");
    p99
}

/// Eight connections on one schedule.
fn steadily(replica: &Replica, good: &[Vec<u8>]) -> Vec<f64> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let next = &next;
                scope.spawn(move || {
                    let (mut client, mut latencies) = (Client::new(replica.address), Vec::new());
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let due = Duration::from_secs_f64(number as f64 / f64::from(PER_SECOND));
                        if due > RUN {
                            return latencies;
                        }
                        if let Some(early) = due.checked_sub(start.elapsed()) {
                            std::thread::sleep(early);
                        }
                        client.ask(&good[number % good.len()]).good();
                        latencies.push((start.elapsed() - due).as_secs_f64() * 1e3);
                    }
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("caller")).collect()
    })
}

fn from(address: &str, request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    text.replacen("\r\n", &format!("\r\nx-forwarded-for: {address}\r\n"), 1).into_bytes()
}
