/** The tasks and edges of the workflows in a text, each with its place. */

import { valueAt } from "./edits";
import type { Path, Place, Source } from "./source";

export type Format = "native" | "steps" | "graph" | "serverless" | "states" | "unknown";

export interface After {
  task: string;
  /** The outcome or label for which the edge is taken; success without it. */
  on: string | undefined;
}

/** A box of a canvas with those before it. */
export interface Joined {
  id: string;
  after: readonly After[];
  /** Boxes of the same canvas that it names without an edge of its own. */
  uses: readonly string[];
}

export interface Task extends Joined {
  title: string;
  /** The member that makes it: `taskRef`, `decision`, `map` and so on. */
  kind: string;
  /** The referenced task or workflow. */
  ref: string;
  place: Place;
  undo: string | undefined;
  /** Graphs within: the path from the task to each list of tasks. */
  inner: Path[];
  value: Record<string, unknown>;
}

export interface Position {
  x: number;
  y: number;
}

export interface Workflow {
  doc: number;
  format: Format;
  name: string;
  value: Record<string, unknown>;
}

/** The annotation that holds positions of moved tasks, by their ids with those of their bodies. */
export const LAYOUT = "flowmesh.io/layout";
export const KINDS = [
  "taskRef",
  "decision",
  "subworkflow",
  "continueAsNew",
  "wait",
  "approval",
  "map",
  "group",
  "race",
  "loop",
  "try",
] as const;

type Json = Record<string, unknown>;

function object(value: unknown): Json {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? (value as Json)
    : {};
}

export function formatOf(value: unknown): Format {
  const found = object(value);
  if (typeof found.apiVersion === "string") return "native";
  if (Array.isArray(found.steps)) return "steps";
  if (Array.isArray(found.nodes)) return "graph";
  if (found.States || found.StartAt) return "states";
  return found.document && found.do ? "serverless" : "unknown";
}

/** The first workflow of a text: of its resources, or the whole document of another format. */
export function workflowOf(source: Source): Workflow | undefined {
  for (const [doc, value] of source.values.entries()) {
    const found = object(value);
    const format = formatOf(found);
    if (format === "native" && found.kind !== "Workflow") continue;
    if (value === null || value === undefined) continue;
    return { doc, format, name: nameOf(found, format), value: found };
  }
  return undefined;
}

function nameOf(value: Json, format: Format): string {
  if (format === "native") return String(object(value.metadata).name ?? "");
  if (format === "serverless") return String(object(value.document).name ?? "");
  return String(value.id ?? value.Name ?? "");
}

/** The place of the tasks of a workflow, or of the body that a path of ids and members leads to. */
export function tasksPlace(workflow: Workflow, inner: Path = []): Place {
  return { doc: workflow.doc, path: ["spec", "tasks", ...inner] };
}

/** The tasks of one graph; what is no task is left out. */
export function tasksOf(workflow: Workflow, place: Place): Task[] {
  const list = valueAt(workflow.value, place.path);
  if (workflow.format !== "native" || !Array.isArray(list)) return [];
  const ids = new Set(list.map((each) => String(object(each).id ?? "")));
  return list.flatMap((each, index) => {
    const value = object(each);
    if (typeof value.id !== "string" || !value.id) return [];
    return [taskOf(value, { doc: place.doc, path: [...place.path, index] }, ids)];
  });
}

function taskOf(value: Json, place: Place, ids: ReadonlySet<string>): Task {
  const kind = KINDS.find((each) => each in value) ?? "taskRef";
  const id = String(value.id);
  const after = afterOf(value.dependsOn);
  const stated = new Set(after.map((each) => each.task));
  const undo = object(value.undo).taskRef;
  return {
    id,
    title: typeof value.name === "string" ? value.name : id,
    kind,
    ref: refOf(kind, value),
    place,
    after,
    uses: [...mentioned(value)].filter((each) => each !== id && ids.has(each) && !stated.has(each)),
    undo: typeof undo === "string" ? undo : undefined,
    inner: innerOf(value[kind], [kind]),
    value,
  };
}

