//! Every function that an expression may call.
//!
//! Decides names, counts of arguments, and what a call does to the size of its result. Refuses to know types, which the
//! checker knows, and steps, which [`cost`](super::super::cost) counts.

use super::{Dialect, MATCH};

/// What a call does to the size of its result, which [`cost`](super::super::cost) bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Effect {
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
pub(in crate::policy) struct Signature {
    pub(in crate::policy) name: &'static str,
    pub(in crate::policy) member: bool,
    pub(in crate::policy) least: usize,
    pub(in crate::policy) most: usize,
    pub(in crate::policy) literals: bool,
    pub(in crate::policy) effect: Effect,
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
pub(in crate::policy) static FUNCTIONS: [Signature; 51] = [
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

/// The function of that name that is called in that way, whatever its arguments.
pub(in crate::policy) fn function(_dialect: Dialect, name: &str, member: bool) -> Option<&'static Signature> {
    FUNCTIONS.iter().find(|signature| signature.name == name && signature.member == member)
}
