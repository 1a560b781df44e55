//! A decision step by step: every rule that was tried, every condition, and the values that it rested on.
//!
//! Decides what of an evaluation is worth a line. Refuses to decide anything else: outcome and trace are those of
//! [`PolicySet::evaluate`]. For an operator who has the claims in hand; it holds their values, but for those that the
//! platform's schema calls secret. Bounded: at most [`NOTES`] lines for one expression.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use cel::common::ast::{Expr, operators};
use serde_json::{Map, Value};

use super::document::Place;
use super::evaluate::Evaluation;
use super::fault::Fault;
use super::language::TYPES;
use super::observe::{Look, Observed, ObservedRule, Outcome};
use super::rule::{Rule, Target};
use super::set::PolicySet;
use super::trace::{End, Part};
use super::unparse;
use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::trust::ClaimSchema;

/// The most values that are noted for one expression.
pub const NOTES: usize = 32;

/// A decision with its steps.
#[derive(Debug)]
pub struct Steps {
    /// What was decided, exactly as the exchange would.
    pub evaluation: Evaluation,
    /// All rules of the target, in order.
    pub rules: Vec<RuleSteps>,
}

/// One rule.
#[derive(Debug)]
pub struct RuleSteps {
    /// Its name.
    pub name: Arc<str>,
    /// Where it stands.
    pub place: Place,
    /// Whether it is an OpenBao role: its conditions are questions, each with an answer.
    pub is_role: bool,
    /// What became of it.
    pub fate: Fate,
    /// Its expressions, in the order in which they were evaluated.
    pub steps: Vec<Step>,
}

/// What became of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was tried, and ended so.
    Tried(End),
    /// It is for other issuers.
    OtherIssuer,
    /// A rule before it decided.
    NotReached,
}

/// One expression.
#[derive(Debug)]
pub struct Step {
    /// Which one.
    pub part: Part,
    /// The name of the variable or metadata entry.
    pub name: Option<Arc<str>>,
    /// Its text.
    pub source: Box<str>,
    /// Where it stands.
    pub place: Place,
    /// What the operator reads where a condition does not hold.
    pub message: Option<Arc<str>>,
    /// What it came to.
    pub seen: Seen,
    /// What its parts came to, in the order of their evaluation.
    pub notes: Vec<Note>,
}

/// What an expression came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A value, as CEL writes it.
    Value(Box<str>),
    /// An error.
    Fault(Fault),
}

/// What a part of an expression came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How deep it stands below the expression, from 0.
    pub depth: usize,
    /// Its text.
    pub text: String,
    /// What it came to; nothing for a line that only tells how many were left out.
    pub seen: Option<Seen>,
}

impl PolicySet {
    /// What `target` says to these claims, step by step. Proves nothing about them. Values of claims that `schema` calls
    /// secret are not in it.
    #[must_use]
    pub fn steps(
        &self,
        issuer: &IssuerName,
        claims: &Map<String, Value>,
        target: &Target,
        now: Timestamp,
        schema: Option<&ClaimSchema>,
    ) -> Steps {
        let hidden = |name: &str| {
            schema.is_some_and(|schema| if name.is_empty() { schema.hides_any() } else { schema.hides(name) })
        };
        let look = Look { language: &self.language, target, issuer, claims, now, values: true, hidden: &hidden };
        let (evaluation, observed) = look.take();
        let mut observed = observed.into_iter().peekable();
        let concerned: HashSet<&str> = target.rules_of(issuer).map(Rule::name).collect();
        let rules = target.rules.iter().map(|rule| {
            let seen = observed.next_if(|seen| seen.rule.name == rule.name);
            let fate = match &seen {
                Some(seen) => Fate::Tried(seen.end),
                None if concerned.contains(rule.name()) => Fate::NotReached,
                None => Fate::OtherIssuer,
            };
            RuleSteps {
                is_role: rule.program.is_some(),
                name: Arc::clone(&rule.name),
                place: rule.place,
                fate,
                steps: seen.map(steps).unwrap_or_default(),
            }
        });
        let rules = rules.collect();
        Steps { evaluation, rules }
    }
}

