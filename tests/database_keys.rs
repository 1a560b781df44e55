//! Two replicas over one real PostgreSQL sign with the same keys, and rotate them: while both mint and verify without a pause no
//! verification fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::Command;
use std::time::Duration;

use cambio::clock::Timestamp;
use cambio::jose::{Algorithm, CompactJws, KeyRules, KeySet};
use cambio::mint::{KeyState, Rotation};
use serde_json::Value;
use support::postgres::Postgres;
use support::stand::{CLIENT_SECRET, entry};
use support::{Issuer, Stand};
use zeroize::Zeroizing;

/// How far the clocks go between two looks of both replicas; less than the minute that they have for it.
const STEP: u64 = 50;

fn prepared(issuer: &Issuer, postgres: &Postgres) -> Stand {
    let entries = entry("workloads", issuer.name(), "replay: reusable");
    let sections = format!(
        "state: {{database: {{url: '{}'}}}}\nsecrets: {{master_key_file: master.key}}\nclients: [{{id: rs, secret_file: \
         rs.secret, targets: [vault]}}]\n",
        postgres.url()
    );
    let stand = Stand::prepare(issuer.clone(), &entries, &sections);
    stand.write_private("master.key", &format!("01{}", "5a".repeat(31)));
    stand
}

async fn two(postgres: &Postgres) -> [Stand; 2] {
    let issuer = Issuer::start().await;
    let mut stands = [prepared(&issuer, postgres), prepared(&issuer, postgres)];
    let start = stands[0].now().max(stands[1].now());
    let [one, other] = &mut stands;
    one.clock.set(start);
    other.clock.set(start);
    tokio::join!(one.start(), other.start());
    for stand in &stands {
        stand.settled().await;
    }
    stands
}

