//! What the settings of an issuer must keep. Every fault is found in one go, each with what to do about it.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use crate::clock::Span;
use crate::identity::{IssuerName, IssuerUrl};
use crate::jose::{KeyRules, KeySet};

use super::address::is_written_as_private;
use super::fetch::Fetcher;
use super::issuer::IssuerFault;
use super::keys::KeyCache;
use super::local_file::Bearer;
use super::platform::Platform;
use super::platform_file::{DefaultKeys, IdentifyBy};
use super::platforms::Platforms;
use super::settings::{IssuerSettings, KeysSettings, MAX_LEEWAY};
use super::source::{KeySource, Web};
use super::token_review::TokenReview;

/// The checks of one issuer's settings, and the faults that they have found.
pub(super) struct Checks<'a> {
    pub(super) settings: &'a IssuerSettings,
    faults: Vec<String>,
}

impl<'a> Checks<'a> {
    pub(super) const fn new(settings: &'a IssuerSettings) -> Self {
        Self { settings, faults: Vec::new() }
    }

    pub(super) fn into_faults(self) -> Vec<IssuerFault> {
        let name: &IssuerName = &self.settings.name;
        self.faults.into_iter().map(|fault| IssuerFault::new(name.clone(), fault)).collect()
    }

    pub(super) fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    pub(super) fn platform(&mut self, platforms: &Platforms) -> Option<Arc<Platform>> {
        let found = platforms.find(&self.settings.platform).cloned();
        if found.is_none() {
            let known = platforms.iter().map(|platform| platform.name()).collect::<Vec<_>>().join(", ");
            self.fault(format!("there is no platform `{}`; there are {known}", self.settings.platform));
        }
        found
    }

    /// The issuer's identifier, as written or as the platform's only one.
    pub(super) fn url(&mut self, platform: &Platform) -> Option<IssuerUrl> {
        let Some(text) = self.settings.issuer.as_deref().or(platform.default_issuer()) else {
            let example = platform.example_issuers().next().unwrap_or_default();
            self.fault(format!("`issuer` is missing; it is the exact `iss` of the tokens, e.g. `{example}`"));
            return None;
        };
        let url = match IssuerUrl::new(text) {
            Ok(url) => url,
            Err(error) => {
                self.fault(format!("`issuer`: {error}"));
                return None;
            }
        };
        let is_spiffe = text.starts_with("spiffe://");
        let is_plain = text.starts_with("http://");
        if is_spiffe != (platform.identify_by() == IdentifyBy::SpiffeTrustDomain) {
            self.fault("`issuer`: `spiffe://<trust domain>` and the platform `spiffe` belong together");
        } else if is_plain && !self.settings.insecure_http {
            self.fault("`issuer` is not https; `insecure_http: true` allows it, for tests");
        } else if !is_plain && !self.settings.unusual_issuer && !platform.recognises(text) {
            let (name, pattern) = (platform.name(), platform.issuer_pattern());
            self.fault(format!(
                "`{text}` does not look like an issuer of the platform `{name}` (`{pattern}`); compare it with the `iss` of a \
                 token, byte by byte, or set `unusual_issuer: true`"
            ));
        }
        Some(url)
    }

    pub(super) fn audiences(&mut self, platform: Option<&Platform>, url: Option<&IssuerUrl>) {
        let audiences = &self.settings.audiences;
        if audiences.is_empty() {
            self.fault("`audiences` is empty; without an audience, tokens for anybody else would be good here");
        }
        for (place, audience) in audiences.iter().enumerate() {
            if audience.is_empty() || audience.len() > 1024 || audience.chars().any(char::is_control) {
                self.fault("an audience has 1 to 1024 bytes and no control characters");
            }
            if audiences.iter().take(place).any(|earlier| earlier == audience) {
                self.fault(format!("the audience `{audience}` occurs twice"));
            }
            let (Some(platform), Some(url)) = (platform, url) else { continue };
            let refused = platform.refused_audiences().iter().any(|pattern| pattern.matches(audience, url));
            if refused && !self.settings.accept_platform_audience {
                let name = platform.name();
                self.fault(format!(
                    "tokens for the audience `{audience}` are issued by `{name}` for its own use or by default; choose an \
                     audience that only cambio has, or set `accept_platform_audience: true`"
                ));
            }
        }
    }

    /// Bounds of single values.
    pub(super) fn bounds(&mut self) {
        let (settings, jwks) = (self.settings, self.settings.jwks);
        let (least, hour, day) = (Span::from_secs(1), Span::from_secs(3600), Span::from_secs(86_400));
        self.within("leeway", settings.leeway, Span::from_secs(0), Span::from_secs(MAX_LEEWAY.as_secs()));
        if let Some(span) = settings.max_token_lifetime {
            self.within("max_token_lifetime", span, least, Span::from_secs(365 * 86_400));
        }
        if let Some(span) = settings.max_issued_ttl {
            self.within("max_issued_ttl", span, least, day);
        }
        self.within("jwks.cooldown", jwks.cooldown, least, hour);
        self.within("jwks.bad_signature_cooldown", jwks.bad_signature_cooldown, least, day);
        self.within("jwks.fresh_min", jwks.fresh_min, least, jwks.fresh_max);
        self.within("jwks.fresh_max", jwks.fresh_max, least, day);
        self.within("jwks.stale_for", jwks.stale_for, jwks.fresh_max, Span::from_secs(7 * 86_400));
        self.within("jwks.timeout", jwks.timeout, Span::from_millis(100), Span::from_secs(30));
        if settings.algorithms.as_ref().is_some_and(Vec::is_empty) {
            self.fault("`algorithms` is empty; leave it out for those of the platform");
        }
        for algorithm in settings.algorithms.iter().flatten().filter(|algorithm| !algorithm.is_available()) {
            self.faults.push(format!("`{algorithm}` does not exist in this build"));
        }
        if settings.types.as_ref().is_some_and(|types| types.is_empty()) {
            self.fault("`types` is empty; leave it out for those of the platform");
        }
    }

