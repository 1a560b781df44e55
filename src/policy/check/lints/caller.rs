//! What a caller chose, used as proof.

use super::identity::only_chosen;
use super::view::{Beside, Spot, View};
use crate::policy::code::Code;
use crate::policy::demand::{Atom, Literal};
use crate::policy::finding::Finding;
use crate::trust::{Voucher, expression};

/// P0308. Whoever asks for a token chooses its audience, whoever pushes chooses the ref's name, whoever writes a job
/// chooses the environment's. Such a claim proves something only beside one that the platform sets: `ref` beside
/// `ref_protected`, GitLab's `environment` beside `environment_protected`. A person's name proves who pressed the button,
/// not what runs.
///
/// Wrong: `claims.project_id == "20" && claims.ref == "main"`: whoever may push makes a branch or a tag `main`.
/// Right: `... && claims.ref_protected == "true"`.
pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    if let Some(atom) = only_chosen(view)
        && let Some(path) = atom.claim()
    {
        let claim = expression(path);
        let message = format!(
            "all that this rule asks for is the caller's own choice, such as `{claim}`: whoever asks is let in"
        );
        let spot = Spot::Node(atom.at.part, atom.at.node);
        let help = "pin what the platform says about whose workload it is, by its id";
        findings.push(view.finding(Code::CallerChosen, spot, message).labelled("the caller's choice").helped(help));
        return;
    }
    view.each(|atom, beside| findings.extend(unvouched(view, atom, beside)));
}

fn unvouched(view: &View<'_>, atom: &Atom, beside: &Beside<'_>) -> Option<Finding> {
    let path = atom.claim().filter(|_| atom.pins())?;
    let (_, vouched) = view.platforms().find_map(|(_, platform)| {
        let entry = platform.authority().vouched.iter().find(|entry| entry.claim == *path)?;
        let vouches = |voucher: &Voucher| match &voucher.value {
            Some(value) => beside.has(|other| other.is_about(&voucher.claim) && is_just(other, value)),
            None => beside.pins(&voucher.claim),
        };
        (!entry.by.iter().any(vouches)).then_some((platform, entry))
    })?;
    let claim = expression(path);
    let message = format!("`{claim}` is the choice of {}", vouched.chosen_by);
    let help = match vouched.by.first() {
        Some(Voucher { claim, value }) => {
            format!("add `{}` beside it", view.equals(claim, value.as_deref().unwrap_or("...")))
        }
        None => {
            "nothing in the token vouches for it: pin something else, or accept it with the reason why nobody else may"
                .to_owned()
        }
    };
    let spot = Spot::Node(atom.at.part, atom.at.node);
    Some(view.finding(Code::CallerChosen, spot, message).labelled("nothing vouches for it").helped(help))
}

/// Whether a test admits that text and no other.
fn is_just(atom: &Atom, value: &str) -> bool {
    let wanted = Literal::Text(value.to_owned());
    atom.pins() && atom.admits(&wanted) == Some(true) && atom.beginnings().iter().all(|text| text == value)
}

#[cfg(test)]
mod tests {
    use super::super::tests::rule;
    use crate::policy::Code;
    use rstest::rstest;

    #[rstest]
    #[case::audience("claims.aud == \"a\"", true)]
    #[case::person("claims.user_login == \"a\"", true)]
    #[case::group_of_the_person("claims.?groups_direct.orValue([]).exists(g, g == \"a\")", true)]
    #[case::project("claims.project_id == \"20\" && claims.aud == \"a\" && claims.user_login == \"a\"", false)]
    #[case::ref_of_a_project("claims.project_id == \"20\" && claims.ref == \"main\"", true)]
    #[case::refs_of_a_project("claims.project_id == \"20\" && claims.ref.startsWith(\"release/\")", true)]
    #[case::protected_ref(
        "claims.project_id == \"20\" && claims.ref == \"main\" && claims.ref_protected == \"true\"",
        false
    )]
    #[case::unprotected_ref(
        "claims.project_id == \"20\" && claims.ref == \"main\" && claims.ref_protected == \"false\"",
        true
    )]
    #[case::protected_or_not(
        "claims.project_id == \"20\" && claims.ref == \"main\" && claims.ref_protected in [\"true\", \"false\"]",
        true
    )]
    #[case::each_in_its_alternative(
        "claims.project_id == \"20\" && (claims.ref == \"main\" && claims.ref_protected == \"true\" || claims.ref_type == \"tag\")",
        false
    )]
    #[case::in_another_alternative(
        "claims.project_id == \"20\" && (claims.ref == \"main\" || claims.ref_protected == \"true\")",
        true
    )]
    #[case::environment("claims.project_id == \"20\" && claims.?environment.orValue(\"\") == \"production\"", true)]
    #[case::protected_environment(
        "claims.project_id == \"20\" && claims.?environment.orValue(\"\") == \"production\" && claims.?environment_protected.orValue(\"\") == \"true\"",
        false
    )]
    #[case::not_that_ref("claims.project_id == \"20\" && claims.ref != \"\"", false)]
    fn p0308_of_what_the_caller_chose(#[case] condition: &str, #[case] found: bool) {
        assert_eq!(rule("gitlab", &[condition]).has(Code::CallerChosen), found);
    }

    #[test]
    fn p0308_of_a_ref_on_github_is_vouched_for_by_an_environment() {
        let conditions = ["claims.repository_id == \"74\"", "claims.ref == \"refs/heads/main\""];
        assert!(rule("github", &conditions).has(Code::CallerChosen));
        let environment = "claims.?environment.orValue(\"\") == \"production\"";
        assert!(!rule("github", &[conditions[0], conditions[1], environment]).has(Code::CallerChosen));
    }
}
