//! `cambio serve` in processes of their own over one PostgreSQL and one Redis, and a round-robin in front of them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "support of tests; the clock of the machine is what processes go by"
)]

pub mod afterwards;
pub mod callers;
pub mod ledger;

use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cambio::clock::Clock;
use cambio::jose::random;
use serde_json::{Value, json};

use crate::support::http::{exchange, reqwest_client};
use crate::support::postgres::Postgres;
use crate::support::redis::Redis;
use crate::support::stand::{configuration, entry};
use crate::support::{Answer, Issuer};

pub const NAMESPACE: &str = "group_100/group_200";
/// How long anything may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

const POLICIES: [(&str, &str); 2] = [
    (
        "vault",
        r#"
target: vault
namespace: group_100/group_200
rules:
  - name: job
    issuer: workloads
    require: [{that: 'claims.sub.startsWith("job-")', message: this is no job}]
    grant: {policies: ['"jobs/global"'], ttl: 10m}
  - name: outsider
    issuer: workloads
    require: [{that: 'claims.sub.startsWith("outsider-")', message: this is no outsider}]
    grant: {policies: ['"jobs/outsider"'], ttl: 10m}
"#,
    ),
    (
        "admin",
        r#"
target: admin
namespace: group_100/group_200
rules:
  - name: ops
    issuer: workloads
    require: [{that: 'claims.sub.startsWith("ops-")', message: this is no operator}]
    grant: {policies: ['"admin/all"'], ttl: 10m}
"#,
    ),
];

