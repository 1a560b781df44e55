//! An inspection on paper, and as JSON. Claims are shown, the token never is.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::hints;
use super::inspection::{End, Inspection, Read};
use crate::cli::text::{relative, shown, span};
use crate::clock::Timestamp;
use crate::trust::{ClaimKind, ClaimPath, ClaimSchema};

/// A claim with what the platform says about it.
struct Row {
    path: ClaimPath,
    kind: Option<ClaimKind>,
    value: Value,
    /// Immutable ids of the same thing.
    ids: Vec<String>,
}

/// The order in which kinds are shown, with what each means for a rule.
const KINDS: [(ClaimKind, &str, &str); 7] = [
    (ClaimKind::ImmutableId, "immutable_id", "immutable ids: safe to bind a rule to"),
    (
        ClaimKind::RecyclableName,
        "recyclable_name",
        "recyclable names: whoever gets the name next matches too; pin the id beside it",
    ),
    (ClaimKind::PlatformSet, "platform_set", "set by the platform"),
    (ClaimKind::CallerChosen, "caller_chosen", "chosen by the caller: proof of nothing by themselves"),
    (ClaimKind::Actor, "actor", "who started it: not what runs"),
    (ClaimKind::TokenBound, "token_bound", "of this one token or run"),
    (ClaimKind::Secret, "secret", "not to be shown"),
];

