//! The cryptography and the budgets of one exchange alone, in microseconds: the best of several rounds.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use cambio::clock::Clock;
use cambio::identity::{IssuerName, TargetName};
use cambio::jose::{Algorithm, CompactJws, KeyRules, KeySet, SigningKey, sha256};
use cambio::limits::{Limiter, Passage};
use zeroize::Zeroizing;

use crate::fixture::Fixture;

/// Microseconds for each operation.
#[derive(Clone, Copy, Default)]
pub struct Micro {
    pub rs256_verify: f64,
    pub es256_sign: f64,
    pub eddsa_sign: f64,
    pub sha256: f64,
    /// What the budgets of one exchange cost: subject, source and target, one of 50,000 callers after the other.
    pub limits: f64,
}

pub fn measure(fixture: &Fixture) -> Micro {
    let set = KeySet::parse(fixture.jwks.as_bytes(), &KeyRules::default()).expect("key set");
    let token = &fixture.tokens[0];
    let parsed = CompactJws::parse(Zeroizing::new(token.clone())).expect("token");
    let signer = |algorithm| {
        let pem = SigningKey::generate(algorithm).expect("key");
        SigningKey::from_pem(algorithm, &pem, "at+jwt").expect("key")
    };
    let (es256, eddsa) = (signer(Algorithm::ES256), signer(Algorithm::EdDSA));
    let claims = vec![b'x'; 600];
    Micro {
        rs256_verify: best(2_000, || assert!(parsed.is_signed_by(&set.keys()[0]))),
        es256_sign: best(2_000, || drop(black_box(es256.sign(&claims)))),
        eddsa_sign: best(2_000, || drop(black_box(eddsa.sign(&claims)))),
        sha256: best(20_000, || {
            black_box(sha256(black_box(token.as_bytes())));
        }),
        limits: limits(),
    }
}

fn limits() -> f64 {
    let lavish = "{source: 10000000 per 1s, subject: 10000000 per 1s, target: 10000000 per 1s, failures: 300 per 1m}";
    let limiter = Limiter::new(serde_saphyr::from_str(lavish).expect("settings"), None);
    let (issuer, target) = (IssuerName::new("gitlab").expect("name"), TargetName::new("vault").expect("name"));
    let subjects: Vec<String> =
        (0..50_000).map(|number| format!("gitlab:project_path:group/project-{number}")).collect();
    let (mut next, clock) = (subjects.iter().enumerate().cycle(), Clock::System);
    best(50_000, || {
        let Some((number, subject)) = next.next() else { return };
        let mut passage = Passage::from(std::net::Ipv4Addr::from_bits(number as u32).into());
        let now = clock.now();
        ready(limiter.verified(&mut passage, subject, now)).expect("room");
        ready(limiter.counted(&mut passage, Some(&issuer), Some(&target), now)).expect("room");
        black_box(passage.tightest());
    })
}

/// What a future comes to that waits for nobody.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn best(rounds: u32, mut operation: impl FnMut()) -> f64 {
    (0..7)
        .map(|_| {
            let start = Instant::now();
            (0..rounds).for_each(|_| operation());
            start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
        })
        .fold(f64::MAX, f64::min)
}