const DOCUMENTS: [(&str, &str); 3] = [
    (
        "jobs/global",
        r#"
path "secret/data/app/*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/app/*" { capabilities = ["create", "read", "update", "list"] }
"#,
    ),
    (
        "jobs/outsider",
        r#"
path "secret/data/outside/*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/app/*" { capabilities = ["list"] }
"#,
    ),
    ("admin/all", r#"path "sys/cambio/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#),
];

/// What replicas share: their issuer, their databases, and who asks them.
pub struct Shared {
    pub issuer: Issuer,
    pub postgres: Postgres,
    pub redis: Mutex<Redis>,
    pub client: reqwest::Client,
    redis_url: String,
}

impl Shared {
    /// `None` where PostgreSQL or Redis is not installed.
    pub async fn start() -> Option<Self> {
        let (postgres, redis) = (Postgres::start()?, Redis::start()?);
        let (issuer, redis_url) = (Issuer::start().await, redis.url());
        Some(Self { issuer, postgres, redis: Mutex::new(redis), client: reqwest_client(None), redis_url })
    }

    /// A good token of this subject, which was not presented yet.
    pub fn token(&self, subject: &str) -> String {
        self.issuer.token(Clock::System.now()).claim("sub", subject).sign()
    }

    /// Sends a request to where it leads. `Err` where no answer came: whether it was not even sent.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, Unanswered> {
        let answer = async {
            let response = request.send().await.map_err(|error| Unanswered { refused: error.is_connect() })?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let text = response.text().await.map_err(|_| Unanswered { refused: false })?;
            Ok(Answer { status, headers, text })
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("an answer, or an end of the connection")
    }
}

/// No answer came.
#[derive(Clone, Copy, Debug)]
pub struct Unanswered {
    /// Nobody listens there, so that nothing was done for sure.
    pub refused: bool,
}

/// One `cambio serve`, which can be killed and started again on its data and its port.
pub struct Replica {
    pub name: &'static str,
    directory: tempfile::TempDir,
    port: u16,
    ops: u16,
    child: Mutex<Option<Child>>,
    /// It is ready, as far as the round-robin knows.
    pub serves: AtomicBool,
}

impl Replica {
    /// One that is written and not started. `replay` is what its issuer's tokens are.
    pub fn prepare(name: &'static str, shared: &Shared, replay: &str, sections: &str) -> Self {
        let directory = directory();
        let (port, ops) = (port_of_its_own(), port_of_its_own());
        let (database, redis) = (shared.postgres.url(), &shared.redis_url);
        let sections = format!(
            "listen: 127.0.0.1:{port}\ntokens: {{keys: database}}\nadmin: {{target: admin}}\nservice_accounts: {{}}\n\
             state: {{database: {{url: '{database}'}}, counters: {{url: '{redis}', timeout: 3s}}}}\n\
             secrets:\n  master_key_file: master.key\n  mounts: [{{mount: secret, namespace: '*', store: local}}]\n\
             rest:\n  folder: app\n  projects: [{{id: 123, path: acme/web, namespace: {NAMESPACE}, target: vault}}]\n\
             {sections}"
        );
        let entries = entry("workloads", shared.issuer.name(), &format!("replay: {replay}"));
        let config = configuration(&entries, &sections)
            .replace("ops_listen: 127.0.0.1:0", &format!("ops_listen: 127.0.0.1:{ops}"));
        let this = Self { name, directory, port, ops, child: Mutex::new(None), serves: AtomicBool::new(false) };
        this.write("cambio.yaml", &config);
        this.write("master.key", &format!("01{}", "5a".repeat(31)));
        for (target, text) in POLICIES {
            this.write(&format!("policies/{target}.yaml"), text);
        }
        for (policy, text) in DOCUMENTS {
            this.write(&format!("policies/{NAMESPACE}/sys/policies/acl/{policy}.hcl"), text);
        }
        this
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything that it said since the first start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn start(&self) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        // It ends with this process, also where that is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_cambio"), "serve", "--config"]);
        command.arg(self.path("cambio.yaml")).env_clear();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        assert!(self.child.lock().unwrap().replace(child).is_none(), "{} runs already", self.name);
    }

    /// Whether it is ready now. That it has ended by itself is a fault.
    pub async fn is_ready(&self, shared: &Shared) -> bool {
        if let Some(child) = &mut *self.child.lock().unwrap() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{} ended by itself: {ended:?}\n{}", self.name, self.log());
        }
        let ready = shared.client.get(format!("http://127.0.0.1:{}/readyz", self.ops));
        let ready = shared.send(ready).await.is_ok_and(|answer| answer.status == 200);
        if ready {
            self.serves.store(true, Ordering::SeqCst);
        }
        ready
    }

    /// Waits until it is ready, and has fetched the keys of the issuer.
    pub async fn settled(&self, shared: &Shared) {
        let began = Instant::now();
        while !(self.is_ready(shared).await && self.check(shared, "issuer workloads").await["ok"] == true) {
            assert!(began.elapsed() < PATIENCE, "{} does not get ready:\n{}", self.name, self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A check of `/readyz`.
    pub async fn check(&self, shared: &Shared, name: &str) -> Value {
        let ready = shared.client.get(format!("http://127.0.0.1:{}/readyz", self.ops));
        let checks = shared.send(ready).await.unwrap().json()["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check `{name}`"))
    }

    /// Ends it by SIGKILL; the moment right before that.
    pub fn kill(&self) -> Instant {
        let mut child = self.child.lock().unwrap().take().unwrap();
        let moment = Instant::now();
        child.kill().unwrap();
        child.wait().unwrap();
        self.serves.store(false, Ordering::SeqCst);
        moment
    }

    /// Ends it as an operator does.
    pub fn stop(&self) {
        let mut child = self.child.lock().unwrap().take().unwrap();
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        assert!(child.wait().unwrap().success(), "{}", self.log());
        self.serves.store(false, Ordering::SeqCst);
    }

    /// Another command, on the same configuration.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
        command.args(arguments).arg("--config").arg(self.path("cambio.yaml")).env_clear().output().unwrap()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.get_mut().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: &'static str,
    pub path: String,
    pub token: String,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    None,
    Json(Value),
    Form(String),
}

impl Call {
    pub fn get(token: &str, path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), token: token.to_owned(), body: Body::None }
    }

    pub fn post(token: &str, path: impl Into<String>, body: Value) -> Self {
        Self { method: "POST", path: path.into(), token: token.to_owned(), body: Body::Json(body) }
    }

    pub fn form(path: &str, form: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        Self { method: "POST", path: path.to_owned(), token: String::new(), body: Body::Form(body) }
    }

    /// The exchange of a token for a target.
    pub fn exchange(token: &str, target: &str) -> Self {
        let mut form = exchange(token);
        form.retain(|(name, _)| *name != "audience");
        form.push(("audience", target));
        Self::form("/oauth2/token", &form)
    }

    /// A write of a value of KV version 2; `cas` is the version that it replaces.
    pub fn write(token: &str, path: &str, value: &str, cas: Option<u64>) -> Self {
        let options = cas.map_or_else(|| json!({}), |cas| json!({"cas": cas}));
        Self::post(token, format!("/v1/secret/data/{path}"), json!({"data": {"value": value}, "options": options}))
    }

    /// The value of a secret of the project, over REST.
    pub fn value(token: &str, name: &str, version: Option<u64>) -> Self {
        let version = version.map_or_else(String::new, |version| format!("?version={version}"));
        Self::get(token, format!("/api/v4/projects/123/secrets/{name}/value{version}"))
    }

    fn at(&self, shared: &Shared, replica: &Replica) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(self.method.as_bytes()).unwrap();
        let mut request = shared.client.request(method, replica.url(&self.path));
        if self.path.starts_with("/v1/") {
            request = request.header("x-vault-token", &self.token);
        } else if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        match &self.body {
            Body::None => request,
            Body::Json(body) => request.header("content-type", "application/json").body(body.to_string()),
            Body::Form(body) => request.header("content-type", "application/x-www-form-urlencoded").body(body.clone()),
        }
    }
}

