//! What a configuration says of cambio itself: its own issuer, and the names that nobody else may have.

use super::problem::Problem;
use crate::identity::IssuerUrl;
use crate::trust::{Issuers, is_reached_privately};

pub(super) fn own_issuer(text: &str, problems: &mut Vec<Problem>) -> Option<IssuerUrl> {
    match IssuerUrl::new(text) {
        Ok(issuer) if issuer.as_str().starts_with("spiffe://") => {
            problems.push(Problem::new(
                "issuer",
                "must be an https URL",
                "write the URL under which clients reach cambio",
            ));
            None
        }
        Ok(issuer) if issuer.as_str().starts_with("http://") && !is_reached_privately(issuer.as_str()) => {
            let fix = "write https; http is for this machine and for private networks";
            problems.push(Problem::new("issuer", "must be an https URL: tokens and keys are readable on the way", fix));
            None
        }
        Ok(issuer) => Some(issuer),
        Err(error) => {
            problems.push(Problem::new("issuer", error, "write the URL under which clients reach cambio"));
            None
        }
    }
}

/// Our own tokens must never come back as somebody's identity: rules for the two kinds of token would have to exclude
/// each other (RFC 8725 section 3.12).
pub(super) fn not_ourselves(own: &IssuerUrl, issuers: &Issuers, problems: &mut Vec<Problem>) {
    for issuer in issuers.iter().filter(|issuer| issuer.url() == own) {
        let place = format!("issuers.{}.issuer", issuer.name());
        problems.push(Problem::new(&place, "cambio must not trust its own tokens", "remove this issuer"));
    }
}

/// Whoever could vouch under this name could mint tokens that pass for those of service accounts.
pub(super) fn not_reserved(issuers: &Issuers, problems: &mut Vec<Problem>) {
    if let Some(issuer) = issuers.iter().find(|issuer| issuer.name().is_of_service_accounts()) {
        let place = format!("issuers.{}.name", issuer.name());
        problems.push(Problem::new(&place, "the name is that of cambio's own service accounts", "take another name"));
    }
}
