//! OpenBao's own functions: `check_valid_email`, `encode_json`, `decode_json`.
//!
//! Decides how values read and write as JSON in a role program. Numbers are doubles when decoded, as Go reads them into
//! an `any`. Refuses JSON beyond the bounds of claims.

use std::collections::HashMap;

use cel::ExecutionError;
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::{CowVal, Val};
use serde_json::{Map, Number, Value};

use super::super::claims;

type Arguments<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// Whether a text is an address `local@domain`: no display name, no quoted local part, no comment.
pub(super) fn is_email<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    Ok(CowVal::owned(CelBool::from(is_address(text(&args)?))))
}

/// The JSON text of a value, with its members in order of their names and `<`, `>`, `&` escaped, as Go writes it.
pub(super) fn encode<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let value = args.first().ok_or_else(ExecutionError::missing_argument_or_target)?;
    let json = json(value.as_ref()).ok_or_else(|| {
        ExecutionError::function_error("encode_json", format!("no JSON of a {}", value.get_type().name()))
    })?;
    let escaped = json.to_string().chars().fold(String::new(), |mut text, next| {
        match next {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
        text
    });
    Ok(CowVal::owned(CelString::from(escaped)))
}

/// The value of a JSON text.
pub(super) fn decode<'b, 'v>(args: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let text = text(&args)?;
    // No error of the parser's: it would quote the text, which may be a claim.
    let json: Value =
        serde_json::from_str(text).map_err(|_| ExecutionError::function_error("decode_json", "no JSON"))?;
    claims::within_bounds(&json).map_err(|fault| ExecutionError::function_error("decode_json", fault))?;
    Ok(CowVal::Owned(value(&json)))
}

fn text<'a>(args: &'a [CowVal<'_, '_>]) -> Result<&'a str, ExecutionError> {
    let argument = args.first().and_then(|argument| argument.downcast_ref::<CelString<'_>>());
    argument.map(CelString::inner).ok_or_else(ExecutionError::missing_argument_or_target)
}

fn is_address(text: &str) -> bool {
    let atom = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || more.contains(c) || !c.is_ascii())
    };
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    text.len() <= 320
        && local.split('.').all(|part| atom(part, "!#$%&'*+-/=?^_`{|}~"))
        && domain.split('.').all(|part| atom(part, "-") && !part.starts_with('-') && !part.ends_with('-'))
}

/// Recursion is bounded as the value's depth is: by the source, the claims, or [`decode`].
fn json(value: &dyn Val) -> Option<Value> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Some(Value::from(text.inner()));
    }
    if let Some(truth) = value.downcast_ref::<CelBool>() {
        return Some(Value::from(*truth.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelInt>() {
        return Some(Value::from(*number.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelUInt>() {
        return Some(Value::from(*number.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        let double = *number.inner();
        // Go writes a double without a fraction as an integer.
        // From 2^53 on the text would be long, and no number of this kind is exact.
        let is_whole = double.fract() == 0.0 && double.abs() < 9_007_199_254_740_992.0;
        let whole = is_whole.then(|| format!("{double:.0}").parse::<i64>().ok()).flatten();
        return whole.map(Value::from).or_else(|| Number::from_f64(double).map(Value::Number));
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return Some(Value::Null);
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().map(|element| json(element.as_ref())).collect::<Option<Vec<_>>>().map(Value::Array);
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let mut members = Map::new();
        for (key, value) in map.inner() {
            let name = match json(key.inner())? {
                Value::String(name) => name,
                other => other.to_string(),
            };
            members.insert(name, json(value.as_ref())?);
        }
        return Some(Value::Object(members));
    }
    value.downcast_ref::<CelBytes<'_>>().map(|bytes| {
        use base64::Engine as _;
        Value::from(base64::engine::general_purpose::STANDARD.encode(bytes.inner()))
    })
}

fn value(json: &Value) -> Box<dyn Val> {
    match json {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        Value::String(text) => Box::new(CelString::from(text.clone())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(value).collect::<Vec<_>>())),
        Value::Object(members) => {
            let members: HashMap<CelMapKey<'static>, Box<dyn Val>> =
                members.iter().map(|(name, json)| (CelMapKey::from(name.clone()), value(json))).collect();
            Box::new(CelMap::from(members))
        }
    }
}
