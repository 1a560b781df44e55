//! A draft as a policy file: rules, cases, and comments that say why. Decides the wording, and what of the token's claims a
//! case may show.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value};

use super::draft::{Draft, Pin, literal};
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
    let shown = Shown::new(&draft.pins, claims, platform.schema()).claims(claims, platform.schema(), None);
    cases(&mut text, draft, issuer, &policy, &shown);
    text
}

fn cases(text: &mut String, draft: &Draft, issuer: &str, policy: &str, claims: &Map<String, Value>) {
    let _ = writeln!(text, "  - name: {PERMITTED}\n    issuer: {issuer}\n    claims:");
    for (name, value) in claims {
        let _ = writeln!(text, "      {}: {}", key(name), literal(value));
    }
    let _ = writeln!(text, "    permit:\n      rule: workload\n      policies: [{policy:?}]");
    for pin in &draft.pins {
        case(
            text,
            &format!("another {}", pin.path),
            &format!("with: {}", literal(&nested(&pin.path, &pin.other))),
            pin,
        );
        if pin.optional && pin.path.is_in(claims) {
            case(text, &format!("no {}", pin.path), &format!("without: [{}]", pointer(&pin.path)), pin);
        }
    }
}

fn case(text: &mut String, name: &str, change: &str, pin: &Pin) {
    let _ = writeln!(text, "\n  - name: {}\n    like: {PERMITTED}\n    {change}", quoted(name));
    let _ = writeln!(text, "    deny: {}", quoted(&pin.message));
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
    literal(&Value::from(text))
}

/// What of a token's claims a case shows: the documented ones, those of one run, of persons, and secret ones with values
/// that say nothing, and so whatever repeats one of these without being asked for.
struct Shown<'a> {
    pins: &'a [Pin],
    private: Vec<&'a str>,
}

impl<'a> Shown<'a> {
    fn new(pins: &'a [Pin], claims: &'a Map<String, Value>, schema: &ClaimSchema) -> Self {
        let mut shown = Self { pins, private: vec![] };
        shown.collect(claims, schema);
        shown
    }

    fn collect(&mut self, claims: &'a Map<String, Value>, schema: &ClaimSchema) {
        for (name, value) in claims {
            let Some(claim) = schema.claim(name) else { continue };
            match (value, claim.members()) {
                // A short text is found by chance in others.
                (Value::String(text), _) if is_private(claim.kind()) && text.len() > 2 => self.private.push(text),
                (Value::Object(inner), Some(members)) => self.collect(inner, members),
                _ => {}
            }
        }
    }

    fn claims(
        &self,
        claims: &Map<String, Value>,
        schema: &ClaimSchema,
        outer: Option<&ClaimPath>,
    ) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in claims {
            let Some(claim) = schema.claim(name) else { continue };
            let path = outer.map_or_else(|| ClaimPath::top(name), |outer| outer.child(name));
            let value = match (value, claim.members()) {
                (Value::Number(_), _) if matches!(name.as_str(), "exp" | "iat" | "nbf") => continue,
                _ if self.pins.iter().any(|pin| pin.path == path) => value.clone(),
                _ if is_private(claim.kind()) => nothing(value),
                // A subject that the caller composes may name a person.
                _ if claim.kind() == ClaimKind::CallerChosen && name == "sub" => nothing(value),
                (Value::String(text), _) if self.private.iter().any(|one| text.contains(one)) => nothing(value),
                (Value::Object(inner), Some(members)) => Value::from(self.claims(inner, members, Some(&path))),
                _ => value.clone(),
            };
            kept.insert(name.clone(), value);
        }
        kept
    }
}

fn is_private(kind: ClaimKind) -> bool {
    matches!(kind, ClaimKind::TokenBound | ClaimKind::Secret | ClaimKind::Actor)
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

/// A claim's name as a key of YAML, in quotes where it could be read as something else.
fn key(name: &str) -> String {
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !words.contains(&name.to_ascii_lowercase().as_str());
    if plain { name.to_owned() } else { literal(&Value::from(name)) }
}

/// A scalar of YAML in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
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
