//! An OpenBao for contract tests: a real one where there is one, else a server of recorded shapes.
#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs
)]

pub mod recorded;
pub mod state;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cambio::secrets::openbao::OpenBaoSettings;
use cambio::secrets::openbao::setup::{Operator, Plan};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::support::Answer;
use recorded::Recorded;

/// The OpenBao of one test.
pub struct Bao {
    pub address: String,
    token: String,
    /// The namespace that this test has for itself: a server that is given is shared.
    pub prefix: String,
    recorded: Option<Recorded>,
    child: Option<Child>,
}

impl Bao {
    /// The server that the environment names; else `bao` of the PATH in dev mode; else the recorded shapes. Says which.
    pub async fn start(test: &str) -> Self {
        let prefix = format!("cambio-{test}-{}", std::process::id());
        if let (Ok(address), Ok(token)) =
            (std::env::var("CAMBIO_TEST_OPENBAO_ADDR"), std::env::var("CAMBIO_TEST_OPENBAO_TOKEN"))
        {
            eprintln!("openbao: the server at {address}");
            return Self { address, token, prefix, recorded: None, child: None };
        }
        if let Some(bao) = Self::dev_mode(&prefix).await {
            eprintln!("openbao: `bao` of the PATH, in dev mode");
            return bao;
        }
        eprintln!("openbao: recorded-shape server");
        let recorded = Recorded::start().await;
        Self {
            address: recorded.address.clone(),
            token: recorded::OPERATOR.to_owned(),
            prefix,
            recorded: Some(recorded),
            child: None,
        }
    }

    async fn dev_mode(prefix: &str) -> Option<Self> {
        let port = crate::support::http::free_port();
        let token = "dev-only-not-a-secret";
        let child = Command::new("bao")
            .args(["server", "-dev", "-dev-no-store-token", &format!("-dev-root-token-id={token}")])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let address = format!("http://127.0.0.1:{port}");
        let bao =
            Self { address, token: token.to_owned(), prefix: prefix.to_owned(), recorded: None, child: Some(child) };
        for _ in 0..300 {
            if reqwest::get(format!("{}/v1/sys/health", bao.address)).await.is_ok_and(|answer| answer.status() == 200) {
                return Some(bao);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("`bao` did not start within 30 s");
    }

    /// The recorded shapes, for what no real server does when told to.
    pub fn recorded(&self) -> Option<&Recorded> {
        self.recorded.as_ref()
    }

    pub fn settings(&self, yaml: &str) -> OpenBaoSettings {
        let text = json!({"name": "bao", "address": self.address, "namespace": self.prefix}).to_string();
        let text = text.trim_end_matches('}');
        let more: String = yaml.split(", ").filter(|one| !one.is_empty()).map(|one| format!(", {one}")).collect();
        // JSON is YAML: read by cambio's own reader of configurations, through a file that holds nothing else.
        serde_json::from_str(&format!("{text}{more}}}")).unwrap()
    }

    pub fn operator(&self) -> Operator {
        Operator::new(&self.settings(""), Zeroizing::new(self.token.clone())).unwrap()
    }

    pub async fn apply(&self, plan: &Plan) {
        self.operator().apply(plan).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// A call with the operator's token, in a namespace below this test's own.
    pub async fn call(&self, method: &str, namespace: &str, path: &str, body: &Value) -> Answer {
        let namespace = if namespace.is_empty() { self.prefix.clone() } else { format!("{}/{namespace}", self.prefix) };
        self.call_as(&self.token, &namespace, method, path, body).await
    }

    pub async fn call_as(&self, token: &str, namespace: &str, method: &str, path: &str, body: &Value) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let client = crate::support::http::reqwest_client(None);
        let request = client
            .request(method, format!("{}/v1/{path}", self.address))
            .header("x-vault-token", token)
            .header("x-vault-namespace", namespace);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Answer::of(request.body(body).send().await.unwrap()).await
    }

    pub fn whole(&self, namespace: &str) -> String {
        format!("{}/{namespace}", self.prefix)
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
