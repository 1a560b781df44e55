//! What an OpenBao needs so that it takes cambio's tokens, and how that is brought about.
//!
//! Decides the mounts, roles and policies, in which order, and whether what is there is what is needed. Refuses to change
//! what another has made: a mount of another type is said, not replaced. Works with an operator's token, which is used and
//! not kept.
//!
//! ```text
//! Setup -(plan)-> Plan of Steps -(script, to_json)-> text
//!                               -(look)-> Found for each -(apply)-> done
//! ```

mod operator;
mod role;
mod script;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::settings::{AuthNamespace, OpenBaoFault, OpenBaoSettings};
use crate::identity::{Namespace, PolicyName, TargetName};
pub use operator::{Operator, OperatorError};
use role::Admits;
pub use role::LoginToken;
pub use step::{Found, Step};

/// What is wanted of an OpenBao.
#[derive(Clone, Debug)]
pub struct Setup {
    /// cambio's issuer identifier, byte for byte.
    pub issuer: String,
    /// Where cambio's keys are, if OpenBao is not to find them by discovery below the issuer.
    pub jwks_url: Option<String>,
    /// The certificates (PEM) that OpenBao verifies cambio by; else those of its machine.
    pub ca_pem: Option<String>,
    /// The algorithms that cambio signs with, e.g. `ES256`.
    pub algorithms: Vec<String>,
    /// What kind of token a login makes.
    pub token: LoginToken,
    /// Whether namespaces that are missing are made.
    pub create_namespaces: bool,
    /// What is wanted where; none is the root.
    pub namespaces: BTreeMap<Option<Namespace>, NamespaceSetup>,
}

/// What is wanted in one namespace.
#[derive(Clone, Debug, Default)]
pub struct NamespaceSetup {
    /// The targets whose tokens come here.
    pub targets: BTreeSet<TargetName>,
    /// Mounts of the KV engine, with its version.
    pub mounts: BTreeMap<String, u8>,
    /// ACL policies, HCL or JSON.
    pub policies: BTreeMap<PolicyName, String>,
}

/// What is to be done, in order.
#[derive(Clone, Debug)]
pub struct Plan(Vec<Step>);

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupFault {
    /// The settings, or a namespace.
    #[error(transparent)]
    Settings(#[from] OpenBaoFault),
    /// Nothing would use it.
    #[error("no target's tokens come to this OpenBao: give a target a mount of it, or list it under `secrets.direct`")]
    NoTarget,
    /// Policies would be where their paths mean something else.
    #[error(
        "with `auth_namespace: root` the policies are in another namespace than the secrets, and their paths are written \
         differently: write them there yourself, each as `<namespace>:<policy>`"
    )]
    PoliciesElsewhere,
    /// OpenBao lower-cases the names of policies.
    #[error(
        "with `auth_namespace: root` a namespace is part of the names of policies, which OpenBao lower-cases: `{0}` can't be one"
    )]
    UpperCase(Namespace),
    /// A token that names no namespace has no prefix that sets its policies apart.
    #[error("with `auth_namespace: root` every target has a namespace; `{0}` has none")]
    NoNamespace(TargetName),
}

impl Setup {
    /// What is to be done at the OpenBao of `settings`.
    ///
    /// # Errors
    /// [`SetupFault`].
    pub fn plan(&self, settings: &OpenBaoSettings) -> Result<Plan, SetupFault> {
        settings.check()?;
        if self.namespaces.values().all(|wanted| wanted.targets.is_empty()) {
            return Err(SetupFault::NoTarget);
        }
        let mut steps = vec![];
        if self.create_namespaces {
            self.make_namespaces(settings, &mut steps)?;
        }
        // What a login opens comes before the login.
        for (namespace, wanted) in &self.namespaces {
            let whole = settings.whole(namespace.as_ref())?;
            steps.extend(wanted.mounts.iter().map(|(path, version)| Step::secrets_mount(&whole, path, *version)));
            steps.extend(wanted.policies.iter().map(|(name, text)| Step::policy(&whole, name.as_str(), text)));
        }
        match settings.auth_namespace {
            AuthNamespace::Same => self.logins_in_each(settings, &mut steps)?,
            AuthNamespace::Root => self.logins_in_one(settings, &mut steps)?,
        }
        Ok(Plan(steps))
    }

