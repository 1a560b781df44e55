//! What a policy can do to the process that runs it: nothing.
//!
//! Every hostile row of `facts/crates-and-costs.md` section 8, refused at load or bounded, quickly, with a message, in a
//! process that stays alive; the pitfalls of section 4.4; and arbitrary text and claims.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so by failing")]
#![allow(clippy::disallowed_methods, reason = "how long something took is what is asked")]

use std::thread;
use std::time::{Duration, Instant};

use cambio::clock::Timestamp;
use cambio::identity::IssuerName;
use cambio::policy::{Catalog, CompileError, Evaluation, LoadErrors, PolicySet, Problem, Reason};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Map, Value, json};

/// A file whose only rule has that condition.
fn file(condition: &str) -> String {
    json!({
        "target": "t",
        "rules": [{
            "name": "r",
            "issuer": "gitlab",
            "require": [{"that": condition, "message": "not met"}],
            "grant": {"policies": ["\"p\""]},
        }],
    })
    .to_string()
}

fn issuers() -> Catalog {
    Catalog::of_names([IssuerName::new("gitlab").unwrap()])
}

fn load(text: &str) -> Result<PolicySet, LoadErrors> {
    PolicySet::from_sources([("p.yaml", text)], &issuers())
}

fn evaluate(set: &PolicySet, claims: &Value) -> Evaluation {
    let claims: &Map<String, Value> = claims.as_object().unwrap();
    let issuer = IssuerName::new("gitlab").unwrap();
    set.evaluate(&issuer, claims, &set.targets()[0], Timestamp::from_secs(1_795_000_000))
}

/// The reason code, or `permit`.
fn decided(condition: &str, claims: &Value) -> &'static str {
    let set = load(&file(condition)).unwrap_or_else(|errors| panic!("{errors}"));
    evaluate(&set, claims).outcome.map_or_else(|reason| reason.code(), |_| "permit")
}

fn repeat(unit: &str, times: usize) -> String {
    unit.repeat(times)
}

/// `before` `times` times, then `inner`, then `after` `times` times.
fn around(before: &str, inner: &str, after: &str, times: usize) -> String {
    format!("{}{inner}{}", before.repeat(times), after.repeat(times))
}

/// `inner` in `depth` comprehensions over ten literals each.
fn nested(macro_name: &str, depth: usize, inner: &str) -> String {
    (0..depth).fold(inner.to_owned(), |inner, level| format!("[0,1,2,3,4,5,6,7,8,9].{macro_name}(x{level}, {inner})"))
}

