//! Two policy sets, asked the same.
//!
//! Decides what of a decision counts as a change: whether it permits; which policies, for how long, by which rule, with
//! which scopes and metadata. Why a denial is one does not. Refuses to know where the questions come from.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use super::decision::{Grant, Reason};
use super::set::PolicySet;
use crate::clock::Timestamp;
use crate::identity::IssuerName;

/// What is asked of a set.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name or alias of a target.
    pub target: String,
    /// Who vouches.
    pub issuer: IssuerName,
    /// What for.
    pub claims: Map<String, Value>,
    /// The moment of the decision.
    pub at: Timestamp,
}

/// What a set answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It grants.
    Permit(Grant),
    /// It does not.
    Denied(Reason),
    /// It has no such target.
    NoTarget,
}

/// A decision that comes out otherwise.
#[derive(Debug)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The first set's answer.
    pub before: Verdict,
    /// The second set's.
    pub after: Verdict,
    /// What of the grant is another, where both permit.
    pub differences: Vec<String>,
}

/// How a decision changes. In the order in which a reviewer wants to see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// Denied before, permitted now.
    NewlyPermitted,
    /// Permitted before and now, with a policy that was not granted before.
    MorePolicies,
    /// Permitted before, denied now.
    NewlyDenied,
    /// Permitted before and now, with something else of the grant changed.
    Changed,
}

impl ChangeKind {
    /// The heading of its list.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::NewlyPermitted => "newly permitted",
            Self::MorePolicies => "newly permitted policies",
            Self::NewlyDenied => "newly denied",
            Self::Changed => "changed",
        }
    }

    /// A stable word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NewlyPermitted => "newly_permitted",
            Self::MorePolicies => "more_policies",
            Self::NewlyDenied => "newly_denied",
            Self::Changed => "changed",
        }
    }

    /// Whether somebody gets what nobody gave before.
    #[must_use]
    pub const fn permits_more(self) -> bool {
        matches!(self, Self::NewlyPermitted | Self::MorePolicies)
    }
}

impl PolicySet {
    /// What this set answers.
    #[must_use]
    pub fn verdict(&self, question: &Question) -> Verdict {
        let Some(target) = self.target(&question.target) else { return Verdict::NoTarget };
        match self.evaluate(&question.issuer, &question.claims, target, question.at).outcome {
            Ok(grant) => Verdict::Permit(grant),
            Err(reason) => Verdict::Denied(reason),
        }
    }

    /// What changes about the answer where `after` takes the place of this set; nothing where nothing does.
    #[must_use]
    pub fn change(&self, after: &Self, question: &Question) -> Option<Change> {
        let (before, after) = (self.verdict(question), after.verdict(question));
        let (kind, differences) = match (&before, &after) {
            (Verdict::Permit(before), Verdict::Permit(after)) => {
                let differences = differences(before, after);
                if differences.is_empty() {
                    return None;
                }
                let more = after.policies.iter().any(|policy| !before.policies.contains(policy));
                (if more { ChangeKind::MorePolicies } else { ChangeKind::Changed }, differences)
            }
            (Verdict::Permit(_), _) => (ChangeKind::NewlyDenied, vec![]),
            (_, Verdict::Permit(_)) => (ChangeKind::NewlyPermitted, vec![]),
            _ => return None,
        };
        Some(Change { kind, before, after, differences })
    }
}

