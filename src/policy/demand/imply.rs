//! Whether one demand implies another, and whether one can be met at all.
//!
//! Decides only what it can prove: "no" also means "not seen". Both are bounded by a number of steps.

use super::{Absent, Atom, Demand, Literal, Scope, Test};

/// Most steps of one question.
const STEPS: u32 = 5_000;

/// Whether what meets `premise` meets `conclusion` too, or makes it an error.
pub(in crate::policy) fn implies(premise: &Demand, conclusion: &Demand) -> bool {
    let mut steps = STEPS;
    follows(premise, conclusion, &mut steps)
}

/// Whether nothing can meet it.
pub(in crate::policy) fn is_impossible(demand: &Demand) -> bool {
    let mut steps = STEPS;
    contradicts(demand, &mut vec![], &mut steps)
}

fn follows(premise: &Demand, conclusion: &Demand, steps: &mut u32) -> bool {
    let Some(left) = steps.checked_sub(1) else { return false };
    *steps = left;
    match (premise, conclusion) {
        (Demand::Never, _) | (_, Demand::Always) => true,
        (_, Demand::Never) => false,
        (_, Demand::All(parts)) => parts.iter().all(|part| follows(premise, part, steps)),
        (Demand::Any(parts), _) => parts.iter().all(|part| follows(part, conclusion, steps)),
        (Demand::All(parts), Demand::Any(alternatives)) => {
            alternatives.iter().any(|one| follows(premise, one, steps))
                || parts.iter().any(|part| follows(part, conclusion, steps))
        }
        (_, Demand::Any(alternatives)) => alternatives.iter().any(|one| follows(premise, one, steps)),
        (Demand::All(parts), _) => parts.iter().any(|part| follows(part, conclusion, steps)),
        (Demand::Atom(premise), Demand::Atom(conclusion)) => atom_follows(premise, conclusion),
        (Demand::Opaque(premise), Demand::Opaque(conclusion)) => {
            premise.key == conclusion.key && premise.holds == conclusion.holds
        }
        _ => false,
    }
}

fn atom_follows(premise: &Atom, conclusion: &Atom) -> bool {
    match (&conclusion.test, conclusion.holds) {
        (Test::Present, true) => {
            let within = match (premise.claim(), conclusion.claim()) {
                (Some(inner), Some(outer)) => inner.is_within(outer),
                _ => premise.of == conclusion.of,
            };
            return within && premise.needs_presence();
        }
        (Test::NonEmpty, true) if premise.of == conclusion.of && premise.scope == Scope::Some => return true,
        _ => {}
    }
    if !premise.same_subject(conclusion) || (premise.absent == Absent::Meets && conclusion.absent == Absent::Fails) {
        return false;
    }
    if premise.test == conclusion.test && premise.holds == conclusion.holds {
        return true;
    }
    match (&premise.test, &conclusion.test) {
        (Test::Among(values), _) if premise.holds => values.iter().all(|value| conclusion.admits(value) == Some(true)),
        // What is none of many is none of few.
        (_, Test::Among(values)) if !conclusion.holds => {
            values.iter().all(|value| premise.admits(value) == Some(false))
        }
        (Test::Prefix(long), Test::Prefix(short)) => {
            premise.holds && conclusion.holds && long.starts_with(short.as_str())
        }
        _ => false,
    }
}

/// Whether `demand` can't be met beside `known`, which stays as it was.
fn contradicts<'d>(demand: &'d Demand, known: &mut Vec<&'d Demand>, steps: &mut u32) -> bool {
    let before = known.len();
    let parts = match demand {
        Demand::Always => return false,
        Demand::Never => return true,
        Demand::All(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut found = false;
    for part in parts.iter().filter(|part| matches!(part, Demand::Atom(_) | Demand::Opaque(_))) {
        *steps = steps.saturating_sub(u32::try_from(known.len()).unwrap_or(u32::MAX));
        if *steps == 0 {
            break;
        }
        found = found || known.iter().any(|other| excludes(other, part)) || is_never(part);
        known.push(part);
    }
    for part in parts {
        if found || *steps == 0 {
            break;
        }
        found = match part {
            Demand::Any(alternatives) => alternatives.iter().all(|one| contradicts(one, known, steps)),
            Demand::All(_) => contradicts(part, known, steps),
            Demand::Never => true,
            _ => false,
        };
    }
    known.truncate(before);
    found
}

fn is_never(part: &Demand) -> bool {
    matches!(part, Demand::Atom(Atom { test: Test::Among(values), holds: true, scope, .. })
        if values.is_empty() && *scope != Scope::Every)
}

/// Whether both can't hold.
fn excludes(one: &Demand, other: &Demand) -> bool {
    let (one, other) = match (one, other) {
        (Demand::Atom(one), Demand::Atom(other)) => (one, other),
        (Demand::Opaque(one), Demand::Opaque(other)) => return one.key == other.key && one.holds != other.holds,
        _ => return false,
    };
    absent_but_needed(one, other) || absent_but_needed(other, one) || never_both(one, other) || never_both(other, one)
}

fn absent_but_needed(absent: &Atom, needed: &Atom) -> bool {
    absent.test == Test::Present && !absent.holds && absent.of == needed.of && needed.needs_presence()
}

/// `one` has values, of which `other` admits none.
fn never_both(one: &Atom, other: &Atom) -> bool {
    let comparable = one.of == other.of
        && one.via == other.via
        && matches!((one.scope, other.scope), (Scope::Value, Scope::Value) | (Scope::Some, Scope::Every));
    if !comparable || (one.absent == Absent::Meets && other.absent == Absent::Meets) {
        return false;
    }
    match (&one.test, &other.test) {
        (_, Test::Present) => false,
        (Test::Among(values), _) if one.holds => {
            values.iter().all(|value: &Literal| other.admits(value) == Some(false))
        }
        (Test::Prefix(a), Test::Prefix(b)) => {
            one.holds && other.holds && !a.starts_with(b.as_str()) && !b.starts_with(a.as_str())
        }
        (a, b) => a == b && one.holds != other.holds,
    }
}
