//! An issuer as the operator writes it under `issuers:`. Decides the shape; what the shape means, [`super::Issuer`] decides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::clock::Span;
use crate::identity::IssuerName;
use crate::jose::Algorithm;

use super::claim::Claim;
use super::claim_path::ClaimPath;
use super::media_type::MediaTypes;
use super::platform_file::ReplayRule;

/// The most leeway that an issuer may be given. Single use is remembered for as long, whatever is configured.
pub const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// Claims by name.
pub(super) type Claims = BTreeMap<Box<str>, Claim>;

/// One entry of `issuers:`.
///
/// ```yaml
/// - name: prod-eu-1
///   platform: kubernetes
///   issuer: https://kubernetes.default.svc.cluster.local
///   audiences: [https://cambio.example.com]
///   keys:
///     cluster:
///       server: https://10.0.0.1:6443
///       ca_file: /etc/cambio/prod-eu-1/ca.crt
///       token_file: /etc/cambio/prod-eu-1/token
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// The operator's name of it.
    pub name: IssuerName,
    /// The name of its platform.
    pub platform: String,
    /// The exact `iss`, or `spiffe://<trust domain>`. May be left out where the platform has one public issuer.
    pub issuer: Option<String>,
    /// The audiences that tokens for cambio have; at least one.
    pub audiences: Vec<String>,
    /// Whether a token may have further audiences.
    #[serde(default)]
    pub audience_rule: AudienceRule,
    /// Where its keys come from.
    pub keys: Option<KeysSettings>,
    /// A file with the only certificates (PEM) that its servers are verified by; else those of the machine.
    pub ca_file: Option<PathBuf>,
    /// Whether its servers may have private addresses. Implied for addresses that are written here as numbers.
    #[serde(default)]
    pub private_addresses: bool,
    /// Whether its servers may speak plain HTTP. For tests: whoever sits in between chooses the keys.
    #[serde(default)]
    pub insecure_http: bool,
    /// Whether the issuer may look unlike those of its platform.
    #[serde(default)]
    pub unusual_issuer: bool,
    /// Whether an audience of `audiences` may be one of the platform's own.
    #[serde(default)]
    pub accept_platform_audience: bool,
    /// Instead of the platform's algorithms.
    pub algorithms: Option<Vec<Algorithm>>,
    /// Instead of the platform's values of the header's `typ`; `absent` stands for a header without it.
    pub types: Option<MediaTypes>,
    /// By how much its clock may differ. At most 5 minutes.
    #[serde(default = "default_leeway")]
    pub leeway: Span,
    /// Instead of the platform's replay rule.
    pub replay: Option<ReplayRule>,
    /// The longest `exp - iat` that is accepted, instead of the platform's.
    pub max_token_lifetime: Option<Span>,
    /// The longest lifetime of what is issued for its tokens.
    pub max_issued_ttl: Option<Span>,
    /// Claims without which a token is refused, beside the platform's.
    #[serde(default)]
    pub required_claims: Vec<ClaimPath>,
    /// Claims of its tokens beside those that the platform's file describes, or instead of them; in the same words.
    #[serde(default)]
    pub claims: BTreeMap<Box<str>, Claim>,
    /// Whether the cluster is asked about every token, so that a deleted pod loses access within ten seconds; for `keys: {cluster: ..}`.
    #[serde(default)]
    pub token_review: bool,
    /// When keys are fetched.
    #[serde(default)]
    pub jwks: JwksSettings,
}

impl IssuerSettings {
    /// The same, with relative paths taken as relative to `base`.
    #[must_use]
    pub fn below(mut self, base: &Path) -> Self {
        let below = |path: &mut PathBuf| *path = base.join(&*path);
        self.ca_file.iter_mut().for_each(below);
        match &mut self.keys {
            Some(KeysSettings::File(file)) => below(file),
            Some(KeysSettings::Cluster(cluster)) => {
                [&mut cluster.ca_file, &mut cluster.token_file].into_iter().for_each(below)
            }
            _ => {}
        }
        self
    }
}

fn default_leeway() -> Span {
    Span::from_secs(60)
}

/// How many audiences a token may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudienceRule {
    /// Exactly one, and it is one of ours: a token for several can be replayed by each of the others.
    #[default]
    Single,
    /// Any number, one of which is ours.
    Any,
}

