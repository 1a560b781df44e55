//! Expressions and claims at random, by a seed: mostly such that evaluate to a value.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// SplitMix64: small, and the same on every machine for ever.
pub struct Random(u64);

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    pub fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Texts,
    Ints,
    Members,
    Moment,
    Span,
    Any,
}

use Type::{Any, Bool, Bytes, Double, Int, Ints, Members, Moment, Span, Text, Texts, Uint};

const WORDS: [&str; 16] = [
    "",
    "a",
    "b",
    "main",
    "refs/heads/main",
    "é",
    "日本",
    "A-b_c",
    "true",
    "17",
    "a/b/c",
    "x y",
    "%",
    "\\",
    "٣",
    "x\u{a0}y",
];

/// Claims: the same names every time, with other values, and some of them absent.
pub fn claims(random: &mut Random) -> Map<String, Value> {
    let mut word = |random: &mut Random| json!(random.pick(&WORDS));
    let list = |random: &mut Random, word: &mut dyn FnMut(&mut Random) -> Value| -> Value {
        (0..random.below(5)).map(|_| word(random)).collect()
    };
    let mut claims = Map::new();
    claims.insert("s".into(), word(random));
    claims.insert("t".into(), word(random));
    let number = match random.below(8) {
        0 => i64::MAX,
        1 => i64::MIN,
        2 => 1_700_000_000,
        _ => i64::try_from(random.below(9)).unwrap() - 4,
    };
    claims.insert("n".into(), json!(number));
    claims.insert("d".into(), json!(*random.pick(&[&0.5, &1.0, &-2.25, &1e300, &3.0])));
    claims.insert("b".into(), json!(random.below(2) == 0));
    claims.insert("l".into(), list(random, &mut word));
    claims.insert("i".into(), (0..random.below(5)).map(|_| json!(random.below(6))).collect());
    let members: Map<String, Value> = (0..random.below(4)).map(|n| (format!("k{n}"), json!(random.below(5)))).collect();
    claims.insert("m".into(), Value::Object(members));
    claims.insert("o".into(), json!({"p": {"q": [word(random), 1, null, 2.5, true]}, "r": word(random)}));
    claims.insert("z".into(), Value::Null);
    claims.insert("u".into(), json!(u64::MAX - random.below(2)));
    for name in ["s", "l", "m", "n"] {
        if random.below(25) == 0 {
            claims.remove(name);
        }
    }
    claims
}

/// What writes an expression: the random numbers, and the variables in sight.
pub struct Writer<'r> {
    pub random: &'r mut Random,
    variables: Vec<(String, Type)>,
    names: u32,
}

impl<'r> Writer<'r> {
    pub fn new(random: &'r mut Random) -> Self {
        Self { random, variables: vec![], names: 0 }
    }

    /// An expression of any type.
    pub fn expression(&mut self) -> String {
        let of = *self.random.pick(&[&Bool, &Bool, &Bool, &Int, &Uint, &Double, &Text, &Text, &Bytes, &Texts, &Ints]);
        let of = if self.random.below(6) == 0 { *self.random.pick(&[&Members, &Moment, &Span, &Any]) } else { of };
        let depth = 1 + u32::try_from(self.random.below(4)).unwrap();
        self.of(of, depth)
    }

    /// An expression of that type, or now and then of another one.
    fn of(&mut self, of: Type, depth: u32) -> String {
        if self.random.below(60) == 0 {
            let other = *self.random.pick(&[&Bool, &Int, &Double, &Text, &Texts, &Any]);
            return self.leaf(other);
        }
        if self.random.below(8) == 0
            && let Some((name, _)) = self.variables.iter().rev().find(|(_, known)| *known == of)
        {
            return name.clone();
        }
        if depth == 0 {
            return self.leaf(of);
        }
        match self.random.below(14) {
            0 => {
                let (condition, yes, no) = (self.of(Bool, depth - 1), self.of(of, depth - 1), self.of(of, depth - 1));
                format!("({condition} ? {yes} : {no})")
            }
            1 if self.random.below(2) == 0 => self.bound(of, depth),
            2 => {
                let name = match of {
                    Text => "s",
                    Int => "n",
                    Bool => "b",
                    Texts => "l",
                    Members => "m",
                    _ => "absent",
                };
                format!("claims.?{name}.orValue({})", self.of(of, depth - 1))
            }
            _ => self.composed(of, depth - 1),
        }
    }

