//! The signatures of functions and operators, as text: what CEL's own documentation calls overloads.
//!
//! Decides nothing; [`table`](super::table) reads it.

/// One signature in a line: `name(arguments) -> result`, or `target .name(arguments) -> result`. `A` and `B` stand for any
/// type, the same wherever they stand in a line; `ordered` for an `A` that is one type with an order; `T...` for one or more of `T`.
pub(super) const SIGNATURES: &str = "
_+_(int, int) -> int
_+_(uint, uint) -> uint
_+_(double, double) -> double
_+_(string, string) -> string
_+_(bytes, bytes) -> bytes
_+_(list<A>, list<A>) -> list<A>
_+_(timestamp, duration) -> timestamp
_+_(duration, timestamp) -> timestamp
_+_(duration, duration) -> duration
_-_(int, int) -> int
_-_(uint, uint) -> uint
_-_(double, double) -> double
_-_(timestamp, timestamp) -> duration
_-_(timestamp, duration) -> timestamp
_-_(duration, duration) -> duration
_*_(int, int) -> int
_*_(uint, uint) -> uint
_*_(double, double) -> double
_/_(int, int) -> int
_/_(uint, uint) -> uint
_/_(double, double) -> double
_%_(int, int) -> int
_%_(uint, uint) -> uint
-_(int) -> int
-_(double) -> double
_<_(bool, bool) -> bool
_<_(number, number) -> bool
_<_(string, string) -> bool
_<_(bytes, bytes) -> bool
_<_(timestamp, timestamp) -> bool
_<_(duration, duration) -> bool

size(string) -> int
size(bytes) -> int
size(list<A>) -> int
size(map<A, B>) -> int
string .size() -> int
bytes .size() -> int
list<A> .size() -> int
map<A, B> .size() -> int
string(string) -> string
string(bool) -> string
string(number) -> string
string(bytes) -> string
string(timestamp) -> string
string(duration) -> string
bytes(string) -> bytes
bytes(bytes) -> bytes
int(number) -> int
int(string) -> int
int(timestamp) -> int
uint(number) -> uint
uint(string) -> uint
double(number) -> double
double(string) -> double
bool(bool) -> bool
bool(string) -> bool
type(A) -> type
dyn(A) -> dyn
timestamp(string) -> timestamp
timestamp(int) -> timestamp
timestamp(timestamp) -> timestamp
duration(string) -> duration
duration(duration) -> duration
hex(string) -> string
matches(string, string) -> bool
fullMatch(string, string) -> bool
glob(string, string) -> bool
@match(string, string) -> bool
string .matches(string) -> bool
string .fullMatch(string) -> bool
string .glob(string) -> bool

optional.none() -> optional<never>
optional.of(A) -> optional<A>
optional.ofNonZeroValue(A) -> optional<A>
optional.unwrap(list<optional<A>>) -> list<A>
optional<A> .hasValue() -> bool
optional<A> .value() -> A
optional<A> .or(optional<A>) -> optional<A>
optional<A> .orValue(A) -> A
list<optional<A>> .unwrapOpt() -> list<A>

timestamp .getFullYear() -> int
timestamp .getFullYear(string) -> int
timestamp .getMonth() -> int
timestamp .getMonth(string) -> int
timestamp .getDate() -> int
timestamp .getDate(string) -> int
timestamp .getDayOfMonth() -> int
timestamp .getDayOfMonth(string) -> int
timestamp .getDayOfWeek() -> int
timestamp .getDayOfWeek(string) -> int
timestamp .getDayOfYear() -> int
timestamp .getDayOfYear(string) -> int
timestamp .getHours() -> int
timestamp .getHours(string) -> int
duration .getHours() -> int
timestamp .getMinutes() -> int
timestamp .getMinutes(string) -> int
duration .getMinutes() -> int
timestamp .getSeconds() -> int
timestamp .getSeconds(string) -> int
duration .getSeconds() -> int
timestamp .getMilliseconds() -> int
timestamp .getMilliseconds(string) -> int
duration .getMilliseconds() -> int

string .contains(string) -> bool
string .startsWith(string) -> bool
string .endsWith(string) -> bool
string .lowerAscii() -> string
string .upperAscii() -> string
string .trim() -> string
string .reverse() -> string
string .substring(int) -> string
string .substring(int, int) -> string
string .charAt(int) -> string
string .indexOf(string) -> int
string .indexOf(string, int) -> int
string .lastIndexOf(string) -> int
string .lastIndexOf(string, int) -> int
string .replace(string, string) -> string
string .replace(string, string, int) -> string
string .split(string) -> list<string>
string .split(string, int) -> list<string>
list<string> .join() -> string
list<string> .join(string) -> string
string .format(list<A>) -> string
strings.quote(string) -> string

list<A> .first() -> optional<A>
list<A> .last() -> optional<A>
list<A> .reverse() -> list<A>
list<A> .distinct() -> list<A>
list<A> .flatten() -> list<dyn>
list<A> .flatten(int) -> list<dyn>
list<A> .slice(int, int) -> list<A>
list<ordered> .sort() -> list<A>
lists.range(int) -> list<int>

math.greatest(number...) -> number
math.greatest(list<number>) -> number
math.least(number...) -> number
math.least(list<number>) -> number
math.abs(int) -> int
math.abs(uint) -> uint
math.abs(double) -> double
math.sign(int) -> int
math.sign(uint) -> uint
math.sign(double) -> double
math.sqrt(number) -> double
math.ceil(double) -> double
math.floor(double) -> double
math.round(double) -> double
math.trunc(double) -> double
math.isNaN(double) -> bool
math.isInf(double) -> bool
math.isFinite(double) -> bool
math.bitAnd(int, int) -> int
math.bitAnd(uint, uint) -> uint
math.bitOr(int, int) -> int
math.bitOr(uint, uint) -> uint
math.bitXor(int, int) -> int
math.bitXor(uint, uint) -> uint
math.bitNot(int) -> int
math.bitNot(uint) -> uint
math.bitShiftLeft(int, int) -> int
math.bitShiftLeft(uint, int) -> uint
math.bitShiftRight(int, int) -> int
math.bitShiftRight(uint, int) -> uint

sets.contains(list<A>, list<A>) -> bool
sets.equivalent(list<A>, list<A>) -> bool
sets.intersects(list<A>, list<A>) -> bool

regex.replace(string, string, string) -> string
regex.replace(string, string, string, int) -> string
regex.extract(string, string) -> optional<string>
regex.extractAll(string, string) -> list<string>

base64.encode(bytes) -> string
base64.decode(string) -> bytes

check_valid_email(string) -> bool
encode_json(A) -> string
decode_json(string) -> dyn
";
