/** The filter grammar of docs/search.md: places of terms, and completions at the cursor. */

export interface Completion {
  /** What is inserted instead of the text from `from` to the cursor. */
  text: string;
  from: number;
  hint: string;
}

const FIELDS: Record<string, { hint: string; operators: string; values?: readonly string[] }> = {
  status: {
    hint: "status of the execution",
    operators: "= != IN",
    values: [
      "running",
      "failed",
      "completed",
      "paused",
      "pending",
      "compensating",
      "canceled",
      "terminated",
    ],
  },
  workflow: { hint: "id of the workflow", operators: "= != IN ^=" },
  id: { hint: "id of the execution", operators: "= != IN ^=" },
  started: {
    hint: "time of the start",
    operators: "> >= < <= = !=",
    values: ['"-1h"', '"-24h"', '"-7d"'],
  },
  ended: {
    hint: "time of the end",
    operators: "> >= < <= = !=",
    values: ['"-1h"', '"-24h"', "null"],
  },
  duration: { hint: "start to end", operators: "> >= < <=", values: ['"30s"', '"5m"', '"1h"'] },
  error: { hint: "words of the error", operators: "~ ^=" },
  "error.class": { hint: "class of the error", operators: "= != IN ^=" },
  "label.": { hint: "a label, such as label.team", operators: "= != IN ^=" },
  "attr.": { hint: "a search attribute, such as attr.amount", operators: "= != > >= < <= IN ^=" },
  "input.": { hint: "a searchable part of the input", operators: "= != > >= < <= IN ^=" },
  version: { hint: "version of the workflow", operators: "= != > >= < <= IN" },
  needs: {
    hint: "what a person has to decide",
    operators: "= != IN",
    values: ["hold", "approval", "breakpoint"],
  },
  any: { hint: "an id, a label, an attribute or an input value", operators: "= ^=" },
  requestId: { hint: "idempotency key of the start", operators: "= != IN ^=" },
};

/** A filter as it is typed; words without an operator are looked for in every value. */
export function filterOf(typed: string): string {
  const text = typed.trim();
  return !text || /[=<>~]|\bIN\b/.test(text) ? text : `any ^= ${quoted(text)}`;
}

const OPERATOR = /^(?:!=|<=|>=|\^=|[=<>~]|IN\b)/;
const WORD = /^[A-Za-z0-9_.-]*/;
const STRING = /^"(?:[^"\\]|\\.)*"?/;

type Expected = "field" | "operator" | "value" | "joint";

interface Place {
  expected: Expected;
  field: string;
  from: number;
  typed: string;
}

/** What is expected at the end of a filter, and the start of the unfinished word there. */
export function placeAtEnd(text: string): Place {
  let expected: Expected = "field";
  let field = "";
  let at = 0;
  while (at < text.length) {
    const rest = text.slice(at);
    const space = /^[\s(),]+/.exec(rest);
    if (space) {
      if (expected === "value" && space[0].includes(")")) expected = "joint";
      at += space[0].length;
      continue;
    }
    const token = tokenOf(rest, expected);
    if (at + token.length >= text.length && !finished(token, expected)) {
      return { expected, field, from: at, typed: token };
    }
    if (expected === "field" && token.toUpperCase() === "NOT") {
      at += token.length;
      continue;
    }
    if (expected === "field") field = token;
    const list: boolean =
      expected === "value" && /\bIN\s*\([^)]*$/i.test(text.slice(0, at + token.length));
    expected = list ? "value" : following(expected);
    at += token.length;
  }
  return { expected, field, from: text.length, typed: "" };
}

function tokenOf(rest: string, expected: Expected): string {
  const found =
    (expected === "operator" ? OPERATOR.exec(rest)?.[0] : undefined) ??
    STRING.exec(rest)?.[0] ??
    WORD.exec(rest)?.[0];
  return found || (rest[0] as string);
}

function finished(token: string, expected: Expected): boolean {
  if (expected === "operator") return OPERATOR.test(token);
  return token.length > 1 && token.startsWith('"') && token.endsWith('"');
}

function following(expected: Expected): Expected {
  if (expected === "field") return "operator";
  if (expected === "operator") return "value";
  return expected === "value" ? "joint" : "field";
}

/** Completions at the end of a filter; `names` adds values known from facets. */
export function completions(
  text: string,
  names: Readonly<Record<string, readonly string[]>> = {},
): Completion[] {
  const { expected, field, from, typed } = placeAtEnd(text);
  const add = (word: string, hint: string, after = " "): Completion => ({
    text: word + after,
    from,
    hint,
  });
  const starts = (word: string) =>
    word.toLowerCase().startsWith(typed.toLowerCase().replace(/^"/, ""));
  if (expected === "field") {
    return Object.entries(FIELDS)
      .filter(([name]) => starts(name) && name !== typed)
      .map(([name, { hint }]) => add(name, hint, name.endsWith(".") ? "" : " "));
  }
  const known = FIELDS[field] ?? FIELDS[`${field.split(".")[0]}.`];
  if (expected === "operator") {
    return (known?.operators ?? "=")
      .split(" ")
      .filter(starts)
      .map((word) => add(word, OPERATOR_HINTS[word] ?? ""));
  }
  if (expected === "value") {
    const values = [...(names[field] ?? []).map(quoted), ...(known?.values ?? [])];
    return values
      .filter((value) => starts(value.replace(/^"/, "")) && value !== typed)
      .slice(0, 12)
      .map((value) => add(value, ""));
  }
  return ["AND", "OR"].filter(starts).map((word) => add(word, ""));
}

const OPERATOR_HINTS: Record<string, string> = {
  "=": "is",
  "!=": "is not",
  IN: "is one of ( … )",
  "^=": "begins with",
  "~": "has the words",
  ">": "above",
  ">=": "at least",
  "<": "below",
  "<=": "at most",
};

/** A value as the grammar reads it: words are bare, everything else is quoted. */
export function quoted(value: string): string {
  return /^[A-Za-z_][A-Za-z0-9_-]*$/.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** The filter with a further term, or without the term if it is there as a whole. */
export function toggled(filter: string, term: string): string {
  const terms = splitAnd(filter);
  const at = terms.indexOf(term);
  if (at >= 0) terms.splice(at, 1);
  else terms.push(/\bOR\b/i.test(term) ? `(${term})` : term);
  return terms.join(" AND ");
}

/** The terms that are joined by AND at the top level. */
export function splitAnd(filter: string): string[] {
  const terms: string[] = [];
  let depth = 0;
  let quotedText = false;
  let start = 0;
  for (let at = 0; at < filter.length; at += 1) {
    const sign = filter[at];
    if (sign === '"' && filter[at - 1] !== "\\") quotedText = !quotedText;
    if (quotedText) continue;
    if (sign === "(") depth += 1;
    if (sign === ")") depth -= 1;
    if (depth === 0 && /^\sAND\s/i.test(filter.slice(at, at + 5))) {
      terms.push(filter.slice(start, at).trim());
      start = at + 5;
    }
  }
  const last = filter.slice(start).trim();
  return last ? [...terms, last] : terms;
}

const OF_WORKFLOW = /^workflow = (?:"((?:[^"\\]|\\.)*)"|([A-Za-z_][A-Za-z0-9_-]*))$/;

/** The one workflow whose executions a filter selects; empty for several. */
export function workflowOf(filter: string): string {
  const found = splitAnd(filter).map((term) => OF_WORKFLOW.exec(term));
  const [, text, word] = found.find(Boolean) ?? [];
  return text?.replace(/\\(.)/g, "$1") ?? word ?? "";
}
