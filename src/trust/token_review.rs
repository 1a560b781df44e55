//! Asks a cluster whether a token of its own is still good (Kubernetes API, `TokenReview`): a token whose pod or service
//! account is gone verifies until it expires, and this is how it is known to be gone.
//!
//! Decides what an answer means. Refuses to remember one: whoever turns this on wants a deleted pod to lose access at once.
//! An API server itself remembers for ten seconds what it said of a token.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::fetch::{Fetcher, Request, bounded_body, check_literal, describe, host_text};
use super::fetch_error::FetchError;
use super::local_file::{self, Bearer};
use super::source::{Web, on_server};

const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// A cluster that is asked about its tokens.
#[derive(Debug)]
pub struct TokenReview {
    at: Url,
    bearer: Bearer,
    web: Web,
}

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewFault {
    /// The cluster says no: the pod, its service account or its namespace is gone.
    #[error("the cluster no longer takes the token: its pod or service account is gone")]
    Gone,
    /// The cluster takes it for somebody else, or for other audiences.
    #[error("the cluster takes the token for another subject or another audience")]
    Mismatch,
    /// The cluster was not asked, or its answer is none.
    #[error("the cluster could not be asked: {0}")]
    Fetch(#[from] FetchError),
    /// The answer is no review.
    #[error("the cluster's answer is no token review")]
    Answer,
}

#[derive(Deserialize)]
struct Review {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    authenticated: bool,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    user: User,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

impl TokenReview {
    pub(super) fn new(server: &Url, bearer: Bearer, web: Web) -> Self {
        Self { at: on_server(server, PATH), bearer, web }
    }

    /// Whether the cluster still takes `token`, for `subject` and for one of `audiences`.
    ///
    /// # Errors
    /// [`ReviewFault`]; whatever it is, the token is not to be taken.
    pub async fn check(&self, token: &str, subject: &str, audiences: &[String]) -> Result<(), ReviewFault> {
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": audiences},
        });
        let body = Zeroizing::new(body.to_string());
        let answer = self.web.fetcher.post(&self.at, &self.bearer, &self.web, &body).await?;
        let Review { status } = serde_json::from_slice(&answer).map_err(|_| ReviewFault::Answer)?;
        if !status.authenticated {
            return Err(ReviewFault::Gone);
        }
        // An API server that knows no audiences answers without them, and has then not looked at them either.
        let ours = status.audiences.iter().any(|audience| audiences.contains(audience));
        if ours && status.user.username == subject { Ok(()) } else { Err(ReviewFault::Mismatch) }
    }

    /// How long asking may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.web.timeout
    }
}

impl Fetcher {
    /// Posts JSON with a bearer token, to its own origin only.
    async fn post(&self, url: &Url, bearer: &Bearer, web: &Web, body: &str) -> Result<Vec<u8>, FetchError> {
        let host = host_text(url);
        let posted = tokio::time::timeout(web.timeout, self.post_unhurried(url, bearer, web, body, &host));
        posted.await.unwrap_or(Err(FetchError::Timeout(host.clone())))
    }

    async fn post_unhurried(
        &self,
        url: &Url,
        bearer: &Bearer,
        web: &Web,
        body: &str,
        host: &str,
    ) -> Result<Vec<u8>, FetchError> {
        let request = Request {
            url,
            private_addresses: web.private_addresses || web.private_origin,
            insecure_http: web.insecure_http,
            ca_file: web.ca_file.as_deref(),
            bearer: None,
            timeout: web.timeout,
        };
        check_literal(&request, host)?;
        let unusable = |_| local_file::error(&bearer.file, "it holds no bearer token");
        let mut authorization = HeaderValue::from_str(&bearer.header().await?).map_err(unusable)?;
        authorization.set_sensitive(true);
        let json = HeaderValue::from_static("application/json");
        let builder = self.client(&request).await?.post(url.clone()).header(ACCEPT, json.clone());
        let builder = builder.header(CONTENT_TYPE, json).header(AUTHORIZATION, authorization).body(body.to_owned());
        let response = builder.send().await.map_err(|error| describe(&error, host))?;
        match response.status().as_u16() {
            200 | 201 => bounded_body(response, host).await,
            300..=399 => Err(FetchError::Redirect(host.to_owned())),
            status => Err(FetchError::Status { host: host.to_owned(), status }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const SUBJECT: &str = "system:serviceaccount:apps:api";

    async fn reviewed(status: u16, answer: &'static str) -> (Result<(), ReviewFault>, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, "reviewer").unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 8192];
            let mut read = 0;
            while !String::from_utf8_lossy(&head[..read]).contains("\"kind\"") {
                read += stream.read(&mut head[read..]).await.unwrap();
            }
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let text = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            stream.write_all(text.as_bytes()).await.unwrap();
            head
        });
        let web = Web {
            fetcher: Fetcher::new(),
            ca_file: None,
            private_addresses: true,
            private_origin: true,
            insecure_http: true,
            timeout: Duration::from_secs(5),
        };
        let bearer = Bearer { file, origin: server.origin() };
        let outcome = TokenReview::new(&server, bearer, web).check("the-token", SUBJECT, &["cambio".to_owned()]).await;
        (outcome, asked.await.unwrap())
    }

    #[tokio::test]
    async fn a_token_that_the_cluster_takes_is_good() {
        let answer = r#"{"status":{"authenticated":true,"audiences":["cambio"],"user":{"username":"system:serviceaccount:apps:api"}}}"#;
        let (outcome, asked) = reviewed(201, answer).await;
        assert_eq!(outcome, Ok(()));
        assert!(asked.starts_with("POST /apis/authentication.k8s.io/v1/tokenreviews "), "{asked}");
        assert!(asked.contains("Bearer reviewer") && asked.contains(r#""audiences":["cambio"]"#), "{asked}");
    }

    #[rstest]
    #[case::gone(201, r#"{"status":{"error":"pod is gone"}}"#, Some(ReviewFault::Gone))]
    #[case::false_(201, r#"{"status":{"authenticated":false}}"#, Some(ReviewFault::Gone))]
    #[case::no_audiences(
        201,
        r#"{"status":{"authenticated":true,"user":{"username":"system:serviceaccount:apps:api"}}}"#,
        Some(ReviewFault::Mismatch)
    )]
    #[case::another_audience(
        201,
        r#"{"status":{"authenticated":true,"audiences":["x"],"user":{"username":"system:serviceaccount:apps:api"}}}"#,
        Some(ReviewFault::Mismatch)
    )]
    #[case::somebody_else(
        201,
        r#"{"status":{"authenticated":true,"audiences":["cambio"],"user":{"username":"admin"}}}"#,
        Some(ReviewFault::Mismatch)
    )]
    #[case::no_review(200, "{}", Some(ReviewFault::Answer))]
    #[case::no_json(200, "ok", Some(ReviewFault::Answer))]
    #[case::may_not_ask(403, "{}", None)]
    #[case::down(500, "{}", None)]
    #[case::elsewhere(302, "", None)]
    #[tokio::test]
    async fn whatever_else_comes_the_token_is_not_taken(
        #[case] status: u16,
        #[case] answer: &'static str,
        #[case] fault: Option<ReviewFault>,
    ) {
        let (outcome, _) = reviewed(status, answer).await;
        let error = outcome.unwrap_err();
        assert!(!error.to_string().contains("the-token"));
        match fault {
            Some(fault) => assert_eq!(error, fault),
            None => assert!(matches!(error, ReviewFault::Fetch(_)), "{error}"),
        }
    }
}
