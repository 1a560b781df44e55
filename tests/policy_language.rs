//! What the language has beyond the crate: macros, lists, sets, patterns, OpenBao's own functions; and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod cel_support;

use cambio::clock::Timestamp;
use cambio::policy::{CompileError, Dialect, Expression};
use cel_support::line;
use rstest::rstest;
use serde_json::json;

/// The value, or what went wrong, of an expression over some claims.
fn value(source: &str, dialect: Dialect) -> Result<String, String> {
    let expression = Expression::compile(source, dialect, &[]).unwrap_or_else(|error| panic!("{source}: {error}"));
    let claims =
        json!({"s": "group/project", "l": ["b", "a"], "n": 3, "m": {"x": 1}, "j": "{\"a\":[1,\"<\"]}", "d": 1e300});
    let read = |value: Result<&dyn cel::common::value::Val, _>| match value {
        Ok(value) => Ok(line(value)),
        Err(error) => Err(cel::ExecutionError::to_string(&error)),
    };
    expression.evaluate(claims.as_object().unwrap(), [], Timestamp::from_secs(1_795_000_000), read).unwrap()
}

fn refusal(source: &str, dialect: Dialect) -> CompileError {
    Expression::compile(source, dialect, &[]).map(|_| source).unwrap_err()
}

#[rstest]
#[case::inner_variables_hide_outer_ones("[1, 2].all(i, v, [3].all(i, v, v == 3 && i == 0) && v > i)")]
#[case::and_outer_ones_show("[1, 2].transformList(i, v, [10].transformList(j, w, i + v + j + w)[0]) == [11, 13]")]
#[case::a_bind_hides_a_bind("cel.bind(x, 1, cel.bind(x, x + 1, x)) == 2")]
#[case::a_bind_hides_an_index("[7].transformList(i, x, cel.bind(i, x, i)) == [7]")]
#[case::a_macro_of_the_parser_hides_a_value("{'a': 1}.transformMap(k, v, [v].map(v, v + 1)[0]) == {'a': 2}")]
#[case::nested_optionals("optional.of(1).optMap(x, optional.of(x).optMap(x, x + 1).value() + x).value() == 3")]
#[case::a_range_is_of_the_outer_scope("[[1], [2]].transformList(i, v, v.transformList(j, v, v + i)) == [[1], [3]]")]
#[case::an_element_can_be_absent("!claims.m.all(k, v, has(v.x))  || true")]
#[case::index_and_element("claims.l.exists(i, v, i == 1 && v == 'a')")]
#[case::key_and_value("claims.m.all(k, v, k == 'x' && v == 1)")]
#[case::one_of_two("claims.l.existsOne(i, v, v == 'a') && !claims.l.exists_one(i, v, true)")]
#[case::one_of_one("claims.l.existsOne(v, v == 'a')")]
#[case::a_failure_beside_the_answer("[1, 0].exists(i, v, 1 / v == 1)")]
#[case::filtered("claims.l.transformList(i, v, v != 'b', v + string(i)) == ['a1']")]
#[case::a_map_of_a_list("claims.l.transformMap(i, v, v) == {0: 'b', 1: 'a'}")]
#[case::a_map_turned_round("claims.m.transformMapEntry(k, v, {v: k}) == {1: 'x'}")]
#[case::a_map_filtered("{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 2) == {'b': 4}")]
#[case::sorted_by_a_key("claims.l.sortBy(x, x) == ['a', 'b'] && [1, 3, 2].sortBy(x, -x) == [3, 2, 1]")]
#[case::sorted("claims.l.sort() == ['a', 'b']")]
#[case::lists("[[1], [2, [3]]].flatten() == [1, 2, [3]] && [1, 1, 2].distinct() == [1, 2] && lists.range(2) == [0, 1]")]
#[case::greatest("math.greatest(1, 5, 3) == 5 && math.least([4, 2]) == 2 && math.greatest(-1) == -1")]
#[case::other_than_the_default_is_not_asked("claims.?n.orValue(1 / 0) == 3 && claims.?z.or(claims.?n).value() == 3")]
#[case::flat("optional.of(1).optFlatMap(x, optional.none()).hasValue() == false")]
#[case::sets("sets.contains([1, 2, 3], [2, 1.0]) && !sets.contains([1], [1, 2]) && sets.contains([], [])")]
#[case::equal_sets("sets.equivalent(['a', 'b', 'a'], claims.l) && !sets.equivalent([1, 2], [1])")]
#[case::sets_that_meet("sets.intersects([1, 2], [2, 3]) && !sets.intersects([1], []) && !sets.intersects([1], [2])")]
#[case::replaced("regex.replace('a.b.c', '[.]', '-') == 'a-b-c' && regex.replace('a.b.c', '[.]', '-', 1) == 'a-b.c'")]
#[case::none_replaced("regex.replace('aa', 'a', 'b', 0) == 'aa' && regex.replace('aa', 'a', 'b', -1) == 'bb'")]
#[case::groups("regex.replace(claims.s, '(.*)/(.*)', '\\\\2 of \\\\1 \\\\\\\\') == 'project of group \\\\'")]
#[case::classes_are_of_ascii("!'٣'.matches(r'\\d') && !'é'.matches(r'^\\w$') && 'é'.matches(r'^[\\W.-]$')")]
#[case::classes_within_classes(
    "'a-1'.matches(r'^[\\w-]+$') && !'a b'.matches(r'^[^\\s]+$') && 'x main'.matches(r'\\bmain\\b')"
)]
#[case::extracted("regex.extract(claims.s, '^([a-z]+)/') == optional.of('group')")]
#[case::nothing_extracted("!regex.extract(claims.s, '[0-9]+').hasValue()")]
#[case::all_extracted("regex.extractAll(claims.s, '[a-z]+') == ['group', 'project']")]
#[case::milliseconds(
    "duration('1.234s').getMilliseconds() == 234 && timestamp('2024-01-01T00:00:00.5Z').getMilliseconds() == 500"
)]
#[case::doubles_as_text(
    "string(1e10) == '1e+10' && string(0.5) == '0.5' && string(1e-7) == '1e-07' && string(claims.n) == '3'"
)]
#[case::formatted("'%s %d %.2f %x'.format(['a', claims.n, 1.0, 'hi']) == 'a 3 1.00 6869'")]
#[case::quoted_field("claims.`n` == 3")]
#[case::base64("base64.encode(b'hi') == 'aGk=' && base64.decode('aGk=') == b'hi'")]
fn a_macro_or_function_means_what_the_standard_says(
    #[case] source: &str,
    #[values(Dialect::Native, Dialect::Role)] dialect: Dialect,
) {
    assert_eq!(value(source, dialect), Ok("bool true".to_owned()));
}

