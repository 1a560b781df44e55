//! What was decided: a permit, or a denial with its reason.
//!
//! Decides who may hold a permit: whoever called [`PolicySet::decide`](super::PolicySet::decide), because nothing else
//! constructs one. Refuses to know how a reason is told to the caller: reasons are for the operator.

mod reason;

use std::sync::Arc;
use std::time::Duration;

use super::role::RoleGrant;
pub use reason::Reason;

use super::trace::Trace;
use crate::identity::{AccountName, Namespace, PolicyName, TargetName};
use crate::jose::Sha256;
use crate::verify::VerifiedToken;

/// What a rule grants, once its conditions held.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    pub(super) rule: Arc<str>,
    pub(super) rule_digest: Sha256,
    pub(super) policies: Vec<PolicyName>,
    pub(super) ttl: Option<Duration>,
    pub(super) outlive_subject: bool,
    pub(super) revocable: bool,
    pub(super) scopes: Arc<[Arc<str>]>,
    pub(super) metadata: Vec<(Arc<str>, String)>,
    /// What a role grants besides.
    pub(super) role: Option<Box<RoleGrant>>,
}

impl Grant {
    /// What a service account has by its own token: no rule was asked.
    pub(crate) fn of_account(account: &AccountName, standing: Sha256, policies: Vec<PolicyName>) -> Self {
        Self {
            rule: Arc::from(format!("service-account/{account}")),
            rule_digest: standing,
            policies,
            ttl: None,
            outlive_subject: false,
            revocable: false,
            scopes: Arc::default(),
            metadata: vec![],
            role: None,
        }
    }

    /// The service account that it lets its bearer act as.
    #[must_use]
    pub fn service_account(&self) -> Option<AccountName> {
        self.policies.iter().find_map(PolicyName::account)
    }

    /// The rule that granted it.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The digest of that rule's content, its target and its namespace.
    #[must_use]
    pub fn rule_digest(&self) -> Sha256 {
        self.rule_digest
    }

    /// One to 64 policies, each once, in the order in which the rule names them.
    #[must_use]
    pub fn policies(&self) -> &[PolicyName] {
        &self.policies
    }

    /// The longest that the token may live, 60 s to 24 h, where the rule says so.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// Whether the token may outlive the subject token.
    #[must_use]
    pub fn outlive_subject(&self) -> bool {
        self.outlive_subject
    }

    /// Whether a Vault login calls the token a `service` token, which clients revoke when they are done. Any token can be
    /// revoked; a `batch` token is one that nobody needs to.
    #[must_use]
    pub fn revocable(&self) -> bool {
        self.revocable
    }

    /// The scope words (RFC 6749 section 3.3) that the rule grants.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(AsRef::as_ref)
    }

    /// What an OpenBao role grants besides, for the envelope of its login.
    #[must_use]
    pub fn role_grant(&self) -> Option<&RoleGrant> {
        self.role.as_deref()
    }

    /// Names and values for the audit record and the token. The values come from claims.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.metadata.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }
}

/// The proof that a target's rules granted something to a verified token.
///
/// Neither `Clone` nor `Deserialize`, with private fields: holding it means that the rules ran, once, on this token.
///
/// ```compile_fail
/// fn twice(permit: cambio::policy::Permit) -> (cambio::policy::Permit, cambio::policy::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
///
/// ```compile_fail
/// fn forge(text: &str) -> cambio::policy::Permit {
///     serde_json::from_str(text).unwrap()
/// }
/// ```
///
/// ```compile_fail
/// fn forge(token: cambio::verify::VerifiedToken) -> cambio::policy::Permit {
///     cambio::policy::Permit { token, grant: todo!(), target: todo!(), namespace: None, trace: Default::default() }
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit that nobody admits mints nothing"]
pub struct Permit {
    pub(super) token: VerifiedToken,
    pub(super) target: TargetName,
    pub(super) namespace: Option<Namespace>,
    pub(super) grant: Grant,
    pub(super) trace: Trace,
}

impl Permit {
    /// The token that it was granted to.
    #[must_use]
    pub fn token(&self) -> &VerifiedToken {
        &self.token
    }

    /// The target that was asked for.
    #[must_use]
    pub fn target(&self) -> &TargetName {
        &self.target
    }

    /// Where the target's secrets live.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// What was granted.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The rule that granted it.
    #[must_use]
    pub fn rule(&self) -> &str {
        self.grant.rule()
    }

    /// The digest of that rule's content, its target and its namespace.
    #[must_use]
    pub fn rule_digest(&self) -> Sha256 {
        self.grant.rule_digest
    }

    /// One to 64 policies, each once.
    #[must_use]
    pub fn policies(&self) -> &[PolicyName] {
        &self.grant.policies
    }

    /// The longest that the token may live, where the rule says so.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.grant.ttl
    }

    /// Whether the token may outlive the subject token.
    #[must_use]
    pub fn outlive_subject(&self) -> bool {
        self.grant.outlive_subject
    }

    /// The scope words that the rule grants.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.grant.scopes()
    }

    /// Names and values for the audit record and the token.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.grant.metadata()
    }

    /// Where the token leads and what was granted: the proof is used up.
    pub(crate) fn into_grant(self) -> (TargetName, Option<Namespace>, Grant) {
        (self.target, self.namespace, self.grant)
    }

    /// Which rules were tried.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }
}

/// A decision against a request. Not an error: the rules ran, or could not be run safely, and the answer is no.
#[derive(Debug, PartialEq, Eq)]
pub struct Denial {
    inner: Box<(Reason, Trace)>,
}

impl Denial {
    pub(super) fn new(reason: Reason, trace: Trace) -> Self {
        Self { inner: Box::new((reason, trace)) }
    }

    /// Why, for the operator. Never holds a claim's value.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.inner.0
    }

    /// Why, as a stable word for metrics and for searching the audit trail.
    #[must_use]
    pub fn reason_code(&self) -> &'static str {
        self.inner.0.code()
    }

    /// Which rules were tried.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.inner.1
    }
}
