//! Verified claims as CEL values, without a copy of the claims.
//!
//! Decides how JSON reads as CEL: an integer is an `int` where it fits (`uint` only above `i64::MAX`, `double` where it
//! has a fraction), a string borrows its bytes, `null` is `null` and not an absent claim. Refuses claims outside the
//! bounds that the cost of every expression was computed from. Refuses to know what a claim means.
//!
//! The root is lazy: only the claims that an expression mentions become CEL values, each once per rule. Below the root
//! they are `cel`'s own lists and maps, because those compare with literals from either side (`[..] == claims.x` asks
//! the literal, which knows only its own type).

use std::collections::HashMap;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt, MAP_TYPE, Type,
};
use cel::common::value::{CowVal, Val};
use serde_json::{Map, Value};

use super::limits::{CLAIM_BYTES, CLAIM_DEPTH, CLAIM_ITEMS, CLAIM_NODES};

/// The claims of one token: what `claims` is in an expression. Knows its members by name; compares with nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claims<'c> {
    members: &'c Map<String, Value>,
    numbers: Numbers,
}

/// How a JSON number reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    /// An integer as an integer.
    AsWritten,
    /// Always as a `double`, because Go's `json.Unmarshal` makes it one before OpenBao's CEL sees it: an id of seven digits
    /// that a platform sends as a number reads `1.234567e+06` as a text.
    AsGo,
}

/// Which bound the claims exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsFault {
    /// More text than a token may carry.
    #[error("the claims have more than {CLAIM_BYTES} bytes")]
    Bytes,
    /// More values in all.
    #[error("the claims have more than {CLAIM_NODES} values")]
    Nodes,
    /// More elements in one array, or members in one object.
    #[error("an array or object in the claims has more than {CLAIM_ITEMS} elements")]
    Items,
    /// Arrays and objects deeper inside one another.
    #[error("the claims are nested more than {CLAIM_DEPTH} deep")]
    Depth,
}

impl<'c> Claims<'c> {
    /// Claims within their bounds. Verification bounds tokens too; this is where the bounds are relied upon.
    ///
    /// # Errors
    /// [`ClaimsFault`] names the bound.
    pub(super) fn bounded(claims: &'c Map<String, Value>) -> Result<Self, ClaimsFault> {
        Room { bytes: CLAIM_BYTES, nodes: CLAIM_NODES }.object(claims, CLAIM_DEPTH)?;
        Ok(Self { members: claims, numbers: Numbers::AsWritten })
    }

    /// The same claims as OpenBao's programs see them.
    pub(super) fn as_go(self) -> Self {
        Self { numbers: Numbers::AsGo, ..self }
    }

    /// The claims as they were verified.
    pub(super) fn json(self) -> &'c Map<String, Value> {
        self.members
    }

    /// The claim of that name, as a CEL value.
    pub(super) fn value(self, name: &str) -> Option<Box<dyn Val + 'c>> {
        self.members.get(name).map(|json| value(json, self.numbers))
    }
}

/// Whether a value that is no token's claims keeps their bounds.
pub(super) fn within_bounds(value: &Value) -> Result<(), ClaimsFault> {
    Room { bytes: CLAIM_BYTES, nodes: CLAIM_NODES }.value(value, CLAIM_DEPTH)
}

/// What is left of the bounds.
struct Room {
    bytes: usize,
    nodes: usize,
}

impl Room {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), ClaimsFault> {
        self.nodes = self.nodes.checked_sub(1).ok_or(ClaimsFault::Nodes)?;
        match value {
            Value::String(text) => self.take(text.len()),
            Value::Array(items) => {
                let depth = within(items.len(), depth)?;
                items.iter().try_for_each(|item| self.value(item, depth))
            }
            Value::Object(members) => self.object(members, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) => self.take(8),
        }
    }

    fn object(&mut self, members: &Map<String, Value>, depth: usize) -> Result<(), ClaimsFault> {
        let depth = within(members.len(), depth)?;
        members.iter().try_for_each(|(name, value)| {
            self.take(name.len())?;
            self.value(value, depth)
        })
    }

    fn take(&mut self, bytes: usize) -> Result<(), ClaimsFault> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(ClaimsFault::Bytes)?;
        Ok(())
    }
}

