//! Where a workload's token is: named by the caller, or where its platform puts it. Decides the order, which `--help` of
//! `exchange` states; refuses to guess further once a place is found, and to take a token that was made for somebody else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::{CliError, token_text};
use crate::trust::{Call, Fetcher};

/// Where pods have a token for cambio, by convention.
pub(super) const PROJECTED: [&str; 2] = ["/var/run/secrets/cambio/token", "/var/run/secrets/tokens/cambio"];
/// The token for the API server that pods have by default.
const DEFAULT_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const PATIENCE: Duration = Duration::from_secs(15);

/// A token, and where it was found.
pub(super) struct Found {
    pub(super) token: Zeroizing<String>,
    pub(super) from: String,
}

/// What the search goes by.
pub(super) struct Search<'a> {
    /// Named by the caller.
    pub(super) file: Option<&'a Path>,
    /// The variable that the caller named.
    pub(super) variable: Option<&'a str>,
    /// What a platform is asked for a token for.
    pub(super) audience: Option<&'a str>,
    /// The environment.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// Files to look at in the end.
    pub(super) projected: &'a [&'a str],
}

impl Search<'_> {
    /// The first token that is there. One that is there and no good ends the search: the next place would be a surprise.
    pub(super) async fn run(&self) -> Result<Found, CliError> {
        if let Some(file) = self.file {
            if file == Path::new(DEFAULT_ACCOUNT) {
                eprintln!(
                    "cambio: warning: this is the pod's token for the API server of its cluster; whoever gets it acts there as \
                     the pod. Project a token for cambio's audience instead"
                );
            }
            let from = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
            return Ok(Found { token: token_text::read(file)?, from });
        }
        if let Some(name) = self.variable {
            let missing =
                || CliError::new(format!("the variable `{name}` is not set, or empty; `--token-env` names it"));
            return self.in_variable(name)?.ok_or_else(missing);
        }
        if let Some(file) = (self.env)("CAMBIO_TOKEN_FILE") {
            let token = token_text::read(Path::new(&file))?;
            return Ok(Found { token, from: format!("{file} (CAMBIO_TOKEN_FILE)") });
        }
        if let Some(found) = self.in_variable("CAMBIO_TOKEN")? {
            return Ok(found);
        }
        if let Some(found) = self.github().await? {
            return Ok(found);
        }
        if (self.env)("BUILDKITE").is_some() && (self.env)("BUILDKITE_AGENT_ACCESS_TOKEN").is_some() {
            return self.buildkite();
        }
        for name in ["CIRCLE_OIDC_TOKEN_V2", "BITBUCKET_STEP_OIDC_TOKEN", "TFC_WORKLOAD_IDENTITY_TOKEN"] {
            if let Some(found) = self.in_variable(name)? {
                return Ok(found);
            }
        }
        if let Some(found) = self.azure_devops().await? {
            return Ok(found);
        }
        match self.projected.iter().find(|path| Path::new(path).exists()) {
            Some(path) => Ok(Found { token: token_text::read(Path::new(path))?, from: (*path).to_owned() }),
            None => Err(self.nothing()),
        }
    }

    fn in_variable(&self, name: &str) -> Result<Option<Found>, CliError> {
        let Some(value) = (self.env)(name).map(Zeroizing::new) else { return Ok(None) };
        let token = token_text::one(&value, &format!("the variable `{name}`"))?;
        Ok(Some(Found { token, from: format!("the variable {name}") }))
    }

    /// `&audience=` goes after the query that the URL already has.
    async fn github(&self) -> Result<Option<Found>, CliError> {
        let names = ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"];
        let [Some(url), Some(bearer)] = names.map(|name| (self.env)(name)) else { return Ok(None) };
        let mut url = request_url(&url, "ACTIONS_ID_TOKEN_REQUEST_URL")?;
        url.query_pairs_mut().append_pair("audience", self.audience("GitHub Actions")?);
        self.asked(&url, None, Zeroizing::new(bearer), "value", "GitHub Actions").await.map(Some)
    }

    async fn azure_devops(&self) -> Result<Option<Found>, CliError> {
        let names = ["SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN", "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"];
        let [Some(url), Some(bearer), Some(connection)] = names.map(|name| (self.env)(name)) else { return Ok(None) };
        let mut url = request_url(&url, "SYSTEM_OIDCREQUESTURI")?;
        url.query_pairs_mut().append_pair("api-version", "7.1").append_pair("serviceConnectionId", &connection);
        self.asked(&url, Some(""), Zeroizing::new(bearer), "oidcToken", "Azure DevOps").await.map(Some)
    }

    /// Asks a platform's own server for a token.
    async fn asked(
        &self,
        url: &Url,
        form: Option<&str>,
        bearer: Zeroizing<String>,
        member: &str,
        platform: &str,
    ) -> Result<Found, CliError> {
        let call = Call { url, form, bearer: Some(&bearer), ca_file: None, timeout: PATIENCE };
        let failed = |what: String| CliError::new(format!("{platform} gave no token: {what}"));
        let reply = Fetcher::new().call(call).await.map_err(|error| failed(error.to_string()))?;
        if reply.status != 200 {
            return Err(failed(format!("it answered with status {}; may this job ask for id tokens?", reply.status)));
        }
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let token = answer.get(member).and_then(Value::as_str).map(|text| Zeroizing::new(text.to_owned()));
        let token = token.ok_or_else(|| failed(format!("its answer has no `{member}`")))?;
        Ok(Found { token: token_text::one(&token, &format!("the answer of {platform}"))?, from: platform.to_owned() })
    }

    fn buildkite(&self) -> Result<Found, CliError> {
        let audience = self.audience("Buildkite")?;
        let mut agent = Command::new("buildkite-agent");
        agent.args(["oidc", "request-token", "--audience", audience]).stdin(Stdio::null()).stderr(Stdio::inherit());
        let failed =
            |what: String| CliError::new(format!("`buildkite-agent oidc request-token` gave no token: {what}"));
        let output = agent.output().map_err(|error| failed(error.to_string()))?;
        let text = Zeroizing::new(output.stdout);
        if !output.status.success() {
            return Err(failed(format!("it ended with {}", output.status)));
        }
        let text = std::str::from_utf8(&text).map_err(|_| failed("its output is not text".to_owned()))?;
        Ok(Found { token: token_text::one(text, "the output of buildkite-agent")?, from: "Buildkite".to_owned() })
    }

    fn audience(&self, platform: &str) -> Result<&str, CliError> {
        let text =
            format!("{platform} makes a token for an audience: give `--audience`, as the issuer's `audiences` say");
        self.audience.ok_or_else(|| CliError::new(text))
    }

    /// Why nothing was found, and what to do about it here.
    fn nothing(&self) -> CliError {
        let set = |name: &str| (self.env)(name).is_some();
        let hint = if set("GITHUB_ACTIONS") {
            "this is GitHub Actions: the job needs `permissions: {id-token: write}`"
        } else if set("GITLAB_CI") {
            "this is GitLab CI: the job needs `id_tokens: {CAMBIO_TOKEN: {aud: <cambio's audience>}}`"
        } else if set("CIRCLECI") {
            "this is CircleCI: the job needs at least one context for CIRCLE_OIDC_TOKEN_V2"
        } else if set("BITBUCKET_BUILD_NUMBER") {
            "this is Bitbucket: the step needs `oidc: true`"
        } else if set("TFC_RUN_ID") {
            "this is HCP Terraform: the workspace needs the variable TFC_WORKLOAD_IDENTITY_AUDIENCE"
        } else if set("TF_BUILD") {
            "this is Azure DevOps: map SYSTEM_ACCESSTOKEN: $(System.AccessToken), in a task with a service connection"
        } else if set("KUBERNETES_SERVICE_HOST") || Path::new(DEFAULT_ACCOUNT).exists() {
            "this is a pod: mount a projected serviceAccountToken with cambio's audience at /var/run/secrets/cambio/token\n  \
             (its default token is for the API server: whoever gets it acts there as the pod, so it is not taken by itself)"
        } else {
            "give `--token-file FILE`, `--token-file -` for standard input, or set CAMBIO_TOKEN_FILE or CAMBIO_TOKEN"
        };
        CliError::new(format!("found no token of a platform\n  {hint}"))
    }
}

