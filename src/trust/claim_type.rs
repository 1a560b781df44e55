//! The types that a claim can have, as a platform file writes them and as CEL will see them.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// The type of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ClaimType {
    /// A JSON string. `"true"` is one too: it never equals a bool.
    String,
    /// A JSON number without fraction, within 64 bits.
    Int,
    /// A JSON number.
    Double,
    /// `true` or `false`.
    Bool,
    /// A JSON object.
    Map,
    /// A JSON array whose elements all have that type.
    List(Box<ClaimType>),
    /// One of several, e.g. `aud`, which is a string or a list of strings.
    OneOf(Vec<ClaimType>),
    /// Anything: the platform, or whoever set up the claim, decides.
    Any,
}

impl ClaimType {
    /// Whether `value` has this type. `null` has none: whether it is allowed, the claim says.
    #[must_use]
    pub fn admits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any, _) | (Self::String, Value::String(_)) | (Self::Bool, Value::Bool(_)) => true,
            (Self::Map, Value::Object(_)) | (Self::Double, Value::Number(_)) => true,
            (Self::Int, Value::Number(number)) => !number.is_f64(),
            (Self::List(element), Value::Array(values)) => values.iter().all(|value| element.admits(value)),
            (Self::OneOf(types), value) => types.iter().any(|one| one.admits(value)),
            _ => false,
        }
    }

    /// Reads `string`, `int`, `double`, `bool`, `map`, `any`, `list<...>`, and alternatives between `|`.
    fn parse(text: &str) -> Option<Self> {
        let alternatives = split_outside_brackets(text);
        if alternatives.len() > 1 {
            return alternatives.into_iter().map(Self::parse).collect::<Option<_>>().map(Self::OneOf);
        }
        match text.trim() {
            "string" => Some(Self::String),
            "int" => Some(Self::Int),
            "double" => Some(Self::Double),
            "bool" => Some(Self::Bool),
            "map" => Some(Self::Map),
            "any" => Some(Self::Any),
            list => Self::parse(list.strip_prefix("list<")?.strip_suffix('>')?).map(|one| Self::List(Box::new(one))),
        }
    }
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|c: char| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        c == '|' && depth == 0
    })
    .collect()
}

impl TryFrom<String> for ClaimType {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| {
            format!("`{text}` is no claim type: string, int, double, bool, map, any, list<...>, or several between `|`")
        })
    }
}

impl fmt::Display for ClaimType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("double"),
            Self::Bool => f.write_str("bool"),
            Self::Map => f.write_str("map"),
            Self::Any => f.write_str("any"),
            Self::List(element) => write!(f, "list<{element}>"),
            Self::OneOf(types) => {
                for (place, one) in types.iter().enumerate() {
                    write!(f, "{}{one}", if place == 0 { "" } else { "|" })?;
                }
                Ok(())
            }
        }
    }
}

/// What a JSON value is, in the same words.
#[must_use]
pub(super) fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "double",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case("string", json!("true"), true)]
    #[case("bool", json!("true"), false)]
    #[case("int", json!(1), true)]
    #[case("int", json!(1.5), false)]
    #[case("double", json!(1), true)]
    #[case("list<string>", json!(["a"]), true)]
    #[case("list<string>", json!(["a", 1]), false)]
    #[case("string|list<string>", json!("a"), true)]
    #[case("string|list<string>", json!(["a"]), true)]
    #[case("string|list<string>", json!({}), false)]
    #[case("list<string|int>", json!(["a", 1]), true)]
    #[case("string", json!(null), false)]
    fn a_value_has_the_type_that_is_written(#[case] text: &str, #[case] value: Value, #[case] fits: bool) {
        let ty = ClaimType::parse(text).unwrap();
        assert_eq!(ty.to_string(), text);
        assert_eq!(ty.admits(&value), fits);
    }

    #[rstest]
    #[case("str")]
    #[case("list<>")]
    #[case("list<string")]
    #[case("string|")]
    #[case("")]
    fn what_is_no_type_is_refused(#[case] text: &str) {
        assert_eq!(ClaimType::parse(text), None);
    }
}
