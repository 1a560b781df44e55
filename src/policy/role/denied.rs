//! Grants that a program writes out and nobody ever gets.
//!
//! Decides which values of a message's fields are refused at every login, as far as they stand in the program: a span of
//! time that is written in seconds, a value of another type, a policy that is no name. Refuses to judge what a token
//! decides.

use std::ops::Range;

use cel::common::ast::{EntryExpr, Expr, LiteralValue};
use cel::parser::Expression;

use super::messages::{ALIAS, AUTH, LEASE, fields, literals};
use crate::identity::PolicyName;
use crate::policy::check::spans::Spans;
use crate::policy::compile::parse;
use crate::policy::guard;

/// A value that keeps a grant from being granted.
#[derive(Debug)]
pub(super) struct Denied {
    /// The bytes of the expression that it stands at.
    pub(super) range: Range<usize>,
    /// What is wrong.
    pub(super) message: String,
    /// What to write instead.
    pub(super) help: String,
}

/// Every such value of `source`. What is no CEL has none here.
pub(super) fn values(source: &str) -> Vec<Denied> {
    let Some(tree) = parse(source).ok().filter(guard::is_walkable) else { return vec![] };
    let mut messages = vec![];
    [AUTH, LEASE, ALIAS].into_iter().for_each(|name| literals(&tree, name, &mut messages));
    let mut found: Vec<(&Expression, (String, String))> = vec![];
    for (name, value) in messages.into_iter().flat_map(fields) {
        match name {
            "TTL" | "MaxTTL" | "period" | "explicit_max_ttl" => found.extend(span(name, value).map(|why| (value, why))),
            "policies" => each(value, &mut |item| found.extend(policy(item).map(|why| (item, why)))),
            "metadata" | "custom_metadata" | "bound_cidrs" => {
                each(value, &mut |item| found.extend(no_text(name, item).map(|why| (item, why))));
            }
            _ => {}
        }
    }
    let spans = if found.is_empty() { None } else { Some(Spans::of(source)) };
    let denied = |(node, (message, help)): (&Expression, (String, String))| {
        let range = spans.as_ref().map_or(0..source.len(), |spans| spans.node(node));
        Denied { range, message, help }
    };
    found.into_iter().map(denied).collect()
}

/// A message, and what helps.
type Why = (String, String);

fn span(field: &str, value: &Expression) -> Option<Why> {
    const SECOND: i64 = 1_000_000_000;
    if let Some(kind) = kind(value).filter(|kind| *kind != "an int") {
        let help = "write the nanoseconds: five minutes are `300000000000`";
        return Some((format!("`{field}` takes an int, and this is {kind}"), help.to_owned()));
    }
    let Expr::Literal(LiteralValue::Int(count)) = &value.expr else { return None };
    match *count.inner() {
        i64::MIN..=-1 => {
            Some((format!("`{field}` is less than no time"), "leave it out, or write nanoseconds".to_owned()))
        }
        count @ 1..SECOND => {
            let message = format!("`{field}` counts nanoseconds: {count} of them are less than a second");
            let meant = count.checked_mul(SECOND).map(|nanos| format!("{count} seconds are `{nanos}`"));
            Some((message, meant.unwrap_or_else(|| format!("a second is `{SECOND}`"))))
        }
        _ => None,
    }
}

fn policy(item: &Expression) -> Option<Why> {
    let Expr::Literal(LiteralValue::String(name)) = &item.expr else { return no_text("policies", item) };
    // As OpenBao sanitises it; an empty one is left out.
    let name = name.inner().trim().to_lowercase();
    if name == "root" {
        return Some((
            "`root` is never granted by a login".to_owned(),
            "name a policy that says what it needs".to_owned(),
        ));
    }
    let error = PolicyName::new(&name).err().filter(|_| !name.is_empty())?;
    Some((format!("this is no policy's name: {error}"), "cambio denies the whole grant".to_owned()))
}