fn within(items: usize, depth: usize) -> Result<usize, ClaimsFault> {
    if items > CLAIM_ITEMS {
        return Err(ClaimsFault::Items);
    }
    depth.checked_sub(1).ok_or(ClaimsFault::Depth)
}

/// Recursion is bounded by [`CLAIM_DEPTH`].
fn value<'c>(json: &'c Value, numbers: Numbers) -> Box<dyn Val + 'c> {
    match json {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => match (numbers, number.as_i64(), number.as_u64()) {
            (Numbers::AsWritten, Some(int), _) => Box::new(CelInt::from(int)),
            (Numbers::AsWritten, None, Some(uint)) => Box::new(CelUInt::from(uint)),
            _ => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => {
            Box::new(CelList::from(items.iter().map(|json| value(json, numbers)).collect::<Vec<_>>()))
        }
        Value::Object(members) => {
            let members: HashMap<CelMapKey<'c>, Box<dyn Val + 'c>> =
                members.iter().map(|(name, json)| (CelMapKey::from(name.as_str()), value(json, numbers))).collect();
            Box::new(CelMap::from(members))
        }
    }
}

impl Val for Claims<'_> {
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

impl Indexer for Claims<'_> {
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

impl Container for Claims<'_> {
    fn contains(&self, name: &dyn Val) -> Result<bool, ExecutionError> {
        let name = name.downcast_ref::<CelString<'_>>().ok_or_else(not_a_name)?;
        Ok(self.members.contains_key(name.inner()))
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

    fn nested(depth: usize) -> Value {
        (1..depth).fold(json!([]), |inner, _| json!([inner]))
    }

    #[rstest]
    #[case::many_groups(json!({"groups": vec!["g"; CLAIM_ITEMS]}), Ok(()))]
    #[case::an_array_too_long(json!({"groups": vec!["g"; CLAIM_ITEMS + 1]}), Err(ClaimsFault::Items))]
    #[case::too_many_values(json!({"a": [vec![1; 512], vec![1; 512], vec![1; 512], vec![1; 512]]}), Err(ClaimsFault::Nodes))]
    #[case::too_much_text(json!({"a": "x".repeat(CLAIM_BYTES)}), Err(ClaimsFault::Bytes))]
    #[case::too_long_a_name(json!({"x".repeat(CLAIM_BYTES + 1): null}), Err(ClaimsFault::Bytes))]
    #[case::deep(json!({"a": nested(CLAIM_DEPTH - 1)}), Ok(()))]
    #[case::too_deep(json!({"a": nested(CLAIM_DEPTH)}), Err(ClaimsFault::Depth))]
    fn claims_keep_the_bounds_that_costs_are_computed_from(
        #[case] claims: Value,
        #[case] expected: Result<(), ClaimsFault>,
    ) {
        assert_eq!(Claims::bounded(claims.as_object().unwrap()).map(|_| ()), expected);
    }

    #[rstest]
    #[case(json!(1), "int")]
    #[case(json!(-1), "int")]
    #[case(json!(u64::MAX), "uint")]
    #[case(json!(1.5), "double")]
    #[case(json!("1"), "string")]
    #[case(json!(null), "null_type")]
    #[case(json!(true), "bool")]
    #[case(json!([1]), "list")]
    #[case(json!({"a": 1}), "map")]
    fn json_reads_as_the_type_that_an_author_expects(#[case] claim: Value, #[case] name: &str) {
        let claims = json!({ "x": claim });
        let claims = Claims::bounded(claims.as_object().unwrap()).unwrap();
        assert_eq!(claims.value("x").unwrap().get_type().name(), name);
    }

    #[rstest]
    #[case(json!(1), "double")]
    #[case(json!(u64::MAX), "double")]
    #[case(json!("1"), "string")]
    #[case(json!(null), "null_type")]
    #[case(json!([1]), "list")]
    fn to_a_program_of_openbao_every_number_is_a_double(#[case] claim: Value, #[case] name: &str) {
        let claims = json!({ "x": claim });
        let claims = Claims::bounded(claims.as_object().unwrap()).unwrap().as_go();
        assert_eq!(claims.value("x").unwrap().get_type().name(), name);
    }
}