/// Where keys come from.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeysSettings {
    /// `keys: discovery`: from the discovery document under the issuer.
    #[default]
    Discovery,
    /// From the discovery document at this URL. Its `issuer` still is the issuer.
    DiscoveryUrl(String),
    /// From the key set at this URL.
    JwksUrl(String),
    /// From the key set in this file, read again when it changes.
    File(PathBuf),
    /// From here: `{keys: [...]}`, or the same as JSON text.
    Inline(Value),
    /// From the cluster's API server.
    Cluster(ClusterSettings),
}

/// A cluster that serves its keys to authenticated callers only. The defaults are those inside of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSettings {
    /// The API server.
    #[serde(default = "default_server")]
    pub server: String,
    /// The only certificates (PEM) that the server is verified by.
    #[serde(default = "default_ca_file")]
    pub ca_file: PathBuf,
    /// The bearer token, read for each fetch, sent to `server` only.
    #[serde(default = "default_token_file")]
    pub token_file: PathBuf,
}

fn default_server() -> String {
    "https://kubernetes.default.svc".to_owned()
}

fn default_ca_file() -> PathBuf {
    PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
}

fn default_token_file() -> PathBuf {
    PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount/token")
}

/// When keys are fetched, and for how long they serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JwksSettings {
    /// An unknown `kid` causes no fetch sooner than this after the last attempt. 1 s to 1 h.
    pub cooldown: Span,
    /// A bad signature under a known `kid` causes no second fetch within this. 1 s to 24 h.
    pub bad_signature_cooldown: Span,
    /// Keys are fresh for at least this, whatever `max-age` says. 1 s or more.
    pub fresh_min: Span,
    /// Keys are fresh for at most this, whatever `max-age` says. At most 24 h.
    pub fresh_max: Span,
    /// Keys serve for this after the last good fetch. At least `fresh_max`, at most 7 days.
    pub stale_for: Span,
    /// How long one fetch may take in all. 100 ms to 30 s.
    pub timeout: Span,
}

impl Default for JwksSettings {
    fn default() -> Self {
        Self {
            cooldown: Span::from_secs(30),
            bad_signature_cooldown: Span::from_secs(300),
            fresh_min: Span::from_secs(60),
            fresh_max: Span::from_secs(3600),
            stale_for: Span::from_secs(24 * 3600),
            timeout: Span::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const PROD: &str = "name: prod\nplatform: kubernetes\naudiences: [a]\n";

    #[rstest]
    #[case("", None)]
    #[case("keys: discovery", Some(KeysSettings::Discovery))]
    #[case("keys: {jwks_url: https://a/jwks}", Some(KeysSettings::JwksUrl("https://a/jwks".into())))]
    #[case("keys: {discovery_url: https://a/d}", Some(KeysSettings::DiscoveryUrl("https://a/d".into())))]
    #[case("keys: {file: /etc/jwks.json}", Some(KeysSettings::File("/etc/jwks.json".into())))]
    #[case("keys: {inline: {keys: []}}", Some(KeysSettings::Inline(serde_json::json!({"keys": []}))))]
    #[case("keys:\n  cluster: {}", Some(KeysSettings::Cluster(ClusterSettings {
        server: default_server(), ca_file: default_ca_file(), token_file: default_token_file() })))]
    fn each_source_of_keys_can_be_written(#[case] yaml: &str, #[case] keys: Option<KeysSettings>) {
        let settings: IssuerSettings = serde_saphyr::from_str(&format!("{PROD}{yaml}")).unwrap();
        assert_eq!(settings.keys, keys);
        assert_eq!(settings.leeway, Span::from_secs(60));
        assert_eq!(settings.audience_rule, AudienceRule::Single);
    }

    #[rstest]
    #[case("audience: a")]
    #[case("keys: {url: https://a}")]
    #[case("keys: {cluster: {insecure_skip_verify: true}}")]
    #[case("jwks: {ttl: 5m}")]
    #[case("algorithms: [HS256]")]
    #[case("algorithms: [none]")]
    #[case("audience_rule: none")]
    #[case("leeway: -5s")]
    fn what_does_not_exist_is_refused(#[case] yaml: &str) {
        assert!(serde_saphyr::from_str::<IssuerSettings>(&format!("{PROD}{yaml}")).is_err());
    }

    #[test]
    fn audiences_can_not_be_left_out() {
        assert!(serde_saphyr::from_str::<IssuerSettings>("name: prod\nplatform: kubernetes\n").is_err());
    }
}
