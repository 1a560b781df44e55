//! The YAML shapes that `serde` has no derive for: one or many, ordered entries, an item that is text or a map, a span
//! of time. Decides how they read; refuses to know what they are for.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor, value};
use serde_saphyr::Spanned;

use crate::clock::Span;
use crate::identity::AccountName;

/// One value, or a list of them.
#[derive(Debug)]
pub(in crate::policy) struct OneOrMany<T>(pub(in crate::policy) Vec<T>);

/// A map whose order counts.
#[derive(Debug)]
pub(in crate::policy) struct Entries<T>(pub(in crate::policy) Vec<(Spanned<String>, Spanned<T>)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

/// One entry of a grant's `policies`.
#[derive(Debug)]
pub(in crate::policy) enum PolicyItem {
    /// CEL: a policy's name, or a list of names.
    Always(String),
    /// The same, where a condition holds.
    When {
        /// CEL, a bool.
        when: Spanned<String>,
        /// CEL: a name or a list of names.
        policy: Spanned<String>,
    },
    /// Not written there: the policy of the service account that the grant names.
    Account {
        /// The account.
        account: AccountName,
        /// Its policy's name, as CEL.
        policy: String,
    },
}

/// A span of time, in whole seconds: `90s`, `10m`, `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Ttl(pub(in crate::policy) Duration);

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let span = Span::deserialize(deserializer)?;
        match span.duration().subsec_nanos() {
            0 => Ok(Self(span.duration())),
            _ => Err(D::Error::custom(format!("`{span}` is not in whole seconds"))),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrManyVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, or a list of names")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(text.into_deserializer()).map(|one| OneOrMany(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(value::SeqAccessDeserializer::new(seq)).map(OneOrMany)
            }
        }

        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of names to expressions")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = vec![];
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for PolicyItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Conditional {
            when: Spanned<String>,
            policy: Spanned<String>,
        }

        struct ItemVisitor;

        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = PolicyItem;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression, or a map of `when` and `policy`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(PolicyItem::Always(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let Conditional { when, policy } = Conditional::deserialize(value::MapAccessDeserializer::new(map))?;
                Ok(PolicyItem::When { when, policy })
            }
        }

        deserializer.deserialize_any(ItemVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("90s", Some(90))]
    #[case("10m", Some(600))]
    #[case("1h30m", Some(5400))]
    #[case("1h 30m", Some(5400))]
    #[case("1d", Some(86_400))]
    #[case("600", Some(600))]
    #[case("500ms", None)]
    #[case("''", None)]
    #[case("m", None)]
    #[case("-1m", None)]
    #[case("1.5h", None)]
    #[case("99999999999999999999h", None)]
    fn a_ttl_is_written_as_every_span_of_time_in_whole_seconds(#[case] text: &str, #[case] seconds: Option<u64>) {
        assert_eq!(serde_saphyr::from_str::<Ttl>(text).ok().map(|ttl| ttl.0.as_secs()), seconds);
    }
}
