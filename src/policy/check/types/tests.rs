//! The checker against the evaluator: what it accepts without trust never ends in an error of types.
//!
//! Expressions and claims are made from a tape of numbers, so that a failure shrinks. Most of an expression has the type
//! that is wanted; now and then it has another, or reads what nobody asked for, or is a guard.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::clock::Timestamp;
use crate::policy::Expression as Compiled;
use crate::policy::check::blame::blamed;
use crate::policy::compile::Compiler;
use crate::policy::fault::Fault;
use crate::policy::language::Dialect;
use crate::policy::limits::COMPILER_STACK;
use crate::trust::Platform;

const PLATFORM: &str = "
name: test
title: a platform with claims of all types
issuer: {pattern: 'https://a.example', examples: [https://a.example], foreign: [https://b.example]}
algorithms: [RS256]
lifetime: {usual: 1h, longest: 24h}
replay: reusable
subject: s
claims:
  s: {type: string, presence: required, kind: platform_set}
  v: {type: string, presence: required, kind: platform_set, values: [x, y]}
  os: {type: string, kind: platform_set}
  ns: {type: string, nullable: true, presence: required, kind: platform_set}
  i: {type: int, presence: required, kind: platform_set}
  oi: {type: int, kind: platform_set}
  d: {type: double, presence: required, kind: platform_set}
  b: {type: bool, presence: required, kind: platform_set}
  ob: {type: bool, kind: platform_set}
  ls: {type: list<string>, presence: required, kind: platform_set}
  ols: {type: list<string>, kind: platform_set}
  li: {type: list<int>, presence: required, kind: platform_set}
  aud: {type: 'string|list<string>', presence: required, kind: platform_set}
  any: {type: any, presence: required, kind: platform_set}
  m:
    type: map
    presence: required
    kind: platform_set
    members:
      s: {type: string, presence: required, kind: platform_set}
      oi: {type: int, kind: platform_set}
      om: {type: map, kind: platform_set, members: {s: {type: string, presence: required, kind: platform_set}}}
  lm:
    type: list<map>
    presence: required
    kind: platform_set
    members:
      s: {type: string, presence: required, kind: platform_set}
      oi: {type: int, kind: platform_set}
examples:
  - name: one
    claims: {s: a, v: x, ns: null, i: 1, d: 1.5, b: true, ls: [], li: [], aud: a, any: 1, m: {s: a}, lm: []}
";

fn platform() -> Platform {
    Platform::parse(PLATFORM).unwrap()
}

/// Numbers that decide everything; 0 where it has run out, which ends whatever could go on.
struct Tape<'t>(std::slice::Iter<'t, u8>);

impl Tape<'_> {
    fn below(&mut self, most: usize) -> usize {
        usize::from(*self.0.next().unwrap_or(&0)) % most
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// An expression of that type, more often than not.
    fn expression(&mut self, ty: &str, depth: usize) -> String {
        if self.below(12) == 11 {
            let other = self.one(&["bool", "string", "int", "strings", "optional", "odd"]);
            return self.of_type(other, depth);
        }
        self.of_type(ty, depth)
    }

    fn of_type(&mut self, ty: &str, depth: usize) -> String {
        match ty {
            "bool" => self.truth(depth),
            "string" => self.text(depth),
            "int" => self.number(depth),
            "strings" => self.texts(depth),
            "optional" => self
                .one(&["claims.?os", "claims.?oi", "claims.?m.?om.?s", "claims[?\"os\"]", "claims.ls[?0]"])
                .to_owned(),
            _ => self
                .one(&[
                    "claims.any",
                    "claims.aud",
                    "claims.ns",
                    "claims.d",
                    "claims.m",
                    "null",
                    "1u",
                    "1.5",
                    "claims.nope",
                    "now",
                    "claims.m.om.s",
                    "claims.lm",
                    "dyn(claims.s)",
                    "claims.any.x",
                ])
                .to_owned(),
        }
    }

    fn truth(&mut self, depth: usize) -> String {
        let choice = match depth {
            0 => self.below(5),
            1 => self.below(22),
            _ => 5 + self.below(17),
        };
        match choice {
            0 => "claims.b".to_owned(),
            1 => "true".to_owned(),
            2 => format!("has(claims.{})", self.one(&["os", "oi", "ob", "ols", "m.om", "m.oi", "s"])),
            3 => "claims.ob".to_owned(),
            4 => format!("claims.v == \"{}\"", self.one(&["x", "y", "z"])),
            5 => format!("({} && {})", self.expression("bool", depth - 1), self.expression("bool", depth - 1)),
            6 => format!("({} || {})", self.expression("bool", depth - 1), self.expression("bool", depth - 1)),
            7 => format!("!({})", self.expression("bool", depth - 1)),
            8 => self.ternary("bool", depth),
            9 => self.guarded(depth),
            10 => {
                let ty = self.one(&["string", "int", "strings", "bool"]);
                format!(
                    "({} {} {})",
                    self.expression(ty, depth - 1),
                    self.one(&["==", "!="]),
                    self.expression(ty, depth - 1)
                )
            }
            11 => format!(
                "({} {} {})",
                self.expression("int", depth - 1),
                self.one(&["<", "<=", ">", ">="]),
                self.expression("int", depth - 1)
            ),
            12 => format!("({} in {})", self.expression("string", depth - 1), self.expression("strings", depth - 1)),
            13 => format!(
                "{}.{}(\"a\")",
                self.expression("string", depth - 1),
                self.one(&["startsWith", "contains", "endsWith", "matches"])
            ),
            14 => format!(
                "{}.{}(x, x {} {})",
                self.expression("strings", depth - 1),
                self.one(&["all", "exists", "exists_one"]),
                self.one(&["==", "!="]),
                self.expression("string", depth - 1)
            ),
            15 => format!(
                "claims.lm.{}(e, {})",
                self.one(&["all", "exists"]),
                self.one(&["e.s == \"a\"", "has(e.oi) && e.oi > 1", "e.oi > 1", "e.nope == 1"])
            ),
            16 => format!("{}.hasValue()", self.expression("optional", depth - 1)),
            17 => format!("(claims.ns {} null)", self.one(&["==", "!="])),
            18 => format!(
                "type({}) == {}",
                self.one(&["claims.aud", "claims.ns", "claims.any", "claims.s", "claims.d"]),
                self.one(&["string", "list", "int", "null_type"])
            ),
            19 => format!("({} < {})", self.expression("string", depth - 1), self.expression("string", depth - 1)),
            20 => format!("\"{}\" in {}", self.one(&["os", "oi", "om"]), self.one(&["claims", "claims.m"])),
            _ => format!("{{\"a\": {}}}.a == {}", self.expression("int", depth - 1), self.expression("int", depth - 1)),
        }
    }

    /// Something that may not be there or may be of another type, asked for first.
    fn guarded(&mut self, depth: usize) -> String {
        let rest = self.expression("bool", depth - 1);
        match self.below(10) {
            0 => format!("(has(claims.os) && claims.os.startsWith(\"a\") && {rest})"),
            1 => format!("(!has(claims.oi) || claims.oi > 3 || {rest})"),
            2 => format!("(has(claims.m.om) ? claims.m.om.s == \"a\" : {rest})"),
            3 => format!("(claims.ns != null && claims.ns.size() > 1 && {rest})"),
            4 => {
                format!("(type(claims.aud) == string ? claims.aud.startsWith(\"a\") : claims.aud.size() > 0 && {rest})")
            }
            5 => format!("(claims.os == \"a\" && has(claims.os) && {rest})"),
            6 => format!("(claims.?os.hasValue() && claims.os.size() > 0 && {rest})"),
            7 => format!("(\"ob\" in claims && claims.ob && {rest})"),
            8 => format!("((claims.ns == null || claims.ns.size() > 1) && {rest})"),
            _ => format!("((claims.aud == \"a\" && claims.aud.endsWith(\"a\")) || {rest})"),
        }
    }

    fn ternary(&mut self, ty: &str, depth: usize) -> String {
        let condition = self.expression("bool", depth - 1);
        format!("({condition} ? {} : {})", self.expression(ty, depth - 1), self.expression(ty, depth - 1))
    }

    fn text(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 5 } else { 14 }) {
            0 => "claims.s".to_owned(),
            1 => "\"a\"".to_owned(),
            2 => "claims.m.s".to_owned(),
            3 => "claims.v".to_owned(),
            4 => self.one(&["claims.s", "claims.os", "claims.m.s", "claims.m.oi"]).to_owned(),
            5 => format!("({} + {})", self.expression("string", depth - 1), self.expression("string", depth - 1)),
            6 => self.ternary("string", depth),
            7 => format!(
                "{}.{}()",
                self.expression("string", depth - 1),
                self.one(&["lowerAscii", "trim", "upperAscii"])
            ),
            8 => format!("string({})", self.expression("int", depth - 1)),
            9 => {
                format!("{}.orValue({})", self.expression("optional", depth - 1), self.expression("string", depth - 1))
            }
            10 => format!("hex({})", self.expression("string", depth - 1)),
            11 => format!("{}.join(\",\")", self.expression("strings", depth - 1)),
            12 => format!("{}.substring(0)", self.expression("string", depth - 1)),
            _ => "claims.ls[0]".to_owned(),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 4 } else { 11 }) {
            0 => "claims.i".to_owned(),
            1 => "1".to_owned(),
            2 => "now.getHours()".to_owned(),
            3 => self.one(&["claims.i", "claims.oi", "claims.m.oi", "claims.d"]).to_owned(),
            4 => format!(
                "({} {} {})",
                self.expression("int", depth - 1),
                self.one(&["+", "-", "*", "/", "%"]),
                self.expression("int", depth - 1)
            ),
            5 => format!("size({})", self.expression("string", depth - 1)),
            6 => format!("{}.size()", self.expression("strings", depth - 1)),
            7 => format!("int({})", self.expression("string", depth - 1)),
            8 => self.ternary("int", depth),
            9 => format!("-({})", self.expression("int", depth - 1)),
            _ => "claims.li[0]".to_owned(),
        }
    }

    fn texts(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 4 } else { 10 }) {
            0 => "claims.ls".to_owned(),
            1 => "[\"a\", \"b\"]".to_owned(),
            2 => "[]".to_owned(),
            3 => self.one(&["claims.ls", "claims.ols", "claims.li"]).to_owned(),
            4 => format!("({} + {})", self.expression("strings", depth - 1), self.expression("strings", depth - 1)),
            5 => format!("{}.split(\"/\", 3)", self.expression("string", depth - 1)),
            6 => format!("{}.filter(x, x != \"a\")", self.expression("strings", depth - 1)),
            7 => format!("{}.map(x, x + \"a\")", self.expression("strings", depth - 1)),
            8 => format!("[{}]", self.expression("string", depth - 1)),
            _ => format!("claims.lm.map(e, {})", self.one(&["e.s", "has(e.oi), string(e.oi)", "string(e.oi)"])),
        }
    }

    /// A value of each type that a claim can have.
    fn claim(&mut self, ty: &str) -> Value {
        match ty {
            "string" => json!(self.one(&["", "a", "b", "a/b", "12"])),
            "int" => json!([-1, 0, 1, 7][self.below(4)]),
            "double" => [json!(1), json!(1.5), json!(0)][self.below(3)].clone(),
            "bool" => json!(self.below(2) == 1),
            "list<string>" => (0..self.below(3)).map(|_| self.claim("string")).collect(),
            "list<int>" => (0..self.below(3)).map(|_| self.claim("int")).collect(),
            _ => {
                let ty = self.one(&["string", "int", "double", "bool", "list<string>", "list<int>"]);
                [self.claim(ty), json!(null), json!({"x": 1})][self.below(3)].clone()
            }
        }
    }

    fn map(&mut self, deep: bool) -> Value {
        let mut members = json!({"s": self.claim("string")});
        if self.below(2) == 1 {
            members["oi"] = self.claim("int");
        }
        if deep && self.below(2) == 1 {
            members["om"] = json!({"s": self.claim("string")});
        }
        members
    }

    /// Claims as the platform documents them.
    fn claims(&mut self) -> Map<String, Value> {
        let mut claims = json!({
            "s": self.claim("string"), "v": self.one(&["x", "y"]), "i": self.claim("int"), "d": self.claim("double"),
            "b": self.claim("bool"), "ls": self.claim("list<string>"), "li": self.claim("list<int>"),
            "any": self.claim("any"), "m": self.map(true),
        });
        claims["ns"] = if self.below(2) == 1 { json!(null) } else { self.claim("string") };
        let aud = self.one(&["string", "list<string>"]);
        claims["aud"] = self.claim(aud);
        claims["lm"] = (0..self.below(3)).map(|_| self.map(false)).collect();
        for (name, ty) in [("os", "string"), ("oi", "int"), ("ob", "bool"), ("ols", "list<string>")] {
            if self.below(2) == 1 {
                claims[name] = self.claim(ty);
            }
        }
        claims.as_object().unwrap().clone()
    }
}