async fn exchanged(stand: &Stand) -> String {
    let answer = stand.exchange(&stand.token().sign()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.token()
}

async fn is_good(stand: &Stand, token: &str) -> bool {
    let form = [("token", token), ("client_id", "rs"), ("client_secret", CLIENT_SECRET)];
    // A replica whose clock jumps has not looked for revocations lately, and says so until it has.
    for _ in 0..100 {
        let answer = stand.post("/oauth2/introspect", &form).await;
        match answer.status {
            503 => tokio::time::sleep(Duration::from_millis(100)).await,
            status => {
                assert_eq!(status, 200, "{answer:?}");
                return answer.json()["active"] == true;
            }
        }
    }
    panic!("revocations are not looked for");
}

/// As a resource server fetches the keys: what is published, and until when it may be kept.
async fn fetched(stand: &Stand) -> (Timestamp, KeySet) {
    let answer = stand.get("/oauth2/jwks").await;
    let max_age = answer.header("cache-control").strip_prefix("public, max-age=").unwrap().parse().unwrap();
    let rules = KeyRules { algorithms: Algorithm::ALL.to_vec(), jwt_svid: false };
    (stand.now().plus(Duration::from_secs(max_age)), KeySet::parse(answer.text.as_bytes(), &rules).unwrap())
}

fn verifies(set: &KeySet, token: &str) -> bool {
    let jws = CompactJws::parse(Zeroizing::new(token.to_owned())).unwrap();
    set.candidates(jws.unverified_algorithm(), jws.unverified_key_id()).any(|key| jws.is_signed_by(key))
}

fn signer(stand: &Stand) -> String {
    stand.running().counter().keys().signer().key_id().to_owned()
}

/// Moves both clocks, and lets each replica look, in this order.
async fn step(stands: [&Stand; 2], seconds: u64) {
    for stand in stands {
        stand.advance(seconds);
    }
    for stand in stands {
        stand.running().counter().keys().tick(stand.now()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verification_fails_while_two_replicas_rotate() {
    let Some(postgres) = Postgres::start() else { return };
    let [one, other] = two(&postgres).await;
    let first = signer(&one);
    assert_eq!(signer(&other), first, "started at once, they made one key");
    // Resource servers, each with the keys that it fetched of one replica.
    let mut servers = [fetched(&one).await, fetched(&other).await];
    let next = other.running().counter().keys().rotate(Rotation::Ahead, other.now()).await.unwrap().key_id.to_string();
    let mut signers = std::collections::BTreeSet::new();
    let mut last = [first.clone(), first.clone()];
    for turn in 0..90_u64 {
        // Which replica looks first changes; the other one has the keys of before for a moment.
        step(if turn % 2 == 0 { [&one, &other] } else { [&other, &one] }, STEP).await;
        for (number, server) in servers.iter_mut().enumerate() {
            if server.0 <= one.now() {
                *server = fetched([&one, &other][(number + usize::try_from(turn).unwrap()) % 2]).await;
            }
        }
        let (from_one, from_other) = tokio::join!(exchanged(&one), exchanged(&other));
        let now = [signer(&one), signer(&other)];
        for token in [&from_one, &from_other] {
            assert!(servers.iter().all(|(_, set)| verifies(set, token)), "turn {turn}");
            // Each replica takes the other's tokens, also at the moment at which the keys change.
            if turn % 10 == 0 || now != last {
                assert!(is_good(&one, token).await && is_good(&other, token).await, "turn {turn}");
            }
        }
        signers.extend(now.clone());
        last = now;
    }
    assert_eq!(signers, [first.clone(), next.clone()].into());
    assert_eq!((signer(&one), signer(&other)), (next.clone(), next.clone()));
    let keys = one.running().counter().keys().keys();
    assert_eq!(keys, other.running().counter().keys().keys());
    assert!(keys.iter().any(|key| *key.key_id == *first && matches!(key.state, KeyState::Retiring { .. })), "{keys:?}");
    // In the database is the private half of the one key that signs, sealed; and one holder rotates.
    assert_eq!(postgres.ask("SELECT kid FROM signing_keys"), next);
    assert_eq!(postgres.ask("SELECT COUNT(*) FROM leases"), "1");
    assert!(!one.path("cambio-data/keys").exists() && !one.path("cambio-data/master.key").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_go_on_minting_without_the_database_and_follow_a_rotation_by_command_after_it() {
    let Some(mut postgres) = Postgres::start() else { return };
    let [one, other] = two(&postgres).await;
    let leaked = exchanged(&one).await;
    postgres.kill();
    for stand in [&one, &other] {
        stand.advance(30);
        assert!(stand.running().counter().keys().tick(stand.now()).await.is_err());
    }
    let (from_one, from_other) = tokio::join!(exchanged(&one), exchanged(&other));
    assert!(is_good(&one, &from_other).await && is_good(&other, &from_one).await);

    postgres.start_again();
    // The command knows the database by the configuration, as the replicas do.
    let rotate = Command::new(env!("CARGO_BIN_EXE_cambio"))
        .args(["keys", "rotate", "--now", "--json", "--config"])
        .arg(one.path("cambio.yaml"))
        .output()
        .unwrap();
    assert!(rotate.status.success(), "{}", String::from_utf8_lossy(&rotate.stderr));
    let next: Value = serde_json::from_slice(&rotate.stdout).unwrap();
    for stand in [&one, &other] {
        let mut left = 100;
        while signer(stand) != next["kid"] {
            assert!(left > 0, "it does not follow");
            left -= 1;
            stand.advance(1);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(!is_good(stand, &leaked).await);
    }
    let (from_one, from_other) = tokio::join!(exchanged(&one), exchanged(&other));
    assert!(is_good(&one, &from_other).await && is_good(&other, &from_one).await);
    let list = Command::new(env!("CARGO_BIN_EXE_cambio"))
        .args(["keys", "list", "--json", "--config"])
        .arg(other.path("cambio.yaml"))
        .output()
        .unwrap();
    let listed: Value = serde_json::from_slice(&list.stdout).unwrap();
    let kids: Vec<_> = listed["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert!(kids.len() == 2 && kids.contains(&next["kid"].as_str().unwrap()), "{listed}");
}
