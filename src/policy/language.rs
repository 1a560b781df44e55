//! The CEL that policies and role programs may use: the environment, and which names exist in it.
//!
//! Decides which names exist, in each of two dialects. Refuses to know a policy. The table ([`function`]) is an
//! allow-list: `cel` has more (`format` with any text, `lists.range` of a million), which an expression gets only when
//! somebody has bounded it in [`cost`](super::cost). `docs/cel.md` is the operator's page of it.

mod collections;
mod functions;
mod json;
mod texts;

use std::sync::Arc;

use cel::common::functions::Function;
use cel::common::types::{CelInt, DURATION_TYPE, DYN_TYPE, INT_TYPE, LIST_TYPE, MAP_TYPE, STRING_TYPE, TIMESTAMP_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{Context, DeclarationError, Env, extensions};

use super::pattern::PATTERN_TYPE;
use crate::clock::Timestamp;

#[cfg(test)]
pub(super) use functions::FUNCTIONS;
pub(super) use functions::{Effect, NAMESPACES, function, is_qualified, nearest};
pub(super) use texts::lower_hex;

/// The function that a `matches`, `fullMatch` or `glob` is rewritten to. No source can name it, nor the others that
/// begin with `@`.
pub(super) const MATCH: &str = "@match";
/// What `regex.replace`, `regex.extract` and `regex.extractAll` are rewritten to.
pub(super) const REPLACE: &str = "@replace";
/// See [`REPLACE`].
pub(super) const EXTRACT: &str = "@extract";
/// See [`REPLACE`].
pub(super) const EXTRACT_ALL: &str = "@extractAll";
/// A map of a list of `[key, value]`, which `transformMap` collects.
pub(super) const MAP_OF_PAIRS: &str = "@mapOfPairs";
/// A map of a list of maps, which `transformMapEntry` collects.
pub(super) const MAP_OF_MAPS: &str = "@mapOfMaps";
/// The list of `[key, value]` or `[index, element]` that a comprehension over two variables runs through.
pub(super) const ENTRIES: &str = "@entries";
/// What `getMilliseconds()` is rewritten to: `cel` answers all of a duration instead of what is over the second.
pub(super) const MILLISECONDS: &str = "@milliseconds";
/// A `double` as the text that the standard's implementations write for it, and anything else as it is.
pub(super) const PLAIN: &str = "@plain";
/// A key or a place in a list as it is, but for a `double` with a fraction: `cel`'s error for that copies the whole list.
pub(super) const PLACE: &str = "@place";
/// The list that it is given, or an error where that would format to too long a text.
pub(super) const BOUNDED: &str = "@bounded";
/// The claims, as a map.
pub(super) const CLAIMS: &str = "claims";
/// The moment of the decision, as a timestamp of whole seconds.
pub(super) const NOW: &str = "now";
/// The operator's name of the token's issuer, as a string.
pub(super) const ISSUER: &str = "issuer";
/// What OpenBao is doing, as a string: `update` at a login.
pub(super) const OPERATION: &str = "operation";

/// The names of types, which an expression may compare with: `type(claims.exp) == int`.
pub(super) const TYPES: [&str; 11] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "optional_type", "type"];
/// Those with dots in their names.
pub(super) const QUALIFIED_TYPES: [&str; 2] = ["google.protobuf.Timestamp", "google.protobuf.Duration"];

/// Whose CEL an expression is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// A policy of cambio's: what it may call is an allow-list, and a name means one thing.
    #[default]
    Native,
    /// A program of an OpenBao role: OpenBao's functions, its messages, and names that hide others as CEL says.
    Role,
}

impl Dialect {
    /// The variables that an expression sees besides its own `let` variables.
    pub(super) const fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Native => &[CLAIMS, NOW, ISSUER],
            Self::Role => &[CLAIMS, NOW, OPERATION],
        }
    }

    /// The messages that an expression may make: `pb.Auth{policies: ["a"]}`.
    pub(super) const fn messages(self) -> &'static [&'static str] {
        match self {
            Self::Native => &[],
            Self::Role => &["pb.Auth", "pb.LeaseOptions", "logical.Alias"],
        }
    }

    /// Whether `name` is taken, so that no `let` and no comprehension variable may hide it.
    pub(super) fn reserves(self, name: &str) -> bool {
        match self {
            Self::Native => {
                [CLAIMS, NOW, ISSUER].contains(&name) || NAMESPACES.contains(&name) || TYPES.contains(&name)
            }
            // The rewriting of `claims.x` relies on it.
            Self::Role => name == CLAIMS,
        }
    }
}

/// The environment that every expression of a set is evaluated in: built once (23 µs), then shared.
#[derive(Clone)]
pub(super) struct Language {
    env: Arc<Env>,
}

