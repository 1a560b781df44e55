//! What a value can be, as far as it is known before there is one.
//!
//! Decides what a documented claim reads as in CEL. Refuses to guess: where nothing is known, the type is `dyn`.

use std::fmt;
use std::sync::Arc;

use crate::trust::{Claim, ClaimSchema, ClaimType};

/// A type. `'s` is the life of the claim schemas.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::policy) enum Type<'s> {
    /// No value at all: the elements of `[]`.
    Never,
    /// Anything: whether an operation fits is known only when there is a value.
    Dyn,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Null,
    Timestamp,
    Duration,
    /// What `type(x)` is.
    Kind,
    List(Arc<Self>),
    Map(Arc<Self>, Arc<Self>),
    Optional(Arc<Self>),
    /// A map with documented members: `claims`, or a claim.
    Object(Members<'s>),
    /// Any of these: at least two, none of them `OneOf` or `Never`.
    OneOf(Vec<Self>),
}

/// The documented members of a map. Equal where it is the same documentation.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Members<'s>(pub(in crate::policy) &'s ClaimSchema);

impl PartialEq for Members<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

/// A set of kinds: types without what they hold, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(pub(super) u16);

impl Kinds {
    pub(super) const NULL: Self = Self(1 << 7);
    pub(super) const STRING: Self = Self(1 << 5);
    const ALL: Self = Self((1 << 14) - 1);
    const NUMBERS: Self = Self(0b1_1100);

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn but(self) -> Self {
        Self(Self::ALL.0 & !self.0)
    }

    /// The kind that `name` stands for in `type(x) == name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        let ty = match name {
            "bool" => Type::Bool,
            "int" => Type::Int,
            "uint" => Type::Uint,
            "double" => Type::Double,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "null_type" => Type::Null,
            "list" => Type::list(Type::Dyn),
            "map" => Type::map(Type::Dyn, Type::Dyn),
            "optional_type" => Type::Optional(Arc::new(Type::Dyn)),
            _ => return None,
        };
        Some(ty.kinds())
    }
}

