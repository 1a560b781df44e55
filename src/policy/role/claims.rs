//! Verified claims as OpenBao's programs see them.
//!
//! Decides how JSON reads there: every number is a `double`, because Go's `json.Unmarshal` makes it one before CEL sees
//! it; and `string` of a `double` is what Go's `%g` writes, so that an id of seven digits that a platform sends as a number
//! reads `1.234567e+06`. Refuses to know what a claim means, and to bound anything: that is done before.

use std::collections::HashMap;

use cel::common::ast::{EntryExpr, Expr, MapExpr, StructExpr};
use cel::common::functions::Function;
use cel::common::traits::{Container, Indexer};
use cel::common::types::{
    CelBool, CelDouble, CelList, CelMap, CelMapKey, CelNull, CelString, DOUBLE_TYPE, DYN_TYPE, MAP_TYPE, Type,
};
use cel::common::value::{CowVal, Val};
use cel::parser::Expression;
use cel::{DeclarationError, Env, ExecutionError};
use serde_json::{Map, Value};

/// The claims of one token: what `claims` is in a program. Knows its members by name; compares with nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoleClaims<'c>(pub(super) &'c Map<String, Value>);

impl<'c> RoleClaims<'c> {
    /// The claim of that name, as a CEL value.
    pub(super) fn value(self, name: &str) -> Option<Box<dyn Val + 'c>> {
        self.0.get(name).map(value)
    }
}

/// Recursion is bounded with the depth of the claims.
fn value<'c>(json: &'c Value) -> Box<dyn Val + 'c> {
    match json {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(value).collect::<Vec<_>>())),
        Value::Object(members) => {
            let members: HashMap<CelMapKey<'c>, Box<dyn Val + 'c>> =
                members.iter().map(|(name, json)| (CelMapKey::from(name.as_str()), value(json))).collect();
            Box::new(CelMap::from(members))
        }
    }
}

impl Val for RoleClaims<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl Indexer for RoleClaims<'_> {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = name.downcast_ref::<CelString<'_>>().ok_or_else(not_a_name)?;
        self.value(name.inner()).map(CowVal::Owned).ok_or_else(|| ExecutionError::no_such_key(name.inner()))
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}

impl Container for RoleClaims<'_> {
    fn contains(&self, name: &dyn Val) -> Result<bool, ExecutionError> {
        let name = name.downcast_ref::<CelString<'_>>().ok_or_else(not_a_name)?;
        Ok(self.0.contains_key(name.inner()))
    }
}

fn not_a_name() -> ExecutionError {
    ExecutionError::no_such_overload("_[_]", vec!["map".to_owned(), "no string".to_owned()])
}

/// What a program's `string(..)` is rewritten to. No source can name it.
pub(in crate::policy) const STRING: &str = "@string";

/// Rewrites each `string(..)` of a judged tree to [`STRING`]. Recursive: only after its depth is bounded.
pub(in crate::policy) fn go_strings(tree: &mut Expression) {
    match &mut tree.expr {
        Expr::Call(call) => {
            if call.target.is_none() && call.func_name == "string" {
                STRING.clone_into(&mut call.func_name);
            }
            call.target.as_deref_mut().into_iter().chain(&mut call.args).for_each(go_strings);
        }
        Expr::Select(select) => go_strings(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().for_each(go_strings),
        Expr::Map(MapExpr { entries }) | Expr::Struct(StructExpr { entries, .. }) => {
            entries.iter_mut().for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    go_strings(&mut entry.key);
                    go_strings(&mut entry.value);
                }
                EntryExpr::StructField(field) => go_strings(&mut field.value),
            });
        }
        Expr::Comprehension(inner) => {
            [
                &mut inner.iter_range,
                &mut inner.accu_init,
                &mut inner.loop_cond,
                &mut inner.loop_step,
                &mut inner.result,
            ]
            .into_iter()
            .for_each(go_strings);
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

/// Adds [`STRING`]: `cel`'s own conversions, but Go's for a `double`.
///
/// # Errors
/// Only if `cel` comes to declare the name itself.
pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload(STRING, "double_to_string_as_go", vec![DOUBLE_TYPE], of_double)?;
    for (id, sample) in samples(env) {
        let ty = sample.get_type().to_owned();
        let convert: Option<Function> = env.find_overload("string", &[sample]);
        if let Some(convert) = convert {
            env.add_overload(STRING, id, vec![ty], convert)?;
        }
    }
    env.add_overload(STRING, "dyn_to_string", vec![DYN_TYPE], refuse)
}

