//! The CEL that policies may use: the environment and the table of its functions.
//!
//! Decides which names exist. Refuses to know a policy. The table is an allow-list: `cel` has more (`format` with a
//! width of a million, `lists.range`), which a policy gets only when somebody has bounded it in [`cost`](super::cost).

use std::sync::Arc;

use cel::common::functions::Function;
use cel::common::types::{CelBool, CelInt, CelString, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{Context, DeclarationError, Env, ExecutionError, extensions};

use super::pattern::{PATTERN_TYPE, Pattern};
use crate::clock::Timestamp;

/// The function that a `matches`, `fullMatch` or `glob` is rewritten to. No source can name it.
pub(super) const MATCH: &str = "@match";
/// The claims, as a map.
pub(super) const CLAIMS: &str = "claims";
/// The moment of the decision, as a timestamp of whole seconds.
pub(super) const NOW: &str = "now";
/// The operator's name of the token's issuer, as a string.
pub(super) const ISSUER: &str = "issuer";

/// What a call does to the size of its result, which [`cost`](super::cost) bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Reads its operands; the result is a bool, a number, a type or a moment.
    Small,
    /// The result is no larger than its operands together.
    Copy,
    /// The result is one of its operands, or held by one.
    Part,
    /// Two bytes for one.
    Hex,
    /// Every byte of the first operand may become the literal third one.
    Replace,
    /// One element for each byte.
    Split,
    /// The literal separator once for each element.
    Join,
    /// Matches a precompiled pattern.
    Pattern,
}

/// One function: its name, whether it is called on a target, how many arguments it takes (without the target), which of
/// them have to be literals, and its effect.
pub(super) struct Signature {
    pub(super) name: &'static str,
    pub(super) member: bool,
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) literals: bool,
    pub(super) effect: Effect,
}

const fn global(name: &'static str, args: usize, effect: Effect) -> Signature {
    Signature { name, member: false, least: args, most: args, literals: false, effect }
}

const fn member(name: &'static str, least: usize, most: usize, effect: Effect) -> Signature {
    Signature { name, member: true, least, most, literals: false, effect }
}

const fn literal(name: &'static str, least: usize, most: usize, effect: Effect) -> Signature {
    Signature { name, member: true, least, most, literals: true, effect }
}

/// Every function that a policy may call. `literals` asks that all arguments are literals: a search for a needle from a
/// claim costs the product of both lengths in `cel`, and a replacement from a claim grows the text by it.
pub(super) static FUNCTIONS: [Signature; 51] = [
    global("size", 1, Effect::Small),
    global("string", 1, Effect::Copy),
    global("bytes", 1, Effect::Copy),
    global("int", 1, Effect::Small),
    global("uint", 1, Effect::Small),
    global("double", 1, Effect::Small),
    global("bool", 1, Effect::Small),
    global("type", 1, Effect::Small),
    global("dyn", 1, Effect::Part),
    global("timestamp", 1, Effect::Small),
    global("duration", 1, Effect::Small),
    global("hex", 1, Effect::Hex),
    global("matches", 2, Effect::Pattern),
    global("fullMatch", 2, Effect::Pattern),
    global("glob", 2, Effect::Pattern),
    global(MATCH, 2, Effect::Pattern),
    global("optional.none", 0, Effect::Small),
    global("optional.of", 1, Effect::Part),
    global("optional.ofNonZeroValue", 1, Effect::Part),
    member("size", 0, 0, Effect::Small),
    member("contains", 1, 1, Effect::Small),
    member("startsWith", 1, 1, Effect::Small),
    member("endsWith", 1, 1, Effect::Small),
    member("matches", 1, 1, Effect::Pattern),
    member("fullMatch", 1, 1, Effect::Pattern),
    member("glob", 1, 1, Effect::Pattern),
    member("hasValue", 0, 0, Effect::Small),
    member("value", 0, 0, Effect::Part),
    member("or", 1, 1, Effect::Part),
    member("orValue", 1, 1, Effect::Part),
    member("getFullYear", 0, 1, Effect::Small),
    member("getMonth", 0, 1, Effect::Small),
    member("getDate", 0, 1, Effect::Small),
    member("getDayOfMonth", 0, 1, Effect::Small),
    member("getDayOfWeek", 0, 1, Effect::Small),
    member("getDayOfYear", 0, 1, Effect::Small),
    member("getHours", 0, 1, Effect::Small),
    member("getMinutes", 0, 1, Effect::Small),
    member("getSeconds", 0, 1, Effect::Small),
    member("getMilliseconds", 0, 1, Effect::Small),
    member("lowerAscii", 0, 0, Effect::Copy),
    member("upperAscii", 0, 0, Effect::Copy),
    member("trim", 0, 0, Effect::Copy),
    member("reverse", 0, 0, Effect::Copy),
    member("substring", 1, 2, Effect::Copy),
    member("charAt", 1, 1, Effect::Small),
    literal("indexOf", 1, 2, Effect::Small),
    literal("lastIndexOf", 1, 2, Effect::Small),
    literal("replace", 2, 3, Effect::Replace),
    literal("split", 1, 2, Effect::Split),
    literal("join", 0, 1, Effect::Join),
];

/// The names of types, which an expression may compare with: `type(claims.exp) == int`.
pub(super) const TYPES: [&str; 10] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "optional_type"];

/// The function of that name that is called in that way, whatever its arguments.
pub(super) fn function(name: &str, member: bool) -> Option<&'static Signature> {
    FUNCTIONS.iter().find(|signature| signature.name == name && signature.member == member)
}

/// Whether `name` is taken, so that no `let` and no comprehension variable may shadow it.
pub(super) fn is_reserved(name: &str) -> bool {
    [CLAIMS, NOW, ISSUER, "optional"].contains(&name) || TYPES.contains(&name)
}

/// The environment that every expression of a set is evaluated in: built once (23 µs), then shared.
#[derive(Clone)]
pub(super) struct Language {
    env: Arc<Env>,
}

impl Language {
    /// The standard library, the strings extension, `hex` and the pattern functions.
    ///
    /// # Errors
    /// Only if `cel` comes to declare one of our names itself.
    pub(super) fn new() -> Result<Self, DeclarationError> {
        let mut env = Env::stdlib();
        env.add_extension(extensions::strings)?;
        env.add_overload("hex", "string_hex", vec![STRING_TYPE], hex)?;
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
fn lower_hex(text: &str) -> String {
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
