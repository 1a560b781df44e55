//! One step of the walk: what is sent, what comes back, and whether that is as it should be.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::walk::Walk;
use super::wire::{Answer, Call};
use super::workloads::{Minted, Workload};
use crate::audit::Record;
use crate::cli::CliError;
use crate::clock::Timestamp;
use crate::jose::CompactJws;

/// What is not as it should be.
#[derive(Default)]
pub(super) struct Faults(Vec<String>);

impl Faults {
    pub(super) fn expect(&mut self, what: &str, found: &str, wanted: &str) {
        if found != wanted {
            self.0.push(format!("{what} is `{found}`, expected `{wanted}`"));
        }
    }
}

/// The request by which `workload` exchanges its token.
pub(super) fn exchange(url: &str, workload: Workload, file: std::path::PathBuf, token: &str) -> Call {
    Call::new(format!("{url}/oauth2/token"))
        .field("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .field("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
        .field("audience", workload.target())
        .file("subject_token", file, token)
}

impl Walk<'_> {
    pub(super) fn begins(&mut self, title: &str) {
        self.steps += 1;
        self.screen.title(&format!("{}  {title}", self.steps));
    }

    pub(super) fn ends(&mut self, end: &str, faults: &Faults) {
        self.screen.verdict(end, &faults.0);
        if !faults.0.is_empty() {
            self.misbehaved.push(self.steps);
        }
    }

    /// A fresh token of `workload`, presented.
    pub(super) async fn asks(&self, workload: Workload) -> Result<(Answer, Record, Faults), CliError> {
        let minted = self.tokens.fresh(workload, self.now())?;
        self.presents(workload, &minted).await
    }

    /// The token, presented; what came back, and what the journal says of it.
    pub(super) async fn presents(
        &self,
        workload: Workload,
        minted: &Minted,
    ) -> Result<(Answer, Record, Faults), CliError> {
        let file = self.stage.write(workload.file(), &minted.token)?;
        let call = exchange(&self.url, workload, file, &minted.token);
        self.screen.command(&call.curl());
        self.screen.row("caller", &format!("sends {}", in_short(&minted.token)));
        for (name, path) in workload.telling() {
            self.screen.member(name, &shown(minted.claims.pointer(path)));
        }
        let answer = call.send().await?;
        let record = self.operator.looks_up(&answer.decision).await?;
        Ok((answer, record, Faults::default()))
    }

    /// Shows a token that was issued; answers its claims.
    pub(super) fn got(&self, answer: &Answer, names: &[&str], faults: &mut Faults) -> Value {
        faults.expect("the status", &answer.status.to_string(), "200");
        let token = answer.text("access_token");
        self.screen.row("caller", &format!("gets {} {}", answer.status, in_short(token)));
        let claims = claims(token);
        self.members(&claims, names);
        claims
    }

    /// Shows a refusal from both sides: the caller learns next to nothing, the operator everything.
    pub(super) fn refused(&self, answer: &Answer, record: &Record, reason: &str, faults: &mut Faults) {
        self.screen.row("caller", &format!("gets {} {}", answer.status, answer.body));
        self.operator.explains(record, self.screen);
        faults.expect("the status", &answer.status.to_string(), "400");
        faults.expect("the error", answer.text("error"), "invalid_request");
        faults.expect("the description", answer.text("error_description"), "the token is not acceptable");
        faults.expect("the record's outcome", &record.outcome, "denied");
        faults.expect("the record's reason", record.reason.as_deref().unwrap_or_default(), reason);
    }

    pub(super) fn members(&self, object: &Value, names: &[&str]) {
        for name in names {
            let Some(value) = object.get(name) else { continue };
            let mut text = shown(Some(value));
            if let (&"exp", Some(secs)) = (name, value.as_i64()) {
                let left = Timestamp::from_secs(secs).since(self.now());
                text.push_str(&format!(", {} from now", minutes(left)));
            }
            self.screen.member(name, &text);
        }
    }

    fn now(&self) -> Timestamp {
        self.operator.counter.clock().now()
    }
}

/// A value for people: strings as they are, anything else as JSON.
pub(super) fn shown(value: Option<&Value>) -> String {
    match value {
        None => "absent".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The head of a token, never more.
fn in_short(token: &str) -> String {
    let head = token.get(..12).unwrap_or_default();
    match CompactJws::parse(Zeroizing::new(token.to_owned())) {
        Ok(parsed) => format!("{head}… ({}, {} bytes)", parsed.unverified_algorithm(), token.len()),
        Err(_) => "no token".to_owned(),
    }
}

fn claims(token: &str) -> Value {
    let parsed = CompactJws::parse(Zeroizing::new(token.to_owned()));
    Value::Object(parsed.map(CompactJws::into_claims).unwrap_or_default())
}

/// The token as somebody might change it who would like to have other policies.
pub(super) fn with_other_policies(token: &str) -> String {
    let mut claims: Map<String, Value> = claims(token).as_object().cloned().unwrap_or_default();
    claims.insert("policies".to_owned(), json!(["admin"]));
    let payload = URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string());
    let (head, rest) = token.split_once('.').unwrap_or_default();
    let (_, signature) = rest.split_once('.').unwrap_or_default();
    format!("{head}.{payload}.{signature}")
}

/// Rounded up: a token that was just issued for 15 minutes has 15 minutes.
fn minutes(span: Duration) -> String {
    match span.as_secs().div_ceil(60) {
        1 => "1 minute".to_owned(),
        count => format!("{count} minutes"),
    }
}
