//! A draft as a policy file: rules, cases, and comments that say why. Decides the wording, and what of the token's claims a
//! case may show.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value};

use super::draft::{Draft, Pin};
use crate::cli::text::{shown, span};
use crate::policy::limits::TTL_LEAST;
use crate::trust::{ClaimKind, ClaimPath, ClaimSchema, Platform};

/// The ttl that is proposed, where the platform's tokens do not live shorter.
const TTL: Duration = Duration::from_secs(600);
const PERMITTED: &str = "the workload that the token was of";

/// The text, not laid out yet.
pub(super) fn file(
    draft: &Draft,
    issuer: &str,
    target: &str,
    platform: &Platform,
    claims: &Map<String, Value>,
) -> String {
    let policy = policy_name(target);
    let ttl = span(platform.usual_lifetime().min(TTL).max(TTL_LEAST)).replace(' ', "");
    let mut text = "# yaml-language-server: $schema=../schemas/policy.schema.json\n".to_owned();
    let about = [
        format!("A first policy, from one token ({}) that nobody has verified.", platform.title()),
        "It lets in what the token was, and nothing else. Read each line; then name the policies that it shall have."
            .to_owned(),
    ];
    for line in about.iter().chain(&draft.left) {
        comment(&mut text, "", line);
    }
    let _ =
        writeln!(text, "target: {}\n\nrules:\n  - name: workload\n    issuer: {issuer}\n    require:", quoted(target));
    for pin in &draft.pins {
        comment(&mut text, "      ", &pin.because);
        let _ = writeln!(text, "      - that: {}\n        message: {}", quoted(&pin.condition), quoted(&pin.message));
    }
    text.push_str("    grant:\n");
    comment(&mut text, "      ", "What the secrets token may do: names of policies of the secrets server.");
    let _ = writeln!(text, "      policies:\n        - {}", quoted(&format!("{policy:?}")));
    comment(&mut text, "      ", "At most; it never lives longer than the token that it was given for.");
    let _ = writeln!(text, "      ttl: {ttl}\n\ncases:");
    cases(&mut text, draft, issuer, &policy, &neutral(claims, platform.schema()));
    text
}

fn cases(text: &mut String, draft: &Draft, issuer: &str, policy: &str, claims: &Map<String, Value>) {
    let _ = writeln!(text, "  - name: {PERMITTED}\n    issuer: {issuer}\n    claims:");
    for (name, value) in claims {
        let _ = writeln!(text, "      {}: {value}", Value::from(name.as_str()));
    }
    let _ = writeln!(text, "    permit:\n      rule: workload\n      policies: [{policy:?}]");
    for pin in &draft.pins {
        let name = if pin.is_recyclable { "of another name" } else { "another" };
        case(text, &format!("{name}: {}", pin.path), &format!("with: {}", nested(&pin.path, &pin.other)), pin);
        if pin.optional && is_here(&pin.path, claims) {
            case(text, &format!("none: {}", pin.path), &format!("without: [{}]", pointer(&pin.path)), pin);
        }
    }
}

fn case(text: &mut String, name: &str, change: &str, pin: &Pin) {
    let _ = writeln!(text, "\n  - name: {}\n    like: {PERMITTED}\n    {change}", quoted(name));
    let _ = writeln!(text, "    deny: {}", quoted(&pin.message));
}

fn is_here(path: &ClaimPath, claims: &Map<String, Value>) -> bool {
    path.is_in(claims)
}

/// `{"kubernetes.io": {"namespace": "x"}}`
fn nested(path: &ClaimPath, value: &Value) -> Value {
    let names: Vec<&str> = path.names().collect();
    names.into_iter().rev().fold(value.clone(), |value, name| Value::from(Map::from_iter([(name.to_owned(), value)])))
}

/// A name at the top, or a JSON Pointer (RFC 6901), as a case's `without` takes it.
fn pointer(path: &ClaimPath) -> String {
    let names: Vec<String> = path.names().map(|name| name.replace('~', "~0").replace('/', "~1")).collect();
    let plain = path.names().count() == 1 && !path.names().any(|name| name.starts_with('/'));
    let text = if plain { path.names().collect() } else { format!("/{}", names.join("/")) };
    Value::from(text).to_string()
}

/// The documented claims; those of one run, of persons, and secret ones with values that say nothing.
fn neutral(claims: &Map<String, Value>, schema: &ClaimSchema) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in claims {
        let Some(claim) = schema.claim(name) else { continue };
        let value = match (claim.kind(), claim.members(), value) {
            (ClaimKind::TokenBound, _, Value::Number(_)) if matches!(name.as_str(), "exp" | "iat" | "nbf") => continue,
            (ClaimKind::TokenBound | ClaimKind::Secret | ClaimKind::Actor, ..) => nothing(value),
            (_, Some(members), Value::Object(inner)) => Value::from(neutral(inner, members)),
            _ => value.clone(),
        };
        kept.insert(name.clone(), value);
    }
    kept
}

/// A value of the same type that tells nothing.
fn nothing(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => Value::from(false),
        Value::Number(number) if number.is_f64() => Value::from(1.0),
        Value::Number(_) => Value::from(1),
        Value::String(_) => Value::from("example"),
        Value::Array(_) => Value::from(Vec::<Value>::new()),
        Value::Object(_) => Value::from(Map::new()),
    }
}

/// The target's name, as a policy may be called.
fn policy_name(target: &str) -> String {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '/');
    let name: String = target.to_ascii_lowercase().chars().map(|c| if fits(c) { c } else { '-' }).collect();
    format!("{name}/read")
}

/// A scalar of YAML in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", shown(text).replace('\'', "''"))
}

fn comment(text: &mut String, indent: &str, line: &str) {
    let mut width = 0;
    text.push_str(indent);
    text.push('#');
    for word in shown(line).split_whitespace() {
        if width + word.chars().count() > 100 {
            let _ = write!(text, "\n{indent}#");
            width = 0;
        }
        width += word.chars().count() + 1;
        let _ = write!(text, " {word}");
    }
    text.push('\n');
}
