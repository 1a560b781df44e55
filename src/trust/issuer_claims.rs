//! The claims of one issuer's tokens: its platform's, and those that the operator describes beside or instead of them.
//!
//! Decides which description holds, and that none contradicts what binds a token. Refuses to make anything binding: a
//! described claim that is not there is found by `token inspect` and by expressions, and `verify` does not look here.

use std::sync::Arc;

use super::claim::Presence;
use super::claim_path::ClaimPath;
use super::issuer_checks::Checks;
use super::platform::Platform;
use super::schema::{ClaimSchema, Lookup};

/// Claims whose form every check of a token relies on (RFC 7519 section 4.1).
const VERIFIED: [&str; 5] = ["iss", "aud", "exp", "nbf", "iat"];

impl Checks<'_> {
    /// What is known of the issuer's claims.
    pub(super) fn schema(&mut self, platform: &Platform) -> Arc<ClaimSchema> {
        let settings = self.settings;
        if settings.claims.is_empty() && settings.required_claims.is_empty() {
            return Arc::clone(platform.shared_schema());
        }
        for name in VERIFIED.into_iter().filter(|name| settings.claims.contains_key(*name)) {
            self.fault(format!("`claims.{name}`: its form is verified in every token; remove it"));
        }
        if settings.claims.contains_key("") {
            self.fault("`claims`: a name is empty");
        }
        let described = platform.schema().with(&settings.claims, &[]);
        for claim in platform.required_claims() {
            match described.lookup(claim) {
                Lookup::Claim(known) if known.presence() == Presence::Required => {}
                _ => self.fault(format!(
                    "`claims`: a token of this platform without `{claim}` is refused; describe it with `presence: required`"
                )),
            }
        }
        for claim in settings.required_claims.iter().filter(|claim| is_in(claim, &settings.claims)) {
            match described.lookup(claim) {
                Lookup::Claim(known) if known.presence() == Presence::Required => {}
                Lookup::Open => {}
                _ => self.fault(format!(
                    "`claims`: `required_claims` has `{claim}`; describe it with `presence: required`, or remove it there"
                )),
            }
        }
        for refused in platform.refused_claims() {
            let claim = &refused.claim;
            if matches!(described.lookup(claim), Lookup::Claim(known) if known.presence() == Presence::Required) {
                self.fault(format!("`claims`: a token with `{claim}` is refused; it cannot be `presence: required`"));
            }
        }
        for (name, claim) in &settings.claims {
            for id in claim.identified_by() {
                if !matches!(described.lookup(id), Lookup::Claim(_)) {
                    self.fault(format!("`claims.{name}`: `identified_by` names `{id}`, which nothing describes"));
                }
            }
        }
        Arc::new(platform.schema().with(&settings.claims, &settings.required_claims))
    }
}

/// Whether the first name on the way is one of `claims`.
fn is_in(path: &ClaimPath, claims: &super::settings::Claims) -> bool {
    path.names().next().is_some_and(|name| claims.contains_key(name))
}

#[cfg(test)]
mod tests {
    use super::super::fetch::Fetcher;
    use super::super::issuer::Issuer;
    use super::super::platforms::Platforms;
    use super::*;
    use crate::trust::{ClaimKind, ClaimType, IssuerSettings};
    use rstest::rstest;

    fn issuer(platform: &str, lines: &str) -> Result<Issuer, String> {
        let head = match platform {
            "kubernetes" => "platform: kubernetes\nissuer: https://kubernetes.default.svc",
            _ => "platform: gitlab\nissuer: https://gitlab.example.com",
        };
        let yaml = format!("name: ours\n{head}\naudiences: [a]\n{lines}");
        let settings: IssuerSettings = serde_saphyr::from_str(&yaml).map_err(|error| error.to_string())?;
        let said = |faults: Vec<crate::trust::IssuerFault>| {
            faults.iter().map(|fault| fault.fault().to_owned()).collect::<Vec<_>>().join("; ")
        };
        Issuer::new(settings, &Platforms::embedded(), &Fetcher::new()).map_err(said)
    }