#[rstest]
#[case("decode_json(claims.j).a[0] == 1.0")]
#[case(
    "encode_json({'b': [1, 2.0, 1e300], 'a': '<&>'}) == '{\"a\":\"\\\\u003c\\\\u0026\\\\u003e\",\"b\":[1,2,1e+300]}'"
)]
#[case("check_valid_email('a.b+c@example.org') && !check_valid_email('a@') && !check_valid_email('A <a@b.c>')")]
#[case("'a-b'.indexOf(claims.l[0]) == 2")]
#[case("claims.l.all(int, int != 'c')")]
#[case("(claims.s + '%s').format([1]) == 'group/project1'")]
fn a_role_program_has_what_openbao_has(#[case] source: &str) {
    assert_eq!(value(source, Dialect::Role), Ok("bool true".to_owned()));
}

#[rstest]
#[case::a_key_twice("['a', 'a'].transformMapEntry(i, v, {v: i}) == {}")]
#[case::no_map("[1].transformMapEntry(i, v, v) == {}")]
#[case::more_than_one_group("regex.extract('ab', '(a)(b)').hasValue()")]
#[case::a_group_that_is_not_there("regex.replace('a', 'a', '\\\\1') == ''")]
#[case::a_stray_backslash("regex.replace('a', 'a', '\\\\x') == ''")]
#[case::too_long_a_text("regex.extractAll(lists.range(300).map(i, 'ab').join(), 'a') == []")]
#[case::sets_of_no_lists("sets.contains(claims.m, [1])")]
#[case::sorted_of_two_types("[1, 'a'].sort() == []")]
#[case::no_optional("claims.n.orValue(1) == 1")]
#[case::no_text("regex.extract(claims.n, 'a').hasValue()")]
#[case::too_long_a_format("'%s'.format([lists.range(200).map(i, 1e300)]) == ''")]
fn what_has_no_answer_is_an_error(#[case] source: &str) {
    let outcome = value(source, Dialect::Native);
    assert!(outcome.is_err(), "{outcome:?}");
}