    fn make_namespaces(&self, settings: &OpenBaoSettings, steps: &mut Vec<Step>) -> Result<(), SetupFault> {
        let mut made = BTreeSet::new();
        for namespace in self.namespaces.keys() {
            let whole = settings.whole(namespace.as_ref())?;
            let mut parent = String::new();
            for name in whole.split('/').filter(|name| !name.is_empty()) {
                let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
                if made.insert(path.clone()) {
                    steps.push(Step::namespace(&parent, name));
                }
                parent = path;
            }
        }
        Ok(())
    }

    fn logins_in_each(&self, settings: &OpenBaoSettings, steps: &mut Vec<Step>) -> Result<(), SetupFault> {
        for (namespace, wanted) in self.namespaces.iter().filter(|(_, wanted)| !wanted.targets.is_empty()) {
            let whole = settings.whole(namespace.as_ref())?;
            let role = role::document(&Admits::One(namespace.as_ref()), &wanted.targets, self.token);
            steps.extend(self.login(settings, &whole, role));
        }
        Ok(())
    }

    fn logins_in_one(&self, settings: &OpenBaoSettings, steps: &mut Vec<Step>) -> Result<(), SetupFault> {
        let mut namespaces = BTreeSet::new();
        let mut targets = BTreeSet::new();
        for (namespace, wanted) in &self.namespaces {
            if !wanted.policies.is_empty() {
                return Err(SetupFault::PoliciesElsewhere);
            }
            match (namespace, wanted.targets.first()) {
                (_, None) => continue,
                (None, Some(target)) => return Err(SetupFault::NoNamespace(target.clone())),
                (Some(namespace), _) if namespace.as_str().bytes().any(|b| b.is_ascii_uppercase()) => {
                    return Err(SetupFault::UpperCase(namespace.clone()));
                }
                (Some(namespace), _) => namespaces.insert(namespace),
            };
            targets.extend(wanted.targets.iter().cloned());
        }
        let role = role::document(&Admits::Several(namespaces), &targets, self.token);
        steps.extend(self.login(settings, &settings.whole(None)?, role));
        Ok(())
    }

    fn login(&self, settings: &OpenBaoSettings, namespace: &str, role: Value) -> [Step; 3] {
        let (mount, name) = (settings.auth_mount.as_str(), settings.role.as_str());
        [
            Step::auth_mount(namespace, mount),
            Step::document(namespace, &format!("auth/{mount}/config"), "whom the mount trusts", self.config(name)),
            Step::document(namespace, &format!("auth/{mount}/cel/role/{name}"), "what a login gets", role),
        ]
    }

    /// The mount's configuration. All sources of keys are said, the unused ones as empty: one that is there already would
    /// be trusted as well.
    fn config(&self, role: &str) -> Value {
        let discovery = if self.jwks_url.is_none() { self.issuer.as_str() } else { "" };
        let jwks = self.jwks_url.as_deref().unwrap_or("");
        let ca = self.ca_pem.as_deref().unwrap_or("").trim();
        json!({
            "oidc_discovery_url": discovery,
            "oidc_discovery_ca_pem": if discovery.is_empty() { "" } else { ca },
            "jwks_url": jwks,
            "jwks_ca_pem": if jwks.is_empty() { "" } else { ca },
            "jwt_validation_pubkeys": [],
            "bound_issuer": self.issuer,
            "jwt_supported_algs": self.algorithms,
            "default_role": role,
        })
    }
}

impl Plan {
    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The calls of OpenBao's API, in order.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.0.iter().map(Step::to_json).collect()
    }

    /// A shell script of `bao` commands that does the same; `address` is where OpenBao is.
    #[must_use]
    pub fn script(&self, address: &str) -> String {
        script::of(&self.0, address)
    }
}

#[cfg(test)]
mod tests;
