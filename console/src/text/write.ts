/** Values as YAML or JSON text, in the manner of their surroundings. */

import { Document, isScalar, type Node, type Scalar, stringify, visit } from "yaml";

const LIST_CHARACTERS_MAX = 60;
const PLAIN = /^[A-Za-z_][\w./-]*$/;
const WORDS = new Set(["true", "false", "null", "yes", "no", "on", "off", "y", "n"]);

/** A value on one line, which is valid inside of brackets and braces. */
export function flow(value: unknown, json: boolean): string {
  if (json) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map((each) => flow(each, json)).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    const members = Object.entries(value).map(([key, each]) => `${name(key)}: ${flow(each, json)}`);
    return `{${members.join(", ")}}`;
  }
  if (typeof value !== "string") return JSON.stringify(value) ?? "null";
  return PLAIN.test(value) && !WORDS.has(value.toLowerCase()) ? value : JSON.stringify(value);
}

/** The name of a member; words such as `on` are plain in this place. */
export function name(key: string): string {
  return PLAIN.test(key) && !["true", "false", "null"].includes(key) ? key : JSON.stringify(key);
}

/** A value as lines of YAML; short lists of plain values stay on one line. */
export function block(value: unknown): string {
  const document = new Document(value);
  visit(document, {
    Seq: (_, list) => {
      const plain = list.items.every((each) => isScalar(each) && typeof each.value !== "object");
      if (plain && flow(list.toJSON(), false).length <= LIST_CHARACTERS_MAX) list.flow = true;
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: false }).trimEnd();
}

/** A scalar in the quoting of the one that it replaces. */
export function scalar(value: unknown, former: Node | null): string {
  const kind = isScalar(former) ? (former as Scalar).type : undefined;
  if (typeof value === "string" && !value.includes("\n")) {
    if (kind === "QUOTE_DOUBLE") return JSON.stringify(value);
    if (kind === "QUOTE_SINGLE") return `'${value.replaceAll("'", "''")}'`;
  }
  return stringify(value, { lineWidth: 0 }).trimEnd();
}

/** Lines after the first moved in by a number of columns. */
export function indented(text: string, columns: number): string {
  return text.replace(/\n(?=[^\n])/g, `\n${" ".repeat(columns)}`);
}

/** JSON on several lines whose first stands at a column. */
export function spread(value: unknown, columns: number): string {
  return indented(JSON.stringify(value, undefined, 2) ?? "null", columns);
}
