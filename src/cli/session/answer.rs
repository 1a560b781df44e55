//! What cambio answered: a token, or a refusal with what the caller can do next.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Stop;
use crate::cli::CliError;
use crate::cli::text::{relative, shown, span};
use crate::cli::token_search::Found;
use crate::clock::{Clock, Timestamp};
use crate::jose::CompactJws;
use crate::trust::Reply;

/// A token that was issued.
pub(in crate::cli) struct Granted {
    pub(in crate::cli) token: Zeroizing<String>,
    answer: Map<String, Value>,
}

impl Granted {
    /// Reads a token response (RFC 6749 section 5.1).
    pub(in crate::cli) fn read(reply: &Reply) -> Result<Self, CliError> {
        let odd = |what: &str| CliError::new(format!("the answer {what}; is this URL cambio's?"));
        let Ok(Value::Object(mut answer)) = serde_json::from_slice(&reply.body) else {
            return Err(odd("is not a JSON object"));
        };
        let token = answer.get("access_token").and_then(Value::as_str);
        let token = token.filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()));
        let token = Zeroizing::new(token.ok_or_else(|| odd("has no usable `access_token`"))?.to_owned());
        if let Some(decision) = &reply.decision {
            answer.insert("decision_id".to_owned(), Value::from(decision.as_str()));
        }
        Ok(Self { token, answer })
    }

    /// The answer as it came, with the decision's id.
    pub(in crate::cli) fn json(&self) -> Zeroizing<String> {
        let text = serde_json::to_string_pretty(&self.answer).unwrap_or_default();
        Zeroizing::new(format!("{text}\n"))
    }

    /// How long the token is good, as cambio says.
    pub(in crate::cli) fn lifetime(&self) -> Option<Duration> {
        self.answer.get("expires_in").and_then(Value::as_u64).map(Duration::from_secs)
    }
}

impl fmt::Display for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decision = self.answer.get("decision_id").and_then(Value::as_str).unwrap_or("unknown");
        let lifetime = self.lifetime().map_or_else(|| "an unknown time".to_owned(), span);
        write!(f, "issued for {lifetime}, decision {}", shown(decision))
    }
}

/// Why no token was issued, as far as cambio tells, and what to do. A refusal is [`Stop::No`].
pub(in crate::cli) fn refused(reply: &Reply, found: &Found, target: &str) -> Stop {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let member = |name: &str| body.get(name).and_then(Value::as_str).map(shown);
    let Some(error) = member("error") else {
        return Stop::Failed(format!(
            "status {} without an OAuth error: this URL is not cambio's, or something stands in between",
            reply.status
        ));
    };
    let decision = member("decision_id").or(reply.decision.as_deref().map(shown));
    let description = member("error_description").unwrap_or_default();
    let no = (400..=499).contains(&reply.status);
    let mut text = format!("{}: {error}: {description}", if no { "refused" } else { "no decision" });
    if let Some(decision) = &decision {
        let _ = write!(text, "\n  decision  {decision}");
    }
    let _ = write!(text, "\n  token     {}", described(found, Clock::System.now()));
    let tell = decision.map_or_else(
        || "the operator finds the reason in the audit journal".to_owned(),
        |id| format!("the operator finds the reason with `cambio explain {id} --config cambio.yaml`"),
    );
    let next = match error.as_str() {
        "invalid_target" => format!("is there a target `{}`? {tell}", shown(target)),
        "invalid_scope" => format!("leave out `--scope`, or ask for fewer words; {tell}"),
        _ if no => format!("`cambio token inspect` shows what is wrong with the token itself; {tell}"),
        _ => format!("try again later; {tell}"),
    };
    let _ = write!(text, "\n  next      {next}");
    if no { Stop::No(text) } else { Stop::Failed(text) }
}

/// What the token says of itself: enough to see that it is the wrong one, or old.
fn described(found: &Found, now: Timestamp) -> String {
    let from = format!("from {}", shown(&found.from));
    let jws = match CompactJws::parse(found.token.clone()) {
        Ok(jws) => jws,
        Err(error) => return format!("{from}; {error}"),
    };
    let claims = jws.unverified_claims();
    let text = |name: &str| match claims.get(name) {
        Some(Value::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
        None => "none".to_owned(),
    };
    let expires = claims.get("exp").and_then(Value::as_i64).map(Timestamp::from_secs);
    let expires = match expires {
        Some(expires) if expires < now => format!("expired {}", relative(expires, now)),
        Some(expires) => format!("expires {}", relative(expires, now)),
        None => "no expiry".to_owned(),
    };
    format!("{from}; issuer {}, audience {}, {expires}", text("iss"), text("aud"))
}
