//! What a token is for: the pod reads its secret, once as any Vault client does, and once without knowing that there is a
//! server, through `cambio exec`. The value is made a moment ago and never shown.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::step::Faults;
use super::walk::Walk;
use super::wire::quoted;
use super::workloads::Workload;
use crate::cli::CliError;
use crate::clock::Clock;
use crate::exchange::Counter;
use crate::identity::Namespace;
use crate::jose::{random, sha256};
use crate::secrets::{KvMethod, KvRequest, SecretData, SecretPath, Store};
use crate::trust::{Fetcher, Method, Outbound};

/// The secret, within its mount, and its field.
const PATH: &str = "secret/data/api/db";
const REFERENCE: &str = "bao://secret/api/db#/password";
const NAMESPACE: &str = "payments";
/// The file of the pod's token for `cambio exec`, and of its secrets token for curl.
const TOKEN: &str = "pod-for-exec.jwt";
const HEADER: &str = "secrets-token.header";
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest answer, in bytes.
const MOST: usize = 64 * 1024;

/// Puts a password where the pod may read it, as an operator does before a workload starts; answers it.
pub(super) async fn put(counter: &Counter) -> Result<Zeroizing<String>, CliError> {
    let password = Zeroizing::new(sha256(&random::<32>().map_err(CliError::new)?).to_string());
    let namespace = Namespace::new(NAMESPACE).map_err(CliError::new)?;
    let found = counter.mounts().find(Some(&namespace), PATH);
    let (mount, _) = found.ok_or_else(|| CliError::new("the demo has no mount `secret`"))?;
    let Store::Local(store) = &mount.store else { return Err(CliError::new("the demo's mount is cambio's own")) };
    let data = json!({ "password": *password }).to_string().into_bytes();
    let data = SecretData::new(Zeroizing::new(data)).map_err(CliError::new)?;
    let path = SecretPath::new("api/db").map_err(CliError::new)?;
    let request = KvRequest::Secret(path, KvMethod::Write { data, cas: None });
    let written = store.run(Some(&namespace), mount.path.as_str(), mount.version, &request, Clock::System.now());
    written.await.map_err(CliError::new)?;
    Ok(password)
}

