//! The same value, or both an error: cambio's CEL and Google's (cel-cpp, by cel-expr-python), over generated expressions
//! and claims.
//!
//! 5,000 pairs of a fixed seed; `CAMBIO_CEL_PAIRS` and `CAMBIO_CEL_SEED` ask for others. What the two are known to see
//! differently is in [`KNOWN`], each with its reason, and in `docs/cel.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods, dead_code)]

mod cel_support;
#[path = "cel_support/generate.rs"]
mod generate;
#[path = "support/real_part.rs"]
mod real_part;
#[path = "cel_support/variant.rs"]
mod variant;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cambio::clock::Timestamp;
use cambio::policy::{CompileError, Dialect, Expression};
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelString, CelTimestamp, CelUInt,
};
use cel::common::value::Val;
use generate::{Random, Writer, claims};
use serde_json::{Map, Value, json};
use variant::{Binds, variant};

/// What both sides may answer without agreeing: a name, and whether a disagreement is of that kind.
type Difference = (&'static str, fn(&str, &Value, &Value) -> bool);

const KNOWN: [Difference; 5] = [
    // Only cel-cpp has it: neither the standard nor cel-go.
    ("`int` of a bool", |expression, ours, _| {
        expression.contains("int(") && ours[1].as_str().is_some_and(|text| text.contains("'int' applied to '(bool)'"))
    }),
    // `cel` appends the keys of a map to a list. The checker refuses it where it knows the types.
    ("a list plus a map", |_, ours, theirs| {
        !is_error(ours) && theirs[1].as_str().is_some_and(|text| text.contains("_+_(list, map)"))
    }),
    // As in cel-go it is an error to order a NaN; there it is false. And it is written `NaN`, there `-nan` as well.
    ("an order of NaN, or its name", |_, ours, theirs| {
        let unordered = ["'_<", "'_>"].iter().any(|name| ours[1].as_str().is_some_and(|text| text.contains(name)));
        let named = ours[1].as_str().is_some_and(|text| text.contains("NaN"));
        (is_error(ours) && unordered && ours.to_string().contains("double") && !is_error(theirs))
            || (named && theirs[1].as_str().is_some_and(|text| text.contains("nan")))
    }),
    // It belongs to cel-go's extension of lists, which this build of cel-cpp does not have.
    ("`reverse` of a list", |_, ours, theirs| {
        !is_error(ours) && theirs[1].as_str().is_some_and(|text| text.contains("(list).reverse()"))
    }),
    // The standard leaves the order of a map's keys open.
    ("the order of a map's keys", |_, ours, theirs| {
        let elements = |value: &Value| {
            let mut elements: Vec<String> = value[1].as_array().into_iter().flatten().map(Value::to_string).collect();
            elements.sort();
            elements
        };
        ours[0] == "list" && theirs[0] == "list" && elements(ours) == elements(theirs)
    }),
];

/// Differences that are known by asking both once more, for a variant without what they are known to see differently.
struct Suspect<'p> {
    expression: &'p str,
    claims: &'p Map<String, Value>,
    ours: &'p Value,
    theirs: &'p Value,
}

