//! A read over HTTP, beside the bound that the same run measures: `1 / (the same server answering a constant + the query and
//! the opening of the value)`. Server and load each have one core of their own, as in `benches/exchange`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::load::{Load, Rate};
use crate::report::Report;
use crate::servers::Server;

const SERVER_CORE: &str = "0";
const SECRETS: usize = 1000;
const TOKENS: usize = 100;

const DOCUMENT: &str = r#"
policy "pipelines/protected/global" {
  path "secret/data/*" { capabilities = ["create", "read", "update"] }
}
"#;

/// `read_us`: what a read of a value costs within the process, query and opening together.
pub fn reads(report: &mut Report, read_us: f64) {
    let fixture = Fixture::new(4_000);
    let constant = Server::constant(SERVER_CORE);
    let constant_us = 1e6 / best(constant.address, &fixture.requests("/constant", usize::MAX));
    drop(constant);
    report.row("the constant handler, one core", 1e6 / constant_us, "/s");

    let acl = fixture.path().join("ES256-16MiB/policies/group_100/group_200/sys/policies");
    std::fs::create_dir_all(&acl).expect("directory");
    std::fs::write(acl.join("acl.hcl"), DOCUMENT).expect("access document");
    let server = Server::cambio(SERVER_CORE, &fixture, "ES256", "16MiB");
    let exchanges = fixture.requests("/oauth2/token", TOKENS);
    let tokens: Vec<String> = exchanges.iter().map(|request| issued(&ask(server.address, request))).collect();
    for number in 0..SECRETS {
        let body = json!({"data": {"password": "x".repeat(180)}}).to_string();
        let request = format!(
            "POST /v1/secret/data/{} HTTP/1.1\r\nhost: x\r\nx-vault-token: {}\r\ncontent-length: {}\r\n\r\n{body}",
            path(number),
            tokens[0],
            body.len()
        );
        assert!(ask(server.address, request.as_bytes()).contains("\"version\":1"));
    }
    let read = |number: usize, header: &str| {
        format!("GET /v1/secret/data/{} HTTP/1.1\r\nhost: x\r\n{header}\r\n\r\n", path(number * 7919 % SECRETS))
            .into_bytes()
    };
    let bearer: Vec<Vec<u8>> =
        (0..SECRETS).map(|number| read(number, &format!("x-vault-token: {}", tokens[number % TOKENS]))).collect();
    let reached = best(server.address, &bearer);
    let bound = 1e6 / (constant_us + read_us);
    report.row("a KV read with a bearer token, one core", reached, "/s");
    report.row("  its bound: constant handler, query and opening", bound, "/s");
    report.row("  of the bound", 100.0 * reached / bound, "%");
    let fixed = Load::new(server.address, &bearer).run(Rate::PerSecond(1000));
    report.row("  p50 at 1,000/s", fixed.p50_us, "us");
    report.row("  p99 at 1,000/s", fixed.p99_us, "us");

    let inline: Vec<Vec<u8>> =
        fixture.tokens.iter().enumerate().map(|(number, token)| read(number, &login(token))).collect();
    report.row("a KV read that brings its login along, one core", best(server.address, &inline), "/s");
    let fixed = Load::new(server.address, &inline).run(Rate::PerSecond(1000));
    report.row("  p99 at 1,000/s", fixed.p99_us, "us");
    report.row("resident memory after it", server.resident_kib() as f64 / 1024.0, "MiB");
}

fn path(number: usize) -> String {
    format!("team{}/secret{number}", number % 10)
}

fn login(token: &str) -> String {
    let parameter = |key: &str, value: &str| URL_SAFE_NO_PAD.encode(json!({"key": key, "value": value}).to_string());
    format!(
        "x-vault-inline-auth-path: auth/jwt/login\r\nx-vault-inline-auth-parameter-jwt: {}\r\n\
         x-vault-inline-auth-parameter-role: {}",
        parameter("jwt", token),
        parameter("role", "group-200")
    )
}

fn best(address: SocketAddr, requests: &[Vec<u8>]) -> f64 {
    (0..3).map(|_| Load::new(address, requests).run(Rate::Full).per_second).fold(0.0, f64::max)
}

/// One request on a connection of its own.
fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("connect");
    let text =
        String::from_utf8(request.to_vec()).expect("text").replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
    stream.write_all(text.as_bytes()).expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answer");
    answer
}

fn issued(answer: &str) -> String {
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("body")).expect("JSON");
    body["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}