fn differences(before: &Grant, after: &Grant) -> Vec<String> {
    let mut differences = vec![];
    let names = |grant: &Grant| grant.policies.iter().map(|policy| policy.as_str().to_owned()).collect::<BTreeSet<_>>();
    let (old, new) = (names(before), names(after));
    differences.extend(new.difference(&old).map(|name| format!("+ policy {name}")));
    differences.extend(old.difference(&new).map(|name| format!("- policy {name}")));
    let mut other = |what: &str, before: String, after: String| {
        if before != after {
            differences.push(format!("{what} {before} -> {after}"));
        }
    };
    let ttl = |grant: &Grant| grant.ttl.map_or_else(|| "unset".to_owned(), |ttl| format!("{} s", ttl.as_secs()));
    other("ttl", ttl(before), ttl(after));
    other("rule", before.rule.to_string(), after.rule.to_string());
    other("outlive_subject", before.outlive_subject.to_string(), after.outlive_subject.to_string());
    other("revocable", before.revocable.to_string(), after.revocable.to_string());
    let scopes = |grant: &Grant| format!("{:?}", grant.scopes().collect::<BTreeSet<_>>());
    other("scopes", scopes(before), scopes(after));
    let metadata = |grant: &Grant| format!("{:?}", grant.metadata().collect::<BTreeSet<_>>());
    other("metadata", metadata(before), metadata(after));
    differences
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTarget => f.write_str("denied: there is no such target"),
            Self::Denied(reason) => write!(f, "denied: {} ({reason})", reason.code()),
            Self::Permit(grant) => {
                let policies: Vec<&str> = grant.policies.iter().map(|policy| policy.as_str()).collect();
                write!(f, "permit by rule `{}`: {}", grant.rule(), policies.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::policy::Catalog;

    const FILE: &str = "target: t
rules:
  - name: r
    issuer: gitlab
    require: [{that: 'claims.a == \"x\"', message: m}]
    grant: {policies: ['\"p\"', '\"q\"'], ttl: 10m, scopes: [read, write]}
";

    fn set(text: &str) -> PolicySet {
        let catalog = Catalog::of_names([IssuerName::new("gitlab").unwrap()]);
        PolicySet::from_sources([("t.yaml", text)], &catalog).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[rstest]
    #[case("message: m", "message: n", "x", None, &[])]
    #[case("['\"p\"', '\"q\"']", "['\"q\"', '\"p\"']", "x", None, &[])]
    #[case("[read, write]", "[write, read]", "x", None, &[])]
    #[case("'claims.a == \"x\"'", "'claims.a == \"y\"'", "x", Some(ChangeKind::NewlyDenied), &[])]
    #[case("'claims.a == \"x\"'", "'claims.a == \"y\"'", "y", Some(ChangeKind::NewlyPermitted), &[])]
    #[case("'claims.a == \"x\"'", "'claims.a == \"y\"'", "z", None, &[])]
    #[case("'\"q\"'", "'\"s\"'", "x", Some(ChangeKind::MorePolicies), &["+ policy s", "- policy q"])]
    #[case("['\"p\"', '\"q\"']", "['\"p\"']", "x", Some(ChangeKind::Changed), &["- policy q"])]
    #[case("10m", "1h", "x", Some(ChangeKind::Changed), &["ttl 600 s -> 3600 s"])]
    #[case("name: r", "name: s", "x", Some(ChangeKind::Changed), &["rule r -> s"])]
    #[case("[read, write]", "[read]", "x", Some(ChangeKind::Changed), &["scopes {\"read\", \"write\"} -> {\"read\"}"])]
    #[case("target: t", "target: u", "x", Some(ChangeKind::NewlyDenied), &[])]
    fn what_counts_as_a_change(
        #[case] from: &str,
        #[case] to: &str,
        #[case] a: &str,
        #[case] kind: Option<ChangeKind>,
        #[case] differences: &[&str],
    ) {
        let Value::Object(claims) = json!({"a": a}) else { panic!() };
        let issuer = IssuerName::new("gitlab").unwrap();
        let question = Question { target: "t".to_owned(), issuer, claims, at: Timestamp::from_secs(1_795_000_000) };
        let change = set(FILE).change(&set(&FILE.replace(from, to)), &question);
        assert_eq!(change.as_ref().map(|change| change.kind), kind);
        assert_eq!(change.map(|change| change.differences).unwrap_or_default(), differences);
    }
}
