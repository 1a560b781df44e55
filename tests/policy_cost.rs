//! What an expression may cost, predicted and measured.
//!
//! Hostile expressions over claims at their bounds: each is refused when it is compiled, or takes no longer than its
//! predicted steps allow. What a step may take is calibrated in the same run, on plain expressions, so that a slow
//! machine is slow for both; of several runs the fastest counts. And however deep or long a text is, nothing overflows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "how long something took is what is asked")]

use std::time::{Duration, Instant};

use cambio::clock::Timestamp;
use cambio::policy::limits::STEPS;
use cambio::policy::{Dialect, Expression};
use rstest::rstest;
use serde_json::{Map, Value, json};

/// How many times the calibrated time a step may take: between the cheapest and the dearest kind of step.
const FACTOR: u32 = 6;

/// `a` and `b` in no order.
fn random(bytes: usize) -> String {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 31 == 0 { 'a' } else { 'b' }
    };
    (0..bytes).map(|_| next()).collect()
}

fn now() -> Timestamp {
    Timestamp::from_secs(1_795_000_000)
}

/// Claims at the bounds, of the shape that the expression calls for.
fn worst(shape: &str) -> Map<String, Value> {
    let claims = match shape {
        // 512 texts that differ only at their ends.
        "list" => json!({"l": (0..512).map(|n| format!("{:a>26}", n)).collect::<Vec<_>>()}),
        "same" => json!({"l": vec!["aaaaaaaaaaaaaaaaaaaaaaaaaa"; 512]}),
        "lists" => json!({"l": vec![json!([1, 2, 3]); 500]}),
        "one" => {
            json!({"l": (0..512).map(|n| if n == 0 { "a".repeat(12_000) } else { String::new() }).collect::<Vec<_>>()})
        }
        "two lists" => json!({"l": (0..512).collect::<Vec<_>>(), "m": (512..1_024).collect::<Vec<_>>()}),
        "text" => json!({"t": "a".repeat(16_000)}),
        "subject" => json!({"t": "ab".repeat(1_000)}),
        "random" => json!({"t": random(2_000)}),
        "random short" => json!({"t": random(500)}),
        "short" => json!({"t": "ab".repeat(250)}),
        "doubles" => json!({"l": vec![1e300; 512]}),
        "fractions" => json!({"l": vec![0.5; 512]}),
        "some doubles" => json!({"l": vec![-1.234_567_890_123_456e-300; 100]}),
        "map" => json!({"m": (0..512).map(|n| (format!("key{n:0>20}"), json!(n))).collect::<Map<_, _>>()}),
        "json" => json!({"t": format!("[{}1]", "1,".repeat(500))}),
        "base64" => json!({"t": "QUFB".repeat(4_000)}),
        "long beside list" => json!({"t": "a".repeat(12_000), "l": vec!["x"; 512]}),
        "members" => json!({"d": (0..14).fold(json!("x"), |inner, _| json!({"a": inner})), "l": vec!["x"; 500]}),
        "deep" => json!({"d": (0..14).fold(json!("x"), |inner, _| json!([inner])), "l": vec!["x"; 500]}),
        other => panic!("no claims {other}"),
    };
    claims.as_object().unwrap().clone()
}

