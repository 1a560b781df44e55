//! Every function that an expression may call.
//!
//! Decides names, counts of arguments, and what a call does to the size of its result. Refuses to know types, which the
//! checker knows, and steps, which [`cost`](super::super::cost) counts.

use cel::common::ast::{Expr, LiteralValue};
use cel::parser::Expression;

use super::super::limits::RANGE_ITEMS;
use super::{
    BOUNDED, Dialect, ENTRIES, EXTRACT, EXTRACT_ALL, MAP_OF_MAPS, MAP_OF_PAIRS, MATCH, MILLISECONDS, PLACE, PLAIN,
    REPLACE,
};

/// What a call does to the size of its result, which [`cost`](super::super::cost) bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Effect {
    /// Reads its operands; the result is a bool, a number, a type or a moment.
    Small,
    /// The same of a text that may have no such meaning: the error holds the text.
    Parse,
    /// The result is no larger than its operands together.
    Copy,
    /// The same, or the digits of a number, of which a `double` has up to 330.
    Text,
    /// The result is the operand itself.
    Same,
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
    /// Looks for the second operand at each place of the first.
    Find,
    /// Finds one part of a text with a precompiled pattern.
    PatternPart,
    /// Replaces what a precompiled pattern matches by the literal third operand.
    PatternReplace,
    /// All parts of a text that a precompiled pattern matches.
    PatternParts,
    /// Compares each element of one list with each of the other.
    Product,
    /// Compares each element with each one before it; the result is the list without some of them.
    Distinct,
    /// Sorts: each element is compared with a logarithm of the others.
    Sort,
    /// A new list or map of the same values.
    Elements,
    /// The elements of the elements: as many as there are values.
    Flatten,
    /// As many numbers as the literal argument says.
    Range,
    /// A text of at most [`FORMAT_BYTES`](super::super::limits::FORMAT_BYTES).
    Format,
    /// Two bytes for one, and quotes: escapes.
    Quote,
    /// Four bytes for three.
    Encode,
    /// A JSON text of any value.
    ToJson,
    /// Any value of a JSON text.
    OfJson,
    /// A pair for each entry of a map, or each element of a list.
    Entries,
}

/// In which dialects a function is known, and what it asks of its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terms {
    /// Any arguments, in both dialects.
    Free,
    /// In policies all arguments have to be literals; in role programs [`cost`](super::super::cost) decides.
    Literals,
    /// A number of at most [`RANGE_ITEMS`](super::super::limits::RANGE_ITEMS), as a literal.
    SmallLiteral,
    /// In policies the text that it is called on has to be a literal.
    LiteralTarget,
    /// Only in role programs.
    Role,
}

/// One function: its name, whether it is called on a target, how many arguments it takes (without the target), what it
/// asks of them, and its effect.
#[derive(Debug)]
pub(in crate::policy) struct Signature {
    pub(in crate::policy) name: &'static str,
    pub(in crate::policy) member: bool,
    pub(in crate::policy) least: usize,
    pub(in crate::policy) most: usize,
    terms: Terms,
    pub(in crate::policy) effect: Effect,
}

impl Signature {
    /// Whether a literal text that formats others has only the clauses that `format` knows: `%s`, `%d`, `%.2f` and their
    /// like, with at most 100 digits after the point. Another is an error each time that it is evaluated.
    pub(in crate::policy) fn formats(&self, target: Option<&Expression>) -> bool {
        let Some(Expression { expr: Expr::Literal(LiteralValue::String(text)), .. }) = target else { return true };
        self.effect != Effect::Format || text.inner().replace("%%", "").split('%').skip(1).all(is_clause)
    }

    /// Whether the arguments are literals wherever they have to be.
    pub(in crate::policy) fn accepts(
        &self,
        dialect: Dialect,
        target: Option<&Expression>,
        args: &[Expression],
    ) -> bool {
        let literal = |node: &Expression| matches!(node.expr, Expr::Literal(_));
        match self.terms {
            Terms::Free | Terms::Role => true,
            Terms::Literals => dialect == Dialect::Role || args.iter().all(literal),
            Terms::SmallLiteral => args.iter().all(|arg| match &arg.expr {
                Expr::Literal(LiteralValue::Int(number)) => *number.inner() <= RANGE_ITEMS,
                _ => false,
            }),
            Terms::LiteralTarget => dialect == Dialect::Role || target.is_some_and(literal),
        }
    }
}

