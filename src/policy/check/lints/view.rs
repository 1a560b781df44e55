//! A rule as the lints look at it: what its conditions demand, what is known of its issuers, and how a finding is made.

use std::sync::Arc;

use cel::parser::Expression;

use crate::identity::IssuerName;
use crate::policy::catalog::IssuerFacts;
use crate::policy::check::Subject;
use crate::policy::check::spans::{self, Spans};
use crate::policy::code::Code;
use crate::policy::demand::{Atom, Demand, Reader};
use crate::policy::document::{Place, PolicyItem, RuleDocument};
use crate::policy::finding::Finding;
use crate::policy::rule::Rule;
use crate::policy::trace::Part;
use crate::trust::{Claim, ClaimPath, ClaimType, Lookup, Platform, Presence, expression};

/// The syntax trees of a rule, as the parser made them.
pub(super) struct Trees {
    lets: Vec<Arc<Expression>>,
    conditions: Vec<Arc<Expression>>,
    items: Vec<(Option<Arc<Expression>>, Arc<Expression>)>,
}

/// One rule.
pub(super) struct View<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) rule: &'a Rule,
    pub(super) document: &'a RuleDocument,
    /// Its `let` variables.
    pub(super) lets: &'a [(&'a str, &'a Expression)],
    /// What all its conditions demand together.
    pub(super) require: Arc<Demand>,
    /// What it grants.
    pub(super) items: Vec<Item<'a>>,
    /// The issuers whose tokens it judges.
    pub(super) issuers: Vec<(&'a IssuerName, &'a IssuerFacts)>,
}

/// One entry of `grant.policies`.
pub(super) struct Item<'a> {
    /// What its `when` demands; nothing where there is none.
    pub(super) when: Demand,
    /// What it takes to be granted: the rule's conditions and its `when`.
    pub(super) whole: Arc<Demand>,
    /// The policies' names.
    pub(super) policy: &'a Expression,
    pub(super) part: Part,
}

/// Where a finding points.
#[derive(Clone, Copy)]
pub(super) enum Spot {
    /// At the rule's name.
    Rule,
    /// At a node of one of its expressions.
    Node(Part, u64),
}

impl Trees {
    /// Of that rule; nothing where an expression does not parse, which has been reported then.
    pub(super) fn of(subject: &Subject<'_>, document: &RuleDocument) -> Option<Self> {
        let parse = |source: &str| subject.parses.of(source);
        let lets = document.lets.0.iter().map(|(_, source)| parse(&source.value)).collect::<Option<_>>()?;
        let conditions = document.require.iter().map(|one| parse(&one.that.value)).collect::<Option<_>>()?;
        let items = document.grant.policies.iter().map(|item| match &item.value {
            PolicyItem::Always(policy) | PolicyItem::Account { policy, .. } => Some((None, parse(policy)?)),
            PolicyItem::When { when, policy } => Some((Some(parse(&when.value)?), parse(&policy.value)?)),
        });
        let items = items.collect::<Option<_>>()?;
        Some(Self { lets, conditions, items })
    }

    /// The `let` variables by name.
    pub(super) fn lets<'t>(&'t self, document: &'t RuleDocument) -> Vec<(&'t str, &'t Expression)> {
        document.lets.0.iter().map(|(name, _)| name.value.as_str()).zip(self.lets.iter().map(AsRef::as_ref)).collect()
    }
}

impl<'a> View<'a> {
    pub(super) fn new(
        subject: &'a Subject<'a>,
        (rule, document): (&'a Rule, &'a RuleDocument),
        trees: &'a Trees,
        lets: &'a [(&'a str, &'a Expression)],
    ) -> Self {
        let mut reader = Reader::new(lets);
        let conditions = (0..).zip(&trees.conditions);
        let require = conditions.map(|(at, tree)| reader.demand(tree, true, Part::Condition(at)));
        let require = Arc::new(Demand::all(require.collect::<Vec<_>>()));
        let mut items = vec![];
        for (at, (when, policy)) in (0..).zip(&trees.items) {
            let when = when.as_ref().map_or(Demand::Always, |when| reader.demand(when, true, Part::When(at)));
            let whole = match when {
                Demand::Always => Arc::clone(&require),
                _ => Arc::new(Demand::all([Demand::clone(&require), when.clone()])),
            };
            items.push(Item { when, whole, policy, part: Part::Policy(at) });
        }
        let named = document.issuer.value.0.iter();
        let issuers = named.filter_map(|name| subject.catalog.find(name).map(|facts| (name, facts))).collect();
        Self { subject, rule, document, lets, require, items, issuers }
    }

    /// A finding about it.
    pub(super) fn finding(&self, code: Code, spot: Spot, message: impl Into<String>) -> Finding {
        let place = match spot {
            Spot::Rule => self.rule.place(),
            Spot::Node(part, node) => self.place(part, node),
        };
        Finding::new(code, self.subject.file, place, message).in_rule(self.rule.name())
    }

