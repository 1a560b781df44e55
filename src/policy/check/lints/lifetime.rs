//! How long a granted token lives.

use std::time::Duration;

use super::view::{Spot, View};
use crate::clock::Span;
use crate::policy::code::Code;
use crate::policy::finding::Finding;
use crate::trust::ReplayRule;

/// P0314. A granted token ends with the token it was exchanged for, unless the rule says `outlive_subject`: a `ttl` beyond
/// what the issuer's tokens live never comes to be, and the job that relies on it fails in the middle. The reverse is no
/// better: where a platform's tokens may be presented again (pods, GitLab's jobs), a caller just asks anew, and a token
/// that outlives its pod is still good when the pod is gone.
///
/// Wrong: `ttl: 1h` for GitHub, whose tokens live for five minutes; `outlive_subject: true` for a cluster.
/// Right: `ttl: 5m`, or `ttl: 1h` with `outlive_subject: true` for GitHub; neither for a cluster.
pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let grant = &view.document.grant;
    let Some(ttl) = &grant.ttl else { return };
    let place = crate::policy::document::place(ttl);
    let ttl = ttl.value.0;
    let told = |message: String, label: &str, help: String| {
        let mut finding = view.finding(Code::LongTtl, Spot::Rule, message).labelled(label).helped(help);
        finding.place = place;
        finding
    };
    for (name, facts) in &view.issuers {
        let Some(platform) = facts.platform.as_deref() else { continue };
        let (usual, fixed) = (platform.usual_lifetime(), platform.authority().fixed_lifetime);
        let longest = facts.max_token_lifetime.unwrap_or_else(|| platform.longest_lifetime());
        let most = if fixed { usual.min(longest) } else { longest };
        if ttl > most && !grant.outlive_subject {
            let lives = span(most);
            let message = format!("tokens of `{name}` live for {lives} at most, and the granted one ends with them");
            let help = format!("say `ttl: {lives}` or less, or `outlive_subject: true` where it has to last longer");
            return findings.push(told(message, "never this long", help));
        }
        if grant.outlive_subject && platform.replay() == ReplayRule::Reusable {
            let message = format!(
                "tokens of `{name}` may be presented again, so that a caller can ask anew; one that outlives its {} is still good when that is gone",
                "workload"
            );
            let help = "leave `outlive_subject` out, and let the caller exchange its token again".to_owned();
            return findings.push(told(message, "may outlive the workload", help));
        }
    }
}

fn span(length: Duration) -> Span {
    Span::from_secs(length.as_secs())
}

#[cfg(test)]
mod tests {
    use super::super::tests::rule;
    use crate::policy::Code;
    use rstest::rstest;

    #[rstest]
    #[case::shorter("github", "5m", false, false)]
    #[case::longer("github", "6m", false, true)]
    #[case::longer_and_says_so("github", "1h", true, false)]
    #[case::pod("kubernetes", "1h", false, false)]
    #[case::pod_that_is_outlived("kubernetes", "15m", true, true)]
    #[case::job_that_is_outlived("gitlab", "15m", true, true)]
    fn p0314_of_a_ttl_that_does_not_fit(
        #[case] issuer: &str,
        #[case] ttl: &str,
        #[case] outlive: bool,
        #[case] found: bool,
    ) {
        assert_eq!(rule(issuer, &["claims.sub == \"a\""]).living(ttl, outlive).has(Code::LongTtl), found);
    }
}
