//! The two servers that are measured: cambio itself, and the same HTTP stack answering a constant.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use cambio::http::{ServerLimits, serve};

use crate::fixture::{AUDIENCE, Fixture, ISSUER};

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub ready_ms: f64,
}

impl Server {
    /// The constant handler, in a process of its own.
    pub fn constant(core: &str) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", core]).arg(std::env::current_exe().expect("own path")).arg("constant-server");
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().expect("taskset");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("address");
        let address = line.trim().parse().expect("address");
        Self { child, address, ready_ms: began.elapsed().as_secs_f64() * 1e3 }
    }

    /// `cambio serve` with the house example's policy.
    pub fn cambio(core: &str, fixture: &Fixture, algorithm: &str, cache: &str) -> Self {
        let directory = fixture.path().join(format!("{algorithm}-{cache}"));
        std::fs::create_dir_all(directory.join("policies")).expect("directory");
        let (address, ops) = (free_address(), free_address());
        std::fs::write(directory.join("jwks.json"), &fixture.jwks).expect("keys");
        std::fs::write(directory.join("policies/group.yaml"), POLICY).expect("policy");
        let config = format!(
            "issuer: http://{address}\nlisten: {address}\nops_listen: {ops}\ndata: {data}\npolicies: {policies}\n\
             verified_token_cache: {cache}\ntokens: {{algorithm: {algorithm}}}\nlog: {{level: warn}}\n\
             rate_limits: {{source: 10000000 per second, subject: 10000000 per second, failures: 10000000 per second}}\n\
             issuers:\n  - name: gitlab\n    platform: gitlab\n    issuer: {ISSUER}\n    audiences: [{AUDIENCE}]\n    \
             replay: reusable\n    keys: {{file: {jwks}}}\n",
            data = directory.join("data").display(),
            policies = directory.join("policies").display(),
            jwks = directory.join("jwks.json").display(),
        );
        let file = directory.join("cambio.yaml");
        std::fs::write(&file, config).expect("configuration");
        let began = Instant::now();
        let mut command = Command::new("taskset");
        command.args(["-c", core, env!("CARGO_BIN_EXE_cambio"), "serve", "--config"]).arg(&file);
        let child = command.spawn().expect("taskset");
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "cambio did not start");
            std::thread::sleep(Duration::from_millis(1));
        }
        Self { child, address, ready_ms: began.elapsed().as_secs_f64() * 1e3 }
    }

    /// The processor time that the server has used so far, user and system, in microseconds.
    pub fn cpu_us(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks: f64 = fields[11..=12].iter().map(|field| field.parse::<f64>().expect("ticks")).sum();
        ticks * 10_000.0 // 100 ticks a second
    }

    /// Resident memory, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let mut status = String::new();
        let path = PathBuf::from(format!("/proc/{}/status", self.child.id()));
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut status)).expect("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("VmRSS")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of the `constant-server` process: reads the request's body and answers what a token response weighs.
pub fn answer_constantly() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listen");
        println!("{}", listener.local_addr().expect("address"));
        let answer = Bytes::from(vec![b'x'; 1100]);
        let router = Router::new().route("/constant", post(move |_body: Bytes| async move { answer }));
        let (_keep, stop) = tokio::sync::watch::channel(false);
        serve(listener, router, None, ServerLimits::default(), stop).await;
    });
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("free port")
}

const POLICY: &str = r#"
target: group-200
namespace: group_100/group_200
rules:
  - name: pipeline
    issuer: gitlab
    let:
      level: 'claims.ref_protected == "true" ? "protected" : "unprotected"'
    require:
      - that: 'has(claims.project_group_ids) && claims.project_group_ids.exists(id, id == "200")'
        message: the project does not belong to group 200
    grant:
      policies:
        - '"pipelines/" + level + "/global"'
        - when: 'has(claims.environment)'
          policy: '"pipelines/" + level + "/env/" + hex(claims.environment)'
"#;
