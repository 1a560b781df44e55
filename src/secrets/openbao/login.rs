//! A login as OpenBao answers it (OpenBao API, `auth/<mount>/login`).

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::error::UpstreamError;

/// A login that OpenBao granted.
#[derive(Clone)]
pub struct Login {
    /// The OpenBao token: for its caller, and for nobody else.
    pub client_token: Zeroizing<String>,
    /// Names the token for those who may revoke it; empty for a batch token.
    pub accessor: String,
    /// For how long it is good, in whole seconds; zero: without end.
    pub lease: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Its policies, as OpenBao names them.
    pub policies: Vec<String>,
    /// How many requests it is good for; zero: any number.
    pub num_uses: u64,
    /// The `auth` of the answer as it came, token included, for a caller that gets it in place of ours.
    pub auth: Value,
}

#[derive(Deserialize)]
struct Envelope {
    auth: Option<Value>,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    #[serde(default)]
    accessor: Option<String>,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
    #[serde(default)]
    policies: Option<Vec<String>>,
    #[serde(default)]
    num_uses: Option<u64>,
    #[serde(default)]
    mfa_requirement: Option<Value>,
}

/// The longest token that is taken, in bytes: batch tokens hold all that there is to know about them.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

impl Login {
    /// Reads the answer to a login.
    pub(super) fn read(body: &[u8]) -> Result<Self, UpstreamError> {
        let envelope: Envelope =
            serde_json::from_slice(body).map_err(|_| UpstreamError::Unreadable("it is no JSON object"))?;
        let auth = envelope.auth.ok_or(UpstreamError::Unreadable("it has no `auth`"))?;
        let read = Auth::deserialize(&auth).map_err(|_| UpstreamError::Unreadable("`auth` has another shape"))?;
        if read.mfa_requirement.is_some_and(|mfa| !mfa.is_null()) {
            return Err(UpstreamError::Unreadable("the mount asks for a second factor, which no workload has"));
        }
        // It goes into a header: only what OpenBao's own client takes.
        let client_token = Zeroizing::new(read.client_token);
        let token = &client_token;
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UpstreamError::Unreadable("`client_token` is no token"));
        }
        Ok(Self {
            client_token,
            accessor: read.accessor.unwrap_or_default(),
            lease: Duration::from_secs(read.lease_duration),
            renewable: read.renewable,
            policies: read.policies.unwrap_or_default(),
            num_uses: read.num_uses.unwrap_or(0),
            auth,
        })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({:?} for {} s, [redacted])", self.policies, self.lease.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn answer() -> Value {
        json!({"request_id": "1", "lease_id": "", "renewable": false, "lease_duration": 0, "data": null, "warnings": null,
            "wrap_info": null, "auth": {"client_token": "s.abc", "accessor": "acc", "policies": ["default", "jobs"],
            "token_policies": ["default", "jobs"], "identity_policies": null, "metadata": {"role": "cambio"},
            "lease_duration": 300, "renewable": false, "entity_id": "", "token_type": "service", "orphan": true,
            "mfa_requirement": null, "num_uses": 0}})
    }

    #[test]
    fn a_login_is_read_and_prints_no_token() {
        let login = Login::read(answer().to_string().as_bytes()).unwrap();
        assert_eq!((login.client_token.as_str(), login.accessor.as_str()), ("s.abc", "acc"));
        assert_eq!((login.lease, login.renewable, login.num_uses), (Duration::from_secs(300), false, 0));
        assert_eq!(login.auth["metadata"]["role"], "cambio");
        assert!(!format!("{login:?}").contains("s.abc"));
    }

    #[rstest]
    #[case("/auth", json!(null))]
    #[case("/auth", json!("x"))]
    #[case("/auth/client_token", json!(""))]
    #[case("/auth/client_token", json!("a b"))]
    #[case("/auth/client_token", json!("s.a\r\nx-evil: 1"))]
    #[case("/auth/client_token", json!(7))]
    #[case("/auth/client_token", json!("x".repeat(20_000)))]
    #[case("/auth/lease_duration", json!(-1))]
    #[case("/auth/mfa_requirement", json!({"mfa_request_id": "x"}))]
    fn an_answer_that_is_no_login_is_refused(#[case] place: &str, #[case] value: Value) {
        let mut answer = answer();
        *answer.pointer_mut(place).unwrap() = value;
        assert!(matches!(Login::read(answer.to_string().as_bytes()), Err(UpstreamError::Unreadable(_))));
    }

    #[test]
    fn no_json_is_no_login() {
        assert!(Login::read(b"<html>welcome</html>").is_err());
    }
}