impl Suspect<'_> {
    /// Which of the known differences it is.
    fn known(&self, google: &mut Google) -> Option<&'static str> {
        let plain = |expression: &str, ours: &Value, theirs: &Value| {
            KNOWN.iter().find(|(_, is)| is(expression, ours, theirs)).map(|(name, _)| *name)
        };
        plain(self.expression, self.ours, self.theirs)
            .or_else(|| self.failing_bind(google))
            .or_else(|| self.bind_in_a_branch(google))
            .or_else(|| self.formatted_double(google))
    }

    /// Here a bound value is evaluated where it is bound, there where it is first used: a failure shows earlier. It is that
    /// only if Google's fails as well where the value comes first, and ours does not where it comes when it is used.
    fn failing_bind(&self, google: &mut Google) -> Option<&'static str> {
        let is = self.expression.contains("cel.bind(")
            && is_error(self.ours)
            && !is_error(self.theirs)
            && ours(&variant(self.expression, Binds::Inlined, false), self.claims).as_ref() == Some(self.theirs)
            && is_error(&google.one(&variant(self.expression, Binds::Early, false), self.claims));
        is.then_some("`cel.bind` of what fails, and is never used")
    }

    /// A bind in a branch reads the variable of a comprehension in the condition: cel-cpp's fault. Without binds, or with
    /// comprehensions in their place, it says what ours says.
    fn bind_in_a_branch(&self, google: &mut Google) -> Option<&'static str> {
        let mut agrees = |binds| google.one(&variant(self.expression, binds, false), self.claims) == *self.ours;
        let is = self.expression.contains("cel.bind(")
            && self.expression.contains(" ? ")
            && !is_error(self.ours)
            && agrees(Binds::Inlined)
            && agrees(Binds::Early);
        is.then_some("cel-cpp's `cel.bind` in a branch of `?:`, after a comprehension")
    }

    /// `%d` and `%s` of a double, `%s` of a list of them: here, as in cel-go, the fewest digits; there six of them, or those of printf. Both format
    /// it, and agree if it is no double.
    fn formatted_double(&self, google: &mut Google) -> Option<&'static str> {
        let without = variant(self.expression, Binds::Kept, true);
        let is = without.contains("== double ? 0 : ")
            && !is_error(self.ours)
            && !is_error(self.theirs)
            && ours(&without, self.claims).is_some_and(|ours| ours == google.one(&without, self.claims));
        is.then_some("a double that is formatted by `%d` or `%s`")
    }
}

/// Google's implementation, in a process of its own.
struct Google {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Google {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/cel.py");
        let mut command = Command::new(real_part::real_dir().join("venv/bin/python"));
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let (questions, answers) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, questions, answers }
    }

    fn ask(&mut self, batch: &[(String, Map<String, Value>)]) {
        let asked: Vec<_> = batch.iter().map(|(expr, claims)| json!({"expr": expr, "claims": claims})).collect();
        let questions = self.questions.as_mut().unwrap();
        writeln!(questions, "{}", Value::Array(asked)).unwrap();
        questions.flush().unwrap();
    }

    fn answers(&mut self) -> Vec<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answers: Vec<Value> = serde_json::from_str(&line).unwrap();
        answers.into_iter().map(sorted).collect()
    }

    fn one(&mut self, expression: &str, claims: &Map<String, Value>) -> Value {
        self.ask(&[(expression.to_owned(), claims.clone())]);
        self.answers().remove(0)
    }
}

impl Drop for Google {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.process.wait();
    }
}

/// How an expression ends here: `None` where a bound of ours refuses what Google's evaluates.
fn ours(expression: &str, claims: &Map<String, Value>) -> Option<Value> {
    let error = |text: String| Some(json!(["error", text]));
    let compiled = match Expression::compile(expression, Dialect::Role, &[]) {
        Ok(compiled) => compiled,
        Err(
            CompileError::TooDeep
            | CompileError::TooLarge
            | CompileError::TooNested
            | CompileError::TooManyNodes
            | CompileError::TooLong(_),
        ) => return None,
        Err(refused) => return error(refused.to_string()),
    };
    let evaluated = catch_unwind(AssertUnwindSafe(|| {
        compiled.evaluate(claims, [], Timestamp::from_secs(0), |value| match value {
            Ok(value) => typed(value),
            Err(failed) => json!(["error", failed.to_string()]),
        })
    }));
    match evaluated {
        Ok(value) => value,
        Err(_) => panic!("a panic: {expression} over {}", Value::Object(claims.clone())),
    }
}

