//! What there is to say about one token. Decides nothing about it that `verify` does not: with a configuration the real
//! chain runs, and each check on claims is run once more by itself, so that everything that is wrong is said at once.

use std::sync::Arc;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::hints;
use crate::cli::CliError;
use crate::cli::recognised::recognised;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::identity::IssuerName;
use crate::jose::{CompactJws, sha256};
use crate::oauth::{DeclaredType, SubjectToken};
use crate::trust::{ClaimSchema, Issuer, KeysUnavailable, Platform, Reason, Refresh, SchemaFinding};
use crate::verify::{UntrustedToken, examine};

/// One token, looked at.
pub(in crate::cli) struct Inspection {
    pub(in crate::cli) read: Option<Read>,
    pub(in crate::cli) platform: Option<Arc<Platform>>,
    /// Further platforms whose issuers look like this one.
    pub(in crate::cli) alternatives: Vec<String>,
    /// The configured issuer.
    pub(in crate::cli) issuer: Option<Arc<Issuer>>,
    pub(in crate::cli) steps: Vec<Step>,
    pub(in crate::cli) findings: Vec<SchemaFinding>,
    /// What could not be checked.
    pub(in crate::cli) unchecked: Option<&'static str>,
}

/// What the token says, verified or not.
pub(in crate::cli) struct Read {
    pub(in crate::cli) algorithm: &'static str,
    pub(in crate::cli) key_id: Option<String>,
    pub(in crate::cli) media_type: Option<String>,
    pub(in crate::cli) bytes: u64,
    pub(in crate::cli) claimed_issuer: Option<String>,
    pub(in crate::cli) claims: Map<String, Value>,
}

/// One check.
pub(in crate::cli) struct Step {
    pub(in crate::cli) name: &'static str,
    pub(in crate::cli) end: End,
}

/// How a check ended.
pub(in crate::cli) enum End {
    Ok(String),
    Fail { reason: String, next: String },
    NotRun,
}

impl Inspection {
    fn new(token: &Zeroizing<String>) -> Self {
        let mut inspection = Self {
            read: None,
            platform: None,
            alternatives: Vec::new(),
            issuer: None,
            steps: Vec::new(),
            findings: Vec::new(),
            unchecked: None,
        };
        match CompactJws::parse(token.clone()) {
            Err(error) => inspection.fail("form", error.to_string(), hints::form(error)),
            Ok(jws) => {
                inspection.ok("form", "one signed token in its compact form".to_owned());
                inspection.read = Some(Read {
                    algorithm: jws.unverified_algorithm().name(),
                    key_id: jws.unverified_key_id().map(str::to_owned),
                    media_type: jws.unverified_media_type().map(str::to_owned),
                    bytes: jws.token_bytes(),
                    claimed_issuer: None,
                    claims: jws.into_claims(),
                });
            }
        }
        inspection
    }

    /// By the look of its issuer alone: nothing is verified.
    pub(in crate::cli) fn by_platform(token: &Zeroizing<String>, at: Timestamp) -> Self {
        let mut inspection = Self::new(token);
        inspection.unchecked = Some("signature, audience, issuer and lifetime: give `--config` to verify them");
        let Some(untrusted) = inspection.untrusted(token) else { return inspection };
        let Some(claimed) = inspection.claimed(&untrusted) else { return inspection };
        let claims = inspection.claims();
        let likely = recognised(&claimed, &claims);
        inspection.alternatives = likely.iter().skip(1).map(|one| one.name().to_owned()).collect();
        inspection.platform = likely.into_iter().next().or_else(|| Platform::embedded("generic"));
        inspection.times(&claims, at);
        inspection.compare(&claims);
        inspection
    }