fn is_clause(text: &str) -> bool {
    let digits = text.strip_prefix('.').map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    let precise = digits.as_ref().is_none_or(|digits| digits.parse::<u8>().is_ok_and(|precision| precision <= 100));
    let verb = text.get(digits.map_or(0, |digits| digits.len().saturating_add(1))..).unwrap_or_default();
    precise && verb.starts_with(['s', 'd', 'f', 'e', 'b', 'x', 'X', 'o'])
}

const fn global(name: &'static str, least: usize, most: usize, effect: Effect) -> Signature {
    Signature { name, member: false, least, most, terms: Terms::Free, effect }
}

const fn member(name: &'static str, least: usize, most: usize, effect: Effect) -> Signature {
    Signature { name, member: true, least, most, terms: Terms::Free, effect }
}

const fn on(terms: Terms, signature: Signature) -> Signature {
    Signature { terms, ..signature }
}

/// Every function that an expression may call. A needle from a claim costs the product of both lengths in `cel`, and a
/// replacement from a claim grows the text by it: in policies those have to be literals.
pub(in crate::policy) static FUNCTIONS: &[Signature] = &[
    global("size", 1, 1, Effect::Small),
    global("string", 1, 1, Effect::Text),
    global("bytes", 1, 1, Effect::Copy),
    global("int", 1, 1, Effect::Parse),
    global("uint", 1, 1, Effect::Parse),
    global("double", 1, 1, Effect::Parse),
    global("bool", 1, 1, Effect::Parse),
    global("type", 1, 1, Effect::Small),
    global("dyn", 1, 1, Effect::Part),
    global("timestamp", 1, 1, Effect::Parse),
    global("duration", 1, 1, Effect::Parse),
    global("hex", 1, 1, Effect::Hex),
    global("matches", 2, 2, Effect::Pattern),
    global("fullMatch", 2, 2, Effect::Pattern),
    global("glob", 2, 2, Effect::Pattern),
    global(MATCH, 2, 2, Effect::Pattern),
    global("optional.none", 0, 0, Effect::Small),
    global("optional.of", 1, 1, Effect::Part),
    global("optional.ofNonZeroValue", 1, 1, Effect::Part),
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
    member("getFullYear", 0, 1, Effect::Parse),
    member("getMonth", 0, 1, Effect::Parse),
    member("getDate", 0, 1, Effect::Parse),
    member("getDayOfMonth", 0, 1, Effect::Parse),
    member("getDayOfWeek", 0, 1, Effect::Parse),
    member("getDayOfYear", 0, 1, Effect::Parse),
    member("getHours", 0, 1, Effect::Parse),
    member("getMinutes", 0, 1, Effect::Parse),
    member("getSeconds", 0, 1, Effect::Parse),
    member("getMilliseconds", 0, 1, Effect::Parse),
    member("lowerAscii", 0, 0, Effect::Copy),
    member("upperAscii", 0, 0, Effect::Copy),
    member("trim", 0, 0, Effect::Copy),
    member("reverse", 0, 0, Effect::Copy),
    member("substring", 1, 2, Effect::Copy),
    member("charAt", 1, 1, Effect::Small),
    on(Terms::Literals, member("indexOf", 1, 2, Effect::Find)),
    on(Terms::Literals, member("lastIndexOf", 1, 2, Effect::Find)),
    on(Terms::Literals, member("replace", 2, 3, Effect::Replace)),
    on(Terms::Literals, member("split", 1, 2, Effect::Split)),
    on(Terms::Literals, member("join", 0, 1, Effect::Join)),
    global("math.@max", 1, 2, Effect::Part),
    global("math.@min", 1, 2, Effect::Part),
    global("math.ceil", 1, 1, Effect::Small),
    global("math.floor", 1, 1, Effect::Small),
    global("math.round", 1, 1, Effect::Small),
    global("math.trunc", 1, 1, Effect::Small),
    global("math.isInf", 1, 1, Effect::Small),
    global("math.isNaN", 1, 1, Effect::Small),
    global("math.isFinite", 1, 1, Effect::Small),
    global("math.abs", 1, 1, Effect::Small),
    global("math.sign", 1, 1, Effect::Small),
    global("math.sqrt", 1, 1, Effect::Small),
    global("math.bitAnd", 2, 2, Effect::Small),
    global("math.bitOr", 2, 2, Effect::Small),
    global("math.bitXor", 2, 2, Effect::Small),
    global("math.bitNot", 1, 1, Effect::Small),
    global("math.bitShiftLeft", 2, 2, Effect::Small),
    global("math.bitShiftRight", 2, 2, Effect::Small),
    global("sets.contains", 2, 2, Effect::Product),
    global("sets.equivalent", 2, 2, Effect::Product),
    global("sets.intersects", 2, 2, Effect::Product),
    member("slice", 2, 2, Effect::Elements),
    member("flatten", 0, 0, Effect::Flatten),
    member("distinct", 0, 0, Effect::Distinct),
    member("sort", 0, 0, Effect::Sort),
    member("@sortByAssociatedKeys", 1, 1, Effect::Sort),
    on(Terms::SmallLiteral, global("lists.range", 1, 1, Effect::Range)),
    on(Terms::SmallLiteral, member("flatten", 1, 1, Effect::Flatten)),
    global("regex.replace", 3, 4, Effect::PatternReplace),
    global("regex.extract", 2, 2, Effect::PatternPart),
    global("regex.extractAll", 2, 2, Effect::PatternParts),
    global(REPLACE, 3, 4, Effect::PatternReplace),
    global(EXTRACT, 2, 2, Effect::PatternPart),
    global(EXTRACT_ALL, 2, 2, Effect::PatternParts),
    on(Terms::LiteralTarget, member("format", 1, 1, Effect::Format)),
    global("strings.quote", 1, 1, Effect::Quote),
    global("base64.encode", 1, 1, Effect::Encode),
    global("base64.decode", 1, 1, Effect::Copy),
    global(MAP_OF_PAIRS, 1, 1, Effect::Elements),
    global(MAP_OF_MAPS, 1, 1, Effect::Flatten),
    global(ENTRIES, 1, 1, Effect::Entries),
    global(MILLISECONDS, 1, 1, Effect::Small),
    global(PLACE, 1, 1, Effect::Same),
    global(PLAIN, 1, 1, Effect::Copy),
    global(BOUNDED, 1, 1, Effect::Part),
    on(Terms::Role, global("check_valid_email", 1, 1, Effect::Small)),
    on(Terms::Role, global("encode_json", 1, 1, Effect::ToJson)),
    on(Terms::Role, global("decode_json", 1, 1, Effect::OfJson)),
];