/// A value with its type, as `tests/real/cel.py` writes it.
fn typed(value: &dyn Val) -> Value {
    if let Some(value) = value.downcast_ref::<CelBool>() {
        json!(["bool", value.inner()])
    } else if let Some(value) = value.downcast_ref::<CelInt>() {
        json!(["int", value.inner().to_string()])
    } else if let Some(value) = value.downcast_ref::<CelUInt>() {
        json!(["uint", value.inner().to_string()])
    } else if let Some(value) = value.downcast_ref::<CelDouble>() {
        let number = value.inner() + 0.0;
        json!(["double", if number.is_nan() { "nan".to_owned() } else { format!("{:016x}", number.to_bits()) }])
    } else if let Some(value) = value.downcast_ref::<CelString<'_>>() {
        json!(["string", value.inner()])
    } else if let Some(value) = value.downcast_ref::<CelBytes<'_>>() {
        json!(["bytes", value.inner()])
    } else if let Some(value) = value.downcast_ref::<CelTimestamp>() {
        json!(["timestamp", value.inner().timestamp_micros().to_string()])
    } else if let Some(value) = value.downcast_ref::<CelDuration>() {
        json!(["duration", value.inner().num_microseconds().unwrap_or_default().to_string()])
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        json!(["list", list.inner().iter().map(|element| typed(element.as_ref())).collect::<Vec<_>>()])
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let mut entries: Vec<_> =
            map.inner().iter().map(|(key, value)| json!([typed(key.inner()), typed(value.as_ref())])).collect();
        entries.sort_by_key(Value::to_string);
        json!(["map", entries])
    } else {
        match cel_support::line(value).split_once(' ') {
            Some(("type", name)) => json!(["type", name]),
            _ => json!([value.get_type().name().trim_end_matches("_type"), null]),
        }
    }
}

/// Maps in one order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(parts) => {
            let mut parts: Vec<Value> = parts.into_iter().map(sorted).collect();
            if parts.first() == Some(&json!("map"))
                && let Some(Value::Array(entries)) = parts.get_mut(1)
            {
                entries.sort_by_key(Value::to_string);
            }
            Value::Array(parts)
        }
        other => other,
    }
}

fn is_error(value: &Value) -> bool {
    value[0] == "error"
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn googles_implementation_answers_the_same() {
    if !real_part::installed("python") {
        return;
    }
    let mut google = Google::start();
    let mut random = Random::seeded(setting("CAMBIO_CEL_SEED", 3));
    let wanted = setting("CAMBIO_CEL_PAIRS", 5_000);
    let (mut pairs, mut values, mut errors, mut refused) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut known: BTreeMap<&str, u64> = BTreeMap::new();
    let mut disagreements = Vec::new();
    while pairs < wanted {
        let batch: Vec<(String, Map<String, Value>)> = (0..500.min(wanted - pairs))
            .map(|_| {
                let claims = claims(&mut random);
                (Writer::new(&mut random).expression(), claims)
            })
            .collect();
        google.ask(&batch);
        let mine: Vec<_> = batch.iter().map(|(expression, claims)| ours(expression, claims)).collect();
        let theirs = google.answers();
        assert_eq!(theirs.len(), batch.len());
        for (((expression, claims), mine), theirs) in batch.iter().zip(mine).zip(theirs) {
            pairs += 1;
            match mine {
                None => refused += 1,
                Some(mine) if is_error(&mine) && is_error(&theirs) => errors += 1,
                Some(mine) if mine == theirs => values += 1,
                Some(mine) => {
                    let suspect = Suspect { expression, claims, ours: &mine, theirs: &theirs };
                    match suspect.known(&mut google) {
                        Some(name) => *known.entry(name).or_default() += 1,
                        None => disagreements.push((expression.clone(), claims.clone(), mine, theirs)),
                    }
                }
            }
        }
    }
    println!(
        "{pairs} pairs: {values} the same value, {errors} an error on both sides, {refused} beyond a bound of ours"
    );
    println!("known differences: {known:?}; others: {}", disagreements.len());
    disagreements.sort_by_key(|(expression, ..)| expression.len());
    for (expression, claims, mine, theirs) in disagreements.iter().take(40) {
        println!("{expression}\n    ours   {mine}\n    theirs {theirs}\n    over {}", Value::Object(claims.clone()));
    }
    assert!(disagreements.is_empty(), "{} disagreements", disagreements.len());
    assert!(values * 10 >= pairs * 6, "only {values} of {pairs} end in a value on both sides");
    assert!(refused * 30 <= pairs, "{refused} of {pairs} are beyond a bound");
}