#[rstest]
#[case::lists(around("[", "1", "]", 1_000))]
#[case::lists_of_one_kilobyte(around("[", "1", "]", 500))]
#[case::negations(around("-(", "1", ")", 1_000))]
#[case::calls(around("size(", "'a'", ")", 500))]
#[case::syntax_error_after_lists(format!("{} ?", repeat("[", 500)))]
#[case::bangs_and_parentheses(repeat("!!(!!!!!!(!!!!(((((", 4))]
#[case::more_bangs_and_parentheses(repeat("!!(!!!!!!(!!!!(((((", 5))]
#[case::sum_of_1_000(format!("1{} == 0", repeat("+1", 999)))]
#[case::sum_of_2_000(format!("1{} == 0", repeat("+1", 2_000)))]
#[case::sum_of_20_000(format!("1{} == 0", repeat("+1", 19_999)))]
#[case::product_of_2_000(format!("1{} == 0", repeat("*1", 2_000)))]
#[case::members_of_20_000(format!("claims.a{} == 1", repeat(".b", 19_999)))]
#[case::members_of_2_000(format!("claims.a{} == 1", repeat(".b", 2_000)))]
#[case::indices_of_1_000(format!("claims.a{} == 1", repeat("[0]", 1_000)))]
#[case::alternatives_of_100_000(format!("false{}", repeat("||false", 99_999)))]
#[case::comparisons_of_1_000(format!("claims.c=='v'{}", repeat("||claims.c=='v'", 999)))]
#[case::ternaries(format!("{}true", repeat("true?true:", 400)))]
#[case::map_five_deep(format!("size({}) > 0", nested("map", 5, "1")))]
#[case::map_six_deep(format!("size({}) > 0", nested("map", 6, "1")))]
#[case::all_five_deep(nested("all", 5, "true"))]
#[case::all_six_deep(nested("all", 6, "true"))]
#[case::doubled_26_times(format!("size(['a']{}) > 0", repeat(".map(x,x+x)", 26)))]
#[case::doubled_30_times(format!("size(['a']{}) > 0", repeat(".map(x,x+x)", 30)))]
#[case::pairs_of_a_claim("claims.l.all(x, claims.l.exists(y, y == x))".to_owned())]
#[case::triples_of_a_claim("claims.l.all(x, claims.l.exists(y, claims.l.exists(z, z == x && z == y)))".to_owned())]
#[case::parts_of_a_claim("claims.a.split('/').exists(part, part == 'x')".to_owned())]
#[case::pairs_by_in("claims.l.all(x, x in claims.l)".to_owned())]
#[case::product_of_lists("size(claims.l.map(x, claims.l)) > 0".to_owned())]
#[case::hex_of_hex(format!("size({}) > 0", around("hex(", "claims.a", ")", 20)))]
#[case::text_doubled(format!("size({}) > 0", (0..12).fold("claims.a".to_owned(), |t, _| format!("({t}+{t})"))))]
#[case::replacement_that_grows(format!("size(claims.a.replace('', '{0}').replace('', '{0}')) > 0", repeat("x", 500)))]
#[case::replacement_from_a_claim("claims.a.replace('a', claims.b) == ''".to_owned())]
#[case::needle_from_a_claim("claims.a.indexOf(claims.b) > 0".to_owned())]
#[case::format_with_a_width("'%1000000d'.format([1]) == ''".to_owned())]
#[case::range("size(lists.range(1000000000)) > 0".to_owned())]
#[case::large_regex(format!("claims.a.matches('{}')", repeat("(a|b|c|d{1,50})", 200)))]
#[case::regex_within_its_length(format!("claims.a.matches('{}')", repeat("d{1,999}", 60)))]
#[case::nested_regex(format!("claims.a.matches('{}')", around("(", "a", ")", 240)))]
#[case::repeated_repetition("claims.a.matches('((a{100}){100}){100}')".to_owned())]
#[case::regex_from_a_claim("claims.a.matches(claims.b)".to_owned())]
#[case::regex_that_is_computed("claims.a.matches('a' + 'b')".to_owned())]
#[case::regex_from_a_let("matches(claims.a, issuer)".to_owned())]
#[case::empty(String::new())]
#[case::only_a_comment("// nothing".to_owned())]
fn a_hostile_expression_is_refused_when_it_is_loaded(#[case] condition: String) {
    let begun = Instant::now();
    let errors = load(&file(&condition)).map(|_| ()).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2), "took {:?}", begun.elapsed());
    let message = errors.to_string();
    assert!(message.starts_with("p.yaml:"), "{message}");
    assert!(message.len() < 1_000, "{message}");
}

#[rstest]
#[case::unknown_name("undefined_var || true", CompileError::UnknownName("undefined_var".into()))]
#[case::unknown_function("undefined_function() || true", CompileError::UnknownFunction("undefined_function".into()))]
#[case::name_of_a_comprehension_outside_of_it("[1].exists(x, x == 1) && x == 1", CompileError::UnknownName("x".into()))]
#[case::our_own_internals("@match('a', 'b')", CompileError::Syntax { line: 1, column: 1, message: String::new() })]
#[case::claims_as_a_value("claims == {}", CompileError::Unsupported(""))]
#[case::claims_in_a_list("size([claims]) == 1", CompileError::Unsupported(""))]
#[case::claims_iterated("claims.exists(name, name == 'x')", CompileError::Unsupported(""))]
#[case::message_literal("pb.Auth{policies: []} == null", CompileError::Unsupported(""))]
#[case::hidden_claims("[1].exists(claims, claims == 1)", CompileError::Shadows("claims".into()))]
#[case::hidden_type("[1].exists(string, string == 1)", CompileError::Shadows("string".into()))]
#[case::too_many_arguments("hex('a', 'b') == ''", CompileError::Arguments { function: "hex".into(), given: 2 })]
#[case::member_for_function("claims.a.hex() == ''", CompileError::NotAMember("hex".into()))]
#[case::function_for_member("startsWith(claims.a, 'x')", CompileError::NotAFunction("startsWith".into()))]
#[case::quote_in_a_claims_name("claims['a\"]'] == 1", CompileError::ClaimName)]
fn a_refusal_says_what_is_wrong(#[case] condition: &str, #[case] expected: CompileError) {
    let errors = load(&file(condition)).unwrap_err();
    let [error] = errors.errors() else { panic!("{errors}") };
    let Problem::Expression { error, .. } = &error.problem else { panic!("{errors}") };
    match (error, &expected) {
        (CompileError::Syntax { .. }, CompileError::Syntax { .. }) => {}
        (CompileError::Unsupported(_), CompileError::Unsupported(_)) => {}
        _ => assert_eq!(*error, expected),
    }
}