    fn bound(&mut self, of: Type, depth: u32) -> String {
        let held = *self.random.pick(&[&Bool, &Int, &Text, &Texts, &Ints]);
        let value = self.of(held, depth - 1);
        let name = self.name();
        self.variables.push((name.clone(), held));
        let within = self.of(of, depth - 1);
        self.variables.pop();
        format!("cel.bind({name}, {value}, {within})")
    }

    fn name(&mut self) -> String {
        self.names += 1;
        // A name twice, so that variables hide one another.
        format!("v{}", self.names % 3)
    }

    fn leaf(&mut self, of: Type) -> String {
        let literal = self.random.below(2) == 0;
        match of {
            Bool if literal => self.random.pick(&["true", "false"]).to_owned(),
            Bool => {
                self.random.pick(&["claims.b", "has(claims.s)", "'k1' in claims.m", "has(claims.o.p.q)"]).to_owned()
            }
            Int if literal => {
                self.random.pick(&["0", "1", "-1", "2", "17", "9223372036854775807", "0x10", "3"]).to_owned()
            }
            Int => self.random.pick(&["claims.n", "size(claims.s)", "claims.o.p.q[1]", "size(claims.l)"]).to_owned(),
            Uint => self.random.pick(&["0u", "1u", "7u", "claims.u", "18446744073709551615u", "uint(3)"]).to_owned(),
            Double => self.random.pick(&["0.0", "1.5", "-2.25", "claims.d", "1e10", "3.0", "double('2.5')"]).to_owned(),
            Text if literal => {
                let word = *self.random.pick(&[&"", &"a", &"main", &"é", &"a/b", &"日本", &"17", &"x y", &"refs/"]);
                format!("'{word}'")
            }
            Text => {
                self.random.pick(&["claims.s", "claims.t", "claims.o.r", "claims['t']", "claims.o.p.q[0]"]).to_owned()
            }
            Bytes => self.random.pick(&["b'abc'", "b''", "bytes(claims.s)", "b'\\xff'", "bytes('é')"]).to_owned(),
            Texts if literal => self.random.pick(&["['a', 'b']", "[]", "['main', 'é', '']", "[claims.t]"]).to_owned(),
            Texts => self.random.pick(&["claims.l", "claims.t.split('/')", "['x', claims.s]"]).to_owned(),
            Ints if literal => self.random.pick(&["[1, 2, 3]", "[]", "[3, 1, 2, 1]", "[claims.n]"]).to_owned(),
            Ints => "claims.i".to_owned(),
            Members if literal => self.random.pick(&["{'k0': 1, 'x': 2}", "{}", "{'k1': claims.n}"]).to_owned(),
            Members => "claims.m".to_owned(),
            Moment => self.random.pick(&["timestamp(1700000000)", "timestamp('2024-02-29T12:30:45Z')"]).to_owned(),
            Span => self.random.pick(&["duration('90s')", "duration('15s')", "duration('-2h3m')"]).to_owned(),
            Any => self
                .random
                .pick(&[
                    "claims.z",
                    "null",
                    "claims.o",
                    "claims.o.p",
                    "type(claims.n)",
                    "[1, 'a', null, 2.5]",
                    "claims.o.p.q",
                ])
                .to_owned(),
        }
    }

    fn composed(&mut self, of: Type, depth: u32) -> String {
        match of {
            Bool => self.truth(depth),
            Int => self.int(depth),
            Uint => {
                let operator = *self.random.pick(&[&"+", &"*", &"/", &"%", &"-"]);
                if self.random.below(3) == 0 {
                    format!("uint({})", self.of(Int, depth))
                } else {
                    format!("({} {operator} {})", self.of(Uint, depth), self.of(Uint, depth))
                }
            }
            Double => match self.random.below(5) {
                0 => format!("double({})", self.of(Int, depth)),
                1 => {
                    format!("math.{}({})", self.random.pick(&["ceil", "floor", "abs", "trunc"]), self.of(Double, depth))
                }
                2 => format!("-({})", self.of(Double, depth)),
                _ => {
                    let operator = *self.random.pick(&[&"+", &"*", &"/", &"-"]);
                    format!("({} {operator} {})", self.of(Double, depth), self.of(Double, depth))
                }
            },
            Text => self.text(depth),
            Bytes => match self.random.below(3) {
                0 => format!("bytes({})", self.of(Text, depth)),
                1 => format!("base64.decode(base64.encode({}))", self.of(Bytes, depth)),
                _ => format!("({} + {})", self.of(Bytes, depth), self.of(Bytes, depth)),
            },
            Texts | Ints => self.list(of, depth),
            Members => match self.random.below(3) {
                0 => format!("{{{}: {}, 'y': {}}}", self.of(Text, depth), self.of(Int, depth), self.of(Int, depth)),
                1 => format!("{{'z': {}, ?'w': claims.?n}}", self.of(Int, depth)),
                _ => self.leaf(Members),
            },
            Moment => match self.random.below(3) {
                0 => format!("({} + {})", self.of(Moment, depth), self.of(Span, depth)),
                1 => format!("({} - {})", self.of(Moment, depth), self.of(Span, depth)),
                _ => format!("timestamp(string({}))", self.of(Moment, depth)),
            },
            Span => match self.random.below(3) {
                0 => format!("({} + {})", self.of(Span, depth), self.of(Span, depth)),
                1 => format!("({} - {})", self.of(Moment, depth), self.of(Moment, depth)),
                _ => format!("duration(string({}))", self.of(Span, depth)),
            },
            Any => match self.random.below(3) {
                0 => format!("dyn({})", self.of(Text, depth)),
                1 => format!("[{}, {}]", self.of(Any, depth), self.of(Int, depth)),
                _ => format!("{{'a': {}}}", self.of(Any, depth)),
            },
        }
    }

