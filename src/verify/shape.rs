//! What the platform says about its tokens beyond the registered claims: members that must be there, and members that
//! mark a token for another purpose.

use serde_json::{Map, Value};

use super::Refusal;
use crate::trust::{ClaimSchema, Issuer, UnknownMembers};

/// Required claims are there and not null, refused ones are not there, and objects that the platform declares closed
/// have no member that is not known: Kubernetes, for one, binds tokens to further kinds of objects by new members.
pub(super) fn check(claims: &Map<String, Value>, issuer: &Issuer) -> Result<(), Refusal> {
    for path in issuer.required_claims() {
        if path.find(claims).is_none_or(Value::is_null) {
            return Err(Refusal::MissingClaim(path.to_string()));
        }
    }
    for refused in issuer.platform().refused_claims() {
        if refused.claim.is_in(claims) {
            return Err(Refusal::RefusedClaim(refused.claim.to_string()));
        }
    }
    closed_objects(issuer.platform().schema(), claims)
}

fn closed_objects(schema: &ClaimSchema, claims: &Map<String, Value>) -> Result<(), Refusal> {
    if !schema.refuses_below() {
        return Ok(());
    }
    for (name, claim) in schema.claims() {
        let (Some(members), Some(Value::Object(object))) = (claim.members(), claims.get(name)) else { continue };
        let unknown = |member: &String| members.claim(member).is_none();
        if members.unknown_members() == UnknownMembers::Refused && object.keys().any(unknown) {
            return Err(Refusal::OpenObject(name.to_owned()));
        }
        closed_objects(members, object)?;
    }
    Ok(())
}
