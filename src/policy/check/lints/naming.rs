//! Policy names with claims in them.

use cel::common::ast::{Expr, operators};
use cel::parser::Expression;

use super::view::{Item, Spot, View};
use crate::policy::code::Code;
use crate::policy::demand::{Scope, Test, mentions};
use crate::policy::finding::Finding;
use crate::policy::trace::Part;
use crate::trust::{ClaimKind, ClaimPath, ClaimType, expression};

/// Most nodes of a grant's names that are looked at.
const NODES: u32 = 500;

/// P0313. A claim's text in a policy's name chooses the policy: an environment called `x/../global` or `protected/global`
/// walks to another one, as far as the grammar of names lets it, and two environments that differ in a character that
/// names don't have are refused. Its hex is one segment, whatever it says.
///
/// Wrong: `"pipelines/env/" + claims.environment`.
/// Right: `"pipelines/env/" + hex(claims.environment)`, or a condition `claims.environment in ["staging", "production"]`.
pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    for item in &view.items {
        let mut names = Names { view, item, found: vec![], elements: vec![], left: NODES };
        names.visit(item.policy, item.part);
        for Found { text, what, part, node } in names.found {
            let message = format!("{what} chooses the policy: a `/` in it leads to another one");
            let help = format!("write `hex({text})`, or list the values that it may have in a condition");
            let finding = view.finding(Code::UnhexedName, Spot::Node(part, node), message);
            findings.push(finding.labelled("the text of a claim").helped(help));
        }
    }
}

/// A claim in a name.
struct Found {
    /// As the expression has it: the claim, or a variable for an element of it.
    text: String,
    /// What chooses.
    what: String,
    part: Part,
    node: u64,
}

struct Names<'v, 'a> {
    view: &'v View<'a>,
    item: &'v Item<'a>,
    found: Vec<Found>,
    /// The variables of comprehensions, with the claims whose elements they are.
    elements: Vec<(&'a str, Option<ClaimPath>)>,
    left: u32,
}

impl<'a> Names<'_, 'a> {
    /// Looks at what may become part of a name.
    fn visit(&mut self, node: &'a Expression, part: Part) {
        let Some(left) = self.left.checked_sub(1) else { return };
        self.left = left;
        match &node.expr {
            Expr::Ident(name) => {
                let element = self.elements.iter().rev().find(|(known, _)| known == name);
                if let Some((_, of)) = element {
                    if let Some(path) = of.clone().filter(|path| !self.is_harmless(path)) {
                        let what = format!("an element of `{}`", expression(&path));
                        self.found.push(Found { text: name.clone(), what, part, node: node.id });
                    }
                    return;
                }
                let lets = self.view.lets;
                if let Some((at, (_, tree))) = (0_u16..).zip(lets).find(|(_, (known, _))| known == name) {
                    self.visit(tree, Part::Let(at));
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.visit(element, part)),
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                ("hex" | "size" | "int" | "uint" | "double", _) => {}
                (operators::CONDITIONAL, [_, then, other]) => {
                    [then, other].into_iter().for_each(|one| self.visit(one, part))
                }
                (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, _) => self.claim(node, part),
                (_, args) => {
                    call.target.iter().for_each(|target| self.visit(target, part));
                    args.iter().for_each(|arg| self.visit(arg, part));
                }
            },
            Expr::Select(select) if !select.test => self.claim(node, part),
            // `list.map(x, "prefix/" + x)` and the like: what each step makes of an element.
            Expr::Comprehension(inner) => {
                let list = mentions(self.view.lets, &inner.iter_range);
                self.elements.push((&inner.iter_var, list.into_iter().next()));
                self.visit(&inner.loop_step, part);
                self.elements.pop();
            }
            _ => {}
        }
    }

    fn claim(&mut self, node: &Expression, part: Part) {
        let [path] = mentions(self.view.lets, node).try_into().unwrap_or_else(|_| [ClaimPath::top("")]);
        if !self.is_harmless(&path) {
            let text = expression(&path);
            self.found.push(Found { what: format!("`{text}`"), text, part, node: node.id });
        }
    }

    /// An id, one of few values, or what a condition restricts to a list or to a whole pattern.
    fn is_harmless(&self, path: &ClaimPath) -> bool {
        let mut documented = self.view.documented(path).peekable();
        let known = documented.peek().is_some();
        let safe = known
            && documented.all(|(_, known)| {
                let few = known.kind() == ClaimKind::PlatformSet && !known.values().is_empty();
                known.kind() == ClaimKind::ImmutableId || few || *known.ty() == ClaimType::Int
            });
        safe || self.item.whole.has_atom(&mut |atom| {
            let whole = matches!(atom.test, Test::Among(_) | Test::Pattern(..));
            atom.is_about(path) && atom.pins() && whole && atom.scope == Scope::Value
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rule;
    use crate::policy::Code;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::text("claims.ref", true)]
    #[case::part_of_it("claims.ref.lowerAscii()", true)]
    #[case::hexed("hex(claims.ref)", false)]
    #[case::hexed_in_part("hex(claims.ref) + claims.sub", true)]
    #[case::id("claims.project_id", false)]
    #[case::one_of_few("claims.ref_type", false)]
    #[case::optional("claims.?environment.orValue(\"none\")", true)]
    #[case::elements("claims.?groups_direct.orValue([]).map(g, g).join(\"-\")", true)]
    #[case::hexed_elements("claims.?groups_direct.orValue([]).map(g, hex(g)).join(\"-\")", false)]
    #[case::ids_of_a_list("claims.?project_group_ids.orValue([]).map(g, g).join(\"-\")", false)]
    #[case::literal("(claims.ref == \"main\" ? \"a\" : \"b\")", false)]
    fn p0313_of_the_text_of_claims(#[case] name: &str, #[case] found: bool) {
        let policy = format!("\"p/\" + {name}");
        assert_eq!(
            rule("gitlab", &["claims.project_id == \"20\""]).granting(json!([policy])).has(Code::UnhexedName),
            found
        );
        let behind =
            rule("gitlab", &["claims.project_id == \"20\""]).letting("v", name).granting(json!(["\"p/\" + v"]));
        assert_eq!(behind.has(Code::UnhexedName), found);
    }

    #[rstest]
    #[case::listed("claims.ref in [\"main\", \"next\"]", false)]
    #[case::whole_pattern("claims.ref.fullMatch(\"v[0-9]+\")", false)]
    #[case::prefix("claims.ref.startsWith(\"v\")", true)]
    #[case::not_that("claims.ref != \"x\"", true)]
    fn p0313_is_silent_where_a_condition_lists_the_values(#[case] condition: &str, #[case] found: bool) {
        assert_eq!(rule("gitlab", &[condition]).granting(json!(["\"p/\" + claims.ref"])).has(Code::UnhexedName), found);
    }
}
