//! The servers: one replica with its embedded state, or two over a PostgreSQL and a Redis.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::fixture::{AUDIENCE, Fixture, ISSUER};
use crate::postgres::Postgres;
use crate::redis::Redis;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    Embedded,
    Shared,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "SQLite",
            Self::Shared => "PostgreSQL and Redis, two replicas",
        }
    }
}

pub struct Deployment {
    pub state: State,
    pub replicas: Vec<Replica>,
    // Dropped after those who use them.
    _redis: Option<Redis>,
    _postgres: Option<Postgres>,
}

pub struct Replica {
    child: Child,
    pub address: SocketAddr,
}

/// Nobody is limited: what the load shows is what the counter can do.
const LAVISH: &str =
    "rate_limits: {source: 10000000 per second, subject: 10000000 per second, failures: 10000000 per second}\n";

impl Deployment {
    /// `None` where a part is not installed.
    pub fn start(fixture: &Fixture, state: State) -> Option<Self> {
        let directory = fixture.path().join(format!("{state:?}"));
        let (postgres, redis) = match state {
            State::Embedded => (None, None),
            // The tests' clusters leave out syncing; this one may not.
            State::Shared => {
                let settings = ["fsync=on", "shared_buffers=128MB"];
                let postgres = Postgres::start_in(tempfile::tempdir().expect("directory"), &settings)?;
                (Some(postgres), Some(Redis::start()?))
            }
        };
        let shared = match (&postgres, &redis) {
            (Some(postgres), Some(redis)) => {
                format!("state: {{database: {{url: '{}'}}, counters: {{url: '{}'}}}}\n", postgres.url(), redis.url())
            }
            _ => String::new(),
        };
        let count = if state == State::Shared { 2 } else { 1 };
        // One after the other: the first one makes the tables.
        let replicas = (0..count).map(|number| {
            Replica::start(fixture, &directory.join(number.to_string()), &format!("{LAVISH}{shared}"), None)
        });
        Some(Self { state, replicas: replicas.collect(), _redis: redis, _postgres: postgres })
    }

    pub fn resident_mib(&self) -> f64 {
        self.replicas.iter().map(|replica| replica.resident_kib() as f64 / 1024.0).fold(0.0, f64::max)
    }
}

impl Replica {
    /// `core`: the one processor that it may use.
    pub fn start(fixture: &Fixture, directory: &Path, sections: &str, core: Option<&str>) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("free port");
        let file = configure(fixture, directory, address, sections);
        let mut command = match core {
            None => Command::new(env!("CARGO_BIN_EXE_cambio")),
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", core, env!("CARGO_BIN_EXE_cambio")]);
                command
            }
        };
        let child = command.args(["serve", "--config"]).arg(file).spawn().expect("cambio");
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "cambio did not start");
            std::thread::sleep(Duration::from_millis(2));
        }
        Self { child, address }
    }

    /// Resident memory, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("VmRSS")
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configure(fixture: &Fixture, directory: &Path, address: SocketAddr, sections: &str) -> PathBuf {
    let acl = directory.join("policies/group_100/group_200/sys/policies");
    std::fs::create_dir_all(&acl).expect("directory");
    let write = |path: &str, text: &str| std::fs::write(directory.join(path), text).expect("write");
    write("jwks.json", &fixture.jwks);
    write("policies/group.yaml", POLICY);
    write("policies/group_100/group_200/sys/policies/acl.hcl", DOCUMENT);
    write("master.key", &format!("01{}", "5a".repeat(31)));
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(directory.join("master.key"), private).expect("mode");
    let ops = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("free port");
    let config = format!(
        "issuer: https://cambio.example.com\nlisten: {address}\nops_listen: {ops}\ndata: data\npolicies: policies\n\
         log: {{level: error}}\nadmin: {{target: group-200}}\nservice_accounts: {{}}\n\
         secrets: {{master_key_file: master.key, mounts: [{{mount: secret, namespace: '*', store: local}}]}}\n\
         rest: {{folder: app, projects: [{{id: 1, namespace: group_100/group_200, target: group-200}}]}}\n{sections}\
         issuers:\n  - name: gitlab\n    platform: gitlab\n    issuer: {ISSUER}\n    audiences: [{AUDIENCE}]\n    \
         replay: reusable\n    keys: {{file: jwks.json}}\n",
    );
    write("cambio.yaml", &config);
    directory.join("cambio.yaml")
}

const POLICY: &str = r#"
target: group-200
namespace: group_100/group_200
rules:
  - name: pipeline
    issuer: gitlab
    require:
      - that: 'has(claims.project_group_ids) && claims.project_group_ids.exists(id, id == "200")'
        message: the project does not belong to group 200
    grant:
      policies: ['"pipelines/protected/global"']
      ttl: 50m
"#;

const DOCUMENT: &str = r#"
policy "pipelines/protected/global" {
  path "secret/data/*" { capabilities = ["create", "read", "update"] }
  path "secret/metadata/*" { capabilities = ["read", "list"] }
  path "sys/cambio/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
}
"#;
