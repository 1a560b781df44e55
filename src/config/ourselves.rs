//! What a configuration says of cambio itself: its own issuer, and the names that nobody else may have.

use super::problem::Problem;
use crate::identity::{IssuerUrl, TargetName};
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

/// The login of a direct target is made with the token that was minted for it: whoever runs that OpenBao could administer cambio.
pub(super) fn no_direct_administrators(
    admin: Option<&TargetName>,
    direct: &[(Vec<TargetName>, String)],
    problems: &mut Vec<Problem>,
) {
    let names = |targets: &[TargetName]| admin.is_some_and(|admin| targets.contains(admin));
    for (index, _) in direct.iter().enumerate().filter(|(_, (targets, _))| names(targets)) {
        let place = format!("secrets.direct[{index}].targets");
        let fix = "take it out, or administer by another target";
        problems.push(Problem::new(
            &place,
            "`admin.target` is for cambio alone, and no OpenBao gets a token for it",
            fix,
        ));
    }
}

/// Whoever could vouch under this name could mint tokens that pass for those of service accounts.
pub(super) fn not_reserved(issuers: &Issuers, problems: &mut Vec<Problem>) {
    if let Some(issuer) = issuers.iter().find(|issuer| issuer.name().is_of_service_accounts()) {
        let place = format!("issuers.{}.name", issuer.name());
        problems.push(Problem::new(&place, "the name is that of cambio's own service accounts", "take another name"));
    }
}
