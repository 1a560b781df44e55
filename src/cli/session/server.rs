//! One question to cambio's Vault surface, and what its status means (OpenBao API). Decides how long to wait and how often to
//! ask again; refuses to know what a value is.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::ask::{LONGEST_WAIT, base};
use super::{ServerArgs, Stop};
use crate::cli::CliError;
use crate::cli::text::shown;
use crate::identity::Namespace;
use crate::secrets::MAX_DATA_BYTES;
use crate::trust::{Fetcher, Method, Outbound};

const PATIENCE: Duration = Duration::from_secs(30);
/// The most that is read of an answer: the largest value, and what is said around it.
const MOST: usize = MAX_DATA_BYTES + 256 * 1024;

/// The surface below `/v1`.
pub(super) struct Server {
    base: Url,
    namespace: Option<Namespace>,
    ca_file: Option<PathBuf>,
    fetcher: Fetcher,
    /// How often a question is asked again while the server is busy (429, 503).
    pub(super) retries: u8,
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) method: Method,
    /// Below `/v1`: the API's own words, then a path, in segments.
    pub(super) path: [&'a str; 3],
    pub(super) query: Option<(&'a str, &'a str)>,
    /// A body with its media type.
    pub(super) body: Option<(&'static str, &'a [u8])>,
}

/// What the administration is asked.
pub(super) struct ApiRequest<'a> {
    pub(super) method: Method,
    /// In segments, each of which is encoded once.
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Option<&'a Value>,
}

/// Problem details, as far as they are told on.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    detail: String,
    instance: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    errors: Vec<String>,
    data: Option<Gone>,
}

/// What a deleted version is told with (404).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Gone {
    metadata: Option<GoneMetadata>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GoneMetadata {
    version: u64,
    destroyed: bool,
}

impl Server {
    pub(super) fn new(args: &ServerArgs, retries: u8) -> Result<Self, CliError> {
        let base = base(&args.url, args.insecure_http)?;
        let namespace = args.namespace.as_deref().map(|text| text.trim_matches('/')).filter(|text| !text.is_empty());
        let namespace = namespace.map(Namespace::new).transpose();
        let namespace = namespace.map_err(|error| CliError::new(format!("`--namespace`: {error}")))?;
        Ok(Self { base, namespace, ca_file: args.ca_file.clone(), fetcher: Fetcher::new(), retries })
    }

    /// The body of a good answer.
    pub(super) async fn ask(&self, token: &str, question: Question<'_>) -> Result<Zeroizing<Vec<u8>>, Stop> {
        let url = self.url(&question);
        let mut headers = vec![("x-vault-request", "true"), ("x-vault-token", token)];
        if let Some(namespace) = &self.namespace {
            headers.push(("x-vault-namespace", namespace.as_str()));
        }
        let outbound = Outbound {
            method: question.method,
            url: &url,
            headers: &headers,
            body: question.body,
            ca_file: self.ca_file.as_deref(),
            timeout: PATIENCE,
            most: MOST,
        };
        let mut tried = 0;
        loop {
            let reply = self.fetcher.send(outbound).await;
            let reply = reply.map_err(|error| Stop::Failed(error.to_string()))?;
            if matches!(reply.status, 200 | 204) {
                return Ok(reply.body);
            }
            if !matches!(reply.status, 429 | 503) || tried >= self.retries {
                return Err(refusal(reply.status, &reply.body));
            }
            let wait = reply.retry_after.unwrap_or(Duration::from_secs(1 << tried)).min(LONGEST_WAIT);
            eprintln!("cambio: not now ({}); trying again in {} s", reply.status, wait.as_secs());
            tokio::time::sleep(wait).await;
            tried += 1;
        }
    }

    /// The answer of the administration, or of a path beside it: JSON, or nothing.
    pub(super) async fn api(&self, token: &str, request: ApiRequest<'_>) -> Result<Value, Stop> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        let bearer = Zeroizing::new(format!("Bearer {token}"));
        let body = request.body.map(|body| Zeroizing::new(body.to_string()));
        let outbound = Outbound {
            method: request.method,
            url: &url,
            headers: &[("authorization", bearer.as_str())],
            body: body.as_ref().map(|body| ("application/json", body.as_bytes())),
            ca_file: self.ca_file.as_deref(),
            timeout: PATIENCE,
            most: MOST,
        };
        let reply = self.fetcher.send(outbound).await.map_err(|error| Stop::Failed(error.to_string()))?;
        match reply.status {
            204 => Ok(Value::Null),
            200 | 201 => serde_json::from_slice(&reply.body)
                .map_err(|_| Stop::Failed("the answer is not cambio's: this URL is another service's".to_owned())),
            status => Err(problem(status, &reply.body)),
        }
    }

