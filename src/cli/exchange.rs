//! `cambio exchange`: hand over this workload's token, and get a secrets token for one target.
//!
//! Standard output has what was asked for and nothing else; what there is to say goes to standard error.

mod answer;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as PlainError;
use url::Url;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use super::token_search::{PROJECTED, Search, TokenArgs, is_loopback};
use super::{Answer, CliError, environment, private_file, runtime};
use crate::clock::Span;
use crate::identity::{IssuerName, TargetName};
use crate::oauth::Scope;
use crate::trust::{Call, Fetcher, Reply};
use answer::{Granted, refused};

const ENDPOINT: &str = "/oauth2/token";
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest wait before another try, whatever the server asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Exchange the token of this workload for a secrets token (RFC 8693).
#[derive(Debug, Args)]
#[command(after_help = "The token is taken from the first of these that is there:
  1. --token-file FILE, or --token-env NAME
  2. the file that CAMBIO_TOKEN_FILE names
  3. the variable CAMBIO_TOKEN (GitLab CI: `id_tokens: {CAMBIO_TOKEN: {aud: ...}}`)
  4. GitHub Actions: asked for, for --audience (the job needs `permissions: {id-token: write}`)
  5. Buildkite: asked for by `buildkite-agent oidc request-token`, for --audience
  6. CIRCLE_OIDC_TOKEN_V2, BITBUCKET_STEP_OIDC_TOKEN, TFC_WORKLOAD_IDENTITY_TOKEN
  7. Azure DevOps: asked for with SYSTEM_ACCESSTOKEN, in tasks with a service connection
  8. /var/run/secrets/cambio/token, then /var/run/secrets/tokens/cambio (projected into a pod)
A pod's default token is never taken by itself: it is for the API server, and whoever gets it acts there as the pod.

Exit codes: 0 a token was issued, 1 it was refused, 2 it could not be asked for.

Examples:
  cambio exchange --url https://cambio.example.com --target group-pipelines
  cambio exchange --url https://cambio.example.com --target deploy --output header > auth.txt; curl -H @auth.txt ...
  cambio exchange --url https://cambio.example.com --target payments-api --out /run/secrets/token --lifetime 5m
  kubectl create token api --audience https://cambio.example.com | cambio exchange --token-file - --url ... --target ...")]
pub(super) struct Exchange {
    /// Where cambio is, e.g. https://cambio.example.com.
    #[arg(long, env = "CAMBIO_URL")]
    url: String,
    /// What the token is asked for: a target of cambio's policies.
    #[arg(long, value_name = "NAME", env = "CAMBIO_TARGET")]
    target: String,
    #[command(flatten)]
    token: TokenArgs,
    /// The audience to ask the platform's token for, where it is asked for; default the URL of cambio.
    #[arg(long, value_name = "AUDIENCE", env = "CAMBIO_AUDIENCE")]
    audience: Option<String>,
    /// Words to narrow the scope to; may be repeated.
    #[arg(long, value_name = "WORD", value_delimiter = ' ')]
    scope: Vec<String>,
    /// The trusted issuer's name, where several share one issuer string.
    #[arg(long, value_name = "NAME")]
    subject_issuer: Option<String>,
    /// How long the token should live, e.g. `5m`; cambio gives this or less.
    #[arg(long, value_name = "SPAN")]
    lifetime: Option<String>,
    /// The only certificates (PEM) to verify cambio by; else those of the machine.
    #[arg(long, value_name = "FILE", env = "CAMBIO_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Send the token over plain HTTP, also to another machine. For tests: everybody in between can read it.
    #[arg(long)]
    insecure_http: bool,
    /// `token` alone, the whole answer as `json`, or an HTTP `header` line.
    #[arg(long, value_enum, default_value_t = Output::Token)]
    output: Output,
    /// Write to this file (mode 0600, whole or not at all) and not to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How often to try again while cambio cannot decide (503).
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=10))]
    retries: u8,
    /// Say on standard error where the token came from, and the decision's id.
    #[arg(long, short)]
    verbose: bool,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Token,
    Json,
    Header,
}

