//! JSON as a token may carry it: one object, no member twice at any depth, every size bounded.
//!
//! `serde_json` alone keeps the last of two members of one name; an issuer, or another relying party, may have read the
//! first (RFC 7515 section 4, RFC 8725 section 2.4). The bounds also are what policies' cost estimates rest on.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep objects and arrays nest at most, the outermost object counted.
pub const MAX_DEPTH: u8 = 16;
/// How many elements an array has at most.
pub const MAX_ARRAY: usize = 512;
/// How many values there are at most in one document.
pub const MAX_VALUES: u32 = 4096;

/// Why bytes are not acceptable JSON. Never quotes the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, not UTF-8, or followed by more.
    #[error("not well-formed JSON")]
    Malformed,
    /// Not an object at the top.
    #[error("not a JSON object")]
    NotAnObject,
    /// The same member twice in one object.
    #[error("a member occurs twice")]
    DuplicateMember,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than 16 levels")]
    TooDeep,
    /// An array with more than [`MAX_ARRAY`] elements.
    #[error("an array has more than 512 elements")]
    LongArray,
    /// More than [`MAX_VALUES`] values.
    #[error("more than 4096 values")]
    TooManyValues,
}

/// Reads one object.
///
/// # Errors
/// [`JsonError`] names the first fault.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let fault = Cell::new(None);
    let values = Cell::new(0);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let seed = Strict { fault: &fault, values: &values, depth: 0 };
    let parsed = seed.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    match parsed {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(JsonError::NotAnObject),
        Err(_) => Err(fault.get().unwrap_or(JsonError::Malformed)),
    }
}

/// Whether `name` could be taken for one of `registered` by a reader that folds case (`SUB`, `ſub`, `\u212Aid`) although
/// it is another name. Go's JSON decoder is such a reader (hashicorp/cap#191).
#[must_use]
pub(super) fn looks_like(name: &str, registered: &[&str]) -> bool {
    if name.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) && !name.contains('#') {
        return false;
    }
    let folded: String = name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    registered.iter().any(|known| *known != name && known.eq_ignore_ascii_case(&folded))
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    fault: &'a Cell<Option<JsonError>>,
    values: &'a Cell<u32>,
    depth: u8,
}

impl Strict<'_> {
    fn refuse<E: serde::de::Error>(self, fault: JsonError) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.refuse(JsonError::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let count = self.values.get() + 1;
        self.values.set(count);
        if count > MAX_VALUES {
            return Err(self.refuse(JsonError::TooManyValues));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(value) = elements.next_element_seed(inner)? {
            if array.len() == MAX_ARRAY {
                return Err(self.refuse(JsonError::LongArray));
            }
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            let value = members.next_value_seed(inner)?;
            if map.insert(name.into_owned(), value).is_some() {
                return Err(self.refuse(JsonError::DuplicateMember));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(r#"{"a":1,"a":2}"#, JsonError::DuplicateMember)]
    #[case(r#"{"x":{"a":1,"\u0061":2}}"#, JsonError::DuplicateMember)]
    #[case(r#"{"x":[{"a":1,"a":1}]}"#, JsonError::DuplicateMember)]
    #[case("[1]", JsonError::NotAnObject)]
    #[case("\"x\"", JsonError::NotAnObject)]
    #[case(r#"{"a":1} x"#, JsonError::Malformed)]
    #[case(r#"{"a":"\ud800"}"#, JsonError::Malformed)]
    #[case(r#"{"a":NaN}"#, JsonError::Malformed)]
    #[case(r#"{"a":1e999}"#, JsonError::Malformed)]
    #[case("", JsonError::Malformed)]
    fn what_a_token_must_not_carry_is_refused(#[case] json: &str, #[case] error: JsonError) {
        assert_eq!(parse_object(json.as_bytes()), Err(error));
    }

    #[rstest]
    #[case(15, true)]
    #[case(16, false)]
    fn nesting_is_bounded(#[case] arrays: usize, #[case] fine: bool) {
        let json = format!(r#"{{"a":{}{}}}"#, "[".repeat(arrays), "]".repeat(arrays));
        let expected = if fine { None } else { Some(JsonError::TooDeep) };
        assert_eq!(parse_object(json.as_bytes()).err(), expected);
    }

    #[rstest]
    #[case(512, None)]
    #[case(513, Some(JsonError::LongArray))]
    fn arrays_are_bounded(#[case] elements: usize, #[case] error: Option<JsonError>) {
        let json = format!(r#"{{"a":[{}]}}"#, vec!["1"; elements].join(","));
        assert_eq!(parse_object(json.as_bytes()).err(), error);
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let arrays = vec![format!("[{}]", vec!["1"; 500].join(",")); 9].join(",");
        let json = format!(r#"{{"a":[{arrays}]}}"#);
        assert_eq!(parse_object(json.as_bytes()), Err(JsonError::TooManyValues));
    }

    #[test]
    fn integers_stay_exact_up_to_64_bits() {
        let map = parse_object(br#"{"a":9007199254740993,"b":18446744073709551615,"c":-9223372036854775808}"#).unwrap();
        assert_eq!(map["a"].as_i64(), Some(9_007_199_254_740_993));
        assert_eq!(map["b"].as_u64(), Some(u64::MAX));
        assert_eq!(map["c"].as_i64(), Some(i64::MIN));
        let wide = parse_object(br#"{"a":18446744073709551616}"#).unwrap();
        assert!(wide["a"].is_f64());
    }

    #[rstest]
    #[case("SUB", true)]
    #[case("\u{17f}ub", true)]
    #[case("Iss", true)]
    #[case("\u{212a}id", true)]
    #[case("sub", false)]
    #[case("subject", false)]
    #[case("Environment", false)]
    #[case("x5t#S256", false)]
    #[case("x5t#s256", true)]
    fn a_look_alike_of_a_registered_name_is_seen(#[case] name: &str, #[case] alike: bool) {
        assert_eq!(looks_like(name, &["iss", "sub", "kid", "x5t#S256"]), alike);
    }
}
