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
        Some(voucher) => format!("add `{voucher}` beside it"),
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
