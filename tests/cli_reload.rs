//! The program itself: SIGHUP, and what the log says of a reload.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod cli_support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use cli_support::{Place, cambio};
use serde_json::Value;

/// `cambio serve`, and what it logs.
struct Server {
    child: Child,
    lines: Receiver<Value>,
}

impl Server {
    fn start(place: &Place) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
        command.args(["serve", "--config", &place.config()]).env_clear();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap_or_else(|_| panic!("no log line: {line}")));
            }
        });
        let server = Self { child, lines };
        server.says("cambio is listening");
        server
    }

    fn hang_up(&self) {
        assert!(Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for a line with this message.
    fn says(&self, message: &str) -> Value {
        let mut others = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(20)) {
            if line["message"] == message {
                return line;
            }
            others.push(line);
        }
        panic!("it did not say `{message}`, but {others:#?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn place() -> Place {
    Place::new("log: {format: json}\n")
}

#[test]
fn a_signal_has_everything_read_again_and_the_log_tells_what_came_of_it() {
    let place = place();
    let server = Server::start(&place);
    server.hang_up();
    server.says("the rules are as they were");
    place.change("policies/group-pipelines.yaml", "id == \"200\"", "id == \"2000\" || id == \"200\"");
    server.hang_up();
    let line = server.says("new rules taken up");
    assert_eq!((&line["targets"], &line["issuers"]), (&Value::from(1), &Value::from(1)), "{line:#}");
    assert_eq!(line["policy_set"].as_str().unwrap().len(), 64);
}

#[test]
fn each_finding_of_a_bad_file_is_a_line() {
    let place = place();
    let server = Server::start(&place);
    place.change("policies/group-pipelines.yaml", "claims.ref_protected ==", "claims.ref_protected = =");
    let line = server.says("the new rules are no good; those from before stay");
    assert_eq!((&line["level"], &line["part"]), (&Value::from("ERROR"), &Value::from("the policies")), "{line:#}");
    let line = server.says("policy finding");
    let finding = line["finding"].as_str().unwrap();
    assert!(finding.starts_with("group-pipelines.yaml:7:") && finding.contains(": error[P0"), "{finding}");
    assert_eq!(format!("error[{}]", line["code"].as_str().unwrap()), finding.split(": ").nth(1).unwrap());
}

#[test]
fn keys_that_only_a_restart_takes_up_are_named() {
    let place = place();
    let server = Server::start(&place);
    let text = std::fs::read_to_string(place.path("cambio.yaml")).unwrap();
    place.write("cambio.yaml", &format!("{text}tokens: {{algorithm: EdDSA}}\nverified_token_cache: 1MiB\n"));
    let line = server.says("changed in the configuration, and taken up by a restart only");
    assert_eq!(line["keys"], "tokens.algorithm, verified_token_cache");
    server.says("the rules are as they were");
}

#[test]
fn a_bad_configuration_is_told_with_its_problem() {
    let place = place();
    let server = Server::start(&place);
    place.change("cambio.yaml", "platform: gitlab", "platform: gitlabb");
    server.says("the new rules are no good; those from before stay");
    let line = server.says("reload");
    assert!(line["error"].as_str().unwrap().contains("`gitlabb`"), "{line:#}");
}

#[test]
fn check_says_what_serve_would_refuse() {
    let place = place();
    let said = cambio(&["serve", "--config", &place.config(), "--check"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("group-pipelines.yaml:4:11: warning[P0306]: "), "{}", said.out);
    assert!(said.out.ends_with("\nok: 1 issuer, 1 target, all cases hold, 1 warning\n"), "{}", said.out);
    place.change("policies/group-pipelines.yaml", "claims.ref_protected ==", "claims.ref_protected = =");
    let said = cambio(&["serve", "--config", &place.config(), "--check"]);
    assert!(said.code != 0 && said.err.contains("group-pipelines.yaml:7:"), "{said:?}");
}