/// The semantics that facts section 4.4 lists, as far as a policy can reach them.
#[rstest]
#[case("!!true", "permit")]
#[case("!!(claims.m.b)", "permit")]
#[case("--1 == 1", "permit")]
#[case("claims.m['missing'] == 'x'", "evaluation_error")]
#[case("claims['missing'] == 'x'", "evaluation_error")]
#[case("claims.l[5] == 'x'", "evaluation_error")]
#[case("claims.missing == 'x' || true", "permit")]
#[case("claims.missing == 'x' && false", "conditions_not_met")]
#[case("claims.missing == 'x'", "evaluation_error")]
#[case("claims.missing != 'x'", "evaluation_error")]
#[case("!(claims.missing == 'x')", "evaluation_error")]
#[case("['a','b'].exists(x, x == 'b' || dyn(x).foo)", "permit")]
#[case("size('é') == 1", "permit")]
#[case("{'a':1,'a':2}.a == 2", "evaluation_error")]
#[case("dyn(null) < dyn(null)", "evaluation_error")]
#[case("'a,b'.split(',') == ['a', 'b']", "permit")]
#[case("claims.text.split('l', 4).exists(part, part == 'he')", "permit")]
#[case("type(claims.int) == int", "permit")]
#[case("claims.int + 1 == 8", "permit")]
#[case("timestamp(claims.int) < now", "permit")]
#[case("claims.double == 1.5", "permit")]
#[case("dyn(claims.int) == '7'", "conditions_not_met")]
#[case("claims.int == '7'", "conditions_not_met")]
#[case("claims.truth == 'true'", "conditions_not_met")]
#[case("claims.text == true", "conditions_not_met")]
#[case("claims.text", "wrong_type")]
#[case("claims.int", "wrong_type")]
#[case("claims.missing", "evaluation_error")]
#[case("claims.missing.matches('.*')", "evaluation_error")]
#[case("claims.int.matches('.*')", "evaluation_error")]
#[case("claims.nothing.matches('.*')", "evaluation_error")]
#[case("claims.missing.startsWith('')", "evaluation_error")]
#[case("claims.long.matches('x')", "evaluation_error")]
#[case("has(claims.missing)", "conditions_not_met")]
#[case("has(claims.text)", "permit")]
#[case("has(claims.nothing)", "permit")]
#[case("has(claims.missing.inner)", "evaluation_error")]
#[case("has(claims.m.b)", "permit")]
#[case("has(claims.m.missing)", "conditions_not_met")]
#[case("'m' in claims && 'b' in claims.m", "permit")]
#[case("claims.?missing.orValue('x') == 'x'", "permit")]
#[case("claims.?m.?b.orValue(false)", "permit")]
#[case("claims.?nothing.hasValue()", "permit")]
#[case("claims.nothing == null", "permit")]
#[case("claims.nothing == ''", "conditions_not_met")]
#[case("claims[claims.name] == 'hello'", "permit")]
#[case("claims['dotted.name'] == 'dotted'", "permit")]
#[case("claims.`dotted.name` == 'dotted'", "permit")]
#[case("claims.dotted.name == 'nested' && claims['dotted.name'] == 'dotted'", "permit")]
#[case("claims.l == ['a', 'b']", "permit")]
#[case("['a', 'b'] == claims.l", "permit")]
#[case("{'b': true} == claims.m", "permit")]
#[case("claims.m == {'b': true}", "permit")]
#[case("claims.m in [{'b': true}]", "permit")]
#[case("['a', 'b'] != claims.l", "conditions_not_met")]
#[case("claims.l.all(x, x in ['a', 'b', 'c'])", "permit")]
#[case("[].all(x, false)", "permit")]
#[case("claims.l.map(x, x + '!') == ['a!', 'b!']", "permit")]
#[case("claims.l.filter(x, x != 'a') == ['b']", "permit")]
#[case("claims.l.exists_one(x, x == 'a')", "permit")]
#[case("hex(claims.text) == '68656c6c6f'", "permit")]
#[case("hex('é ') == 'c3a920'", "permit")]
#[case("hex('') == ''", "permit")]
#[case("hex(claims.int) == ''", "evaluation_error")]
#[case("claims.text.matches('ell')", "permit")]
#[case("matches(claims.text, '^h')", "permit")]
#[case("claims.text.fullMatch('ell')", "conditions_not_met")]
#[case("fullMatch(claims.text, 'h|hello')", "permit")]
#[case("claims.text.glob('h*o')", "permit")]
#[case("claims.l.exists(x, x.fullMatch('[b]'))", "permit")]
#[case("issuer == 'gitlab'", "permit")]
#[case("now == timestamp('2026-11-18T11:06:40Z')", "permit")]
#[case("now.getFullYear() == 2026", "permit")]
#[case("claims.int / 0 == 1", "evaluation_error")]
#[case("9223372036854775807 + claims.int == 1", "evaluation_error")]
#[case("claims.text ? true : false", "evaluation_error")]
#[case("claims.truth ? claims.text == 'hello' : claims.missing", "permit")]
fn an_expression_means_what_cel_says_and_an_error_denies(#[case] condition: &str, #[case] expected: &str) {
    let claims = json!({
        "m": {"b": true}, "l": ["a", "b"], "int": 7, "double": 1.5, "text": "hello", "truth": true, "nothing": null,
        "name": "text", "dotted.name": "dotted", "dotted": {"name": "nested"}, "long": "x".repeat(4_000),
    });
    assert_eq!(decided(condition, &claims), expected);
}

