//! CEL values as the conformance cases write them in JSON, and every value as one comparable line of text.

use std::collections::HashMap;

use base64::Engine as _;
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull, CelOptional, CelString,
    CelTimestamp, CelType, CelUInt,
};
use cel::common::value::Val;
use serde_json::Value;

/// A value of the conformance cases, as a CEL value; `None` where it is a message.
pub fn decoded(value: &Value) -> Option<Box<dyn Val>> {
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "boolValue" => Box::new(CelBool::from(value.as_bool()?)),
        "int64Value" => Box::new(CelInt::from(number::<i64>(value)?)),
        "uint64Value" => Box::new(CelUInt::from(number::<u64>(value)?)),
        "doubleValue" => Box::new(CelDouble::from(double(value)?)),
        "stringValue" => Box::new(CelString::from(value.as_str()?.to_owned())),
        "bytesValue" => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()?;
            Box::new(CelBytes::from(bytes))
        }
        "nullValue" => Box::new(CelNull),
        "listValue" => {
            let values = value.get("values").and_then(Value::as_array).cloned().unwrap_or_default();
            Box::new(CelList::from(values.iter().map(decoded).collect::<Option<Vec<_>>>()?))
        }
        "mapValue" => {
            let entries = value.get("entries").and_then(Value::as_array).cloned().unwrap_or_default();
            let mut map: HashMap<CelMapKey<'static>, Box<dyn Val>> = HashMap::new();
            for entry in &entries {
                let key = CelMapKey::try_from(decoded(entry.get("key")?)?).ok()?;
                map.insert(key, decoded(entry.get("value")?)?);
            }
            Box::new(CelMap::from(map))
        }
        "objectValue" => {
            let object = expected_object(value)?;
            let name = object.split_once(' ')?.0.to_owned();
            let text = if name == "timestamp" { format!("{}Z", &object[10..]) } else { object[9..].to_owned() };
            let text = vec![cel::common::value::CowVal::owned(CelString::from(text))];
            let convert = cel::Env::stdlib().find_overload(&name, &text)?;
            convert(text).ok()?.into_owned()
        }
        "typeValue" => Box::new(CelType::new(value.as_str()?)),
        _ => return None,
    })
}

fn number<N: std::str::FromStr>(value: &Value) -> Option<N> {
    value.as_str().map_or_else(|| value.to_string().parse().ok(), |text| text.parse().ok())
}

fn double(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some("NaN") => Some(f64::NAN),
        Some(other) => other.parse().ok(),
        None => value.as_f64(),
    }
}

/// What a case expects, as [`line`] writes it.
pub fn expected(value: &Value) -> Option<String> {
    match value.get("objectValue") {
        Some(object) => expected_object(object),
        None => decoded(value).map(|value| line(value.as_ref())),
    }
}

/// A moment or a duration, the only messages that JSON reaches.
fn expected_object(object: &Value) -> Option<String> {
    let text = object.get("value")?.as_str()?;
    match object.get("@type")?.as_str()?.rsplit('.').next()? {
        "Timestamp" => Some(format!("timestamp {}", text.trim_end_matches('Z'))),
        "Duration" => Some(format!("duration {text}")),
        _ => None,
    }
}

/// One line that is the same for the same value of the same type.
pub fn line(value: &dyn Val) -> String {
    if let Some(value) = value.downcast_ref::<CelBool>() {
        format!("bool {}", value.inner())
    } else if let Some(value) = value.downcast_ref::<CelInt>() {
        format!("int {}", value.inner())
    } else if let Some(value) = value.downcast_ref::<CelUInt>() {
        format!("uint {}", value.inner())
    } else if let Some(value) = value.downcast_ref::<CelDouble>() {
        // Zeros are equal whatever their sign.
        format!("double {:?}", value.inner() + 0.0)
    } else if let Some(value) = value.downcast_ref::<CelString<'_>>() {
        format!("string {:?}", value.inner())
    } else if let Some(value) = value.downcast_ref::<CelBytes<'_>>() {
        format!("bytes {:?}", value.inner())
    } else if value.downcast_ref::<CelNull>().is_some() {
        "null".to_owned()
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        let elements: Vec<_> = list.inner().iter().map(|element| line(element.as_ref())).collect();
        format!("list [{}]", elements.join(", "))
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let mut entries: Vec<_> =
            map.inner().iter().map(|(key, value)| format!("{}: {}", line(key.inner()), line(value.as_ref()))).collect();
        entries.sort();
        format!("map {{{}}}", entries.join(", "))
    } else if let Some(optional) = value.downcast_ref::<CelOptional<'_>>() {
        optional.inner().map_or_else(|| "optional none".to_owned(), |held| format!("optional {}", line(held)))
    } else if let Some(moment) = value.downcast_ref::<CelTimestamp>() {
        let utc = moment.inner().naive_utc();
        let nanoseconds = moment.inner().timestamp_subsec_nanos();
        let seconds = format!("timestamp {}", utc.format("%Y-%m-%dT%H:%M:%S"));
        if nanoseconds == 0 { seconds } else { format!("{seconds}.{nanoseconds:09}").trim_end_matches('0').to_owned() }
    } else if let Some(duration) = value.downcast_ref::<CelDuration>() {
        let (seconds, nanoseconds) = (duration.inner().num_seconds(), duration.inner().subsec_nanos());
        let sign = if seconds < 0 || nanoseconds < 0 { "-" } else { "" };
        let whole = format!("duration {sign}{}", seconds.unsigned_abs());
        let fraction = format!(".{:09}", nanoseconds.unsigned_abs());
        format!("{whole}{}s", if nanoseconds == 0 { "" } else { fraction.trim_end_matches('0') })
    } else if let Some(name) = value.downcast_ref::<CelType>() {
        format!("type {}", name.name())
    } else {
        format!("{} ?", value.get_type().name())
    }
}
