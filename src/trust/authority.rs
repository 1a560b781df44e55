//! What the claims of a platform are worth as authority: whose workload a token is of, when code from outside runs with
//! it, what vouches for what a caller chose. Data for the lints over policies; decides nothing about a token.

use serde::Deserialize;

use super::claim_path::ClaimPath;

/// The section `authority` of a platform file. Every list may be empty: nothing is known then, and nothing is reported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authority {
    /// Issuers, byte for byte, that sign for everybody who opens an account: `iss` and `aud` alone authorise nobody.
    pub shared_issuers: Vec<Box<str>>,
    /// Claims that say whose workload it is, each on its own. A rule has to test one of them.
    pub owners: Vec<OwnerClaim>,
    /// Circumstances in which somebody else's code may run with the token's identity.
    pub outside_code: Vec<OutsideCode>,
    /// Claims that a caller chooses, with what makes them trustworthy.
    pub vouched: Vec<VouchedClaim>,
    /// Claims that say that a protected place is deployed to: a grant that calls itself protected tests one of them.
    pub gates: Vec<ClaimPath>,
    /// Whether every token lives as long as `lifetime.usual` says, whatever its holder asks for.
    pub fixed_lifetime: bool,
}

/// A claim that says whose workload it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerClaim {
    /// Which.
    pub claim: ClaimPath,
    /// Texts that it begins with before the owner is named, e.g. `repo:`; in them `*` is any run without `/`. A prefix or
    /// a pattern has to reach beyond one of them.
    #[serde(default)]
    pub after: Vec<Box<str>>,
    /// Globs, as policies write them, of its texts that hold an immutable id: a name in them can't be had by another.
    #[serde(default)]
    pub with_id: Vec<Box<str>>,
}

/// A circumstance in which somebody else's code may run with the token's identity.
///
/// With `values`: where `claim` has one of them. With `same_as`: where `claim` differs from that claim, and is not pinned
/// itself. With neither: wherever `claim` is not pinned.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideCode {
    /// The claim that tells.
    pub claim: ClaimPath,
    /// Its values of which that is so.
    #[serde(default)]
    pub values: Vec<Box<str>>,
    /// The claim that it has to equal.
    #[serde(default)]
    pub same_as: Option<ClaimPath>,
    /// Claims that keep others out as well, where a rule pins one of them and does not name one of `values`.
    #[serde(default)]
    pub unless: Vec<ClaimPath>,
    /// Claims that do so only where they are pinned whole, or by a beginning that goes on beyond a text.
    #[serde(default)]
    pub unless_beyond: Vec<Beyond>,
    /// Whether a rule that names one of `values` is taken to mean it.
    #[serde(default)]
    pub named_is_meant: bool,
    /// Who gets in, in a sentence that begins small.
    pub because: Box<str>,
    /// The condition that keeps them out.
    pub fix: Box<str>,
}

/// A claim whose beginning says enough only beyond a text in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beyond {
    /// Which.
    pub claim: ClaimPath,
    /// The text, e.g. `/.github/workflows/`.
    pub text: Box<str>,
}

/// A claim that a caller chooses, with what makes it trustworthy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VouchedClaim {
    /// Which.
    pub claim: ClaimPath,
    /// Any one of these beside it will do. Empty: nothing in the token does.
    #[serde(default)]
    pub by: Vec<Voucher>,
    /// Who chooses it, e.g. `whoever may push to the repository`.
    pub chosen_by: Box<str>,
}

/// What makes a caller's choice trustworthy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voucher {
    /// A claim beside it.
    pub claim: ClaimPath,
    /// The value that it has to have; any that is pinned, where none is given.
    #[serde(default)]
    pub value: Option<Box<str>>,
}

impl Authority {
    /// Every claim that the section names.
    pub(super) fn claims(&self) -> impl Iterator<Item = &ClaimPath> {
        let outside = self.outside_code.iter().flat_map(|one| {
            let beyond = one.unless_beyond.iter().map(|beyond| &beyond.claim);
            std::iter::once(&one.claim).chain(&one.same_as).chain(&one.unless).chain(beyond)
        });
        let vouched =
            self.vouched.iter().flat_map(|one| std::iter::once(&one.claim).chain(one.by.iter().map(|by| &by.claim)));
        self.owners.iter().map(|owner| &owner.claim).chain(outside).chain(vouched).chain(&self.gates)
    }

    /// Whether the issuer signs for everybody. Where its URL is not known, it may be the one that does.
    #[must_use]
    pub fn is_shared(&self, issuer: Option<&str>) -> bool {
        issuer.map_or(!self.shared_issuers.is_empty(), |url| self.shared_issuers.iter().any(|known| **known == *url))
    }
}

impl OwnerClaim {
    /// Whether a text with that beginning has named an owner: it reaches beyond what stands before the name.
    #[must_use]
    pub fn is_named_by(&self, beginning: &str) -> bool {
        let rest = self.after.iter().filter_map(|lead| after(lead, beginning)).min_by_key(|rest| rest.len());
        match rest {
            Some(rest) => !rest.is_empty(),
            // Another form than those that are known, or no form: then any text is a name, unless it ends before one.
            None => !beginning.is_empty() && !self.after.iter().any(|lead| lead.starts_with(beginning)),
        }
    }
}

/// What follows `lead` in `text`, where `*` in `lead` is any run without `/`.
fn after<'t>(lead: &str, text: &'t str) -> Option<&'t str> {
    match lead.split_once('*') {
        None => text.strip_prefix(lead),
        Some((start, end)) => {
            let rest = text.strip_prefix(start)?;
            let run = rest.find('/').unwrap_or(rest.len());
            match rest.get(run..)? {
                "" => Some(""),
                tail => tail.strip_prefix(end),
            }
        }
    }
}

/// The claim at `path` as an expression reads it.
#[must_use]
pub fn expression(path: &ClaimPath) -> String {
    let text = path.to_string();
    if text.starts_with('[') { format!("claims{text}") } else { format!("claims.{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(&[], "74", true)]
    #[case(&[], "", false)]
    #[case(&["repo:"], "repo:", false)]
    #[case(&["repo:"], "re", false)]
    #[case(&["repo:"], "repo:a", true)]
    #[case(&["repo:"], "acme/shop", true)]
    #[case(&["project_path:", "project_id:"], "project_id:", false)]
    #[case(&["project_path:", "project_id:"], "project_id:20", true)]
    #[case(&["spiffe://*/"], "spiffe://prod.example.org/", false)]
    #[case(&["spiffe://*/"], "spiffe://prod.example.org", false)]
    #[case(&["spiffe://*/"], "spiffe://prod.example.org/ns", true)]
    fn an_owner_is_named_beyond_the_lead(#[case] after: &[&str], #[case] beginning: &str, #[case] named: bool) {
        let after = after.iter().map(|lead| Box::from(*lead)).collect();
        assert_eq!(OwnerClaim { claim: ClaimPath::top("sub"), after, with_id: vec![] }.is_named_by(beginning), named);
    }

    #[test]
    fn an_issuer_is_shared_by_its_exact_url_or_where_it_is_not_known() {
        let authority = Authority { shared_issuers: vec!["https://gitlab.com".into()], ..Authority::default() };
        assert!(authority.is_shared(Some("https://gitlab.com")));
        assert!(!authority.is_shared(Some("https://gitlab.example.com")));
        assert!(authority.is_shared(None));
        assert!(!Authority::default().is_shared(None));
    }
}
