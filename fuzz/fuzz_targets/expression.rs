//! An expression of any text, in either dialect: parsed, expanded, judged, costed and evaluated on odd claims, or refused;
//! never a panic of ours, an overflow, or a value without a bound.
#![no_main]

use cambio::clock::Timestamp;
use cambio::policy::limits::STEPS;
use cambio::policy::{Dialect, Expression};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let dialect = if first % 2 == 0 { Dialect::Native } else { Dialect::Role };
    let Ok(expression) = Expression::compile(text, dialect, &[]) else { return };
    if expression.steps() > STEPS {
        return;
    }
    let claims = json!({"s": "group/project", "l": ["b", "a", "é"], "n": 3, "m": {"x": 1, "y": [null]}, "d": -1.5e300,
        "u": u64::MAX, "j": "{\"a\":[1]}", "b": true, "z": null, "t": "aGk="});
    let claims = claims.as_object().unwrap();
    let _ = expression.evaluate(claims, [], Timestamp::from_secs(1_795_000_000), |value| value.is_ok());
});
