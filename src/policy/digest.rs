//! What makes a rule the same rule, and a set the same set.
//!
//! Decides what counts: all that can change a grant does; messages, descriptions, cases, comments and layout do not. A
//! token names the digest of the rule that it came from, so that changing the rule revokes it.

use super::document::{Document, PolicyItem, RuleDocument};
use super::role::RoleDocument;
use crate::identity::IssuerName;
use crate::jose::{Sha256, sha256};

/// The digest of a rule, with its target and namespace.
pub(super) fn of_rule(document: &Document, rule: &RuleDocument) -> Sha256 {
    let mut fields = Fields::new("cambio rule 1");
    fields.text(document.target.value.as_str());
    fields.text(document.namespace.as_ref().map_or("", |namespace| namespace.value.as_str()));
    fields.text(&rule.name.value);
    let mut issuers: Vec<&str> = rule.issuer.value.0.iter().map(|issuer| issuer.as_str()).collect();
    issuers.sort_unstable();
    fields.texts(issuers.into_iter());
    fields.texts(rule.lets.0.iter().flat_map(|(name, source)| [name.value.as_str(), source.value.as_str()]));
    fields.texts(rule.require.iter().map(|condition| condition.that.value.as_str()));
    let grant = &rule.grant;
    fields.texts(grant.policies.iter().flat_map(|item| match &item.value {
        PolicyItem::Always(policy) => ["", policy.as_str()],
        PolicyItem::When { when, policy } => [when.value.as_str(), policy.value.as_str()],
        // No expression that is written can have such a name.
        PolicyItem::Account { policy, .. } => ["", policy.as_str()],
    }));
    fields.number(grant.ttl.as_ref().map_or(0, |ttl| ttl.value.0.as_secs()));
    fields.number(u64::from(grant.outlive_subject) | u64::from(grant.revocable) << 1);
    fields.texts(grant.scopes.iter().map(|word| word.value.as_str()));
    fields.texts(grant.metadata.0.iter().flat_map(|(name, source)| [name.value.as_str(), source.value.as_str()]));
    fields.digest()
}

/// The digest of a role's program, with its path and the issuers whose tokens it takes.
pub(super) fn of_role(path: &str, role: &RoleDocument, issuers: &[IssuerName]) -> Sha256 {
    let mut fields = Fields::new("cambio role 2");
    fields.text(path);
    fields.texts(issuers.iter().map(IssuerName::as_str));
    fields.texts(role.variables.iter().flat_map(|(name, source)| [name.value.as_str(), source.value.as_str()]));
    fields.text(&role.expression.value);
    fields.texts(role.bound_audiences.iter().map(String::as_str));
    fields.digest()
}

/// The digest of a set of files: their names and contents, in order.
pub(super) struct SetDigest(Fields);

impl Default for SetDigest {
    fn default() -> Self {
        Self(Fields::new("cambio policies 1"))
    }
}

impl SetDigest {
    /// Adds the next file.
    pub(super) fn add(&mut self, file: &str, content: Sha256) {
        self.0.text(file);
        self.0.0.extend_from_slice(content.bytes());
    }

    /// The digest of all.
    pub(super) fn finish(&self) -> Sha256 {
        self.0.digest()
    }
}

/// Fields, each after its length, so that no two lists of fields read the same.
struct Fields(Vec<u8>);

impl Fields {
    fn new(kind: &str) -> Self {
        let mut fields = Self(Vec::with_capacity(512));
        fields.text(kind);
        fields
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        let texts: Vec<&str> = texts.collect();
        self.number(texts.len() as u64);
        texts.into_iter().for_each(|text| self.text(text));
    }

    fn digest(&self) -> Sha256 {
        sha256(&self.0)
    }
}
