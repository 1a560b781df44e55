// Regenerates conformance.jsonl: the CEL conformance cases of npm's @bufbuild/cel-spec (Apache-2.0), one per line.
//   npm i @bufbuild/cel-spec@0.6.1 @bufbuild/protobuf && node dump.mjs > conformance.jsonl
// `json` says whether JSON claims can reach the case: no protobuf message, enum or wrapper, not for the checker alone,
// no assertion of a deduced type.
import { getConformanceSuite } from '@bufbuild/cel-spec/testdata/tests.js'
import { SimpleTestSchema } from '@bufbuild/cel-spec/cel/expr/conformance/test/simple_pb.js'
import { getTestRegistry } from '@bufbuild/cel-spec/testdata/registry.js'
import { toJson } from '@bufbuild/protobuf'

const registry = getTestRegistry()
const PROTO = /TestAllTypes|GlobalEnum|NestedTestAllTypes|enumValue|proto[23]|conformance|objectValue|google\.protobuf(?!\.Timestamp|\.Duration)/
const walk = (suite, path) => {
  for (const { original } of suite.tests || []) {
    const test = toJson(SimpleTestSchema, original, { registry })
    const { name, expr, value, evalError, bindings, container, checkOnly, typedResult } = test
    const text = JSON.stringify({ expr, value, bindings, container, typeEnv: test.typeEnv })
      .replaceAll(/"objectValue":\{"@type":"type\.googleapis\.com\/google\.protobuf\.(Timestamp|Duration)"/g, '')
      .replaceAll(/"objectValue":\{"value":"[^"]*","@type":"type\.googleapis\.com\/google\.protobuf\.(Timestamp|Duration)"/g, '')
    const json = !PROTO.test(text) && !checkOnly && !typedResult
    const line = { path, name, expr, json }
    if (evalError) line.error = true
    if (value) line.value = value
    if (bindings) line.bindings = Object.fromEntries(Object.entries(bindings).map(([k, v]) => [k, v.value]))
    if (container) line.container = container
    if (checkOnly) line.checkOnly = true
    if (typedResult) line.typedResult = typedResult.result ?? true
    // Doubles as text: not every reader of JSON keeps their last bit.
    console.log(JSON.stringify(line, (key, value) => (key === 'doubleValue' ? String(value) : value)))
  }
  for (const inner of suite.suites || []) walk(inner, path ? `${path}/${inner.name}` : inner.name)
}
walk(getConformanceSuite(), '')