    fn truth(&mut self, depth: u32) -> String {
        let ordered = *self.random.pick(&[&Int, &Uint, &Double, &Text, &Bytes, &Moment, &Span, &Bool]);
        let any = *self.random.pick(&[&Bool, &Int, &Double, &Text, &Texts, &Ints, &Members, &Any, &Uint, &Bytes]);
        match self.random.below(14) {
            0 => format!("!({})", self.of(Bool, depth)),
            1 | 2 => format!("({} && {})", self.of(Bool, depth), self.of(Bool, depth)),
            3 | 4 => format!("({} || {})", self.of(Bool, depth), self.of(Bool, depth)),
            5 => format!("({} {} {})", self.of(any, depth), self.random.pick(&["==", "!="]), self.of(any, depth)),
            6 => {
                let numbers = [&Int, &Uint, &Double];
                let (left, right) = (*self.random.pick(&numbers), *self.random.pick(&numbers));
                let operator = *self.random.pick(&[&"==", &"<", &"<=", &">", &">=", &"!="]);
                format!("({} {operator} {})", self.of(left, depth), self.of(right, depth))
            }
            7 => {
                let operator = *self.random.pick(&[&"<", &"<=", &">", &">="]);
                format!("({} {operator} {})", self.of(ordered, depth), self.of(ordered, depth))
            }
            8 => format!("({} in {})", self.of(Text, depth), self.of(Texts, depth)),
            9 => {
                let function = *self.random.pick(&[&"contains", &"startsWith", &"endsWith"]);
                format!("{}.{function}({})", self.of(Text, depth), self.of(Text, depth))
            }
            10 => {
                // Of ASCII, as RE2 has it: the words have letters and a digit of other scripts.
                const PATTERNS: [&str; 14] = [
                    "^refs/",
                    "a+",
                    "[0-9]{2}",
                    "(?i)MAIN",
                    "é|b",
                    "^$",
                    "^a/.*c$",
                    r"^\w+$",
                    r"\d",
                    r"^[\W.-]",
                    r"\bmain\b",
                    r"\s",
                    r"^\S*$",
                    r"^\D+$",
                ];
                let pattern = self.random.pick(&PATTERNS);
                format!("{}.matches(r'{pattern}')", self.of(Text, depth))
            }
            11 | 12 => {
                let (range, of) = if self.random.below(2) == 0 { (Texts, Text) } else { (Ints, Int) };
                let list = self.of(range, depth);
                let name = self.name();
                self.variables.push((name.clone(), of));
                let condition = self.of(Bool, depth);
                self.variables.pop();
                format!("{list}.{}({name}, {condition})", self.random.pick(&["all", "exists", "exists_one"]))
            }
            _ => format!("{}.all(k, k.startsWith('k'))", self.of(Members, depth)),
        }
    }

