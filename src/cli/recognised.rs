//! Whose token it looks like, by its issuer and its claims. Decides nothing about the token: anybody could have written it.

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::trust::{Platform, Platforms};

/// The platforms whose issuers look like `issuer`, the likeliest first.
pub(super) fn recognised(issuer: &str, claims: &Map<String, Value>) -> Vec<Arc<Platform>> {
    let platforms = Platforms::embedded();
    let mut likely: Vec<_> = platforms.recognise(issuer).map(|one| (likeness(one, claims), Arc::clone(one))).collect();
    likely.sort_by_key(|(likeness, one)| {
        let theirs_alone = one.default_issuer() == Some(issuer);
        (!theirs_alone, Reverse(*likeness), one.name().to_owned())
    });
    likely.into_iter().map(|(_, one)| one).collect()
}

/// How many claims the platform documents, less those that are not as it documents them.
fn likeness(platform: &Platform, claims: &Map<String, Value>) -> i64 {
    let known = claims.keys().filter(|name| platform.schema().claim(name).is_some()).count();
    let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    signed(known).saturating_sub(signed(platform.schema().check(claims).len()))
}
