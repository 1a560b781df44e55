//! Verified claims as OpenBao's programs see them.
//!
//! Decides how JSON reads there: every number is a `double`, because Go's `json.Unmarshal` makes it one before CEL sees
//! it. So an id of seven digits that a platform sends as a number reads `1.234567e+06` as a text. Refuses to know what a
//! claim means, and to bound anything: that is done before.

use std::collections::HashMap;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer};
use cel::common::types::{CelBool, CelDouble, CelList, CelMap, CelMapKey, CelNull, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

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
