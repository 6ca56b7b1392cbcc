/** What templates of a task can refer to: the input, outputs of tasks before it, items, state. */

import type { Task, Workflow } from "./workflow";

export interface Name {
  /** The expression, such as `tasks.charge.output.receipt`. */
  path: string;
  /** The type by the schema; empty if it is not known. */
  type: string;
}

type Json = Record<string, unknown>;

/** The ids of tasks that end before another one, by all edges. */
export function before(tasks: readonly Task[], id: string | undefined): string[] {
  if (id === undefined) return tasks.map((each) => each.id);
  const byId = new Map(tasks.map((each) => [each.id, each]));
  const found = new Set<string>();
  const stack = [id];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const task = byId.get(next);
    for (const each of [
      ...(task?.after.map(({ task: name }) => name) ?? []),
      ...(task?.uses ?? []),
    ]) {
      if (found.has(each)) continue;
      found.add(each);
      stack.push(each);
    }
  }
  return tasks.map((each) => each.id).filter((each) => found.has(each));
}

interface Known {
  workflow: Workflow;
  tasks: readonly Task[];
  /** The task that is written; all tasks count without it. */
  id: string | undefined;
  /** The schema of the input where the workflow has none. */
  input?: unknown;
  /** The schema of the output of a referenced task. */
  outputOf: (task: Task) => unknown;
  /** Kinds of the bodies around the task. */
  bodies: readonly string[];
}

export function namesIn({ workflow, tasks, id, input, outputOf, bodies }: Known): Name[] {
  const spec = (workflow.value.spec ?? {}) as Json;
  const names: Name[] = [
    { path: "input", type: "object" },
    ...members("input", spec.inputSchema ?? input),
  ];
  for (const each of before(tasks, id)) {
    const task = tasks.find((one) => one.id === each);
    const path = /^[A-Za-z_]\w*$/.test(each) ? `tasks.${each}.output` : `tasks["${each}"].output`;
    const schema = task && outputOf(task);
    names.push({ path, type: typeOf(schema) }, ...members(path, schema));
  }
  if (bodies.includes("map"))
    names.push({ path: "item", type: "" }, { path: "index", type: "integer" });
  if (bodies.includes("loop")) names.push({ path: "state", type: "" });
  for (const each of Object.keys((spec.variables ?? {}) as Json)) {
    names.push({ path: `variables.${each}`, type: "" });
  }
  return names;
}

/** A schema of a value of a run, as far as its members go. */
export function schemaOf(value: unknown): unknown {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "object") return { type: typeof value };
  if (Array.isArray(value)) return { type: "array" };
  const properties = Object.entries(value).map(([name, member]) => [name, schemaOf(member) ?? {}]);
  return { type: "object", properties: Object.fromEntries(properties) };
}

const DEPTH_MAX = 4;

function members(path: string, schema: unknown, depth = 0): Name[] {
  const properties = (schema as Json | undefined)?.properties;
  if (!properties || typeof properties !== "object" || depth >= DEPTH_MAX) return [];
  return Object.entries(properties).flatMap(([name, member]) => {
    const inner = /^[A-Za-z_]\w*$/.test(name) ? `${path}.${name}` : `${path}["${name}"]`;
    return [{ path: inner, type: typeOf(member) }, ...members(inner, member, depth + 1)];
  });
}

function typeOf(schema: unknown): string {
  const type = (schema as Json | undefined)?.type;
  return typeof type === "string" ? type : Array.isArray(type) ? type.join(" or ") : "";
}