    /// Where a node stands: only findings ask, because it means to parse once more.
    fn place(&self, part: Part, node: u64) -> Place {
        let whole = || self.rule.place_of(part).unwrap_or_else(|| self.rule.place());
        let written = self.subject.expressions(self.document).into_iter().find(|written| written.part == part);
        let Some((written, tree)) = written.and_then(|written| Some((written, self.subject.parsed(&written)?))) else {
            return whole();
        };
        let Some(found) = spans::find(&tree, &|one| one.id == node) else { return whole() };
        self.subject.place(&written, Spans::of(written.source).node(found))
    }

    /// The platforms of its issuers, each once, where they are known.
    pub(super) fn platforms(&self) -> impl Iterator<Item = (&'a IssuerFacts, &'a Platform)> {
        let mut seen: Vec<(&str, bool)> = vec![];
        self.issuers.iter().filter_map(move |(_, facts)| {
            let platform = facts.platform.as_deref()?;
            let key = (platform.name(), platform.authority().is_shared(facts.url.as_deref()));
            if seen.contains(&key) {
                return None;
            }
            seen.push(key);
            Some((*facts, platform))
        })
    }

    /// What the issuers document about a claim, with what they are called; nothing for an issuer that does not.
    pub(super) fn documented(&self, path: &ClaimPath) -> impl Iterator<Item = (&'a str, &'a Claim)> {
        self.issuers.iter().filter_map(move |(name, facts)| match facts.schema.as_deref()?.lookup(path) {
            Lookup::Claim(claim) => {
                let title = facts.platform.as_deref().map_or(name.as_str(), Platform::name);
                Some((title, claim))
            }
            _ => None,
        })
    }

    /// The condition that a claim has that value, asked for first where the claim may be absent.
    pub(super) fn equals(&self, path: &ClaimPath, value: &str) -> String {
        let known = self.documented(path).next().map(|(_, known)| known);
        let is_list = known.is_some_and(|known| matches!(known.ty(), ClaimType::List(_)));
        let absent = known.is_some_and(|known| known.presence() != Presence::Required);
        let full = expression(path);
        let mut names = path.names();
        let asked = match (names.next(), names.next()) {
            (Some(name), None) if full.ends_with(']') => Some(format!("claims[?{name:?}]")),
            (Some(name), None) => Some(format!("claims.?{name}")),
            _ => None,
        };
        let or = if is_list { "[]" } else { "\"\"" };
        let read = asked.filter(|_| absent).map_or(full, |asked| format!("{asked}.orValue({or})"));
        if is_list { format!("{read}.exists(x, x == {value:?})") } else { format!("{read} == {value:?}") }
    }

    /// Looks at each test that lets somebody in, of the conditions and of each `when`, with all that holds beside it.
    pub(super) fn each(&self, mut look: impl FnMut(&Atom, &Beside<'_>)) {
        self.each_part(|part, beside| {
            if let Demand::Atom(atom) = part {
                look(atom, beside);
            }
        });
    }

    /// Looks so at what can't be read as well.
    pub(super) fn each_part(&self, mut look: impl FnMut(&Demand, &Beside<'_>)) {
        let mut beside = Beside(vec![]);
        beside.visit(&self.require, &mut look);
        for item in &self.items {
            let mut beside = Beside(vec![&self.require]);
            beside.visit(&item.when, &mut look);
        }
    }

    /// What it takes to be granted something: the conditions, and each `when` beside them.
    pub(super) fn ways(&self) -> impl Iterator<Item = &Demand> {
        let always = self.items.is_empty() || self.items.iter().any(|item| item.when == Demand::Always);
        let conditional = self.items.iter().filter(move |_| !always).map(|item| item.whole.as_ref());
        always.then_some(self.require.as_ref()).into_iter().chain(conditional)
    }
}

/// What holds wherever a test has to hold.
pub(super) struct Beside<'d>(Vec<&'d Demand>);

impl<'d> Beside<'d> {
    fn visit(&mut self, demand: &'d Demand, look: &mut impl FnMut(&Demand, &Beside<'_>)) {
        let before = self.0.len();
        match demand {
            Demand::All(parts) => {
                self.0.extend(parts);
                parts.iter().for_each(|part| self.visit(part, look));
            }
            Demand::Any(parts) => parts.iter().for_each(|part| self.visit(part, look)),
            Demand::Atom(_) | Demand::Opaque(_) => {
                self.0.push(demand);
                look(demand, self);
            }
            Demand::Always | Demand::Never => {}
        }
        self.0.truncate(before);
    }

    /// Whether a test as `accepts` says has to hold, too.
    pub(super) fn has(&self, mut accepts: impl FnMut(&Atom) -> bool) -> bool {
        self.0.iter().any(|demand| demand.has_atom(&mut accepts))
    }

    /// Whether that claim is restricted, too.
    pub(super) fn pins(&self, path: &ClaimPath) -> bool {
        self.0.iter().any(|demand| demand.pins(path))
    }
}
