//! Functions over texts and moments that are ours.
//!
//! Decides what they answer. Refuses texts longer than [`cost`](super::super::cost) reckons with.

use cel::ExecutionError;
use cel::common::traits::Iterable;
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelOptional, CelString, CelTimestamp, Kind,
};
use cel::common::value::{CowVal, Val};

use super::super::limits::FORMAT_BYTES;
use super::super::pattern::{Pattern, RegexFault};
use super::{BOUNDED, EXTRACT, EXTRACT_ALL, MATCH, MILLISECONDS, REPLACE};

type Arguments<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

pub(super) fn hex<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    Ok(CowVal::owned(CelString::from(lower_hex(text(&args, 0)?))))
}

/// Lower-case hex of the UTF-8 bytes, as GitLab's `unpack1('H*')` and OpenBao's `"%x".format([..])` write it.
pub(in crate::policy) fn lower_hex(text: &str) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    text.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// Whether a text matches a precompiled pattern.
pub(super) fn matches<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    match pattern(&args)?.matches(text(&args, 0)?) {
        Some(held) => Ok(CowVal::owned(CelBool::from(held))),
        None => Err(ExecutionError::function_error(MATCH, "the text is too long")),
    }
}

/// `regex.replace(text, pattern, replacement)`, with a count of replacements or all of them.
pub(super) fn replace<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let count = match args.get(3).and_then(|count| count.downcast_ref::<CelInt>()) {
        Some(count) => usize::try_from(*count.inner()).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    let replaced = pattern(&args)?.replace(text(&args, 0)?, text(&args, 2)?, count);
    replaced.map(|text| CowVal::owned(CelString::from(text))).map_err(|fault| failed(REPLACE, fault))
}

/// `regex.extract(text, pattern)`: the first match, or the one group in it.
pub(super) fn extract<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let found = pattern(&args)?.extract(text(&args, 0)?).map_err(|fault| failed(EXTRACT, fault))?;
    Ok(CowVal::owned(match found {
        Some(part) => CelOptional::of(Box::new(CelString::from(part.to_owned()))),
        None => CelOptional::none(),
    }))
}

/// `regex.extractAll(text, pattern)`: all matches, or the one group in each.
pub(super) fn extract_all<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let found = pattern(&args)?.extract_all(text(&args, 0)?).map_err(|fault| failed(EXTRACT_ALL, fault))?;
    let parts = found.into_iter().map(|part| Box::new(CelString::from(part.to_owned())) as Box<dyn Val>);
    Ok(CowVal::owned(CelList::from(parts.collect::<Vec<_>>())))
}

/// The milliseconds over the last full second.
pub(super) fn milliseconds<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let operand = args.first().ok_or_else(ExecutionError::missing_argument_or_target)?;
    let nanoseconds = if let Some(moment) = operand.downcast_ref::<CelTimestamp>() {
        i64::from(moment.inner().timestamp_subsec_nanos())
    } else if let Some(duration) = operand.downcast_ref::<CelDuration>() {
        i64::from(duration.inner().subsec_nanos())
    } else {
        return Err(ExecutionError::no_such_overload(MILLISECONDS, vec![operand.get_type().name().to_owned()]));
    };
    Ok(CowVal::owned(CelInt::from(nanoseconds / 1_000_000)))
}

/// A `double` as text, and anything else as it is.
pub(super) fn plain<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let value = args.into_iter().next().ok_or_else(ExecutionError::missing_argument_or_target)?;
    let written = value.downcast_ref::<CelDouble>().and_then(|double| shortest(*double.inner()));
    Ok(written.map_or(value, |text| CowVal::owned(CelString::from(text))))
}

/// A key or a place in a list, if it can be one.
pub(super) fn place<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let place = args.into_iter().next().ok_or_else(ExecutionError::missing_argument_or_target)?;
    match place.downcast_ref::<CelDouble>() {
        Some(double) if double.inner().fract() != 0.0 => {
            Err(ExecutionError::no_such_overload("_[_]", vec!["list".to_owned(), "double".to_owned()]))
        }
        _ => Ok(place),
    }
}

/// The fewest digits that read back as the same number; with an exponent below 1e-4 and from 1e6 on, as Go's and C++'s
/// `%g` have it. `None` where `cel` writes the same.
fn shortest(double: f64) -> Option<String> {
    let written = format!("{double:e}");
    let (digits, exponent) = written.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    if (-4..6).contains(&exponent) {
        return None;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(format!("{digits}e{sign}{:02}", exponent.unsigned_abs()))
}

/// The arguments of a `format`, if they can't make too long a text.
pub(super) fn bounded<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let list = args.into_iter().next().ok_or_else(ExecutionError::missing_argument_or_target)?;
    match formatted(list.as_ref()) {
        Some(bytes) if bytes <= FORMAT_BYTES => Ok(list),
        _ => Err(ExecutionError::function_error(BOUNDED, "the formatted text could be too long")),
    }
}

/// Most bytes that the clauses of `format` write for a list of values, if that is known and bounded.
fn formatted(values: &dyn Val) -> Option<usize> {
    // A clause of its own may ask for 100 digits after the point.
    const PRECISION: usize = 100;
    sum(values.as_iterable()?, |value| Some(written(value)?.saturating_add(PRECISION)))
}

/// Most bytes of one value.
fn written(value: &dyn Val) -> Option<usize> {
    match value.get_type().kind() {
        Kind::String => value.downcast_ref::<CelString<'_>>().map(|text| text.inner().len().saturating_mul(2)),
        Kind::Bytes => value.downcast_ref::<CelBytes<'_>>().map(|bytes| bytes.inner().len().saturating_mul(3)),
        Kind::List => sum(value.as_iterable()?, written),
        Kind::Map => {
            let values = value.as_indexer()?;
            sum(value.as_iterable()?, |key| {
                Some(written(key)?.saturating_add(written(values.get(key).ok()?.as_ref())?))
            })
        }
        Kind::Int | Kind::UInt | Kind::Boolean | Kind::NullType | Kind::Timestamp => Some(80),
        // A double is written out: up to 309 digits before the point, or zeros after it.
        _ => Some(350),
    }
}

fn sum(values: &dyn Iterable, size: impl Fn(&dyn Val) -> Option<usize>) -> Option<usize> {
    let mut values = values.iter();
    let mut total = 2_usize;
    while let Some(value) = values.next() {
        total = total.saturating_add(size(value)?).saturating_add(4);
        if total > FORMAT_BYTES {
            return None;
        }
    }
    Some(total)
}

fn text<'a>(args: &'a [CowVal<'_, '_>], at: usize) -> Result<&'a str, ExecutionError> {
    let argument = args.get(at).and_then(|argument| argument.downcast_ref::<CelString<'_>>());
    argument.map(CelString::inner).ok_or_else(ExecutionError::missing_argument_or_target)
}

fn pattern<'a>(args: &'a [CowVal<'_, '_>]) -> Result<&'a Pattern, ExecutionError> {
    let argument = args.get(1).and_then(|argument| argument.downcast_ref::<Pattern>());
    argument.ok_or_else(ExecutionError::missing_argument_or_target)
}

fn failed(function: &str, fault: RegexFault) -> ExecutionError {
    ExecutionError::function_error(function, fault)
}
