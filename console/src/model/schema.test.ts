import { expect, test } from "vitest";
import {
  examplesOf,
  initialOf,
  type JsonSchema,
  kindOf,
  problemsOf,
  resolved,
  titleOf,
} from "./schema";

const REFUND: JsonSchema = {
  type: "object",
  required: ["limit", "address"],
  properties: {
    limit: { type: "integer", minimum: 1 },
    kind: { enum: ["card", "cash"], default: "card" },
    express: { type: "boolean" },
    address: { $ref: "#/$defs/address" },
    notes: { type: "array", items: { type: "string" } },
  },
  $defs: {
    address: { type: "object", required: ["city"], properties: { city: { type: "string" } } },
  },
};

test("each schema has a kind of field", () => {
  const kinds: [JsonSchema, string][] = [
    [{ type: "string" }, "text"],
    [{ type: "string", maxLength: 2_000 }, "long"],
    [{ type: ["integer", "null"] }, "number"],
    [{ type: "boolean" }, "flag"],
    [{ enum: [1, 2] }, "choice"],
    [{ const: "x" }, "choice"],
    [{ type: "array", items: {} }, "list"],
    [{ properties: { a: {} } }, "object"],
    [{ type: "object", additionalProperties: { type: "number" } }, "map"],
    [{ type: "object" }, "json"],
    [{ oneOf: [{ type: "string" }] }, "oneOf"],
    [{}, "json"],
  ];
  for (const [schema, kind] of kinds) expect(kindOf(schema), JSON.stringify(schema)).toBe(kind);
});

test("a form begins with defaults and with required objects", () => {
  expect(initialOf(REFUND, REFUND)).toEqual({ kind: "card", address: {} });
});

test("a missing member is a problem at its own place", () => {
  const problems = problemsOf(REFUND, { kind: "card", address: {} });
  expect(problems.get("/limit")).toBe("A value is needed.");
  expect(problems.get("/address/city")).toBe("A value is needed.");
});

test("a wrong value is a problem at its place, and a right one has none", () => {
  const address = { city: "Bern" };
  expect(problemsOf(REFUND, { limit: 0, address }).has("/limit")).toBe(true);
  expect(problemsOf(REFUND, { limit: 5, kind: "gold", address }).has("/kind")).toBe(true);
  expect(problemsOf(REFUND, { limit: 5, address, notes: ["a", 1] }).has("/notes/1")).toBe(true);
  expect(problemsOf(REFUND, { limit: 5, address, notes: ["a"] }).size).toBe(0);
});

test("references that go in circles end", () => {
  const circle = { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/a" } } };
  expect(resolved(circle, circle)).toBeTypeOf("object");
});

test("names of members become titles", () => {
  expect(titleOf("deliveryAddress", {})).toBe("Delivery Address");
  expect(titleOf("delivery_address", {})).toBe("Delivery address");
  expect(titleOf("x", { title: "The x" })).toBe("The x");
});

test("examples stand in one line, but for objects", () => {
  expect(examplesOf({ examples: ["500ms", 30, { a: 1 }] })).toBe("500ms, 30");
  expect(examplesOf({ examples: [{}] })).toBeUndefined();
  expect(examplesOf({})).toBeUndefined();
});
