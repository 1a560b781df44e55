//! What the cases of a policy file have shown of its rules, and what no case has.
//!
//! Decides what there is to show: that a rule grants; that each condition holds and that it does not; that each branch of
//! a ternary is taken; that each operand of `&&` and `||` decides once; that an entry of a grant with `when` is given and
//! left out. An expression that failed has shown nothing. Refuses to know whether a case came out as it says.

mod narrow;

use std::collections::HashMap;
use std::sync::Arc;

use cel::common::ast::{Expr, operators};
use cel::parser::Expression;

use self::narrow::Narrow;
use super::comprehension::{Bound, Macro};
use super::document::Place;
use super::language::Language;
use super::observe::{Look, Observed, ObservedRule, children};
use super::rehearsal::RehearsedCase;
use super::rule::{Clause, Rule, Target};
use super::trace::{End, Part};
use super::unparse;

/// What the cases of one file have shown.
#[derive(Clone, Debug)]
pub struct FileCoverage {
    /// The file, relative to the policy directory.
    pub file: Arc<str>,
    /// All that there is to show, in the order of the file.
    pub goals: Vec<Goal>,
}

/// One thing that a case can show.
#[derive(Clone, Debug)]
pub struct Goal {
    /// The rule.
    pub rule: Arc<str>,
    /// The expression; nothing where it is about the whole rule.
    pub part: Option<Part>,
    /// Where that stands: the branch or the operand itself, where the file shows it.
    pub place: Place,
    /// What there is to show.
    pub want: Want,
    /// The text that it is about.
    pub text: String,
    /// Whether a case has shown it.
    pub met: bool,
}

/// What there is to show of a rule, an expression, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// The rule grants.
    Grants,
    /// The condition holds.
    Holds,
    /// The condition does not hold.
    Fails,
    /// The branch of a ternary is taken.
    Branch,
    /// The operand decides its `||` by being true, or its `&&` by being false.
    Decides(bool),
    /// The entry of the grant is given.
    Given,
    /// The entry of the grant is left out.
    LeftOut,
}

impl Want {
    /// What is missing where no case has shown it.
    #[must_use]
    pub const fn missing(self) -> &'static str {
        match self {
            Self::Grants => "never grants",
            Self::Holds => "never true",
            Self::Fails => "never false",
            Self::Branch => "branch never taken",
            Self::Decides(true) => "never decides the `||` by being true",
            Self::Decides(false) => "never decides the `&&` by being false",
            Self::Given => "never given",
            Self::LeftOut => "never left out",
        }
    }

    /// The same as a stable word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Grants => "grants",
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Branch => "branch",
            Self::Decides(true) => "decides_or",
            Self::Decides(false) => "decides_and",
            Self::Given => "given",
            Self::LeftOut => "left_out",
        }
    }
}

impl FileCoverage {
    /// What `cases` show of `target`, which was read from `text`.
    pub(super) fn of(target: &Target, text: &str, cases: &[RehearsedCase], language: &Language) -> Self {
        let mut tally = Tally::new(target, text);
        for case in cases {
            let RehearsedCase { issuer, claims, at: now, .. } = case;
            let look = Look { language, target, issuer, claims, now: *now, values: false, hidden: &|_| false };
            tally.add(&look.take().1);
        }
        tally.finish()
    }

    /// How many goals were met, and how many there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.goals.iter().filter(|goal| goal.met).count(), self.goals.len())
    }

    /// What no case has shown.
    pub fn missing(&self) -> impl Iterator<Item = &Goal> {
        self.goals.iter().filter(|goal| !goal.met)
    }
}

/// A node of a rule's expression. By its address: the tree stands still while it is watched, and ids are not unique.
type Key = (u16, Option<Part>, usize, Want);

/// The goals of one target while its cases run.
struct Tally<'t> {
    target: &'t Target,
    text: &'t str,
    goals: Vec<Goal>,
    index: HashMap<Key, usize>,
}

impl<'t> Tally<'t> {
    fn new(target: &'t Target, text: &'t str) -> Self {
        let mut tally = Self { target, text, goals: vec![], index: HashMap::new() };
        for (at, rule) in (0_u16..).zip(&target.rules) {
            tally.rule(at, rule);
        }
        tally
    }