impl<'s> Type<'s> {
    pub(super) fn list(element: Self) -> Self {
        Self::List(Arc::new(element))
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new(key), Arc::new(value))
    }

    pub(super) fn optional(value: Self) -> Self {
        Self::Optional(Arc::new(value))
    }

    /// What `claim` reads as. An integer of JSON is an `int` even where the platform documents a `double`.
    pub(in crate::policy) fn of(claim: &'s Claim) -> Self {
        let ty = Self::documented(claim.ty(), claim.members());
        if claim.is_nullable() { ty.or(Self::Null) } else { ty }
    }

    fn documented(ty: &ClaimType, members: Option<&'s ClaimSchema>) -> Self {
        match ty {
            ClaimType::String => Self::String,
            ClaimType::Int => Self::Int,
            ClaimType::Double => Self::OneOf(vec![Self::Int, Self::Double]),
            ClaimType::Bool => Self::Bool,
            ClaimType::Any => Self::Dyn,
            ClaimType::Map => {
                members.map_or_else(|| Self::map(Self::String, Self::Dyn), |members| Self::Object(Members(members)))
            }
            ClaimType::List(element) => Self::list(Self::documented(element, members)),
            ClaimType::OneOf(types) => {
                types.iter().fold(Self::Never, |all, one| all.or(Self::documented(one, members)))
            }
        }
    }

    /// The types that it may be: one, or those of `OneOf`.
    pub(super) fn alternatives(&self) -> &[Self] {
        match self {
            Self::OneOf(types) => types,
            Self::Never => &[],
            one => std::slice::from_ref(one),
        }
    }

    /// This or `other`.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, one) | (one, Self::Never) => one,
            (Self::Dyn, _) | (_, Self::Dyn) => Self::Dyn,
            (one, other) if one == other => one,
            (Self::List(one), Self::List(other)) => Self::list((*one).clone().or((*other).clone())),
            (Self::Map(k, v), Self::Map(l, w)) => {
                Self::map((*k).clone().or((*l).clone()), (*v).clone().or((*w).clone()))
            }
            (Self::Optional(one), Self::Optional(other)) => Self::optional((*one).clone().or((*other).clone())),
            (one, other) => {
                let mut types = one.alternatives().to_vec();
                for ty in other.alternatives() {
                    let alike = |known: &&mut Self| {
                        known.is_constructor() && ty.is_constructor() && known.kinds() == ty.kinds()
                    };
                    if types.contains(ty) {
                        continue;
                    }
                    match types.iter_mut().find(alike) {
                        Some(known) => *known = known.clone().or(ty.clone()),
                        None => types.push(ty.clone()),
                    }
                }
                if types.len() > 8 { Self::Dyn } else { Self::OneOf(types) }
            }
        }
    }

    fn is_constructor(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(..) | Self::Optional(_))
    }

    /// The kinds that a value may have; all for `dyn`.
    pub(super) fn kinds(&self) -> Kinds {
        let bit = |n: u32| Kinds(1 << n);
        match self {
            Self::Never => Kinds(0),
            Self::Dyn => Kinds::ALL,
            Self::Bool => bit(0),
            Self::Kind => bit(1),
            Self::Int => bit(2),
            Self::Uint => bit(3),
            Self::Double => bit(4),
            Self::String => Kinds::STRING,
            Self::Bytes => bit(6),
            Self::Null => Kinds::NULL,
            Self::Timestamp => bit(8),
            Self::Duration => bit(9),
            Self::List(_) => bit(10),
            Self::Map(..) | Self::Object(_) => bit(11),
            Self::Optional(_) => bit(12),
            Self::OneOf(types) => types.iter().fold(Kinds(0), |all, one| all.and(one.kinds())),
        }
    }

    /// This, where none of `kinds` is what it is.
    pub(super) fn without(self, kinds: Kinds) -> Self {
        match self {
            Self::Dyn => Self::only(kinds),
            Self::OneOf(types) => {
                let left: Vec<Self> = types.into_iter().filter(|one| !one.kinds().meets(kinds)).collect();
                left.into_iter().fold(Self::Never, Self::or)
            }
            other => other,
        }
    }

    /// The one type that is left of all where `kinds` are not.
    fn only(kinds: Kinds) -> Self {
        let simple = [Self::Bool, Self::Int, Self::Uint, Self::Double, Self::String, Self::Bytes, Self::Null];
        let all = simple.into_iter().chain([Self::list(Self::Dyn), Self::map(Self::Dyn, Self::Dyn)]);
        all.into_iter().find(|one| one.kinds().but() == kinds).unwrap_or(Self::Dyn)
    }

    pub(super) fn is_dyn(&self) -> bool {
        self.alternatives().iter().any(|one| matches!(one, Self::Dyn))
    }

    /// Whether all values are of one type, and each is less than another or not.
    pub(super) fn is_ordered(&self) -> bool {
        let unordered = matches!(self, Self::Null | Self::Kind | Self::Optional(_) | Self::Object(_));
        !unordered && !matches!(self, Self::OneOf(_) | Self::List(_) | Self::Map(..))
    }

    pub(super) fn is_number(&self) -> bool {
        !matches!(self, Self::Dyn | Self::Never) && self.kinds().0 & !Kinds::NUMBERS.0 == 0
    }

    /// The kinds that can equal this: numbers do across theirs.
    pub(super) fn equals(&self) -> Kinds {
        let kinds = self.kinds();
        if kinds.meets(Kinds::NUMBERS) { kinds.and(Kinds::NUMBERS) } else { kinds }
    }

    /// Whether a value of this type can equal one of `other`.
    pub(super) fn can_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => true,
            (Self::List(one), Self::List(other)) | (Self::Optional(one), Self::Optional(other)) => one.can_equal(other),
            _ => self.equals().meets(other.equals()),
        }
    }

    /// The same where nobody needs to know the members of maps.
    #[cfg(test)]
    pub(super) fn forgetful(&self) -> Type<'static> {
        match self {
            Self::Never => Type::Never,
            Self::Dyn => Type::Dyn,
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Uint => Type::Uint,
            Self::Double => Type::Double,
            Self::String => Type::String,
            Self::Bytes => Type::Bytes,
            Self::Null => Type::Null,
            Self::Timestamp => Type::Timestamp,
            Self::Duration => Type::Duration,
            Self::Kind => Type::Kind,
            Self::List(inside) => Type::list(inside.forgetful()),
            Self::Map(key, value) => Type::map(key.forgetful(), value.forgetful()),
            Self::Optional(inside) => Type::optional(inside.forgetful()),
            Self::Object(_) => Type::map(Type::String, Type::Dyn),
            Self::OneOf(types) => Type::OneOf(types.iter().map(Self::forgetful).collect()),
        }
    }

    /// With its article: `a string`, `an int`.
    pub(super) fn a(&self) -> String {
        let name = self.to_string();
        let article = if name.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
        if name == "null" { name } else { format!("{article} {name}") }
    }
}

impl fmt::Display for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never | Self::Dyn => f.write_str("dyn"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Null => f.write_str("null"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::Kind => f.write_str("type"),
            Self::List(element) if matches!(**element, Self::Never | Self::Dyn) => f.write_str("list"),
            Self::List(element) => write!(f, "list<{element}>"),
            Self::Map(key, value) if matches!(**value, Self::Never | Self::Dyn) && **key != Self::Int => {
                f.write_str("map")
            }
            Self::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Self::Optional(value) => write!(f, "optional<{value}>"),
            Self::Object(_) => f.write_str("map"),
            Self::OneOf(types) => {
                for (place, one) in types.iter().enumerate() {
                    write!(f, "{}{one}", if place == 0 { "" } else { "|" })?;
                }
                Ok(())
            }
        }
    }
}
