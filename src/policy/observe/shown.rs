//! A CEL value as text for a person: as CEL would write it, in one line, cut to a bound.

use std::fmt::Write as _;

use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelNull, CelOptional, CelString, CelTimestamp,
    CelUInt,
};
use cel::common::value::Val;

use crate::policy::unparse::quoted;

/// The longest text of a value, in bytes.
const LONGEST: usize = 160;
/// The most elements of a list, or members of a map.
const MOST: usize = 12;

/// The text of `value`.
pub(super) fn shown(value: &dyn Val) -> Box<str> {
    let mut out = String::new();
    write(&mut out, value);
    if out.len() > LONGEST {
        out.truncate(out.floor_char_boundary(LONGEST));
        out.push('…');
    }
    out.into_boxed_str()
}

/// Recursion is bounded by the depth of claims and of trees, and ends where the text is long enough.
fn write(out: &mut String, value: &dyn Val) {
    if out.len() > LONGEST {
        return;
    }
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        let text = text.inner();
        let cut = text.get(..text.floor_char_boundary(LONGEST + 1)).unwrap_or(text);
        out.push_str(&quoted(cut));
    } else if let Some(truth) = value.downcast_ref::<CelBool>() {
        let _ = write!(out, "{}", truth.inner());
    } else if let Some(number) = value.downcast_ref::<CelInt>() {
        let _ = write!(out, "{}", number.inner());
    } else if let Some(number) = value.downcast_ref::<CelUInt>() {
        let _ = write!(out, "{}u", number.inner());
    } else if let Some(number) = value.downcast_ref::<CelDouble>() {
        let _ = write!(out, "{:?}", number.inner());
    } else if value.downcast_ref::<CelNull>().is_some() {
        out.push_str("null");
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        let items = list.inner();
        let mut entries = Entries::new(out, '[', items.len());
        for item in items.iter().take(MOST) {
            write(entries.next(), item.as_ref());
        }
        entries.end(']');
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let members = map.inner();
        let mut sorted: Vec<(Box<str>, &dyn Val)> =
            members.iter().map(|(key, value)| (shown(key.inner()), value.as_ref())).collect();
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut entries = Entries::new(out, '{', sorted.len());
        for (key, value) in sorted.into_iter().take(MOST) {
            let out = entries.next();
            let _ = write!(out, "{key}: ");
            write(out, value);
        }
        entries.end('}');
    } else if let Some(optional) = value.downcast_ref::<CelOptional<'_>>() {
        match optional.option() {
            None => out.push_str("optional.none()"),
            Some(inner) => {
                out.push_str("optional.of(");
                write(out, inner);
                out.push(')');
            }
        }
    } else if let Some(moment) = value.downcast_ref::<CelTimestamp>() {
        out.push_str(&moment.inner().to_rfc3339());
    } else if let Some(span) = value.downcast_ref::<CelDuration>() {
        let _ = write!(out, "{} s", span.inner().num_seconds());
    } else if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        let bytes = bytes.inner();
        let _ = write!(out, "b\"{}\"", bytes.get(..LONGEST).unwrap_or(bytes).escape_ascii());
    } else {
        let _ = write!(out, "({})", value.get_type().name());
    }
}

/// The entries of a list or map, of which only the first are written.
struct Entries<'o> {
    out: &'o mut String,
    written: usize,
    all: usize,
}

impl<'o> Entries<'o> {
    fn new(out: &'o mut String, open: char, all: usize) -> Self {
        out.push(open);
        Self { out, written: 0, all }
    }

    fn next(&mut self) -> &mut String {
        if self.written > 0 {
            self.out.push_str(", ");
        }
        self.written += 1;
        self.out
    }

    fn end(self, close: char) {
        if self.written < self.all {
            let _ = write!(self.out, ", … {} in all", self.all);
        }
        self.out.push(close);
    }
}
