/** The schemas that hold for a place of a document, and simpler forms of them for fields. */

import { type JsonSchema, resolved } from "@/model/schema";
import type { Path } from "./source";

/** The schemas of a place; several where the schema has alternatives. */
export function schemasAt(root: JsonSchema, path: Path): JsonSchema[] {
  let found = alternatives(root, root);
  for (const key of path) {
    found = found.flatMap((schema) => {
      const member = typeof key === "number" ? schema.items : memberOf(schema, key);
      return member === undefined ? [] : alternatives(member, root);
    });
  }
  return found;
}

function memberOf(schema: JsonSchema, key: string): unknown {
  const properties = (schema.properties ?? {}) as Record<string, unknown>;
  if (key in properties) return properties[key];
  return typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined;
}

const DEPTH_MAX = 8;

function alternatives(schema: unknown, root: JsonSchema, depth = 0): JsonSchema[] {
  const found = resolved(schema, root);
  const others = (found.anyOf ?? found.oneOf) as unknown[] | undefined;
  if (!Array.isArray(others) || depth >= DEPTH_MAX) return [found];
  const inner = others.flatMap((each) => alternatives(each, root, depth + 1));
  return [{ ...found, anyOf: undefined, oneOf: undefined }, ...inner];
}

/** Names of members with their descriptions. */
export function memberNames(schemas: readonly JsonSchema[], root: JsonSchema): Map<string, string> {
  const names = new Map<string, string>();
  for (const schema of schemas) {
    for (const [name, member] of Object.entries((schema.properties ?? {}) as JsonSchema)) {
      const { description } = resolved(member, root);
      names.set(name, typeof description === "string" ? description : "");
    }
  }
  return names;
}

/** Values that a schema names: constants, choices, examples, true and false. */
export function valueNames(schemas: readonly JsonSchema[]): string[] {
  const found = schemas.flatMap((schema) => [
    ...("const" in schema ? [schema.const] : []),
    ...((schema.enum as unknown[]) ?? []),
    ...((schema.examples as unknown[]) ?? []),
    ...([schema.type].flat().includes("boolean") ? [true, false] : []),
  ]);
  return [...new Set(found.filter((each) => typeof each !== "object").map(String))];
}

/**
 * A schema as fields show it: a choice for words in any case, the one form beside null, and a
 * reference that is followed. What recurs stays as JSON.
 */
export function simplified(schema: unknown, root: JsonSchema, depth = 0): JsonSchema {
  const found = resolved(schema, root);
  if (depth >= DEPTH_MAX) return {};
  const { anyOf, ...plain } = found;
  if (Array.isArray(anyOf) && !anyOf.every((each) => "required" in Object(each))) {
    const forms = anyOf.map((each) => resolved(each, root)).filter((each) => each.type !== "null");
    const words = forms.find((each) => Array.isArray(each.enum));
    const others = forms.filter((each) => each !== words && !(words && "pattern" in each));
    if (words && others.length === 0) return { ...plain, enum: words.enum };
    const texts = forms.filter((each) => each.type === "string");
    if (texts.length === forms.length) {
      const examples = texts.flatMap((each) => (each.examples as unknown[] | undefined) ?? []);
      return { ...(examples.length > 0 && { examples }), ...plain, type: "string" };
    }
    return plain.type
      ? plain
      : { ...plain, anyOf: others.map((each) => simplified(each, root, depth + 1)) };
  }
  if (plain.properties && typeof plain.properties === "object") {
    const properties = Object.entries(plain.properties).map(([name, member]) => [
      name,
      simplified(member, root, depth + 1),
    ]);
    return { ...plain, properties: Object.fromEntries(properties) };
  }
  if (plain.items) return { ...plain, items: simplified(plain.items, root, depth + 1) };
  return plain;
}
