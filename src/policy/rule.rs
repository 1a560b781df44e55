//! A target and its rules, compiled.
//!
//! Decides which rules concern an issuer. Refuses to know how they are evaluated, and keeps no more of the file than
//! evaluation and its explanation need: ten thousand of these stay in memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cel::parser::Expression;

use super::compile::{Claims, Program};
use super::document::Place;
use super::observe::claims_in;
use super::pattern::Pattern;
use super::role::{Program as RoleProgram, RolePath};
use super::trace::Part;
use crate::identity::{AccountName, IssuerName, Namespace, PolicyName, TargetName};
use crate::jose::Sha256;

/// What a token can be asked for, with the rules that decide it.
#[derive(Debug)]
pub struct Target {
    pub(super) name: TargetName,
    pub(super) aliases: Box<[Box<str>]>,
    pub(super) namespace: Option<Namespace>,
    pub(super) description: Option<Box<str>>,
    pub(super) file: Arc<str>,
    pub(super) rules: Box<[Rule]>,
    /// The rules of each issuer, in order, by the issuer's name.
    pub(super) by_issuer: Box<[(IssuerName, Box<[u16]>)]>,
    pub(super) scopes: Box<[Arc<str>]>,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    pub(super) name: Arc<str>,
    pub(super) place: Place,
    pub(super) lets: Box<[Let]>,
    pub(super) require: Box<[Condition]>,
    pub(super) policies: Box<[Item]>,
    pub(super) metadata: Box<[(Arc<str>, Clause)]>,
    pub(super) terms: Option<Box<Terms>>,
    /// The claims that its expressions mention.
    pub(super) claims: Claims,
    /// Its patterns, by the names of their variables.
    pub(super) patterns: Box<[Pattern]>,
    pub(super) digest: Sha256,
    pub(super) steps: u64,
    /// What decides instead of conditions and a grant, where the rule is an OpenBao role.
    pub(super) program: Option<Box<RoleProgram>>,
}

/// What else a rule grants; most grant only policies.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) ttl: Option<Duration>,
    pub(super) outlive_subject: bool,
    pub(super) revocable: bool,
    pub(super) scopes: Arc<[Arc<str>]>,
}

/// A compiled expression where it stands.
#[derive(Debug)]
pub(super) struct Clause {
    pub(super) code: Arc<Program>,
    /// The `let` variables that it needs, those that these need included: one bit each.
    pub(super) lets: u32,
    pub(super) place: Place,
}

/// A variable.
#[derive(Debug)]
pub(super) struct Let {
    pub(super) name: Arc<str>,
    pub(super) clause: Clause,
}

/// A condition.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) that: Clause,
    pub(super) message: Arc<str>,
}

/// An entry of `grant.policies`.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) when: Option<Clause>,
    pub(super) policy: Clause,
    /// The policy of a service account: no expression can name it.
    pub(super) account: Option<PolicyName>,
}

impl Target {
    /// The name that asks for it.
    #[must_use]
    pub fn name(&self) -> &TargetName {
        &self.name
    }

    /// Other values of `audience` and `resource` that ask for it.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().map(AsRef::as_ref)
    }

    /// Where its secrets live.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// For people.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The file that defines it, relative to the policy directory.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Every scope word that some rule grants, each once, in order: the target's vocabulary.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(AsRef::as_ref)
    }

    /// The issuers whose tokens some rule judges.
    pub fn issuers(&self) -> impl Iterator<Item = &IssuerName> {
        self.by_issuer.iter().map(|(issuer, _)| issuer)
    }

    /// The role's place in OpenBao's API, where the target is a role.
    #[must_use]
    pub fn role(&self) -> Option<&RolePath> {
        self.rules.first().and_then(|rule| rule.program.as_deref()).map(|program| &program.path)
    }

    /// The rules for that issuer's tokens, in order.
    pub(super) fn rules_of<'t>(&'t self, issuer: &IssuerName) -> impl Iterator<Item = &'t Rule> {
        let at = self.by_issuer.binary_search_by(|(name, _)| name.cmp(issuer));
        let indices: &[u16] = at.ok().and_then(|at| self.by_issuer.get(at)).map_or(&[], |(_, indices)| indices);
        indices.iter().filter_map(|index| self.rules.get(usize::from(*index)))
    }
}

impl Rule {
    /// Its name, unique in the target.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands in its file.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// The digest of what it says, its target and its namespace. Messages and layout don't count.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// The most steps that it can take, whatever the claims.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The service account that it lets the caller act as.
    #[must_use]
    pub fn service_account(&self) -> Option<AccountName> {
        self.policies.iter().find_map(|item| item.account.as_ref()?.account())
    }

    /// The claims that it mentions by name.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.claims.iter().map(|(_, claim)| claim.as_ref())
    }
}

impl Rule {
    /// The text of one of its expressions.
    #[must_use]
    pub fn source_of(&self, part: Part) -> Option<&str> {
        self.clause(part).map(|clause| clause.code.source())
    }

    /// Where one of its expressions stands in its file.
    #[must_use]
    pub fn place_of(&self, part: Part) -> Option<Place> {
        self.clause(part).map(|clause| clause.place)
    }

    /// How many questions the program of a role asks, each a [`Part::Condition`] with its [`Part::Answer`]; the last answer
    /// stands after them. None where the rule is no role.
    #[must_use]
    pub fn questions(&self) -> Option<usize> {
        self.program.as_ref().map(|program| program.questions.len())
    }

    /// What the operator reads where a condition does not hold.
    #[must_use]
    pub fn message_of(&self, part: Part) -> Option<&str> {
        match part {
            Part::Condition(index) => self.require.get(usize::from(index)).map(|condition| condition.message.as_ref()),
            _ => None,
        }
    }

    /// The claims that one of its expressions mentions by name, those of its `let` variables included.
    #[must_use]
    pub fn claims_of(&self, part: Part) -> BTreeSet<&str> {
        let Some(clause) = self.clause(part) else { return BTreeSet::new() };
        // From the last: a variable sees only those before it.
        let needed = self.lets.iter().rev().fold(vec![clause], |mut needed, variable| {
            if needed.iter().any(|one| one.code.mentions(&variable.name)) {
                needed.push(&variable.clause);
            }
            needed
        });
        needed.into_iter().flat_map(|clause| claims_in(clause.tree())).collect()
    }

    /// Whether one of its expressions mentions that variable.
    pub(super) fn mentions(&self, part: Part, variable: &str) -> bool {
        self.clause(part).is_some_and(|clause| clause.code.mentions(variable))
    }

    fn clause(&self, part: Part) -> Option<&Clause> {
        let at = usize::from;
        if let Some(program) = &self.program {
            return match part {
                Part::Let(index) => self.lets.get(at(index)).map(|variable| &variable.clause),
                Part::Condition(index) => program.questions.get(at(index)).map(|question| &question.condition),
                Part::Answer(index) => program.answer(index),
                _ => None,
            };
        }
        match part {
            Part::Let(index) => self.lets.get(at(index)).map(|variable| &variable.clause),
            Part::Condition(index) => self.require.get(at(index)).map(|condition| &condition.that),
            Part::When(index) => self.policies.get(at(index)).and_then(|item| item.when.as_ref()),
            Part::Policy(index) => self.policies.get(at(index)).map(|item| &item.policy),
            Part::Metadata(index) => self.metadata.get(at(index)).map(|(_, clause)| clause),
            Part::Answer(_) | Part::Grant => None,
        }
    }
}

impl Clause {
    pub(super) fn tree(&self) -> &Expression {
        self.code.tree()
    }
}
