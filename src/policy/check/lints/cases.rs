//! What a file promises about itself.

use crate::policy::check::Subject;
use crate::policy::code::Code;
use crate::policy::document::place;
use crate::policy::finding::Finding;

/// P0315. A file's cases are what a reviewer believes. Without one that is denied, a rule that grants to everybody passes
/// them all; without one that is permitted, a rule that grants to nobody does.
///
/// Wrong: cases with `permit` only.
/// Right: the same token with another project, `deny: the project is another one`.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let cases = &subject.document.cases;
    let (permits, denials) =
        (cases.iter().any(|case| case.permit.is_some()), cases.iter().any(|case| case.deny.is_some()));
    let (message, help) = match (permits, denials) {
        (true, true) => return,
        (false, false) => (
            "the target has no cases: nothing says whom it lets in and whom it doesn't",
            "add `cases`: one token that is permitted, and the same with one change that is denied",
        ),
        (true, false) => (
            "the target has no case that is denied: rules that let everybody in would pass its cases",
            "add a case `like` the permitted one, `with` another owner, and `deny:` with the message it gets",
        ),
        (false, true) => (
            "the target has no case that is permitted: rules that let nobody in would pass its cases",
            "add a case with the claims of a workload that is to get in, and `permit: {policies: [...]}`",
        ),
    };
    let at = place(&subject.document.target);
    findings.push(Finding::new(Code::NoDenialCase, subject.file, at, message).helped(help));
}

#[cfg(test)]
mod tests {
    use super::super::tests::findings;
    use crate::policy::Code;
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case::both(json!([{"name": "a", "issuer": "gitlab", "claims": {"sub": "a"}, "permit": {"policies": ["p"]}}, {"name": "b", "like": "a", "with": {"sub": "b"}, "deny": "no"}]), 0)]
    #[case::permit_only(json!([{"name": "a", "issuer": "gitlab", "claims": {"sub": "a"}, "permit": {"policies": ["p"]}}]), 1)]
    #[case::denial_only(json!([{"name": "a", "issuer": "gitlab", "claims": {"sub": "b"}, "deny": "no"}]), 1)]
    #[case::none(json!([]), 1)]
    fn p0315_of_cases_that_prove_half(#[case] cases: Value, #[case] found: usize) {
        let rule = json!({"name": "r", "issuer": "gitlab", "require": [{"that": "claims.sub == \"a\"", "message": "no"}], "grant": {"policies": ["\"p\""]}});
        let findings = findings(&json!({"target": "t", "rules": [rule], "cases": cases}));
        assert_eq!(findings.iter().filter(|finding| finding.code == Code::NoDenialCase).count(), found);
    }
}