    /// By the issuers of a configuration: verified with their keys, fetched `now`, as of the moment `at`.
    pub(in crate::cli) async fn by_config(
        token: &Zeroizing<String>,
        config: &Config,
        named: Option<&IssuerName>,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<Self, CliError> {
        if let Some(name) = named.filter(|name| config.issuers.named(name).is_none()) {
            let known: Vec<_> = config.issuers.iter().map(|issuer| issuer.name().as_str()).collect();
            return Err(CliError::new(format!(
                "there is no issuer `{name}` in the configuration; there are {}",
                known.join(", ")
            )));
        }
        let mut inspection = Self::new(token);
        let Some(untrusted) = inspection.untrusted(token) else { return Ok(inspection) };
        let Some(claimed) = inspection.claimed(&untrusted) else { return Ok(inspection) };
        let issuer = match config.issuers.find(&claimed, named) {
            Ok(issuer) => Arc::clone(issuer),
            Err(error) => {
                inspection.fail("issuer", error.to_string(), hints::untrusted(error, &claimed, &config.issuers));
                for name in ["keys", "signature", "audience", "times", "claims"] {
                    inspection.steps.push(Step { name, end: End::NotRun });
                }
                return Ok(inspection);
            }
        };
        inspection.ok("issuer", format!("trusted as `{}`", issuer.name()));
        inspection.platform = Some(Arc::clone(issuer.platform()));
        inspection.signature(untrusted, &issuer, now).await;
        let claims = inspection.claims();
        for examined in examine(&claims, &issuer, at) {
            match examined.refusal {
                None => inspection.ok(examined.check, String::new()),
                Some(refusal) => {
                    let next = inspection.read.as_ref().map(|read| hints::refusal(&refusal, read, &issuer));
                    inspection.fail(examined.check, refusal.to_string(), next.unwrap_or_default());
                }
            }
        }
        inspection.issuer = Some(issuer);
        inspection.compare(&claims);
        Ok(inspection)
    }

    /// Keys and signature, as the walk of an exchange does it.
    async fn signature(&mut self, token: UntrustedToken, issuer: &Arc<Issuer>, now: Timestamp) {
        let fetched = issuer.keys().refresh(Reason::Missing, now).await;
        let status = issuer.keys().status();
        let keys = match (issuer.keys().current(now), fetched) {
            (Ok(keys), _) => keys,
            (Err(error), refresh) => {
                let reason = match (refresh, error) {
                    (Refresh::Failed(fault), _) => fault.to_string(),
                    (_, KeysUnavailable::NeverFetched | KeysUnavailable::TooOld) => error.to_string(),
                };
                let next = format!("`cambio doctor` looks at every issuer; keys come from {}", status.source);
                self.fail("keys", reason, next);
                self.steps.push(Step { name: "signature", end: End::NotRun });
                return;
            }
        };
        self.ok("keys", format!("{} from {}", status.keys, status.source));
        match token.check_signature(issuer, keys.keys()) {
            Ok(_) => self.ok("signature", "made by a key of the issuer".to_owned()),
            Err(failure) => {
                let published: Vec<_> = keys.keys().keys().iter().filter_map(|key| key.key_id()).collect();
                let next = self.read.as_ref().map(|read| hints::signature(&failure.refusal, read, issuer, &published));
                self.fail("signature", failure.refusal.to_string(), next.unwrap_or_default());
            }
        }
    }

    /// The token as the first type of the chain; its form was told already.
    fn untrusted(&self, token: &Zeroizing<String>) -> Option<UntrustedToken> {
        self.read.as_ref()?;
        UntrustedToken::parse(SubjectToken::new(token, DeclaredType::Jwt), sha256(token.as_bytes())).ok()
    }

    fn claimed(&mut self, token: &UntrustedToken) -> Option<String> {
        match token.claimed_issuer() {
            Ok(claimed) => {
                if let Some(read) = &mut self.read {
                    read.claimed_issuer = Some(claimed.clone());
                }
                Some(claimed)
            }
            Err(refusal) => {
                self.fail("issuer", refusal.to_string(), "is this an access token, not an id token?".to_owned());
                None
            }
        }
    }

    fn claims(&self) -> Map<String, Value> {
        self.read.as_ref().map(|read| read.claims.clone()).unwrap_or_default()
    }

    /// Without an issuer only what every token keeps.
    fn times(&mut self, claims: &Map<String, Value>, at: Timestamp) {
        let time = |name: &str| claims.get(name).and_then(Value::as_f64).map(hints::seconds);
        match (time("exp"), time("nbf")) {
            (None, _) => self.fail("times", "`exp` is missing or no number".to_owned(), hints::FRESH.to_owned()),
            (Some(exp), _) if exp <= at => {
                let reason = format!("the token expired {} s ago", at.since(exp).as_secs());
                self.fail("times", reason, hints::FRESH.to_owned());
            }
            (_, Some(nbf)) if nbf > at => {
                let reason = format!("the token is valid only in {} s (`nbf`)", nbf.since(at).as_secs());
                self.fail("times", reason, hints::CLOCK.to_owned());
            }
            _ => self.ok("times", String::new()),
        }
    }

    fn compare(&mut self, claims: &Map<String, Value>) {
        if let Some(schema) = self.schema() {
            self.findings = schema.check(claims);
        }
    }

    /// The claims as the configured issuer has them, else as the platform has them.
    pub(super) fn schema(&self) -> Option<&ClaimSchema> {
        let configured = self.issuer.as_ref().map(|issuer| issuer.schema().as_ref());
        configured.or_else(|| self.platform.as_ref().map(|platform| platform.schema()))
    }

    fn ok(&mut self, name: &'static str, detail: String) {
        self.steps.push(Step { name, end: End::Ok(detail) });
    }

    fn fail(&mut self, name: &'static str, reason: String, next: String) {
        self.steps.push(Step { name, end: End::Fail { reason, next } });
    }

    /// Whether no check failed.
    pub(in crate::cli) fn is_good(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.end, End::Ok(_)))
    }
}
