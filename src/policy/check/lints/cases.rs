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