/// A value of each type that `string` takes.
fn samples(env: &Env) -> Vec<(&'static str, CowVal<'static, 'static>)> {
    use cel::common::types::{CelBytes, CelInt, CelUInt};
    let converted = |function: &str, argument: CowVal<'static, 'static>| -> Option<CowVal<'static, 'static>> {
        let arguments = vec![argument];
        let convert: Function = env.find_overload(function, &arguments)?;
        convert(arguments).ok()
    };
    let mut samples: Vec<(&'static str, CowVal<'static, 'static>)> = vec![
        ("string_as_go", CowVal::owned(CelString::from(""))),
        ("bool_as_go", CowVal::owned(CelBool::from(true))),
        ("int_as_go", CowVal::owned(CelInt::from(0))),
        ("uint_as_go", CowVal::owned(CelUInt::from(0))),
        ("bytes_as_go", CowVal::owned(CelBytes::from(Vec::new()))),
    ];
    let moment = converted("timestamp", CowVal::owned(CelInt::from(0)));
    let span = converted("duration", CowVal::owned(CelString::from("0s")));
    samples.extend(moment.map(|moment| ("timestamp_as_go", moment)));
    samples.extend(span.map(|span| ("duration_as_go", span)));
    samples
}

fn of_double<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let number = args.first().and_then(|number| number.downcast_ref::<CelDouble>());
    let number = number.ok_or_else(ExecutionError::missing_argument_or_target)?;
    Ok(CowVal::owned(CelString::from(as_go(*number.inner()))))
}

fn refuse<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let types = args.iter().map(|arg| arg.get_type().name().to_owned()).collect();
    Err(ExecutionError::no_such_overload("string", types))
}

/// A number as Go's `%g` writes it: the shortest digits that read back as the same number, with an exponent of two
/// digits or more below 0.0001 and from a million on.
fn as_go(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(power) if !(-4..6).contains(&power) => exponential(digits, power),
        _ => format!("{number}"),
    }
}

fn exponential(digits: &str, power: i32) -> String {
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", power.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(0.0, "0")]
    #[case(-0.0, "-0")]
    #[case(1.0, "1")]
    #[case(-1.5, "-1.5")]
    #[case(999_999.0, "999999")]
    #[case(1_000_000.0, "1e+06")]
    #[case(1_234_567.0, "1.234567e+06")]
    #[case(123_456_789_012.0, "1.23456789012e+11")]
    #[case(1e21, "1e+21")]
    #[case(1e100, "1e+100")]
    #[case(0.0001, "0.0001")]
    #[case(0.00001, "1e-05")]
    #[case(0.1, "0.1")]
    #[case(f64::NAN, "NaN")]
    #[case(f64::INFINITY, "+Inf")]
    fn a_number_reads_as_go_writes_it(#[case] number: f64, #[case] expected: &str) {
        assert_eq!(as_go(number), expected);
    }

    #[rstest]
    #[case(json!(1), "double")]
    #[case(json!(u64::MAX), "double")]
    #[case(json!("1"), "string")]
    #[case(json!(null), "null_type")]
    #[case(json!([1]), "list")]
    fn every_number_is_a_double(#[case] claim: Value, #[case] expected: &str) {
        let claims = json!({ "x": claim });
        assert_eq!(RoleClaims(claims.as_object().unwrap()).value("x").unwrap().get_type().name(), expected);
    }
}
