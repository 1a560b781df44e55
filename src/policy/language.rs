//! The CEL that policies may use: the environment and the table of its functions.
//!
//! Decides which names exist, in each of two dialects. Refuses to know a policy. The table ([`function`]) is an
//! allow-list: `cel` has more (`format` with a width of a million, `lists.range`), which an expression gets only when
//! somebody has bounded it in [`cost`](super::cost).

mod functions;

use std::sync::Arc;

use cel::common::functions::Function;
use cel::common::types::{CelBool, CelInt, CelString, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{Context, DeclarationError, Env, ExecutionError, extensions};

use super::pattern::{PATTERN_TYPE, Pattern};
use crate::clock::Timestamp;

pub(super) use functions::{Effect, function};

/// The function that a `matches`, `fullMatch` or `glob` is rewritten to. No source can name it.
pub(super) const MATCH: &str = "@match";
/// The claims, as a map.
pub(super) const CLAIMS: &str = "claims";
/// The moment of the decision, as a timestamp of whole seconds.
pub(super) const NOW: &str = "now";
/// The operator's name of the token's issuer, as a string.
pub(super) const ISSUER: &str = "issuer";
/// What OpenBao is doing, as a string: `update` at a login.
pub(super) const OPERATION: &str = "operation";

/// The names of types, which an expression may compare with: `type(claims.exp) == int`.
pub(super) const TYPES: [&str; 10] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "optional_type"];

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
            Self::Native => [CLAIMS, NOW, ISSUER, "optional"].contains(&name) || TYPES.contains(&name),
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
        env.add_overload("hex", "string_hex", vec![STRING_TYPE], hex)?;
        if dialect == Dialect::Role {
            env.add_extension(extensions::lists)?;
            env.add_extension(extensions::math)?;
            env.add_extension(extensions::encoders)?;
        }
        more(&mut env)?;
        env.add_overload(MATCH, "string_match_pattern", vec![STRING_TYPE, PATTERN_TYPE.to_owned()], matches)?;
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

fn hex<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [text] = args.as_slice() else { return Err(ExecutionError::invalid_argument_count(1, args.len())) };
    let Some(text) = text.downcast_ref::<CelString<'_>>() else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    Ok(CowVal::owned(CelString::from(lower_hex(text.inner()))))
}

/// Lower-case hex of the UTF-8 bytes, as GitLab's `unpack1('H*')` and OpenBao's `"%x".format([..])` write it.
pub(super) fn lower_hex(text: &str) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    text.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [text, pattern] = args.as_slice() else { return Err(ExecutionError::invalid_argument_count(2, args.len())) };
    let (Some(text), Some(pattern)) = (text.downcast_ref::<CelString<'_>>(), pattern.downcast_ref::<Pattern>()) else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    match pattern.matches(text.inner()) {
        Some(held) => Ok(CowVal::owned(CelBool::from(held))),
        None => Err(ExecutionError::function_error(MATCH, "the text is too long")),
    }
}