    fn int(&mut self, depth: u32) -> String {
        match self.random.below(12) {
            0 => format!("size({})", self.of(Text, depth)),
            1 => format!("size({})", self.of(Texts, depth)),
            2 => format!("{}.size()", self.of(Members, depth)),
            3 => format!("int({})", self.of(Double, depth)),
            4 => format!("int(string({}))", self.of(Int, depth)),
            5 => format!("{}.indexOf({})", self.of(Text, depth), self.of(Text, depth)),
            6 => format!("{}[{}]", self.of(Ints, depth), self.random.below(3)),
            7 => {
                let part = *self.random.pick(&[
                    &"getFullYear",
                    &"getMonth",
                    &"getDate",
                    &"getDayOfMonth",
                    &"getDayOfWeek",
                    &"getDayOfYear",
                    &"getHours",
                    &"getMinutes",
                    &"getSeconds",
                    &"getMilliseconds",
                ]);
                format!("{}.{part}()", self.of(Moment, depth))
            }
            8 => format!("{}.{}()", self.of(Span, depth), self.random.pick(&["getHours", "getMinutes", "getSeconds"])),
            9 => format!(
                "math.{}({}, {})",
                self.random.pick(&["greatest", "least"]),
                self.of(Int, depth),
                self.of(Int, depth)
            ),
            _ => {
                let operator = *self.random.pick(&[&"+", &"-", &"*", &"/", &"%"]);
                format!("({} {operator} {})", self.of(Int, depth), self.of(Int, depth))
            }
        }
    }

    fn text(&mut self, depth: u32) -> String {
        match self.random.below(13) {
            0 => format!("({} + {})", self.of(Text, depth), self.of(Text, depth)),
            1 => {
                let of = *self.random.pick(&[&Int, &Uint, &Bool, &Text, &Moment, &Span, &Double]);
                format!("string({})", self.of(of, depth))
            }
            2 => {
                let function = *self.random.pick(&[&"lowerAscii", &"upperAscii", &"trim", &"reverse"]);
                format!("{}.{function}()", self.of(Text, depth))
            }
            3 => format!("{}.substring({})", self.of(Text, depth), self.random.below(2)),
            4 => format!("{}.charAt({})", self.of(Text, depth), self.random.below(2)),
            5 => {
                let (from, to) = (*self.random.pick(&[&"a", &"/", &"", &"é"]), *self.random.pick(&[&"", &"b", &"--"]));
                format!("{}.replace('{from}', '{to}')", self.of(Text, depth))
            }
            6 => format!("{}.join('{}')", self.of(Texts, depth), self.random.pick(&["", ",", "é"])),
            7 => format!("{}[{}]", self.of(Texts, depth), self.random.below(2)),
            8 => {
                let (clause, of) = *self.random.pick(&[
                    &("%s", Text),
                    &("%d", Int),
                    &("%s", Int),
                    &("%x", Text),
                    &("%b", Int),
                    &("%o", Int),
                    &("%.2f", Double),
                    &("%X", Int),
                    &("%s", Bool),
                    &("%s", Texts),
                    &("%x", Int),
                    &("%s", Ints),
                ]);
                format!("'<{clause}>'.format([{}])", self.of(of, depth))
            }
            9 => format!("base64.encode({})", self.of(Bytes, depth)),
            10 => format!("string(bytes({}))", self.of(Text, depth)),
            11 => format!("optional.of({}).orValue('x')", self.of(Text, depth)),
            _ => self.leaf(Text),
        }
    }

    fn list(&mut self, of: Type, depth: u32) -> String {
        let element = if of == Texts { Text } else { Int };
        let from = if self.random.below(2) == 0 { (Texts, Text) } else { (Ints, Int) };
        match self.random.below(6) {
            0 => format!("({} + {})", self.of(of, depth), self.of(of, depth)),
            1 => {
                let mut list = String::from("[");
                for _ in 0..self.random.below(3) {
                    write!(list, "{}, ", self.of(element, depth)).unwrap();
                }
                format!("{list}{}]", self.of(element, depth))
            }
            2 => {
                let list = self.of(from.0, depth);
                let name = self.name();
                self.variables.push((name.clone(), from.1));
                let (filter, value) = (self.of(Bool, depth), self.of(element, depth));
                self.variables.pop();
                if self.random.below(2) == 0 {
                    format!("{list}.map({name}, {value})")
                } else {
                    format!("{list}.map({name}, {filter}, {value})")
                }
            }
            3 => {
                let list = self.of(of, depth);
                let name = self.name();
                self.variables.push((name.clone(), element));
                let condition = self.of(Bool, depth);
                self.variables.pop();
                format!("{list}.filter({name}, {condition})")
            }
            4 if of == Texts => format!("{}.split('{}')", self.of(Text, depth), self.random.pick(&["/", "é", "a"])),
            _ => self.leaf(of),
        }
    }
}
