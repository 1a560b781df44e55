//! Demands put together and asked.

use super::{Atom, Demand, Scope, Test};
use crate::trust::ClaimPath;

impl Demand {
    /// All of these, without needless layers.
    pub(in crate::policy) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = vec![];
        for part in parts {
            match part {
                Self::Always => {}
                Self::Never => return Self::Never,
                Self::All(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        match kept.len() {
            0 => Self::Always,
            1 => kept.swap_remove(0),
            _ => Self::All(kept),
        }
    }

    /// One of these, without needless layers; values of one claim become one test.
    pub(in crate::policy) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept: Vec<Self> = vec![];
        for part in parts {
            match part {
                Self::Never => {}
                Self::Always => return Self::Always,
                Self::Any(inner) => inner.into_iter().for_each(|part| join(&mut kept, part)),
                other => join(&mut kept, other),
            }
        }
        match kept.len() {
            0 => Self::Never,
            1 => kept.swap_remove(0),
            _ => Self::Any(kept),
        }
    }

    /// Whether it holds only where something holds of which `accepts` says so: of one of all, of each of any.
    pub(in crate::policy) fn entails(&self, accepts: &mut impl FnMut(&Self) -> bool) -> bool {
        match self {
            Self::Always => false,
            Self::Never => true,
            Self::All(parts) => parts.iter().any(|part| part.entails(accepts)),
            Self::Any(parts) => parts.iter().all(|part| part.entails(accepts)),
            Self::Atom(_) | Self::Opaque(_) => accepts(self),
        }
    }

    /// Whether one of its tests, which has to hold whatever else does, is as `accepts` says.
    pub(in crate::policy) fn has_atom(&self, accepts: &mut impl FnMut(&Atom) -> bool) -> bool {
        self.entails(&mut |part| matches!(part, Self::Atom(atom) if accepts(atom)))
    }

    /// Every test in it, wherever it stands.
    pub(in crate::policy) fn atoms(&self) -> Vec<&Atom> {
        let mut found = vec![];
        self.collect(&mut found);
        found
    }

    fn collect<'d>(&'d self, into: &mut Vec<&'d Atom>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect(into)),
            Self::Atom(atom) => into.push(atom),
            Self::Always | Self::Never | Self::Opaque(_) => {}
        }
    }

    /// Whether every alternative restricts that claim, or mentions it in a way that can't be read.
    pub(in crate::policy) fn pins(&self, path: &ClaimPath) -> bool {
        self.entails(&mut |part| match part {
            Self::Atom(atom) => atom.is_about(path) && atom.pins(),
            Self::Opaque(opaque) => opaque.names && opaque.mentions.iter().any(|mentioned| path.is_within(mentioned)),
            _ => false,
        })
    }
}

/// `x == "a" || x == "b"` is `x in ["a", "b"]`.
fn join(kept: &mut Vec<Demand>, part: Demand) {
    if let Demand::Atom(new) = &part
        && let Test::Among(more) = &new.test
        && new.holds
    {
        for known in kept.iter_mut() {
            if let Demand::Atom(known) = known
                && known.same_subject(new)
                && known.holds
                && known.scope != Scope::Every
                && known.absent == new.absent
                && let Test::Among(values) = &mut known.test
            {
                values.extend(more.iter().cloned());
                return;
            }
        }
    }
    kept.push(part);
}
