//! The real program against a running counter: an issuer with its keys in a file, a policy, and tokens signed here.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use cambio::app::{App, Running};
use cambio::clock::Clock;
use cambio::config::Config;
use cambio::jose::{Algorithm, SigningKey};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub const AUDIENCE: &str = "https://cambio.example.com";
pub const ISSUER: &str = "https://gitlab.example.com";

/// What one run of the program gave.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the program with `args` in an empty environment but for `env`, with `input` on standard input.
pub fn cambio_with(args: &[&str], env: &[(&str, &str)], input: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
    command.args(args).env_clear().envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Said::of(child.wait_with_output().unwrap())
}

pub fn cambio(args: &[&str]) -> Said {
    cambio_with(args, &[], "")
}

/// A directory with all that a counter needs.
pub struct Place {
    pub home: TempDir,
    pub key: SigningKey,
}

impl Default for Place {
    fn default() -> Self {
        Self::new("")
    }
}

impl Place {
    /// `more` goes into `cambio.yaml` as it is.
    pub fn new(more: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let key = new_key();
        let place = Self { home, key };
        place.write("jwks.json", &json!({"keys": [place.key.public_jwk()]}).to_string());
        place.write("cambio.yaml", &format!("{CONFIG}{more}"));
        place.write("policies/group-pipelines.yaml", POLICY);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn config(&self) -> String {
        self.text("cambio.yaml")
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.text(name)
    }

    pub fn change(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.path(name), text.replace(from, to)).unwrap();
    }

    /// A job's token, good for five minutes.
    pub fn token(&self) -> String {
        self.token_with(json!({}))
    }

    /// The same with other claims.
    pub fn token_with(&self, change: Value) -> String {
        sign(&self.key, change)
    }

    /// A counter on this configuration.
    pub fn counter(&self) -> Counter {
        let runtime = Runtime::new().unwrap();
        let config = Config::load(&self.path("cambio.yaml")).unwrap();
        let app = runtime.block_on(App::open(config, Clock::System)).unwrap();
        let running = runtime.block_on(app.listen()).unwrap();
        Counter { running: Some(running), runtime }
    }
}

pub fn new_key() -> SigningKey {
    SigningKey::from_pem(Algorithm::ES256, &SigningKey::generate(Algorithm::ES256).unwrap(), "JWT").unwrap()
}

pub fn now() -> i64 {
    Clock::System.now().as_secs()
}

pub fn sign(key: &SigningKey, change: Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "project_path:acme/shop:ref_type:branch:ref:main",
        "iat": now(), "nbf": now() - 5, "exp": now() + 300, "jti": format!("{:?}", thread::current().id()),
        "namespace_id": "200", "namespace_path": "acme", "project_id": "20", "project_path": "acme/shop",
        "project_group_ids": ["200", "100"], "user_id": "1", "user_login": "u", "user_email": "u@example.com",
        "pipeline_id": "5", "pipeline_source": "push", "job_id": "6", "ref": "main", "ref_type": "branch",
        "ref_path": "refs/heads/main", "ref_protected": "true", "sha": "0123", "runner_id": 1,
        "runner_environment": "gitlab-hosted",
    });
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    key.sign(claims.to_string().as_bytes()).unwrap().to_string()
}

/// A counter that listens until it is dropped.
pub struct Counter {
    running: Option<Running>,
    runtime: Runtime,
}

impl Counter {
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.runtime.block_on(self.running.take().unwrap().stop());
    }
}

/// A server that gives each request the next answer (status line, headers, body), the last one for ever, and tells what
/// was asked.
pub fn server(answers: Vec<String>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, requests) = channel();
    thread::spawn(move || {
        let mut answers = answers.into_iter().peekable();
        let mut last = String::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_request(&mut stream);
            last = answers.next().unwrap_or(last);
            let _ = asked.send(request);
            let _ = stream.write_all(last.as_bytes());
        }
    });
    (format!("http://{address}"), requests)
}

/// The next request that a [`server`] got.
pub fn next(requests: &Receiver<String>) -> String {
    requests.recv_timeout(Duration::from_secs(10)).expect("nobody asked")
}

/// An answer of [`server`].
pub fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if read == 0 {
                return text;
            }
            continue;
        };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if read == 0 || body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Certificates of a test-only authority for `localhost` and 127.0.0.1.
pub fn tls(name: &str) -> String {
    format!("{}/tests/cli_support/test-only-tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

const CONFIG: &str = "issuer: https://cambio.example.com
listen: 127.0.0.1:0
ops_listen: 127.0.0.1:0
data: data
issuers:
  - name: gitlab
    platform: gitlab
    issuer: https://gitlab.example.com
    audiences: [https://cambio.example.com]
    algorithms: [ES256]
    keys: {file: jwks.json}
";

const POLICY: &str = r#"target: group-pipelines
namespace: group_100/group_200
rules:
  - name: pipeline
    issuer: gitlab
    let:
      level: 'claims.ref_protected == "true" ? "protected" : "unprotected"'
    require:
      - that: 'claims.?project_group_ids.orValue([]).exists(id, id == "200")'
        message: the project does not belong to group 200
    grant:
      policies:
        - '"pipelines/" + level + "/global"'
      scopes: [read, list]
cases:
  - name: a protected job of the group
    issuer: gitlab
    claims: {project_group_ids: ["200", "100"], ref_protected: "true"}
    permit: {rule: pipeline, policies: [pipelines/protected/global]}
  - name: a project of a sibling group
    issuer: gitlab
    claims: {project_group_ids: ["201", "100"], ref_protected: "true"}
    deny: {reason: the project does not belong to group 200}
"#;
