//! A server whose signing keys are in the database: moved there from the directory, rotated, and read again by the next start.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod support;

use cambio::mint::{KeyState, Rotation};
use support::stand::eventually;
use support::{Answer, Stand};

const IN_THE_DATABASE: &str = "tokens: {keys: database}";

async fn active(stand: &Stand, token: &str) -> bool {
    let form = [("token", token), ("client_id", "rs"), ("client_secret", support::stand::CLIENT_SECRET)];
    stand.post("/oauth2/introspect", &form).await.json()["active"] == true
}

async fn exchanged(stand: &Stand) -> String {
    let answer: Answer = stand.exchange(&stand.token().sign()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.token()
}

async fn published(stand: &Stand) -> Vec<String> {
    let answer = stand.get("/oauth2/jwks").await;
    answer.json()["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn signer(stand: &Stand) -> String {
    stand.running().counter().keys().signer().key_id().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_move_from_the_directory_into_the_database_and_rotate_there() {
    let clients = "clients: [{id: rs, secret_file: rs.secret, targets: [vault]}]";
    let mut stand = Stand::open_with("replay: reusable", clients).await;
    let token = exchanged(&stand).await;
    let first = signer(&stand);
    assert!(stand.path("cambio-data/keys/manifest.json").exists());

    // The operator switches: the live token stays good.
    let configuration = std::fs::read_to_string(stand.path("cambio.yaml")).unwrap();
    stand.write("cambio.yaml", &format!("{configuration}\n{IN_THE_DATABASE}\n"));
    stand.restart().await;
    assert_eq!(signer(&stand), first);
    assert!(active(&stand, &token).await);
    assert!(!stand.path("cambio-data/keys/manifest.json").exists());
    let jwks = stand.get("/oauth2/jwks").await;
    assert_eq!(jwks.header("cache-control"), "public, max-age=3600");
    let ready = stand.ops("/readyz").await;
    assert!(ready.status == 200 && ready.text.contains("last read from the database"), "{ready:?}");

    // A rotation, with a restart before the new key signs.
    let counter = std::sync::Arc::clone(stand.running().counter());
    let next = counter.keys().rotate(Rotation::Ahead, stand.now()).await.unwrap().key_id.to_string();
    drop(counter);
    assert_eq!(published(&stand).await.len(), 2);
    assert_eq!(signer(&stand), first);
    stand.restart().await;
    assert!(published(&stand).await.contains(&next));
    let held = exchanged(&stand).await;
    for _ in 0..62 {
        stand.advance(60);
        // Whoever asks in between is answered, and what was signed a moment ago is good.
        let fresh = exchanged(&stand).await;
        assert!(active(&stand, &fresh).await);
    }
    eventually("the next key signs", || signer(&stand) == next).await;
    assert!(published(&stand).await.contains(&first), "its tokens live for a while");
    assert!(active(&stand, &exchanged(&stand).await).await);
    assert!(!active(&stand, &held).await, "ten minutes are over");
    let keys = stand.running().counter().keys().keys();
    assert!(keys.iter().any(|key| *key.key_id == *first && matches!(key.state, KeyState::Retiring { .. })), "{keys:?}");

    // Back to the directory: no start, rather than other keys.
    stand.stop().await;
    stand.write("cambio.yaml", &configuration);
    let config = cambio::config::Config::load(&stand.path("cambio.yaml")).unwrap();
    let clock = cambio::clock::Clock::Manual(stand.clock.clone());
    let error = cambio::app::App::open(config, clock).await.err().unwrap().to_string();
    assert!(error.contains("moved into the database"), "{error}");
}
