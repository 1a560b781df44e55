//! The cryptography of one exchange alone, in microseconds: the best of several rounds.

use std::hint::black_box;
use std::time::Instant;

use cambio::jose::{Algorithm, CompactJws, KeyRules, KeySet, SigningKey, sha256};
use zeroize::Zeroizing;

use crate::fixture::Fixture;

/// Microseconds for each operation.
#[derive(Clone, Copy, Default)]
pub struct Micro {
    pub rs256_verify: f64,
    pub es256_sign: f64,
    pub eddsa_sign: f64,
    pub sha256: f64,
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
