//! Grants that call themselves protected.

use cel::common::ast::{Expr, operators};
use cel::parser::Expression;

use super::view::{Spot, View};
use crate::policy::code::Code;
use crate::policy::demand::{Demand, Reader};
use crate::policy::finding::Finding;
use crate::policy::guard::string;
use crate::policy::trace::Part;
use crate::trust::expression;

/// Words of a policy's name that promise something.
const WORDS: [&str; 3] = ["protected", "production", "prod"];
/// Most nodes of a grant's names that are looked at.
const NODES: u32 = 500;

/// P0309. A policy called `.../production` or `.../protected/...` promises that only what is deployed there reads it. A
/// rule that tests neither the environment nor the ref grants it to every branch of the project, whoever pushed it.
///
/// Wrong: `claims.project_id == "20"` with the grant `"shop/production"`.
/// Right: `claims.ref_protected == "true"` or `claims.environment_protected == "true"` beside it; or a `let` that computes
/// the word, `claims.ref_protected == "true" ? "protected" : "unprotected"`.
pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let Some((_, platform)) = view.platforms().find(|(_, platform)| !platform.authority().gates.is_empty()) else {
        return;
    };
    let gates = &platform.authority().gates;
    for item in &view.items {
        let is_gated = |under: &Demand| gates.iter().any(|gate| under.pins(gate));
        // What a gate guards as a whole keeps all that it promises.
        if is_gated(&item.whole) {
            continue;
        }
        let mut names = Names { view, is_gated: &is_gated, gated: 0, open: None, left: NODES };
        names.visit(item.policy, item.part);
        let Some(name) = names.open else { continue };
        let wanted: Vec<String> = gates.iter().take(2).map(|gate| format!("`{}`", expression(gate))).collect();
        let message =
            format!("this says `{}`, but no condition pins {}: every branch gets it", name.word, wanted.join(" or "));
        let help = format!("pin {} in a condition or in this entry's `when`", wanted.join(" or "));
        let spot = Spot::Node(name.part, name.node);
        findings.push(
            view.finding(Code::Unpinned, spot, message).labelled(format!("promises `{}`", name.word)).helped(help),
        );
    }
}

/// A word that promises something.
struct Promise {
    word: &'static str,
    node: u64,
    part: Part,
}

struct Names<'v, 'a> {
    view: &'v View<'a>,
    /// Whether a condition pins one of the gates.
    is_gated: &'v dyn Fn(&Demand) -> bool,
    /// How many of the conditions around this place do.
    gated: u32,
    /// The first promise with no gate around it.
    open: Option<Promise>,
    left: u32,
}

impl<'a> Names<'_, 'a> {
    fn visit(&mut self, node: &'a Expression, part: Part) {
        let Some(left) = self.left.checked_sub(1) else { return };
        self.left = left;
        if let Some(text) = string(node) {
            let mut words = text.split(|c: char| !c.is_alphanumeric());
            if self.gated == 0
                && self.open.is_none()
                && let Some(word) = words.find_map(|word| WORDS.into_iter().find(|known| *known == word))
            {
                self.open = Some(Promise { word, node: node.id, part });
            }
            return;
        }
        match &node.expr {
            Expr::Ident(name) => {
                let lets = self.view.lets;
                if let Some((at, (_, tree))) = (0_u16..).zip(lets).find(|(_, (known, _))| known == name) {
                    self.visit(tree, Part::Let(at));
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.visit(element, part)),
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::ADD, parts) => parts.iter().for_each(|operand| self.visit(operand, part)),
                (operators::CONDITIONAL, [condition, then, other]) => {
                    for (branch, holds) in [(then, true), (other, false)] {
                        let asked = Reader::new(self.view.lets).demand(condition, holds, part);
                        let gated = u32::from((self.is_gated)(&asked));
                        self.gated += gated;
                        self.visit(branch, part);
                        self.gated -= gated;
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rule;
    use crate::policy::Code;
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case::any_branch("claims.project_id == \"20\"", json!(["\"shop/production\""]), true)]
    #[case::no_promise("claims.project_id == \"20\"", json!(["\"shop/read\"", "\"shop/unprotected\"", "\"products\""]), false)]
    #[case::protected_ref("claims.ref_protected == \"true\"", json!(["\"shop/production\""]), false)]
    #[case::protected_environment("claims.?environment_protected.orValue(\"\") == \"true\"", json!(["\"shop/prod\""]), false)]
    #[case::in_its_when("claims.project_id == \"20\"", json!([{"when": "claims.ref_protected == \"true\"", "policy": "\"shop/protected\""}]), false)]
    #[case::when_of_something_else("claims.project_id == \"20\"", json!([{"when": "claims.ref_type == \"tag\"", "policy": "\"shop/protected\""}]), true)]
    #[case::computed("claims.project_id == \"20\"", json!(["\"shop/\" + (claims.ref_protected == \"true\" ? \"protected\" : \"unprotected\")"]), false)]
    #[case::computed_the_other_way("claims.project_id == \"20\"", json!(["\"shop/\" + (claims.ref_protected != \"true\" ? \"unprotected\" : \"protected\")"]), false)]
    #[case::computed_wrongly("claims.project_id == \"20\"", json!(["\"shop/\" + (claims.ref_protected != \"true\" ? \"protected\" : \"unprotected\")"]), true)]
    fn p0309_of_promises_that_nothing_keeps(#[case] condition: &str, #[case] policies: Value, #[case] found: bool) {
        assert_eq!(rule("gitlab", &[condition]).granting(policies).has(Code::Unpinned), found);
    }

    #[test]
    fn p0309_is_of_platforms_that_have_environments_or_refs() {
        let draft = rule("kubernetes", &["claims[\"kubernetes.io\"].namespace == \"a\""]);
        assert!(!draft.granting(json!(["\"a/production\""])).has(Code::Unpinned));
    }
}