/// A URL that the platform gives: over TLS, or from a process on this machine.
fn request_url(text: &str, name: &str) -> Result<Url, CliError> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" || is_loopback(url));
    url.ok_or_else(|| CliError::new(format!("`{name}` is not an https URL; the platform sets it, so do not change it")))
}

/// Whether requests to `url` stay on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(v4)) => v4.is_loopback(),
        Some(url::Host::Ipv6(v6)) => v6.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The flags by which a caller names its token.
#[derive(Debug, clap::Args)]
pub(super) struct TokenArgs {
    /// The file with the token, or `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "token_env")]
    pub(super) token_file: Option<PathBuf>,
    /// The environment variable with the token.
    #[arg(long, value_name = "NAME")]
    pub(super) token_env: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn search(pairs: &[(&str, &str)], projected: &[&str]) -> Result<String, String> {
        let env = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let search = Search { file: None, variable: None, audience: None, env: &env, projected };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(search.run()).map(|found| found.from).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case(&[("CAMBIO_TOKEN", "a.b.c"), ("CIRCLE_OIDC_TOKEN_V2", "d.e.f")], "the variable CAMBIO_TOKEN")]
    #[case(&[("CIRCLE_OIDC_TOKEN_V2", "d.e.f"), ("TFC_WORKLOAD_IDENTITY_TOKEN", "x")], "the variable CIRCLE_OIDC_TOKEN_V2")]
    #[case(&[("BITBUCKET_STEP_OIDC_TOKEN", "d.e.f")], "the variable BITBUCKET_STEP_OIDC_TOKEN")]
    #[case(&[("TFC_WORKLOAD_IDENTITY_TOKEN", "d.e.f")], "the variable TFC_WORKLOAD_IDENTITY_TOKEN")]
    fn the_first_place_in_the_stated_order_counts(#[case] pairs: &[(&str, &str)], #[case] from: &str) {
        assert_eq!(search(pairs, &[]).as_deref(), Ok(from));
    }