function refOf(kind: string, value: Json): string {
  const body = value[kind];
  if (kind === "taskRef") return typeof body === "string" ? body : "";
  if (kind === "subworkflow") return String(object(body).workflow ?? "");
  return kind === "wait" ? String(object(body).event ?? "") : "";
}

function afterOf(value: unknown): After[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((each) => {
    if (typeof each === "string") return [{ task: each, on: undefined }];
    const { task, on } = object(each);
    return typeof task === "string"
      ? [{ task, on: on === undefined ? undefined : String(on) }]
      : [];
  });
}

const MENTION = /\btasks\.([A-Za-z0-9_-]+)|\btasks\[["']([^"']+)["']\]/g;

/** Ids of tasks in the templates and conditions of a value. */
export function mentioned(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value === "string") {
    for (const [, plain, quoted] of value.matchAll(MENTION)) found.add(plain ?? quoted ?? "");
  } else if (value !== null && typeof value === "object") {
    for (const each of Object.values(value)) mentioned(each, found);
  }
  return found;
}

/** The lists of tasks within a body, with the path to each. */
function innerOf(value: unknown, path: Path): Path[] {
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, each]) => {
    const step = Array.isArray(value) ? Number(key) : key;
    if (key === "tasks" && Array.isArray(each)) return [[...path, key]];
    return key === "input" ? [] : innerOf(each, [...path, step]);
  });
}

/** Positions of the tasks of one graph by id; `prefix` are the ids of the enclosing bodies. */
export function positionsOf(workflow: Workflow, prefix: readonly string[]): Map<string, Position> {
  const found = new Map<string, Position>();
  const note = (id: string, x: unknown, y: unknown) => {
    if (Number.isFinite(x) && Number.isFinite(y)) found.set(id, { x: Number(x), y: Number(y) });
  };
  if (workflow.format === "graph") {
    for (const { id, position } of (workflow.value.nodes as Json[]).map(object)) {
      note(String(id), object(position).x, object(position).y);
    }
    return found;
  }
  const { metadata, document } = workflow.value;
  const owner = { native: object(metadata).annotations, serverless: object(document).metadata };
  const { format } = workflow;
  const holder = format === "native" || format === "serverless" ? owner[format] : metadata;
  const start = prefix.map((each) => `${each}/`).join("");
  for (const [key, value] of Object.entries(object(object(holder)[LAYOUT]))) {
    if (key.startsWith(start) && Array.isArray(value)) {
      note(key.slice(start.length), value[0], value[1]);
    }
  }
  return found;
}

/** The path of a new circle if `to` came after `from`; nothing if there is none. */
export function circle(tasks: readonly Joined[], from: string, to: string): string[] | undefined {
  const next = followers(tasks);
  const stack: string[][] = [[to]];
  const seen = new Set<string>();
  for (let path = stack.pop(); path; path = stack.pop()) {
    const last = path.at(-1) as string;
    if (last === from) return [from, ...path];
    if (seen.has(last)) continue;
    seen.add(last);
    for (const each of next.get(last) ?? []) stack.push([...path, each]);
  }
  return undefined;
}

/** A task, and all that run after it by edges or uses; none of them can run before it. */
export function downstream(tasks: readonly Joined[], id: string): ReadonlySet<string> {
  const next = followers(tasks);
  const found = new Set([id]);
  for (const each of found) for (const after of next.get(each) ?? []) found.add(after);
  return found;
}

/** The tasks that wait for each one. */
function followers(tasks: readonly Joined[]): ReadonlyMap<string, readonly string[]> {
  const next = new Map<string, string[]>();
  for (const task of tasks) {
    for (const before of [...task.after.map((each) => each.task), ...task.uses]) {
      const known = next.get(before);
      if (known) known.push(task.id);
      else next.set(before, [task.id]);
    }
  }
  return next;
}