    #[test]
    fn a_claim_may_be_added_and_one_of_the_platform_described_otherwise() {
        let lines = "claims:\n  team: {type: string, presence: required, kind: immutable_id, doc: the team}\n  \
                     user_login: {type: string, nullable: true, kind: actor}\n  x_*: {type: int, kind: caller_chosen}";
        let issuer = issuer("gitlab", lines).unwrap();
        let schema = issuer.schema();
        let team = schema.claim("team").unwrap();
        assert_eq!(
            (team.presence(), team.kind(), team.doc()),
            (Presence::Required, ClaimKind::ImmutableId, "the team")
        );
        assert!(schema.claim("user_login").unwrap().is_nullable());
        assert_eq!(schema.claim("x_count").unwrap().ty(), &ClaimType::Int);
        assert!(schema.claim("project_id").is_some(), "the others stay");
        let platform = issuer.platform().schema();
        assert!(platform.claim("team").is_none() && !platform.claim("user_login").unwrap().is_nullable());
    }

    #[test]
    fn a_claim_that_the_operator_requires_needs_no_guard() {
        let plain = issuer("gitlab", "").unwrap();
        assert_eq!(plain.schema().claim("environment").unwrap().presence(), Presence::Conditional);
        assert!(
            Arc::ptr_eq(plain.schema(), issuer("gitlab", "").unwrap().schema()),
            "one schema for all of a platform"
        );
        let strict = issuer("gitlab", "required_claims: [environment]").unwrap();
        assert_eq!(strict.schema().claim("environment").unwrap().presence(), Presence::Required);
        let deep = issuer("kubernetes", "required_claims: [[kubernetes.io, pod, uid]]").unwrap();
        let pod = deep.schema().claim("kubernetes.io").unwrap().members().unwrap().claim("pod").unwrap();
        assert_eq!(pod.presence(), Presence::Required);
    }

    #[rstest]
    #[case::required_by_the_platform(
        "claims: {project_id: {type: string, kind: immutable_id}}",
        "without `project_id`"
    )]
    #[case::required_by_the_operator(
        "required_claims: [team]\nclaims: {team: {type: string, kind: immutable_id}}",
        "has `team`"
    )]
    #[case::verified_in_every_token("claims: {exp: {type: string, kind: token_bound}}", "`claims.exp`")]
    #[case::an_id_that_nothing_describes(
        "claims: {team: {type: string, kind: recyclable_name, identified_by: [team_id]}}",
        "`team_id`"
    )]
    #[case::no_such_type("claims: {team: {type: text, kind: immutable_id}}", "`text` is no claim type")]
    #[case::no_kind("claims: {team: {type: string}}", "kind")]
    #[case::a_key_that_does_not_exist("claims: {team: {type: string, kind: actor, pii: true}}", "pii")]
    #[case::no_name("claims: {'': {type: string, kind: actor}}", "empty")]
    fn a_description_that_contradicts_what_binds_is_refused(#[case] lines: &str, #[case] said: &str) {
        let fault = issuer("gitlab", lines).unwrap_err();
        assert!(fault.contains(said), "{fault}");
    }

    #[rstest]
    #[case("claims: {project_id: {type: string, kind: immutable_id, presence: required}}")]
    #[case("required_claims: [team]\nclaims: {team: {type: string, kind: immutable_id, presence: required}}")]
    #[case("claims: {team: {type: string, kind: recyclable_name, identified_by: [project_id]}}")]
    fn one_that_does_not_is_not(#[case] lines: &str) {
        issuer("gitlab", lines).unwrap();
    }

    #[test]
    fn an_object_is_described_with_its_members_or_its_required_ones_are_lost() {
        let fault =
            issuer("kubernetes", "claims: {kubernetes.io: {type: map, presence: required, kind: platform_set}}");
        assert!(fault.unwrap_err().contains("without `[\"kubernetes.io\"]"));
    }
}