impl Language {
    /// The standard library and the extensions of that dialect, without messages.
    ///
    /// # Errors
    /// Only if `cel` comes to declare one of our names itself.
    pub(super) fn new(dialect: Dialect) -> Result<Self, DeclarationError> {
        Self::with(dialect, |_| Ok(()))
    }

    /// The same, with what `more` adds: the messages of [`Dialect::messages`].
    ///
    /// # Errors
    /// As [`Language::new`], and those of `more`.
    pub(super) fn with(
        dialect: Dialect,
        more: impl FnOnce(&mut Env) -> Result<(), DeclarationError>,
    ) -> Result<Self, DeclarationError> {
        let mut env = Env::stdlib();
        env.add_extension(extensions::strings)?;
        env.add_extension(extensions::lists)?;
        env.add_extension(extensions::math)?;
        env.add_extension(extensions::encoders)?;
        texts(&mut env)?;
        collections(&mut env)?;
        if dialect == Dialect::Role {
            env.add_overload("check_valid_email", "string_check_valid_email", vec![STRING_TYPE], json::is_email)?;
            env.add_overload("encode_json", "dyn_encode_json", vec![DYN_TYPE], json::encode)?;
            env.add_overload("decode_json", "string_decode_json", vec![STRING_TYPE], json::decode)?;
        }
        more(&mut env)?;
        Ok(Self { env: Arc::new(env) })
    }

    /// A context without variables. Not `Send`: it stays inside one synchronous section.
    pub(super) fn context<'p, 'v>(&self) -> Context<'p, 'v> {
        Context::with_env(Arc::clone(&self.env))
    }

    /// `now` as a CEL timestamp, in whole seconds.
    ///
    /// Through the function that `timestamp(int)` calls, because `cel` takes moments only as types of `chrono`, which
    /// cambio does not otherwise use.
    pub(super) fn moment(&self, now: Timestamp) -> Option<Box<dyn Val>> {
        let seconds = vec![CowVal::owned(CelInt::from(now.as_secs()))];
        let convert: Function = self.env.find_overload("timestamp", &seconds)?;
        convert(seconds).ok().map(CowVal::into_owned)
    }
}

fn texts(env: &mut Env) -> Result<(), DeclarationError> {
    let pattern = || PATTERN_TYPE.to_owned();
    env.add_overload("hex", "string_hex", vec![STRING_TYPE], texts::hex)?;
    env.add_overload(MATCH, "string_match_pattern", vec![STRING_TYPE, pattern()], texts::matches)?;
    env.add_overload(REPLACE, "string_replace", vec![STRING_TYPE, pattern(), STRING_TYPE], texts::replace)?;
    let counted = vec![STRING_TYPE, pattern(), STRING_TYPE, INT_TYPE];
    env.add_overload(REPLACE, "string_replace_count", counted, texts::replace)?;
    env.add_overload(EXTRACT, "string_extract", vec![STRING_TYPE, pattern()], texts::extract)?;
    env.add_overload(EXTRACT_ALL, "string_extract_all", vec![STRING_TYPE, pattern()], texts::extract_all)?;
    env.add_overload(MILLISECONDS, "duration_milliseconds", vec![DURATION_TYPE], texts::milliseconds)?;
    env.add_overload(MILLISECONDS, "timestamp_milliseconds", vec![TIMESTAMP_TYPE], texts::milliseconds)?;
    env.add_overload(PLACE, "dyn_place", vec![DYN_TYPE], texts::place)?;
    env.add_overload(PLAIN, "dyn_plain", vec![DYN_TYPE], texts::plain)?;
    env.add_overload(BOUNDED, "list_bounded", vec![LIST_TYPE], texts::bounded)
}

fn collections(env: &mut Env) -> Result<(), DeclarationError> {
    let lists = || vec![LIST_TYPE, LIST_TYPE];
    env.add_overload("sets.contains", "list_sets_contains_list", lists(), collections::contains)?;
    env.add_overload("sets.equivalent", "list_sets_equivalent_list", lists(), collections::equivalent)?;
    env.add_overload("sets.intersects", "list_sets_intersects_list", lists(), collections::intersects)?;
    env.add_overload(ENTRIES, "list_entries", vec![LIST_TYPE], collections::entries_of_list)?;
    env.add_overload(ENTRIES, "map_entries", vec![MAP_TYPE], collections::entries_of_map)?;
    env.add_overload(MAP_OF_PAIRS, "list_map_of_pairs", vec![LIST_TYPE], collections::map_of_pairs)?;
    env.add_overload(MAP_OF_MAPS, "list_map_of_maps", vec![LIST_TYPE], collections::map_of_maps)
}