fn no_text(field: &str, item: &Expression) -> Option<Why> {
    let kind = kind(item).filter(|kind| *kind != "a string")?;
    Some((
        format!("`{field}` holds strings, and this is {kind}"),
        "write it in quotes, or with `string(..)`".to_owned(),
    ))
}

/// Calls `see` with each element of a list, and each key and value of a map, that stands in the program.
fn each<'t>(value: &'t Expression, see: &mut dyn FnMut(&'t Expression)) {
    match &value.expr {
        Expr::List(list) => list.elements.iter().for_each(see),
        Expr::Map(map) => map.entries.iter().for_each(|entry| {
            if let EntryExpr::MapEntry(entry) = &entry.expr {
                [&entry.key, &entry.value].into_iter().for_each(&mut *see);
            }
        }),
        _ => {}
    }
}

/// What a value is whatever the token holds; none where that can't be told here.
fn kind(value: &Expression) -> Option<&'static str> {
    match &value.expr {
        Expr::Literal(LiteralValue::String(_)) => Some("a string"),
        Expr::Literal(LiteralValue::Int(_)) => Some("an int"),
        Expr::Literal(LiteralValue::UInt(_)) => Some("a uint"),
        Expr::Literal(LiteralValue::Double(_)) => Some("a double"),
        Expr::Literal(LiteralValue::Boolean(_)) => Some("a bool"),
        Expr::Literal(LiteralValue::Bytes(_)) => Some("bytes"),
        Expr::Literal(LiteralValue::Null) => Some("null"),
        Expr::List(_) => Some("a list"),
        Expr::Map(_) => Some("a map"),
        Expr::Call(call) if call.target.is_none() => match call.func_name.as_str() {
            "duration" => Some("a duration"),
            "timestamp" => Some("a timestamp"),
            "string" => Some("a string"),
            "int" | "size" => Some("an int"),
            "uint" => Some("a uint"),
            "double" => Some("a double"),
            "bool" => Some("a bool"),
            "bytes" => Some("bytes"),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::seconds("pb.Auth{lease_options: pb.LeaseOptions{TTL: 300, issue_time: now}}", "300")]
    #[case::a_period_in_seconds("pb.Auth{period: 300}", "300")]
    #[case::a_duration("pb.Auth{lease_options: pb.LeaseOptions{TTL: duration('5m')}}", "duration('5m')")]
    #[case::root("pb.Auth{policies: ['a', ' Root ']}", "' Root '")]
    #[case::no_name("pb.Auth{policies: ['a//b']}", "'a//b'")]
    #[case::a_number("pb.Auth{policies: ['a', 1]}", "1")]
    #[case::metadata("claims.sub == 'x' ? pb.Auth{metadata: {'a': 1}} : 'no'", "1")]
    #[case::of_an_alias("pb.Auth{alias: logical.Alias{metadata: {'a': int(claims.n)}}}", "int(claims.n)")]
    fn what_no_login_ever_gets_is_pointed_at(#[case] source: &str, #[case] at: &str) {
        let found = values(source);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(source.get(found[0].range.clone()), Some(at), "{found:?}");
    }

    #[rstest]
    #[case::nanoseconds("pb.Auth{lease_options: pb.LeaseOptions{TTL: 300000000000, MaxTTL: 0, issue_time: now}}")]
    #[case::a_second("pb.Auth{period: 1000000000}")]
    #[case::computed("pb.Auth{period: 60 * 1000000000}")]
    #[case::names("pb.Auth{policies: ['Deploy/Shop', '', claims.sub, string(1)]}")]
    #[case::metadata("pb.Auth{metadata: {'a': string(claims.n), 'b': claims.sub}}")]
    #[case::root_somewhere_else("pb.Auth{display_name: 'root', metadata: {'user': 'root'}}")]
    fn what_a_login_can_get_is_fine(#[case] source: &str) {
        assert!(values(source).is_empty(), "{:?}", values(source));
    }

    #[test]
    fn the_help_says_the_span_that_was_meant() {
        let [found] = &values("pb.Auth{period: 300}")[..] else { panic!() };
        assert_eq!(found.help, "300 seconds are `300000000000`");
    }
}
