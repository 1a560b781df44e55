//! `cambio exchange`: hand over this workload's token, and get a secrets token for one target.
//!
//! Standard output has what was asked for and nothing else; what there is to say goes to standard error.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use super::session::{Ask, Asked, Granted, refused};
use super::token_search::TokenArgs;
use super::{Answer, CliError, private_file, runtime};

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
        let ask = Ask {
            url: &self.url,
            target: &self.target,
            token: &self.token,
            audience: self.audience.as_deref(),
            scope: &self.scope,
            subject_issuer: self.subject_issuer.as_deref(),
            lifetime: self.lifetime.as_deref(),
            ca_file: self.ca_file.as_deref(),
            insecure_http: self.insecure_http,
            retries: self.retries,
            verbose: self.verbose,
        };
        let Asked { found, reply } = ask.run().await?;
        if reply.status != 200 {
            return refused(&reply, &found, &self.target).answer();
        }
        let granted = Granted::read(&reply)?;
        if self.verbose {
            eprintln!("cambio: {granted}");
        }
        self.deliver(&granted)
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
