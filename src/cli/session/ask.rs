//! The request of an exchange (RFC 8693), made alike by every command that needs a secrets token. Decides how cambio is
//! asked, and how often again; refuses to know what the token is for.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as PlainError;
use url::Url;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use crate::cli::token_search::{Found, PROJECTED, Search, TokenArgs, is_loopback};
use crate::cli::{CliError, environment};
use crate::clock::Span;
use crate::identity::{IssuerName, TargetName};
use crate::oauth::Scope;
use crate::trust::{Call, Fetcher, Reply};

const ENDPOINT: &str = "/oauth2/token";
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest wait before another try, whatever the server asks for.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is asked for, of whom, and with which token.
pub(in crate::cli) struct Ask<'a> {
    pub(in crate::cli) url: &'a str,
    pub(in crate::cli) target: &'a str,
    pub(in crate::cli) token: &'a TokenArgs,
    /// What a platform is asked for a token for; default `url`.
    pub(in crate::cli) audience: Option<&'a str>,
    pub(in crate::cli) scope: &'a [String],
    pub(in crate::cli) subject_issuer: Option<&'a str>,
    pub(in crate::cli) lifetime: Option<&'a str>,
    pub(in crate::cli) ca_file: Option<&'a Path>,
    pub(in crate::cli) insecure_http: bool,
    /// How often to try again while cambio cannot decide (503).
    pub(in crate::cli) retries: u8,
    pub(in crate::cli) verbose: bool,
}

/// The token that was handed over, and what came of it.
pub(in crate::cli) struct Asked {
    pub(in crate::cli) found: Found,
    pub(in crate::cli) reply: Reply,
}

impl Ask<'_> {
    /// Finds the platform's token, anew each time, and hands it over.
    pub(in crate::cli) async fn run(&self) -> Result<Asked, CliError> {
        let endpoint = endpoint(self.url, self.insecure_http)?;
        let mut form = self.form()?;
        let default_audience = self.url.trim().trim_end_matches('/').trim_end_matches(ENDPOINT);
        let search = Search {
            file: self.token.token_file.as_deref(),
            variable: self.token.token_env.as_deref(),
            audience: Some(self.audience.unwrap_or(default_audience)),
            env: &environment::variable,
            projected: &PROJECTED,
        };
        let found = search.run().await?;
        if self.verbose {
            eprintln!("cambio: token from {}", found.from);
        }
        let form = Zeroizing::new(form.append_pair("subject_token", &found.token).finish());
        let reply = self.send(&endpoint, &form).await?;
        Ok(Asked { found, reply })
    }

    /// The request (RFC 8693 section 2.1) but for the token.
    fn form(&self) -> Result<Serializer<'static, String>, CliError> {
        if let Err(error) = TargetName::new(self.target) {
            return Err(CliError::new(format!("`--target`: {error}")));
        }
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
            .append_pair("requested_token_type", "urn:ietf:params:oauth:token-type:access_token")
            .append_pair("audience", self.target);
        let scope = self.scope.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ");
        if !scope.is_empty() {
            let odd = || CliError::new("`--scope` has words of visible ASCII without quotes and backslashes");
            form.append_pair("scope", &Scope::parse(&scope).ok_or_else(odd)?.to_string());
        }
        if let Some(issuer) = self.subject_issuer {
            let name = IssuerName::new(issuer).map_err(|error| {
                CliError::new(format!("`--subject-issuer`: {error}; it is the issuer's `name` in cambio.yaml, no URL"))
            })?;
            form.append_pair("subject_issuer", name.as_str());
        }
        if let Some(text) = self.lifetime {
            let seconds = span("--lifetime", text)?.as_secs();
            form.append_pair("expiration", &seconds.to_string());
        }
        Ok(form)
    }

    /// Asks, and asks again while cambio cannot decide: nothing was decided then, so nothing was used up.
    async fn send(&self, endpoint: &Url, form: &str) -> Result<Reply, CliError> {
        let call = Call { url: endpoint, form: Some(form), bearer: None, ca_file: self.ca_file, timeout: PATIENCE };
        let fetcher = Fetcher::new();
        let mut tried = 0;
        loop {
            let reply = fetcher.call(call).await;
            let reply = reply.map_err(|error| {
                CliError::new(format!(
                    "{error}\n  is `{endpoint}` cambio's token endpoint, and its certificate known here (`--ca-file`)?"
                ))
            })?;
            if reply.status != 503 || tried >= self.retries {
                return Ok(reply);
            }
            let wait = reply.retry_after.unwrap_or(Duration::from_secs(1 << tried)).min(LONGEST_WAIT);
            eprintln!("cambio: not now (503); trying again in {} s", wait.as_secs());
            tokio::time::sleep(wait).await;
            tried += 1;
        }
    }
}

