//! `cambio kubernetes`: what the `kubernetes` store needs in the cluster.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Answer, CliError, print};
use crate::config::Config;
use crate::secrets::kubernetes::{KubernetesSettings, SecretName, ServiceAccount, render_roles, render_token_review};

/// Prepare a cluster for the `kubernetes` store.
#[derive(Debug, Args)]
pub(super) struct Kubernetes {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Rbac(Rbac),
}

/// Print the Roles that let cambio read its Secrets, ask about tokens where an issuer does, and nothing else. Changes nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Each Role has the verb `get` and the names of the Secrets that `secrets.kubernetes` lists. Secrets that only
their labels assign are in no list: name each with `--secret`. Where an issuer has `token_review`, a ClusterRole that may create
`tokenreviews` comes with them, unless one store is chosen.

Examples:
  cambio kubernetes rbac --config cambio.yaml | kubectl apply -f -
  cambio kubernetes rbac --service-account reader --namespace platform
  cambio kubernetes rbac --store main --secret team-a/db"
)]
struct Rbac {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "cambio.yaml")]
    config: PathBuf,
    /// The service account that cambio runs as.
    #[arg(long, value_name = "NAME", default_value = "cambio")]
    service_account: String,
    /// The Kubernetes namespace of that service account.
    #[arg(long, short, value_name = "NAMESPACE", default_value = "cambio")]
    namespace: String,
    /// One of `secrets.kubernetes`; without it, all.
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// One more Secret, `namespace/name`; more than once for more.
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
}

impl Kubernetes {
    pub(super) fn run(self) -> Answer {
        match self.command {
            Command::Rbac(rbac) => rbac.run(),
        }
    }
}

impl Rbac {
    fn run(self) -> Answer {
        let config = Config::load(&self.config).map_err(CliError::new)?;
        print(&self.render(&config.secrets.kubernetes, config.issuers.are_reviewed())?)?;
        Ok(ExitCode::SUCCESS)
    }

    /// `reviews`: whether an issuer asks its cluster about tokens.
    fn render(&self, stores: &[KubernetesSettings], reviews: bool) -> Result<String, CliError> {
        let account = ServiceAccount::new(&self.namespace, &self.service_account).map_err(|_| {
            CliError::new(
                "`--service-account` and `--namespace` are names in Kubernetes: lower-case letters, digits and `-`",
            )
        })?;
        let more: Vec<SecretName> = self
            .secret
            .iter()
            .map(|text| SecretName::parse(text).map_err(|fault| CliError::new(format!("`--secret`: {fault}"))))
            .collect::<Result<_, _>>()?;
        let chosen: Vec<&KubernetesSettings> =
            stores.iter().filter(|store| self.store.as_ref().is_none_or(|name| *name == store.name)).collect();
        let reviews = reviews && self.store.is_none();
        if let (Some(name), []) = (&self.store, chosen.as_slice()) {
            return Err(CliError::new(format!("there is no `{name}` in `secrets.kubernetes`")));
        }
        if chosen.is_empty() && !reviews {
            return Err(CliError::new(
                "the configuration has no `secrets.kubernetes`, and no issuer with `token_review`",
            ));
        }
        if !more.is_empty() && chosen.len() != 1 {
            // Or its Role would be there for each store.
            return Err(CliError::new("`--secret` is for one store; say which with `--store`"));
        }
        // All or nothing: a part of it, piped into `kubectl apply`, would look like all.
        let rendered = chosen.into_iter().map(|store| {
            let unrendered = |fault| {
                CliError::new(format!("{fault}; name each with `--store {} --secret namespace/name`", store.name))
            };
            render_roles(store, &more, &account).map_err(unrendered)
        });
        let mut text: String = rendered.collect::<Result<_, _>>()?;
        if reviews {
            text.push_str(&render_token_review(&account));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn render(arguments: &[&str], stores: &str) -> Result<String, String> {
        render_with(arguments, stores, false)
    }

    fn render_with(arguments: &[&str], stores: &str, reviews: bool) -> Result<String, String> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            kubernetes: Kubernetes,
        }
        let line = ["cambio", "rbac"].iter().chain(arguments);
        let Command::Rbac(rbac) =
            <Line as clap::Parser>::try_parse_from(line).map_err(|e| e.to_string())?.kubernetes.command;
        let stores: Vec<KubernetesSettings> = serde_saphyr::from_str(stores).unwrap();
        rbac.render(&stores, reviews).map_err(|error| error.to_string())
    }

    const LISTED: &str = "[{name: main, secrets: [{secret: team-a/db, tenants: [a]}]}]";
    const BOTH: &str = "[{name: main, secrets: [{secret: team-a/db, tenants: [a]}]}, {name: other, labels: {}}]";

    #[rstest]
    #[case(&[], LISTED, &["name: cambio-main", "name: \"cambio\"\n    namespace: \"cambio\""])]
    #[case(&["--service-account", "reader", "--namespace", "platform"], LISTED, &["\"reader\"\n    namespace: \"platform\""])]
    #[case(&["--store", "other", "--secret", "team-b/key"], BOTH, &["name: cambio-other", "[\"key\"]"])]
    fn roles_are_rendered(#[case] arguments: &[&str], #[case] stores: &str, #[case] parts: &[&str]) {
        let text = render(arguments, stores).unwrap();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }

    #[rstest]
    #[case(&[], LISTED, true)]
    #[case(&[], "[]", true)]
    #[case(&["--store", "main"], LISTED, false)]
    fn a_cluster_role_is_there_for_reviews_only(#[case] arguments: &[&str], #[case] stores: &str, #[case] there: bool) {
        assert_eq!(render_with(arguments, stores, true).unwrap().contains("kind: ClusterRole\n"), there);
        assert!(!render(arguments, stores).is_ok_and(|text| text.contains("ClusterRole")));
    }

    #[rstest]
    #[case(&[], "[]", "no `secrets.kubernetes`")]
    #[case(&["--store", "x"], LISTED, "no `x`")]
    #[case(&[], BOTH, "store `other` are known by their labels only")]
    #[case(&["--secret", "team-a/db"], BOTH, "say which with `--store`")]
    #[case(&["--secret", "db"], LISTED, "`namespace/name`")]
    #[case(&["--namespace", "A"], LISTED, "names in Kubernetes")]
    fn what_cannot_be_rendered_is_said(#[case] arguments: &[&str], #[case] stores: &str, #[case] why: &str) {
        let fault = render(arguments, stores).unwrap_err();
        assert!(fault.contains(why), "{fault}");
    }
}