impl Exchange {
    pub(super) fn run(self) -> Answer {
        runtime()?.block_on(self.exchange())
    }

    async fn exchange(self) -> Answer {
        let endpoint = endpoint(&self.url, self.insecure_http)?;
        let mut form = self.form()?;
        let default_audience = self.url.trim().trim_end_matches('/').trim_end_matches(ENDPOINT);
        let search = Search {
            file: self.token.token_file.as_deref(),
            variable: self.token.token_env.as_deref(),
            audience: Some(self.audience.as_deref().unwrap_or(default_audience)),
            env: &environment::variable,
            projected: &PROJECTED,
        };
        let found = search.run().await?;
        if self.verbose {
            eprintln!("cambio: token from {}", found.from);
        }
        let form = Zeroizing::new(form.append_pair("subject_token", &found.token).finish());
        let reply = self.send(&endpoint, &form).await?;
        if reply.status != 200 {
            return refused(&reply, &found, &self.target);
        }
        let granted = Granted::read(&reply)?;
        if self.verbose {
            eprintln!("cambio: {granted}");
        }
        self.deliver(&granted)
    }

    /// The request (RFC 8693 section 2.1) but for the token.
    fn form(&self) -> Result<Serializer<'static, String>, CliError> {
        if let Err(error) = TargetName::new(&self.target) {
            return Err(CliError::new(format!("`--target`: {error}")));
        }
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
            .append_pair("requested_token_type", "urn:ietf:params:oauth:token-type:access_token")
            .append_pair("audience", &self.target);
        let scope = self.scope.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ");
        if !scope.is_empty() {
            let odd = || CliError::new("`--scope` has words of visible ASCII without quotes and backslashes");
            form.append_pair("scope", &Scope::parse(&scope).ok_or_else(odd)?.to_string());
        }
        if let Some(issuer) = &self.subject_issuer {
            let name = IssuerName::new(issuer).map_err(|error| {
                CliError::new(format!("`--subject-issuer`: {error}; it is the issuer's `name` in cambio.yaml, no URL"))
            })?;
            form.append_pair("subject_issuer", name.as_str());
        }
        if let Some(text) = &self.lifetime {
            let seconds = lifetime(text)?.as_secs();
            form.append_pair("expiration", &seconds.to_string());
        }
        Ok(form)
    }

    /// Asks, and asks again while cambio cannot decide: nothing was decided then, so nothing was used up.
    async fn send(&self, endpoint: &Url, form: &str) -> Result<Reply, CliError> {
        let call =
            Call { url: endpoint, form: Some(form), bearer: None, ca_file: self.ca_file.as_deref(), timeout: PATIENCE };
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

    fn deliver(&self, granted: &Granted) -> Answer {
        let text = match self.output {
            Output::Token => Zeroizing::new(format!("{}\n", granted.token.as_str())),
            Output::Header => Zeroizing::new(format!("Authorization: Bearer {}\n", granted.token.as_str())),
            Output::Json => granted.json(),
        };
        match &self.out {
            Some(path) => private_file::write(path, text.as_bytes())?,
            None => {
                let mut out = std::io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::new)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn lifetime(text: &str) -> Result<Duration, CliError> {
    let odd = || CliError::new("`--lifetime` is a span such as `90s`, `5m` or `1h`");
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
    let base = url.path().trim_end_matches('/').to_owned();
    if !base.ends_with(ENDPOINT) {
        url.set_path(&format!("{base}{ENDPOINT}"));
    } else {
        url.set_path(&base);
    }
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
        assert_eq!(lifetime("5m").unwrap(), Duration::from_secs(300));
        assert_eq!(lifetime("300").unwrap(), Duration::from_secs(300));
        assert!(["", "5", "5 minutes", "-5m", "0"].iter().filter(|text| lifetime(text).is_err()).count() == 4);
    }
}
