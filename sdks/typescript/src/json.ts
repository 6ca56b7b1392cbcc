/**
 * JSON values as bytes and back, with exact integers beyond ±2^53 as `bigint`.
 *
 * @packageDocumentation
 */
import { FlowmeshError } from "./errors.js";

/** A JSON value. Integers are `bigint` only with the option `bigint` of the client. */
export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Json[]
  | { readonly [member: string]: Json };

const DEPTH_MAX = 1_000;
const INTEGER_MIN = -(2n ** 63n);
const INTEGER_MAX = 2n ** 64n - 1n;
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;
// JSON.stringify and JSON.parse know no bigint: it passes them as a string with this prefix, which
// no other string has.
const MARK = `\u0000${Math.random().toString(36).slice(2)}:`;
const MARK_ESCAPED = JSON.stringify(MARK).slice(1, -1);
const MARKED = new RegExp(`"${MARK_ESCAPED.replaceAll("\\", "\\\\")}(-?\\d+)"`, "g");

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Write a value as JSON, with `bigint` as an integer; `undefined` becomes null.
 *
 * Throws `JSON_INVALID` with the path of what JSON cannot hold: a cycle, NaN, an infinity, half of
 * a surrogate pair, a function, a Map, a Set, bytes.
 */
export function stringifyJson(value: unknown, root = "value"): string {
  if (value === undefined || value === null) {
    return "null";
  }
  const scan = new Scan(root);
  scan.check(value);
  const text = JSON.stringify(value, scan.hasBigint ? marked : undefined);
  return scan.hasBigint ? text.replace(MARKED, "$1") : (text ?? "null");
}

/** @internal */
export function encodeJson(value: unknown, root?: string): Uint8Array {
  return encoder.encode(stringifyJson(value, root));
}

/**
 * Decode JSON bytes; no bytes are null.
 *
 * @internal
 */
export function decodeJson(data: Uint8Array, bigint = false): Json {
  if (data.length === 0) {
    return null;
  }
  return parseJson(decoder.decode(data), bigint);
}

/** Read JSON; with `bigint`, integers beyond ±2^53 stay exact. */
export function parseJson(text: string, bigint = false): Json {
  if (!bigint || !/\d{16}/.test(text)) {
    return JSON.parse(text);
  }
  return JSON.parse(text.replace(TOKENS, exact), (_, value) =>
    typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  );
}

function exact(token: string): string {
  const isExact = !/^-?\d{16,}$/.test(token) || Number.isSafeInteger(Number(token));
  return isExact ? token : `"${MARK_ESCAPED}${token}"`;
}

function marked(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${MARK}${value}` : value;
}

/** A walk over a value that finds what JSON cannot hold. */
class Scan {
  hasBigint = false;
  readonly #path: (string | number)[] = [];
  readonly #above = new Set<object>();

  constructor(readonly root: string) {}

  check(value: unknown): void {
    switch (typeof value) {
      case "boolean":
        return;
      case "string":
        if (!value.isWellFormed()) {
          throw this.#refused("is not Unicode, it has half of a surrogate pair");
        }
        return;
      case "number":
        if (!Number.isFinite(value)) {
          throw this.#refused("is not a finite number");
        }
        return;
      case "bigint":
        if (value < INTEGER_MIN || value > INTEGER_MAX) {
          throw this.#refused(
            "is an integer that cannot be kept: integers are -2^63 to 2^64-1; write larger ones" +
              " as strings",
          );
        }
        this.hasBigint = true;
        return;
      case "object":
        if (value !== null) {
          this.#object(value);
        }
        return;
      default:
        throw this.#refused(`is ${typeof value === "undefined" ? "" : "a "}${typeof value}`);
    }
  }

  #object(value: object): void {
    if (this.#above.has(value)) {
      throw this.#refused("contains itself");
    }
    if (this.#above.size >= DEPTH_MAX) {
      throw this.#refused(`is nested more than ${DEPTH_MAX} levels deep`);
    }
    if (value instanceof Number) {
      this.check(value.valueOf());
      return;
    }
    // Its toJSON returns null.
    if (value instanceof Date && Number.isNaN(value.getTime())) {
      throw this.#refused("is not a valid date");
    }
    if (isOpaque(value)) {
      throw this.#refused(`is a ${value.constructor.name}`);
    }
    this.#above.add(value);
    if ("toJSON" in value && typeof value.toJSON === "function") {
      const plain: unknown = value.toJSON(String(this.#path.at(-1) ?? ""));
      if (plain !== value) {
        this.check(plain);
      }
    } else if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index++) {
        this.#path.push(index);
        this.check(value[index]);
        this.#path.pop();
      }
    } else {
      this.#members(value as Record<string, unknown>);
    }
    this.#above.delete(value);
  }

  #members(value: Record<string, unknown>): void {
    for (const [name, member] of Object.entries(value)) {
      if (member === undefined) {
        continue;
      }
      this.#path.push(name);
      if (!name.isWellFormed()) {
        throw this.#refused("has a name that is not Unicode");
      }
      this.check(member);
      this.#path.pop();
    }
  }

  #refused(problem: string): FlowmeshError {
    const place = this.#path.map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`));
    const where = `${this.root}${place.slice(0, 20).join("")}`;
    const field = where.toWellFormed();
    const message = `${field} ${problem}, which JSON cannot hold`;
    const violation = { field, description: message, code: "JSON_INVALID", line: 0, column: 0 };
    return new FlowmeshError("Invalid", "JSON_INVALID", message, { violations: [violation] });
  }
}

function isOpaque(value: object): boolean {
  return (
    value instanceof Map ||
    value instanceof Set ||
    value instanceof Promise ||
    value instanceof RegExp ||
    value instanceof ArrayBuffer ||
    (ArrayBuffer.isView(value) && !("toJSON" in value))
  );
}