fn checked(platform: &Platform, source: &str) -> (bool, bool, String) {
    let names = [(NOW, Type::Timestamp), (ISSUER, Type::String)];
    let checked = expressions(Some(platform.schema()), &names, &[], source);
    let mut told = String::new();
    for (_, issue) in &checked.issues {
        let _ = writeln!(told, "{} {:?} {}", issue.code, source.get(issue.range.clone()), issue.message);
    }
    let text = matches!(checked.ty, Type::Bool);
    (checked.issues.is_empty() && text, checked.dynamic, told)
}

/// Whether an error at run time is one that types rule out.
fn is_of_types(fault: &Fault) -> bool {
    !matches!(fault, Fault::OutOfBounds | Fault::Arithmetic | Fault::Function(_) | Fault::SubjectTooLong)
}

/// Runs on a stack as large as the one that policies are loaded on.
fn deep<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(COMPILER_STACK).spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

#[test]
fn what_is_accepted_without_trust_never_ends_in_an_error_of_types() {
    let platform = platform();
    let (mut accepted, mut refused, mut on_trust, mut ran) = (0, 0, 0, 0);
    let tapes = proptest::collection::vec(any::<u8>(), 240..400);
    let config = ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let counts = std::cell::RefCell::new((&mut accepted, &mut refused, &mut on_trust, &mut ran));
    let outcome = runner.run(&tapes, |tape| {
        let mut tape = Tape(tape.iter());
        let claims: Vec<_> = (0..3).map(|_| tape.claims()).collect();
        let source = tape.truth(4);
        let compiled = match deep(|| Compiled::compile(&source, Dialect::Native, &[])) {
            Ok(compiled) => compiled,
            // Not literal, too deep, too costly: not of types.
            Err(_) => return Ok(()),
        };
        let (fits, dynamic, told) = deep(|| checked(&platform, &source));
        let mut counts = counts.borrow_mut();
        match (fits, dynamic) {
            (false, _) => *counts.1 += 1,
            (true, true) => *counts.2 += 1,
            (true, false) => *counts.0 += 1,
        }
        if !fits || dynamic {
            return Ok(());
        }
        for claims in &claims {
            prop_assert!(platform.schema().check(claims).is_empty());
            let fault = compiled.evaluate(claims, [], Timestamp::from_secs(1_795_000_000), |value| {
                value.err().map(|error| Fault::of(&error, &source))
            });
            *counts.3 += 1;
            if let Some(fault) = fault.unwrap().filter(is_of_types) {
                prop_assert!(false, "{source}\n{fault:?}\n{told}\n{claims:?}");
            }
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let all = accepted + refused + on_trust;
    assert!(accepted * 5 > all, "{accepted} accepted, {refused} refused, {on_trust} on trust");
    assert!(refused * 5 > all, "{accepted} accepted, {refused} refused, {on_trust} on trust");
    assert!(ran > 3_000, "{ran} evaluations");
}

/// A source with a part of it cut out, or put in twice.
fn torn(source: &str, from: usize, len: usize, twice: bool) -> String {
    let chars: Vec<char> = source.chars().collect();
    let from = from % chars.len().max(1);
    let to = (from + len).min(chars.len());
    let (before, part, after) = (&chars[..from], &chars[from..to], &chars[to..]);
    let part = if twice { [part, part].concat() } else { vec![] };
    before.iter().chain(&part).chain(after).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_text_nothing_panics_and_every_place_lies_within_it(
        tape in proptest::collection::vec(any::<u8>(), 100..300),
        tears in proptest::collection::vec((any::<usize>(), 0_usize..12, any::<bool>()), 0..4),
        soup in "[a-z0-9.?!()'\"\\[\\]{},:+<=&| é\n-]{0,60}",
        is_soup in any::<bool>(),
    ) {
        let made = Tape(tape.iter()).truth(4);
        let made = if is_soup { soup } else { made };
        let source = tears.into_iter().fold(made, |source, (from, len, twice)| torn(&source, from, len, twice));
        let platform = platform();
        let (ranges, len) = deep(|| {
            let mut ranges = vec![];
            if let Err(error) = Compiler::default().compile(&source, Dialect::Native, &["a"]) {
                ranges.push(blamed(&source, Dialect::Native, &["a"], &error));
            }
            for schema in [Some(platform.schema()), None] {
                let checked = expressions(schema, &[(NOW, Type::Timestamp)], &[("a", &source)], &source);
                ranges.extend(checked.issues.into_iter().map(|(_, issue)| issue.range));
            }
            (ranges, source.len())
        });
        for range in ranges {
            prop_assert!(range.start <= range.end && range.end <= len, "{source:?} {range:?}");
        }
    }
}