#[test]
fn no_reason_quotes_a_claim() {
    let secret = "s3cr3t-value";
    let claims = json!({"a": secret, "m": {"known": 1}, "n": 7});
    for condition in [
        "claims.m[claims.a] == 1",
        "claims[claims.a] == 1",
        "claims.a < claims.n",
        "claims.a + claims.n == ''",
        "timestamp(claims.a) < now",
        "int(claims.a) == 1",
        "now.getHours(claims.a) == 1",
        "claims.a",
        "{claims.a: 1, 'x': 2}.y == 1",
        "[1][claims.a] == 1",
        "duration(claims.a) < duration('1s')",
    ] {
        let set = load(&file(condition)).unwrap_or_else(|errors| panic!("{errors}"));
        let evaluation = evaluate(&set, &claims);
        let reason = evaluation.outcome.unwrap_err();
        assert!(matches!(reason.code(), "evaluation_error" | "wrong_type"), "{condition}: {reason}");
        let told = format!("{reason} {reason:?} {}", serde_json::to_string(&evaluation.trace).unwrap());
        assert!(!told.contains(secret), "{condition}: {told}");
    }
}

#[rstest]
#[case::an_array_too_long(json!({"l": vec!["x"; 513]}))]
#[case::too_many_values(json!({"a": vec![vec![0; 512]; 5]}))]
#[case::too_much_text(json!({"a": "x".repeat(17_000)}))]
#[case::too_deep((0..20).fold(json!({}), |inner, _| json!({"a": inner})))]
fn claims_out_of_bounds_are_denied_before_anything_runs(#[case] claims: Value) {
    assert_eq!(decided("true", &claims), "claims_out_of_bounds");
}