/// The fastest of several evaluations: of seven, or of as many as it takes to be `allowed`, up to a hundred. A busy machine
/// makes an evaluation longer, never shorter; after a rest a thread is less likely to be interrupted.
fn measured(expression: &Expression, claims: &Map<String, Value>, allowed: Duration) -> Duration {
    let mut fastest = Duration::MAX;
    for run in 0..100 {
        let begun = Instant::now();
        let evaluated = expression.evaluate(claims, [], now(), |value| value.is_ok());
        assert!(evaluated.is_some(), "the claims are beyond their bounds");
        fastest = fastest.min(begun.elapsed());
        if run >= 7 {
            if fastest <= allowed {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    fastest
}

/// What one step takes on this machine in this build.
fn calibrated() -> Duration {
    let plain = [
        ("claims.l.all(x, x == 'y' || true)", "list"),
        ("claims.l.map(x, x + 'y').exists(x, x == 'z') || true", "list"),
        ("claims.l.filter(x, x.startsWith('a')).all(x, size(x) > 1)", "list"),
    ];
    let each = plain.map(|(source, shape)| {
        let expression = Expression::compile(source, Dialect::Native, &[]).unwrap();
        let steps = u32::try_from(expression.steps()).unwrap();
        measured(&expression, &worst(shape), Duration::MAX) / steps
    });
    *each.iter().max().unwrap()
}

/// A loop below `binds` variables of other names.
fn below(binds: usize, inner: &str) -> String {
    (0..binds).fold(inner.to_owned(), |inner, n| format!("cel.bind(v{n}, {n}, {inner})"))
}

/// `inner`, where `m` is a map that was put together of `count` maps of as many entries.
fn merged(count: usize, inner: &str) -> String {
    let entries = (0..count).map(|n| format!("i * {count} + {n}: 0")).collect::<Vec<_>>().join(", ");
    format!("cel.bind(m, lists.range({count}).transformMapEntry(i, x, {{{entries}}}), {inner})")
}

const HOSTILE: [(&str, &str); 99] = [
    ("claims.l.all(x, claims.l.exists(y, y == x))", "list"),
    ("claims.l.all(x, x in claims.l)", "list"),
    ("claims.l.all(i, x, claims.l[i] == x)", "list"),
    ("claims.l.all(i, x, claims.l.exists(j, y, i == j && x == y))", "list"),
    ("claims.l.transformList(i, x, x + string(i)).exists(x, x == 'y') || true", "list"),
    ("size(claims.l.transformMap(i, x, x + x)) > 0", "list"),
    ("size(claims.l.transformMapEntry(i, x, {x: i})) > 0", "list"),
    ("claims.m.all(k, v, k != 'x' && v != -1)", "map"),
    ("size(claims.m.transformMap(k, v, k + k)) > 0", "map"),
    ("size(claims.m.transformMapEntry(k, v, {k + 'x': v})) > 0", "map"),
    ("claims.m.exists(k, v, claims.m.exists(l, w, v == w && k != l)) || true", "map"),
    ("claims.l.distinct().size() > 0", "list"),
    ("claims.l.distinct().size() > 0", "same"),
    ("claims.l.sort().size() > 0", "list"),
    ("claims.l.sortBy(x, x + x).size() > 0", "list"),
    ("claims.l.sort().sort().sort() == claims.l || true", "same"),
    ("claims.l.flatten().size() > 0", "lists"),
    ("claims.l.flatten().flatten().distinct().size() > 0", "lists"),
    ("sets.contains(claims.l, claims.m)", "two lists"),
    ("sets.equivalent(claims.l, claims.m) || true", "two lists"),
    ("sets.intersects(claims.l, claims.m) || true", "two lists"),
    ("sets.contains(claims.l, ['a', 'b', 'c']) || true", "list"),
    ("sets.intersects(claims.l, ['aaaaaaaaaaaaaaaaaaaaaaaaab', 'b', 'c', 'd', 'e', 'f']) || true", "same"),
    ("sets.equivalent(claims.l, ['a', 'b']) || true", "same"),
    ("claims.l.reverse() == claims.l || true", "list"),
    ("claims.l.slice(0, 500) == claims.l || true", "list"),
    ("lists.range(512).all(i, lists.range(512).exists(j, i == j))", "list"),
    ("lists.range(512).all(i, i >= 0)", "list"),
    ("lists.range(100000).all(i, i >= 0)", "list"),
    ("lists.range(claims.n) == []", "list"),
    ("math.greatest(claims.l) > 0", "doubles"),
    ("cel.bind(x, claims.l + claims.l, x == x)", "list"),
    ("cel.bind(x, claims.l, cel.bind(y, x + x, cel.bind(z, y + y, z + z)))  == []", "list"),
    ("cel.bind(x, claims.t + claims.t, x + x + x + x).size() > 0", "text"),
    ("claims.l.all(x, cel.bind(y, x + x, y + y) != 'z')", "list"),
    ("optional.of(claims.l).optMap(x, x + x).hasValue()", "list"),
    ("claims.?l.orValue(claims.l).optMap(x, x).hasValue() || true", "list"),
    ("claims.t.matches('(a|b)*a(a|b){12}') || true", "subject"),
    ("claims.t.matches('(?i)(a|ab|aba|b)*c') || true", "subject"),
    ("claims.t.matches('[ab]{1,200}c') || true", "subject"),
    // As many states of the automaton as there are bytes: it gives up, and the slow search begins.
    ("claims.t.matches('[ab]*a[ab]{14}[^ab]') || true", "random"),
    ("claims.t.matches('([ab]|[ab]b)*a([ab]|aa){20}[^ab]') || true", "random"),
    ("claims.t.matches('(?i)([a-z]|[0-9]){1,60}[^ab]$') || true", "random"),
    ("claims.t.fullMatch('.*a.{1,9}[^ab].*')", "random"),
    ("regex.extractAll(claims.t, '[ab]*a[ab]{14}[^ab]|.').size() > 0", "random short"),
    ("regex.replace(claims.t, '([ab]*)a([ab]{14})[^ab]|(.)', '\\\\3') != ''", "random short"),
    ("claims.l.all(x, x.matches('(a|aa)+$') || true)", "same"),
    ("regex.replace(claims.t, '(a|b)*?c|a', 'x') != ''", "short"),
    ("regex.replace(claims.t, '', '0123456789') != ''", "short"),
    ("regex.replace(claims.t, '(.*)(b)', '\\\\1\\\\1\\\\1\\\\1') != ''", "short"),
    ("regex.extractAll(claims.t, '.*[^a-b]|[a-b]').size() > 0", "short"),
    ("regex.extractAll(claims.t, '(?:a|b)+c|.').size() > 0", "short"),
    ("claims.l.all(x, regex.extractAll(x, 'a').size() >= 0)", "same"),
    ("regex.extract(claims.t, '(a|b)*a(a|b){12}c').hasValue() || true", "subject"),
    ("'%s'.format([claims.l]) != ''", "doubles"),
    ("'%s'.format([claims.l]) != ''", "some doubles"),
    ("claims.l.all(x, '%.100e'.format([x]) != '')", "some doubles"),
    ("claims.l.all(x, string(x) != '')", "doubles"),
    ("'%s%s%s'.format([claims.l, claims.l, claims.l]) != '' || true", "list"),
    ("claims.l.map(x, '%x'.format([x])).size() > 0", "list"),
    ("'%.100f'.format([1e300]) != ''", "list"),
    ("claims.t.indexOf('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab') == -1", "text"),
    ("claims.t.lastIndexOf('baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') == -1", "text"),
    ("claims.t.replace('a', 'bbbbbbbbb').size() > 0", "text"),
    ("claims.t.replace('a', 'bb').replace('b', 'cc').replace('c', 'dd').size() > 0", "text"),
    ("claims.t.split('').size() > 0", "text"),
    ("claims.l.join('------------').size() > 0", "list"),
    ("base64.decode(claims.t).size() > 0", "base64"),
    ("base64.encode(bytes(claims.t)).size() > 0", "text"),
    ("strings.quote(claims.t).size() > 0", "text"),
    ("claims.l.all(x, claims.d != x)", "deep"),
    // An error may carry a copy of its operands, and `all` goes on after one.
    ("claims.l.all(x, claims.l - 1 == x)", "same"),
    ("claims.l.all(x, x * claims.l == x)", "same"),
    ("claims.l.all(x, claims.l[0.5] == x)", "same"),
    ("claims.l.all(x, claims.l[x] == x)", "same"),
    ("claims.l.all(x, -claims.l == x)", "same"),
    ("claims.l.all(x, claims.l < claims.l)", "same"),
    ("claims.l.all(x, x < 1)", "same"),
    ("claims.l.all(x, claims.l[x] == x)", "fractions"),
    ("claims.l.all(x, x - 1 == x)", "same"),
    ("claims.l.all(x, !(!(!(!(!(!(!(!(!(!(!(!(!(!(!(!(x == 'y')))))))))))))))) || true)", "same"),
    ("claims.l.all(x, -(-(-(-(-(-(-(-(-(-(-(-(-(-(-(-(x)))))))))))))))) == 1.5)", "fractions"),
    ("claims.l.all(x, x < x || x < x || x > x || x > x || x < x || x < x || x > x || x > x || true)", "same"),
    ("claims.l.all(x, claims.t < 1)", "long beside list"),
    ("claims.l.all(x, claims.t + 1 == x)", "long beside list"),
    // The text that is no moment, no span and no time zone is in the error.
    ("lists.range(150).all(x, duration(claims.t) == duration('1s'))", "long beside list"),
    ("lists.range(150).all(x, timestamp(claims.t) == now)", "long beside list"),
    ("lists.range(150).all(x, now.getHours(claims.t) == 1)", "long beside list"),
    ("duration(claims.t) == duration('1s')", "long beside list"),
    ("timestamp(claims.t) == now", "long beside list"),
    ("now.getHours(claims.t) == 1", "long beside list"),
    ("int(claims.t) == 1 || uint(claims.t) == 1u || double(claims.t) == 1.0 || bool(claims.t)", "long beside list"),
    // A key is hashed whole, however small the map.
    ("lists.range(300).all(x, claims.t in {'a': 1} || true)", "long beside list"),
    ("lists.range(300).all(x, claims.t in claims || true)", "long beside list"),
    // More members than rounds.
    ("cel.bind(m, string(1e308).split(''), m.all(a, m.all(b, a != b || true)))", "list"),
    ("cel.bind(m, claims.l.map(x, claims.l), m.flatten().all(a, true))", "fractions"),
    ("cel.bind(m, claims.l.map(x, x.split('')).flatten(), m.all(a, true))", "same"),
    ("cel.bind(m, lists.range(30).transformMap(i, x, lists.range(3)), m.all(k, v, v.all(a, m.all(b, true))))", "list"),
    ("lists.range(200).all(i, string(1e308).size() > 0)", "list"),
];

const HOSTILE_ROLE: [(&str, &str); 8] = [
    ("decode_json(claims.t).size() > 0", "json"),
    ("decode_json(claims.t).all(x, decode_json(claims.t).exists(y, x == y))", "json"),
    ("encode_json(claims.l).size() > 0", "doubles"),
    ("encode_json(claims.m).size() > 0", "map"),
    ("check_valid_email(claims.t) || true", "text"),
    ("claims.t.indexOf(claims.t) == 0", "text"),
    ("claims.t.replace('a', claims.t).size() > 0", "text"),
    ("claims.l.all(x, claims.l.join(x).size() >= 0)", "same"),
];

#[test]
fn what_is_hostile_is_refused_or_takes_no_longer_than_predicted() {
    let step = calibrated();
    println!("a step takes {step:?}; at most {:?}", step * FACTOR);
    println!("| expression | claims | predicted steps | measured | of the allowed |\n|---|---|---|---|---|");
    let (mut accepted, mut slow) = (0, Vec::new());
    let native = HOSTILE.iter().map(|(source, shape)| (*source, *shape, Dialect::Native));
    let role = HOSTILE_ROLE.iter().map(|(source, shape)| (*source, *shape, Dialect::Role));
    // A name is looked for in one scope after the other.
    let scopes = [
        (below(24, "claims.l.all(x, now == now && now != now || true)"), "same"),
        (below(24, "claims.l.all(x, issuer == issuer)"), "same"),
        (below(12, &format!("claims.l.all(x, claims.d{} != x)", ".a".repeat(18))), "members"),
        (below(24, &format!("claims.l.all(x, has(claims.d{}))", ".a".repeat(8))), "members"),
    ];
    // A map of as many members as rounds and entries multiply to.
    let merged = [
        (merged(26, "m.all(k, m.all(j, true))"), "list"),
        (merged(6, "cel.bind(l, m.map(a, m.map(b, 1)).flatten(), l.all(a, l.all(b, true)))"), "list"),
        (merged(12, "m.all(k, m.all(j, true))"), "list"),
    ];
    let made = scopes.iter().chain(&merged).map(|(source, shape)| (source.as_str(), *shape, Dialect::Native));
    for (source, shape, dialect) in native.chain(role).chain(made) {
        let begun = Instant::now();
        let compiled = Expression::compile(source, dialect, &[]);
        assert!(begun.elapsed() < Duration::from_secs(1), "{source} took {:?} to compile", begun.elapsed());
        let expression = match compiled {
            Ok(expression) if expression.steps() <= STEPS => expression,
            Ok(expression) => {
                println!("| `{source}` | {shape} | {} | refused: over {STEPS} steps | |", expression.steps());
                continue;
            }
            Err(refused) => {
                println!("| `{source}` | {shape} | | refused: {refused} | |");
                continue;
            }
        };
        accepted += 1;
        let allowed = step * FACTOR * u32::try_from(expression.steps()).unwrap();
        let taken = measured(&expression, &worst(shape), allowed);
        let share = 100.0 * taken.as_secs_f64() / allowed.as_secs_f64();
        println!("| `{source}` | {shape} | {} | {} µs | {share:.0} % |", expression.steps(), taken.as_micros());
        if taken > allowed {
            slow.push(format!("{source} over {shape}: {taken:?}, allowed {allowed:?}"));
        }
    }
    assert!(accepted >= 20, "only {accepted} are accepted: the rest proves nothing about time");
    assert!(slow.is_empty(), "{slow:#?}");
}

fn around(before: &str, inner: &str, after: &str, times: usize) -> String {
    format!("{}{inner}{}", before.repeat(times), after.repeat(times))
}

/// Every way into depth and length that the grammar and the macros have, at sizes around and far beyond the bounds.
#[rstest]
fn nothing_overflows_a_stack(
    #[values(1, 8, 15, 29, 36, 38, 100, 400, 2_000, 20_000)] times: usize,
    #[values(Dialect::Native, Dialect::Role)] dialect: Dialect,
) {
    let sources = [
        around("(", "true", ")", times),
        around("[", "1", "]", times) + " != []",
        around("{'a': ", "1", "}", times) + " != {}",
        around("!", "true", "", times),
        around("-", "1", "", times) + " == 1",
        format!("1{} == 1", "+1".repeat(times)),
        format!("claims.a{} == 1", ".b".repeat(times)),
        format!("claims.a{} == 1", "[0]".repeat(times)),
        format!("claims.a{}.hasValue()", ".?b".repeat(times)),
        format!("true{}", " && true".repeat(times)),
        format!("{}true", "true ? true : ".repeat(times)),
        around("(true ? ", "true", " : false)", times),
        around("size(string(", "'a'", "))", times) + " == 1",
        format!("'a'{} == 'a'", ".trim()".repeat(times)),
        format!("[1]{} == [1]", ".map(x, x)".repeat(times)),
        around("[1].all(x, ", "true", ")", times),
        around("[1].all(i, x, ", "true", ")", times),
        around("[1].exists(i, x, [x].transformList(j, y, ", "y", ") == [x])", times),
        around("cel.bind(x, 1, ", "true", ")", times),
        format!("{}1{} == 1", "cel.bind(x, ".repeat(times), ", x)".repeat(times)),
        format!("optional.of(1){}.hasValue()", ".optMap(x, x + 1)".repeat(times)),
        format!("optional.of(1){}.hasValue()", ".or(claims.?x)".repeat(times)),
        around("optional.none().orValue(", "claims.a", ")", times) + " == 1",
        around("math.greatest(1, 2, ", "3", ")", times) + " == 3",
        format!("[1]{} == [1]", ".sortBy(x, -x)".repeat(times)),
        format!("{{'a': 1}}{} == {{'a': 1}}", ".transformMap(k, v, v)".repeat(times)),
        around("!!(!!!!!!(!!!!(((((", "true", "", times),
        "((".repeat(times),
        "a.b(".repeat(times),
    ];
    for source in sources {
        let Ok(expression) = Expression::compile(&source, dialect, &[]) else { continue };
        // Three quarters of what tokio gives a worker.
        let evaluated = std::thread::Builder::new().stack_size(1_536 * 1024).spawn(move || {
            let deep = (0..14).fold(json!({"b": 1}), |inner, _| json!({"b": inner}));
            let claims = json!({"a": deep});
            expression.evaluate(claims.as_object().unwrap(), [], now(), |value| value.is_ok()).is_some()
        });
        assert!(evaluated.unwrap().join().unwrap(), "{source}");
    }
}
