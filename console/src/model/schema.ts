/** JSON Schemas as forms: the kind of field for each schema, first values, and problems by path. */

import { type OutputUnit, type Schema, Validator } from "@cfworker/json-schema";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonSchema = Record<string, unknown>;

export type FieldKind =
  | "text"
  | "long"
  | "number"
  | "flag"
  | "choice"
  | "object"
  | "map"
  | "list"
  | "oneOf"
  | "json";

const REFERENCES_MAX = 20;
/** From this length on, a text has several lines. */
const LONG_FROM = 1_000;

/** The schema that a local reference leads to; `root` is the whole document. */
export function resolved(schema: unknown, root: unknown): JsonSchema {
  let found = asSchema(schema);
  for (let step = 0; step < REFERENCES_MAX && typeof found.$ref === "string"; step += 1) {
    const { $ref, ...beside } = found;
    found = { ...asSchema(pointed(root, $ref as string)), ...beside };
  }
  return found;
}

function asSchema(schema: unknown): JsonSchema {
  return schema !== null && typeof schema === "object" && !Array.isArray(schema)
    ? (schema as JsonSchema)
    : {};
}

function pointed(root: unknown, reference: string): unknown {
  if (!reference.startsWith("#")) return {};
  let value: unknown = root;
  for (const part of reference.slice(1).split("/").filter(Boolean)) {
    const name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    value = (value as Record<string, unknown> | undefined)?.[name];
  }
  return value;
}

const SCALARS = new Set(["string", "number", "integer", "boolean"]);

/** The type of a schema without `null`. */
function typeOf(schema: JsonSchema): string {
  const types = Array.isArray(schema.type) ? schema.type : [schema.type];
  const known = types.filter((each) => each !== "null");
  if (known.length === 1 && typeof known[0] === "string") return known[0];
  // A text can stand for numbers and flags beside it.
  if (known.includes("string") && known.every((each) => SCALARS.has(String(each)))) return "string";
  if (schema.properties || schema.additionalProperties) return "object";
  return schema.items ? "array" : "";
}

export function kindOf(schema: JsonSchema): FieldKind {
  if (Array.isArray(schema.enum) || "const" in schema) return "choice";
  if (Array.isArray(schema.oneOf) || Array.isArray(schema.anyOf)) return "oneOf";
  switch (typeOf(schema)) {
    case "boolean":
      return "flag";
    case "integer":
    case "number":
      return "number";
    case "string":
      return Number(schema.maxLength ?? 0) >= LONG_FROM ? "long" : "text";
    case "array":
      return "list";
    case "object":
      if (schema.properties) return "object";
      return typeof schema.additionalProperties === "object" ? "map" : "json";
    default:
      return "json";
  }
}

/** The values that a choice offers. */
export function choicesOf(schema: JsonSchema): Json[] {
  return Array.isArray(schema.enum) ? (schema.enum as Json[]) : [schema.const as Json];
}

export function variantsOf(schema: JsonSchema): JsonSchema[] {
  const { oneOf, anyOf, ...common } = schema;
  return ((oneOf ?? anyOf ?? []) as unknown[]).map((each) => ({ ...common, ...asSchema(each) }));
}

/** The variant whose constants a value has. */
export function statedVariant(
  variants: readonly JsonSchema[],
  value: Json | undefined,
): number | undefined {
  const stated = variants.findIndex((each) => {
    const constants = Object.entries(asSchema(each.properties)).flatMap(([name, member]) =>
      "const" in asSchema(member) ? [[name, asSchema(member).const] as const] : [],
    );
    const owner = asSchema(value);
    return constants.length > 0 && constants.every(([name, known]) => owner[name] === known);
  });
  return stated < 0 ? undefined : stated;
}

/** The first variant that a value fits, or the first of all. */
export function fittingVariant(variants: readonly JsonSchema[], value: Json | undefined): number {
  if (value === undefined) return 0;
  return Math.max(
    0,
    variants.findIndex((each) => problemsOf(each, value).size === 0),
  );
}

/** The members of an object, each with its schema and whether it is required. */
export function membersOf(schema: JsonSchema, root: unknown) {
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  return Object.entries(asSchema(schema.properties)).map(([name, member]) => ({
    name,
    schema: resolved(member, root),
    required: required.has(name),
  }));
}

/** The value that a form begins with: defaults and constants, and what is required in objects. */
export function initialOf(schema: JsonSchema, root: unknown, depth = 0): Json | undefined {
  if ("default" in schema) return schema.default as Json;
  if ("const" in schema) return schema.const as Json;
  const kind = kindOf(schema);
  if (kind === "flag") return false;
  if (kind === "list" || kind === "map") return kind === "list" ? [] : {};
  if (kind !== "object" || depth > REFERENCES_MAX) return undefined;
  const value: Record<string, Json> = {};
  for (const member of membersOf(schema, root)) {
    const known = "default" in member.schema || "const" in member.schema;
    if (!member.required && !known) continue;
    const initial = initialOf(member.schema, root, depth + 1);
    if (initial !== undefined) value[member.name] = initial;
  }
  return value;
}

/** Problems of a value by JSON pointer; the empty pointer is the value itself. */
export function problemsOf(schema: JsonSchema, value: Json | undefined): Map<string, string> {
  const problems = new Map<string, string>();
  let errors: OutputUnit[];
  try {
    errors = new Validator(schema as Schema, "2020-12", false).validate(value ?? null).errors;
  } catch {
    // A schema that cannot be used here is checked by the server alone.
    return problems;
  }
  for (const error of errors) {
    if (error.keyword === "required") {
      const name = /"([^"]+)"/.exec(error.error)?.[1];
      if (name) problems.set(`${pointer(error)}/${escaped(name)}`, "A value is needed.");
    } else if (!OUTER.has(error.keyword)) {
      const at = pointer(error);
      if (!problems.has(at)) problems.set(at, error.error);
    }
  }
  return problems;
}

/** Keywords that repeat what their members report. */
const OUTER = new Set(["properties", "items", "additionalProperties", "$ref", "allOf"]);

function pointer(error: OutputUnit): string {
  return error.instanceLocation.replace(/^#/, "");
}

export function escaped(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** Scalar examples of a schema in one line, such as `500ms, 30s, 5m`. */
export function examplesOf({ examples }: JsonSchema): string | undefined {
  const scalars = Array.isArray(examples) ? examples.filter((each) => Object(each) !== each) : [];
  return scalars.length > 0 ? scalars.join(", ") : undefined;
}

/** `deliveryAddress` and `delivery_address` as `Delivery address`. */
export function titleOf(name: string, schema: JsonSchema): string {
  if (typeof schema.title === "string" && schema.title) return schema.title;
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_-]+/g, " ")
    .trim();
  return words ? words[0]?.toUpperCase() + words.slice(1) : "Value";
}