/// What is accepted evaluates on three quarters of the stack that tokio gives a worker, even in an unoptimised build
/// (an optimised one needs a tenth of it).
#[rstest]
#[case::parentheses(around("(", "true", ")", 2_000))]
#[case::bangs(around("!", "true", "", 4_000))]
#[case::sum(format!("1{} > 0", repeat("+1", 37)))]
#[case::members(format!("claims.deep{} == 1", repeat(".a", 36)))]
#[case::alternatives(format!("true{}", repeat("&&true", 200)))]
#[case::conjunction_of_comparisons(format!("claims.text == 'hello'{}", repeat(" && claims.text == 'hello'", 100)))]
#[case::calls(around("string(", "'a'", ")", 29) + " == 'a'")]
#[case::lists(around("[", "1", "]", 29) + " != []")]
#[case::ternaries(around("(true ? ", "true", " : false)", 29))]
#[case::methods(format!("claims.text{} == 'hello'", repeat(".trim()", 37)))]
#[case::comprehensions_in_a_row(format!("size([1]{}) == 1", repeat(".map(x, x)", 34)))]
fn what_is_accepted_needs_little_stack(#[case] condition: String) {
    let set = load(&file(&condition)).unwrap_or_else(|errors| panic!("{errors}"));
    let evaluated = thread::Builder::new().stack_size(1_536 * 1024).spawn(move || {
        let deep = (0..10).fold(json!(1), |inner, _| json!({"a": inner}));
        evaluate(&set, &json!({"text": "hello", "deep": deep})).outcome.is_ok()
    });
    let permitted = evaluated.unwrap().join().unwrap();
    assert_eq!(permitted, !condition.contains("deep"));
}

/// What the cost model accepts, on the worst claims that its bounds allow, in an unoptimised build: the time is generous,
/// the point is that it is not seconds.
#[rstest]
#[case("claims.l.all(x, x == 'y' || true)")]
#[case("['a','b','c'].all(y, claims.l.exists(x, x == y) || true)")]
#[case("claims.l.all(x, x.matches('^(a|aa)+$') || true)")]
#[case("claims.l.map(x, hex(x) + '/' + x).exists(y, y == 'z') || true")]
#[case("claims.l.filter(x, x.contains('a')).map(x, x.split('a')).all(y, size(y) >= 0)")]
#[case("claims.l == claims.l && claims.l + claims.l != claims.l")]
#[case("claims.t.matches('(a|b)*a(a|b){12}') || true")]
#[case("claims.t.split('a').exists(x, x == 'y') || true")]
#[case("claims.t.split('a', 64).exists(x, x == 'y') || true")]
fn what_is_accepted_does_not_run_long(#[case] condition: &str) {
    let set = match load(&file(condition)) {
        Ok(set) => set,
        Err(errors) => {
            assert!(errors.to_string().contains("steps") || errors.to_string().contains("grow"), "{errors}");
            return;
        }
    };
    let claims = json!({"l": vec!["aaaaaaaaaaaaaaaaaa"; 512], "t": "ab".repeat(1_000)});
    let begun = Instant::now();
    let outcome = evaluate(&set, &claims).outcome;
    assert!(begun.elapsed() < Duration::from_millis(500), "took {:?}", begun.elapsed());
    assert!(outcome.is_ok(), "{outcome:?}");
}

fn any_claims() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    let any = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d.]{0,3}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-d.]{0,3}", any, 0..5).prop_map(|m| Value::Object(m.into_iter().collect()))
}

/// Text that is often an expression.
fn any_condition() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "claims",
        ".a",
        ".b",
        ".?c",
        "['d']",
        "[0]",
        "[?1]",
        " == ",
        " != ",
        " < ",
        " in ",
        " && ",
        " || ",
        "!",
        "-",
        " + ",
        " * ",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "'a'",
        "1",
        "1u",
        "1.5",
        "b'x'",
        "true",
        "null",
        "now",
        "issuer",
        "x",
        ".exists(x, ",
        ".map(x, ",
        ".all(x, ",
        "has(",
        "size(",
        "hex(",
        "string(",
        "int(",
        ".matches('a+')",
        ".fullMatch('a')",
        ".glob('*')",
        ".startsWith(",
        ".split(',')",
        ".orValue(",
        "optional.of(",
        "timestamp(",
        "duration(",
        "type(",
        "string",
        "@result",
        "\\",
        "\"",
        "`a`",
        "//",
        "\n",
        "é",
    ]);
    prop_oneof![
        3 => prop::collection::vec(word, 1..16).prop_map(|words| words.concat()),
        1 => ".{0,60}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_conditions_on_arbitrary_claims_are_decided(condition in any_condition(), claims in any_claims()) {
        if let Ok(set) = load(&file(&condition)) {
            let outcome = evaluate(&set, &claims).outcome;
            let panicked = matches!(&outcome, Err(Reason::EvaluationError { fault: cambio::policy::Fault::Panicked, .. }));
            prop_assert!(!panicked, "{}", condition);
        }
    }

    #[test]
    fn arbitrary_text_is_a_file_or_a_fault(text in ".{0,200}") {
        let _ = load(&text);
    }
}