    /// Adds what was seen of one case.
    fn add(&mut self, rules: &[ObservedRule<'t>]) {
        for observed in rules {
            let found = (0_u16..).zip(&self.target.rules).find(|(_, rule)| rule.name == observed.rule.name);
            let Some((at, _)) = found else { continue };
            if observed.end == End::Granted {
                self.met((at, None, 0, Want::Grants));
            }
            for (part, seen) in &observed.parts {
                let node = address(seen.node);
                let wants = match part {
                    Part::Condition(_) => Some((Want::Holds, Want::Fails)),
                    Part::When(_) => Some((Want::Given, Want::LeftOut)),
                    Part::Let(_) | Part::Policy(_) | Part::Metadata(_) | Part::Answer(_) | Part::Grant => None,
                };
                if let (Some((yes, no)), Some(truth)) = (wants, seen.outcome.truth()) {
                    self.met((at, Some(*part), node, if truth { yes } else { no }));
                }
                self.seen(at, *part, seen);
            }
        }
    }

    /// The goals, with what was met.
    fn finish(self) -> FileCoverage {
        FileCoverage { file: Arc::clone(&self.target.file), goals: self.goals }
    }

    fn met(&mut self, key: Key) {
        if let Some(goal) = self.index.get(&key).and_then(|index| self.goals.get_mut(*index)) {
            goal.met = true;
        }
    }

    fn seen(&mut self, at: u16, part: Part, seen: &Observed<'_>) {
        if let Expr::Call(call) = &seen.node.expr {
            match call.func_name.as_str() {
                operators::CONDITIONAL => {
                    if let Some(branch) = seen.parts.get(1) {
                        self.met((at, Some(part), address(branch.node), Want::Branch));
                    }
                }
                name @ (operators::LOGICAL_OR | operators::LOGICAL_AND) => {
                    let decisive = name == operators::LOGICAL_OR;
                    for operand in seen.parts.iter().filter(|one| one.outcome.truth() == Some(decisive)) {
                        self.met((at, Some(part), address(operand.node), Want::Decides(decisive)));
                    }
                }
                _ => {}
            }
        }
        seen.parts.iter().for_each(|inner| self.seen(at, part, inner));
        seen.rounds.iter().flat_map(|round| &round.parts).for_each(|inner| self.seen(at, part, inner));
    }

    fn rule(&mut self, at: u16, rule: &Rule) {
        self.goal(at, rule, None, Want::Grants, None);
        for (index, variable) in (0_u16..).zip(&rule.lets) {
            self.parts(at, rule, Part::Let(index), &variable.clause);
        }
        if let Some(program) = &rule.program {
            for (index, question) in (0_u16..).zip(&program.questions) {
                let part = Part::Condition(index);
                self.goal(at, rule, Some(part), Want::Holds, Some(question.condition.tree()));
                self.goal(at, rule, Some(part), Want::Fails, Some(question.condition.tree()));
                self.parts(at, rule, part, &question.condition);
                self.parts(at, rule, Part::Answer(index), &question.answer);
            }
            let last = Part::Answer(u16::try_from(program.questions.len()).unwrap_or(u16::MAX));
            self.parts(at, rule, last, &program.last);
        }
        for (index, condition) in (0_u16..).zip(&rule.require) {
            let part = Part::Condition(index);
            self.goal(at, rule, Some(part), Want::Holds, Some(condition.that.tree()));
            self.goal(at, rule, Some(part), Want::Fails, Some(condition.that.tree()));
            self.parts(at, rule, part, &condition.that);
        }
        for (index, item) in (0_u16..).zip(&rule.policies) {
            if let Some(when) = &item.when {
                self.goal(at, rule, Some(Part::When(index)), Want::Given, Some(when.tree()));
                self.goal(at, rule, Some(Part::When(index)), Want::LeftOut, Some(when.tree()));
                self.parts(at, rule, Part::When(index), when);
            }
            self.parts(at, rule, Part::Policy(index), &item.policy);
        }
        for (index, (_, clause)) in (0_u16..).zip(&rule.metadata) {
            self.parts(at, rule, Part::Metadata(index), clause);
        }
    }

    fn parts(&mut self, at: u16, rule: &Rule, part: Part, clause: &Clause) {
        let mut wants = vec![];
        collect(clause.tree(), &mut wants);
        if wants.is_empty() {
            return;
        }
        let narrow = Narrow::of(self.text, clause);
        for (node, want) in wants {
            self.goal(at, rule, Some(part), want, Some(node));
            if let Some(goal) = self.goals.last_mut() {
                goal.place = narrow.place(node);
            }
        }
    }

    fn goal(&mut self, at: u16, rule: &Rule, part: Option<Part>, want: Want, node: Option<&Expression>) {
        let place = part.and_then(|part| rule.place_of(part)).unwrap_or(rule.place);
        let text = node.map(unparse::text).unwrap_or_default();
        let key = (at, part, node.map_or(0, address), want);
        self.index.insert(key, self.goals.len());
        self.goals.push(Goal { rule: Arc::clone(&rule.name), part, place, want, text, met: false });
    }
}

/// Branches and operands in `node`, from the left. Recursion is bounded by the depth of a tree.
fn collect<'e>(node: &'e Expression, wants: &mut Vec<(&'e Expression, Want)>) {
    if let Expr::Call(call) = &node.expr {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [_, yes, no]) => wants.extend([(yes, Want::Branch), (no, Want::Branch)]),
            (name @ (operators::LOGICAL_OR | operators::LOGICAL_AND), [left, right]) => {
                let chains =
                    |operand: &Expression| matches!(&operand.expr, Expr::Call(inner) if inner.func_name == name);
                let want = Want::Decides(name == operators::LOGICAL_OR);
                for operand in [left, right] {
                    if !chains(operand) {
                        wants.push((operand, want));
                    }
                    collect(operand, wants);
                }
                return;
            }
            _ => {}
        }
    }
    match &node.expr {
        // These have branches that nobody wrote.
        Expr::Comprehension(inner) if let Some(bound) = Bound::of(inner) => {
            collect(bound.value, wants);
            let within = bound.chosen().map_or_else(|| vec![bound.within], Vec::from);
            within.into_iter().for_each(|node| collect(node, wants));
        }
        Expr::Comprehension(inner) if Macro::of(inner).is_none() => collect(&inner.iter_range, wants),
        _ => children(node).into_iter().for_each(|child| collect(child, wants)),
    }
}

fn address(node: &Expression) -> usize {
    std::ptr::from_ref(node).addr()
}

#[cfg(test)]
mod tests;
