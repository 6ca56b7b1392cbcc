/** Conditions of one comparison, in words and as CEL, and paths of values in words. */

export const OPERATORS = ["==", "!=", ">", ">=", "<", "<=", "contains", "has"] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Words {
  /** The compared value, such as `input.amount`. */
  path: string;
  operator: Operator;
  /** What it is compared with, as it is typed; nothing for `has`. */
  value: string;
}

const PATH = /[A-Za-z_]\w*(?:\.\w+|\["[^"\\]+"\])*/.source;
const TEXT = /"(?:[^"\\]|\\["\\nt])*"/.source;
const LITERAL = `-?\\d+(?:\\.\\d+)?|true|false|${TEXT}`;
const COMPARED = new RegExp(`^(${PATH}) (==|!=|>=|<=|>|<) (${LITERAL})$`);
const CONTAINS = new RegExp(`^(${PATH})\\.contains\\((${TEXT})\\)$`);
const HAS = new RegExp(`^has\\((${PATH})\\)$`);
const BARE = /^(?:-?\d+(?:\.\d+)?|true|false)$/;

/** A condition as CEL; a value of a text is a text, also if it looks like a number. */
export function celOf({ path, operator, value }: Words, type = ""): string {
  if (operator === "has") return `has(${path})`;
  if (operator === "contains") return `${path}.contains(${JSON.stringify(value)})`;
  const literal = BARE.test(value) && type !== "string" ? value : JSON.stringify(value);
  return `${path} ${operator} ${literal}`;
}

/** The words of a condition; nothing for one that is more than a comparison. */
export function wordsOf(cel: string): Words | undefined {
  const has = HAS.exec(cel)?.[1];
  if (has) return { path: has, operator: "has", value: "" };
  const [, whole = "", part] = CONTAINS.exec(cel) ?? [];
  if (part) return { path: whole, operator: "contains", value: JSON.parse(part) };
  const [, path = "", operator, literal = ""] = COMPARED.exec(cel) ?? [];
  if (!operator) return undefined;
  const value = literal.startsWith('"') ? JSON.parse(literal) : literal;
  return { path, operator: operator as Operator, value };
}

const OF_TASK = /^tasks(?:\.(\w+)|\["([^"]+)"\])\.output(?:\.(.+))?$/;

/** The path of a value in words, such as `receipt of charge`. */
export function pathWords(path: string): string {
  if (path === "input") return "the whole input";
  if (path.startsWith("input.")) return `${path.slice("input.".length)} of the input`;
  const [, plain, quoted, member] = OF_TASK.exec(path) ?? [];
  const task = plain ?? quoted;
  if (!task) return path;
  return member ? `${member} of ${task}` : `the whole output of ${task}`;
}
