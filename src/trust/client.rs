//! The one HTTP client, for the command line: one request to a server that the person at the terminal named, and the time
//! that an issuer's server shows. Decides the bounds, which are those of [`super::fetch`]; refuses to know what is asked.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use url::Url;
use zeroize::Zeroizing;

use super::fetch::{Fetcher, Request, bounded_body, check_literal, describe, host_text};
use super::fetch_error::FetchError;
use super::keys::KeyCache;
use super::source::{KeySource, on_server};
use crate::clock::Timestamp;

/// One request. Private addresses and plain HTTP are the caller's to weigh: whoever asks has written the URL.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Where to.
    pub url: &'a Url,
    /// A form to post (`application/x-www-form-urlencoded`); `None` gets.
    pub form: Option<&'a str>,
    /// The value of `Authorization: Bearer`.
    pub bearer: Option<&'a str>,
    /// The only certificates (PEM) that the server is verified by; else those of the machine.
    pub ca_file: Option<&'a Path>,
    /// How long it may take in all.
    pub timeout: Duration,
}

/// An answer, whatever its status, unless it is a redirect.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `Retry-After` in seconds, where the server gives it so.
    pub retry_after: Option<Duration>,
    /// `Cambio-Decision`: the id of the decision.
    pub decision: Option<String>,
    /// The body, at most 256 KiB.
    pub body: Zeroizing<Vec<u8>>,
}

impl Fetcher {
    /// Sends one request, and follows no redirect.
    ///
    /// # Errors
    /// [`FetchError`]; a status is none.
    pub async fn call(&self, call: Call<'_>) -> Result<Reply, FetchError> {
        let host = host_text(call.url);
        let reply = tokio::time::timeout(call.timeout, self.call_unhurried(call, &host));
        reply.await.unwrap_or(Err(FetchError::Timeout(host.clone())))
    }

    async fn call_unhurried(&self, call: Call<'_>, host: &str) -> Result<Reply, FetchError> {
        let Call { url, form, bearer, ca_file, timeout } = call;
        let request = Request { url, private_addresses: true, insecure_http: true, ca_file, bearer: None, timeout };
        check_literal(&request, host)?;
        let client = self.client(&request).await?;
        let mut builder = match form {
            Some(form) => client
                .post(url.clone())
                .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
                .body(form.to_owned()),
            None => client.get(url.clone()),
        };
        if let Some(bearer) = bearer {
            let unusable = |_| FetchError::Unreachable {
                host: host.to_owned(),
                fault: "the bearer token has characters that no header can carry".to_owned(),
            };
            let mut value = HeaderValue::from_str(&format!("Bearer {bearer}")).map_err(unusable)?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        let sent = builder.header(ACCEPT, HeaderValue::from_static("application/json")).send().await;
        let response = sent.map_err(|error| describe(&error, host))?;
        let status = response.status().as_u16();
        if (300..=399).contains(&status) {
            return Err(FetchError::Redirect(host.to_owned()));
        }
        let retry_after = text(response.headers(), RETRY_AFTER.as_str());
        let retry_after = retry_after.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let decision = text(response.headers(), "cambio-decision").map(str::to_owned);
        Ok(Reply { status, retry_after, decision, body: Zeroizing::new(bounded_body(response, host).await?) })
    }
}

impl KeyCache {
    /// The time that the server of these keys shows in one more answer, to the second; `None` where keys come from no
    /// server, or it shows none. Changes nothing.
    pub async fn server_date(&self) -> Option<Timestamp> {
        let answer = match &self.0.source {
            KeySource::Discovery { at, web, .. } | KeySource::Jwks { at, web } => web.get(at, true, None).await,
            KeySource::Cluster { server, bearer, web, .. } => {
                web.get(&on_server(server, "/.well-known/openid-configuration"), true, Some(bearer)).await
            }
            KeySource::File(_) | KeySource::Inline => return None,
        };
        answer.ok()?.date
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, [redacted])", self.status)
    }
}