impl Inspection {
    /// For a person.
    pub(in crate::cli) fn told(&self, from: &str, at: Timestamp, values: bool) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "token     from {}", shown(from));
        if let Some(read) = &self.read {
            self.head(&mut text, read, at);
        }
        text.push_str("\nchecks\n");
        for step in &self.steps {
            match &step.end {
                End::Ok(detail) => {
                    let _ = writeln!(text, "{}", format!("  ok       {:<10}  {}", step.name, shown(detail)).trim_end());
                }
                End::NotRun => drop(writeln!(text, "  not run  {}", step.name)),
                End::Fail { reason, next } => {
                    let _ = writeln!(text, "  FAIL     {:<10}  {}", step.name, shown(reason));
                    if !next.is_empty() {
                        let _ = writeln!(text, "                       {next}");
                    }
                }
            }
        }
        if let (Some(unchecked), Some(_)) = (self.unchecked, &self.read) {
            let _ = writeln!(text, "  not run  {unchecked}");
        }
        if let Some(read) = &self.read {
            self.claims_told(&mut text, read, values);
        }
        text
    }

    fn head(&self, text: &mut String, read: &Read, at: Timestamp) {
        let optional = |value: &Option<String>| value.as_deref().map_or_else(|| "none".to_owned(), shown);
        let (kid, typ) = (optional(&read.key_id), optional(&read.media_type));
        let _ = writeln!(text, "header    alg {}, kid {kid}, typ {typ}; {} bytes in all", read.algorithm, read.bytes);
        let _ = writeln!(text, "issuer    {}", optional(&read.claimed_issuer));
        if let Some(platform) = &self.platform {
            let known = if self.issuer.is_some() { "" } else { "looks like " };
            let _ = writeln!(text, "platform  {known}{platform}");
            if !self.alternatives.is_empty() {
                let _ = writeln!(text, "          the issuer could also be one of {}", self.alternatives.join(", "));
            }
        }
        for (label, name) in [("audience", "aud"), ("subject", "sub")] {
            let _ = writeln!(text, "{label:<9} {}", read.claims.get(name).map_or_else(|| "none".to_owned(), plain));
        }
        let time = |name: &str| read.claims.get(name).and_then(Value::as_f64).map(hints::seconds);
        match (time("iat"), time("exp")) {
            (issued, Some(expires)) => {
                let lifetime = issued.map(|iat| format!(", lives {}", span(expires.since(iat)))).unwrap_or_default();
                let word = if expires > at { "expires" } else { "expired" };
                let _ = writeln!(text, "times     {word} {} ({expires}){lifetime}", relative(expires, at));
            }
            _ => text.push_str("times     no `exp`\n"),
        }
    }

    fn claims_told(&self, text: &mut String, read: &Read, values: bool) {
        let rows = self.rows(read);
        text.push_str(if self.is_verified() { "\nclaims\n" } else { "\nclaims, as anybody could have written them\n" });
        let kinds = KINDS.iter().map(|(kind, _, title)| (Some(*kind), *title));
        for (kind, title) in kinds.chain([(None, "not documented by the platform")]) {
            let mut title = Some(title);
            for row in rows.iter().filter(|row| row.kind == kind) {
                if let Some(title) = title.take() {
                    let _ = writeln!(text, "  {title}");
                }
                let path = shown(&row.path.to_string());
                let value = if values && kind != Some(ClaimKind::Secret) { plain(&row.value) } else { String::new() };
                let ids = if row.ids.is_empty() { String::new() } else { format!("   (id: {})", row.ids.join(", ")) };
                let _ = writeln!(text, "{}", format!("    {path:<28} {value}{ids}").trim_end());
            }
        }
        if let (Some(platform), false) = (&self.platform, self.findings.is_empty()) {
            let _ = writeln!(text, "\ndifferences from what `{}` documents", platform.name());
            for finding in &self.findings {
                let _ = writeln!(text, "  {}", shown(&finding.to_string()));
            }
        }
    }

    /// Claims are verified where a configured issuer's checks all held.
    fn is_verified(&self) -> bool {
        self.issuer.is_some() && self.is_good()
    }

    fn rows(&self, read: &Read) -> Vec<Row> {
        let mut rows = Vec::new();
        add(&mut rows, &read.claims, self.schema(), None);
        rows
    }

    /// For a program.
    pub(in crate::cli) fn to_json(&self, at: Timestamp, values: bool) -> Value {
        let step = |name: &str, end: &End| match end {
            End::Ok(detail) => json!({"check": name, "result": "ok", "detail": detail}),
            End::Fail { reason, next } => json!({"check": name, "result": "fail", "reason": reason, "next": next}),
            End::NotRun => json!({"check": name, "result": "not_run"}),
        };
        let steps: Vec<Value> = self.steps.iter().map(|one| step(one.name, &one.end)).collect();
        let findings: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        let mut answer = json!({
            "ok": self.is_good(),
            "verified": self.is_verified(),
            "at": at.to_string(),
            "issuer_name": self.issuer.as_ref().map(|issuer| issuer.name().as_str()),
            "platform": self.platform.as_ref().map(|platform| platform.name()),
            "checks": steps,
            "differences": findings,
        });
        if let (Some(read), Some(members)) = (&self.read, answer.as_object_mut()) {
            let header = json!({"alg": read.algorithm, "kid": read.key_id, "typ": read.media_type});
            members.insert("header".to_owned(), header);
            members.insert("claimed_issuer".to_owned(), json!(read.claimed_issuer));
            let rows = self.rows(read);
            let row = |row: &Row| {
                let kind = KINDS.iter().find(|(kind, ..)| Some(*kind) == row.kind).map(|(_, code, _)| *code);
                let value = (values && row.kind != Some(ClaimKind::Secret)).then_some(&row.value);
                json!({"claim": row.path.to_string(), "kind": kind, "value": value})
            };
            members.insert("claims".to_owned(), rows.iter().map(row).collect());
        }
        answer
    }
}

/// Claims one by one, members of documented maps each by itself.
fn add(rows: &mut Vec<Row>, claims: &Map<String, Value>, schema: Option<&ClaimSchema>, at: Option<&ClaimPath>) {
    for (name, value) in claims {
        let path = at.map_or_else(|| ClaimPath::top(name), |at| at.child(name));
        let claim = schema.and_then(|schema| schema.claim(name));
        match (claim.and_then(|claim| claim.members()), value) {
            (Some(members), Value::Object(inner)) => add(rows, inner, Some(members), Some(&path)),
            _ => {
                let ids = claim.map(|claim| claim.identified_by().iter().map(ToString::to_string).collect());
                let (kind, value) = (claim.map(|claim| claim.kind()), value.clone());
                rows.push(Row { path, kind, value, ids: ids.unwrap_or_default() });
            }
        }
    }
}

/// A value without the quotes that JSON has, but for a string that would look like something else.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if serde_json::from_str::<Value>(text).is_err() && !text.is_empty() => shown(text),
        other => shown(&other.to_string()),
    }
}
