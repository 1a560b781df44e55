//! The files in `deploy/` and `docker-compose.yml`: what they promise about root, networks and secrets is so, the tools of
//! those who use them take them, and cambio runs with the configurations in them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test says so by failing"
)]

#[allow(dead_code, unreachable_pub, reason = "other tests use the rest")]
#[path = "../support/real_part.rs"]
mod real_part;

#[allow(dead_code, unreachable_pub, reason = "other tests use the rest")]
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/redis.rs"]
mod redis;

mod compose;
mod image;
mod kubernetes;
mod running;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML file.
fn documents(text: &str) -> Vec<Value> {
    let parts = text.split("\n---\n").map(|part| part.trim_start_matches("---\n"));
    let parse = |part| serde_saphyr::from_str::<Value>(part).unwrap_or_else(|error| panic!("{error}\n{part}"));
    parts.map(parse).filter(|value| !value.is_null()).collect()
}

/// The files below a directory.
fn files_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

fn run(program: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(repository("."));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn succeeds(program: &Path, arguments: &[&str], input: &str) -> String {
    let output = run(program, arguments, input);
    assert!(output.status.success(), "{program:?} {arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A version, and neither `latest` nor a name that moves.
fn is_pinned(image: &str) -> bool {
    image.rsplit_once(':').is_some_and(|(_, tag)| {
        tag.bytes().next().is_some_and(|first| first.is_ascii_digit()) && tag.split('.').count() >= 3
    })
}