fn steps(observed: ObservedRule<'_>) -> Vec<Step> {
    let rule = observed.rule;
    let step = |(part, seen): &(Part, Observed<'_>)| {
        let index = |index: &u16| usize::from(*index);
        let (name, message) = match part {
            Part::Let(at) => (rule.lets.get(index(at)).map(|variable| Arc::clone(&variable.name)), None),
            Part::Condition(at) => (None, rule.require.get(index(at)).map(|condition| Arc::clone(&condition.message))),
            Part::Metadata(at) => (rule.metadata.get(index(at)).map(|(name, _)| Arc::clone(name)), None),
            Part::When(_) | Part::Policy(_) | Part::Answer(_) | Part::Grant => (None, None),
        };
        let mut notes = Notes::default();
        notes.parts(seen, 0);
        Step {
            part: *part,
            name,
            source: rule.source_of(*part).unwrap_or_default().into(),
            place: rule.place_of(*part).unwrap_or(rule.place),
            message,
            seen: Seen::of(&seen.outcome),
            notes: notes.finish(),
        }
    };
    observed.parts.iter().map(step).collect()
}

impl Seen {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Value { shown, .. } => Self::Value(shown.clone()),
            Outcome::Fault(fault) => Self::Fault(fault.clone()),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(text) => f.write_str(text),
            Self::Fault(fault) => write!(f, "error: {fault}"),
        }
    }
}

/// The lines of one expression.
#[derive(Default)]
struct Notes {
    notes: Vec<Note>,
    known: HashSet<(String, String)>,
    left_out: usize,
}

impl Notes {
    fn add(&mut self, depth: usize, text: String, seen: Option<Seen>) {
        let value = seen.as_ref().map(ToString::to_string).unwrap_or_default();
        if !self.known.insert((text.clone(), value)) {
            return;
        }
        if self.notes.len() == NOTES {
            self.left_out += 1;
        } else {
            self.notes.push(Note { depth, text, seen });
        }
    }

    /// The parts of an expression, without itself.
    fn parts(&mut self, of: &Observed<'_>, depth: usize) {
        let chained = |inner: &Observed<'_>| match (&of.node.expr, &inner.node.expr) {
            (Expr::Call(outer), Expr::Call(inner)) => {
                let chains = [operators::LOGICAL_AND, operators::LOGICAL_OR, operators::ADD];
                outer.func_name == inner.func_name && chains.contains(&outer.func_name.as_str())
            }
            _ => false,
        };
        for part in &of.parts {
            if chained(part) {
                self.parts(part, depth);
            } else {
                self.one(part, depth);
            }
        }
        self.rounds(of, depth);
    }

    fn one(&mut self, seen: &Observed<'_>, depth: usize) {
        match &seen.node.expr {
            Expr::Literal(_) => {}
            Expr::Ident(name) if TYPES.contains(&name.as_str()) || is_pattern(name) => {}
            Expr::List(_) | Expr::Map(_) => self.parts(seen, depth),
            Expr::Call(call) if call.func_name == operators::LOGICAL_NOT => self.parts(seen, depth),
            Expr::Select(_) if matches!(seen.outcome, Outcome::Value { .. }) => self.line(seen, depth),
            _ => {
                self.line(seen, depth);
                self.parts(seen, depth + 1);
            }
        }
    }

    fn line(&mut self, seen: &Observed<'_>, depth: usize) {
        self.add(depth, unparse::text(seen.node), Some(Seen::of(&seen.outcome)));
    }

    fn rounds(&mut self, of: &Observed<'_>, depth: usize) {
        let Expr::Comprehension(inner) = &of.node.expr else { return };
        for round in &of.rounds {
            let text = format!("with {} = {}", inner.iter_var, round.element);
            self.add(depth, text, round.parts.last().map(|last| Seen::of(&last.outcome)));
            // The element itself stands in that line.
            self.known.insert((inner.iter_var.clone(), round.element.to_string()));
            round.parts.iter().for_each(|part| self.parts(part, depth + 1));
        }
        let more = of.asked.saturating_sub(of.rounds.len());
        if more > 0 && of.rounds.iter().all(|round| !round.decided) {
            self.add(depth, format!("… and {more} more"), None);
        }
    }

    fn finish(mut self) -> Vec<Note> {
        if self.left_out > 0 {
            self.notes.push(Note { depth: 0, text: format!("… and {} more values", self.left_out), seen: None });
        }
        self.notes
    }
}

/// A precompiled pattern, whose text stands in the call already.
fn is_pattern(name: &str) -> bool {
    name.starts_with('@') && unparse::claim_of(name).is_none()
}

#[cfg(test)]
mod tests;