/// A span of at least a second that stands behind `flag`.
pub(in crate::cli) fn span(flag: &str, text: &str) -> Result<Duration, CliError> {
    let odd = || CliError::new(format!("`{flag}` is a span such as `90s`, `5m` or `1h`"));
    let span = match text.parse() {
        Ok(seconds) => Span::from_secs(seconds),
        Err(_) => {
            let deserializer: serde::de::value::StrDeserializer<'_, PlainError> = text.into_deserializer();
            Span::deserialize(deserializer).map_err(|_| odd())?
        }
    };
    if span.duration() < Duration::from_secs(1) { Err(odd()) } else { Ok(span.duration()) }
}

/// The token endpoint of the cambio at `text`: its base URL, or the endpoint itself.
fn endpoint(text: &str, insecure_http: bool) -> Result<Url, CliError> {
    let mut url = base(text, insecure_http)?;
    let path = format!("{}{ENDPOINT}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// The base URL of the cambio at `text`, which may be its token endpoint.
pub(super) fn base(text: &str, insecure_http: bool) -> Result<Url, CliError> {
    let text = text.trim();
    if !text.contains("://") {
        return Err(CliError::new(format!("`--url {text}` is no URL; did you mean `https://{text}`?")));
    }
    let url = Url::parse(text).ok().filter(|url| url.host().is_some() && ["http", "https"].contains(&url.scheme()));
    let mut url =
        url.ok_or_else(|| CliError::new(format!("`--url {text}` is no URL such as https://cambio.example.com")))?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(CliError::new(
            "`--url` has no user info, query or fragment; the issuer goes to `--subject-issuer`",
        ));
    }
    if url.scheme() == "http" && !insecure_http && !is_loopback(&url) {
        return Err(CliError::new(format!(
            "`{text}` is not https: the token would be readable on the way; use https, or `--insecure-http` in a test"
        )));
    }
    let path = url.path().trim_end_matches('/').trim_end_matches(ENDPOINT).to_owned();
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://cambio.example.com", "https://cambio.example.com/oauth2/token")]
    #[case("https://cambio.example.com/", "https://cambio.example.com/oauth2/token")]
    #[case(" https://example.com/cambio/ ", "https://example.com/cambio/oauth2/token")]
    #[case("https://cambio.example.com/oauth2/token", "https://cambio.example.com/oauth2/token")]
    #[case("http://127.0.0.1:8200", "http://127.0.0.1:8200/oauth2/token")]
    fn the_endpoint_follows_from_the_base_url(#[case] text: &str, #[case] url: &str) {
        assert_eq!(endpoint(text, false).unwrap().as_str(), url);
    }

    #[rstest]
    #[case("cambio.example.com", "did you mean `https://cambio.example.com`")]
    #[case("http://cambio.example.com", "--insecure-http")]
    #[case("ftp://cambio.example.com", "no URL")]
    #[case("https://", "no URL")]
    #[case("https://me:secret@cambio.example.com", "no user info")]
    #[case("https://cambio.example.com?subject_issuer=a", "--subject-issuer")]
    fn a_wrong_url_is_told_with_what_to_do(#[case] text: &str, #[case] said: &str) {
        let error = endpoint(text, false).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn a_lifetime_is_a_span_or_seconds() {
        let lifetime = |text| span("--lifetime", text);
        assert_eq!(lifetime("5m").unwrap(), Duration::from_secs(300));
        assert_eq!(lifetime("300").unwrap(), Duration::from_secs(300));
        assert!(["", "5", "5 minutes", "-5m", "0"].iter().filter(|text| lifetime(text).is_err()).count() == 4);
    }
}
