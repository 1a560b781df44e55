//! A small issuer: discovery and keys over HTTP on a port of its own, every request counted. It can rotate, go down, hang
//! and answer rubbish.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cambio::clock::Timestamp;
use cambio::jose::Algorithm;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::key::{Key, Token};
use super::stand::AUDIENCE;

/// An issuer that listens until the test ends.
#[derive(Clone)]
pub struct Issuer(Arc<Shared>);

struct Shared {
    base: String,
    issuer: String,
    state: Mutex<State>,
    serial: AtomicU64,
}

struct State {
    keys: Vec<Key>,
    more: Vec<Value>,
    behaviour: Behaviour,
    hits: BTreeMap<String, usize>,
}

/// Answers that are held back until this is dropped.
pub struct HeldBack(Issuer, Arc<tokio::sync::Semaphore>);

impl Drop for HeldBack {
    fn drop(&mut self) {
        self.0.comes_back();
        self.1.add_permits(1000);
    }
}

/// What whoever asks gets.
#[derive(Clone)]
enum Behaviour {
    Well,
    Down,
    Hangs,
    /// Until there is a permit.
    Waits(Arc<tokio::sync::Semaphore>),
    Says(u16, String),
}

impl Issuer {
    /// One that signs by ES256; its identifier is its address.
    pub async fn start() -> Self {
        Self::start_with(None, Key::new(Algorithm::ES256)).await
    }

    /// One that signs with `key`, and calls itself `issuer`.
    pub async fn start_with(issuer: Option<&str>, key: Key) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let issuer = issuer.map_or_else(|| base.clone(), str::to_owned);
        let state = State { keys: vec![key], more: vec![], behaviour: Behaviour::Well, hits: BTreeMap::new() };
        let shared = Shared { base, issuer, state: Mutex::new(state), serial: AtomicU64::new(0) };
        let this = Self(Arc::new(shared));
        let served = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served.clone().answer(stream));
            }
        });
        this
    }

    /// The `iss` of its tokens.
    pub fn name(&self) -> &str {
        &self.0.issuer
    }

    /// Where its keys are.
    pub fn jwks_url(&self) -> String {
        format!("{}/jwks", self.0.base)
    }

    /// The key that signs now.
    pub fn key(&self) -> Key {
        self.0.state.lock().unwrap().keys[0].clone()
    }

    /// A good token, not signed yet: an hour long, ten seconds old.
    pub fn token(&self, now: Timestamp) -> Token {
        let serial = self.0.serial.fetch_add(1, Ordering::Relaxed);
        let now = now.as_secs();
        let claims = json!({
            "iss": self.name(), "sub": "job-17", "aud": AUDIENCE, "jti": format!("token-{serial}"),
            "iat": now - 10, "nbf": now - 10, "exp": now - 10 + 3600, "repository": "acme/shop", "repository_id": "74",
        });
        let key = self.key();
        Token { header: key.header(), key, claims }
    }

    /// A new key signs from now on; the old ones stay published, or not.
    pub fn rotate(&self, key: Key, keep: bool) {
        let mut state = self.0.state.lock().unwrap();
        if !keep {
            state.keys.clear();
        }
        state.keys.insert(0, key);
    }

    /// Publishes a further key, as it is written.
    pub fn publish(&self, jwk: Value) {
        self.0.state.lock().unwrap().more.push(jwk);
    }

    pub fn goes_down(&self) {
        self.behaves(Behaviour::Down);
    }

    pub fn hangs(&self) {
        self.behaves(Behaviour::Hangs);
    }

    /// Whoever asks from now on waits until this is dropped.
    pub fn holds_back(&self) -> HeldBack {
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        self.behaves(Behaviour::Waits(Arc::clone(&gate)));
        HeldBack(self.clone(), gate)
    }

    pub fn says(&self, status: u16, body: impl Into<String>) {
        self.behaves(Behaviour::Says(status, body.into()));
    }

    pub fn comes_back(&self) {
        self.behaves(Behaviour::Well);
    }

    fn behaves(&self, behaviour: Behaviour) {
        self.0.state.lock().unwrap().behaviour = behaviour;
    }

    /// Requests that reached it.
    pub fn hits(&self) -> usize {
        self.0.state.lock().unwrap().hits.values().sum()
    }

    /// Requests for its keys.
    pub fn key_hits(&self) -> usize {
        self.0.state.lock().unwrap().hits.get("/jwks").copied().unwrap_or(0)
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let (behaviour, keys) = {
            let mut state = self.0.state.lock().unwrap();
            *state.hits.entry(path.clone()).or_default() += 1;
            let own = state.keys.iter().map(|key| key.jwk.clone());
            (state.behaviour.clone(), own.chain(state.more.clone()).collect::<Vec<_>>())
        };
        if let Behaviour::Waits(gate) = &behaviour {
            gate.acquire().await.unwrap().forget();
        }
        let (status, body) = match (behaviour, path.as_str()) {
            (Behaviour::Down, _) => return,
            (Behaviour::Hangs, _) => return std::future::pending().await,
            (Behaviour::Says(status, body), _) => (status, body),
            (Behaviour::Well | Behaviour::Waits(_), "/jwks") => (200, json!({"keys": keys}).to_string()),
            (Behaviour::Well | Behaviour::Waits(_), "/.well-known/openid-configuration") => {
                (200, json!({"issuer": self.name(), "jwks_uri": self.jwks_url()}).to_string())
            }
            (Behaviour::Well | Behaviour::Waits(_), _) => (404, "{}".to_owned()),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}
