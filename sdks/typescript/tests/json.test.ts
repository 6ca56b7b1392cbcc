/** Values as JSON: what cannot be JSON is refused before the wire, integers stay exact. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FlowmeshError, parseJson, stringifyJson } from "@flowmesh/client";

test("a value that cannot be JSON is refused with its path", () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  const cases: [unknown, RegExp][] = [
    [{ a: [1, Number.NaN] }, /^value\.a\[1\] is not a finite number/],
    [{ a: Number.NEGATIVE_INFINITY }, /^value\.a is not a finite number/],
    [{ at: new Date(Number.NaN) }, /^value\.at is not a valid date/],
    [{ a: Object(Number.NaN) }, /^value\.a is not a finite number/],
    [{ a: "\ud800" }, /^value\.a is not Unicode/],
    [{ "\udc00": 1 }, /has a name that is not Unicode/],
    [cycle, /^value\[0\] contains itself/],
    [{ f: () => 1 }, /^value\.f is a function/],
    [[undefined], /^value\[0\] is undefined/],
    [{ s: Symbol("s") }, /^value\.s is a symbol/],
    [new Map(), /^value is a Map/],
    [{ s: new Set() }, /^value\.s is a Set/],
    [new Uint8Array(2), /^value is a Uint8Array/],
    [{ n: 2n ** 64n }, /^value\.n is an integer that cannot be kept/],
    [Promise.resolve(1), /^value is a Promise/],
  ];
  for (const [value, pattern] of cases) {
    assert.throws(
      () => stringifyJson(value),
      (error) =>
        error instanceof FlowmeshError &&
        error.reason === "JSON_INVALID" &&
        error.violations.length === 1 &&
        pattern.test(error.message),
      String(pattern),
    );
  }
});

test("a value nested 100,000 levels deep is refused without overflowing the stack", () => {
  let value: unknown = 1;
  for (let level = 0; level < 100_000; level++) {
    value = [value];
  }
  assert.throws(() => stringifyJson(value), /nested more than 1000 levels/);
});

test("integers beyond 2^53 stay exact with bigint, beside texts and fractions", () => {
  const text = '{"a":9007199254740993,"b":"9007199254740993","c":[-9223372036854775808],"d":1.5}';
  const value = parseJson(text, true) as Record<string, unknown>;
  assert.equal(value["a"], 9007199254740993n);
  assert.equal(value["b"], "9007199254740993");
  assert.deepEqual(value["c"], [-9223372036854775808n]);
  assert.equal(value["d"], 1.5);
  assert.equal(stringifyJson(value), text);
  assert.equal((parseJson(text) as Record<string, unknown>)["a"], 9007199254740992);
  assert.equal(parseJson("1234567890123456", true), 1234567890123456);
  const tricky = { text: '\\"1234567890123456789', n: 1n };
  assert.equal(stringifyJson(tricky), `{"text":${JSON.stringify(tricky.text)},"n":1}`);
  assert.deepEqual(parseJson(stringifyJson({ ...tricky, n: 2n ** 60n }), true), {
    ...tricky,
    n: 2n ** 60n,
  });
});

test("dates, classes and undefined members have the form of JSON.stringify", () => {
  class Point {
    constructor(
      readonly x: number,
      readonly y?: number,
    ) {}
  }
  const value = { at: new Date(0), point: new Point(1), left: undefined };
  assert.equal(stringifyJson(value), JSON.stringify(value));
  assert.equal(stringifyJson(undefined), "null");
});