    /// Each segment is encoded once; none of them is `.` or `..`, as paths are checked before.
    fn url(&self, question: &Question<'_>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1");
            for part in question.path.iter().filter(|part| !part.is_empty()) {
                path.extend(part.split('/'));
            }
        }
        if let Some((name, value)) = question.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }
}

/// What a problem of the administration means, and what to do about it.
fn problem(status: u16, body: &[u8]) -> Stop {
    let Details { detail, instance } = serde_json::from_slice(body).unwrap_or_default();
    let decision =
        instance.strip_prefix("urn:uuid:").map_or_else(String::new, |id| format!(" (decision {})", shown(id)));
    let said = format!("{}{decision}", shown(&detail));
    match status {
        401 => Stop::No(format!("the token is not good: {said}; CAMBIO_SECRETS_TOKEN or `--target` give another")),
        403 => Stop::No(format!("not allowed: {said}; an access document of the token's policies has to grant it")),
        404 if detail.is_empty() => {
            Stop::Failed("no administration is there: `admin.target` in cambio.yaml turns it on".to_owned())
        }
        429 | 503 => Stop::Failed(format!("not now ({status}): {said}; try again later")),
        400..=499 => Stop::No(format!("not done: {said}")),
        _ if detail.is_empty() => Stop::Failed(format!("status {status}: this URL is not cambio's")),
        _ => Stop::Failed(format!("status {status}: {said}")),
    }
}

/// What a status means for whoever asked. The server's words are shown; a value is never among them.
fn refusal(status: u16, body: &[u8]) -> Stop {
    let Told { errors, data } = serde_json::from_slice(body).unwrap_or_default();
    let said = errors.iter().map(|error| shown(error)).collect::<Vec<_>>().join("; ");
    let with = |text: &str| if said.is_empty() { text.to_owned() } else { format!("{text}: {said}") };
    match (status, data.and_then(|data| data.metadata)) {
        (404, Some(gone)) => {
            let fate = if gone.destroyed { "destroyed" } else { "deleted" };
            Stop::No(format!("version {} was {fate}", gone.version))
        }
        (404, None) => Stop::No(with("there is nothing there that this workload may read")),
        (403, _) => Stop::No(with("refused")),
        (400..=499, _) if status != 429 => Stop::No(with("not done")),
        (429 | 503, _) => Stop::Failed(with(&format!("not now ({status}); try again later"))),
        _ if said.is_empty() => {
            Stop::Failed(format!("status {status}: this URL is not cambio's, or something stands in between"))
        }
        _ => Stop::Failed(format!("status {status}: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://cambio.example.com", "app/db", "https://cambio.example.com/v1/secret/data/app/db")]
    #[case("https://example.com/cambio/", "app/db", "https://example.com/cambio/v1/secret/data/app/db")]
    #[case("https://example.com/oauth2/token", "app/db", "https://example.com/v1/secret/data/app/db")]
    #[case("https://cambio.example.com", "grün/x y", "https://cambio.example.com/v1/secret/data/gr%C3%BCn/x%20y")]
    fn a_path_is_encoded_once(#[case] base: &str, #[case] path: &str, #[case] expected: &str) {
        let args = ServerArgs {
            url: base.to_owned(),
            namespace: Some("/".to_owned()),
            kubernetes_mount: String::new(),
            ca_file: None,
            insecure_http: false,
        };
        let server = Server::new(&args, 0).unwrap();
        let question = Question { method: Method::Get, path: ["secret", "data", path], query: None, body: None };
        assert_eq!(server.url(&question).as_str(), expected);
    }

    #[rstest]
    #[case(404, r#"{"errors":[]}"#, 1, "nothing there")]
    #[case(404, r#"{"data":{"data":null,"metadata":{"version":2,"destroyed":true}}}"#, 1, "version 2 was destroyed")]
    #[case(403, r#"{"errors":["permission denied"]}"#, 1, "refused: permission denied")]
    #[case(400, r#"{"errors":["check-and-set parameter did not match"]}"#, 1, "not done: check-and-set")]
    #[case(503, r#"{"errors":["the store is not available"]}"#, 2, "try again later")]
    #[case(429, "", 2, "try again later")]
    #[case(500, r#"{"errors":["1 error occurred"]}"#, 2, "1 error")]
    #[case(200, "<html>", 2, "not cambio's")]
    #[case(502, "<html>", 2, "not cambio's")]
    fn a_status_is_a_refusal_or_a_failure(
        #[case] status: u16,
        #[case] body: &str,
        #[case] code: u8,
        #[case] said: &str,
    ) {
        let stop = refusal(status, body.as_bytes());
        assert_eq!(stop.code(), code);
        assert!(stop.to_string().contains(said), "{stop}");
    }
}
