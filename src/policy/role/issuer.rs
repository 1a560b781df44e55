//! Which of the configured issuers a mount's tokens come from.
//!
//! Decides by the exact URL, which one issuer has to have: in OpenBao the keys of each mount keep clusters apart that share an
//! issuer's URL, and those keys are not taken from here, so that a role would take the tokens of all of them. Refuses to let a
//! document name keys: what it says only chooses among the issuers that the operator configured. Where a directory is looked at without a configuration, URLs are not known; then every issuer
//! that might be meant is, and the check says so.

use super::documents::Documents;
use crate::identity::IssuerName;
use crate::policy::catalog::{Catalog, IssuerFacts};
use crate::policy::document::Place;
use crate::policy::problem::{Faults, Problem};
use crate::trust::Platforms;

/// The issuers of a role's mount, in order of their names; none where `faults` says why.
pub(super) fn of(documents: &Documents, catalog: &Catalog, faults: &mut Faults) -> Vec<IssuerName> {
    let file = &documents.config_file;
    let Some(url) = documents.config.issuer() else {
        let message = "neither `bound_issuer` nor `oidc_discovery_url`: nothing says whose tokens the mount takes";
        faults.append(file, Place::default(), Problem::Shape(message.to_owned()));
        return vec![];
    };
    let named = |is: &dyn Fn(&IssuerFacts) -> bool| -> Vec<IssuerName> {
        catalog.iter().filter(|(_, facts)| is(facts)).map(|(name, _)| name.clone()).collect()
    };
    let found = if has_urls(catalog) {
        named(&|facts| facts.url.as_deref() == Some(url))
    } else {
        named(&|facts| facts.platform.as_ref().is_none_or(|platform| platform.recognises(url)))
    };
    if found.is_empty() {
        let guessed = guess(url).filter(|_| !has_urls(catalog));
        let problem = guessed.map_or_else(|| Problem::UnknownMountIssuer(url.to_owned()), Problem::UnknownIssuer);
        faults.append(file, Place::default(), problem);
    }
    if has_urls(catalog) && found.len() > 1 {
        let issuers = found.iter().map(IssuerName::as_str).collect::<Vec<_>>().join(", ");
        faults.append(file, Place::default(), Problem::SharedMountIssuer { url: url.to_owned(), issuers });
        return vec![];
    }
    found
}

/// Whether the catalog knows its issuers by their URLs, as that of a configuration does.
pub(in crate::policy) fn has_urls(catalog: &Catalog) -> bool {
    catalog.iter().any(|(_, facts)| facts.url.is_some())
}

/// The platform that the URL is most likely of, for a directory of which nothing else is known.
fn guess(url: &str) -> Option<IssuerName> {
    let platforms = Platforms::embedded();
    let recognised: Vec<&str> = platforms.recognise(url).map(|platform| platform.name()).collect();
    let named = recognised.iter().find(|name| url.contains(**name)).or(recognised.first());
    let name = named.copied().unwrap_or("generic");
    IssuerName::new(name).ok()
}
