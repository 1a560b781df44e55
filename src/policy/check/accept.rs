//! Findings that a file accepts, with a reason.
//!
//! Decides which acceptance covers which finding: one in the file's `accept` covers findings about the target and all its
//! rules, one in a rule's covers that rule, one beside a condition covers what stands in that condition. Only warnings can
//! be accepted; an error keeps the set from loading, whatever the file says about it.

use super::Subject;
use crate::policy::code::Code;
use crate::policy::document::{AcceptDocument, Place, place};
use crate::policy::finding::{Finding, Severity};

/// Marks what is accepted, and adds a finding for each acceptance of nothing.
pub(super) fn mark(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let mut idle = vec![];
    // From the narrowest to the widest, so that the reason nearest to the finding is the one that is kept.
    for rule in &subject.document.rules {
        let name = rule.name.value.as_str();
        for condition in &rule.require {
            let at = place(&condition.that);
            let covers = |finding: &Finding| finding.rule.as_deref() == Some(name) && is_inside(finding.place, at);
            idle.extend(accept(subject, &condition.accept, Some(name), findings, covers));
        }
    }
    for rule in &subject.document.rules {
        let name = rule.name.value.as_str();
        let covers = |finding: &Finding| finding.rule.as_deref() == Some(name);
        idle.extend(accept(subject, &rule.accept, Some(name), findings, covers));
    }
    idle.extend(accept(subject, &subject.document.accept, None, findings, |_| true));
    findings.extend(idle);
}

/// Marks what one list of acceptances covers, and returns those that cover nothing.
///
/// P0316. An acceptance is a note to the next reader that a risk is known. One without a finding under it is a risk that
/// is gone, or a misspelt code: the next finding of that kind would slip in below it. One without a reason tells nobody
/// anything.
///
/// Wrong: `accept: [{finding: P0305, because: ""}]`, or beside a condition that has no such finding.
/// Right: `accept: [{finding: recyclable-name, because: "the organisation's names are never given again (INFRA-12)"}]`.
fn accept(
    subject: &Subject<'_>,
    list: &[AcceptDocument],
    rule: Option<&str>,
    findings: &mut [Finding],
    covers: impl Fn(&Finding) -> bool,
) -> Vec<Finding> {
    let mut idle = vec![];
    for acceptance in list {
        let wanted = acceptance.finding.value.trim();
        let reason = acceptance.because.value.trim();
        let at = place(&acceptance.finding);
        let mut tell = |at: Place, message: String, help: &str| {
            let finding = Finding::new(Code::IdleAcceptance, subject.file, at, message).helped(help);
            idle.push(match rule {
                Some(rule) => finding.in_rule(rule),
                None => finding,
            });
        };
        let Some(code) = Code::find(wanted) else {
            tell(
                at,
                format!("no finding is called `{wanted}`"),
                "name its code or its name, e.g. `P0305` or `recyclable-name`",
            );
            continue;
        };
        if reason.is_empty() {
            let message = format!("`{wanted}` is accepted without a reason");
            tell(
                place(&acceptance.because),
                message,
                "say why this is meant to be so, for the next who reads the file",
            );
            continue;
        }
        let mut used = false;
        for finding in findings.iter_mut().filter(|finding| finding.code == code && covers(finding)) {
            if finding.severity == Severity::Warning {
                used = true;
                finding.accepted.get_or_insert_with(|| reason.to_owned());
            }
        }
        if !used {
            let message = if code.severity() == Severity::Error {
                format!("`{wanted}` is an error, which can't be accepted")
            } else {
                format!("there is no finding `{wanted}` here to accept")
            };
            tell(at, message, "remove it, or move it to where the finding is");
        }
    }
    idle
}

/// Whether a place is within the text of a YAML node.
fn is_inside(place: Place, node: Place) -> bool {
    let within = place.offset >= node.offset && place.offset <= node.offset.saturating_add(node.len);
    within && (node.len > 0 || (place.line, place.column) == (node.line, node.column))
}

#[cfg(test)]
mod tests {
    use crate::policy::check::lints::tests::findings;
    use crate::policy::{Code, Finding};
    use rstest::rstest;
    use serde_json::{Value, json};

    /// A name without its id in the second of two conditions, and an acceptance at one of three places.
    fn accepting(place: &str, acceptance: &Value) -> Vec<Finding> {
        let mut file = json!({
            "target": "t",
            "rules": [{
                "name": "r",
                "issuer": "gitlab",
                "require": [
                    {"that": "claims.project_id == claims.?job_project_id.orValue(\"\")", "message": "no"},
                    {"that": "claims.namespace_path == \"acme\"", "message": "no"},
                ],
                "grant": {"policies": ["\"p\""]},
            }],
            "cases": [
                {"name": "a", "issuer": "gitlab", "claims": {"project_id": "1", "job_project_id": "1", "namespace_path": "acme"}, "permit": {"policies": ["p"]}},
                {"name": "b", "like": "a", "with": {"project_id": "2"}, "deny": "no"},
            ],
        });
        let list = json!([acceptance]);
        match place {
            "file" => file["accept"] = list,
            "rule" => file["rules"][0]["accept"] = list,
            "condition" => file["rules"][0]["require"][1]["accept"] = list,
            _ => file["rules"][0]["require"][0]["accept"] = list,
        }
        findings(&file)
    }

    #[rstest]
    #[case::by_code("file", "P0305", "because", true)]
    #[case::by_name("rule", "recyclable-name", "because", true)]
    #[case::beside_the_condition("condition", "P0305", "because", true)]
    #[case::beside_another_condition("other", "P0305", "because", false)]
    #[case::another_code("file", "P0304", "because", false)]
    #[case::an_error("file", "P0201", "because", false)]
    #[case::no_code("file", "P9999", "because", false)]
    #[case::no_reason("file", "P0305", " ", false)]
    fn a_warning_is_accepted_with_a_reason_where_it_stands(
        #[case] place: &str,
        #[case] finding: &str,
        #[case] because: &str,
        #[case] accepted: bool,
    ) {
        let findings = accepting(place, &json!({"finding": finding, "because": because}));
        let of = |code: Code| findings.iter().filter(move |finding| finding.code == code);
        let reasons: Vec<_> = of(Code::RecyclableName).map(|finding| finding.accepted.as_deref()).collect();
        assert_eq!(reasons, [accepted.then_some("because")]);
        assert_eq!(of(Code::IdleAcceptance).count(), usize::from(!accepted));
    }

    #[test]
    fn an_idle_acceptance_cannot_be_accepted() {
        let findings = accepting("file", &json!({"finding": "P0316", "because": "because"}));
        assert!(findings.iter().any(|finding| finding.code == Code::IdleAcceptance && finding.counts()));
    }
}