/// The function of that name that is called in that way, with that many arguments if there is one.
pub(in crate::policy) fn function(
    dialect: Dialect,
    name: &str,
    member: bool,
    arguments: usize,
) -> Option<&'static Signature> {
    let known = |signature: &&Signature| {
        signature.name == name
            && signature.member == member
            && match dialect {
                Dialect::Native => signature.terms != Terms::Role,
                Dialect::Role => !OWN.contains(&name),
            }
    };
    let mut found = FUNCTIONS.iter().filter(known);
    let first = found.next()?;
    if (first.least..=first.most).contains(&arguments) {
        return Some(first);
    }
    Some(found.find(|other| (other.least..=other.most).contains(&arguments)).unwrap_or(first))
}

/// Functions of cambio's own, which OpenBao does not have: there a program that calls one fails at every login.
const OWN: [&str; 3] = ["hex", "fullMatch", "glob"];

/// The function whose name is nearest to one that does not exist, if a slip of the keyboard could explain it.
pub(in crate::policy) fn nearest(dialect: Dialect, name: &str) -> Option<&'static str> {
    const MACROS: [&str; 8] = ["has", "all", "exists", "exists_one", "map", "filter", "cel.bind", "optMap"];
    let known = FUNCTIONS.iter().filter(|known| match dialect {
        Dialect::Native => known.terms != Terms::Role,
        Dialect::Role => !OWN.contains(&known.name),
    });
    let names = known.map(|known| known.name).filter(|name| !name.contains('@')).chain(MACROS);
    crate::policy::check::nearest(name, names)
}

/// Whether some function is called by that name with its dots: `optional.of`, `math.abs`.
pub(in crate::policy) fn is_qualified(name: &str) -> bool {
    FUNCTIONS.iter().any(|signature| !signature.member && signature.name == name)
}

/// The words before the dot of a function's name, which no variable of a policy may have as its name.
pub(in crate::policy) const NAMESPACES: [&str; 8] =
    ["optional", "math", "lists", "sets", "regex", "strings", "base64", "cel"];
