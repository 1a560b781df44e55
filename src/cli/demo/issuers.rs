//! The demo's issuers: real ones, each with a listener and a signing key of its own, as their platforms publish them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::cli::CliError;
use crate::http::{ServerLimits, documents, serve};
use crate::jose::{Algorithm, SigningKey};

/// RS256, as these platforms sign; ring cannot make RSA keys.
pub(super) const ALGORITHM: Algorithm = if cfg!(feature = "aws-lc") { Algorithm::RS256 } else { Algorithm::ES256 };

/// What is known of an issuer before it runs. The names are those that the shipped policies use.
struct Plan {
    name: &'static str,
    platform: &'static str,
    /// The `iss` where it is not the URL that the issuer listens on: most clusters share this one, and are told apart by
    /// where their keys come from.
    iss: Option<&'static str>,
    keys: &'static str,
    /// In `docker-compose.yml`, where ports are fixed.
    port: u16,
}

const PLANS: [Plan; 3] = [
    Plan {
        name: "prod-cluster",
        platform: "kubernetes",
        iss: Some("https://kubernetes.default.svc.cluster.local"),
        keys: "/openid/v1/jwks",
        port: 8301,
    },
    Plan { name: "gitlab", platform: "gitlab", iss: None, keys: "/oauth/discovery/keys", port: 8302 },
    Plan { name: "github", platform: "github", iss: None, keys: "/.well-known/jwks", port: 8303 },
];

/// An issuer that listens.
pub(super) struct DemoIssuer {
    plan: &'static Plan,
    base: String,
    key: SigningKey,
}

/// All of them, until they are stopped.
pub(super) struct Issuers {
    all: Vec<DemoIssuer>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
}

impl Issuers {
    /// Starts them on loopback, each on a port that is free.
    pub(super) async fn on_loopback() -> Result<Self, CliError> {
        Self::start(IpAddr::from([127, 0, 0, 1]), None).await
    }

    /// Starts them on every address and their fixed ports, for those who reach this machine as `host`.
    pub(super) async fn reachable_as(host: &str) -> Result<Self, CliError> {
        Self::start(IpAddr::from([0, 0, 0, 0]), Some(host)).await
    }

    async fn start(address: IpAddr, host: Option<&str>) -> Result<Self, CliError> {
        // RSA keys take a moment to make; side by side they take one moment.
        let keys: Vec<_> = PLANS.iter().map(|_| tokio::task::spawn_blocking(new_key)).collect();
        let (stop, stopped) = watch::channel(false);
        let mut issuers = Self { all: Vec::new(), stop, servers: Vec::new() };
        for (plan, key) in PLANS.iter().zip(keys) {
            let key = key.await.map_err(CliError::new)??;
            let listener = listen(SocketAddr::new(address, if host.is_some() { plan.port } else { 0 })).await?;
            let bound = listener.local_addr().map_err(CliError::new)?;
            let base = host.map_or_else(|| format!("http://{bound}"), |host| format!("http://{host}:{}", bound.port()));
            let issuer = DemoIssuer { plan, base, key };
            let router = documents::router(issuer.documents());
            issuers.servers.push(tokio::spawn(serve(listener, router, None, ServerLimits::default(), stopped.clone())));
            issuers.all.push(issuer);
        }
        Ok(issuers)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &DemoIssuer> {
        self.all.iter()
    }

    pub(super) fn named(&self, name: &str) -> Result<&DemoIssuer, CliError> {
        let found = self.iter().find(|issuer| issuer.plan.name == name);
        found.ok_or_else(|| CliError::new(format!("the demo has no issuer `{name}`")))
    }

    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        for server in self.servers {
            let _ = server.await;
        }
    }
}

impl DemoIssuer {
    /// The operator's name of it.
    pub(super) fn name(&self) -> &'static str {
        self.plan.name
    }

    /// The `iss` of its tokens.
    pub(super) fn iss(&self) -> &str {
        self.plan.iss.unwrap_or(&self.base)
    }

    /// Where it publishes.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// A token of it with these claims.
    pub(super) fn sign(&self, claims: &Map<String, Value>) -> Result<Zeroizing<String>, CliError> {
        sign(&self.key, claims)
    }

    /// The entry under `issuers:` by which a counter trusts it.
    pub(super) fn settings(&self, audience: &str) -> String {
        let Plan { name, platform, .. } = self.plan;
        let mut text = format!(
            "  - name: {name}\n    platform: {platform}\n    issuer: {}\n    audiences: [{audience}]\n",
            self.iss()
        );
        if self.plan.iss.is_some() {
            text.push_str(&format!("    keys: {{discovery_url: {}/.well-known/openid-configuration}}\n", self.base));
        }
        if self.plan.platform == "gitlab" {
            text.push_str("    replay: single_use            # stricter than the platform's default\n");
        }
        if ALGORITHM != Algorithm::RS256 {
            text.push_str(&format!("    algorithms: [{ALGORITHM}]\n"));
        }
        text.push_str("    private_addresses: true       # it runs on this machine\n");
        text.push_str(
            "    insecure_http: true           # for a demo only: whoever sits in between chooses the keys\n",
        );
        text
    }

    fn documents(&self) -> Vec<(String, String)> {
        let discovery = json!({
            "issuer": self.iss(),
            "jwks_uri": format!("{}{}", self.base, self.plan.keys),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM.name()],
        });
        let keys = json!({"keys": [self.key.public_jwk()]});
        vec![
            ("/.well-known/openid-configuration".to_owned(), discovery.to_string()),
            (self.plan.keys.to_owned(), keys.to_string()),
        ]
    }
}

/// A key that nobody publishes.
pub(super) fn new_key() -> Result<SigningKey, CliError> {
    let pem = SigningKey::generate(ALGORITHM).map_err(CliError::new)?;
    SigningKey::from_pem(ALGORITHM, &pem, "JWT").map_err(CliError::new)
}

pub(super) fn sign(key: &SigningKey, claims: &Map<String, Value>) -> Result<Zeroizing<String>, CliError> {
    let text = serde_json::to_vec(claims).map_err(CliError::new)?;
    key.sign(&text).map_err(CliError::new)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, CliError> {
    let said = |error: io::Error| CliError::new(format!("cannot listen on {address}: {error}"));
    TcpListener::bind(address).await.map_err(said)
}
