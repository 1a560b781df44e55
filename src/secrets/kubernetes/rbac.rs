//! The least that the store needs in the cluster, as manifests: `get` on Secrets by their names, and nothing else. Refuses
//! to render what would be more: a rule without names lets in everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::names::{NotASecretName, SecretName, is_label, is_subdomain};
use super::settings::KubernetesSettings;

/// A service account that Roles are bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    namespace: Box<str>,
    name: Box<str>,
}

/// Which Secrets of a store no Role can name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Secrets of the Kubernetes store `{0}` are known by their labels only, and a Role has to name them")]
pub struct UnrenderedRoles(pub String);

impl ServiceAccount {
    /// Checks both names.
    ///
    /// # Errors
    /// [`NotASecretName`]: the same rules hold.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NotASecretName> {
        if !is_label(namespace) || !is_subdomain(name) {
            return Err(NotASecretName);
        }
        Ok(Self { namespace: Box::from(namespace), name: Box::from(name) })
    }
}

/// The manifests that let `account` ask whether tokens still stand (`TokenReview`). The least there is: no name can narrow it.
#[must_use]
pub fn render_token_review(account: &ServiceAccount) -> String {
    let ServiceAccount { namespace, name } = account;
    format!(
        "# In the cluster of each issuer with `token_review: true`, for the service account whose token is its `token_file`.
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: cambio-token-review
rules:
  - apiGroups: [authentication.k8s.io]
    resources: [tokenreviews]
    verbs: [create]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: cambio-token-review
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: cambio-token-review
subjects:
  - kind: ServiceAccount
    name: \"{name}\"
    namespace: \"{namespace}\"
"
    )
}

/// The manifests: in each Kubernetes namespace a Role that names the Secrets of the configuration and of `more`, and its
/// binding to `account`.
///
/// # Errors
/// [`UnrenderedRoles`] where that names none.
pub fn render_roles(
    settings: &KubernetesSettings,
    more: &[SecretName],
    account: &ServiceAccount,
) -> Result<String, UnrenderedRoles> {
    let mut namespaces: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for secret in settings.secrets.iter().map(|assigned| &assigned.secret).chain(more) {
        namespaces.entry(secret.namespace()).or_default().insert(secret.name());
    }
    if namespaces.is_empty() {
        return Err(UnrenderedRoles(settings.name.clone()));
    }
    let mut text = String::new();
    if settings.labels.is_some() {
        let _ = writeln!(text, "# Secrets that only their labels assign are here where `--secret` named them.");
    }
    for (namespace, names) in namespaces {
        // Quoted: `1e3`, `null` and `yes` are names as well.
        let names: Vec<String> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
        let _ = write!(
            text,
            "---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: cambio-{store}
  namespace: \"{namespace}\"
rules:
  - apiGroups: [\"\"]
    resources: [secrets]
    resourceNames: [{names}]
    verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: cambio-{store}
  namespace: \"{namespace}\"
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: cambio-{store}
subjects:
  - kind: ServiceAccount
    name: \"{name}\"
    namespace: \"{home}\"
",
            store = settings.name,
            names = names.join(", "),
            name = account.name,
            home = account.namespace,
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(yaml: &str) -> KubernetesSettings {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn account() -> ServiceAccount {
        ServiceAccount::new("cambio-system", "cambio").unwrap()
    }

    #[test]
    fn a_role_names_each_secret_once_and_only_gets() {
        let settings = settings(
            "{name: main, labels: {}, secrets: [
            {secret: team-a/db, keys: [a], tenants: [x]}, {secret: team-a/db, keys: [b], tenants: [y]},
            {secret: team-a/hmac, tenants: [x]}, {secret: 'team-b/1e3', tenants: [y]}]}",
        );
        let more = [SecretName::new("team-b", "null").unwrap()];
        let text = render_roles(&settings, &more, &account()).unwrap();
        assert_eq!(text.matches("kind: Role\nmetadata").count(), 2);
        assert_eq!(text.matches("kind: RoleBinding").count(), 2);
        assert!(text.contains(r#"resourceNames: ["db", "hmac"]"#), "{text}");
        assert!(text.contains(r#"resourceNames: ["1e3", "null"]"#), "{text}");
        assert_eq!(text.matches("verbs: [get]").count(), text.matches("verbs").count());
        assert!(!text.contains('*') && !text.contains("ClusterRole"));
    }

    #[test]
    fn a_role_without_names_is_never_rendered() {
        let settings = settings("{name: main, labels: {}}");
        assert_eq!(render_roles(&settings, &[], &account()), Err(UnrenderedRoles("main".to_owned())));
        let named = [SecretName::new("team-a", "db").unwrap()];
        assert!(render_roles(&settings, &named, &account()).unwrap().contains(r#"resourceNames: ["db"]"#));
    }

    #[test]
    fn a_review_is_all_that_a_cluster_role_grants() {
        let text = render_token_review(&account());
        assert!(text.contains("resources: [tokenreviews]\n    verbs: [create]\n---"), "{text}");
        assert!(text.ends_with("name: \"cambio\"\n    namespace: \"cambio-system\"\n"), "{text}");
    }

    #[test]
    fn a_service_account_has_names_of_kubernetes() {
        for (namespace, name) in [("Cambio", "cambio"), ("cambio", ""), ("cambio", "a\"b"), ("a.b", "c")] {
            assert!(ServiceAccount::new(namespace, name).is_err());
        }
    }
}
