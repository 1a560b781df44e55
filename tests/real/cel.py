"""Google's CEL (cel-cpp, by cel-expr-python) for tests/real_cel.rs.

Each line on stdin is a JSON list of {"expr", "claims"}; the answer is one line, a JSON list of what each came to: the
value with its type, or ["error", message]. Nothing is type-checked: that is the checker's business, and the question
here is what evaluates to what.
"""

import datetime
import json
import struct
import sys

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
ENV = cel.NewEnv(
    variables={"claims": cel.Type.DYN},
    extensions=[
        ext_bindings.ExtBindings(),
        ext_encoders.ExtEncoders(),
        ext_math.ExtMath(),
        ext_optional.ExtOptional(),
        ext_strings.ExtStrings(),
    ],
)


def micros(delta):
    return (delta.days * 86400 + delta.seconds) * 1_000_000 + delta.microseconds


def plain_key(key):
    if isinstance(key, bool):
        return ["bool", key]
    return ["int", str(key)] if isinstance(key, int) else ["string", key]


def typed(value):
    name, plain = value.type().name(), value.value()
    kind = name.split("<")[0].lower()
    if kind == "error":
        return ["error", str(plain)]
    if kind in ("int", "uint"):
        return [kind, str(int(plain))]
    if kind == "double":
        number = float(plain) + 0.0
        return [kind, "nan" if number != number else struct.pack(">d", number).hex()]
    if kind == "bytes":
        return [kind, list(plain)]
    if kind == "timestamp":
        return [kind, str(micros(plain - EPOCH))]
    if kind == "duration":
        return [kind, str(micros(plain))]
    if kind == "list":
        return [kind, [typed(element) for element in plain]]
    if kind == "map":
        return [kind, [[plain_key(key), typed(member)] for key, member in plain.items()]]
    if kind == "type":
        return [kind, str(value)]
    return [kind, plain]


def answer(pair):
    try:
        expression = ENV.compile(pair["expr"], disable_check=True)
        return typed(expression.eval(data={"claims": pair["claims"]}))
    except Exception as error:  # whatever it is, it is no value
        return ["error", str(error).splitlines()[0] if str(error) else type(error).__name__]


for line in sys.stdin:
    print(json.dumps([answer(pair) for pair in json.loads(line)]), flush=True)
