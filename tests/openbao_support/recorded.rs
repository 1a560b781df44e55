//! A server that answers as OpenBao was recorded to answer: envelopes, statuses and error texts. Its logins are real: the
//! signature is checked by another implementation than cambio's, against the keys that discovery leads to, and the role's
//! program is run as it was posted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::state::State;

/// The operator's token.
pub const OPERATOR: &str = "s.operator";

/// What it does in place of answering, so many times.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    Says(u16),
    Slow(Duration),
}

#[derive(Clone)]
pub struct Recorded {
    pub address: String,
    state: Arc<Mutex<State>>,
    trouble: Arc<Mutex<Option<(Trouble, usize)>>>,
    heard: Arc<Mutex<Vec<String>>>,
}

/// One request.
pub struct Heard {
    pub method: String,
    pub namespace: String,
    pub path: String,
    pub query: String,
    pub token: String,
    pub body: Value,
}

impl Recorded {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let this = Self { address, state: Arc::default(), trouble: Arc::default(), heard: Arc::default() };
        let served = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served.clone().serve(stream));
            }
        });
        this
    }

    pub fn troubled(&self, trouble: Trouble, times: usize) {
        *self.trouble.lock().unwrap() = Some((trouble, times));
    }

    /// How many requests began so, e.g. `POST auth/`.
    pub fn heard(&self, begins: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|line| line.starts_with(begins)).count()
    }

    pub fn everything_heard(&self) -> String {
        self.heard.lock().unwrap().join("\n")
    }

    async fn serve(self, mut stream: TcpStream) {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let header = |name: &str| {
                let value = head
                    .lines()
                    .filter_map(|line| line.split_once(": "))
                    .find(|(known, _)| known.eq_ignore_ascii_case(name));
                value.map_or("", |(_, value)| value).to_owned()
            };
            let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
            stream.read_exact(&mut body).await.unwrap();
            let mut words = head.split(' ');
            let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let heard = Heard {
                method,
                namespace: header("x-vault-namespace").trim_matches('/').to_owned(),
                path: path.strip_prefix("/v1/").unwrap_or_default().to_owned(),
                query: query.to_owned(),
                token: header("x-vault-token"),
                body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            };
            self.heard.lock().unwrap().push(format!("{} {}", heard.method, heard.path));
            let (status, answer) = self.answer(heard).await;
            let text = if answer.is_null() { String::new() } else { answer.to_string() };
            let retry = if status == 429 { "retry-after: 0\r\n" } else { "" };
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncache-control: no-store\r\n{retry}content-length: {}\r\n\r\n",
                text.len()
            );
            if stream.write_all([head, text].concat().as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, heard: Heard) -> (u16, Value) {
        let trouble = {
            let mut trouble = self.trouble.lock().unwrap();
            match &mut *trouble {
                Some((what, times @ 1..)) => {
                    *times -= 1;
                    Some(*what)
                }
                _ => None,
            }
        };
        match trouble {
            Some(Trouble::Says(status)) => return (status, json!({"errors": ["as the test wants it"]})),
            Some(Trouble::Slow(span)) => tokio::time::sleep(span).await,
            None => {}
        }
        if heard.path.starts_with("auth/") && heard.path.ends_with("/config") && heard.method == "POST" {
            // As OpenBao does: a mount whose issuer can't be reached is not configured.
            return match keys(&heard.body).await {
                Ok(keys) => self.state.lock().unwrap().configure(&heard, keys),
                Err(why) => (400, json!({ "errors": [format!("error checking oidc discovery URL: {why}")] })),
            };
        }
        self.state.lock().unwrap().answer(&heard)
    }
}

/// The keys that a mount's configuration leads to.
async fn keys(config: &Value) -> Result<Value, String> {
    let fetch = async |url: String| -> Result<Value, String> {
        let client = crate::support::http::reqwest_client(None);
        let answer = client.get(url).send().await.map_err(|error| error.to_string())?;
        serde_json::from_str(&answer.text().await.unwrap()).map_err(|error| error.to_string())
    };
    let text = |name: &str| config[name].as_str().unwrap_or_default().to_owned();
    if !text("jwks_url").is_empty() {
        return fetch(text("jwks_url")).await;
    }
    let issuer = text("oidc_discovery_url");
    let document = fetch(format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))).await?;
    if document["issuer"] != json!(issuer) {
        return Err("the issuer is another".to_owned());
    }
    fetch(document["jwks_uri"].as_str().unwrap_or_default().to_owned()).await
}