impl Walk<'_> {
    /// Login and read, in the protocol of Vault and OpenBao.
    pub(super) async fn reads(&mut self, password: &str) -> Result<(), CliError> {
        self.begins("The pod logs in as a Vault client does, and reads its secret");
        let mut faults = Faults::default();
        let minted = self.tokens.fresh(Workload::Pod, self.operator.counter.clock().now())?;
        let body = Zeroizing::new(json!({"role": Workload::Pod.target(), "jwt": *minted.token}).to_string());
        let file = self.stage.write("login.json", &body)?;
        let url = format!("{}/v1/auth/kubernetes/login", self.url);
        self.screen.command(&curl(&url, &["-X PUT", &format!("-d @{}", quoted(&file.display().to_string()))]));
        let (status, login) = ask(&url, Method::Post, &[], Some(&body)).await?;
        let auth = login.get("auth").cloned().unwrap_or_default();
        let words = |name: &str| auth.get(name).map(Value::to_string).unwrap_or_default();
        self.screen
            .row("pod", &format!("gets {status}: token_type {}, policies {}", words("token_type"), words("policies")));
        faults.expect("the login", &status.to_string(), "200");
        let token = Zeroizing::new(auth.get("client_token").and_then(Value::as_str).unwrap_or_default().to_owned());

        let header = self.stage.write(HEADER, &format!("X-Vault-Token: {}\n", *token))?;
        let (url, header) =
            (format!("{}/v1/{PATH}", self.url), format!("-H @{}", quoted(&header.display().to_string())));
        self.screen.command(&curl(&url, &[&header]));
        let (status, read) = ask(&url, Method::Get, &[("x-vault-token", &token)], None).await?;
        let value = read.pointer("/data/data/password").and_then(Value::as_str).unwrap_or_default();
        let said = if value == password { "the password that the operator put there" } else { "something else" };
        let version = read.pointer("/data/metadata/version").map(Value::to_string).unwrap_or_default();
        self.screen.row("pod", &format!("gets {status}: version {version}, {said}"));
        faults.expect("the secret", said, "the password that the operator put there");

        let (denied, missing) =
            (format!("{}/v1/secret/data/other/db", self.url), format!("{}/v1/secret/data/api/no", self.url));
        self.screen.command(&curl(&denied, &[&header]));
        let (status, refused) = ask(&denied, Method::Get, &[("x-vault-token", &token)], None).await?;
        let (other, absent) = ask(&missing, Method::Get, &[("x-vault-token", &token)], None).await?;
        self.screen.row("pod", &format!("gets {status} {refused}: what it may not read looks like what is not there"));
        faults.expect("the denied secret", &format!("{status} {refused}"), &format!("{other} {absent}"));
        self.ends("read", &faults);
        Ok(())
    }

    /// The same without a client: a program that finds the value in its environment.
    pub(super) async fn executes(&mut self, password: &str) -> Result<(), CliError> {
        self.begins("A program that knows nothing of all this finds the value in its environment");
        let mut faults = Faults::default();
        let minted = self.tokens.fresh(Workload::Pod, self.operator.counter.clock().now())?;
        let file = self.stage.write(TOKEN, &minted.token)?;
        let script = "printf %s \"$DB_PASSWORD\" | sha256sum | cut -c1-64";
        let program = std::env::current_exe().map_err(CliError::new)?;
        let words = ["exec", "--url", &self.url, "--target", Workload::Pod.target(), "--token-file"];
        self.screen.command(&shown(&words, &file, script));
        let mut command = Command::new(program);
        command.args(words).arg(&file).args(["--", "sh", "-c", script]);
        command.env("DB_PASSWORD", REFERENCE).stdin(Stdio::null());
        // It asks this very process, whose workers must not wait for it.
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.map_err(CliError::new)?.map_err(CliError::new)?;
        let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let expected = sha256(password.as_bytes()).to_string();
        self.screen.row("program", &format!("prints {}…", printed.get(..12).unwrap_or(&printed)));
        if !output.status.success() {
            self.screen.row("cambio", &String::from_utf8_lossy(&output.stderr));
        }
        faults.expect("what it prints", &printed, &expected);
        self.ends("the digest of the password", &faults);
        Ok(())
    }
}

fn curl(url: &str, arguments: &[&str]) -> Vec<String> {
    let words = ["curl -s".to_owned(), url.to_owned()];
    words.into_iter().chain(arguments.iter().map(|argument| (*argument).to_owned())).collect()
}

fn shown(words: &[&str], file: &Path, script: &str) -> Vec<String> {
    let name = std::env::args().next().filter(|name| name.contains('/')).unwrap_or_else(|| "cambio".to_owned());
    let file = file.display().to_string();
    let command = [words, &[file.as_str(), "--", "sh", "-c", script]].concat();
    let command: Vec<String> = command.into_iter().map(quoted).collect();
    let setting = format!("DB_PASSWORD={}", quoted(REFERENCE));
    let mut words = vec![format!("{setting} {}", quoted(&name))];
    words.extend(command);
    words
}

async fn ask(
    url: &str,
    method: Method,
    headers: &[(&'static str, &str)],
    body: Option<&str>,
) -> Result<(u16, Value), CliError> {
    let url = Url::parse(url).map_err(CliError::new)?;
    let body = body.map(|body| ("application/json", body.as_bytes()));
    let outbound = Outbound { method, url: &url, headers, body, ca_file: None, timeout: PATIENCE, most: MOST };
    let reply = Fetcher::new().send(outbound).await.map_err(CliError::new)?;
    Ok((reply.status, serde_json::from_slice(&reply.body).unwrap_or_default()))
}