/// Two replicas, and whose turn it is.
pub struct Replicas {
    pub shared: Shared,
    pub both: [Replica; 2],
    turn: AtomicUsize,
}

impl Replicas {
    /// Two that are not started. `None` where PostgreSQL or Redis is not installed.
    pub async fn prepare(replay: &str, sections: &str) -> Option<Self> {
        let shared = Shared::start().await?;
        let both = ["one", "other"].map(|name| Replica::prepare(name, &shared, replay, sections));
        Some(Self { shared, both, turn: AtomicUsize::new(0) })
    }

    /// Two that are ready, and started at the same moment.
    pub async fn start(replay: &str, sections: &str) -> Option<Self> {
        let this = Self::prepare(replay, sections).await?;
        this.both.iter().for_each(Replica::start);
        for replica in &this.both {
            replica.settled(&this.shared).await;
        }
        Some(this)
    }

    /// Sends a call to this replica.
    pub async fn at(&self, replica: usize, call: &Call) -> Result<Answer, Unanswered> {
        self.shared.send(call.at(&self.shared, &self.both[replica])).await
    }

    /// Sends a call to whose turn it is, and to the other one where nobody listens; a call that can be repeated also where
    /// no answer comes. Who answered, or should have.
    pub async fn call(&self, call: &Call) -> (usize, Result<Answer, Unanswered>) {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % 2;
        let first = if self.both[first].serves.load(Ordering::SeqCst) { first } else { 1 - first };
        let answer = self.at(first, call).await;
        match answer {
            Err(Unanswered { refused }) if refused || call.method == "GET" => {
                self.both[first].serves.store(false, Ordering::SeqCst);
                (1 - first, self.at(1 - first, call).await)
            }
            other => (first, other),
        }
    }

    /// The same where it has to succeed; what was answered.
    pub async fn done(&self, call: &Call) -> Answer {
        let answer = self.call(call).await.1.unwrap();
        assert!(
            (200..300).contains(&answer.status),
            "{} {}: {} {}",
            call.method,
            call.path,
            answer.status,
            answer.text
        );
        answer
    }

    /// A token of ours for this subject.
    pub async fn login(&self, subject: &str, target: &str) -> String {
        self.done(&Call::exchange(&self.shared.token(subject), target)).await.token()
    }

    /// A service account with permission to read there; its id.
    pub async fn account(&self, admin: &str, name: &str, secrets: &str) -> String {
        let expires = Clock::System.now().plus(Duration::from_secs(20 * 86_400)).to_string();
        let new = json!({
            "namespace": NAMESPACE, "name": name, "owner": "team-a", "description": "load", "expires_at": expires,
            "permissions": [{"secrets": secrets}],
        });
        self.done(&Call::post(admin, "/api/admin/v1/service-accounts", new)).await.text_of("id")
    }

    /// Asks an administrator for a token of a service account.
    pub fn issue(admin: &str, account: &str) -> Call {
        let expires = Clock::System.now().plus(Duration::from_secs(86_400)).to_string();
        let path = format!("/api/admin/v1/service-accounts/{account}/tokens");
        Call::post(admin, path, json!({"name": "load", "expires_at": expires}))
    }
}

/// In memory where that can be: what a killed process has handed over is there, whatever a disk does, and a start that waits for
/// a busy disk ten times would be most of what these tests take.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A port that the kernel gives nobody for a connection of theirs, while a replica that was killed is not back on it.
fn port_of_its_own() -> u16 {
    (0..1000)
        .map(|_| 12_000 + u16::from_be_bytes(random().unwrap()) % 18_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free")
}

/// Numbers that follow from a seed (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    pub fn millis(&mut self, bound: usize) -> Duration {
        Duration::from_millis(u64::try_from(self.below(bound)).unwrap())
    }
}