    #[test]
    fn a_projected_token_is_the_last_resort_and_a_broken_place_ends_the_search() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("token");
        std::fs::write(&path, "a.b.c\n").unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(search(&[], &["/nowhere", path]).as_deref(), Ok(path));
        let broken = search(&[("CAMBIO_TOKEN", "$CAMBIO_TOKEN")], &[path]).unwrap_err();
        assert!(broken.contains("`CAMBIO_TOKEN`") && broken.contains("id_tokens"), "{broken}");
    }

    #[rstest]
    #[case("GITHUB_ACTIONS", "id-token: write")]
    #[case("GITLAB_CI", "id_tokens")]
    #[case("CIRCLECI", "context")]
    #[case("BITBUCKET_BUILD_NUMBER", "oidc: true")]
    #[case("KUBERNETES_SERVICE_HOST", "not taken by itself")]
    #[case("NOTHING", "--token-file")]
    fn where_nothing_is_found_the_platform_says_what_to_do(#[case] name: &str, #[case] said: &str) {
        let error = search(&[(name, "1")], &[]).unwrap_err();
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn a_platform_is_asked_over_tls_and_for_an_audience() {
        let with = |url| search(&[("ACTIONS_ID_TOKEN_REQUEST_URL", url), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")], &[]);
        assert!(with("http://run.example.com/?a=1").unwrap_err().contains("https"));
        assert!(with("https://run.example.com/?a=1").unwrap_err().contains("--audience"));
    }
}