    fn within(&mut self, what: &str, span: Span, least: Span, most: Span) {
        if span < least || span > most {
            self.fault(format!("`{what}` is {span}; it must be from {least} to {most}"));
        }
    }

    pub(super) fn keys(
        &mut self,
        platform: &Platform,
        url: &IssuerUrl,
        rules: KeyRules,
        fetcher: &Fetcher,
    ) -> Option<KeyCache> {
        let settings = self.settings;
        let keys = match (&settings.keys, platform.default_keys()) {
            (Some(keys), _) => keys.clone(),
            (None, DefaultKeys::Discovery) => KeysSettings::Discovery,
            (None, DefaultKeys::Given) => {
                self.fault(
                    "`keys` is missing; this platform has no discovery: `keys: {jwks_url: ...}`, `file` or `inline`",
                );
                return None;
            }
        };
        let source = match keys {
            KeysSettings::Inline(written) => return self.inline(&written, rules),
            KeysSettings::File(path) => {
                if settings.ca_file.is_some() {
                    self.fault("`ca_file` has no effect on keys from a file; remove it");
                }
                KeySource::File(path)
            }
            KeysSettings::Discovery | KeysSettings::DiscoveryUrl(_) if url.as_str().starts_with("spiffe://") => {
                self.fault("a trust domain has no discovery document; say `keys: {jwks_url: ...}`, `file` or `inline`");
                return None;
            }
            KeysSettings::Discovery => {
                let at = self.place("issuer", &url.discovery_url())?;
                KeySource::Discovery { web: self.web(&at, fetcher), at, issuer: url.clone() }
            }
            KeysSettings::DiscoveryUrl(text) => {
                let at = self.place("keys.discovery_url", &text)?;
                KeySource::Discovery { web: self.web(&at, fetcher), at, issuer: url.clone() }
            }
            KeysSettings::JwksUrl(text) => {
                let at = self.place("keys.jwks_url", &text)?;
                KeySource::Jwks { web: self.web(&at, fetcher), at }
            }
            KeysSettings::Cluster(cluster) => {
                if settings.ca_file.is_some() {
                    self.fault("`ca_file` beside `keys.cluster`: say it once, as `keys.cluster.ca_file`");
                }
                let server = self.place("keys.cluster.server", &cluster.server)?;
                let mut web = self.web(&server, fetcher);
                // Whoever says that an issuer is a cluster of theirs has said where its server is.
                web.private_origin = true;
                web.ca_file = Some(cluster.ca_file);
                let bearer = Bearer { file: cluster.token_file, origin: server.origin() };
                KeySource::Cluster { server, issuer: url.clone(), bearer, web }
            }
        };
        let revoked = platform.empty_set_means_revoked();
        Some(KeyCache::new(settings.name.clone(), source, rules, settings.jwks, revoked))
    }

    /// The cluster that is asked about tokens, where the operator says so.
    pub(super) fn review(&mut self, fetcher: &Fetcher) -> Option<TokenReview> {
        if !self.settings.token_review {
            return None;
        }
        let Some(KeysSettings::Cluster(cluster)) = &self.settings.keys else {
            self.fault("`token_review` asks the API server of `keys: {cluster: ..}`; say where that is");
            return None;
        };
        // Its URL was checked as the place of the keys.
        let server = Url::parse(&cluster.server).ok()?;
        let mut web = self.web(&server, fetcher);
        web.private_origin = true;
        web.ca_file = Some(cluster.ca_file.clone());
        let bearer = Bearer { file: cluster.token_file.clone(), origin: server.origin() };
        Some(TokenReview::new(&server, bearer, web))
    }

    fn web(&self, written: &Url, fetcher: &Fetcher) -> Web {
        Web {
            fetcher: fetcher.clone(),
            ca_file: self.settings.ca_file.clone(),
            private_addresses: self.settings.private_addresses,
            private_origin: is_written_as_private(written.host()),
            insecure_http: self.settings.insecure_http,
            timeout: self.settings.jwks.timeout.duration(),
        }
    }

    /// A URL that documents are fetched from.
    fn place(&mut self, what: &str, text: &str) -> Option<Url> {
        let url = match Url::parse(text) {
            Ok(url) if url.host().is_some() => url,
            _ => {
                self.fault(format!("`{what}`: `{text}` is not an absolute URL"));
                return None;
            }
        };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            self.fault(format!("`{what}` has no user info and no fragment"));
        }
        match url.scheme() {
            "https" => {}
            // For the issuer itself, this was said already.
            "http" if self.settings.insecure_http || what == "issuer" => {}
            "http" => self.fault(format!("`{what}` is not https; `insecure_http: true` allows it, for tests")),
            other => self.fault(format!("`{what}` has the scheme `{other}`; it must be https")),
        }
        Some(url)
    }

    fn inline(&mut self, written: &Value, rules: KeyRules) -> Option<KeyCache> {
        let text = match written {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match KeySet::parse(text.as_bytes(), &rules) {
            Err(error) => self.fault(format!("`keys.inline`: {error}")),
            Ok(set) if set.keys().is_empty() => {
                let reasons: Vec<_> =
                    set.skipped().iter().map(|one| format!("key {}: {}", one.index, one.reason)).collect();
                self.fault(format!("`keys.inline` has no usable key; {}", reasons.join("; ")));
            }
            Ok(set) => return Some(KeyCache::inline(self.settings.name.clone(), set, rules)),
        }
        None
    }
}