#[rstest]
#[case::a_claim_as_a_needle("claims.s.indexOf(claims.t) == 0", CompileError::NotLiteral("indexOf".into()))]
#[case::a_claim_as_a_pattern("regex.replace(claims.s, claims.t, '') == ''", CompileError::NotLiteral("regex.replace".into()))]
#[case::a_claim_as_a_replacement("regex.replace('a', 'a', claims.t) == ''", CompileError::NotLiteral("regex.replace".into()))]
#[case::a_claim_as_a_format("claims.s.format([1]) == ''", CompileError::NotLiteral("format".into()))]
#[case::too_long_a_range("lists.range(513) == []", CompileError::NotLiteral("lists.range".into()))]
#[case::a_function_of_roles("decode_json(claims.s) == 1", CompileError::UnknownFunction("decode_json".into()))]
#[case::a_variable_of_roles("operation == 'update'", CompileError::UnknownName("operation".into()))]
#[case::a_bind_of_claims("cel.bind(claims, 1, claims == 1)", CompileError::Shadows("claims".into()))]
#[case::a_bind_of_a_namespace("cel.bind(math, 1, math == 1)", CompileError::Shadows("math".into()))]
#[case::a_key_of_that_name("{'a': 1}.all(now, v, v == 1)", CompileError::Shadows("now".into()))]
#[case::two_arguments_of_three("cel.bind(x, 1)", CompileError::Arguments { function: "bind".into(), given: 2 })]
#[case::no_simple_name("[1].all(i, v.w, true)", CompileError::Macro { function: "all", wants: "a simple name for its variable" })]
#[case::one_name_twice("[1].all(i, i, true)", CompileError::Macro { function: "all", wants: "two variables of different names" })]
#[case::no_numbers("math.greatest('a') == 1", CompileError::Macro { function: "math.greatest", wants: "numbers, or one list of numbers" })]
#[case::no_clause("'%1000000d'.format([1]) == ''", CompileError::Macro { function: "format", wants: "clauses such as `%s`, `%d`, `%.2f` and `%x`" })]
#[case::too_precise("'%.101f'.format([1]) == ''", CompileError::Macro { function: "format", wants: "clauses such as `%s`, `%d`, `%.2f` and `%x`" })]
#[case::a_variable_beyond_its_macro("cel.bind(x, 1, true) && x == 1", CompileError::UnknownName("x".into()))]
fn a_policy_may_not(#[case] source: &str, #[case] expected: CompileError) {
    assert_eq!(refusal(source, Dialect::Native), expected);
}

/// Names of our own begin with `@`, which no source can spell, whatever the quotes.
#[rstest]
#[case("@held")]
#[case("`@held` == 1")]
#[case("claims.s.`@match`('a')")]
#[case("@plain(1)")]
#[case("`@claims[\"s\"]` == 1")]
#[case("[1].all(`@result`, true)")]
fn no_source_reaches_what_is_internal(#[case] source: &str) {
    assert!(
        matches!(refusal(source, Dialect::Role), CompileError::Syntax { .. }),
        "{}",
        refusal(source, Dialect::Role)
    );
}
